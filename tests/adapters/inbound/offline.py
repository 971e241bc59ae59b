"""A gate whose brokers are this process, for tests of the doors before it: MLLP, HTTP, folder, the gateway's calls.

That the gate waits for real brokers is tested in `test_gate.py`.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from adapters.formats.mllp import Decoder, Frame, encode
from adapters.inbound.gate import MESSAGES, Gate
from adapters.inbound.mllp_listener import MllpListener
from adapters.inbound.raw_store import RawStore
from adapters.inbound.tls import ServerTls
from hub.access.credentials import Credentials
from hub.access.quota import Quotas
from hub.bus import Out, Producer, Wire
from hub.contract.events import Event, Keyring, decode
from hub.contract.settings import read_settings
from hub.contract.topics import topics

KEYRING = Keyring(b"a secret of tests only")


class Brokers(Producer):
    """Confirms whatever it is given, in order, at the next turn of the loop; nothing once `fail_after` records are held."""

    def __init__(self) -> None:
        self.held: list[Out] = []
        self.fail_after: int | None = None
        self.refused = 0  # so many times
        self._wait_s = 60.0

    def send(self, records: Sequence[Out], done: Callable[[str], None]) -> None:
        room = self.fail_after is None or len(self.held) + len(records) <= self.fail_after
        if room:
            self.held += records
        else:
            self.refused += 1
        asyncio.get_running_loop().call_soon(done, "" if room else "BROKER_UNAVAILABLE")

    def reachable(self) -> bool:
        return self.fail_after is None

    def of(self, topic: str) -> list[Event]:
        """The events of a topic, in order."""
        return [decode(topics()[topic].record, out.value[5:]) for out in self.held if out.topic == topic]

    def messages(self) -> list[Event]:
        """The `hie.MessageReceived` they hold, in order."""
        return self.of(MESSAGES)

    def events(self) -> list[tuple[str, str]]:
        """(topic, event id) of the events they hold."""
        return [
            (out.topic, decode(topics()[out.topic].record, out.value[5:])["meta"]["event_id"])
            for out in self.held
            if out.topic != MESSAGES
        ]


class OfflineWire(Wire):
    """Bodies as always, without a registry to give ids to their schemas."""

    def __init__(self) -> None:
        self._prefixes = dict.fromkeys(topics(), b"\0\0\0\0\1")


def offline_gate(folder: Path, **more: Any) -> tuple[Gate, Brokers]:
    """Its raw store is `raw` in the folder. Make it where its loop runs."""
    brokers = Brokers()
    return Gate(brokers, OfflineWire(), KEYRING, RawStore(folder / "raw"), **more), brokers


async def eventually(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Return once it holds."""
    async with asyncio.timeout(limit_s):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


class Talk:
    """A sender's side of an MLLP link, in the loop of the listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder = Decoder()
        self._answers: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> bytes:
        """The body of the next frame that comes back; b"" when the hub closed the link instead."""
        while not self._answers:
            try:
                data = await self._reader.read(65536)
            except OSError:  # reset, or TLS's alert
                return b""
            if not data:
                return b""
            self._answers += [found.body for found in self._decoder.feed(data) if isinstance(found, Frame)]
        return self._answers.pop(0)

    async def ask(self, body: bytes) -> bytes:
        await self.write(encode(body))
        return await self.answer()

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def break_off(self) -> None:
        self._writer.transport.abort()

    def reset(self) -> None:
        """As a machine that is switched off and on again would: whoever writes to it is told at once."""
        link = self._writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.break_off()


class Doors:
    """A listener before an offline gate, and the links that a test opened to it."""

    def __init__(self, listener: MllpListener, brokers: Brokers) -> None:
        self.listener, self.brokers = listener, brokers
        self._open: list[Talk] = []

    async def link(self, tls: ssl.SSLContext | None = None, port: int = 0) -> Talk:
        port = port or (self.listener.tls_port if tls else self.listener.port)
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
        talk = Talk(reader, writer)
        self._open.append(talk)
        return talk

    async def close(self) -> None:
        for talk in self._open:
            talk.break_off()
        await self.listener.stop(0.2)


@asynccontextmanager
async def listening(
    folder: Path,
    credentials: Credentials | None = None,
    tls: ServerTls | None = None,
    quotas: Quotas | None = None,
    **changes: Any,
) -> AsyncIterator[Doors]:
    """An MLLP listener in this loop, on free ports, with an offline gate behind it."""
    settings = read_settings(data_dir=folder, mllp_port=0, mllps_port=0, **changes)
    gate, brokers = offline_gate(folder)
    doors = Doors(MllpListener(settings, gate, credentials or Credentials.open(None), quotas, tls), brokers)
    await doors.listener.start()
    try:
        yield doors
    finally:
        await doors.close()
        gate.close()
