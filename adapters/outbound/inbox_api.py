"""The inbox API: recipients pull what is theirs, by cursor, and say what became of it.

Every error is `{code, where, text, text_vi}`. A first reading hands a delivery over (SENT); the recipient's own word
(ACKNOWLEDGED, REFUSED) comes by a receipt. Reading again from an older cursor gives the same deliveries again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import orjson
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from adapters.dialects.profile import dialect_for
from adapters.dialects.render import as_hl7, as_json
from adapters.formats.charset import decode
from adapters.outbound.mllp_push import control_id
from adapters.outbound.receipts import Teller, mailbox_name, move
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


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery in a mailbox, as it is read."""

    cursor: int
    delivery_id: UUID
    event_id: UUID
    record: str
    lane: str
    rule: str
    state: str
    code: str
    queued_at: datetime
    body: bytes


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
_COLUMNS: Final = "seq as cursor, delivery_id, event_id, record, lane, rule, state, code, queued_at, body"
_PAGE: Final = f"""
select {_COLUMNS} from (
    select *, sum(octet_length(body)) over (order by seq) - octet_length(body) as bytes_before
    from (select * from mailbox where recipient = %s and seq > %s order by seq limit %s) as next
) as page where bytes_before < {_PAGE_BYTES_MAX} order by seq
"""  # noqa: S608  # constants only
_ONE: Final = f"select {_COLUMNS} from mailbox where recipient = %s and delivery_id = %s"  # noqa: S608
_STATES: Final = "select delivery_id, state from mailbox where recipient = %s and delivery_id = any(%s)"


class Inbox:
    """Reading and answering, on the tables."""

    def __init__(self, settings: Settings, pool: AsyncConnectionPool, wire: Wire, wakes: Wakes, teller: Teller) -> None:
        self._settings = settings
        self._pool = pool
        self._wire = wire
        self._wakes = wakes
        self._teller = teller
        self.stopping = asyncio.Event()

    async def page(self, mailbox: str, after: int, limit: int, wait_s: float) -> list[Row]:
        """The next deliveries behind the cursor, in order; waits for the first one as long as told.

        The waiting holds no connection to the database.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(wait_s, self._settings.poll_wait_max_s)
        limit = min(limit, self._settings.inbox_page_max)
        with self._wakes.waiting(mailbox) as woken:
            while True:
                woken.clear()
                rows = await self._read(mailbox, after, limit)
                left = deadline - loop.time()
                if rows or left <= 0 or self.stopping.is_set():
                    return rows
                await self._either(woken, min(left, _CHECK_S))

    async def _either(self, woken: asyncio.Event, wait_s: float) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (woken, self.stopping)]
        try:
            await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _read(self, mailbox: str, after: int, limit: int) -> list[Row]:
        with available():
            async with self._pool.connection() as connection:
                rows = await self._select(connection, _PAGE, (mailbox, after, limit))
                return await self._hand_over(connection, mailbox, rows)

    async def one(self, mailbox: str, delivery_id: UUID) -> Row:
        """Raises: HubError(NOT_FOUND) for another's delivery too."""
        with available():
            async with self._pool.connection() as connection:
                rows = await self._select(connection, _ONE, (mailbox, delivery_id))
                if not rows:
                    raise HubError("NOT_FOUND", "delivery_id")
                return (await self._hand_over(connection, mailbox, rows))[0]

    @staticmethod
    async def _select(connection: AsyncConnection[TupleRow], query: str, values: tuple[object, ...]) -> list[Row]:
        cursor = connection.cursor(row_factory=class_row(Row))
        await cursor.execute(query.encode(), values)
        return await cursor.fetchall()

    async def _hand_over(self, connection: AsyncConnection[TupleRow], mailbox: str, rows: list[Row]) -> list[Row]:
        """Mark as SENT what is read for the first time, before it is answered: a lost answer was handed over all the same."""
        queued = [row.delivery_id for row in rows if row.state == "QUEUED"]
        if not queued:
            return rows
        sent = await move(connection, mailbox, queued, "SENT", at=now(), channel="pull", after=("QUEUED",))
        self._teller.wake()
        return [_as_sent(row) if row.delivery_id in sent else row for row in rows]

    async def answer(self, mailbox: str, receipts: Sequence[ReceiptIn]) -> list[dict[str, object]]:
        """Take the recipient's word, all or nothing. The first word stands: repeats and later ones change nothing.

        Returns: each delivery with the state in which it is now.
        Raises:  HubError(NOT_FOUND) if one delivery is not in this mailbox.
        """
        ids = [receipt.delivery_id for receipt in receipts]
        with available():
            async with self._pool.connection() as connection, connection.transaction():
                known = {row[0] async for row in await connection.execute(_STATES, (mailbox, ids))}
                missing = next((number for number, one in enumerate(ids) if one not in known), None)
                if missing is not None:
                    raise HubError("NOT_FOUND", f"[{missing}].delivery_id")
                at = now()
                for state, code in sorted({(receipt.state, receipt.code) for receipt in receipts}):
                    said = [one.delivery_id for one in receipts if (one.state, one.code) == (state, code)]
                    await move(connection, mailbox, said, state, at=at, channel="pull", code=code)
                rows = await connection.execute(_STATES, (mailbox, ids))
                states: dict[UUID, str] = {row[0]: row[1] async for row in rows}
        self._teller.wake()
        return [{"delivery_id": one, "state": states[one]} for one in dict.fromkeys(ids)]

    def shown(self, row: Row, form: Literal["json", "hl7"], facility: str) -> dict[str, object]:
        """One delivery as it is answered; a body that cannot be shown is told as a problem and holds up nothing."""
        answer: dict[str, object] = {
            "cursor": row.cursor,
            "delivery_id": row.delivery_id,
            "event_id": row.event_id,
            "record": row.record,
            "lane": row.lane,
            "rule": row.rule,
            "state": row.state,
            "code": row.code,
            "queued_at": row.queued_at,
        }
        try:
            record, event = self._wire.unpack(row.body)
            if form == "json":
                body: object = orjson.Fragment(as_json(record, event))
            else:
                dialect = dialect_for(facility)
                hl7 = as_hl7(
                    record,
                    event,
                    dialect,
                    now=now(),
                    control_id=control_id(row.delivery_id),
                    receiving_facility=facility,
                )
                body = decode(hl7, dialect.send.charset).text
        except HubError as wrong:
            if wrong.retriable:
                raise
            return answer | {"body": None, "problem": _explained(wrong)}
        except Exception as fault:  # ours to mend: the cursor of this mailbox must not stand still for it
            telemetry.fault("inbox", "TRANSLATION_FAILED", telemetry.trace_of(fault))
            return answer | {"body": None, "problem": _explained(HubError("TRANSLATION_FAILED", "body"))}
        return answer | {"body": body}


