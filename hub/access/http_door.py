"""What every HTTP server of the hub asks of a connection before anybody knows whose it is: that it takes turns, says what it
wants, reads its answers and leaves when told. The rest is uvicorn's.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import CLOSE_HEADER, FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.access.credentials import is_loopback, network_of
from hub.contract.errors import ERRORS

_ASK_S: Final = 10.0  # for a connection to say what it wants, and to read some of what it was told
_LEAVE_S: Final = 30.0  # for a client to finish what it writes, when it had its answer before,
_QUIET_S: Final = 2.0  # as long as it writes
_HEAD_BYTES_MAX: Final = 16 * 1024  # of a request's line and headers
_PIECE_BYTES: Final = 4 * 1024  # parsed at once: chunks of one byte cost 15 ms
_TURN_S: Final = 0.005  # of parsing for one connection, then the others have their turn
_RETRY_AFTER_S: Final = "5"


def http_config(app: ASGIApp, *, open_max: int, of_one_max: int | None = None, **more: Any) -> uvicorn.Config:
    """uvicorn's configuration of one server.

    open_max:   connections at once, each with one request under way; beyond it 503.
    of_one_max: those of one host (an address, a /64 of IPv6), beyond which they are closed; not of this machine's own, where a
                proxy may stand. None: all.
    more:       what differs from server to server.
    """
    given: dict[str, Any] = {"ws": "none", "lifespan": "off", **more}
    return uvicorn.Config(
        app,
        http=partial(_Connection, open_max, of_one_max),  # type: ignore[arg-type]  # makes one, as the class itself would
        access_log=False,  # a line a request would name facilities and cursors, and cost more than the answer
        h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
        **given,
    )


class _Connection(H11Protocol):
    """A connection that holds up no other, and that keeps its place only while it has something to say and reads the answers."""

    def __init__(self, open_max: int, of_one_max: int | None, **given: Any) -> None:
        super().__init__(**given)
        self._open_max, self._of_one_max = open_max, of_one_max
        self._waiting = bytearray()  # came, and is not parsed yet
        self._turn: asyncio.Handle | None = None
        self._leaving = False  # answered before the end of the request: nothing more is parsed
        self._heard = False  # and yet more came

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.flow = _Flow(transport, self._parse_soon)
        if self.client is not None:  # a socket for both families names a proxy on this machine ::ffff:127.0.0.1
            self.client = (self.client[0].removeprefix("::ffff:"), self.client[1])
        self.app = partial(self._answered, _no_room if len(self.connections) > self._open_max else self.app)
        self.loop.call_later(_ASK_S, self._look, None)
        if self._of_one_max is not None and self._of_its_host() > self._of_one_max:
            transport.abort()  # closed over TLS it keeps its place until its peer says that it closes too

    def _of_its_host(self) -> int:
        """How many connections its host has with this one; 0 for this machine's own."""
        if self.client is None or is_loopback(self.client[0]):
            return 0
        own, peers = network_of(self.client[0]), (getattr(one, "client", None) for one in self.connections)
        return sum(network_of(peer[0]) == own for peer in peers if peer)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        del self.app, self.flow  # they know this connection: it goes now, and not when a collector finds the circle
        self.cycle = None  # type: ignore[assignment]  # as it begins

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            self._heard = True
        else:
            self._waiting += data
            if self._turn is None:
                self._parse()

    def _parse_soon(self) -> None:
        if self._turn is None:
            self._turn = self.loop.call_soon(self._parse)

    def _parse(self) -> None:
        """As much as a turn allows and the application wants; nothing more is read before the rest has had its turns."""
        self._turn = None
        until = time.monotonic() + _TURN_S
        while self._waiting and self._wanted():
            piece = bytes(self._waiting[:_PIECE_BYTES])
            del self._waiting[:_PIECE_BYTES]
            super().data_received(piece)
            if time.monotonic() >= until:
                break
        if self._waiting and self._wanted():
            self.transport.pause_reading()
            self._parse_soon()
        elif self._wanted():
            self.transport.resume_reading()

    def _wanted(self) -> bool:
        return not self.transport.is_closing() and not self.flow.read_paused

    async def _answered(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer before the end of the request is the connection's last, and what still comes is thrown away unparsed.

        Closed at once, a client that still writes would lose the answer with the connection.
        """
        cycle = self.cycle

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and cycle.more_body:
                self._leaving = True
                self._waiting.clear()
                message = {**message, "headers": [*message.get("headers", ()), CLOSE_HEADER]}
            elif self._leaving and not message.get("more_body"):
                await send({**message, "more_body": True})
                await self._left(asyncio.ensure_future(_disconnected(receive)))
                message = {"type": "http.response.body"}
            await send(message)

        await app(scope, receive, answer)

    async def _left(self, gone: asyncio.Future[None]) -> None:
        """Return when the client has left; it is told by the end of the answer, and given time while it writes."""
        if self.transport.can_write_eof():  # not over TLS
            self.transport.write_eof()
        until, self._heard = self.loop.time() + _LEAVE_S, True
        while self._heard and self.loop.time() < until and not gone.done():
            self._heard = False
            await asyncio.wait([gone], timeout=_QUIET_S)
        self.transport.close()
        await gone

    def _look(self, idle_since: object, before: tuple[bool, int] = (False, 0)) -> None:
        """Now and then: end it when it is idle since the last look; cut it off when what it was told has not moved since."""
        if self not in self.connections:
            return
        unsent = (self.transport.is_closing(), self.transport.get_write_buffer_size())
        if any(unsent) and unsent == before:
            self.transport.abort()
            return
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.cycle is idle_since:
            self.timeout_keep_alive_handler()
        self.loop.call_later(_ASK_S, self._look, self.cycle if idle else self, unsent)


class _Flow(FlowControl):
    """uvicorn's own, but whoever wants more is first given what has come already."""

    def __init__(self, transport: asyncio.Transport, parse_soon: Callable[[], object]) -> None:
        super().__init__(transport)
        self._parse_soon = parse_soon

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._parse_soon()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _no_room(scope: Scope, receive: Receive, send: Send) -> None:
    row = ERRORS["OVERLOADED"]
    body = orjson.dumps({"code": row.code, "where": "connections", "text": row.en, "text_vi": row.vi})
    headers = {"Retry-After": _RETRY_AFTER_S, "Connection": "close"}
    await Response(body, 503, headers, "application/json")(scope, receive, send)
