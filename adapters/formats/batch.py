"""Several messages in one file, frame or request: batch headers and trailers checked, text outside messages kept.

Source: HL7 v2.5.1 §2.10.3 (FHS { BHS { MSH … } BTS } FTS). Trailers with counts are common, complete nesting is not, so what
does not fit is reported and the messages are read all the same.

`cut` takes bytes apart without losing one: its parts, put together again, are the bytes. A part is one message with the batch
segments before or after it, and reads by itself (`alone`), so that it can be kept, replayed and answered by itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from adapters.formats.hl7v2 import build
from adapters.formats.spans import in_pieces, message_spans
from hub.contract.errors import HubError, Problem, Severity

_ENVELOPE: Final = re.compile(r"([FB][HT]S)(?:([^A-Za-z0-9\s])([^\r\n\x1c]*)|(?=[\r\n]|\Z))")
_FRAMING: Final = "\ufeff\xef\xbb\xbf\x0b\x1c\x00\r\n\t "
_AROUND: Final = b"\xef\xbb\xbf\x0b\x1c\x00\r\n\t "
_HEADERS: Final = (b"FHS", b"BHS")
_TRAILER_BYTES_MAX: Final = 512  # a longer one is read as a segment that does not belong where it stands
_OTHER: Final = (b"\xff\xfe", b"\xfe\xff", b"<")  # UTF-16 and XML are one message each
_ECHOED: Final = re.compile(r"[\w .:-]*", re.ASCII)  # of a batch header, in any delimiters


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages of one file.

    messages: text of each, in order, as `hl7v2.parse` takes it.
    outside:  stretches of text that belong to no message and no batch segment.
    problems: counts that differ, headers without trailer or the reverse, text outside.
    """

    messages: list[str]
    outside: list[str]
    problems: tuple[Problem, ...]


def read(text: str) -> Batch:
    """Take a file apart. A file without batch segments is as good as one with them."""
    spans = message_spans(text)
    problems: dict[Problem, None] = {}  # each once, however many trailers are wrong in the same way
    outside: list[str] = []
    opened = {"FHS": 0, "BHS": 0}
    messages_in_batch = batches_in_file = 0
    at = 0
    for start, stop in [*spans, (len(text), len(text))]:
        between = text[at:start]
        for found in in_pieces(_ENVELOPE, between):
            name, separator, rest = found.groups()
            if name in opened:
                opened[name] += 1
                if name == "BHS":
                    messages_in_batch = 0
                    batches_in_file += 1
                else:
                    batches_in_file = 0
                continue
            header = "FHS" if name == "FTS" else "BHS"
            if opened[header]:
                opened[header] -= 1
            else:
                problems[Problem("BATCH_UNBALANCED", Severity.WARNING, name)] = None
            count = rest.split(separator)[0].strip() if separator else ""
            holds = batches_in_file if name == "FTS" else messages_in_batch
            if count and (not count.isdecimal() or len(count) > 19 or int(count) != holds):
                problems[Problem("BATCH_COUNT_MISMATCH", Severity.WARNING, f"{name}-1")] = None
        if stray := _stray(between):
            outside.append(stray)
        messages_in_batch += start < len(text)
        at = stop
    problems |= {Problem("BATCH_UNBALANCED", Severity.WARNING, name): None for name, count in opened.items() if count}
    if outside:
        problems[Problem("OUTSIDE_MESSAGES")] = None
    return Batch([text[start:stop] for start, stop in spans], outside, tuple(problems))


