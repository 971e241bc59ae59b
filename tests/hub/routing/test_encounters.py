"""Encounters: a person who comes with a slip."""

from itertools import permutations

import pytest

from hub.routing.slips import slip_of
from hub.routing.stream import Nobody, Publish
from tests.hub.routing.memory_hub import MemoryHub
from tests.hub.routing.story import BORROWER, COMMUNE, LENDER, PROVINCE, check_in, decided, known_of, person, referral

TOPIC = "encounter.v1"
WITH_SLIP = {"slip": "S1", "ma_noi_di": COMMUNE}


def rules(encounter, *slips, by="referral"):
    outs = decided(TOPIC, encounter, known_of("referral.v1", *slips, kinds=[by]))
    return [out.event["meta"]["rule"] if isinstance(out, Publish) else out.rule for out in outs]


def told(encounter):
    """The ARRIVED of an encounter with the slip."""
    [out, _] = decided(TOPIC, encounter, known_of("referral.v1", referral()))
    return out.event


def test_a_check_in_with_the_slip_closes_the_referral():
    assert rules(check_in(**WITH_SLIP), referral()) == ["referral-arrived", "referral-arrived"]


@pytest.mark.parametrize("action", ["TRANSFERRED", "CLASS_CHANGED", "UPDATED"])
def test_a_slip_that_is_told_later_in_the_stay_closes_the_referral_too(action):
    assert rules(check_in(**WITH_SLIP, action=action), referral()) == ["referral-arrived", "referral-arrived"]


def test_a_person_referred_here_is_known_without_the_slip():
    assert rules(check_in(ma_doituong_kcb="1.3"), referral(), by="referral-of-person") == ["referral-arrived"] * 2


@pytest.mark.parametrize(
    ("encounter", "slips"),
    [
        (check_in(), [referral()]),
        (check_in(**WITH_SLIP), []),
        (check_in(**WITH_SLIP, at=PROVINCE), [referral()]),
        (check_in(**WITH_SLIP), [referral(), told(check_in(**WITH_SLIP))]),
        (check_in(**WITH_SLIP, person=person("001090000002")), [referral()]),
        (check_in(**WITH_SLIP, action="CLOSED"), [referral()]),
        (check_in(**WITH_SLIP, action="PLANNED"), [referral()]),
        (check_in(**WITH_SLIP, action="CANCELLED"), [referral()]),
    ],
    ids=["no slip", "unknown slip", "elsewhere", "told before", "another person", "leaving", "planned", "void"],
)
def test_any_other_encounter_is_for_nobody(encounter, slips):
    assert rules(encounter, *slips) == ["nobody-encounter"]


@pytest.mark.parametrize(
    ("encounter", "slips"),
    [
        (check_in(ma_doituong_kcb="1.3", ngay_vao="202611200900"), [referral()]),
        (check_in(ma_doituong_kcb="1.3", ngay_vao="202612080900"), [referral()]),
        (check_in(ma_doituong_kcb="1.3"), [referral(), referral("REJECTED", minute=1)]),
        (check_in(ma_doituong_kcb="1.3"), [referral("CANCELLED")]),
        (check_in(ma_doituong_kcb="1.1"), [referral()]),
    ],
    ids=["before the slip", "after its end", "rejected", "cancelled", "not referred"],
)
def test_without_the_slip_it_has_to_be_good_on_that_day(encounter, slips):
    assert rules(encounter, *slips, by="referral-of-person") == ["nobody-encounter"]


def test_without_the_slip_another_person_with_the_same_card_has_not_come_with_it_which_is_told():
    slip = referral(person=BORROWER)
    assert rules(check_in(ma_doituong_kcb="1.3", person=BORROWER), slip, by="referral-of-person") == ["referral-arrived"] * 2
    assert rules(check_in(ma_doituong_kcb="1.3", person=LENDER), slip, by="referral-of-person") == ["nobody-other-person"]
    too_late = check_in(ma_doituong_kcb="1.3", person=LENDER, ngay_vao="202612080900")
    assert rules(too_late, slip, by="referral-of-person") == ["nobody-encounter"]
    assert rules(check_in(**WITH_SLIP, person=LENDER), slip) == ["referral-arrived"] * 2, "the slip's number counts"


