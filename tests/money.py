"""The money rules of adjudication.md §3, written down a second time, for tests of whatever makes or carries claims."""

from decimal import ROUND_HALF_UP, Decimal

from hub.contract.events import Event

CENT = Decimal("0.01")


def lines(claim: Event) -> list[Event]:
    return [*claim.get("xml2", ()), *claim.get("xml3", ())]


def line_faults(claim: Event) -> list[str]:
    """The elements of lines that break a line formula or the balance."""
    found = []
    for line in lines(claim):
        ratio = line.get("tyle_tt_dv", Decimal(100)) / 100
        asked = line["so_luong"] * line.get("don_gia", line.get("don_gia_bv")) * ratio
        insured = line["so_luong"] * line.get("don_gia", line.get("don_gia_bh")) * ratio * line["tyle_tt_bh"] / 100
        fund = line["thanh_tien_bh"] * line["muc_huong"] / 100
        expected = {"thanh_tien_bv": asked, "thanh_tien_bh": insured, "t_bhtt": fund}
        found += [name for name, amount in expected.items() if line[name] != amount.quantize(CENT, ROUND_HALF_UP)]
        paid = line["t_bntt"] + line["t_bncct"] + line["t_bhtt"] + line["t_nguonkhac"]
        found += ["balance"] if paid != line["thanh_tien_bv"] else []
    return found


def total_faults(claim: Event) -> list[str]:
    """The totals of XML1 that are not what the lines add up to."""
    summary, drugs, services = claim["xml1"], claim.get("xml2", []), claim.get("xml3", [])
    expected = {
        "t_thuoc": sum(line["thanh_tien_bv"] for line in drugs),
        "t_vtyt": sum(line["thanh_tien_bv"] for line in services if line["ma_nhom"] in ("10", "11")),
        "t_tongchi_bv": sum(line["thanh_tien_bv"] for line in lines(claim)),
        "t_tongchi_bh": sum(line["thanh_tien_bh"] for line in lines(claim)),
        "t_bntt": sum(line["t_bntt"] for line in lines(claim)),
        "t_bncct": sum(line["t_bncct"] for line in lines(claim)),
        "t_nguonkhac": sum(line["t_nguonkhac"] for line in lines(claim)),
        "t_bhtt": summary["t_tongchi_bh"] - summary["t_bncct"],
        "t_bhtt_gdv": sum(line["t_bhtt"] for line in lines(claim) if line["ma_pttt"] == "1"),
    }
    return [name for name, amount in expected.items() if summary[name] != amount]
