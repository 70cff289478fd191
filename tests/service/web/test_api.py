import pytest

from tests.service.web.browser import expect, hit, made_answer, needs_chromium, refusal

pytestmark = needs_chromium


def test_an_overloaded_service_is_retried_when_it_asks_for_it(visit):
    page = visit.open()
    answers = [refusal(503, "128 requests wait already", Retry_After="1"), {"json": made_answer([hit("a", 0.9)])}]
    page.route("**/v1/search", lambda route: route.fulfill(**answers.pop(0)))
    page.locator("#query").fill("w5")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("128 requests wait already. Trying again in 1 s.")
    expect(page.locator(".hit")).to_have_count(1)
    assert len(visit.searches) == 2
    expect(page.locator("#status")).not_to_contain_text("again")


def test_retries_are_bounded(visit):
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


def test_an_api_key_is_requested_and_kept_for_the_session(visit):
    def guarded(route):
        if route.request.headers.get("authorization") == "Bearer sesame":
            route.continue_()
        else:
            route.fulfill(**refusal(401, "this service needs an API key that it knows"))

    visit.page.route("**/v1/**", guarded)
    page = visit.open("/#q=w5")
    field = page.get_by_label("This service requires an API key")
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
    page.get_by_role("button", name="Forget key").click()
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
def test_other_errors_replace_the_results(visit, answer, shown):
    page = visit.open("/#q=w5")
    expect(page.locator(".hit")).to_have_count(10)
    page.route("**/v1/search", lambda route: route.fulfill(**answer))
    page.locator("#query").press("Enter")
    expect(page.get_by_role("alert").filter(has_text=shown)).to_be_visible()
    assert page.locator(".hit").count() == 0


def test_a_service_that_does_not_respond(visit):
    page = visit.open()
    page.route("**/v1/search", lambda route: route.abort("connectionrefused"))
    page.locator("#query").fill("w5")
    expect(page.locator("#notice")).to_contain_text("does not respond")
