"""How well a vendor's samples are understood: a graded report, by segment and field, without a value of a patient.

What is read is not guessed from the profile but seen: each message is mapped once more with fields that note who looks at
them, so rules and the Python behind them count alike, whatever records come to the hub later.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args, get_type_hints, is_typeddict

from adapters.dialects.grades import READ_ALL_THE_SAME
from adapters.dialects.paths import Place, Plan
from adapters.dialects.profile import Dialect, sections
from adapters.dialects.reading import BESIDE
from adapters.dialects.remedies import remedy
from adapters.dialects.sampled import Sample, looked_over
from adapters.dialects.shapes import shape, shown_code, shown_name
from adapters.dialects.unread import (
    Part,
    field_of,
    lines_sent,
    mapped_again,
    parts_sent,
    resources_sent,
    with_dropped,
    without_numbers,
)
from adapters.formats.charset import charset_name
from adapters.formats.hl7v2 import NULL, Message, Segment
from adapters.formats.names import field_name
from adapters.formats.structure import VERSIONS
from adapters.formats.vietnamese import LEGACY
from hub.contract import records
from hub.contract.errors import ERRORS, GUESSED, Problem, Severity
from hub.contract.events import Event

_OF_THE_FORM: Final = frozenset({("EVN", 1), ("MSA", 1), ("MSA", 2)})  # with MSH and set ids: they say nothing beyond the form
_BY_THE_GATE: Final = frozenset({1, 2, 3, 4, 7, 9, 10, 11, 12, 15, 16, 18})  # of MSH, before any rule
# Looked at for what slipped there, and for nothing else: a time, an address, a state, a code of ICD.
_SLIPPED_INTO: Final = BESIDE | {("PID", 12), ("OBX", 12), ("FT1", 20)}
_WHOLE: Final = frozenset({"Code", "Identifier"})  # small records that count as one field
# Plans that hold the rest of a section.
_WITH: Final = {"order": ("services",), "encounter": ("admission",), "observation": ("line",)}
# Findings that say nothing of what stands first.
_OF_LATER: Final = frozenset({"FIELD_REPEATS", "REPETITION_DROPPED", "APPOINTMENT_DIFFERS"})
_TYPE: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?:\^[A-Z0-9]{2,3})?|GIAMDINHHS")
_Seen = defaultdict[str, set[tuple[str, int]]]  # type of message to (segment, field)
_SHAPES_MAX, _SHOWN = 200, 3  # shapes kept and shown of one field


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem at one place, over all samples. shape: what stood there, the first time; first: in which sample."""

    code: str
    severity: str
    place: str
    count: int
    messages: int
    first: str
    shape: str
    en: str
    vi: str
    do_en: str
    do_vi: str

    @property
    def missing(self) -> bool:
        return self.code.endswith("_MISSING")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field that was sent. read, ignored: the types of message in which something reads it, or nothing does and nothing is
    told of it; unread: how often it was sent in the latter."""

    place: str
    name: str
    messages: int
    count: int
    status: str  # understood, wrong, ignored, or form: a set id and the like
    read: tuple[str, ...]
    ignored: tuple[str, ...]
    unread: int
    shapes: tuple[tuple[str, int], ...]
    codes: tuple[tuple[str, int], ...]

    @property
    def passed_over(self) -> bool:
        """Whether a type of message has it and nothing reads it there, though something may in another."""
        return bool(self.ignored) and self.status != "form"

    @property
    def where(self) -> str:
        """The place, with the types in which nothing reads it, if something does in another, or is told of it there."""
        apart = self.ignored and (self.read or self.status == "wrong")
        return f"{self.place} (in {', '.join(self.ignored)})" if apart else self.place


@dataclass(frozen=True, slots=True)
class EventRow:
    """One record that came out. filled: field to how many of the record, or of its lines, have it; partly: of those that not all
    have, to how many there are and the places that would fill it; never: field to these places."""

    record: str
    count: int
    filled: dict[str, int]
    partly: dict[str, tuple[int, tuple[str, ...]]]
    never: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a folder of samples shows. refused: name, type, codes, whether expected; accepted: warnings that goldens have;
    parts: later repetitions (`PID-13[2…]`), components (`PID-13.9`) and OBX of codes (`OBX[HA]-5`) that nothing reads, of fields
    that something reads;
    remarks: what lowers no grade and should be known beside it, in English and Vietnamese."""

    dialect: str
    version: str
    grade: str
    samples: int
    verdicts: dict[str, int]
    unexpected: int
    types: dict[str, int]
    versions: dict[str, int]
    charsets: dict[str, int]
    senders: dict[str, int]
    read_by: dict[str, int]
    findings: tuple[Finding, ...]
    accepted: tuple[Finding, ...]
    fields: tuple[FieldRow, ...]
    parts: tuple[FieldRow, ...]
    segments: dict[str, int]
    events: tuple[EventRow, ...]
    refused: tuple[tuple[str, str, tuple[str, ...], bool], ...]
    remarks: tuple[tuple[str, str], ...]

    @property
    def understood(self) -> tuple[int, int]:
        """Values sent in fields that something reads, and all; those of the form left out."""
        rows = [row for row in self.fields if row.status != "form"]
        return sum(row.count for row in rows if row.read), sum(row.count for row in rows)

    @property
    def ignored(self) -> tuple[FieldRow, ...]:
        """What was sent and nothing reads: fields, those first that nothing reads in any type of message, then parts of others."""
        fields = sorted((row for row in self.fields if row.passed_over), key=lambda row: bool(row.read))
        return (*fields, *self.parts)

    @property
    def never_anywhere(self) -> dict[str, tuple[str, ...]]:
        """What several kinds of event have in common and none of them fills, such as `person.dien_thoai`."""
        common: dict[str, tuple[str, ...]] = {}
        for name in (name for row in self.events for name in row.never):
            having = [row for row in self.events if name in row.never or name in row.filled]
            if len(having) > 1 and all(row.never.get(name) == having[0].never.get(name, ()) for row in having):
                common[name] = having[0].never[name]
        return common