def test_somebody_without_any_identifier_is_nobody_elses_case():
    assert decided(TOPIC, check_in(ma_doituong_kcb="1.3", person={})) == [Nobody("nobody-encounter")]


@pytest.mark.parametrize("slip", [referral("CANCELLED"), referral(expires_on="20261101")], ids=["cancelled", "after its end"])
def test_with_the_slip_the_issuer_hears_of_it_however_the_slip_stands(slip):
    assert rules(check_in(**WITH_SLIP), slip) == ["referral-arrived"] * 2


def test_whoever_was_handed_the_slip_may_receive_the_person():
    onward = referral("REJECTED", minute=5, redirect_to=PROVINCE)
    assert rules(check_in(**WITH_SLIP, at=PROVINCE), referral(), onward) == ["referral-arrived"] * 2
    by_person = check_in(ma_doituong_kcb="1.3", at=PROVINCE)
    assert rules(by_person, referral(), onward, by="referral-of-person") == ["referral-arrived"] * 2


@pytest.mark.parametrize("named", [WITH_SLIP, {"ma_doituong_kcb": "1.3"}], ids=["by number", "by person"])
def test_an_encounter_entered_in_error_takes_its_arrival_back(new_hub, named):
    hub = new_hub()
    hub.send(("hie.Referral", referral()), ("hie.Encounter", check_in(**named)))
    assert (COMMUNE, "arrival-cancelled-to-issuer") not in hub.addressed()
    hub.send(("hie.Encounter", check_in(action="CANCELLED", minute=5)))
    assert (COMMUNE, "arrival-cancelled-to-issuer") in hub.addressed()
    ((_, arrived), (_, back)) = [one for one in hub.others if one[0] == "referral.v1"]
    assert back["meta"]["supersedes"] == arrived["meta"]["event_id"]
    assert (back["person"]["ho_ten"], back["person"]["identifiers"]) == ("", [])


@pytest.mark.parametrize("action", ["CANCELLED", "CLOSED"])
def test_the_end_of_any_other_encounter_takes_nothing_back(new_hub, action):
    hub = new_hub()
    hub.send(("hie.Referral", referral()), ("hie.Encounter", check_in(**WITH_SLIP)))
    hub.send(("hie.Encounter", check_in("LK2" if action == "CANCELLED" else "LK1", action=action, minute=5)))
    assert (COMMUNE, "arrival-cancelled-to-issuer") not in hub.addressed()


REGISTRATIONS = [check_in(**WITH_SLIP, minute=1), check_in(action="CANCELLED", minute=5), check_in(**WITH_SLIP, minute=9)]
REGISTRATIONS += [check_in(action="CANCELLED", minute=12), check_in(**WITH_SLIP, minute=15)]


@pytest.mark.parametrize("order", [*permutations(range(3)), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1), (0, 3, 1, 4, 2)])
@pytest.mark.parametrize("slip_first", [True, False])
def test_an_encounter_registered_again_counts_again_in_whatever_order_it_is_told(order, slip_first):
    def end(numbers):
        hub = MemoryHub()
        slips = [("referral.v1", referral())]
        encounters = [(TOPIC, REGISTRATIONS[number]) for number in numbers]
        for topic, event in [*slips, *encounters] if slip_first else [*encounters, *slips]:
            hub.route(topic, [event])
        return slip_of(referral()["meta"]["key"], [fact for _, fact in hub.facts.values()]), hub.told

    slip, told = end(order)
    assert len(slip.arrivals) == 1
    assert (slip.arrivals, told) == (end(sorted(order))[0].arrivals, end(sorted(order))[1])


def test_and_not_when_the_last_word_is_that_it_was_an_error():
    hub = MemoryHub()
    hub.route("referral.v1", [referral()])
    for number in (3, 2, 1, 0):
        hub.route(TOPIC, [REGISTRATIONS[number]])
    slip = slip_of(referral()["meta"]["key"], [fact for _, fact in hub.facts.values()])
    assert slip is not None
    assert not slip.arrived
