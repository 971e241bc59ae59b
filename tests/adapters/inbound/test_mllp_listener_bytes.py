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
from adapters.inbound import held, mllp_listener
from adapters.inbound.gate import HUGE_BYTES, Done
from adapters.inbound.mllp_listener import MllpListener
from adapters.inbound.received import Received, Translation
from hub.access.credentials import Credentials
from hub.contract import telemetry
from hub.contract.errors import Problem
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
    monkeypatch.setattr(held, "_BYTES_MAX", 700_000)
    listeners = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        [listener] = listeners
        writer.write(encode(b"x" * 400_000))
        await eventually(lambda: listener.held.total >= 400_000 and not listener._links.copy().pop()._frame_began)
        other, late = await asyncio.open_connection(*writer.get_extra_info("peername"))
        late.write(b"\x0b" + b"y" * 400_000)
        with suppress(ConnectionResetError):
            assert await other.read() == b""  # closed: its sender tries again
        late.close()
        await eventually(lambda: listener.held.total < 700_000)

    talk(HoldingGate(), say, listeners, limit_s=0.1)
    assert listeners[0].held.total == 0


def test_a_batch_that_cannot_be_taken_apart_now_means_silence(counted: Counter[str]) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(oru("A")) + encode(oru("B") + oru("C")))
        assert (await reader.read()).count(b"MSA|AA|") == 1

    talk(HoldingGate(), say)


def test_whoever_comes_last_is_not_closed_for_what_others_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_BYTES_MAX", 700_000)
    listeners: list[MllpListener] = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        [listener] = listeners
        writer.write(b"\x0b" + b"x" * 600_000)
        await eventually(lambda: listener.held.total == 600_000)
        other, late = await asyncio.open_connection(*writer.get_extra_info("peername"))
        late.write(encode(b"y" * 200_000))
        late.write_eof()
        assert (await other.read()).count(b"MSA|AA|") == 1
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        late.close()

    talk(TakingGate(), say, listeners)
    assert listeners[0].held.total == 0


def test_of_an_oversize_frame_only_what_is_held_counts() -> None:
    listeners: list[MllpListener] = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        [listener] = listeners
        writer.write(b"\x0b" + b"x" * 500_000)
        await eventually(lambda: listener.bytes_came == 500_001)
        assert listener.held.total == 4097

    talk(TakingGate(), say, listeners, message_bytes_max=4096, idle_s=3600.0, frame_wait_s=3600.0)


def test_half_a_message_that_ends_in_a_letter_like_the_end_byte_waits_for_the_rest() -> None:
    gate, body = TakingGate(), oru("VPS").replace(b"MAU^AN", b"NGUY\xd5N M\x1cN^AN")
    stream = encode(b"")[:1] + body + b"\x1c\r"
    half = stream.index(b"\x1c") + 1

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream[:half])
        await asyncio.sleep(0.2)  # longer than the silence that ends a frame
        assert not gate.sizes
        assert (await said(reader, writer, [stream[half:]])).count(b"MSA|AA|") == 1

    talk(gate, say)
    assert gate.sizes == [len(body)]


def test_half_a_message_is_quarantined_when_the_link_ends(counted: Counter[str]) -> None:
    gate, half = TakingGate(), b"\x0b" + oru("VPS").split(b"MAU")[0] + b"NGUY\xd5N M\x1c"

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await said(reader, writer, [half]) == b""

    talk(gate, say)
    assert gate.kept == len(half) == counted["quarantined"] == counted["in"] and not gate.sizes


def test_silence_while_a_link_is_not_read_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp_listener, "_END_SILENCE_S", 0.0)
    gate = TakingGate()
    held_back: list[tuple[Received, Done]] = []
    problems: list[tuple[Problem, ...]] = []
    stream = encode(oru("FIRST")) + encode(oru("SECOND"))

    def submit(received: Received, done: Done) -> bool:
        problems.append(received.problems)
        if len(problems) == 1:
            held_back.append((received, done))
            return True
        return TakingGate.submit(gate, received, done)

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        monkeypatch.setattr(gate, "submit", submit)
        writer.write(stream[:-1])
        await eventually(lambda: bool(held_back))
        writer.write(stream[-1:])  # lies unread while the first message is under way
        await asyncio.sleep(0.05)
        TakingGate.submit(gate, *held_back[0])
        writer.write_eof()
        assert (await reader.read()).count(b"MSA|AA|") == 2

    talk(gate, say, pipeline_max=1)
    assert problems == [(), ()]  # nobody is told that a 0x0D is missing which the hub has not read
