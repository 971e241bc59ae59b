"""The MLLP listener: owns the sockets and their limits; frames go to the gate, acknowledgements come back in order.

One `_Link` a connection, an asyncio protocol without a task of its own: 12,500 idle links cost their buffers only. Of a
sender that pipelines, up to `pipeline_max` messages are under way at once; beyond that its link is not read, so TCP slows
it down. Whatever the order in which the brokers confirm, acknowledgements leave in the order of the messages; when one
message cannot be confirmed, nothing after it is acknowledged on that link, and the link is closed.
"""

import asyncio
import socket
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Final, cast

from adapters.formats.mllp import END, START, TAIL, Decoder, Frame, Junk
from adapters.inbound.gate import Gate
from adapters.inbound.received import Received, Translation
from adapters.inbound.translate import unframed
from hub.access.credentials import Credential, Credentials
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.settings import Settings

_END_SILENCE_S: Final = 0.05  # a frame that ended without its 0x0D is taken after this long without a byte
_WRITE_BUFFER_BYTES: Final = 64 * 1024  # acknowledgements that the sender does not read, before its link is not read
_PENDING_BYTES_MAX: Final = 1024 * 1024 * 1024  # unfinished frames of all links together
_LINGER_S: Final = 5.0  # for a sender to take its last acknowledgements once the link is closing


class _Slot:
    """The place of one message in the order of acknowledgements."""

    __slots__ = ("ack", "lost")

    def __init__(self) -> None:
        self.ack: bytes | None = None  # the framed acknowledgement, b"" for none; None while it is not known
        self.lost = False  # the brokers did not confirm


