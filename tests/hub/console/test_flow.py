"""The map: each stage says how it does, in words and not by colour alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hub.console.flow import BOXES, STATES, away, drawing, figures, rate, state, waiting
from hub.console.sampler import Lag, Snapshot, TopicNow, Waiting
from hub.console.services_look import ServiceNow
from hub.contract.events import now

SEEN = Snapshot(
    at=datetime(2026, 11, 29, tzinfo=UTC),
    topics={
        "referral.v1": TopicNow(10, 20, 1.5, 1.0),
        "claim.v1": TopicNow(5, 5, None, None),
        "delivery.v1": TopicNow(1, 1, 4.0, 4.0),
    },
    lags={("routing", "claim.v1"): Lag(12, 0.0)},
    waits={"parked": Waiting(3, now() - timedelta(hours=5))},
    today={"received": 1234},
    services={"routing-1": ServiceNow(alive=True, addresses="")},
)
ROUTING = next(box for box in BOXES if box.name == "routing")


@pytest.mark.parametrize(
    ("lag", "said"),
    [(Lag(12, 9.0), "good"), (Lag(2_000, -5.0), "good"), (Lag(2_000, 5.0), "warn"), (Lag(90_000, 5.0), "bad")],
)
def test_a_stage_falls_behind_when_much_is_unread_and_it_becomes_no_less(lag, said):
    assert state(replace(SEEN, lags={("routing", "claim.v1"): lag}), ROUTING) == said


def test_a_stage_whose_service_died_is_stopped_whatever_its_lag_says():
    assert state(replace(SEEN, services={"routing-1": ServiceNow(alive=False, addresses="")}), ROUTING) == "bad"


def test_a_stage_whose_service_runs_and_hangs_is_stuck_too():
    assert state(replace(SEEN, services={"routing-1": ServiceNow(alive=True, addresses="", answers=False)}), ROUTING) == "bad"


def test_without_kafka_figures_are_the_last_known_and_the_page_says_since_when():
    gone = replace(SEEN, faults={"kafka": datetime(2026, 11, 29, 3, 4, 5, tzinfo=UTC)})
    found = figures(gone, "en")
    assert found["map-routing"] == ("last known", "old")
    assert found["map-to-deliveries"] == ("4.0/s", "old")
    assert found["map-gate-0"] == ("1,234", ""), "the database still answers"
    assert "10:04:05" in away(gone, "vi")["away-kafka"][0]
    assert away(gone, "vi")["away-database"] == ("", "")


def test_a_rate_is_unknown_until_two_looks_were_taken():
    assert rate(SEEN, lambda name: name == "claim.v1") is None
    assert rate(SEEN, lambda name: name in ("referral.v1", "claim.v1")) == 1.5


def test_what_waits_is_told_with_the_age_of_the_oldest():
    assert waiting(SEEN.waits["parked"], "en") == "3 · 5 h"
    assert waiting(Waiting(), "en") == "0"
    assert waiting(None, "en") == "–"


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_figure_is_in_the_drawing_once(language):
    drawn = figures(SEEN, language)
    svg = drawing(drawn, language)
    assert [name for name in drawn if svg.count(f'id="{name}"') != 1] == []


def test_every_state_has_a_word_in_both_languages():
    assert all(words.vi and words.en for words in STATES.values())
