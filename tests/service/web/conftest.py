"""The page in a browser. Each test has a browser context of its own."""

from urllib.parse import urlsplit

import httpx
import pytest


@pytest.fixture(scope="module")  # not longer: while the driver runs, no other test can run an event loop
def browser():
    from tests.service.web.browser import CHROMIUM, FLAGS, playwright  # skips if playwright is not installed

    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, url):
    from tests.service.web.browser import Visit

    context = browser.new_context(viewport={"width": 1300, "height": 900}, color_scheme="light")
    visit = Visit(context, url)
    yield visit
    context.close()
    assert {urlsplit(request.url).netloc for request in visit.requests} == {urlsplit(url).netloc}
    # A browser reports every error response, and some tests are about those.
    assert [error for error in visit.errors if "Failed to load resource" not in error] == []


@pytest.fixture
def facts(url):
    return httpx.get(f"{url}/v1/index", trust_env=False).raise_for_status().json()
