"""From surprises to incidents: one for one cause. Pure: rhythms, counts and the hour in, incidents out.

A feed that is quiet beyond its budget is an incident; where more feeds of one province, vendor or sender are quiet at the
same time than chance and usual faults explain, they are one incident of that group, and what was told of single members goes
into it. Volume, refusals, codes and waits likewise: the unit whose counts are the most improbable is the cause, its members
are set aside, and what remains is judged again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import exp, log
from typing import Final, Literal, NamedTuple

from hub.journal.rhythm import BUDGET, MONTH_H, WINDOW_H, Calendar, Rhythm, Share, share_surprise, surprise

Kind = Literal["silence", "volume", "refusals", "codes", "latency"]
Counts = Mapping[str, int]
"""Of one feed and hour: `received`, `refused`, `quarantined`, `slow`, and each problem code -> messages."""

RECEIVED: Final = "received"
_VERDICTS: Final = {"refused": "refusals", "quarantined": "refusals", "slow": "latency"}  # every other is a code
_WEAK: Final = 3.0  # quiet enough to be counted in a group
_USUAL_FAULTS: Final = 0.005  # so many feeds are silent at any time, each for a reason of its own
_TOGETHER_H: Final = 24.0
_MEMBERS: Final = 3
KINDS: Final = {
    "silence": ("nothing is heard of", "không nhận được gì từ"),
    "volume": ("unusual number of messages of", "số bản tin bất thường của"),
    "refusals": ("more refused than usual of", "bị từ chối nhiều hơn thường lệ của"),
    "codes": ("a problem more often than usual of", "một lỗi nhiều hơn thường lệ của"),
    "latency": ("slower than usual from receipt to the topic:", "từ lúc nhận đến khi ghi chậm hơn thường lệ:"),
}
CAUSES: Final = {
    "feed": ("feed", "luồng gửi"),
    "sender": ("sender", "bên gửi"),
    "province": ("province", "tỉnh"),
    "vendor": ("dialect", "phương ngữ"),
    "hub": ("the whole hub", "toàn bộ trục"),
}
"""What an incident and its cause are called, in English and Vietnamese."""
JUDGE_H: Final = 3
"""Volume is judged at midnight, all else but silence so often."""
_HEARD_AGAIN: Final = 0.75
_STEPS: Final = log(MONTH_H / BUDGET)  # the budget, where a unit is judged every hour
_WALD: Final = log(1 / BUDGET)  # how much sooner the usual must explain what comes than the incident, for its end
_UNKNOWN: Final = Share(1e-3, 2.0)


class Feed(NamedTuple):
    """Who sends for which facility."""

    sender: str
    facility: str


class Unit(NamedTuple):
    """What feeds have in common: `feed` (itself, sender/facility), `sender`, `province`, `vendor` or `hub`."""

    kind: str
    name: str


@dataclass(slots=True, eq=False)
class Incident:
    """Hours since 1970, with parts.  core: who was silent when it was noticed.  missing: messages expected and not come.

    figures: what told it.  usual, seen: the share or level of each.  into: the cause it turned out to be part of.
    """

    kind: Kind
    cause: Unit
    members: set[Feed]
    began: float
    noticed: float
    ended: float | None = None
    missing: float = 0.0
    what: str = ""
    usual: float = 0.0
    seen: float = 0.0
    surprise: float = 0.0
    core: frozenset[Feed] = frozenset()
    usually: float = 0.0  # evidence that it is over
    into: "Incident | None" = None
    id: str = ""
    told: bool = False


@dataclass(slots=True)
class Known:
    """What has been learned.  units: of each feed, what it shares with others; members: the same by unit."""

    calendar: Calendar
    rhythms: dict[Unit, Rhythm] = field(default_factory=dict)
    units: dict[Feed, tuple[Unit, ...]] = field(default_factory=dict)
    members: defaultdict[Unit, set[Feed]] = field(default_factory=lambda: defaultdict(set))

    def add(self, feed: Feed, vendor: str) -> None:
        """Take note of a feed. vendor: the dialect of its facility."""
        shared = (
            Unit("sender", feed.sender),
            Unit("province", feed.facility[:2]),
            Unit("vendor", vendor),
            Unit("hub", ""),
        )
        self.units[feed] = tuple(unit for unit in shared if unit.name or unit.kind == "hub")
        for unit in self.units[feed]:
            self.members[unit].add(feed)

    def rhythm(self, feed: Feed) -> Rhythm | None:
        return self.rhythms.get(own(feed))


def own(feed: Feed) -> Unit:
    """The feed as a unit of itself."""
    return Unit("feed", f"{feed.sender}/{feed.facility}")


@dataclass(slots=True)
class Book:
    """The incidents that are open, and until when whom not to judge."""

    open: list[Incident] = field(default_factory=list)
    heard_from: dict[Feed, float] = field(default_factory=dict)  # an incident ended: what was silent before is told
    settled: dict[tuple[str, Feed], float] = field(default_factory=dict)  # its hours are still in the window

    def silences(self, known: Known, last: Mapping[Feed, float], now: float) -> list[Incident]:
        """Judge who was last heard when. Returns: incidents that opened, ended or became part of another."""
        changed = [one for one in self.open if one.kind == "silence" and self._heard_again(one, known, last, now)]
        self.open = [one for one in self.open if one.ended is None]
        covered = {feed for one in self.open if one.kind == "silence" for feed in one.members if last[feed] <= one.noticed}
        quiet = dict[Feed, float]()
        for feed, heard in last.items():
            rhythm = known.rhythm(feed)
            if rhythm is not None and now - heard >= 0.5:
                score = rhythm.silence(max(heard, self.heard_from.get(feed, 0.0)), now, known.calendar)
                if score >= _WEAK:
                    quiet[feed] = score
        for one in self.open:
            covered |= self._joined(one, known, quiet.keys() - covered, last)
        while (found := self._group(known, quiet, covered, last, now)) is not None:
            changed += [found, *self._fold(found, now)]
            self.open.append(found)
            covered |= found.members
            covered |= self._joined(found, known, quiet.keys() - covered, last)
        for feed in sorted(quiet.keys() - covered):
            if (rhythm := known.rhythm(feed)) is not None and rhythm.silent(quiet[feed]):
                alone = Incident("silence", own(feed), {feed}, last[feed], now, core=frozenset({feed}), surprise=quiet[feed])
                self.open.append(alone)
                changed.append(alone)
        return changed

    def _joined(self, group: Incident, known: Known, quiet: Set[Feed], last: Mapping[Feed, float]) -> set[Feed]:
        """Who of the quiet belongs to a group that is silent, and was not heard since that was told: part of it from now on."""
        if group.kind != "silence" or group.cause.kind == "feed":
            return set()
        more = {feed for feed in quiet if group.cause in known.units[feed] and last[feed] <= group.noticed}
        group.members |= more
        return more

    def _heard_again(self, one: Incident, known: Known, last: Mapping[Feed, float], now: float) -> bool:
        heard = {feed for feed in one.members if last[feed] > one.noticed}
        until = {feed: min(last[feed], now) if feed in heard else now for feed in one.members}
        one.missing = sum(
            rhythm.expected(one.began, until[feed], known.calendar)
            for feed in one.members
            if (rhythm := known.rhythm(feed)) is not None
        )
        weight = {feed: rhythm.weekly if (rhythm := known.rhythm(feed)) is not None else 0.0 for feed in one.core}
        if sum(weight[feed] for feed in heard & one.core) < _HEARD_AGAIN * sum(weight.values()):
            return False
        one.ended = now
        for feed in one.members | (known.members[one.cause] if one.cause.kind != "feed" else set()):
            self.heard_from[feed] = now
            self.settled["volume", feed] = now + _TOGETHER_H
        return True

    def _group(
        self, known: Known, quiet: Mapping[Feed, float], covered: set[Feed], last: Mapping[Feed, float], now: float
    ) -> Incident | None:
        """The unit whose silent share is the most improbable, if that is beyond the budget."""
        recent = {
            feed for one in self.open if one.kind == "silence" and one.cause.kind == "feed" and one.began >= now - _TOGETHER_H
            for feed in one.members
        }  # fmt: skip
        by_unit = defaultdict[Unit, list[Feed]](list)
        for feed in quiet:
            if feed not in covered or feed in recent:
                for unit in known.units[feed]:
                    by_unit[unit].append(feed)
        best: tuple[float, Unit, list[Feed]] | None = None
        for unit, feeds in sorted(by_unit.items()):
            newest = max(last[feed] for feed in feeds)
            together = [feed for feed in feeds if last[feed] >= newest - _TOGETHER_H]
            score = _share_silent([quiet[feed] for feed in together], len(known.members[unit]))
            if len(together) >= _MEMBERS and score >= _STEPS and (best is None or score > best[0]):
                best = score, unit, together
        if best is None:
            return None
        score, unit, feeds = best
        began = max(last[feed] for feed in feeds)
        return Incident("silence", unit, set(feeds), began, now, core=frozenset(feeds), surprise=score)

    def _fold(self, group: Incident, now: float) -> list[Incident]:
        """What was told of single members is part of the group's."""
        folded = [one for one in self.open if one.kind == "silence" and one.cause.kind == "feed" and one.members <= group.members]
        for one in folded:
            one.ended, one.into = now, group
        self.open = [one for one in self.open if one.into is None]
        return folded

    # --- how much, and how -------------------------------------------------------------------------------------------

    def anomalies(
        self, known: Known, hours: Sequence[Mapping[Feed, Counts]], last: Mapping[Feed, float], now: int
    ) -> list[Incident]:
        """Judge the last WINDOW_H whole hours, oldest first, the newest of which ends at `now`, where it is time to: every JUDGE_H.


        Returns: incidents that opened or ended.
        """
        of_day = known.calendar.slot(now) % 24
        if of_day % JUDGE_H:
            return []
        midnight = of_day == 0
        window, newest = _together(hours), _together(hours[-JUDGE_H:])
        changed = [
            one
            for one in self.open
            if one.kind != "silence"
            and (midnight or one.kind != "volume")
            and self._usual_again(one, known, window if one.kind == "volume" else newest, last, now)
        ]
        self.open = [one for one in self.open if one.ended is None]
        for family in ("volume", "verdict", "latency") if midnight else ("verdict", "latency"):
            covered = {feed for one in self.open if _family(one.kind) == family for feed in one.members}
            covered |= {feed for (of, feed), until in self.settled.items() if of == family and until > now}
            if family == "volume":
                covered |= {feed for one in self.open if one.kind == "silence" for feed in one.members}
            tallies = _tallies(known, window, covered, last, now, family)
            while (found := _cause(known, tallies, family, now)) is not None:
                self.open.append(found)
                changed.append(found)
                covered |= found.members
                tallies = _tallies(known, window, covered, last, now, family)
        return changed

    def _usual_again(
        self, one: Incident, known: Known, hours: Mapping[Feed, Counts], last: Mapping[Feed, float], now: int
    ) -> bool:
        """Wald's test: it ends when the usual explains what came since so much better than the incident does."""
        rhythm = known.rhythms.get(one.cause)
        if rhythm is None:
            one.ended = now
            return True
        if one.kind == "volume":
            seen = sum(hours.get(feed, {}).get(RECEIVED, 0) for feed in one.members)
            expected = sum(
                own.expected(now - WINDOW_H, min(last[feed], now), known.calendar)
                for feed in one.members
                if (own := known.rhythm(feed)) is not None
            )
            factor = max(one.seen, 0.05 * one.usual) / one.usual
            gain = (expected * (factor - 1) - seen * log(factor)) / (
                rhythm.window_stretch * (1 + expected / rhythm.window_dispersion)
            )
        else:
            of = sum(hours.get(feed, {}).get(RECEIVED, 0) for feed in one.members)
            count = sum(hours.get(feed, {}).get(one.what, 0) for feed in one.members)
            usual, seen_part = one.usual, min(one.seen, 0.9999)
            gain = count * log(usual / seen_part) + max(of - count, 0) * log((1 - usual) / (1 - seen_part))
            gain /= rhythm.shares.get(one.what, _UNKNOWN).stretch
        one.usually = max(0.0, one.usually + gain)
        if one.usually < _WALD:
            return False
        one.ended = now
        for feed in one.members:
            self.settled[_family(one.kind), feed] = now + WINDOW_H
        return True


