"""What alerts ask: counted as an operator would count it, on a real database and real brokers."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from pydantic import SecretStr

from hub.bus import Out, Producer
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.journal.standing import lag_of_group, lag_of_journal, what_waits
from tests.hub.journal.test_reconcile import day
from tests.made import AT, received

__all__ = ["day"]  # the fixture: a day of two senders


@pytest.fixture
def here(settings, database_url):
    return settings.model_copy(update={"database_url": SecretStr(database_url)})


def test_what_waits_is_told_by_state_and_lane_with_the_age_of_the_oldest(database, day, here):
    database.execute("update journal_delivery set lane = 'urgent' where state = 'QUEUED'")
    with patch("hub.journal.standing.now", lambda: AT + timedelta(days=3)):
        found = what_waits(here)
    [[oldest]] = database.execute("select recorded_at from journal_delivery where state = 'QUEUED'").fetchall()
    assert found["hie_deliveries_waiting"] == {("queued", "urgent"): 1}
    assert found["hie_deliveries_oldest_seconds"] == {
        ("queued", "urgent"): max(0.0, (AT + timedelta(days=3) - oldest).total_seconds())
    }


def test_what_is_on_its_way_or_held_is_told_and_test_traffic_and_nobody_are_not(database, day, here):
    database.execute("update journal_delivery set state = '', recorded_at = now() - interval '7 minutes' where state = 'QUEUED'")
    database.execute("update journal_delivery set state = 'HELD', test = true where state = 'ACKNOWLEDGED'")
    found = what_waits(here)
    assert set(found["hie_deliveries_waiting"]) == {("on-its-way", "routine")}
    assert 420 <= found["hie_deliveries_oldest_seconds"]["on-its-way", "routine"] < 600


def test_parked_keys_are_told_once_each_and_letters_while_they_are_open(database, here):
    park = "insert into parked (topic, partition, record_offset, key, code, value, state) values ('referral.v1', 0, %s, %s, %s, '', %s)"
    rows = (
        (1, "a", "RECEIVER_UNKNOWN", "PARKED"),
        (2, "a", "BEHIND", "PARKED"),
        (3, "b", "RECEIVER_UNKNOWN", "PARKED"),
        (4, "c", "PAYER_UNKNOWN", "RELEASED"),
    )
    for row in rows:
        database.execute(park, row)
    letter = (
        "insert into journal_dead_letter (id, stage, code, topic, partition, record_offset, recorded_at, state)"
        " values (gen_random_uuid(), 'routing', 'BODY_UNDECODABLE', 'referral.v1', 0, %s, %s, %s)"
    )
    for offset, state in ((1, ""), (2, ""), (3, "REDRIVEN")):
        database.execute(letter, (offset, now(), state))
    found = what_waits(here)
    assert found["hie_parked_keys"] == {("RECEIVER_UNKNOWN",): 2, ("BEHIND",): 1}
    assert found["hie_dead_letters_open"] == {("routing", "BODY_UNDECODABLE"): 2}
    assert found["hie_deliveries_waiting"] == {}


def test_a_database_that_is_away_is_told_as_such(here):
    gone = here.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/none")})
    with pytest.raises(HubError, match="DATABASE_UNAVAILABLE"):
        what_waits(gone)


def test_a_journal_that_has_read_nothing_is_behind_by_all_there_is(database, here, wire):
    before = lag_of_journal(here)["hie_consumer_lag_records"]["journal", "message-received.v1"]
    reads_nothing = lag_of_group(here, "mailbox", "test-reads-nothing", ["message-received.v1"])
    assert reads_nothing == {"hie_consumer_lag_records": {("mailbox", "message-received.v1"): before}}
    producer = Producer(here.kafka, wait_s=10)
    try:
        producer.publish_blocking([Out("message-received.v1", "01731", wire.pack("message-received.v1", received()))])
    finally:
        producer.close()
    assert lag_of_journal(here)["hie_consumer_lag_records"]["journal", "message-received.v1"] == before + 1
    assert lag_of_group(here, "mailbox", "test-reads-nothing", ["message-received.v1"]) == {
        "hie_consumer_lag_records": {("mailbox", "message-received.v1"): before + 1}
    }
