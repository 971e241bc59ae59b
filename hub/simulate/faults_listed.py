"""Faults against the catalogues (`catalogues.py`): C01 to C52, but C33."""

import random
from collections.abc import Callable, Iterator
from typing import Final

from hub.contract.events import Event
from hub.simulate.catalogues import FLAGGED, UNLISTED
from hub.simulate.fault import Change, Fault, any_row, given, plain, supply
from hub.simulate.money import drug_amounts, service_amounts

_LINES: Final = (
    ("drugs", "C1", "XML2", "ma_thuoc", "don_gia", "ten_thuoc", any_row),
    ("services", "C2", "XML3", "ma_dich_vu", "don_gia_bh", "ten_dich_vu", plain),
    ("supplies", "C3", "XML3", "ma_vat_tu", "don_gia_bh", "ten_vat_tu", supply),
)
"""Catalogue, tens of its rules, table, code, price, name, rows."""

UNREAD: Final = {
    ("XML1", "ma_benh_chinh"): ("C50", "W"),
    ("XML2", "ma_thuoc"): ("C10", "C"),
    ("XML2", "ten_thuoc"): ("C12", "W"),
    ("XML2", "so_dang_ky"): ("C13", "W"),
    ("XML2", "tt_thau"): ("C13", "W"),
    ("XML2", "ma_bac_si"): ("C40", "W"),
    ("XML3", "ma_dich_vu"): ("C20", "C"),
    ("XML3", "ten_dich_vu"): ("C22", "W"),
    ("XML3", "ma_vat_tu"): ("C30", "C"),
    ("XML3", "ten_vat_tu"): ("C32", "W"),
    ("XML3", "ma_bac_si"): ("C40", "W"),
    ("XML3", "nguoi_thuc_hien"): ("C40", "W"),
}
"""Table and element to rule and severity: what a catalogue has to say where there is another text."""
_NOT_OF_NOTHING: Final = ("C40", "C50")
_MISSING: Final = {
    ("XML2", "ngay_yl"): ("ma_thuoc", "ma_bac_si"),
    ("XML3", "ngay_yl"): ("ma_dich_vu", "ma_bac_si", "nguoi_thuc_hien"),
}
"""Without its day, nothing of a line is on a list of the day."""


def besides(table: str, field: str, *, missing: bool = False) -> tuple[tuple[str, str, str, str], ...]:
    """What the catalogues find when another rule's fault takes an element away (`missing`) or makes nonsense of it."""
    if missing and (table, field) in _MISSING:
        return tuple((*UNREAD[table, other], table, other) for other in _MISSING[table, field])
    if missing and (table, field) == ("XML3", "ma_khoa"):
        return (("C23", "W", table, field),)
    rule, severity = UNREAD.get((table, field), ("", ""))
    if not rule or (missing and rule in _NOT_OF_NOTHING):
        return ()
    named = "so_dang_ky" if rule == "C13" else field
    return ((rule, severity, table, named),)


def listed() -> Iterator[Fault]:
    """All of them."""
    yield Fault("C01", "E", "XML1", "ma_cskcb", _nowhere, "unknown", fits=_all_paid)
    for name, tens, table, code, price, text, among in _LINES:
        for kind, codes in UNLISTED.items():
            yield Fault(f"{tens}0", "C", table, code, given(**{code: codes[name]}), kind, among)
        yield Fault(f"{tens}1", "C", table, price, _dearer, "dearer", among)
        yield Fault(f"{tens}2", "W", table, text, given(**{text: "Tên khác"}), "other", among)
    yield Fault("C13", "W", "XML2", "so_dang_ky", given(so_dang_ky="VD-00000-01"), "other")
    yield Fault("C13", "W", "XML2", "so_dang_ky", given(tt_thau="9999/QĐ-SYT;G1;N1;2026"), "of another tender")
    yield Fault("C23", "W", "XML3", "ma_khoa", given(ma_khoa="K02"), "other", plain)
    yield Fault("C24", "W", "XML3", "ma_may", given(ma_may="XX.9.KHAC"), "other", lambda row: bool(row.get("ma_may")))
    for kind, codes in UNLISTED.items():
        for table, field in (("XML2", "ma_bac_si"), ("XML3", "ma_bac_si"), ("XML3", "nguoi_thuc_hien")):
            yield Fault("C40", "W", table, field, _together(field, codes["staff"]), kind)
        yield _diagnosed("C50", kind, codes["icd"])
    for flag in ("not_main", "never"):
        yield _diagnosed("C51", flag, FLAGGED[flag])
    yield _diagnosed("C51", "death_only", FLAGGED["death_only"], lambda summary: summary["ket_qua_dtri"] != "5")
    for flag, other in (("female", "1"), ("male", "2")):
        yield Fault("C52", "W", "XML1", "ma_benh_chinh", given(ma_benh_chinh=FLAGGED[flag], gioi_tinh=other), flag)


def _diagnosed(rule: str, kind: str, code: str, among: Callable[[Event], bool] = any_row) -> Fault:
    return Fault(rule, "W", "XML1", "ma_benh_chinh", given(ma_benh_chinh=code), kind, among)


def _all_paid(claim: Event) -> bool:
    """Nothing is co-paid, so that where nobody knows the facility's level the rates are right too."""
    return all(line["muc_huong"] == 100 for line in (*claim.get("xml2", ()), *claim.get("xml3", ())))


def _nowhere(_chance: random.Random, summary: Event, claim: Event) -> None:
    claim["ma_cskcb"] = summary["ma_cskcb"] = summary["ma_dkbd"] = "99999"


def _dearer(_chance: random.Random, row: Event, _claim: Event) -> None:
    """Above every approved price of its kind by less than the dear one of another registration."""
    quantity, ratio, rate = row["so_luong"], row["tyle_tt_bh"], row["muc_huong"]
    if "don_gia" in row:
        row |= drug_amounts(quantity, row["don_gia"] + 1_000, ratio, rate)
    else:
        prices = (row["don_gia_bv"] + 1_000, row["don_gia_bh"] + 1_000)
        row |= service_amounts(quantity, *prices, row["tyle_tt_dv"], ratio, rate)


def _together(field: str, licence: str) -> Change:
    """Beside somebody who is on the list."""

    def change(_chance: random.Random, row: Event, _claim: Event) -> None:
        row[field] = f"{row.get(field) or '000123/HNO-CCHN'};{licence}"

    return change
