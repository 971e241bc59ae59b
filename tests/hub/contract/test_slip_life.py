"""How long a slip is good for, by rule, by disease and by calendar."""

import csv
from datetime import date

import pytest

from hub.contract.places import shipped
from hub.contract.slip_life import holidays, last_day, lasts_a_year, working_days_after


@pytest.mark.parametrize(
    ("issued", "last"),
    [
        (date(2026, 11, 23), date(2026, 12, 7)),
        (date(2026, 11, 27), date(2026, 12, 11)),
        (date(2026, 11, 28), date(2026, 12, 11)),
        (date(2026, 11, 29), date(2026, 12, 11)),
    ],
)
def test_ten_working_days_leave_out_weekends(issued, last):
    assert working_days_after(issued, 10) == last


@pytest.mark.parametrize(
    ("issued", "last"),
    [(date(2026, 2, 9), date(2026, 3, 2)), (date(2026, 4, 24), date(2026, 5, 13)), (date(2025, 12, 31), date(2026, 1, 16))],
    ids=["Tết", "three in spring", "New Year"],
)
def test_ten_working_days_leave_out_holidays(issued, last):
    assert working_days_after(issued, 10) == last


@pytest.mark.parametrize("code", ["E10", "E10.9", " e10.9 "])
def test_a_slip_for_a_listed_disease_is_good_for_a_year(code):
    assert last_day(date(2026, 11, 23), ["I10", code]) == date(2027, 11, 23)


def test_a_year_from_a_leap_day_ends_with_february():
    assert last_day(date(2028, 2, 29), ["E10.9"]) == date(2029, 2, 28)


@pytest.mark.parametrize("diagnoses", [[], [""], ["J06.9"], ["E1"]])
def test_any_other_slip_is_good_for_ten_working_days(diagnoses):
    assert last_day(date(2026, 11, 23), diagnoses) == date(2026, 12, 7)


def test_the_list_counts_from_its_day_on():
    assert not lasts_a_year("E10.9", date(2024, 12, 31))
    assert lasts_a_year("E10.9", date(2025, 1, 1))


def test_the_seeds_say_of_each_row_where_it_is_from():
    for name in ("holidays", "year_long_referrals"):
        with shipped(f"seeds/{name}.csv").open(encoding="utf-8", newline="") as file:
            assert all(row["source"] for row in csv.DictReader(file)), name
    assert {day.year for day in holidays()} == {2025, 2026, 2027}
    assert all(day.weekday() < 5 for day in holidays()), "a holiday on a weekend says nothing"
