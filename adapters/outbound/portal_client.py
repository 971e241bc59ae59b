"""The way to the citizen's app: the mailbox `portal` is drained into the insurance portal, one document at a time: a referral slip, a
follow-up slip, or the discharge paper and treatment summary of a claim. All three are called slips here.

A slip that the portal would refuse is not sent but HELD with its reasons (`portal_check`); one that it does refuse is REFUSED with
the portal's own. Both stand on the work list (`worklist`) until a newer revision of the same slip comes or a person decides. Of the
revisions of a slip the newest that is known goes, and no older one after it. ACKNOWLEDGED is the portal's word and no other.

A process may die anywhere: what was sent and not noted is sent again, the same bytes, which the portal knows as the same file.
"""

import asyncio
from collections.abc import Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from uuid import UUID

import orjson
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from adapters.dialects.render import SLIPS, STATED, as_xml
from adapters.outbound.mailbox import NOTIFY
from adapters.outbound.portal_calls import FILE_BYTES_MAX, Answer, Portal, PortalCalls
from adapters.outbound.portal_check import Reason, check
from adapters.outbound.push import Pending, in_order, paused
from adapters.outbound.receipts import PAPERS, PORTAL, Teller, move
from adapters.outbound.retry import backoff_s
from adapters.outbound.wakes import Wakes
from hub.bus import Wire
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, now, revision_rank
from hub.contract.settings import Settings
from hub.store.database import available

MAILBOX: Final = PORTAL
CHANNEL: Final = PORTAL
_LOCK: Final = 7304  # as MLLP push: whoever drains a mailbox does so alone
_WINDOW: Final = 50  # slips looked at together, beside those that were tried in vain
_BYTES: Final = 16 * 1024 * 1024  # and no more of them, but for the last
_LOOK_AGAIN_S: Final = 5.0
_KEPT_DAYS: Final = 400  # as long as a slip is known to routing
_CLEAN_S: Final = 3600.0
_RECORDS: Final = frozenset({*SLIPS, PAPERS})
_SAID: Final = STATED | {"SUBMITTED"}
_GONE: Final = frozenset({"CANCELLED", "DELETED"})  # of what the portal has, it has no call for it


_NOTHING: Final = Reason("NOT_FOR_PORTAL")


@dataclass(frozen=True, slots=True)
class _Slip:
    """One delivery with what it delivers."""

    seq: int
    delivery_id: UUID
    record: str
    subject_key: str
    lane: str
    tries: int
    next_try_at: datetime | None
    facility: str
    body: bytes

    @property
    def pending(self) -> Pending:
        return Pending(self.seq, self.delivery_id, self.subject_key, self.lane, self.tries, self.next_try_at)


@dataclass(frozen=True, slots=True)
class _File:
    """A slip as it is sent."""

    slip: _Slip
    content: bytes