def _share_silent(scores: Iterable[float], of: int) -> float:
    """How improbable it is that so many of a group are so quiet (Berk and Jones): over every number of the quietest."""
    best = 0.0
    for count, score in enumerate(sorted(scores, reverse=True), 1):
        if count >= _MEMBERS:
            best = max(best, share_surprise(count, of, max(exp(-score), _USUAL_FAULTS)))
    return best


@dataclass(slots=True)
class _Tally:
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    expected: float = 0.0  # until each feed was last heard: what follows is silence
    whole: float = 0.0  # in the whole window
    feeds: set[Feed] = field(default_factory=set)

    def add(self, counts: Counts, expected: float, whole: float, feed: Feed) -> None:
        for what, count in counts.items():
            self.counts[what] += count
        self.expected += expected
        self.whole += whole
        self.feeds.add(feed)


def _together(hours: Sequence[Mapping[Feed, Counts]]) -> dict[Feed, dict[str, int]]:
    window: dict[Feed, dict[str, int]] = {}
    for hour in hours:
        for feed, counts in hour.items():
            total = window.setdefault(feed, {})
            for what, count in counts.items():
                total[what] = total.get(what, 0) + count
    return window


def _tallies(
    known: Known, window: Mapping[Feed, Counts], covered: set[Feed], last: Mapping[Feed, float], now: int, family: str
) -> dict[Unit, _Tally]:
    """The window by unit, without the covered."""
    tallies = defaultdict[Unit, _Tally](_Tally)
    for feed, counts in window.items():
        if feed in covered or feed not in known.units or (rhythm := known.rhythm(feed)) is None:
            continue
        expected = rhythm.expected(now - WINDOW_H, min(last[feed], now), known.calendar) if family == "volume" else 0.0
        whole = rhythm.expected(now - WINDOW_H, now, known.calendar) if family == "volume" else 0.0
        for unit in (own(feed), *known.units[feed]):
            tallies[unit].add(counts, expected, whole, feed)
    return tallies


