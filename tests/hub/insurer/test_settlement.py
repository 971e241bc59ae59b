"""What comes after a month was settled is an adjustment of the difference; what was settled never changes."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from hub.insurer.history import close
from hub.insurer.ledger import files_of, scan
from hub.insurer.settlement import SETTLED, TABLE
from tests.hub.insurer.histories import service, visit, write

NOVEMBER = date(2026, 11, 1)
THEN, LATER = datetime(2026, 12, 3, 9, tzinfo=UTC), datetime(2026, 12, 20, 9, tzinfo=UTC)
FUND = Decimal("8000.00")
TWICE = {"services": (service(1), service(2, ma_dich_vu="23.0083.1523"))}


def kept(folder):
    return scan(files_of(folder, TABLE), SETTLED).collect()


def of_someone(key, **more):
    return visit(key, so_cccd=f"00108500{ord(key):04d}", **more)


def late_rows(rows):
    assert set(rows.get_column("rule")) == {"S01"}
    return sorted((row["reduction"], bool(row["other_event_id"])) for row in rows.to_dicts())


@pytest.fixture
def closed(tmp_path):
    write(tmp_path, [of_someone("A"), of_someone("B")])
    assert close(tmp_path, NOVEMBER, THEN).is_empty()
    assert kept(tmp_path).get_column("granted").to_list() == [FUND, FUND]
    return tmp_path


def test_a_correction_after_the_settlement_is_its_difference(closed):
    write(closed, [of_someone("A", version=1, **TWICE)], first=2)
    rows = close(closed, NOVEMBER, LATER)
    assert late_rows(rows) == [(-FUND, True)]
    assert kept(closed).get_column("granted").to_list() == [FUND, FUND]
    assert close(closed, NOVEMBER, LATER).is_empty()


def test_a_second_correction_takes_the_first_difference_back(closed):
    write(closed, [of_someone("A", version=1, **TWICE)], first=2)
    total = close(closed, NOVEMBER, LATER).get_column("reduction").sum()
    write(closed, [of_someone("A", version=2)], first=3)
    total += close(closed, NOVEMBER, LATER).get_column("reduction").sum()
    assert total == 0  # it is as it was settled


def test_a_withdrawal_and_a_late_claim(closed):
    write(closed, [of_someone("B", version=1, action="CANCELLED"), of_someone("C")], first=2)
    assert late_rows(close(closed, NOVEMBER, LATER)) == [(-FUND, False), (FUND, False)]


def test_before_the_first_closing_nothing_is_late(tmp_path):
    write(tmp_path, [of_someone("A"), of_someone("A", version=1, **TWICE)])
    assert close(tmp_path, NOVEMBER, THEN).is_empty()
    assert kept(tmp_path).get_column("granted").to_list() == [2 * FUND]
