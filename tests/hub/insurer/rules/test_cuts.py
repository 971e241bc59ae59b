"""What several cuts of one line, and of one claim, take: never more than the fund's share."""

from decimal import Decimal

import polars as pl

from hub.insurer.decisions import decide
from hub.insurer.rules import adjudicate
from hub.insurer.rules.model import Rule
from tests.hub.insurer.made import claim_of, columns_of, line

ALWAYS = pl.lit(True)


def cut(field: str, about: str = "lines", *, of: str = "t_bhtt") -> Rule:
    return Rule("C00", "C", about, field, ALWAYS, "Cut.", "Cắt.", reduction=of)


def reductions(rules: list[Rule]) -> list[tuple[str, Decimal | None]]:
    found = adjudicate(DECODED, rules)
    return list(found.select("field", "reduction").iter_rows())


LINES = [line("xml2", stt=stt, so_luong=Decimal("1.000"), don_gia=Decimal("1000.000")) for stt in (1, 2)]
"""Two lines of 1,000 VND with 800 of the fund each."""
DECODED = columns_of([claim_of(LINES)])


def test_a_second_cut_of_a_line_takes_what_the_first_one_left():
    assert reductions([cut("a", of="t_bncct"), cut("b"), cut("c")]) == [
        ("a", Decimal("200.00")),
        ("a", Decimal("200.00")),
        ("b", Decimal("600.00")),
        ("b", Decimal("600.00")),
        ("c", Decimal("0.00")),
        ("c", Decimal("0.00")),
    ]


def test_a_cut_of_the_claim_takes_what_its_lines_left():
    found = reductions([cut("a", of="t_bncct"), cut("whole", "claims"), cut("again", "claims")])
    assert found[2:] == [("whole", Decimal("1200.00")), ("again", Decimal("0.00"))]


def test_cuts_of_lines_that_add_up_to_more_than_the_claim_asks_for_leave_nothing_and_take_no_more():
    rounded = columns_of([claim_of(LINES, t_bhtt=Decimal(1598))])  # within the 2 VND of X05
    found = adjudicate(rounded, [cut("a"), cut("whole", "claims")])
    assert found.get_column("reduction").to_list() == [Decimal(800), Decimal(798), Decimal(0)]
    decided = decide(rounded.claims, found, "vss").row(0, named=True)
    assert (decided["verdict"], decided["t_bhtt_gd"]) == ("REDUCED", Decimal(0))


def test_what_only_warns_cuts_nothing():
    told = Rule("W00", "W", "lines", "a", ALWAYS, "Told.", "Báo.", reduction="t_bhtt")
    assert reductions([told]) == [("a", None), ("a", None)]
    assert reductions([told, cut("b")])[2:] == [("b", Decimal("800.00"))] * 2


def test_a_claim_that_is_cut_is_reduced_by_just_that():
    decided = decide(DECODED.claims, adjudicate(DECODED, [cut("a", of="t_bncct")]), "vss").row(0, named=True)
    assert (decided["verdict"], decided["t_bhtt"], decided["t_bhtt_gd"]) == ("REDUCED", Decimal("1600.00"), Decimal("1200.00"))
    untouched = decide(DECODED.claims, adjudicate(DECODED, [cut("a", of="t_bntt")]), "vss").row(0, named=True)
    assert (untouched["verdict"], untouched["t_bhtt_gd"]) == ("ACCEPTED", Decimal("1600.00"))
