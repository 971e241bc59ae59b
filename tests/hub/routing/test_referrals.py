"""Referral slips: who hears of them, when they expire, what comes with them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hub.contract.errors import HubError
from hub.routing.arrivals import arrived
from hub.routing.slips import slip_of
from hub.routing.stream import Deliver, Due, Nobody, Publish, Recall
from tests.hub.routing.story import (
    BORROWER,
    COMMUNE,
    DISTRICT,
    LAB,
    LENDER,
    PROVINCE,
    check_in,
    decided,
    known_of,
    person,
    referral,
    result,
)

TOPIC = "referral.v1"


@pytest.mark.parametrize("action", ["ISSUED", "MODIFIED", "CANCELLED"])
def test_what_the_issuer_says_goes_to_the_receiver(action):
    assert Deliver(DISTRICT, "referral-to-receiver") in decided(TOPIC, referral(action))


@pytest.mark.parametrize("priority", ["S", "STAT", "A", "ASAP"])
def test_a_stat_referral_takes_the_urgent_lane(priority):
    assert decided(TOPIC, referral(priority=priority))[0] == Deliver(DISTRICT, "referral-to-receiver", "urgent")


@pytest.mark.parametrize("action", ["ISSUED", "MODIFIED", "CANCELLED"])
def test_and_to_the_portal_unless_it_is_sensitive(action):
    assert Deliver("portal", "referral-to-portal") in decided(TOPIC, referral(action))
    for label in ("HIV", "MENTAL", "REPRODUCTIVE"):
        sensitive = referral(action)
        sensitive["meta"]["sensitivity"] = label
        outputs = decided(TOPIC, sensitive)
        assert [one.recipient for one in outputs if isinstance(one, Deliver)] == [DISTRICT], "nor to a payer"
        assert Nobody("nobody-held-sensitive") in outputs


def test_nor_the_cancellation_of_one_that_told_of_hiv(new_hub):
    sensitive = referral()
    sensitive["meta"]["sensitivity"] = "HIV"
    hub = new_hub()
    hub.send(("hie.Referral", sensitive), ("hie.Referral", referral("CANCELLED", minute=9)))
    assert {recipient for recipient, _rule in hub.addressed()} == {DISTRICT}


@pytest.mark.parametrize("action", ["ACCEPTED", "REJECTED"])
def test_the_answer_goes_to_the_issuer(action):
    assert decided(TOPIC, referral(action)) == [Deliver(COMMUNE, "answer-to-issuer")]


def test_an_answer_of_a_facility_that_is_not_the_receiver_does_not_stand_in_the_place_of_the_receivers(new_hub):
    hub = new_hub()
    hub.send(("hie.Referral", referral()), ("hie.Referral", referral("ACCEPTED", minute=9, by_facility=LAB)))
    hub.send(("hie.Referral", referral("REJECTED", minute=6)), ("hie.LabResult", result(minute=20)))
    assert (DISTRICT, "result-to-receiver") not in hub.addressed()


@pytest.mark.parametrize("code", ["99999", ""])
def test_a_receiver_that_the_directory_does_not_have_makes_the_slip_wait(code):
    with pytest.raises(HubError) as waits:
        decided(TOPIC, referral(to=code))
    assert waits.value.code == "RECEIVER_UNKNOWN"


def test_a_facility_that_refers_to_itself_is_told_nothing():
    assert decided(TOPIC, referral(to=COMMUNE)) == [Nobody("nobody-self")]


def test_a_slip_expires_when_its_last_day_in_vietnam_has_passed():
    (due,) = [one for one in decided(TOPIC, referral()) if isinstance(one, Due)]
    assert due.at == datetime(2026, 12, 7, 17, 0, tzinfo=UTC)
    assert due.event["action"] == "EXPIRED"
    assert due.event["meta"]["key"] == referral()["meta"]["key"]


@pytest.mark.parametrize("stated", ["", "2026XX07", "00000000"])
def test_a_slip_without_a_readable_end_lives_ten_working_days(stated):
    (due,) = [one for one in decided(TOPIC, referral(expires_on=stated)) if isinstance(one, Due)]
    assert due.event["expires_on"] == "20261207"


@pytest.mark.parametrize(
    "named", [{"diagnoses": [{"ma_benh": "I10"}, {"ma_benh": "E10.9", "main": True}]}, {"xml13": {"ma_benh_chinh": "E10.9"}}]
)
@pytest.mark.parametrize(("stated", "last"), [("", "20271123"), ("20261204", "20261204")])
def test_a_slip_for_a_listed_disease_lives_a_year_unless_it_states_its_end(named, stated, last):
    (due,) = [one for one in decided(TOPIC, referral(expires_on=stated, **named)) if isinstance(one, Due)]
    assert due.event["expires_on"] == last


def test_a_listed_disease_beside_the_main_one_prolongs_nothing():
    slip = referral(expires_on="", diagnoses=[{"ma_benh": "K35.8", "main": True}, {"ma_benh": "E10.9"}])
    (due,) = [one for one in decided(TOPIC, slip) if isinstance(one, Due)]
    assert due.event["expires_on"] == "20261207"


def expired(slip="S1"):
    return next(one.event for one in decided(TOPIC, referral(slip=slip)) if isinstance(one, Due))


def test_an_open_slip_that_expires_is_told_to_both():
    known = known_of(TOPIC, referral(), referral("ACCEPTED", minute=5))
    told = [one for one in decided(TOPIC, expired(), known) if isinstance(one, Deliver)]
    both = [Deliver(COMMUNE, "expiry-to-issuer"), Deliver(DISTRICT, "expiry-to-receiver")]
    assert told == [*both, Deliver("vss", "referral-to-payer", body=False)]


@pytest.mark.parametrize(
    "later",
    [
        referral("CANCELLED", minute=9),
        referral("REJECTED", minute=9),
        referral("ARRIVED", minute=9),
        referral("MODIFIED", minute=9, expires_on="20261214"),
    ],
    ids=lambda event: event["action"],
)
def test_a_slip_that_has_ended_or_was_prolonged_does_not_expire(later):
    known = known_of(TOPIC, *([] if later["action"] in ("CANCELLED", "MODIFIED") else [referral()]), later)
    assert decided(TOPIC, expired(), known) == [Nobody("nobody-expiry-void")]


def test_only_the_receiver_can_answer():
    stranger = known_of(TOPIC, referral(), referral("REJECTED", minute=5, by_facility=PROVINCE))
    slip = slip_of(referral()["meta"]["key"], stranger)
    assert slip is not None
    assert slip.open


def test_results_of_the_last_month_go_with_a_slip():
    known = [*known_of(TOPIC, referral()), *known_of("lab-result.v1", result(), kinds=["result-of-person"])]
    assert Recall("lab-result.v1/0/0", DISTRICT, "result-to-receiver") in decided(TOPIC, referral(), known)


@pytest.mark.parametrize(
    "other",
    [result(minute=-40 * 24 * 60), result(status="P"), result(lab=DISTRICT), result(sensitivity="HIV")],
    ids=["old", "preliminary", "its own", "hiv"],
)
def test_other_results_do_not(other):
    known = [*known_of(TOPIC, referral()), *known_of("lab-result.v1", other, kinds=["result-of-person"])]
    assert not [one for one in decided(TOPIC, referral(), known) if isinstance(one, Recall)]


@pytest.mark.parametrize(
    "before",
    [("lab-result.v1", result(person=LENDER)), ("encounter.v1", check_in(person=LENDER, ma_doituong_kcb="1.3"))],
    ids=["result", "visit"],
)
def test_what_came_before_it_of_another_person_with_its_card_stays_where_it_is_which_is_told_once(before):
    def rules_of(slip):
        known = known_of(*before, kinds=["result-of-person", "arrival-of-person"])
        assert known
        made = decided(TOPIC, slip, known)
        assert not [one for one in made if isinstance(one, Recall) or (isinstance(one, Publish) and one.topic == TOPIC)]
        return [one.rule for one in made if isinstance(one, Nobody)]

    assert rules_of(referral(person=BORROWER)) == ["nobody-other-person"]
    sensitive = referral(person=BORROWER)
    sensitive["meta"]["sensitivity"] = "MENTAL"
    assert rules_of(sensitive) == ["nobody-held-sensitive"]
    assert rules_of(referral("CANCELLED", person=BORROWER)) == []


def test_a_slip_that_comes_after_its_check_in_has_arrived_with_the_same_id_as_the_other_way_round():
    encounter = check_in(slip="S1", ma_noi_di=COMMUNE)
    slip_first = decided("encounter.v1", encounter, known_of(TOPIC, referral(), kinds=["referral"]))
    check_in_first = decided(TOPIC, referral(), [*known_of(TOPIC, referral()), *known_of("encounter.v1", encounter)])
    published = ([out for out in outs if isinstance(out, Publish)] for outs in (slip_first, check_in_first))
    (one,), (other,) = ([out for out in outs if out.topic == TOPIC] for outs in published)
    drop = {"message_id", "source", "occurred_at"}  # of whichever came last
    assert one.event["meta"].keys() == other.event["meta"].keys()
    assert [(name, one.event["meta"][name]) for name in one.event["meta"] if name not in drop] == [
        (name, other.event["meta"][name]) for name in one.event["meta"] if name not in drop
    ]
    assert one.event["action"] == "ARRIVED"


def test_arrival_tells_no_more_of_the_person_than_the_slip():
    slip = slip_of(referral()["meta"]["key"], known_of(TOPIC, referral()))
    assert slip is not None
    (fact,) = known_of("encounter.v1", check_in(slip="S1", ma_noi_di=COMMUNE), kinds=["arrival"])
    assert arrived(slip, fact, referral())["person"] == {}


def test_arrival_is_told_to_the_issuer():
    assert decided(TOPIC, referral("ARRIVED", by_facility=DISTRICT)) == [Deliver(COMMUNE, "arrival-to-issuer")]


def test_an_action_of_a_later_release_is_for_nobody():
    assert decided(TOPIC, referral("FORWARDED")) == [Nobody("nobody-action")]


def test_facts_hold_no_name_and_no_plain_identifier():
    somebody = person("001090000009") | {"ngay_sinh": "199001310000"}
    for topic, event in ((TOPIC, referral(person=somebody)), ("lab-result.v1", result(person=somebody))):
        for fact in known_of(topic, event):
            assert not [said for said in ("001090000009", "Người", "nguoi", "19900131") if said in str(fact)]


def test_the_laboratory_is_not_told_its_own_result():
    known = [*known_of(TOPIC, referral(to=LAB)), *known_of("lab-result.v1", result(), kinds=["result-of-person"])]
    assert not [one for one in decided(TOPIC, referral(to=LAB), known) if isinstance(one, Recall)]


def test_a_cancellation_that_names_no_receiver_moves_the_slip_nowhere():
    slip = slip_of(referral()["meta"]["key"], known_of(TOPIC, referral(), referral("CANCELLED", minute=5, to="")))
    assert slip is not None
    assert slip.withdrawals() == {}


def test_facts_of_the_release_before_are_still_read():
    known = [fact for fact in known_of(TOPIC, referral(), kinds=["referral"]) if not fact.id.startswith("said/")]
    (arrived_before,) = known_of(TOPIC, referral("ARRIVED", minute=5))
    slip = slip_of(referral()["meta"]["key"], [*known, replace(arrived_before, id="arrived")])
    assert slip is not None
    assert slip.arrived
    assert slip.held == {DISTRICT}
