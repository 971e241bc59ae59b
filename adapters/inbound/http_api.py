"""The HTTP way in: `POST /v1/messages`, and the pages that a machine watches (`/health`, `/ready`, `/metrics`).

The same gate as every other way in: 200 means that the brokers hold the message and all events made from it. A body of
several messages, as a batch or in a row, is answered by 207 with one answer for each.
"""

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from email.message import Message as MimeHeader
from functools import partial
from typing import Annotated, Any, Final

import orjson
import uvicorn
from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel

from adapters.formats.claim_xml import looks_like_envelope
from adapters.formats.mllp import Junk
from adapters.inbound.answers import answer_view, answered
from adapters.inbound.gate import Gate
from adapters.inbound.received import Received, Translation, parts
from adapters.inbound.tls import ServerTls
from adapters.inbound.translate import too_many, unframed
from hub.access.credentials import Credential, Credentials, is_loopback
from hub.access.http_door import http_config
from hub.access.quota import Quota, Quotas
from hub.bus import Producer
from hub.contract import telemetry
from hub.contract.errors import ERRORS, HubError, Problem, Severity
from hub.contract.settings import Settings

_HL7: Final = "application/hl7-v2"
_OPEN_MAX: Final = 256  # connections at once
_RETRY_AFTER_S: Final = "5"
_CONTENT_TYPE_MAX: Final = 256  # characters; reading its parameters costs the square of them
_KEPT_BYTES: Final = 64 * 1024  # of a body that is too large
_HELD_BYTES_MAX: Final = 1024 * 1024 * 1024  # bodies of all requests together; beyond it 503
_AsTest = Annotated[bool, Query(description="As test traffic, whatever the messages say of themselves.")]


class ProblemView(BaseModel):
    """One finding; path is an HL7 path, or a place in XML or JSON."""

    code: str
    severity: str
    path: str
    text: str
    text_vi: str


class EventView(BaseModel):
    """One event made from the message."""

    event_id: str
    topic: str


class Answer(BaseModel):
    """What became of a message. verdict: translated, refused or quarantined; ack: what MSA-1 would say."""

    message_id: str
    control_id: str
    verdict: str
    ack: str
    problems: list[ProblemView]
    events: list[EventView]


class Answers(BaseModel):
    """What became of the messages of a batch, in order; each is taken or refused by itself."""

    items: list[Answer]


class Interrupted(BaseModel):
    """A batch of which the brokers did not confirm all. items: null for each message that was not taken: send those again.

    Sending all of them again does no harm: ids derive from content.
    """

    code: str
    text: str
    text_vi: str
    items: list[Answer | None] | None = None


class Refusal(BaseModel):
    """Why nothing was taken."""

    code: str
    text: str
    text_vi: str


_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "One message: HL7 v2 (ER7), the insurance XML envelope, or a report of resources as JSON; or several HL7 "
        "messages, in a row or as a batch (FHS, BHS … BTS, FTS).",
        "content": {
            kind: {"schema": {"type": "string"}}
            for kind in (_HL7, "x-application/hl7-v2+er7", "text/plain", "application/xml", "application/json")
        },
    }
}  # fmt: skip
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": Answer, "description": "Translated; the brokers hold the message and its events."},
    207: {"model": Answers, "description": "A batch: an answer for each message; the brokers hold them all."},
    401: {"model": Refusal, "description": "The token is missing or not valid."},
    403: {
        "model": Answer,
        "description": "The sender may not speak for the facility of the message; it is kept. Or a token that came without "
        "TLS from another machine: nothing was taken.",
    },
    408: {"model": Refusal, "description": "The body did not come in time."},
    413: {"model": Refusal, "description": "The message is too large."},
    422: {"model": Answer, "description": "Refused or quarantined; the bytes are kept."},
    429: {"model": Refusal, "description": "The sender's quota is used up. Nothing was taken: send again after Retry-After."},
    503: {
        "model": Interrupted,
        "description": "The brokers do not confirm, or there is no room. Nothing was taken, or of a batch only what `items` "
        "says: send again after Retry-After.",
    },
}


class _Room:
    """Memory for the bodies of all requests under way."""

    def __init__(self, bytes_max: int) -> None:
        self._left = bytes_max

    def take(self, size: int) -> None:
        """Raises: HubError(OVERLOADED)."""
        if size > self._left:
            raise HubError("OVERLOADED", "bodies")
        self._left -= size

    def give(self, size: int) -> None:
        self._left += size


