"""The journal: every topic into an index in PostgreSQL, rows and offsets in one transaction, so that it is exact.

It belongs to no consumer group: where it stands is in `journal_offset`, beside the rows. It can be thrown away and built
anew at any time, from the archive what topics do not hold any more, then from the topics. One process writes; a second one waits until the first is gone.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from psycopg import Connection
from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow

from hub.bus import Wire, consumer, take
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.settings import Settings
from hub.contract.signals import on_end
from hub.contract.topics import topics
from hub.journal.places import Place, ends, topic_ids
from hub.journal.reread import other_records, read_again
from hub.journal.rows import KINDS, Kind, Rows, read_record
from hub.journal.watch import Watch
from hub.store.database import UNAVAILABLE, available, connect

if TYPE_CHECKING:
    from hub.journal.spans import Spans

_LOCK: Final = 7302
_TABLES: Final = (
    "journal_offset, journal_undecodable, journal_message, journal_event, journal_delivery, journal_receipt, journal_dead_letter,"
    " journal_traffic"
)
_TAKEOVER_S: Final = 30.0
_WATCH_ENDS_S: Final = 5.0
_END_HOLDER: Final = """
select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = 0 and objid = %s and granted
    and database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()
"""
_ARCHIVE: Final = ("ARCHIVE_UNAVAILABLE", "DISK_FULL")
_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)

Offsets = dict[Place, int]


def indexed_topics() -> dict[str, Kind]:
    """Topic to what the journal keeps of its records. Requests, controls and audit events have no place in the books."""
    return {name: kind for name, topic in topics().items() if (kind := KINDS.get(topic.record)) is not None}


# --- where it stands --------------------------------------------------------------------------------------------------


def _positions(database: Connection[TupleRow]) -> Offsets:
    return {(row[0], row[1]): row[2] for row in database.execute("select topic, partition, next_offset from journal_offset")}


def behind(settings: Settings) -> dict[str, int]:
    """How many records of each topic the journal has still to read.

    Raises: HubError(BROKER_UNAVAILABLE), HubError(DATABASE_UNAVAILABLE).
    """
    there = ends(settings.kafka, indexed_topics())
    with available(), connect(settings.database_url.get_secret_value()) as database:
        at = _positions(database)
    found = dict.fromkeys(indexed_topics(), 0)
    for (topic, partition), (first, end) in there.items():
        found[topic] += max(0, end - max(at.get((topic, partition), 0), first))
    return found


def lag(settings: Settings) -> int:
    """How many records the journal has still to read. Raises: as `behind`."""
    return sum(behind(settings).values())


def caught_up(settings: Settings) -> bool:
    """Whether the journal has read all topics to their end. Raises: as `lag`."""
    return lag(settings) == 0


def rebuild(settings: Settings, *, anyway: bool = False) -> int:
    """Forget the index and build it anew: from the archive what topics do not hold any more; the rest the journal reads itself.

    A journal that runs loses its place for the time, and goes on by itself afterwards; if this is interrupted, it does it all.
    anyway:  also when it will know less than now, as neither archive nor topics go back as far as it does.
    Returns: how many records were read from the archive.
    Raises:  HubError(INDEX_IRREPLACEABLE) if it would know less; nothing was forgotten then. HubError(DATABASE_UNAVAILABLE,
             BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, ARCHIVE_UNAVAILABLE).
    """
    wire = Wire(settings.registry_url)
    with available(), connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        database.execute("set lock_timeout = '1s'")
        deadline = time.monotonic() + _TAKEOVER_S
        while True:
            try:
                database.execute(_END_HOLDER, (_LOCK,))
                database.execute("select pg_advisory_lock(%s)", (_LOCK,))
                break
            except LockNotAvailable:
                if time.monotonic() > deadline:
                    raise HubError("DATABASE_UNAVAILABLE", "another journal holds the index") from None
        database.execute("set lock_timeout = 0")
        there = ends(settings.kafka, indexed_topics())
        if not anyway and (lost := _irreplaceable(settings, database, there)):
            raise HubError(
                "INDEX_IRREPLACEABLE", f"{lost[0][0]}/{lost[0][1]} and {len(lost) - 1} more partitions; --anyway does it"
            )
        for _page in _archived(settings, {}, there):
            pass  # once before the index goes: what cannot be read would not come back
        database.execute(f"truncate {_TABLES}")
        return fill(settings, database, wire, {}, there)


def _irreplaceable(settings: Settings, database: Connection[TupleRow], there: Mapping[Place, tuple[int, int]]) -> list[Place]:
    """Partitions of which the index knows records that neither the topic nor the archive holds any more."""
    from hub.journal.archive import Archive

    rows = database.execute("select topic, partition, first_offset from journal_offset").fetchall()
    older = [((topic, partition), first) for topic, partition, first in rows if first < there.get((topic, partition), (0, 0))[0]]
    archive = Archive.open(settings.archive) if older else None
    held = archive.reaches() if archive is not None else {}
    ids = topic_ids(settings.kafka) if older else {}
    lost = []
    for (topic, partition), first in older:
        start, end = held.get((ids[topic], partition), (0, 0))
        if start > first or end < there[topic, partition][0]:
            lost.append((topic, partition))
    return lost


def fill(
    settings: Settings,
    database: Connection[TupleRow],
    wire: Wire,
    at: Offsets,
    there: Mapping[Place, tuple[int, int]],
    stop: threading.Event | None = None,
) -> int:
    """Index from the archive what lies between where the index stands and where the topics begin now.

    at:      brought forward, to where the archive ends, for every partition that was read from it.
    there:   first and next offset of every partition.
    Returns: how many records were read.
    """
    count = 0
    for page in _archived(settings, at, there):
        if stop is not None and stop.is_set():
            break
        index(database, wire, page, at)
        count += len(page)
    return count


def _archived(settings: Settings, at: Mapping[Place, int], there: Mapping[Place, tuple[int, int]]) -> Iterator[list[Message]]:
    """The pages that `fill` reads. A partition that cannot be read holds up no other: its fault is raised at the end."""
    missing = [place for place, (first, _end) in there.items() if at.get(place, 0) < first]
    if not missing:
        return
    from hub.journal.archive import Archive  # polars and duckdb with it, which `hie status` can do without

    archive, fault = Archive.open(settings.archive), None
    if archive is not None:
        ids = topic_ids(settings.kafka)
        for place in missing:
            topic, partition = place
            try:
                # Never past the end of the topic: an archive that is ahead of it tells of records whose offsets are others now.
                yield from archive.records(topic, ids[topic], partition, at.get(place, 0), end=there[place][1])
            except HubError as broken:
                fault = HubError(broken.code, f"{topic}/{partition}: {broken.where}")
    if fault is not None:
        raise fault


# --- the work ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Journal:
    """One reader, one connection; both are thrown away when either fails, and the next pair goes on from the rows."""

    settings: Settings
    stop: threading.Event = field(default_factory=threading.Event)
    read_until: datetime | None = None  # everything that the topics held then is indexed
    spans: "Spans | None" = None  # told beside the index, where a collector is named
    _sent_back: set[Place] = field(default_factory=set)
    _unfilled: int = 0  # tries, one after the other, in which the archive could not be read

    def run(self, ready: Callable[[dict[str, object]], None] = lambda _facts: None) -> None:
        """Index until stopped. Faults of Kafka, registry and PostgreSQL are waited out; ready is told once, when it reads."""
        failures = 0
        told: list[bool] = []

        def once(facts: dict[str, object]) -> None:
            nonlocal failures
            failures = 0
            if not told:
                told.append(True)
                ready(facts)

        while not self.stop.is_set():
            try:
                self.follow(once)
            except HubError as error:
                if not error.retriable:
                    raise
                telemetry.fault("journal", error.code, error.where)
            except UNAVAILABLE:
                telemetry.fault("journal", "DATABASE_UNAVAILABLE")
            except KafkaException:
                telemetry.fault("journal", "BROKER_UNAVAILABLE")
            self.stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1

    def follow(self, ready: Callable[[dict[str, object]], None]) -> None:
        """Read from where the rows end, until stopped. Raises: what Kafka, the registry and PostgreSQL raise when away."""
        wire = Wire(self.settings.registry_url)
        with available(), connect(self.settings.database_url.get_secret_value()) as database:
            database.autocommit = True
            if not self._alone(database):
                return
            there = ends(self.settings.kafka, indexed_topics())
            at = self._start(database, wire, there)
            self._fill(database, wire, at, there)
            with closing(consumer(self.settings.kafka, "journal")) as reader:
                _assign(reader, at)
                ready({"topics": len(indexed_topics())})
                while not self.stop.is_set():
                    messages = take(reader, self.settings.journal_batch, 0.5)
                    if len(messages) < self.settings.journal_batch:
                        self.read_until = now()
                    if messages:
                        self._not_behind(messages, at)
                        index(database, wire, messages, at, self.spans)
                    else:
                        database.execute("select 1")  # so that in quiet hours too a rebuild's taking the lock is noticed

    def _fill(self, database: Connection[TupleRow], wire: Wire, at: Offsets, there: Mapping[Place, tuple[int, int]]) -> None:
        """As `fill`. An archive that stays unreadable is told, and the topics are read without it: what is new matters more."""
        try:
            fill(self.settings, database, wire, at, there, self.stop)
        except HubError as broken:
            self._unfilled += 1
            if broken.code not in _ARCHIVE or self._unfilled < len(_BACKOFF_S):
                raise
            telemetry.fault("journal", broken.code, f"{broken.where}; once it is mended, `hie journal rebuild`")
        self._unfilled = 0

    def _alone(self, database: Connection[TupleRow]) -> bool:
        """Hold the lock, which ends with the connection; false when stopped before it was free."""
        while not self.stop.is_set():
            row = database.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
            if row is not None and row[0]:
                return True
            self.stop.wait(1.0)
        return False

    def _start(self, database: Connection[TupleRow], wire: Wire, there: Mapping[Place, tuple[int, int]]) -> Offsets:
        """Next offset of every partition.

        Partitions that lost records are read once more. A journal of other topics begins anew.
        """
        at = _positions(database)
        cut = {place for place, (_first, end) in there.items() if at.get(place, 0) > end} | self._sent_back
        others, same = other_records(database, wire, self.settings.kafka, there)
        if not cut and not others:
            return {place: at.get(place, 0) for place in there}
        if same:
            # What has no place in the index cannot be told from what was lost: it is read once more whole.
            unplaced = {place for place in there if indexed_topics()[place[0]] != "event"}
            read_again(database, cut | others | unplaced, there)
        else:
            telemetry.fault("journal", "NOT_FOUND", "topics made anew: the index is built again")
            database.execute(f"truncate {_TABLES}")
        self._sent_back = set()
        at = _positions(database)
        return {place: at.get(place, 0) for place in there}

    def _not_behind(self, messages: Sequence[Message], at: Mapping[Place, int]) -> None:
        """Raises: HubError(TOPIC_CUT) where Kafka has sent the reader back, as it lost what was read already."""
        for message in messages:
            place = (message.topic() or "", message.partition() or 0)
            if (message.offset() or 0) < at.get(place, 0):
                self._sent_back.add(place)
                raise HubError("TOPIC_CUT", f"{place[0]}/{place[1]}/{message.offset()}")


def _assign(reader: Consumer, at: Mapping[Place, int]) -> None:
    reader.assign([TopicPartition(topic, partition, offset) for (topic, partition), offset in at.items()])


def index(
    database: Connection[TupleRow], wire: Wire, messages: Sequence[Message], at: Offsets, spans: "Spans | None" = None
) -> Rows:
    """Index one batch and move the offsets, in one transaction.

    at:    next offset of every partition; brought forward when the transaction is committed.
    spans: get what was indexed, once it is.
    """
    rows, ends = Rows(), dict[Place, tuple[int, int]]()
    for message in messages:
        place = (message.topic() or "", message.partition() or 0)
        offset = message.offset() or 0
        if offset < at.get(place, 0):
            continue  # before where the rows end: indexed already
        rows.add(read_record(wire, message))
        ends[place] = (ends.get(place, (offset, 0))[0], offset + 1)
    with database.transaction():
        repeats = rows.write(database)
        _move(database, ends, repeats)
        made = spans.made(database, rows) if spans is not None else []
    at |= {place: end for place, (_, end) in ends.items()}
    if spans is not None:
        spans.send(made)
    for kind, count in rows.counts().items():
        telemetry.journal_indexed(kind, count)
    return rows


def _move(database: Connection[TupleRow], ends: Mapping[Place, tuple[int, int]], repeats: Mapping[str, int]) -> None:
    """Repeats are counted per topic, on one of its partitions: what has to add up is the topic."""
    left = defaultdict(int, repeats)
    values = [(topic, partition, first, end, left.pop(topic, 0)) for (topic, partition), (first, end) in sorted(ends.items())]
    columns = [list(column) for column in zip(*values, strict=True)]
    if columns:
        database.execute(_MOVE, columns)


_MOVE: Final = """
insert into journal_offset (topic, partition, first_offset, next_offset, repeats)
select * from unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[])
on conflict (topic, partition) do update
set next_offset = excluded.next_offset, repeats = journal_offset.repeats + excluded.repeats
"""


def run(settings: Settings, ready: Callable[[dict[str, object]], None]) -> None:
    """The journal as a process: blocks until SIGTERM or SIGINT."""
    journal = Journal(settings)
    on_end(journal.stop.set)
    if settings.otlp_endpoint:
        from hub.journal.spans import Spans  # what it takes to tell them, only where they are told

        journal.spans = Spans(settings.otlp_endpoint, settings.otlp_share)
    watch = threading.Thread(target=Watch(settings, lambda: journal.read_until, journal.stop).run, name="watch", daemon=True)
    watch.start()
    journal.run(ready)
    watch.join(_WATCH_ENDS_S)
    if journal.spans is not None:
        journal.spans.close()
    telemetry.service_stopping("journal")
