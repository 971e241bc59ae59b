"""Delivery: from `delivery.v1` through the mailboxes to 1,000 recipients that pull over HTTP and acknowledge each one.

One mailbox service, real Kafka and PostgreSQL. The recipients are tasks of this process, so its CPU is on the same machine;
what the service and the database spent is told apart.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import psutil
import psycopg
import uvloop

from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.bench import Figure, figure
from hub.bench.rig import Rig, rig
from hub.bus import Out, Producer, Wire, event_out
from hub.cli.running import keyring
from hub.contract.events import derive, now
from hub.contract.topics import topic_of
from hub.services import address
from hub.simulate import results

_RECIPIENTS: Final = 1_000
_EVENTS: Final = 500  # different ones; each is delivered many times, to others and by another rule
_DELIVERIES: Final = 10_000
_PACE: Final = 2_000  # deliveries a second, spread over all recipients
_PATIENCE_S: Final = 120.0
_RULE: Final = "bench"


def _deliveries(bed: Rig, wire: Wire, name: str, count: int) -> list[Out]:
    """Results of 14 lines, addressed to the recipients in turn."""
    keys = keyring(bed.settings)
    events = [
        (record, event, wire.pack(topic_of(record), event))
        for raw in results(1, _EVENTS)
        for record, event in translate(Received(raw, now(), "mllp"), keys).events
    ]
    made = []
    for number in range(count):
        record, event, body = events[number % len(events)]
        recipient, meta = f"R{number % _RECIPIENTS:04d}", event["meta"]
        content = {
            "recipient": recipient,
            "subject_event_id": meta["event_id"],
            "subject_record": record,
            "subject_topic": topic_of(record),
            "lane": "routine",
            "rule": _RULE,
            "body": body,
        }
        sent = derive(
            "hie.Delivery",
            content,
            parents=[event],
            rule=f"{_RULE} {name} {number}",
            facility=meta["facility"],
            key=recipient,
            revision=meta["revision"],
            to=recipient,
        )
        made.append(event_out(wire, "delivery.v1", sent))
    return made


# --- the recipients ---------------------------------------------------------------------------------------------------


@dataclass
class _Run:
    """What all recipients share.  sent_at: when the producer was given each delivery, by its id; waits_ms: until it was acknowledged."""

    wanted: int
    acknowledged: int = 0
    requests: int = 0
    busy: int = 0
    anew: int = 0
    pulled: set[str] = field(default_factory=set)
    twice: int = 0
    sent_at: dict[str, float] = field(default_factory=dict)
    waits_ms: list[float] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def share(self, part: float) -> float:
        waits = sorted(self.waits_ms)
        return round(waits[int(len(waits) * part)], 1) if waits else 0.0

    def take(self, ids: Sequence[str]) -> None:
        clock = time.perf_counter()
        for one in ids:
            self.twice += one in self.pulled
            self.pulled.add(one)
            if one in self.sent_at:
                self.waits_ms.append((clock - self.sent_at[one]) * 1000)
        self.acknowledged += len(ids)
        if self.acknowledged >= self.wanted:
            self.done.set()


@dataclass(slots=True)
class _Client:
    """One connection, kept while the service keeps it; what is busy (503) is asked again."""

    run: _Run
    place: tuple[str, int]
    link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, head: str, body: bytes = b"") -> Any:
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        while True:
            self.run.requests += 1
            try:
                answered, content = await self._answer(f"{head} HTTP/1.1\r\nHost: hub\r\n{length}\r\n".encode() + body)
            except (ConnectionError, asyncio.IncompleteReadError):  # idle for too long
                self.close()
                self.run.anew += 1
                continue
            if answered.startswith("http/1.1 200"):
                return orjson.loads(content)
            assert answered.startswith("http/1.1 503"), answered
            self.run.busy += 1
            await asyncio.sleep(5)  # as its Retry-After says

    async def _answer(self, request: bytes) -> tuple[str, bytes]:
        if self.link is None:
            self.link = await asyncio.open_connection(*self.place, limit=2**24)
        reader, writer = self.link
        writer.write(request)
        answered = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        return answered, await reader.readexactly(int(answered.partition("content-length:")[2].partition("\r\n")[0]))

    def close(self) -> None:
        if self.link is not None:
            self.link[1].close()
            self.link = None


async def _recipient(run: _Run, place: tuple[str, int], code: str, cursor: int) -> None:
    """What a vendor's program does: ask behind the cursor, acknowledge what came, ask again."""
    client = _Client(run, place)
    try:
        while not run.done.is_set():
            page = await client.ask(f"GET /v1/inbox/{code}?after={cursor}&limit=100&wait=20")
            cursor = page["cursor"]
            ids = [one["delivery_id"] for one in page["deliveries"]]
            if ids:
                said = orjson.dumps([{"delivery_id": one, "state": "ACKNOWLEDGED"} for one in ids])
                answers = await client.ask(f"POST /v1/inbox/{code}/receipts", said)
                assert {one["state"] for one in answers} == {"ACKNOWLEDGED"}
                run.take(ids)
    finally:
        client.close()


