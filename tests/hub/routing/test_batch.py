"""The driver over the real case index: the same end whatever the order, however often, and one bad event harms no other."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.bus import Out
from hub.contract.directory import use_directory
from hub.contract.errors import HubError
from tests.hub.routing.story import (
    COMMUNE,
    DISTRICT,
    PROVINCE,
    STREAMS,
    check_in,
    claim,
    decided,
    known_of,
    order,
    referral,
    result,
)
from tests.hub.routing.test_claims import decision

STORY = [
    ("hie.Referral", referral(priority="R")),
    ("hie.Referral", referral("MODIFIED", minute=3, priority="S")),
    ("hie.Referral", referral("ACCEPTED", minute=6)),
    ("hie.Encounter", check_in(minute=60, slip="S1", ma_noi_di=COMMUNE)),
    ("hie.Encounter", check_in(minute=70, slip="S1", ma_noi_di=COMMUNE, action="UPDATED")),
    ("hie.LabOrder", order(minute=10)),
    ("hie.LabResult", result(minute=20)),
    ("hie.LabResult", result(minute=30, status="C", ket_luan="corrected")),
]
# ARRIVED bears the revision of whichever of its causes was known first; its id and what it says are always the same.
FACTS = "select kind, ref, id, case when id not like 'arrived/%' then rank end, data, event_id from case_fact order by 1, 2, 3"
HEADS = "select stream, key, case when key not like '%/arrived/%' then rank end, event_id from case_head order by 1, 2"
TOLD = {(DISTRICT, "referral-to-receiver"), ("portal", "referral-to-portal"), ("vss", "referral-to-payer")}  # of a slip


def end_of(hub, pool):
    with pool.connection() as database:
        return (
            {one for one in hub.deliveries if hub.deliveries[one]["recipient"]},
            database.execute(FACTS).fetchall(),
            database.execute(HEADS).fetchall(),
        )


@given(st.permutations(STORY), st.lists(st.sampled_from(STORY), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_any_repetition_give_the_same_end(new_hub, routing_pool, told, again):
    straight, shuffled = new_hub(), None
    straight.send(*STORY)
    wanted = end_of(straight, routing_pool)
    shuffled = new_hub()
    shuffled.send(*told, *again)
    assert end_of(shuffled, routing_pool) == wanted


def test_the_story_reaches_everybody_it_concerns(new_hub):
    hub = new_hub()
    hub.send(*STORY)
    assert hub.addressed() == {
        *TOLD,
        (COMMUNE, "answer-to-issuer"),
        (COMMUNE, "arrival-to-issuer"),
        ("01940", "order-to-laboratory"),
        (PROVINCE, "result-to-orderer"),
        (DISTRICT, "result-to-receiver"),
    }


def test_what_is_meant_for_a_merged_facility_reaches_its_successor(new_hub, tmp_path):
    rows = ["code,name,kind,province,valid_from,valid_to,successor", f"{COMMUNE},A,commune station,01,2019-01-01,,"]
    rows += [f"{DISTRICT},B,hospital,01,2019-01-01,2025-06-30,{PROVINCE}", f"{PROVINCE},C,hospital,01,2019-01-01,,"]
    (tmp_path / "facilities.csv").write_text("\n".join(rows), "utf-8")
    use_directory(tmp_path)
    try:
        hub = new_hub()
        hub.send(("hie.Referral", referral()))
        others = TOLD - {(DISTRICT, "referral-to-receiver")}
        assert hub.addressed() == {(PROVINCE, "referral-to-receiver-successor"), *others}
    finally:
        use_directory(None)


def test_what_its_receiver_cannot_receive_is_told_as_for_nobody_and_goes_to_the_others(new_hub, tmp_path):
    rows = ["code,name,kind,province,receives,valid_from", f"{COMMUNE},A,commune station,01,,2019-01-01"]
    (tmp_path / "facilities.csv").write_text("\n".join([*rows, f"{DISTRICT},B,laboratory,01,LabOrder,2019-01-01"]), "utf-8")
    use_directory(tmp_path)
    try:
        hub = new_hub()
        hub.send(("hie.Referral", referral()))
        assert hub.addressed() == {("portal", "referral-to-portal"), ("vss", "referral-to-payer")}
        assert "nobody-cannot-receive" in {one["rule"] for one in hub.deliveries.values()}
    finally:
        use_directory(None)


def test_every_event_is_addressed_or_carries_the_rule_why_nobody_is(new_hub):
    hub = new_hub()
    hub.send(*STORY, ("hie.Claim", claim()))
    told = {event["meta"]["event_id"] for _record, event in [*STORY, ("", claim())]}
    assert told <= {one["subject_event_id"] for one in hub.deliveries.values()}


def test_the_same_record_again_decides_the_same(new_hub, routing_pool):
    hub = new_hub()
    topic, event = "referral.v1", referral()
    record = hub.record(topic, Out(topic, event["meta"]["key"], hub.router.wire.pack(topic, event)))
    hub.route(topic, [record])
    once, hub.deliveries = hub.deliveries, {}
    hub.route(topic, [record])
    assert hub.deliveries.keys() == once.keys()


def test_the_same_event_at_another_place_adds_nothing(new_hub):
    hub = new_hub()
    hub.send(("hie.Referral", referral()))
    hub.deliveries.clear()
    hub.send(("hie.Referral", referral()))
    assert hub.deliveries == {}


@pytest.mark.parametrize(
    ("record", "first", "resent", "rule"),
    [
        ("hie.Referral", referral(), referral(minute=9), "repeat"),
        ("hie.Claim", claim(), claim(minute=9), "T05"),
    ],
    ids=["referral", "claim"],
)
def test_the_same_content_stated_anew_is_a_repeat(new_hub, record, first, resent, rule):
    hub = new_hub()
    hub.send((record, first))
    hub.deliveries.clear()
    hub.send((record, resent))
    assert [(one["recipient"], one["rule"]) for one in hub.deliveries.values()] == [("", rule)]


def test_a_slip_resent_after_it_was_accepted_is_still_a_repeat(new_hub):
    hub = new_hub()
    hub.send(("hie.Referral", referral()), ("hie.Referral", referral("ACCEPTED", minute=2)))
    hub.deliveries.clear()
    hub.send(("hie.Referral", referral(minute=9)))
    assert hub.addressed() == set()


def test_what_was_undone_before_it_came_is_not_passed_on(new_hub):
    hub = new_hub()
    hub.send(("hie.Claim", claim()), ("hie.Claim", claim(minute=9)))
    hub.others.clear()
    hub.send(("hie.Claim", claim(minute=5, ngaylap="20261122")))
    assert [topic for topic, _event in hub.others if topic.startswith("payer.")] == []
    assert "superseded" in {one["rule"] for one in hub.deliveries.values()}


def test_a_claim_comes_back_decided(new_hub, wire):
    hub = new_hub()
    event = claim()
    hub.send(("hie.Claim", event))
    topic, answer = "payer.vss.decision.v1", decision(event)
    hub.route(topic, [hub.record(topic, Out(topic, answer["meta"]["key"], wire.pack(topic, answer)))])
    assert (DISTRICT, "decision-to-facility") in hub.addressed()
    assert [one["state"] for topic, one in hub.others if topic == "receipt.v1"] == ["SENT", "ACKNOWLEDGED"]


def test_a_wrong_decision_is_a_dead_letter(new_hub, wire):
    hub = new_hub()
    topic, answer = "payer.vss.decision.v1", decision(claim())
    hub.route(topic, [hub.record(topic, Out(topic, answer["meta"]["key"], wire.pack(topic, answer)))])
    assert [(topic, one["code"]) for topic, one in hub.others] == [("dead-letter.v1", "DECISION_MISMATCH")]


@pytest.mark.parametrize("value", [b"", b"\x00\x00\x00\x00\x00", b"rubbish", None])
def test_what_cannot_be_decoded_becomes_a_dead_letter_and_the_others_go_on(new_hub, wire, value):
    hub = new_hub()
    topic, event = "referral.v1", referral()
    good = hub.record(topic, Out(topic, event["meta"]["key"], wire.pack(topic, event)))
    bad = hub.record(topic, Out(topic, event["meta"]["key"], value))
    hub.route(topic, [bad, good])
    assert [one["code"] for topic, one in hub.others if topic == "dead-letter.v1"] == ["BODY_UNDECODABLE"]
    assert hub.addressed() == TOLD


def test_an_event_under_a_key_that_is_not_its_own_is_a_dead_letter(new_hub, wire):
    hub = new_hub()
    topic = "referral.v1"
    hub.route(topic, [hub.record(topic, Out(topic, "01731:other", wire.pack(topic, referral())))])
    assert [one["code"] for _topic, one in hub.others] == ["BODY_UNDECODABLE"]


def test_what_postgresql_cannot_hold_parks_and_the_others_go_on(new_hub, wire, routing_pool):
    hub = new_hub()
    topic, events = "referral.v1", [referral(slip=f"S{number}") for number in range(5)]
    events[2] = referral(slip="S\0")
    hub.route(topic, [hub.record(topic, Out(topic, one["meta"]["key"], wire.pack(topic, one))) for one in events])
    assert len([one for one in hub.deliveries.values() if one["recipient"] == DISTRICT]) == 4
    with routing_pool.connection() as database:
        assert database.execute("select code from parked").fetchall() == [("EVENT_UNROUTABLE",)]


@pytest.mark.parametrize("field", ["content_hash", "stated_at"])
def test_what_postgresql_cannot_hold_even_unsaid_is_a_dead_letter_and_the_others_go_on(new_hub, wire, field):
    hub, bad, good = new_hub(), referral(), referral(slip="S2")
    (bad["meta"] if field == "content_hash" else bad["meta"]["revision"])[field] = "a\0b"
    outs = [Out("referral.v1", one["meta"]["key"], wire.pack("referral.v1", one)) for one in (bad, good)]
    hub.route("referral.v1", [hub.record("referral.v1", out) for out in outs])
    assert [event["code"] for topic, event in hub.others if topic == "dead-letter.v1"] == ["BODY_UNDECODABLE"]
    assert (DISTRICT, "referral-to-receiver") in hub.addressed()


def test_a_bug_in_a_rule_parks_its_key_only(new_hub, wire, routing_pool, monkeypatch):
    hub = new_hub()
    topic = "referral.v1"

    def buggy(event, known, moment):
        if event["slip"] == "S1":
            raise ZeroDivisionError("a bug")
        return STREAMS[topic].decide(event, known, moment)

    broken = replace(STREAMS[topic], decide=buggy)
    records = [
        hub.record(topic, Out(topic, one["meta"]["key"], wire.pack(topic, one))) for one in (referral(), referral(slip="S2"))
    ]
    asyncio.run(hub.router.route(broken, records))
    hub.follow()
    assert hub.addressed() == TOLD
    with routing_pool.connection() as database:
        assert database.execute("select code from parked").fetchall() == [("EVENT_UNROUTABLE",)]


@pytest.mark.parametrize("code", ["BROKER_UNAVAILABLE", "BROKER_LIMIT"])
def test_a_broker_that_does_not_confirm_is_waited_out(new_hub, monkeypatch, code):
    hub = new_hub()
    faults = [HubError(code, "x")] * 3
    publish = hub.published.publish

    async def unwilling(records):
        if faults:
            raise faults.pop()
        await publish(records)

    monkeypatch.setattr(hub.published, "publish", unwilling)
    hub.send(("hie.Referral", referral()))
    assert hub.addressed() == TOLD


def test_what_a_stream_decides_alone_is_what_the_driver_does(new_hub):
    """The pure tests of each stream hand in what is known; here the case index does, and both agree."""
    hub = new_hub()
    hub.send(("hie.LabOrder", order()), ("hie.LabResult", result()))
    alone = {(one.recipient, one.rule) for one in decided("lab-result.v1", result(), known_of("lab-order.v1", order()))}
    assert alone <= hub.addressed()
