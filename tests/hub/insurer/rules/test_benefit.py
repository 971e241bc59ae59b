"""X07: the benefit rate of lines against card, category, facility and cost."""

from decimal import Decimal

import polars as pl
import pytest

from hub.insurer.rules.benefit import RULES
from tests.hub.insurer.made import claim_of, findings_of, line

OVER, BELOW = "50000.000", "37949.000"  # ten of them: 500,000 and 379,490 VND
HOSPITAL, COMMUNE, UNKNOWN = "01021", "01731", "01999"
NUMBER = "010116149000"  # province and social-insurance number


def visit(card="GD4" + NUMBER, rate=80, *, price=OVER, facility=HOSPITAL, **summary):
    drug = line("xml2", muc_huong=Decimal(rate), don_gia=Decimal(price), **summary.pop("drug", {}))
    given = {"ma_the_bhyt": card, "ngay_ra": "202611231030", "ma_doituong_kcb": "1.1", "ma_loai_kcb": "01", "ma_khuvuc": "", "ngay_mien_cct": ""}  # fmt: skip
    return claim_of([drug], **(given | summary)) | {"ma_cskcb": facility}


def found(*given, **named):
    """Severity, the rate shown as granted and the reduction of every finding about rates."""
    rows = findings_of(visit(*given, **named), rules=RULES).filter(pl.col("field") != "ma_the_bhyt")
    return [(severity, computed and int(computed), reduction) for severity, computed, reduction in rows.select("severity", "computed", "reduction").iter_rows()]  # fmt: skip


def granted(*given, **named):
    """The rate up to which a line is paid, found by claiming 100 %; 100 if that is not cut."""
    cuts = [rate for severity, rate, _ in found(*given, rate=100, **named) if severity == "C"]
    return cuts[0] if cuts else 100


@pytest.mark.parametrize(
    ("card", "rate"),
    [("CC1", 100), ("TE1", 100), ("HN2", 100), ("HT3", 95), ("PV3", 95), ("GD4", 80), ("DN4", 80), ("QN5", 100), ("ZZ4", 80)],
)
def test_the_digit_of_the_card_gives_the_rate(card, rate):
    assert granted(card + NUMBER) == rate
    assert found(card + NUMBER, rate) == []


def test_a_newborn_with_a_temporary_card_pays_nothing():
    assert found("TE101" + "0000000123", 100) == []
    assert [severity for severity, _, _ in found("TE101" + "0000000123", 80)] == ["W"]


def test_a_rate_too_high_is_cut_to_the_right_one():
    assert found(rate=100) == [("C", 80, Decimal("100000.00"))]
    assert found("HT3" + NUMBER, 100) == [("C", 95, Decimal("25000.00"))]


def test_the_cut_is_exact_and_half_up():
    assert found("GD4" + NUMBER, 95, price="50000.003") == [("C", 80, Decimal("75000.01"))]  # 475,000.03 less 400,000.02


def test_money_of_sponsors_stays_taken_off():
    sponsored = {"t_nguonkhac": Decimal("150000.00"), "t_nguonkhac_cl": Decimal("150000.00")}
    assert found(rate=100, drug=sponsored) == []  # the fund is asked for 350,000 of 500,000 and owes up to 400,000
    little = {"t_nguonkhac": Decimal("30000.00"), "t_nguonkhac_cl": Decimal("30000.00")}
    assert found(rate=100, drug=little) == [("C", 80, Decimal("70000.00"))]


def test_a_rate_too_low_is_told_once_a_claim():
    low = [line("xml2", stt=stt, muc_huong=Decimal(80), don_gia=Decimal(OVER)) for stt in (1, 2)]
    event = claim_of(low, ma_the_bhyt="HT3" + NUMBER, ma_doituong_kcb="1.1") | {"ma_cskcb": HOSPITAL}
    rows = findings_of(event, rules=RULES)
    assert rows.select("severity", "table", "field", "claimed", "computed").rows() == [("W", "XML1", "t_bncct", 80, 95)]


