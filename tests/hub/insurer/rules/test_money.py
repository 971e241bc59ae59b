"""Every rule with a claim that passes and one that fails; money against a second, naive implementation."""

from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import partial

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.bench.row_loop import adjudicate_row
from hub.contract.events import decode, encode
from hub.insurer.rules import RULES, adjudicate
from hub.insurer.rules.model import divided
from tests.hub.insurer import made as makes
from tests.hub.insurer.made import claim, claim_of, columns_of, line

VND = Decimal("1.00")
OURS = tuple(rule for rule in RULES if rule.id in ("T06", "X04", "X05"))
found_in, findings_of = partial(makes.found_in, rules=OURS), partial(makes.findings_of, rules=OURS)
AMOUNTS = ["so_luong", "tyle_tt_bh", "muc_huong", "thanh_tien_bv", "thanh_tien_bh", "t_bntt", "t_bncct", "t_bhtt"]


def test_right_claims_have_no_findings():
    assert makes.found_in(claim()) == set()
    free = {"muc_huong": Decimal("100.00")}  # a visit that costs so little has no co-payment (X07)
    assert makes.found_in(claim_of([line("xml2", **free)], [line("xml3", **free)])) == set()
    assert makes.found_in(claim_of()) == set()


@pytest.mark.parametrize("table", ["xml2", "xml3"])
@pytest.mark.parametrize("field", ["thanh_tien_bv", "thanh_tien_bh", "t_bntt", "t_bncct", "t_bhtt"])
def test_x04_a_line_amount_off_by_one_hundredth_is_found(table, field):
    wrong = line(table)
    wrong[field] += Decimal("0.01")
    lines = {"drugs" if table == "xml2" else "services": [wrong]}
    assert ("X04", "E", field) in found_in(claim_of(**lines))


@pytest.mark.parametrize(("table", "field"), [*(("xml2", name) for name in [*AMOUNTS, "don_gia"]), *(("xml3", name) for name in [*AMOUNTS, "don_gia_bv", "don_gia_bh", "tyle_tt_dv"])])  # fmt: skip
def test_x04_a_missing_amount_is_a_finding_not_a_crash(table, field):
    good = line(table)
    event = claim_of(**{"drugs" if table == "xml2" else "services": [good]})
    event[table] = [good | {field: None}]
    found = findings_of(event).filter(pl.col("table") == table.upper())
    assert ("X04", "E", field) in set(found.select("rule", "severity", "field").iter_rows())
    assert found.filter(pl.col("field") == field).get_column("claimed").to_list()[0] is None


def test_x04_the_sponsors_amount_is_the_sum_of_its_four_sources():
    good = line("xml2", t_nguonkhac_nsnn=VND, t_nguonkhac_cl=VND, t_nguonkhac=2 * VND, tyle_tt_bh=Decimal("50.00"))
    assert found_in(claim_of([good])) == set()
    wrong = good | {"t_nguonkhac_cl": 2 * VND}
    assert found_in(claim_of([wrong])) == {("X04", "E", "t_nguonkhac")}
    missing = line("xml2") | {"t_nguonkhac": None}
    event = claim_of([line("xml2")])
    event["xml2"] = [missing]
    assert found_in(event) == {("X04", "W", "t_nguonkhac")}


def test_x04_the_service_ratio_and_the_insured_price_of_xml3():
    service = line(
        "xml3",
        tyle_tt_dv=Decimal("30.00"),
        don_gia_bv=Decimal("42100.555"),
        don_gia_bh=Decimal("36500.335"),
        tyle_tt_bh=Decimal("60.00"),
    )
    assert found_in(claim_of([], [service])) == set()
    assert ("X04", "E", "thanh_tien_bv") in found_in(claim_of([], [service | {"tyle_tt_dv": Decimal("50.00")}]))


OFFICIAL = {"so_luong": Decimal("1.000"), "don_gia": Decimal("10000000.000"), "tyle_tt_bh": Decimal("50.00"), "muc_huong": Decimal("80.00"), "t_nguonkhac": Decimal("3000000.00"), "t_nguonkhac_cl": Decimal("3000000.00")}  # fmt: skip
CASE_B = {"thanh_tien_bh": 3_500_000 * VND, "t_bhtt": 2_800_000 * VND, "t_bncct": 700_000 * VND, "t_bntt": 3_500_000 * VND}


