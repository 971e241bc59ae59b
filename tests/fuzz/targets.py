"""What must hold for any bytes at all: one function a target, which raises when it does not.

Pure and without a fuzzer: `__main__` feeds them what coverage leads to, `test_targets` what was found before.
"""

import re
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from adapters.dialects.profile import load_dialect
from adapters.formats import batch, charset, hl7v2, structure
from adapters.formats.ack import acknowledge, answer_wanted, verdict
from adapters.formats.claim_xml import Reader
from adapters.formats.mllp import Decoder, Frame, Junk
from adapters.formats.vietnamese import likelihood
from adapters.inbound.received import Received, Translation
from adapters.inbound.translate import split, translate
from hub.contract.claim_tables import tables
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import Keyring, encode

AT = datetime(2026, 10, 15, 1, 20, 30, 123456, UTC)
KEYRING = Keyring(b"a secret of tests only")
TABLES = {name: list(table) for name, table in tables().items()}
CHARSETS = ("", "UNICODE UTF-8", "8859/1", "tcvn3", "vni", "viscii", "vps", "windows-1258", "TCVN5712", "UNICODE UTF-16", "?")


def _pieces(data: bytes, cuts: bytes) -> list[bytes]:
    edges = [0, *sorted(cut * len(data) // 256 for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def _framed(pieces: list[bytes], limit: int) -> list[Frame | Junk]:
    decoder = Decoder(limit)
    out: list[Frame | Junk] = []
    for piece in pieces:
        out += decoder.feed(piece)
        assert decoder.bytes_in == decoder.bytes_framed + decoder.bytes_junk + decoder.bytes_pending
        assert decoder.unfinished == (decoder.bytes_pending > 0)
        assert len(decoder._body) <= limit + 1
    out += decoder.close()
    assert decoder.bytes_pending == 0 and not decoder.unfinished
    assert decoder.bytes_in == sum(map(len, pieces)) == sum(one.size for one in out)
    return out


def framer(data: bytes) -> None:
    """Every byte ends in a frame or in junk, whatever the cuts; the cuts change nothing."""
    limit, cuts, stream = 1 + data[0] if data else 1, data[1:5], data[5:]
    whole = _framed([stream], limit)
    assert _framed(_pieces(stream, cuts), limit) == whole
    for one in whole:
        if isinstance(one, Frame):
            assert len(one.body) <= limit and b"\x0b" not in one.body and len(one.body) + 2 <= one.size <= len(one.body) + 3
        else:
            assert len(one.data) <= one.size and (one.problem is None or one.problem.code in ERRORS)
    silent = Decoder(limit)  # a link that falls silent after every piece: no byte is lost by giving out what has ended
    sizes = sum(one.size for piece in _pieces(stream, cuts) for one in [*silent.feed(piece), *silent.take_ended()])
    assert sizes + sum(one.size for one in silent.close()) == len(stream)


def reader(data: bytes) -> None:
    """Any text is read or refused, no accessor fails, what is escaped comes back; and the border always has a verdict."""
    text = data.decode("utf-8", "replace")
    for one in [text, *hl7v2.split_messages(text)]:
        _message(one)
    assert batch.read(text).messages == hl7v2.split_messages(text)
    flat = text.replace("\ufeff", "")
    assert flat == hl7v2.NULL or hl7v2.unescape(hl7v2.escape(flat)) == flat
    translated(data)
    for part in split(data)[:4]:
        translated(part)


def _message(text: str) -> None:
    try:
        message = hl7v2.parse(text)
    except HubError as refused:
        assert refused.code in ("EMPTY_INPUT", "MSH_UNREADABLE"), refused.code
        return
    assert message.names[0] == "MSH" and len(message) == len(message.names)
    for segment in message:
        for number in range(len(segment.fields) + 1):
            whole = segment.field(number)
            assert isinstance(segment.text(number), str) and segment.is_null(number) == (whole == hl7v2.NULL)
            assert segment.get(number) == (segment.components(number) or [""])[0] or number <= 2
            for repetition, _ in enumerate(segment.repetitions(number), 1):
                for component, value in enumerate(segment.components(number, repetition), 1):
                    assert segment.get(number, component, 1, repetition) == value or number <= 2
            message.path(segment, number, 1, 1)
    message.groups("ORC", "OBR")
    problems = [*message.problems, *structure.check(message)]
    assert len(problems) <= 2 * hl7v2.PROBLEMS_MAX and all(problem.code in ERRORS for problem in problems)
    code = answer_wanted(message, verdict(problems))
    answer = hl7v2.parse(acknowledge(message, code or "AA", problems, control_id="1", now=AT))
    assert answer.get("MSA", 2) == message.control_id and answer.first("MSA") is not None


def translated(raw: bytes) -> Translation:
    """One message through the border: it never raises, keeps the bytes, and has an answer unless silence was asked for."""
    done = translate(Received(raw, AT, "mllp"), KEYRING)
    note = done.message
    assert note["raw"] == raw and note["raw_size"] == len(raw) and note["verdict"] == done.verdict
    assert (done.verdict == "translated") == bool(done.events)
    assert done.verdict == "translated" or any(problem.severity == "E" for problem in done.problems)
    assert not [problem for problem in done.problems if problem.code == "TRANSLATION_FAILED"], done.problems
    assert bool(note["ack"]) == bool(done.ack)
    for record, event in done.events:
        assert encode(record, event)
    encode("hie.MessageReceived", note)
    if done.ack:
        answer = hl7v2.parse(done.ack.decode())
        assert answer.get("MSA", 1) == note["ack"] and not answer.problems
    else:
        asked = note["message_type"].startswith("ACK") or _wishes(raw) or load_dialect(note["dialect"]).ack.refused == "none"
        assert asked, "silence that nobody asked for"
    return done


def _wishes(raw: bytes) -> bool:
    """Whether MSH-15 or MSH-16 hold anything, roughly: in any charset that keeps ASCII.

    Where CR ends the segments, a LF ends MSH only before a segment's name or a blank line; else it stands inside a field.
    """
    flat = raw.replace(b"\0", b"")
    flat = flat[max(0, flat.find(b"MSH")) :]
    separator = flat[3:4]
    ends = rb"\r|\n(?=[^\S\r\n]*(?:(?:[A-Z][A-Z0-9]{2})?(?:[\r\n]|\Z)|[A-Z][A-Z0-9]{2}" + re.escape(separator) + rb"))"
    line = re.split(ends if b"\r" in flat else rb"\n", flat, maxsplit=1)[0]
    return line.startswith(b"MSH") and any(line.split(separator)[14:16])


def charsets(data: bytes) -> None:
    """Any bytes give text in NFC or a refusal; a text written in the charset it was read in comes back."""
    profile, declared = (CHARSETS[byte % len(CHARSETS)] for byte in (data + b"\0\0")[:2])
    raw = data[2:]
    for asked in ((profile, declared), (None, None), (None, declared)):
        try:
            found = charset.decode(raw, *asked)
        except HubError as refused:
            assert refused.code == "CHARSET_UNREADABLE"
            continue
        text = found.text
        assert unicodedata.is_normalized("NFC", text) and all(problem.code in ERRORS for problem in found.problems)
        assert charset.fold(charset.fold(text)) == charset.fold(text) or " " in charset.fold(text)
        assert charset.charset_name(found.charset) == found.charset
        if "\ufffd" not in text and found.charset != "tcvn3":
            try:
                again = charset.encode(text, found.charset)
            except HubError as lacks:
                assert lacks.code == "CHARSET_LACKS_LETTER"
                continue
            if charset.is_wide(again) and (not charset.is_wide(raw) or "\0" in text.lstrip("\ufeff")[:4]):
                continue  # a text that begins with their mark, or with NULs, as UTF-16 or UTF-32 does cannot be told from them
            back = charset.decode(again, found.charset, "")
            told = back.charset == "utf-8" or "CHARSET_DECLARED_WRONG" in {problem.code for problem in back.problems}
            by_chance = told and likelihood(text) <= likelihood(back.text)  # bytes that are words in another charset, or in none
            assert back.text.lstrip("\ufeff") == text.lstrip("\ufeff") or text.isascii() or by_chance


def xml(data: bytes) -> None:
    """Any bytes give HOSO or a refusal, the same however they are cut; and the border always has a verdict."""
    whole = _hosos([data[4:]])
    assert _hosos(_pieces(data[4:], data[:4]))[1:] == whole[1:]
    translated(data[4:])


def _hosos(pieces: list[bytes]) -> tuple[str, list[object]]:
    envelope = Reader(pieces, TABLES)
    found: list[object] = []
    code = ""
    try:
        for hoso in envelope:
            assert hoso.number == len(found) + 1
            assert all(name in TABLES for name in hoso.tables)
            found.append((hoso.tables, hoso.problems, hoso.ngaylap))
    except HubError as refused:
        code = refused.code
        assert code in ("XML_FORBIDDEN", "XML_MALFORMED", "FORMAT_UNKNOWN", "EMPTY_INPUT"), code
    assert all(problem.code in ERRORS for problem in envelope.problems)
    return code, found


TARGETS: dict[str, Callable[[bytes], None]] = {"framer": framer, "reader": reader, "charset": charsets, "xml": xml}
LONGEST = timedelta(seconds=10)  # of CPU, for one input of a few kilobytes
HANGS = timedelta(minutes=5)  # on the clock: what waits for a core on a busy machine is no hang


def within(longest: timedelta, target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, which also raises when it took more CPU than that."""

    def timed(data: bytes) -> None:
        began = time.process_time()
        target(data)
        assert time.process_time() - began <= longest.total_seconds(), "it took too long"

    return timed
