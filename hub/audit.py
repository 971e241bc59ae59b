"""What a person did, and why: the one form of an audit event."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool

from hub.bus import Out, Producer, Wire
from hub.contract.events import new_id, now

_AT_ONCE: Final = 500  # noted events told in one transaction


def audit(
    wire: Wire,
    action: str,
    target: str,
    by: str,
    reason: str,
    outcome: str = "done",
    *,
    at: datetime | None = None,
    event_id: str = "",
) -> Out:
    """The record for `audit.v1`.

    target:   ids, codes and places, never a person's data.
    outcome:  done, refused, failed; asked, where it is told before it is done.
    at:       when; now if not given.
    event_id: where the same is told again on a second try; else one of its own.
    Raises:   HubError(REGISTRY_UNAVAILABLE).
    """
    when = at or now()
    made = event_id or new_id("audit", when.isoformat(), by, action, target)
    event = {"id": made, "at": when, "by": by, "action": action, "target": target, "reason": reason, "outcome": outcome}
    return Out("audit.v1", made, wire.pack("audit.v1", event))


async def tell_noted(pool: AsyncConnectionPool, producer: Producer, wire: Wire) -> int:
    """Bring to `audit.v1` what was noted in PostgreSQL beside the change it is about (`hub.access.people.note`).

    Told more than once by a fault, it has the same id each time. Several processes may do it at once.
    Returns: how many were told.
    Raises:  HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE); what was noted stays for the next time.
    """
    told = 0
    while True:
        async with pool.connection() as database, database.transaction():
            statement = (
                "select id, at, by, action, target, reason, outcome from audit_noted order by at limit %s for update skip locked"
            )
            rows = await (await database.execute(statement, (_AT_ONCE,))).fetchall()
            if not rows:
                return told
            await producer.publish(await asyncio.to_thread(_packed, wire, rows))  # the registry may have to be asked
            await database.execute("delete from audit_noted where id = any(%s)", ([row[0] for row in rows],))
        told += len(rows)
        if len(rows) < _AT_ONCE:
            return told


def _packed(wire: Wire, rows: Sequence[tuple[Any, ...]]) -> list[Out]:
    return [
        audit(wire, action, target, by, reason, outcome, at=at, event_id=made)
        for made, at, by, action, target, reason, outcome in rows
    ]
