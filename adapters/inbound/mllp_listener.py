"""The MLLP listener: owns the sockets and their limits; frames go to the gate, acknowledgements come back in order.

One `_Link` a connection, an asyncio protocol without a task of its own: 12,500 idle links cost their buffers only. Of a
sender that pipelines, up to `pipeline_max` messages are under way at once; beyond that its link is not read, so TCP slows
it down. Whatever the order in which the brokers confirm, acknowledgements leave in the order of the messages; when one
message cannot be confirmed, nothing after it is acknowledged on that link, and the link is closed.

A frame that holds several messages, as a batch or in a row, is handled message by message and answered by one frame, as a
lock-step sender expects. Links take turns: a link with much to hand over gives way to the others after a few messages, and
one whose sender has used up its quota is not read until there is room again.

TLS links come by a port of their own and are the same links once their handshake is done.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, cast

from adapters.formats.batch import Cut, may_be_several
from adapters.formats.mllp import START, Decoder, Frame, Junk
from adapters.inbound.answers import Batch, Part, Settle, Slot
from adapters.inbound.gate import HUGE_BYTES, Gate
from adapters.inbound.held import Held
from adapters.inbound.received import Received, parts
from adapters.inbound.tls import ServerTls, TlsPort
from adapters.inbound.translate import too_many, unframed
from hub.access.credentials import Credential, Credentials
from hub.access.quota import Quota, Quotas
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.settings import Settings

_END_SILENCE_S: Final = 0.05  # a frame that may have ended is taken after this long without a byte
_SILENT_LOOKS: Final = 2  # in that time; between two of them what lies in the socket is read, however late the loop is
_WRITE_BUFFER_BYTES: Final = 64 * 1024  # acknowledgements that the sender does not read, before its link is not read
_LOOKS_MAX: Final = 250  # links held to their limits of time in one go
_TURN_MAX: Final = 8  # messages of one link handed over before the other links have their turn
_FRAMES_MAX: Final = 256  # of one read decoded at once; real messages come nowhere near it
_SLICE_BYTES: Final = 4 * 1024
_LINGER_S: Final = 5.0  # for a sender to take its last acknowledgements once the link is closing


class _Link(asyncio.Protocol):
    """One connection. `ending` says why it takes nothing more; "" while it is open."""

    def __init__(self, listener: "MllpListener") -> None:
        self.ending = ""
        self._listener = listener
        self._sender = Credential("", frozenset())
        self._quota: Quota | None = None
        self._secure = False
        self._edition = 0  # of the credentials that say whose it is
        self._decoder = Decoder(listener.settings.message_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._unread = b""  # of a read that holds very many frames: decoded slice by slice
        self._decoded = False  # the decoder has given out all it had; nothing more comes
        self._backlog: deque[tuple[Frame | Junk | Part, datetime]] = deque()  # framed, not handed to the gate yet
        self._slots: deque[Slot] = deque()  # handed to the gate, not acknowledged yet
        self._reading = self._writable = True
        self._blocked = False  # a huge message is being translated; those behind it wait, so that order is kept
        self._dropped = False
        self._cutting = False  # a batch is being taken apart; the same holds
        self._turn: asyncio.Handle | None = None  # when this link hands over more
        self._last_byte = listener.loop.time()
        self._frame_began = 0.0  # when the open frame began, 0.0 if none is open
        self._unfinished = 0  # bytes of the open frame
        self._large = 0  # bytes of large frames that are whole and wait
        self._closed_at = 0.0
        self._left = False

    # --- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._secure = transport.get_extra_info("ssl_object") is not None
        if not self._listener.enter(self):
            return self.drop("OVERLOADED")
        if not self._recognised():
            return
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        link = transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15)):
            if hasattr(socket, option):  # not on every system
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
        self._listener.loop.call_soon(self.set_reading)  # uvloop begins to read only after this, whatever is said before

    def _recognised(self) -> bool:
        """Whether it is somebody's by the credentials as they are now, and the same one's as before; else it is dropped."""
        transport, credentials = self._transport, self._listener.credentials
        assert transport is not None
        self._edition = credentials.edition
        peer, secured = transport.get_extra_info("peername"), transport.get_extra_info("ssl_object")
        certificate = secured.getpeercert(binary_form=True) if secured is not None else None
        known = credentials.of_certificate(certificate) if certificate else None
        sender = known or credentials.of_address(str(peer[0]) if peer else "")
        if sender is None or self._sender.name not in ("", sender.name):
            self.drop("CREDENTIAL_WRONG")
            return False
        self._sender, self._quota = sender, self._listener.quotas.of(sender, self._listener.loop.time())
        return True

    def data_received(self, data: bytes) -> None:
        if self.ending or (self._edition != self._listener.credentials.edition and not self._recognised()):
            return
        self._last_byte = self._listener.loop.time()
        self._listener.bytes_came += len(data)
        if self._unread or data.count(START) > _FRAMES_MAX:
            self._unread += data
            self._dispatch()
        else:
            self._decode(data)
        self.set_reading()

    def _decode(self, data: bytes) -> None:
        found = self._decoder.feed(data)
        self._take(found)
        if self._decoder.unfinished:
            self._open_frame(began=bool(found))
            if self._decoder.ended and not self._unread:
                self._take_ended(self._decoder.bytes_in, _SILENT_LOOKS)
        elif self._frame_began:
            self._frame_over()

    def eof_received(self) -> bool:
        """The sender has said all it will; it still gets its acknowledgements. (TLS knows no half-closed link.)"""
        self.end("closed")
        return not self._secure

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.end("closed")
        self._dispatch()

    def pause_writing(self) -> None:
        self._writable = False
        self.set_reading()

    def resume_writing(self) -> None:
        self._writable = True
        self._dispatch()

    # --- the end of a link

    def end(self, reason: str) -> None:
        """Take nothing more, finish what is under way, then close. What was half sent goes to quarantine."""
        if self.ending:
            return
        self.ending = reason
        if not self._unread:
            self._decode_end()
        self._dispatch()

    def _decode_end(self) -> None:
        self._decoded = True
        self._take(self._decoder.close())
        self._frame_over()

    def drop(self, reason: str) -> None:
        """Close now, without any further acknowledgement."""
        if self.ending in ("", "closed"):
            self.ending = reason
        left = [*(one for one, _at in self._backlog if not isinstance(one, Part)), *self._decoder.close()]
        self._listener.bytes_dropped += len(self._unread) + sum(one.size for one in left)
        self._dropped = self._decoded = True
        self._blocked = self._cutting = False
        self._unread = b""
        self._backlog.clear()
        self._slots.clear()
        self._frame_over()
        self._hold(0, 0)
        self._hang_up()

    def _hang_up(self) -> None:
        """Close; a link keeps its place among the others until all that came by it is taken."""
        if self._turn is not None:
            self._turn.cancel()
        if self._transport is None:
            if not self._left:
                self._left = True
                self._listener.leave(self)
        elif not self._transport.is_closing():
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
        elif self._edition != self._listener.credentials.edition and not self.ending and not self._recognised():
            return
        elif self._frame_began and self._reading and at - self._frame_began > settings.frame_wait_s:
            self.end("FRAME_UNFINISHED")
        elif silent_s > settings.idle_s and self._reading and not self._slots and not self._backlog:
            self.end("idle")
        elif silent_s > settings.idle_s and not self._writable:
            self._transport.abort()  # it sends and never reads

    # --- frames to the gate, in order

    def _open_frame(self, began: bool) -> None:
        if began or not self._frame_began:
            self._frame_began = self._last_byte
        self._hold(self._decoder.bytes_held, self._large)
        self._listener.held.make_room()

    def _frame_over(self) -> None:
        self._frame_began = 0.0
        self._hold(0, self._large)

    def _hold(self, unfinished: int, large: int) -> None:
        self._unfinished, self._large = unfinished, large
        self._listener.held.put(self, self._sender.name, unfinished, large)

    def _take_ended(self, came: int, looks: int) -> None:
        if self._decoder.bytes_in != came or self.ending:
            return
        if not self._reading:  # more may have come, and is not read yet
            looks = _SILENT_LOOKS
        if looks:
            self._listener.loop.call_later(_END_SILENCE_S / _SILENT_LOOKS, self._take_ended, came, looks - 1)
        else:
            self._take(self._decoder.take_ended())
            self._frame_over()

    def _take(self, found: list[Frame | Junk]) -> None:
        if found:
            if self._unfinished > HUGE_BYTES // 2:  # a frame of several reads
                size = sum(len(one.body if isinstance(one, Frame) else one.data) for one in found)
                self._hold(0, self._large + size)
            self._backlog.extend([(one, self._listener.gate.clock()) for one in found])
            self._dispatch()

    def _dispatch(self) -> None:
        """Hand over what has come, up to the limits; and read only while there is room for more."""
        backlog, slots = self._backlog, self._slots
        most, turn = self._listener.settings.pipeline_max, 0
        while backlog and len(slots) < most and not self._waits() and (self._writable or self._transport is None):
            if turn == _TURN_MAX:
                self._hand_over_later(0.0)
                break
            if self._quota is not None and (wait_s := self._quota.wait_s(self._listener.loop.time())):
                self._hand_over_later(wait_s)
                break
            turn += 1
            self._hand_over(*backlog.popleft())
        if (self._unread or self._large) and not backlog and not self._waits():
            self._hold(self._unfinished, 0)
            if self._unread:
                self._hand_over_later(0.0)
        if self._decoded and not slots and not backlog and not self._cutting:
            self._hang_up()
        self.set_reading()

    def _waits(self) -> bool:
        return self._blocked or self._cutting

    def _hand_over_later(self, wait_s: float) -> None:
        if self._turn is None:
            loop = self._listener.loop
            self._turn = loop.call_later(wait_s, self._next_turn) if wait_s else loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        if self._unread and not self._backlog and not self._waits():
            data, self._unread = self._unread[:_SLICE_BYTES], self._unread[_SLICE_BYTES:]
            self._decode(data)
            if self.ending and not self._unread:
                self._decode_end()
        self._dispatch()

    def _hand_over(self, one: Frame | Junk | Part, received_at: datetime) -> None:
        listener, sender = self._listener, self._sender
        if isinstance(one, Part):
            self._submit(one.received, one.batch)
        elif isinstance(one, Frame):
            listener.bytes_framed += one.size
            received = Received(one.body, received_at, "mllp", sender.name, sender.facilities, sender.test, problems=one.problems)
            if not may_be_several(one.body):
                self._submit(received)
            else:
                self._cutting = True
                listener.run(self._cut_apart(received))
        elif one.problem is None:
            listener.bytes_padding += one.size
        else:
            listener.bytes_quarantined += one.size
            if self._quota is not None:
                self._quota.take(one.size)
            received = Received(one.data, received_at, "mllp", sender.name, sender.facilities, sender.test)
            listener.gate.keep(unframed(received, one), Settle(self, self._slot()))

    def _submit(self, received: Received, batch: Batch | None = None) -> None:
        if self._quota is not None:
            self._quota.take(len(received.raw))
        self._blocked = not self._listener.gate.submit(received, Settle(self, self._slot(batch)))

    async def _cut_apart(self, received: Received) -> None:
        try:
            found = await self._listener.gate.cut(received.raw)
        except Exception:  # ours to mend, or no memory; whoever waits is not left waiting
            telemetry.fault("gate", "TRANSLATION_FAILED", "cut")
            return self.drop("TRANSLATION_FAILED")
        finally:
            self._cutting = False
        if not self._dropped:
            self._take_parts(received, found)
            self._dispatch()

    def _take_parts(self, received: Received, found: Cut | None) -> None:
        """The messages of one frame, each to be handled by itself; they go before what came after that frame."""
        listener, most = self._listener, self._listener.settings.batch_max
        if found is None:
            self._submit(received)
        elif len(found.parts) > most:
            listener.gate.keep(too_many(received, most), Settle(self, self._slot()))
        else:
            batch = Batch(found.header, len(found.parts), received.received_at)
            each = [Part(part, batch) for part in parts(received, found, listener.gate.clock)]
            self._backlog.extendleft((part, part.received.received_at) for part in reversed(each))

    def _slot(self, batch: Batch | None = None) -> Slot:
        slot = Slot(batch)
        self._slots.append(slot)
        return slot

    def set_reading(self) -> None:
        """Read while there is room: of this link, of its sender's quota, and of the memory that all links share."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        waits = self._backlog or self._large or self._cutting or self._unread
        room = len(self._slots) < self._listener.settings.pipeline_max and not waits
        want = room and self._writable and not self.ending and self not in self._listener.held.slowed
        if want and self._quota is not None and (wait_s := self._quota.wait_s(self._listener.loop.time())):
            want = False
            self._hand_over_later(wait_s)
        if want and not self._reading:
            self._last_byte = self._listener.loop.time()  # the silence was ours
            if self._frame_began:
                self._frame_began = self._last_byte
            transport.resume_reading()
        elif self._reading and not want:
            transport.pause_reading()
        self._reading = want

    # --- acknowledgements back, in order

    def settled(self) -> None:
        """A message was confirmed or given up: write what is next in order, and take up what waits."""
        slots = self._slots
        self._blocked = self._blocked and bool(slots) and slots[-1].ack is None and not slots[-1].lost
        acks: list[bytes] = []
        while slots and not slots[0].lost and slots[0].ack is not None:
            slot = slots.popleft()
            acks.append((slot.ack or b"") if slot.batch is None else slot.batch.settle(slot.ack or b""))
        if acks and self._transport is not None and not self._transport.is_closing():
            self._transport.write(acks[0] if len(acks) == 1 else b"".join(acks))
        if slots and slots[0].lost:
            self.drop("BROKER_UNAVAILABLE")
        elif self._backlog:
            self._hand_over_later(0.0)  # many may be settled at once: other links come between
        else:
            self._dispatch()


