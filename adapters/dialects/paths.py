"""Places in a message, as profiles name them, and the rules that fill one record from them.

A place is `SEGMENT[which]-field[which].component.subcomponent`: `PID-8`, `PID-11.4`, `OBR-32.1.1`, `PRD[RP]-7[FI].1`. What
stands in brackets behind the segment chooses it by its own code (PRD-1, OBX-3, LCH-4); behind the field it chooses the repetition
that has it as a component (an identifier type). Rules are compiled once, into tuples that `fill` walks.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from adapters.dialects.accounts import ACCOUNT, is_a_citizens
from adapters.dialects.transforms import Transform
from adapters.formats.er7 import NULL, split_coded, split_components, split_spoken, split_uncut, unescape, whole
from adapters.formats.hl7v2 import Message, Segment
from adapters.formats.names import TEXTS, is_one_text
from hub.contract.errors import Problem, Severity

_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[([^\]]+)\])?-(\d{1,2})(?:\[([^\]]+)\])?(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?")
_CHOSEN_BY: Final = {"OBX": 3, "LCH": 4, "LRL": 4}  # field that tells segments of one name apart; of the others the first
_SPLIT: Final = {
    "components": split_components,
    "coded": split_coded,
    "spoken": split_spoken,
    "uncut": split_uncut,
}  # by kind of transform
FOLDED: Final = "\n"  # begins what no code is: a row in small letters need not mean what other spellings of it do
_UP_TO_V26: Final = ("OBR", 13)  # one text there, and read as one of later messages too
_OBSERVED: Final = ("OBX", 5)  # what it is OBX-2 says
_DONG: Final = frozenset({"", "VND", "VNĐ", "vnd"})  # MO-2: the currency
_TWO_NUMBERS: Final = re.compile(r"(?<![\w.,^])[1-9]\d{0,2}\.\d{3}(?!\s*[\w.,^%])")  # 1250, or 1.25
_OF_ONE_COMPONENT: Final = frozenset({"value", "words", "number", "money"})  # kinds of rules
_REFUSED: Final = object()  # a value that is not to be taken, nor looked for elsewhere
PROBLEMS_MAX: Final = 500  # told of one message
_KEPT_MAX: Final = 1000  # characters of an unreadable value that are kept beside the event; all of it is in the raw message


class Place(NamedTuple):
    """Where a value stands. segment: name, with what chooses it (`PRD[RP]`); pick: what chooses the repetition."""

    segment: str
    field: int
    component: int
    subcomponent: int
    pick: str


def read_place(text: str) -> Place:
    """Raises: ValueError if it is not a place."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"not a place in a message: {text!r}; it is a segment and a field, such as PID-7 or PID-5.1")
    name, chosen, field, pick, component, subcomponent = found.groups()
    return Place(f"{name}[{chosen}]" if chosen else name, int(field), int(component or 1), int(subcomponent or 1), pick or "")


class Rule(NamedTuple):
    """How one field of a record is filled. The kind of its transform is `value` when it has none. Such values are `visit`, which may
    stand in PID-18, where a citizen's number is none, and `words`: free text, see `read_words`."""

    name: str
    places: tuple[Place, ...]
    kind: str
    transform: Transform | None
    codes: Mapping[str, str] | None
    keep: bool


Plan = tuple[Rule, ...]
Scope = dict[str, Segment]
"""The segments that rules may look at, by name, or by name and code (`OBX[VN-DHLS]`)."""


