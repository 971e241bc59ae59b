"""Gate: MLLP to durable acknowledgement, translated: lock-step, pipelined, paced, and among 12,500 idle links."""

import asyncio
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil
import uvloop

from adapters.formats.mllp import Decoder, Frame, encode
from hub.bench import Figure, figure, peers
from hub.bench.rig import Rig, rig
from hub.contract.places import shipped
from hub.services import Services, address, gate_names

_LOADS: Final = {"1 link": (1, 1), "10 links": (10, 1), "50 links": (50, 1), "10 links, 16 open": (10, 16)}
_RIVALS: Final = {"50 links": "mllp", "10 links, 16 open": "netty"}  # which of Camel's transports can do the load
_RIVAL_TOPIC: Final = "message-received.v1"
_PACE: Final = 1000  # messages a second over ten links
_IDLE_LINKS: Final = 12_500
_BUSY_LINKS: Final = 100
_ID: Final = b"BENCH00000001"
_PATIENCE_S: Final = 30.0  # for the last acknowledgements; what has not come by then counts as missing
_IDLE_ROUNDS: Final = 5
_SETTLING_S: Final = 1.0  # in which a gate that has links to take takes at least one

Place = tuple[str, int]


@dataclass
class _Run:
    """What all links share: the clock, the numbering of messages, the latencies seen in ms; wrong: not AA, or out of order."""

    template: bytes
    until: float
    number: int = 0
    waits_ms: list[float] = field(default_factory=list)
    wrong: int = 0
    missing: int = 0

    def share(self, part: float) -> float:
        """The latency in ms that this part of the messages did not exceed."""
        waits = sorted(self.waits_ms)
        return round(waits[int(len(waits) * part)], 2) if waits else 0.0


class _Link(asyncio.Protocol):
    """One sender that keeps `window` messages open (0: sends when told) and checks that acknowledgements come in order."""

    def __init__(self, run: _Run, window: int) -> None:
        self.run, self.window = run, window
        self.open: deque[tuple[bytes, float]] = deque()
        self.decoder = Decoder()
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        for _ in range(self.window):
            self.send(time.perf_counter())

    def send(self, due: float) -> None:
        """due: when it should leave; a wait is counted from then, so that a stall of the gate is seen in full."""
        self.run.number += 1
        control_id = b"B%012d" % self.run.number
        self.open.append((control_id, due))
        self.transport.write(encode(self.run.template.replace(_ID, control_id, 1)))

    def data_received(self, data: bytes) -> None:
        clock = time.perf_counter()
        for found in self.decoder.feed(data):
            assert isinstance(found, Frame)
            control_id, due = self.open.popleft()
            if b"MSA|AA|" + control_id not in found.body:
                self.run.wrong += 1
            self.run.waits_ms.append((clock - due) * 1000)
            if clock < self.run.until:
                if self.window:
                    self.send(clock)
            elif not self.open:
                self.finish()

    def connection_lost(self, _reason: Exception | None) -> None:
        self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _links(place: Place, make: Callable[[], _Link], count: int) -> list[_Link]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(make, *place))[1] for _ in range(count)]


async def _closed(run: _Run, links: list[_Link]) -> _Run:
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*(link.done for link in links)), _PATIENCE_S)
    run.missing = sum(len(link.open) for link in links)
    for link in links:
        link.transport.close()
    return run


async def _load(place: Place, template: bytes, links: int, window: int, seconds: float) -> _Run:
    """As much as the gate takes."""
    run = _Run(template, time.perf_counter() + seconds)
    made = await _links(place, lambda: _Link(run, window), links)
    await asyncio.sleep(seconds)
    return await _closed(run, made)


async def paced(place: Place, template: bytes, links: int, seconds: float, rate: float = _PACE) -> _Run:
    """So many messages a second, each due at its own time."""
    run = _Run(template, float("inf"))
    made = await _links(place, lambda: _Link(run, 0), links)
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        made[number % links].send(due)
    run.until = 0.0
    for link in made:
        if not link.open:
            link.finish()
    return await _closed(run, made)


async def _settled(files: Callable[[], int]) -> None:
    """Until the gate has taken, or let go of, all that came or went: till then those links are not idle but work."""
    before = -1
    while (now := files()) != before:
        before = now
        await asyncio.sleep(_SETTLING_S)


async def _among_idle(
    place: Place, template: bytes, seconds: float, files: Callable[[], int], idle_now: Callable[[], None]
) -> _Run:
    """files: how many the gate has open."""
    loop = asyncio.get_running_loop()
    idle = [(await loop.create_connection(asyncio.Protocol, *place))[0] for _ in range(_IDLE_LINKS)]
    await _settled(files)
    idle_now()
    run = await paced(place, template, _BUSY_LINKS, seconds)
    for transport in idle:
        transport.abort()
    await _settled(files)
    return run


