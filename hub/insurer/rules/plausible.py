"""M01 to M04: medical plausibility, adjudication.md §4.7. All of it is told only: a person has to look.

Contraindicated pairs and drugs without a diagnosis need lists that no source at hand gives; they are not here.
"""

from typing import Final

import polars as pl

from hub.insurer.rules.model import Frames, Rule, blank

_SOURCE: Final = "adjudication.md §4.7"
_FEMALE: Final = r"^(C5[1-8]|D06|D2[5-8]|D39|E28|F53|N7[0-7]|N8|N9[0-8]|O\d|Z3[2-9])"
_MALE: Final = r"^(C6[0-3]|D29|D40|E29|N4[0-9]|N5[01])"
"""Chapters and blocks of ICD-10 that are of one sex by their names; the catalogue of the ministry has a flag for each code."""

_NEWBORN: Final = r"^P\d"
_DAILY: Final = r"\[\s*(\d+(?:[.,]\d+)?)[^\]]*/\s*ng[aà]y\s*\]"
_MANY: Final = 30_000
_DAYS: Final = r"\*\s*(\d+)\s*ng[aà]y"


def prepare(frames: Frames) -> Frames:
    """claims: `years`, the age at the end of the visit; many: lines of more than 30 units of a drug with `prescribed`, the
    thousandths that LIEU_DUNG adds up to (few enough that its words may be read)."""
    year = pl.col("ngay_sinh").str.slice(0, 4).str.to_integer(strict=False)
    claims = frames["claims"].with_columns((pl.col("day").str.slice(0, 4).str.to_integer(strict=False) - year).alias("years"))
    dose = pl.col("lieu_dung")
    daily = dose.str.extract(_DAILY).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    whole = daily * dose.str.extract(_DAYS).cast(pl.Float64, strict=False) * 1000
    many = frames["lines"].filter((pl.col("table") == "XML2") & (pl.col("so_luong") > _MANY))
    return frames | {"claims": claims, "many": many.with_columns(whole.alias("prescribed"))}


def _told(rule: str, about: str, field: str, fails: pl.Expr, en: str, vi: str) -> Rule:
    return Rule(rule, "W", about, field, fails, en, vi, source=_SOURCE)


_ILLNESS: Final = pl.col("ma_benh_chinh")

RULES: Final[tuple[Rule, ...]] = (
    _told("M01", "claims", "ma_benh_chinh", (pl.col("gioi_tinh") == "1") & _ILLNESS.str.contains(_FEMALE), "The main diagnosis is one of women, the patient is a man.", "Bệnh chính chỉ gặp ở nữ nhưng người bệnh là nam."),
    _told("M01", "claims", "ma_benh_chinh", (pl.col("gioi_tinh") == "2") & _ILLNESS.str.contains(_MALE), "The main diagnosis is one of men, the patient is a woman.", "Bệnh chính chỉ gặp ở nam nhưng người bệnh là nữ."),
    _told("M02", "claims", "ma_benh_chinh", (pl.col("years") > 1) & _ILLNESS.str.contains(_NEWBORN), "The main diagnosis is one of newborns, the patient is older than a year.", "Bệnh chính là bệnh sơ sinh nhưng người bệnh trên một tuổi."),
    _told("M03", "claims", "ma_benh_chinh", ~blank("ma_benh_chinh") & _ILLNESS.str.contains(r"^(Z00|R53)"), "Z00 and R53 as the main diagnosis draw attention: is there an illness?", "Z00 hoặc R53 là bệnh chính cần được xem lại: có bệnh cụ thể không?"),
    _told("M04", "many", "so_luong", pl.col("so_luong") > pl.col("prescribed") * 1.5, "More of the drug is claimed than LIEU_DUNG adds up to (by half).", "Số lượng thuốc nhiều hơn liều dùng ghi nhận (quá một nửa)."),
)  # fmt: skip
