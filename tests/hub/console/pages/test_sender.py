"""Why a sender is silent: its incident leads to its page, which says since when, and what was expected."""

import asyncio
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from hub.access.credentials import Credential
from hub.console.pages.sender import counted, credentials, week
from hub.contract.events import now
from hub.journal.incidents import Feed
from hub.journal.rhythm import NATION
from hub.journal.traffic import count, feeds_after, senders_of
from hub.journal.watch import Watch, feed_now, incident, incidents, incidents_of
from hub.store.database import connect
from tests.own_database import own_database

FEED, OTHER = Feed("minhkhai", "01731"), Feed("songhong", "01004")
QUIET_H = 12


@pytest.fixture(scope="module")
def here(settings):
    """Two feeds of three messages an hour; one of them stopped half a day ago, and the watch has seen it."""
    at = now()
    with own_database(settings.database_url.get_secret_value()) as url:
        ours = settings.model_copy(update={"database_url": SecretStr(url)})
        with connect(url, autocommit=True) as database:
            for feed, until in ((FEED, QUIET_H), (OTHER, 0)):
                hours = [at - timedelta(hours=ago) for ago in range(until, 28 * 24)]
                count(database, [(hour, *feed, "translated", [], False) for hour in hours for _ in range(3)])
            Watch(ours, lambda: at, threading.Event()).look(database, at, 60)
        yield ours


def get(served, settings, *paths, person=None):
    async def run():
        async with served(settings, person) as (client, _):
            return [await client.get(path) for path in paths]

    return asyncio.run(run())


def test_the_incident_leads_to_the_sender_which_says_since_when_and_what_was_expected(served, here, someone):
    with connect(here.database_url.get_secret_value()) as database:
        [row] = incidents(database, all_of_them=False)
    listed, one, senders, silent, usual, nobody, wrong = get(
        served, here, "/incidents", f"/incidents/{row['id']}", "/senders", "/senders/minhkhai?facility=01731",
        "/senders/songhong", "/senders/nobody", "/incidents/no-id", person=someone(language="en"),
    )  # fmt: skip
    assert f"/incidents/{row['id']}" in listed.text
    assert "/senders/minhkhai?facility=01731" in one.text and "/senders/songhong" not in one.text
    assert "/senders/minhkhai?facility=01731" in senders.text and "/senders/songhong?facility=01004" in senders.text
    assert "Unusually silent" in silent.text and f"/incidents/{row['id']}" in silent.text
    assert "Nothing unusual" in usual.text
    assert "does not know this sender" in nobody.text
    assert "no incident of this id" in wrong.text


def test_a_vendor_comes_to_none_of_these_pages(served, here, someone):
    vendor = someone(role="vendor", scope=("minhkhai",))
    for answer in get(served, here, "/incidents", f"/incidents/{uuid4()}", "/senders", "/senders/minhkhai", person=vendor):
        assert answer.status_code == 403
        assert "01731" not in answer.text


def test_feeds_come_in_pages_by_their_names(here):
    midnight = now() - timedelta(hours=1)
    with connect(here.database_url.get_secret_value()) as database:
        [first] = feeds_after(database, "", "", midnight, 1)
        [second] = feeds_after(database, first["sender"], first["facility"], midnight)
        assert feeds_after(database, second["sender"], second["facility"], midnight) == []
        assert senders_of(database, "01731") == [], "no message of it is in the index"
    assert (first["sender"], first["facility"], first["received"]) == (*FEED, 0)
    assert (second["sender"], second["received"]) == ("songhong", 3)


def test_the_page_and_the_command_have_the_same_facts(here):
    at = now()
    with connect(here.database_url.get_secret_value()) as database:
        silent, usual = feed_now(database, FEED, at), feed_now(database, OTHER, at)
        assert feed_now(database, Feed("nobody", ""), at)["last_heard_hour"] is None
        [row] = incidents_of(database, *FEED)
        assert incidents_of(database, FEED.sender)[0]["id"] == row["id"]
        assert incidents_of(database, *OTHER) == []
        assert incident(database, row["id"]) == (row, [])
    assert silent["silent"] and not usual["silent"]
    assert 10 < silent["expected_since"] < 100, "about three an hour, drawn to what the nation does at that time of day"


def test_refusals_of_today_say_what_to_do():
    told = counted({"received": 1200, "refused": 2, "TYPE_UNSUPPORTED": 2}, "a b", "en")
    assert '<a href="/search?verdict=refused&amp;sender=a%20b">2</a> refused' in told and "verdict=quarantined" not in told
    assert "1,200 messages, " in told and ", 0 quarantined" in told
    assert "does not take this message type" in told


def test_a_credential_that_does_not_reach_the_facility_is_a_reason():
    one = Credential("minhkhai", frozenset({"01004"}), messages_per_minute=6000)
    told = " ".join(credentials(one, None, "01731", "en"))
    assert "may not send for 01731" in told and "6,000 messages a minute" in told


def test_the_week_has_a_bar_an_hour_and_a_day_a_name():
    drawn = week(NATION, "vi")
    assert drawn.count("<rect") == 168
    assert ">CN</text>" in drawn
