"""Fuzz the service against its own OpenAPI document: ``python -m benchmarks.service_fuzz --cases 20000``.

schemathesis generates valid and invalid requests for each operation and in sequences, and runs all of its checks on
each answer. The figures are the requests sent, the answers of 5xx other than 503, and the failures by check and
operation, each with a request that reproduces it.
"""

import argparse
import base64
import json
import math
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from benchmarks.report import save
from indexer import BuildOptions, Corpus, build_index
from models import load_encoder
from service.http.server import running
from service.openapi import document
from service.settings import Settings

WORDS = ("moon", "tide", "bread", "yeast", "orbit", "planet", "river", "stone", "cloud", "light", "seed", "wheel")
ROWS = 144
OTHERS = "methods that are not there"


def make_index(root: Path) -> Path:
    rows = [
        {
            "_id": str(i),
            "title": WORDS[i % 12],
            "text": f"The {WORDS[i % 12]} and the {WORDS[i // 12]}.",
            "year": 1900 + i,
        }
        for i in range(ROWS)
    ]
    corpus = root / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    build_index(Corpus([corpus]), load_encoder("wordllama"), root / "index", BuildOptions(filterable=("year",)))
    return root / "index"


def fuzz(url: str, key: str, examples: int, seed: int, report: Path) -> list[dict[str, Any]]:
    """Run schemathesis; return its events."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}"),
        *("--checks", "all", "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"),
        *("--workers", "1", "--suppress-health-check", "all", "--request-timeout", "30", "--no-color"),
        *("--generation-database", "none", "--output-sanitize", "false"),
        *("--report", "ndjson", "--report-ndjson-path", str(report)),
    ]
    # Without proxies or the settings of the caller's environment.
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment["SCHEMATHESIS_HOOKS"] = str(Path(__file__).with_name("service_fuzz_hooks.py"))
    subprocess.run(command, check=False, env=environment, cwd=report.parent)
    return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]


def operations() -> set[str]:
    """The operations of the document, such as ``POST /v1/search``."""
    return {f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods}


def summarise(events: list[dict[str, Any]], known: set[str]) -> dict[str, Any]:
    """Count requests and failures; the shortest request of each kind of failure is kept.

    Unsupported methods are counted together.
    """
    sent: Counter[str] = Counter()
    statuses: dict[str, Counter[str]] = {}
    failures: dict[tuple[str, str, str], dict[str, Any]] = {}
    errors = set()
    for event in events:
        if error := event.get("NonFatalError"):
            errors.add(f"{error['label']}: {error['value'].get('message', error['value'])}")
        if not (finished := event.get("ScenarioFinished")):
            continue
        recorder = finished["recorder"]
        for case, exchange in recorder.get("interactions", {}).items():
            value = recorder["cases"][case]["value"]
            named = f"{value['method']} {value['path']}"
            operation = named if named in known else OTHERS
            sent[operation] += 1
            status = str((exchange.get("response") or {}).get("status_code", "none"))
            statuses.setdefault(operation, Counter())[status] += 1
            for check in recorder.get("checks", {}).get(case, []):
                if check["status"] == "success":
                    continue
                seen = failures.setdefault((operation, check["name"], status), {"count": 0, "example": None})
                seen["count"] += 1
                example = shown(exchange, check)
                if seen["example"] is None or len(str(example)) < len(str(seen["example"])):
                    seen["example"] = example
    return {
        "cases": sum(sent.values()),
        "server_errors": sum(
            number
            for counted in statuses.values()
            for status, number in counted.items()
            if status.startswith("5") and status not in ("503", "507")
        ),
        "no_answer": sum(counted["none"] for counted in statuses.values()),
        "operations": {
            name: {"cases": sent[name], "statuses": dict(sorted(statuses[name].items()))} for name in sorted(sent)
        },
        "failures": [
            {"operation": operation, "check": check, "status": status, **seen}
            for (operation, check, status), seen in sorted(failures.items())
        ],
        "errors": sorted(errors),
    }


def shown(exchange: dict[str, Any], check: dict[str, Any]) -> dict[str, Any]:
    request, response = exchange["request"], exchange.get("response") or {}
    failure = check.get("failure_info", {}).get("failure", {})
    hidden = ("authorization", "x-api-key", "user-agent", "accept", "accept-encoding", "connection")
    return {
        "request": f"{request['method']} {request['uri'].split('/', 3)[-1]}",
        "headers": {name: value for name, value in request["headers"].items() if name.lower() not in hidden},
        "body": text_of(request.get("body")),
        "answer": text_of(response.get("content")),
        "why": f"{failure.get('title')}: {failure.get('message')}",
    }


def text_of(content: dict[str, str] | None) -> str:
    return base64.b64decode(content["$base64"]).decode("utf-8", "backslashreplace")[:2000] if content else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="requests wanted; about as many are sent")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    known = operations()
    # A quarter more, because operations without parameters get only a few requests.
    examples = math.ceil(1.25 * options.cases / len(known))
    key = secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = Settings(index=make_index(root), port=0, api_key=SecretStr(key), log_level="error", watch_share=0)
        started = time.monotonic()
        with running(settings) as url:
            events = fuzz(url, key, examples, options.seed, root / "report.ndjson")
            # The service must still answer.
            httpx.get(f"{url}/readyz", trust_env=False).raise_for_status()
        seconds = time.monotonic() - started
    save("service_fuzz", {"seed": options.seed, "seconds": round(seconds), **summarise(events, known)})


if __name__ == "__main__":
    main()
