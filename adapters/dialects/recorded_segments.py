"""Charges, prescriptions, documents, catalogue changes and reports of resources as segments: what `render` writes for them.

As in `clinical_segments`, each value stands where `vendors/_standard.toml` reads it first.
"""

import base64
from decimal import Decimal
from typing import Any, Final

from adapters.dialects.clinical_segments import (
    Segments,
    allergy_segments,
    code,
    diagnosis_segments,
    insurance_segments,
    known_part,
    licence,
    name_parts,
    note_segments,
    person_segment,
    segment,
    visit_segment,
)
from adapters.formats.hl7v2 import Value
from hub.contract.events import Event

_KINDS: Final = {"CHARGE": "CG", "CREDIT": "CD", "PAYMENT": "PY", "ADJUSTMENT": "AJ"}
_CONTROL: Final = {"ISSUED": "NW", "CHANGED": "XO", "CANCELLED": "CA", "HELD": "HD"}
_MASTER_FILE: Final = {"ADDED": "MAD", "UPDATED": "MUP", "DEACTIVATED": "MDC", "REACTIVATED": "MAC", "DELETED": "MDL"}
_SEX: Final = {"1": "M", "2": "F", "3": "O"}
_FIGURES: Final = {
    "BED": ("VN-GIUONG", {"total": "", "in_use": "-SD", "free": "-TR"}),
    "ICU_BED": ("VN-GIUONG-HSTC", {"total": "", "in_use": "-SD", "free": "-TR"}),
    "VENTILATOR": ("VN-MAYTHO", {"total": "", "in_use": "-SD", "free": "-TR"}),
    "STAFF": ("VN-NHANLUC", {"total": "", "in_use": "-TRUC", "free": "-TR"}),
}
_PLACES: Final = {"ma_khoa": "VN-KHOA", "speciality": "VN-CHUYENKHOA", "level": "VN-TRINHDO"}


def plain(number: Decimal | int | None) -> str:
    """A number without an exponent; "" for none."""
    return "" if number is None else format(number, "f") if isinstance(number, Decimal) else str(number)


def money(amount: Decimal | None) -> Value:
    """CP of an amount in VND."""
    return ((plain(amount), "VND"),) if amount is not None else ""


def _each(text: str) -> Value:
    """The official form of several codes, `;` between them, as repetitions."""
    return [*text.split(";")] if text else ""


# --- DFT --------------------------------------------------------------------------------------------------------------


def charge_segments(event: Event, recorded_at: str) -> Segments:
    """What follows MSH in DFT^P03. recorded_at: for EVN-2."""
    person = event.get("person") or {}
    return [
        ["EVN", "", recorded_at],
        person_segment(person),
        visit_segment(event, {2: event.get("patient_class", "")}),
        *(row for number, line in enumerate(event.get("lines") or [], 1) for row in _charge_line(number, line)),
        *diagnosis_segments(event),
        *insurance_segments(person),
    ]


def _charge_line(number: int, line: Event) -> Segments:
    sent = line.get("code") or {}
    name = next((line[each] for each in ("ten_thuoc", "ten_dich_vu", "ten_vat_tu") if line.get(each)), "")
    transaction = {
        1: str(number),
        2: line.get("line_id", ""),
        4: line.get("ngay_th_yl", ""),
        5: line.get("posted_at", ""),
        6: _KINDS.get(line.get("kind", ""), line.get("kind", "")),
        7: code(sent),
        8: "" if sent.get("display") else name,
        10: plain(line.get("so_luong")),
        11: money(line.get("thanh_tien_bv")),
        13: line.get("ma_khoa", ""),
        15: money(line.get("insurance_amount")),
        16: ("", "", line["ma_giuong"]) if line.get("ma_giuong") else "",
        19: _each(line.get("ma_benh", "")),
        20: _each(line.get("nguoi_thuc_hien", "")),
        21: _each(line.get("ma_bac_si", "")),
        22: money(line.get("don_gia_bv")),
        23: line.get("filler", ""),
        25: _each(line.get("ma_pttt_qt", "")),
        31: line.get("cancels", ""),
    }
    said = [
        line.get("ma_nhom"), line.get("pham_vi"), line.get("tyle_tt_dv"), line.get("tyle_tt_bh"), line.get("muc_huong"),
        line.get("don_gia_bh"), line.get("tt_thau"), line.get("ma_pttt"), line.get("ma_may"), line.get("goi_vtyt"),
        line.get("t_nguonkhac_nsnn"), line.get("t_nguonkhac_vtnn"), line.get("t_nguonkhac_vttn"), line.get("t_nguonkhac_cl"),
        line.get("so_dang_ky"), *[None] * 4, line.get("ngay_kq"), *[None] * 19, line.get("ma_dich_vu"),
    ]  # fmt: skip
    local: list[Value] = [each if isinstance(each, str) else plain(each) for each in said]
    order = {2: line.get("placer", ""), 3: line.get("filler", ""), 9: line.get("ngay_yl", "")}
    return [
        segment("FT1", transaction),
        *([["ZFT", *local]] if any(local) else []),
        *note_segments(line.get("notes")),
        *([segment("ORC", {1: "RE", **order})] if any(order.values()) else []),
    ]


