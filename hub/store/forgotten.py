"""What was erased at somebody's request (`hub.keep.forget`). Whatever reads topics or replays them asks here, and leaves it out.

Topics are deleted by time, never by key, so they hold for a while what everything else has forgotten. Kept are keyed hashes and ids alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow, dict_row

Database = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Request:
    """Kafka keys that are erased together, and why.  at: when that was asked for first, which names it."""

    keys: tuple[str, ...]
    reason: str
    at: datetime


def begin(database: Database, request: Request, ids: Iterable[str]) -> None:
    """Note that the keys are erased from now on. Keys that were finished before are begun again, with what came since.

    ids: of their messages, events and dead letters (UUIDs).
    """
    database.execute(
        "insert into forgotten (key, asked_at, reason) select key, %s, %s from unnest(%s::text[]) as key"
        " on conflict (key) do update set asked_at = excluded.asked_at, reason = excluded.reason, done_at = null",
        (request.at, request.reason, list(request.keys)),
    )
    database.execute(
        "insert into forgotten_id (id, asked_at) select id, %s from unnest(%s::uuid[]) as id"
        " on conflict (id) do update set asked_at = excluded.asked_at",
        (request.at, list(ids)),
    )


async def finish(database: AsyncConnection[Any], request: Request, at: datetime) -> None:
    """Note that nothing of these keys is left to be erased."""
    await database.execute("update forgotten set done_at = %s where key = any(%s)", (at, list(request.keys)))


def unfinished(database: Database, before: datetime | None) -> list[Request]:
    """Those that were begun and not finished, or finished before a time, the oldest first."""
    rows = database.execute(
        "select array_agg(key order by key), min(reason), asked_at from forgotten where done_at is null or done_at < %s"
        " group by asked_at order by asked_at",
        (before,),
    )
    return [Request(tuple(keys), reason, at) for keys, reason, at in rows]


def ids_of(database: Database, keys: Iterable[str]) -> set[str]:
    """The ids that were noted when these keys were erased last."""
    query = "select id from forgotten_id where asked_at in (select asked_at from forgotten where key = any(%s))"
    return {str(row[0]) for row in database.execute(query, (list(keys),))}


def among(database: Database, ids: Iterable[object]) -> set[str]:
    """Those of some ids (UUIDs) that are forgotten."""
    return {str(row[0]) for row in database.execute("select id from forgotten_id where id = any(%s::uuid[])", (list(ids),))}


def all_ids(database: Database) -> frozenset[str]:
    """All that are forgotten, for whoever walks through every message."""
    return frozenset(str(row[0]) for row in database.execute("select id from forgotten_id"))


def listed(database: Database) -> list[dict[str, Any]]:
    """All keys that ever were erased, the newest first: key, asked_at, reason, done_at (None: not finished)."""
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select key, asked_at, reason, done_at from forgotten order by asked_at desc, key").fetchall()