class MllpListener:
    """Listens for MLLP links. One for each process; several processes may share the port (`reuse_port`)."""

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        credentials: Credentials,
        quotas: Quotas | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        self.settings = settings
        self.gate = gate
        self.credentials = credentials
        self.quotas = quotas or Quotas()
        self.port = self.tls_port = 0  # once it listens; `tls_port` stays 0 without a certificate
        self.loop = asyncio.get_running_loop()
        self.bytes_came = self.bytes_framed = self.bytes_quarantined = self.bytes_padding = 0  # since the last look
        self.bytes_dropped = 0
        self.held = Held()
        self._links: set[_Link] = set()
        self._empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._secure = TlsPort(tls, self._before_handshake, self._without_handshake) if tls is not None else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        limits = (1.0, settings.frame_wait_s / 4, settings.idle_s / 4)
        self._look_s = max(0.02, min(limits))
        self._to_look_at: list[_Link] = []

    async def start(self, *, reuse_port: bool = False) -> int:
        """Listen, and at `tls_port` too if there is a certificate. Returns: the port. Raises: HubError(PORT_TAKEN)."""
        settings = self.settings
        try:
            self._server = await self.loop.create_server(
                lambda: _Link(self), settings.listen, settings.mllp_port, backlog=4096, reuse_port=reuse_port or None
            )
        except OSError as taken:
            raise HubError("PORT_TAKEN", f"HIE_MLLP_PORT {settings.mllp_port}") from taken
        self.port = int(self._server.sockets[0].getsockname()[1])
        if self._secure is not None:
            try:
                self.tls_port = self._secure.start(settings.listen, settings.mllps_port, reuse_port=reuse_port)
            except OSError as taken:
                raise HubError("PORT_TAKEN", f"HIE_MLLPS_PORT {settings.mllps_port}") from taken
        self._looking = self.loop.call_later(self._look_s, self._look)
        return self.port

    def _before_handshake(self) -> _Link | None:
        link = _Link(self)
        if self.enter(link):
            return link
        link.ending = "OVERLOADED"
        self.leave(link)
        return None

    def _without_handshake(self, link: asyncio.Protocol) -> None:
        assert isinstance(link, _Link)
        link.ending = link.ending or "TLS_FAILED"
        self.leave(link)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that a link waits for; it ends with the listener."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, limit_s: float) -> None:
        """Take no more links and no more bytes; finish what is under way, within the limit; close."""
        if self._server is not None:
            self._server.close()
        if self._secure is not None:
            await self._secure.stop()
        for link in list(self._links):
            link.end("stopping")
        if self._links:
            self._empty.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), limit_s)
        for task in list(self._tasks):
            task.cancel()
        for link in list(self._links):
            link.drop("stopping")
        if self._looking is not None:
            self._looking.cancel()
        self._count()

    def enter(self, link: _Link) -> bool:
        """Whether there is room for one more link."""
        if link in self._links:  # since before its handshake
            return True
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
        """Each link once in `_look_s`, some at a time: thousands at once would hold up those that are busy."""
        if not self._to_look_at:
            self._to_look_at = list(self._links)
            self._count()
            self.held.slow_down()
        at, some = self.loop.time(), self._to_look_at[-_LOOKS_MAX:]
        del self._to_look_at[-_LOOKS_MAX:]
        for link in some:
            link.look(at)
        share = min(1.0, _LOOKS_MAX / (len(self._links) or 1))
        self._looking = self.loop.call_later(self._look_s * share, self._look)

    def _count(self) -> None:
        telemetry.bytes_counted(
            self.bytes_came, self.bytes_framed, self.bytes_quarantined, self.bytes_padding, self.bytes_dropped
        )
        self.bytes_came = self.bytes_framed = self.bytes_quarantined = self.bytes_padding = self.bytes_dropped = 0
