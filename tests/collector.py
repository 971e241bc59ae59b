"""A collector of traces: takes OTLP over HTTP as a real one does, and keeps every byte and every span."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(ThreadingHTTPServer):
    """bodies: as they came; spans: what they hold. answer: its HTTP status; hold: cleared, it lets everyone wait."""

    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.spans: list[Span] = []
        self.answer = 200
        self.hold = threading.Event()
        self.hold.set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def of(self, message_id: str) -> list[Span]:
        """The spans of one message, in the order of their ends."""
        trace = bytes.fromhex(message_id.replace("-", ""))
        return sorted((one for one in self.spans if one.trace_id == trace), key=lambda one: one.end_time_unix_nano)


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.hold.wait(60)
        if self.server.answer == 200:
            assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            self.server.bodies.append(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.server.spans += scope.spans
        self.send_response(self.server.answer)
        self.end_headers()
        self.wfile.write(ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    """One that listens; nothing of it is left."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            collector.hold.set()
            collector.shutdown()
            thread.join()


def told(span: Span) -> dict[str, Any]:
    """Its attributes."""
    return {
        one.key: one.value.bool_value if one.value.HasField("bool_value") else one.value.string_value for one in span.attributes
    }
