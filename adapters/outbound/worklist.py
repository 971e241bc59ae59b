"""The work list: documents that do not reach the citizen's app, each with the exact reason and whose turn it is. They are called slips
here, discharge papers and treatment summaries too.

It is no store of its own: a slip stands on it while its delivery waits, is held or was refused for a stated reason, and no newer
revision of the same slip came. The issuing facility reads its own by HTTP, beside its inbox.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import FastAPI, Path, Query, Request, Response
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg_pool import AsyncConnectionPool

from adapters.outbound.inbox_api import entitled
from adapters.outbound.portal_check import Reason
from adapters.outbound.portal_client import CHANNEL, FOR_A_PERSON, MAILBOX, put_back
from adapters.outbound.receipts import move
from hub.access.credentials import Credentials
from hub.bus import Wire
from hub.contract.errors import HubError
from hub.contract.events import now, to_json
from hub.store.database import available

PAGE_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Waiting:
    """One slip on the list; discharge paper and treatment summary of a claim are one, under its MA_LK.

    state:   HELD (not sent), REFUSED (by the portal), QUEUED (waits, and is tried again by itself), EXPIRED (with its day).
    told:    the portal's own sentence.
    """

    delivery_id: UUID
    facility: str
    record: str
    state: str
    reasons: list[dict[str, str]]
    told: str
    queued_at: datetime
    changed_at: datetime
    tries: int
    body: bytes

    def shown(self, wire: Wire) -> dict[str, Any]:
        """For its issuing facility and for operators: the slip by its number and encounter, and each reason in words."""
        return {
            "delivery_id": self.delivery_id,
            "facility": self.facility,
            "record": self.record,
            **_named(wire, self.body),
            "state": self.state,
            "since": self.changed_at,
            "tries": self.tries,
            "reasons": [Reason(each["code"], each["element"]).shown() for each in self.reasons],
            "portal_says": self.told,
        }


def _named(wire: Wire, body: bytes) -> dict[str, str]:
    try:
        _record, event = wire.unpack(body)
    except HubError as wrong:
        if wrong.retriable:
            raise
        return {"slip": "", "ma_lk": ""}
    return {"slip": event.get("slip", ""), "ma_lk": event.get("ma_lk", "")}


async def listed(
    connection: AsyncConnection[TupleRow], facility: str = "", *, after: UUID | None = None, limit: int = PAGE_MAX
) -> list[Waiting]:
    """What stands on the list, oldest first; of one facility, or of all.

    after: the last delivery of the page before.
    """
    cursor = connection.cursor(row_factory=class_row(Waiting))
    await cursor.execute(_LISTED.encode(), {"mailbox": MAILBOX, "facility": facility, "after": after, "limit": limit})
    return await cursor.fetchall()


async def counts(connection: AsyncConnection[TupleRow], facility: str = "") -> dict[str, tuple[int, datetime]]:
    """How many slips stand on it, and since when the oldest does, by the code of their first reason."""
    found = await connection.execute(_COUNTS.encode(), {"mailbox": MAILBOX, "facility": facility})
    return {row[0]: (row[1], row[2]) async for row in found}


@dataclass(frozen=True, slots=True)
class Arrival:
    """Of slips that were meant for the app (each counted once, however often it was revised): what became of them.

    at_once:   the portal took what was said first; all that would have arrived without a list.
    corrected: it took a later revision, or what a person sent again.
    """

    slips: int
    at_once: int
    corrected: int

    @property
    def without_list(self) -> float:
        """Share, 0 to 1."""
        return self.at_once / self.slips if self.slips else 0.0

    @property
    def with_list(self) -> float:
        """Share, 0 to 1."""
        return (self.at_once + self.corrected) / self.slips if self.slips else 0.0


async def arrival(connection: AsyncConnection[TupleRow], days: int = 30) -> Arrival:
    """The arrival rate with and without the list, of slips that the client of the portal looked at in the last days and that
    were neither cancelled before they went nor held by rule."""
    row = await (await connection.execute(_ARRIVAL, (MAILBOX, days))).fetchone()
    return Arrival(*row) if row else Arrival(0, 0, 0)


async def send_again(connection: AsyncConnection[TupleRow], delivery_ids: Sequence[UUID]) -> set[UUID]:
    """Send slips as they are, whatever the check says, in the caller's transaction; what is sensitive is held again.

    Returns: ids of those that stood on the list.
    """
    return await put_back(connection, delivery_ids, forced=True)


async def drop(connection: AsyncConnection[TupleRow], delivery_ids: Sequence[UUID]) -> set[UUID]:
    """Give slips up, in the caller's transaction. Returns: ids of those that stood on the list."""
    moved = await move(
        connection, MAILBOX, delivery_ids, "DISCARDED", at=now(), channel=CHANNEL, code="GIVEN_UP", after=FOR_A_PERSON
    )
    await connection.execute("update portal_document set reasons = '[]' where delivery_id = any(%s::uuid[])", (list(moved),))
    return moved


