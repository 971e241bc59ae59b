"""Every question, on a ledger whose sums are known."""

import hashlib
from decimal import Decimal

import pytest

from hub.contract.errors import HubError
from hub.insurer.questions import QUESTIONS, ask
from hub.insurer.totals import totals_of
from hub.insurer.views import opened
from tests.hub.insurer.small_ledger import adjust, small_ledger


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ledger")
    small_ledger(folder)
    return folder


def hashed(person):
    return hashlib.sha256(person.encode()).hexdigest()[:8]


@pytest.fixture
def told(folder):
    """The rows of an answer, of the named columns."""

    def answer(name, *columns, **asked):
        found = ask(folder, name, hashed=hashed, **asked)
        return [tuple(plain(row[column]) for column in columns) for row in found.as_dicts()]

    return answer


def plain(value):
    return int(value) if isinstance(value, Decimal) and value == int(value) else value


MONEY = ("claims", "t_tongchi_bv", "t_bhtt", "t_bhtt_gd", "cut", "refused", "rejected")


def test_totals_are_by_facility_and_month_of_revisions_in_force(told):
    assert told("totals", "ma_cskcb", "month", "claims", "t_tongchi_bv", "t_tongchi_bh", "t_bhtt", "newest") == [
        ("01004", "2026-11", 1, 30_000, 30_000, 24_000, "20261123000000"),
        ("01021", "2026-11", 5, 151_000, 150_000, 120_000, "20261123000000"),
        ("01021", "2026-12", 1, 30_000, 30_000, 24_000, "20261123000000"),
    ]


def test_by_facility_what_was_claimed_is_granted_cut_or_refused(told):
    rows = told("facility", "ma_cskcb", *MONEY)
    assert rows == [("01021", 6, 181_000, 144_000, 112_000, 8_000, 24_000, 1), ("01004", 1, 30_000, 24_000, 24_000, 0, 0, 0)]
    assert all(claimed == granted + cut + refused for *_, claimed, granted, cut, refused, _rejected in rows)


def test_by_month(told):
    assert told("month", "month", *MONEY) == [
        ("2026-11", 6, 181_000, 144_000, 112_000, 8_000, 24_000, 1),
        ("2026-12", 1, 30_000, 24_000, 24_000, 0, 0, 0),
    ]


def test_by_disease_the_first_three_characters_of_the_main_diagnosis(told):
    assert told("disease", "icd", *MONEY) == [
        ("E11", 3, 100_000, 80_000, 72_000, 8_000, 0, 0),
        ("I10", 3, 91_000, 72_000, 48_000, 0, 24_000, 1),
        ("J20", 1, 20_000, 16_000, 16_000, 0, 0, 0),
    ]


def test_by_drug_with_what_cuts_took_of_its_lines(told):
    columns = ("ma_thuoc", "ten_thuoc", "lines", "so_luong", "thanh_tien_bv", "thanh_tien_bh", "t_bhtt", "reduction")
    assert told("drug", *columns) == [
        ("40.1", "Thuốc A", 6, 60, 60_000, 60_000, 48_000, 0),
        ("CUT", "Thuốc B", 1, 10, 10_000, 10_000, 8_000, 8_000),
    ]


def test_who_pays_by_form_of_treatment(told):
    shares = ("t_bhtt", "t_bncct", "t_bntt", "t_nguonkhac")
    assert told("shares", "ma_loai_kcb", "meaning_vi", "claims", "t_tongchi_bv", *shares, "t_bhtt_percent") == [
        ("01", "khám bệnh", 6, 191_000, 152_000, 38_000, 0, 0, Decimal("79.6")),
        ("03", "điều trị nội trú", 1, 20_000, 16_000, 4_000, 0, 0, 80),
    ]


def test_copayments_of_a_person_over_all_facilities_against_six_base_salaries(told):
    an, binh = hashed("001085000001"), hashed("0000000002")
    columns = ("person", "year", "claims", "t_bncct", "six_salaries", "above")
    assert told("copayments", *columns) == [
        (an, "2026", 4, 26_000, 6 * 2_530_000, False),
        (binh, "2026", 2, 10_000, 6 * 2_530_000, False),
    ]
    up_to_november = told("copayments", *columns, month="2026-11")
    assert [row[3] for row in up_to_november] == [20_000, 10_000]
    assert told("copayments", *columns, facility="01004") == [(an, "2026", 4, 26_000, 6 * 2_530_000, False)]
    assert told("copayments", *columns, month="2027-01") == []


