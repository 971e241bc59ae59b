"""Orders and results find each other, whichever comes first."""

import pytest

from hub.contract.errors import HubError
from hub.routing.stream import Deliver, Nobody, Recall
from tests.hub.routing.story import DISTRICT, KEYRING, LAB, PROVINCE, STREAMS, decided, known_of, order, person, referral, result

RESULTS, ORDERS = "lab-result.v1", "lab-order.v1"
TO_ORDERER = Deliver(PROVINCE, "result-to-orderer")


def orders(*events):
    return known_of(ORDERS, *events)


def waiting(*events):
    return known_of(RESULTS, *events, kinds=["result"])


def test_a_result_goes_to_whoever_ordered_it():
    assert decided(RESULTS, result(), orders(order())) == [TO_ORDERER]


def test_a_result_that_names_its_orderer_needs_no_order():
    assert decided(RESULTS, result(orderer=PROVINCE)) == [TO_ORDERER]


def test_a_named_orderer_decides_against_an_order_with_the_same_number():
    assert decided(RESULTS, result(orderer=DISTRICT), orders(order())) == [Deliver(DISTRICT, "result-to-orderer")]


def test_an_order_of_another_person_under_the_same_number_is_not_its_order():
    assert decided(RESULTS, result(), orders(order(person=person("001090000002")))) == [Nobody("nobody-result")]


def test_a_result_whose_order_has_not_come_waits():
    assert decided(RESULTS, result()) == [Nobody("nobody-result")]


def test_an_order_fetches_the_results_that_came_before_it():
    assert decided(ORDERS, order(), waiting(result())) == [
        Deliver(LAB, "order-to-laboratory"),
        Recall("lab-result.v1/0/0", PROVINCE, "result-to-orderer"),
    ]


def test_an_order_does_not_fetch_what_names_another_orderer():
    assert decided(ORDERS, order(), waiting(result(orderer=DISTRICT))) == [Deliver(LAB, "order-to-laboratory")]


@pytest.mark.parametrize("performer", ["", PROVINCE])
def test_an_order_within_the_house_is_for_nobody(performer):
    assert decided(ORDERS, order(performer=performer)) == [Nobody("nobody-order")]


def test_an_unknown_laboratory_makes_the_order_wait():
    with pytest.raises(HubError) as waits:
        decided(ORDERS, order(performer="99999"))
    assert waits.value.code == "RECEIVER_UNKNOWN"


def test_a_result_within_the_house_is_for_nobody():
    own = order(by=LAB, performer="")
    assert decided(RESULTS, result(), orders(own)) == [Nobody("nobody-result")]


def test_order_and_result_look_where_the_other_one_stands():
    for made in (order(), order(performer=""), order(filler="F9")):
        facts = {fact.ref for fact in STREAMS[ORDERS].facts(made, KEYRING)}
        looked = {ref.ref for ref in STREAMS[RESULTS].lookups(result(filler="F9"), KEYRING) if ref.kind == "order"}
        back = {ref.ref for ref in STREAMS[ORDERS].lookups(made, KEYRING)}
        there = {fact.ref for fact in STREAMS[RESULTS].facts(result(filler="F9"), KEYRING) if fact.kind == "result"}
        assert facts & looked
        assert back & there


# --- referrals --------------------------------------------------------------------------------------------------------


def slips(*events):
    return known_of("referral.v1", *events, kinds=["referral-of-person"])


@pytest.mark.parametrize("extra", [[], [referral("ACCEPTED", minute=1)], [referral("ARRIVED", minute=1)]])
def test_a_result_follows_its_person_to_the_receiver_of_an_open_referral(extra):
    assert decided(RESULTS, result(), slips(referral(), *extra)) == [Deliver(DISTRICT, "result-to-receiver")]


@pytest.mark.parametrize("action", ["REJECTED", "EXPIRED"])
def test_but_not_when_the_referral_has_ended(action):
    assert decided(RESULTS, result(), slips(referral(), referral(action, minute=1))) == [Nobody("nobody-result")]


def test_nor_when_it_was_cancelled():
    assert decided(RESULTS, result(), slips(referral("CANCELLED"))) == [Nobody("nobody-result")]


def test_a_slip_to_an_unknown_facility_does_not_keep_the_result_from_its_orderer():
    known = [*orders(order()), *slips(referral(to="99999"))]
    assert decided(RESULTS, result(), known) == [TO_ORDERER]


def test_a_facility_that_ordered_and_receives_is_told_once():
    both = [*orders(order(by=DISTRICT)), *slips(referral())]
    assert decided(RESULTS, result(), both) == [Deliver(DISTRICT, "result-to-orderer")]


def test_a_critical_value_takes_the_urgent_lane():
    critical = result(orderer=PROVINCE, observations=[{"flags": ["HH"], "code": {}}])
    assert decided(RESULTS, critical) == [Deliver(PROVINCE, "result-to-orderer", "urgent")]


def test_an_hiv_result_goes_to_its_orderer_only():
    held = result(sensitivity="HIV")
    stream_refs = {fact.kind for fact in known_of(RESULTS, held)}
    assert "result-of-person" not in stream_refs
    assert decided(RESULTS, held) == [Nobody("nobody-held-sensitive")]
    assert decided(RESULTS, held, orders(order())) == [TO_ORDERER]


# --- several results under one number


GLUCOSE, SODIUM = {"service": {"code": "GLU"}}, {"service": {"code": "NA"}}


def delivered(hub):
    """What was delivered, by what it says."""
    conclusions = {}
    for one in hub.deliveries.values():
        _record, event = hub.router.wire.unpack(one["body"]) if one["body"] else ("", {})
        if one["recipient"] == DISTRICT:
            conclusions[one["subject_event_id"]] = event["ket_luan"]
    return sorted(conclusions.values())


def panel(minute, glucose, sodium):
    """Two results of one order in one message, as a laboratory sends a panel."""
    return [
        ("hie.LabResult", result(minute=minute, orderer=DISTRICT, ket_luan=text, **service))
        for service, text in ((GLUCOSE, glucose), (SODIUM, sodium))
    ]


def test_a_correction_beside_an_unchanged_result_of_the_same_order_is_delivered(new_hub):
    hub = new_hub()
    hub.send(*panel(1, "5.4", "139"), *panel(2, "5.4", "141"))
    assert delivered(hub) == ["139", "141", "5.4"]


def test_a_panel_said_again_is_a_repeat_of_each_of_its_results(new_hub):
    hub = new_hub()
    hub.send(*panel(1, "5.4", "139"), *panel(2, "5.4", "139"))
    assert delivered(hub) == ["139", "5.4"]


def test_one_that_is_late_is_not_taken_for_an_older_one_of_another_service(new_hub):
    hub = new_hub()
    first, late, again = panel(1, "5.4", "139"), panel(2, "5.4", "139"), panel(3, "5.4", "139")
    hub.send(first[0], again[0], late[1])
    assert delivered(hub) == ["139", "5.4"]


def test_two_of_one_service_in_one_message_stand_beside_each_other(new_hub):
    hub = new_hub()

    def twice(minute, fasting, after):
        return [("hie.LabResult", result(minute=minute, orderer=DISTRICT, ket_luan=text, **GLUCOSE)) for text in (fasting, after)]

    hub.send(*twice(1, "5.4", "7.0"), *twice(2, "5.4", "9.9"))
    assert delivered(hub) == ["5.4", "7.0", "9.9"]
