"""Parts of a field that nothing reads, though something reads the field: its later repetitions, its components, and OBX-5 of the
codes that no rule chooses.

They are found by taking them away: a part without which every event and every finding stays the same tells nobody anything. So what
the hub reads by its own rules, such as the type of a number (CX-5), counts as much as what a profile names.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from adapters.dialects.claims import map_ehc
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.mapping import CLAIM_TYPES, map_message
from adapters.dialects.profile import Dialect
from adapters.dialects.sampled import Sample
from adapters.dialects.shapes import is_code, shape
from adapters.formats.hl7v2 import NULL, Message, Segment
from adapters.formats.names import FieldName, component_name, field_name
from hub.contract.errors import HubError, Problem
from hub.contract.events import Keyring, Origin

_TRIES: Final = 12  # times that a part of one type of message is taken away before it counts as unread
_LOOKS: Final = 36  # times that a field is emptied for it: where it is read from another place, none of them is a try
_SHAPES_MAX: Final = 200  # kept of one part
_ANOTHER: Final = "X"  # put before or behind what is sent: whatever is read becomes another by it
_CODES_MAX: Final = 100  # of OBX, by which they are told apart; others, and what is no code, are `OBX[…]` together
_LATER: Final = "[2…]"
_NUMBERS: Final = re.compile(r"\[\d+\]")
_WHERE: Final = "HD"  # datatype of who gave the other components, or in which facility they are
_OF_THE_FORM: Final = frozenset({"ID", _WHERE})  # of what says how the other components are to be read
_FORMAL: Final = re.compile(r"coding system|value set|namespace|universal id|check digit|source table|precision|\btype\b")


@dataclass(slots=True)
class Part:
    """A part of a field in one type of message. name: the standard's, in words; count: how often it was sent, messages: in
    which samples; tries: how often it was taken away, to see whether something reads it; looks: how often its field was emptied first."""

    name: str
    count: int = 0
    tries: int = 0
    looks: int = 0
    read: bool = False
    messages: set[str] = field(default_factory=set)
    shapes: Counter[str] = field(default_factory=Counter)

    def note(self, sample: str, value: str) -> None:
        self.count += 1
        self.messages.add(sample)
        looks = shape(value)
        if looks in self.shapes or len(self.shapes) < _SHAPES_MAX:
            self.shapes[looks] += 1


_Found = dict[tuple[str, str], Part]  # by place and type of message


def without_numbers(path: str) -> str:
    """The path of a finding without those of its segment and repetition."""
    return _NUMBERS.sub("", path)


def field_of(path: str) -> str:
    """Segment and field of a finding's path."""
    return without_numbers(path).partition(".")[0]


def mapped_again(message: Message, dialect: Dialect, kind: str, facility: str) -> Mapped:
    """What mapping makes of a message, whoever sent it. Raises: HubError, as mapping does."""
    origin = Origin("0", datetime(2026, 1, 1, tzinfo=UTC), {"sender": "check"})
    mapper: Callable[[Message, Dialect, Context], Mapped] = map_ehc if kind in CLAIM_TYPES else map_message
    return mapper(message, dialect, Context(origin, Keyring(b"a report, no secret"), facility))


def parts_sent(samples: Sequence[Sample], dialect: Dialect, told: Mapping[str, Collection[str]]) -> dict[tuple[str, str], Part]:
    """Parts of fields that something reads, by place and type of message: `PID-13.9` is a component, `PID-13[2…]` all repetitions behind the first.

    told: places of fields, each with the types of message in which a finding says enough of it.
    """
    found: _Found = {}
    for sample in samples:
        message = sample.message
        if message is None or sample.refused:
            continue
        for segment in message.segments_in_order[1:]:
            for number in range(1, len(segment.fields)):
                sent = _Sent(sample, message, dialect, segment, number)
                if sent.in_parts and sample.kind not in told.get(sent.place, ()):
                    _repetitions(sent, found)
    return {key: part for key, part in found.items() if part.tries}


def resources_sent(samples: Sequence[Sample]) -> dict[tuple[str, str], Part]:
    """Further resources of appointments that are told to differ from the first (`AIS[2…]-3`), by place and type of message."""
    found: _Found = {}
    for sample in samples:
        message = sample.message
        if message is None or sample.refused:
            continue
        for problem in sample.unaccepted:
            stated = message.named(problem.path) if problem.code == "APPOINTMENT_DIFFERS" else None
            if stated is not None:
                segment, number, _ = stated
                name = field_name(message.version, segment.name, number).name
                part = found.setdefault((f"{segment.name}{_LATER}-{number}", sample.kind), Part(name))
                part.note(sample.name, segment.fields[number])
    return found


