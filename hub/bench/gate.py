"""Gate: MLLP to durable acknowledgement, translated, over 1, 10 and 50 lock-step links, and pipelined."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.formats.mllp import Decoder, Frame, encode
from hub.bench import Figure, figure
from hub.bench.rig import rig
from hub.contract.places import shipped
from hub.services import address

_LOADS = {"1 link": (1, 1), "10 links": (10, 1), "50 links": (50, 1), "10 links, 16 open": (10, 16)}
_ID = b"BENCH00000001"


@dataclass
class _Run:
    """What all links share: the clock, the numbering of messages, the latencies seen in ms."""

    template: bytes
    until: float
    number: int = 0
    waits_ms: list[float] = field(default_factory=list)
    wrong: int = 0


class _Link(asyncio.Protocol):
    """One sender that keeps `window` messages open and checks that acknowledgements come in order."""

    def __init__(self, run: _Run, window: int) -> None:
        self.run, self.window = run, window
        self.open: deque[tuple[bytes, float]] = deque()
        self.decoder = Decoder()
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        for _ in range(self.window):
            self.send()

    def send(self) -> None:
        self.run.number += 1
        control_id = b"B%012d" % self.run.number
        self.open.append((control_id, time.perf_counter()))
        self.transport.write(encode(self.run.template.replace(_ID, control_id, 1)))

    def data_received(self, data: bytes) -> None:
        clock = time.perf_counter()
        for found in self.decoder.feed(data):
            assert isinstance(found, Frame)
            control_id, sent_at = self.open.popleft()
            if b"MSA|AA|" + control_id not in found.body:
                self.run.wrong += 1
            self.run.waits_ms.append((clock - sent_at) * 1000)
            if clock < self.run.until:
                self.send()
            elif not self.open and not self.done.done():
                self.done.set_result(None)

    def connection_lost(self, reason: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the gate closed the link"))


async def _load(place: tuple[str, int], template: bytes, links: int, window: int, seconds: float) -> _Run:
    run = _Run(template, time.perf_counter() + seconds)
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(lambda: _Link(run, window), *place))[1] for _ in range(links)]
    await asyncio.gather(*(link.done for link in made))
    for link in made:
        link.transport.close()
    return run


def bench(seconds: float) -> Iterator[Figure]:
    """Acknowledged a second, p50 and p99 in ms, CPU µs of the gate a message; generator and broker on the same cores."""
    template = shipped("seeds/bench/oru_14_obx.hl7").read_bytes()
    with rig(["gate"]) as bed:
        bed.services.start()
        place = address(bed.settings, "gate", "mllp_port")
        asyncio.run(_load(place, template, 10, 4, min(seconds, 3)))
        for name, (links, window) in _LOADS.items():
            cpu, began = bed.cpu_s("gate"), time.perf_counter()
            run = asyncio.run(_load(place, template, links, window, seconds))
            spent, waits = time.perf_counter() - began, sorted(run.waits_ms)
            yield figure(
                f"gate, {name}",
                len(waits) / spent,
                "acked/s",
                cores=1,
                p50_ms=round(waits[len(waits) // 2], 2),
                p99_ms=round(waits[int(len(waits) * 0.99)], 2),
                cpu_us=round((bed.cpu_s("gate") - cpu) / len(waits) * 1e6, 1),
                wrong=run.wrong,
                bytes=len(template),
            )
