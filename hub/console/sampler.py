"""One look at the hub every two seconds, for all pages of this process, and only while one is open.

Kafka is asked for offsets, never for records; PostgreSQL is asked one query a figure, by index. A figure that takes long is
asked for more rarely, so that a busy day costs no more than a quiet one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from hub.console.kafka_look import KafkaLook
from hub.console.services_look import ServiceNow, disk_free, listens, services_now
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now
from hub.contract.settings import Settings

EVERY_S: Final = 2.0
_LONG_S: Final = 60.0
_SHORT_S: Final = 10.0
_AWAY: Final = (HubError, TimeoutError, PoolTimeout, psycopg.Error)  # tables that are not there yet, too
_RARER: Final = 20.0  # a figure is asked for again after this many times what it took
_QUERY_S: Final = 5.0
_SLOWLY: Final = 5  # every so many samples: what changes slowly

WAITS: Final[Mapping[str, str]] = {
    "queued": "select count(*), min(recorded_at) from journal_delivery where state = 'QUEUED' and recipient <> ''",
    "held": "select count(*), min(recorded_at) from journal_delivery where state = 'HELD' and recipient <> ''",
    "under way": "select count(*), min(recorded_at) from journal_delivery where state = '' and recipient <> ''",
    "parked": "select count(distinct (topic, key)), min(parked_at) from parked where state = 'PARKED'",
    "dead": "select count(*), min(recorded_at) from journal_dead_letter where state = ''",
    "paused": "select count(*), min(paused_at) from recipient where paused_at is not null",
    "due": "select count(*), min(due_at) from due where due_at < now()",
}
"""Name of what waits to how many there are and since when the oldest waits."""

_TODAY: Final = """
select count(*), count(*) filter (where verdict = 'translated'), count(*) filter (where verdict = 'refused'),
       count(*) filter (where verdict = 'quarantined') from journal_message where day = %(day)s and not test"""
_DELIVERED: Final = """
select count(*) from journal_delivery
where recorded_at >= %(since)s and not test and recipient <> '' and state in ('SENT', 'ACKNOWLEDGED')"""
_JOURNAL: Final = "select topic, sum(next_offset)::bigint from journal_offset group by topic"
_INCIDENTS: Final = "select count(*), min(began) from incident where ended is null and part_of is null"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many of a kind wait, and since when the oldest does."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class TopicNow:
    """A topic: records it holds, records ever written, records a second over the last 10 and 60 s (None: not known yet)."""

    held: int
    written: int
    rate: float | None = None
    rate_long: float | None = None


@dataclass(frozen=True, slots=True)
class Lag:
    """What a reader of a topic has still to read, in records; how that changes, in records a second over the last 60 s."""

    records: int
    trend: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The hub as it was seen at one time. Where a part of it does not answer, the figures of that part are the last known.

    lags:   (reader, topic); readers are consumer groups and the journal.
    today:  received, translated, refused, quarantined, delivered; test traffic left out.
    sizes:  bytes on the disks of brokers on this machine; newest: when the last record came. Both are asked for more rarely.
    faults: kafka, database: since when it does not answer.
    """

    at: datetime | None = None
    topics: Mapping[str, TopicNow] = field(default_factory=dict)
    lags: Mapping[tuple[str, str], Lag] = field(default_factory=dict)
    waits: Mapping[str, Waiting] = field(default_factory=dict)
    today: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    newest: Mapping[str, datetime] = field(default_factory=dict)
    incidents: Waiting | None = None
    brokers: int = 0
    services: Mapping[str, ServiceNow] = field(default_factory=dict)
    disk_free_bytes: int = 0
    registry_answers: bool | None = None
    faults: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(slots=True)
class _Before:
    """What one sample saw, for differences."""

    at: float
    written: Mapping[str, int]
    lags: Mapping[tuple[str, str], int]


