"""The EHC profile: where each official element of a claim stands in EHC^E01, one table for reading and for writing.

XML1 stands in IVC, ZCL, PID, PV1, PV2, ACC, PR1, DG1, IN1 and ZIN; XML2 and XML3 in PSL, ZFT and ADJ; every other table, and
whatever an element's own place cannot carry exactly, in ZTB. Documented in `CLAIMS.md`; source: `hl7-mapping.md` §3.2, §4.7.
"""

from collections.abc import Callable, Mapping
from typing import Final

from adapters.dialects.clinical_segments import known_part, name_parts
from adapters.dialects.paths import one_text, read_words
from adapters.dialects.transforms import facility_code, full_name
from adapters.formats.er7 import NULL, split_spoken, unescape, whole
from adapters.formats.hl7v2 import Component, Message, Segment, Value, build, parse

Row = dict[str, str]
Rows = dict[str, list[Row]]  # table (`XML1`) to its rows, each by official upper-case name
Place = tuple[str, int, int]  # segment, field, component
Built = list[list[Value]]

_ZCL: Final = (
    "MA_LK", "", "MA_LOAI_KCB", "MA_LOAI_RV", "KET_QUA_DTRI", "SO_NGAY_DTRI", "NGAY_TTOAN", "NAM_QT", "THANG_QT", "MA_HSBA",
    "MA_TTDV", "T_THUOC", "T_VTYT", "T_TONGCHI_BV", "T_TONGCHI_BH", "T_BNTT", "T_BNCCT", "T_BHTT", "T_NGUONKHAC", "T_BHTT_GDV",
    "MA_NGHE_NGHIEP", "LY_DO_VNT", "MA_LY_DO_VNT", "NGAY_VAO_NOI_TRU", "NHOM_MAU", "CAN_NANG", "CAN_NANG_CON", "NGAY_TAI_KHAM",
    "PP_DIEU_TRI", "GHI_CHU", "STT", "DU_PHONG",
)  # fmt: skip
_ZFT: Final = (
    "MA_NHOM", "PHAM_VI", "TYLE_TT_DV", "TYLE_TT_BH", "MUC_HUONG", "DON_GIA_BH", "TT_THAU", "MA_PTTT", "MA_MAY", "GOI_VTYT",
    "T_NGUONKHAC_NSNN", "T_NGUONKHAC_VTNN", "T_NGUONKHAC_VTTN", "T_NGUONKHAC_CL", "SO_DANG_KY", "MA_KHOA", "MA_BAC_SI",
    "NGUOI_THUC_HIEN", "NGAY_TH_YL", "NGAY_KQ", "MA_BENH", "MA_BENH_YHCT", "MA_GIUONG", "MA_PTTT_QT", "VET_THUONG_TP",
    "PP_VO_CAM", "VI_TRI_TH_DVKT", "MA_HIEU_SP", "TAI_SU_DUNG", "T_TRANTT", "MA_XANG_DAU", "HAM_LUONG", "DUONG_DUNG",
    "DANG_BAO_CHE", "LIEU_DUNG", "CACH_DUNG", "MA_PP_CHEBIEN", "MA_CSKCB_THUOC", "NGUON_CTRA", "MA_DICH_VU", "DU_PHONG",
)  # fmt: skip
_PSL: Final[dict[str, Place]] = {
    "STT": ("PSL", 3, 1),
    "NGAY_YL": ("PSL", 10, 1),
    "SO_LUONG": ("PSL", 12, 1),
    "DON_VI_TINH": ("PSL", 12, 2),
    "THANH_TIEN_BV": ("PSL", 15, 1),
}
AMOUNTS: Final = ("THANH_TIEN_BH", "T_BNTT", "T_BNCCT", "T_BHTT", "T_NGUONKHAC")  # one ADJ each, its category the official name

