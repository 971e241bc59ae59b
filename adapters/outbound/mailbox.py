"""The mailboxes: `delivery.v1` into PostgreSQL, once each, numbered without gaps, then the receipt QUEUED.

One transaction a batch. The recipient's row is locked while numbers are given, so numbers appear in the order in which
they are visible and a reader's cursor never skips. Kafka's offsets are committed afterwards: what a crash repeats,
`delivery_seen` absorbs.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier, Literal
from psycopg_pool import AsyncConnectionPool

from adapters.outbound.keeper import expires_at
from adapters.outbound.receipts import PORTAL, Change, Teller, mailbox_name, note
from hub.bus import Producer, Wire, consumer, dead_letter, take
from hub.contract import telemetry
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, now
from hub.contract.settings import Settings
from hub.store.database import available

TOPIC: Final = "delivery.v1"
GROUP: Final = "mailbox"  # of consumers
NOTIFY: Final = "hie_inbox"  # PostgreSQL channel: names of the mailboxes that got something, space between; empty for any
_NOTIFY_BYTES_MAX: Final = 7_900  # PostgreSQL takes 7,999
NO_LIMITS: Final[Mapping[str, float]] = {}
_DAYS_AHEAD: Final = 2
_DAYS_LOCK: Final = 7303


_LAST: Final = {
    "hie.MessageReceived": "message_id"
}  # the subject of an application's answer: it has no meta, and waits for no other


@dataclass(frozen=True, slots=True)
class Letter:
    """One delivery on its way into a mailbox.

    mailbox:     the recipient's code, with `!test` behind it for test traffic.
    event_id:    of what is delivered; `record` is its kind, `subject_key` its Kafka key.
    facility:    whose thing it is.
    body:        the event as a Kafka value.
    """

    mailbox: str
    delivery_id: UUID
    event_id: UUID
    record: str
    subject_key: str
    lane: str
    rule: str
    facility: str
    message_id: str
    test: bool
    body: bytes

    def change(self, state: str, at: datetime, code: str = "") -> Change:
        return Change(self.delivery_id, self.mailbox, self.facility, self.message_id, self.test, state, code, "", at)


@dataclass(slots=True)
class Batch:
    """What one batch of the topic holds: letters in order, what is to be discarded, and the records nobody could read."""

    letters: list[Letter]
    discarded: list[Letter]
    unreadable: list[Message]


def read_delivery(wire: Wire, value: bytes | None) -> tuple[Letter, bool] | None:
    """The letter in a Kafka value, and whether its body can be delivered; None for what is not for a mailbox.

    Not for a mailbox: what nobody is addressed in, and what goes to a payer, who reads a topic of its own.
    Raises: HubError(BODY_UNDECODABLE) when the value is no delivery.
    """
    record, delivery = wire.unpack(value)
    if record != "hie.Delivery":
        raise HubError("BODY_UNDECODABLE", record)
    recipient, body = delivery["recipient"], delivery["body"]
    if not recipient or (not body and recipient in payers()):
        return None
    try:
        subject: Event | None = wire.unpack_head(body, _LAST)[1]
    except HubError as wrong:
        if wrong.retriable:
            raise
        subject = None
    meta = delivery["meta"]
    texts = {
        "mailbox": mailbox_name(recipient, test=meta["test"]),
        "record": delivery["subject_record"],
        "subject_key": subject.get("meta", {}).get("key", meta["event_id"]) if subject else "",
        "lane": delivery["lane"] or "routine",
        "rule": delivery["rule"],
        "facility": meta["facility"],
        "message_id": meta["message_id"],
    }
    if any("\x00" in text for text in texts.values()):  # PostgreSQL holds no NUL in text
        raise HubError("BODY_UNDECODABLE", record)
    try:
        delivery_id, event_id = UUID(meta["event_id"]), UUID(delivery["subject_event_id"])
    except ValueError as wrong:
        raise HubError("BODY_UNDECODABLE", "id") from wrong
    letter = Letter(delivery_id=delivery_id, event_id=event_id, **texts, test=meta["test"], body=body)
    return letter, subject is not None


def read_batch(wire: Wire, messages: Sequence[Message]) -> Batch:
    """Sort the records of a batch. Raises: HubError(REGISTRY_UNAVAILABLE)."""
    batch = Batch([], [], [])
    for message in messages:
        try:
            found = read_delivery(wire, message.value())
        except HubError as wrong:
            if wrong.retriable:
                raise
            batch.unreadable.append(message)
            continue
        if found is None:
            continue
        letter, readable = found
        if not readable:
            batch.unreadable.append(message)
        (batch.letters if readable else batch.discarded).append(letter)
    return batch


# --- the tables -------------------------------------------------------------------------------------------------------


def day_of(at: datetime) -> date:
    """The day of a mailbox row."""
    return at.astimezone(VIETNAM).date()


async def make_days(connection: AsyncConnection[TupleRow], first: date, ahead: int = _DAYS_AHEAD) -> None:
    """Make the day's partition and those of the next days. By several at once too: one makes, the others find.

    Attaching takes a weaker lock than `partition of`, so readers and writers of other days go on.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", (_DAYS_LOCK,))
        for number in range(ahead + 1):
            day = first + timedelta(days=number)
            name = f"mailbox_{day:%Y%m%d}"
            found = await (await connection.execute("select to_regclass(%s)", (name,))).fetchone()
            if found is None or found[0] is None:
                await connection.execute(
                    SQL("create table {0} (like mailbox including all)").format(Identifier(name)),
                )
                await connection.execute(
                    SQL("alter table mailbox attach partition {0} for values from ({1}) to ({2})").format(
                        Identifier(name), Literal(day), Literal(day + timedelta(days=1))
                    )
                )


