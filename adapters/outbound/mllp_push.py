"""MLLP push. A delivery is answered when an acknowledgement comes whose MSA-2 is our MSH-10, on the link it went over.

A link on which an answer is overdue is closed, so that a late one can never be taken for another's.
"""

import asyncio
from contextlib import suppress
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from adapters.dialects.profile import dialect_for
from adapters.dialects.render import as_hl7
from adapters.formats.mllp import Decoder, Frame, encode
from adapters.outbound.item import Row, control_id
from adapters.outbound.push import Answer, Unanswered
from hub.bus import Wire
from hub.contract.errors import HubError
from hub.contract.events import now

_ACK_BYTES_MAX: Final = 256 * 1024
_READ_BYTES: Final = 64 * 1024


class Target(BaseModel):
    """Where a recipient listens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = Field(ge=1, le=65535)


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
        Raises:  Unanswered when it does not come in time; the link is closed then.
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
                raise Unanswered(place) from silent
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


class Mllp:
    """The channel of one recipient: messages in its dialect over one link.

    What was read over the API is still pushed, until the recipient's word.
    """

    name: str = "mllp"
    waits: tuple[str, ...] = ("QUEUED", "SENT")

    def __init__(self, target: Target, facility: str, wire: Wire, wait_s: float) -> None:
        self._facility = facility
        self._wire = wire
        self._link = Link(target, wait_s)

    def render(self, row: Row) -> bytes:
        """The message. Raises: HubError."""
        record, event = self._wire.unpack(row.body)
        identity, dialect = control_id(row.delivery_id), dialect_for(self._facility)
        body: bytes = as_hl7(record, event, dialect, now=now(), control_id=identity, receiving_facility=self._facility)
        try:
            encode(body)
        except ValueError as wrong:  # the text holds what frames end with
            raise HubError("CHARSET_UNREADABLE", record) from wrong
        return body

    async def ask(self, row: Row, body: bytes) -> Answer:
        state = _ANSWERS[await self._link.ask(body, control_id(row.delivery_id))]
        return Answer(state, "RECIPIENT_REFUSED" if state == "REFUSED" else "")

    async def close(self) -> None:
        await self._link.close()
