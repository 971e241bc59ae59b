"""One message to events, a verdict and an acknowledgement: pure, whatever brought it.

The walk: format → MSH → facility and dialect → charset → segments → type and version → entitlement → structure → mapping →
verdict. It never raises. What ends it, by promises 2 and 3:

| verdict | when | acknowledgement |
|---|---|---|
| translated | there is at least one event; everything odd about it is a warning | AA |
| refused | type or version unsupported, sender not entitled, nothing representable, too large | AR or AE by the error's row |
| quarantined | no readable frame, MSH, charset or XML; a fault of ours (TRANSLATION_FAILED) | AR, without MSA-2 where MSH cannot be read |

A fault of ours is answered AR too. The bytes are durable and a person replays them once it is mended, so nothing is lost;
sending them again would meet the same fault, and silence would hold up a lock-step sender with all its other patients. AA
would be a lie: there are no events.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Final

from adapters.dialects.claims import map_ehc
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.mapping import CLAIM_TYPES, SUPPORTED, map_message, message_type
from adapters.dialects.profile import STANDARD, Dialect, load_dialect, resolve_as, resolve_facility
from adapters.dialects.resources import JSON_TYPE, read_form, report_of
from adapters.formats.ack import acknowledge, answer_wanted, deferred_wanted
from adapters.formats.ack import verdict as answer_to
from adapters.formats.batch import alone
from adapters.formats.charset import Decoded, decode, has_low_letters, is_wide
from adapters.formats.claim_xml import looks_like_envelope, trimmed
from adapters.formats.hl7v2 import Message, message_spans, parse
from adapters.formats.mllp import Junk
from adapters.formats.structure import VERSIONS, check
from adapters.formats.xml_signature import State
from adapters.inbound.deferred import answered, deferred_answer
from adapters.inbound.envelope import ENVELOPE, Source, read_hosos
from adapters.inbound.raw_store import chunks, raw_hash
from adapters.inbound.received import Received, Translation
from adapters.inbound.signers import Signers
from hub.contract import records
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import VIETNAM, Event, Keyring, Origin, message_id
from hub.contract.topics import topic_of

_QUARANTINED: Final = frozenset(
    {
        "BYTES_BETWEEN_FRAMES",
        "FRAME_UNFINISHED",
        "EMPTY_INPUT",
        "FORMAT_UNKNOWN",
        "MSH_UNREADABLE",
        "SEVERAL_MESSAGES",
        "CHARSET_UNREADABLE",
        "XML_MALFORMED",
        "JSON_MALFORMED",
        "XML_FORBIDDEN",
        "XML_LIMIT",
        "TRANSLATION_FAILED",
    }
)
_AROUND: Final = b"\xef\xbb\xbf\x0b\x1c\x00\r\n\t "
_LINE_END: Final = re.compile(rb"[\r\n]")
_TIME: Final = re.compile(r"(\d{4,14})(?:\.\d+)?(?:([+-])(\d\d)(\d\d))?")
UNCHECKED: Final = Signers()
_PROBLEMS_MAX: Final = 500  # kept of one message, errors first
_EVENTS_MAX: Final = 100_000  # of one message: their ids fill 5 MiB of its record, which holds 8
_BATCH_SEGMENTS: Final = (b"FHS", b"BHS", b"BTS", b"FTS")


class _Walk:
    """What is known of a message so far. `header` is set once MSH could be read: before, an answer has no MSA-2."""

    __slots__ = ("dialect", "given", "header", "note", "problems", "received")

    def __init__(self, received: Received, given: Dialect | None = None) -> None:
        raw = received.raw
        digest = raw_hash(raw)
        self.received = received
        self.header: Message | None = None
        self.dialect: Dialect | None = None
        self.given = given
        self.problems: list[Problem] = list(received.problems)
        self.note: Event = {
            "message_id": message_id(received.sender, received.received_at, digest),
            "received_at": received.received_at,
            "facility": "",
            "sender": received.sender,
            "transport": received.transport,
            "format": "unknown",
            "raw": raw,
            "raw_hash": digest,
            "raw_size": len(raw),
            "test": received.test,
        }


def translate(received: Received, keyring: Keyring, dialect: Dialect | None = None, signers: Signers = UNCHECKED) -> Translation:
    """Read one message.

    received: its bytes, with whatever stands around them (framing, BOM, blank lines).
    dialect:  how to read it, to try a profile; the facility's own when omitted.
    signers:  whose signatures of envelopes are looked at; nobody's unless given.
    Returns:  what the message became, and what to answer once that is durable; a fault of ours is an answer too.
    Raises:   HubError(OVERLOADED) when the machine has no memory, file or disk for it now.
    """
    walk = _Walk(received, dialect)

    def read() -> Mapped:
        kind = _sniff(received.raw)
        walk.note["format"] = kind
        if kind == "xml":
            return _envelope(walk, keyring, signers)
        return _json(walk, keyring) if kind == "json" else _hl7(walk, keyring)

    return _concluded(walk, read)


def translate_file(
    received: Received, path: Path, reference: str, keyring: Keyring, signers: Signers, take: Callable[[str, Event], None]
) -> Translation:
    """Read one envelope that lies on the disk, whole or not at all, holding one HOSO at a time.

    received:  without its bytes.
    reference: the name of the file in the raw store.
    take:      gets each event; its HubError that is not retriable refuses the message.
    Returns:   as `translate`, but for `events`, which `take` has got: `message` names them. None counts unless it says translated.
    Raises:    HubError(OVERLOADED), and what `take` raises that is retriable.
    """
    walk = _Walk(received)
    size = path.stat().st_size
    walk.note |= {"raw_hash": reference, "raw_ref": reference, "raw_size": size, "format": "xml"}
    walk.note["message_id"] = message_id(received.sender, received.received_at, reference)

    def judged(facility: str) -> State:
        return signers.judge_file(path, facility, received.received_at)

    def read() -> Mapped:
        found = Mapped()
        for one in _hosos(walk, lambda: chunks(path), keyring, signers, judged):
            for record, event in one.events:
                take(record, event)
                found.events.append((record, {"meta": {"event_id": event["meta"]["event_id"]}}))
            found.problems += one.problems[: max(0, _PROBLEMS_MAX - len(found.problems))]
            if len(found.events) > _EVENTS_MAX:
                raise HubError("FRAME_TOO_LARGE", f"more than {_EVENTS_MAX} HOSO")
        return found

    done = _concluded(walk, read)
    return Translation(done.message, (), done.problems, done.verdict, done.ack)


def _concluded(walk: _Walk, read: Callable[[], Mapped]) -> Translation:
    try:
        mapped = read()
    except HubError as stop:
        if stop.retriable:
            raise
        if not stop.row.ack:  # not about the message: a dialect that cannot be loaded, say
            return _stopped(walk, Problem("TRANSLATION_FAILED", Severity.ERROR, stop.code))
        return _stopped(walk, Problem(stop.code, Severity.ERROR, stop.where))
    except (OSError, MemoryError) as passing:  # the machine's trouble, not the message's: it may pass, so nobody is answered
        raise HubError("OVERLOADED", "translate") from passing
    except Exception as fault:
        return _stopped(walk, _fault(fault))
    walk.problems += mapped.problems
    if not mapped.events and not any(problem.severity is Severity.ERROR for problem in walk.problems):
        walk.problems.append(Problem("NOTHING_REPRESENTABLE", Severity.ERROR))
    return _finished(walk, mapped.events)


def refused(received: Received, code: str, path: str = "") -> Translation:
    """A message that another limit than its content keeps out, such as a record that would be too large."""
    return _stopped(_with_header(received), Problem(code, Severity.ERROR, path))


def failed(received: Received, fault: Exception) -> Translation:
    """A message that a fault of ours keeps out; where it stands in our code is told, its text is not."""
    return _stopped(_with_header(received), _fault(fault))


def unframed(received: Received, junk: Junk) -> Translation:
    """What never was a whole frame: stray bytes, an unfinished or an oversize one. Only the last is answered."""
    walk = _Walk(received)
    walk.note["raw_size"] = junk.size
    problem = junk.problem or Problem("BYTES_BETWEEN_FRAMES")
    return _stopped(walk, Problem(problem.code, Severity.ERROR, problem.path))


def too_many(received: Received, most: int) -> Translation:
    """A batch of more messages than the hub takes at once: refused as a whole, its bytes are kept."""
    problem = Problem("FRAME_TOO_LARGE", Severity.ERROR, f"MSH[{most + 1}]")
    return unframed(received, Junk(received.raw, len(received.raw), problem))


def split(raw: bytes) -> list[bytes]:
    """The messages of a file, in order, each byte for byte, to send one by one; [] if there is nothing in it.

    Batch headers and trailers (FHS, BHS, BTS, FTS) are left out. What else stands outside messages is a part of its own,
    so that it ends in quarantine, not in silence. A file of anything but HL7 is one part.
    """
    if not raw.strip(_AROUND):
        return []
    if is_wide(raw) or looks_like_envelope(raw):
        return [raw]
    spans = message_spans(raw.decode("latin-1"))  # a byte a character: offsets are those of the bytes
    if not spans:
        return [raw]
    parts: list[bytes] = []
    at = 0
    for start, stop in [*spans, (len(raw), len(raw))]:
        lines = [line for line in _LINE_END.split(raw[at:start]) if not line.strip(_AROUND).startswith(_BATCH_SEGMENTS)]
        outside = b"\r".join(lines).strip(_AROUND)
        if outside:
            parts.append(outside)
        if stop > start:
            parts.append(raw[start:stop])
        at = stop
    return parts


# --- HL7 v2 -----------------------------------------------------------------------------------------------------------


def _sniff(raw: bytes) -> str:
    head = raw[:1024].lstrip(_AROUND)
    if not head and not raw.strip(_AROUND):
        raise HubError("EMPTY_INPUT")
    if is_wide(raw):
        head = raw[:2048].lstrip(b"\xff\xfe\0").replace(b"\0", b"").lstrip(_AROUND)
    if head[:3] == b"MSH" or head[:3] in _BATCH_SEGMENTS:
        return "hl7"
    if head[:1] == b"<":
        return "xml"
    if head[:1] == b"{":
        return "json"
    raise HubError("MSH_UNREADABLE" if head[:3].upper() == b"MSH" or b"\rMSH|" in head else "FORMAT_UNKNOWN")


def _hl7(walk: _Walk, keyring: Keyring) -> Mapped:
    received, note = walk.received, walk.note
    raw = alone(received.raw)
    if raw.isascii() and not is_wide(raw):
        decoded = Decoded(raw.decode("ascii"), "ascii", ())
        message = walk.header = parse(decoded.text)
        charset = _identify(walk, message).charset or (message.header.get(18) if len(message.header.fields) > 18 else "")
        if charset and has_low_letters(raw, charset):  # capitals of VISCII or VPS, and no other letter beyond ASCII
            decoded = decode(raw, charset)
            message = walk.header = parse(decoded.text)
    else:
        # Who sends it decides how it is read: MSH first, in a charset that maps every byte.
        walk.header = _read_header(raw)
        dialect = _identify(walk, walk.header)
        decoded = decode(raw, dialect.charset, received.charset or None)
        message = walk.header = parse(decoded.text)
    note["charset"] = decoded.charset
    walk.problems += decoded.problems
    walk.problems += message.problems
    if message.names.count("MSH") > 1:
        raise HubError("SEVERAL_MESSAGES", "MSH[2]")
    kind = note["message_type"]
    if kind not in SUPPORTED:
        raise HubError("TYPE_UNSUPPORTED", "MSH-9")
    _check_version(walk)
    if not note["control_id"]:
        walk.problems.append(Problem("CONTROL_ID_MISSING", Severity.WARNING, "MSH-10"))
    _check_facility(walk, "MSH-4")
    walk.problems += check(message)
    context = Context(_origin(walk, message), keyring, note["facility"])
    assert walk.dialect is not None
    if kind in CLAIM_TYPES:
        return map_ehc(message, walk.dialect, context)
    return map_message(message, walk.dialect, context)


def _read_header(raw: bytes) -> Message:
    """MSH alone. Raises: HubError(MSH_UNREADABLE)."""
    if is_wide(raw):
        return parse(decode(raw).text.lstrip("\ufeff\x0b\r\n\t ").replace("\n", "\r").partition("\r")[0])
    line = _LINE_END.split(raw.lstrip(_AROUND), maxsplit=1)[0]
    return parse(line.decode("latin-1"))


def _with_header(received: Received) -> _Walk:
    walk = _Walk(received)
    with suppress(HubError):
        kind = _sniff(received.raw)
        walk.note["format"] = kind
        if kind == "hl7":
            walk.header = _read_header(alone(received.raw))
            _identify(walk, walk.header)
        else:
            walk.note["message_type"] = ENVELOPE if kind == "xml" else JSON_TYPE
    return walk


def _identify(walk: _Walk, message: Message) -> Dialect:
    note, header = walk.note, message.header
    if walk.given is None:
        facility, dialect = _resolve(header.get(3), header.field(4), tuple(header.components(4)))
    else:
        facility, dialect = resolve_as(header.get(3), header.components(4), walk.given), walk.given
    walk.dialect = dialect
    note["facility"] = facility
    note["control_id"] = message.control_id
    note["version"] = message.version
    note["message_type"] = message_type(message)
    note["dialect"], note["dialect_version"] = dialect.name, dialect.version
    note["test"] = walk.received.test or header.get(11) in ("T", "D")
    return dialect


@lru_cache(maxsize=4096)
def _resolve(application: str, _whole: str, facility: tuple[str, ...]) -> tuple[str, Dialect]:
    return resolve_facility(application, facility)


def _check_version(walk: _Walk) -> None:
    version = walk.note["version"]
    if not version:
        walk.problems.append(Problem("FIELD_MISSING", Severity.WARNING, "MSH-12"))
    elif version not in VERSIONS:
        raise HubError("VERSION_UNSUPPORTED", "MSH-12")


def _check_facility(walk: _Walk, path: str) -> None:
    """Whether the sender may speak for the facility; one that speaks for a single facility need not name it."""
    walk.note["facility"], problems = walk.received.speaks_for(walk.note["facility"], path)
    walk.problems += problems


def _origin(walk: _Walk, message: Message | None) -> Origin:
    note = walk.note
    source: records.Source = {
        "sender": note["sender"],
        "application": message.header.get(3) if message else "",
        "message_type": note["message_type"],
        "control_id": note.get("control_id", ""),
        "dialect": note["dialect"],
        "dialect_version": note["dialect_version"],
        "charset": note.get("charset", ""),
    }
    stated_at = _stated_at(message.header.get(7)) if message else ""
    return Origin(note["message_id"], note["received_at"], source, note["test"], stated_at)


def _stated_at(text: str) -> str:
    """MSH-7 as digits of Vietnam's time, "" if it is no time; times without a zone are Vietnam's."""
    found = _TIME.fullmatch(text)
    if not found:
        return ""
    digits, sign, hours, minutes = found.groups()
    if sign is None or (sign, hours, minutes) == ("+", "07", "00") or len(digits) < 12:
        return digits
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        moment = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S").replace(
            tzinfo=timezone(offset if sign == "+" else -offset)
        )
        return f"{moment.astimezone(VIETNAM):%Y%m%d%H%M%S}"
    except (ValueError, OverflowError):
        return digits


# --- the insurance XML ------------------------------------------------------------------------------------------------


def _envelope(walk: _Walk, keyring: Keyring, signers: Signers) -> Mapped:
    """Every HOSO of an envelope. A broken one is refused alone; an envelope that breaks off is quarantined as a whole."""
    raw, mapped = trimmed(walk.received.raw), Mapped()

    def judged(facility: str) -> State:
        return signers.judge(raw, facility, walk.received.received_at)

    for one in _hosos(walk, lambda: raw, keyring, signers, judged):
        mapped.events += one.events
        mapped.problems += one.problems
    return mapped


def _hosos(walk: _Walk, source: Source, keyring: Keyring, signers: Signers, judged: Callable[[str], State]) -> Iterator[Mapped]:
    dialect = walk.dialect = load_dialect(STANDARD)
    walk.note |= {"message_type": ENVELOPE, "dialect": dialect.name, "dialect_version": dialect.version}
    return read_hosos(walk.received, walk.note, _origin(walk, None), source, keyring, signers, judged)


# --- JSON -------------------------------------------------------------------------------------------------------------


def _json(walk: _Walk, keyring: Keyring) -> Mapped:
    """A report of resources, in the form of `adapters/dialects/resources.py`; one that does not fit it is refused."""
    note = walk.note
    dialect = walk.dialect = load_dialect(STANDARD)
    note |= {"message_type": JSON_TYPE, "dialect": dialect.name, "dialect_version": dialect.version, "charset": "utf-8"}
    form, problems = read_form(walk.received.raw.strip(_AROUND))
    if form is None:
        return Mapped([], problems)
    note |= {"control_id": form.control_id, "test": walk.received.test or form.test}
    note["facility"] = _resolve("", form.ma_cskcb, (form.ma_cskcb,))[0]
    _check_facility(walk, "ma_cskcb")
    origin = replace(_origin(walk, None), stated_at=_stated_at(form.reported_at))
    return Mapped([report_of(form, Context(origin, keyring, note["facility"]))])


# --- the outcome ------------------------------------------------------------------------------------------------------


def _fault(fault: Exception) -> Problem:
    """Names the line of our code, for whoever mends it; never the exception's text, which may quote the message."""
    trace = fault.__traceback__
    place = ""
    while trace is not None:
        place = f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return Problem("TRANSLATION_FAILED", Severity.ERROR, f"{type(fault).__name__} {place}".strip())