class _Held:
    """What one request took of the room."""

    def __init__(self, room: _Room) -> None:
        self._room, self._size = room, 0

    def take(self, size: int) -> None:
        """Raises: HubError(OVERLOADED)."""
        self._room.take(size)
        self._size += size

    def give_back(self) -> None:
        self._room.give(self._size)
        self._size = 0


def build_api(
    settings: Settings,
    gate: Gate,
    credentials: Credentials,
    producer: Producer,
    quotas: Quotas | None = None,
    *,
    held_bytes_max: int = _HELD_BYTES_MAX,
) -> FastAPI:
    """The application; of its own it knows only how many bytes of bodies it holds."""
    room, quotas = _Room(held_bytes_max), quotas or Quotas()
    api = FastAPI(title="hie-hub: messages in", version="1", docs_url="/docs", redoc_url=None)
    api.state.room = room  # for the other ways in on this server

    @api.post("/v1/messages", summary="Send one message, or a batch", responses=_ANSWERS, openapi_extra=_BODY)
    async def post_message(request: Request, test: _AsTest = False) -> Response:
        peer = request.client.host if request.client else ""
        sender = credentials.of_token(_bearer(request), peer)
        if sender is None:
            return _refusal(401, "CREDENTIAL_WRONG", {"WWW-Authenticate": "Bearer"})
        if request.url.scheme != "https" and not is_loopback(peer):
            return _refusal(403, "TLS_REQUIRED", {})
        quota = quotas.of(sender, time.monotonic())
        if quota is not None and (wait_s := quota.wait_s(time.monotonic())):
            return _refusal(429, "OVERLOADED", {"Retry-After": str(math.ceil(wait_s))})
        held, hl7 = _Held(room), _HL7 in request.headers.get("accept", "")
        try:
            body, received = _Body(request, held, quota), partial(_received, request, gate, sender, test)
            async with asyncio.timeout(settings.frame_wait_s):
                raw, size = await body.read(settings.message_bytes_max)
            whole = size <= settings.message_bytes_max
            found = await gate.cut(raw) if whole else None
            if quota is not None:
                quota.take(0, len(found.parts) if found else 1)
            if not whole:
                done = await _take_large(settings, gate, body, raw, received) if size <= settings.envelope_bytes_max else None
                if done is not None:
                    return _answer(done, hl7=hl7)
                await gate.accept_unframed(_too_large(received(raw[:_KEPT_BYTES]), size))
                return _refusal(413, "FRAME_TOO_LARGE", {})
            message = received(raw)
            if found is None:
                return _answer(await gate.accept(message), hl7=hl7)
            if len(found.parts) > settings.batch_max:
                await gate.accept_unframed(too_many(message, settings.batch_max))
                return _refusal(413, "FRAME_TOO_LARGE", {})
            each = await gate.accept_each(parts(message, found, gate.clock), settings.pipeline_max)
            return _answers(each, found.header, message.received_at, hl7=hl7)
        except TimeoutError:
            return _refusal(408, "FRAME_UNFINISHED", {})
        except HubError as stop:
            return _refusal(503, stop.code, {"Retry-After": _RETRY_AFTER_S})
        finally:
            held.give_back()

    @api.get("/health", summary="The process lives")
    async def health() -> dict[str, str]:
        return {"status": "up"}

    @api.get("/ready", summary="The brokers answer")
    async def ready() -> Response:
        if await asyncio.to_thread(producer.reachable):
            return Response(b'{"status":"ready"}', media_type="application/json")
        return _refusal(503, "BROKER_UNAVAILABLE", {"Retry-After": _RETRY_AFTER_S})

    @api.get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response:
        return Response(telemetry.metrics(), media_type="text/plain; version=0.0.4")

    return api


