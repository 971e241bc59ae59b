"""One look at a ledger says what its questions say, by day and month too."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from hub.insurer.glance import DAYS, glance
from hub.insurer.history import close
from hub.insurer.totals import totals
from hub.simulate import RECEIVED_AT
from tests.hub.insurer.small_ledger import small_ledger


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ledger")
    small_ledger(folder)
    return folder


@pytest.fixture(scope="module")
def seen(folder):
    return glance(folder, RECEIVED_AT)


def test_its_totals_are_the_commands(folder, seen):
    assert seen.totals == totals(folder)
    assert (seen.totals["claims"], seen.totals["payable"]) == (7, Decimal("136000.00"))


def test_decisions_of_today_count_every_claim_event_that_came(seen):
    assert {one.verdict: (one.events, one.granted) for one in seen.today} == {
        "ACCEPTED": (7, 168_000),
        "CANCELLED": (1, 0),
        "REDUCED": (1, 24_000),
        "REJECTED": (1, 0),
    }


def test_rules_are_named_with_their_words_and_what_only_informs_is_left_out(seen):
    assert [(one.rule, one.severity, one.events) for one in seen.rules] == [("C99", "C", 1), ("X05", "E", 1)]
    assert (seen.rules[0].vi, seen.rules[0].en) == ("Không thanh toán.", "Not paid.")


def test_each_of_the_last_days_has_a_row_and_counts_what_is_in_force(seen):
    assert [one.day for one in seen.days] == [date(2026, 11, 23) - timedelta(days=ago) for ago in reversed(range(DAYS))]
    assert [one.claims for one in seen.days] == [0] * (DAYS - 1) + [7]
    assert (seen.days[-1].claimed, seen.days[-1].granted) == (168_000, 136_000)


def test_after_the_days_nothing_is_of_today(folder):
    later = glance(folder, RECEIVED_AT + timedelta(days=DAYS))
    assert (later.today, later.rules, sum(one.claims for one in later.days)) == ([], [], 0)
    assert later.totals["claims"] == 7


def test_months_say_whether_they_are_closed(tmp_path):
    small_ledger(tmp_path)
    close(tmp_path, date(2026, 11, 1), RECEIVED_AT)
    months = glance(tmp_path, RECEIVED_AT + timedelta(days=30)).months
    assert [(one.month, one.claims, one.rejected, one.closed) for one in months] == [
        ("2026-12", 1, 0, False),
        ("2026-11", 6, 1, True),
    ]


def test_without_a_ledger_all_is_empty(tmp_path):
    nothing = glance(tmp_path / "none", RECEIVED_AT)
    assert (nothing.totals["claims"], nothing.today, nothing.rules, nothing.months) == (0, [], [], [])
