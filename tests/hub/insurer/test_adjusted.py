"""What was found after decisions is said to the facility: once by id, and right at any time."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from hub.contract.events import decode, encode
from hub.insurer import adjusted as module
from hub.insurer.adjusted import Adjusted, news
from hub.insurer.branches import promote
from hub.insurer.forgetting import erase
from hub.insurer.history import TABLE, close
from hub.insurer.ledger import files_of
from hub.insurer.settlement import verdict_after
from hub.simulate import KEYRING
from tests.hub.insurer.histories import service, visit, write
from tests.hub.insurer.test_branches import FUND, made
from tests.hub.insurer.test_branches import ledger as ledger  # the fixture

AT = datetime(2026, 12, 20, 9, tzinfo=UTC)
NOVEMBER = date(2026, 11, 1)


class Said:
    """A producer that keeps what it was given, and can be away."""

    def __init__(self):
        self.events, self.away = [], False

    def publish_blocking(self, records):
        if self.away:
            raise OSError
        self.events += records


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def outbox(tmp_path, said, monkeypatch):
    monkeypatch.setattr(module, "event_out", lambda _wire, _topic, event: event)
    return lambda: Adjusted(tmp_path, None, said, "payer.vss.decision.v1", AT - timedelta(days=365))


@pytest.fixture
def twice(tmp_path):
    """A and B state the same service of one person on one day: B's is cut when the month is closed."""
    write(tmp_path, [visit("A"), visit("B", minutes=1)])
    close(tmp_path, NOVEMBER, AT)
    return tmp_path


def test_a_cut_found_later_is_the_decision_again_with_the_adjustment_among_its_findings(twice, outbox, said):
    assert outbox().publish() == 1
    (event,) = said.events
    assert (event["ma_lk"], event["verdict"], event["t_bhtt"], event["t_bhtt_gd"]) == ("B", "REDUCED", FUND, 0)
    (finding,) = event["findings"]
    assert (finding["rule"], finding["severity"], finding["table"], finding["reduction"]) == ("H03", "C", "XML3", FUND)
    assert event["meta"]["rule"] == "adjusted"
    assert event["meta"]["revision"]["version"] == event["claim_revision"]["version"] + 1
    assert decode("hie.ClaimDecision", encode("hie.ClaimDecision", event))["t_bhtt_gd"] == Decimal("0.00")


def test_it_is_said_once_and_after_a_crash_with_the_same_id(twice, outbox, said):
    said.away = True
    with pytest.raises(OSError):
        outbox().publish()
    said.away = False
    outbox().publish()
    assert outbox().publish() == 0
    (twice / "published" / "adjustments.files").unlink()
    outbox().publish()
    assert len(said.events) == 2
    assert said.events[0] == said.events[1]


def test_what_is_much_is_said_in_pages_each_of_what_stands_side_by_side_in_the_stream(tmp_path, monkeypatch):
    write(tmp_path, [visit(key, minutes=minutes) for minutes, key in enumerate("AFEDCB")])  # all but A are cut
    close(tmp_path, NOVEMBER, AT)
    assert sorted(event["ma_lk"] for page in news(tmp_path, files_of(tmp_path, TABLE)) for event in page) == list("BCDEF")
    monkeypatch.setattr(module, "_PAGE", 2)
    pages = [[event["ma_lk"] for event in page] for page in news(tmp_path, files_of(tmp_path, TABLE))]
    assert [sorted(page) for page in pages] == [["E", "F"], ["C", "D"], ["B"]]


def test_what_is_taken_back_is_said_as_a_newer_word_with_the_whole_truth(twice, outbox, said):
    outbox().publish()
    write(twice, [visit("A", version=1, services=(service(ma_dich_vu="23.0083.1523"),))], first=2)
    close(twice, NOVEMBER, AT + timedelta(days=1))
    outbox().publish()
    first, second = said.events
    assert (second["ma_lk"], second["verdict"], second["t_bhtt_gd"], second["findings"]) == ("B", "ACCEPTED", FUND, [])
    assert second["meta"]["revision"]["version"] == first["meta"]["revision"]["version"] + 1
    assert second["meta"]["event_id"] != first["meta"]["event_id"]


