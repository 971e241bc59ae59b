from collections import Counter
from datetime import date

import pytest

from adapters.dialects.profile import dialect_for
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.contract.events import VIETNAM, Keyring, now
from hub.week.places import DAYS, HOURS, PLACES, VISITS_A_WEEK
from hub.week.plan import REST_DAYS, last_week
from hub.week.slips import PAYER, TALES
from tests.hub.week.made import MONDAY, week

MUCH_WRONG = {
    "referral": 0.9,
    "follow_up": 0.5,
    "cut": 0.02,
    "headless": 0.02,
    "unsupported": 0.02,
    "tomorrow": 0.02,
    "undeclared": 0.1,
    "nameless": 0.05,
    "wrong_total": 0.1,
    "broken": 0.1,
}


@pytest.fixture(scope="module")
def rough():
    return week(seed=6, scale=0.00003, **MUCH_WRONG)


def test_the_border_gives_every_message_the_fate_that_the_plan_says(rough):
    keyring = Keyring(b"sixteen bytes or more")
    wrong = []
    for send in [*rough.sends, *rough.corrected.values()]:
        if send.how == "cut":
            continue  # only a link can break
        found = translate(Received(send.raw, now(), send.door), keyring)
        code = next((one.code for one in found.problems if one.severity == "E"), "")
        records = tuple(name.removeprefix("hie.") for name, _ in found.events)
        if (found.verdict, code, records) != (send.fate.verdict, send.fate.code, send.fate.records):
            wrong.append((send.lane, send.kind, send.fault, found.verdict, code, records))
    assert wrong == []


def test_all_that_can_go_wrong_goes_wrong_in_it(rough):
    assert {send.fault for send in rough.sends} >= {
        "cut off", "no MSH", "type unknown", "version unknown", "charset declared wrong", "no number of the person",
        "no business key", "XML breaks off",
    }  # fmt: skip
    assert {send.how for send in rough.sends} - {"silent"} == {
        "first",
        "again",
        "again-new-id",
        "again-new-time",
        "parallel",
        "cut",
    }
    assert len({send.lane[0] for send in rough.sends}) == len(PLACES) == 12


def test_a_quarter_is_sent_again_and_slips_are_as_many_as_in_the_nation():
    calm = week(scale=0.00003)
    how = Counter(send.how for send in calm.sends)
    again = sum(times for name, times in how.items() if name not in ("first", "cut"))
    assert 0.2 < again / how["first"] < 0.3
    many = week(scale=0.00003, referral=1.0)
    assert {slip.tale for slip in many.slips if slip.partner == "facility"} == set(TALES)


def test_the_same_seed_gives_the_same_bytes():
    one, same, other = week(seed=5), week(seed=5), week(seed=6)
    assert [send.raw for send in one.sends] == [send.raw for send in same.sends]
    assert one.expected == same.expected
    assert [send.raw for send in one.sends] != [send.raw for send in other.sends]


def test_control_ids_are_one_message_each_and_a_resend_shares_its_own(rough):
    bytes_of = {}
    for send in rough.sends:
        if send.control_id:
            assert bytes_of.setdefault((send.lane[0], send.control_id), send.raw) == send.raw
            assert len(send.control_id) <= 20  # as HL7 has it


def test_every_slip_of_which_somebody_must_hear_is_expected_by_somebody(rough):
    heard = {one.about for one in rough.expected + rough.mended}
    assert {slip.about for slip in rough.slips if slip.end not in ("held", "waiting")} <= heard
    assert not {slip.about for slip in rough.slips if slip.end == "held"} & heard
    corrected = {one.about for one in rough.mended if one.action == "taken"}
    assert corrected == set(rough.corrected) <= {slip.about for slip in rough.slips if slip.reason}


def test_the_payer_must_hear_of_every_slip_once_but_for_those_of_hiv():
    made = week(scale=0.00005, referral=1.0)
    told = made.expected + made.mended
    issued = {one.about: times for one, times in told.items() if (one.recipient, one.action) == (PAYER, "ISSUED")}
    slips = [slip for slip in made.slips if slip.partner == "facility" and slip.tale != "receiver closed"]
    assert issued == {slip.about: 1 for slip in slips if slip.tale != "of HIV"}
    assert {slip.tale for slip in slips} == set(TALES) - {"receiver closed"}


def test_shares_of_days_and_hours_are_whole_and_the_scale_is_that_of_the_nation():
    assert sum(DAYS) == pytest.approx(100)
    assert sum(HOURS) == pytest.approx(100)
    assert sum(place.share for place in PLACES) == pytest.approx(100)
    assert round(VISITS_A_WEEK * 0.001) == 3_586


def test_silence_is_awaited_where_the_dialect_answers_no_refusal():
    many = week(scale=0.00003, unsupported=0.3, tomorrow=0.3)
    refused = [send for send in many.sends if send.fate.verdict == "refused" and send.door == "mllp"]
    wanted = {place.code for place in PLACES if dialect_for(place.code).ack.refused == "none"}
    assert {send.lane[0] for send in refused if send.how == "silent"} == wanted == {"01924"}


def test_nobody_is_referred_to_where_they_are():
    for slip in week(scale=0.00003, referral=1.0).slips:
        assert slip.about.partition("/")[0] not in (slip.receiver, slip.mend)


def test_the_week_has_ended_before_it_is_sent():
    for day in range(1, 29):
        today = date(2026, 11, day)
        assert last_week(today).weekday() == 0
        assert 7 + REST_DAYS <= (today - last_week(today)).days < 14 + REST_DAYS
    assert all(send.at.tzinfo is VIETNAM and send.at.date() >= MONDAY for send in week().sends)
