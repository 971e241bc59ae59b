"""The outbox of receipts: written in the transaction that changes a state, emptied once the brokers hold them.

So a process may die at any moment and the receipt still comes: at least once, each time under the same id.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from hub.audit import audit
from hub.bus import Out, Producer, Wire, event_out
from hub.contract import telemetry
from hub.contract.events import Event, derive
from hub.store.database import available

EXPIRED_RULE: Final = "expired-to-sender"
TEST: Final = "!test"  # behind a facility's code it names the mailbox of test traffic
PORTAL: Final = "portal"  # the mailbox that the hub itself drains; and its channel, whose slips may be put back
NOT_TAKEN: Final = "NOT_TAKEN"  # of papers that waited for it in vain
PAPERS: Final = "hie.Claim"  # to the portal: its papers; the claim itself went to its payer
_BATCH: Final = 2_000
_LOOK_AGAIN_S: Final = 5.0  # for receipts that a process left behind when it died


def mailbox_name(recipient: str, *, test: bool) -> str:
    """The mailbox of a recipient: test traffic has its own, with its own cursor."""
    return recipient + TEST if test else recipient


@dataclass(frozen=True, slots=True)
class Change:
    """One change of state of one delivery, as the outbox keeps it.

    recipient: name of the mailbox.
    facility:  whose thing the delivered event is.
    code:      row of the table of errors, when refused, held or discarded.
    channel:   pull, mllp or webhook; empty when nobody took part.
    record:    kind of what was delivered, where it expired; else empty.
    """

    delivery_id: UUID
    recipient: str
    facility: str
    message_id: str
    test: bool
    state: str
    code: str
    channel: str
    at: datetime
    record: str = ""


def receipt_of(change: Change) -> Event:
    """The `hie.Receipt` of a change. Its id is of delivery and state, so a repeat is the same receipt; and of the time, where
    a slip of the portal may be put back and come to the same state once more."""
    code = change.recipient.removesuffix(TEST)
    content = {
        "delivery_id": str(change.delivery_id),
        "recipient": code,
        "state": change.state,
        "code": change.code,
        "channel": change.channel,
        "at": change.at,
    }
    delivery = {
        "meta": {
            "event_id": str(change.delivery_id),
            "message_id": change.message_id,
            "test": change.test,
            "source": {"application": "mailbox"},
        }
    }
    return derive(
        "hie.Receipt",
        content,
        parents=[delivery],
        rule=f"receipt-{change.state.lower()}",
        facility=change.facility,
        key=code,
        revision={"version": 0, "stated_at": "", "received_at": change.at},
        to=f"{code} {change.at.isoformat()}" if change.channel == PORTAL else code,
    )


def notice_of(wire: Wire, receipt: Event, change: Change) -> Event | None:
    """The delivery by which a sender hears that what it sent expired: the receipt itself, to its own mailbox, on the urgent lane.

    None for what is no news to anybody else, such as a notice that nobody fetched; and for papers of a claim that the portal did
    not take, where they wait in their thousands: trace and books tell that they expired, and notices of slips are not buried.
    What its facility could have mended, it is told.
    """
    if change.state != "EXPIRED" or change.facility in ("", receipt["recipient"]):
        return None
    if (receipt["recipient"], change.record, change.code) == (PORTAL, PAPERS, NOT_TAKEN):
        return None
    content = {
        "recipient": change.facility,
        "subject_event_id": receipt["meta"]["event_id"],
        "subject_record": "hie.Receipt",
        "subject_topic": "receipt.v1",
        "lane": "urgent",
        "rule": EXPIRED_RULE,
        "body": wire.pack("receipt.v1", receipt),
    }
    return derive(
        "hie.Delivery",
        content,
        parents=[receipt],
        rule=EXPIRED_RULE,
        facility=change.facility,
        key=change.facility,
        revision=receipt["meta"]["revision"],
        to=change.facility,
    )


async def note(connection: AsyncConnection[TupleRow], changes: Sequence[Change]) -> None:
    """Put changes into the outbox, in the caller's transaction."""
    if not changes:
        return
    columns = "delivery_id, recipient, facility, message_id, test, state, code, channel, at"
    async with connection.cursor() as cursor, cursor.copy(f"copy receipt_outbox ({columns}) from stdin (format binary)") as copy:
        copy.set_types(["uuid", "text", "text", "text", "bool", "text", "text", "text", "timestamptz"])
        for one in changes:
            row = (
                one.delivery_id,
                one.recipient,
                one.facility,
                one.message_id,
                one.test,
                one.state,
                one.code,
                one.channel,
                one.at,
            )
            await copy.write_row(row)