_ROWS: Final = """
from portal_document document join mailbox on mailbox.recipient = document.mailbox and mailbox.seq = document.seq
where document.mailbox = %(mailbox)s and document.reasons <> '[]' and mailbox.state in ('QUEUED', 'SENT', 'HELD', 'REFUSED', 'EXPIRED')
    and (%(facility)s = '' or document.facility = %(facility)s)
    and not exists (
        select from portal_document newer where newer.mailbox = document.mailbox and newer.record = document.record
            and newer.subject_key = document.subject_key and (newer.rank, newer.seq) > (document.rank, document.seq))
"""
_LISTED: Final = f"""
select document.delivery_id, document.facility, document.record, state, reasons, told, queued_at, changed_at, tries, body
{_ROWS} and document.seq > coalesce((select seq from portal_document where delivery_id = %(after)s), 0)
order by document.seq limit %(limit)s
"""  # noqa: S608  # constants only
_COUNTS: Final = f"select reasons -> 0 ->> 'code', count(*), min(changed_at) {_ROWS} group by 1 order by 2 desc, 1"
_ARRIVAL: Final = """
with revision as (
    select document.record, document.subject_key, state, forced, code,
           row_number() over (partition by document.record, document.subject_key order by document.rank, document.seq) as place
    from portal_document document join mailbox on mailbox.recipient = document.mailbox and mailbox.seq = document.seq
    where document.mailbox = %s and document.taken_at > now() - make_interval(days => %s)
), slip as (
    select bool_or(state = 'ACKNOWLEDGED') as arrived, bool_or(place = 1 and state = 'ACKNOWLEDGED' and not forced) as at_once
    from revision group by record, subject_key
    having not bool_and(state = 'DISCARDED' and code in ('NOT_FOR_PORTAL', 'SUPERSEDED')) and not bool_or(code = 'SENSITIVE_HELD')
)
select count(*), count(*) filter (where at_once), count(*) filter (where arrived and not at_once) from slip
"""


# --- HTTP -------------------------------------------------------------------------------------------------------------


_Facility = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,32}$")]


def mount(app: FastAPI, pool: AsyncConnectionPool, wire: Wire, credentials: Credentials) -> None:
    """Add `GET /v1/worklist/{facility}`: what its issuing facility alone may see."""

    @app.get("/v1/worklist/{facility}")
    async def _worklist(
        request: Request,
        facility: _Facility,
        after: Annotated[UUID | None, Query()] = None,
        limit: Annotated[int, Query(ge=1)] = 100,
    ) -> Response:
        entitled(request, credentials, facility, test=False)
        with available():
            async with pool.connection() as connection:
                rows = await listed(connection, facility, after=after, limit=min(limit, PAGE_MAX))
                by_code = {code: count for code, (count, _) in (await counts(connection, facility)).items()}
        shown = await asyncio.to_thread(lambda: [row.shown(wire) for row in rows])  # bodies may be large
        return Response(to_json({"facility": facility, "counts": by_code, "slips": shown}), media_type="application/json")