SUMMARY: Final[dict[str, Place]] = {
    **{name: ("ZCL", number, 1) for number, name in enumerate(_ZCL, 1) if name},
    "MA_DANTOC": ("PID", 22, 1),
    "DIA_CHI": ("PID", 11, 1),
    "MATINH_CU_TRU": ("PID", 11, 4),
    "MAHUYEN_CU_TRU": ("PID", 11, 8),
    "MAXA_CU_TRU": ("PID", 11, 9),
    "DIEN_THOAI": ("PID", 13, 1),
    "MA_QUOCTICH": ("PID", 26, 1),
    "MA_KHOA": ("PV1", 3, 1),
    "MA_NOI_DEN": ("PV1", 37, 1),
    "NGAY_VAO": ("PV1", 44, 1),
    "NGAY_RA": ("PV1", 45, 1),
    "LY_DO_VV": ("PV2", 3, 2),
    "MA_TAI_NAN": ("ACC", 2, 1),
    "MA_PTTT_QT": ("PR1", 3, 1),
    "MA_KHUVUC": ("ZIN", 3, 1),
    "NAM_NAM_LIEN_TUC": ("ZIN", 4, 1),
    "NGAY_MIEN_CCT": ("ZIN", 5, 1),
    "MA_DOITUONG_KCB": ("ZIN", 9, 1),
    "MA_NOI_DI": ("ZIN", 10, 1),
    "GIAY_CHUYEN_TUYEN": ("ZIN", 11, 1),
}
INSTEAD: Final[dict[str, Place]] = {  # where a sender without ZCL or ZIN says the same
    "MA_LK": ("IVC", 1, 1),
    "NGAY_TTOAN": ("IVC", 7, 1),
    "T_TONGCHI_BV": ("IVC", 8, 1),
    "MA_DOITUONG_KCB": ("PV1", 20, 1),
    "MA_DANTOC": ("PID", 10, 1),
}
DRUG: Final[dict[str, Place]] = {
    **_PSL,
    "MA_THUOC": ("PSL", 7, 1),
    "TEN_THUOC": ("PSL", 9, 1),
    "DON_GIA": ("PSL", 13, 1),
    **{name: ("ZFT", number, 1) for number, name in enumerate(_ZFT, 1)},
}
SERVICE: Final[dict[str, Place]] = {
    **_PSL,
    "DON_GIA_BV": ("PSL", 13, 1),
    **{name: ("ZFT", number, 1) for number, name in enumerate(_ZFT, 1) if name != "MA_DICH_VU"},
}
_OWN: Final = frozenset({"ZCL", "ZFT"})  # segments of this profile, of which each field is one value
_TEXTS: Final = (
    "LY_DO_VV", "LY_DO_VNT", "PP_DIEU_TRI", "GHI_CHU", "DU_PHONG", "TEN_THUOC", "HAM_LUONG", "DANG_BAO_CHE", "LIEU_DUNG", "CACH_DUNG",
)  # fmt: skip
_DRUG_GROUPS: Final = frozenset(("4", "5", "6", "7", "17"))  # MA_NHOM of XML2
_REQUIRED: Final[tuple[tuple[Place, Component], ...]] = (  # fields that v2.6 wants and that say nothing here
    (("PSS", 3, 1), "1"),
    (("PSS", 5, 1), "BHYT"),
    (("PSG", 3, 1), "1"),
    (("PSG", 4, 1), "N"),
    (("PSG", 6, 1), "BHYT"),
)
_STAYS: Final = frozenset(("03", "04", "06", "09"))  # MA_LOAI_KCB of stays
_SEX: Final = {"M": "1", "F": "2", "O": "3", "U": "3", "A": "3"}
_SEX_OUT: Final = {"1": "M", "2": "F", "3": "O"}
_PAPERS: Final = frozenset(("NI", "NNVNM", "CCCD", "CMND", "SS", "PPN", "PP"))
_CARDS: Final = frozenset(("HC", "MB", "BHYT"))


# --- reading ----------------------------------------------------------------------------------------------------------