class PortalClient:
    """Drains the mailbox. A lock in the database keeps a second process from it."""

    def __init__(self, settings: Settings, portal: Portal, wire: Wire, wakes: Wakes, teller: Teller) -> None:
        self._settings = settings
        self._portal = portal
        self._left = [] if portal.papers else [PAPERS]  # records that wait until their portal takes them
        self._wire = wire
        self._wakes = wakes
        self._teller = teller
        self._floor = 0  # below and at it nothing waits for this client that was not tried or put back
        self._start = 0  # the same, but for facilities that are left out
        self._without: Set[str] = frozenset()  # those
        self._failures = 0
        self._resting: set[str] = set()  # facilities whose account was refused, or could not log in, lately
        self._passed: set[str] = set()  # facilities that tried in vain since the portal answered last: others have their turn
        self._clean_at = 0.0

    async def run(self) -> None:
        """Until cancelled. Raises: HubError(DATABASE_UNAVAILABLE, REGISTRY_UNAVAILABLE); the caller runs it again."""
        url = self._settings.database_url.get_secret_value()
        calls = PortalCalls(self._portal)
        try:
            with available(), self._wakes.waiting(MAILBOX) as woken:
                async with await AsyncConnection.connect(url, autocommit=True, connect_timeout=10) as connection:
                    while not await self._alone(connection):  # noqa: ASYNC110  # no event tells when the other process ends
                        await asyncio.sleep(_LOOK_AGAIN_S)
                    self._floor = self._start = 0
                    await self._put_back(connection)
                    while True:
                        woken.clear()
                        wait_s = await self.round(connection, calls)
                        if self._failures:
                            await asyncio.sleep(wait_s)  # the portal is left alone, whatever else comes
                            continue
                        with suppress(TimeoutError):
                            async with asyncio.timeout(wait_s):
                                await woken.wait()
        finally:
            await calls.close()

    async def _alone(self, connection: AsyncConnection[TupleRow]) -> bool:
        row = await (await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK, MAILBOX))).fetchone()
        return row is not None and bool(row[0])

    async def _put_back(self, connection: AsyncConnection[TupleRow]) -> None:
        """What waited for an account of its facility, where there is one now."""
        rows = await (await connection.execute(_ACCOUNTLESS, (MAILBOX,))).fetchall()
        ids = [row[0] for row in rows if self._portal.account_of(row[1]) is not None]
        await put_back(connection, ids, forced=False)

    async def round(self, connection: AsyncConnection[TupleRow], calls: PortalCalls) -> float:
        """Send what may go now, up to the first failure. Returns: how long to wait before the next look, in seconds.

        After a failure the portal is left alone, longer each time; then one slip, of another facility each time, tries whether it is
        back. A login that is not answered, or refused, is a matter of its account: it says nothing of the portal, for better or worse.
        """
        await self._clean(connection)
        if await paused(connection, MAILBOX):
            return _LOOK_AGAIN_S
        at = now()
        slips = await self._due(connection, calls, at)
        ready = await self._ready(connection, slips)
        at_once = self._portal.at_once if not self._failures else 1
        for place in range(0, len(ready), at_once):
            if place and await paused(connection, MAILBOX):  # meanwhile
                return _LOOK_AGAIN_S
            reached = await self._send(connection, calls, ready[place : place + at_once])
            if reached is False:
                self._failures += 1
                return backoff_s(self._failures)
            if reached and self._failures:
                self._failures = 0
                self._passed.clear()
                return 0.0
        if slips:
            return 0.0
        return await self._idle_s(connection, at)

    # --- what may go --------------------------------------------------------------------------------------------------

    async def _due(self, connection: AsyncConnection[TupleRow], calls: PortalCalls, at: datetime) -> list[_Slip]:
        """Slips to look at: new ones in order, and those whose next try has come. None of an account that rests."""
        self._resting = {facility for facility in self._resting if calls.rests(facility)}
        slips = await self._found(connection, at, self._resting | self._passed)
        if not slips and self._passed:
            self._passed.clear()
            slips = await self._found(connection, at, self._resting)
        return slips

    async def _found(self, connection: AsyncConnection[TupleRow], at: datetime, without: Set[str]) -> list[_Slip]:
        if not self._without <= without:  # what waits of those that have their turn again may stand anywhere
            self._start = self._floor
        self._without = frozenset(without)
        others = list(without)
        last = await (await connection.execute(_LAST, (MAILBOX,))).fetchone()  # before the look: what comes meanwhile is above it
        cursor = connection.cursor(row_factory=class_row(_Slip))
        tried = await (await cursor.execute(_TRIED, (MAILBOX, self._left, at, others, _WINDOW, _BYTES))).fetchall()
        fresh = await (await cursor.execute(_FRESH, (MAILBOX, self._left, self._start, others, _WINDOW, _BYTES))).fetchall()
        self._start = fresh[0].seq - 1 if fresh else int(last[0]) if last else 0
        if not others:
            self._floor = self._start
        order = [one.delivery_id for one in in_order([slip.pending for slip in fresh])]
        by_id = {slip.delivery_id: slip for slip in fresh}
        return [*(by_id[one] for one in order), *tried]

    async def _ready(self, connection: AsyncConnection[TupleRow], slips: Sequence[_Slip]) -> list[_File]:
        """The files of those that are the newest of their key and that nothing is known to stop. The others are settled."""
        read = [(slip, *self._read(slip)) for slip in slips]
        newest = await self._register(connection, [(slip, event) for slip, _record, event in read])
        ready = []
        for slip, record, event in read:
            if slip.delivery_id not in newest:
                continue
            made = self._made(record, event, forced=newest[slip.delivery_id])
            if isinstance(made, bytes):
                ready.append(_File(slip, made))
            elif made != [_NOTHING]:
                await self._settle(connection, slip, "HELD", made)
            elif event and event["action"] in _GONE and await self._was_sent(connection, slip):
                await self._settle(connection, slip, "HELD", [Reason("PORTAL_CANNOT_CANCEL")])
            else:
                await self._settle(connection, slip, "DISCARDED", made)
        return ready

    def _read(self, slip: _Slip) -> tuple[str, Event | None]:
        """Record and event; none when the body cannot be read."""
        try:
            return self._wire.unpack(slip.body)
        except HubError as wrong:
            if wrong.retriable:
                raise
            return "", None

    def _made(self, record: str, event: Event | None, *, forced: bool) -> bytes | list[Reason]:
        """The file of a slip, or what stands against it.  forced: a person said to send it as it is."""
        if event is None:
            return [Reason("BODY_UNDECODABLE")]
        if record not in _RECORDS:
            return [Reason("TYPE_UNSUPPORTED")]
        if event.get("action") not in _SAID:
            return [_NOTHING]
        try:
            reasons = check(record, event, now().astimezone(VIETNAM).date())
            if reasons and not (forced and all(one.code != "SENSITIVE_HELD" for one in reasons)):
                return reasons
            if self._portal.account_of(event["meta"]["facility"]) is None:
                return [Reason("PORTAL_ACCOUNT_MISSING")]
            content = as_xml(record, event)
        except Exception as fault:  # ours to mend: raised, it would end the process at every start
            telemetry.fault("portal", "TRANSLATION_FAILED", telemetry.trace_of(fault))
            return [Reason("TRANSLATION_FAILED")]
        return content if len(content) <= FILE_BYTES_MAX else [Reason("FRAME_TOO_LARGE")]

    async def _register(
        self, connection: AsyncConnection[TupleRow], slips: Sequence[tuple[_Slip, Event | None]]
    ) -> dict[UUID, bool]:
        """Note which revision each is, and give up those that a newer one replaces, those already held too.

        Returns: the newest of each kind and key, with whether a person forces it.
        """
        if not slips:
            return {}
        async with connection.transaction():
            rows = [
                (slip.delivery_id, MAILBOX, slip.seq, slip.record, slip.subject_key, _rank(event), slip.facility)
                for slip, event in slips
            ]
            async with connection.cursor() as cursor:
                await cursor.executemany(_REGISTER, rows)
            keys = list({slip.subject_key for slip, _event in slips})
            found = await (await connection.execute(_REVISIONS, (MAILBOX, keys))).fetchall()
            older = [row[0] for row in found if row[1] > 1]
            if await move(
                connection, MAILBOX, older, "DISCARDED", at=now(), channel=CHANNEL, code="SUPERSEDED", after=_WAITING_STATES
            ):
                self._teller.wake()
        return {row[0]: row[2] for row in found if row[1] == 1}

    @staticmethod
    async def _was_sent(connection: AsyncConnection[TupleRow], slip: _Slip) -> bool:
        """Whether the portal has, or may have, an earlier word on the slip."""
        row = await (await connection.execute(_WAS_SENT, (MAILBOX, slip.record, slip.subject_key, slip.delivery_id))).fetchone()
        return row is not None and bool(row[0])

    # --- what went ----------------------------------------------------------------------------------------------------

    async def _send(self, connection: AsyncConnection[TupleRow], calls: PortalCalls, files: Sequence[_File]) -> bool | None:
        """Some at once, each another slip. Returns: false when the portal gave one of them no answer; None when it was not asked."""
        resting = {file.slip.facility for file in files if calls.rests(file.slip.facility)}
        self._resting |= resting
        going = [file for file in files if file.slip.facility not in resting]
        first = await self._going(connection, going)
        answers = await asyncio.gather(*(calls.send(file.slip.facility, file.content) for file in going), return_exceptions=True)
        pairs = list(zip(going, answers, strict=True))
        absent = [file.slip.delivery_id for file, answer in pairs if file.slip.delivery_id in first and _not_there(answer)]
        if absent:
            await connection.execute(_NOT_SENT, (absent,))
        answered = failed = False
        for file, answer in pairs:
            if isinstance(answer, Answer):
                await self._answered(connection, file.slip, answer)
                answered = True
            elif isinstance(answer, HubError):
                failed = not await self._unanswered(connection, file.slip, answer) or failed
            else:
                raise answer
        return False if failed else (answered or None)

    @staticmethod
    async def _going(connection: AsyncConnection[TupleRow], files: Sequence[_File]) -> set[UUID]:
        """Note, before the calls, that the portal may have them. Returns: ids of those that it cannot have had before."""
        rows = await connection.execute(_SENT, ([file.slip.delivery_id for file in files],))
        return {row[0] async for row in rows}

    async def _answered(self, connection: AsyncConnection[TupleRow], slip: _Slip, answer: Answer) -> None:
        if answer.accepted:
            await self._settle(connection, slip, "ACKNOWLEDGED", [], transaction=answer.transaction)
        else:
            reason = Reason("RECIPIENT_REFUSED", f"maKetQua {answer.code[:20]}")
            await self._settle(connection, slip, "REFUSED", [reason], told=answer.told, transaction=answer.transaction)

    async def _unanswered(self, connection: AsyncConnection[TupleRow], slip: _Slip, error: HubError) -> bool:
        """The slip waits on, with what it waits for. Returns: whether that is a matter of its account alone."""
        if error.code == "PORTAL_ACCOUNT_MISSING":
            await self._settle(connection, slip, "HELD", [Reason(error.code)])
            return True
        reason = Reason(error.code, "" if error.code == "PORTAL_LOGIN_REFUSED" else error.where)
        async with connection.transaction():
            await connection.execute(_REASONS, (_as_json([reason]), "", "", slip.delivery_id))
            if error.where != "connect":  # it may be this slip that the portal cannot take: let others go first
                retry_at = now() + timedelta(seconds=backoff_s(slip.tries + 1))
                await connection.execute(_TRY_AGAIN, (retry_at, MAILBOX, slip.seq))
        telemetry.portal_answered(slip.facility, "login-refused" if error.code == "PORTAL_LOGIN_REFUSED" else "unreachable")
        if error.code == "PORTAL_LOGIN_REFUSED" or error.where == "login":
            self._resting.add(slip.facility)
            return True
        if error.where != "connect":
            self._passed.add(slip.facility)
        return False

    async def _settle(
        self,
        connection: AsyncConnection[TupleRow],
        slip: _Slip,
        state: str,
        reasons: Sequence[Reason],
        *,
        told: str = "",
        transaction: str = "",
    ) -> None:
        code = reasons[0].code if reasons else ""
        after = _AFTER_ITS_WORD if state in ("ACKNOWLEDGED", "REFUSED") else ("QUEUED", "SENT")
        listed = [] if state == "DISCARDED" else reasons
        async with connection.transaction():
            await connection.execute(_REASONS, (_as_json(listed), told, transaction, slip.delivery_id))
            await move(connection, MAILBOX, [slip.delivery_id], state, at=now(), channel=CHANNEL, code=code, after=after)
        self._teller.wake()
        telemetry.portal_answered(slip.facility, state.lower())

    async def _idle_s(self, connection: AsyncConnection[TupleRow], at: datetime) -> float:
        row = await (await connection.execute(_SOONEST, (MAILBOX, self._left, at))).fetchone()
        if row is None or row[0] is None:
            return _LOOK_AGAIN_S
        return min(_LOOK_AGAIN_S, max(0.05, float((row[0] - at).total_seconds())))

    async def _clean(self, connection: AsyncConnection[TupleRow]) -> None:
        if self._clean_at <= monotonic():
            self._clean_at = monotonic() + _CLEAN_S
            await connection.execute(_CLEAN, (_KEPT_DAYS,))