@pytest.mark.parametrize(
    ("day", "price", "rate"),
    [
        ("20260630", "35099.900", 100),
        ("20260630", "35100.000", 80),
        ("20260701", "37949.900", 100),
        ("20260701", "37950.000", 80),
        ("20240630", "26999.900", 100),
        ("20240630", "27000.000", 80),
    ],
)
def test_below_fifteen_percent_of_the_base_salary_of_the_day_nothing_is_co_paid(day, price, rate):
    assert granted(price=price, ngay_ra=day + "1030") == rate


def test_ml018_is_named_when_it_is_on_route_and_above():
    assert "ML018" in findings_of(visit(rate=100), rules=RULES).item(0, "text_en")


@pytest.mark.parametrize(("facility", "rate"), [(HOSPITAL, 80), (COMMUNE, 100), (UNKNOWN, 100)])
def test_at_commune_level_nothing_is_co_paid_and_an_unknown_facility_is_not_cut(facility, rate):
    assert granted(facility=facility) == rate


@pytest.mark.parametrize(("since", "rate"), [("20261001", 100), ("202611231030", 100), ("20261124", 80), ("", 80)])
def test_exempt_from_co_payment_since_a_day(since, rate):
    assert granted(ngay_mien_cct=since) == rate


@pytest.mark.parametrize(("card", "rate"), [("GD4", 32), ("HT3", 38), ("HN2", 40)])
def test_off_route_inpatients_of_a_former_central_hospital_get_forty_percent(card, rate):
    stay = {"ma_doituong_kcb": "3.1", "ma_loai_kcb": "03"}
    assert granted(card + NUMBER, **stay) == rate  # 80 to 32 is the official example
    assert found(card + NUMBER, rate, **stay) == []
    assert granted(card + NUMBER, **stay, price=BELOW) == rate  # neither threshold nor exemption helps off-route
    assert granted(card + NUMBER, **stay, ma_khuvuc="K1") == granted(card + NUMBER)
    assert granted(card + NUMBER, **stay | {"ma_loai_kcb": "01"}) == 0


@pytest.mark.parametrize("category", ["1.13", "1.14", "1.18"])
def test_self_referred_outpatients_get_nothing_then_half(category):
    assert granted(ma_doituong_kcb=category, ngay_ra="202606301030") == 0
    assert granted(ma_doituong_kcb=category, ngay_ra="202607011030") == 40


def test_who_did_not_come_as_insured_gets_nothing():
    assert granted("", ma_doituong_kcb="9") == 0
    assert found("", 0, ma_doituong_kcb="9") == []


@pytest.mark.parametrize("card", ["0116149000", "001085012345", ""])
def test_a_card_without_a_level_is_not_checked_but_for_impossible_rates(card):
    assert found(card, 100) == found(card, 80) == []
    assert [severity for severity, _, _ in found(card, 60)] == ["W"]


def test_a_category_that_says_nothing_of_rates_is_not_checked():
    assert found(rate=100, ma_doituong_kcb="8") == []


def test_of_several_cards_the_best_counts():
    assert granted(f"GD4{NUMBER}; HT3{NUMBER}") == granted(f"HT3{NUMBER};GD4{NUMBER}") == 95
    assert granted(f"GD4{NUMBER};0116149000") == 100


@pytest.mark.parametrize(
    ("card", "day", "told"),
    [("CN3", "20251231", False), ("CN2", "20251231", True), ("CN3", "20260101", True), ("CN2", "20260101", False), ("GD3", "20260101", True)],
)  # fmt: skip
def test_group_and_digit_that_differ_are_told_and_the_digit_counts(card, day, told):
    rows = findings_of(visit(card + NUMBER, 95 if card[2] == "3" else 100, ngay_ra=day + "1030"), rules=RULES)
    assert rows.select("severity", "field").rows() == ([("W", "ma_the_bhyt")] if told else [])