def report(samples: Sequence[Sample], dialect: Dialect, *, differing: bool = False) -> Report:
    """The conformance report of samples that were read by a dialect. differing: some become other events than their goldens say."""
    samples = looked_over(samples)
    seen = _seen(samples, dialect)
    parts = _parts_sent(samples, dialect, seen)
    samples = with_dropped(samples, parts)
    counted = [sample for sample in samples if not (sample.refused and sample.expected)]
    wrong = [sample for sample in counted if sample.refused]
    read = [sample.message for sample in samples if sample.message is not None]
    findings = _findings(samples, seen, lambda sample: sample.unaccepted)
    return Report(
        dialect=dialect.name,
        version=dialect.version,
        grade=_grade(counted, wrong, differing=differing),
        samples=len(samples),
        verdicts=dict(Counter(sample.verdict for sample in samples).most_common()),
        unexpected=len(wrong),
        types=_counts(sample.kind if _TYPE.fullmatch(sample.kind) else "?" for sample in samples),
        versions=_counts(message.version if message.version in VERSIONS else "?" for message in read),
        charsets=_counts(sample.charset for sample in samples if sample.charset),
        senders=_counts(" · ".join(map(shown_name, (one.header.get(3), one.header.field(4)))) for one in read),
        read_by=_counts(event["meta"]["source"]["dialect"] for sample in samples for _, event in sample.events[:1]),
        findings=findings,
        accepted=_findings(samples, seen, lambda sample: sample.as_accepted),
        fields=_fields(samples, seen),
        parts=_parts(parts),
        segments=_counts(name for message in read for name in set(message.names)),
        events=_events(samples, dialect),
        refused=tuple(
            (sample.name, sample.kind if _TYPE.fullmatch(sample.kind) else "?", _codes_of(sample), sample.expected)
            for sample in samples
            if sample.refused
        ),
        remarks=tuple(_remarks(samples, dialect)),
    )


