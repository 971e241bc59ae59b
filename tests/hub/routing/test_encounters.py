"""Encounters: a person who comes with a slip."""

import pytest

from hub.routing.stream import Nobody, Publish
from tests.hub.routing.story import COMMUNE, PROVINCE, check_in, decided, known_of, person, referral

TOPIC = "encounter.v1"
WITH_SLIP = {"slip": "S1", "ma_noi_di": COMMUNE}


def rules(encounter, *slips, by="referral"):
    outs = decided(TOPIC, encounter, known_of("referral.v1", *slips, kinds=[by]))
    return [out.event["meta"]["rule"] if isinstance(out, Publish) else out.rule for out in outs]


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
        (check_in(**WITH_SLIP), [referral("CANCELLED")]),
        (check_in(**WITH_SLIP), [referral(), referral("ARRIVED", minute=1)]),
        (check_in(**WITH_SLIP, person=person("001090000002")), [referral()]),
        (check_in(**WITH_SLIP, action="CLOSED"), [referral()]),
        (check_in(**WITH_SLIP, action="PLANNED"), [referral()]),
        (check_in(**WITH_SLIP, action="CANCELLED"), [referral()]),
    ],
    ids=["no slip", "unknown slip", "elsewhere", "cancelled", "arrived before", "another person", "leaving", "planned", "void"],
)
def test_any_other_encounter_is_for_nobody(encounter, slips):
    assert rules(encounter, *slips) == ["nobody-encounter"]


@pytest.mark.parametrize(
    ("encounter", "slips"),
    [
        (check_in(ma_doituong_kcb="1.3", ngay_vao="202611200900"), [referral()]),
        (check_in(ma_doituong_kcb="1.3", ngay_vao="202612080900"), [referral()]),
        (check_in(ma_doituong_kcb="1.3"), [referral(), referral("REJECTED", minute=1)]),
        (check_in(ma_doituong_kcb="1.1"), [referral()]),
    ],
    ids=["before the slip", "after its end", "rejected", "not referred"],
)
def test_without_the_slip_it_has_to_be_good_on_that_day(encounter, slips):
    assert rules(encounter, *slips, by="referral-of-person") == ["nobody-encounter"]


def test_somebody_without_any_identifier_is_nobody_elses_case():
    assert decided(TOPIC, check_in(ma_doituong_kcb="1.3", person={})) == [Nobody("nobody-encounter")]