@dataclass
class Sampler:
    """One for a process.

    cost_s: processor time that the last sample took in this process, in seconds.
    """

    settings: Settings
    pool: AsyncConnectionPool
    now: Snapshot = field(default_factory=Snapshot)
    cost_s: float = 0.0
    _kafka: KafkaLook | None = None
    _before: deque[_Before] = field(default_factory=deque)
    _again_at: dict[str, float] = field(default_factory=dict)
    _watchers: set[Callable[[Snapshot], None]] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None
    _count: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self, told: Callable[[Snapshot], None]) -> None:
        """From now on samples are taken, and `told` gets each."""
        self._watchers.add(told)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def end(self, told: Callable[[Snapshot], None]) -> None:
        """From now on `told` gets nothing; the last one who leaves ends the sampling."""
        self._watchers.discard(told)
        if not self._watchers and self._task is not None:
            self._task.cancel()
            self._task = None

    async def fresh(self) -> Snapshot:
        """A snapshot that is no older than two samples; taken now where nobody looked before."""
        if self._is_old():
            async with self._turn:
                if self._is_old():  # nobody has taken one meanwhile
                    await self._sample()
        return self.now

    def _is_old(self) -> bool:
        return self.now.at is None or now() - self.now.at > timedelta(seconds=2 * EVERY_S)

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self.sample()
            except Exception as wrong:  # a figure that cannot be made must not end all others
                telemetry.service_broke("console", wrong)
            for told in list(self._watchers):
                try:
                    told(self.now)
                except Exception as wrong:  # nor one page those of the others
                    telemetry.service_broke("console", wrong)
            await asyncio.sleep(max(0.2, EVERY_S - (time.monotonic() - began)))

    async def sample(self) -> Snapshot:
        """Look once, one after the other. Faults of Kafka and PostgreSQL are part of what is seen."""
        async with self._turn:
            return await self._sample()

    async def _sample(self) -> Snapshot:
        spent = time.process_time()
        kept = self.now
        if self._count % _SLOWLY == 0:
            registry, services = await asyncio.gather(
                asyncio.to_thread(listens, self.settings.registry_url), asyncio.to_thread(services_now, self.settings)
            )
            free = disk_free(self.settings.data_dir)
            kept = replace(kept, services=services, disk_free_bytes=free, registry_answers=registry)
        self._count += 1
        kept, (offsets, journal) = await self._look(kept)
        if offsets is not None:
            kept = self._with_rates(kept, offsets, journal)
        self.now = replace(kept, at=now())
        self.cost_s = time.process_time() - spent
        return self.now

    async def _look(self, kept: Snapshot) -> tuple[Snapshot, tuple[Any, Mapping[str, int]]]:
        faults, offsets = dict(kept.faults), None
        journal: Mapping[str, int] = {}
        asked = asyncio.gather(asyncio.to_thread(self._offsets), self._figures(kept), return_exceptions=True)
        seen, figures = await asked
        for source, answer in (("kafka", seen), ("database", figures)):
            if isinstance(answer, _AWAY):
                faults.setdefault(source, now())
            elif isinstance(answer, BaseException):
                raise answer
            else:
                faults.pop(source, None)
        if not isinstance(seen, BaseException):
            offsets = seen
        if not isinstance(figures, BaseException):
            kept, journal = figures
        return replace(kept, faults=faults), (offsets, journal)

    # --- Kafka --------------------------------------------------------------------------------------------------------

    def _offsets(self) -> Any:
        if self._kafka is None:
            self._kafka = KafkaLook(self.settings)
        return self._kafka.look()

    def _with_rates(self, kept: Snapshot, seen: Any, journal: Mapping[str, int]) -> Snapshot:
        """Rates are differences of offsets; a topic that was made anew has none until it grew again."""
        clock = time.monotonic()
        lags = dict(seen.lags) | {
            ("journal", topic): max(0, seen.written[topic] - at) for topic, at in journal.items() if topic in seen.written
        }
        while self._before and clock - self._before[0].at > _LONG_S + EVERY_S:
            self._before.popleft()
        long = self._before[0] if self._before else None
        short = next((one for one in reversed(self._before) if clock - one.at >= _SHORT_S), long)
        self._before.append(_Before(clock, dict(seen.written), lags))
        topics = {
            name: TopicNow(seen.held[name], written, _rate(short, clock, name, written), _rate(long, clock, name, written))
            for name, written in seen.written.items()
        }
        trends = {
            key: Lag(records, (records - long.lags[key]) / (clock - long.at) if long and key in long.lags else None)
            for key, records in lags.items()
        }
        return replace(kept, topics=topics, lags=trends, brokers=seen.brokers, sizes=seen.sizes, newest=seen.newest)

    # --- PostgreSQL ---------------------------------------------------------------------------------------------------

    async def _figures(self, kept: Snapshot) -> tuple[Snapshot, Mapping[str, int]]:
        today = now().astimezone(VIETNAM).replace(hour=0, minute=0, second=0, microsecond=0)
        given = {"day": today.date(), "since": today}
        waits, counts, incidents = dict(kept.waits), dict(kept.today), kept.incidents
        async with asyncio.timeout(_QUERY_S * 2), self.pool.connection(2.0) as database:
            for name, query in WAITS.items():
                if row := await self._asked(database, name, query):
                    waits[name] = Waiting(*row)
            if row := await self._asked(database, "today", _TODAY, given):
                counts |= dict(zip(("received", "translated", "refused", "quarantined"), row, strict=True))
            if row := await self._asked(database, "delivered", _DELIVERED, given):
                counts["delivered"] = row[0]
            if row := await self._asked(database, "incidents", _INCIDENTS):
                incidents = Waiting(*row)
            journal: dict[str, int] = dict(await (await database.execute(_JOURNAL)).fetchall())
        return replace(kept, waits=waits, today=counts, incidents=incidents), journal

    async def _asked(self, database: Any, name: str, query: str, given: Mapping[str, Any] | None = None) -> Any:
        """The one row of a query, or None where it is not its turn yet."""
        began = time.monotonic()
        if began < self._again_at.get(name, 0.0):
            return None
        row = await (await database.execute(query, given)).fetchone()
        ended = time.monotonic()
        self._again_at[name] = began + max(0.0, _RARER * (ended - began) - EVERY_S / 2)
        return row


def _rate(before: _Before | None, clock: float, name: str, written: int) -> float | None:
    if before is None or name not in before.written or clock <= before.at:
        return None
    return max(0, written - before.written[name]) / (clock - before.at)
