"""The statement of one facility balances, form by form, and its page says the same."""

import re
from decimal import Decimal

import polars as pl
import pytest

from hub.contract.errors import HubError
from hub.insurer.ledger import Ledger
from hub.insurer.statement import amount, masked, statement
from hub.insurer.statement_page import page
from tests.hub.insurer.made import batch
from tests.hub.insurer.small_ledger import DRUG, RULES, TOPIC_ID, small_ledger, stated


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ledger")
    small_ledger(folder)
    return folder


@pytest.fixture(scope="module")
def november(folder):
    return statement(folder, "01021", "2026-11")


def rows(sheet):
    """The rows by their English heads, texts in English."""
    heads = [en for _, en in sheet.heads]
    return [
        dict(zip(heads, (value[1] if isinstance(value, tuple) else value for value in row), strict=True)) for row in sheet.rows
    ]


def test_outpatients_are_form_79a_and_inpatients_80a(november):
    assert (november.facility, november.month) == ("01021", "2026-11")
    assert "Đông Lĩnh" in november.name
    assert [(form.code, form.claims) for form in november.forms] == [("79a", 4), ("80a", 1)]


def sums(form):
    """The totals of a form: name of the sum to its value in sections A, B, C and in all."""
    return {row["sum"]: tuple(row.values())[1:] for row in rows(form.sheets[0])}


def test_sections_say_where_the_patient_is_registered_and_the_last_column_is_the_sum(november):
    outpatient, inpatient = map(sums, november.forms)
    assert outpatient["claims"] == (3, 1, 0, 4)
    assert outpatient["claimed of the fund"] == (80_000, 24_000, 0, 104_000)
    assert (inpatient["claims"], inpatient["days"]) == ((0, 0, 1, 1), (0, 0, 4, 4))


def test_what_was_claimed_is_granted_cut_or_refused(november):
    found = sums(november.forms[0])
    assert found["granted"] == (72_000, 0, 0, 72_000)
    assert found["cut"] == (8_000, 0, 0, 8_000)
    assert found["refused"] == (0, 24_000, 0, 24_000)
    assert [found[name][-1] for name in ("total cost", "insured", "co-payment")] == [131_000, 130_000, 26_000]


def test_costs_are_by_group_of_the_lines(november):
    assert [
        (row["code"], row["group of costs"], row["lines"], row["total cost"], row["claimed of the fund"], row["cut"])
        for row in rows(november.forms[0].sheets[1])
    ] == [
        ("1", "laboratory tests", 4, 80_000, 64_000, 0),
        ("4", "listed drugs", 5, 50_000, 40_000, 8_000),
        ("", "total", 9, 130_000, 104_000, 8_000),
    ]


def test_where_lines_do_not_add_up_to_their_claims_the_costs_say_so(tmp_path, november):
    costs = november.forms[0].sheets[1]
    assert costs.note == ("", "")
    event = stated("off", [DRUG], t_bhtt=Decimal("31000.00"))  # its lines say 24,000: rejected
    Ledger(tmp_path, TOPIC_ID).append(batch([event], [(0, 0)], TOPIC_ID, RULES), {0: 1})
    found = statement(tmp_path, "01021", "2026-11")
    assert "Claimed of the fund is -7.000,00 to the totals by section" in found.forms[0].sheets[1].note[1]
    assert "chênh -7.000,00" in page(found, "")


def test_cuts_are_by_rule_and_rejected_claims_by_ma_lk(november):
    *_, cuts, rejected = november.forms[0].sheets
    assert rows(cuts) == [{"rule": "C99", "reason": "Not paid.", "claims": 1, "amount": 8_000}]
    assert [(row["encounter"], row["day"], row["rule"], row["claimed"]) for row in rows(rejected)] == [
        ("rejected", "23/11/2026", "X05", 24_000)
    ]


def test_what_was_found_after_the_decisions_stands_in_the_month_that_it_is_settled_with(tmp_path, november):
    assert november.adjustments.rows == []
    (event, *_) = small_ledger(tmp_path)
    row = {
        "period": "2026-11",
        "facility": "01021",
        "rule": "H03",
        "severity": "C",
        "event_id": event["meta"]["event_id"],
        "text_vi": "Trùng.",
        "text_en": "Twice.",
    }
    taken = [Decimal("8000.00"), Decimal("-3000.00"), Decimal("1.00")]
    rows_of = [row | {"reduction": one, "more": "columns"} for one in taken]
    rows_of[2]["period"] = "2026-12"
    pl.DataFrame(rows_of, schema_overrides={"reduction": pl.Decimal(18, 2)}).write_delta(tmp_path / "adjustments")
    found = statement(tmp_path, "01021", "2026-11")
    assert rows(found.adjustments) == [{"rule": "H03", "reason": "Twice.", "claims": 1, "amount": 5_000}]
    assert (found.adjusted, found.granted) == (5_000, 88_000)
    assert "To be paid: 83.000,00 (granted 88.000,00, less adjustments 5.000,00)" in page(found, "")


def test_a_month_without_claims_is_an_empty_statement(folder):
    empty = statement(folder, "01021", "2026-10")
    assert [(form.code, form.claims, form.sheets) for form in empty.forms] == [("79a", 0, []), ("80a", 0, [])]
    assert page(empty, "").count("No claims.") == 2
    assert empty.adjustments.rows == []


def test_a_facility_that_nobody_knows_is_refused_and_one_that_only_claims_name_is_not(tmp_path, folder):
    with pytest.raises(HubError, match="NOT_FOUND"):
        statement(folder, "99999", "2026-11")
    Ledger(tmp_path, TOPIC_ID).append(batch([stated("A", [DRUG], facility="99999")], [(0, 0)], TOPIC_ID, RULES), {0: 1})
    assert statement(tmp_path, "99999", "2026-11").forms[0].claims == 1


def test_amounts_are_written_as_vietnamese_papers_do():
    assert amount(Decimal("1234567.80")) == "1.234.567,80"


def test_the_page_stands_alone_and_names_nobody(november):
    text = page(november, "08:00 01/12/2026")
    assert not re.search(r"src=|href=|url\(|<script|@import", text)
    assert "size:A4" in text
    assert all(part in text for part in ("104.000,00", "131.000,00", "C99", "Bệnh viện Đa khoa huyện Đông Lĩnh", "tháng 11/2026"))
    assert "001085000001" not in text
    assert "GD4" not in text


def test_what_a_hospital_sent_is_text_on_the_page(november):
    from dataclasses import replace

    form = november.forms[0]
    odd = replace(form.sheets[3], rows=[("<b>x</b>", *form.sheets[3].rows[0][1:])])
    assert "<b>x</b>" not in page(replace(november, forms=[replace(form, sheets=[odd])]), "")


def test_masked_it_names_no_claim_and_is_the_same_otherwise(november):
    hidden = masked(november, lambda _value: "••")
    assert [row["encounter"] for row in rows(november.forms[0].sheets[3])] == ["rejected"]
    assert [row["encounter"] for row in rows(hidden.forms[0].sheets[3])] == ["••"]
    assert page(hidden, "").replace("<td>••</td>", "<td>rejected</td>") == page(november, "")