def _remarks(samples: Sequence[Sample], dialect: Dialect) -> Iterator[tuple[str, str]]:
    if not dialect.about.strip():
        yield "`about` of the profile is empty: say who sends", "`about` của hồ sơ còn trống: hãy ghi hệ thống nào gửi"
    told = any(problem.code == "CHARSET_DECLARED_WRONG" for sample in samples for problem in sample.problems)
    met = Counter(sample.charset for sample in samples if sample.charset not in ("", "ascii"))
    if dialect.charset and met and not told and charset_name(dialect.charset) not in met:  # MSH-18 is right, the profile is not
        line, seen = f'charset = "{dialect.charset}"', ", ".join(f"{name} × {count}" for name, count in met.most_common())
        yield (
            f"{line} of the profile: none of these samples is in it ({seen}); take the line out",
            f"{line} của hồ sơ: không mẫu nào dùng bảng mã này ({seen}); hãy bỏ dòng này",
        )
    guessed = Counter(
        one.charset for one in samples if one.charset in LEGACY and one.message is not None and not one.message.header.get(18)
    )
    if len(guessed) > 1 and not dialect.charset:
        seen = ", ".join(f"{name} × {count}" for name, count in guessed.most_common())
        yield (
            f"MSH-18 is empty and the charset guessed ({seen}): of a short message a guess may be wrong; have the sender write MSH-18",
            f"MSH-18 trống nên bảng mã được đoán ({seen}): bản tin ngắn có thể bị đoán sai; hãy yêu cầu bên gửi ghi MSH-18",
        )
    if unsaid := len({sample.name.partition("#")[0] for sample in samples if sample.unsaid}):
        en, vi = "`about` of goldens is empty: say what each shows", "`about` của mẫu chuẩn còn trống: hãy ghi mẫu cho thấy gì"
        yield f"{en} (× {unsaid})", f"{vi} (× {unsaid})"
    silent = [sample for sample in samples if sample.as_accepted and not sample.warned]
    if lost := sum(len(event["meta"].get("unparsed", ())) for sample in silent for _, event in sample.events):
        en, vi = "values that a golden accepts are lost", "giá trị bị mất đã được mẫu chuẩn chấp nhận"
        yield f"{lost} {en}", f"{lost} {vi}"


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _codes_of(sample: Sample) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p.code for p in sample.problems if p.severity is Severity.ERROR))


def _grade(counted: Sequence[Sample], wrong: Sequence[Sample], *, differing: bool) -> str:
    if not counted or len(wrong) * 2 > len(counted):
        return "E"
    if wrong:
        return "D"
    warned = [sample for sample in counted if sample.warned]
    lost = any(event["meta"].get("unparsed") for sample in warned for _, event in sample.events)
    if differing or lost or any(problem.code in GUESSED for sample in warned for problem in sample.warned):
        return "C"
    return "B" if warned else "A"


# --- what was found ---------------------------------------------------------------------------------------------------


def _findings(samples: Sequence[Sample], seen: _Seen, told: Callable[[Sample], Iterable[Problem]]) -> tuple[Finding, ...]:
    """Gravest first, then the most frequent."""
    met: dict[tuple[str, str, str], list[tuple[Sample, Problem]]] = defaultdict(list)
    for sample in samples:
        if sample.refused and sample.expected:
            continue
        for problem in told(sample):
            met[problem.code, problem.severity.value, without_numbers(problem.path)].append((sample, problem))
    found = []
    for (code, severity, place), where in met.items():
        first, problem = where[0]
        charset = Counter(sample.charset for sample, _ in where).most_common(1)[0][0]
        row, (do_en, do_vi) = ERRORS[code], remedy(code, charset, place)
        unparsed = any(event["meta"].get("unparsed") for sample, _ in where for _, event in sample.events)
        name, _, number = place.partition("-")
        looks_there = not number.isdecimal() or any((name, int(number)) in seen[sample.kind] for sample, _ in where)
        if code in READ_ALL_THE_SAME and not (unparsed and looks_there):
            do_en, do_vi = READ_ALL_THE_SAME[code]
        looks = shape(_value_at(first.message, problem.path))
        messages = len({sample.name for sample, _ in where})
        found.append(Finding(code, severity, place, len(where), messages, first.name, looks, row.en, row.vi, do_en, do_vi))
    return tuple(sorted(found, key=lambda one: ("EWI".index(one.severity), -one.count, one.code, one.place)))


def _value_at(message: Message | None, path: str) -> str:
    found = message.named(path) if message is not None else None
    if found is None:
        return ""
    segment, field, repetition = found
    values = segment.repetitions(field)[repetition - 1 :]
    return values[0] if values else ""


# --- fields -----------------------------------------------------------------------------------------------------------


