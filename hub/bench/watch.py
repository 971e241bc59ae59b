"""`python -m hub.bench.watch`: does the watch find what is put into a simulated month, and what does it tell that is not there?

Feeds of the nation in small: busy hospitals, clinics, commune stations of 0 to 5 messages a day, some that send their day at
once, each with its own days and hours; holidays; days that are busier than others. Nothing is taken from real senders. The
same seed gives the same figures.
"""

import argparse
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from math import exp, log, sqrt
from time import process_time
from typing import Final

from hub.contract.slip_life import holidays
from hub.journal.incidents import RECEIVED, Book, Counts, Feed, Incident, Known, Unit, own
from hub.journal.rhythm import LEARN_H, MONTH_H, NATION, WINDOW_H, Calendar, learn, week_of

START: Final = (date(2026, 2, 23).toordinal() - date(1970, 1, 1).toordinal()) * 24 - 7  # a Monday, 00 h in Vietnam
"""Eight weeks are learned from here on; the month judged holds the holidays of 30 April and 1 May."""
_VENDORS: Final = 12
_REFUSED, _SLOW = 0.03, 0.002
_CODES: Final = ("FIELD_MISSING", "CODE_UNKNOWN", "FACILITY_UNKNOWN")

Month = list[dict[Feed, dict[str, int]]]
"""What was counted, by hour since START."""


@dataclass(slots=True)
class World:
    """Feeds, and every hour of theirs: first LEARN_H to learn from, then the month."""

    known: Known
    hours: Month
    vendors: dict[Feed, str]


@dataclass(slots=True)
class Told:
    """What a month's watch said.  noticed: hours from where a silence began, by feed."""

    incidents: list[Incident] = field(default_factory=list)
    seconds: float = 0.0

    def shown(self) -> list[Incident]:
        """Without what became part of another."""
        return [one for one in self.incidents if one.into is None]