def _stopped(walk: _Walk, problem: Problem) -> Translation:
    walk.problems.append(problem)
    return _finished(walk, [])


def _finished(walk: _Walk, events: Sequence[tuple[str, Event]]) -> Translation:
    note = walk.note
    problems = _distinct(walk.problems) if walk.problems else []
    if len(problems) > _PROBLEMS_MAX:
        problems = sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)[:_PROBLEMS_MAX]
    if events:
        verdict, outcome = "translated", "AA"  # what could not be read of it is told; sending it again would not cure it
    else:
        codes = {problem.code for problem in problems if problem.severity is Severity.ERROR}
        verdict = "quarantined" if codes & _QUARANTINED else "refused"
        outcome = answer_to(problems)
    answer = _answer_code(walk, verdict, outcome)
    note["verdict"] = verdict
    note["ack"] = answer
    note["problems"] = [{"code": p.code, "severity": p.severity.value, "path": p.path} for p in problems]
    note["events"] = [{"event_id": event["meta"]["event_id"], "topic": topic_of(record)} for record, event in events]
    ack = b""
    if answer:
        told = problems
        if walk.dialect is not None and not walk.dialect.ack.warnings:
            told = [problem for problem in problems if problem.severity is Severity.ERROR]
        ack = _ack(walk, answer, told) if told or walk.header is None else _plain_ack(walk, walk.header, answer)
    deferred = _deferred(walk) if answer == "CA" else None
    return Translation(note, tuple(events), tuple(problems), verdict, ack, deferred)


