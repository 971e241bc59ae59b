"""Messages are counted by feed and hour with their rows: once each, as what they said first, without tests."""

from datetime import timedelta

from hub.journal.consumer import index
from hub.journal.incidents import Feed
from hub.journal.traffic import feeds, hour_of, in_hours, of_feed, of_feeds
from tests.made import AT, received

TOPIC = "message-received.v1"
FEED, HOUR = Feed("minhkhai", "01731"), hour_of(AT)


def counted(database):
    return in_hours(database, HOUR, HOUR + 1)[0].get(FEED, {})


def test_verdicts_codes_and_slow_messages_are_counted(database, log):
    messages = [
        log.event(TOPIC, received()),
        log.event(TOPIC, received(verdict="refused"), at=AT + timedelta(seconds=3)),
        log.event(TOPIC, received(test=True)),
    ]
    index(database, log.wire, messages, {})
    assert counted(database) == {"received": 2, "refused": 1, "FIELD_MISSING": 2, "slow": 1}
    assert feeds(database, HOUR) == {FEED: (HOUR, HOUR)}
    assert of_feed(database, FEED, HOUR, HOUR + 1) == of_feeds(database, [FEED], HOUR, HOUR + 1)


def test_what_is_told_again_is_not_counted_again_in_one_batch_or_two(database, log):
    first, again = received(control_id="SAME", verdict="refused"), received(control_id="SAME")
    index(database, log.wire, [log.event(TOPIC, first), log.event(TOPIC, again)], {})
    index(database, log.wire, [log.event(TOPIC, again), log.event(TOPIC, received())], {})
    assert counted(database) == {"received": 2, "refused": 1, "FIELD_MISSING": 2}
