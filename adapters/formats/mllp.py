"""MLLP framing: bytes in, frames out, however TCP cut them, and not a byte unaccounted for.

A frame is `0x0B body 0x1C 0x0D` (HL7 v2.5.1 Appendix C, "Minimal Lower Layer Protocol"). Every byte fed ends either in a
`Frame` or in a `Junk`, so that at any moment

    bytes_in == bytes_framed + bytes_junk + bytes_pending

and after `close()` nothing is pending. Memory is bounded by the size limit, time is linear whatever the cuts.
"""

import re
from dataclasses import dataclass
from typing import Final

from hub.contract.errors import Problem, Severity

START: Final = b"\x0b"
END: Final = b"\x1c"
TAIL: Final = b"\x1c\r"

_PADDING: Final = b"\r\n\x00"  # between frames these are harmless: senders end a frame with CR LF, or pad with NUL
_ENDING: Final = frozenset(b"\n\x00\x0b\x1c")  # after 0x1C these end a frame that lacks its 0x0D
_HEAD_BYTES: Final = 1024  # where HL7 shows its MSH
_UTF8: Final = re.compile(rb"\xe1[\xba\xbb][\x80-\xbf]")  # Ạ to ỹ; in VPS three accented letters in a row, which no word has
# What shows that a 0x1C was a letter: the next segment of the message, or another one with text behind it; and how these begin.
_GOES_ON: Final = re.compile(rb"\x1c(?:(?:\r\n?|\n)(?!MSH|[FB]HS)[A-Z][A-Z0-9]{2}[^\w\s\x00-\x1f]|\x1c[^\r\n\x00\x0b])")
_CUT_SHORT: Final = re.compile(rb"\x1c(?:(?:\r\n?|\n)(?:[A-Z][A-Z0-9]{0,2})?|\x1c)\Z")
_JUNK_KEPT_MAX: Final = 64 * 1024  # of each stretch of junk; the rest is counted, not kept


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it was framed.

    body:     the bytes between 0x0B and 0x1C.
    size:     bytes of the whole frame with its framing characters.
    problems: what was odd about the framing, such as a missing 0x0D.
    """

    body: bytes
    size: int
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes that are no frame, for quarantine.

    data:    the bytes, cut after 64 KiB (stray bytes) or the frame limit (an unfinished or oversize frame).
    size:    how many there were; `size > len(data)` when they were cut.
    problem: why; None for harmless padding (CR, LF, NUL) between frames.
    """

    data: bytes
    size: int
    problem: Problem | None


_NO_CR: Final = (Problem("FRAME_TAIL_MISSING", Severity.WARNING),)
_OUTSIDE: Final = Problem("BYTES_BETWEEN_FRAMES", Severity.WARNING)
_UNFINISHED: Final = Problem("FRAME_UNFINISHED", Severity.ERROR)
_TOO_LARGE: Final = Problem("FRAME_TOO_LARGE", Severity.ERROR)


