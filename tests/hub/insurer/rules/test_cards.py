"""X17: the card on the day of the order."""

from decimal import Decimal

import pytest

from tests.hub.insurer.made import claim_of, findings_of, line

STAY = {"ma_loai_kcb": "03", "ngay_vao": "202610010800", "ngay_vao_noi_tru": "202610010800", "ngay_ra": "202611231030"}
TWO = "GD4010116149000;HT3010116149000"


def cuts(ordered: str = "202611230815", **summary: str) -> list[Decimal]:
    found = findings_of(claim_of([line("xml2", ngay_yl=ordered, ngay_th_yl=ordered)], **summary))
    return [reduction for rule, reduction in found.select("rule", "reduction").iter_rows() if rule == "X17"]


@pytest.mark.parametrize(
    ("card", "covered"),
    [
        ({"gt_the_tu": "20261123"}, True),
        ({"gt_the_tu": "20261124"}, False),
        ({"gt_the_den": "20261123"}, True),
        ({"gt_the_den": "20261122"}, False),
        ({"gt_the_tu": "", "gt_the_den": ""}, True),
        ({"gt_the_tu": "24/11/2026", "gt_the_den": "x"}, True),
        ({"gt_the_den": "20261122", "ma_the_bhyt": ""}, True),
    ],
)
def test_nothing_is_paid_on_a_day_that_the_card_does_not_have(card, covered):
    assert cuts(**card) == ([] if covered else [Decimal("8000.00")])


@pytest.mark.parametrize(("ended", "covered"), [("20261108", True), ("20261107", False), ("20260930", False)])
def test_who_came_while_the_card_was_valid_is_covered_for_15_days_more(ended, covered):
    assert cuts(**STAY, gt_the_den=ended) == ([] if covered else [Decimal("8000.00")])


def test_who_came_after_it_ended_is_not():
    assert cuts("202610010815", **STAY, gt_the_den="20260930") == [Decimal("8000.00")]


def test_of_several_cards_the_first_day_and_the_last_count():
    lists = {"ma_the_bhyt": TWO, "ma_dkbd": "01021;01021"}
    assert cuts(**lists, gt_the_tu="20260101;20261101", gt_the_den="20261031;20261231") == []
    assert cuts(**lists, gt_the_tu="20260101;20260601", gt_the_den="20260531;20261031") == [Decimal("8000.00")]


@pytest.mark.parametrize(
    ("card", "covered"),
    [
        ({"gt_the_den": "20260930; 20261231"}, True),
        ({"gt_the_den": "20261231 ;20260930"}, True),
        ({"gt_the_den": "20260930; 20261005"}, False),
        ({"gt_the_den": "20261005;"}, True),
        ({"gt_the_den": "20261005;x"}, True),
        ({"gt_the_tu": "20261124; 20260101"}, True),
        ({"gt_the_tu": "20261124; 20261125"}, False),
        ({"gt_the_tu": ";20261124"}, True),
    ],
)
def test_blanks_between_cards_are_nothing_and_a_day_that_is_not_told_leaves_that_side_open(card, covered):
    lists = {"ma_the_bhyt": TWO, "ma_dkbd": "01021;01021", "gt_the_tu": "20260101;20260101", "gt_the_den": "20261231;20261231"}
    assert cuts(**lists | card) == ([] if covered else [Decimal("8000.00")])


def test_an_order_without_its_time_is_not_looked_at():
    assert cuts("20261123", gt_the_den="20261101") == []
