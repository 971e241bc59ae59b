"""What comes after a month was settled is an adjustment of the difference; what was settled never changes."""

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from hub.contract.errors import HubError
from hub.insurer import settlement as module
from hub.insurer.history import ADJUSTMENTS, adjustments, close
from hub.insurer.history import TABLE as ADJUSTED
from hub.insurer.ledger import files_of, scan
from hub.insurer.settlement import SETTLED, TABLE, claims_of
from hub.insurer.statement import statement
from hub.insurer.statement_page import page
from tests.hub.insurer.histories import service, stay, visit, write

NOVEMBER = date(2026, 11, 1)
THEN, LATER = datetime(2026, 12, 3, 9, tzinfo=UTC), datetime(2026, 12, 20, 9, tzinfo=UTC)
FUND = Decimal("8000.00")
TWICE = {"services": (service(1), service(2, ma_dich_vu="23.0083.1523"))}


def kept(folder):
    return scan(files_of(folder, TABLE), SETTLED).collect()


def of_someone(key, **more):
    return visit(key, so_cccd=f"00108500{ord(key):04d}", **more)


def late_rows(rows):
    assert set(rows.select("rule", "severity").iter_rows()) == {("S01", "I")}
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


def test_of_two_first_closings_at_once_one_waits_its_turn(tmp_path, monkeypatch):
    write(tmp_path, [of_someone("A")])
    append = module.write_deltalake

    def closed_meanwhile(*asked, **how):
        monkeypatch.setattr(module, "write_deltalake", append)
        close(tmp_path, NOVEMBER, THEN)
        append(*asked, **how)

    monkeypatch.setattr(module, "write_deltalake", closed_meanwhile)
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        close(tmp_path, NOVEMBER, LATER)
    assert kept(tmp_path).get_column("settled_at").to_list() == [THEN]
    assert close(tmp_path, NOVEMBER, LATER).is_empty()


def sheet(folder, name):
    """Rule, claims and amount of the statement's adjustments or corrections."""
    return [(row[0], row[2], row[3]) for row in getattr(statement(folder, "01004", "2026-11"), name).rows]


def test_the_statement_counts_a_claim_that_was_corrected_twice_once(closed):
    for version, what in ((1, TWICE), (2, {"services": (*TWICE["services"], service(3, ma_dich_vu="24.0001.0001"))})):
        write(closed, [of_someone("A", version=version, **what)], first=1 + version)
        close(closed, NOVEMBER, LATER)
        assert sheet(closed, "corrections") == [("S01", 1, version * FUND)]
    write(closed, [of_someone("A", version=3)], first=4)
    close(closed, NOVEMBER, LATER)
    assert sheet(closed, "corrections") == []  # it is as it was settled


def test_the_statement_does_not_count_a_claim_whose_cut_was_taken_back(tmp_path):
    write(tmp_path, [visit("A"), visit("B", minutes=1), visit("C", minutes=2)])
    close(tmp_path, NOVEMBER, THEN)
    assert sheet(tmp_path, "adjustments") == [("H03", 2, 2 * FUND)]
    write(tmp_path, [visit("A", version=1, action="CANCELLED")], first=3)
    close(tmp_path, NOVEMBER, LATER)
    assert sheet(tmp_path, "adjustments") == [("H03", 1, FUND)]  # C, beside B


def test_a_claim_that_a_correction_moved_to_another_month_is_of_that_month_alone(tmp_path):
    december = {"ngay_ra": "202612011000"}
    events = [of_someone("A"), of_someone("B", **december), of_someone("A", version=1, **december), of_someone("B", version=1)]
    write(tmp_path, events)
    for month, event in (("2026-11", events[3]), ("2026-12", events[2])):
        assert claims_of(tmp_path, month).get_column("event_id").to_list() == [event["meta"]["event_id"]]


def test_before_the_first_closing_nothing_is_late(tmp_path):
    write(tmp_path, [of_someone("A"), of_someone("A", version=1, **TWICE)])
    assert close(tmp_path, NOVEMBER, THEN).is_empty()
    assert kept(tmp_path).get_column("granted").to_list() == [2 * FUND]


def as_an_older_release_wrote_it(folder):
    """S01 was of severity C, like a cut."""
    rows = scan(files_of(folder, ADJUSTED), ADJUSTMENTS).collect()
    rows.with_columns(severity=pl.lit("C")).write_delta(folder / ADJUSTED, mode="overwrite")


@pytest.mark.parametrize("written", ["now", "by an older release"])
def test_a_late_correction_is_paid_once(closed, written):
    write(closed, [of_someone("A", version=1, **TWICE)], first=2)
    close(closed, NOVEMBER, LATER)
    if written == "by an older release":
        as_an_older_release_wrote_it(closed)
    assert set(adjustments(files_of(closed, ADJUSTED)).collect().get_column("severity")) == {"I"}
    found = statement(closed, "01004", "2026-11")
    assert found.adjustments.rows == []
    assert [(row[0], row[-1]) for row in found.corrections.rows] == [("S01", FUND)]
    assert (found.granted, found.adjusted) == (3 * FUND, 0)
    assert found.payable[1] == "To be paid: 24.000,00 (granted 24.000,00, less adjustments 0,00)"


@pytest.mark.parametrize(("what", "granted"), [({"action": "CANCELLED"}, FUND), (TWICE, 3 * FUND)])
def test_between_a_correction_and_the_next_closing_the_cut_of_what_was_corrected_is_not_deducted(tmp_path, what, granted):
    write(tmp_path, [visit("A"), visit("B", minutes=1)])
    close(tmp_path, NOVEMBER, THEN)  # the same service twice: B is cut
    assert statement(tmp_path, "01004", "2026-11").adjusted == FUND
    write(tmp_path, [visit("B", minutes=1, version=1, **what)], first=2)
    found = statement(tmp_path, "01004", "2026-11")
    assert (found.granted, found.adjusted, found.adjustments.rows) == (granted, 0, [])
    assert found.adjustments.note[1].startswith("8.000,00 of claims that were corrected or withdrawn since is not deducted")
    assert found.adjustments.note[1] in page(found, "")
    close(tmp_path, NOVEMBER, LATER)
    assert statement(tmp_path, "01004", "2026-11").adjustments.note == ("", "")


def test_a_late_correction_is_no_cut_that_leaves_the_months_after_it_less_to_take(tmp_path):
    write(tmp_path, [of_someone("A", **TWICE)])
    close(tmp_path, NOVEMBER, THEN)
    write(tmp_path, [of_someone("A", version=1)], first=1)
    assert late_rows(close(tmp_path, NOVEMBER, LATER)) == [(FUND, True)]
    lines = [service(ngay_yl="202611081000")]
    around = {"so_cccd": f"00108500{ord('A'):04d}", "facility": "01021", "services": lines}
    write(tmp_path, [stay("C", "202611080800", "202612101200", **around)], first=2)
    found = close(tmp_path, date(2026, 12, 1), LATER).select("rule", "reduction")
    assert found.rows() == [("H02", FUND)]
