"""The HL7 v2 reader and builder (ER7 encoding): spans over the text, split on demand, escapes decoded on read.

    message = parse(text)
    message.first("PID").get(5)                      # family name, decoded
    for order in message.groups("ORC", "OBR"):       # each order with what follows it
        ...

Nothing of a message is lost by reading it: fields stay as they were sent and are decoded when asked for; a line that is no
segment is reported and kept. Source: HL7 v2.5.1 chapter 2 (§2.5 delimiters, §2.7 escape sequences, §2.10 protocol).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final

from adapters.formats.er7 import NULL as NULL
from adapters.formats.er7 import STANDARD as STANDARD
from adapters.formats.er7 import Delimiters as Delimiters
from adapters.formats.er7 import escape as escape
from adapters.formats.er7 import escape_pattern, escaping, read_delimiters, split_coded, split_components, whole
from adapters.formats.er7 import unescape as unescape
from adapters.formats.spans import message_spans
from hub.contract.errors import HubError, Problem, Severity


class Segment:
    """One segment: `fields[n]` is field n as it was sent, `fields[0]` the name. Numbers count from 1, as in HL7.

    A place the segment does not reach reads as "". The HL7 null (`""`) reads as "" too; `is_null` tells the two apart.
    """

    __slots__ = ("delimiters", "fields", "name")

    def __init__(self, name: str, fields: list[str], delimiters: Delimiters) -> None:
        self.name = name
        self.fields = fields
        self.delimiters = delimiters

    def field(self, field: int) -> str:
        """The whole field as it was sent: repetitions, delimiters and escapes in it."""
        fields = self.fields
        return fields[field] if field < len(fields) else ""

    def get(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """One decoded value."""
        fields = self.fields
        value = fields[field] if field < len(fields) else ""
        if not value:
            return ""
        if value.isalnum():  # no delimiter, no escape
            return value if component == subcomponent == repetition == 1 else ""
        delimiters = self.delimiters
        value = _part(value, delimiters.repetition, repetition)
        value = _part(value, delimiters.component, component)
        value = _part(value, delimiters.subcomponent, subcomponent)
        if value == NULL:
            return ""
        return unescape(value, delimiters) if delimiters.escape in value else value

    def components(self, field: int, repetition: int = 1) -> list[str]:
        """The decoded components of one repetition; of a component with subcomponents the first."""
        value = _part(self.field(field), self.delimiters.repetition, repetition)
        return split_components(value, self.delimiters) if value else []

    def rows(self, field: int) -> list[list[str]]:
        """`components` of every repetition, in one go however many there are."""
        return [split_components(value, self.delimiters) if value else [] for value in self.repetitions(field)]

    def words(self, field: int, component: int = 1, repetition: int = 1) -> str:
        """One decoded component of free text, which has no subcomponents: `&` in it is text that nobody escaped."""
        if self.delimiters.subcomponent not in self.field(field):
            return self.get(field, component, 1, repetition)
        value = _part(_part(self.field(field), self.delimiters.repetition, repetition), self.delimiters.component, component)
        return "" if value == NULL else whole(value, self.delimiters)

    def coded(self, field: int) -> list[list[str]]:
        """`rows` of CE or CWE: their texts are whole, as of `words`."""
        if self.delimiters.subcomponent not in self.field(field):
            return self.rows(field)
        return [split_coded(value, self.delimiters) if value else [] for value in self.repetitions(field)]

    def repetitions(self, field: int) -> list[str]:
        """The repetitions as they were sent; an empty field has none."""
        value = self.field(field)
        return value.split(self.delimiters.repetition) if value else []

    def text(self, field: int) -> str:
        """The whole field as free text: delimiters that nobody escaped are kept, repetitions become lines."""
        value = self.field(field)
        if value == NULL:
            return ""
        delimiters = self.delimiters
        value = value.replace(delimiters.repetition, "\n")
        return unescape(value, delimiters) if delimiters.escape in value else value

    def is_null(self, field: int) -> bool:
        """Whether the sender asks to delete the field."""
        return self.field(field) == NULL


class _Plain(Segment):
    """A segment of a message without repetitions, subcomponents, escapes and nulls: most are, and read several times faster."""

    __slots__ = ()

    def get(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        fields = self.fields
        if field >= len(fields):
            return ""
        value = fields[field]
        separator = self.delimiters.component
        if separator in value:
            parts = value.split(separator)
            value = parts[component - 1] if component <= len(parts) else ""
        elif component != 1:
            return ""
        return value if subcomponent == repetition == 1 else ""

    def components(self, field: int, repetition: int = 1) -> list[str]:
        fields = self.fields
        value = fields[field] if field < len(fields) else ""
        return value.split(self.delimiters.component) if value and repetition == 1 else []


class _Header(Segment):
    """MSH, FHS or BHS, whose first two fields are the delimiters themselves and are never split."""

    __slots__ = ()

    def get(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        if field <= 2:
            return self.fields[field] if component == subcomponent == repetition == 1 else ""
        return Segment.get(self, field, component, subcomponent, repetition)

    def repetitions(self, field: int) -> list[str]:
        return [self.fields[field]] if field <= 2 else super().repetitions(field)


class Message:
    """One parsed message: its segments in order.

    names:    the names of the segments in order, MSH first.
    problems: what reading found odd; never an error, since an unreadable message raises instead.
    plain:    no repetition, subcomponent, escape or null anywhere: `fields` of its segments, split at components, are decoded.
    repeating, long: names of the segments that hold a repetition, and of those of more than `LONG` characters.
    """

    __slots__ = ("_by_name", "delimiters", "long", "names", "plain", "problems", "repeating", "segments_in_order")

    def __init__(
        self,
        segments: list[Segment],
        names: tuple[str, ...],
        delimiters: Delimiters,
        problems: tuple[Problem, ...],
        plain: bool,
        repeating: frozenset[str],
        long: frozenset[str],
    ) -> None:
        self.segments_in_order = segments
        self.names = names
        self.delimiters = delimiters
        self.problems = problems
        self.plain = plain
        self.repeating = repeating
        self.long = long
        self._by_name: dict[str, list[Segment]] | None = None

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments_in_order)

    def __len__(self) -> int:
        return len(self.segments_in_order)

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments_in_order[0]

    @property
    def by_name(self) -> dict[str, list[Segment]]:
        """Segment name to its segments, in order."""
        found = self._by_name
        if found is None:
            found = self._by_name = {}
            for segment in self.segments_in_order:
                name = segment.name
                if name in found:
                    found[name].append(segment)
                else:
                    found[name] = [segment]
        return found

    def segments(self, name: str) -> list[Segment]:
        """All segments of that name; do not change the list."""
        return self.by_name.get(name) or []

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        found = self.by_name.get(name)
        return found[0] if found else None

    def get(self, name: str, field: int, component: int = 1) -> str:
        """One decoded value of the first segment of that name; "" if there is none."""
        found = self.by_name.get(name)
        return found[0].get(field, component) if found else ""

    def groups(self, *starts: str) -> list[list[Segment]]:
        """The runs of segments that begin with one of `starts`, up to the next such run or the end.

        Several starts are one run when they come in the order given: with ("ORC", "OBR") an OBR belongs to the ORC before
        it, while a second OBR begins a run of its own.
        """
        ranks = {name: rank for rank, name in enumerate(starts)}
        found: list[list[Segment]] = []
        last = -1  # rank of the newest start in the open run
        run: list[Segment] | None = None
        for segment in self.segments_in_order:
            rank = ranks.get(segment.name)
            if rank is not None:
                if run is None or rank <= last:
                    run = []
                    found.append(run)
                last = rank
            if run is not None:
                run.append(segment)
        return found

    def path(self, segment: Segment, field: int = 0, component: int = 0, repetition: int = 1) -> str:
        """The place for a `Problem`: `PID-3[2].1`, `OBX[4]-5`; the number of the segment only where there are several."""
        same = self.by_name.get(segment.name, [])
        number = next((n for n, other in enumerate(same, 1) if other is segment), 1) if len(same) > 1 else 0
        place = f"{segment.name}[{number}]" if number else segment.name
        if field:
            place += f"-{field}"
            if repetition > 1:
                place += f"[{repetition}]"
            if component:
                place += f".{component}"
        return place

    def named(self, path: str) -> tuple[Segment, int, int] | None:
        """What `path` made of a field: its segment, the field and the repetition; None for what names none of this message."""
        found = _PATH.match(path)
        if found is None:
            return None
        name, number, field, repetition = found.groups()
        segments = self.segments(name)[int(number or 1) - 1 :]
        return (segments[0], int(field), int(repetition or 1)) if segments else None

    # MSH, as every reader asks for it

    @property
    def type(self) -> str:
        """MSH-9.1, such as ORU."""
        return self.header.get(9)

    @property
    def trigger(self) -> str:
        """MSH-9.2, such as R01."""
        return self.header.get(9, 2)

    @property
    def structure(self) -> str:
        """MSH-9.3, such as ORU_R01; often empty."""
        return self.header.get(9, 3)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.get(10)

    @property
    def version(self) -> str:
        """MSH-12.1, such as 2.5.1, without blanks around it."""
        return self.header.get(12).strip()


LONG: Final = 199
"""Characters that every text may have (`ST` up to v2.6): what is checked in longer segments only."""

_NO_NAMES: Final[frozenset[str]] = frozenset()
PROBLEMS_MAX: Final = 200
"""Findings kept of one kind of check; a message with more is not better understood by reading them all."""

_AROUND: Final = "\ufeff\x0b\x1c\x00\r\n\t "  # a BOM, framing left in a file, blank lines
_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_PATH: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?-(\d+)(?:\[(\d+)\])?")
_known_names: set[str] = set()  # well-formed names seen: the check is one set operation; at most 26 x 36 x 36 of them


def parse(text: str) -> Message:
    """Read one message.

    text: the decoded message; segments end in CR, LF, CR LF or any mixture; a BOM, blank lines and MLLP framing around it
          are passed over.
    Raises: HubError(EMPTY_INPUT) if there is nothing in it, HubError(MSH_UNREADABLE) if it does not begin with MSH and a
            usable field separator.
    """
    if text[:9] == "MSH|^~\\&|":
        delimiters = STANDARD
        problems: tuple[Problem, ...] = ()
    else:
        text = text.lstrip(_AROUND)
        delimiters, problems = _read_delimiters(text)
    separator = delimiters.field
    if "\n" in text:
        lines, found = _lines(text, separator)
        problems += found
    else:
        lines = text.split("\r")
    rows = [line.split(separator) for line in lines if line]
    names = [row[0] for row in rows]
    if not _known_names.issuperset(names):
        rows, found = _keep_segments(rows, separator)
        problems += found
        names = [row[0] for row in rows]
    after = 8 if delimiters is STANDARD else 4 + len(delimiters.encoding)
    escapes = text.find(delimiters.escape, after) >= 0
    repeats = text.find(delimiters.repetition, after) >= 0
    plain = not escapes and not repeats and text.find(delimiters.subcomponent, after) < 0 and text.find(NULL, after) < 0
    segments: list[Segment] = list(map(_Plain if plain else Segment, names, rows, repeat(delimiters)))
    repeating = _names([line for line in lines if delimiters.repetition in line]) if repeats else _NO_NAMES
    long = _names([line for line in lines if len(line) > LONG]) if max(map(len, lines)) > LONG else _NO_NAMES
    header = rows[0]
    header.insert(1, separator)
    if len(header) < 3:
        header.append("")
    segments[0] = _Header("MSH", header, delimiters)
    message = Message(segments, tuple(names), delimiters, problems, plain, repeating, long)
    if escapes:
        message.problems += _unknown_escapes(message, text[after:])
    return message


def split_messages(text: str) -> list[str]:
    """The messages of a file, in order: from each line that begins with MSH to the next, or to a batch header or trailer.

    Text outside messages (before the first MSH, batch segments) is not in the result; `batch.read` tells of it.
    """
    return [text[start:stop] for start, stop in message_spans(text)]


def _names(lines: list[str]) -> frozenset[str]:
    return frozenset([line.lstrip(_AROUND)[:3].upper() for line in lines])


def _part(value: str, separator: str, number: int) -> str:
    if separator not in value:
        return value if number == 1 else ""
    parts = value.split(separator)
    return parts[number - 1] if number <= len(parts) else ""


def _read_delimiters(text: str) -> tuple[Delimiters, tuple[Problem, ...]]:
    if not text:
        raise HubError("EMPTY_INPUT")
    field = text[3:4]
    if text[:3] != "MSH" or not field or field.isalnum() or field.isspace() or ord(field) < 0x20:
        raise HubError("MSH_UNREADABLE", "MSH-1")
    encoding = re.split(r"[\r\n]", text[4:16].split(field)[0])[0]
    return read_delimiters(field, encoding)


def _lines(text: str, separator: str) -> tuple[list[str], tuple[Problem, ...]]:
    """The lines of a text that holds LF. Where CR ends the segments, a LF may also be a line break inside a field."""
    if "\r" not in text:
        return text.split("\n"), ()
    text = text.replace("\r\n", "\r")
    if "\n" not in text:
        return text.split("\r"), ()
    lines: list[str] = []
    joined = False
    for stretch in text.split("\r"):
        run: list[str] = []  # the lines of one segment
        for line in stretch.split("\n"):
            if line == stretch:
                lines.append(line)  # the usual stretch: no LF in it
            elif run and line.strip() and not _is_segment(line.lstrip()[:4].partition(separator)[0]):
                run.append(line)
                joined = True
            else:
                if run:
                    lines.append("\n".join(run))
                run = [line]
        if run:
            lines.append("\n".join(run))
    return lines, ((Problem("LINE_BREAK_IN_FIELD", Severity.WARNING),) if joined else ())


def _is_segment(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _keep_segments(rows: list[list[str]], separator: str) -> tuple[list[list[str]], tuple[Problem, ...]]:
    """The rows that are segments, with their names in order; the others are reported by the segment they follow."""
    kept: list[list[str]] = []
    problems: list[Problem] = []
    counts: dict[str, int] = {}
    for row in rows:
        name = row[0].strip(_AROUND)
        if not _is_segment(name) and len(row) > 1 and _is_segment(name.upper()):
            name = name.upper()
            problems.append(Problem("SEGMENT_NAME_ODD", Severity.WARNING, name))
        if _is_segment(name):
            _known_names.add(name)
            counts[name] = counts.get(name, 0) + 1
            row[0] = name
            kept.append(row)
        elif (name or len(row) > 1) and len(problems) < PROBLEMS_MAX:
            before = kept[-1][0] if kept else ""
            problems.append(
                Problem("SEGMENT_UNREADABLE", Severity.WARNING, f"after {before}[{counts[before]}]" if before else "")
            )
    return kept, tuple(problems[:PROBLEMS_MAX])


def _unknown_escapes(message: Message, text: str) -> tuple[Problem, ...]:
    """One problem for each field that holds an escape sequence the hub does not know. text: what follows MSH-2."""
    mark = message.delimiters.escape
    pattern, _ = escape_pattern(message.delimiters)
    if mark not in pattern.sub("", text):
        return ()
    problems: list[Problem] = []
    for segment in message:
        for number, value in enumerate(segment.fields):
            if mark in value and mark in pattern.sub("", value) and not (number <= 2 and segment is message.header):
                problems.append(Problem("ESCAPE_UNKNOWN", Severity.WARNING, message.path(segment, number)))
                if len(problems) == PROBLEMS_MAX:
                    return tuple(problems)
    return tuple(problems)


# building

Component = str | tuple[str | None, ...] | None
Repetition = str | tuple[Component, ...] | None
Value = Repetition | list[Repetition]
"""A field to build: text, `None`, a tuple of components (each text or a tuple of subcomponents), or a list of repetitions."""


def build(segments: Iterable[Sequence[Value]], delimiters: Delimiters = STANDARD) -> str:
    """Text of a message, segments ended by CR, trailing empty fields and components left out.

    segments: each a sequence of the name and then its fields; a header (MSH, FHS, BHS) goes on with field 3, as its first
              two are the delimiters.
    """
    writer = _Writer(delimiters)
    lines = []
    for name, *fields in segments:
        assert isinstance(name, str)
        built = [writer.field(value) if value else "" for value in fields]
        while built and not built[-1]:
            built.pop()
        if name in ("MSH", "FHS", "BHS"):
            built.insert(0, delimiters.encoding)
        lines.append(delimiters.field.join([name, *built]))
    lines.append("")
    return "\r".join(lines)


class _Writer:
    __slots__ = ("_component", "_escape", "_find", "_repetition", "_subcomponent")

    def __init__(self, delimiters: Delimiters) -> None:
        special, self._escape = escaping(delimiters)
        self._find = special.search
        self._component, self._subcomponent = delimiters.component, delimiters.subcomponent
        self._repetition = delimiters.repetition

    def field(self, value: Value) -> str:
        if isinstance(value, str):
            return value.translate(self._escape) if self._find(value) and value != NULL else value
        if isinstance(value, list):
            return self._repetition.join([self.field(each) if each else "" for each in value])
        if value is None:
            return ""
        parts = [self._part(each) if each else "" for each in value]
        return self._component.join(parts).rstrip(self._component)

    def _part(self, value: Component) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return value.translate(self._escape) if self._find(value) and value != NULL else value
        return self._subcomponent.join([self.field(each) if each else "" for each in value]).rstrip(self._subcomponent)
