"""Clinical events as segments: what `render` writes for results, orders, referral slips and follow-up slips.

Each value stands where `vendors/_standard.toml` reads it first, so our own door reads what it wrote. Not carried: that an
identifier was inferred, stays in NGAY_VAO and NGAY_RA of XML13 that no facility of MA_CSKCB_DI goes
with, and fields of XML13 and XML14 that the profile has no place for.
"""

import re
from itertools import zip_longest
from typing import Any, Final

from adapters.dialects.newborns import MOTHERS_NUMBER, is_mother, is_named_by_mother
from adapters.dialects.parts import TUBE
from adapters.dialects.transforms import STRUCTURED
from adapters.formats.hl7v2 import Component, Repetition, Value
from hub.contract.events import Event
from hub.contract.unnamed import ANSWERS

Segments = list[list[Value]]

_SEX: Final = {"1": "M", "2": "F", "3": "O"}
_IDENTIFIER_TYPES: Final = {
    "SDDCN": "NI",
    "CMND9": "CMND",
    "PASSPORT": "PPN",
    "BHYT_CARD": "HC",
    "BHXH_NUMBER": "SB",
    "MRN": "MR",
    "BIRTH_CERTIFICATE_NO": "BR",
    "TEMP": "PNT",
}
_UNSPECIFIED: Final = "U"  # CX-5, table 0203: a kind that the hub has no name for, and that must not be guessed
_LICENCE: Final = re.compile(
    r"\d{1,7}(?:/[A-ZĐ]+-[A-ZĐ]+)?(?:\.[A-Z]{2}\.\d+)?$"
)  # 000123/HNO-CCHN, with what QĐ 3176 puts behind it
_ORDER_CONTROL: Final = {
    "PLACED": "NW", "CHANGED": "XO", "CANCELLED": "CA", "HELD": "HD",
    "ACCEPTED": "OK", "IN_PROGRESS": "SC", "COMPLETED": "SC", "REFUSED": "UA",
}  # fmt: skip
_ORDER_STATUS: Final = {"COMPLETED": "CM"}  # ORC-5, table 0038: what SC says in full
_CONCLUSION: Final = ("KL", "Kết luận", "99HIE")  # a code of the hub's own
_SAMPLE: Final = "Mã mẫu (SPM-2): "
_SLIP_TEXTS: Final = {  # element of XML13 to the code of its OBX
    "dau_hieu_ls": "VN-DHLS",
    "qt_benhly": "VN-QTBL",
    "tomtat_kq": "VN-TTKQ",
    "pp_dieutri": "VN-PPDT",
    "huong_dieu_tri": "VN-HDT",
    "phuongtien_vc": "VN-PTVC",
    "tinh_trang_ct": "VN-TTCT",
    "ma_ttdv": "VN-TTDV",
    "du_phong": "VN-CKDV",
}


# --- parts that several messages share --------------------------------------------------------------------------------


def segment(name: str, fields: dict[int, Value]) -> list[Value]:
    """A segment by field number."""
    return [name, *(fields.get(number, "") for number in range(1, max(fields, default=0) + 1))]


def code(value: Event) -> tuple[Component, ...]:
    """CE of a `Code`."""
    return tuple(value.get(name, "") for name in ("code", "display", "system", "alt_code", "alt_display", "alt_system"))


def name_parts(full_name: str) -> tuple[Component, ...]:
    """XPN of a Vietnamese name: the first word is the family, the last the given name. One that says whose child it is stays whole."""
    if is_named_by_mother(full_name):
        return (full_name, "", "")
    family, _, rest = full_name.partition(" ")
    middle, _, given = rest.rpartition(" ")
    return (family, given, middle)


def known_part(born: str) -> str:
    """A date without its unknown parts: 195700000000 is 1957 in HL7."""
    while len(born) > 4 and born.isdigit() and born.endswith("00"):
        born = born[:-2]
    return born


