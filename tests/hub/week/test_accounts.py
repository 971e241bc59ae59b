"""Accounts that cannot be wrong are none: each thing that may go astray is told."""

from collections import Counter
from dataclasses import replace

import pytest

from hub.week.accounts import Row, Said, account
from hub.week.sends import Expect
from tests.hub.week.made import week

NAMELESS = ("FRAME_UNFINISHED", "FORMAT_UNKNOWN")


def row_of(send):
    """What the journal of a faultless hub has of it."""
    fate = send.fate
    control_id = send.control_id if fate.code not in NAMELESS else ""
    form = "xml" if send.kind == "GIAMDINHHS" else "hl7"
    return Row(f"id-{send.number}", send.lane[0], control_id, form, fate.verdict, fate.code, fate.records)


@pytest.fixture
def seen():
    """A week that went as planned: what `account` is told of it."""
    made = week(scale=0.00002, referral=0.9, follow_up=0.5, headless=0.02, broken=0.1, cut=0.02)
    got = made.expected + made.mended
    return {
        "week": made,
        "said": {send.number: Said(1, 0, f"id-{send.number}") for send in made.sends},
        "rows": [row_of(send) for send in made.sends],
        "alone": Counter(made.expected),
        "got": got,
        "waiting": {(slip.partner, slip.about): slip.reason for slip in made.slips if slip.end == "waiting"},
        "held": {slip.about for slip in made.slips if slip.end == "held"},
    }


def test_a_week_that_went_as_planned_is_whole(seen):
    found = account(**seen)
    assert found.whole, (found.odd, found.missing, found.surplus, found.strangers)
    assert sum(line.found for line in found.messages) == len(seen["week"].sends)
    assert sum(line.found for line in found.slips) == len(seen["week"].slips)


@pytest.mark.parametrize("kind", ["ADT^A04", "GIAMDINHHS", "REF^I12"])
def test_an_answered_message_that_the_journal_lacks_is_told(seen, kind):
    lost = next(row for row, send in zip(seen["rows"], seen["week"].sends, strict=True) if send.kind == kind and not send.fault)
    seen["rows"].remove(lost)
    assert not account(**seen).whole


@pytest.mark.parametrize("change", [{"verdict": "refused"}, {"records": ()}, {"code": "TYPE_UNSUPPORTED"}])
def test_a_message_of_another_fate_is_told(seen, change):
    place = next(at for at, send in enumerate(seen["week"].sends) if not send.fault)
    seen["rows"][place] = seen["rows"][place]._replace(**change)
    assert account(**seen).odd


def test_a_message_that_nobody_sent_is_told(seen):
    seen["rows"].append(Row("id-x", "01004", "01004-99999999", "hl7", "translated", "", ("Encounter",)))
    seen["rows"].append(Row("id-y", "01004", "", "xml", "translated", "", ("Claim",)))
    assert len(account(**seen).strangers) == 2


def test_a_send_without_an_answer_may_have_been_taken_or_not(seen):
    """The gate was killed in the middle: the sender sent again, and there may be one message more, not two."""
    place, send = next((at, one) for at, one in enumerate(seen["week"].sends) if one.control_id)
    seen["said"][send.number] = Said(1, 1, f"id-{send.number}")
    assert account(**seen).whole
    seen["rows"].append(seen["rows"][place])
    assert account(**seen).whole
    seen["rows"].append(seen["rows"][place])
    assert not account(**seen).whole


@pytest.mark.parametrize("times", [-1, 1])
def test_a_delivery_that_is_missing_or_comes_twice_is_told(seen, times):
    one = next(expect for expect in seen["got"] if expect.record == "Referral")
    seen["got"] = Counter(seen["got"])
    seen["got"][one] += times
    found = account(**seen)
    assert (found.missing if times < 0 else found.surplus) and not found.whole


def test_a_delivery_to_somebody_whom_it_does_not_concern_is_told(seen):
    seen["got"] = seen["got"] + Counter([Expect("01919", "Referral", "ISSUED", "01021/CT-x")])
    assert account(**seen).surplus


def test_a_slip_that_ends_otherwise_is_told_with_its_end(seen):
    slip = next(one for one in seen["week"].slips if one.end == "waiting")
    del seen["waiting"][slip.partner, slip.about]
    [said] = account(**seen).odd
    assert said.startswith(slip.about) and "waiting" not in said
    seen["waiting"][slip.partner, slip.about] = "PAYER_UNKNOWN"
    assert "PAYER_UNKNOWN" in account(**seen).odd[0]


@pytest.mark.parametrize("partner", ["facility", "portal"])
def test_the_rate_of_arrival_counts_what_was_mended_apart(seen, partner):
    found = {one.partner: one for one in account(**seen).arrivals}[f"Referral, {partner}"]
    slips = [slip for slip in seen["week"].slips if (slip.record, slip.partner) == ("Referral", partner)]
    mended = [slip for slip in slips if slip.mend or (partner == "portal" and slip.about in seen["week"].corrected)]
    assert found.slips == len(slips)
    assert found.alone == len(slips) - sum(slip.end == "waiting" for slip in slips) < found.mended
    assert found.mended == found.alone + len(mended)


def test_what_may_come_or_not_is_neither_missing_nor_too_much(seen):
    seen["week"] = replace(seen["week"], optional={Expect("portal", "FollowUp", "taken", "01021/HK-x")})
    assert account(**seen).whole
    seen["got"] = seen["got"] + Counter(seen["week"].optional)
    assert account(**seen).whole