def test_x04_the_official_worked_example_of_sponsor_case_b():
    example = line("xml2", **OFFICIAL, **CASE_B)
    assert example["thanh_tien_bv"] == 10_000_000 * VND
    assert not [found for found in found_in(claim_of([example])) if found[1] == "E"]
    for field in CASE_B:
        assert ("X04", "E", field) in found_in(claim_of([example | {field: example[field] - VND}])), field


def test_x04_the_same_money_by_sponsor_case_a_is_right_too():
    case_a = line("xml2", **OFFICIAL)
    expected = {
        "thanh_tien_bh": 5_000_000 * VND,
        "t_bntt": 2_000_000 * VND,
        "t_bncct": 1_000_000 * VND,
        "t_bhtt": 4_000_000 * VND,
    }
    assert {name: case_a[name] for name in expected} == expected
    assert not [found for found in found_in(claim_of([case_a])) if found[1] == "E"]
    mixed = case_a | {"t_bntt": CASE_B["t_bntt"]}
    assert ("X04", "E", "t_bntt") in found_in(claim_of([mixed]))


def test_x04_amounts_beyond_any_money_are_found_without_overflow():
    largest = line("xml2") | {"so_luong": Decimal("9999999999.999"), "don_gia": Decimal("999999999999999.999")}
    event = claim_of([line("xml2")])
    event["xml2"] = [largest]
    assert ("X04", "E", "so_luong") in found_in(event)


TOTALS = ["t_thuoc", "t_vtyt", "t_tongchi_bv", "t_tongchi_bh", "t_bntt", "t_bncct", "t_bhtt", "t_bhtt_gdv"]


def summed(field, by):
    event = claim_of([line("xml2")], [line("xml3", ma_nhom="10")])
    return event | {"xml1": event["xml1"] | {field: event["xml1"][field] + by}}


@pytest.mark.parametrize("field", [*TOTALS, "t_nguonkhac"])
def test_x05_a_total_may_differ_by_two_dong_and_no_more(field):
    assert found_in(summed(field, 2 * VND)) == set()
    assert found_in(summed(field, -2 * VND)) == set()
    found = found_in(summed(field, Decimal("-2.01")))
    assert ("X05", "E", field) in found
    assert ("X05", "E", field) in found_in(summed(field, Decimal("2.01")))


@pytest.mark.parametrize("field", TOTALS)
def test_x05_a_missing_total_is_a_finding(field):
    event = claim_of([line("xml2")], [line("xml3")])
    assert ("X05", "E", field) in found_in(event | {"xml1": event["xml1"] | {field: None}})


def test_x05_the_fee_for_service_total_is_not_checked_for_the_armed_forces():
    event = claim_of([line("xml2")], t_bhtt_gdv=Decimal("0.00"))
    assert ("X05", "E", "t_bhtt_gdv") in found_in(event)
    for card in ("QN5010123456789", "GD4010123456789;CA5010123456789", "cy5010123456789"):
        assert found_in(event | {"xml1": event["xml1"] | {"ma_the_bhyt": card}}) == set()


def test_x05_says_which_formula_of_the_funds_total_failed():
    sponsored = line("xml2", tyle_tt_bh=Decimal("50.00"), t_nguonkhac=100 * VND, t_nguonkhac_cl=100 * VND)
    event = claim_of([sponsored])
    (row,) = findings_of(event).to_dicts()
    assert (row["rule"], row["severity"], row["field"]) == ("X05", "W", "t_bhtt")
    assert "rule 5" in row["text_en"]
    broken = event | {"xml1": event["xml1"] | {"t_bhtt": event["xml1"]["t_bhtt"] + 50 * VND}}
    both = findings_of(broken).filter(pl.col("field") == "t_bhtt").to_dicts()
    assert [row["severity"] for row in both] == ["E", "E"]
    assert both[0]["computed"] == sponsored["thanh_tien_bh"] - sponsored["t_bncct"]


def test_t06_a_version_that_supersedes_is_told():
    event = claim()
    event = event | {"meta": event["meta"] | {"supersedes": "00000000-0000-0000-0000-000000000001"}}
    assert found_in(event) == {("T06", "I", "")}
    assert found_in(event | {"action": "CANCELLED"}) == {("T06", "I", "")}


def test_a_cancelled_claim_is_not_checked_for_money():
    event = claim()
    wrong = event | {"xml1": event["xml1"] | {"t_bhtt": None}}
    assert found_in(wrong) != set()
    assert found_in(wrong | {"action": "CANCELLED"}) == set()


