"""The rival of `hub.insurer`: the same rules, claim by claim, with `decimal` and plain Python.

Written from adjudication.md §3 alone and shares no code with `hub.insurer.rules`, so that the tests can hold the one
against the other.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from hub.contract.events import Event

Found = tuple[str, str, str, int | None, str]
"""Rule, severity, table, STT, field."""

_CENT: Final = Decimal("0.01")
_TWO: Final = Decimal(2)
_NONE: Final = Decimal(0)
_BEYOND: Final = Decimal(10) ** 18


def _half_up(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)


def adjudicate_row(claim: Event) -> list[Found]:
    """Everything wrong with one decoded `hie.Claim`."""
    found: list[Found] = []
    if claim["meta"]["supersedes"]:
        found.append(("T06", "I", "", None, ""))
    if claim["action"] == "CANCELLED":
        return found
    for table in ("xml2", "xml3"):
        for line in claim[table]:
            found += [(rule, severity, table.upper(), line["stt"], field) for rule, severity, field in _line(table, line)]
    found += [("X05", severity, "XML1", None, field) for severity, field in _totals(claim)]
    return found


def _line(table: str, line: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    price_bv = line["don_gia"] if table == "xml2" else line["don_gia_bv"]
    price_bh = line["don_gia"] if table == "xml2" else line["don_gia_bh"]
    service = Decimal(100) if table == "xml2" else line["tyle_tt_dv"]
    prices = ("don_gia",) if table == "xml2" else ("don_gia_bv", "don_gia_bh", "tyle_tt_dv")
    amounts = ("thanh_tien_bv", "thanh_tien_bh", "t_bntt", "t_bncct", "t_bhtt")
    found = [("X04", "E", name) for name in ("so_luong", "tyle_tt_bh", "muc_huong", *amounts, *prices) if line[name] is None]
    if line["t_nguonkhac"] is None:
        found.append(("X04", "W", "t_nguonkhac"))
    sources = sum((line[f"t_nguonkhac_{name}"] or _NONE for name in ("nsnn", "vtnn", "vttn", "cl")), _NONE)
    sponsors = line["t_nguonkhac"] or _NONE

    def wrong(name: str, right: Decimal | None) -> None:
        if right is not None and line[name] is not None and line[name] != right:
            found.append(("X04", "E", name))

    wrong("t_nguonkhac", sources)
    quantity, ratio = line["so_luong"], line["tyle_tt_bh"]
    gross, base = (None if None in (quantity, price) else quantity * price for price in (price_bv, price_bh))
    if any(product is not None and abs(product) > _BEYOND for product in (gross, base)):
        found.append(("X04", "E", "so_luong"))
    if gross is not None and abs(gross) <= _BEYOND and service is not None:
        wrong("thanh_tien_bv", _half_up(gross * service / 100))
    insured_a = insured_b = None
    if base is not None and abs(base) <= _BEYOND and None not in (service, ratio):
        full = base * service / 100
        insured_a, insured_b = _half_up(full * ratio / 100), _half_up(max(_NONE, full - sponsors) * ratio / 100)
    bv, bh, benefit = line["thanh_tien_bv"], line["thanh_tien_bh"], line["muc_huong"]
    fund = None if None in (bh, benefit) else _half_up(bh * benefit / 100)
    together = None if fund is None else bh - fund
    own = None if None in (bv, bh) else bv - bh
    shares = None if None in (own, fund) else (own - sponsors, together, fund)  # type: ignore[operator]
    same = shares is not None and (line["t_bntt"], line["t_bncct"], line["t_bhtt"]) == shares
    case_b = sponsors > 0 and bh is not None and bh == insured_b and (same or insured_a != insured_b)
    wrong("thanh_tien_bh", insured_b if case_b else insured_a)
    left: Decimal | None = _NONE if case_b else sponsors
    for name, share in (("t_bntt", own), ("t_bncct", together), ("t_bhtt", fund)):
        taken = None if left is None or (share is None and left) else min(left, max(share or _NONE, _NONE))
        left = None if left is None or taken is None else left - taken
        if share is not None and taken is not None:
            wrong(name, share - (sponsors if case_b and name == "t_bntt" else taken))
    if None not in (line["t_bntt"], line["t_bncct"], line["t_bhtt"]):
        wrong("thanh_tien_bv", line["t_bntt"] + line["t_bncct"] + line["t_bhtt"] + sponsors)
    return found


def _sum(lines: Sequence[Mapping[str, Any]], name: str) -> Decimal:
    return sum((line[name] or _NONE for line in lines), _NONE)


def _totals(claim: Event) -> list[tuple[str, str]]:
    summary, drugs, services = claim["xml1"], claim["xml2"], claim["xml3"]
    lines = [*drugs, *services]
    right = {
        "t_thuoc": _sum(drugs, "thanh_tien_bv"),
        "t_vtyt": _sum([line for line in services if line["ma_nhom"] in ("10", "11")], "thanh_tien_bv"),
        "t_tongchi_bv": _sum(lines, "thanh_tien_bv"),
        "t_tongchi_bh": _sum(lines, "thanh_tien_bh"),
        "t_bntt": _sum(lines, "t_bntt"),
        "t_bncct": _sum(lines, "t_bncct"),
        "t_nguonkhac": _sum(lines, "t_nguonkhac"),
    }
    cards = [card.strip().upper()[:2] for card in summary["ma_the_bhyt"].split(";")]
    if not {"QN", "CA", "CY"} & set(cards):
        right["t_bhtt_gdv"] = _sum([line for line in lines if line["ma_pttt"] == "1"], "t_bhtt")
    required = [*right, "t_bhtt_gdv", "t_bhtt"]
    found = [("W" if name == "t_nguonkhac" else "E", name) for name in dict.fromkeys(required) if summary[name] is None]
    found += [("E", name) for name, sum_ in right.items() if summary[name] is not None and abs(summary[name] - sum_) > _TWO]
    fund, insured, together = summary["t_bhtt"], summary["t_tongchi_bh"], summary["t_bncct"]
    if fund is None:
        return found
    formulas = [] if None in (insured, together) else [insured - together, insured - together - (summary["t_nguonkhac"] or _NONE)]
    holds = any(abs(fund - amount) <= _TWO for amount in (*formulas, _sum(lines, "t_bhtt")))
    asked = formulas if summary["t_nguonkhac"] else formulas[:1]
    return found + [("W" if holds else "E", "t_bhtt") for amount in asked if abs(fund - amount) > _TWO]
