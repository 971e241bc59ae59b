"""One message to events, a verdict and an acknowledgement: pure, whatever brought it.

The walk: format → MSH → facility and dialect → charset → segments → type and version → entitlement → structure → mapping →
verdict. It never raises. What ends it, by promises 2 and 3:

| verdict | when | acknowledgement |
|---|---|---|
| translated | there is at least one event; everything odd about it is a warning | AA |
| refused | type missing, type or version unsupported, sender not entitled, nothing representable, too large | AR or AE by the error's row |
| quarantined | no readable frame, MSH, charset or XML; a fault of ours (TRANSLATION_FAILED) | AR, without MSA-2 where MSH cannot be read |

A fault of ours is answered AR too. The bytes are durable and a person replays them once it is mended, so nothing is lost;
sending them again would meet the same fault, and silence would hold up a lock-step sender with all its other patients. AA
would be a lie: there are no events.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from adapters.dialects.claims import map_ehc
from adapters.dialects.mapped import EVENTS_MAX, Context, Mapped
from adapters.dialects.mapping import CLAIM_TYPES, SUPPORTED, map_message, message_type
from adapters.dialects.paths import folded
from adapters.dialects.profile import STANDARD, Dialect, load_dialect, resolve_as, resolve_facility
from adapters.dialects.reading import stated_day_first
from adapters.dialects.resources import JSON_TYPE, read_form, report_of
from adapters.dialects.transforms import NUMBER, moment, pointed
from adapters.formats.batch import alone
from adapters.formats.charset import Decoded, decode, ends_within_letter, has_low_letters, is_wide
from adapters.formats.claim_xml import looks_like_envelope, trimmed
from adapters.formats.hl7v2 import Message, parse
from adapters.formats.mllp import Junk
from adapters.formats.spans import message_spans
from adapters.formats.structure import VERSIONS, broken_off, check, cut_within_value, run_together, stops_at
from adapters.formats.xml_signature import State
from adapters.inbound.envelope import ENVELOPE, Source, read_hosos
from adapters.inbound.outcome import PROBLEMS_MAX, Walk, fault_of, finished, origin_of, stated_at_of, stopped
from adapters.inbound.raw_store import chunks
from adapters.inbound.received import Received, Translation
from adapters.inbound.signers import Signers
from hub.contract.directory import edition
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import Event, Keyring, encode, is_code, message_id
from hub.contract.topics import check_size, topic_of

_AROUND: Final = b"\xef\xbb\xbf\x0b\x1c\x00\r\n\t "
_LINE_END: Final = re.compile(rb"[\r\n]")
UNCHECKED: Final = Signers()
_INDEX: Final = re.compile(r"\[\d+\]")
_HEADER_MAX: Final = 64 * 1024  # characters; a longer MSH would fill what answers and records hold
_BATCH_SEGMENTS: Final = (b"FHS", b"BHS", b"BTS", b"FTS")


def translate(received: Received, keyring: Keyring, dialect: Dialect | None = None, signers: Signers = UNCHECKED) -> Translation:
    """Read one message.

    received: its bytes, with whatever stands around them (framing, BOM, blank lines).
    dialect:  how to read it, to try a profile; the facility's own when omitted.
    signers:  whose signatures of envelopes are looked at; nobody's unless given.
    Returns:  what the message became, and what to answer once that is durable; a fault of ours is an answer too.
    Raises:   HubError(OVERLOADED) when the machine has no memory, file or disk for it now.
    """
    walk = Walk(received, dialect)

    def read() -> Mapped:
        kind = _sniff(received.raw)
        walk.note["format"] = kind
        if kind == "xml":
            return _envelope(walk, keyring, signers)
        return _json(walk, keyring) if kind == "json" else _hl7(walk, keyring)

    return _concluded(walk, read)


def tried(received: Received, keyring: Keyring, dialect: Dialect | None = None) -> Translation:
    """`translate`, with each event written as the gate writes it: what no record or no schema holds is refused here as there.
    For whoever translates without sending."""
    done = translate(received, keyring, dialect)
    try:
        for record, event in done.events:
            check_size(topic_of(record), encode(record, event))
    except HubError as stop:
        return refused(received, stop.code, stop.where)
    except Exception as fault:  # as in the gate
        return failed(received, fault)
    return done


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
    walk = Walk(received)
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
            found.problems += one.problems[: max(0, PROBLEMS_MAX - len(found.problems))]
        return found

    done = _concluded(walk, read)
    return Translation(done.message, (), done.problems, done.verdict, done.ack)


def _concluded(walk: Walk, read: Callable[[], Mapped]) -> Translation:
    try:
        mapped = read()
    except HubError as stop:
        if stop.retriable:
            raise
        if not stop.row.ack:  # not about the message: a dialect that cannot be loaded, say
            return stopped(
                walk, Problem("TRANSLATION_FAILED", Severity.ERROR, f"{stop.code} {stop.where.partition(';')[0]}".rstrip())
            )
        return stopped(walk, Problem(stop.code, Severity.ERROR, stop.where))
    except (OSError, MemoryError) as passing:  # the machine's trouble, not the message's: it may pass, so nobody is answered
        raise HubError("OVERLOADED", "translate") from passing
    except Exception as fault:
        return stopped(walk, fault_of(fault))
    walk.problems += mapped.problems
    if not mapped.events and not any(problem.severity is Severity.ERROR for problem in walk.problems):
        walk.problems.append(Problem("NOTHING_REPRESENTABLE", Severity.ERROR))
    return finished(walk, mapped.events)


def refused(received: Received, code: str, path: str = "") -> Translation:
    """A message that another limit than its content keeps out, such as a record that would be too large."""
    return stopped(_with_header(received), Problem(code, Severity.ERROR, path))


def failed(received: Received, fault: Exception) -> Translation:
    """A message that a fault of ours keeps out; where it stands in our code is told, its text is not."""
    return stopped(_with_header(received), fault_of(fault))


def unframed(received: Received, junk: Junk) -> Translation:
    """What never was a whole frame: stray bytes, an unfinished or an oversize one. Only the last is answered."""
    walk = Walk(received)
    walk.note["raw_size"] = junk.size
    problem = junk.problem or Problem("BYTES_BETWEEN_FRAMES")
    return stopped(walk, Problem(problem.code, Severity.ERROR, problem.path))


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


def _hl7(walk: Walk, keyring: Keyring) -> Mapped:
    received, note = walk.received, walk.note
    raw = alone(received.raw)
    if raw.isascii() and not is_wide(raw):
        decoded = Decoded(raw.decode("ascii"), "ascii", ())
        message = walk.header = parse(decoded.text)
        charset = _identify(walk, message).charset or (message.header.get(18) if len(message.header.fields) > 18 else "")
        if (
            charset and not received.pasted and has_low_letters(raw, charset)
        ):  # capitals of VISCII or VPS, and no other letter beyond ASCII
            decoded = decode(raw, charset)
            message = walk.header = parse(decoded.text)
    else:
        # Who sends it decides how it is read: MSH first, in a charset that maps every byte.
        walk.header = header = _read_header(raw)
        try:
            written = _identify_undecoded(walk, header).charset
            decoded = decode(raw, "utf-8" if received.pasted else written, received.charset or None)
        except HubError as wrong:
            raise HubError("MESSAGE_CUT", "the last letter") if ends_within_letter(raw) else wrong from None
        message = walk.header = parse(decoded.text)
        if len(message.header.fields) > len(header.header.fields) or not is_code(note["facility"]):
            _identify(walk, message)  # a line break stands in MSH, or a name that no alias has and that is shown as it is sent
    note["charset"] = decoded.charset
    walk.problems += decoded.problems
    walk.problems += message.problems
    if message.names.count("MSH") > 1:
        raise HubError("SEVERAL_MESSAGES", "MSH[2]")
    kind = note["message_type"]
    if kind not in SUPPORTED:
        raise HubError("TYPE_UNSUPPORTED" if kind else "TYPE_MISSING", "MSH-9")
    if place := run_together(message):
        raise HubError("SEGMENTS_JOINED", place)
    _check_version(walk)
    if not note["control_id"]:
        walk.problems.append(Problem("CONTROL_ID_MISSING", Severity.WARNING, "MSH-10"))
    _check_facility(walk, "MSH-4")
    assert walk.dialect is not None
    _check_end(walk, message, decoded.text, walk.dialect)
    if walk.dialect.stated_at:
        _restate(message)
    walk.problems += _of_form(check(message), message, walk.dialect)
    context = Context(origin_of(walk, message), keyring, note["facility"])
    if kind in CLAIM_TYPES:
        return map_ehc(message, walk.dialect, context)
    mapped = map_message(message, walk.dialect, context)
    if typed := {each.path for each in mapped.problems if each.code == "VALUE_TYPE_UNKNOWN"}:  # told once, by what it does
        walk.problems = [each for each in walk.problems if each.code != "CODE_UNKNOWN" or each.path not in typed]
    return mapped


def _check_end(walk: Walk, message: Message, text: str, dialect: Dialect) -> None:
    """Whether the message is whole. Who pastes one leaves its last line end behind, whatever the sender does."""
    ended = dialect.ended and not walk.received.pasted
    if place := (stops_at(message, text) if ended else cut_within_value(message, text)):
        raise HubError("MESSAGE_CUT", place)
    if place := broken_off(message, text):
        walk.problems.append(Problem("MESSAGE_CUT", Severity.WARNING, place))


def _restate(message: Message) -> None:
    """MSH-7 and EVN-2 with the day first, in HL7's form for all who read them; what is no such time stays and is told as ever."""
    for segment, field in ((message.header, 7), (message.first("EVN"), 2)):
        stated = segment.get(field) if segment is not None else ""
        if segment is not None and moment(stated) is None and (read := stated_day_first(stated)):
            segment.fields[field] = read


