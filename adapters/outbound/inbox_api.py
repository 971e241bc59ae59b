"""The inbox API: recipients pull what is theirs, by cursor, and say what became of it.

Every error is `{code, where, text, text_vi}`. A first reading hands a delivery over (SENT); the recipient's own word
(ACKNOWLEDGED, REFUSED) comes by a receipt. Reading again from an older cursor gives the same deliveries again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from adapters.outbound.inbox_document import FAULTS, TOO_MUCH, Item, Page, Said, document
from adapters.outbound.item import COLUMNS, Form, Row, explained, shown
from adapters.outbound.receipts import Teller, mailbox_name
from adapters.outbound.wakes import Wakes
from hub.access.credentials import Credentials
from hub.bus import Wire
from hub.contract import telemetry
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import now, to_json
from hub.contract.settings import Settings
from hub.store.database import available

_CHECK_S: Final = 5.0  # a long poll looks by itself this often, should a wake-up be lost
_PAGE_BYTES_MAX: Final = 16 * 1024 * 1024  # of bodies in one answer; one delivery always fits
_RETRY_AFTER_S: Final = "5"
_RECEIPTS_BYTES_MAX: Final = 1024 * 1024  # of one body: some ten thousand receipts
_BODY_WAIT_S: Final = 30.0
_STATUS: Final = {
    "NOT_FOUND": 404,
    "CREDENTIAL_WRONG": 401,
    "FACILITY_NOT_ENTITLED": 403,
    "REQUEST_WRONG": 400,
    "FRAME_TOO_LARGE": 413,
    "FRAME_UNFINISHED": 408,
}


class ReceiptIn(BaseModel):
    """What the recipient says of one delivery."""

    model_config = ConfigDict(extra="forbid")

    delivery_id: UUID
    state: Literal["ACKNOWLEDGED", "REFUSED"]
    code: str = Field("", description="Row of the hub's table of errors; RECIPIENT_REFUSED when a refusal names none.")

    @model_validator(mode="after")
    def _code_is_known(self) -> "ReceiptIn":
        if self.state == "REFUSED":
            self.code = self.code or "RECIPIENT_REFUSED"
            if self.code not in ERRORS:
                raise ValueError("no such code")
        elif self.code:
            raise ValueError("only a refusal has a code")
        return self


_RECEIPTS: Final = TypeAdapter(list[ReceiptIn])
_RECEIPTS_SCHEMA: Final = {"type": "array", "items": ReceiptIn.model_json_schema()}
_RECEIPTS_BODY: Final = {"requestBody": {"required": True, "content": {"application/json": {"schema": _RECEIPTS_SCHEMA}}}}
_NOTE: Final = """
insert into receipt_outbox (delivery_id, recipient, facility, message_id, test, state, code, channel, at)
    select delivery_id, recipient, facility, message_id, test, state, code, 'pull', %(at)s from moved"""
# One statement looks whether the recipient is paused, reads a page and hands it over: a round trip costs more than reading.
# What another reader hands over meanwhile is moved once.
_GATE: Final = "select paused_at is not null as paused, seq from recipient where code = %(mailbox)s"
_SHOWN: Final = COLUMNS.replace("seq as cursor", "cursor").replace("state", "case state when 'QUEUED' then 'SENT' else state end")
_HAND_OVER: Final = f"""
moved as (
    update mailbox set state = 'SENT', changed_at = %(at)s from page
    where mailbox.recipient = %(mailbox)s and mailbox.day = page.day and mailbox.seq = page.cursor
        and page.state = 'QUEUED' and mailbox.state = 'QUEUED'
    returning mailbox.*
), noted as ({_NOTE})
select paused, seq, state = 'QUEUED', {_SHOWN} from gate left join page on true order by cursor
"""  # noqa: S608  # constants only
_PAGE: Final = f"""
with gate as materialized ({_GATE}), next as (
    select * from mailbox where recipient = %(mailbox)s and seq > %(after)s and day >= %(day)s
        and (select not paused and seq > %(after)s from gate)
    order by seq limit %(limit)s
), page as materialized (
    select {COLUMNS} from (
        select *, sum(octet_length(body)) over (order by seq) - octet_length(body) as bytes_before from next
    ) as sized where bytes_before < {_PAGE_BYTES_MAX}
), {_HAND_OVER}"""  # noqa: S608
_ONE: Final = f"""
with gate as materialized ({_GATE}), page as materialized (
    select {COLUMNS} from mailbox where recipient = %(mailbox)s and delivery_id = %(id)s and (select not paused from gate)
), {_HAND_OVER}"""  # noqa: S608
# All or nothing: nothing moves unless every delivery was found in this mailbox.
_ANSWER: Final = f"""
with given as (
    select * from unnest(%(ids)s::uuid[], %(states)s::text[], %(codes)s::text[]) as given (delivery_id, said, said_code)
), known as materialized (
    select day, seq, delivery_id, state, said, said_code from given join mailbox using (delivery_id) where recipient = %(mailbox)s
), moved as (
    update mailbox set state = known.said, code = known.said_code, changed_at = %(at)s, next_try_at = null from known
    where mailbox.recipient = %(mailbox)s and mailbox.day = known.day and mailbox.seq = known.seq
        and mailbox.state in ('QUEUED', 'SENT', 'EXPIRED') and (select count(*) from known) = %(count)s
    returning mailbox.*
), noted as ({_NOTE})
select known.delivery_id, coalesce(moved.state, known.state) from known left join moved using (day, seq)
"""  # noqa: S608
_STATES: Final = "select delivery_id, state from mailbox where recipient = %s and delivery_id = any(%s)"
_OPEN: Final = frozenset(("QUEUED", "SENT", "EXPIRED"))  # a late word is still the recipient's word
_TURNS: Final = 8  # connections to the database at once, of all readers together
_TURN_WAIT_S: Final = 30.0
_PLACES_MAX: Final = 20_000
_SHOWN_HERE: Final = 8  # deliveries that cost less to write than a thread to hand them to


class Inbox:
    """Reading and answering, on the tables."""

    def __init__(self, settings: Settings, pool: AsyncConnectionPool, wire: Wire, wakes: Wakes, teller: Teller) -> None:
        self._settings = settings
        self._pool = pool
        self._wire = wire
        self._wakes = wakes
        self._teller = teller
        # A mailbox to a number that was read, and a day that is not behind whatever comes after it.
        self._places: dict[str, tuple[int, date]] = {}
        self._turn = asyncio.Semaphore(_TURNS)
        self._stopping = False

    async def page(self, mailbox: str, after: int, limit: int, wait_s: float) -> list[Row]:
        """The next deliveries behind the cursor, in order; waits for the first one as long as told.

        The waiting holds no connection to the database.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(wait_s, self._settings.poll_wait_max_s)
        limit = min(limit, self._settings.inbox_page_max)
        rows: list[Row] = []
        with self._wakes.waiting(mailbox) as woken:
            look = wait_s <= 0 or not self._wakes.quiet(mailbox, after)
            while True:
                if look:
                    woken.clear()
                    last, rows = await self._read(mailbox, after, limit)
                    if (end := rows[-1].cursor if rows else after) >= last:
                        self._wakes.looked(mailbox, end, woken)
                left = deadline - loop.time()
                if rows or left <= 0 or self._stopping:
                    return rows
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _CHECK_S)):
                        await woken.wait()
                look = True

    def stop(self) -> None:
        """Who waits is answered at once."""
        self._stopping = True
        self._wakes.wake("")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """A connection, in turn: a pool with a thousand waiters spends its time on them, and starves the intake.

        Raises: HubError(OVERLOADED), HubError(DATABASE_UNAVAILABLE).
        """
        try:
            async with asyncio.timeout(_TURN_WAIT_S):
                await self._turn.acquire()
        except TimeoutError:
            raise HubError("OVERLOADED", "database") from None
        try:
            with available():
                async with self._pool.connection() as connection:
                    yield connection
        finally:
            self._turn.release()

    async def _read(self, mailbox: str, after: int, limit: int) -> tuple[int, list[Row]]:
        """The number of the mailbox's last delivery, and the page behind the cursor."""
        known, day = self._places.get(mailbox, (0, date.min))
        values = {"mailbox": mailbox, "after": after, "limit": limit, "at": now(), "day": day if known <= after else date.min}
        async with self._connected() as connection:
            last, rows = await self._select(connection, _PAGE, values)
            # Numbers have no gaps, so one shows that the day was wrong (a clock that was put back); or days that were dropped.
            if values["day"] != date.min and last > after and (not rows or rows[-1].cursor - after != len(rows)):
                _, rows = await self._select(connection, _PAGE, values | {"day": date.min})
        if rows:
            if len(self._places) >= _PLACES_MAX:
                self._places.clear()
            # A writer that waited for its turn at midnight may put yesterday's behind today's.
            self._places[mailbox] = (rows[-1].cursor, rows[-1].day - timedelta(days=1))
        return last, rows

    async def one(self, mailbox: str, delivery_id: UUID) -> Row:
        """Raises: HubError(NOT_FOUND) for another's delivery too, HubError(RECIPIENT_PAUSED)."""
        async with self._connected() as connection:
            _, rows = await self._select(connection, _ONE, {"mailbox": mailbox, "id": delivery_id, "at": now()})
        if not rows:
            raise HubError("NOT_FOUND", "delivery_id")
        return rows[0]

    async def _select(
        self, connection: AsyncConnection[TupleRow], query: str, values: dict[str, object]
    ) -> tuple[int, list[Row]]:
        """The number of the mailbox's last delivery, and what was read and handed over. Raises: HubError(RECIPIENT_PAUSED)."""
        cursor = connection.cursor(binary=True)
        await cursor.execute(query.encode(), values)
        found = await cursor.fetchall()
        if found and found[0][0]:
            raise HubError("RECIPIENT_PAUSED", "facility")
        if any(row[2] for row in found):
            self._teller.wake()
        return found[0][1] if found else 0, [Row(*row[3:]) for row in found if row[3] is not None]

    async def answer(self, mailbox: str, receipts: Sequence[ReceiptIn]) -> list[dict[str, object]]:
        """Take the recipient's word, all or nothing. The first word stands: repeats and later ones change nothing.

        Returns: each delivery with the state in which it is now.
        Raises:  HubError(NOT_FOUND) if one delivery is not in this mailbox.
        """
        first: dict[UUID, ReceiptIn] = {}
        for one in receipts:
            first.setdefault(one.delivery_id, one)
        ids = list(first)
        said = {
            "mailbox": mailbox,
            "ids": ids,
            "states": [one.state for one in first.values()],
            "codes": [one.code for one in first.values()],
            "count": len(ids),
            "at": now(),
        }
        async with self._connected() as connection:
            states: dict[UUID, str] = {row[0]: row[1] async for row in await connection.execute(_ANSWER.encode(), said)}
            missing = next((number for number, one in enumerate(receipts) if one.delivery_id not in states), None)
            if missing is not None:
                raise HubError("NOT_FOUND", f"[{missing}].delivery_id")
            if not _OPEN.isdisjoint(states.values()):  # somebody else said it at the same moment
                states |= {row[0]: row[1] async for row in await connection.execute(_STATES, (mailbox, ids))}
        self._teller.wake()
        return [{"delivery_id": one, "state": states[one]} for one in dict.fromkeys(one.delivery_id for one in receipts)]

    async def shown(self, rows: Sequence[Row], form: Form, facility: str) -> list[dict[str, object]]:
        """Deliveries as they are answered."""
        if len(rows) <= _SHOWN_HERE:
            return [shown(self._wire, row, form, facility) for row in rows]
        return await asyncio.to_thread(lambda: [shown(self._wire, row, form, facility) for row in rows])