def with_dropped(samples: Sequence[Sample], parts: Mapping[tuple[str, str], Part]) -> list[Sample]:
    """The samples, each with REPETITION_DROPPED where FIELD_REPEATS stands at a field of whose later repetitions nothing is read."""

    def told(sample: Sample, problem: Problem) -> Problem:
        if problem.code != "FIELD_REPEATS" or problem not in sample.unaccepted:
            return problem
        part = parts.get((f"{field_of(problem.path)}{_LATER}", sample.kind))
        return problem if part is None or part.read else replace(problem, code="REPETITION_DROPPED")

    return [replace(one, problems=tuple(told(one, problem) for problem in one.problems)) for one in samples]


def lines_sent(samples: Sequence[Sample], dialect: Dialect, kinds: Collection[str]) -> dict[tuple[str, str], Part]:
    """OBX-5 by the code in OBX-3, as rules choose it (`OBX[29463-7]-5`), in these types of message.

    A line is read if the message becomes another without its value, or by it alone: a second weight is no vital sign that is lost.
    """
    found: _Found = {}
    codes: defaultdict[str, set[str]] = defaultdict(set)
    for sample in samples:
        message = sample.message
        if message is None or sample.refused or sample.kind not in kinds:
            continue
        lines = [line for line in message.segments("OBX") if line.field(5) not in ("", NULL)]
        everything = none = None
        for line in lines:
            code, told = line.get(3), codes[sample.kind]
            if is_code(code) and (code in told or len(told) < _CODES_MAX):
                told.add(code)
            else:
                code = "…"
            name = field_name(message.version, "OBX", 5).name
            part = found.setdefault((f"OBX[{code}]-5", sample.kind), Part(name))
            part.note(sample.name, line.field(5))
            if part.read or part.tries >= _TRIES:
                continue
            part.tries += 1
            everything = everything or _outcome(sample, message, dialect)
            part.read = _without([line], sample, message, dialect) != everything
            if not part.read:
                none = none or _without(lines, sample, message, dialect)
                part.read = _without([one for one in lines if one is not line], sample, message, dialect) != none
    return found


def _without(lines: Sequence[Segment], sample: Sample, message: Message, dialect: Dialect) -> object:
    """What the message becomes without the values of these OBX."""
    values = [line.fields[5] for line in lines]
    for line in lines:
        line.fields[5] = ""
    try:
        return _outcome(sample, message, dialect)
    finally:
        for line, value in zip(lines, values, strict=True):
            line.fields[5] = value


def _outcome(sample: Sample, message: Message, dialect: Dialect) -> object:
    """The events and problems of a message, or the code with which it is refused."""
    try:
        mapped = mapped_again(message, dialect, sample.kind, sample.facility)
    except HubError as wrong:
        return wrong.code
    return mapped.events, mapped.problems


