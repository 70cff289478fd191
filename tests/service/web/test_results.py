import json

from tests.service.web.browser import expect, hit, made_answer, needs_chromium

pytestmark = needs_chromium


def test_a_payload_opens_and_filters(visit):
    page = visit.open("/#q=w5")
    first = page.locator(".hit").first
    first.get_by_role("button").first.click()
    number = first.locator(".payload dd").last.inner_text().split()[0]
    assert first.get_by_role("button").first.get_attribute("aria-expanded") == "true"
    first.get_by_label("Filter by n:").click()
    expect(page.locator(".hit")).to_have_count(1)
    assert visit.searches[-1]["filter"] == {"n": int(number)}
    expect(page.locator("#filter")).to_have_value(json.dumps({"n": int(number)}, separators=(",", ":")))


def test_documents_are_never_interpreted_as_html(visit):
    page = visit.open()
    hostile = "<img src=x onerror=alert(1)> w5 <mark>bold</mark>"
    hits = [hit("<b>1</b>", 0.5, title=hostile, text=hostile, link="javascript:alert(1)", page="https://example.org/")]
    page.route("**/v1/search", lambda route: route.fulfill(json=made_answer(hits)))
    visit.search("w5 <mark>")
    page.locator(".hit .open").click()
    assert page.locator(".hit h3").inner_text() == hostile
    assert page.locator(".hit img, .hit b").count() == 0
    assert set(page.locator("mark").all_inner_texts()) == {"w5", "mark"}
    assert page.locator(".hit a").evaluate_all("links => links.map((link) => link.href)") == ["https://example.org/"]