class _Found(NamedTuple):
    surprise: float
    what: str
    usual: float
    seen: float


def _cause(known: Known, tallies: Mapping[Unit, _Tally], family: str, now: int) -> Incident | None:
    """The unit that is the furthest from usual; a group only if it is so without its worst member."""
    best: tuple[_Found, Unit] | None = None
    for unit, tally in tallies.items():
        rhythm = known.rhythms.get(unit)
        if rhythm is None or (unit.kind != "feed" and len(tally.feeds) < _MEMBERS):
            continue
        found = _judge(rhythm, tally.counts, tally.expected, tally.whole, family)
        if found is None or (best is not None and (found.surprise, unit) <= (best[0].surprise, best[1])):
            continue
        if unit.kind == "feed" or _without_worst(known, rhythm, tally, tallies, family):
            best = found, unit
    if best is None:
        return None
    found, unit = best
    kind: Kind = "volume" if family == "volume" else _VERDICTS.get(found.what, "codes")  # type: ignore[assignment]  # its values are kinds
    return Incident(
        kind, unit, set(known.members[unit]) if unit.kind != "feed" else tallies[unit].feeds, now - WINDOW_H, now,
        what=found.what, usual=found.usual, seen=found.seen, surprise=found.surprise,
        core=frozenset(tallies[unit].feeds), missing=max(0.0, found.usual - found.seen) if family == "volume" else 0.0,
    )  # fmt: skip