class _Sent:
    """A field of a message, and what the message becomes with another text in it."""

    def __init__(self, sample: Sample, message: Message, dialect: Dialect, segment: Segment, number: int) -> None:
        self.sample, self.message, self.dialect = sample, message, dialect
        self.segment, self.number = segment, number
        self.place = f"{segment.name}-{number}"
        self.text = segment.fields[number]
        self._outcomes: dict[tuple[str, bool], object] = {}

    @property
    def in_parts(self) -> bool:
        delimiters = self.segment.delimiters
        return delimiters.component in self.text or delimiters.repetition in self.text or self.begins_empty(self.text)

    def begins_empty(self, text: str) -> bool:
        """Whether what most rules read, the first component or the first part of it, is empty in a repetition that states more."""
        delimiters = self.segment.delimiters
        return (
            text[:1] in (delimiters.component, delimiters.subcomponent)
            and text.strip(delimiters.component + delimiters.subcomponent) != ""
        )

    def becomes(self, text: str, *, apart: bool = False) -> object:
        """apart: without the other fields that say the same, of which a rule may read one first."""
        if (text, apart) not in self._outcomes:
            kept = [(segment, number, segment.fields[number]) for segment, number in (self._alike() if apart else ())]
            for segment, number, _ in kept:
                segment.fields[number] = ""
            self.segment.fields[self.number] = text
            try:
                self._outcomes[text, apart] = _outcome(self.sample, self.message, self.dialect)
            finally:
                for segment, number, said in (*kept, (self.segment, self.number, self.text)):
                    segment.fields[number] = said
        return self._outcomes[text, apart]

    def _alike(self) -> list[tuple[Segment, int]]:
        """The other fields with the same first component."""
        delimiters = self.segment.delimiters

        def first(text: str) -> str:
            return text.split(delimiters.repetition, 1)[0].split(delimiters.component, 1)[0]

        said = first(self.text)
        return [
            (segment, number)
            for segment in (self.message.segments_in_order[1:] if said else ())
            for number, text in enumerate(segment.fields)
            if number and first(text) == said and (segment is not self.segment or number != self.number)
        ]

    def note(self, place: str, name: str, value: str, found: _Found, *pairs: tuple[str, str]) -> bool:
        """Note a part, and whether something reads it, here or before.

        pairs: texts of the field with the part and without it, or with another; it is read if the message becomes another by one of them.
               Where the whole field makes no difference, another place that is looked at first may say the same: they are tried
               without those. If it makes none then either, nothing follows from that; unless the field begins empty and would be
               read if it did not: then nothing that it states is.
        """
        part = found.setdefault((place, self.sample.kind), Part(name))
        part.note(self.sample.name, value)
        if part.read or part.tries >= _TRIES or part.looks >= _LOOKS:
            return part.read
        part.looks += 1
        beside = self.becomes("") != self.becomes(self.text) or self._would_be_read()
        if beside or self.becomes("", apart=True) != self.becomes(self.text, apart=True):
            part.tries += 1
            part.read = any(
                self.becomes(there, apart=not beside) != self.becomes(gone, apart=not beside) for there, gone in pairs
            )
        return part.read

    def _would_be_read(self) -> bool:
        """Of a field that begins empty: whether something reads a component that is empty, be it the first or a bed."""
        if not self.begins_empty(self.text):
            return False
        between = self.segment.delimiters.component
        stated = self.text.split(between)
        filled = (
            between.join([*stated[:at], _ANOTHER + text, *stated[at + 1 :]])
            for at, text in enumerate(stated)
            if not (at and text)
        )
        return any(self.becomes(text) != self.becomes(self.text) for text in filled)


def _repetitions(sent: _Sent, found: _Found) -> None:
    between = sent.segment.delimiters.repetition
    repetitions = sent.text.split(between)
    for at, value in enumerate(repetitions):
        if value in ("", NULL) or value in repetitions[:at]:
            continue
        gone = between.join([*repetitions[:at], *repetitions[at + 1 :]])
        name = field_name(sent.message.version, sent.segment.name, sent.number).name
        if at == 0 or sent.note(f"{sent.place}{_LATER}", name, value, found, (sent.text, gone)):
            _components(sent, found, repetitions, at)


def _components(sent: _Sent, found: _Found, repetitions: Sequence[str], at: int) -> None:
    """Those of one repetition that hold a value, and not the only one, unless it begins empty."""
    delimiters = sent.segment.delimiters
    components = repetitions[at].split(delimiters.component)
    if sum(map(bool, components)) < 2 and not sent.begins_empty(repetitions[at]):
        return

    def written(kept: Callable[[int], bool], otherwise: str = "") -> str:
        here = delimiters.component.join(text if kept(number) else otherwise for number, text in enumerate(components, 1))
        return delimiters.repetition.join([*repetitions[:at], here, *repetitions[at + 1 :]])

    none = written(lambda _: False)
    for number, name in _stated(sent, components).items():
        text = components[number - 1]
        gone, alone = written(number.__ne__), written(number.__eq__)
        another = written(number.__ne__, text + _ANOTHER)  # without it a further place of the rule may say the same
        sent.note(f"{sent.place}.{number}", name, text, found, (sent.text, gone), (alone, none), (sent.text, another))


def _stated(sent: _Sent, components: Sequence[str]) -> dict[int, str]:
    """Numbers and names of the components that hold what is not of the form. The facility of a location is that too, unless it is all
    there is; and in a field without components a delimiter is text, unless the field begins with it."""
    begins_empty = components[0] == ""
    named: dict[int, FieldName] = {}
    for number, text in enumerate(components, 1):
        name = component_name(sent.message.version, sent.segment.name, sent.number, number)
        if name is None and begins_empty:
            name = FieldName("", "")
        if text not in ("", NULL) and name is not None and not _FORMAL.search(name.name):
            named[number] = name
    said = {number: name for number, name in named.items() if name.kind not in _OF_THE_FORM}
    if not said and begins_empty:
        said = {number: name for number, name in named.items() if name.kind == _WHERE and not name.name.startswith("assigning")}
    return {number: name.name for number, name in said.items()}
