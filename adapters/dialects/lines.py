"""The lines of a result, or of an order: its OBX, most of them read by what is remembered of their test."""

from collections.abc import Callable
from functools import cache
from typing import Final

from adapters.dialects.groups import Group, Record
from adapters.dialects.observed import (
    TEXT,
    VALUES,
    answers,
    concludes,
    is_flagged,
    is_silent,
    read_value,
    tell_flags,
    tell_silent,
    tell_state,
)
from adapters.dialects.paths import Notes, fill, read_words
from adapters.dialects.profile import Line
from adapters.dialects.reading import SEEN_MAX, Reading
from adapters.formats.hl7v2 import STANDARD, Segment
from hub.contract.writer import Steady, Varied

_FORMS_MAX: Final = 8  # of one test: normal, high, low, corrected …
_VALUES: Final = frozenset({"gia_tri", "number"})  # what a line has of its own in every dialect
_STATE: Final = 25  # of OBR
_SAID_OF_ALL: Final = (8, 11)  # of OBX: flags and state, which go for every line of a text
_SENT: Final = "+"  # stands for a value that differs from line to line
_Varying = tuple[str, int, Callable[[str], str | None] | None]


class _Form:
    """What lines of a test have in common, as it was sent and as it is read; see `_read_form`.

    fixed:   their common fields.
    steady:  the same with those that vary, for lines that can be read the short way; None if they cannot.
    varying: of the latter: field of the record, field of OBX, transform.
    """

    __slots__ = ("concludes", "fixed", "label", "sent", "steady", "varying")

    def __init__(self, sent: list[str], fixed: Record, concludes: bool, label: str) -> None:
        self.sent = sent
        self.fixed = fixed
        self.concludes = concludes
        self.label = label
        self.steady: Steady | None = None
        self.varying: tuple[_Varying, ...] = ()


def read_lines(reading: Reading, group: Group, found: list[Record], conclusions: list[str], notes: Notes) -> None:
    """The OBX of a group, behind those that were found already."""
    silent: list[Segment] = []
    dialect, remarks = reading.dialect, group.remarks
    forms = dialect.forms if reading.message.delimiters is STANDARD else {}
    answered = cache(lambda: any(map(answers, group.lines)))
    state = group.scope["OBR"].get(_STATE) if "OBR" in group.scope else ""
    text_of = ""  # OBX-3 of the text that the next line may go on with
    for position, segment in enumerate(group.lines):
        fields = segment.fields
        if len(fields) < 6:  # no value: room for all that is looked at by number
            fields = segment.fields = fields + [""] * (6 - len(fields))
        kind, test = fields[2], fields[3]
        if text_of and text_of == test and kind in TEXT and _is_said_alike(segment, group.lines[position - 1]):
            _go_on(found[-1], segment, remarks.get(position))
            continue
        sent = _without_values(fields)
        for form in forms.get(test, ()):
            if form.sent == sent:
                break
        else:
            form = _read_form(reading, segment, sent, notes, len(found))
        if form.label:
            notes.labels.add(form.label)
        if form.concludes and concludes(segment, kind, state, answered):
            text_of = ""
            if is_flagged(segment):  # of a conclusion an event has no flags
                notes.warn("NOTE_NOT_PASSED_ON", notes.message.path(segment, 8))
            if text := _conclusion(segment, kind):
                conclusions.append(text)
            conclusions += remarks.get(position, ())
            continue
        line = _read_plain(fields, form) if form.steady is not None else None
        if line is None:
            line = form.fixed.copy()
            at = f"observations[{len(found)}]."
            fill(dialect.plans["line"], {"OBX": segment}, line, notes, at)
            read_value(segment, kind, line, notes, at, dialect.comma)
        if not form.fixed["code"] and not VALUES.isdisjoint(line):
            notes.warn("TEST_MISSING", notes.message.path(segment, 3))
        if position in remarks:
            line = {**line, "notes": line.get("notes", []) + remarks[position]}
        if is_silent(line, segment, kind):
            silent.append(segment)
        found.append(line)
        text_of = test if kind in TEXT else ""
    tell_silent(silent, group.lines, notes)