async def move(
    connection: AsyncConnection[TupleRow],
    mailbox: str,
    delivery_ids: Sequence[UUID],
    state: str,
    *,
    at: datetime,
    channel: str,
    code: str = "",
    after: Sequence[str] = ("QUEUED", "SENT"),
) -> set[UUID]:
    """Change the state of deliveries that stand in one of the states `after`, and note the receipts, in one statement.

    Returns: ids of those that changed; the others had said their word already, or are not in this mailbox.
    """
    rows = await connection.execute(_MOVE, (state, code, at, mailbox, list(delivery_ids), list(after), code, channel, at))
    return {row[0] async for row in rows}


_MOVE: Final = """
with moved as (
    update mailbox set state = %s, code = %s, changed_at = %s, next_try_at = null
    where recipient = %s and delivery_id = any(%s::uuid[]) and state = any(%s)
    returning delivery_id, recipient, facility, message_id, test, state)
insert into receipt_outbox (delivery_id, recipient, facility, message_id, test, state, code, channel, at)
select delivery_id, recipient, facility, message_id, test, state, %s, %s, %s from moved
returning delivery_id
"""


class Teller:
    """Empties the outbox into `receipt.v1`. Several may run at once: each takes other rows."""

    def __init__(self, pool: AsyncConnectionPool, wire: Wire, producer: Producer) -> None:
        self._pool = pool
        self._wire = wire
        self._producer = producer
        self._something = asyncio.Event()

    def wake(self) -> None:
        """Something was noted."""
        self._something.set()

    async def audited(self, action: str, mailbox: str, reason: str) -> None:
        """What the hub did by itself, in `audit.v1`. Raises: HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE)."""
        await self._producer.publish([await asyncio.to_thread(audit, self._wire, action, mailbox, "hub", reason)])

    async def run(self) -> None:
        """Until cancelled. Raises: HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, DATABASE_UNAVAILABLE)."""
        while True:
            self._something.clear()
            while await self.tell():
                pass
            try:
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._something.wait()
            except TimeoutError:
                continue

    async def tell(self) -> int:
        """One batch: the rows go only when the brokers hold their receipts. Returns: how many."""
        with available():
            async with self._pool.connection() as connection, connection.transaction():
                cursor = connection.cursor(binary=True)
                await cursor.execute(_TAKE, (_BATCH,))
                changes = [Change(*row) for _id, *row in sorted(await cursor.fetchall())]
                if changes:
                    await self._producer.publish(await asyncio.to_thread(self._records, changes))
        for (state, channel), count in Counter((change.state, change.channel) for change in changes).items():
            telemetry.receipt_told(state, channel, count)
        return len(changes)

    def _records(self, changes: Sequence[Change]) -> list[Out]:
        records = []
        for change in changes:
            receipt = receipt_of(change)
            records.append(event_out(self._wire, "receipt.v1", receipt))
            notice = notice_of(self._wire, receipt, change)
            if notice is not None:
                records.append(event_out(self._wire, "delivery.v1", notice))
        return records


# Until the transaction ends, others pass over what was taken.
_TAKE: Final = """
delete from receipt_outbox where id = any(array(select id from receipt_outbox order by id limit %s for update skip locked))
returning id, delivery_id, recipient, facility, message_id, test, state, code, channel, at, record
"""