# --- RDE --------------------------------------------------------------------------------------------------------------


def prescription_segments(event: Event, version: str) -> Segments:
    """What follows MSH in RDE; before 2.5 timing stands in RXE-1."""
    person = event.get("person") or {}
    return [
        *note_segments(event.get("notes")),
        person_segment(person),
        visit_segment(event),
        *insurance_segments(person),
        *allergy_segments(event),
        *(row for line in event.get("lines") or [] for row in _drug(event, line, modern=version >= "2.5")),
        *diagnosis_segments(event),
    ]


def _drug(event: Event, line: Event, *, modern: bool) -> Segments:
    control = _CONTROL.get(line.get("action") or event.get("action", ""), "")
    strength, _, unit = line.get("ham_luong", "").partition(" ")
    duration, times = line.get("duration", ""), [line.get("starts_at", ""), line.get("ends_at", "")]
    order = {
        1: "RP" if event.get("replaces") and control == "NW" else control,
        2: line.get("line_id", ""),
        4: event.get("group", ""),
        8: event.get("replaces", ""),
        9: event.get("ngay_yl", ""),
        12: licence(event.get("ma_bac_si", "")),
    }
    drug = {
        1: "" if modern else ("", line.get("timing", ""), duration, *times),
        2: code(line.get("code") or {}),
        3: plain(line.get("dose")),
        4: plain(line.get("dose_most")),
        5: line.get("dose_unit", ""),
        6: line.get("dang_bao_che", ""),
        7: line.get("cach_dung", ""),
        10: plain(line.get("so_luong")),
        11: line.get("don_vi_tinh", ""),
        12: plain(line.get("refills")),
        15: event.get("ma_don_thuoc", ""),
        25: strength,
        26: unit,
    }
    timing = segment("TQ1", {1: "1", 3: line.get("timing", ""), 6: tuple(duration.split(" ", 1)), 7: times[0], 8: times[1]})
    parts: Segments = [
        segment(
            "RXC",
            {1: each.get("type", ""), 2: code(each.get("code") or {}), 3: plain(each.get("amount")), 4: each.get("unit", "")},
        )
        for each in line.get("parts") or []
    ]
    return [
        segment("ORC", order),
        segment("RXE", drug),
        *note_segments(line.get("notes")),
        *([timing] if modern else []),
        ["RXR", line.get("duong_dung", "")],
        *parts,
    ]


# --- MDM --------------------------------------------------------------------------------------------------------------


def document_segments(event: Event, recorded_at: str) -> Segments:
    """What follows MSH in MDM. recorded_at: for EVN-2."""
    header = {
        1: "1",
        2: code(event.get("code") or {}),
        3: "TX" if event.get("text") else "",
        4: event.get("activity_at", ""),
        6: event.get("originated_at", ""),
        7: event.get("transcribed_at", ""),
        8: event.get("edited_at", ""),
        9: licence(event.get("ma_bac_si", "")),
        12: event.get("document", ""),
        13: event.get("parent", ""),
        14: event.get("placer", ""),
        15: event.get("filler", ""),
        16: event.get("file_name", ""),
        17: event.get("completion", ""),
        18: event.get("confidentiality", ""),
        19: event.get("availability", ""),
        20: event.get("storage", ""),
        21: event.get("change_reason", ""),
        22: [_signature(each) for each in event.get("signatures") or []],
        25: event.get("title", ""),
    }
    rows = [_content(each) for each in event.get("contents") or []]
    if event.get("text"):
        rows.insert(0, {2: "TX", 3: code(event.get("code") or {}), 5: event["text"]})
    return [
        ["EVN", "", recorded_at],
        person_segment(event.get("person") or {}),
        visit_segment(event),
        segment("TXA", header),
        *(segment("OBX", {1: str(number), **row, 11: "F"}) for number, row in enumerate(rows, 1)),
        *note_segments(event.get("notes")),
    ]


def _signature(each: Event) -> Any:
    return (each.get("ma_bac_si", ""), *name_parts(each.get("name", "")), *[""] * 10, each.get("signed_at", ""))


