"""Spans of requests and statements, where they are wanted: by the real SDK, kept in memory instead of sent."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from litestar import Litestar
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cortez.app import create_app
from cortez.core.observability.tracing import Tracing
from cortez.settings import Settings
from factory import Make
from running import client_of, live

PLANTED = "planted-secret"
CALLER, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def spans(app: Litestar) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app.tracing = Tracing(provider)  # type: ignore[attr-defined]
    yield exporter
    app.tracing.close()  # type: ignore[attr-defined]
    app.tracing = None  # type: ignore[attr-defined]


def told(span: ReadableSpan) -> Mapping[str, object]:
    assert span.attributes is not None
    return span.attributes


async def test_a_request_is_a_span_below_its_callers_with_a_child_for_each_statement(
    make: Make, spans: InMemorySpanExporter
) -> None:
    admin, session = await make.admin(), await make.session()
    step = {"interaction_type": "student_prompt", "content": PLANTED}
    headers = {"traceparent": f"00-{CALLER}-{PARENT}-01", "X-Request-ID": "told"}
    answer = await admin.post(f"/sessions/{session.id}/traces/batch", json=[step], headers=headers)
    assert answer.status_code == 200
    *statements, request = spans.get_finished_spans()
    route = "/api/v1/sessions/{session_id}/traces/batch"
    assert request.name == f"POST {route}"
    assert told(request) == {
        "http.request.method": "POST",
        "http.route": route,
        "http.response.status_code": 200,
        "cortez.request_id": answer.headers["x-request-id"],
    }
    assert request.context
    assert request.parent
    assert f"{request.context.trace_id:032x}" == CALLER
    assert f"{request.parent.span_id:016x}" == PARENT
    assert {span.parent.span_id for span in statements if span.parent} == {request.context.span_id}
    assert {told(span)["db.system.name"] for span in statements} == {make.database.engine.dialect.name}
    assert {"SELECT", "INSERT" if make.database.is_sqlite else "COPY"} <= {span.name for span in statements}
    assert all(0 < (span.end_time or 0) - (span.start_time or 0) < 5e9 for span in statements)
    everything = "".join(span.to_json() for span in spans.get_finished_spans())
    assert PLANTED not in everything
    assert str(session.id) not in everything


async def test_a_fault_is_a_span_that_failed(app: Litestar, make: Make, spans: InMemorySpanExporter) -> None:
    admin = await make.admin()
    for app.state.stopping in (False, True):
        await admin.get("http://test/health/ready")
    app.state.stopping = False
    requests = [span for span in spans.get_finished_spans() if span.name == "GET /health/ready"]
    assert [span.status.is_ok for span in requests] == [True, False]


async def test_spans_go_to_the_collector_before_the_service_stops(settings: Settings) -> None:
    asked: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *told: object) -> None:
            """It prints nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}/"
        app = create_app(msgspec.structs.replace(settings, otel_exporter_otlp_endpoint=endpoint))
        async with live(app), client_of(app) as client:
            await client.get("http://test/health/live")
        server.shutdown()
        thread.join()
    assert asked == ["/v1/traces"]


def test_where_nothing_is_traced_nothing_of_it_is_loaded() -> None:
    asked = (
        "import sys, cortez.server.worker; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