# --- HTTP -------------------------------------------------------------------------------------------------------------


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(content), status, headers, "application/json")


def _refusal(error: HubError) -> Response:
    if error.retriable:
        return _json(explained(error), 503, {"Retry-After": _RETRY_AFTER_S})
    return _json(explained(error), _STATUS.get(error.code, 500))


def entitled(request: Request, credentials: Credentials, facility: str, test: bool) -> str:
    """The mailbox that the caller asks for. Raises: HubError(CREDENTIAL_WRONG), HubError(FACILITY_NOT_ENTITLED)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    address = request.client.host if request.client else ""
    who = credentials.of_token(token.strip() if scheme.lower() == "bearer" else "", address)
    if who is None:
        raise HubError("CREDENTIAL_WRONG", "Authorization")
    if not who.may_act_for(facility) or (who.test and not test):
        raise HubError("FACILITY_NOT_ENTITLED", "facility")
    return mailbox_name(facility, test=test)


async def _said(request: Request) -> list[ReceiptIn]:
    """The receipts of a body, which is read only now that the caller is known.

    Raises: HubError(REQUEST_WRONG), HubError(FRAME_TOO_LARGE), HubError(FRAME_UNFINISHED).
    """
    raw = bytearray()
    try:
        async with asyncio.timeout(_BODY_WAIT_S):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > _RECEIPTS_BYTES_MAX:
                    raise HubError("FRAME_TOO_LARGE", "body")
        return _RECEIPTS.validate_json(bytes(raw))
    except (TimeoutError, ClientDisconnect) as stop:
        raise HubError("FRAME_UNFINISHED", "body") from stop
    except ValidationError as wrong:
        place = wrong.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
        raise HubError("REQUEST_WRONG", ".".join(map(str, ("body", *place)))) from None  # its text holds what was sent


_Facility = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,32}$")]


def build_api(inbox: Inbox, credentials: Credentials, ready: Callable[[], Awaitable[bool]]) -> FastAPI:
    """The application. ready: whether deliveries can be taken and read at this moment."""
    app = FastAPI(title="HIE inbox", version="1", docs_url="/docs", redoc_url=None)

    @app.exception_handler(HubError)
    async def _hub_error(_request: Request, error: HubError) -> Response:
        return _refusal(error)

    @app.exception_handler(RequestValidationError)
    async def _request_wrong(_request: Request, error: RequestValidationError) -> Response:
        return _refusal(HubError("REQUEST_WRONG", ".".join(str(part) for part in error.errors()[0]["loc"])))

    @app.exception_handler(HTTPException)
    async def _no_such_page(_request: Request, error: HTTPException) -> Response:
        code = "NOT_FOUND" if error.status_code == 404 else "REQUEST_WRONG"
        return _json(explained(HubError(code, "path")), error.status_code)

    @app.get("/health", include_in_schema=False)
    async def _health() -> Response:
        return _json({"alive": True})

    @app.get("/ready", include_in_schema=False)
    async def _ready() -> Response:
        able = await ready()
        return _json({"ready": able}, 200 if able else 503)

    @app.get("/metrics", include_in_schema=False)
    async def _metrics() -> Response:
        return Response(telemetry.metrics(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/inbox/{facility}", summary="Deliveries behind a cursor", responses={200: {"model": Page}, **FAULTS})
    async def _page(
        request: Request,
        facility: _Facility,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        limit: Annotated[int, Query(ge=1)] = 100,
        wait: Annotated[float, Query(ge=0)] = 0.0,
        format: Form = "json",
        test: bool = False,
    ) -> Response:
        mailbox = entitled(request, credentials, facility, test)
        rows = await inbox.page(mailbox, after, limit, wait)
        cursor = rows[-1].cursor if rows else after
        deliveries = await inbox.shown(rows, format, facility)
        return _json({"facility": facility, "test": test, "cursor": cursor, "deliveries": deliveries})

    @app.post(
        "/v1/inbox/{facility}/receipts",
        summary="What became of deliveries",
        openapi_extra=_RECEIPTS_BODY,
        responses={200: {"model": list[Said]}, **FAULTS, **TOO_MUCH},
    )
    async def _receipts(request: Request, facility: _Facility, test: bool = False) -> Response:
        mailbox = entitled(request, credentials, facility, test)
        return _json(await inbox.answer(mailbox, await _said(request)))

    @app.get("/v1/inbox/{facility}/{delivery_id}", summary="One delivery", responses={200: {"model": Item}, **FAULTS})
    async def _one(
        request: Request,
        facility: _Facility,
        delivery_id: UUID,
        format: Form = "json",
        test: bool = False,
    ) -> Response:
        row = await inbox.one(entitled(request, credentials, facility, test), delivery_id)
        return _json((await inbox.shown([row], format, facility))[0])

    app.openapi = partial(document, app)  # type: ignore[method-assign]  # FastAPI's own way to change it
    return app
