from tests.service.web.browser import expect, hit, made_answer, needs_chromium, shown_ids

pytestmark = needs_chromium


def test_the_same_query_is_searched_exactly(visit, client, facts):
    page = visit.open("/#q=w5+w6&dims=8&candidates=10")
    expect(page.locator(".hit")).to_have_count(10)
    page.get_by_role("switch", name="Compare with exact search").check()
    expect(page.locator("#verdict")).to_be_visible()
    assert visit.searches[-1] == {"query": "w5 w6", "k": 10, "explain": True, "dims": facts["dimension"]}
    found, exact = (
        [found["id"] for found in client.post("/v1/search", json={"query": "w5 w6", **plan}).json()["results"]]
        for plan in ({"dims": 8, "candidates": 10}, {"dims": facts["dimension"]})
    )
    assert shown_ids(page, "#found-list") == found
    assert shown_ids(page, "#exact-list") == exact
    missed = [name for name in exact if name not in found]
    assert missed, "the example must miss something"
    assert page.locator("#exact-list .hit[data-kind=missed]").count() == len(missed)
    assert page.locator("#links path").count() == len(exact) - len(missed)
    expect(page.locator("#verdict")).to_contain_text(f"{10 * (10 - len(missed))} %")
    page.get_by_role("switch", name="Compare with exact search").uncheck()
    expect(page.locator("#exact-list")).to_have_count(0)
    expect(page.locator("#verdict")).to_be_hidden()


def test_tied_scores_count_as_found_and_both_times_are_shown(visit):
    lists = {
        16: made_answer([hit("a", 0.9), hit("tied", 0.7), hit("far", 0.5)], 16, 0.25),
        32: made_answer([hit("a", 0.9), hit("b", 0.8), hit("c", 0.7)], 32, 2.5),
    }
    visit.page.route(
        "**/v1/search", lambda route: route.fulfill(json=lists[route.request.post_data_json.get("dims", 16)])
    )
    page = visit.open("/#q=x&k=3&exact=1")
    expect(page.locator("#verdict")).to_be_visible()
    badges = page.locator(".hit").evaluate_all(
        "items => items.map((item) => [item.dataset.id, item.dataset.kind ?? null])"
    )
    assert badges == [["a", None], ["tied", "tie"], ["far", "extra"], ["a", None], ["b", "missed"], ["c", "tie"]]
    assert page.locator("#verdict b").all_inner_texts() == ["66.7 %", "0.25 ms", "2.50 ms", "10.0\u00d7"]
