"""DFT^P03 and P11 → `hie.Charge`. Source: `seeds/standards/hl7-mapping.md` §3.2 (ZFT), §4.6 and §5.

One event a message and encounter, with a line for each FT1: what a message takes back and puts in its place takes effect
together, and a claim is assembled from as many records as there were messages.
"""

import re
from decimal import Decimal
from typing import Any, Final

from adapters.dialects.paths import Notes, Scope, fill, look_up, place_of, read_words
from adapters.dialects.persons import in_words, read_diagnoses, read_person
from adapters.dialects.reading import Reading, tell_beside
from adapters.dialects.runs import Patient, firsts, notes_of, patients
from adapters.dialects.transforms import POINT_DOUBTFUL, codes_apart
from adapters.formats.hl7v2 import Segment
from hub.contract.charge_lines import replaced

Record = dict[str, Any]

NAMES: Final = {"ma_thuoc": "ten_thuoc", "ma_dich_vu": "ten_dich_vu", "ma_vat_tu": "ten_vat_tu"}
_DONG: Final = Decimal(1)  # what rounding may leave out
_SUMS: Final = frozenset({"so_luong", "don_gia_bv", "don_gia_bh", "thanh_tien_bv", "thanh_tien_bh"})  # of a charge one at least
_AMOUNT: Final = 11  # of FT1
_ILLNESSES: Final = 19  # of FT1
_PERFORMED_BY: Final = 20  # of FT1: behind the diagnosis
_ILLNESS: Final = re.compile(r"[A-Z]\d{2}\.\d{1,2}")  # with its dot, as without one people's own codes look alike
_THOUSAND: Final = Decimal(1000)  # an amount below it may be one whose point was misread
_SMALLEST: Final = Decimal(100)  # dong; what costs less has lost its thousands somewhere
_KINDS: Final = ("CHARGE", "CREDIT", "PAYMENT", "ADJUSTMENT", "")  # none stated is a charge
_OWED: Final = ("CHARGE", "")  # what cannot be less than nothing: what is taken back is a CREDIT
_ORDERS: Final = frozenset({"ORC", "OBR"})


def map_charges(reading: Reading, _trigger: str) -> None:
    """Refused without FT1."""
    for patient in patients(reading.message, lambda name, _: name == "FT1"):
        if patient.runs:
            _publish(reading, patient)
    if not reading.events:
        reading.refuse("NOTHING_REPRESENTABLE", "FT1")


def _publish(reading: Reading, patient: Patient) -> None:
    notes, dialect = reading.notes(), reading.dialect
    head = reading.scope(patient.head)
    if "PID" not in head:
        notes.warn("SEGMENT_MISSING", "PID")
    charge: Record = {"action": "POSTED", "person": read_person(reading, head, patient.named("IN1"), notes)}
    fill(dialect.plans["charge"], head, charge, notes)
    if reading.context.facility:
        charge["ma_cskcb"] = reading.context.facility
    if diagnoses := read_diagnoses(dialect, patient.named("DG1"), notes):
        charge["diagnoses"] = diagnoses
    if sum(segment.name == "ORC" for segment in patient.head) > 1:  # orders before the lines: nobody can say whose they are
        head = {name: segment for name, segment in head.items() if name not in _ORDERS}
    charge["lines"] = [
        _read_line(reading, head | firsts(run), run, notes, f"lines[{number}].") for number, run in enumerate(patient.runs)
    ]
    _tell_shared(reading, patient, charge["lines"], notes)
    reading.publish("hie.Charge", charge, charge.get("ma_lk", ""), notes, key_path="PV1-19")


def _tell_shared(reading: Reading, patient: Patient, lines: list[Record], notes: Notes) -> None:
    """That different services stand under one FT1-2: a claim that the hub assembles takes the later for a correction of the earlier."""
    for _, number in replaced([{"lines": lines}]):
        notes.warn("LINE_NUMBER_SHARED", reading.message.path(patient.runs[number][0], 2))