def _of_form(problems: list[Problem], message: Message, dialect: Dialect) -> list[Problem]:
    """Without what the standard says of values that the dialect reads in a form of its own."""
    if dialect.comma:
        problems = [each for each in problems if each.code != "NUMBER_UNPARSABLE" or not _by_comma(each.path, message, dialect)]
    if dialect.foreign:
        problems = [
            each for each in problems if each.code != "TIME_UNPARSABLE" or _INDEX.sub("", each.path) not in dialect.foreign
        ]
    return [each for each in problems if each.code != "CODE_UNKNOWN" or not _by_table(each.path, message, dialect)]


def _by_table(path: str, message: Message, dialect: Dialect) -> bool:
    """Whether a table of the profile says what the code there means."""
    known, found = dialect.mapped.get(_INDEX.sub("", path)), message.named(path)
    if not known or found is None:
        return False
    stated = found[0].get(found[1], 1, 1, found[2]).strip()
    return stated in known or folded(stated) in known


def _by_comma(path: str, message: Message, dialect: Dialect) -> bool:
    """Whether what stands there is a number once its comma is read as the dialect says."""
    found = message.named(path)
    if found is None or found[2] > 1:  # of several in one field mapping reads the first
        return False
    stated = found[0].get(found[1]).strip()
    number = pointed(stated, dialect.comma)
    return number is not None and number != stated and NUMBER.fullmatch(number) is not None