def _content(each: Event) -> dict[int, Value]:
    media, _, subtype = each.get("media_type", "").partition("/")
    if each.get("pointer"):
        return {2: "RP", 3: code(each.get("code") or {}), 5: (each["pointer"], "", media, subtype)}
    data = base64.b64encode(each.get("data") or b"").decode()
    return {2: "ED", 3: code(each.get("code") or {}), 5: ("", media, subtype, "Base64", data)}


# --- MFN --------------------------------------------------------------------------------------------------------------


def catalogue_segments(event: Event) -> Segments:
    """What follows MSH in MFN."""
    catalogue, entry = event.get("catalogue", ""), event.get("entry", "")
    key: Value = tuple(entry.split("/")) if catalogue == "LOCATION" else entry
    change = segment(
        "MFE",
        {
            1: _MASTER_FILE.get(event.get("action", ""), ""),
            2: event["meta"]["event_id"],
            3: event.get("effective_at", ""),
            4: key,
            5: "PL" if catalogue == "LOCATION" else "CE",
        },
    )
    return [["MFI", catalogue, "", "UPD", "", "", "AL"], change, *_ENTRIES[catalogue](event, key)]


def _practitioner(event: Event, key: Value) -> Segments:
    number = (
        event.get("licence", ""),
        event.get("licence_type", ""),
        event.get("licence_issuer", ""),
        event.get("licence_to", ""),
    )
    sex = event.get("gioi_tinh", "")
    staff = {
        1: key,
        3: name_parts(event.get("display", "")),
        5: _SEX.get(sex, sex),
        6: known_part(event.get("ngay_sinh", "")),
        7: event.get("active", ""),
        8: event.get("ma_khoa", ""),
        18: event.get("job", ""),
    }
    local: dict[int, Value] = {
        2: [*(event.get("scope") or [])],
        3: [tuple(slot.split("/")) for slot in event.get("slots") or []],
        4: event.get("valid_from", ""),
        5: event.get("valid_to", ""),
    }
    rows = [segment("STF", staff), segment("PRA", {1: key, 5: [*(event.get("specialities") or [])], 6: number})]
    return [*rows, *([segment("ZPR", {1: "1", **local})] if any(local.values()) else [])]


def _location(event: Event, _key: Value) -> Segments:
    place = (event.get("ma_khoa", ""), event.get("room", ""), event.get("ma_giuong", ""))
    local = {3: event.get("bed_type", ""), 4: plain(event.get("beds_planned")), 5: plain(event.get("beds_actual"))}
    department = {1: place, 2: place[0], 3: [*(event.get("services") or [])], 4: [*(event.get("specialities") or [])]}
    return [
        segment("LOC", {1: place, 2: event.get("display", ""), 3: event.get("kind", "")}),
        *([segment("LCH", {1: place, 4: "LCR", 5: event["level"]})] if event.get("level") else []),
        segment("LDP", department),
        *([segment("ZLO", {1: "1", **local})] if any(local.values()) else []),
    ]


def _machine(event: Event, _key: Value) -> Segments:
    names = ("ma_may", "modality", "funding", "serial", "ma_cskcb", "valid_from", "valid_to")
    return [["ZMA", "1", *(event.get(name, "") for name in names)]]


def _service(event: Event, _key: Value) -> Segments:
    return [segment("OM1", {1: "1", 2: code(event.get("code") or {})})]


def _price(event: Event, key: Value) -> Segments:
    price = {1: key, 5: money(event.get("don_gia")), 12: event.get("valid_from", ""), 13: event.get("valid_to", "")}
    return [segment("CDM", {1: key, 3: event.get("display", ""), 7: code(event.get("code") or {})}), segment("PRC", price)]


_ENTRIES: Final = {
    "PRACTITIONER": _practitioner,
    "LOCATION": _location,
    "MACHINE": _machine,
    "SERVICE": _service,
    "PRICE": _price,
}


# --- ORU without a patient --------------------------------------------------------------------------------------------


def resource_segments(event: Event) -> Segments:
    """What follows MSH in ORU^R01: what belongs together has one OBX-4."""
    rows: list[dict[int, Value]] = []
    for number, each in enumerate(event.get("resources") or [], 1):
        rows += [{2: "ST", 3: item, 4: str(number), 5: each[name]} for name, item in _PLACES.items() if each.get(name)]
        item, figures = _FIGURES[each["kind"]]
        rows += [
            {2: "NM", 3: item + ending, 4: str(number), 5: plain(each[name])}
            for name, ending in figures.items()
            if each.get(name) is not None
        ]
    return [
        segment("OBR", {1: "1", 4: ("VN-NGUONLUC", "Báo cáo nguồn lực"), 7: event.get("reported_at", ""), 25: "F"}),
        *note_segments(event.get("notes")),
        *(segment("OBX", {1: str(number), **row, 11: "F"}) for number, row in enumerate(rows, 1)),
    ]
