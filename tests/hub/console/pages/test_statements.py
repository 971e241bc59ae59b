"""The form of the statements, and what of a statement each may see."""

import re

import pytest

from hub.access.people import Person
from hub.console.pages import statements
from hub.console.pages.statements import asked, last_month, made, sees_keys, shortened
from tests.hub.insurer.small_ledger import small_ledger


@pytest.mark.parametrize("month", ["11/2026", "2026-11", " 11/2026 "])
def test_a_month_is_read_as_people_write_it(month):
    assert asked(" 01021", month) == ("01021", "2026-11")


@pytest.mark.parametrize(
    ("facility", "month"), [("", "11/2026"), ("01021", "13/2026"), ("01021", "2026"), ("TRẦN AN", "11/2026")]
)
def test_what_is_no_facility_or_month_is_refused(facility, month):
    assert asked(facility, month) is None


def test_the_form_begins_with_the_month_that_is_over():
    assert asked("01021", last_month()) is not None


def test_claims_are_named_to_their_payer_and_to_who_may_lift_masks():
    seen = {role: sees_keys(Person("x", role, scope, "vi")) for role, scope in {"insurer": ("vss",), "admin": (), "operator": (), "viewer": ()}.items()}  # fmt: skip
    assert seen == {"insurer": True, "admin": True, "operator": False, "viewer": False}


def test_masked_the_paper_and_the_page_name_no_claim_and_have_all_amounts(tmp_path):
    small_ledger(tmp_path)
    whole, hidden = (made(tmp_path, "01021", "2026-11", whole=whole) for whole in (True, False))
    key = "<td>rejected</td>"
    assert all(key in one for one in whole)
    assert not [one for one in hidden if key in one]
    amounts = r"\d[\d.]*,\d\d"
    assert [re.findall(amounts, one) for one in whole] == [re.findall(amounts, one) for one in hidden]


def test_a_page_shows_the_first_rows_of_a_long_table_and_the_paper_all(tmp_path, monkeypatch):
    small_ledger(tmp_path)
    page, paper = made(tmp_path, "01021", "2026-11", whole=True)
    monkeypatch.setattr(statements, "shortened", lambda found: shortened(found, 0))
    short, same = made(tmp_path, "01021", "2026-11", whole=True)
    assert "first 500 rows" in short and "first 500 rows" not in page
    assert "<td>rejected</td>" in page and "<td>rejected</td>" not in short
    assert "<td>rejected</td>" in same and "<td>rejected</td>" in paper
