"""What a few hundred messages of one sender show, before anybody says what it means: counts and values by place.

Values stay in here; what leaves is counts, shapes, and codes that `learn.py` finds to be codes.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from adapters.dialects.accounts import ACCOUNT, is_a_citizens
from adapters.dialects.mapped import Context
from adapters.dialects.mapping import CLAIM_TYPES, SUPPORTED, map_message, message_type
from adapters.dialects.paths import Place, choose
from adapters.dialects.profile import Dialect
from adapters.dialects.sampled import Sample
from adapters.dialects.transforms import facility_code
from adapters.formats.charset import decode
from adapters.formats.er7 import split_components
from adapters.formats.hl7v2 import NULL, Message, Segment, parse, split_messages
from adapters.formats.structure import stops_at
from adapters.formats.vietnamese import likelihood
from hub.contract.errors import HubError
from hub.contract.events import Keyring, Origin

_FACILITY: Final = re.compile(r"VN-CSKCB-(\d{5})")
_OF_RESULTS: Final = ("ORU", "OUL")
_CHOOSING: Final = ("OBX", "PRD")  # segments that rules tell apart by a code


class Numbers(NamedTuple):
    """One repetition of a list of identifiers: its value, authority (CX-4), type (CX-5) and field of PID."""

    value: str
    authority: str
    type: str
    field: int


@dataclass(slots=True)
class Evidence:
    """What was seen. unread: codes of what could not be read; likelihoods: of each charset, how well its texts read as Vietnamese;
    ends: what stands behind the last segment, `cr`, `lf` (an editor's line end, maybe) or `none`."""

    messages: list[Message] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    charsets: Counter[str] = field(default_factory=Counter)
    likelihoods: dict[str, list[float]] = field(default_factory=dict)
    terminators: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    segments: Counter[str] = field(default_factory=Counter)
    senders: Counter[tuple[str, str]] = field(default_factory=Counter)

    def values(self, place: Place) -> Iterator[str]:
        """What stands at a place, message by message, decoded; the first segment that the place means, all repetitions."""
        for message in self.messages:
            yield from _values(message, place)

    def first_values(self, places: Sequence[Place]) -> Iterator[str]:
        """What a rule of these places reads: of each message what stands at the first that holds anything."""
        for message in self.messages:
            for place in places:
                if values := list(_values(message, place)):
                    yield from values
                    break

    def of_types(self, types: Collection[str]) -> "Evidence":
        """The messages of these types (MSH-9.1) alone."""
        return Evidence([message for message in self.messages if message.type in types])

    def result_lines(self) -> Iterator[Segment]:
        """OBX that are lines of results; in slips, appointments and documents they are something else."""
        for message in self.of_types(_OF_RESULTS).messages:
            yield from message.segments("OBX")

    def numbers(self, lists: Sequence[Sequence[int]]) -> Iterator[Numbers]:
        """The identifiers of each PID: of the first of these groups of fields that holds any."""
        for message in self.messages:
            for pid in message.segments("PID"):
                groups = ([one for number in fields for one in _numbers(pid, number)] for fields in lists)
                found: list[Numbers] = next(filter(None, groups), [])
                yield from found

    def citizens_in_accounts(self) -> bool:
        """Whether PID-18, elsewhere the number of a visit, holds citizen numbers: at least half do, as a few visits may look like one."""
        accounts = [(pid, message) for message in self.messages for pid in message.segments("PID") if pid.get(ACCOUNT)]
        return bool(accounts) and 2 * sum(is_a_citizens(pid, message, facility_of(message)) for pid, message in accounts) >= len(
            accounts
        )

    def facilities_of(self, sender: tuple[str, str]) -> Counter[str]:
        """Facility codes that the messages of a sender name as authorities of patient numbers, or as VN-CSKCB-…"""
        found: Counter[str] = Counter()
        for message in self.messages:
            if sender_of(message) != sender:
                continue
            codes = {
                code for pid in message.segments("PID") for one in _numbers(pid, 3) if (code := facility_code(one.authority))
            }
            for segment in message.segments_in_order[1:]:
                codes |= set(_FACILITY.findall("|".join(segment.fields)))
            found.update(codes)
        return found

    def samples(self, dialect: Dialect) -> list[Sample]:
        """The messages as that dialect maps them, without a gate: for what is filled and what nothing reads."""
        return [_sample(message, dialect) for message in self.messages if message_type(message) in SUPPORTED - CLAIM_TYPES]


def gather(raws: Iterable[bytes]) -> Evidence:
    """raws: files of one or several messages of HL7 v2, as they came. What is no HL7 is counted as unread."""
    seen = Evidence()
    for raw in raws:
        try:
            decoded = decode(raw)
        except HubError as wrong:
            seen.unread[wrong.code] += 1
            continue
        texts = split_messages(decoded.text)
        if not texts:
            seen.unread["FORMAT_UNKNOWN"] += 1
        for text in texts:
            try:
                message = parse(text)
            except HubError as wrong:
                seen.unread[wrong.code] += 1
                continue
            _count(seen, message, text, decoded.charset)
    return seen


def _count(seen: Evidence, message: Message, text: str, charset: str) -> None:
    seen.messages.append(message)
    if text.isascii():
        charset = "ascii"
    else:
        seen.likelihoods.setdefault(charset, []).append(likelihood(text))
    seen.charsets[charset] += 1
    seen.terminators["crlf" if "\r\n" in text else "cr" if "\r" in text else "lf" if "\n" in text else "none"] += 1
    seen.ends[_end(message, text)] += 1
    seen.versions[message.version] += 1
    seen.types[message_type(message)] += 1
    seen.segments.update(set(message.names))
    seen.senders[sender_of(message)] += 1


def _end(message: Message, text: str) -> str:
    """Of a text whose lines end in CR an LF alone is no end: whoever wrote the file put it between messages."""
    if stops_at(message, text):
        return "none"
    behind = text[len(text.rstrip("\x0b\x1c\x00\r\n\t ")) :]
    if "\r" not in behind and "\r" in text:
        return "none"
    return "lf" if "\n" in text else "cr"


def sender_of(message: Message) -> tuple[str, str]:
    """MSH-3 and MSH-4, first component each."""
    return message.header.get(3), message.header.get(4)


def facility_of(message: Message) -> str:
    """MA_CSKCB in MSH-4; "" where another name of the facility stands there."""
    return facility_code(message.header.get(4)) or facility_code(message.header.get(4, 2))


def _values(message: Message, place: Place) -> Iterator[str]:
    name = place.segment[:3]
    scope = choose(name, message.segments(name)) if name in _CHOOSING else {}
    segment = scope.get(place.segment) or (message.first(name) if place.segment == name else None)
    if segment is None:
        return
    for number, raw in enumerate(segment.repetitions(place.field), 1):
        if raw == NULL or (place.pick and place.pick not in raw.split(segment.delimiters.component)):
            continue
        value = segment.get(place.field, place.component, place.subcomponent, number).strip()
        if value:
            yield value


def _numbers(pid: Segment, number: int) -> Iterator[Numbers]:
    for raw in pid.repetitions(number):
        parts = [*split_components(raw, pid.delimiters), *[""] * 5]
        if parts[0].strip():
            yield Numbers(parts[0].strip(), parts[3], parts[4].upper(), number)


def _sample(message: Message, dialect: Dialect) -> Sample:
    kind = message_type(message)
    code = facility_of(message)
    origin = Origin("0", datetime(2026, 1, 1, tzinfo=UTC), {"sender": "learn", "dialect": dialect.name})
    mapped = map_message(message, dialect, Context(origin, Keyring(b"evidence, no secret"), code))
    verdict = "translated" if mapped.events else "refused"
    return Sample("", kind, message, code, "", verdict, tuple(mapped.problems), tuple(mapped.events))
