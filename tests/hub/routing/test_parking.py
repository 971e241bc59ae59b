"""Keys that wait: in order, alone, and let go or given up by a person."""

import asyncio

import pytest

from hub.bus import Out
from hub.contract.directory import Facility, facilities
from hub.routing import parking
from hub.routing.batch import _SplitError
from hub.store.database import connect
from tests.hub.routing.story import DISTRICT, STREAMS, referral

TOPIC, NEW = "referral.v1", "01999"


@pytest.fixture
def database(routing_settings):
    with connect(routing_settings.database_url.get_secret_value()) as opened:
        yield opened


@pytest.fixture
def opens():
    """Adds the unknown facility to the directory, for one test."""
    known = facilities()

    def add():
        known[NEW] = Facility(NEW, "", "", "basic", "hospital", "01", "_standard", known[DISTRICT].valid_from, None)

    yield add
    known.pop(NEW, None)


def send(hub, *events):
    for event in events:
        hub.send(("hie.Referral", event))


def mend(hub, database, act, event):
    count = act(database, hub.published, hub.router.wire, TOPIC, event["meta"]["key"], by="somebody", reason="because of a test")
    hub.follow()
    return count


def delivered(hub):
    """Actions of what reached the facility, in order."""
    return [hub.router.wire.unpack(one["body"])[1]["action"] for one in hub.deliveries.values() if one["recipient"] == NEW]


ISSUED, MODIFIED, CANCELLED = (
    referral(action, minute=at, to=NEW) for at, action in enumerate(("ISSUED", "MODIFIED", "CANCELLED"))
)


def test_later_events_of_a_parked_key_wait_behind_it_and_other_keys_go_on(new_hub, database):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED, referral(slip="S2"))
    assert hub.addressed() == {(DISTRICT, "referral-to-receiver"), ("portal", "referral-to-portal")}
    assert database.execute("select code from parked order by record_offset").fetchall() == [("RECEIVER_UNKNOWN",), ("BEHIND",)]
    (row,) = parking.waiting(database)
    assert (row["topic"], row["key"], row["code"], row["waiting"]) == (TOPIC, ISSUED["meta"]["key"], "RECEIVER_UNKNOWN", 2)


def test_release_sends_them_on_in_order(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED, CANCELLED)
    opens()
    assert mend(hub, database, parking.release, ISSUED) == 3
    assert delivered(hub) == ["ISSUED", "MODIFIED", "CANCELLED"]
    assert parking.waiting(database) == []


def test_what_comes_while_a_key_is_released_follows_by_itself(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    parking.release(database, hub.published, hub.router.wire, TOPIC, ISSUED["meta"]["key"], by="somebody", reason="test")
    released, hub.published.outs = hub.published.outs, []
    send(hub, MODIFIED)  # before the worker has come to what was released
    assert delivered(hub) == []
    hub.published.outs = released
    hub.follow()
    assert delivered(hub) == ["ISSUED", "MODIFIED"]
    assert parking.waiting(database) == []


def test_released_too_early_they_park_again_in_the_same_order(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED)
    mend(hub, database, parking.release, ISSUED)
    assert delivered(hub) == []
    send(hub, CANCELLED)
    opens()
    mend(hub, database, parking.release, ISSUED)
    assert delivered(hub) == ["ISSUED", "MODIFIED", "CANCELLED"]
    assert parking.waiting(database) == []


def test_released_twice_they_have_their_effect_once(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED)
    opens()
    for _ in range(2):
        parking.release(database, hub.published, hub.router.wire, TOPIC, ISSUED["meta"]["key"], by="somebody", reason="test")
    hub.follow()
    assert delivered(hub) == ["ISSUED", "MODIFIED"]


def test_a_parked_record_read_again_stays_parked_once(new_hub, database):
    hub = new_hub()
    record = hub.record(TOPIC, Out(TOPIC, ISSUED["meta"]["key"], hub.router.wire.pack(TOPIC, ISSUED)))
    for _ in range(2):
        hub.route(TOPIC, [record])
    assert database.execute("select count(*) from parked").fetchone() == (1,)


def test_discard_gives_up_the_cause_and_lets_the_rest_go(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED, MODIFIED)
    opens()
    assert mend(hub, database, parking.discard, ISSUED) == 1
    assert delivered(hub) == ["MODIFIED"]
    topics = [topic for topic, _event in hub.others]
    assert topics == ["dead-letter.v1", "audit.v1"]


def test_what_was_discarded_may_be_said_again(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    mend(hub, database, parking.discard, ISSUED)
    send(hub, referral(minute=30, to=NEW))
    assert delivered(hub) == ["ISSUED"]


def test_every_act_leaves_an_audit_event(new_hub, database, opens):
    hub = new_hub()
    send(hub, ISSUED)
    opens()
    mend(hub, database, parking.release, ISSUED)
    (audit,) = [event for topic, event in hub.others if topic == "audit.v1"]
    assert (audit["by"], audit["action"], audit["outcome"]) == ("somebody", "parked-release", "done")


def test_many_keys_for_one_cause_pause_the_stream(new_hub, database):
    hub = new_hub()
    events = [referral(slip=f"P{number}", to=NEW) for number in range(parking.STORM_KEYS + 1)]
    records = [hub.record(TOPIC, Out(TOPIC, one["meta"]["key"], hub.router.wire.pack(TOPIC, one))) for one in events]
    for record in records[:-1]:
        asyncio.run(hub.router.route(STREAMS[TOPIC], [record]))
    with pytest.raises(_SplitError) as pause:
        hub.router._prepare(STREAMS[TOPIC], records[-1:], False)
    assert pause.value.wait == "RECEIVER_UNKNOWN"
    assert len(parking.waiting(database)) == parking.STORM_KEYS
