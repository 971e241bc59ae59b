"""Push: for recipients that listen themselves, by MLLP or webhook. One task, one channel and one database connection a recipient.

Order is kept per key; the urgent lane goes first otherwise, however much waits before it. Whatever fails is tried again, later and later; a recipient that
is away or paused delays only itself.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from adapters.outbound.item import COLUMNS, Row
from adapters.outbound.pause import PAUSE
from adapters.outbound.receipts import Teller, move
from adapters.outbound.retry import BACKOFF_FIRST_S, OPENS_AT, Breaker, backoff_s
from adapters.outbound.wakes import Wakes
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.settings import Settings
from hub.store.database import available

_WINDOW: Final = 200  # deliveries looked at together, beside those that were tried in vain
_LOOK_AGAIN_S: Final = 5.0
_LOCK: Final = 7304
_WORDS: Final = ("ACKNOWLEDGED", "REFUSED")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a recipient said.

    state: ACKNOWLEDGED or REFUSED by its own word, SENT when it only took the delivery, GONE when it wants no more.
    code:  row of the table of errors, of a refusal.
    """

    state: str
    code: str = ""


class Unanswered(Exception):  # noqa: N818  # it is no fault of ours
    """No answer that counts.

    place:  `connect` when the delivery cannot have reached the recipient, else `answer`.
    wait_s: what the recipient asked for, such as by Retry-After.
    """

    def __init__(self, place: str, wait_s: float = 0.0) -> None:
        super().__init__(place)
        self.place = place
        self.wait_s = wait_s


class Channel(Protocol):
    """How one recipient is reached."""

    name: str  # in receipts: mllp or webhook
    waits: tuple[str, ...]  # states in which a delivery is still to be pushed

    def render(self, row: Row) -> bytes:
        """What to send. Raises: HubError; one that is not retriable holds the delivery for a person."""

    async def ask(self, row: Row, body: bytes) -> Answer:
        """Send it and wait for the answer. Raises: Unanswered."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pending:
    """One delivery that waits for its recipient's word."""

    seq: int
    delivery_id: UUID
    subject_key: str
    lane: str
    tries: int
    next_try_at: datetime | None


def in_order(fresh: Sequence[Pending]) -> list[Pending]:
    """The order to go: urgent ones first, each behind the earlier ones of its key.  fresh: by seq."""
    keys: dict[str, list[Pending]] = {}
    for one in fresh:
        keys.setdefault(one.subject_key, []).append(one)
    ranked: list[tuple[bool, int, Pending]] = []
    for rows in keys.values():
        last_urgent = max((place for place, one in enumerate(rows) if one.lane == "urgent"), default=-1)
        ranked += [(place > last_urgent, one.seq, one) for place, one in enumerate(rows)]
    return [one for _routine, _seq, one in sorted(ranked, key=lambda row: row[:2])]


async def paused(connection: AsyncConnection[TupleRow], mailbox: str) -> bool:
    """Whether an operator, or the recipient itself, paused it."""
    return await (await connection.execute(_PAUSED, (mailbox,))).fetchone() is not None


# --- one recipient ----------------------------------------------------------------------------------------------------