def test_both_words_read_together_are_those_that_were_said_one_by_one(twice, outbox, said):
    write(twice, [visit("A", version=1, services=(service(ma_dich_vu="23.0083.1523"),))], first=2)
    first = [event for page in news(twice, files_of(twice, TABLE)) for event in page]
    close(twice, NOVEMBER, AT + timedelta(days=1))
    outbox().publish()
    assert said.events[: len(first)] == first
    assert len(said.events) == 2


@pytest.mark.parametrize("what", [{"action": "CANCELLED"}, {"services": (service(ma_dich_vu="23.0083.1523"),)}])
def test_of_a_claim_that_was_withdrawn_or_corrected_nothing_more_is_said(twice, outbox, said, what):
    outbox().publish()
    write(twice, [visit("B", minutes=1, version=1, **what)], first=2)
    assert close(twice, NOVEMBER, AT + timedelta(days=1)).filter(pl.col("reverses") != "").height == 1
    assert outbox().publish() == 0
    assert [event["t_bhtt_gd"] for event in said.events] == [0]


def test_of_a_claim_that_was_erased_nothing_is_said_and_its_cut_stands(twice, outbox, said):
    erase(twice, [KEYRING.key("01004", "B", test=False)])
    assert outbox().publish() == 0 and not said.events
    assert close(twice, NOVEMBER, AT + timedelta(days=1)).is_empty()


def test_a_closing_by_a_clock_that_is_behind_has_a_number_of_its_own(twice, outbox, said):
    outbox().publish()
    write(twice, [visit("A", version=1, services=(service(ma_dich_vu="23.0083.1523"),))], first=2)
    close(twice, NOVEMBER, AT - timedelta(hours=1))
    outbox().publish()
    assert [(event["meta"]["revision"]["version"], event["t_bhtt_gd"]) for event in said.events] == [(1, 0), (2, FUND)]


def test_where_nothing_was_said_yet_what_the_hub_knows_no_more_is_taken_as_told(tmp_path, outbox, said):
    write(tmp_path, [visit("A"), visit("B", minutes=1)])
    close(tmp_path, NOVEMBER, AT - timedelta(days=366))
    assert outbox().publish() == 0
    write(tmp_path, [visit("A", version=1, services=(service(ma_dich_vu="23.0083.1523"),))], first=2)
    close(tmp_path, NOVEMBER, AT)
    outbox().publish()
    assert [(event["meta"]["revision"]["version"], event["t_bhtt_gd"]) for event in said.events] == [(2, FUND)]


def test_a_settlement_difference_is_not_said_as_the_correction_has_its_own_decision(tmp_path, outbox):
    write(tmp_path, [visit("A")])
    close(tmp_path, NOVEMBER, AT)
    write(tmp_path, [visit("A", version=1, action="CANCELLED")], first=1)
    assert set(close(tmp_path, NOVEMBER, AT).get_column("rule")) == {"S01"}
    assert outbox().publish() == 0


def test_a_promoted_branch_pays_a_rejected_claim(ledger, outbox, said):
    made(ledger, without=["F06"])
    promote(ledger, "lenient", AT)
    assert outbox().publish() == 1
    (event,) = said.events
    assert (event["verdict"], event["t_bhtt_gd"]) == ("ACCEPTED", FUND)
    assert [(one["rule"], one["reduction"]) for one in event["findings"] if one["rule"] in ("R01", "F06")] == [("R01", None)]


def test_a_ledger_without_a_closed_month_has_nothing_to_say(tmp_path, outbox):
    write(tmp_path, [visit("A")])
    assert outbox().publish() == 0


@pytest.mark.parametrize(
    ("said_first", "paid", "verdict"),
    [
        ("ACCEPTED", 100, "ACCEPTED"),
        ("ACCEPTED", 0, "REDUCED"),
        ("REDUCED", 100, "ACCEPTED"),
        ("REJECTED", 0, "REJECTED"),
        ("REJECTED", 60, "REDUCED"),
        ("REJECTED", 100, "ACCEPTED"),
        ("CANCELLED", 0, "CANCELLED"),
    ],
)
def test_the_verdict_follows_what_is_paid(said_first, paid, verdict):
    assert verdict_after(said_first, Decimal(100), Decimal(paid)) == verdict
