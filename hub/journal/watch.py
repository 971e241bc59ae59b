"""The watch: once a minute it looks at the traffic that the journal counted, and keeps incidents in their table.

A thread of the journal's process with a connection of its own, so indexing waits for nothing. It looks only while the journal
is up to date: what is not indexed yet would look like silence. Rhythms are learned a few feeds at a time and kept in memory;
incidents that are open are taken up again from the table. Counts, and incidents that have ended, it keeps for 400 days.
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import log10
from time import monotonic
from typing import Any, Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb

from hub.contract import telemetry
from hub.contract.directory import facilities
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.settings import Settings
from hub.contract.slip_life import holidays
from hub.journal.incidents import RECEIVED, Book, Feed, Incident, Known, Unit, own
from hub.journal.rhythm import LEARN_H, NATION, WINDOW_H, Calendar, Hour, Rhythm, learn, week_of
from hub.journal.traffic import ByHour, feeds, forget_counts, hour_of, in_hours, of_feed, of_feeds, time_of
from hub.store.database import UNAVAILABLE, available, connect

_EVERY_S: Final = 60.0
_BEHIND: Final = timedelta(minutes=2)
_YOUNG_H: Final = 72  # of a feed that is known for less nothing is said
_AGAIN_H: Final = 24  # a rhythm is learned anew so often
_LEARNING_S: Final = 2.0  # of a look
_GROUP: Final = 3
_HOUR_S: Final = 3600.0
_KEPT: Final = timedelta(days=400)  # a year, and the month to compare with the one a year ago
_FORGOTTEN: Final = 10_000  # rows of a look: more than a minute brings, and soon deleted


@dataclass(slots=True)
class Watch:
    """What is known and open.  as_of: up to when the journal has read everything, or None."""

    settings: Settings
    as_of: Callable[[], datetime | None]
    stop: threading.Event
    known: Known = field(default_factory=lambda: Known(Calendar.of(holidays())))
    book: Book = field(default_factory=Book)
    first: dict[Feed, Hour] = field(default_factory=dict)
    last: dict[Feed, float] = field(default_factory=dict)
    alike: dict[int, tuple[float, ...]] = field(default_factory=dict)  # the week of feeds of a size (decimal digits)
    usual: dict[str, float] = field(default_factory=dict)  # parts of all messages
    _learned: dict[Unit, Hour] = field(default_factory=dict)
    _judged: Hour = 0

    def run(self) -> None:
        """Look once a minute until stopped; a database that is away is waited for."""
        while not self.stop.wait(_EVERY_S):
            at = self.as_of()
            if at is None or now() - at > _BEHIND:
                continue
            try:
                with available(), connect(self.settings.database_url.get_secret_value(), autocommit=True) as database:
                    self.look(database, at)
            except HubError as away:
                if not away.retriable:
                    raise
                telemetry.fault("watch", away.code, away.where)
            except UNAVAILABLE:
                telemetry.fault("watch", "DATABASE_UNAVAILABLE")

    def look(self, database: Connection[TupleRow], at: datetime, learning_s: float = _LEARNING_S) -> None:
        """One look: who was heard, what is usual, what is not; incidents into their table."""
        hour, exact = hour_of(at), at.timestamp() / _HOUR_S
        if not self.last:
            self.book.open = open_incidents(database)
        self._hear(database, hour, exact)
        self._learn(database, hour, learning_s)
        changed = self.book.silences(self.known, self.last, exact)
        if hour > self._judged:
            self._judged = hour
            changed += self.book.anomalies(self.known, in_hours(database, hour - WINDOW_H, hour), self.last, hour)
        keep(database, [*changed, *(one for one in self.book.open if one not in changed)])
        _tell(changed, self.book.open)
        forget_counts(database, at - _KEPT, _FORGOTTEN)
        forget(database, at - _KEPT, _FORGOTTEN)

    def _hear(self, database: Connection[TupleRow], hour: Hour, exact: float) -> None:
        for feed, (first, latest) in feeds(database, hour - (2 if self.last else LEARN_H)).items():
            if feed not in self.first:
                if not feed.facility:  # bytes of which nothing could be read
                    continue
                self.first[feed] = first
                facility = facilities().get(feed.facility)
                self.known.add(feed, facility.dialect if facility is not None else "")
            self.last[feed] = max(self.last.get(feed, 0.0), min(latest + 1.0, exact))
        for one in self.book.open:  # members that are kept no traffic of
            for feed in one.members - self.last.keys():
                self.last[feed] = one.began

    def _learn(self, database: Connection[TupleRow], hour: Hour, seconds: float) -> None:
        """The rhythms that are missing or a day old, as far as the time goes; those of groups when all feeds have theirs."""
        until = monotonic() + seconds
        single = [own(feed) for feed, first in self.first.items() if hour - first >= _YOUNG_H]
        if not self._learned:
            self._usual(database, hour)
        for unit in self._due(single, hour):
            if monotonic() > until:
                return
            feed = Feed(*unit.name.rsplit("/", 1))
            self._take(unit, of_feed(database, feed, hour - LEARN_H, hour), max(self.first[feed], hour - LEARN_H), hour)
        for unit in self._due([one for one, members in self.known.members.items() if len(members) >= _GROUP], hour):
            if monotonic() > until:
                return
            members = self.known.members[unit]
            first = max(min(self.first[feed] for feed in members), hour - LEARN_H)
            self._take(unit, of_feeds(database, members, first, hour), first, hour)
            if unit.kind == "hub":  # once a day
                self._usual(database, hour)
                sizes: dict[int, list[Rhythm]] = {}
                for one in single:
                    if (rhythm := self.known.rhythms.get(one)) is not None:
                        sizes.setdefault(_size(rhythm.weekly), []).append(rhythm)
                self.alike = {size: week_of(rhythms) for size, rhythms in sizes.items()}

    def _due(self, units: Iterable[Unit], hour: Hour) -> list[Unit]:
        return [unit for unit in units if self._learned.get(unit, -_AGAIN_H) + _AGAIN_H <= hour]

    def _take(self, unit: Unit, past: ByHour, first: Hour, hour: Hour) -> None:
        self._learned[unit] = hour
        received = past.get(RECEIVED, {})
        weeks = max(hour - first, 1) / 168
        alike = self.alike.get(_size(sum(received.values()) / weeks), NATION)
        shares = {what: past.get(what, {}) for what in self.usual if what != RECEIVED}
        rhythm = learn(received, first, self.known.calendar.slots(first, hour), alike, shares, self.usual)
        if rhythm is None:
            self.known.rhythms.pop(unit, None)
        else:
            self.known.rhythms[unit] = rhythm

    def _usual(self, database: Connection[TupleRow], hour: Hour) -> None:
        rows = database.execute(
            "select what, sum(messages)::float8 from journal_traffic where hour >= %s group by what", (time_of(hour - LEARN_H),)
        )
        totals: dict[str, float] = dict(rows.fetchall())
        self.usual = {what: total / totals[RECEIVED] for what, total in totals.items()} if RECEIVED in totals else {}


def _size(weekly: float) -> int:
    return int(log10(weekly + 1))


def _tell(changed: Sequence[Incident], still_open: Sequence[Incident]) -> None:
    for one in changed:
        if one.ended is None and not one.told:
            one.told = True
            telemetry.incident_opened(one.kind, one.cause.kind, one.cause.name, len(one.members))
        elif one.ended is not None:
            telemetry.incident_ended(one.kind, one.cause.kind, one.cause.name, round(one.ended - one.began, 1))
    telemetry.incidents_open([one.kind for one in still_open])


# --- the table --------------------------------------------------------------------------------------------------------


def keep(database: Connection[TupleRow], incidents: Sequence[Incident]) -> None:
    """Write incidents as they stand; those that are new get an id."""
    with database.transaction():
        for one in incidents:
            one.id = one.id or str(uuid.uuid4())
        for one in incidents:
            database.execute(
                _KEEP,
                {
                    "id": one.id, "kind": one.kind, "cause_kind": one.cause.kind, "cause": one.cause.name,
                    "members": sorted("/".join(feed) for feed in one.members), "began": time_of(one.began),
                    "noticed": time_of(one.noticed), "ended": None if one.ended is None else time_of(one.ended),
                    "part_of": one.into.id if one.into is not None else None, "missing": one.missing,
                    "figures": Jsonb({
                        "what": one.what, "usual": one.usual, "seen": one.seen, "surprise": one.surprise, "usually": one.usually,
                        "core": sorted("/".join(feed) for feed in one.core),
                    }),
                },
            )  # fmt: skip


_KEEP: Final = """
insert into incident (id, kind, cause_kind, cause, members, began, noticed, ended, part_of, missing, figures)
values (%(id)s, %(kind)s, %(cause_kind)s, %(cause)s, %(members)s, %(began)s, %(noticed)s, %(ended)s, %(part_of)s, %(missing)s,
        %(figures)s)
