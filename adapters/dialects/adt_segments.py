"""Encounters and registrations as segments: what `render` writes as ADT. Each value stands where `_standard.toml` reads it first.

Where the structure of a trigger has no IN1 the cards stand in PID-3 alone, and where it has no NK1 the mother's number in PID-21;
other segments are written even there, since a recipient passes over what it does not expect.
"""

from decimal import Decimal
from typing import Final

from adapters.dialects.clinical_segments import (
    Segments,
    allergy_segments,
    code,
    diagnosis_segments,
    guardian_segments,
    identifier_list,
    insurance_segments,
    licence,
    person_segment,
    segment,
    visit_segment,
)
from adapters.formats.hl7v2 import Value
from hub.contract.events import Event

_ENCOUNTERS: Final = {  # action to trigger and structure
    "UPDATED": ("A08", "ADT_A01"),
    "CLOSED": ("A03", "ADT_A03"),
    "PLANNED": ("A05", "ADT_A05"),
    "TRANSFERRED": ("A02", "ADT_A02"),
    "TRANSFER_CANCELLED": ("A12", "ADT_A12"),
    "CANCELLED": ("A11", "ADT_A09"),
    "REOPENED": ("A13", "ADT_A01"),
}
_REGISTRATIONS: Final = {
    "REGISTERED": ("A28", "ADT_A05"),
    "UPDATED": ("A31", "ADT_A05"),
    "DELETED": ("A29", "ADT_A21"),
    "MERGED": ("A40", "ADT_A39"),
    "MOVED": ("A43", "ADT_A43"),
    "LINKED": ("A24", "ADT_A24"),
    "UNLINKED": ("A37", "ADT_A37"),
}
_INSURED: Final = frozenset({"ADT_A01", "ADT_A03", "ADT_A05", "ADT_A06"})  # with NK1 too, ADT_A03 from 2.5
_NOT_A_VISIT: Final = "N"  # PV1-2, table 0004
_VISITED: Final = frozenset({"ADT_A05", "ADT_A21"})  # structures that ask for a PV1
Form = tuple[str, str, str]
"""MSH-9: code, trigger, structure."""


# --- encounters -------------------------------------------------------------------------------------------------------


def encounter_form(event: Event) -> Form:
    """Which message an encounter becomes."""
    action, inpatient = event.get("action", ""), event.get("patient_class") == "I"
    if action == "CLASS_CHANGED":
        return ("ADT", "A06" if event.get("ngay_vao_noi_tru") else "A07", "ADT_A06")
    return ("ADT", *_ENCOUNTERS.get(action, ("A01" if inpatient else "A04", "ADT_A01")))


def encounter_segments(event: Event, form: Form, recorded_at: str, version: str) -> Segments:
    """What follows MSH in ADT of a visit. recorded_at: for EVN-2."""
    person, reason = event.get("person") or {}, event.get("ly_do_vnt") or event.get("ly_do_vv", "")
    happening = segment("EVN", {2: recorded_at, 6: event.get("ngay_vao_noi_tru", "")})
    observed, clinical = _observed(event), [*allergy_segments(event), *diagnosis_segments(event), *_procedures(event)]
    return [
        happening,
        person_segment(person),
        *(guardian_segments(person) if form[2] in _INSURED and (form[2] != "ADT_A03" or version >= "2.5") else []),
        _visit(event),
        *([segment("PV2", {3: ("", reason)})] if reason else []),
        *([*clinical, *observed] if form[2] == "ADT_A03" else [*observed, *clinical]),
        *(insurance_segments(person) if form[2] in _INSURED else []),
        *([segment("ACC", {2: event["ma_tai_nan"]})] if event.get("ma_tai_nan") else []),
        *_local(event),
    ]


