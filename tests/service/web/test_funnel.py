import pytest

from tests.service.web.browser import expect, needs_chromium

pytestmark = needs_chromium


def test_its_numbers_are_those_of_the_answer(visit, facts):
    page = visit.open()
    page.get_by_role("button", name="Explicit plan").click()
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
            abs(float(text[:-3]) - stage["milliseconds"]) <= 0.6 * 10**-digits for text in texts if text.endswith(" ms")
        )
        assert stage["name"] in page.locator("#funnel").get_attribute("aria-label")
    page.get_by_text("As a table").click()
    rows = page.locator("#stages tbody tr").evaluate_all(
        "rows => rows.map((r) => [...r.cells].map((c) => c.innerText))"
    )
    assert [(row[0], row[-1]) for row in rows] == [(s["name"], f"{s['milliseconds']:.4f}") for s in answer["stages"]]


def test_widths_fall_with_the_candidates(visit):
    page = visit.open("/#q=w5&candidates=64")
    expect(page.locator("#funnel .shape")).to_have_count(2)
    shapes = page.locator("#funnel .shape").evaluate_all(
        "all => all.map(({points}) => [points[1].x - points[0].x, points[2].x - points[3].x])"
    )
    (first, second), (third, fourth) = shapes
    assert first > second > fourth
    assert second == pytest.approx(third)


def test_it_is_readable_on_a_small_screen(visit):
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
