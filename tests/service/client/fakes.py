"""A transport that plays the part of the service."""

import asyncio
import json

import httpx

from service.client import Retries

URL = "http://service.test"
QUICK = Retries(attempts=4, first_seconds=0.001, longest_seconds=0.002)
PLAN = {
    "structure": "scan",
    "dims": 16,
    "candidates": 20,
    "rerank_dims": 32,
    "effort": None,
    "stages": [{"dims": 32, "keep": 10}],
    "stop": "certified",
    "promise": {"recall": 0.99, "recall_low": 0.95, "milliseconds": 0.1, "met": True},
    "second_look": {"below": 0.4, "effort": 800},
}
HIT = {"id": "7", "score": 0.5, "payload": {"year": 2020}}
FOUND = {"results": [], "plan": PLAN}


def refusal(status, code="code", headers=None, **more):
    error = {"type": "t", "code": code, "message": "why", "param": None, **more}
    return httpx.Response(status, json={"error": error}, headers=headers)


class Service:
    """Answers with the steps of a script in turn, the last one for ever, and keeps the requests."""

    def __init__(self, *script):
        self.script, self.requests = list(script), []

    def __call__(self, request):
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            # A copy each time, because a response can be read only once.
            return httpx.Response(step.status_code, headers=step.headers, content=step.content)
        return step(request) if callable(step) else httpx.Response(200, json=step)

    @property
    def bodies(self):
        return [json.loads(request.content) for request in self.requests]


class Awaited:
    """Calls an asynchronous client like a synchronous one."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return lambda *arguments, **options: asyncio.run(getattr(self._client, name)(*arguments, **options))


def bulk_service(request):
    lines = [json.loads(line) for line in request.content.splitlines()]
    reports = [
        {"line": number, "id": row.get("_id"), "result": "added" if "_id" in row else "rejected", "reason": None}
        for number, row in enumerate(lines, 1)
    ]
    added = sum(report["result"] == "added" for report in reports)
    return httpx.Response(200, json={"added": added, "replaced": 0, "rejected": len(lines) - added, "lines": reports})
