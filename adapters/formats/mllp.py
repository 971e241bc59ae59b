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
_NEAR_BYTES: Final = 4096  # before a 0x1C, looked at for its charset
_BEFORE_LETTER: Final = b"BCDGHKLMNPRSTUVX\xf1"  # what stands before Ẫ in a syllable; 0xF1 is the Đ of VPS
_UTF8: Final = re.compile(rb"\xe1[\xba\xbb][\x80-\xbf]")  # Ạ to ỹ; in VPS three accented letters in a row, which no word has
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

    In VPS a 0x1C is the letter Ẫ, which ends no word: a consonant or a semivowel always follows (MẪN, ĐẪU). So neither a
    0x0D behind it nor a frame's last 0x1C can be meant as that letter, but a read may end with it in the middle of a message.
    Then neither silence nor the end of the connection makes a frame of the half that has come.
    """

    __slots__ = (
        "_body",
        "_ended",
        "_inside",
        "_limit",
        "_size",
        "_stray",
        "_stray_size",
        "bytes_framed",
        "bytes_in",
        "bytes_junk",
    )

    def __init__(self, limit: int = 20 * 1024 * 1024) -> None:
        self._limit = limit
        self._inside = False  # a start block has come, its end not yet
        self._ended = False  # the open frame's last byte is 0x1C, and the byte after it has not come yet
        self._body = bytearray()
        self._size = 0  # bytes of the open frame, framing included
        self._stray = bytearray()
        self._stray_size = 0
        self.bytes_in = self.bytes_framed = self.bytes_junk = 0

    @property
    def bytes_pending(self) -> int:
        """Bytes fed that belong to neither a frame nor junk yet."""
        return self._size

    @property
    def bytes_held(self) -> int:
        """Bytes of memory that the open frame takes: of an oversize one no more than the limit."""
        return len(self._body)

    @property
    def ended(self) -> bool:
        """Whether the open frame has come to its end if nothing more comes: `take_ended` gives it out."""
        return self._ended and not self._may_be_letter()

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun and not ended: the sender owes bytes."""
        return self._inside

    def feed(self, data: bytes) -> list[Frame | Junk]:
        """Take what one read gave; return what it completed, in order."""
        self.bytes_in += len(data)
        out: list[Frame | Junk] = []
        at, end = 0, len(data)
        while at < end:
            if not self._inside:
                at = self._between(data, at, out)
            elif self._ended:
                at = self._after_end(data, at, out)
            else:
                at = self._inside_frame(data, at, out)
        return out

    def take_ended(self) -> list[Frame | Junk]:
        """Give out a frame that has `ended`, once the link has been silent for a moment.

        Without it a sender that never writes the 0x0D would wait for its acknowledgement for ever. A 0x0D that comes after
        all is padding.
        """
        out: list[Frame | Junk] = []
        if self.ended:
            self._finish(out, _NO_CR)
        return out

    def close(self) -> list[Frame | Junk]:
        """The connection ended: give out what is pending, as after a silence."""
        out = self.take_ended()
        if self._ended:
            self._end_was_text()
        if self._inside:
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
        if not self._body and data[stop : stop + 2] == TAIL and stop - at <= self._limit:
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
        self._size += 1
        self._ended = True
        return finish + 1

    def _after_end(self, data: bytes, at: int, out: list[Frame | Junk]) -> int:
        follows = data[at]
        if follows == 0x0D:
            self._size += 1
            self._finish(out, ())
            return at + 1
        if follows in _ENDING:
            self._finish(out, _NO_CR)
            return at
        self._end_was_text()
        return at

    def _end_was_text(self) -> None:
        self._ended = False
        self._size -= 1  # counted again as text
        self._keep_body(END, 0, 1)

    def _may_be_letter(self) -> bool:
        """Behind what begins such a syllable, in text that is not plainly in UTF-8 or ASCII."""
        near = self._body[-_NEAR_BYTES:]
        if near[-1:].translate(None, _BEFORE_LETTER) or _UTF8.search(near):
            return False
        return not near.isascii() or END in near

    def _finish(self, out: list[Frame | Junk], problems: tuple[Problem, ...]) -> None:
        if len(self._body) > self._limit:
            return self._drop(out)
        self.bytes_framed += self._size
        out.append(Frame(bytes(self._body), self._size, problems))
        self._reset()

    def _drop(self, out: list[Frame | Junk]) -> None:
        problem = _TOO_LARGE if len(self._body) > self._limit else _UNFINISHED
        self.bytes_junk += self._size
        out.append(Junk(START + bytes(self._body[: self._limit]), self._size, problem))
        self._reset()

    def _reset(self) -> None:
        self._body = bytearray()
        self._size = 0
        self._inside = self._ended = False

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