def test_a_rule_applies_on_its_days_only():
    event = summed("t_thuoc", 100 * VND)
    event["xml1"]["ngay_ra"] = "202611231030"
    decoded = columns_of([event])
    rule = next(rule for rule in RULES if rule.field == "t_thuoc" and rule.claimed)
    day = date(2026, 11, 23)
    spans = {(None, None): 1, (day, day): 1, (date(2026, 11, 24), None): 0, (None, date(2026, 11, 22)): 0}
    for (first, last), expected in spans.items():
        dated = replace(rule, valid_from=first, valid_to=last)
        assert adjudicate(decoded, [dated]).height == expected


def test_findings_show_what_was_claimed_and_computed_and_count_within_the_claim():
    wrong = summed("t_thuoc", 100 * VND)
    found = findings_of(claim(), wrong, wrong)
    assert found.get_column("row").to_list() == [1, 2]
    assert found.get_column("number").to_list() == [0, 0]
    assert found.row(0, named=True)["claimed"] - found.row(0, named=True)["computed"] == 100
    assert found.row(0, named=True)["text_vi"] and found.row(0, named=True)["text_en"]


def test_the_table_of_rules_is_whole():
    assert all(rule.en and rule.vi and rule.source and rule.severity in "ECWI" for rule in RULES)
    assert all((rule.severity == "C") == bool(rule.reduction) for rule in RULES)


@given(st.integers(-(10**30), 10**30), st.sampled_from([100, 10**4, 10**8, 10**12]))
def test_division_rounds_half_away_from_zero_as_decimal_does(numerator, divisor):
    frame = pl.DataFrame({"n": [numerator]}, schema={"n": pl.Int128})
    with localcontext(prec=60):
        exact = (Decimal(numerator) / Decimal(divisor)).quantize(Decimal(1), ROUND_HALF_UP)
    assert frame.select(divided(pl.col("n"), divisor)).item() == int(exact)


def either(found: pl.DataFrame):
    return sorted(found.select("rule", "severity", "table", "stt", "field").iter_rows(), key=str)


def quantities(top):
    return st.one_of(st.none(), st.integers(-5, top), st.integers(0, 2000))


@st.composite
def odd_lines(draw, table):
    def number(name, scale, top):
        made = draw(quantities(top))
        return name, None if made is None else Decimal(made).scaleb(-scale)

    own = ["don_gia"] if table == "xml2" else ["don_gia_bv", "don_gia_bh"]
    rates = ["tyle_tt_bh", "muc_huong"] + ([] if table == "xml2" else ["tyle_tt_dv"])
    exact = draw(st.booleans())
    odd = dict(
        [
            number("so_luong", 3, 10**13 - 1),
            *(number(name, 3, 10**18 - 1) for name in own),
            *(number(name, 2, 10**5 - 1) for name in rates),
        ]
    )
    parts = {f"t_nguonkhac_{name}": Decimal(draw(st.integers(0, 2000))).scaleb(-2) for name in ("nsnn", "cl")}
    sponsors = sum(parts.values(), Decimal("0.00"))
    if exact:
        plain = {name: Decimal(draw(st.integers(1, 99_999))).scaleb(-3) for name in ("so_luong", *own)}
        plain |= {name: Decimal(draw(st.sampled_from([3_000, 5_000, 8_000, 10_000, 3_333]))).scaleb(-2) for name in rates}
        made = line(table, **plain, **parts, t_nguonkhac=sponsors)
    else:
        made = line(table) | odd | parts | {"t_nguonkhac": draw(st.sampled_from([None, sponsors, Decimal("0.05")]))}
    for name in draw(st.lists(st.sampled_from(["thanh_tien_bv", "thanh_tien_bh", "t_bntt", "t_bncct", "t_bhtt"]), max_size=2)):
        made[name] = draw(st.sampled_from([None, Decimal("0.00"), Decimal("99.99"), Decimal("-3.00")]))
    return made | {"stt": draw(st.sampled_from([None, 1, 2]))}


@settings(max_examples=300, deadline=None)
@given(st.lists(odd_lines("xml2"), max_size=3), st.lists(odd_lines("xml3"), max_size=3), st.sampled_from(["GD401", "QN501", ""]))
def test_the_findings_are_those_of_a_naive_calculation(drugs, services, card):
    event = claim_of(ma_the_bhyt=card) | {"xml2": drugs, "xml3": services}
    body = decode("hie.Claim", encode("hie.Claim", event))
    found = adjudicate(columns_of([event]), [rule for rule in RULES if rule.id in ("T06", "X04", "X05")])
    with localcontext(prec=60):  # amounts of 40 digits are among them
        assert either(found) == sorted(adjudicate_row(body), key=str)