class Push:
    """Pushes one mailbox. A lock in the database keeps a second process from pushing the same one."""

    def __init__(self, settings: Settings, mailbox: str, channel: Channel, wakes: Wakes, teller: Teller) -> None:
        self._settings = settings
        self._mailbox = mailbox
        self._channel = channel
        self._wakes = wakes
        self._teller = teller
        self._floor = 0  # below and at it nothing waits any more
        self._breaker = Breaker()

    async def run(self) -> None:
        """Until cancelled. Raises: HubError(DATABASE_UNAVAILABLE, REGISTRY_UNAVAILABLE, BROKER_UNAVAILABLE); the caller runs it again."""
        url = self._settings.database_url.get_secret_value()
        try:
            with available(), self._wakes.waiting(self._mailbox) as woken:
                async with await AsyncConnection.connect(url, autocommit=True, connect_timeout=10) as connection:
                    while not await self._alone(connection):  # noqa: ASYNC110  # no event tells when the other process ends
                        await asyncio.sleep(_LOOK_AGAIN_S)
                    while True:
                        woken.clear()
                        wait_s = await self.round(connection)
                        if self._breaker.open:  # what is new does not shorten it
                            await asyncio.sleep(wait_s)
                            continue
                        with suppress(TimeoutError):
                            async with asyncio.timeout(wait_s):
                                await woken.wait()
        finally:
            await self._channel.close()

    async def _alone(self, connection: AsyncConnection[TupleRow]) -> bool:
        row = await (await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK, self._mailbox))).fetchone()
        return row is not None and bool(row[0])

    async def round(self, connection: AsyncConnection[TupleRow]) -> float:
        """Push what may go now, up to the first failure. Returns: how long to wait before the next look, in seconds.

        An urgent one that comes meanwhile ends it, and goes next.
        A key whose head was tried in vain waits as a whole, and its head goes last when it is due: however many the recipient
        cannot take, they hold up their own keys only.
        """
        at = now()
        if await paused(connection, self._mailbox):
            return _LOOK_AGAIN_S
        waits = list(self._channel.waits)
        cursor = connection.cursor(row_factory=class_row(Pending))
        tried = await (await cursor.execute(_TRIED, (self._mailbox, self._floor, waits))).fetchall()
        keys = [one.subject_key for one in tried]
        fresh = await (await cursor.execute(_FRESH, (self._mailbox, self._floor, waits, keys, _WINDOW))).fetchall()
        self._floor = min((rows[0].seq - 1 for rows in (tried, fresh) if rows), default=self._floor)
        top = fresh[-1].seq if fresh else self._floor
        if len(fresh) == _WINDOW:
            overtaking = await (
                await cursor.execute(_OVERTAKING, (self._mailbox, top, waits, keys, _WINDOW, self._mailbox, top, waits))
            ).fetchall()
            fresh += overtaking
            top = overtaking[-1].seq if overtaking else top
        due = [*in_order(fresh), *(one for one in tried if one.next_try_at is None or one.next_try_at <= at)]
        for one in due:
            try:
                await self._push(connection, one)
            except Unanswered as silent:
                wait_s = self._breaker.failed(silent.wait_s)
                if self._breaker.failures == OPENS_AT:
                    telemetry.circuit_opened(self._mailbox)
                await asyncio.sleep(BACKOFF_FIRST_S)  # what is new ends the rest of the pause, but not this
                return wait_s
            self._breaker.succeeded()
            if (
                one.lane != "urgent"
                and await (await connection.execute(_URGENT + " limit 1", (self._mailbox, top, waits, keys))).fetchone()
            ):
                return 0.0  # it goes next
        if due:
            return 0.0
        soonest = min((one.next_try_at for one in tried if one.next_try_at), default=None)
        return _LOOK_AGAIN_S if soonest is None else min(_LOOK_AGAIN_S, max(0.05, (soonest - at).total_seconds()))

    async def _push(self, connection: AsyncConnection[TupleRow], one: Pending) -> None:
        """One delivery, if it still waits and nobody paused the recipient meanwhile. Raises: Unanswered."""
        cursor = connection.cursor(row_factory=class_row(Row))
        await cursor.execute(_ROW.encode(), (self._mailbox, one.seq, list(self._channel.waits), self._mailbox))
        row = await cursor.fetchone()
        body = None if row is None else await self._rendered(connection, row)
        if row is None or body is None:
            return
        try:
            answer = await self._channel.ask(row, body)
        except Unanswered as silent:
            telemetry.push_answered(self._mailbox, "unreachable" if silent.place == "connect" else "silent")
            if silent.place == "answer":  # it may be this message that the recipient cannot take: let other keys go first
                retry_at = now() + timedelta(seconds=max(backoff_s(one.tries + 1), silent.wait_s))
                await connection.execute(_TRY_AGAIN, (retry_at, self._mailbox, one.seq))
            raise
        telemetry.push_answered(self._mailbox, answer.state.lower())
        if answer.state == "GONE":
            await self._pause(connection, "the recipient's address answers that it is gone")
            return
        await self._settle(connection, row, answer.state, answer.code)

    async def _pause(self, connection: AsyncConnection[TupleRow], reason: str) -> None:
        """As an operator would, audited: the brokers hold the audit event, or nothing changed and it is asked again."""
        async with connection.transaction():
            paused = await connection.execute(PAUSE.encode(), {"code": self._mailbox, "at": now(), "by": "hub", "reason": reason})
            if await paused.fetchone() is not None:
                await self._teller.audited("recipient-pause", self._mailbox, reason)

    async def _rendered(self, connection: AsyncConnection[TupleRow], row: Row) -> bytes | None:
        """What to send; what cannot be written is held for a person and does not stop the rest."""
        try:
            return self._channel.render(row)
        except HubError as wrong:
            if wrong.retriable:
                raise
            code = wrong.code
        except Exception as fault:  # ours to mend: raised, it would end the process at every start
            telemetry.fault("push", "TRANSLATION_FAILED", telemetry.trace_of(fault))
            code = "TRANSLATION_FAILED"
        await self._settle(connection, row, "HELD", code)
        return None

    async def _settle(self, connection: AsyncConnection[TupleRow], row: Row, state: str, code: str) -> None:
        at, channel = now(), self._channel
        after = (*channel.waits, "EXPIRED") if state in _WORDS else channel.waits  # its time may have ended while it was asked
        await move(connection, self._mailbox, [row.delivery_id], state, at=at, channel=channel.name, code=code, after=after)
        self._teller.wake()


_PENDING: Final = "select seq, delivery_id, subject_key, lane, tries, next_try_at from mailbox"
_WAITS: Final = "recipient = %s and seq > %s and state = any(%s)"
_TRIED: Final = f"{_PENDING} where {_WAITS} and tries > 0 order by seq"
_FRESH: Final = f"{_PENDING} where {_WAITS} and subject_key <> all(%s) order by seq limit %s"
# The urgent ones behind a window, each with all that waits before it under its key.
_URGENT: Final = f"""select subject_key, seq from mailbox
    where {_WAITS} and lane = 'urgent' and state in ('QUEUED', 'SENT') and subject_key <> all(%s) order by seq"""  # noqa: S608
_OVERTAKING: Final = f"""
with waiting as ({_URGENT} limit %s), last as (select subject_key, max(seq) as seq from waiting group by 1)
select one.seq, delivery_id, one.subject_key, lane, tries, next_try_at from last
join mailbox one on one.subject_key = last.subject_key and one.seq <= last.seq
where one.recipient = %s and one.seq > %s and one.state = any(%s) order by one.seq
"""  # noqa: S608  # constants only
_PAUSED: Final = "select 1 from recipient where code = %s and paused_at is not null"
_ROW: Final = f"""select {COLUMNS} from mailbox where recipient = %s and seq = %s and state = any(%s)
    and not exists (select from recipient where code = %s and paused_at is not null)"""  # noqa: S608  # constants only
_TRY_AGAIN: Final = "update mailbox set tries = tries + 1, next_try_at = %s where recipient = %s and seq = %s"
