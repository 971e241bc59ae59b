"""Erasure: everything that the hub keeps of some keys, out of every store, so that the books still close.

In this order, each step such that it may be done again: what there is, and whether it may go; the table of what is forgotten, with all of
PostgreSQL, in one transaction; dead letters closed; ledgers; the archive. Whoever is killed in between leaves keys that are
begun and not finished, and `unfinished` names them.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from deltalake import DeltaTable
from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bus import Producer, Wire
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.insurer import forgetting as of_ledger
from hub.insurer.ledger import committed, ledger_folder
from hub.journal import dead_letters
from hub.journal import forgetting as of_archive
from hub.journal.archive import Archive, private
from hub.journal.consumer import indexed_topics
from hub.journal.forgetting import Traces
from hub.journal.places import Place, ends, topic_ids
from hub.keep import forget_tables
from hub.store import forgotten
from hub.store.forgotten import Request
from hub.store.holds import IN_FORCE, is_held

Database = Connection[TupleRow]

_PATIENCE_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.5
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What would go.

    tables:  as `forget_tables.counts`.
    ledgers: payer to table to rows.
    others:  events of other keys that came in the same messages: they stay, the bytes of those messages go.
    days:    on which any of it was written (Asia/Ho_Chi_Minh).
    """

    traces: Traces
    tables: dict[str, int]
    ledgers: dict[str, dict[str, int]]
    others: int
    days: frozenset[date]

    @property
    def nothing(self) -> bool:
        """Whether there is nothing that is not forgotten already."""
        return (
            not self.traces.rows
            and not any(self.tables.values())
            and not any(any(rows.values()) for rows in self.ledgers.values())
        )

    def as_dict(self) -> dict[str, Any]:
        """For programs: keys (hashed), what goes by store, first and last day. Nothing of a person."""
        archive: dict[str, int] = {}
        for row in self.traces.rows:
            archive[row.topic] = archive.get(row.topic, 0) + 1
        raw = len({row.raw_ref for row in self.traces.rows if row.raw_ref})
        return {
            "keys": list(self.traces.keys),
            "tables": self.tables,
            "ledgers": self.ledgers,
            "archive": dict(sorted(archive.items())),
            "raw": raw,
            "others": self.others,
            "first_day": min(self.days, default=None),
            "last_day": max(self.days, default=None),
        }


def look(settings: Settings, database: Database, wire: Wire, keys: Sequence[str], known: Collection[str] = ()) -> Plan:
    """What there is of some Kafka keys.

    known:  ids that were noted of them when an earlier try began.
    Raises: HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, ARCHIVE_UNAVAILABLE); psycopg's errors.
    """
    traces = of_archive.indexed(database, keys, known)
    archive = Archive.open(settings.archive)
    if archive is not None:
        of_archive.look(archive, wire, traces)
    days, ledgers = set(traces.days) | forget_tables.mailbox_days(database, traces), {}
    for payer, folder in _ledgers(settings):
        found = of_ledger.held(folder, keys)
        days |= found.days
        ledgers[payer] = dict(found.rows)
    tables, others = forget_tables.counts(database, traces), forget_tables.others(database, traces)
    return Plan(traces, tables, ledgers, others, frozenset(days))


def keys_of_patient(settings: Settings, wire: Wire, facility: str, number: str) -> set[str]:
    """The Kafka keys of the events that name a patient by the number that a facility gave, as archive and ledgers hold them.

    Ledgers know claims that are older than the archive; it knows all others, once it has what topics have now, for which a minute is waited.

    Raises: HubError(STILL_UNDER_WAY) when the archive has not got there; HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, ARCHIVE_UNAVAILABLE).
    """
    deadline = time.monotonic() + _PATIENCE_S
    there = ends(settings.kafka, [topic for topic, kind in indexed_topics().items() if kind == "event"])
    while behind := _not_archived(settings, there):
        if time.monotonic() >= deadline:
            raise HubError("STILL_UNDER_WAY", f"archive: {', '.join(behind[:_SHOWN])}")
        time.sleep(_LOOK_AGAIN_S)
    found = {key for _payer, folder in _ledgers(settings) for key in of_ledger.keys_of_patient(folder, facility, number)}
    archive = Archive.open(settings.archive)
    return found if archive is None else found | of_archive.keys_of_patient(archive, wire, facility, number)


def _not_archived(settings: Settings, there: Mapping[Place, tuple[int, int]]) -> list[str]:
    ids, archive = topic_ids(settings.kafka), Archive.open(settings.archive)
    reached = {(topic, part): archive.next_offset(ids[topic], part) if archive else 0 for topic, part in there}
    return sorted({place[0] for place, (first, end) in there.items() if max(first, reached[place]) < end})


def look_once_arrived(
    settings: Settings, database: Database, wire: Wire, keys: Sequence[str], known: Collection[str] = ()
) -> Plan:
    """The same once all of it may go, for which a minute is waited.

    Raises: as `look` and `check`.
    """
    deadline = time.monotonic() + _PATIENCE_S
    there = {place: end for place, (first, end) in ends(settings.kafka, indexed_topics()).items() if end > first}
    while True:
        try:
            _indexed(database, there)
            plan = look(settings, database, wire, keys, known)
            check(settings, database, plan)
            return plan
        except HubError as wrong:
            if wrong.code != "STILL_UNDER_WAY" or time.monotonic() >= deadline:
                raise
        time.sleep(_LOOK_AGAIN_S)


