"""Faults: each changes a right claim so that one rule, and no other, finds it.

Money that a fault does not speak of is worked out again, so that one fault is one cause. Faults that nobody can have
without another one say which (`also`).
"""

import random
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Final

from hub.contract.claim_tables import tables
from hub.contract.events import Event
from hub.simulate.fault import Change, Fault, given, gone, more, of_field, plain
from hub.simulate.faults_benefit import benefit
from hub.simulate.faults_between import between
from hub.simulate.faults_listed import besides, listed
from hub.simulate.money import drug_amounts, shares, totals


def _paid(row: Event) -> bool:
    """Enough of each share that a fault can move some."""
    return bool(row["t_bhtt"] > 100 and row["thanh_tien_bh"] > 100)


def _shared(claim: Event) -> list[Event]:
    """Lines that patient and fund share, so that sponsors take from the co-payment first."""
    lines = [*claim.get("xml2", ()), *claim.get("xml3", ())]
    return [row for row in lines if row["thanh_tien_bv"] == row["thanh_tien_bh"] and row["t_bncct"] > 100]


def _divided_again(row: Event, sponsors: Decimal = Decimal(0)) -> None:
    row |= shares(row["thanh_tien_bv"], row["thanh_tien_bh"], row["muc_huong"], sponsors)


def _less_insured(_chance: random.Random, row: Event, _claim: Event) -> None:
    row["thanh_tien_bh"] -= 50
    _divided_again(row)


def _unfounded_sponsors(_chance: random.Random, row: Event, _claim: Event) -> None:
    row["t_nguonkhac"] = Decimal("1.00")
    _divided_again(row, row["t_nguonkhac"])


def _beyond_money(_chance: random.Random, row: Event, _claim: Event) -> None:
    row |= {"so_luong": Decimal("9000000000.000")} | dict.fromkeys(("don_gia_bv", "don_gia_bh"), Decimal("900000000000000.000"))


def _overdose(_chance: random.Random, row: Event, _claim: Event) -> None:
    row |= drug_amounts(Decimal(200), row["don_gia"], row["tyle_tt_bh"], row["muc_huong"])


def _sponsored(of_lines: bool, by: int = 0) -> Change:
    """Sponsors take part of a co-payment, so that the two formulas of T_BHTT differ: XML1 has what one of them gives."""

    def change(chance: random.Random, summary: Event, claim: Event) -> None:
        row = chance.choice(_shared(claim))
        row["t_nguonkhac"] = row["t_nguonkhac_cl"] = Decimal("50.00")
        _divided_again(row, row["t_nguonkhac"])
        summary |= totals(claim.get("xml2", ()), claim.get("xml3", ()))
        summary["t_bhtt"] += by - (Decimal(50) if of_lines else 0)

    return change


# --- the table --------------------------------------------------------------------------------------------------------

_MISSING_E: Final = {
    "XML1": "ma_bn ho_ten ngay_sinh gioi_tinh ma_benh_chinh ma_doituong_kcb ngay_vao ngay_ra ket_qua_dtri ma_loai_rv nam_qt thang_qt ma_loai_kcb",
    "XML2": "ma_thuoc ma_nhom pham_vi ma_pttt",
    "XML3": "ma_nhom pham_vi ma_pttt",
    "XML4": "ten_chi_so",
    "XML5": "dien_bien_ls thoi_diem_dbls",
}  # fmt: skip
_MISSING_W: Final = {
    "XML1": "ma_quoctich ma_dantoc ma_nghe_nghiep dia_chi matinh_cu_tru maxa_cu_tru ly_do_vv chan_doan_vao chan_doan_rv so_ngay_dtri ma_khoa can_nang ma_hsba",
    "XML2": "stt ten_thuoc don_vi_tinh ham_luong duong_dung lieu_dung so_dang_ky ma_khoa ma_bac_si ngay_yl nguon_ctra",
    "XML3": "stt ma_dich_vu ten_vat_tu ten_dich_vu don_vi_tinh ma_khoa ma_bac_si ma_benh ngay_yl",
    "XML4": "stt ngay_kq",
    "XML5": "stt nguoi_thuc_hien",
}  # fmt: skip
_CODED: Final = {
    "XML1": "gioi_tinh ma_doituong_kcb ma_tai_nan ket_qua_dtri ma_loai_rv ma_loai_kcb ma_khuvuc",
    "XML2": "ma_nhom pham_vi ma_pttt nguon_ctra vet_thuong_tp",
    "XML3": "ma_nhom pham_vi ma_pttt vet_thuong_tp pp_vo_cam tai_su_dung",
}
_AMOUNTS: Final = {
    "XML2": "so_luong tyle_tt_bh muc_huong thanh_tien_bv thanh_tien_bh t_bntt t_bncct t_bhtt don_gia",
    "XML3": "so_luong tyle_tt_bh muc_huong thanh_tien_bv thanh_tien_bh t_bntt t_bncct t_bhtt don_gia_bv don_gia_bh tyle_tt_dv",
}
_TOTALS: Final = ("t_thuoc", "t_vtyt", "t_tongchi_bv", "t_tongchi_bh", "t_bntt", "t_bncct", "t_bhtt", "t_bhtt_gdv")
_WITHOUT: Final = {"ngay_ra": (("F06", "E", "XML1", "nam_qt"),)}
"""Without its end a visit has no year either."""