def _as_sent(row: Row) -> Row:
    return Row(**{name: getattr(row, name) for name in Row.__slots__} | {"state": "SENT"})


# --- HTTP -------------------------------------------------------------------------------------------------------------


def _explained(error: HubError) -> dict[str, str]:
    return {"code": error.code, "where": error.where, "text": error.row.en, "text_vi": error.row.vi}


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(content), status, headers, "application/json")


def _refusal(error: HubError) -> Response:
    if error.retriable:
        return _json(_explained(error), 503, {"Retry-After": _RETRY_AFTER_S})
    return _json(_explained(error), _STATUS.get(error.code, 500))


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
        return _json(_explained(HubError(code, "path")), error.status_code)

    @app.get("/health")
    async def _health() -> Response:
        return _json({"alive": True})

    @app.get("/ready")
    async def _ready() -> Response:
        able = await ready()
        return _json({"ready": able}, 200 if able else 503)

    @app.get("/metrics")
    async def _metrics() -> Response:
        return Response(telemetry.metrics(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/inbox/{facility}")
    async def _page(
        request: Request,
        facility: _Facility,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        limit: Annotated[int, Query(ge=1)] = 100,
        wait: Annotated[float, Query(ge=0)] = 0.0,
        format: Literal["json", "hl7"] = "json",
        test: bool = False,
    ) -> Response:
        mailbox = entitled(request, credentials, facility, test)
        rows = await inbox.page(mailbox, after, limit, wait)
        shown = await asyncio.to_thread(lambda: [inbox.shown(row, format, facility) for row in rows])
        return _json({"facility": facility, "test": test, "cursor": rows[-1].cursor if rows else after, "deliveries": shown})

    @app.post("/v1/inbox/{facility}/receipts", openapi_extra=_RECEIPTS_BODY)
    async def _receipts(request: Request, facility: _Facility, test: bool = False) -> Response:
        mailbox = entitled(request, credentials, facility, test)
        return _json(await inbox.answer(mailbox, await _said(request)))

    @app.get("/v1/inbox/{facility}/{delivery_id}")
    async def _one(
        request: Request,
        facility: _Facility,
        delivery_id: UUID,
        format: Literal["json", "hl7"] = "json",
        test: bool = False,
    ) -> Response:
        row = await inbox.one(entitled(request, credentials, facility, test), delivery_id)
        return _json(await asyncio.to_thread(inbox.shown, row, format, facility))

    return app
