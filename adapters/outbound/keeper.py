"""What is kept, and how long: deliveries expire, days of mailboxes are dropped, and what was seen is forgotten at last.

Nothing leaves without a word: whatever lacks the recipient's word expires first, with its receipt, and its sender gets a notice
(`receipts.notice_of`), but for papers of a claim that the portal did not take. An expired delivery stays readable, and a late
word still counts, until its day is dropped. A day of a legal hold is not dropped.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from adapters.outbound.receipts import NOT_TAKEN, PAPERS, PORTAL, TEST, Teller
from hub.contract import telemetry
from hub.contract.events import VIETNAM, now
from hub.contract.settings import Settings
from hub.store.database import available
from hub.store.holds import IN_FORCE, is_held

_EVERY_S: Final = 60.0
_BATCH: Final = 2_000
_LOCK: Final = 7306


def expires_at(limits: Mapping[str, float], lane: str, record: str, at: datetime) -> datetime | None:
    """When a delivery that nobody fetches expires: the shorter limit of its lane and of its record, in hours; None for no limit."""
    hours = [limits[name] for name in (lane, record) if name in limits]
    return at + timedelta(hours=min(hours)) if hours else None


class Keeper:
    """One of all processes at a time looks once a minute."""

    def __init__(self, settings: Settings, pool: AsyncConnectionPool, teller: Teller) -> None:
        self._settings = settings
        self._pool = pool
        self._teller = teller
        self._ended: set[str] = set()  # days whose last deliveries have expired here: of one that is held this is asked once

    async def run(self) -> None:
        """Until cancelled. Raises: HubError(DATABASE_UNAVAILABLE); the caller runs it again."""
        while True:
            await self.round(now())
            await asyncio.sleep(_EVERY_S)

    async def round(self, at: datetime) -> None:
        """What is due at this moment."""
        today = at.astimezone(VIETNAM).date()
        with available():
            async with self._pool.connection() as connection:
                if not await _alone(connection):
                    return
                try:
                    expired = await self._all(connection, _EXPIRE, at)
                    periods = await (await connection.execute(IN_FORCE)).fetchall()
                    for name in await _days_before(connection, today - timedelta(days=self._settings.mailbox_days)):
                        held = is_held(datetime.strptime(name[8:], "%Y%m%d").date(), periods)  # a day, no time
                        if not held or name not in self._ended:
                            expired += await self._end(connection, name, at)
                            self._ended.add(name)
                        if not held:
                            await self._drop(connection, name)
                    await self._all(connection, _FORGET, today - timedelta(days=self._settings.seen_days))
                finally:
                    await connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))
        if expired:
            telemetry.deliveries_expired(expired)
            self._teller.wake()

    @staticmethod
    async def _all(connection: AsyncConnection[TupleRow], query: str, until: datetime | date) -> int:
        """Batch by batch, each a transaction of its own, so that nobody waits long."""
        done = 0
        while moved := (await connection.execute(query.encode(), {"until": until, "batch": _BATCH})).rowcount:
            done += moved
        return done

    @staticmethod
    async def _end(connection: AsyncConnection[TupleRow], name: str, at: datetime) -> int:
        """Expire what a day still has without the recipient's word. Returns: how many."""
        end = SQL(_END).format(Identifier(name))
        last: tuple[object, ...] = ("", 0)
        expired = 0
        while True:
            rows = await (
                await connection.execute(end, {"recipient": last[0], "seq": last[1], "at": at, "batch": _BATCH})
            ).fetchall()
            if not rows:
                break
            last = max(rows)
            expired += len(rows)
        return expired

    @staticmethod
    async def _drop(connection: AsyncConnection[TupleRow], name: str) -> None:
        """Drop a day. That asks for the whole table for a moment; if it is not free within two seconds, the day stays until the next round."""
        try:
            async with connection.transaction():
                await connection.execute("set local lock_timeout = '2s'")
                # The parent first, as everybody else does: the other way round a reader and this would wait for each other.
                await connection.execute("lock table only mailbox in access exclusive mode")
                left = await connection.execute(
                    SQL("select 1 from {} where state in ('QUEUED', 'SENT', 'HELD') limit 1").format(Identifier(name))
                )
                if await left.fetchone() is None:
                    await connection.execute(SQL("drop table {}").format(Identifier(name)))
        except LockNotAvailable:
            telemetry.fault("keeper", "DATABASE_UNAVAILABLE", "lock")


async def _alone(connection: AsyncConnection[TupleRow]) -> bool:
    row = await (await connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
    return row is not None and bool(row[0])


async def _days_before(connection: AsyncConnection[TupleRow], first_kept: date) -> list[str]:
    """Partitions of days before that one, the oldest first."""
    rows = await connection.execute(
        "select relname from pg_inherits join pg_class on oid = inhrelid where inhparent = 'mailbox'::regclass order by relname"
    )
    names = [str(row[0]) async for row in rows]
    return [name for name in names if re.fullmatch(r"mailbox_\d{8}", name) and name[8:] < f"{first_kept:%Y%m%d}"]


_TOLD: Final = """
insert into receipt_outbox (delivery_id, recipient, facility, message_id, test, state, code, channel, at, record)
select delivery_id, recipient, facility, message_id, test, state, code, '', changed_at, record from moved
"""
_UNREAD: Final = f"""
case when {{0}}.recipient in ('{PORTAL}', '{PORTAL}{TEST}') and {{0}}.record = '{PAPERS}' then '{NOT_TAKEN}' else 'NOT_FETCHED' end
"""
_EXPIRE: Final = f"""
with due as (
    select day, recipient, seq from mailbox where state = 'QUEUED' and expires_at <= %(until)s
    order by expires_at limit %(batch)s for update skip locked
), moved as (
    update mailbox set state = 'EXPIRED', code = {_UNREAD.format("mailbox")}, changed_at = %(until)s, next_try_at = null from due
    where mailbox.day = due.day and mailbox.recipient = due.recipient and mailbox.seq = due.seq
    returning mailbox.*
) {_TOLD}
"""  # noqa: S608  # constants only
_END: Final = f"""
with due as (
    select recipient, seq from {{0}} where (recipient, seq) > (%(recipient)s, %(seq)s) and state in ('QUEUED', 'SENT', 'HELD')
    order by recipient, seq limit %(batch)s for update
), moved as (
    update {{0}} as box set state = 'EXPIRED', changed_at = %(at)s, next_try_at = null,
        code = case box.state when 'QUEUED' then {_UNREAD.format("box")} when 'SENT' then 'NOT_CONFIRMED' else box.code end
    from due where box.recipient = due.recipient and box.seq = due.seq returning box.*
), told as ({_TOLD})
select recipient, seq from moved
"""  # noqa: S608
_FORGET: Final = """
delete from delivery_seen where (recipient, delivery_id) in (
    select recipient, delivery_id from delivery_seen where seen_on < %(until)s limit %(batch)s)
"""