async def put_back(connection: AsyncConnection[TupleRow], delivery_ids: Iterable[UUID], *, forced: bool) -> set[UUID]:
    """Let slips that are held, were refused or expired be looked at again, in the caller's transaction or each by itself.

    forced: to be sent without the check; what is sensitive stays held all the same.
    Returns: ids of those that wait now.
    """
    ids = list(delivery_ids)
    if not ids:
        return set()
    async with connection.transaction():
        moved = await move(connection, MAILBOX, ids, "QUEUED", at=now(), channel=CHANNEL, after=FOR_A_PERSON)
        await connection.execute(_FORCE, (forced, list(moved)))
        await connection.execute(_LOOK, (now(), MAILBOX, list(moved)))
        await connection.execute("select pg_notify(%s, %s)", (NOTIFY, MAILBOX))
    return moved


def _not_there(answer: Answer | BaseException) -> bool:
    """Whether the portal cannot have the file by this try: it said so, or the file never left."""
    if isinstance(answer, HubError):
        return answer.code != "RECIPIENT_UNREACHABLE" or answer.where != "answer"
    return isinstance(answer, Answer) and not answer.accepted


def _rank(event: Event | None) -> str:
    """Of a revision; of one that cannot be read, above all others: nothing older is sent in its place."""
    return "~" if event is None else revision_rank(event["meta"]["revision"])