@asynccontextmanager
async def _recipients(run: _Run, place: tuple[str, int], cursor: int) -> AsyncIterator[None]:
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(_recipient(run, place, f"R{number:04d}", cursor)) for number in range(_RECIPIENTS)
    ]
    done: asyncio.Task[Any] = asyncio.create_task(run.done.wait())
    try:
        yield
        await asyncio.wait((done, *tasks), timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in (done, *tasks):
            task.cancel()
        await asyncio.gather(done, *tasks, return_exceptions=True)


async def _backlog(run: _Run, place: tuple[str, int]) -> float:
    began = time.perf_counter()
    async with _recipients(run, place, 0):
        pass
    return time.perf_counter() - began


async def _paced(run: _Run, place: tuple[str, int], producer: Producer, records: Sequence[Out], cursor: int) -> float:
    """Deliveries come at a steady rate while all recipients wait."""
    async with _recipients(run, place, cursor):
        await asyncio.sleep(2)
        began = time.perf_counter()
        step = _PACE // 50
        for first in range(0, len(records), step):
            due = began + first / _PACE
            await asyncio.sleep(due - time.perf_counter())
            some = records[first : first + step]
            for one in some:
                run.sent_at[dict(one.headers)["ce_id"].decode()] = due
            producer.send(some, lambda _code: None)
    return time.perf_counter() - began


# --- the stages -------------------------------------------------------------------------------------------------------


def _database_cpu_s(folder: Path) -> float:
    """CPU seconds of the local PostgreSQL of this folder, server processes that ended left out."""
    used = 0.0
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or ()) and "postgres" in str(process.info["cmdline"]):
            for one in (process, *process.children(recursive=True)):
                times = one.cpu_times()
                used += times.user + times.system
    return used


@dataclass
class _Meter:
    """CPU of the service and of the database since the last look."""

    bed: Rig
    service_s: float = 0.0
    database_s: float = 0.0

    def spent_us(self, items: int) -> dict[str, float]:
        service, database = self.bed.cpu_s("mailbox"), _database_cpu_s(self.bed.settings.data_dir)
        spent = {
            "cpu_us": round((service - self.service_s) / items * 1e6, 1),
            "database_cpu_us": round((database - self.database_s) / items * 1e6, 1),
        }
        self.service_s, self.database_s = service, database
        return spent


def _stored(connection: psycopg.Connection[Any], count: int) -> float:
    """Wait until so many stand in mailboxes; the time of the last look."""
    deadline = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < deadline:
        row = connection.execute("select sum(seq) from recipient").fetchone()
        if row and row[0] and row[0] >= count:
            break
        time.sleep(0.05)
    return time.perf_counter()


def bench(seconds: float) -> Iterator[Figure]:
    """Into the mailboxes; out of them by pull with receipts; and both at a steady pace."""
    with rig(["mailbox"]) as bed, psycopg.connect(bed.settings.database_url.get_secret_value(), autocommit=True) as connection:
        wire = Wire(bed.settings.registry_url)
        producer = Producer(bed.settings.kafka, wait_s=60)
        producer.publish_blocking(_deliveries(bed, wire, "backlog", _DELIVERIES))
        bed.services.start()
        meter, began = _Meter(bed), time.perf_counter()
        meter.spent_us(1)
        first = _held(connection)
        spent = _stored(connection, _DELIVERIES) - began
        stored = _DELIVERIES - first
        row = figure("delivery, into 1,000 mailboxes", stored / spent, "deliveries/s", deliveries=stored)
        yield row | meter.spent_us(stored)

        place = address(bed.settings, "mailbox", "inbox_port")
        run = _Run(_DELIVERIES)
        spent = uvloop.run(_backlog(run, place))
        yield _told("delivery, pulled and acknowledged by 1,000", run, spent, meter)

        records = _deliveries(bed, wire, "paced", int(_PACE * max(5.0, seconds)))
        run = _Run(len(records))
        meter.spent_us(1)
        spent = uvloop.run(_paced(run, place, producer, records, _DELIVERIES // _RECIPIENTS))
        producer.close()
        yield _told(f"delivery, {_PACE:,}/s through mailboxes to 1,000 that wait", run, spent, meter)


def _held(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("select coalesce(sum(seq), 0) from recipient").fetchone()
    return int(row[0]) if row else 0


def _told(name: str, run: _Run, spent: float, meter: _Meter) -> Figure:
    """twice: pulled again though the cursor was past it; missing: never came; busy: answers 503; anew: connections made again."""
    facts = {
        "requests": run.requests,
        "busy": run.busy,
        "anew": run.anew,
        "twice": run.twice,
        "missing": run.wanted - run.acknowledged,
    }
    done = max(1, run.acknowledged)
    waits = {"p50_ms": run.share(0.5), "p99_ms": run.share(0.99)} if run.waits_ms else {}
    return figure(name, run.acknowledged / spent, "deliveries/s") | facts | waits | meter.spent_us(done)
