"""What ``/metrics`` tells, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from indexer import Stage
from indexer.watch import WatchFacts

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STAGE_SECONDS: Final = (1e-5, 2.5e-5, 5e-5, *_SECONDS)
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)


class IndexGauges:
    """What is read from the served index when ``/metrics`` is asked for.

    Attributes:
        generation: name of the served one.
        documents: how many it has.
        updates: since the generation was made.
        files_bytes: its size on disk.
        free_bytes: what that disk has left.
        watch: live recall.
    """

    def __init__(
        self, generation: str, documents: int, updates: int, files_bytes: int, free_bytes: int, watch: WatchFacts
    ) -> None:
        self.generation, self.documents, self.updates = generation, documents, updates
        self.files_bytes, self.free_bytes, self.watch = files_bytes, free_bytes, watch

    def metrics(self) -> Iterator[Metric]:
        """Yield them."""
        served = GaugeMetricFamily("mrl_generation", "The served generation's number.")
        served.add_metric([], int(self.generation))
        yield served
        yield GaugeMetricFamily("mrl_documents", "Documents that searches can find.", value=self.documents)
        yield GaugeMetricFamily("mrl_updates", "Updates since the generation was made.", value=self.updates)
        yield GaugeMetricFamily("mrl_index_bytes", "Size of the generation on disk.", value=self.files_bytes)
        yield GaugeMetricFamily("mrl_disk_free_bytes", "Room on the index's disk.", value=self.free_bytes)
        yield from self._recall()

    def _recall(self) -> Iterator[Metric]:
        of_level = {
            name: GaugeMetricFamily(f"mrl_live_recall{name}", text, labels=["promised"])
            for name, text in (
                ("", "Recall of sampled live queries against exact search, the newest, by promised recall."),
                ("_low", "Lower end of its 95 % interval."),
                ("_high", "Upper end of its 95 % interval."),
                ("_alarm", "1 where the whole interval lies under the promise."),
                ("_queries", "Sampled queries behind it."),
            )
        }
        for level in self.watch.levels:
            promised = "none" if level.promised is None else f"{level.promised:.3f}"
            recent = level.recent
            values = (recent.recall, recent.low, recent.high, float(level.alarm), recent.queries)
            for family, value in zip(of_level.values(), values, strict=True):
                family.add_metric([promised], value)
        yield from of_level.values()


class _OnDemand:
    """A collector that asks for its metrics when it is read."""

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return self._read()


class Metrics:
    """Counters and histograms of one application. Safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._requests = Histogram(
            "mrl_request_seconds",
            "Time to answer, by route and status.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "mrl_stage_seconds",
            "Time of a stage of a search, for all queries that were searched together.",
            ("stage",),
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "mrl_batch_requests", "Requests searched together.", buckets=_BATCHES, registry=registry
        )
        self._queue = Histogram(
            "mrl_queue_seconds", "Time a request waited for a thread.", buckets=_STAGE_SECONDS, registry=registry
        )
        self._refused = Counter(
            "mrl_refused", "Requests not run: overloaded, deadline, client_gone.", ("reason",), registry=registry
        )
        self._reloads = Counter(
            "mrl_reloads", "Generations taken up while serving, by outcome.", ("outcome",), registry=registry
        )
        self._pending = Gauge("mrl_pending_requests", "Requests that run or wait for a thread.", registry=registry)

    def watch_pending(self, pending: Callable[[], int]) -> None:
        """Tell where to read how many requests run or wait."""
        self._pending.set_function(pending)

    def watch_index(self, read: Callable[[], IndexGauges | None]) -> None:
        """Tell where to read facts about the served index; None while it is not open."""

        def metrics() -> Iterable[Metric]:
            gauges = read()
            return [] if gauges is None else gauges.metrics()

        self._registry.register(_OnDemand(metrics))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take down an answered request; ``route`` is the pattern, not the path, which clients choose."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def search(self, stages: Iterable[Stage]) -> None:
        """Take down the stages of a search."""
        for stage in stages:
            self._stages.labels(stage.name).observe(stage.milliseconds / 1e3)

    def batch(self, jobs: int, waited: Sequence[float]) -> None:
        """Take down requests that are run together."""
        self._batches.observe(jobs)
        for seconds in waited:
            self._queue.observe(seconds)

    def refused(self, reason: str) -> None:
        """Take down a request that was not run."""
        self._refused.labels(reason).inc()

    def reloaded(self, outcome: str) -> None:
        """Take down a reload: ``changed`` or ``failed``."""
        self._reloads.labels(outcome).inc()

    def text(self) -> bytes:
        """Write them all."""
        return generate_latest(self._registry)