def ehc_rows(message: Message) -> tuple[Rows, int]:
    """The official rows that an EHC message states, and the sender's version of the claim (ZCL-2, else 0)."""
    summary = {name: message.get(*found) for name, found in SUMMARY.items()}
    _keep_whole(summary, SUMMARY, message.first)
    for name, found in INSTEAD.items():
        if name != "NGAY_TTOAN" or message.first("ZCL") is None:  # IVC-7 may be another day than that of payment
            summary[name] = summary[name] or message.get(*found)
    summary |= _read_period(message, summary) | _read_person(message) | _read_cards(message) | _read_diagnoses(message)
    rows: Rows = {"XML1": [{name: text for name, text in summary.items() if text}]}
    for run in message.groups("PSL"):
        table, line = _read_line(run)
        lines = rows.setdefault(table, [])
        lines.append({"MA_LK": summary["MA_LK"], "STT": str(len(lines) + 1)} | line)
    for segment in message.segments("ZTB"):
        _read_row(segment, rows)
    version = message.get("ZCL", 2)
    return rows, int(version) if version.isascii() and version.isdigit() and len(version) < 9 else 0


def ehc_day(message: Message) -> str:
    """NGAYLAP: ZCL-33, else the day of MSH-7."""
    return message.get("ZCL", 33) or message.get("MSH", 7)[:8]


def ehc_cleared(message: Message) -> list[str]:
    """The fields of the summary that the sender deletes (HL7 null), as `xml1.dien_thoai`."""
    if message.plain:
        return []
    firsts = {name: message.first(name) for name, _, _ in SUMMARY.values()}
    nulls = {name for name, at in SUMMARY.items() if (segment := firsts[at[0]]) is not None and segment.is_null(at[1])}
    return [f"xml1.{name.lower()}" for name in SUMMARY if name in nulls]


def _read_period(message: Message, summary: Row) -> Row:
    period = message.get("IVC", 14)
    facility = facility_code(message.get("IVC", 10, 10)) or facility_code(message.get("IVC", 10, 3))
    return {
        "MA_CSKCB": facility,
        "NAM_QT": summary["NAM_QT"] or period[:4],
        "THANG_QT": summary["THANG_QT"] or period[4:6].lstrip("0"),
    }


def _read_person(message: Message) -> Row:
    person = message.first("PID")
    if person is None:
        return {}
    found: Row = {}
    for number in range(1, len(person.repetitions(3)) + 1):
        value, kind = person.get(3, 1, 1, number), person.get(3, 5, 1, number)
        if kind in ("MR", "PI", ""):
            found.setdefault("MA_BN", value)
        elif kind in _PAPERS:
            found.setdefault("SO_CCCD", value)
    born = person.get(7)
    sex = person.get(8)
    return found | {
        "HO_TEN": full_name(_spoken(person, 5)),
        "DIA_CHI": _spoken(person, 11)[0],
        "NGAY_SINH": born.ljust(12, "0") if born.isdigit() else born,
        "GIOI_TINH": _SEX.get(sex, sex),
    }


def _spoken(person: Segment, field: int) -> list[str]:
    """The components of a name or an address."""
    stated = person.repetitions(field)
    return split_spoken(stated[0], person.delimiters) if stated else [""]


def _keep_whole(found: Row, places: Mapping[str, Place], segments: Callable[[str], Segment | None]) -> None:
    """Put free text in whole that a delimiter cut which nobody escaped."""
    for name in _TEXTS:
        if text := found.get(name):
            at, field, component = places[name]
            segment = segments(at)
            if segment is not None and segment.field(field) != text:
                found[name] = one_text(segment, field) if at in _OWN else read_words(segment, field, component)


def _read_cards(message: Message) -> Row:
    """One IN1 with its ZIN a card; several cards are lists with `;`, as in the envelope."""
    plans = message.segments("IN1")
    cards = [plan.get(36) or plan.get(49) for plan in plans]
    person = message.first("PID")
    if not any(cards) and person is not None:
        numbers = range(1, len(person.repetitions(3)) + 1)
        cards = [person.get(3, 1, 1, number) for number in numbers if person.get(3, 5, 1, number) in _CARDS]
    lists = {
        "MA_THE_BHYT": cards,
        "MA_DKBD": [local.get(2) for local in message.segments("ZIN")] or [plan.get(35) for plan in plans],
        "GT_THE_TU": [plan.get(12) for plan in plans],
        "GT_THE_DEN": [plan.get(13) for plan in plans],
    }
    return {name: ";".join(values).rstrip(";") for name, values in lists.items()}


