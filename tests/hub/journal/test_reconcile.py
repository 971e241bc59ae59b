"""The books close when everything is where it should be, and say by name and id what is missing when it is not."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from adapters.outbound.receipts import Change, receipt_of
from hub.bus import dead_letter
from hub.contract.events import derive, new_id
from hub.journal.consumer import index
from hub.journal.dead_letters import causes, closing
from hub.journal.reconcile import NAMES, reconcile
from tests.made import AT, delivery, received, referral


def told(sent, *names, test=False):
    """Receipts of a delivery, in order."""
    meta = sent["meta"]
    parts = UUID(meta["event_id"]), sent["recipient"], meta["facility"], meta["message_id"], test
    return [receipt_of(Change(*parts, name, "", "pull", AT + timedelta(seconds=at))) for at, name in enumerate(names)]


@pytest.fixture
def day(database, log):
    """A day that closes: two referrals of one sender, one acknowledged and one queued; one for nobody; a refusal; junk; a derived event."""
    wire = log.wire
    first, second, third = received(), received(), received(at=AT + timedelta(days=1))
    refused, junk = received(verdict="refused"), received("", verdict="quarantined", sender="dongtrieu")
    events = [referral(first), referral(second), referral(third)]
    meta = events[0]["meta"]
    arrived = derive(
        "hie.Referral",
        {name: value for name, value in events[0].items() if name != "meta"} | {"action": "ARRIVED"},
        parents=[events[0]],
        rule="referral-arrived",
        facility=meta["facility"],
        key=meta["key"],
        revision=meta["revision"],
    )
    deliveries = [
        delivery(wire, "hie.Referral", events[0], "01021"),
        delivery(wire, "hie.Referral", events[1], "01004"),
        delivery(wire, "hie.Referral", events[2], "", rule="repeat"),
        delivery(wire, "hie.Referral", arrived, "01731", rule="answer-to-issuer"),
    ]
    receipts = [
        *told(deliveries[0], "QUEUED", "SENT", "ACKNOWLEDGED"),
        *told(deliveries[1], "QUEUED"),
        *told(deliveries[3], "QUEUED", "SENT"),
    ]
    messages = [log.event("message-received.v1", one) for one in (first, second, third, refused, junk)]
    messages += [log.event("referral.v1", one) for one in (*events, arrived)]
    messages += [log.event("delivery.v1", one) for one in deliveries] + [log.event("receipt.v1", one) for one in receipts]
    index(database, wire, messages, {})
    return {"messages": (first, second, third), "events": events, "arrived": arrived, "deliveries": deliveries}


def differences(database):
    return {one.name: one.ids for one in reconcile(database).differences}


def test_books_close_by_sender_and_day(database, day):
    books = reconcile(database)
    assert books.close, books.text()
    rows = {(row.day.isoformat(), row.name): row for row in books.rows}
    assert sorted(rows) == [("2026-03-02", "dongtrieu"), ("2026-03-02", "minhkhai"), ("2026-03-03", "minhkhai")]
    monday = rows["2026-03-02", "minhkhai"]
    assert (monday.received, monday.translated, monday.refused, monday.quarantined) == (3, 2, 1, 0)
    assert (monday.promised, monday.events, monday.events_addressed, monday.addressed) == (2, 3, 3, 3)
    assert monday.states == {"ACKNOWLEDGED": 1, "QUEUED": 1, "SENT": 1}
    assert (rows["2026-03-03", "minhkhai"].nobody, rows["2026-03-03", "minhkhai"].addressed) == (1, 0)
    assert rows["2026-03-02", "dongtrieu"].quarantined == 1


def test_books_of_nothing_close(database):
    assert reconcile(database).close


@pytest.mark.parametrize(
    ("lost", "noticed"),
    [
        ("delete from journal_message where verdict = 'refused'", {"record-unindexed"}),
        ("delete from journal_message where verdict = 'translated'", {"record-unindexed", "event-without-message"}),
        ("delete from journal_event where rule = ''", {"record-unindexed", "event-missing", "delivery-without-event"}),
        ("delete from journal_event where rule <> ''", {"record-unindexed", "delivery-without-event"}),
        (
            "delete from journal_delivery where recipient <> ''",
            {"record-unindexed", "event-unaddressed", "receipt-without-delivery"},
        ),
        ("delete from journal_delivery where recipient = ''", {"record-unindexed", "event-unaddressed"}),
        ("delete from journal_receipt where state = 'QUEUED'", {"record-unindexed"}),
        ("update journal_delivery set state = '' where recipient = '01004'", {"delivery-stateless"}),
        ("update journal_delivery set state = 'LOST' where recipient = '01004'", {"delivery-stateless"}),
        ("update journal_message set verdict = '' where verdict = 'refused'", {"message-without-verdict"}),
        ("update journal_offset set next_offset = next_offset + 1 where topic = 'receipt.v1'", {"record-unindexed"}),
        (
            "insert into journal_undecodable values ('receipt.v1', 0, 99, 'BODY_UNDECODABLE')",
            {"record-unindexed", "record-undecodable"},
        ),
    ],
)
def test_each_kind_of_loss_opens_the_books(database, day, lost, noticed):
    assert database.execute(lost).rowcount > 0
    assert set(differences(database)) == noticed


def test_every_difference_has_a_name_in_both_languages_and_is_told(database, day):
    database.execute("delete from journal_delivery where recipient = '01021'")
    books = reconcile(database)
    assert not books.close
    assert {one.name for one in books.differences} <= set(NAMES)
    assert day["events"][0]["meta"]["event_id"] in books.text(200)
    assert "sự kiện chưa có nơi nhận" in books.text(200)
    assert books.as_dict()["close"] is False


def test_at_most_twenty_ids_are_named_and_all_are_counted(database, log):
    message = received()
    events = [referral(message) for _ in range(30)]
    index(database, log.wire, [log.event("message-received.v1", message), *(log.event("referral.v1", one) for one in events)], {})
    [difference] = reconcile(database).differences
    assert (difference.name, difference.count, len(difference.ids)) == ("event-unaddressed", 30, 20)


def test_a_parked_event_is_accounted_for(database, log):
    message = received()
    event = referral(message)
    index(database, log.wire, [log.event("message-received.v1", message), log.event("referral.v1", event)], {})
    assert set(differences(database)) == {"event-unaddressed"}
    database.execute(
        "insert into parked (topic, partition, record_offset, key, event_id, code, value) values ('referral.v1', 0, 0, 'k', %s, %s, '')",
        (event["meta"]["event_id"], "RECEIVER_UNKNOWN"),
    )
    books = reconcile(database)
    assert books.close
    assert books.rows[0].parked == 1
    database.execute("update parked set state = 'RELEASED'")
    assert set(differences(database)) == {"event-unaddressed"}


def test_a_dead_letter_accounts_for_its_record_and_is_listed(database, log):
    message = received()
    record = log.event("referral.v1", referral(message))
    index(database, log.wire, [log.event("message-received.v1", message), record], {})
    given_up = dead_letter(log.wire, "routing", "BODY_UNDECODABLE", record)
    index(database, log.wire, [log.value("dead-letter.v1", given_up.value)], {})
    books = reconcile(database)
    assert books.close
    assert [(one.stage, one.topic, one.offset) for one in books.dead_letters] == [("routing", "referral.v1", 0)]


def test_a_letter_that_was_given_back_and_never_arrived_does_not_close_the_books(database, log):
    message = received()
    event = referral(message)
    record = log.event("referral.v1", event)
    index(database, log.wire, [log.event("message-received.v1", message), record], {})
    given_up = dead_letter(log.wire, "routing", "EVENT_UNROUTABLE", record)
    closed = closing(log.wire, log.wire.unpack(given_up.value)[1], "REDRIVEN")
    index(database, log.wire, [log.value("dead-letter.v1", one.value) for one in (given_up, closed)], {})
    assert [(one.name, one.ids) for one in reconcile(database).differences] == [
        ("event-unaddressed", (event["meta"]["event_id"],))
    ]
    again = log.event("referral.v1", event)
    sent = log.event("delivery.v1", delivery(log.wire, "hie.Referral", event, ""))
    index(database, log.wire, [again, sent], {})
    assert reconcile(database).close


def test_a_letter_whose_message_was_translated_into_something_else_is_dealt_with(database, log):
    message = received()
    record = log.event("referral.v1", referral(message))
    index(database, log.wire, [log.event("message-received.v1", message), record], {})
    given_up = dead_letter(log.wire, "routing", "EVENT_UNROUTABLE", record)
    closed = closing(log.wire, log.wire.unpack(given_up.value)[1], "REDRIVEN")
    message["events"] = []
    other = referral(message, "another slip")
    records = [log.value("dead-letter.v1", one.value) for one in (given_up, closed)] + [
        log.event("message-received.v1", message),
        log.event("referral.v1", other),
        log.event("delivery.v1", delivery(log.wire, "hie.Referral", other, "")),
    ]
    index(database, log.wire, records, {})
    assert reconcile(database).differences == ()


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_a_dead_letter_that_was_dealt_with_is_not_listed_until_it_is_given_up_again(database, log, together):
    message = received()
    record = log.event("referral.v1", referral(message))
    index(database, log.wire, [log.event("message-received.v1", message), record], {})
    given_up = dead_letter(log.wire, "routing", "BODY_UNDECODABLE", record)
    closed = closing(log.wire, log.wire.unpack(given_up.value)[1], "REDRIVEN")
    assert closed.key == given_up.key

    def told(*letters):
        read = [log.value("dead-letter.v1", one.value) for one in letters]
        for batch in [read] if together else [[one] for one in read]:
            index(database, log.wire, batch, {})
        books = reconcile(database)
        assert books.close == bool(books.dead_letters)  # given back, it has still to arrive
        assert len(books.dead_letters) == books.dead_letters_all == len(causes(database))
        return database.execute("select state, letter_partition, letter_offset from journal_dead_letter").fetchall()

    assert told(given_up, closed) == [("REDRIVEN", 0, 0)]
    assert told(given_up) == [("", 0, 2)]
    assert told(closed) == [("REDRIVEN", 0, 2)]


def test_test_traffic_stays_out_of_the_books(database, log):
    message = received(test=True)
    event = referral(message)
    sent = delivery(log.wire, "hie.Referral", event, "01021")
    index(
        database,
        log.wire,
        [log.event("message-received.v1", message), log.event("referral.v1", event), log.event("delivery.v1", sent)],
        {},
    )
    books = reconcile(database)
    assert books.close
    assert books.rows == ()


def test_an_application_answer_to_the_sender_is_a_delivery_of_its_message(database, log):
    message = received()
    event = referral(message)
    sent = delivery(log.wire, "hie.Referral", event, "01021")
    answer = sent | {
        "meta": sent["meta"]
        | {"event_id": new_id("test", message["message_id"]), "key": "01731", "causes": [message["message_id"]]},
        "recipient": "01731",
        "subject_event_id": message["message_id"],
        "subject_record": "hie.MessageReceived",
        "rule": "application-ack-to-sender",
        "body": log.wire.pack("message-received.v1", message),
    }
    receipts = [one for each in (sent, answer) for one in told(each, "QUEUED", "SENT")]
    records = [log.event("message-received.v1", message), log.event("referral.v1", event)]
    records += [log.event("delivery.v1", one) for one in (sent, answer, answer)] + [
        log.event("receipt.v1", one) for one in receipts
    ]
    index(database, log.wire, records, {})
    books = reconcile(database)
    assert books.close, books.text()
    assert [(row.events, row.addressed, row.states) for row in books.rows] == [(1, 2, {"SENT": 2})]


def test_the_same_event_written_twice_is_one_event(database, day, log):
    log.ends["referral.v1"] = 4
    index(database, log.wire, [log.event("referral.v1", day["events"][0])], {})
    books = reconcile(database)
    assert books.close
    assert sum(row.events for row in books.rows) == 4


def test_books_by_recipient_say_where_its_deliveries_stand(database, day):
    books = reconcile(database, "recipient")
    assert {(row.name, row.addressed): row.states for row in books.rows} == {
        ("01004", 1): {"QUEUED": 1},
        ("01021", 1): {"ACKNOWLEDGED": 1},
        ("01731", 1): {"SENT": 1},
    }
    assert books.close and "Deliveries by recipient" in books.text(200)


def test_books_by_type_have_the_same_equations(database, day):
    books = reconcile(database, "type")
    [monday, tuesday] = books.rows
    assert (monday.name, monday.received, monday.translated, monday.refused, monday.quarantined) == ("REF^I12", 4, 2, 1, 1)
    assert (monday.events, monday.addressed, tuesday.nobody) == (3, 3, 1)


@pytest.mark.parametrize("by", ["sender", "type", "recipient"])
def test_the_books_of_one_day_are_those_of_all_days_at_that_day(database, day, by):
    whole = reconcile(database, by).rows
    for which in {row.day for row in whole}:
        assert reconcile(database, by, which).rows == tuple(row for row in whole if row.day == which)
    assert reconcile(database, by, date(2025, 1, 1)).rows == ()


@pytest.mark.parametrize(
    ("lost", "noticed"),
    [
        ("delete from journal_message where verdict = 'translated'", {"event-without-message"}),
        ("delete from journal_event where rule = ''", {"event-missing", "delivery-without-event"}),
        ("delete from journal_event where rule <> ''", {"delivery-without-event"}),
        ("delete from journal_delivery where recipient <> ''", {"event-unaddressed", "receipt-without-delivery"}),
        ("update journal_delivery set state = 'LOST' where recipient = '01004'", {"delivery-stateless"}),
        ("update journal_message set verdict = '' where verdict = 'refused'", {"message-without-verdict"}),
    ],
)
def test_each_kind_of_loss_opens_the_books_of_its_day(database, day, lost, noticed):
    assert database.execute(lost).rowcount > 0
    assert {one.name for one in reconcile(database, day=date(2026, 3, 2)).differences} == noticed
    assert reconcile(database, day=date(2025, 1, 1)).close


def test_what_waits_is_told_with_its_reason_the_oldest_first(database, day):
    database.execute(
        "insert into parked (topic, partition, record_offset, key, event_id, code, value, parked_at) values"
        " ('referral.v1', 0, 70, '01731:abc', null, 'RECEIVER_UNKNOWN', '', '2026-01-01 00:00+07')"
    )
    database.execute("update journal_delivery set state = 'HELD', rule = 'held-sensitive' where recipient = '01731'")
    waiting = reconcile(database).waiting
    assert [(one.state, one.of, one.what, one.why, one.count) for one in waiting[:1]] == [
        ("PARKED", "01731", "referral.v1", "RECEIVER_UNKNOWN", 1)
    ]
    assert {(one.state, one.of, one.why) for one in waiting[1:]} == {("QUEUED", "01004", ""), ("HELD", "01731", "held-sensitive")}
    assert "PARKED 1 referral.v1 of 01731 since 01/01/2026 00:00 RECEIVER_UNKNOWN" in reconcile(database).text(300)
