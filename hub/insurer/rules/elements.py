"""F01 to F07: single elements. Most rows are made from the official tables (`seeds/standards/xml-tables.csv`).

What a claim cannot be settled without, or what the portal blocks, rejects (E); what the tables ask for besides is told (W):
senders of every size leave out an occupation or a weight, and that must not cost a hospital its money. Amounts are the
affair of X04 and X05.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from hub.contract.claim_tables import Element, codes, tables
from hub.insurer.columns import FRAMES
from hub.insurer.rules.model import Frames, Rule, blank

_TABLES: Final = "xml-tables.csv"
_CHECKS: Final = "adjudication.md §4.2"
_FRAME_OF: Final = {"XML1": "claims"} | {table: frame for frame, held in FRAMES.items() for table in held if frame != "papers"}

_SETTLED_BY: Final = {
    "XML1": "MA_BN HO_TEN NGAY_SINH GIOI_TINH MA_BENH_CHINH MA_DOITUONG_KCB NGAY_VAO NGAY_RA KET_QUA_DTRI MA_LOAI_RV NAM_QT THANG_QT MA_LOAI_KCB",
    "XML2": "MA_THUOC MA_NHOM PHAM_VI MA_PTTT",
    "XML3": "MA_NHOM PHAM_VI MA_PTTT",
    "XML4": "TEN_CHI_SO",
    "XML5": "DIEN_BIEN_LS THOI_DIEM_DBLS",
}  # fmt: skip
"""Elements without which a claim is rejected."""

_NOT_ASKED: Final = frozenset({"MA_LK", "MAHUYEN_CU_TRU", "MA_CSKCB"})
"""MA_LK and MA_CSKCB stand in the event itself; the district tier ended on 01/07/2025 (identifiers.md §10)."""

_ASKED_WHEN: Final = {
    ("XML3", "TEN_VAT_TU"): ~blank("ma_vat_tu"),
    ("XML3", "TEN_DICH_VU"): blank("ma_vat_tu"),
    ("XML3", "MA_DICH_VU"): blank("ma_vat_tu"),
    ("XML2", "SO_DANG_KY"): pl.col("ma_nhom").is_in(["4", "5", "6"]) & ~pl.col("ma_thuoc").str.starts_with("40.17"),
    ("XML4", "NGAY_KQ"): ~blank("gia_tri"),
}
"""Elements that are required on a condition of their row; those of service groups are X11. Oxygen has no registration."""

_ODD: Final = ".odd"
_CARD: Final = r"^(TE1\d{12}|[A-Z]{2}[1-5]\d{12}|\d{12}|\d{10})$"
_TIME: Final = r"^(19|2[0-9])[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])[0-5][0-9]$"
_YEAR: Final = pl.col("ngay_ra").str.slice(0, 4)


def prepare(frames: Frames) -> Frames:
    """claims: how many items the lists of cards have, and each card by itself; lines, results, notes: the few rows of which
    any of these rules may have something to say, as `….odd` (one look at a row, and not one for each rule)."""
    odd = {f"{name}{_ODD}": frames[name].filter(pl.any_horizontal(looks)) for name, looks in _LOOKS.items()}
    cards = pl.col("ma_the_bhyt").str.to_uppercase().str.split(";").list.eval(pl.element().str.strip_chars())
    claims = frames["claims"].with_columns(
        cards.alias("cards"), (pl.col("ma_the_bhyt").str.count_matches(";", literal=True) + 1).alias("cards_n")
    )
    return frames | odd | {"claims": claims}


def _about(frame: str) -> str:
    return frame if frame == "claims" else f"{frame}{_ODD}"


def _elements() -> Iterator[tuple[Element, str, pl.Expr]]:
    """Every element that these rules look at, its frame, and whether a row is of its table."""
    for table, frame in _FRAME_OF.items():
        of_table = pl.lit(True) if frame != "lines" else pl.col("table") == table
        for element in tables()[table].values():
            if element.name not in _NOT_ASKED:
                yield element, frame, of_table


def _missing(element: Element) -> pl.Expr:
    return blank(element.field) if element.kind == "string" else pl.col(element.field).is_null()


def _required() -> Iterator[Rule]:
    for element, frame, of_table in _elements():
        when = _ASKED_WHEN.get((element.table, element.name))
        if (
            element.kind.startswith("decimal")
            or (element.required != "y" and when is None)
            or (element.name == "STT" and frame == "claims")
        ):
            continue
        settled = element.name in _SETTLED_BY[element.table].split()
        fails = of_table & _missing(element)
        vi, en = f"Thiếu {element.name} ở {element.table}.", f"{element.name} of {element.table} is missing."
        yield Rule("F01", "E" if settled else "W", _about(frame), element.field, fails if when is None else fails & when, en, vi, source=f"{_TABLES}, required; {_CHECKS}")  # fmt: skip


def _listed() -> Iterator[Rule]:
    for element, frame, of_table in _elements():
        members = codes().get(element.code_list)
        if members is None or element.kind != "string" or element.format == "list;" or element.code_list == "MACHINE_GROUP":
            continue
        members |= {"0"} if len(members) == 1 else set()  # a flag: 0 says no
        fails = of_table & ~blank(element.field) & ~pl.col(element.field).is_in(sorted(members))
        if element.name in ("MA_KHOA", "MATINH_CU_TRU"):
            continue
        en = f"{element.name} is not a code of the list {element.code_list}."
        yield Rule("F02", "E", _about(frame), element.field, fails, en, f"{element.name} không có trong danh mục {element.code_list}.", source=f"codes.csv, {element.code_list}; {_CHECKS}")  # fmt: skip


def _lengths() -> Iterator[tuple[Rule, pl.Expr]]:
    for element, frame, of_table in _elements():
        if (
            element.kind != "string"
            or not element.max_length
            or element.code_list in codes()
            or element.format.startswith("yyyymmdd")
        ):
            continue
        text, vi = pl.col(element.field).str, f"{element.name} dài hơn {element.max_length} ký tự."
        en = f"{element.name} is longer than {element.max_length} characters."
        long, bytes_long = (of_table & (length > element.max_length) for length in (text.len_chars(), text.len_bytes()))
        rule = Rule("F02", "W", _about(frame), element.field, long, en, vi, source=f"{_TABLES}, max_length; {_CHECKS}")
        yield rule, bytes_long  # never fewer than characters, and there without a look at the text


def _minute(name: str) -> pl.Expr:
    """Whether a text is a time to the minute, yyyymmddHHMM, of the calendar."""
    return pl.col(name).str.to_datetime("%Y%m%d%H%M", strict=False, time_unit="us").is_not_null() & (
        pl.col(name).str.len_bytes() == 12
    )


def _digits_of_a_time(name: str) -> pl.Expr:
    """As `_minute`, without the calendar: rows are many."""
    return pl.col(name).str.contains(_TIME)


def _time(frame: str, field: str, severity: str, right: pl.Expr) -> Rule:
    fails = ~blank(field) & ~right.fill_null(False)
    en = f"{field.upper()} is not a time of the form yyyymmddHHMM."
    return Rule(
        "F02",
        severity,
        _about(frame),
        field,
        fails,
        en,
        f"{field.upper()} không đúng định dạng yyyymmddHHMM.",
        source=f"{_TABLES}, format; {_CHECKS}",
    )


def _shape(field: str, pattern: str, what_en: str, what_vi: str, severity: str = "W") -> Rule:
    fails = ~blank(field) & ~pl.col(field).str.contains(pattern)
    return Rule("F02", severity, "claims", field, fails, f"{field.upper()} is not {what_en}.", f"{field.upper()} không phải là {what_vi}.", source=f"{_TABLES}, format; {_CHECKS}")  # fmt: skip


def _claims(rule: str, severity: str, field: str, fails: pl.Expr, en: str, vi: str) -> Rule:
    return Rule(rule, severity, "claims", field, fails, en, vi, source=_CHECKS)


_WEIGHT = pl.col("can_nang").str.strip_chars().cast(pl.Float64, strict=False)
_NEWBORN = pl.col("can_nang_con").str.split(";").list.eval(pl.element().str.strip_chars().cast(pl.Float64, strict=False))
_LISTS: Final = ("ma_dkbd", "gt_the_tu", "gt_the_den")

_LENGTHS: Final = tuple(_lengths())

RULES: Final[tuple[Rule, ...]] = (
    *_required(),
    *_listed(),
    *(rule for rule, _ in _LENGTHS),
    *(_time("claims", name, "E", _minute(name)) for name in ("ngay_vao", "ngay_vao_noi_tru", "ngay_ra")),
    _time("claims", "ngay_ttoan", "W", _minute("ngay_ttoan")),
    *(_time("lines", name, "E", _digits_of_a_time(name)) for name in ("ngay_yl",)),
    *(_time("lines", name, "W", _digits_of_a_time(name)) for name in ("ngay_th_yl", "ngay_kq")),
    _time("results", "ngay_kq", "W", _digits_of_a_time("ngay_kq")),
    _time("notes", "thoi_diem_dbls", "W", _digits_of_a_time("thoi_diem_dbls")),
    _shape("ngay_sinh", r"^(18|19|20)\d\d(0000|(0[1-9]|1[0-2])(00|0[1-9]|[12]\d|3[01]))([01]\d|2[0-3])[0-5]\d$", "a birth date of 12 digits (unknown parts 00)", "ngày sinh 12 chữ số (phần không rõ ghi 00)", "E"),
    _shape("so_cccd", r"^(\d{9}|\d{12}|[A-Z]\d{7})$", "an identity number of 9 or 12 digits, or a letter with 7 digits", "số định danh 9 hoặc 12 chữ số, hoặc 1 chữ cái và 7 chữ số"),
    _shape("ma_benh_chinh", r"^[A-Z]\d{2}(\.?[0-9A-Z]{1,3})?[*†+]?$", "one ICD-10 code", "một mã ICD-10", "E"),
    _claims("F02", "E", "thang_qt", ~pl.col("thang_qt").is_between(1, 12), "THANG_QT is not a month, 1 to 12.", "THANG_QT không phải tháng từ 1 đến 12."),
    _claims("F02", "W", "ma_benh_kt", pl.col("ma_benh_kt").str.count_matches(";", literal=True) >= 12, "MA_BENH_KT has more than 12 codes.", "MA_BENH_KT có hơn 12 mã."),
    _claims("F02", "E", "ma_cskcb", ~blank("xml1_ma_cskcb") & (pl.col("xml1_ma_cskcb") != pl.col("ma_cskcb")), "MA_CSKCB of XML1 is not the facility of the envelope.", "MA_CSKCB ở XML1 khác cơ sở gửi hồ sơ."),
    _claims("F03", "E", "ma_the_bhyt", ~blank("ma_the_bhyt") & ~pl.col("cards").list.eval(pl.element().str.contains(_CARD)).list.all(), "MA_THE_BHYT is no card: 15 characters (level 1 to 5), 12 or 10 digits.", "MA_THE_BHYT không đúng: 15 ký tự (mức hưởng 1 đến 5), 12 hoặc 10 chữ số."),
    _claims("F03", "E", "ma_the_bhyt", blank("ma_the_bhyt") & (pl.col("ma_doituong_kcb") != "9") & (pl.col("t_bhtt") > 0), "A claim on the fund needs a card (MA_THE_BHYT).", "Đề nghị quỹ thanh toán phải có thẻ (MA_THE_BHYT)."),
    *(_claims("F04", "E", name, ~blank(name) & (pl.col(name).str.count_matches(";", literal=True) + 1 != pl.col("cards_n")), f"{name.upper()} does not have as many items as MA_THE_BHYT.", f"{name.upper()} không cùng số phần tử với MA_THE_BHYT.") for name in _LISTS),
    _claims("F05", "E", "ngay_mien_cct", ~blank("ngay_mien_cct") & (pl.col("ngay_mien_cct").str.slice(0, 4) != _YEAR), "NGAY_MIEN_CCT is not in the year of the visit.", "NGAY_MIEN_CCT không thuộc năm ra viện."),
    _claims("F06", "E", "nam_qt", pl.col("nam_qt").cast(pl.String) != _YEAR, "NAM_QT is not the year of NGAY_RA.", "NAM_QT khác năm của NGAY_RA."),
    _claims("F07", "W", "can_nang", _WEIGHT > 200, "CAN_NANG is over 200 kg.", "CAN_NANG trên 200 kg."),
    _claims("F07", "W", "can_nang_con", ~blank("can_nang_con") & ~_NEWBORN.list.eval(pl.element().is_between(300, 7000)).list.all(), "CAN_NANG_CON is not between 300 and 7,000 g.", "CAN_NANG_CON không trong khoảng 300 đến 7.000 g."),
)  # fmt: skip

_ROUGHLY: Final = dict(_LENGTHS)
_LOOKS: Final = {
    name: [_ROUGHLY.get(rule, rule.fails).fill_null(False) for rule in RULES if rule.about == f"{name}{_ODD}"]
    for name in ("lines", "results", "notes")
}
"""By frame what makes a row odd: what each rule finds, or what that cannot be without."""