def _as_json(reasons: Iterable[Reason]) -> str:
    return orjson.dumps([{"code": one.code, "element": one.element} for one in reasons]).decode()


_WAITING_STATES: Final = ("QUEUED", "SENT", "HELD")
_AFTER_ITS_WORD: Final = ("QUEUED", "SENT", "EXPIRED")  # the portal's word counts though the slip expired meanwhile
FOR_A_PERSON: Final = ("HELD", "REFUSED", "EXPIRED")  # to be sent again or given up
_COLUMNS: Final = "seq, delivery_id, record, subject_key, lane, tries, next_try_at, facility, body"
_WAITS: Final = "recipient = %s and record <> all(%s) and state in ('QUEUED', 'SENT')"
_TRIED: Final = f"""
select {_COLUMNS} from (
    select *, sum(octet_length(body)) over (order by next_try_at, seq) as bytes from (
        select {_COLUMNS} from mailbox where {_WAITS} and tries > 0 and next_try_at <= %s and facility <> all(%s)
        order by next_try_at, seq limit %s) as due) as counted
where bytes - octet_length(body) < %s order by next_try_at, seq
"""  # noqa: S608  # constants only
_FRESH: Final = f"""
select {_COLUMNS} from (
    select *, sum(octet_length(body)) over (order by seq) as bytes from (
        select {_COLUMNS} from mailbox where {_WAITS} and tries = 0 and seq > %s and facility <> all(%s)
        order by seq limit %s) as due) as counted
where bytes - octet_length(body) < %s order by seq
"""  # noqa: S608
_LAST: Final = "select seq from recipient where code = %s"
_SOONEST: Final = f"select min(next_try_at) from mailbox where {_WAITS} and tries > 0 and next_try_at > %s"  # noqa: S608  # constants only
_TRY_AGAIN: Final = "update mailbox set tries = tries + 1, next_try_at = %s where recipient = %s and seq = %s"
_LOOK: Final = (
    "update mailbox set tries = greatest(tries, 1), next_try_at = %s, expires_at = null"
    " where recipient = %s and delivery_id = any(%s::uuid[])"
)
_FORCE: Final = "update portal_document set forced = %s, told = '' where delivery_id = any(%s::uuid[])"
_SENT: Final = """
update portal_document set sent_at = now() where delivery_id = any(%s::uuid[]) and sent_at is null returning delivery_id
"""
_NOT_SENT: Final = "update portal_document set sent_at = null where delivery_id = any(%s::uuid[])"
_REASONS: Final = "update portal_document set reasons = %s, told = %s, transaction = %s where delivery_id = %s"
_REGISTER: Final = """
insert into portal_document (delivery_id, mailbox, seq, record, subject_key, rank, facility) values (%s, %s, %s, %s, %s, %s, %s)
on conflict (delivery_id) do nothing
"""
_REVISIONS: Final = """
select delivery_id, row_number() over (partition by record, subject_key order by rank desc, seq desc), forced
from portal_document where mailbox = %s and subject_key = any(%s)
"""
_WAS_SENT: Final = """
select exists (
    select from portal_document
    where mailbox = %s and record = %s and subject_key = %s and delivery_id <> %s and sent_at is not null)
"""
_ACCOUNTLESS: Final = """
select document.delivery_id, document.facility
from portal_document document join mailbox on mailbox.recipient = document.mailbox and mailbox.seq = document.seq
where document.mailbox = %s and mailbox.state = 'HELD' and mailbox.code = 'PORTAL_ACCOUNT_MISSING'
"""
_CLEAN: Final = """
delete from portal_document where taken_at < now() - make_interval(days => %s) and not exists (
    select from legal_hold where ended_at is null
    and (taken_at at time zone 'Asia/Ho_Chi_Minh')::date between first_day and coalesce(last_day, '9999-12-31'))
"""