def _read_diagnoses(message: Message) -> Row:
    found: Row = {}
    others: list[str] = []
    traditional: list[str] = []
    for diagnosis in message.segments("DG1"):
        code, text = diagnosis.get(3), diagnosis.words(3, 2) or read_words(diagnosis, 4)
        rank = diagnosis.get(15)
        if diagnosis.get(6) == "A":
            found["CHAN_DOAN_VAO"] = "; ".join(part for part in (found.get("CHAN_DOAN_VAO", ""), text) if part)
        elif diagnosis.get(3, 3) == "YHCT":
            traditional.append(code)
        elif rank == "1" or (not rank and "MA_BENH_CHINH" not in found):
            found |= {"MA_BENH_CHINH": code, "CHAN_DOAN_RV": text}
        else:
            others.append(code)
    return found | {"MA_BENH_KT": ";".join(others), "MA_BENH_YHCT": ";".join(traditional)}


def _read_line(run: list[Segment]) -> tuple[str, Row]:
    product = run[0]
    by_name: dict[str, Segment] = {}
    for segment in run:
        by_name.setdefault(segment.name, segment)
    local = by_name.get("ZFT")
    codes = {product.get(7, at + 2): (product.get(7, at), product.words(7, at + 1)) for at in (4, 1)}
    group = local.get(1) if local else ""
    local_codes = codes.keys().isdisjoint(("VN-DVKT", "VN-VTYT"))
    table = "XML2" if "VN-THUOC" in codes or (local_codes and group in _DRUG_GROUPS) else "XML3"
    places = DRUG if table == "XML2" else SERVICE
    line = {name: by_name[at[0]].get(at[1], at[2]) for name, at in places.items() if at[0] in by_name}
    _keep_whole(line, places, by_name.get)
    if table == "XML2":
        line["TEN_THUOC"] = line["TEN_THUOC"] or product.words(7, 2)
    else:
        line |= _read_names(product, codes)
    for adjustment in (segment for segment in run if segment.name == "ADJ"):
        if adjustment.get(4) in AMOUNTS:
            line[adjustment.get(4)] = adjustment.get(5)
    return table, {name: text for name, text in line.items() if text}


def _read_names(product: Segment, codes: Mapping[str, tuple[str, str]]) -> Row:
    supply, service = codes.get("VN-VTYT", ("", "")), codes.get("VN-DVKT", ("", ""))
    if not supply[0] and not service[0] and product.get(7, 3) not in ("VN-VTYT", "VN-DVKT"):
        service = (product.get(7), product.words(7, 2))  # a local coding system
    first = "TEN_VAT_TU" if product.get(7, 3) == "VN-VTYT" else "TEN_DICH_VU"
    found = {"MA_VAT_TU": supply[0], "TEN_VAT_TU": supply[1], "MA_DICH_VU": service[0], "TEN_DICH_VU": service[1]}
    return found | {first: found[first] or read_words(product, 9)}


def _read_row(segment: Segment, rows: Rows) -> None:
    """ZTB: its elements go over what the other segments said of that row."""
    table, number = segment.get(1), segment.get(2)
    lines = rows.setdefault(table, [])
    at = int(number) if number.isascii() and number.isdigit() and len(number) < 9 else len(lines) + 1
    if not 1 <= at <= len(lines):
        lines.append({})
        at = len(lines)
    delimiters = segment.delimiters
    for repetition in segment.repetitions(3):
        name, value, *_ = (*repetition.split(delimiters.component, 2), "", "")
        lines[at - 1][unescape(name, delimiters)] = "" if value == NULL else whole(value, delimiters)


# --- writing ----------------------------------------------------------------------------------------------------------


