"""Audit events are found by time, action, person and what they name, a page at a time; and those about what is of one key."""

from datetime import timedelta

import pytest

from hub.audit import audit
from hub.contract.errors import HubError
from hub.journal import looked
from hub.journal.consumer import index
from hub.journal.looked import audited, ids_of
from tests.made import AT, delivery, received, referral


@pytest.fixture
def kept(database, log, monkeypatch):
    """Indexes audit events, and hands their records out as Kafka would."""
    records = {}
    monkeypatch.setattr(looked, "read_at", lambda _kafka, places: [records[place] for place in places])

    def keep(*told):
        for hours, action, target, by in told:
            out = audit(log.wire, action, target, by, "why", at=AT + timedelta(hours=hours))
            record = log.value("audit.v1", out.value, key="", at=AT)
            records[record.topic(), record.partition(), record.offset()] = record
            index(database, log.wire, [record], {})

    return keep


def found(database, log, **wanted):
    page = audited(database, "", log.wire, lambda *_place: None, **wanted)
    return [(one["by"], one["target"]) for one in page.found], page


def test_by_time_action_person_and_thing(database, log, kept):
    kept((1, "unmask", "message:a", "hoa"), (2, "replay", "b", "lan"), (3, "unmask", "message:c", "minh"))
    assert found(database, log)[0] == [("minh", "message:c"), ("lan", "b"), ("hoa", "message:a")]
    assert found(database, log, action="unmask", by="hoa")[0] == [("hoa", "message:a")]
    assert found(database, log, since=AT + timedelta(hours=2), until=AT + timedelta(hours=3))[0] == [("lan", "b")]
    assert found(database, log, ids=["c", "d"])[0] == [("minh", "message:c")]
    assert found(database, log, ids=[])[0] == []


def test_a_page_reads_so_many_and_says_where_the_next_one_begins(database, log, kept):
    kept(*((hours, "unmask", f"message:{hours}/{by}", by) for hours, by in ((1, "a"), (2, "a"), (2, "b"), (3, "a"))))
    seen, after = [], ""
    while True:
        rows, page = found(database, log, most=1, after=after)
        seen += [target for _, target in rows]
        after = page.next
        if not after:
            break
    assert (seen[0], set(seen[1:3]), seen[3:]) == ("message:3/a", {"message:2/a", "message:2/b"}, ["message:1/a"])
    with pytest.raises(HubError):
        found(database, log, after="yesterday")


def test_what_is_of_a_key_is_named_by_its_ids_and_places(database, log, kept):
    message = received()
    event = referral(message, "S-1")
    sent = delivery(log.wire, "hie.Referral", event, "01021")
    records = (("message-received.v1", message), ("referral.v1", event), ("delivery.v1", sent))
    index(database, log.wire, [log.event(topic, one, AT) for topic, one in records], {})
    kept(
        (1, "unmask", f"message:{message['message_id']}", "hoa"),
        (2, "worklist-drop", sent["meta"]["event_id"], "lan"),
        (3, "dead-show-body", "5f0c referral.v1/0/0", "minh"),
        (4, "dead-show-body", "5f0c referral.v1/0/01", "nobody"),
        (5, "unmask", "message:other", "nobody"),
    )
    ids, first = ids_of(database, [event["meta"]["key"]])
    assert first == message["received_at"]
    assert [by for by, _ in found(database, log, ids=ids)[0]] == ["minh", "lan", "hoa"]
    assert ids_of(database, ["01731:nothing"]) == ([], None)