def identifier_list(identifiers: list[Event] | None) -> Value:
    """CX, repeated. CX-4 is the whole issuer: of two facilities each may have a `BVN` that counts its patients from 1."""
    return [
        (
            each.get("value", ""),
            "",
            "",
            each.get("issuer", ""),
            _IDENTIFIER_TYPES.get(each.get("type", ""), _UNSPECIFIED),
            "",
            each.get("valid_from", ""),
            each.get("valid_to", ""),
        )
        for each in identifiers or []
    ]


def person_segment(person: Event, account: str = "") -> list[Value]:
    """PID. An identifier that follows from a card is left out: the reader derives it again. The mother's numbers stand in PID-21,
    even where the structure has no NK1.  account: for PID-18."""
    identifiers = person.get("identifiers") or []
    cards = {each["value"] for each in identifiers if each.get("type") == "BHYT_CARD"}
    stated = [
        each
        for each in identifiers
        if not (each.get("inferred") and any(card != each["value"] and card.endswith(each["value"]) for card in cards))
    ]
    # The number of a second mother would be taken for the first's.
    mother: Event = next((each for each in person.get("guardians") or [] if is_mother(each.get("relationship", ""))), {})
    sex = person.get("gioi_tinh", "")
    address: tuple[Component, ...] = (
        person.get("dia_chi", ""), "", "", person.get("matinh_cu_tru", ""), "", "", "", "", person.get("maxa_cu_tru", ""),
    )  # fmt: skip
    return segment(
        "PID",
        {
            1: "1",
            3: identifier_list(stated),
            5: name_parts(person.get("ho_ten", "")),
            7: known_part(person.get("ngay_sinh", "")),
            8: _SEX.get(sex, sex),
            11: address,
            13: person.get("dien_thoai", ""),
            18: account,
            MOTHERS_NUMBER: identifier_list(mother.get("identifiers")),
            22: person.get("ma_dantoc", ""),
            26: person.get("ma_quoctich", ""),
        },
    )


def guardian_segments(person: Event) -> Segments:
    """One NK1 a guardian."""
    return [
        segment(
            "NK1",
            {
                1: str(n),
                2: name_parts(each.get("ho_ten", "")),
                3: each.get("relationship", ""),
                5: each.get("dien_thoai", ""),
                33: identifier_list(each.get("identifiers")),
            },
        )
        for n, each in enumerate(person.get("guardians") or [], 1)
    ]


def insurance_segments(person: Event) -> Segments:
    """One IN1 a card."""
    cards = [each for each in person.get("identifiers") or [] if each.get("type") == "BHYT_CARD"]
    return [
        segment(
            "IN1",
            {1: str(n), 2: "BHYT", 3: "VSS", 12: card.get("valid_from", ""), 13: card.get("valid_to", ""), 36: card["value"]},
        )
        for n, card in enumerate(cards, 1)
    ]


def diagnosis_segments(event: Event) -> Segments:
    """One DG1 a diagnosis."""
    return [
        segment(
            "DG1",
            {
                1: str(n),
                3: (each.get("ma_benh", ""), each.get("chan_doan", ""), "ICD-10" if each.get("ma_benh") else ""),
                6: each.get("type", ""),
                15: "1" if each.get("main") else "",
            },
        )
        for n, each in enumerate(event.get("diagnoses") or [], 1)
    ]


def allergy_segments(event: Event) -> Segments:
    """One AL1 an allergy."""
    return [
        segment(
            "AL1",
            {
                1: str(n),
                2: each.get("type", ""),
                3: code(each.get("code") or {}),
                4: each.get("severity", ""),
                5: [*(each.get("reactions") or [])],
            },
        )
        for n, each in enumerate(event.get("allergies") or [], 1)
    ]


def note_segments(notes: list[str] | None) -> Segments:
    """One NTE a note."""
    return [["NTE", str(n), "", text] for n, text in enumerate(notes or [], 1)]


def visit_segment(event: Event, more: dict[int, Value] | None = None) -> list[Value]:
    """PV1 with the encounter key. PV1-2 is required: U where the event does not know."""
    return segment("PV1", {1: "1", 2: event.get("patient_class") or "U", 19: event.get("ma_lk", ""), **(more or {})})


