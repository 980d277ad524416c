"""Spans for OpenTelemetry: one for each request, below it one for each statement. Imported only where it is wanted."""

import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from litestar.types import HTTPScope

    from cortez.core.observability.request_context import Exchange

SERVICE = {"service.name": "cortez", "service.version": version("cortez")}
FROM_CALLER = (b"traceparent", b"tracestate")
CALLERS = TraceContextTextMapPropagator()


class Tracing:
    """Where spans go to."""

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer("cortez", version("cortez"))

    @classmethod
    def to(cls, endpoint: str) -> "Tracing":
        """To a collector, by OTLP over HTTP; the standard's other variables (OTEL_...) hold too."""
        provider = TracerProvider(resource=Resource.create(SERVICE))
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    def begin(self, scope: "HTTPScope") -> "Trace":
        return Trace(self, scope)

    def close(self) -> None:
        """Send what is left; it waits for the collector."""
        self.provider.shutdown()


class Trace:
    """The span of a request, which goes on that of its caller; no path, value or person is in it."""

    def __init__(self, tracing: Tracing, scope: "HTTPScope") -> None:
        self.tracer = tracing.tracer
        sent = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in FROM_CALLER}
        self.span = self.tracer.start_span("request", CALLERS.extract(sent), SpanKind.SERVER)
        self.context = set_span_in_context(self.span)

    def statement(self, system: str, statement: str, seconds: float) -> None:
        """One that has just ended: its text has places for the values."""
        now = time.time_ns()
        told = {"db.system.name": system, "db.query.text": statement}
        name = statement.split(None, 1)[0]
        begun = now - int(seconds * 1e9)
        self.tracer.start_span(name, self.context, SpanKind.CLIENT, told, start_time=begun).end(now)

    def end(self, exchange: "Exchange") -> None:
        self.span.update_name(f"{exchange.method} {exchange.route}")
        self.span.set_attributes(
            {
                "http.request.method": exchange.method,
                "http.route": exchange.route,
                "http.response.status_code": exchange.status,
                "cortez.request_id": exchange.request_id,
            }
        )
        if exchange.status >= 500:
            self.span.set_status(StatusCode.ERROR)
        self.span.end()