class _Link(asyncio.Protocol):
    """One connection. `ending` says why it takes nothing more; "" while it is open."""

    def __init__(self, listener: "MllpListener") -> None:
        self.ending = ""
        self._listener = listener
        self._sender = Credential("", frozenset())
        self._decoder = Decoder(listener.settings.message_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._backlog: deque[tuple[Frame | Junk, datetime]] = deque()  # framed, not handed to the gate yet
        self._slots: deque[_Slot] = deque()  # handed to the gate, not acknowledged yet
        self._reading = self._writable = True
        self._blocked = False  # a huge message is being translated; those behind it wait, so that order is kept
        self._last_byte = listener.loop.time()
        self._frame_began = 0.0  # when the open frame began, 0.0 if none is open
        self._pending = 0  # bytes of the open frame
        self._closed_at = 0.0

    # --- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        sender = self._listener.credentials.of_address(str(peer[0]) if peer else "")
        if not self._listener.enter(self):
            return self.drop("OVERLOADED")
        if sender is None:
            return self.drop("CREDENTIAL_WRONG")
        self._sender = sender
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        link = transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15)):
            if hasattr(socket, option):  # not on every system
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        self._last_byte = self._listener.loop.time()
        found = self._decoder.feed(data)
        self._listener.bytes_came += len(data)
        self._take(found)
        if self._decoder.unfinished:
            self._open_frame(began=bool(found))
            if data[-1:] == END:
                self._listener.loop.call_later(_END_SILENCE_S, self._take_ended, self._last_byte)
        elif self._frame_began:
            self._frame_over()

    def eof_received(self) -> bool:
        """The sender has said all it will; it still gets its acknowledgements."""
        self.end("closed")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.end("closed")
        self._listener.leave(self)

    def pause_writing(self) -> None:
        self._writable = False
        self._set_reading()

    def resume_writing(self) -> None:
        self._writable = True
        self._dispatch()

    # --- the end of a link

    def end(self, reason: str) -> None:
        """Take nothing more, finish what is under way, then close. What was half sent goes to quarantine."""
        if self.ending:
            return
        self.ending = reason
        self._take(self._decoder.close())
        self._frame_over()
        self._dispatch()

    def drop(self, reason: str) -> None:
        """Close now, without any further acknowledgement."""
        if self.ending in ("", "closed"):
            self.ending = reason
        self._backlog.clear()
        self._slots.clear()
        self._frame_over()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._closed_at = self._listener.loop.time()
            self._transport.close()

    def look(self, at: float) -> None:
        """Hold the link to its limits of time."""
        settings, silent_s = self._listener.settings, at - self._last_byte
        if self._transport is None:
            return
        if self._closed_at:
            if at - self._closed_at > _LINGER_S:
                self._transport.abort()
        elif self._frame_began and self._reading and at - self._frame_began > settings.frame_wait_s:
            self.end("FRAME_UNFINISHED")
        elif silent_s > settings.idle_s and not self._slots and not self._backlog:
            self.end("idle")
        elif silent_s > settings.idle_s and not self._writable:
            self._transport.abort()  # it sends and never reads

    # --- frames to the gate, in order

    def _open_frame(self, began: bool) -> None:
        if began or not self._frame_began:
            self._frame_began = self._last_byte
        self._listener.bytes_pending += self._decoder.bytes_pending - self._pending
        self._pending = self._decoder.bytes_pending
        if self._listener.bytes_pending > _PENDING_BYTES_MAX:
            self.drop("OVERLOADED")

    def _frame_over(self) -> None:
        self._frame_began = 0.0
        self._listener.bytes_pending -= self._pending
        self._pending = 0

    def _take_ended(self, since: float) -> None:
        if self._last_byte == since and not self.ending:
            self._take(self._decoder.take_ended())
            self._frame_over()

    def _take(self, found: list[Frame | Junk]) -> None:
        if found:
            self._backlog.extend([(one, self._listener.gate.clock()) for one in found])
            self._dispatch()

    def _dispatch(self) -> None:
        """Hand over what has come, up to the limit; and read only while there is room for more."""
        backlog, slots = self._backlog, self._slots
        most = self._listener.settings.pipeline_max
        while backlog and len(slots) < most and not self._blocked and (self._writable or self._transport is None):
            one, received_at = backlog.popleft()
            if isinstance(one, Frame):
                self._listener.bytes_framed += one.size
                self._submit(one, received_at)
            elif one.problem is None:
                self._listener.bytes_padding += one.size
            else:
                self._listener.bytes_quarantined += one.size
                slot, sender = self._slot(), self._sender
                received = Received(one.data, received_at, "mllp", sender.name, sender.facilities, sender.test)
                self._listener.gate.keep(unframed(received, one), self._done(slot))
        if self.ending and not slots and not backlog:
            self._hang_up()
        self._set_reading()

    def _submit(self, frame: Frame, received_at: datetime) -> None:
        slot, sender = self._slot(), self._sender
        received = Received(frame.body, received_at, "mllp", sender.name, sender.facilities, sender.test, problems=frame.problems)
        self._blocked = not self._listener.gate.submit(received, self._done(slot))

    def _slot(self) -> _Slot:
        slot = _Slot()
        self._slots.append(slot)
        return slot

    def _set_reading(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        room = len(self._slots) < self._listener.settings.pipeline_max and not self._backlog
        want = room and self._writable and not self.ending
        if want and not self._reading:
            self._last_byte = self._listener.loop.time()  # the silence was ours
            if self._frame_began:
                self._frame_began = self._last_byte
            transport.resume_reading()
        elif self._reading and not want:
            transport.pause_reading()
        self._reading = want

    # --- acknowledgements back, in order

    def _done(self, slot: _Slot) -> "_Settle":
        return _Settle(self, slot)

    def settled(self) -> None:
        """A message was confirmed or given up: write what is next in order, and take up what waits."""
        slots = self._slots
        self._blocked = self._blocked and bool(slots) and slots[-1].ack is None and not slots[-1].lost
        acks: list[bytes] = []
        while slots and not slots[0].lost and slots[0].ack is not None:
            acks.append(slots.popleft().ack or b"")
        if acks and self._transport is not None and not self._transport.is_closing():
            self._transport.write(acks[0] if len(acks) == 1 else b"".join(acks))
        if slots and slots[0].lost:
            self.drop("BROKER_UNAVAILABLE")
        else:
            self._dispatch()


class _Settle:
    """What the gate calls when a message is done; lighter than a closure and a bound method."""

    __slots__ = ("_link", "_slot")

    def __init__(self, link: _Link, slot: _Slot) -> None:
        self._link = link
        self._slot = slot

    def __call__(self, translation: Translation | None) -> None:
        if translation is None:
            self._slot.lost = True
        else:
            self._slot.ack = START + translation.ack + TAIL if translation.ack else b""
        self._link.settled()


class MllpListener:
    """Listens for MLLP links. One for each process; several processes may share the port (`reuse_port`)."""

    def __init__(self, settings: Settings, gate: Gate, credentials: Credentials) -> None:
        self.settings = settings
        self.gate = gate
        self.credentials = credentials
        self.loop = asyncio.get_running_loop()
        self.bytes_came = self.bytes_framed = self.bytes_quarantined = self.bytes_padding = 0  # since the last look
        self.bytes_pending = 0  # in open frames of all links
        self._links: set[_Link] = set()
        self._empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._looking: asyncio.TimerHandle | None = None
        limits = (1.0, settings.frame_wait_s / 4, settings.idle_s / 4)
        self._look_s = max(0.02, min(limits))

    async def start(self, *, reuse_port: bool = False) -> int:
        """Listen. Returns: the port. Raises: HubError(PORT_TAKEN)."""
        settings = self.settings
        try:
            self._server = await self.loop.create_server(
                lambda: _Link(self), settings.listen, settings.mllp_port, backlog=4096, reuse_port=reuse_port or None
            )
        except OSError as taken:
            raise HubError("PORT_TAKEN", f"HIE_MLLP_PORT {settings.mllp_port}") from taken
        self._looking = self.loop.call_later(self._look_s, self._look)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, limit_s: float) -> None:
        """Take no more links and no more bytes; finish what is under way, within the limit; close."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.end("stopping")
        if self._links:
            self._empty.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), limit_s)
        for link in list(self._links):
            link.drop("stopping")
        if self._looking is not None:
            self._looking.cancel()
        self._count()

    def enter(self, link: _Link) -> bool:
        """Whether there is room for one more link."""
        if len(self._links) >= self.settings.links_max:
            return False
        self._links.add(link)
        telemetry.link_opened(len(self._links))
        return True

    def leave(self, link: _Link) -> None:
        self._links.discard(link)
        telemetry.link_closed(len(self._links), link.ending)
        if not self._links:
            self._empty.set()

    def _look(self) -> None:
        at = self.loop.time()
        for link in list(self._links):
            link.look(at)
        self._count()
        self._looking = self.loop.call_later(self._look_s, self._look)

    def _count(self) -> None:
        telemetry.bytes_counted(self.bytes_came, self.bytes_framed, self.bytes_quarantined, self.bytes_padding)
        self.bytes_came = self.bytes_framed = self.bytes_quarantined = self.bytes_padding = 0