async def put(
    connection: AsyncConnection[TupleRow], letters: Sequence[Letter], at: datetime, limits: Mapping[str, float] = NO_LIMITS
) -> list[Letter]:
    """Put letters into their mailboxes, in order, and note their receipts, in the caller's transaction.

    limits:  hours in which a delivery of a lane or record has to be fetched; not of the portal's.
    Returns: those that were not there before.
    """
    if not letters:
        return []
    # Always in sorted order, here and below, so that two writers wait for each other and never in a circle.
    asked = sorted({(letter.mailbox, letter.delivery_id) for letter in letters})
    rows = await connection.execute(_SEEN, (day_of(at), [one[0] for one in asked], [one[1] for one in asked]))
    unseen = {(row[0], row[1]) async for row in rows}
    fresh = []
    for letter in letters:
        if (letter.mailbox, letter.delivery_id) in unseen:
            unseen.remove((letter.mailbox, letter.delivery_id))  # the same id may stand twice in one batch
            fresh.append(letter)
    if not fresh:
        return []
    day = day_of(at)
    counts = Counter(letter.mailbox for letter in fresh)
    rows = await connection.execute(_NUMBERS, (list(counts), list(counts.values())))
    seqs: dict[str, int] = {row[0]: row[1] - counts[row[0]] async for row in rows}
    async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for letter in fresh:
            seq = seqs[letter.mailbox] = seqs[letter.mailbox] + 1
            within = NO_LIMITS if letter.mailbox == PORTAL else limits  # the hub goes on trying: nothing is to be fetched in time
            await copy.write_row((*_row(letter, day, seq, at), expires_at(within, letter.lane, letter.record, at)))
    await note(connection, [letter.change("QUEUED", at) for letter in fresh])
    names = " ".join(sorted({letter.mailbox for letter in fresh}))
    await connection.execute("select pg_notify(%s, %s)", (NOTIFY, names if len(names) < _NOTIFY_BYTES_MAX else ""))
    return fresh


def _row(letter: Letter, day: date, seq: int, at: datetime) -> tuple[object, ...]:
    return (
        day,
        letter.mailbox,
        seq,
        letter.delivery_id,
        letter.event_id,
        letter.record,
        letter.subject_key,
        letter.lane,
        letter.rule,
        letter.facility,
        letter.message_id,
        letter.test,
        "QUEUED",
        at,
        at,
        letter.body,
    )