class HttpServer:
    """The application on a socket of its own, in the running loop."""

    def __init__(self, api: FastAPI, host: str, port: int, tls: ServerTls | None = None) -> None:
        self._host, self._port = host, port
        self._setting = "HIE_HTTPS_PORT" if tls is not None else "HIE_HTTP_PORT"
        config = http_config(
            api,
            open_max=_OPEN_MAX,
            log_level="critical",
            ssl_context_factory=(lambda _config, _default: tls.front()) if tls is not None else None,
        )
        self._server = uvicorn.Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, *, reuse_port: bool = False) -> int:
        """Serve. Returns: the port. Raises: HubError(PORT_TAKEN)."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listening.bind((self._host, self._port))
        except OSError as taken:
            listening.close()
            raise HubError("PORT_TAKEN", f"{self._setting} {self._port}") from taken
        # Not `serve`: signals are the service's own affair.
        self._serving = asyncio.get_running_loop().create_task(self._server._serve([listening]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(0.01)
        return int(listening.getsockname()[1])

    async def stop(self, limit_s: float) -> None:
        """Take no more requests, answer those under way within the limit."""
        if self._serving is not None:
            self._server.config.timeout_graceful_shutdown = max(1, int(limit_s))
            self._server.should_exit = True
            await self._serving


class _Body:
    """The body of a request: first what a message may have, in memory; then, for a large envelope, the rest, piece by piece."""

    def __init__(self, request: Request, held: _Held, quota: Quota | None) -> None:
        stated = request.headers.get("content-length", "")
        self._stated = int(stated) if stated.isdigit() and len(stated) < 20 else 0
        self._stream = request.stream()
        self._chunks: list[bytes] = []
        self._held, self._quota = held, quota

    async def _pieces(self) -> AsyncIterator[bytes]:
        """What comes, counted as it comes: a body may state any size."""
        async for chunk in self._stream:
            if self._quota is not None:
                self._quota.take(len(chunk), 0)
            yield chunk

    async def read(self, limit: int) -> tuple[bytes, int]:
        """The body, and its size; of one over the limit only the beginning, and nothing more is read yet.

        Raises: HubError(OVERLOADED) when the requests under way hold too much already.
        """
        size = 0
        async for chunk in self._pieces():
            self._held.take(len(chunk))
            self._chunks.append(chunk)
            size += len(chunk)
            if size > limit or (self._stated > limit and size):
                break
        return b"".join(self._chunks), max(size, self._stated)

    async def rest(self) -> AsyncIterator[bytes]:
        """All of it, from the beginning; what was held in memory is given back."""
        for chunk in self._chunks:
            yield chunk
        self._chunks.clear()
        self._held.give_back()
        async for chunk in self._pieces():
            yield chunk


def _received(request: Request, gate: Gate, sender: Credential, test: bool, raw: bytes = b"") -> Received:
    asked = sender.test or test
    return Received(raw, gate.clock(), "http", sender.name, sender.facilities, asked, charset=_charset(request))


def _too_large(received: Received, size: int) -> Translation:
    return unframed(received, Junk(received.raw, size, Problem("FRAME_TOO_LARGE", Severity.ERROR)))


async def _take_large(
    settings: Settings, gate: Gate, body: _Body, begin: bytes, received: Callable[[], Received]
) -> Translation | None:
    """An envelope of more bytes than a message may have, through the disk; None for anything else, or one that grows too large."""
    if not looks_like_envelope(begin):
        return None
    # As long as a message of the usual limit may take, for each such part of it.
    async with asyncio.timeout(settings.frame_wait_s * math.ceil(settings.envelope_bytes_max / settings.message_bytes_max)):
        reference = await gate.large.spool(body.rest(), settings.envelope_bytes_max)
    return await gate.accept_large(received(), reference) if reference is not None else None


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _charset(request: Request) -> str:
    header = MimeHeader()
    stated = request.headers.get("content-type", "")[:_CONTENT_TYPE_MAX]
    header["Content-Type"] = stated.replace("\r", "").replace("\n", "")
    return str(header.get_param("charset", "") or "")


def _refusal(status: int, code: str, headers: dict[str, str]) -> Response:
    row = ERRORS[code]
    body = orjson.dumps({"code": code, "text": row.en, "text_vi": row.vi})
    return Response(body, status, headers, "application/json")


def _answer(translation: Translation, *, hl7: bool) -> Response:
    status = 200 if translation.verdict == "translated" else 422
    if any(problem.code == "FACILITY_NOT_ENTITLED" for problem in translation.problems):
        status = 403
    if hl7 and translation.ack:
        return Response(translation.ack, status, media_type=_HL7)
    return Response(orjson.dumps(answer_view(translation)), status, media_type="application/json")


def _answers(done: list[Translation | None], header: str, at: datetime, *, hl7: bool) -> Response:
    taken = [translation for translation in done if translation is not None]
    if len(taken) == len(done) and hl7 and (acks := [translation.ack for translation in taken if translation.ack]):
        return Response(answered(header, acks, at), 207, media_type=_HL7)
    items = [answer_view(translation) if translation is not None else None for translation in done]
    if len(taken) == len(done):
        return Response(orjson.dumps({"items": items}), 207, media_type="application/json")
    row = ERRORS["BROKER_UNAVAILABLE"]
    body = {"code": row.code, "text": row.en, "text_vi": row.vi, "items": items}
    return Response(orjson.dumps(body), 503, {"Retry-After": _RETRY_AFTER_S}, "application/json")
