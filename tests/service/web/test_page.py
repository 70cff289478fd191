from datetime import UTC, datetime, timedelta

from tests.service.web.browser import expect, hit, made_answer, needs_chromium, shown_ids

pytestmark = needs_chromium


def test_results_appear_while_typing_with_the_words_highlighted(visit, client):
    page = visit.open()
    expect(page.locator("#welcome")).to_contain_text("1,000 documents")
    page.locator("#query").press_sequentially("w17 w4", delay=20)
    expect(page.locator(".hit")).to_have_count(10)
    wanted = client.post("/v1/search", json={"query": "w17 w4"}).json()["results"]
    assert shown_ids(page) == [found["id"] for found in wanted]
    assert page.locator(".score").first.inner_text() == f"{wanted[0]['score']:.3f}"
    assert "w17" in set(page.locator("mark").all_inner_texts()) <= {"w17", "w4"}
    assert len(visit.searches) < len("w17 w4"), "each key sent a search"
    assert visit.searches[-1] == {"query": "w17 w4", "k": 10, "explain": True}
    expect(page.locator("#status")).to_contain_text("10 results")


def test_enter_searches_at_once(visit):
    page = visit.open()
    page.clock.install()
    page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))  # so that no timer fires
    visit.search("w5")
    expect(page.locator(".hit")).to_have_count(10)
    assert len(visit.searches) == 1


def test_a_late_answer_is_discarded(visit):
    page = visit.open()
    held = []

    def answer(route):
        if route.request.post_data_json["query"] == "first":
            held.append(route)
        else:
            route.fulfill(json=made_answer([hit("new", 0.9)]))

    page.route("**/v1/search", answer)
    page.locator("#query").fill("first")
    page.keyboard.press("Enter")
    expect(page.locator("#progress")).not_to_have_attribute("hidden", "")
    page.locator("#query").fill("second")
    page.keyboard.press("Enter")
    expect(page.locator(".hit")).to_have_count(1)
    for route in held:  # two on a slow machine: one as the text changed, one on Enter
        route.fulfill(json=made_answer([hit("old", 0.9), hit("older", 0.8)]))
    page.wait_for_timeout(100)
    assert shown_ids(page) == ["new"]
    assert [request.post_data_json["query"] for request in visit.failures] == ["first"] * len(held), "not aborted"
    expect(page.locator("#progress")).to_be_hidden()


def test_a_filter_is_validated_before_it_is_sent(visit):
    page = visit.open("/#q=w5")
    expect(page.locator(".hit")).to_have_count(10)
    page.get_by_role("button", name="Filter").click()
    sent = len(visit.searches)
    page.locator("#filter").fill('{"n": ')
    expect(page.locator("#filter-error")).to_contain_text("Not valid JSON")
    assert page.locator("#filter").get_attribute("aria-invalid") == "true"
    page.locator("#filter").fill("[1]")
    expect(page.locator("#filter-error")).to_contain_text("Give an object")
    page.wait_for_timeout(300)
    assert len(visit.searches) == sent
    page.locator("#filter").fill('{"n": {"$lt": 3}}')
    expect(page.locator(".hit")).to_have_count(3)
    expect(page.locator("#filter-error")).to_be_hidden()
    page.locator("#filter").fill('{"n": {"$near": 3}}')
    expect(page.locator("#filter-error")).to_contain_text("$near")


def test_the_hybrid_switch_needs_a_lexical_index(visit, facts):
    visit.page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "lexical": None}))
    page = visit.open()
    expect(page.locator("#welcome")).to_contain_text("documents")
    expect(page.locator("#hybrid")).to_be_hidden()
    words = {"fields": ["text"], "language": None, "words": 300, "mean_length": 6.0, "k1": 1.2, "b": 0.75}
    page.unroute("**/v1/index")
    page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "lexical": words}))
    page.route("**/v1/search", lambda route: route.fulfill(json=made_answer([hit("a", 0.0163)])))
    page.reload()
    page.get_by_role("switch", name="Hybrid").check()
    visit.search("w5")
    assert visit.searches[-1]["hybrid"] is True
    assert page.locator(".score").inner_text() == "0.0163"