def _deferred(walk: _Walk) -> tuple[Event, Event] | None:
    message = walk.header
    if message is None or not deferred_wanted(message, "AA"):
        return None
    origin = _origin(walk, message)
    delivery = deferred_answer(walk.note, origin.source, origin.stated_at)
    return (delivery, answered(walk.note, message)) if delivery else None


def _distinct(problems: Sequence[Problem]) -> list[Problem]:
    """Each finding once: structure and mapping may have found the same, and then the graver word stands."""
    worst: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        place = (problem.code, problem.path)
        known = worst.get(place)
        if known is None or known.severity is Severity.INFORMATION or problem.severity is Severity.ERROR:
            worst[place] = problem
    return list(worst.values())


def _ident(walk: _Walk) -> str:
    return str(walk.note["message_id"]).replace("-", "")[:20]  # MSH-10 holds twenty characters


@lru_cache(maxsize=8)
def _local(second: datetime) -> datetime:
    return second.astimezone(VIETNAM)


def _ack(walk: _Walk, code: str, problems: Sequence[Problem]) -> bytes:
    at = _local(walk.received.received_at.replace(microsecond=0))
    return acknowledge(walk.header, code, problems, control_id=_ident(walk), now=at).encode()


_templates: Final[dict[tuple[str, ...], tuple[str, str, str]]] = {}
_TEMPLATES_MAX: Final = 4096