def _judge(rhythm: Rhythm, counts: Counts, expected: float, whole: float, family: str) -> _Found | None:
    """What is the furthest from usual, if that is beyond the budget."""
    received = counts.get(RECEIVED, 0)
    if family == "volume":
        if received > expected:  # too many for a whole day, or as many as such a day has early
            expected = min(whole, max(received, expected))
        if expected <= 0 or not received:
            return None
        far = surprise(received, expected, rhythm.window_dispersion) / rhythm.window_stretch
        return _Found(far, RECEIVED, expected, received) if far >= _STEPS + log(2) else None
    best: _Found | None = None
    whats = [what for what in counts if what != RECEIVED and (what == "slow") == (family == "latency")]
    for what in whats:
        share = rhythm.shares.get(what, _UNKNOWN)
        far = share_surprise(counts[what], received, share.part) / share.stretch
        if far >= _STEPS + log(len(whats)) and (best is None or far > best.surprise):
            best = _Found(far, what, share.part, counts[what] / received)
    return best


def _without_worst(known: Known, rhythm: Rhythm, tally: _Tally, tallies: Mapping[Unit, _Tally], family: str) -> bool:
    def excess(feed: Feed) -> float:
        one = tallies[own(feed)]
        if family == "volume":
            return abs(one.counts[RECEIVED] - one.expected)
        return float(sum(count for what, count in one.counts.items() if what != RECEIVED))

    worst = tallies[own(max(sorted(tally.feeds), key=excess))]
    counts = {what: count - worst.counts.get(what, 0) for what, count in tally.counts.items()}
    return _judge(rhythm, counts, tally.expected - worst.expected, tally.whole - worst.whole, family) is not None


def _family(kind: str) -> str:
    return "verdict" if kind in ("refusals", "codes") else kind
