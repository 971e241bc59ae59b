"""When a feed is usually heard, learned from its own past: how much to expect, and how improbable is what came instead.

Everything is one number, the surprise: minus the logarithm of the chance of what was seen, at most (Chernoff's bound for
negative binomial counts, and for binomial shares). What is no such distribution, as feeds that send a day at once, is
mended by `stretch`: how far the largest surprises of the feed's own past went beyond those that the model allows. So no
threshold is set by anybody but one: how many false incidents are borne. Pure: no clock, no database.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import exp, log
from typing import Final

WEEK: Final = 168
BUDGET: Final = 1 / 5000
"""False incidents that are borne, of each kind, a feed (or a group of them) and month."""
MONTH_H: Final = 720
WINDOW_H: Final = 24
"""Volume and shares are judged over so many hours: who sends a day at once does so at any of its hours."""
LEARN_H: Final = 8 * WEEK

_OFFSET_H: Final = 7  # Asia/Ho_Chi_Minh, which has no summer time
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_SUNDAY: Final = 6
_PRIOR_HOURS: Final = 4.0  # what feeds alike know counts as much as four hours of one's own
_PRIOR_SHARE: Final = 50.0  # and as so many messages
_FEW: Final = 10
_LOOSEST, _TIGHTEST = 0.02, 50.0  # of the dispersion
_OUTAGE: Final = 1e-6  # a silence less probable than this in the past is left out of what is learned
_HOURS_OF_DAY: Final = (2,) * 7 + (35, 63, 84, 91, 77, 42, 42, 63, 70, 63, 35) + (3.5,) * 6  # per mille of a week's mean day
_DAYS: Final = (20, 17.5, 17, 16.5, 16, 9, 4)

Hour = int
"""Hours since 1970-01-01 00:00 UTC."""


def _shape() -> tuple[float, ...]:
    flat = [day * hour for day in _DAYS for hour in _HOURS_OF_DAY]
    mean = sum(flat) / WEEK
    return tuple(one / mean for one in flat)


NATION: Final = _shape()
"""The week of a feed of which nothing is known yet, its mean 1; assumed, until feeds alike have shown theirs."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which hour of the week an hour is; holidays are Sundays."""

    free: frozenset[int]

    @classmethod
    def of(cls, holidays: Iterable[date]) -> "Calendar":
        return cls(frozenset(day.toordinal() - _EPOCH_DAY for day in holidays))

    def slot(self, hour: Hour) -> int:
        """0 is Monday, 00 to 01 h, in Vietnam; 167 the last hour of a Sunday."""
        day, of_day = divmod(hour + _OFFSET_H, 24)
        return (_SUNDAY if day in self.free else (day + 3) % 7) * 24 + of_day

    def slots(self, first: Hour, until: Hour) -> list[int]:
        return [self.slot(hour) for hour in range(first, until)]


# --- surprises --------------------------------------------------------------------------------------------------------


def surprise(count: float, expected: float, dispersion: float) -> float:
    """Of a count so far off: minus log of the chance, at most, under a negative binomial with variance m + m²/dispersion."""
    return (count * log(count / expected) if count else 0.0) - (count + dispersion) * log(
        (count + dispersion) / (expected + dispersion)
    )


def share_surprise(count: float, of: float, share: float) -> float:
    """Of `count` among `of` where `share` is usual; 0 when it is not more than usual."""
    if not of or count <= of * share:
        return 0.0
    seen = min(count / of, 1.0)
    rest = (1 - seen) * log((1 - seen) / (1 - share)) if seen < 1 else 0.0
    return of * (seen * log(seen / share) + rest)


