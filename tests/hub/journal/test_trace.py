"""A story is found by any of its ids, is whole, stands in time order, and holds no body."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from adapters.outbound.item import control_id
from hub.contract.errors import HubError
from hub.contract.events import derive
from hub.journal.consumer import index
from hub.journal.trace import of_senders, trace, trace_case
from tests.hub.journal.test_reconcile import told
from tests.made import AT, KEYRING, delivery, received, referral


@pytest.fixture
def told_story(database, log):
    """A referral, its delivery with three receipts, the arrival that a rule made of it; and another referral that has nothing to do with it."""
    message, other = received(control_id="CT-1"), received(control_id="CT-2")
    event, foreign = referral(message, "S-2026-1"), referral(other, "S-2026-2")
    meta = event["meta"]
    content = {name: value for name, value in event.items() if name != "meta"} | {"action": "ARRIVED"}
    arrived = derive(
        "hie.Referral",
        content,
        parents=[event],
        rule="referral-arrived",
        facility="01731",
        key=meta["key"],
        revision=meta["revision"],
    )
    sent = delivery(log.wire, "hie.Referral", event, "01021")
    answer = delivery(log.wire, "hie.Referral", arrived, "01731", rule="answer-to-issuer")
    index(
        database,
        log.wire,
        [
            log.event("message-received.v1", message),
            log.event("message-received.v1", other),
            log.event("referral.v1", event, AT + timedelta(milliseconds=1)),
            log.event("referral.v1", foreign, AT + timedelta(milliseconds=1)),
            log.event("referral.v1", arrived, AT + timedelta(hours=1)),
            log.event("delivery.v1", sent, AT + timedelta(milliseconds=2)),
            log.event("delivery.v1", answer, AT + timedelta(hours=1, milliseconds=1)),
            *(log.event("receipt.v1", one) for one in told(sent, "QUEUED", "SENT", "ACKNOWLEDGED")),
        ],
        {},
    )
    return {
        "control id": "CT-1",
        "message id": message["message_id"],
        "event id": meta["event_id"],
        "derived event": arrived["meta"]["event_id"],
        "delivery id": sent["meta"]["event_id"],
        "business key": "01731/S-2026-1",
        "acknowledgement": message["message_id"].replace("-", "")[:20],  # as adapters/inbound/outcome.py makes MSH-10
        "delivered as HL7": control_id(UUID(sent["meta"]["event_id"])),
    }


@pytest.mark.parametrize(
    "by",
    [
        "control id",
        "message id",
        "event id",
        "derived event",
        "delivery id",
        "business key",
        "acknowledgement",
        "delivered as HL7",
    ],
)
def test_the_whole_story_by_any_of_its_ids(database, told_story, by):
    story = trace(database, told_story[by], KEYRING)
    kinds = [step.kind for step in story.steps]
    assert sorted(kinds) == sorted(["received", "event", "delivery", "receipt", "receipt", "receipt", "derived", "delivery"])
    times = [step.at for step in story.steps if step.kind != "receipt"]
    assert times == sorted(times), "a receipt stands behind its delivery, which is written down later"
    assert kinds[0] == "received"
    assert kinds[-2:] == ["derived", "delivery"]


def test_a_case_is_all_that_has_the_key_of_one_event_of_it(database, log, told_story):
    answer = received("01021", control_id="CT-7", at=AT + timedelta(hours=2))
    event = referral(answer, "S-2026-1", action="ACCEPTED")
    event["meta"] |= {"event_id": str(uuid4()), "key": KEYRING.key("01731", "S-2026-1", test=False)}
    answer["events"] = []
    log.ends |= {"message-received.v1": 2, "referral.v1": 3}
    index(database, log.wire, [log.event("message-received.v1", answer), log.event("referral.v1", event)], {})
    assert len(trace(database, told_story["event id"]).steps) == 8, "nothing but the key leads to the answer"
    whole = trace(database, told_story["business key"], KEYRING).steps
    for by in ("event id", "derived event", "delivery id"):
        assert trace_case(database, UUID(told_story[by])).steps == whole
    assert len(whole) == 10
    with pytest.raises(HubError, match="NOT_FOUND"):
        trace_case(database, UUID(told_story["message id"]))


def test_people_read_it_in_both_languages(database, told_story):
    text = trace(database, "CT-1", KEYRING).text(220)
    for word in ("nhận · received", "REF^I12", "translated", "PID-7", "referral-to-receiver", "ACKNOWLEDGED", "referral-arrived"):
        assert word in text, word


def test_a_test_is_told_from_what_is_real_and_a_receipt_stands_behind_its_delivery(database, log):
    message = received(control_id="CT-4", test=True)
    event = referral(message, "S-2026-4")
    sent = delivery(log.wire, "hie.Referral", event, "01021")
    records = [log.event("message-received.v1", message), log.event("referral.v1", event, AT)]
    records += [log.event("receipt.v1", one) for one in told(sent, "QUEUED", test=True)]
    index(database, log.wire, [*records, log.event("delivery.v1", sent, AT + timedelta(seconds=1))], {})
    story = trace(database, "CT-4", KEYRING)
    assert [step.kind for step in story.steps] == ["received", "event", "delivery", "receipt"]
    assert story.text(220).count("thử · test") == 3
    assert "thử · test" not in trace(database, "CT-4", KEYRING).text(220).split("biên nhận")[1], "a receipt is its delivery's"


def test_why_nobody_got_an_event_is_said_in_words(database, log):
    message = received(control_id="CT-3")
    event = referral(message, "S-2026-3")
    told_to = [delivery(log.wire, "hie.Referral", event, one, rule=rule) for one, rule in (("01021", "sent"), ("", "held"))]
    records = [log.event("message-received.v1", message), log.event("referral.v1", event)]
    index(database, log.wire, [*records, *(log.event("delivery.v1", one) for one in told_to)], {})
    text = trace(database, "CT-3", KEYRING).text(220, lambda rule: f"why {rule}")
    assert "why held" in text and "why sent" not in text


def test_programs_read_it_as_a_dictionary_without_bodies(database, told_story):
    story = trace(database, "CT-1", KEYRING).as_dict()
    assert {step["facts"].get("state") for step in story["steps"]} >= {"QUEUED", "SENT", "ACKNOWLEDGED"}
    assert "NGUYỄN" not in str(story)


def test_parked_and_dead_are_part_of_the_story(database, told_story):
    place = database.execute(
        "select topic, partition, record_offset from journal_event where event_id = %s", (told_story["event id"],)
    ).fetchone()
    database.execute(
        "insert into parked (topic, partition, record_offset, key, code, value) values (%s, %s, %s, 'k', 'RECEIVER_UNKNOWN', '')",
        place,
    )
    database.execute(
        "insert into journal_dead_letter values ('5f0c6f3e-0000-5000-8000-000000000001', 'routing', 'EVENT_UNROUTABLE', %s, %s, %s, now())",
        place,
    )
    kinds = {step.kind for step in trace(database, "CT-1", KEYRING).steps}
    assert kinds >= {"parked", "dead-letter"}


def test_a_resend_belongs_to_the_story(database, log, told_story):
    again = received(control_id="CT-9", at=AT + timedelta(days=1))
    event = referral(again, "S-2026-1")
    assert event["meta"]["event_id"] == told_story["event id"]
    log.ends |= {"message-received.v1": 2, "referral.v1": 3}
    index(
        database, log.wire, [log.event("message-received.v1", again), log.event("referral.v1", event, AT + timedelta(days=1))], {}
    )
    assert [step.kind for step in trace(database, "CT-1", KEYRING).steps].count("received") == 2


@pytest.mark.parametrize("nobody", ["no-such-id", "01731/NO-SUCH-SLIP", "5f0c6f3e-0000-5000-8000-000000000009", "", "/"])
def test_what_nobody_knows_is_not_found(database, told_story, nobody):
    with pytest.raises(HubError) as raised:
        trace(database, nobody, KEYRING)
    assert raised.value.code == "NOT_FOUND"


def test_a_control_id_that_several_facilities_use_is_told_apart_by_the_facility(database, log, told_story):
    others = [received(f"{number:05}", control_id="CT-1", sender=f"s{number}") for number in range(30)]
    log.ends |= {"message-received.v1": 2}
    index(database, log.wire, [log.event("message-received.v1", one) for one in others], {})
    own = trace(database, "01731/CT-1", KEYRING)
    assert [step.kind for step in own.steps].count("received") == 1 and not own.cut
    everybody = trace(database, "CT-1", KEYRING)
    assert everybody.cut and [step.kind for step in everybody.steps].count("received") == 10
    assert "FACILITY/ID" in everybody.text(200)


def test_of_a_control_id_of_many_the_newest_are_told(database, log):
    days = [received(f"{number:05}", control_id="0", at=AT + timedelta(days=number)) for number in range(30)]
    log.ends |= {"message-received.v1": 1}
    index(
        database, log.wire, [log.event("message-received.v1", one) for one in sorted(days, key=lambda one: one["message_id"])], {}
    )
    story = trace(database, "0", KEYRING)
    assert story.cut and {step.facts["facility"] for step in story.steps} == {f"{number:05}" for number in range(20, 30)}


def test_of_a_control_id_of_many_a_viewer_sees_the_newest_of_its_own(database, log):
    """What it sent and what came to it, however many others have used that id since."""
    sent = [received("01731", control_id="0", at=AT + timedelta(days=number)) for number in range(12)]
    came = received("01004", control_id="0", at=AT + timedelta(days=20))
    event = referral(came, "S-2026-9", to="01731")
    others = [received(f"{number:05}", control_id="0", at=AT + timedelta(days=100 + number)) for number in range(30)]
    log.ends |= {"message-received.v1": 1, "referral.v1": 1}
    rows = [log.event("message-received.v1", one) for one in [*sent, came, *others]]
    index(
        database,
        log.wire,
        [*rows, log.event("referral.v1", event), log.event("delivery.v1", delivery(log.wire, "hie.Referral", event, "01731"))],
        {},
    )
    story = trace(database, "0", KEYRING, "01731")
    assert story.cut and [step.id for step in story.steps if step.kind == "received"] == [one["message_id"] for one in sent[3:]]
    assert [step.facts["recipient"] for step in story.steps if step.kind == "delivery"] == ["01731"]
    its = trace(database, "0", KEYRING, "01004")
    assert [step.id for step in its.steps if step.kind == "received"] == [came["message_id"]] and not its.cut


def test_a_sender_sees_what_became_of_what_it_sent_and_nothing_else(database, told_story):
    whole = trace(database, "01731/S-2026-1", KEYRING)
    its = trace(database, "01731/S-2026-1", KEYRING, "01731")
    assert [step.kind for step in its.steps] == [step.kind for step in whole.steps]  # the slip is its own, the answer is for it


def test_a_receiver_sees_what_is_addressed_to_it_and_where_that_stands(database, told_story):
    steps = trace(database, "01731/S-2026-1", KEYRING, "01021").steps
    assert sorted(step.kind for step in steps) == ["delivery", "event", "receipt", "receipt", "receipt"]
    assert {step.facts.get("recipient") for step in steps if step.kind == "delivery"} == {"01021"}
    assert "CT-1" not in str(steps)  # the message itself is its sender's


def test_who_has_no_part_in_it_is_told_that_there_is_nothing(database, told_story):
    with pytest.raises(HubError) as raised:
        trace(database, "CT-1", KEYRING, "79001")
    assert raised.value.code == "NOT_FOUND"


def test_of_a_story_of_several_senders_each_has_its_own_part(database, log, told_story):
    message = received(control_id="CT-3", sender="other_his", facility="01021")
    event = referral(message, "S-2026-3")
    caused = derive(
        "hie.Referral",
        {name: value for name, value in event.items() if name != "meta"},
        parents=[event, {"meta": {**event["meta"], "event_id": told_story["event id"]}}],
        rule="referral-arrived",
        facility="01021",
        key=event["meta"]["key"],
        revision=event["meta"]["revision"],
    )
    at = AT + timedelta(hours=2)
    records = (("message-received.v1", message), ("referral.v1", event), ("referral.v1", caused))
    index(database, log.wire, [log.event(topic, one, at) for topic, one in records], {})
    whole = trace(database, told_story["message id"])
    assert message["message_id"] in {step.id for step in whole.steps}, "one led to the other"
    mine = of_senders(whole, ("minhkhai",))
    assert {step.facts["sender"] for step in mine.steps if step.kind == "received"} == {"minhkhai"}
    assert "ACKNOWLEDGED" in " ".join(step.what for step in mine.steps), "what became of it"
    theirs = {message["message_id"], event["meta"]["event_id"], caused["meta"]["event_id"]}
    assert theirs.isdisjoint(step.id for step in mine.steps)
    for id in theirs:
        with pytest.raises(HubError, match="NOT_FOUND"):
            of_senders(trace(database, id), ("minhkhai",))
    with pytest.raises(HubError, match="NOT_FOUND"):
        of_senders(whole, ())