def _conclusion(segment: Segment, kind: str) -> str:
    if kind in TEXT:
        return segment.text(5).strip()
    return read_words(segment, 5).strip() if kind == "ST" else " ".join(filter(None, next(iter(segment.coded(5)), [])))


def _is_said_alike(segment: Segment, before: Segment) -> bool:
    """Whether a further line of a text has no state or flag of its own: what is withdrawn is no part of what stands."""
    return all(segment.get(field) in ("", before.get(field)) for field in _SAID_OF_ALL)


def _go_on(before: Record, segment: Segment, remarks: list[str] | None) -> None:
    """A further line of the text before."""
    before["mo_ta"] = f"{before.get('mo_ta', '')}\n{segment.text(5)}"
    if remarks:
        before["notes"] = before.get("notes", []) + remarks


def _without_values(fields: list[str]) -> list[str]:
    """OBX-2 and all behind it, without what differs from one result of a test to the next: there it only says whether it is sent."""
    sent = fields[2:]
    if sent[2]:
        sent[2] = _SENT
    sent[3] = ""
    if len(sent) > 12:
        if sent[12]:
            sent[12] = _SENT
        if len(sent) > 17 and sent[17]:
            sent[17] = _SENT
    return sent


def _read_plain(fields: list[str], form: _Form) -> Record | None:
    """A line read the short way: a plain number, plain fields, the rest as it is known. None: nothing sure, read it in full."""
    value = fields[5]
    if len(value) > 18 or not (value.isdecimal() or value.replace(".", "", 1).isdecimal()):
        return None
    assert form.steady is not None
    line = Varied(form.steady)
    line.steady = form.steady
    for name, field, convert in form.varying:
        raw = fields[field]
        text = raw if convert is None else convert(raw)
        if not text or not (raw.isalnum() or _has_offset(raw)):
            return None
        line[name] = text
    line["gia_tri"] = value
    line["number"] = float(value)
    return line


def _has_offset(time: str) -> bool:
    """Whether it is digits and an offset of UTC, nothing else: 20261123091000+0700."""
    return time[-5:-4] in ("+", "-") and time[:-5].isdecimal() and time[-4:].isdecimal()


def _read_form(reading: Reading, segment: Segment, sent: list[str], notes: Notes, position: int) -> _Form:
    """What does not change from one result of a test to the next.

    Laboratories repeat themselves: the last few forms of a test are remembered, and compared as they were sent.
    """
    dialect, fields = reading.dialect, segment.fields
    own = Notes(notes.message, {}, notes.read_code, notes.facility)
    fixed: Record = {"code": {}}
    at = f"observations[{position}]."
    fill(dialect.plans["observation"], {"OBX": segment}, fixed, own, at)
    tell_state(dialect, segment, fixed, own)
    tell_flags(segment, fixed, own, at)
    concludes = segment.get(3) in dialect.conclusions or segment.get(3, 1, 2) in dialect.conclusions
    form = _Form(sent, fixed, concludes, reading.dialect.labels.gravest(own.labels))
    if own.problems or own.cleared or own.unparsed:
        notes.cleared += own.cleared
        notes.unparsed |= own.unparsed
        for problem in own.problems:
            notes.warn(problem.code, problem.path)
    elif segment.delimiters is STANDARD:
        if fields[2] == "NM" and fields[1] and dialect.line is not None and not dialect.comma and _VALUES.isdisjoint(fixed):
            form.varying = _present(dialect.line, fields)
            names = [*(name for name, _, _ in form.varying), *_VALUES]
            form.steady = Steady({**fixed, **dict.fromkeys(names)}, names)
        if len(dialect.forms) >= SEEN_MAX:
            dialect.forms.clear()
        dialect.forms[fields[3]] = [form, *dialect.forms.get(fields[3], ())[: _FORMS_MAX - 1]]
    return form


def _present(line: Line, fields: list[str]) -> tuple[_Varying, ...]:
    """Of each rule the place that holds a value, if there is one."""
    found = []
    for name, places, convert in line:
        field = next((field for field in places if field < len(fields) and fields[field]), 0)
        if field:
            found.append((name, field, convert))
    return tuple(found)