def _read_header(raw: bytes) -> Message:
    """MSH alone. Raises: HubError(MSH_UNREADABLE)."""
    if is_wide(raw):
        return parse(decode(raw).text.lstrip("\ufeff\x0b\r\n\t ").replace("\n", "\r").partition("\r")[0])
    line = _LINE_END.split(raw.lstrip(_AROUND), maxsplit=1)[0]
    return parse(line.decode("latin-1"))


def _with_header(received: Received) -> Walk:
    walk = Walk(received)
    with suppress(HubError):
        kind = _sniff(received.raw)
        walk.note["format"] = kind
        if kind == "hl7":
            header = _read_header(alone(received.raw))
            if sum(map(len, header.header.fields)) <= _HEADER_MAX:
                walk.header = header
                _identify_undecoded(walk, header)
        else:
            walk.note["message_type"] = ENVELOPE if kind == "xml" else JSON_TYPE
    return walk


def _identify(walk: Walk, message: Message) -> Dialect:
    note, header = walk.note, message.header
    if walk.given is None:
        facility, dialect = _resolve(edition(), header.get(3), header.field(4), tuple(header.components(4)))
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


def _identify_undecoded(walk: Walk, header: Message) -> Dialect:
    """The same of a header whose charset is not known yet: `?` stands for other letters than ASCII in a name that nobody knows."""
    dialect = _identify(walk, header)
    walk.note["facility"] = walk.note["facility"].encode("ascii", "replace").decode()
    return dialect