class Notes:
    """What is noticed while one event is made; it ends up in its `meta` and among the problems of the message.

    message:   the one that is read; facility: whose it is.
    problems:  those of the message so far, each once, in order.
    labels:    sensitivity of what the event tells of; the gravest one becomes the event's.
    read_code: reads one field as a `Code`, with the vendor's local tests.
    """

    __slots__ = ("cleared", "facility", "labels", "message", "problems", "read_code", "unparsed")

    def __init__(self, message: Message, problems: dict[Problem, None], read_code: "ReadCode", facility: str) -> None:
        self.message = message
        self.facility = facility
        self.problems = problems
        self.read_code = read_code
        self.cleared: list[str] = []
        self.unparsed: dict[str, str] = {}
        self.labels: set[str] = set()

    def also(self) -> "Notes":
        """Notes of another event of the same message, which begin with these."""
        other = Notes(self.message, self.problems, self.read_code, self.facility)
        other.cleared = self.cleared.copy()
        other.unparsed = self.unparsed.copy()
        other.labels = self.labels.copy()
        return other

    def warn(self, code: str, path: str, severity: Severity = Severity.WARNING) -> None:
        """One more problem; beyond PROBLEMS_MAX no more are told, since nobody reads them."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems[Problem(code, severity, path)] = None

    def unreadable(self, code: str, segment: Segment, field: int, name: str, value: str) -> None:
        """A value that is not what it should be: kept beside the event, left out of it.

        name: where the value would have stood in the event.
        """
        self.unparsed[name] = value[:_KEPT_MAX]
        if len(self.problems) < PROBLEMS_MAX:
            self.warn(code, self.message.path(segment, field))


ReadCode = Callable[[Segment, int, Notes], dict[str, str]]


def choose(name: str, segments: list[Segment]) -> Scope:
    """Segments of one name by their code: `PRD[RP]`. The first of a code counts; PRD-1 may hold several codes."""
    found: Scope = {}
    field = _CHOSEN_BY.get(name, 1)
    for segment in segments:
        for row in segment.rows(field):
            found.setdefault(f"{name}[{row[0] if row else ''}]", segment)
    return found


def fill(plan: Plan, scope: Scope, into: dict[str, Any], notes: Notes, at: str = "") -> None:
    """Write what the rules find; what is absent is not written.

    into: the record, as a dict.
    at:   where the record stands in its event, such as `person.`, for `cleared` and `unparsed`.
    """
    for name, places, kind, transform, codes, keep in plan:
        for key, field, component, subcomponent, pick in places:
            segment = scope.get(key)
            if segment is None or field >= len(segment.fields):
                continue
            raw = segment.fields[field]
            if not raw:
                continue
            if raw == NULL:
                notes.cleared.append(at + name)
                break
            repetition = 1 if not pick else _pick(segment, field, pick)
            if not repetition:
                continue
            value: Any
            if kind == "value":
                if raw.isalnum():  # no delimiter, no escape: most fields
                    value = raw if component == 1 and subcomponent == 1 else ""
                else:
                    value = segment.get(field, component, subcomponent, repetition).strip()
                if not value:
                    continue
                if transform is not None:
                    value = transform.function(value)
            elif kind == "words":
                value = read_words(segment, field, component, subcomponent, repetition).strip()
            elif kind in _SPLIT:
                delimiters = segment.delimiters
                if delimiters.repetition in raw:
                    raw = raw.split(delimiters.repetition)[repetition - 1]
                value = transform.function(_SPLIT[kind](raw, delimiters))  # type: ignore[union-attr]  # its kind says there is one
            elif kind == "code":
                value = notes.read_code(segment, field, notes)
            elif kind == "number" or kind == "money":
                text = segment.get(field, component, 1, repetition).strip()
                if not text:
                    continue
                foreign = kind == "money" and _currency(segment, field, component, repetition) not in _DONG
                value = None if foreign else transform.function(text)  # type: ignore[union-attr]  # likewise
                if value is not None:
                    into[name] = value  # zero is not absent
                else:
                    wrong = "CURRENCY_FOREIGN" if foreign else unread_number(text)
                    notes.unreadable(wrong, segment, field, at + name, segment.text(field))
                break
            elif kind == "visit":
                value = _visit(segment, Place(key, field, component, subcomponent, pick), repetition, transform, notes)
                if value is _REFUSED:  # what stands at the next place is the number of something else, such as the receipt
                    break
            elif kind == "list":
                value = transform.function(_texts(segment, field, component, subcomponent))  # type: ignore[union-attr]
            elif kind == "rows":
                value = transform.function(segment.rows(field))  # type: ignore[union-attr]
            else:
                value = transform.function(one_text(segment, field) if kind == "unpadded" else segment.text(field))  # type: ignore[union-attr]
            if value and codes is not None:
                value = _known(value, codes, keep) if isinstance(value, str) else _coded(value, codes, keep)
            if value:
                into[name] = value
                break
            if value is None:
                code = "CODE_UNKNOWN" if transform is None or codes is not None else transform.problem
                notes.unreadable(code, segment, field, at + name, segment.text(field))
                break


def unread_number(value: str) -> str:
    """The code of a finding about what was not read as a number: it could be two, or is none.

    >>> unread_number("1.250"), unread_number("<1.250"), unread_number("1.250 mg")
    ('NUMBER_DOUBTFUL', 'NUMBER_DOUBTFUL', 'NUMBER_UNPARSABLE')
    """
    return "NUMBER_DOUBTFUL" if _TWO_NUMBERS.search(value) else "NUMBER_UNPARSABLE"


def _visit(segment: Segment, place: Place, repetition: int, transform: Transform | None, notes: Notes) -> Any:
    """The number of a visit; _REFUSED for a citizen number in PID-18, which is told and not kept."""
    value = segment.get(place.field, place.component, place.subcomponent, repetition).strip()
    if value and place.segment == "PID" and place.field == ACCOUNT and is_a_citizens(segment, notes.message, notes.facility):
        notes.warn("VISIT_IS_CITIZEN_NUMBER", notes.message.path(segment, ACCOUNT))
        return _REFUSED
    return transform.function(value) if value and transform is not None else value


def tell_unread(
    names: Collection[str], plan: Plan, scope: Scope, into: Mapping[str, Any], notes: Notes, code: str = "CODE_UNKNOWN"
) -> None:
    """Of those fields: what stands where one of them is read and is no code of its kind, is told and kept, if nothing filled it.

    For facilities, whose rules look at several places and pass over what is none.
    """
    for rule in plan:
        name = rule.name
        if name not in names or name in into or name in notes.cleared:
            continue
        for key, field, component, subcomponent, pick in rule.places:
            segment = scope.get(key)
            repetition = 1 if not pick or segment is None else _pick(segment, field, pick)
            if segment is not None and repetition and segment.get(field, component, subcomponent, repetition).strip():
                notes.unreadable(code, segment, field, name, segment.text(field))
                break


def place_of(value: str | Decimal, rule: Rule, scope: Scope) -> tuple[Segment, int] | None:
    """Segment and field where a rule of one component found a value; None for other rules."""
    for key, field, component, subcomponent, pick in rule.places if rule.kind in _OF_ONE_COMPONENT else ():
        segment = scope.get(key)
        repetition = 1 if not pick or segment is None else _pick(segment, field, pick)
        if segment is None or not repetition:
            continue
        if rule.kind == "words":
            stated = read_words(segment, field, component, subcomponent, repetition).strip()
        else:
            stated = segment.get(field, component, subcomponent, repetition).strip()
        if (stated if rule.transform is None else rule.transform.function(stated)) == value:
            return segment, field
    return None


def _coded(values: list[str], codes: Mapping[str, str], keep: bool) -> list[str | None] | None:
    """Each by the table; None if one of them is unknown and not to be kept."""
    found = [_known(one, codes, keep) for one in values]
    return None if None in found else found


def look_up(value: str, codes: Mapping[str, str]) -> str | None:
    """What a table of a dialect says of a code as it is sent, else whatever its case and Unicode form; None if it has no row."""
    found = codes.get(value)
    return found if found is not None else codes.get(folded(value))


def folded(code: str) -> str:
    """A code as it is compared without regard to case and Unicode form, as a key beside the rows as they are written."""
    return FOLDED + unicodedata.normalize("NFC", code.casefold())


def _known(value: str, codes: Mapping[str, str], keep: bool) -> str | None:
    found = look_up(value, codes)
    return value if found is None and keep else found


def _currency(segment: Segment, field: int, component: int, repetition: int) -> str:
    """MO-2: behind `&` in CP, behind `^` where the amount is all of the field. CP-2, a kind of price, has two letters."""
    behind = segment.get(field, component + 1, 1, repetition)
    return segment.get(field, component, 2, repetition) or (behind if len(behind) == 3 else "")


def _pick(segment: Segment, field: int, pick: str) -> int:
    for number, value in enumerate(segment.repetitions(field), 1):
        if pick in value.split(segment.delimiters.component):
            return number
    return 0


def one_text(segment: Segment, field: int) -> str:
    """The whole field as one text, `;` between repetitions, without the delimiters that only pad it: of `4-10^^` 4-10, while an
    escaped one stays. A repetition of delimiters, blanks and nulls says nothing."""
    delimiters = segment.delimiters
    padding = f"{delimiters.component}{delimiters.subcomponent} "
    stated = (value.strip(padding) for value in segment.repetitions(field))
    return ";".join(unescape(value, delimiters) for value in stated if value and value != NULL)


def read_words(segment: Segment, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
    """Free text. No `&` cuts it, unless a subcomponent is asked for; nor does `^` or `~` where HL7 has one text in the field."""
    if subcomponent > 1:
        return segment.get(field, component, subcomponent, repetition)
    raw, delimiters = segment.field(field), segment.delimiters
    if component == 1 and (delimiters.component in raw or delimiters.repetition in raw) and _is_one_text(segment, field):
        return one_text(segment, field)
    return segment.words(field, component, repetition)


def _is_one_text(segment: Segment, field: int) -> bool:
    place = segment.name, field
    return segment.get(2) in TEXTS if place == _OBSERVED else place == _UP_TO_V26 or is_one_text(segment.name, field)


def _texts(segment: Segment, field: int, component: int, subcomponent: int) -> list[str]:
    """Of each repetition that component; `&` cuts it only where a subcomponent is asked for, `^` not where HL7 has one text."""
    delimiters = segment.delimiters
    if subcomponent > 1:
        numbers = range(1, len(segment.repetitions(field)) + 1)
        return list(filter(None, (segment.get(field, component, subcomponent, number) for number in numbers)))
    if component > 1:
        stated = [value.split(delimiters.component, component) for value in segment.repetitions(field)]
        firsts = [parts[component - 1] for parts in stated if len(parts) >= component]
    elif delimiters.component in segment.field(field) and _is_one_text(segment, field):
        padding = f"{delimiters.component}{delimiters.subcomponent}"
        firsts = [value.strip(padding) for value in segment.repetitions(field)]
    else:
        firsts = [value.split(delimiters.component, 1)[0] for value in segment.repetitions(field)]
    return list(filter(None, (whole(value, delimiters) for value in firsts if value != NULL)))