_SEEN: Final = """
insert into delivery_seen (recipient, delivery_id, seen_on)
select recipient, delivery_id, %s from unnest(%s::text[], %s::uuid[]) as asked (recipient, delivery_id)
on conflict do nothing returning recipient, delivery_id
"""
_NUMBERS: Final = """
insert into recipient (code, seq) select * from unnest(%s::text[], %s::bigint[]) as given (code, count) order by code collate "C"
on conflict (code) do update set seq = recipient.seq + excluded.seq returning code, seq
"""
_COPY: Final = """
copy mailbox (day, recipient, seq, delivery_id, event_id, record, subject_key, lane, rule, facility, message_id, test,
              state, queued_at, changed_at, body, expires_at) from stdin (format binary)
"""
_COPY_TYPES: Final = [
    "date",
    "text",
    "int8",
    "uuid",
    "uuid",
    *["text"] * 6,
    "bool",
    "text",
    "timestamptz",
    "timestamptz",
    "bytea",
    "timestamptz",
]


# --- from Kafka -------------------------------------------------------------------------------------------------------


class Intake:
    """Carries `delivery.v1` into the mailboxes. Several processes of one group share the partitions."""

    def __init__(
        self,
        settings: Settings,
        pool: AsyncConnectionPool,
        wire: Wire,
        producer: Producer,
        teller: Teller,
        *,
        group: str = GROUP,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._wire = wire
        self._producer = producer
        self._teller = teller
        self._group = group
        self._days: set[date] = set()

    async def run(self) -> None:
        """Until cancelled. After an error the caller runs it again: it goes on from the committed offsets.

        Raises: HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, DATABASE_UNAVAILABLE).
        """
        reader = consumer(self._settings.kafka, self._group, [TOPIC])
        reading: asyncio.Future[list[Message]] | None = None
        try:
            while True:
                reading = asyncio.ensure_future(asyncio.to_thread(take, reader, self._settings.mailbox_batch, 0.5))
                messages = await asyncio.shield(reading)
                if messages:
                    await self.carry(messages)
                    await asyncio.to_thread(self.commit, reader, messages)
        finally:
            if reading is not None:
                with suppress(asyncio.CancelledError, KafkaException):
                    await asyncio.wait([reading])  # a consumer must not be closed under a thread that reads from it
            await asyncio.to_thread(reader.close)

    async def carry(self, messages: Sequence[Message]) -> int:
        """Put one batch into the mailboxes. Returns: how many were new.

        What cannot be read goes to the dead letters first, so that its bytes are never only in a topic that forgets.
        """
        batch = await asyncio.to_thread(read_batch, self._wire, messages)
        if batch.unreadable:
            letters = [dead_letter(self._wire, "mailbox", "BODY_UNDECODABLE", message) for message in batch.unreadable]
            await self._producer.publish(letters)
            telemetry.dead_lettered("mailbox", "BODY_UNDECODABLE", len(letters))
        at = now()
        with available():
            async with self._pool.connection() as connection:
                if day_of(at) not in self._days:
                    await make_days(connection, day_of(at))
                    self._days = {day_of(at)}
                async with connection.transaction():
                    fresh = await put(connection, batch.letters, at, self._settings.expire_hours)
                    await note(connection, [one.change("DISCARDED", at, "BODY_UNDECODABLE") for one in batch.discarded])
        self._teller.wake()
        telemetry.deliveries_stored(Counter(letter.lane for letter in fresh), len(batch.letters) - len(fresh))
        return len(fresh)

    @staticmethod
    def commit(reader: Consumer, messages: Sequence[Message]) -> None:
        """Commit what follows the batch. A commit that fails does no harm: the batch comes again and is absorbed."""
        nexts = {(message.topic() or "", message.partition() or 0): (message.offset() or 0) + 1 for message in messages}
        with suppress(KafkaException):
            reader.commit(
                offsets=[TopicPartition(topic, partition, offset) for (topic, partition), offset in nexts.items()],
                asynchronous=False,
            )
