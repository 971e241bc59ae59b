"""What a machine that watches asks of a service: a page of metrics, and what stands now that no happening tells.

Every service has it, whatever else it serves: `/metrics` (Prometheus), `/health` (the process lives), `/ready` (it has said that
it serves). It knows nobody and tells no personal data; `HIE_METRICS_LISTEN` says who can reach it.
"""

import shutil
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from cryptography import x509

from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.contract.telemetry import Rows

_TRIES: Final = 100  # ports that are looked at, from the first
_SLOW_S: Final = 5.0  # a client that says nothing for so long is let go
_EVERY_S: Final = 30.0

Question = Callable[[], Mapping[str, Rows]]
"""Asks for gauges of `metrics.STANDING`. What it raises is told as a fault, and the gauges it told before are gone."""


class Door:
    """The page of one service. `say_ready` when it serves; `close` ends it."""

    def __init__(self, settings: Settings) -> None:
        """Raises: HubError(PORT_TAKEN)."""
        self._ready = threading.Event()
        self._server = _bound(settings.metrics_listen, settings.metrics_port, self._ready)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def say_ready(self) -> None:
        self._ready.set()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _bound(host: str, first: int, ready: threading.Event) -> ThreadingHTTPServer:
    class Page(_Page):
        serves = ready

    for port in range(first, first + _TRIES) if first else (0,):
        try:
            return (_Server6 if ":" in host else _Server)((host, port), Page)
        except OSError:
            continue
    raise HubError("PORT_TAKEN", f"HIE_METRICS_PORT {first}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:  # HTTPServer's own looks the host's name up, which may take long
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked has gone: nothing that a log needs."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Page(BaseHTTPRequestHandler):
    timeout = _SLOW_S
    server_version, sys_version = "hie", ""
    serves: threading.Event

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, telemetry.metrics(), "text/plain; version=0.0.4; charset=utf-8")
        elif path == "/health":
            self._answer(200, b'{"status":"ok"}')
        elif path == "/ready":
            self._answer(*((200, b'{"status":"ready"}') if self.serves.is_set() else (503, b'{"status":"starting"}')))
        else:
            self._answer(404, b'{"status":"no such page"}')

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The library's page repeats what was asked."""
        self.close_connection = True
        self._answer(code, b'{"status":"no such request"}')

    def log_message(self, format: str, *args: object) -> None:
        """An address that was asked for is in no log."""


# --- what stands now --------------------------------------------------------------------------------------------------


class Watch:
    """Asks the questions again and again, in a thread of its own, until `close`."""

    def __init__(self, questions: Sequence[Question], every_s: float = _EVERY_S) -> None:
        self._questions, self._every_s = questions, every_s
        self._told: dict[int, tuple[str, ...]] = {}
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="watched", daemon=True).start()

    def close(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while True:
            self.ask()
            if self._stop.wait(self._every_s):
                return

    def ask(self) -> None:
        """Every question once."""
        for number, question in enumerate(self._questions):
            try:
                found = question()
            except HubError as silent:
                found = {}
                telemetry.fault("metrics", silent.code, silent.where)
            except Exception as broken:  # whatever a library raises; what it asks about must not end the service
                found = {}
                telemetry.fault("metrics", "QUESTION_FAILED", telemetry.trace_of(broken))
            for name in self._told.get(number, ()):
                if name not in found:
                    telemetry.stands(name, {})
            for name, rows in found.items():
                telemetry.stands(name, rows)
            self._told[number] = tuple(found)


def room_on_disk(settings: Settings) -> Mapping[str, Rows]:
    """A question: the disks of the hub's folders, those that are there."""
    free, size = dict[tuple[str, ...], float](), dict[tuple[str, ...], float]()
    for name, folder in (("data", settings.data_dir), ("archive", settings.archive), ("ledger", settings.ledger)):
        if folder.exists():
            usage = shutil.disk_usage(folder)
            free[name,], size[name,] = usage.free, usage.total
    return {"hie_disk_free_bytes": free, "hie_disk_size_bytes": size}


def certificate_left(settings: Settings) -> Mapping[str, Rows]:
    """A question: how long the hub's certificate is good for. Raises: HubError(SETTING_WRONG) for a file that holds none."""
    if settings.tls_certificate is None:
        return {}
    try:
        ends = x509.load_pem_x509_certificate(settings.tls_certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as wrong:
        raise HubError("SETTING_WRONG", "HIE_TLS_CERTIFICATE") from wrong
    return {"hie_certificate_expires_seconds": {("hub",): (ends - datetime.now(UTC)).total_seconds()}}