def ehc_segments(header: list[Value], rows: Rows, *, day: str, version: int, cancelled: bool) -> Built:
    """All segments of the EHC message of a claim. Read again by `ehc_rows`, they give exactly the same rows.

    header: MSH with its name.
    day:    NGAYLAP.
    """
    summary = rows["XML1"][0]
    claim, procedures = _summary(summary, day, version, cancelled)
    built = [header, *claim]
    for table in ("XML2", "XML3"):
        for row in rows.get(table, ()):
            built += _line(table, row, day)
    built += procedures
    read, _ = ehc_rows(parse(build(built)))
    for table, lines in rows.items():
        known = read.get(table, [])
        for number, row in enumerate(lines, 1):
            before = known[number - 1] if number <= len(known) else {}
            changed = {name: row.get(name, "") for name in {**row, **before} if row.get(name, "") != before.get(name, "")}
            if changed or number > len(known):
                built.append(["ZTB", table, str(number), list(changed.items())])
    return built


def _place(built: dict[str, list[Value]], at: Place, value: Component) -> None:
    name, number, component = at
    fields = built.setdefault(name, [name])
    fields += [""] * (number + 1 - len(fields))
    parts = fields[number]
    known: list[Component] = list(parts) if isinstance(parts, tuple) else []
    known += [""] * (component - len(known))
    known[component - 1] = value
    fields[number] = tuple(known)


def _summary(row: Row, day: str, version: int, cancelled: bool) -> tuple[Built, Built]:
    """The segments before the lines, and PR1, which stands behind them."""
    built: dict[str, list[Value]] = {}
    for name in ("IVC", "ZCL", "PSS", "PSG", "PID", "PV1"):
        _place(built, (name, 1, 1), "1" if name in ("PSS", "PSG", "PID", "PV1") else row.get("MA_LK", ""))
    for name, at in (*SUMMARY.items(), *INSTEAD.items()):
        if row.get(name):
            _place(built, at, row[name])
    if version:
        _place(built, ("ZCL", 2, 1), str(version))
    facility = row.get("MA_CSKCB", "")
    fixed: tuple[tuple[Place, Component], ...] = (
        (("IVC", 4, 1), "CN" if cancelled else "OR"),
        (("IVC", 5, 1), "NORM"),
        (("IVC", 6, 1), "FN"),
        (("IVC", 10, 10), facility),
        (("IVC", 11, 1), "VSS"),
        (("IVC", 7, 1), row.get("NGAY_TTOAN") or day),
        (("IVC", 25, 1), "BHYT"),
        *_REQUIRED,
        (("PSS", 4, 1), row.get("T_TONGCHI_BV", "")),
        (("PSG", 5, 1), row.get("T_TONGCHI_BV", "")),
        (("IVC", 14, 1), row.get("NAM_QT", "") + row.get("THANG_QT", "").zfill(2) if row.get("THANG_QT") else ""),
        (("PV1", 2, 1), "I" if row.get("MA_LOAI_KCB") in _STAYS else "O"),
        (("PV1", 19, 1), row.get("MA_LK", "")),
        (("ZCL", 33, 1), day),
    )
    for at, value in fixed:
        if value:
            _place(built, at, value)
    _write_person(built["PID"], row, facility)
    ordered = ("IVC", "ZCL", "PSS", "PSG", "PID", "PV1", "PV2", "ACC")
    before = [*(built[name] for name in ordered if name in built), *_write_cards(row, built), *_write_diagnoses(row)]
    return before, [built["PR1"]] if "PR1" in built else []


def _write_person(person: list[Value], row: Row, facility: str) -> None:
    person += [""] * (9 - len(person))
    paper = row.get("SO_CCCD", "")
    identifiers: list[tuple[Component, ...]] = []
    if row.get("MA_BN"):
        identifiers.append((row["MA_BN"], "", "", f"VN-CSKCB-{facility}", "MR"))
    if paper:
        identifiers.append((paper, "", "", "BCA" if paper.isdigit() else "", "NI" if paper.isdigit() else "PPN"))
    person[3] = list(identifiers)
    person[5] = name_parts(row.get("HO_TEN", ""))
    person[7] = known_part(row.get("NGAY_SINH", ""))
    person[8] = _SEX_OUT.get(row.get("GIOI_TINH", ""), row.get("GIOI_TINH", ""))


