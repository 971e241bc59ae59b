"""The money of a simulated claim, right to the last đồng."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from hub.contract.events import Event

_CENT: Final = Decimal("0.01")
_SHORT: Final = Decimal(379_500)  # 15 % of the base salary of 2026


def cents(amount: Decimal) -> Decimal:
    """VND, rounded half up at two places, as the portal does."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def shares(tt_bv: Decimal, tt_bh: Decimal, benefit: Decimal, sponsors: Decimal = Decimal(0)) -> dict[str, Decimal]:
    """Who pays a line: `t_bntt`, `t_bncct`, `t_bhtt`, which with the sponsors' money add up to `tt_bv`.

    benefit:  MUC_HUONG in percent.
    sponsors: T_NGUONKHAC, deducted in order (case a).
    Source:   adjudication.md §3.
    """
    fund = cents(tt_bh * benefit / 100)
    own, together = tt_bv - tt_bh, tt_bh - fund
    paid = {}
    for name, part in (("t_bntt", own), ("t_bncct", together), ("t_bhtt", fund)):
        used = min(part, sponsors)
        sponsors -= used
        paid[name] = cents(part - used)
    return paid


def totals(drugs: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """The nine amounts of XML1 that the lines of XML2 and XML3 add up to; what a line lacks counts nothing. Source: adjudication.md §3."""
    lines = [*drugs, *services]

    def total(name: str, among: Sequence[Mapping[str, Any]] = lines) -> Decimal:
        return sum((line[name] or Decimal(0) for line in among), Decimal("0.00"))

    insured, together = total("thanh_tien_bh"), total("t_bncct")
    return {
        "t_thuoc": total("thanh_tien_bv", drugs),
        "t_vtyt": total("thanh_tien_bv", [line for line in services if line.get("ma_nhom") in ("10", "11")]),
        "t_tongchi_bv": total("thanh_tien_bv"),
        "t_tongchi_bh": insured,
        "t_bntt": total("t_bntt"),
        "t_bncct": together,
        "t_bhtt": insured - together,
        "t_nguonkhac": total("t_nguonkhac"),
        "t_bhtt_gdv": total("t_bhtt", [line for line in lines if line.get("ma_pttt") == "1"]),
    }


def in_full(insured: Decimal | None) -> bool:
    """Whether a visit costs so little (T_TONGCHI_BH) that the fund pays all of it. Source: identifiers.md §2."""
    return insured is None or insured < _SHORT


def pay_in_full(line: Event) -> None:
    """Nothing of the line, which has no sponsors, is left to the patient but what is not insured."""
    line |= {"muc_huong": Decimal("100.00"), "t_bncct": Decimal("0.00"), "t_bhtt": line["thanh_tien_bh"]}


def drug_amounts(quantity: Decimal, price: Decimal, item_ratio: Decimal, benefit: Decimal) -> Event:
    """The amounts of an XML2 line without sponsors."""
    tt_bv, tt_bh = cents(quantity * price), cents(quantity * price * item_ratio / 100)
    return {
        "so_luong": quantity.quantize(Decimal("0.001")),
        "don_gia": price.quantize(Decimal("0.001")),
        "tyle_tt_bh": cents(item_ratio),
        **_line_amounts(tt_bv, tt_bh, benefit),
    }


def service_amounts(
    quantity: Decimal, price: Decimal, insured_price: Decimal, service_ratio: Decimal, item_ratio: Decimal, benefit: Decimal
) -> Event:
    """The amounts of an XML3 line without sponsors."""
    tt_bv = cents(quantity * price * service_ratio / 100)
    tt_bh = cents(quantity * insured_price * service_ratio / 100 * item_ratio / 100)
    return {
        "so_luong": quantity.quantize(Decimal("0.001")),
        "don_gia_bv": price.quantize(Decimal("0.001")),
        "don_gia_bh": insured_price.quantize(Decimal("0.001")),
        "tyle_tt_dv": cents(service_ratio),
        "tyle_tt_bh": cents(item_ratio),
        **_line_amounts(tt_bv, tt_bh, benefit),
    }


def _line_amounts(tt_bv: Decimal, tt_bh: Decimal, benefit: Decimal) -> Event:
    nothing = Decimal("0.00")
    sources = dict.fromkeys(
        ("t_nguonkhac_nsnn", "t_nguonkhac_vtnn", "t_nguonkhac_vttn", "t_nguonkhac_cl", "t_nguonkhac"), nothing
    )
    return {
        "thanh_tien_bv": tt_bv,
        "thanh_tien_bh": tt_bh,
        "muc_huong": cents(benefit),
        **sources,
        **shares(tt_bv, tt_bh, benefit),
    }
