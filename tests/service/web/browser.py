"""Chromium, a visit to the page, and answers made for it."""

import os
import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the extra dev has it)")
expect = playwright.expect

CHROMIUM = os.environ.get("MRL_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH, and MRL_CHROMIUM names none")
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


class Visit:
    """A page in a browser context of its own, with its requests, failures and errors."""

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


def hit(name, score, **payload):
    return {"id": name, "score": score, "payload": payload}


def made_answer(hits, dims=16, milliseconds=1.0):
    """An answer of the service."""
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
