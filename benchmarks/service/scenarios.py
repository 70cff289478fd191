"""The scenarios. Each returns its figures."""

import re
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.service.load import Load, generate, generating
from benchmarks.service.served import names, searches, service, serving, vectors
from indexer import Index, SearchOptions

CLIENTS = 32
OVERLOAD = 5
CONNECTIONS = 256
FAST = {"candidates": 50, "effort": 60}
"""A plan with a cheap search, so that the HTTP overhead shows."""


def overhead(root: Path, seconds: float) -> dict[str, Any]:
    """One client, by vector: the service minus the search itself, compared with a bare route, in turns.

    The search is timed twice: in this process, in a loop, and in the service by its own stages, where other work evicts
    the caches between searches.
    """
    queries = vectors(root, names())
    requests = searches(queries.tolist(), "vector", **FAST)
    engine = _engine_milliseconds(root, queries)
    ours, bare = [], []
    with serving(*service(root)) as (port, _), serving("-m", "benchmarks.service.bare") as (bare_port, _):
        for _ in range(5):
            bare.append(generate(bare_port, requests, 1, seconds / 10).percentiles()["p50"])
            ours.append(generate(port, requests, 1, seconds / 10).percentiles()["p50"])
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    stages = _stage_milliseconds(answer.text)
    service_ms, bare_ms = float(np.median(ours)), float(np.median(bare))
    return {
        "plan": FAST,
        "service_p50_ms": round(service_ms, 4),
        "search_itself_ms": round(engine, 4),
        "stages_in_the_service_mean_ms": round(stages, 4),
        "bare_route_p50_ms": round(bare_ms, 4),
        "ratio": round((service_ms - engine) / bare_ms, 3),
        "ratio_by_stages": round((service_ms - stages) / bare_ms, 3),
    }


def throughput(root: Path, seconds: float) -> dict[str, Any]:
    """One client against 32, by text, in turns."""
    requests = searches(names(), "query")
    with serving(*service(root)) as (port, _):
        generate(port, requests, CLIENTS, seconds / 10)
        turns = [
            (generate(port, requests, 1, seconds / 6), generate(port, requests, CLIENTS, seconds / 6)) for _ in range(3)
        ]
    one, many = ([turn[i] for turn in turns] for i in (0, 1))
    alone, together = _median(one), _median(many)
    return {
        "one_client": alone,
        f"{CLIENTS}_clients": together,
        "throughput_ratio": round(together["per_second"] / alone["per_second"], 3),
        "p99_over_p50": round(together["p99"] / together["p50"], 2),
        "statuses": [load.statuses for load in many],
    }


def overload(root: Path, seconds: float) -> dict[str, Any]:
    """Five times the request rate that 32 clients achieve, as an open loop."""
    requests = searches(names(), "query")
    with serving(*service(root)) as (port, process):
        generate(port, requests, CLIENTS, 3)
        normal = generate(port, requests, CLIENTS, 10)
        before = process.memory_info().rss
        flood = generate(port, requests, CONNECTIONS, seconds, rate=OVERLOAD * normal.per_second)
        after = process.memory_info().rss
        again = generate(port, requests, CLIENTS, 5)
    return {
        "normal": {"per_second": normal.per_second, **normal.percentiles()},
        "offered_per_second": round(OVERLOAD * normal.per_second, 1),
        "connections": CONNECTIONS,
        "seconds": round(flood.seconds, 1),
        "statuses": flood.statuses,
        "not_sent_for_want_of_a_connection": flood.unsent,
        "broken_connections": flood.broken,
        "admitted": {"per_second": flood.per_second, **flood.percentiles()},
        "refused": flood.percentiles(503),
        "admitted_p99_over_normal_p99": round(flood.percentiles()["p99"] / normal.percentiles()["p99"], 2),
        "memory_growth": round(after / before - 1, 4),
        "afterwards": {"per_second": again.per_second, **again.percentiles()},
    }


def reloads(root: Path, seconds: float) -> dict[str, Any]:
    """Two generations, alternated by rollbacks while eight clients search."""
    requests = searches(names(), "query")
    _two_generations(root)
    changes, memory = 0, []
    with serving(*service(root, "--follow-seconds", "0.2")) as (port, process):
        targets = cycle([one.name for one in sorted((root / "generations").iterdir())[-2:]])
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client,
            generating(port, requests, 8, seconds) as load,
        ):
            while not load.done() or changes < 200:
                client.post("/v1/index/rollback", json={"to": next(targets)}).raise_for_status()
                client.post("/v1/index/reload").raise_for_status()
                changes += 1
                memory.append(process.memory_info().rss)
            result = load.result()
    return {
        "changes_of_generation": changes,
        "seconds": round(result.seconds, 1),
        "statuses": result.statuses,
        "broken_connections": result.broken,
        **result.percentiles(),
        "memory_mb": {
            "after_10": round(memory[9] / 1e6, 1),
            "most": round(max(memory) / 1e6, 1),
            "end": round(float(np.median(memory[-10:])) / 1e6, 1),
        },
        "memory_growth": round(float(np.median(memory[-10:])) / memory[9] - 1, 4),
    }


def _engine_milliseconds(root: Path, queries: np.ndarray) -> float:
    """Median latency of the search itself, with its documents, in this process."""
    with Index.open(root) as index:
        times = []
        for query in np.concatenate([queries[:100], queries]):
            started = time.perf_counter()
            index.search_vectors(query[None], SearchOptions(**FAST))
            times.append(time.perf_counter() - started)
    return float(np.median(times[100:])) * 1e3


def _stage_milliseconds(metrics: str) -> float:
    """Mean latency of a search, summed over its stages."""
    sums = re.findall(r"^mrl_stage_seconds_sum\{[^}]*\} (\S+)$", metrics, re.MULTILINE)
    searches = re.search(r'^mrl_stage_seconds_count\{stage="documents"\} (\S+)$', metrics, re.MULTILINE)
    return 1e3 * sum(map(float, sums)) / float(searches[1])


def _two_generations(root: Path) -> None:
    if len(list((root / "generations").iterdir())) < 2:
        from indexer import Document, Updates, compact_index

        with Updates.open(root) as updates:
            updates.upsert([Document("one more", "one more package", {})])
        compact_index(root)


def _median(loads: list[Load]) -> dict[str, float]:
    figures = [{"per_second": load.per_second, **load.percentiles()} for load in loads]
    return {name: round(float(np.median([one[name] for one in figures])), 3) for name in figures[0]}