on conflict (id) do update set members = excluded.members, ended = excluded.ended, part_of = excluded.part_of,
    missing = excluded.missing, figures = excluded.figures
"""


def forget(database: Connection[TupleRow], until: datetime, most: int) -> None:
    """Delete so many incidents that ended before, but for those of a day that a legal hold keeps."""
    database.execute(_FORGET, (until, until, most))


_FORGET: Final = """
delete from incident where id in (
    select id from incident where noticed < %s and ended < %s and not exists (
        select from legal_hold where ended_at is null
        and (incident.ended at time zone 'Asia/Ho_Chi_Minh')::date >= first_day
        and (incident.began at time zone 'Asia/Ho_Chi_Minh')::date <= coalesce(last_day, '9999-12-31'))
    limit %s)
"""


def open_incidents(database: Connection[TupleRow]) -> list[Incident]:
    """Those that have not ended, to go on with."""
    return [
        Incident(
            row["kind"], Unit(row["cause_kind"], row["cause"]), _feeds(row["members"]),
            row["began"].timestamp() / _HOUR_S, row["noticed"].timestamp() / _HOUR_S, missing=row["missing"],
            what=row["figures"]["what"], usual=row["figures"]["usual"], seen=row["figures"]["seen"],
            surprise=row["figures"]["surprise"], core=frozenset(_feeds(row["figures"]["core"])),
            usually=row["figures"]["usually"], id=str(row["id"]), told=True,
        )
        for row in incidents(database, all_of_them=False)
    ]  # fmt: skip


def incidents(database: Connection[TupleRow], *, all_of_them: bool, limit: int = 200) -> list[dict[str, Any]]:
    """Rows of the table, the newest first: those that are open, or all but what became part of another."""
    condition = "part_of is null" if all_of_them else "ended is null"
    with database.cursor(row_factory=dict_row) as cursor:
        statement = f"select * from incident where {condition} order by noticed desc, id limit {limit}"  # noqa: S608  # constants only
        return cursor.execute(statement.encode()).fetchall()


def rhythm_now(database: Connection[TupleRow], feed: Feed, at: datetime) -> tuple[Rhythm | None, Hour | None]:
    """What is usual for one feed, learned on the spot from its own past, and the hour it was last heard in."""
    hour = hour_of(at)
    received = of_feed(database, feed, hour - LEARN_H, hour + 1).get(RECEIVED, {})
    if not received:
        return None, None
    first = min(received)
    return learn(received, first, Calendar.of(holidays()).slots(first, max(hour, first + 1))), max(received)


def feed_now(database: Connection[TupleRow], feed: Feed, at: datetime) -> dict[str, Any]:
    """What is usual for a feed and how it is now, for `hie watch feed` and the sender's page.

    Returns: sender, facility, last_heard_hour (None: not in eight weeks); where enough is known also weekly, expected_this_hour,
             expected_since (the last hour it was heard in), silent, and week: messages by hour of the week, from Monday.
    """
    rhythm, heard = rhythm_now(database, feed, at)
    hour, exact = hour_of(at), at.timestamp() / _HOUR_S
    facts: dict[str, Any] = {
        "sender": feed.sender, "facility": feed.facility, "last_heard_hour": None if heard is None else time_of(heard),
    }  # fmt: skip
    if rhythm is not None and heard is not None:
        calendar, since = Calendar.of(holidays()), heard + 1.0
        facts |= {
            "weekly": rhythm.weekly,
            "expected_this_hour": rhythm.expected(hour, hour + 1, calendar),
            "expected_since": rhythm.expected(since, exact, calendar),
            "silent": rhythm.silent(rhythm.silence(since, exact, calendar)),
            "week": rhythm.rate,
        }
    return facts


def incident(database: Connection[TupleRow], id_: UUID) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """One row of the table, and the newest 200 of those that became part of it."""
    with database.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("select * from incident where id = %s", (id_,)).fetchone()
        parts = cursor.execute("select * from incident where part_of = %s order by noticed desc limit 200", (id_,)).fetchall()
    return found, parts


def incidents_of(database: Connection[TupleRow], sender: str, facility: str = "") -> list[dict[str, Any]]:
    """The newest ten among the latest 1,000 incidents that name a sender, or one feed of it."""
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_OF_SENDER, {"sender": sender, "facility": facility}).fetchall()


_OF_SENDER: Final = """
select * from (select * from incident order by noticed desc limit 1000) as latest
where exists (select 1 from unnest(members) as member where
    case when %(facility)s = '' then starts_with(member, %(sender)s || '/') else member = %(sender)s || '/' || %(facility)s end)
order by ended is not null, noticed desc limit 10
"""


def _feeds(members: Iterable[str]) -> set[Feed]:
    return {Feed(*member.rsplit("/", 1)) for member in members}