class _Watched(list[str]):
    """The fields of a segment, which note which of them are looked at."""

    __slots__ = ("name", "seen")

    def __init__(self, fields: list[str], name: str, seen: set[tuple[str, int]]) -> None:
        super().__init__(fields)
        self.name = name
        self.seen = seen

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int):
            self.seen.add((self.name, index))
        return super().__getitem__(index)


class Plans(dict[str, Plan]):
    """The plans of a dialect, which note which of them are asked for."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        super().__init__(plans)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Plan:
        self.asked.add(name)
        return super().__getitem__(name)


def looked_at(message: Message, dialect: Dialect, kind: str, facility: str = "") -> set[tuple[str, int]]:
    """(segment, field) that mapping this message looks at, or would where an earlier place of a rule holds no value; not where it
    looks only for what slipped there.

    The message is spent by it: its fields are watched from now on.
    """
    seen: set[tuple[str, int]] = {("MSH", number) for number in _BY_THE_GATE}
    plans = Plans(dialect.plans)
    for segment in message:
        segment.fields = _Watched(segment.fields, segment.name, seen)
    mapped_again(message, replace(dialect, plans=plans, seen={}, forms={}), kind, facility)
    seen -= _SLIPPED_INTO  # what slipped is told; anything else reaches no event, unless a rule reads it
    for name in plans.asked:
        seen |= {(place.segment[:3], place.field) for rule in dialect.plans[name] for place in rule.places}
    return seen


@dataclass(slots=True)
class _Sent:
    count: int = 0
    messages: int = 0
    version: str = ""
    kinds: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)


def _seen(samples: Sequence[Sample], dialect: Dialect) -> _Seen:
    """Of each type of message the fields that are looked at; of what was refused none."""
    seen: _Seen = defaultdict(set)
    for sample in samples:
        if sample.message is not None and not sample.refused:
            seen[sample.kind] |= looked_at(sample.message, dialect, sample.kind, sample.facility)
    return seen


def _fields(samples: Sequence[Sample], read: _Seen) -> tuple[FieldRow, ...]:
    sent: dict[tuple[str, int], _Sent] = defaultdict(_Sent)
    for sample in samples:
        message = sample.message
        if message is None or sample.refused:
            continue
        for one in {one for segment in message for one in _note(segment, sample.kind, message.version, sent)}:
            sent[one].messages += 1
    wrong, told = _wrong_places(samples), _wrong_places(samples, but=_OF_LATER)
    rows = []
    for (name, number), what in sorted(sent.items()):
        place = f"{name}-{number}"
        known = tuple(sorted(kind for kind in what.kinds if (name, number) in read[kind]))
        ignored = tuple(sorted(kind for kind in what.kinds if kind not in known and kind not in told[place]))
        unread = sum(what.kinds[kind] for kind in ignored)
        words, datatype = field_name(what.version, name, number)
        formal = name == "MSH" or datatype == "SI" or (name, number) in _OF_THE_FORM
        status = "wrong" if wrong[place] else "form" if formal else "understood" if known else "ignored"
        shapes, codes = (tuple(each.most_common(_SHOWN)) for each in (what.shapes, what.codes))
        rows.append(FieldRow(place, words, what.messages, what.count, status, known, ignored, unread, shapes, codes))
    return tuple(rows)


def _parts_sent(samples: Sequence[Sample], dialect: Dialect, seen: _Seen) -> dict[tuple[str, str], Part]:
    chosen = {kind for kind, fields in seen.items() if ("OBX", 5) in fields}  # of the others OBX-5 itself is ignored
    told = _wrong_places(samples, but=_OF_LATER)
    return parts_sent(samples, dialect, told) | lines_sent(samples, dialect, chosen) | resources_sent(samples)


def _parts(found: Mapping[tuple[str, str], Part]) -> tuple[FieldRow, ...]:
    """Those that nothing reads in one type of message at least."""
    by_place: dict[str, dict[str, Part]] = defaultdict(dict)
    for (place, kind), part in sorted(found.items()):
        by_place[place][kind] = part
    rows = []
    for place, of in by_place.items():
        known, ignored = (tuple(kind for kind, part in of.items() if part.read is read) for read in (True, False))
        if ignored:
            unread = sum(of[kind].count for kind in ignored)
            shapes = tuple(sum((of[kind].shapes for kind in ignored), Counter[str]()).most_common(_SHOWN))
            messages, count = sum(len(part.messages) for part in of.values()), sum(part.count for part in of.values())
            rows.append(FieldRow(place, of[ignored[0]].name, messages, count, "ignored", known, ignored, unread, shapes, ()))
    return tuple(rows)


def _wrong_places(samples: Sequence[Sample], but: Collection[str] = ()) -> defaultdict[str, set[str]]:
    """Fields at which more is found than that they are missing, each with the types of message in which it is.

    but: codes of findings that do not count.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for sample in samples:
        if sample.refused and sample.expected:
            continue
        for problem in sample.unaccepted:
            if problem.severity is not Severity.INFORMATION and not problem.code.endswith("_MISSING") and problem.code not in but:
                found[field_of(problem.path)].add(sample.kind)
    return found


