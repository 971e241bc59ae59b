"""TLS at the door: the hub's certificate, read again when its files change, and the port whose links shake hands first.

TLS 1.2 or newer. With authorities for clients configured, a link must bring a client certificate that one of them signed.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from hub.contract import telemetry
from hub.contract.errors import HubError

_HANDSHAKE_S: Final = 10.0
_BACKLOG: Final = 4096


class ServerTls:
    """The certificate, its key and, if given, the authorities that client certificates must come from, as files.

    Raises: HubError(SETTING_WRONG) at the start when they cannot be read or do not belong together. A change that is no better,
            such as a certificate whose key has not been replaced yet, is told once, and what was good before goes on.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._files = [path for path in (certificate, key, client_ca) if path is not None]
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._seen = self._stamps()
        try:
            self._context = self._read()
        except OSError as wrong:  # SSLError is one
            raise HubError("SETTING_WRONG", f"HIE_TLS_CERTIFICATE, HIE_TLS_KEY: {type(wrong).__name__}") from None

    def context(self) -> ssl.SSLContext:
        """What the next handshake uses."""
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            try:
                self._context = self._read()
            except OSError as wrong:
                telemetry.fault("tls", "SETTING_WRONG", type(wrong).__name__)
        return self._context

    def without_clients(self) -> "ServerTls":
        """The same certificate for a port that asks clients for none: over HTTP a token says who it is."""
        return ServerTls(self._certificate, self._key)

    def front(self) -> ssl.SSLContext:
        """For a server that keeps one context for ever: it asks for the present certificate at every handshake."""
        front = self._read()

        def swap(link: ssl.SSLObject, _name: str | None, _front: ssl.SSLContext) -> None:
            link.context = self.context()

        front.sni_callback = swap
        return front

    def _stamps(self) -> list[tuple[int, int, int]]:
        found = []
        for path in self._files:
            try:
                status = path.stat()
            except OSError:  # between two versions of it
                found.append((0, 0, 0))
            else:
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return found

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.load_cert_chain(self._certificate, self._key, password=_no_password)
        if self._client_ca is not None:
            context.load_verify_locations(self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _no_password() -> str:
    raise ssl.SSLError("the key is protected by a password")  # else OpenSSL would ask the terminal for it


class TlsPort:
    """A listening socket whose connections are handed on once their handshake is done.

    opened: told of each connection before its handshake; gives the protocol that takes over, or None when there is no room.
    failed: told, instead of that protocol, when there was no handshake in time or TLS refused the client.
    """

    def __init__(
        self, tls: ServerTls, opened: Callable[[], asyncio.Protocol | None], failed: Callable[[asyncio.Protocol], None]
    ) -> None:
        self._tls = tls
        self._opened, self._failed = opened, failed
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, host: str, port: int, *, reuse_port: bool = False) -> int:
        """Listen. Returns: the port. Raises: OSError."""
        self._socket = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_BACKLOG, reuse_port=reuse_port
        )
        self._socket.setblocking(False)
        self._run(self._accept(self._socket))
        return int(self._socket.getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections; end those that still shake hands."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _peer = await loop.sock_accept(listening)
            except OSError:  # too many open files, say: as asyncio does, wait for some to be closed
                await asyncio.sleep(1.0)
                continue
            protocol = self._opened()
            if protocol is None:
                accepted.close()
            else:
                self._run(self._shake_hands(accepted, protocol))

    async def _shake_hands(self, accepted: socket.socket, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        made = False
        try:
            context = self._tls.context()
            await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=context, ssl_handshake_timeout=_HANDSHAKE_S)
            made = True
        except OSError:  # whatever a client can do to a handshake is one
            pass
        finally:
            if not made:
                self._failed(protocol)
