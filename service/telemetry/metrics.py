"""Prometheus metrics of the service, as exposed by ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from indexer import Stage, WatchFacts

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STAGE_SECONDS: Final = (1e-5, 2.5e-5, 5e-5, *_SECONDS)
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexGauges:
    """Facts about the served index, read at each scrape.

    Attributes:
        generation: name of the served generation.
        documents: number of documents.
        updates: number of updates since the generation was built.
        files_bytes: size of the generation on disk.
        free_bytes: free space on that disk.
        watch: live recall.
    """

    generation: str
    documents: int
    updates: int
    files_bytes: int
    free_bytes: int
    watch: WatchFacts

    def metrics(self) -> Iterator[Metric]:
        """Yield the gauges."""
        served = GaugeMetricFamily("mrl_generation", "Number of the served generation.")
        served.add_metric([], int(self.generation))
        yield served
        yield GaugeMetricFamily("mrl_documents", "Documents that searches can find.", value=self.documents)
        yield GaugeMetricFamily("mrl_updates", "Updates since the generation was built.", value=self.updates)
        yield GaugeMetricFamily("mrl_index_bytes", "Size of the generation on disk.", value=self.files_bytes)
        yield GaugeMetricFamily("mrl_disk_free_bytes", "Free space on the index's disk.", value=self.free_bytes)
        yield from self._recall()

    def _recall(self) -> Iterator[Metric]:
        families = {
            name: GaugeMetricFamily(f"mrl_live_recall{name}", text, labels=["promised"])
            for name, text in (
                ("", "Recall of recent sampled live queries against exact search, by promised recall."),
                ("_low", "Lower bound of its 95 % interval."),
                ("_high", "Upper bound of its 95 % interval."),
                ("_alarm", "1 if the whole interval is below the promise."),
                ("_queries", "Number of sampled queries."),
            )
        }
        for level in self.watch.levels:
            promised = "none" if level.promised is None else f"{level.promised:.3f}"
            recent = level.recent
            values = (recent.recall, recent.low, recent.high, float(level.alarm), recent.queries)
            for family, value in zip(families.values(), values, strict=True):
                family.add_metric([promised], value)
        yield from families.values()


class _OnDemand:
    """A collector that reads its metrics at each scrape."""

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return self._read()


class Metrics:
    """Counters, histograms and gauges of an application. Thread-safe."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._requests = Histogram(
            "mrl_request_seconds",
            "Time to answer a request, by route and status.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "mrl_stage_seconds",
            "Time of a search stage, for all queries of the batch.",
            ("stage",),
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._batches = Histogram("mrl_batch_requests", "Requests per batch.", buckets=_BATCHES, registry=registry)
        self._queue = Histogram(
            "mrl_queue_seconds", "Time a request was queued.", buckets=_STAGE_SECONDS, registry=registry
        )
        self._refused = Counter(
            "mrl_refused",
            "Requests not run, by reason: overloaded, deadline, client_gone.",
            ("reason",),
            registry=registry,
        )
        self._reloads = Counter(
            "mrl_reloads", "Reloads of the index, by outcome: changed, failed.", ("outcome",), registry=registry
        )
        self._pending = Gauge("mrl_pending_requests", "Requests running or queued.", registry=registry)

    def watch_pending(self, pending: Callable[[], int]) -> None:
        """Read the number of running and queued requests from this function at each scrape."""
        self._pending.set_function(pending)

    def watch_index(self, read: Callable[[], IndexGauges | None]) -> None:
        """Read the facts about the served index from this function at each scrape; None while it is not open."""

        def metrics() -> Iterable[Metric]:
            gauges = read()
            return [] if gauges is None else gauges.metrics()

        self._registry.register(_OnDemand(metrics))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record an answered request. ``route`` is the pattern, because clients choose the path."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def search(self, stages: Iterable[Stage]) -> None:
        """Record the stages of a search."""
        for stage in stages:
            self._stages.labels(stage.name).observe(stage.milliseconds / 1e3)

    def batch(self, jobs: int, waited: Sequence[float]) -> None:
        """Record requests that run together."""
        self._batches.observe(jobs)
        for seconds in waited:
            self._queue.observe(seconds)

    def refused(self, reason: str) -> None:
        """Record a request that was not run."""
        self._refused.labels(reason).inc()

    def reloaded(self, outcome: str) -> None:
        """Record a reload: ``changed`` or ``failed``."""
        self._reloads.labels(outcome).inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
