"""OpenTelemetry traces (extra ``traces``): a span per request; inside it one per search, with one per stage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from indexer import Stage
from models import OptionalDependencyError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from opentelemetry.context import Context


class Traces:
    """Writes spans with the global tracer provider; if there is none, sets one configured by ``OTEL_*`` variables."""

    def __init__(self, app: FastAPI) -> None:
        """Trace the requests of an application.

        Raises:
            OptionalDependencyError: OpenTelemetry is not installed.
        """
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            package, install = error.name or "opentelemetry", "pip install 'adaptive-retrieval[traces]'"
            raise OptionalDependencyError(package, "the option traces", install) from error
        if not isinstance(trace.get_tracer_provider(), TracerProvider):
            # OTEL_SERVICE_NAME takes precedence over this name.
            provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "mrl"}))
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            trace.set_tracer_provider(provider)
        FastAPIInstrumentor.instrument_app(
            app, excluded_urls="healthz,readyz,metrics", exclude_spans=["send", "receive"]
        )
        self._tracer = trace.get_tracer("mrl")
        self._trace = trace

    def context(self) -> Context:
        """Return the parent context for spans of the request being answered."""
        from opentelemetry import context

        return context.get_current()

    def search(self, contexts: Sequence[Context], stages: Sequence[Stage], plan: dict[str, Any]) -> None:
        """Write the spans of a search that has just ended, once for each request in the batch.

        Args:
            contexts: of the requests, from :meth:`context`.
            stages: of the search.
            plan: attributes of the search span.
        """
        ended = time.time_ns()
        began = ended - round(sum(stage.milliseconds for stage in stages) * 1e6)
        for context in contexts:
            span = self._tracer.start_span(
                "search", context, start_time=began, attributes={**plan, "requests": len(contexts)}
            )
            inner, at = self._trace.set_span_in_context(span, context), began
            for stage in stages:
                values = {"dims": stage.dims, "in": stage.candidates_in, "out": stage.candidates_out}
                attributes = {name: value for name, value in values.items() if value is not None}
                part = self._tracer.start_span(stage.name, inner, start_time=at, attributes=attributes)
                at += round(stage.milliseconds * 1e6)
                part.end(at)
            span.end(ended)