def _missing() -> Iterator[Fault]:
    for severity, asked in (("E", _MISSING_E), ("W", _MISSING_W)):
        for table, fields in asked.items():
            for field in fields.split():
                also = (*besides(table, field, missing=True), *(_WITHOUT.get(field, ()) if table == "XML1" else ()))
                yield Fault("F01", severity, table, field, gone(field), "missing", of_field(table, field), also=also)


def _wrong_codes() -> Iterator[Fault]:
    for table, fields in _CODED.items():
        for field in fields.split():
            yield Fault("F02", "E", table, field, given(**{field: "ZZ"}), "code", of_field(table, field))


_NO_LIMIT: Final = ("ma_lk", "ma_cskcb", "mahuyen_cu_tru", "ma_khoa", "ma_may")
"""What the envelope holds, what there is no more, and what is a code."""
_LONG: Final = {"can_nang": "0000060", "can_nang_con": ";".join(["3000"] * 25)}
"""Too long, and right otherwise."""
_LONG_ALSO: Final = {
    ("XML1", "ma_benh_chinh"): (("F02", "E", "XML1", "ma_benh_chinh"),),
    ("XML1", "ma_noi_den"): (("X09", "W", "XML1", "ma_noi_den"),),
    ("XML4", "ma_dich_vu"): (("X15", "W", "XML4", "ma_dich_vu"),),
}
"""No code is as long, nobody was referred, and no service is so named."""


def _too_long() -> Iterator[Fault]:
    coded = {*((table, field) for table, fields in _CODED.items() for field in fields.split())}
    for table in ("XML1", "XML2", "XML3", "XML4", "XML5"):
        for element in tables()[table].values():
            field, limited = element.field, element.kind == "string" and element.max_length
            if not limited or field in _NO_LIMIT or (table, field) in coded or element.format.startswith("yyyymmdd"):
                continue
            value = _LONG.get(field, "x" * (element.max_length + 1))
            also = (*besides(table, field), *_LONG_ALSO.get((table, field), ()))
            yield Fault("F02", "W", table, field, given(**{field: value}), "too long", of_field(table, field), also=also)