def stretch(surprises: Iterable[float]) -> float:
    """How much further the largest surprises went than those of so many draws would; at least 1.

    The two largest are left out: they may be outages. The k-th largest of n exponential draws is 1/k + … + 1/n on average.
    """
    ordered = sorted(surprises, reverse=True)
    tail = sum(1 / k for k in range(1, len(ordered) + 1))
    ratios = []
    for k, one in enumerate(ordered[:8], 1):
        if k >= 3:
            ratios.append(one / tail)
        tail -= 1 / k
    return max(1.0, sorted(ratios)[len(ratios) // 2]) if ratios else 1.0


# --- learning ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the messages is usually so (refused, slow, with one code). stretch: as above, of windows."""

    part: float
    stretch: float


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What is usual for one feed, or for a group of them.

    rate:    messages an hour, by hour of the week.
    quiet:   surprise of nothing in that hour.
    gaps:    silences a month that are nothing special.
    """

    rate: tuple[float, ...]
    quiet: tuple[float, ...]
    silence_stretch: float
    gaps: float
    window_dispersion: float
    window_stretch: float
    shares: Mapping[str, Share] = field(default_factory=dict)

    @property
    def weekly(self) -> float:
        return sum(self.rate)

    def expected(self, since: float, until: float, calendar: Calendar) -> float:
        """Messages in these hours; both may be parts of an hour."""
        return _over(self.rate, since, until, calendar)

    def silence(self, since: float, until: float, calendar: Calendar) -> float:
        """Surprise of nothing in these hours, or in the whole days among them: who sends a day at once is heard in few hours."""
        hours = _over(self.quiet, since, until, calendar) / self.silence_stretch
        if until - since < WINDOW_H:
            return hours
        first = int(since) + 1 if since > int(since) else int(since)
        days, at = 0.0, first + -(first + _OFFSET_H) % 24
        while at + 24 <= until:
            day = calendar.slot(at) // 24
            expected = sum(self.rate[day * 24 : day * 24 + 24])
            days += self.window_dispersion * log(1 + expected / self.window_dispersion)
            at += 24
        return max(hours, days / self.window_stretch)

    def silent(self, silence: float) -> bool:
        """Whether this surprise is beyond what the budget bears."""
        return silence >= log(2 * max(self.gaps, 1.0) / BUDGET)


def _over(by_slot: Sequence[float], since: float, until: float, calendar: Calendar) -> float:
    first, last = int(since), int(until)
    if until <= since:
        return 0.0
    if first == last:
        return (until - since) * by_slot[calendar.slot(first)]
    total = (first + 1 - since) * by_slot[calendar.slot(first)]
    for hour in range(first + 1, last):
        total += by_slot[calendar.slot(hour)]
    return total + (until - last) * by_slot[calendar.slot(last)] if until > last else total


def learn(
    counts: Mapping[Hour, int],
    first: Hour,
    slots: Sequence[int],
    alike: Sequence[float] = NATION,
    shares: Mapping[str, Mapping[Hour, int]] | None = None,
    usual: Mapping[str, float] | None = None,
) -> Rhythm | None:
    """The rhythm of a past.

    counts:  messages by hour, hours without left out.
    first:   the first hour known; `slots` are the hours of the week of it and of those that follow.
    alike:   the week of feeds alike, mean 1: the less is known, the more it counts.
    shares:  what is counted among the messages -> by hour; usual: what part of all messages it is, over all feeds.
    Returns: None where there is too little to expect anything.
    """
    series = [counts.get(first + at, 0) for at in range(len(slots))]
    if sum(series) < _FEW:
        return None
    used = [True] * len(slots)
    for _again in range(2):
        rate = _rates(series, slots, used, alike)
        busy = max(rate) / 10  # in idle hours what is drawn from feeds alike is more than what comes
        heard = [(rate[slot], one) for one, slot, use in zip(series, slots, used, strict=True) if use and rate[slot] >= busy]
        dispersion = _of_zeros([expected for expected, _one in heard], sum(not one for _expected, one in heard))
        quiet = tuple(dispersion * log(1 + one / dispersion) for one in rate)
        gaps = _gaps(series, [quiet[slot] for slot in slots])
        longer = stretch(gap for _start, _end, gap in gaps)
        limit = log(max(len(gaps), 1) / _OUTAGE)
        outages = [(start, end) for start, end, gap in gaps if gap / longer > limit]
        for start, end in outages:
            used[start:end] = [False] * (end - start)
        if not outages:
            break
    windows = [
        (at, sum(series[at : at + WINDOW_H]), sum(rate[slot] for slot in slots[at : at + WINDOW_H]))
        for at in range(-slots[0] % 24, len(slots) - WINDOW_H + 1, WINDOW_H)
        if all(used[at : at + WINDOW_H])
    ]
    loose = _dispersion([(seen, expected) for _at, seen, expected in windows])
    return Rhythm(
        rate,
        quiet,
        longer,
        len(gaps) * MONTH_H / len(slots),
        loose,
        stretch(surprise(seen, expected, loose) for _at, seen, expected in windows),
        {
            what: _share(by_hour, first, windows, (usual or {}).get(what, 0.01))
            for what, by_hour in (shares or {}).items()
        },
    )  # fmt: skip


def _rates(series: Sequence[int], slots: Sequence[int], used: Sequence[bool], alike: Sequence[float]) -> tuple[float, ...]:
    """By hour of the week, drawn to that hour of all working days, and that to what feeds alike do at this feed's level."""
    sums, known = [0.0] * WEEK, [0] * WEEK
    for one, slot, use in zip(series, slots, used, strict=True):
        if use:
            sums[slot] += one
            known[slot] += 1
    level = (sum(sums) + 0.5) / max(sum(known[slot] * alike[slot] for slot in range(WEEK)), 1e-9)
    pooled = list[float]()
    for slot in range(WEEK):
        day, hour = divmod(slot, 24)
        together = [of * 24 + hour for of in range(5)] if day < 5 else [slot]
        wanted = level * sum(alike[of] for of in together) / len(together)
        pooled.append(
            (sum(sums[of] for of in together) + _PRIOR_HOURS * wanted) / (sum(known[of] for of in together) + _PRIOR_HOURS)
        )
    return tuple(max((sums[slot] + _PRIOR_HOURS * pooled[slot]) / (known[slot] + _PRIOR_HOURS), 1e-6) for slot in range(WEEK))


def _dispersion(pairs: Sequence[tuple[float, float]]) -> float:
    """By moments, drawn to a little more than Poisson. pairs: seen, expected."""
    beyond = sum((seen - expected) ** 2 - expected for seen, expected in pairs)
    square = sum(expected * expected for _seen, expected in pairs)
    looseness = (beyond + 0.2 * _FEW) / (square + _FEW)
    return min(max(1 / looseness if looseness > 0 else _TIGHTEST, _LOOSEST), _TIGHTEST)


def _of_zeros(expected: Sequence[float], zeros: int) -> float:
    """The dispersion by which so many of these hours are empty, by bisection: the tighter, the fewer."""
    by_rate = Counter(expected)
    low, high = log(_LOOSEST), log(_TIGHTEST)
    for _ in range(12):
        middle = (low + high) / 2
        loose = exp(middle)
        if sum(count * (1 + rate / loose) ** -loose for rate, count in by_rate.items()) > zeros:
            low = middle
        else:
            high = middle
    return exp(low)


def _gaps(series: Sequence[int], quiet: Sequence[float]) -> list[tuple[int, int, float]]:
    """Silences between hours with messages: start, end, surprise. Those of no hour count, too: they are the usual ones."""
    found, start, total = [], 0, 0.0
    for at, count in enumerate(series):
        if count:
            found.append((start, at, total))
            start, total = at + 1, 0.0
        else:
            total += quiet[at]
    if start < len(series):
        found.append((start, len(series), total))
    return found


def _share(by_hour: Mapping[Hour, int], first: Hour, windows: Sequence[tuple[int, int, float]], usual: float) -> Share:
    seen = [(sum(by_hour.get(first + at + one, 0) for one in range(WINDOW_H)), of) for at, of, _expected in windows if of]
    part = (sum(count for count, _of in seen) + _PRIOR_SHARE * usual) / (sum(of for _count, of in seen) + _PRIOR_SHARE)
    part = min(max(part, 1e-5), 0.999)
    return Share(part, stretch(share_surprise(count, of, part) for count, of in seen))


def week_of(rhythms: Iterable[Rhythm]) -> tuple[float, ...]:
    """The week that these have in common, its mean 1; the nation's where there are too few."""
    shapes = [[one * WEEK / rhythm.weekly for one in rhythm.rate] for rhythm in rhythms]
    if len(shapes) < _FEW:
        return NATION
    return tuple(max(sum(column) / len(shapes), 1e-3) for column in zip(*shapes, strict=True))
