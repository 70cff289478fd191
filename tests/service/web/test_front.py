from urllib.parse import parse_qs, urlsplit

import pytest

from tests.service.web.browser import expect, hit, made_answer, needs_chromium

pytestmark = needs_chromium


@pytest.fixture
def front(visit, facts):
    """The calibrated plans of an index, three of them for k = 10, and a service that promises what is asked for."""
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


def test_the_slider_stops_at_the_plans_and_requests_their_recall(visit, front):
    page = visit.open("/#q=w5")
    slider = page.get_by_role("slider", name="Target recall")
    expect(slider).to_have_attribute("max", "2")
    expect(page.locator("#front .stop")).to_have_count(3)
    expect(slider).to_have_js_property("value", "1")  # the plan that the service chose
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


def test_a_click_on_the_plot_chooses_a_plan(visit, front):
    page = visit.open("/#q=w5")
    expect(page.locator("#front .stop")).to_have_count(3)
    with page.expect_request(
        "**/v1/search",
    ) as asked:
        page.locator("#front .target").nth(0).click()
    assert asked.value.post_data_json["recall"] == 0.65


def test_more_results_use_the_plans_of_the_next_calibrated_k(visit, front):
    page = visit.open("/#q=w5&k=20")
    expect(page.locator("#front .stop")).to_have_count(1)
    expect(page.locator("#front .target title")).to_contain_text("recall ≥ 0.990")


def test_its_recall_is_what_the_service_promises(visit, facts):
    [exact] = [plan for plan in facts["calibration"]["plans"] if plan["k"] == 10]
    page = visit.open(f"/#q=w5&recall={exact['recall_low']}")
    expect(page.locator("#plan")).to_contain_text(f"Promised recall: at least {exact['recall_low']:.3f}")
    assert visit.searches[0]["recall"] == exact["recall_low"]


def test_an_index_without_calibration_disables_it(visit, facts):
    visit.page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "calibration": None}))
    page = visit.open("/#q=w5")
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.locator("#recall")).to_be_disabled()
    expect(page.locator("#front-note")).to_contain_text("no calibrated plans")


def test_an_explicit_plan_disables_it(visit):
    page = visit.open("/#q=w5&dims=8")
    expect(page.locator("#recall")).to_be_disabled()
    page.get_by_role("button", name="Choose automatically").click()
    expect(page.locator("#recall")).to_be_enabled()
    assert visit.searches[-1] == {"query": "w5", "k": 10, "explain": True}
