"""OpenTelemetry is off, unless its own variables name a collector: then it receives the requests."""

import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from edge.tracing import is_wanted
from support.servers import Server, register, wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """Takes what is sent by OTLP over HTTP, and keeps it in memory."""

    def __init__(self) -> None:
        received: dict[str, list[bytes]] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                received.setdefault(self.path, []).append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def spans(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self._received.get("/v1/traces", [])]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> set[str]:
        requests = [ExportMetricsServiceRequest.FromString(body) for body in self._received.get("/v1/metrics", [])]
        return {
            metric.name
            for request in requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


def test_requests_are_told_to_a_collector(make_server: Callable[..., Server], collector: Collector) -> None:
    server = make_server(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="pagewire").start()
    alice = register(server, "alice")
    alice.client.get("/documents/77", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})

    server.stop()

    served = next(span for span in collector.spans() if span.name == "GET /documents/{document_id}")
    assert served.trace_id.hex() == TRACE
    assert attributes(served)["http.response.status_code"] == 404
    assert "http.server.request.duration" in collector.metrics()


def test_tokens_are_in_no_trace(make_server: Callable[..., Server], collector: Collector) -> None:
    server = make_server(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url).start()
    alice = register(server, "alice")
    with alice.socket(f"/ws/{alice.id}?token={alice.token}", additional_headers={}):
        pass
    alice.client.get("/me")

    server.stop()

    assert collector.spans()
    assert alice.token not in str(collector.spans())


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "pagewire"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_it_is_wanted_where_a_collector_is_named(environment: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environment) is wanted


def test_a_collector_that_is_away_is_no_harm(make_server: Callable[..., Server]) -> None:
    server = make_server(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_BSP_EXPORT_TIMEOUT="100").start()
    alice = register(server, "alice")

    wait_until(lambda: alice.client.get("/me").status_code == 200)
    assert not [line for line in server.lines if " 500 " in line]