@lru_cache(maxsize=4096)
def _resolve(_edition: int, application: str, _whole: str, facility: tuple[str, ...]) -> tuple[str, Dialect]:
    return resolve_facility(application, facility)


def _check_version(walk: Walk) -> None:
    version = walk.note["version"]
    if not version:
        walk.problems.append(Problem("FIELD_MISSING", Severity.WARNING, "MSH-12"))
    elif version not in VERSIONS:
        raise HubError("VERSION_UNSUPPORTED", "MSH-12")


def _check_facility(walk: Walk, path: str) -> None:
    """Whether the sender may speak for the facility; one that speaks for a single facility need not name it."""
    walk.note["facility"], problems = walk.received.speaks_for(walk.note["facility"], path)
    walk.problems += problems


# --- the insurance XML ------------------------------------------------------------------------------------------------


def _envelope(walk: Walk, keyring: Keyring, signers: Signers) -> Mapped:
    """Every HOSO of an envelope. A broken one is refused alone; an envelope that breaks off is quarantined as a whole."""
    raw, mapped = trimmed(walk.received.raw), Mapped()

    def judged(facility: str) -> State:
        return signers.judge(raw, facility, walk.received.received_at)

    for one in _hosos(walk, lambda: raw, keyring, signers, judged):
        mapped.events += one.events
        mapped.problems += one.problems
    return mapped


def _hosos(walk: Walk, source: Source, keyring: Keyring, signers: Signers, judged: Callable[[str], State]) -> Iterator[Mapped]:
    dialect = walk.dialect = load_dialect(STANDARD)
    walk.note |= {"message_type": ENVELOPE, "dialect": dialect.name, "dialect_version": dialect.version}
    count = 0
    for one in read_hosos(walk.received, walk.note, origin_of(walk, None), source, keyring, signers, judged):
        count += len(one.events)
        if count > EVENTS_MAX:
            raise HubError("FRAME_TOO_LARGE", f"more than {EVENTS_MAX} events")
        yield one


# --- JSON -------------------------------------------------------------------------------------------------------------


def _json(walk: Walk, keyring: Keyring) -> Mapped:
    """A report of resources, in the form of `adapters/dialects/resources.py`; one that does not fit it is refused."""
    note = walk.note
    dialect = walk.dialect = load_dialect(STANDARD)
    note |= {"message_type": JSON_TYPE, "dialect": dialect.name, "dialect_version": dialect.version, "charset": "utf-8"}
    form, problems = read_form(walk.received.raw.strip(_AROUND))
    if form is None:
        return Mapped([], problems)
    note |= {"control_id": form.control_id, "test": walk.received.test or form.test}
    note["facility"] = _resolve(edition(), "", form.ma_cskcb, (form.ma_cskcb,))[0]
    _check_facility(walk, "ma_cskcb")
    origin = replace(origin_of(walk, None), stated_at=stated_at_of(form.reported_at))
    return Mapped([report_of(form, Context(origin, keyring, note["facility"]))])