def _read_line(reading: Reading, scope: Scope, run: list[Segment], notes: Notes, at: str) -> Record:
    line: Record = {"code": {}}
    fill(reading.dialect.plans["charge_line"], scope, line, notes, at)
    tell_beside(reading.dialect.plans["charge_line"], ("ngay_yl",), scope, line, notes)
    said = run[0]
    _place(reading, line, said, notes)
    _tell_illnesses(line, said, notes, at)
    if line.get("kind", "") not in _KINDS:
        notes.warn("CHARGE_KIND_UNKNOWN", reading.message.path(said, 6))
    if "ma_benh" not in line and _ILLNESS.fullmatch(said.get(_PERFORMED_BY).strip()):
        notes.warn("FIELDS_SHIFTED", reading.message.path(said, _PERFORMED_BY))
    if amount := line.get("thanh_tien_bv"):
        _tell_doubtful(reading, line, abs(amount), scope, notes)
    if line.get("kind", "") in _OWED and (line.get("so_luong", 0) < 0 or line.get("thanh_tien_bv", 0) < 0):
        notes.warn("AMOUNT_DOUBTFUL", reading.message.path(said, 10 if line.get("so_luong", 0) < 0 else 11))
    known = reading.dialect.labels
    labels = [known.of_illness(illness) for illness in line.get("ma_benh", "").split(";")]
    notes.labels.update(label for label in (*labels, known.in_words(in_words(line))) if label)
    if line.get("kind") == "CREDIT":  # without an amount it takes back all of the line that it names
        if "cancels" not in line:
            notes.warn("FIELD_MISSING", reading.message.path(said, 31))
    elif _SUMS.isdisjoint(line) and not any(f"{at}{name}" in notes.unparsed for name in _SUMS):
        notes.warn("FIELD_MISSING", reading.message.path(said, _AMOUNT))
    if remarks := notes_of(run):
        line["notes"] = remarks
    return line


def _tell_illnesses(line: Record, said: Segment, notes: Notes, at: str) -> None:
    """That FT1-19 says more than the codes that were read there: a line has no place for words of a diagnosis."""
    read = set(line.get("ma_benh", "").split(";"))
    stated = [codes_apart(said.words(_ILLNESSES, 1, n)) for n, _ in enumerate(said.repetitions(_ILLNESSES), 1)]
    known = {code for codes, _ in stated for code in codes}
    if any(more for _, more in stated) or (known & read and known - read):
        notes.unreadable("CODE_UNKNOWN", said, _ILLNESSES, f"{at}ma_benh", said.text(_ILLNESSES))


def _tell_doubtful(reading: Reading, line: Record, amount: Decimal, scope: Scope, notes: Notes) -> None:
    """That an amount is not quantity times price, or, where none is stated, so written that its point may stand between thousands."""
    quantity, price = abs(line.get("so_luong", 0)), abs(line.get("don_gia_bv", 0))
    product = quantity * price
    shares = (1, line.get("tyle_tt_dv", 100) / Decimal(100))  # of a service that is paid in part
    differs = product and all(abs(product * share - amount) > max(_DONG, quantity / 2) for share in shares)
    tiny = reading.dialect.point == "thousands" and amount < _SMALLEST
    if not differs and not tiny and amount >= _THOUSAND:
        return
    rule = next(one for one in reading.dialect.plans["charge_line"] if one.name == "thanh_tien_bv")
    found = place_of(line["thanh_tien_bv"], rule, scope)
    if differs or tiny or (found and POINT_DOUBTFUL.fullmatch(found[0].get(found[1]).strip())):
        notes.warn("AMOUNT_DOUBTFUL", reading.message.path(*found) if found else "FT1-11")


def _place(reading: Reading, line: Record, said: Segment, notes: Notes) -> None:
    """Into which official element, and so into which table, the code goes: by its system, else by MA_NHOM, else by the row of the
    profile for codes that state no system."""
    code, systems, groups = line["code"], reading.dialect.codes["item_system"], reading.dialect.codes["item_group"]
    found = {
        element: (code.get(number, ""), code.get(name, ""))
        for system, number, name in (("system", "code", "display"), ("alt_system", "alt_code", "alt_display"))
        if system in code and (element := look_up(code[system], systems)) is not None
    }
    if not found:
        otherwise = look_up("", systems) if code and "system" not in code else None
        if element := look_up(line.get("ma_nhom", ""), groups) or otherwise:
            found[element] = (code.get("code", ""), code.get("display", ""))
    if not found:
        if code:
            notes.warn("CODE_UNKNOWN", reading.message.path(said, 7, 3))
        return
    description = read_words(said, 8).strip()
    for element, (number, name) in found.items():
        if number:
            line[element] = number
        if name := name or (description if len(found) == 1 else ""):
            line.setdefault(NAMES[element], name)  # a rule of the profile found another
    line["table"] = "XML2" if "ma_thuoc" in found else "XML3"
