"""Search: what a page costs by each word, in a journal of invented messages, and by which index each is found.

    python -m hub.bench.search --messages 5000000

In a PostgreSQL of its own; a month of 2,000 senders, the first of which sends a tenth of everything. Three in a hundred messages
are refused; one in a million has a code and a state that nothing else has. The server makes the rows itself, without indexes,
which are built afterwards.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bench import Figure, figure
from hub.contract.events import Keyring
from hub.journal.search import Cost, Page, Wanted, is_frequent, search, statement
from hub.stack.ports import Ports
from hub.stack.process import Spawner
from hub.stack.servers import postgres
from hub.stack.specification import postgres_url
from hub.store.database import connect, migrate

_DAYS: Final = 30
_SENDERS: Final = 2_000
_ASKED: Final = 100
_FROM: Final = datetime(2026, 3, 1, tzinfo=UTC)
_KEYRING: Final = Keyring(b"a bench, no secret")
_RARE: Final = 1_000_000

_ROWS: Final = (
    """insert into journal_message
        select md5('m' || n)::uuid, at, (at at time zone 'Asia/Ho_Chi_Minh')::date, 'sender-' || who, lpad((who + 10000)::text, 5, '0'),
               'mllp', 'hl7', case n % 3 when 0 then 'REF^I12' when 1 then 'ORU^R01' else 'ADT^A01' end, (n / 2000)::text,
               case when n % 33 = 0 then 'refused' when n % {rare} = 7 then 'quarantined' else 'translated' end,
               case when n % 33 = 0 then 'AE' else 'AA' end,
               case when n % {rare} = 7 then '[{{"code": "MSH_UNREADABLE", "severity": "E", "path": "MSH"}}]'
                    when n % 33 = 0 then '[{{"code": "FIELD_MISSING", "severity": "E", "path": "PID-3"}}]'
                    when n % 4 = 0 then '[{{"code": "CODE_UNKNOWN", "severity": "W", "path": "OBX-3"}}]' else '[]' end::jsonb,
               array[md5('e' || n)::uuid], n % 50 = 0, 'message-received.v1', (n % 12)::int, n / 12, 1000 from numbers""",
    """insert into journal_event
        select md5('e' || n)::uuid, 'claim.v1', (n % 12)::int, n, 'hie.Claim', md5('m' || n)::uuid, lpad((who + 10000)::text, 5, '0'),
               lpad((who + 10000)::text, 5, '0') || ':' || md5('k' || n), 'SUBMITTED', '0', '', array[]::uuid[], at, false
        from numbers""",
    """insert into journal_delivery
        select md5('d' || n)::uuid, md5('e' || n)::uuid, lpad((n % 97 + 20000)::text, 5, '0'), 'claim-to-payer', 'hie.Claim', 'routine',
               md5('m' || n)::uuid, false, at,
               case when n % {rare} = 7 then 'HELD' when n % 200 = 0 then 'REFUSED' when n % 500 = 1 then 'QUEUED' else 'ACKNOWLEDGED' end,
               case when n % {rare} = 7 then 'PATIENT_UNKNOWN' when n % 200 = 0 then 'RECIPIENT_REFUSED' else '' end, at
        from numbers""",
)
_NUMBERS: Final = """with numbers as (
    select n, case when n % 10 = 0 then 0 else n % {senders} end as who, timestamptz '2026-03-01 00:00:00+00' + n * interval '{step} s' as at
    from generate_series({first}, {last}) as n)"""


@contextmanager
def _server() -> Iterator[str]:
    """Address of a database with all tables, in a folder that is thrown away."""
    with TemporaryDirectory(prefix="hie-bench-", ignore_cleanup_errors=True) as folder:
        home, ports, spawner = Path(folder), Ports(), Spawner()
        home.chmod(0o755)  # where root runs it, the server is somebody else
        port = ports.take(0, "HIE_DATABASE_PORT")
        url = postgres_url(home, port)
        ports.release()
        server = postgres(home, home, port, spawner)
        try:
            server.spawn()
            server.wait_ready()
            migrate(url)
            yield url
        finally:
            server.stop()
            spawner.close()


def load(database: Connection[TupleRow], messages: int, chunk: int = 250_000) -> None:
    """Fill the journal. Indexes are taken away first and built last: random ids would else be sorted in one by one."""
    database.execute("set synchronous_commit = off")
    database.execute("set maintenance_work_mem = '512MB'")
    tables = ["journal_message", "journal_event", "journal_delivery"]
    indexes = database.execute(
        "select indexname, tablename, indexdef from pg_indexes where tablename = any(%s)", (tables,)
    ).fetchall()
    constrained = {row[0] for row in database.execute("select conname from pg_constraint where contype = 'p'")}
    for name, table, _definition in indexes:
        database.execute(
            (f"alter table {table} drop constraint {name}" if name in constrained else f"drop index {name}").encode()
        )
    for first in range(0, messages, chunk):
        last = min(first + chunk, messages) - 1
        numbers = _NUMBERS.format(senders=_SENDERS, step=_DAYS * 86_400 / messages, first=first, last=last)
        for rows in _ROWS:
            table, _select, body = rows.partition("select")
            database.execute(f"{table} {numbers} select {body.format(rare=_RARE)}".encode())
    for _name, _table, definition in indexes:
        database.execute(definition.encode())
    database.execute("vacuum analyze journal_message, journal_event, journal_delivery")


@dataclass(frozen=True, slots=True)
class _Sought:
    """A kind of search, and what is asked."""

    name: str
    asked: list[Wanted]


def _sought(database: Connection[TupleRow], messages: int) -> list[_Sought]:
    dice = random.Random(1)
    chosen = [dice.randrange(messages) for _ in range(_ASKED)]

    def uuid(made: str, number: int) -> str:
        row = database.execute("select md5(%s)::uuid::text", (f"{made}{number}",)).fetchone()
        return str(row[0]) if row else ""

    def code(number: int) -> str:
        return str(10_000 + (0 if number % 10 == 0 else number % _SENDERS))

    def day(number: int) -> dict[str, datetime]:
        since = _FROM + timedelta(days=number * _DAYS // messages)
        return {"since": since, "until": since + timedelta(days=1)}

    for number in chosen:
        key = _KEYRING.key(code(number), f"LK{number}", test=False)
        database.execute("update journal_event set key = %s where event_id = md5('e' || %s)::uuid", (key, str(number)))
    big = {"facility": "10000"}
    kinds: dict[str, list[dict[str, Any]]] = {
        "newest": [{}] * _ASKED,
        "message id": [{"id": uuid("m", n)} for n in chosen],
        "event id": [{"id": uuid("e", n)} for n in chosen],
        "delivery id": [{"id": uuid("d", n)} for n in chosen],
        "control id": [{"control_id": str(n // _SENDERS)} for n in chosen],
        "control id, facility": [{"control_id": str(n // _SENDERS), "facility": code(n)} for n in chosen],
        "claim": [{"claim": f"{code(n)}/LK{n}"} for n in chosen],
        "claim, state": [{"claim": f"{code(n)}/LK{n}", "state": "ACKNOWLEDGED"} for n in chosen],
        "facility": [{"facility": code(n)} for n in chosen],
        "facility, day": [{"facility": code(n)} | day(n) for n in chosen],
        "facility, refused": [{"facility": code(n), "verdict": "refused"} for n in chosen],
        "largest facility, quarantined": [big | {"verdict": "quarantined"}] * 20,
        "sender": [{"sender": f"sender-{n % _SENDERS}"} for n in chosen],
        "sender, translated, day": [{"sender": f"sender-{n % _SENDERS}", "verdict": "translated"} | day(n) for n in chosen],
        "largest sender, rare code": [{"sender": "sender-0", "code": "MSH_UNREADABLE"}] * 20,
        "verdict refused": [{"verdict": "refused"} | day(n) for n in chosen],
        "verdict quarantined": [{"verdict": "quarantined"}] * 20,
        "code of a quarter": [{"code": "CODE_UNKNOWN"} | day(n) for n in chosen],
        "code of three in a hundred": [{"code": "FIELD_MISSING"} | day(n) for n in chosen],
        "code of three in a hundred, whenever": [{"code": "FIELD_MISSING"}] * 20,
        "code of one in a million": [{"code": "MSH_UNREADABLE"}] * 20,
        "code of none": [{"code": "NO_SUCH_CODE"}] * 20,
        "state held": [{"state": "HELD"}] * 20,
        "state queued": [{"state": "QUEUED"} | day(n) for n in chosen],
        "state refused, recipient": [{"state": "REFUSED", "facility": str(20_000 + n % 97)} for n in chosen],
        "state acknowledged": [{"state": "ACKNOWLEDGED"} | day(n) for n in chosen],
        "state acknowledged, code of none": [{"state": "ACKNOWLEDGED", "code": "NO_SUCH_CODE"}] * 20,
        "state of none": [{"state": "EXPIRED"}] * 20,
        "state refused, sender": [{"state": "REFUSED", "sender": f"sender-{n % _SENDERS}"} for n in chosen[:20]],
        "state acknowledged, sender of none": [{"state": "ACKNOWLEDGED", "sender": "nobody"}] * 5,
        "day": [day(n) for n in chosen],
    }
    return [_Sought(name, [Wanted(**one) for one in asked]) for name, asked in kinds.items()]


def _measured(database: Connection[TupleRow], sought: _Sought) -> Figure:
    times, costs, rows = [], [], 0
    for wanted in sought.asked:
        began = time.perf_counter()
        found = search(database, wanted, _KEYRING)
        times.append((time.perf_counter() - began) * 1e3)
        if isinstance(found, Cost):
            costs.append(found)
        else:
            rows += len(found.hits)
    times.sort()
    more: dict[str, Any] = {"p99_ms": round(times[int(len(times) * 0.99)], 1), "hits": round(rows / len(times), 1)}
    if costs:
        more |= {"cost_told": len(costs), "rows": costs[0].rows, "seconds": costs[0].seconds, "by": costs[0].by}
    return figure(f"search by {sought.name}", times[len(times) // 2], "ms", **more, found_by=_found_by(database, sought.asked[0]))


def _found_by(database: Connection[TupleRow], wanted: Wanted) -> list[str]:
    """The indexes of the plan, and the tables that it reads whole."""
    query, values = statement(wanted, _KEYRING, frequent=is_frequent(database, wanted))
    row = database.execute(b"explain (format json) " + query, values, prepare=False).fetchone()
    found: list[str] = []

    def walk(node: dict[str, Any]) -> None:
        if node["Node Type"] == "Seq Scan":
            found.append(f"all of {node['Relation Name']}")
        elif "Index Name" in node:
            found.append(node["Index Name"])
        for below in node.get("Plans", ()):
            walk(below)

    walk(row[0][0]["Plan"] if row else {})
    return found


def _deepest(database: Connection[TupleRow]) -> Figure:
    """The hundredth page costs what the first does."""
    after, spent = "", 0.0
    for _ in range(100):
        began = time.perf_counter()
        page = search(database, Wanted(facility="10000"), after=after)
        spent = time.perf_counter() - began
        if not isinstance(page, Page) or not page.next:
            break
        after = page.next
    return figure("hundredth page of a facility", spent * 1e3, "ms")


def bench(messages: int) -> Iterator[Figure]:
    """The time to load, the size on disk, and p50 and p99 of each kind of search."""
    with _server() as url, connect(url, autocommit=True) as database:
        began = time.perf_counter()
        load(database, messages)
        row = database.execute("select pg_database_size(current_database())").fetchone()
        spent, size = time.perf_counter() - began, row[0] if row else 0
        yield figure("journal, loaded", messages / spent, "messages/s", messages=messages, disk_gb=round(size / 1e9, 2))
        for sought in _sought(database, messages):
            yield _measured(database, sought)
        yield _deepest(database)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--messages", type=int, default=5_000_000)
    for line in bench(asked.parse_args().messages):
        print(json.dumps(line), flush=True)
