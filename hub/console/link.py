"""The link of an open page: what may come over it, and that it lives as long as its session."""

import re
from contextlib import suppress
from typing import Final

import orjson
from starlette.types import Message, Receive, Send

from hub.access.signin import SignIn
from hub.contract import telemetry
from hub.contract.events import now
from hub.store.database import UNAVAILABLE

_KEEPS: Final = re.compile(r"[1236]|4[01]")  # Engine.IO's and Socket.IO's own frames, by which nobody does anything
_SAYS: Final = re.compile(r'42[0-9]*(?=\["(event|ack|javascript_response|log|handshake)",)')  # all that a page of NiceGUI sends


class Link:
    """A websocket that lives as long as its session: looked at anew before a click, and every two seconds before anything else.

    page: id of the page that it belongs to; what it sends in the name of another goes nowhere.
    """

    def __init__(self, signin: SignIn, token: str, page: str, receive: Receive, send: Send) -> None:
        self._signin, self._token, self._page = signin, token, page
        self._receive, self._send = receive, send
        self._accepted = self._over = False

    async def receive(self) -> Message:
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return message
            said = _said(message.get("text") or "", self._page)
            if said is None:
                telemetry.door_refused("frame")
                continue
            used = said == "event"
            try:
                lives = await self._lives(used=used)
            except UNAVAILABLE:
                if used:  # whether it lives is not known: the click does nothing, and the page stays
                    continue
                return message
            if lives:
                return message
            await self._end()
            return {"type": "websocket.disconnect", "code": 4401}

    async def send(self, message: Message) -> None:
        if self._over:
            return
        if message["type"] == "websocket.send":
            with suppress(*UNAVAILABLE):  # nobody is put out then, as nobody could come in again
                if not await self._lives(used=False):
                    await self._end()
                    return
        self._accepted |= message["type"] == "websocket.accept"
        await self._send(message)

    async def _lives(self, *, used: bool) -> bool:
        """Raises: `UNAVAILABLE` where the database cannot say."""
        found = await (self._signin.known(self._token, now(), used=True) if used else self._signin.glance(self._token, now()))
        return found is not None

    async def _end(self) -> None:
        """Take the page off the screen, as what it shows is not for whoever comes next, and close."""
        if self._over:
            return
        self._over = True
        with suppress(RuntimeError, OSError):  # it may be closing already
            if self._accepted:
                await self._send({"type": "websocket.send", "text": '42["open",{"path":"/login","new_tab":false}]'})
            await self._send({"type": "websocket.close", "code": 4401})


def _said(frame: str, page: str) -> str | None:
    """What somebody did by a frame of Socket.IO: the event's name, "" for none; None for a frame that this page does not send.

    There are more spellings of one event than a browser writes; so what is not written as one does is none.
    """
    if _KEEPS.match(frame):
        return ""
    if (found := _SAYS.match(frame)) is None:
        return None
    try:
        return found[1] if orjson.loads(frame[found.end() :])[1]["client_id"] == page else None
    except (ValueError, LookupError, TypeError):
        return None
