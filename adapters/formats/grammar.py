"""The order of segments in one message structure, as an automaton that says what is missing and what does not belong.

A state is the place in the structure where the newest segment was found. A legal message is told by following all its
possible places at once; sets of states and moves are worked out when first needed and kept, so that costs a look-up a
segment. Where no place is left, the message is read once more for the fewest findings. Verdicts are kept by sequence of
names, since senders repeat themselves.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_VERDICTS_MAX: Final = 2_000  # sequences of names whose findings are kept
_NAMES_MAX: Final = 200  # longest sequence kept
_READ_MAX: Final = 2_000  # segments of an illegal message that are read for the fewest findings
_MARGIN: Final = 2  # readings with this many findings more than the best are followed further


@dataclass(eq=False, slots=True)
class _Group:
    """A run of places [start, stop) that occurs as a whole. choice: one of its places is enough."""

    required: bool
    repeats: bool
    choice: bool
    start: int
    stop: int = 0

    def holds(self, place: int) -> bool:
        return self.start <= place < self.stop


@dataclass(eq=False, slots=True)
class _Place:
    """One segment in the structure, with the groups around it from the outermost (the message) inward."""

    name: str
    required: bool
    repeats: bool
    groups: tuple[_Group, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """A move to another place, and the required segments it leaves out."""

    to: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """One finding of a reading and those before it."""

    before: "_Found | None"
    index: int
    name: str


@dataclass(eq=False, slots=True)
class Grammar:
    """The compiled structure of one message."""

    places: list[_Place]
    _ways: dict[tuple[int, str], list[_Way]] = field(default_factory=dict)
    _steps: dict[tuple[frozenset[int], str], frozenset[int]] = field(default_factory=dict)
    _verdicts: dict[tuple[str, ...], list[tuple[int, str]]] = field(default_factory=dict)
    _names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._names = frozenset(place.name for place in self.places)

    def findings(self, names: tuple[str, ...]) -> list[tuple[int, str]]:
        """What is wrong with a sequence of segments: (index, name) where a required `name` is missing before the segment at
        `index` (or at the end: index = the number of segments), (index, "") where the segment at `index` does not belong.

        Z-segments may stand anywhere.
        """
        found = self._verdicts.get(names)
        if found is None:
            found = [] if self._is_legal(names) else self._settled(self._least_findings(names[:_READ_MAX]), names)
            if len(names) <= _NAMES_MAX:
                if len(self._verdicts) >= _VERDICTS_MAX:
                    self._verdicts.clear()
                self._verdicts[names] = found
        return found

    def _is_legal(self, names: Sequence[str]) -> bool:
        states = frozenset((-1,))
        for name in names:
            if name[0] == "Z":
                continue
            after = self._steps.get((states, name))
            if after is None:
                after = frozenset(way.to for state in states for way in self._ways_from(state, name) if not way.missing)
                if name in self._names:
                    self._steps[states, name] = after
            if not after:
                return False
            states = after
        return any(not self._lacking(state, state + 1, len(self.places), -1) for state in states)

    def _least_findings(self, names: Sequence[str]) -> list[tuple[int, str]]:
        """Of all readings of the sequence the one with the fewest findings; a segment may be passed over at the price of one."""
        readings: dict[int, tuple[int, _Found | None]] = {-1: (0, None)}
        for index, name in enumerate(names):
            if name[0] == "Z":
                continue
            after: dict[int, tuple[int, _Found | None]] = {}
            for state, (cost, found) in readings.items():
                for way in self._ways_from(state, name):
                    if way.to not in after or after[way.to][0] > cost + len(way.missing):
                        chain = found
                        for lacking in way.missing:
                            chain = _Found(chain, index, lacking)
                        after[way.to] = (cost + len(way.missing), chain)
            for state, (cost, found) in readings.items():
                if state not in after or after[state][0] > cost + 1:
                    after[state] = (cost + 1, _Found(found, index, ""))
            bound = min(cost for cost, _ in after.values()) + _MARGIN
            readings = {state: reading for state, reading in after.items() if reading[0] <= bound}
        best: tuple[int, _Found | None, tuple[str, ...]] | None = None
        for state, (cost, found) in readings.items():
            lacking_at_end = self._lacking(state, state + 1, len(self.places), -1)
            if best is None or best[0] > cost + len(lacking_at_end):
                best = (cost + len(lacking_at_end), found, lacking_at_end)
        assert best is not None
        findings = [(len(names), name) for name in reversed(best[2])]
        last = best[1]
        while last is not None:
            findings.append((last.index, last.name))
            last = last.before
        return findings[::-1]

    def _settled(self, findings: list[tuple[int, str]], names: tuple[str, ...]) -> list[tuple[int, str]]:
        """Without groups that only a segment out of order would begin anew: where the group that is under way holds none of its
        name yet, it is that segment that does not belong where it stands."""
        settled: dict[tuple[int, str], None] = {}
        for index, missing in findings:
            before = names[:index][::-1]
            if missing in before and index < len(names) and names[index] not in before[: before.index(missing)]:
                missing = "" if self._begins_group_with(missing, names[index]) else missing
            settled[index, missing] = None
        return list(settled)

    def _begins_group_with(self, first: str, name: str) -> bool:
        """Whether a group that may repeat begins with `first` and has `name` in it."""
        groups = [
            group
            for at, place in enumerate(self.places)
            for group in place.groups
            if place.name == first and group.start == at and group.repeats
        ]
        return any(group.holds(at) for group in groups for at, place in enumerate(self.places) if place.name == name)

    def _ways_from(self, at: int, name: str) -> list[_Way]:
        """Where a segment of that name may stand after a place: the nearest first."""
        if name not in self._names:
            return []
        ways = self._ways.get((at, name))
        if ways is None:
            ways = self._ways[at, name] = [_Way(to, missing) for _, _, to, missing in sorted(self._find_ways(at, name))]
        return ways

    def _find_ways(self, at: int, name: str) -> Iterator[tuple[int, int, int, tuple[str, ...]]]:
        around = self.places[at].groups if at >= 0 else self.places[0].groups[:1]
        for to, place in enumerate(self.places):
            if place.name != name:
                continue
            if to == at and place.repeats:
                yield -1, 0, to, ()
            for up, group in enumerate(reversed(around)):
                if not group.holds(to):
                    continue
                if to > at and not any(inner.holds(to) for inner in around[len(around) - up :]) and not self._excluded(at, to):
                    yield up, 0, to, self._lacking(at, at + 1, to, to)
                if group.repeats and at >= 0:
                    yield up, 1, to, self._lacking(at, at + 1, group.stop, -1) + self._lacking(-1, group.start, to, to)

    def _excluded(self, at: int, to: int) -> bool:
        """Whether both places are alternatives of one choice."""
        return at >= 0 and any(group.choice and group.holds(to) for group in self.places[at].groups)

    def _lacking(self, left: int, start: int, stop: int, entered: int) -> tuple[str, ...]:
        """The required segments among places [start, stop), when `left` is the place come from and `entered` the one gone to."""
        names = []
        for number in range(max(start, 0), stop):
            place = self.places[number]
            if not place.required:
                continue
            needed = True
            for group in place.groups:
                begun = (left >= 0 and group.holds(left)) or (entered >= 0 and group.holds(entered))
                # of a choice only its first place speaks, and only while none of it was met
                if (group.choice and (begun or number != group.start)) or not (begun or group.required):
                    needed = False
            if needed:
                names.append(place.name)
        return tuple(names)


def read_grammar(reference: Any, optional: Collection[str] = ()) -> Grammar:
    """Compile one entry of hl7apy's `MESSAGES`: (kind, ((name, reference, (least, most), "SEG" | "GRP"), …)).

    optional: segments that may be missing wherever they stand, whatever the reference says.
    """
    places: list[_Place] = []

    def walk(kind: str, children: Any, groups: tuple[_Group, ...]) -> None:
        for name, child, (least, most), shape in children:
            if shape == "GRP":
                group = _Group(least > 0, most != 1, child[0] == "choice", len(places))
                walk(child[0], child[1], (*groups, group))
                group.stop = len(places)
            elif name != "ANYHL7SEGMENT":
                places.append(_Place(name, least > 0 and name not in optional, most != 1, groups))

    message = _Group(True, False, reference[0] == "choice", 0)
    walk(reference[0], reference[1], (message,))
    message.stop = len(places)
    return Grammar(places)
