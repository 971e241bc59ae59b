"""The watch on its tables: an incident is opened, told once, taken up again after a restart, and ended."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from hub.cli.watch import chart, sentences
from hub.contract import telemetry
from hub.journal.incidents import Feed, own
from hub.journal.rhythm import NATION
from hub.journal.traffic import count
from hub.journal.watch import Watch, incidents, rhythm_now

FEED = Feed("minhkhai", "01731")
NOW = datetime(2026, 4, 20, 2, 0, tzinfo=UTC)  # a Monday, 09 h in Vietnam


@pytest.fixture
def watch(own_settings):
    return lambda: Watch(own_settings, lambda: NOW, threading.Event())


@pytest.fixture
def told(monkeypatch):
    heard = []
    monkeypatch.setattr(telemetry, "incident_opened", lambda *facts: heard.append(("opened", *facts)))
    monkeypatch.setattr(telemetry, "incident_ended", lambda *facts: heard.append(("ended", *facts[:3])))
    return heard


@pytest.fixture
def past(database):
    """Three messages an hour for four weeks until midnight."""
    database.execute("truncate incident")
    first = NOW - timedelta(days=28)
    for hour in range(28 * 24 - 9):
        count(database, [(first + timedelta(hours=hour), *FEED, "translated", [], False)] * 3)
    return database


def test_an_incident_lives_from_its_opening_to_its_end_across_a_restart(past, watch, told):
    one = watch()
    one.look(past, NOW, 60)
    one.look(past, NOW + timedelta(minutes=1), 60)
    [row] = incidents(past, all_of_them=False)
    assert (row["kind"], row["cause_kind"], row["cause"]) == ("silence", "feed", own(FEED).name)
    assert row["began"] == NOW - timedelta(hours=9)
    assert told == [("opened", "silence", "feed", "minhkhai/01731", 1)]

    count(past, [(NOW + timedelta(minutes=30), *FEED, "translated", [], False)])
    watch().look(past, NOW + timedelta(minutes=31), 60)
    assert incidents(past, all_of_them=False) == []
    [row] = incidents(past, all_of_them=True)
    assert row["ended"] == NOW + timedelta(minutes=31)
    assert row["missing"] == pytest.approx(28, abs=6)
    assert told[1:] == [("ended", "silence", "feed", "minhkhai/01731")]
    assert any("messages missing · thiếu khoảng" in line for line in sentences(row))


def test_counts_and_ended_incidents_are_kept_for_400_days_and_incidents_of_a_legal_hold_longer(past, watch):
    def kept():
        hours = past.execute("select hour from journal_traffic where hour < %s order by hour", (NOW - timedelta(days=300),))
        causes = past.execute("select cause from incident where kind = 'codes' order by cause")
        return [(NOW - row[0]).days for row in hours], [row[0] for row in causes]

    for ago in (402, 401, 399):
        count(past, [(NOW - timedelta(days=ago), *FEED, "translated", [], False)])
    for cause, began, ended in (("ended", 402, 401), ("held", 500, 480), ("late", 402, 399), ("open", 500, None)):
        past.execute(
            "insert into incident values (gen_random_uuid(), 'codes', 'feed', %s, '{}', %s, %s, %s, null, 0, %s)",
            (
                cause, NOW - timedelta(days=began), NOW - timedelta(days=began), ended and NOW - timedelta(days=ended),
                Jsonb(dict.fromkeys(("what", "usual", "seen", "surprise", "usually"), 0) | {"core": []}),
            ),
        )  # fmt: skip
    day = (NOW - timedelta(days=490)).date()
    past.execute("insert into legal_hold values ('a-case', %s, %s, 'a court', 'somebody', now())", (day, day))
    watch().look(past, NOW, 0)
    assert kept() == ([399], ["held", "late", "open"])
    past.execute("update legal_hold set ended_at = now()")
    watch().look(past, NOW, 0)
    assert kept() == ([399], ["late", "open"])


def test_a_feed_shows_its_rhythm(past):
    rhythm, heard = rhythm_now(past, FEED, NOW)
    assert rhythm.weekly == pytest.approx(3 * 168, rel=0.1)
    assert heard * 3600 == (NOW - timedelta(hours=10)).timestamp()


def test_the_chart_has_a_line_a_day_and_a_bar_an_hour():
    lines = chart(NATION)
    assert len(lines) == 8
    assert lines[1].startswith("Mon T2  ")
    assert "█" in lines[1]
    assert "█" not in lines[7]