def _indexed(database: Database, there: Mapping[Place, int]) -> None:
    at = {(row[0], row[1]): row[2] for row in database.execute("select topic, partition, next_offset from journal_offset")}
    if behind := sorted({topic for (topic, partition), end in there.items() if at.get((topic, partition), 0) < end}):
        raise HubError("STILL_UNDER_WAY", f"journal: {', '.join(behind[:_SHOWN])}")


def check(settings: Settings, database: Database, plan: Plan) -> None:
    """Whether all of it may go now.

    Raises: HubError(LEGAL_HOLD), HubError(STILL_UNDER_WAY) with what has not arrived where; HubError(BROKER_UNAVAILABLE).
    """
    periods = database.execute(IN_FORCE).fetchall()
    if days := sorted(day for day in plan.days if is_held(day, periods)):
        raise HubError("LEGAL_HOLD", ", ".join(day.isoformat() for day in days[:_SHOWN]))
    if ids := forget_tables.under_way(database, plan.traces):
        raise HubError("STILL_UNDER_WAY", ", ".join(ids[:_SHOWN]))
    if behind := _behind(settings, plan.traces):
        raise HubError("STILL_UNDER_WAY", ", ".join(behind[:_SHOWN]))


def _behind(settings: Settings, traces: Traces) -> list[str]:
    """Where archive or ledger has not got to the last place that there is of the keys."""
    ids, archive = topic_ids(settings.kafka), Archive.open(settings.archive)
    before = {
        (row.topic, row.partition, row.offset) for row in traces.rows if row.topic_id != ids.get(row.topic)
    }  # of former topics
    places: dict[Place, int] = {(one[0], one[1]): one[2] for one in sorted(traces.places - before) if one[0] in ids}
    found = [
        f"archive: {topic}/{part}"
        for (topic, part), at in places.items()
        if not archive or archive.next_offset(ids[topic], part) <= at
    ]
    for payer, one in payers().items():
        topic, folder = f"payer.{payer}.claim.v1", ledger_folder(settings, payer)
        parts = {part: at for (name, part), at in places.items() if name == topic and one.adjudicated_here}
        reached = committed(folder, ids[topic], parts) if parts and (folder / "claims").is_dir() else {}
        found += [f"ledger: {topic}/{part}" for part, at in parts.items() if reached.get(part, 0) <= at]
    return found


def erase(settings: Settings, database: Database, wire: Wire, plan: Plan, request: Request) -> None:
    """Do it, after `check`. What an earlier try has done is passed over.

    Raises: HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, ARCHIVE_UNAVAILABLE, LEDGER_CONFLICT, LEGAL_HOLD), and whatever a full disk
            raises: the keys stay begun and not finished then.
    """
    traces = plan.traces
    with database.transaction():
        database.execute("lock table legal_hold in share mode")  # none comes into force in between
        check(settings, database, plan)
        forgotten.begin(database, request, traces.ids)
        forget_tables.erase(database, traces, request.at)
    _close_letters(settings, database, wire, traces)
    for _payer, folder in _ledgers(settings):
        of_ledger.erase(folder, traces.keys)
    archive = Archive.open(settings.archive)
    if archive is not None:
        private()  # from here on alone: the ledger's files may be others' to read
        with archive.replacing(_PATIENCE_S):
            of_archive.empty(archive, wire, traces, settings.data_dir / "raw")


def unfinished(settings: Settings, database: Database) -> list[Request]:
    """Erasures that were interrupted, and those from before a ledger or the archive was made: lost and made anew, it has read from the
    topics again what they hold of them.

    Raises: HubError(ARCHIVE_UNAVAILABLE), deltalake's DeltaError, psycopg's errors.
    """
    tables = [folder / "claims" for _payer, folder in _ledgers(settings)]
    if Archive.open(settings.archive) is not None:
        tables.append(settings.archive / "records")
    made_ms = [at for table in tables if (at := DeltaTable(str(table)).metadata().created_time) is not None]
    return forgotten.unfinished(database, datetime.fromtimestamp(max(made_ms) / 1000, UTC) if made_ms else None)


def _close_letters(settings: Settings, database: Database, wire: Wire, traces: Traces) -> None:
    letters = [one for one in dead_letters.find(database, list(traces.ids)) if not one.state] if traces.ids else []
    if letters:
        producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
        try:
            closed = [dead_letters.closing(wire, dead_letters.bare(one), "DISCARDED", one.letter_partition) for one in letters]
            producer.publish_blocking(closed)
        finally:
            producer.close()


def _ledgers(settings: Settings) -> list[tuple[str, Path]]:
    """Payer and folder of the ledgers that are here."""
    folders = [(payer, ledger_folder(settings, payer)) for payer in payers()]
    return [(payer, folder) for payer, folder in folders if (folder / "claims").is_dir()]