def _stray(text: str) -> str:
    """What stands beside the batch segments of a text."""
    edges = [0, *(edge for found in in_pieces(_ENVELOPE, text) for edge in found.span()), len(text)]
    return "".join([text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)]).strip(_FRAMING)


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes of several messages, taken apart.

    parts:    in order; together they are the bytes. What stands outside messages and is no batch segment is a part too.
    header:   the first batch header, as text of one byte a character; "" when messages merely follow each other.
    problems: counts that differ, headers without trailer or the reverse.
    """

    parts: list[bytes]
    header: str
    problems: tuple[Problem, ...]


def may_be_several(raw: bytes) -> bool:
    """Whether it is worth `cut`: cheap enough to ask of every message."""
    return raw.count(b"MSH") > 1 or (raw[:3] != b"MSH" and raw[:64].lstrip(_AROUND)[:3] in _HEADERS)


def cut(raw: bytes) -> Cut | None:
    """Take bytes apart; None for one plain message, or for what is no HL7.

    Trailers stay with the message before them, headers with the one after.
    """
    if not may_be_several(raw) or raw[:1024].lstrip(_AROUND).startswith(_OTHER) or raw.startswith(_OTHER):
        return None
    text = raw.decode("latin-1")  # a byte a character: offsets are those of the bytes
    spans = message_spans(text)
    headers = _headers(text[: spans[0][0] if spans else None])
    header = next((found[0] for found in headers if found[1] == "BHS"), headers[0][0] if headers else "")
    if len(spans) < 2 and not header:
        return None
    edges = [0]
    behind = 0  # where the last message ended
    for start, stop in [*spans, (len(raw), len(raw))]:
        between = text[behind:start]
        if _stray(between):
            edges += [behind, start]  # a part of its own, so that it ends in quarantine, not in silence
        elif behind and start < len(raw):
            begins = next((found.start() for found in _headers(between)), len(between))
            edges.append(behind + begins)
        behind = stop
    edges = sorted({*edges, len(raw)})
    problems = tuple(problem for problem in read(text).problems if problem.code != "OUTSIDE_MESSAGES")
    return Cut([raw[start:stop] for start, stop in pairwise(edges)], header, problems)


def _headers(text: str) -> list[re.Match[str]]:
    return [found for found in in_pieces(_ENVELOPE, text) if found[1] in ("FHS", "BHS")]


def alone(raw: bytes) -> bytes:
    """The message of a part, without the batch segments around it; anything else as it is.

    Raises: HubError(SEVERAL_MESSAGES); NOTHING_REPRESENTABLE for a batch of none; FORMAT_UNKNOWN for other text beside batch
            segments.
    """
    end = raw[-_TRAILER_BYTES_MAX:]  # looking at all of every message would cost more
    trailed = b"BTS" in end or b"FTS" in end
    if raw[:3] == b"MSH" and not trailed:
        return raw
    head = raw[:1024].lstrip(_AROUND)
    if raw.startswith(_OTHER) or not (head.startswith((*_HEADERS, b"BTS", b"FTS")) or (head[:3] == b"MSH" and trailed)):
        return raw
    text = raw.decode("latin-1")
    spans = message_spans(text)
    if not spans:
        raise HubError("FORMAT_UNKNOWN" if _stray(text) else "NOTHING_REPRESENTABLE", head[:3].decode())
    if len(spans) > 1:
        raise HubError("SEVERAL_MESSAGES", "MSH[2]")
    return raw[spans[0][0] : spans[0][1]]


def answer(header: str, acks: Sequence[bytes], *, control_id: str, now: datetime) -> bytes:
    """One answer to several messages, in the form they came in: a batch for a batch, else acknowledgements in a row.

    header:     of the batch, as `Cut` has it; BHS-12 of the answer refers to its BHS-11, sender and receiver change places.
    acks:       those there are, in order: messages that want no answer have none. Without any, the answer is empty.
    control_id: BHS-11 of the answer. now: BHS-7, aware of its zone.
    """
    if not acks or not header:
        return b"".join(acks)
    fields = [field if _ECHOED.fullmatch(field) else None for field in [*header.split(header[3:4] or "|"), *[""] * 12][:12]]
    names = [fields[4] or "HIE", fields[5], fields[2], fields[3]]
    bhs = build([["BHS", *names, f"{now:%Y%m%d%H%M%S%z}", None, None, None, control_id, fields[10]]])
    return bhs.encode() + b"".join(acks) + f"BTS|{len(acks)}\r".encode()