def _note(segment: Segment, kind: str, version: str, sent: dict[tuple[str, int], _Sent]) -> Iterable[tuple[str, int]]:
    for number, value in enumerate(segment.fields):
        if number == 0 or not value or value == NULL or (number <= 2 and segment.name == "MSH"):
            continue
        what = sent[segment.name, number]
        what.count += 1
        what.kinds[kind] += 1
        what.version = what.version or version
        looks = shape(value)
        if looks in what.shapes or len(what.shapes) < _SHAPES_MAX:
            what.shapes[looks] += 1
        code = shown_code(version, segment.name, number, segment.get(number))
        if code and (code in what.codes or len(what.codes) < _SHAPES_MAX):
            what.codes[code] += 1
        yield segment.name, number


# --- events -----------------------------------------------------------------------------------------------------------


def place_text(place: Place) -> str:
    """A place as profiles write it. The reverse of `read_place`."""
    pick = f"[{place.pick}]" if place.pick else ""
    component = f".{place.component}" if place.component > 1 or place.subcomponent > 1 else ""
    return f"{place.segment}-{place.field}{pick}{component}" + (f".{place.subcomponent}" if place.subcomponent > 1 else "")


def _events(samples: Sequence[Sample], dialect: Dialect) -> tuple[EventRow, ...]:
    by_record: dict[str, list[Event]] = defaultdict(list)
    for sample in samples:
        for record, event in sample.events:
            by_record[record].append(event)
    places = {record: _rules(dialect, section) for section, record in sections().items()}
    lists = ("+".join(f"PID-{number}" for number in together) for together in dialect.identifiers.lists)
    cards = (*(f"IN1-{number}" for number in dialect.identifiers.cards), *map(place_text, dialect.identifiers.cards_apart))
    places[sections()["person"]]["identifiers"] = (*lists, *cards)
    rows = []
    for record, events in sorted(by_record.items()):
        row = EventRow(record, len(events), {}, {}, {})
        _fill_in(row, events, getattr(records, record.removeprefix("hie.")), "", places)
        rows.append(row)
    return tuple(rows)


def _fill_in(
    row: EventRow, parts: Sequence[Mapping[str, Any]], of: Any, at: str, places: Mapping[Any, Mapping[str, tuple[str, ...]]]
) -> None:
    for name, hint in get_type_hints(of).items():
        if name == "meta":
            continue
        present = [part[name] for part in parts if part.get(name) not in (None, "", [], {})]
        if not present:
            row.never[at + name] = places.get(of, {}).get(name, ())
            continue
        row.filled[at + name] = len(present)
        if len(present) < len(parts):
            row.partly[at + name] = len(parts), places.get(of, {}).get(name, ())
        nested = _record_of(hint)
        if nested is not None and nested.__name__ not in _WHOLE:
            inner = [line for value in present for line in (value if isinstance(value, list) else [value])]
            _fill_in(row, inner, nested, f"{at}{name}.", places)


def _rules(dialect: Dialect, section: str) -> dict[str, tuple[str, ...]]:
    plans = [dialect.plans.get(name, ()) for name in (section, *_WITH.get(section, ()))]
    return {rule.name: tuple(map(place_text, rule.places)) for plan in plans for rule in plan}


def _record_of(hint: Any) -> Any:
    """The record that a field holds, itself or in a list; None for text and numbers."""
    if is_typeddict(hint):
        return hint
    return next((found for part in get_args(hint) if (found := _record_of(part)) is not None), None)