def licence(number: str) -> Value:
    """XCN of a practitioner by licence, said to be one (LN) where it looks like one; a code of the facility's own is just a code."""
    return (number, *[""] * 11, "LN") if _LICENCE.match(number) else number


# --- results and orders -----------------------------------------------------------------------------------------------


def result_segments(event: Event, version: str) -> Segments:
    """What follows MSH in ORU^R01; before 2.5 there is no place for the sample's number, before 2.3.1 none for guardians."""
    person = event.get("person") or {}
    placer, filler = (event.get("placer", ""), event.get("orderer", "")), event.get("filler", "")
    request = segment(
        "OBR",
        {
            1: "1",
            2: placer,
            3: filler,
            4: code(event.get("service") or {}),
            7: event.get("sampled_at", ""),
            14: event.get("received_in_lab_at", ""),
            15: (_specimen(event),),
            22: event.get("reported_at", ""),
            25: event.get("status", ""),
            32: ((event["ma_bs_doc_kq"],),) if event.get("ma_bs_doc_kq") else "",
        },
    )
    observations = event.get("observations") or []
    lines = [line for each in observations for line in _observation(each)]
    if event.get("ket_luan"):
        numbers = [int(each["set_id"]) for each in observations if each.get("set_id", "").isdecimal()]
        number = str(max(numbers, default=len(observations)) + 1)
        lines.append(segment("OBX", {1: number, 2: "TX", 3: _CONCLUSION, 5: event["ket_luan"], 11: event.get("status", "")}))
    sample = event.get("specimen_id", "") if version >= "2.5" else ""
    return [
        person_segment(person),
        *(guardian_segments(person) if version >= "2.3.1" else []),
        visit_segment(event),
        ["ORC", "RE", placer, filler],
        request,
        *note_segments(event.get("notes")),
        *lines,
        *([segment("SPM", {1: "1", 2: sample, 4: _specimen(event)})] if sample else []),
    ]


def _specimen(said: Event) -> str | tuple[str, str]:
    """Code and words of SPM-4, and of the first component of OBR-15; of a code without words the code."""
    kind, name = said.get("specimen_type", ""), said.get("specimen_name", "")
    return (kind, name) if name else kind


def _observation(line: Event) -> Segments:
    laboratory = line.get("performer", "")
    kind, value = _value(line)
    row = segment(
        "OBX",
        {
            1: line.get("set_id", ""),
            2: kind,
            3: code(line.get("code") or {}),
            4: line.get("sub_id", ""),
            5: value,
            6: line.get("don_vi_do", ""),
            7: line.get("reference_range", ""),
            8: [*(line.get("flags") or [])],
            11: line.get("status", ""),
            14: line.get("observed_at", ""),
            15: laboratory,
            16: licence(line.get("ma_bs_doc_kq", "")),
            18: line.get("ma_may", ""),
        },
    )
    return [row, *note_segments(line.get("notes"))]


def _value(line: Event) -> tuple[str, Value]:
    """OBX-2, and OBX-5 by it. What is no SN in full goes as text."""
    value = line.get("gia_tri") or line.get("mo_ta") or ""
    kind = line.get("value_type", "")
    if kind == "SN" and value:
        found = [STRUCTURED.fullmatch(each) for each in value.split(";")]
        rows: list[Repetition] = [each.groups("") for each in found if each]
        return (kind, rows) if len(rows) == len(found) else ("ST", value)
    if kind in ("CE", "CWE", "CNE", "CF"):
        codes = line.get("value_codes")
        return kind, ([code(each) for each in codes] if codes else ("", value))
    if kind == "ED":
        return kind, ("", *value.split("/", 1))
    return kind, str(value)