def _write_cards(row: Row, built: Mapping[str, list[Value]]) -> Built:
    lists = [row.get(name, "").split(";") for name in ("MA_THE_BHYT", "MA_DKBD", "GT_THE_TU", "GT_THE_DEN")]
    count = max(len(values) for values in lists) if row.get("MA_THE_BHYT") else 0
    cards, registered, starts, ends = ([*values, *[""] * (count - len(values))] for values in lists)
    found: Built = []
    for index in range(count):
        plan: list[Value] = [
            "IN1",
            str(index + 1),
            "BHYT",
            "VSS",
            *[""] * 8,
            starts[index],
            ends[index],
            *[""] * 22,
            cards[index],
        ]
        found += [plan, [*built.get("ZIN", ["ZIN"])]]
        local = found[-1]
        local += [""] * (3 - len(local))
        local[1:3] = [str(index + 1), registered[index]]
    if not count and "ZIN" in built:
        found.append([*built["ZIN"]])
        found[-1][1] = "1"
    return found


def _write_diagnoses(row: Row) -> Built:
    stated: list[tuple[str, str, str, str, str]] = []  # code, text, system, type, rank
    if row.get("CHAN_DOAN_VAO"):
        stated.append(("", row["CHAN_DOAN_VAO"], "", "A", ""))
    if row.get("MA_BENH_CHINH") or row.get("CHAN_DOAN_RV"):
        stated.append((row.get("MA_BENH_CHINH", ""), row.get("CHAN_DOAN_RV", ""), "ICD-10", "F", "1"))
    for name, system in (("MA_BENH_KT", "ICD-10"), ("MA_BENH_YHCT", "YHCT")):
        stated += [(code, "", system, "F", "2") for code in row.get(name, "").split(";") if code]
    return [
        ["DG1", str(number), "", (code, text, system), "", "", kind, *[""] * 8, rank]
        for number, (code, text, system, kind, rank) in enumerate(stated, 1)
    ]


def _line(table: str, row: Row, day: str) -> Built:
    built: dict[str, list[Value]] = {}
    for name, at in (DRUG if table == "XML2" else SERVICE).items():
        if row.get(name):
            _place(built, at, (row[name], "VND") if at in _MONEY else row[name])
    for at, fixed in ((("PSL", 1, 1), row.get("STT", "")), (("PSL", 6, 1), "P"), (("PSL", 21, 1), "N")):
        _place(built, at, fixed)
    product = built["PSL"]
    product += [""] * (10 - len(product))
    if table == "XML2":
        product[7] = (row.get("MA_THUOC", ""), "", "VN-THUOC")
    else:
        product[7], product[9] = _written_names(row)
    adjustments: Built = [
        ["ADJ", str(number), str(number), str(number), name, ((row[name], "VND"),), *[""] * 8, row.get("NGAY_YL") or day]
        for number, name in enumerate((name for name in AMOUNTS if row.get(name)), 1)
    ]
    return [product, *([built["ZFT"]] if "ZFT" in built else []), *adjustments]


_MONEY: Final = (("PSL", 13, 1), ("PSL", 15, 1))


def _written_names(row: Row) -> tuple[tuple[Component, ...], str]:
    """PSL-7 and PSL-9: the supply first with the service it was used in, or the service alone."""
    service, named = row.get("MA_DICH_VU", ""), row.get("TEN_DICH_VU", "")
    if row.get("MA_VAT_TU") or row.get("TEN_VAT_TU"):
        other = (service, named, "VN-DVKT") if service or named else ()
        return (row.get("MA_VAT_TU", ""), "", "VN-VTYT", *other), row.get("TEN_VAT_TU", "")
    return (service, "", "VN-DVKT"), named
