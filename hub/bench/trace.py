"""Trace and books: what one story, and the books of one day, cost in a journal of five million messages.

The journal's own tables in a real PostgreSQL, as `hub.journal.rows` fills them: a month of 2,000 senders that all count their
control ids from 0, so that one id is everybody's; every fourth event has another one derived from it; each is delivered
and answered. The server makes the rows itself, without indexes, which are built afterwards.
"""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bench import Figure, figure
from hub.bench.rig import rig
from hub.cli.running import keyring
from hub.contract.events import Keyring
from hub.journal.reconcile import reconcile
from hub.journal.trace import trace
from hub.store.database import connect

_MESSAGES: Final = 5_000_000
_SENDERS: Final = 2_000
_DAYS: Final = 30
_ASKED: Final = 200  # stories by each kind of id
_FROM: Final = datetime(2026, 3, 1, tzinfo=UTC)
_AT: Final = f"timestamptz '2026-03-01 00:00:00+00' + n * interval '{_DAYS * 86_400 / _MESSAGES} s'"
_FACILITY: Final = f"lpad((n % {_SENDERS} + 10000)::text, 5, '0')"
_SUBJECTS: Final = "(select n, 'e' as made from numbers union all select n, 'd' from numbers where n % 4 = 0) as subject"

_ROWS: Final = (
    f"""insert into journal_message
        select md5('m' || n)::uuid, {_AT}, (({_AT}) at time zone 'Asia/Ho_Chi_Minh')::date, 'sender-' || n % {_SENDERS},
               {_FACILITY}, 'mllp', 'hl7', case n % 3 when 0 then 'REF^I12' when 1 then 'ORU^R01' else 'ADT^A01' end,
               (n / {_SENDERS})::text, 'translated', 'AA',
               '[{{"code": "FIELD_MISSING", "severity": "W", "path": "PID-7"}}]', array[md5('e' || n)::uuid], false,
               'message-received.v1', (n % 12)::int, n / 12
        from numbers""",
    f"""insert into journal_event
        select md5(made || n)::uuid, 'referral.v1', (n % 12)::int, n * 2 + (made = 'd')::int, 'hie.Referral', md5('m' || n)::uuid,
               {_FACILITY}, {_FACILITY} || ':' || md5('k' || n), case made when 'e' then 'ISSUED' else 'ARRIVED' end, '0', '',
               case made when 'e' then array[]::uuid[] else array[md5('e' || n)::uuid] end, {_AT}, false
        from {_SUBJECTS}""",
    f"""insert into journal_delivery
        select md5('to' || made || n)::uuid, md5(made || n)::uuid, lpad((n % 97 + 20000)::text, 5, '0'), 'referral-to-receiver',
               'hie.Referral', 'routine', md5('m' || n)::uuid, false, {_AT}, 'ACKNOWLEDGED', '', {_AT} + interval '2 s'
        from {_SUBJECTS}""",
    f"""insert into journal_receipt
        select md5('to' || made || n)::uuid, state, {_AT} + interval '1 s', 'pull', ''
        from {_SUBJECTS} cross join (values ('QUEUED'), ('ACKNOWLEDGED')) as told (state)""",
)


def _load(database: Connection[TupleRow], chunk: int = 500_000) -> None:
    """Indexes are taken away first and built last: a month of random keys would else be sorted in one by one."""
    database.execute("set synchronous_commit = off")
    database.execute("set maintenance_work_mem = '512MB'")
    indexes = database.execute(
        "select indexname, tablename, indexdef from pg_indexes where tablename like 'journal\\_%'"
    ).fetchall()
    constrained = {row[0] for row in database.execute("select conname from pg_constraint where contype = 'p'")}
    kept = {"journal_offset", "journal_undecodable", "journal_dead_letter"}
    indexes = [row for row in indexes if row[1] not in kept]
    for name, table, _definition in indexes:
        drop = f"alter table {table} drop constraint {name}" if name in constrained else f"drop index {name}"
        database.execute(drop.encode())
    for first in range(0, _MESSAGES, chunk):
        numbers = f"with numbers as (select generate_series({first}, {min(first + chunk, _MESSAGES) - 1}) as n)"
        for rows in _ROWS:
            body = rows.partition("select")
            database.execute(f"{body[0]} {numbers} select {body[2]}".encode())
    for _name, _table, definition in indexes:
        database.execute(definition.encode())
    database.execute("vacuum analyze journal_message, journal_event, journal_delivery, journal_receipt")


def _ids(database: Connection[TupleRow], keys: Keyring) -> dict[str, list[str]]:
    """Kind of id to ids of chosen messages. Business keys are hashed here, as the server cannot."""
    chosen = random.Random(1).sample(range(0, _MESSAGES, 4), _ASKED)  # those with a derived event: the longest stories
    found: dict[str, list[str]] = {name: [] for name in ("message id", "event id", "delivery id")}
    for kind, made in zip(list(found), ("m", "d", "toe"), strict=True):
        for number in chosen:
            row = database.execute("select md5(%s)::uuid::text", (f"{made}{number}",)).fetchone()
            found[kind].append(row[0] if row else "")
    found["facility/control id"] = [f"{number % _SENDERS + 10000}/{number // _SENDERS}" for number in chosen]
    found["control id that all senders use"] = [str(number // _SENDERS) for number in chosen]
    found["facility/business key"] = [f"{number % _SENDERS + 10000}/LK{number}" for number in chosen]
    for number, both in zip(chosen, found["facility/business key"], strict=True):
        key = keys.key(*both.split("/"), test=False)
        database.execute("update journal_event set key = %s where event_id = md5('e' || %s)::uuid", (key, str(number)))
    return found


def _spent(task: Callable[[], object]) -> float:
    began = time.perf_counter()
    task()
    return time.perf_counter() - began


def bench(seconds: float) -> Iterator[Figure]:
    """The time to load, the size on disk, and p50 and p99 of stories and books; about a quarter of an hour."""
    with rig([]) as bed, connect(bed.settings.database_url.get_secret_value(), autocommit=True) as database:
        spent = _spent(lambda: _load(database))
        row = database.execute("select pg_database_size(current_database())").fetchone()
        yield figure(
            "journal, loaded", _MESSAGES / spent, "messages/s", messages=_MESSAGES, disk_gb=round(row[0] / 1e9, 2) if row else 0
        )
        keys = keyring(bed.settings)
        for kind, ids in _ids(database, keys).items():
            times = sorted(_spent(lambda one=one: trace(database, one, keys)) * 1e3 for one in ids)  # type: ignore[misc]
            yield figure(f"trace by {kind}", times[len(times) // 2], "ms", p99_ms=round(times[int(len(times) * 0.99)], 1))
        day: date = (_FROM + timedelta(days=_DAYS // 2)).date()
        yield figure("books of one day", _spent(lambda: reconcile(database, day=day)), "s", messages=_MESSAGES // _DAYS)