def order_segments(event: Event, *, modern: bool) -> Segments:
    """What follows MSH in OML^O21, or else in ORM^O01, where priority and specimen have other places, guardians have none,
    and the number of the sample has none but a note. Each test has what its part says (`hie.OrderPart`), else what the order does."""
    parts = {part["number"]: part for part in event.get("parts") or []}
    told = list(event.get("notes") or [])
    for text in (text for part in parts.values() for text in part.get("notes") or []):
        if text in told:
            told.remove(text)  # it stands with its test
    apart = any(part.get(name) for part in parts.values() for name in TUBE)
    person = event.get("person") or {}
    built: Segments = [
        person_segment(person),
        *(guardian_segments(person) if modern else []),
        visit_segment(event, {3: (event.get("ma_khoa", ""), "", event.get("ma_giuong", ""))}),
        *insurance_segments(person),
    ]
    for n, service in enumerate(event.get("services") or [{}], 1):
        part = {name: value for name, value in parts.get(n, {}).items() if value}
        said = event | part
        if "specimen_type" in part or "specimen_name" in part:  # another tube, that has nothing of the order's
            said |= {name: part.get(name, "") for name in TUBE}
        built += _service(said, service, n, modern=modern)
        notes = (told if n == 1 else []) + part.get("notes", [])
        sample = said.get("specimen_id", "") if n == 1 or "specimen_id" in part else ""
        built += note_segments([*([f"{_SAMPLE}{sample}"] if sample and not modern else []), *notes])
        if n == 1:
            built += diagnosis_segments(event)
            built += [line for each in event.get("observations") or [] for line in _observation(each)]
        specimen, sample = _specimen(said), said.get("specimen_id", "")
        if modern and (n == 1 or apart) and (specimen or sample):
            built.append(segment("SPM", {1: "1", 2: sample, 4: specimen}))
    return built


def _service(said: Event, service: Event, number: int, *, modern: bool) -> Segments:
    """ORC and OBR of one test of an order, with TQ1 in OML."""
    action, priority = said.get("action", ""), said.get("priority", "")
    laboratory = said.get("ma_cskcb" if action in ANSWERS else "performer", "")  # who answers has numbered it, not whom it tells
    placer, filler = said.get("placer", ""), (said.get("filler", ""), laboratory)
    unread = said["meta"].get("unparsed") or {}  # what ORC-1 said that nobody knows
    control = {
        1: _ORDER_CONTROL.get(action) or unread.get("action", ""),
        2: placer,
        3: filler,
        4: said.get("group", ""),
        5: _ORDER_STATUS.get(action, ""),
        7: "" if modern else ("", "", "", "", "", priority),
        9: said.get("ordered_at", ""),
        12: licence(said.get("ma_bac_si", "")),
        16: ("", said["reason"]) if said.get("reason") else "",
    }
    request = {
        1: str(number), 2: placer, 3: filler, 4: code(service), 7: said.get("sampled_at", ""),
        15: "" if modern else (_specimen(said),),
    }  # fmt: skip
    timing = [segment("TQ1", {1: "1", 9: priority})] if modern and priority else []
    return [segment("ORC", control), *timing, segment("OBR", request)]


# --- slips ----------------------------------------------------------------------------------------------------------


def referral_segments(event: Event) -> Segments:
    """What follows MSH in REF^I12, I13 and I14."""
    slip: Event = event.get("xml13") or {}
    issuer = event.get("ma_cskcb", "")
    numbers: list[Any] = [slip.get("so_chuyentuyen", "")]
    if slip.get("so_hoso"):
        numbers.append((slip["so_hoso"], "SO_HOSO"))
    form = segment(
        "RF1",
        {
            1: "P",
            2: event.get("priority", ""),
            6: (event.get("slip", ""), issuer),
            7: event.get("issued_on", ""),
            8: event.get("expires_on", ""),
            10: (slip.get("ma_lydo_ct", ""), event.get("reason", "")),
            11: numbers,
        },
    )
    doctor = slip.get("ma_bac_si", "")
    own: list[Any] = [(issuer, "FI")]
    if doctor:
        own.append((doctor, "LN"))
    *arrivals, arrived = slip.get("ngay_vao", "").split(";")
    *departures, departed = slip.get("ngay_ra", "").split(";")
    sender = segment("PRD", {1: "RP", 7: own, 8: arrived.strip(), 9: departed.strip()})
    codes = slip.get("ma_cskcb_di", "").split(";")
    before: Segments = [
        segment("PRD", {1: "PP", 7: (code_.strip(), "FI"), 8: came.strip(), 9: went.strip()})
        for code_, came, went in zip_longest(codes, arrivals, departures, fillvalue="")
        if code_.strip()
    ]
    person = event.get("person") or {}
    local = {13: slip.get("ma_nghe_nghiep", "")}
    return [
        form,
        sender,
        segment("PRD", {1: "RT", 7: (event.get("ma_cskcb_den", ""), "FI")}),
        *before,
        person_segment(person),
        *guardian_segments(person),
        *insurance_segments(person),
        *([segment("ZIN", {1: "1", **local})] if any(local.values()) else []),
        *diagnosis_segments(event),
        *allergy_segments(event),
        *_slip_texts(slip),
        visit_segment(event, {36: slip.get("ma_loai_rv", "")}),
    ]


