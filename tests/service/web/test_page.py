"""The web page in a real browser: Chromium, where there is one."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the extra dev has it)")
expect = playwright.expect

CHROMIUM = os.environ.get("MRL_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH, and MRL_CHROMIUM names none")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Visit:
    """A page in a browser of its own, and what it asked for and complained of."""

    def __init__(self, context, url):
        self.page, self.url = context.new_page(), url
        self.requests, self.errors, self.failures = [], [], []
        self.page.set_default_timeout(5000)
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("requestfailed", lambda request: self.failures.append(request))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def open(self, path="/"):
        self.page.goto(self.url + path)
        return self.page

    def search(self, query):
        """Type a query and press Enter; return the answer of the service."""
        with self.page.expect_response("**/v1/search") as answered:
            self.page.locator("#query").fill(query)
            self.page.keyboard.press("Enter")
        return answered.value.json()

    @property
    def searches(self):
        return [request.post_data_json for request in self.requests if request.url.endswith("/v1/search")]


@pytest.fixture
def visit(browser, url):
    context = browser.new_context(viewport={"width": 1300, "height": 900}, color_scheme="light")
    visit = Visit(context, url)
    yield visit
    context.close()
    assert {urlsplit(request.url).netloc for request in visit.requests} == {urlsplit(url).netloc}
    # A browser reports every error answer; those are what some tests are about.
    assert [error for error in visit.errors if "Failed to load resource" not in error] == []


@pytest.fixture(scope="module")
def facts(url):
    return httpx.get(f"{url}/v1/index", trust_env=False).raise_for_status().json()


def hit(name, score, **payload):
    return {"id": name, "score": score, "payload": payload}


def made_answer(hits, dims=16, milliseconds=1.0):
    """An answer as the service would give it."""
    stage = {"structure": "scan", "read": None, "certified": None, "again": None}
    stage |= {"candidates_in": 1000, "candidates_out": len(hits)}
    plan = {"structure": "scan", "dims": dims, "candidates": 200, "rerank_dims": 32, "effort": None}
    plan |= {"stop": None, "second_look": None, "promise": None}
    return {
        "results": hits,
        "plan": {**plan, "stages": [{"dims": 32, "keep": len(hits)}]},
        "stages": [{"name": "shortlist", "milliseconds": milliseconds, "dims": dims, **stage}],
    }


def refusal(status, message, param=None, **headers):
    kind = "invalid_request_error" if status < 500 else "service_error"
    error = {"type": kind, "code": "code", "message": message, "param": param}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"status": status, "headers": names, "json": {"error": error}}


def shown_ids(page, within="#lists"):
    return page.locator(f"{within} .hit").evaluate_all("items => items.map((item) => item.dataset.id)")


class TestSearching:
    def test_results_come_while_one_types_with_the_words_marked(self, visit, client):
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

    def test_enter_searches_at_once(self, visit):
        page = visit.open()
        page.clock.install()
        page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))  # so that nothing comes of waiting
        visit.search("w5")
        expect(page.locator(".hit")).to_have_count(10)
        assert len(visit.searches) == 1

    def test_a_payload_opens_and_filters(self, visit):
        page = visit.open("/#q=w5")
        first = page.locator(".hit").first
        first.get_by_role("button").first.click()
        number = first.locator(".payload dd").last.inner_text().split()[0]
        assert first.get_by_role("button").first.get_attribute("aria-expanded") == "true"
        first.get_by_label("Only where n is").click()
        expect(page.locator(".hit")).to_have_count(1)
        assert visit.searches[-1]["filter"] == {"n": int(number)}
        expect(page.locator("#filter")).to_have_value(json.dumps({"n": int(number)}, separators=(",", ":")))

    def test_what_documents_hold_is_shown_as_text(self, visit):
        page = visit.open()
        hostile = "<img src=x onerror=alert(1)> w5 <mark>bold</mark>"
        hits = [
            hit("<b>1</b>", 0.5, title=hostile, text=hostile, link="javascript:alert(1)", page="https://example.org/")
        ]
        page.route("**/v1/search", lambda route: route.fulfill(json=made_answer(hits)))
        visit.search("w5 <mark>")
        page.locator(".hit .open").click()
        assert page.locator(".hit h3").inner_text() == hostile
        assert page.locator(".hit img, .hit b").count() == 0
        assert set(page.locator("mark").all_inner_texts()) == {"w5", "mark"}
        assert page.locator(".hit a").evaluate_all("links => links.map((link) => link.href)") == [
            "https://example.org/"
        ]

    def test_an_answer_that_comes_late_is_not_shown(self, visit):
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
        held[0].fulfill(json=made_answer([hit("old", 0.9), hit("older", 0.8)]))
        page.wait_for_timeout(100)
        assert shown_ids(page) == ["new"]
        assert [request.post_data_json["query"] for request in visit.failures] == ["first"], "it was not given up"
        expect(page.locator("#progress")).to_be_hidden()

    def test_a_filter_is_checked_before_it_is_sent(self, visit):
        page = visit.open("/#q=w5")
        expect(page.locator(".hit")).to_have_count(10)
        page.get_by_role("button", name="Filter").click()
        sent = len(visit.searches)
        page.locator("#filter").fill('{"n": ')
        expect(page.locator("#filter-error")).to_contain_text("not JSON")
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

    def test_an_address_holds_the_search(self, visit):
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


class TestFunnel:
    def test_its_numbers_are_those_of_the_interface(self, visit, facts):
        page = visit.open()
        page.get_by_role("button", name="Plan by hand").click()
        page.locator("#candidates").fill("64")
        answer = visit.search("w1 w2 w3")
        expect(page.locator("#funnel .stage")).to_have_count(len(answer["stages"]))
        assert {"encode", "shortlist", "rerank", "documents"} <= {stage["name"] for stage in answer["stages"]}
        for stage in answer["stages"]:
            texts = page.locator(f"#funnel [data-stage={stage['name']}] text").all_text_contents()
            assert stage["name"] in texts
            if stage["dims"] is not None:
                assert f"{stage['dims']} of {facts['dimension']} dim" in texts
            if stage["candidates_in"] is not None:
                assert f"{stage['candidates_in']:,} → {stage['candidates_out']:,}" in texts
            digits = 3 if stage["milliseconds"] < 0.1 else 2 if stage["milliseconds"] < 10 else 1
            assert any(
                abs(float(text[:-3]) - stage["milliseconds"]) <= 0.6 * 10**-digits
                for text in texts
                if text.endswith(" ms")
            )
            assert stage["name"] in page.locator("#funnel").get_attribute("aria-label")
        page.get_by_text("As a table").click()
        rows = page.locator("#stages tbody tr").evaluate_all(
            "rows => rows.map((r) => [...r.cells].map((c) => c.innerText))"
        )
        assert [(row[0], row[-1]) for row in rows] == [
            (s["name"], f"{s['milliseconds']:.4f}") for s in answer["stages"]
        ]

    def test_widths_fall_with_the_candidates(self, visit):
        page = visit.open("/#q=w5&candidates=64")
        expect(page.locator("#funnel .shape")).to_have_count(2)
        shapes = page.locator("#funnel .shape").evaluate_all(
            "all => all.map(({points}) => [points[1].x - points[0].x, points[2].x - points[3].x])"
        )
        (first, second), (third, fourth) = shapes
        assert first > second > fourth
        assert second == pytest.approx(third)

    def test_it_is_readable_on_a_small_screen(self, visit):
        visit.page.set_viewport_size({"width": 390, "height": 844})
        page = visit.open("/#q=w5&candidates=64")
        expect(page.locator(".hit")).to_have_count(10)
        for name in ("front", "funnel", "facts"):
            page.locator(f"#{name}-panel > summary").click()
        expect(page.locator("#funnel .stage")).to_have_count(4)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        texts = page.locator("#funnel text, #front text").evaluate_all(
            """all => all.map((text) => {
              const { left, right } = text.getBoundingClientRect();
              const scale = text.ownerSVGElement.getScreenCTM().a;
              return [left, right, scale * parseFloat(getComputedStyle(text).fontSize), text.textContent];
            })"""
        )
        assert [text for text in texts if text[0] < 0 or text[1] > 390 or text[2] < 11] == []


class TestRecall:
    @pytest.fixture
    def front(self, visit, facts):
        """An index with a front of three plans, and a service that promises what is asked for."""
        plan = {"structure": "hnsw", "dims": 16, "candidates": 50, "effort": 50, "stages": [[32, 10]], "gap": None}
        measured = [(10, 0.7, 0.65, 0.05), (10, 0.9, 0.85, 0.1), (10, 1.0, 1.0, 2.0), (100, 1.0, 0.99, 3.0)]
        names = ("k", "recall", "recall_low", "milliseconds")
        plans = [{**plan, **dict(zip(names, values, strict=True))} for values in measured]
        calibration = {**facts["calibration"], "plans": plans}

        def answer(route):
            recall = route.request.post_data_json.get("recall", 0.8)
            made = made_answer([hit("a", 0.9)])
            taken = next(plan for plan in plans if plan["recall_low"] >= recall)
            made["plan"]["promise"] = {**{name: taken[name] for name in names[1:]}, "met": True}
            route.fulfill(json=made)

        visit.page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "calibration": calibration}))
        visit.page.route("**/v1/search", answer)
        return plans

    def test_the_slider_stops_at_the_front_and_asks_for_its_recall(self, visit, front):
        page = visit.open("/#q=w5")
        slider = page.get_by_role("slider", name="Recall wanted")
        expect(slider).to_have_attribute("max", "2")
        expect(page.locator("#front .stop")).to_have_count(3)
        expect(slider).to_have_js_property("value", "1")  # where the service's own choice lies
        assert "recall" not in visit.searches[0]
        for key, at in (("Home", 0), ("ArrowRight", 1), ("End", 2)):
            with page.expect_request("**/v1/search") as asked:
                slider.press(key)
            assert asked.value.post_data_json["recall"] == front[at]["recall_low"]
            expect(page.locator("#front .stop").nth(at)).to_have_class("stop chosen")
            expect(page.locator("#front-figure")).to_contain_text(
                "≥ 1 ·" if at == 2 else f"≥ {front[at]['recall_low']:.3f} ·"
            )
        assert parse_qs(urlsplit(page.url).fragment)["recall"] == ["1"]
        with page.expect_request("**/v1/search") as asked:
            page.get_by_role("button", name="Choose automatically").click()
        assert "recall" not in asked.value.post_data_json

    def test_a_point_of_the_plot_is_chosen_by_a_click(self, visit, front):
        page = visit.open("/#q=w5")
        expect(page.locator("#front .stop")).to_have_count(3)
        with page.expect_request(
            "**/v1/search",
        ) as asked:
            page.locator("#front .target").nth(0).click()
        assert asked.value.post_data_json["recall"] == 0.65

    def test_more_results_take_the_plans_of_the_next_calibrated_k(self, visit, front):
        page = visit.open("/#q=w5&k=20")
        expect(page.locator("#front .stop")).to_have_count(1)
        expect(page.locator("#front .target title")).to_contain_text("recall ≥ 0.990")

    def test_its_recall_is_what_the_service_promises(self, visit, facts):
        [exact] = [plan for plan in facts["calibration"]["plans"] if plan["k"] == 10]
        page = visit.open(f"/#q=w5&recall={exact['recall_low']}")
        expect(page.locator("#plan")).to_contain_text(f"recall of at least {exact['recall_low']:.3f}")
        assert visit.searches[0]["recall"] == exact["recall_low"]

    def test_without_calibration_it_says_so(self, visit, facts):
        visit.page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "calibration": None}))
        page = visit.open("/#q=w5")
        expect(page.locator(".hit")).to_have_count(10)
        expect(page.locator("#recall")).to_be_disabled()
        expect(page.locator("#front-note")).to_contain_text("no calibrated plans")

    def test_a_plan_by_hand_disables_it(self, visit):
        page = visit.open("/#q=w5&dims=8")
        expect(page.locator("#recall")).to_be_disabled()
        page.get_by_role("button", name="Choose automatically").click()
        expect(page.locator("#recall")).to_be_enabled()
        assert visit.searches[-1] == {"query": "w5", "k": 10, "explain": True}


class TestExact:
    def test_the_same_query_is_searched_exactly(self, visit, client, facts):
        page = visit.open("/#q=w5+w6&dims=8&candidates=10")
        expect(page.locator(".hit")).to_have_count(10)
        page.get_by_role("switch", name="Compare with exact search").check()
        expect(page.locator("#verdict")).to_be_visible()
        assert visit.searches[-1] == {"query": "w5 w6", "k": 10, "explain": True, "dims": facts["dimension"]}
        found, exact = (
            [one["id"] for one in client.post("/v1/search", json={"query": "w5 w6", **plan}).json()["results"]]
            for plan in ({"dims": 8, "candidates": 10}, {"dims": facts["dimension"]})
        )
        assert shown_ids(page, "#found-list") == found
        assert shown_ids(page, "#exact-list") == exact
        missed = [one for one in exact if one not in found]
        assert missed, "an example that misses nothing shows nothing"
        assert page.locator("#exact-list .hit[data-kind=missed]").count() == len(missed)
        assert page.locator("#links path").count() == len(exact) - len(missed)
        expect(page.locator("#verdict")).to_contain_text(f"{10 * (10 - len(missed))} %")
        page.get_by_role("switch", name="Compare with exact search").uncheck()
        expect(page.locator("#exact-list")).to_have_count(0)
        expect(page.locator("#verdict")).to_be_hidden()

    def test_equal_scores_count_as_found_and_both_times_are_told(self, visit):
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


class TestHybrid:
    def test_the_switch_is_there_only_with_a_lexical_index(self, visit, facts):
        visit.page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "lexical": None}))
        page = visit.open()
        expect(page.locator("#welcome")).to_contain_text("documents")
        expect(page.locator("#hybrid")).to_be_hidden()
        words = {"fields": ["text"], "language": None, "words": 300, "mean_length": 6.0, "k1": 1.2, "b": 0.75}
        page.unroute("**/v1/index")
        page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "lexical": words}))
        page.route("**/v1/search", lambda route: route.fulfill(json=made_answer([hit("a", 0.0163)])))
        page.reload()
        page.get_by_role("switch", name="Words too").check()
        visit.search("w5")
        assert visit.searches[-1]["hybrid"] is True
        assert page.locator(".score").inner_text() == "0.0163"


class TestErrors:
    def test_a_busy_service_is_asked_again_when_it_said(self, visit):
        page = visit.open()
        answers = [refusal(503, "128 requests wait already", Retry_After="1"), {"json": made_answer([hit("a", 0.9)])}]
        page.route("**/v1/search", lambda route: route.fulfill(**answers.pop(0)))
        page.locator("#query").fill("w5")
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_have_text("128 requests wait already. Trying again in 1 s.")
        expect(page.locator(".hit")).to_have_count(1)
        assert len(visit.searches) == 2
        expect(page.locator("#status")).not_to_contain_text("again")

    def test_a_service_that_stays_busy_is_not_asked_for_ever(self, visit):
        page = visit.open()
        busy = refusal(503, "128 requests wait already", Retry_After="1", retry_after_ms="20")
        page.route("**/v1/search", lambda route: route.fulfill(**busy))
        page.locator("#query").fill("w5")
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_contain_text("128 requests wait already.")
        assert len(visit.searches) == 5
        page.unroute("**/v1/search")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".hit")).to_have_count(10)
        expect(page.locator("#notice")).to_be_hidden()

    def test_a_key_is_asked_for_and_kept_for_the_session(self, visit):
        def guarded(route):
            if route.request.headers.get("authorization") == "Bearer sesame":
                route.continue_()
            else:
                route.fulfill(**refusal(401, "this service needs an API key that it knows"))

        visit.page.route("**/v1/**", guarded)
        page = visit.open("/#q=w5")
        field = page.get_by_label("This service asks for an API key")
        field.fill("wrong")
        field.press("Enter")
        expect(page.locator("#key-error")).to_have_text("this service needs an API key that it knows")
        field.fill("sesame")
        field.press("Enter")
        expect(page.locator(".hit")).to_have_count(10)
        expect(page.locator("#key-form")).to_be_hidden()
        expect(page.locator("#summary")).to_contain_text("1,000 documents")
        assert page.evaluate("[sessionStorage.length, localStorage.length]") == [1, 0]
        assert "sesame" not in page.url
        page.reload()
        expect(page.locator(".hit")).to_have_count(10)
        page.get_by_role("button", name="Forget it").click()
        expect(field).to_be_visible()

    @pytest.mark.parametrize(
        ("answer", "shown"),
        [
            (
                refusal(422, "k 5000: this service allows at most 1000", "k"),
                "k 5000: this service allows at most 1000.",
            ),
            ({"status": 502, "body": "<h1>Bad gateway</h1>"}, "The service answered 502."),
        ],
    )
    def test_others_are_shown_in_the_place_of_results(self, visit, answer, shown):
        page = visit.open("/#q=w5")
        expect(page.locator(".hit")).to_have_count(10)
        page.route("**/v1/search", lambda route: route.fulfill(**answer))
        page.locator("#query").press("Enter")
        expect(page.get_by_role("alert").filter(has_text=shown)).to_be_visible()
        assert page.locator(".hit").count() == 0

    def test_a_service_that_is_gone(self, visit):
        page = visit.open()
        page.route("**/v1/search", lambda route: route.abort("connectionrefused"))
        page.locator("#query").fill("w5")
        expect(page.locator("#notice")).to_contain_text("does not answer")


class TestKeyboard:
    def test_the_results_are_walked_opened_and_left(self, visit):
        page = visit.open("/#q=w5")
        expect(page.locator(".hit")).to_have_count(10)
        buttons, query = page.locator(".hit .open"), page.locator("#query")
        query.press("ArrowDown")
        expect(buttons.nth(0)).to_be_focused()
        for key, at in (("j", 1), ("ArrowDown", 2), ("k", 1), ("ArrowUp", 0)):
            page.keyboard.press(key)
            expect(buttons.nth(at)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".hit").first.locator(".payload")).to_be_visible()
        page.keyboard.press("k")
        expect(query).to_be_focused()
        query.press("j")
        expect(query).to_have_value("j")  # it is a letter there

    def test_the_box_is_reached_cleared_and_help_is_shown(self, visit):
        page = visit.open("/#q=w5")
        expect(page.locator(".hit")).to_have_count(10)
        query = page.locator("#query")
        page.locator(".hit .open").first.focus()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
        expect(page.locator(".hit .open").first).to_be_focused()
        page.keyboard.press("/")
        expect(query).to_be_focused()
        expect(query).to_have_value("w5")
        page.keyboard.press("Escape")
        expect(query).to_have_value("")
        expect(page.locator(".hit")).to_have_count(0)
        assert urlsplit(page.url).fragment == ""


class TestLook:
    def test_the_colours_are_the_systems_or_those_chosen(self, visit):
        page = visit.open()
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.emulate_media(color_scheme="dark")
        dark = page.evaluate(background)
        assert light != dark
        page.get_by_role("button", name="Colours: as the system").click()
        assert page.evaluate(background) == light
        page.reload()
        assert page.evaluate(background) == light
        page.get_by_role("button", name="Colours: light").click()
        page.emulate_media(color_scheme="light")
        assert page.evaluate(background) == dark

    def test_the_facts_of_the_index_are_told(self, visit, facts):
        watch = {
            **facts["recall_watch"],
            "sampled": 250,
            "alarm": True,
            "levels": [
                {
                    "promised": 0.95,
                    "recent": {"queries": 250, "recall": 0.9, "low": 0.88, "high": 0.92},
                    "overall": {"queries": 250, "recall": 0.9, "low": 0.88, "high": 0.92},
                    "alarm": True,
                    "message": "",
                }
            ],
        }
        visit.page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "recall_watch": watch}))
        page = visit.open()
        panel = page.locator("#facts-panel")
        expect(panel).to_contain_text("1,000")
        expect(panel).to_contain_text(facts["model_hash"][:12])
        expect(panel).to_contain_text(f"trained sizes {', '.join(map(str, facts['sizes']))}")
        expect(page.locator("#watch")).to_contain_text("Promised 0.950")
        expect(page.locator("#watch")).to_contain_text("0.900 [0.880, 0.920]")
        expect(page.locator("#watch .alarm")).to_contain_text("Under the promise, over 250 queries")
