"""ADT of visits and stays → `hie.Encounter`. Source: `seeds/standards/hl7-mapping.md` §3.2–3.3 and §4; HL7 v2.5.1 chapter 3."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from adapters.dialects.paths import Notes, Scope, choose, fill, look_up, place_of, tell_unread
from adapters.dialects.persons import (
    in_words,
    is_social,
    read_allergies,
    read_diagnoses,
    read_person,
    read_procedures,
)
from adapters.dialects.reading import Reading, tell_beside, tell_left_early
from adapters.dialects.sections import CODED_AS
from adapters.dialects.transforms import exact, percent, pointed
from adapters.formats.charset import without_marks
from adapters.formats.hl7v2 import Segment
from hub.contract import directory
from hub.contract.errors import Problem, Severity

ENCOUNTER_ACTIONS: Final = {
    "A01": "OPENED",
    "A02": "TRANSFERRED",
    "A03": "CLOSED",
    "A04": "OPENED",
    "A05": "PLANNED",
    "A06": "CLASS_CHANGED",
    "A07": "CLASS_CHANGED",
    "A08": "UPDATED",
    "A11": "CANCELLED",
    "A12": "TRANSFER_CANCELLED",
    "A13": "REOPENED",
    "A14": "PLANNED",
    "A17": "TRANSFERRED",  # two patients change places
    "A23": "CANCELLED",  # a visit entered in error
    "A27": "CANCELLED",  # a pending admission
    "A38": "CANCELLED",  # a pre-admission
    # What these tell besides (a walk to another room, a pending step, leave of absence) has no place in the event; all else has.
    **dict.fromkeys(("A09", "A10", "A15", "A16", "A25", "A26", "A32", "A33"), "UPDATED"),
    **dict.fromkeys(("A21", "A22", "A52", "A53", "A54", "A55", "A61", "A62"), "UPDATED"),
}
_FACILITIES: Final = frozenset({"ma_noi_den", "ma_noi_di"})  # of others: named by their codes, or nobody knows who is meant
_ADMITTED: Final = "A06"  # an outpatient becomes an inpatient: time and reason have names of their own, which nobody else has
_CLASSES: Final = frozenset("BCEINOPRU")  # table 0004
_INPATIENT: Final = "03"  # MA_LOAI_KCB
_SHORT: Final = "09"  # the same, of a stay that is shorter than
_SHORT_STAY: Final = timedelta(hours=4)
_COMMUNE: Final = "06"
_MINUTE: Final = "%Y%m%d%H%M"
_LIKE_A_NUMBER: Final = re.compile(r"(?=(?:\D*\d){4})[A-Za-z\d][\w./-]{4,}")  # of a visit: BA25-7001; not a class such as BHYT80
_WEIGHED: Final = re.compile(r"(\d[\d.,]*)\s*(\D+)")  # a weight with its unit in one text: 2150g
_UNIT: Final = 6  # of OBX: a code, a text, their alternates and the original text, in
_PARTS_OF_UNIT: Final = (1, 2, 4, 5, 9)
_WORD: Final = re.compile(r"[a-z]+")
_KILOGRAMS: Final = frozenset(
    ["kg", "kgs", "k", "kilo", "kilos", "kilogram", "kilograms", "kilogramme", "kilogam", "ki", "ky"]
)  # first words, without marks
_GRAMS: Final = frozenset(["g", "gr", "grs", "gm", "gms", "grm", "gram", "grams", "gramme", "gam"])
_NO_UNIT: Final = frozenset({"n/a", "na"})
_WEIGHT: Final = exact(24, 9)
_HEAVIEST: Final = 500  # kg; beyond it the unit, stated or not, is another one
_LIGHTEST: Final = Decimal("0.1")  # kg of who weighs in grams: below it kg were meant, or a point stands between thousands
_GROUP_AND_LEVEL: Final = re.compile(r"(?:[A-Z]{2})?([1-5])")  # of a card, as IN1-15 states them


def map_encounter(reading: Reading, trigger: str) -> None:
    """One event a visit: two for a swap of beds (A17), else one; refused without a PID, as nobody came."""
    message = reading.message
    if message.first("PID") is None:
        reading.refuse("NOTHING_REPRESENTABLE", "PID")
        return
    for segments in message.groups("PID") if trigger == "A17" else [message.segments_in_order]:
        _publish(reading, trigger, segments)


def _publish(reading: Reading, trigger: str, segments: Sequence[Segment]) -> None:
    dialect = reading.dialect
    notes = reading.notes()
    scope = reading.scope(segments)
    if "EVN" not in scope and (event := reading.message.first("EVN")):
        scope["EVN"] = event
    if "OBX" in scope:
        scope |= choose("OBX", [segment for segment in segments if segment.name == "OBX"])
    policies = [segment for segment in segments if segment.name == "IN1"]
    person = read_person(reading, scope, policies, notes)
    content: dict[str, Any] = {"action": ENCOUNTER_ACTIONS[trigger], "person": person}
    fill(dialect.plans["encounter"], scope, content, notes)
    tell_left_early(dialect.plans["encounter"], scope, content, notes)
    tell_beside(dialect.plans["encounter"], ("ngay_vao", "ngay_ra"), scope, content, notes)
    _tell_number_for_class(scope, content, notes)
    if "can_nang" in content:
        _weigh(reading, scope, content, notes)
    tell_unread(_FACILITIES, dialect.plans["encounter"], scope, content, notes)
    if trigger == _ADMITTED:
        fill(dialect.plans["admission"], scope, content, notes)
        if reason := content.pop("ly_do_vv", None):
            content["ly_do_vnt"] = reason
    if label := dialect.labels.in_words(in_words(content)):
        notes.labels.add(label)
    if diagnoses := read_diagnoses(dialect, segments, notes):
        content["diagnoses"] = diagnoses
    if "PR1" in scope and (procedures := read_procedures(reading, segments, notes)):
        content["procedures"] = procedures
    if "AL1" in scope and (allergies := read_allergies(reading, segments, notes)):
        content["allergies"] = allergies
    if reading.context.facility:
        content["ma_cskcb"] = reading.context.facility
    _value_maps(reading, content, scope, notes)
    _benefit_level(reading, content, policies, notes)
    reading.publish("hie.Encounter", content, content.get("ma_lk", ""), notes, key_path="PV1-19")


def _tell_number_for_class(scope: Scope, content: dict[str, Any], notes: Notes) -> None:
    """That what no rule knows as a class of patient (PV1-20) looks like the number of the visit, which is missing: it slipped there."""
    visit = scope.get("PV1")
    if visit is None or "ma_lk" in content or visit.field(19) or not _LIKE_A_NUMBER.fullmatch(visit.get(20).strip()):
        return
    path = notes.message.path(visit, 20)
    unknown = Problem("CODE_UNKNOWN", Severity.WARNING, path)
    if unknown in notes.problems:
        del notes.problems[unknown]  # it is kept beside the event all the same, and told once
        notes.warn("FIELDS_SHIFTED", path)


def _weigh(reading: Reading, scope: Scope, content: dict[str, Any], notes: Notes) -> None:
    """CAN_NANG in kg with a point, by the comma of the profile and the unit that its OBX states: grams are converted, exactly. What
    is no number, in a unit that nobody knows, or weighs more than anybody, is told and kept beside the event with its unit; without a
    unit it is in kg."""
    said: str = content["can_nang"]
    found = place_of(said, next(rule for rule in reading.dialect.plans["encounter"] if rule.name == "can_nang"), scope)
    if found is None:
        return
    segment, field = found
    stated, at, units, sent = said, field, [""], said
    if (apart := _WEIGHED.fullmatch(said)) is not None:
        stated, units = apart[1], [apart[2]]
    elif segment.name == "OBX":
        behind = segment.get(field, 2)  # of CQ
        at, units = (field, [behind]) if behind else (_UNIT, [segment.get(_UNIT, part) for part in _PARTS_OF_UNIT])
        sent = f"{said} {behind or segment.text(_UNIT)}".strip()
    words = {word for unit in units if (word := _unit(unit))}
    in_grams = not words.isdisjoint(_GRAMS) and words.isdisjoint(_KILOGRAMS)
    plain = pointed(stated, reading.dialect.comma)
    if plain is None and not in_grams:
        plain = stated  # 62.500 kg: by the other reading, of thousands, nobody weighs that
    number = _WEIGHT(plain or "")
    weight = number.scaleb(-3) if number is not None and in_grams else number
    if words and not in_grams and words.isdisjoint(_KILOGRAMS):
        del content["can_nang"]
        notes.unreadable("CODE_UNKNOWN", segment, at, "can_nang", sent)
    elif weight is None or weight > _HEAVIEST or (in_grams and weight < _LIGHTEST):
        del content["can_nang"]
        notes.unreadable("NUMBER_DOUBTFUL" if plain is None else "NUMBER_UNPARSABLE", segment, field, "can_nang", sent)
    else:
        content["can_nang"] = format(weight.normalize(), "f")


def _unit(said: str) -> str:
    """The word of a unit, without marks or what stands behind it; "" where it says none.

    >>> _unit("Kilôgam"), _unit("Kg (cân nặng)"), _unit("ký"), _unit("-"), _unit("N/A")
    ('kilogam', 'kg', 'ky', '', '')
    """
    text = without_marks(said).casefold().strip()
    word = None if text in _NO_UNIT else _WORD.search(text)
    return word[0] if word else ""


def _value_maps(reading: Reading, content: dict[str, Any], scope: Scope, notes: Notes) -> None:
    """What follows from PV1 by the value maps of §3.3, where nothing states it. A class of the visit (PV1-2) that neither a map nor
    HL7 knows is told, as MA_LOAI_KCB is missing then."""
    codes, visit = reading.dialect.codes, scope.get("PV1")
    patient_type, disposition = (visit.get(18), visit.get(36)) if visit is not None else ("", "")
    kind = content.get("patient_class", "")
    form = look_up(f"{kind}/{patient_type}", codes["care_form"]) or look_up(kind, codes["care_form"])
    if form == _INPATIENT:
        facility = directory.facilities().get(reading.context.facility)
        if facility is not None and facility.kind == "commune station":
            form = _COMMUNE
        elif _is_short(content):
            form = _SHORT
    if form:
        content.setdefault("ma_loai_kcb", form)
    elif kind and kind.upper() not in _CLASSES and "ma_loai_kcb" not in content:
        rule = next(rule for rule in reading.dialect.plans["encounter"] if rule.name == "patient_class")
        found = place_of(kind, rule, scope)
        notes.warn("CODE_UNKNOWN", reading.message.path(*found) if found else "PV1-2")
    if kind == "E":
        content.setdefault("ma_doituong_kcb", "2")
    if died := look_up(disposition, codes["death"]):
        content.setdefault("ket_qua_dtri", died)


def _benefit_level(reading: Reading, content: dict[str, Any], policies: Sequence[Segment], notes: Notes) -> None:
    """MUC_HUONG by the level of the card in IN1-15, where nothing else is said of it: a default, which the card's look-up may correct.
    What no row of the profile has, and is no level, is told and kept beside the event.

    Where the card itself has a digit for its level, that one counts (identifiers.md §2).
    """
    if "muc_huong" in content or "muc_huong" in notes.cleared or "muc_huong" in notes.unparsed:
        return
    cards = [each["normalised"] for each in content["person"].get("identifiers", ()) if each.get("type") == "BHYT_CARD"]
    levels = [card[2] for card in cards if len(card) == 15]
    table = reading.dialect.codes.get("benefit_level", {})
    stated = [
        (policy, said)
        for policy in policies
        if is_social(reading.dialect.identifiers, policy) and (said := policy.get(15).strip())
    ]
    rates = [_rate(said, table) for _, said in stated]
    rate = table.get(levels[0], "") if levels and any(found != "" for found in rates) else next(filter(None, rates), "")
    if (level := percent(rate)) is not None:
        content["muc_huong"] = level
    elif None in rates:
        policy, said = stated[rates.index(None)]
        notes.unreadable("CODE_UNKNOWN", policy, 15, "muc_huong", said)


def _rate(stated: str, table: Mapping[str, str]) -> str | None:
    """What a row says of IN1-15 as it stands, else of the digit of a level, else what it states itself in percent; "" of what the
    profile knows to be none, None of anything else."""
    found = look_up(stated, table)
    if found is None and (level := _GROUP_AND_LEVEL.fullmatch(stated.upper())) is not None:
        found = table.get(level[1])
    if found is None and stated.removesuffix("%").strip() in CODED_AS["benefit_level"]:
        found = stated
    return found


def _is_short(content: dict[str, Any]) -> bool:
    if content["action"] != "CLOSED" or not (content.get("ngay_vao") and content.get("ngay_ra")):
        return False
    try:
        stay = datetime.strptime(content["ngay_ra"], _MINUTE) - datetime.strptime(content["ngay_vao"], _MINUTE)
    except ValueError:  # 30 February
        return False
    return timedelta() <= stay < _SHORT_STAY