def _slip_texts(slip: Event) -> Segments:
    built: Segments = [
        segment("OBX", {2: "TX", 3: item, 5: slip[name], 11: "F"}) for name, item in _SLIP_TEXTS.items() if slip.get(name)
    ]
    if slip.get("hoten_nguoi_ht") or slip.get("chucdanh_nguoi_ht"):
        escort = (slip.get("hoten_nguoi_ht", ""), slip.get("chucdanh_nguoi_ht", ""))
        built.append(segment("OBX", {2: "ST", 3: "VN-NHT", 5: escort, 11: "F"}))
    for number, row in enumerate(built, 1):
        row[1] = str(number)
    return [segment("OBR", {1: "1", 4: ("VN-GCT", "Giấy chuyển tuyến")}), *built] if built else []


def answer_segments(event: Event) -> Segments:
    """What follows MSH in RRI^I12: the receiving facility's word, or the hub's, about a slip, to its issuer."""
    action = event.get("action", "")
    status = {"REJECTED": "R", "EXPIRED": "E", "ARRIVAL_CANCELLED": "P"}.get(action, "A")
    said_by_hub = action not in ("ACCEPTED", "REJECTED")
    reason: Value = ("", event["reason"]) if event.get("reason") else (action if said_by_hub else "")
    receivers = [code for code in (event.get("ma_cskcb_den", ""), event.get("redirect_to", "")) if code] or [""]
    form = segment(
        "RF1",
        {
            1: status,
            2: event.get("priority", ""),
            6: (event.get("slip", ""), event.get("ma_cskcb", "")),
            7: event.get("issued_on", ""),
            8: event.get("expires_on", ""),
            10: reason,
        },
    )
    return [
        form,
        segment("PRD", {1: "RP", 7: (event.get("ma_cskcb", ""), "FI")}),
        *(segment("PRD", {1: "RT", 7: (code, "FI")}) for code in receivers),
        person_segment(event.get("person") or {}),
        *diagnosis_segments(event),
        *allergy_segments(event),
        visit_segment(event),
    ]


def follow_up_segments(event: Event) -> Segments:
    """What follows MSH in SIU."""
    slip: Event = event.get("xml14") or {}
    doctor = licence(event.get("ma_bac_si", ""))
    schedule = segment(
        "SCH",
        {
            2: event.get("slip", ""),
            6: event.get("action", ""),
            7: ("", event["reason"]) if event.get("reason") else "",
            11: ("", "", "", event.get("ngay_hen_kl", "")),
            16: doctor,
            20: doctor,
        },
    )
    person, route = event.get("person") or {}, slip.get("ma_doituong_kcb", "")
    visit = visit_segment(event, {20: route, 44: slip.get("ngay_vao", ""), 45: slip.get("ngay_ra", "")})
    return [
        schedule,
        person_segment(person),
        visit,
        *(
            segment("OBX", {1: str(number), 2: "ST", 3: code, 5: slip[name], 11: "F"})
            for number, (code, name) in enumerate((("VN-TTDV", "ma_ttdv"), ("VN-NGAYCT", "ngay_ct"), ("VN-CKDV", "du_phong")), 1)
            if slip.get(name)
        ),
        *diagnosis_segments(event),
        *([segment("ZIN", {1: "1", 9: route})] if route else []),
        ["RGS", "1"],
    ]
