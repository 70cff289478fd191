from urllib.parse import parse_qs, urlsplit

from tests.service.web.browser import expect, needs_chromium

pytestmark = needs_chromium


def test_the_address_holds_the_search(visit):
    page = visit.open("/#q=w5+w6&k=3&filter=%7B%22n%22%3A%7B%22%24lt%22%3A500%7D%7D&dims=8&candidates=50")
    expect(page.locator(".hit")).to_have_count(3)
    body = {"query": "w5 w6", "k": 3, "explain": True, "filter": {"n": {"$lt": 500}}, "dims": 8, "candidates": 50}
    assert visit.searches == [body]
    page.get_by_label("Results", exact=True).first.fill("4")
    expect(page.locator(".hit")).to_have_count(4)
    given = parse_qs(urlsplit(page.url).fragment)
    assert (given["k"], given["q"], given["dims"]) == (["4"], ["w5 w6"], ["8"])
    page.reload()
    expect(page.locator(".hit")).to_have_count(4)
    assert visit.searches[-1] == {**body, "k": 4}