def _elements() -> Iterator[Fault]:
    def summary(rule: str, severity: str, field: str, kind: str = "", **values: object) -> Fault:
        return Fault(rule, severity, "XML1", field, given(**values), kind, also=besides("XML1", field) if kind == "shape" else ())

    yield summary("F02", "E", "ngay_vao", "time", ngay_vao="2026112308")
    yield summary("F02", "E", "ngay_vao_noi_tru", "time", ngay_vao_noi_tru="23/11/2026")
    yield summary("F02", "E", "ngay_ra", "time", ngay_ra="202611239999")
    yield summary("F02", "W", "ngay_ttoan", "time", ngay_ttoan="20261123")
    for table, fields in {"XML2": "ngay_yl ngay_th_yl", "XML3": "ngay_yl ngay_th_yl ngay_kq", "XML4": "ngay_kq", "XML5": "thoi_diem_dbls"}.items():  # fmt: skip
        for field in fields.split():
            severity = "E" if field == "ngay_yl" else "W"
            yield Fault("F02", severity, table, field, given(**{field: "2026112308"}), "time", of_field(table, field))
    yield summary("F02", "E", "ngay_sinh", "shape", ngay_sinh="19701301")
    yield summary("F02", "W", "so_cccd", "shape", so_cccd="0010123")
    yield summary("F02", "E", "ma_benh_chinh", "shape", ma_benh_chinh="E11;I10")
    yield summary("F02", "E", "thang_qt", "month", thang_qt=13)
    yield summary("F02", "W", "ma_benh_kt", "many", ma_benh_kt=";".join(["I10"] * 13))
    yield summary("F02", "E", "ma_cskcb", "facility", ma_cskcb="99999")
    yield summary("F03", "E", "ma_the_bhyt", "shape", ma_the_bhyt="GD9010012345678")
    yield summary("F03", "E", "ma_the_bhyt", "missing", ma_the_bhyt="")
    for field in ("ma_dkbd", "gt_the_tu", "gt_the_den"):
        yield Fault("F04", "E", "XML1", field, _twice(field))
    yield summary("F05", "E", "ngay_mien_cct", "year", ngay_mien_cct="20270101")
    yield summary("F06", "E", "nam_qt", "year", nam_qt=2025)
    yield summary("F07", "W", "can_nang", "heavy", can_nang="250")
    yield summary("F07", "W", "can_nang_con", "heavy", can_nang_con="9000")
    yield summary("M01", "W", "ma_benh_chinh", "man", ma_benh_chinh="N76.0", gioi_tinh="1")
    yield summary("M01", "W", "ma_benh_chinh", "woman", ma_benh_chinh="N40", gioi_tinh="2")
    yield summary("M02", "W", "ma_benh_chinh", "newborn", ma_benh_chinh="P22.0")
    yield summary("M03", "W", "ma_benh_chinh", "unspecific", ma_benh_chinh="R53")
    yield Fault("M04", "W", "XML2", "so_luong", _overdose, "dose")


def _twice(field: str) -> Change:
    def change(_chance: random.Random, row: Event, _claim: Event) -> None:
        row[field] = f"{row[field]};{row[field]}"

    return change


def _money() -> Iterator[Fault]:
    for table, fields in _AMOUNTS.items():
        balance = (("X04", "E", table, "thanh_tien_bv"),)
        for field in fields.split():
            yield Fault("X04", "E", table, field, given(**{field: None}), "missing")
        yield Fault("X04", "W", table, "t_nguonkhac", given(t_nguonkhac=None), "missing")
        for field in ("t_bntt", "t_bncct", "t_bhtt"):
            yield Fault("X04", "E", table, field, more(field), "off", also=balance)
        yield Fault("X04", "E", table, "thanh_tien_bv", more("thanh_tien_bv", "t_bntt"), "off")
        yield Fault("X04", "E", table, "thanh_tien_bh", _less_insured, "off", _paid)
        yield Fault("X04", "E", table, "t_nguonkhac", _unfounded_sponsors, "off", _paid)
    yield Fault("X04", "E", "XML3", "so_luong", _beyond_money, "beyond", plain)
    shown = {"t_tongchi_bh", "t_bncct", "t_nguonkhac"}  # a formula of T_BHTT reads it; another one still holds
    for field in (*_TOTALS, "t_nguonkhac"):
        also = (("X05", "W", "XML1", "t_bhtt"),) if field in shown else ()
        yield Fault("X05", "E", "XML1", field, more(field), "off", also=also)
        yield Fault("X05", "W" if field == "t_nguonkhac" else "E", "XML1", field, given(**{field: None}), "missing")
    for kind, severity, change in (
        ("off with sponsors", "E", _sponsored(of_lines=False, by=10_000)),
        ("co-payment's formula", "W", _sponsored(of_lines=False)),
        ("portal's formula", "W", _sponsored(of_lines=True)),
    ):
        yield Fault("X05", severity, "XML1", "t_bhtt", change, kind, fits=lambda claim: bool(_shared(claim)))


FAULTS: Final = {
    fault.name: fault
    for fault in (*_missing(), *_wrong_codes(), *_too_long(), *_elements(), *between(), *benefit(), *_money(), *listed())
}
"""By name."""


@cache
def faults_of(name: str) -> tuple[Fault, ...]:
    """The fault of that name, or all of a rule. Raises: ValueError when there are none."""
    found = (FAULTS[name],) if name in FAULTS else tuple(fault for fault in FAULTS.values() if fault.rule == name)
    if not found:
        raise ValueError(f"{name}: no fault and no rule with faults")
    return found
