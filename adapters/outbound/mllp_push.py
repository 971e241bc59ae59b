"""MLLP push: for recipients that listen themselves. One task, one link and one database connection a recipient.

A delivery is answered when an acknowledgement comes whose MSA-2 is our MSH-10, on the link it went over. A link on which
an answer is overdue is closed, so that a late one can never be taken for another's. Order is kept per key; the urgent lane
goes first otherwise.
"""

import asyncio
import base64
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.dialects.profile import dialect_for
from adapters.dialects.render import as_hl7
from adapters.formats.mllp import Decoder, Frame, encode
from adapters.outbound.receipts import TEST, Teller, move
from adapters.outbound.retry import BACKOFF_FIRST_S, Breaker, backoff_s
from adapters.outbound.wakes import Wakes
from hub.bus import Wire
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.settings import Settings
from hub.store.database import available

_WINDOW: Final = 200  # deliveries looked at together, beside those that were tried in vain
_ACK_BYTES_MAX: Final = 256 * 1024
_READ_BYTES: Final = 64 * 1024
_LOOK_AGAIN_S: Final = 5.0
_LOCK: Final = 7304


class Target(BaseModel):
    """Where a recipient listens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = Field(ge=1, le=65535)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    recipient: dict[str, Target] = {}


def read_targets(path: Path | None) -> dict[str, Target]:
    """Mailbox to where it is pushed. A recipient's test traffic is pushed only to its own row, `<code>!test`.

    Raises: HubError(SETTING_WRONG) with the place in the file.
    """
    if path is None:
        return {}
    try:
        return _File.model_validate(tomllib.loads(path.read_text("utf-8"))).recipient
    except ValidationError as wrong:
        place = ".".join(str(part) for part in wrong.errors()[0]["loc"])
        raise HubError("SETTING_WRONG", f"HIE_PUSH {place}: {wrong.errors()[0]['msg']}") from None
    except (OSError, ValueError) as wrong:
        raise HubError("SETTING_WRONG", f"HIE_PUSH {type(wrong).__name__}") from None


def control_id(delivery_id: UUID) -> str:
    """MSH-10 of a delivery: 20 characters, the most that HL7 allows, of 100 bits of its id. A retry has the same."""
    return base64.b32encode(delivery_id.bytes).decode()[:20]


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


# --- the link ---------------------------------------------------------------------------------------------------------


def acknowledgement(body: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2 of an acknowledgement, as the delimiters of its MSH say; empty when it is none.

    Only these two are read, in ASCII: the rest of an acknowledgement may be in any character set.
    """
    if len(body) < 8 or body[:3] != b"MSH":
        return "", ""
    field, component = body[3:4], body[4:5]
    for line in body.replace(b"\n", b"\r").split(b"\r"):
        if line[:4] == b"MSA" + field:
            parts = [part.split(component)[0].strip().decode("ascii", "replace") for part in line.split(field)]
            return parts[1].upper(), parts[2] if len(parts) > 2 else ""
    return "", ""


