"""Legal holds: days of which nothing is deleted while somebody has said so. Whatever deletes by age asks here first.

A day is held whole. What is deleted by age lies in days (partitions of the archive and of the mailboxes), so a held day is one that
is left alone: nothing has to be found by a key, and nothing of a case can be missed.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

from hub.contract.errors import HubError
from hub.store.database import connect

Period = tuple[date, date]
"""The first day and the last."""

IN_FORCE: Final = "select first_day, coalesce(last_day, '9999-12-31') from legal_hold where ended_at is null"
"""The periods that are held."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def is_held(day: date, periods: Sequence[Period]) -> bool:
    """Whether a day lies in one of the periods."""
    return any(first <= day <= last for first, last in periods)


def held_periods(url: str) -> list[Period]:
    """The periods that are held now. Raises: HubError(DATABASE_UNAVAILABLE); whoever cannot ask deletes nothing."""
    try:
        with connect(url) as database:
            return [(row[0], row[1]) for row in database.execute(IN_FORCE)]
    except psycopg.Error as wrong:
        raise HubError("DATABASE_UNAVAILABLE", "legal holds") from wrong


async def add(
    database: AsyncConnection[Any], name: str, first: date, last: date | None, by: str, reason: str, at: datetime
) -> None:
    """Hold some days from now on; without a last one until it is ended.

    Raises: HubError(REQUEST_WRONG) for a name that is taken or no name, or a period that ends before it begins.
    """
    if not _NAME.fullmatch(name):
        raise HubError("REQUEST_WRONG", "NAME: small letters, digits and hyphens, such as a file number")
    if last is not None and last < first:
        raise HubError("REQUEST_WRONG", "--to is before --from")
    try:
        async with database.transaction():
            await database.execute(
                "insert into legal_hold (name, first_day, last_day, reason, by, added_at) values (%s, %s, %s, %s, %s, %s)",
                (name, first, last, reason, by, at),
            )
    except UniqueViolation:
        raise HubError("REQUEST_WRONG", "NAME: there is or was a hold of this name") from None


async def end(database: AsyncConnection[Any], name: str, at: datetime) -> None:
    """From now on what it held is deleted by age again. Raises: HubError(NOT_FOUND) when no such hold is in force."""
    ended = await database.execute("update legal_hold set ended_at = %s where name = %s and ended_at is null", (at, name))
    if not ended.rowcount:
        raise HubError("NOT_FOUND", "NAME")


async def holds(database: AsyncConnection[Any]) -> list[dict[str, Any]]:
    """All there ever were: name, first_day, last_day, reason, by, added_at, ended_at (None while it is in force)."""
    columns = "name, first_day, last_day, reason, by, added_at, ended_at"
    async with database.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(f"select {columns} from legal_hold order by added_at")).fetchall()  # noqa: S608  # our words
