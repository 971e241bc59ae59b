"""Every byte of an MLLP link is counted once, over real sockets: whatever the cuts, the junk, the sizes and the way a link ends.

The gate behind the listener is one that takes everything or confirms nothing; what a real one does is in `test_mllp_listener`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime

import pytest

from adapters.formats.mllp import encode
from adapters.inbound import mllp_listener
from adapters.inbound.gate import HUGE_BYTES, Done
from adapters.inbound.mllp_listener import MllpListener
from adapters.inbound.received import Received, Translation
from hub.access.credentials import Credentials
from hub.contract import telemetry
from hub.contract.events import now
from hub.contract.settings import Settings, read_settings
from tests.adapters.inbound.conftest import oru
from tests.adapters.inbound.offline import eventually


class TakingGate:
    """Confirms at once, in the order of what came; or, when the brokers are away, nothing."""

    def __init__(self, confirms: bool = True) -> None:
        self.confirms = confirms
        self.sizes: list[int] = []
        self.kept = 0

    def clock(self) -> datetime:
        return now()

    def submit(self, received: Received, done: Done) -> bool:
        self.sizes.append(len(received.raw))
        ack = Translation({}, (), (), "translated", b"MSH|^~\\&|\rMSA|AA|\r")
        asyncio.get_running_loop().call_soon(done, ack if self.confirms else None)
        return True

    def keep(self, translation: Translation, done: Done) -> None:
        self.kept += translation.message["raw_size"]
        asyncio.get_running_loop().call_soon(done, Translation({}, (), (), "quarantined", b""))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """The bytes that the listener has told of."""
    counts: Counter[str] = Counter()
    names = ("in", "framed", "quarantined", "padding", "dropped")
    monkeypatch.setattr(telemetry, "bytes_counted", lambda *sizes: counts.update(dict(zip(names, sizes, strict=True))))
    yield counts


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def talk(
    gate: TakingGate, say: Talk, listeners: list[MllpListener] | None = None, limit_s: float = 30.0, **changes: object
) -> None:
    """One link, from its first byte to the listener's end. listeners: gets the listener."""

    async def main() -> None:
        settings: Settings = read_settings(mllp_port=0, **changes)
        listener = MllpListener(settings, gate, Credentials({}, [], local=True))  # type: ignore[arg-type]  # it needs three methods of a gate
        if listeners is not None:
            listeners.append(listener)
        port = await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await say(reader, writer)
        finally:
            writer.close()
            await listener.stop(limit_s)

    asyncio.run(asyncio.wait_for(main(), 60))


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: list[bytes]) -> bytes:
    """Write the pieces one by one, say that this is all, and read what comes until the link ends."""
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    writer.write_eof()
    return await reader.read()


CONVERSATION = (
    b"\r\n"
    + encode(oru("A"))
    + b"junk"
    + encode(oru("B"))[:-1]
    + encode(oru("C"))
    + b"\x00\x0bcut\x0b"
    + encode(oru("D"))[1:]
    + b"\x0bend"
)


@pytest.mark.parametrize("seed", range(6))
def test_every_byte_is_framed_quarantined_or_padding(counted: Counter[str], seed: int) -> None:
    chance, gate, acks = random.Random(seed), TakingGate(), []
    cuts = sorted(chance.sample(range(1, len(CONVERSATION)), 40))
    pieces = [CONVERSATION[a:b] for a, b in zip([0, *cuts], [*cuts, len(CONVERSATION)], strict=True)]

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        acks.append(await said(reader, writer, pieces))

    talk(gate, say)
    assert acks[0].count(b"MSA|AA|") == 4
    assert counted["in"] == len(CONVERSATION)
    assert counted["in"] == counted["framed"] + counted["quarantined"] + counted["padding"] and not counted["dropped"]
    assert counted["quarantined"] == gate.kept == len(b"junk") + len(b"\x0bcut") + len(b"\x0bend")
    assert counted["padding"] == len(b"\r\n\x00")


def test_messages_of_any_size_up_to_the_limit_and_one_beyond_it(counted: Counter[str]) -> None:
    gate, limit = TakingGate(), 20 * 1024 * 1024
    sizes = [0, 1, 50_000, 65_536, 1_000_000, limit, limit + 1]
    stream = [encode(b"x" * size) for size in sizes]

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await said(reader, writer, stream)).count(b"MSA|AA|") == len(sizes) - 1

    talk(gate, say, message_bytes_max=limit)
    assert gate.sizes == sizes[:-1] and gate.kept == limit + 4
    assert counted["in"] == sum(map(len, stream)) == counted["framed"] + counted["quarantined"]


def test_bytes_of_a_link_that_gets_no_answer_are_told_as_dropped(counted: Counter[str]) -> None:
    gate = TakingGate(confirms=False)

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(oru("A")) * 5 + b"\x0bhalf")
        assert await reader.read() == b"", "neither an answer nor a refusal"

    talk(gate, say, pipeline_max=2)
    assert gate.sizes and counted["dropped"] and counted["in"] == counted["framed"] + counted["dropped"]


class HoldingGate(TakingGate):
    """Never done with a huge message, and out of memory for a batch."""

    def submit(self, received: Received, done: Done) -> bool:
        return len(received.raw) < HUGE_BYTES and super().submit(received, done)

    async def cut(self, raw: bytes) -> None:
        raise MemoryError


def test_large_messages_that_wait_count_as_unfinished_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp_listener, "_PENDING_BYTES_MAX", 700_000)
    listeners = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        [listener] = listeners
        writer.write(encode(b"x" * 400_000))
        await eventually(lambda: listener.bytes_pending >= 400_000 and not listener._links.copy().pop()._frame_began)
        other, late = await asyncio.open_connection(*writer.get_extra_info("peername"))
        late.write(b"\x0b" + b"y" * 400_000)
        with suppress(ConnectionResetError):
            assert await other.read() == b""  # closed: its sender tries again
        late.close()
        await eventually(lambda: listener.bytes_pending < 700_000)

    talk(HoldingGate(), say, listeners, limit_s=0.1)
    assert listeners[0].bytes_pending == 0


def test_a_batch_that_cannot_be_taken_apart_now_means_silence(counted: Counter[str]) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(oru("A")) + encode(oru("B") + oru("C")))
        assert (await reader.read()).count(b"MSA|AA|") == 1

    talk(HoldingGate(), say)
