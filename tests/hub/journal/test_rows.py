"""What the journal keeps of a record, and what order and repetition do to it: nothing."""

import itertools
from datetime import timedelta

from confluent_kafka import Message

from adapters.outbound.receipts import Change, receipt_of
from hub.journal import reconcile
from hub.journal.consumer import index
from hub.journal.rows import KINDS, read_record
from hub.routing.app import streams
from tests.made import AT, KEYRING, delivery, received, referral

REF = "referral.v1"


def states(wire, sent, *names):
    """Receipts of a delivery, a minute apart."""
    from uuid import UUID

    meta = sent["meta"]
    changes = [
        Change(
            UUID(meta["event_id"]),
            sent["recipient"],
            meta["facility"],
            meta["message_id"],
            False,
            name,
            "",
            "pull",
            AT + timedelta(minutes=at),
        )
        for at, name in enumerate(names)
    ]
    return [receipt_of(change) for change in changes]


def test_a_message_is_kept_with_its_verdict_and_what_it_promised(database, log):
    message = received(control_id="MSG\x0001")
    event = referral(message)
    index(database, log.wire, [log.event("message-received.v1", message)], {})
    row = database.execute(
        "select facility, sender, control_id, verdict, ack, day::text, problems, events::text[] from journal_message"
    ).fetchone()
    assert row == (
        "01731",
        "minhkhai",
        "MSG\ufffd01",
        "translated",
        "AA",
        "2026-03-02",
        [{"code": "FIELD_MISSING", "severity": "W", "path": "PID-7"}],
        [event["meta"]["event_id"]],
    )


def test_the_day_is_that_of_vietnam(database, log):
    late = received(at=AT.replace(hour=17, minute=5))
    index(database, log.wire, [log.event("message-received.v1", late)], {})
    assert database.execute("select day::text from journal_message").fetchone() == ("2026-03-03",)


def test_what_a_message_says_last_counts(database, log):
    first = received(control_id="SAME", verdict="quarantined")
    again = received(control_id="SAME", verdict="translated")
    for message in (first, again):
        index(database, log.wire, [log.event("message-received.v1", message)], {})
    assert database.execute("select verdict, record_offset from journal_message").fetchall() == [("translated", 1)]
    assert database.execute("select next_offset, repeats from journal_offset").fetchall() == [(2, 1)]


def test_an_event_is_kept_by_its_place_without_its_body(database, log):
    event = referral(received(), slip="S7")
    index(database, log.wire, [log.event(REF, event), log.event(REF, event)], {})
    rows = database.execute("select event_id::text, key, action, record_offset from journal_event order by 4").fetchall()
    key = KEYRING.key("01731", "S7", test=False)
    assert rows == [(event["meta"]["event_id"], key, "ISSUED", 0), (event["meta"]["event_id"], key, "ISSUED", 1)]
    assert "NGUYỄN" not in str(database.execute("select journal_event::text from journal_event").fetchall())


def test_the_furthest_state_counts_in_any_order_of_arrival(database, log):
    event = referral(received())
    sent = delivery(log.wire, "hie.Referral", event, "01021")
    facts = [("delivery.v1", sent), *(("receipt.v1", one) for one in states(log.wire, sent, "QUEUED", "SENT", "ACKNOWLEDGED"))]
    for order in itertools.permutations(facts):
        database.execute("truncate journal_delivery, journal_receipt, journal_offset")
        log.ends.clear()
        at = {}
        for topic, fact in order:
            index(database, log.wire, [log.event(topic, fact)], at)
        assert database.execute("select state from journal_delivery").fetchall() == [("ACKNOWLEDGED",)]


def test_among_final_states_the_latest_counts(database, log):
    sent = delivery(log.wire, "hie.Referral", referral(received()), "01021")
    receipts = states(log.wire, sent, "ACKNOWLEDGED", "REFUSED")
    messages = [log.event("receipt.v1", one) for one in reversed(receipts)] + [log.event("delivery.v1", sent)]
    index(database, log.wire, messages, {})
    assert database.execute("select state from journal_delivery").fetchall() == [("REFUSED",)]


def test_repeats_of_deliveries_and_receipts_are_counted_and_have_no_effect(database, log):
    sent = delivery(log.wire, "hie.Referral", referral(received()), "01021")
    [queued] = states(log.wire, sent, "QUEUED")
    at = {}
    for _ in range(2):
        index(
            database,
            log.wire,
            [log.event("delivery.v1", sent), log.event("delivery.v1", sent), log.event("receipt.v1", queued)],
            at,
        )
    assert database.execute("select count(*) from journal_delivery").fetchone() == (1,)
    assert database.execute("select topic, next_offset, repeats from journal_offset order by 1").fetchall() == [
        ("delivery.v1", 4, 3),
        ("receipt.v1", 2, 1),
    ]


def test_what_cannot_be_read_is_counted_and_holds_up_nothing(database, log):
    event = referral(received())
    broken = [
        log.value(REF, None),
        log.value(REF, b"no prefix"),
        log.value(REF, log.wire.prefix(REF) + b"\xff\xff\xff"),
        log.value(REF, b"\x00\x7f\xff\xff\xff" + b"a schema nobody knows"),
        log.value(REF, log.wire.pack("message-received.v1", received())),  # a record of another topic
    ]
    index(database, log.wire, [*broken, log.event(REF, event)], {})
    assert database.execute("select record_offset from journal_undecodable order by 1").fetchall() == [
        (0,),
        (1,),
        (2,),
        (3,),
        (4,),
    ]
    assert database.execute("select record_offset from journal_event").fetchall() == [(5,)]


def test_a_batch_that_comes_again_changes_nothing(database, log):
    message = received()
    batch: list[Message] = [log.event("message-received.v1", message), log.event(REF, referral(message))]
    at = {}
    index(database, log.wire, batch, at)
    index(database, log.wire, batch, at)
    assert database.execute("select count(*) from journal_event").fetchone() == (1,)
    assert database.execute("select sum(repeats) from journal_offset").fetchone() == (0,)


def test_what_a_person_did_is_in_the_index(log):
    audit = {
        "id": "5f0c6f3e-0000-5000-8000-000000000001",
        "at": AT,
        "by": "an",
        "action": "replay",
        "target": "all",
        "reason": "r",
    }
    read = read_record(log.wire, log.event("audit.v1", audit))
    assert read.kind == "event"
    assert "replay" in read.values


def test_every_event_that_routing_decides_is_indexed_and_is_in_the_books():
    decided = [stream for stream in streams() if not stream.topic.startswith("payer.")]
    assert {KINDS[stream.record] for stream in decided} == {"event"}
    assert set(reconcile._ROUTED) == {stream.topic for stream in decided}
