"""The pass over a closed month looks at claims as a promoted branch left them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from hub.contract.errors import HubError
from hub.insurer import branches as module
from hub.insurer import history
from hub.insurer.branches import drop, promote
from hub.insurer.history import close
from hub.insurer.ledger import Ledger
from hub.insurer.statement import statement
from tests.hub.insurer.histories import TOPIC, service, visit
from tests.hub.insurer.test_branches import made
from tests.hub.insurer.test_ledger import batch

NOVEMBER = date(2026, 11, 1)
AT = datetime(2026, 12, 20, 9, tzinfo=UTC)
FUND = Decimal("8000.00")
ONE = {"services": [service(ngay_th_yl="202611100830")]}
WRONG_YEAR = {"nam_qt": 2025}  # F06: rejected
ORDERED_LATER = {
    "services": [service(ngay_yl="202611120800", ngay_th_yl="202611120830", ngay_kq="202611120900")]
}  # X02: cut whole


@pytest.fixture
def ledger(tmp_path):
    def adjudicated(events):
        Ledger(tmp_path, TOPIC).append(batch(events, [(0, row) for row in range(len(events))], TOPIC), {0: len(events)})
        return tmp_path

    return adjudicated


def ids(*events):
    return [event["meta"]["event_id"] for event in events]


def cuts(rows):
    return [row for row in rows.select("rule", "event_id", "reduction").iter_rows() if row[0] != "S01"]


def payable(folder):
    found = statement(folder, "01004", "2026-11")
    return found.granted - found.adjusted


@pytest.mark.parametrize("closed_before", [True, False])
def test_a_rejected_claim_that_a_promotion_pays_is_looked_at(ledger, closed_before):
    events = [visit("A", **ONE), visit("B", minutes=1, **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    if closed_before:
        assert close(folder, NOVEMBER, AT).is_empty()
    made(folder, events=events, without=["F06"])
    promote(folder, "lenient", AT)
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], FUND)]
    assert payable(folder) == FUND
    assert close(folder, NOVEMBER, AT).is_empty()


def test_a_claim_that_a_promotion_rejects_takes_no_part_any_more_and_its_cut_is_taken_back(ledger):
    events = [visit("A", **ONE), visit("B", minutes=1, **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    made(folder, "mild", events=events, without=["F06"])
    promote(folder, "mild", AT)
    close(folder, NOVEMBER, AT)
    made(folder, "strict", events=events)
    promote(folder, "strict", AT)
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], -FUND)]
    assert payable(folder) == FUND


@pytest.mark.parametrize("dropped", [True, False])
def test_a_line_whose_cut_a_promotion_lifted_can_be_cut_whole(ledger, dropped):
    events = [visit("A", **ORDERED_LATER), visit("B", minutes=1, **ORDERED_LATER)]
    folder = ledger(events)
    assert cuts(close(folder, NOVEMBER, AT)) == []
    made(folder, events=events, without=["X02"])
    assert promote(folder, "lenient", AT).get_column("reduction").to_list() == [-FUND, -FUND]
    if dropped:
        drop(folder, "lenient")
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], FUND)]


def test_what_a_promotion_took_is_not_there_to_be_cut_again(ledger):
    events = [visit("A", **ORDERED_LATER), visit("B", minutes=1, **ORDERED_LATER)]
    folder = ledger(events)
    made(folder, "mild", events=events, without=["X02"])
    promote(folder, "mild", AT)
    close(folder, NOVEMBER, AT)
    made(folder, "again", events=events)
    promote(folder, "again", AT)
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], -FUND)]
    assert payable(folder) == 0


def test_a_promotion_that_was_killed_before_it_said_that_it_is_the_last_heals_when_it_is_run_again(ledger, monkeypatch):
    events = [visit("A", **ORDERED_LATER), visit("B", minutes=1, **ORDERED_LATER)]
    folder = ledger(events)
    made(folder, "mild", events=events, without=["X02"])
    made(folder, "strict", events=events)
    promote(folder, "mild", AT)
    promote(folder, "strict", AT)
    with monkeypatch.context() as killed:
        killed.setattr(module, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote(folder, "mild", AT)
    assert promote(folder, "mild", AT).is_empty()
    assert cuts(close(folder, NOVEMBER, AT)) == [("H03", ids(events[1])[0], FUND)]


def test_of_a_closing_and_a_promotion_at_once_the_second_waits_its_turn(ledger, monkeypatch):
    events = [visit("A", **ONE), visit("B", minutes=1, **ONE, **WRONG_YEAR)]
    folder = ledger(events)
    made(folder, events=events, without=["F06"])
    read, differences = history.read_history, module._differences

    def promoted_meanwhile(*asked):
        monkeypatch.setattr(history, "read_history", read)
        found = list(read(*asked))
        promote(folder, "lenient", AT)
        return found

    monkeypatch.setattr(history, "read_history", promoted_meanwhile)
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        close(folder, NOVEMBER, AT)
    made(folder, "strict", events=events)

    def closed_meanwhile(*asked):
        found = differences(*asked)
        close(folder, NOVEMBER, AT)
        return found

    monkeypatch.setattr(module, "_differences", closed_meanwhile)
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        promote(folder, "strict", AT)
    assert payable(folder) == FUND
