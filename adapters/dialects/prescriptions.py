"""RDE^O11 (O01, O25) and OMP^O09 → `hie.Prescription`. Source: `seeds/standards/hl7-mapping.md` §4.4, `identifiers.md` §9.

One event a prescription code, whatever the number of drugs under it.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from adapters.dialects.paths import Notes, Scope, fill, look_up, place_of, unread_number
from adapters.dialects.persons import in_words, read_allergies, read_diagnoses, read_person
from adapters.dialects.reading import Reading, tell_beside
from adapters.dialects.runs import Patient, firsts, notes_of, patients
from adapters.dialects.transforms import TRANSFORMS, pointed
from adapters.formats.hl7v2 import Segment

Record = dict[str, Any]

_DRUGS: Final = frozenset({"RXE", "RXO"})
_REGISTERED_BY: Final = frozenset({"", "VN-SDK"})  # what may stand as the system of a registration number
_DURATION: Final = re.compile(r"(?P<n>\d{1,4}(?:\.\d{1,3})?)\s*(?P<unit>[^\W\d_]*)|(?P<old>[DW])(?P<m>\d{1,4})")
_DAYS: Final = {
    "": 1, "d": 1, "day": 1, "days": 1, "n": 1, "ngày": 1, "ngay": 1,
    "w": 7, "wk": 7, "week": 7, "weeks": 7, "tuần": 7, "tuan": 7,
}  # fmt: skip
_UNCOUNTED: Final = re.compile(r"PRN.*|STAT|ONCE", re.IGNORECASE)  # timing of HL7 that nobody can count; a duration likewise:
_ENDLESS: Final = re.compile(r"INDEF|[XT]\d+", re.IGNORECASE)
_EVERY_HOURS: Final = re.compile(r"Q(1|2|3|4|6|8|12|24)H", re.IGNORECASE)


def map_prescriptions(reading: Reading, _trigger: str) -> None:
    """Refused without a drug (RXE, RXO)."""
    for patient in patients(reading.message, _begins):
        drugs = [run for run in patient.runs if any(segment.name in _DRUGS for segment in run)]
        if drugs:
            _publish(reading, patient, drugs)
    if not reading.events:
        reading.refuse("NOTHING_REPRESENTABLE", "RXE")


def _begins(name: str, before: set[str]) -> bool:
    """A drug begins with ORC; RXO and RXE behind one ORC are the same drug, as ordered and as encoded."""
    return name == "ORC" or (name in _DRUGS and (not before or name in before or "RXE" in before))


def _publish(reading: Reading, patient: Patient, drugs: list[list[Segment]]) -> None:
    noted, dialect = reading.notes(), reading.dialect
    head = reading.scope(patient.head)
    if "PID" not in head:
        noted.warn("SEGMENT_MISSING", "PID")
    person = read_person(reading, head, patient.named("IN1"), noted)
    diagnoses = read_diagnoses(dialect, patient.named("DG1"), noted)
    allergies = read_allergies(reading, patient.named("AL1"), noted)
    remarks = notes_of(patient.head)
    groups = _by_number(reading, head, drugs)
    _tell_observed(reading, patient.named("OBX"), head, groups.values(), noted)
    for number, runs in groups.items():
        notes = noted.also()
        prescription: Record = {"person": person}
        fill(dialect.plans["prescription"], head | firsts(runs[0]), prescription, notes)
        tell_beside(dialect.plans["prescription"], ("ngay_yl",), head | firsts(runs[0]), prescription, notes)
        action = prescription.setdefault("action", "ISSUED")
        if action == "CHANGED" and prescription.get("replaces"):
            prescription["action"] = "ISSUED"  # a new code that takes the place of the old one, which is never edited
        else:
            prescription.pop("replaces", None)
        if reading.context.facility:
            prescription["ma_cskcb"] = reading.context.facility
        if diagnoses:
            prescription["diagnoses"] = diagnoses
        if allergies:
            prescription["allergies"] = allergies
        lines: list[Record] = []
        for run in runs:
            line = _read_drug(reading, head | firsts(run), run, notes, f"lines[{len(lines)}].")
            if line.get("action", action) == action:
                line.pop("action", None)
            lines.append(line)
        prescription["lines"] = lines
        if remarks:
            prescription["notes"] = remarks
        reading.publish("hie.Prescription", prescription, number, notes, key_path="RXE-15")


def _tell_observed(
    reading: Reading, rows: Sequence[Segment], head: Scope, prescribed: Iterable[list[list[Segment]]], notes: Notes
) -> None:
    """That what was observed beside a drug (OBX, such as the weight) goes to nobody, but for what a rule of that section reads."""
    if not rows:
        return
    scopes = {
        "person": [head],
        "prescription": [head | firsts(runs[0]) for runs in prescribed],
        "prescription_line": [head | firsts(run) for runs in prescribed for run in runs],
    }
    plans = ((reading.dialect.plans[section], each) for section, each in scopes.items())
    read = [
        scope.get("OBX")
        for plan, each in plans
        if any(place.segment == "OBX" for rule in plan for place in rule.places)
        for scope in each
    ]
    for row in rows:
        if row.text(5).strip() and not any(row is one for one in read):
            notes.warn("NOTE_NOT_PASSED_ON", notes.message.path(row, 5))


def _by_number(reading: Reading, head: Scope, drugs: list[list[Segment]]) -> dict[str, list[list[Segment]]]:
    """Drugs of one prescription: those of one code, else of one group of orders, else each placer number by itself."""
    plans = reading.dialect.plans
    names = tuple(rule for rule in plans["prescription"] if rule.name in ("ma_don_thuoc", "group"))
    names += tuple(rule for rule in plans["prescription_line"] if rule.name == "line_id")
    found: dict[str, list[list[Segment]]] = {}
    for run in drugs:
        numbers: Record = {}
        fill(names, head | firsts(run), numbers, reading.notes())
        number = numbers.get("ma_don_thuoc", "").lower() or numbers.get("group") or numbers.get("line_id", "")
        found.setdefault(number, []).append(run)
    return found


def _read_dose(reading: Reading, timing: Segment, line: Record, notes: Notes, at: str) -> None:
    """TQ1-2, with its own unit, whatever RXE-5 says: a number without its unit is another dose."""
    stated = timing.get(2)
    number = pointed(stated, reading.dialect.comma)
    if number and (dose := _QUANTITY(number)):
        line["dose"] = dose
        line.pop("dose_unit", None)
        if unit := timing.get(2, 2, 2) or timing.get(2, 2):
            line["dose_unit"] = unit
    elif stated:
        notes.unreadable(unread_number(stated), timing, 2, f"{at}dose", stated)


def _read_drug(reading: Reading, scope: Scope, run: list[Segment], notes: Notes, at: str) -> Record:
    line: Record = {"code": {}}
    routes = _routes(run)
    if routes:
        scope = scope | {"RXR": routes[0]}
    fill(reading.dialect.plans["prescription_line"], scope, line, notes, at)
    for another in routes[1:]:
        if another.text(1) != routes[0].text(1):  # DUONG_DUNG is one code
            notes.unreadable("FIELD_REPEATS", another, 1, f"{at}duong_dung", another.text(1))
    if label := reading.dialect.labels.in_words(in_words(line)):
        notes.labels.add(label)
    code = line["code"]
    if look_up(code.get("system", "VN-THUOC"), reading.dialect.codes["item_system"]) is not None and code.get("code"):
        line["ma_thuoc"] = code["code"]
    if code.get("alt_system", "") not in _REGISTERED_BY:
        line.pop("so_dang_ky", None)
    strength = next(
        ((scope[name].words(at), scope[name].words(at + 1)) for name, at in (("RXE", 25), ("RXO", 18)) if name in scope), None
    )
    if strength and strength[0]:
        line["ham_luong"] = " ".join(filter(None, strength))
    timing = scope.get("TQ1")
    if timing is not None and timing.get(6):
        line["duration"] = f"{timing.get(6)} {timing.get(6, 2)}".strip()
    if timing is not None and "dose" not in line and f"{at}dose" not in notes.cleared:
        _read_dose(reading, timing, line, notes, at)
    _reckon(reading, line)
    _tell_uncounted(reading, scope, line, notes)
    parts = [
        _read_part(reading, segment, notes, f"{at}parts[{n}].") for n, segment in enumerate(s for s in run if s.name == "RXC")
    ]
    if parts:
        line["parts"] = parts
    if remarks := notes_of(run):
        line["notes"] = remarks
    return line


def _routes(run: list[Segment]) -> list[Segment]:
    """The RXR of a drug that say a route; of one that is ordered and encoded, those of the encoding, if it has any."""
    last = max(number for number, segment in enumerate(run) if segment.name in _DRUGS)
    routes = [segment for segment in run if segment.name == "RXR" and segment.text(1).strip()]
    return [segment for segment in run[last:] if segment in routes] or routes


def _read_part(reading: Reading, segment: Segment, notes: Notes, at: str) -> Record:
    part: Record = {"code": {}}
    fill(reading.dialect.plans["prescription_part"], {"RXC": segment}, part, notes, at)
    return part


def _reckon(reading: Reading, line: Record) -> None:
    """What timing and duration say in numbers, and LIEU_DUNG out of them: amount * times a day * days."""
    timing = line.get("timing", "")
    every = _EVERY_HOURS.fullmatch(timing)
    times = str(24 // int(every[1])) if every else look_up(timing, reading.dialect.codes["times_a_day"])
    if times:
        line["times_a_day"] = Decimal(times).quantize(_PLACES)
    found = _DURATION.fullmatch(line.get("duration", ""))
    days = Decimal(0)  # of a duration of nothing too, which is none
    if found and found["old"]:
        days = Decimal(found["m"]) * (7 if found["old"] == "W" else 1)
    elif found:
        days = Decimal(found["n"]) * _DAYS.get(found["unit"].lower(), 0)
    if days:
        line["days"] = days.quantize(_PLACES)
    if {"dose", "times_a_day", "days"} <= line.keys():
        dose, often, long = (format(line[name].normalize(), "f") for name in ("dose", "times_a_day", "days"))
        line["lieu_dung"] = f"{dose} {line.get('dose_unit', '')}".strip() + f" * {often} lần/ngày * {long} ngày"


def _tell_uncounted(reading: Reading, scope: Scope, line: Record, notes: Notes) -> None:
    """That timing or duration says no number the hub can reckon with, so that LIEU_DUNG is missing; both go on as they were sent."""
    timing, duration = line.get("timing", ""), line.get("duration", "")
    if timing and "times_a_day" not in line and not _UNCOUNTED.fullmatch(timing):
        notes.warn("CODE_UNKNOWN", _said_at(reading, scope, "timing", timing))
    if duration and "days" not in line and not _ENDLESS.fullmatch(duration):
        own = scope["TQ1"] if "TQ1" in scope and scope["TQ1"].get(6) else None
        at = reading.message.path(own, 6) if own is not None else _said_at(reading, scope, "duration", duration)
        notes.warn("NUMBER_UNPARSABLE", at)


def _said_at(reading: Reading, scope: Scope, name: str, value: str) -> str:
    rule = next(rule for rule in reading.dialect.plans["prescription_line"] if rule.name == name)
    found, first = place_of(value, rule, scope), rule.places[0]
    return reading.message.path(*found) if found else f"{first.segment}-{first.field}"


_QUANTITY: Final = TRANSFORMS["quantity"].function
_PLACES: Final = Decimal("0.001")
