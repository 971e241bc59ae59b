"""Faults between the elements, rows and papers of a claim: X01 to X03, X06, X08 to X17, C33."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from hub.contract.events import Event
from hub.simulate.fault import Change, Fault, given, gone, measured, plain, supply
from hub.simulate.money import service_amounts, shares, totals
from hub.simulate.rows import BED, DEVICE, STENT

_LONG_AGO, _LATER, _TOO_LATE = "202610010800", "202612010800", "202703010800"
_ELSEWHERE: Final = "01021"
_ALL_OF: Final = Decimal(100)


def between() -> Iterator[Fault]:
    """All of them."""
    yield from _times()
    yield from _sponsors()
    yield from _papers()
    yield from _referrals()
    yield from _services()
    yield from _beds()


def _outpatient(claim: Event) -> bool:
    return bool(claim["xml1"]["ma_loai_kcb"] == "01")


def _times() -> Iterator[Fault]:
    yield Fault("X01", "E", "XML1", "ngay_ra", _without_rows, "too early")
    yield Fault("X01", "E", "XML1", "ngay_vao_noi_tru", given(ngay_vao_noi_tru=_LONG_AGO), "too early", fits=_outpatient)
    yield Fault("X16", "W", "XML1", "ngay_ra", given(ngay_vao="202611211000"), "days", fits=_outpatient)
    yield Fault("X03", "W", "XML5", "thoi_diem_dbls", given(thoi_diem_dbls=_LONG_AGO), "outside")
    for table in ("XML2", "XML3"):
        among = plain if table == "XML3" else bool
        yield Fault("X02", "C", table, "ngay_yl", given(ngay_yl=_LONG_AGO), "outside", among)
        yield Fault("X02", "C", table, "ngay_th_yl", given(ngay_th_yl=_LONG_AGO), "before", among)
    yield Fault("X02", "W", "XML2", "ngay_th_yl", given(ngay_th_yl="202611231100"), "after")
    yield Fault("X02", "C", "XML3", "ngay_kq", given(ngay_kq=_LONG_AGO), "before", plain)
    yield Fault("X02", "W", "XML3", "ngay_kq", given(ngay_kq=_LATER), "late", plain)
    yield Fault("X02", "C", "XML3", "ngay_kq", given(ngay_kq=_TOO_LATE), "too late", plain)


def _without_rows(_chance: random.Random, summary: Event, claim: Event) -> None:
    """Every row of a visit that ends before it begins would be outside of it."""
    for table in ("xml2", "xml3", "xml4", "xml5"):
        claim.pop(table, None)
    summary |= {"ngay_ra": f"{summary['ngay_vao'][:8]}0600", **totals((), ())}


def _sponsors() -> Iterator[Fault]:
    sources = ("t_nguonkhac_nsnn", "t_nguonkhac_vtnn", "t_nguonkhac_vttn", "t_nguonkhac_cl")
    for table in ("XML2", "XML3"):
        for field, other in zip(sources, (*sources[1:], sources[0]), strict=True):
            yield Fault("X06", "E", table, field, given(**{field: Decimal("-1.00"), other: Decimal("1.00")}), "negative")
        negative = (("X06", "E", table, "t_nguonkhac_cl"),)
        yield Fault("X06", "E", table, "t_nguonkhac", _paid_by_sponsors(lambda _: Decimal("-1.00")), "negative", also=negative)
        besides = (("X04", "E", table, "thanh_tien_bv"), ("X05", "W", "XML1", "t_bhtt"))
        yield Fault(
            "X06", "E", table, "t_nguonkhac", _paid_by_sponsors(lambda row: row["thanh_tien_bv"] + 1), "too much", also=besides
        )


def _paid_by_sponsors(amount: Any) -> Change:
    def change(_chance: random.Random, row: Event, _claim: Event) -> None:
        row["t_nguonkhac"] = row["t_nguonkhac_cl"] = amount(row)
        row |= shares(row["thanh_tien_bv"], row["thanh_tien_bh"], row["muc_huong"], row["t_nguonkhac"])

    return change


def _papers() -> Iterator[Fault]:
    for severity, field, value in (
        ("E", "ma_cskcb", "99999"),
        ("E", "ho_ten", "Người Khác"),
        ("E", "ngay_sinh", "190001010000"),
        ("E", "gioi_tinh", "3"),
        ("E", "ma_the_bhyt", "GD4019999999999"),
        ("W", "ngay_vao", _LONG_AGO),
        ("W", "ngay_vao_noi_tru", _LONG_AGO),
        ("W", "ngay_ra", _LATER),
    ):
        yield Fault(
            "X08", severity, "XML14", field, _with_paper("XML14", **{field: value}), "other", picks="XML1", fits=_outpatient
        )
    for table in ("XML2", "XML3", "XML5"):
        yield Fault("X08", "W", table, "ma_lk", given(ma_lk="ANOTHER"), "other")
    yield Fault("X08", "W", "XML14", "ma_lk", _with_paper("XML14", ma_lk="ANOTHER"), "other", picks="XML1", fits=_outpatient)


def _with_paper(table: str, referred: str = "", **paper: Any) -> Change:
    """A paper that says nothing but this; of XML13 the claim says whom it refers to."""

    def change(_chance: random.Random, summary: Event, claim: Event) -> Event:
        row = {"ma_lk": claim["ma_lk"], **paper}
        claim[table.lower()] = [row]
        if referred:
            summary |= {"ma_loai_rv": "2", "ma_noi_den": referred}
        if paper.get("ngay_vao_noi_tru"):
            summary["ngay_vao_noi_tru"] = summary["ngay_vao"]
        return row

    return change


def _referrals() -> Iterator[Fault]:
    def summary(rule: str, severity: str, field: str, kind: str, **values: str) -> Fault:
        return Fault(rule, severity, "XML1", field, given(**values), kind)

    yield Fault("X09", "E", "XML1", "ma_noi_den", _slip(ma_loai_rv="2"), "missing")
    yield summary("X09", "E", "ma_loai_rv", "no slip", ma_loai_rv="2", ma_noi_den=_ELSEWHERE)
    yield summary("X09", "W", "ma_noi_den", "not referred", ma_noi_den=_ELSEWHERE)
    yield Fault("X09", "W", "XML1", "ma_loai_rv", _slip(), "not referred")
    other = _with_paper("XML13", _ELSEWHERE, ma_cskcb_den="01731")
    yield Fault("X09", "W", "XML13", "ma_cskcb_den", other, "other", picks="XML1")
    yield summary("X10", "E", "ma_noi_di", "referred", ma_doituong_kcb="1.3")
    yield summary("X10", "W", "ma_noi_di", "follow-up", ma_doituong_kcb="1.5")
    yield summary("X10", "W", "ma_noi_di", "self-referred", ma_doituong_kcb="1.11", ma_noi_di=_ELSEWHERE)
    yield summary("X10", "E", "ma_dkbd", "elsewhere", ma_dkbd="99999")


def _slip(**values: str) -> Change:
    def change(_chance: random.Random, summary: Event, claim: Event) -> None:
        claim["xml13"] = [{"ma_lk": claim["ma_lk"]}]
        summary.update(values)

    return change


def _services() -> Iterator[Fault]:
    def needed(field: str, kind: str = "missing", change: Change | None = None, **of: Any) -> Fault:
        return Fault("X11", "C", "XML3", field, change or gone(field), kind, **of)

    yield needed("ma_may", among=lambda row: bool(row.get("ma_may")))
    yield needed("nguoi_thuc_hien", among=_examined)
    yield needed("ngay_th_yl", among=_examined)
    yield needed("pp_vo_cam", "of an operation", given(ma_nhom="8"), among=plain)
    yield needed("ma_xang_dau", "of a transport", given(ma_nhom="12"), among=plain)
    yield needed("tt_thau", among=supply)
    yield Fault("X13", "C", "XML3", "goi_vtyt", given(ma_dich_vu="99.0001.0001"), "without service", supply)
    yield Fault("X14", "C", "XML3", "tyle_tt_bh", _stents, "second stent", supply)
    yield Fault("C33", "C", "XML3", "thanh_tien_bh", _dear, "beyond 45 salaries", supply, fits=_limited)
    for kind, summary in (("not yet valid", {"gt_the_tu": "20261201"}), ("ended", {"gt_the_den": "20261101"})):
        yield Fault("X17", "C", "XML2", "ngay_yl", _card(**summary), kind)
    yield Fault("X15", "W", "XML3", "ma_dich_vu", _unread, "no conclusion", _image, fits=_one_image)
    yield Fault("X15", "W", "XML4", "ma_dich_vu", given(ma_dich_vu="99.0001.0001"), "no service", measured)


def _examined(row: Event) -> bool:
    return bool(row["ma_nhom"] == "1")


def _image(row: Event) -> bool:
    return bool(row["ma_nhom"] == "2")


def _one_image(claim: Event) -> bool:
    return sum(map(_image, claim["xml3"])) == 1


def _unread(_chance: random.Random, row: Event, claim: Event) -> None:
    claim["xml4"] = [result for result in claim["xml4"] if result["ma_dich_vu"] != row["ma_dich_vu"]]


def _stents(_chance: random.Random, row: Event, _claim: Event) -> None:
    code, name, priced = STENT
    price = Decimal(priced)
    row |= {"ten_vat_tu": name, "ma_vat_tu": code}
    row |= service_amounts(Decimal(2), price, price, _ALL_OF, _ALL_OF, row["muc_huong"])


def _dear(_chance: random.Random, row: Event, claim: Event) -> Event:
    """The last one of the package, as all behind it would be beyond the limit too."""
    code, name, priced = DEVICE
    price, of = Decimal(priced), ("ma_dich_vu", "goi_vtyt")
    last: Event = [one for one in claim["xml3"] if supply(one) and all(one.get(name) == row.get(name) for name in of)][-1]
    last |= {"ten_vat_tu": name, "ma_vat_tu": code}
    last |= service_amounts(Decimal(1), price, price, _ALL_OF, _ALL_OF, last["muc_huong"])
    return last


def _limited(claim: Event) -> bool:
    return bool(claim["xml1"]["ma_the_bhyt"][2] in "234")


def _card(**days: str) -> Change:
    """Other days of the card; the row is the only one, so that this is one cause of one finding."""

    def change(_chance: random.Random, row: Event, claim: Event) -> None:
        claim["xml1"].update(days)
        claim["xml2"] = [row]
        claim.pop("xml3", None)
        claim.pop("xml4", None)

    return change


# --- beds -------------------------------------------------------------------------------------------------------------


def _beds() -> Iterator[Fault]:
    def beds(severity: str, field: str, kind: str, change: Change, **more: Any) -> Fault:
        return Fault("X12", severity, "XML3", field, change, kind, picks="XML1", fits=_outpatient, **more)

    yield beds("C", "ma_nhom", "of an outpatient", _in_bed(0, ("23", "23", "1")), also=(("X12", "C", "XML3", "so_luong"),))
    yield beds("C", "ma_nhom", "of a short stay", _in_bed(1, ("23", "23", "1")))
    yield beds("C", "so_luong", "two a day", _in_bed(4, ("20", "20", "2")))
    yield beds("C", "so_luong", "too many days", _in_bed(1, ("20", "22", "2"), came="20"))
    yield beds("W", "ngay_th_yl", "overlapping", _in_bed(4, ("20", "21", "1"), ("21", "21", "1")))


def _in_bed(days: int, *beds: tuple[str, str, str], came: str = "") -> Change:
    """The outpatient stays for so many days (0: does not) in beds from a day at 08:15 to a day at 20:00; the last is named."""

    def change(_chance: random.Random, summary: Event, claim: Event) -> Event:
        if days:
            since = f"202611{came or 24 - days}"
            begun = summary["ngay_vao"] if days == 1 and not came else f"{since}0730"
            summary |= {"ma_loai_kcb": "03", "ngay_vao": begun, "ngay_vao_noi_tru": begun, "so_ngay_dtri": days}
        like = claim["xml3"][0]
        bed: Event = {}
        for first, last, quantity in beds:
            code, name, priced = BED
            price = Decimal(priced + 1)
            bed = like | {
                "ma_dich_vu": code,
                "ma_nhom": "15",
                "ten_dich_vu": name,
                "stt": len(claim["xml3"]) + 1,
            }
            at = f"202611{first}0815"
            bed |= {"ngay_yl": at, "ngay_th_yl": at, "ngay_kq": f"202611{last}2000" if last != "23" else "202611231000"}
            bed |= service_amounts(Decimal(quantity), price, price, _ALL_OF, _ALL_OF, like["muc_huong"])
            claim["xml3"].append(bed)
        return bed

    return change