def _visit(event: Event) -> list[Value]:
    return visit_segment(
        event,
        {
            2: event.get("patient_class", ""),
            3: (event.get("ma_khoa", ""), "", event.get("ma_giuong", "")),
            4: event.get("admission_type", ""),
            6: event.get("department_before", ""),
            7: licence(event.get("ma_bac_si", "")),
            14: event.get("admit_source", ""),
            20: event.get("ma_doituong_kcb", ""),
            36: event.get("ma_loai_rv", ""),
            37: event.get("ma_noi_den", ""),
            44: event.get("ngay_vao", ""),
            45: event.get("ngay_ra", ""),
        },
    )


def _local(event: Event) -> Segments:
    """ZIN and ZCL, where there is anything to say in them."""
    percent: Decimal | None = event.get("muc_huong")
    insurance = {
        2: event.get("ma_dkbd", ""),
        3: event.get("ma_khuvuc", ""),
        4: event.get("nam_nam_lien_tuc", ""),
        5: event.get("ngay_mien_cct", ""),
        6: event.get("card_check", ""),
        7: event.get("card_checked_at", ""),
        8: "" if percent is None else format(percent, "f"),
        9: event.get("ma_doituong_kcb", ""),
        10: event.get("ma_noi_di", ""),
        11: event.get("slip", ""),
        12: event.get("slip_date", ""),
        13: event.get("ma_nghe_nghiep", ""),
    }
    claim = {3: event.get("ma_loai_kcb", ""), 5: event.get("ket_qua_dtri", "")}
    return [
        *([segment("ZIN", {1: "1", **insurance})] if any(insurance.values()) else []),
        *([segment("ZCL", {**claim})] if any(claim.values()) else []),
    ]


def _observed(event: Event) -> Segments:
    rows: Segments = []
    if event.get("can_nang"):
        rows.append(segment("OBX", {2: "NM", 3: ("VN-CN", "Cân nặng"), 5: event["can_nang"], 6: "kg", 11: "F"}))
    if event.get("nhom_mau"):
        rows.append(segment("OBX", {2: "CE", 3: ("VN-NM", "Nhóm máu"), 5: ("", event["nhom_mau"]), 11: "F"}))
    for number, row in enumerate(rows, 1):
        row[1] = str(number)
    return rows


def _procedures(event: Event) -> Segments:
    return [
        segment(
            "PR1",
            {
                1: str(n),
                3: code(each.get("code") or {}),
                5: each.get("performed_at", ""),
                11: licence(each.get("ma_bac_si", "")),
            },
        )
        for n, each in enumerate(event.get("procedures") or [], 1)
    ]


# --- registrations ----------------------------------------------------------------------------------------------------


def registration_form(event: Event) -> Form:
    """Which message a registration becomes."""
    return ("ADT", *_REGISTRATIONS.get(event.get("action", ""), _REGISTRATIONS["UPDATED"]))


def registration_segments(event: Event, form: Form, recorded_at: str) -> Segments:
    """What follows MSH in ADT of a person. recorded_at: for EVN-2."""
    person, structure = event.get("person") or {}, form[2]
    return [
        segment("EVN", {2: recorded_at}),
        person_segment(person, event.get("ma_lk", "")),
        *_merged(event),
        *([segment("PID", {1: "2", 3: identifier_list(event["linked"])})] if event.get("linked") else []),
        *(guardian_segments(person) if structure in _INSURED else []),
        *([segment("PV1", {1: "1", 2: _NOT_A_VISIT})] if structure in _VISITED else []),
        *allergy_segments(event),
        *(insurance_segments(person) if structure in _INSURED else []),
    ]


def _merged(event: Event) -> Segments:
    """MRG; a further one for each two visits that the first has no place for."""
    numbers, visits = event.get("merged") or [], [*(event.get("merged_visits") or [])]
    pairs = [visits[at : at + 2] for at in range(0, len(visits), 2)] or ([[]] if numbers else [])
    return [
        segment(
            "MRG",
            {1: identifier_list(numbers) if n == 0 else "", 3: pair[0] if pair else "", 5: pair[1] if len(pair) > 1 else ""},
        )
        for n, pair in enumerate(pairs)
    ]