@dataclass(frozen=True)
class _Bed:
    """The gate processes that are measured together."""

    place: Place
    processes: list[psutil.Process]
    template: bytes

    def cpu_s(self) -> float:
        used = [process.cpu_times() for process in self.processes]
        return float(sum(one.user + one.system for one in used))

    def rss_mb(self) -> float:
        return float(sum(process.memory_info().rss for process in self.processes)) / 1e6

    def measure(self, load: str, seconds: float) -> Figure:
        """Acknowledged a second, p50 and p99 in ms, CPU µs a message of all its processes."""
        links, window = _LOADS[load]
        cpu, began = self.cpu_s(), time.perf_counter()
        run = uvloop.run(_load(self.place, self.template, links, window, seconds))
        return self._figure(load, run, len(run.waits_ms) / (time.perf_counter() - began), self.cpu_s() - cpu)

    def pace(self, seconds: float) -> Figure:
        cpu, began = self.cpu_s(), time.perf_counter()
        run = uvloop.run(paced(self.place, self.template, 10, seconds))
        return self._figure(f"{_PACE}/s", run, len(run.waits_ms) / (time.perf_counter() - began), self.cpu_s() - cpu)

    def files(self) -> int:
        return sum(process.num_fds() for process in self.processes)

    def idle(self, seconds: float) -> Iterator[Figure]:
        """100 links at 1,000/s alone and among 12,500 idle ones, in turn; the middle p99 of each, as one pause of the
        machine makes a round's."""
        before, seen = self.rss_mb(), [0.0]
        alone, among = list[_Run](), list[_Run]()
        for _ in range(_IDLE_ROUNDS):
            alone.append(uvloop.run(paced(self.place, self.template, _BUSY_LINKS, seconds)))
            idle = _among_idle(self.place, self.template, seconds, self.files, lambda: seen.append(self.rss_mb()))
            among.append(uvloop.run(idle))
        yield figure(
            f"gate, {_BUSY_LINKS} links at {_PACE}/s among {_IDLE_LINKS} idle, p99",
            median(run.share(0.99) for run in among),
            "ms",
            alone_p99_ms=median(run.share(0.99) for run in alone),
            rounds=[(one.share(0.99), other.share(0.99)) for one, other in zip(alone, among, strict=True)],
            rss_mb=round(max(seen)),
            rss_before_mb=round(before),
            wrong=sum(run.wrong for run in alone + among),
            missing=sum(run.missing for run in alone + among),
            workers=len(self.processes),
        )

    def _figure(self, load: str, run: _Run, rate: float, cpu_s: float) -> Figure:
        return figure(
            f"gate, {load}",
            rate,
            "acked/s",
            cores=len(self.processes),
            p50_ms=run.share(0.5),
            p99_ms=run.share(0.99),
            cpu_us=round(cpu_s / max(1, len(run.waits_ms)) * 1e6, 1),
            wrong=run.wrong,
            missing=run.missing,
            bytes=len(self.template),
        )


def _rows(bed: Rig, services: list[Services], template: bytes, seconds: float) -> Iterator[Figure]:
    place = address(bed.settings, "gate", "mllp_port")
    processes = [psutil.Process(one.pid(name)) for one in services for name in one.names]
    made = _Bed(place, processes, template)
    uvloop.run(_load(place, template, 10, 4, min(seconds, 3)))
    for load in _LOADS:
        yield made.measure(load, seconds)
    yield made.pace(seconds)
    yield from made.idle(seconds)


def bench(seconds: float, folder: Path | None = None) -> Iterator[Figure]:
    """One gate process, then two that share the port; generator and broker are on the same cores.

    folder: of the rivals (`peers`): then Camel is measured with the same loads, and the best of the hub beside it.
    """
    template = shipped("seeds/bench/oru_14_obx.hl7").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # handed down to the gate
    with rig(["gate"], gate_workers=2, links_max=_IDLE_LINKS + 500) as bed:
        best: dict[str, Figure] = {}
        bed.services.start()
        second = Services(bed.settings, gate_names(2)[1:], lambda _line: None)
        try:
            for services in ([bed.services], [bed.services, second]):
                if len(services) > 1:
                    second.start()
                for row in _rows(bed, services, template, seconds):
                    yield row
                    if row["value"] > best.get(row["name"], {"value": 0})["value"]:
                        best[row["name"]] = row
        finally:
            second.stop()
        bed.services.stop()
        for load, transport in _RIVALS.items() if folder else ():
            assert folder is not None
            with peers.camel(folder, bed.settings.kafka, _RIVAL_TOPIC, transport) as (place, process):
                rival = _Bed(place, [process], template)
                uvloop.run(_load(place, template, 50 if transport == "mllp" else 10, 1, 20))  # the JVM compiles
                theirs = rival.measure(load, seconds)
            ours = best[f"gate, {load}"]
            name = f"Camel {transport}, HAPI to JSON"
            yield (
                ours
                | figure(ours["name"], ours["value"], "acked/s", peer=name, peer_value=theirs["value"], cores=ours["cores"])
                | {
                    "peer_p99_ms": theirs["p99_ms"],
                    "peer_cpu_us": theirs["cpu_us"],
                    "peer_missing": theirs["missing"],
                }
            )
