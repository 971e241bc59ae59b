"""What is usual is learned from the past alone, and is said with a chance that can be relied on."""

import random
from datetime import date
from math import exp

import pytest

from hub.bench.watch import START, poisson
from hub.journal.rhythm import LEARN_H, MONTH_H, NATION, WEEK, Calendar, learn, share_surprise, stretch, surprise

CALENDAR = Calendar.of([date(2026, 4, 30)])
SLOTS = CALENDAR.slots(START, START + LEARN_H)


def sent(rate, seed=1, without=(), hours=LEARN_H):
    dice = random.Random(seed)
    slots = CALENDAR.slots(START, START + hours)
    counts = {START + at: poisson(dice, rate(slot)) for at, slot in enumerate(slots)}
    return {hour: count for hour, count in counts.items() if count and hour - START not in without}


def office(slot):
    """Ten messages an hour, 07 to 17 h of working days."""
    return 10.0 if slot < 120 and 7 <= slot % 24 < 17 else 0.0


def test_monday_is_the_first_day_and_a_holiday_is_a_sunday():
    assert CALENDAR.slot(START) == 0
    holiday = (date(2026, 4, 30).toordinal() - date(1970, 1, 1).toordinal()) * 24 - 7
    assert CALENDAR.slot(holiday) == 6 * 24
    assert CALENDAR.slot(holiday + 24) == 4 * 24


def test_it_learns_when_a_feed_is_heard():
    rhythm = learn(sent(office), START, SLOTS)
    monday = [rhythm.rate[hour] for hour in range(24)]
    assert min(monday[7:17]) > 8
    assert max(monday[:7] + monday[17:]) < 1
    assert rhythm.weekly == pytest.approx(500, rel=0.1)


def test_nights_and_weekends_are_no_silence_but_a_morning_is():
    rhythm = learn(sent(office), START, SLOTS)
    friday_evening = START + 4 * 24 + 17
    assert not rhythm.silent(rhythm.silence(friday_evening, friday_evening + 62, CALENDAR))
    assert rhythm.silent(rhythm.silence(friday_evening, friday_evening + 66, CALENDAR))


def test_an_outage_in_the_past_changes_nothing_that_matters():
    away = range(20 * 24, 24 * 24)
    whole, cut = learn(sent(office), START, SLOTS), learn(sent(office, without=away), START, SLOTS)
    assert cut.weekly == pytest.approx(whole.weekly, rel=0.05)
    assert cut.silence_stretch == pytest.approx(whole.silence_stretch, rel=0.3)


def test_a_feed_that_sends_its_day_at_once_at_some_hour_is_silent_after_days_not_hours():
    dice = random.Random(1)
    counts = {START + day * 24 + dice.randint(13, 18): 20 for day in range(56)}
    rhythm = learn(counts, START, SLOTS)
    heard = START + LEARN_H + 13
    assert not rhythm.silent(rhythm.silence(heard, heard + 30, CALENDAR))
    assert rhythm.silent(rhythm.silence(heard, heard + 5 * 24, CALENDAR))


def test_where_little_is_known_feeds_alike_count():
    rhythm = learn(sent(lambda slot: 1.5 * NATION[slot], hours=72), START, SLOTS[:72])
    night, morning = rhythm.rate[4 * 24 + 2], rhythm.rate[4 * 24 + 9]  # a Friday, of which nothing is known
    assert morning > 5 * night


def test_of_almost_nothing_nothing_is_expected():
    assert learn({START: 3}, START, SLOTS) is None


def test_a_surprise_bounds_the_chance():
    assert exp(-surprise(0, 5, 50.0)) == pytest.approx((1 + 5 / 50) ** -50)
    assert surprise(5, 5, 2.0) == pytest.approx(0)
    assert surprise(50, 5, 50.0) > 20
    assert share_surprise(3, 100, 0.03) == 0
    assert share_surprise(60, 1000, 0.03) > 10


def test_the_stretch_is_one_for_what_is_as_the_model_says_and_blind_to_two_outages():
    dice = random.Random(2)
    draws = [dice.expovariate(1) for _ in range(400)]
    assert 1 <= stretch(draws) < 1.4
    assert stretch([*draws, 500, 700]) < 1.5
    assert stretch([3 * one for one in draws]) == pytest.approx(3, rel=0.3)


def test_false_silences_stay_within_the_budget():
    """40 feeds that go on as they were: none is told to be silent in a month."""
    told = 0
    for seed in range(40):
        counts = sent(lambda slot: 0.7 * NATION[slot], seed, hours=LEARN_H + MONTH_H)
        rhythm = learn(counts, START, SLOTS)
        last = START + LEARN_H
        for hour in range(START + LEARN_H, START + LEARN_H + MONTH_H):
            if hour in counts:
                told += rhythm.silent(rhythm.silence(last, hour, CALENDAR))
                last = hour + 1
    assert told == 0
    assert len(NATION) == WEEK