def world(feeds: int, seed: int) -> World:
    """A nation and its past, learned."""
    calendar = Calendar.of(holidays())
    made = World(Known(calendar), [{} for _ in range(LEARN_H + MONTH_H)], {})
    slots = calendar.slots(START, START + LEARN_H + MONTH_H)
    provinces = [f"{one:02d}" for one in range(1, max(feeds // 30, 4) + 1)]
    for number in range(feeds):
        dice = random.Random(f"{seed}/{number}")  # a simulation
        vendor = f"vendor{min(int(dice.expovariate(0.25)), _VENDORS - 1)}"
        feed = Feed(f"sender{number}", f"{provinces[number % len(provinces)]}{number:03d}")
        made.known.add(feed, vendor)
        made.vendors[feed] = vendor
        _send(made.hours, feed, slots, dice)
    teach(made)
    return made


def _send(hours: Month, feed: Feed, slots: list[int], dice: random.Random) -> None:
    kind = dice.random()
    if kind < 0.13:
        daily, even = min(dice.lognormvariate(log(233), 0.8), 4000), 20.0
    elif kind < 0.5:
        daily, even = dice.lognormvariate(log(15), 0.7), 8.0
    else:
        daily, even = dice.uniform(0.3, 5), 4.0
    shape = [one * dice.gammavariate(12, 1 / 12) for one in NATION]
    if dice.random() < 0.5:  # a break at noon
        shape = [one * (0.1 if at % 24 in (12,) else 1) for at, one in enumerate(shape)]
    if kind >= 0.13 and dice.random() < 0.6:  # closed at night, on Sundays, often on Saturdays
        closed = 5 if dice.random() < 0.5 else 6
        shape = [0.0 if at // 24 >= closed or at % 24 < 6 or at % 24 > 18 else one for at, one in enumerate(shape)]
    mean = sum(shape) / len(shape)
    rate = [daily / 24 * one / mean for one in shape]
    refused = _REFUSED * dice.gammavariate(6, 1 / 6)
    at_once = kind >= 0.13 and dice.random() < 0.15
    for first in range(0, len(slots), 24):
        day = dice.gammavariate(even, 1 / even)
        counts = [poisson(dice, rate[slot] * day) for slot in slots[first : first + 24]]
        if at_once:
            total, counts = sum(counts), [0] * 24
            counts[dice.randint(15, 18)] = total
        for at, count in enumerate(counts):
            if count:
                hours[first + at][feed] = _counted(dice, count, refused)


def _counted(dice: random.Random, count: int, refused: float) -> dict[str, int]:
    counts = {RECEIVED: count}
    for _ in range(binomial(dice, count, refused)):
        code = dice.choices(_CODES, (6, 3, 1))[0]
        counts["refused"] = counts.get("refused", 0) + 1
        counts[code] = counts.get(code, 0) + 1
    if slow := binomial(dice, count, _SLOW):
        counts["slow"] = slow
    return counts


def poisson(dice: random.Random, mean: float) -> int:
    """One draw; by the normal beyond 50."""
    if mean > 50:
        return max(0, round(dice.gauss(mean, sqrt(mean))))
    limit, product, count = exp(-mean), dice.random(), 0
    while product > limit:
        product *= dice.random()
        count += 1
    return count


def binomial(dice: random.Random, of: int, part: float) -> int:
    """One draw, by geometric steps: cheap for small parts."""
    count, at, step = 0, 0, log(1 - part)
    while True:
        at += int(log(1 - dice.random()) / step) + 1
        if at > of:
            return count
        count += 1


def teach(made: World) -> None:
    """Learn every feed's rhythm and every group's, twice: the second time with the week of feeds alike."""
    known, slots = made.known, made.known.calendar.slots(START, START + LEARN_H)
    past: dict[Unit, dict[str, dict[int, int]]] = {}
    for at, hour in enumerate(made.hours[:LEARN_H]):
        for feed, counts in hour.items():
            for unit in (own(feed), *(one for one in known.units[feed] if len(known.members[one]) > 2)):
                by_what = past.setdefault(unit, {})
                for what, count in counts.items():
                    by_hour = by_what.setdefault(what, {})
                    by_hour[START + at] = by_hour.get(START + at, 0) + count
    everybody = {what: sum(by_hour.values()) for what, by_hour in past[Unit("hub", "")].items()}
    usual = {what: count / everybody[RECEIVED] for what, count in everybody.items()}
    alike: dict[int, tuple[float, ...]] = {}
    for _again in range(2):
        for unit, whole in past.items():
            size = _size(sum(whole[RECEIVED].values()))
            shares = {what: whole.get(what, {}) for what in usual if what != RECEIVED}
            rhythm = learn(whole[RECEIVED], START, slots, alike.get(size, NATION), shares, usual)
            if rhythm is not None:
                known.rhythms[unit] = rhythm
        of_size: dict[int, list[Unit]] = {}
        for unit in past:
            if unit.kind == "feed" and unit in known.rhythms:
                of_size.setdefault(_size(sum(past[unit][RECEIVED].values())), []).append(unit)
        alike = {size: week_of(known.rhythms[unit] for unit in units) for size, units in of_size.items()}


def _size(messages: int) -> int:
    return int(log(messages + 1, 10))


# --- months -----------------------------------------------------------------------------------------------------------


def month(
    made: World, silent: Iterable[tuple[Feed, int, int]] = (), worse: tuple[str, int, float] | None = None, hours: int = MONTH_H
) -> Told:
    """Watch the month, or so many hours of it, hour by hour.

    silent: feed, first and next hour of the month in which nothing of it arrives.
    worse:  a vendor, the hour from which on its refusals are so many times as many.
    """
    told, book, last = Told(), Book(), dict[Feed, float]()
    away = {(feed, hour) for feed, first, until in silent for hour in range(first, until)}
    dice = random.Random("worse")  # a simulation
    window: list[dict[Feed, Counts]] = []
    for at, hour in enumerate(made.hours[: LEARN_H + hours]):
        month_h, now = at - LEARN_H, START + at + 1
        seen: dict[Feed, Counts] = {feed: counts for feed, counts in hour.items() if (feed, month_h) not in away}
        if worse and month_h >= worse[1]:
            seen = {
                feed: _worse(dice, counts, worse[2]) if made.vendors[feed] == worse[0] else counts
                for feed, counts in seen.items()
            }
        last |= dict.fromkeys(seen, float(now))
        window = [*window[-WINDOW_H + 1 :], seen]
        if month_h < 0:
            continue
        started = process_time()
        changed = book.silences(made.known, last, now) + book.anomalies(made.known, window, last, now)
        told.seconds += process_time() - started
        told.incidents += [one for one in changed if one not in told.incidents]
    return told


def _worse(dice: random.Random, counts: Counts, times: float) -> Counts:
    more = dict(counts)
    free = counts[RECEIVED] - counts.get("refused", 0)
    part = min(_REFUSED * (times - 1), 0.9)
    for _ in range(binomial(dice, free, part)):
        code = dice.choices(_CODES, (6, 3, 1))[0]
        more["refused"] = more.get("refused", 0) + 1
        more[code] = more.get(code, 0) + 1
    return more


def some_silent(made: World, count: int, seed: int) -> list[tuple[Feed, int, int]]:
    """Feeds of every size from one message a day up, silent from some hour of the first ten days to the month's end."""
    dice = random.Random(f"silent/{seed}")  # a simulation
    feeds = dice.sample([feed for feed in made.known.units if (usual := made.known.rhythm(feed)) and usual.weekly >= 7], count)
    return [(feed, dice.randrange(24, MONTH_H // 3), MONTH_H) for feed in feeds]


def province_cut(made: World, province: str) -> list[tuple[Feed, int, int]]:
    """All its feeds for a day and a half from a Tuesday, 09 h."""
    first = 8 * 24 + 9
    return [(feed, first, first + 36) for feed in sorted(made.known.members[Unit("province", province)])]


def main() -> None:
    """Print the figures, one JSON line each."""
    asked = argparse.ArgumentParser(description="The watch over a simulated month.")
    asked.add_argument("--feeds", type=int, default=1000)
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    started = process_time()
    made = world(given.feeds, given.seed)
    _show("simulated and learned", round(process_time() - started, 1), "s of CPU")
    silent = some_silent(made, 10, given.seed)
    told = month(made, silent)
    found, false = sorted_out(silent, told)
    for feed, first, _until in silent:
        weekly = made.known.rhythms[own(feed)].weekly
        after = found[feed].noticed - first - START - LEARN_H if feed in found else None
        _show("silent feed found after", after, "h", weekly=round(weekly))
    _show("silent feeds found", len(found), f"of {len(silent)}")
    wronged = {feed for one in false for feed in one.members}
    _show("feeds with a false incident in the month", round(100 * len(wronged) / given.feeds, 2), "%")
    _show("one look at all feeds", round(told.seconds / MONTH_H * 1000, 1), "ms of CPU")
    _tell("false", false)
    for name, run in (
        ("a province cut", month(made, province_cut(made, "03"), hours=14 * 24)),
        ("a vendor's refusals doubled", month(made, worse=("vendor1", 10 * 24 + 8, 2.0), hours=20 * 24)),
    ):
        _show(
            f"incidents of {name}", len(caused := beyond(run, false)), "incidents", folded=len(run.incidents) - len(run.shown())
        )
        _tell(name, caused)


def sorted_out(silent: Iterable[tuple[Feed, int, int]], told: Told) -> tuple[dict[Feed, Incident], list[Incident]]:
    """The incident that found each silent feed, and the incidents that nothing caused."""
    began = {feed: first + START + LEARN_H for feed, first, _until in silent}
    found = {
        feed: one
        for one in told.shown()
        for feed in one.members & began.keys()
        if one.kind == "silence" and one.noticed > began[feed]
    }
    return found, [one for one in told.shown() if one not in found.values()]


def beyond(run: Told, false: Iterable[Incident]) -> list[Incident]:
    """The incidents of a run without those that are told of the same month without its cause."""
    usual = {(one.kind, one.cause) for one in false}
    return [one for one in run.shown() if (one.kind, one.cause) not in usual]


def _tell(name: str, incidents: Iterable[Incident]) -> None:
    for one in incidents:
        hours = {"began": one.began, "noticed": one.noticed, "ended": one.ended}
        hours = {what: at - START - LEARN_H if at is not None else None for what, at in hours.items()}
        facts = {"kind": one.kind, "cause": "/".join(one.cause), "members": len(one.members), **hours, "what": one.what}
        facts |= {what: round(getattr(one, what), 4) for what in ("usual", "seen", "surprise", "missing")}
        print(json.dumps({"name": f"watch: {name}", **facts}))


def _show(name: str, value: float | None, unit: str, **more: float) -> None:
    print(json.dumps({"name": f"watch: {name}", "value": value, "unit": unit, **more}), flush=True)


if __name__ == "__main__":
    main()