def _plain_ack(walk: _Walk, message: Message, code: str) -> bytes:
    """The answer to a message without problems. Those to one sender differ in time and ids only, so the rest is kept."""
    fields, control_id = message.header.fields, message.header.field(10)
    usual = control_id.isascii() and control_id.replace("-", "").replace(".", "").isalnum()
    if fields[2] != "^~\\&" or not usual:
        return _ack(walk, code, ())
    form = (code, *fields[3:7], fields[9], *fields[11:13])
    second = walk.received.received_at.replace(microsecond=0)
    kept = _templates.get(form)
    if kept is None:
        whole = _ack(walk, code, ())
        parts = whole.decode().split("|")
        # MSH-7 and MSH-10 are the seventh and tenth part, MSA-2 the last.
        if parts[6] == _stamp(second) and parts[9] == _ident(walk) and parts[-1] == f"{control_id}\r":
            if len(_templates) >= _TEMPLATES_MAX:
                _templates.clear()
            _templates[form] = ("|".join(parts[:6]), "|".join(parts[7:9]), "|".join(parts[10:-1]))
        return whole
    return f"{kept[0]}|{_stamp(second)}|{kept[1]}|{_ident(walk)}|{kept[2]}|{control_id}\r".encode()


@lru_cache(maxsize=8)
def _stamp(second: datetime) -> str:
    return f"{_local(second):%Y%m%d%H%M%S%z}"


def _answer_code(walk: _Walk, verdict: str, outcome: str) -> str:
    """What to put into MSA-1; "" for silence."""
    if not outcome or (walk.header is not None and walk.header.type == "ACK"):
        return ""  # an acknowledgement is never acknowledged: two machines would go on for ever
    if walk.dialect is not None and verdict != "translated" and walk.dialect.ack.refused != "coded":
        if walk.dialect.ack.refused == "none":
            return ""
        outcome = walk.dialect.ack.refused
    return answer_wanted(walk.header, outcome)
