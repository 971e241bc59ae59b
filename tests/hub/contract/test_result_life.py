"""How long a result need not be repeated, by the kind of test."""

from datetime import date, timedelta

import pytest

from hub.contract.result_life import validities, worth_until

DAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("codes", "abnormal", "days"),
    [
        (["22.0120.1370"], False, 7),
        (["23.0083.1523"], True, 60),
        (["24.0005.1716"], True, 30),
        (["24.0005.1716"], False, 2),
        (["18.0072"], False, 30),
        (["GLU", ""], False, 30),
        ([], False, 30),
        (["GLU", "23.0083"], False, 60),
    ],
)
def test_a_period_is_of_the_kind_that_the_code_tells(codes, abnormal, days):
    assert worth_until(DAY, codes, abnormal=abnormal) == DAY + timedelta(days=days)


def test_the_seeds_say_of_each_period_where_it_is_from_and_the_last_row_fits_all():
    assert all(row.source for row in validities())
    assert (validities()[-1].prefix, validities()[-1].finding) == ("", "")