class Link:
    """A connection to one recipient: opened when needed, closed when an answer is overdue."""

    def __init__(self, target: Target, wait_s: float) -> None:
        self._target = target
        self._wait_s = wait_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._decoder = Decoder(_ACK_BYTES_MAX)

    async def ask(self, body: bytes, message_control_id: str) -> str:
        """Send one message and wait for its own acknowledgement.

        Returns: MSA-1: AA, AE, AR, CA, CE or CR.
        Raises:  HubError(RECIPIENT_UNREACHABLE, `connect` or `answer`) when it does not come in time; the link is closed then.
        """
        framed = encode(body)
        place = "connect"
        try:
            async with asyncio.timeout(self._wait_s):
                reader, writer = await self._opened()
                place = "answer"
                writer.write(framed)
                await writer.drain()
                return await self._answer(reader, message_control_id)
        except BaseException as silent:
            await self.close()
            if isinstance(silent, (OSError, TimeoutError, EOFError)):
                raise HubError("RECIPIENT_UNREACHABLE", place) from silent
            raise

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()
        if self._streams is None:
            self._decoder = Decoder(_ACK_BYTES_MAX)
            self._streams = await asyncio.open_connection(self._target.host, self._target.port)
        return self._streams

    async def _answer(self, reader: asyncio.StreamReader, message_control_id: str) -> str:
        while True:
            data = await reader.read(_READ_BYTES)
            if not data:
                raise EOFError
            # One answer is asked for at a time, so what has ended needs no silence to show it.
            for part in [*self._decoder.feed(data), *self._decoder.take_ended()]:
                code, answered_id = acknowledgement(part.body) if isinstance(part, Frame) else ("", "")
                # Another id is a late or stray answer: it says nothing about this message.
                if answered_id == message_control_id and code in _ANSWERS:
                    return code

    async def close(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


_ANSWERS: Final = {
    "AA": "ACKNOWLEDGED",
    "CA": "ACKNOWLEDGED",
    "AE": "REFUSED",
    "AR": "REFUSED",
    "CE": "REFUSED",
    "CR": "REFUSED",
}


# --- one recipient ----------------------------------------------------------------------------------------------------


class Push:
    """Pushes one mailbox. A lock in the database keeps a second process from pushing the same one."""

    def __init__(self, settings: Settings, mailbox: str, target: Target, wire: Wire, wakes: Wakes, teller: Teller) -> None:
        self._settings = settings
        self._mailbox = mailbox
        self._facility = mailbox.removesuffix(TEST)
        self._wire = wire
        self._wakes = wakes
        self._teller = teller
        self._link = Link(target, settings.push_timeout_s)
        self._floor = 0  # below and at it nothing waits any more
        self._breaker = Breaker()

    async def run(self) -> None:
        """Until cancelled. Raises: HubError(DATABASE_UNAVAILABLE, REGISTRY_UNAVAILABLE); the caller runs it again."""
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
            await self._link.close()

    async def _alone(self, connection: AsyncConnection[TupleRow]) -> bool:
        row = await (await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK, self._mailbox))).fetchone()
        return row is not None and bool(row[0])

    async def round(self, connection: AsyncConnection[TupleRow]) -> float:
        """Push what may go now, up to the first failure. Returns: how long to wait before the next look, in seconds.

        A key whose head was tried in vain waits as a whole, and its head goes last when it is due: however many the recipient
        cannot take, they hold up their own keys only.
        """
        at = now()
        cursor = connection.cursor(row_factory=class_row(Pending))
        tried = await (await cursor.execute(_TRIED, (self._mailbox, self._floor))).fetchall()
        keys = [one.subject_key for one in tried]
        fresh = await (await cursor.execute(_FRESH, (self._mailbox, self._floor, keys, _WINDOW))).fetchall()
        self._floor = min((rows[0].seq - 1 for rows in (tried, fresh) if rows), default=self._floor)
        due = [*in_order(fresh), *(one for one in tried if one.next_try_at is None or one.next_try_at <= at)]
        for one in due:
            if not await self._push(connection, one):
                await asyncio.sleep(BACKOFF_FIRST_S)  # what is new ends the rest of the pause, but not this
                return self._breaker.failed()
            self._breaker.succeeded()
        if due:
            return 0.0
        soonest = min((one.next_try_at for one in tried if one.next_try_at), default=None)
        return _LOOK_AGAIN_S if soonest is None else min(_LOOK_AGAIN_S, max(0.05, (soonest - at).total_seconds()))

    async def _push(self, connection: AsyncConnection[TupleRow], one: Pending) -> bool:
        """One delivery; false when the recipient gave no answer."""
        identity = control_id(one.delivery_id)
        body = await self._rendered(connection, one, identity)
        if body is None:
            return True
        try:
            answer = await self._link.ask(body, identity)
        except HubError as silent:
            telemetry.push_answered(self._facility, "unreachable" if silent.where == "connect" else "silent")
            if silent.where == "answer":  # it may be this message that the recipient cannot take: let other keys go first
                retry_at = now() + timedelta(seconds=backoff_s(one.tries + 1))
                await connection.execute(_TRY_AGAIN, (retry_at, self._mailbox, one.seq))
            return False
        state = _ANSWERS[answer]
        await self._settle(connection, one, state, "RECIPIENT_REFUSED" if state == "REFUSED" else "")
        telemetry.push_answered(self._facility, state.lower())
        return True

    async def _rendered(self, connection: AsyncConnection[TupleRow], one: Pending, identity: str) -> bytes | None:
        """The message in the recipient's dialect; one that cannot be made is held for a person and does not stop the rest."""
        row = await (await connection.execute(_BODY, (self._mailbox, one.seq))).fetchone()
        if row is None:
            return None
        try:
            record, event = self._wire.unpack(row[0])
            dialect = dialect_for(self._facility)
            body: bytes = as_hl7(record, event, dialect, now=now(), control_id=identity, receiving_facility=self._facility)
            encode(body)
        except HubError as wrong:
            if wrong.retriable:
                raise
            code = wrong.code
        except ValueError:  # of `encode`: the text holds what frames end with
            code = "CHARSET_UNREADABLE"
        except Exception as fault:  # ours to mend: raised, it would end the process at every start
            telemetry.fault("push", "TRANSLATION_FAILED", telemetry.trace_of(fault))
            code = "TRANSLATION_FAILED"
        else:
            return body
        await self._settle(connection, one, "HELD", code)
        return None

    async def _settle(self, connection: AsyncConnection[TupleRow], one: Pending, state: str, code: str) -> None:
        await move(connection, self._mailbox, [one.delivery_id], state, at=now(), channel="mllp", code=code)
        self._teller.wake()


_COLUMNS: Final = "select seq, delivery_id, subject_key, lane, tries, next_try_at from mailbox"
_WAITS: Final = "recipient = %s and seq > %s and state in ('QUEUED', 'SENT')"
_TRIED: Final = f"{_COLUMNS} where {_WAITS} and tries > 0 order by seq"
_FRESH: Final = f"{_COLUMNS} where {_WAITS} and subject_key <> all(%s) order by seq limit %s"
_BODY: Final = "select body from mailbox where recipient = %s and seq = %s"
_TRY_AGAIN: Final = "update mailbox set tries = tries + 1, next_try_at = %s where recipient = %s and seq = %s"
