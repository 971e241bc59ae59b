"""One incident for one cause; single feeds otherwise; over when it is over."""

import pytest

from hub.bench.watch import START
from hub.journal.incidents import RECEIVED, Book, Feed, Known, Unit, own
from hub.journal.rhythm import LEARN_H, WINDOW_H, Calendar, learn

CALENDAR = Calendar.of([])
NOW = START + LEARN_H + 8  # a Monday, 08 h
VENDORS = ("his", "lis")
USUAL = {"refused": 0.02, "FIELD_MISSING": 0.02}


@pytest.fixture(scope="module")
def known():
    """Three provinces of ten feeds, which send three messages an hour round the clock, 2 of 100 refused; two dialects in each."""
    made = Known(CALENDAR)
    slots = CALENDAR.slots(START, START + LEARN_H)
    past = {START + at: 2 + at % 3 for at in range(LEARN_H)}
    refused = {START + at: 1 for at in range(0, LEARN_H, 17)}
    usual = learn(past, START, slots, shares={"refused": refused, "FIELD_MISSING": refused}, usual=USUAL)
    for number in range(30):
        feed = Feed(f"s{number}", f"0{number % 3 + 1}{number:03d}")
        made.add(feed, VENDORS[number // 3 % 2])
        made.rhythms[own(feed)] = usual
    for unit, members in made.members.items():
        past_of_all = {hour: count * len(members) for hour, count in past.items()}
        refused_of_all = {START + at: len(members) * (at % 17 == 0) for at in range(LEARN_H)}
        made.rhythms[unit] = learn(past_of_all, START, slots, shares=dict.fromkeys(USUAL, refused_of_all), usual=USUAL)
    return made


def heard(known, at, but=()):
    return {feed: at if feed not in but else at - 6.0 for feed in known.units}


def test_a_feed_alone_is_an_incident_of_its_own(known):
    gone = min(known.units)
    book = Book()
    [one] = book.silences(known, heard(known, NOW, {gone}), NOW)
    assert (one.kind, one.cause, one.members) == ("silence", own(gone), {gone})
    assert (one.began, one.noticed, one.ended) == (NOW - 6, NOW, None)
    assert book.silences(known, heard(known, NOW, {gone}), NOW) == []
    [over] = book.silences(known, heard(known, NOW + 1), NOW + 1)
    assert over is one
    assert over.ended == NOW + 1
    assert over.missing == pytest.approx(21, abs=4)  # seven hours
    assert book.open == []


def test_a_province_is_one_incident(known):
    province = Unit("province", "02")
    gone = known.members[province]
    book = Book()
    [one] = book.silences(known, heard(known, NOW, gone), NOW)
    assert (one.cause, one.members) == (province, gone)


def test_what_was_told_of_single_feeds_becomes_part_of_the_cause(known):
    vendor = Unit("vendor", "lis")
    gone = known.members[vendor]
    first, book = min(gone), Book()
    [alone] = book.silences(known, heard(known, NOW, {first}), NOW)
    changed = book.silences(known, heard(known, NOW, gone), NOW)
    [group] = book.open
    assert group.cause == vendor
    assert alone in changed
    assert alone.into is group


def test_a_member_that_was_quiet_long_before_is_no_incident_beside_its_province(known):
    province = Unit("province", "02")
    gone = known.members[province]
    early = min(gone)
    [one] = Book().silences(known, heard(known, NOW, gone) | {early: NOW - 40.0}, NOW)
    assert (one.cause, one.members, one.began) == (province, gone, NOW - 6)


def test_everything_silent_is_the_hub(known):
    [one] = Book().silences(known, heard(known, NOW, known.units), NOW)
    assert one.cause == Unit("hub", "")


def test_a_group_is_over_when_most_of_it_is_heard_and_who_is_not_is_judged_anew(known):
    gone, book = known.members[Unit("province", "02")], Book()
    book.silences(known, heard(known, NOW, gone), NOW)
    rest = min(gone)
    last = heard(known, NOW + 1) | {rest: NOW - 6.0}
    [over] = book.silences(known, last, NOW + 1)
    assert over.ended == NOW + 1
    assert book.silences(known, last | heard(known, NOW + 2) | {rest: NOW - 6.0}, NOW + 2) == []
    [still] = book.silences(known, heard(known, NOW + 9) | {rest: NOW - 6.0}, NOW + 9)
    assert still.cause == own(rest)


def hours(known, refused, of=None):
    """A day in which every feed sends three an hour, and of these so many in a day are refused."""
    made = [{feed: {RECEIVED: 3} for feed in known.units} for _ in range(WINDOW_H)]
    for feed in of if of is not None else known.units:
        for at in range(refused):
            made[-1 - at * 2][feed] = {RECEIVED: 3, "refused": 1, "FIELD_MISSING": 1}
    return made


def judge(known, book, made, at):
    return book.anomalies(known, made, heard(known, at), at)


AT = START + LEARN_H + 9  # an hour at which all but volume is judged


def test_refusals_as_usual_are_nothing(known):
    assert judge(known, Book(), hours(known, 1), AT) == []


def test_refusals_of_one_dialect_are_one_incident_until_they_are_as_usual(known):
    at, book, vendor = AT, Book(), Unit("vendor", "lis")
    [one] = judge(known, book, hours(known, 8, known.members[vendor]), at)
    assert (one.kind, one.cause) in (("refusals", vendor), ("codes", vendor))
    assert judge(known, book, hours(known, 8, known.members[vendor]), at + 3) == []
    quiet, changed = hours(known, 0), []
    for step in range(2, 20):
        changed += judge(known, book, quiet, at + 3 * step)
    assert [(one.kind, one.ended is not None) for one in changed] == [(one.kind, True)]


def test_refusals_of_one_feed_are_its_own(known):
    gone = min(known.units)
    [one] = judge(known, Book(), hours(known, 12, {gone}), AT)
    assert one.cause == own(gone)


def test_a_volume_far_from_usual_is_told_at_midnight(known):
    midnight = START + LEARN_H + 24
    loud = min(known.units)
    made = [hour | {loud: {RECEIVED: 90}} for hour in hours(known, 0)]
    [one] = judge(known, Book(), made, midnight)
    assert (one.kind, one.cause) == ("volume", own(loud))
    assert judge(known, Book(), made, midnight - 3) == []