def test_copayments_above_six_base_salaries_are_told(told, monkeypatch, folder):
    from dataclasses import replace

    question = QUESTIONS["copayments"]
    poor = replace(question, sql=question.sql.replace("2530000", "4000"))
    monkeypatch.setitem(QUESTIONS, "copayments", poor)
    assert told("copayments", "t_bncct", "six_salaries", "above") == [(26_000, 24_000, True), (10_000, 24_000, False)]


def test_reductions_by_rule_and_facility_add_up_to_claimed_less_granted(told):
    assert told("reductions", "rule", "severity", "ma_cskcb", "claims", "amount", "text_en") == [
        ("X05", "E", "01021", 1, 24_000, "The total cost is not the sum of THANH_TIEN_BV of all lines."),
        ("C99", "C", "01021", 1, 8_000, "Not paid."),
    ]


def test_reductions_have_what_was_found_after_the_decisions_and_add_up_to_claimed_less_payable(tmp_path):
    ids = {event["ma_lk"]: event["meta"]["event_id"] for event in small_ledger(tmp_path)}
    adjust(
        tmp_path,
        ("H03", ids["paid"], 5_000),
        ("H03", ids["paid"], -3_000, "another of that claim"),
        ("H03", ids["paid"], 3_000),
        ("H03", ids["december"], 9_000),
        ("H03", ids["december"], -9_000, "the one before"),
        ("H03", ids["elsewhere"], 1_000),
        ("H08", ids["inpatient"], -2_000),
        ("R01", ids["rejected"], -24_000),
        ("S01", ids["corrected"], 700),
        ("H03", "a revision that was corrected", 9_000),
    )
    rows = ask(tmp_path, "reductions", hashed=hashed).as_dicts()
    assert [
        tuple(plain(row[name]) for name in ("rule", "severity", "ma_cskcb", "claims", "amount", "text_en")) for row in rows
    ] == [
        ("X05", "E", "01021", 1, 24_000, "The total cost is not the sum of THANH_TIEN_BV of all lines."),
        ("C99", "C", "01021", 1, 8_000, "Not paid."),
        ("H03", "C", "01021", 1, 5_000, "H03 en"),
        ("H03", "C", "01004", 1, 1_000, "H03 en"),
        ("H08", "C", "01021", 1, -2_000, "H08 en"),
        ("R01", "C", "01021", 1, -24_000, "R01 en"),
    ]
    with opened(tmp_path) as database:
        summed = totals_of(database)
    assert sum(row["amount"] for row in rows) == summed["t_bhtt"] - summed["payable"]
    for name in ("totals", "facility", "month"):
        assert sum(row["payable"] for row in ask(tmp_path, name, hashed=hashed).as_dicts()) == summed["payable"]
    december = ask(tmp_path, "reductions", hashed=hashed, month="2026-12")
    assert december.rows == []


def test_the_share_of_rejected_claims_by_dialect_counts_every_revision(told):
    assert told("dialects", "source_dialect", "events", "rejected", "rejected_percent") == [
        ("songhong_his", 1, 1, 100),
        ("_standard", 8, 0, 0),
    ]


def test_resends_by_facility(told):
    assert told("resends", "ma_cskcb", "claims", "events", "resent", "resent_percent", "cancelled") == [
        ("01021", 7, 9, 2, Decimal("28.6"), 1),
        ("01004", 1, 1, 0, 0, 0),
    ]


def test_the_dearest_claims_with_their_lines(told):
    assert told("heavy", "ma_cskcb", "ma_lk", "lines", "t_tongchi_bv", "t_bhtt_gd", "verdict", limit=2) == [
        ("01021", "cut", 3, 40_000, 24_000, "REDUCED"),
        ("01021", "rejected", 2, 31_000, 0, "REJECTED"),
    ]


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_takes_month_facility_and_limit_and_shows_no_identifier(folder, name):
    assert len(ask(folder, name, hashed=hashed, month="2026-11", facility="01021", limit=1).rows) == 1
    assert not ask(folder, name, hashed=hashed, month="2020-01", facility="01999").rows
    rows = ask(folder, name, hashed=hashed).rows
    assert not any(secret in str(rows) for secret in ("001085000001", "0000000002", "GD4"))
    assert all(isinstance(value, str | int | bool | Decimal) for row in rows for value in row)


@pytest.mark.parametrize("name", QUESTIONS)
def test_without_a_ledger_there_is_nothing(tmp_path, name):
    assert ask(tmp_path / "none", name, hashed=hashed).rows == []


def test_an_unknown_question_is_refused_with_those_there_are(folder):
    with pytest.raises(HubError, match="NOT_FOUND") as raised:
        ask(folder, "weather", hashed=hashed)
    assert "copayments" in raised.value.where