class Decoder:
    """Cuts one direction of one connection into frames.

    limit: largest body in bytes. A larger one becomes a `Junk` with FRAME_TOO_LARGE when it ends; beyond the limit its
           bytes are counted but not held.

    What is not plain: a 0x1C ends a frame when 0x0D follows, or, with a warning, when 0x0A, 0x00, 0x0B, another 0x1C, silence
    or the end of the connection does; before any other byte it is text. A 0x0B inside a frame begins the next one, and what
    came before is junk.

    In VPS a 0x1C is the letter Ẫ, and half a message must not pass for a whole one. It may be that letter in HL7 that does not
    show itself to be UTF-8, unless it stands where a segment begins. Such a one is text also where a next segment shows that the
    message goes on: `0x1C 0x0D PID|`. So after its 0x1C 0x0D a frame whose last segment lacks its 0x0D waits for what follows or
    for silence; and one that lacks both 0x0D is taken when a 0x0B follows, not after silence or at the end: it stays unfinished.

    What no receiver can tell: whether a link that falls silent or ends behind Ẫ 0x0D had more to say; whether MSH behind them
    begins a message that lacks its 0x0B (so it is read) or the next of several in one frame; an Ẫ that is the last letter of a
    message and the 0x1C of one that is framed twice (so it is read).
    """

    __slots__ = (
        "_body",
        "_inside",
        "_limit",
        "_looked",
        "_size",
        "_stray",
        "_stray_size",
        "_tail",
        "_utf8",
        "bytes_framed",
        "bytes_in",
        "bytes_junk",
    )

    def __init__(self, limit: int = 20 * 1024 * 1024) -> None:
        self._limit = limit
        self._inside = False  # a start block has come, its end not yet
        self._tail = b""  # of the open frame from a 0x1C on, while what has come does not tell what that is
        self._body = bytearray()
        self._size = 0  # bytes of the open frame, framing included; without its tail
        self._utf8 = False  # the open frame shows itself to be UTF-8, as far as it was looked at
        self._looked = 0
        self._stray = bytearray()
        self._stray_size = 0
        self.bytes_in = self.bytes_framed = self.bytes_junk = 0

    @property
    def bytes_pending(self) -> int:
        """Bytes fed that belong to neither a frame nor junk yet."""
        return self._size + len(self._tail)

    @property
    def bytes_held(self) -> int:
        """Bytes of memory that the open frame takes: of an oversize one no more than the limit."""
        return len(self._body)

    @property
    def ended(self) -> bool:
        """Whether the open frame has come to its end if nothing more comes: `take_ended` gives it out."""
        return self._tail[1:] in (b"\r", b"\r\n", b"\n") or (self._tail == END and not self._may_be_letter())

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun and not ended: the sender owes bytes."""
        return self._inside

    def feed(self, data: bytes) -> list[Frame | Junk]:
        """Take what one read gave; return what it completed, in order."""
        self.bytes_in += len(data)
        if self._tail:
            data, self._tail = self._tail + data, b""
        out: list[Frame | Junk] = []
        at, end = 0, len(data)
        while at < end:
            at = self._inside_frame(data, at, out) if self._inside else self._between(data, at, out)
        return out

    def take_ended(self) -> list[Frame | Junk]:
        """Give out a frame that has `ended`, once the link has been silent for a moment.

        Without it a sender that never writes the 0x0D would wait for its acknowledgement for ever. A 0x0D that comes after
        all is padding.
        """
        out: list[Frame | Junk] = []
        if self.ended:
            tail, self._tail = self._tail, b""
            stop = self._finish(tail, 0, 2 if tail[1:2] == b"\r" else 1, out)
            self._keep_stray(tail, stop, len(tail))
        return out

    def close(self) -> list[Frame | Junk]:
        """The connection ended: give out what is pending, as after a silence."""
        out = self.take_ended()
        if self._inside:
            self._keep_body(self._tail, 0, len(self._tail))
            self._drop(out)
        self._flush_stray(out)
        return out

    def _between(self, data: bytes, at: int, out: list[Frame | Junk]) -> int:
        start = data.find(START, at)
        stop = len(data) if start < 0 else start
        if stop > at:
            self._keep_stray(data, at, stop)
        if start < 0:
            return stop
        self._flush_stray(out)
        self._inside, self._size = True, 1
        return start + 1

    def _inside_frame(self, data: bytes, at: int, out: list[Frame | Junk]) -> int:
        finish = data.find(END, at)
        stop = len(data) if finish < 0 else finish
        nested = data.find(START, at, stop)
        if nested >= 0:
            self._keep_body(data, at, nested)
            self._drop(out)
            self._inside, self._size = True, 1
            return nested + 1
        if not self._body and data[stop - 1 : stop + 2] == b"\r" + TAIL and at < stop <= at + self._limit:
            # The usual frame lies whole in one read: no copy but the body itself.
            self._inside = False
            size = self._size + stop - at + 2
            self._size = 0
            self.bytes_framed += size
            out.append(Frame(data[at:stop], size))
            return stop + 2
        self._keep_body(data, at, stop)
        if finish < 0:
            return stop
        ending = self._ending(data, finish)
        if ending is None:
            self._tail = data[finish:]
            return len(data)
        if ending:
            return self._finish(data, finish, ending, out)
        self._keep_body(END, 0, 1)
        return finish + 1

    def _ending(self, data: bytes, at: int) -> int | None:
        """How many bytes end the frame from a 0x1C on; 0 if that is text, None while what follows does not tell."""
        if at + 1 == len(data):
            return None
        follows = data[at + 1]
        if follows in b"\r\n\x1c" and self._may_be_letter():
            if _GOES_ON.match(data, at):
                return 0
            if _CUT_SHORT.match(data, at):
                return None
        if follows == 0x0D:
            return 2
        return 1 if follows in _ENDING else 0

    def _may_be_letter(self) -> bool:
        body = self._body
        if len(body) > self._limit or body[-1:] in b"\r\n" or body.find(b"MSH", 0, _HEAD_BYTES) < 0:
            return False
        if not self._utf8:  # each byte is looked at once, however many ask
            self._utf8 = _UTF8.search(body, max(0, self._looked - 2)) is not None
            self._looked = len(body)
        return not self._utf8

    def _finish(self, data: bytes, at: int, ending: int, out: list[Frame | Junk]) -> int:
        self._size += ending
        if len(self._body) > self._limit:
            self._drop(out)
        else:
            self.bytes_framed += self._size
            out.append(Frame(bytes(self._body), self._size, () if ending == 2 else _NO_CR))
            self._reset()
        return at + ending

    def _drop(self, out: list[Frame | Junk]) -> None:
        problem = _TOO_LARGE if len(self._body) > self._limit else _UNFINISHED
        self.bytes_junk += self._size
        out.append(Junk(START + bytes(self._body[: self._limit]), self._size, problem))
        self._reset()

    def _reset(self) -> None:
        self._body = bytearray()
        self._size = 0
        self._tail = b""
        self._inside = self._utf8 = False
        self._looked = 0

    def _keep_body(self, data: bytes, at: int, stop: int) -> None:
        self._size += stop - at
        # One byte over the limit is held, as the mark that it was passed.
        room = self._limit + 1 - len(self._body)
        if room > 0:
            self._body += data[at : min(stop, at + room)]

    def _keep_stray(self, data: bytes, at: int, stop: int) -> None:
        # What lies between frames can never join one: it is accounted for at once, and told at the next frame or the end.
        self.bytes_junk += stop - at
        self._stray_size += stop - at
        room = _JUNK_KEPT_MAX - len(self._stray)
        if room > 0:
            self._stray += data[at : min(stop, at + room)]

    def _flush_stray(self, out: list[Frame | Junk]) -> None:
        if not self._stray_size:
            return
        harmless = self._stray_size == len(self._stray) and not self._stray.strip(_PADDING)
        out.append(Junk(bytes(self._stray), self._stray_size, None if harmless else _OUTSIDE))
        self._stray = bytearray()
        self._stray_size = 0


def encode(body: bytes) -> bytes:
    """Frame one message body.

    Raises: ValueError if the body holds a framing character, which no receiver could tell from the frame's own.
    """
    if START in body or END in body:
        raise ValueError("an MLLP body cannot hold 0x0B or 0x1C")
    return START + body + TAIL
