"""The order of segments in one message structure, as an automaton that says what is missing and what does not belong.

A state is the place in the structure where the newest segment was found. Moves are worked out when first needed and kept,
so checking a message costs a look-up a segment. Of several places where a segment may stand, the one that leaves the
fewest required segments out is taken, then the nearest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_VERDICTS_MAX: Final = 2_000  # sequences of names whose findings are kept
_NAMES_MAX: Final = 200  # longest sequence kept


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


@dataclass(eq=False, slots=True)
class Grammar:
    """The compiled structure of one message."""

    places: list[_Place]
    _moves: dict[tuple[int, str], tuple[int, tuple[str, ...]]] = field(default_factory=dict)
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
            found = list(self._walk(names))
            if len(names) <= _NAMES_MAX:
                if len(self._verdicts) >= _VERDICTS_MAX:
                    self._verdicts.clear()
                self._verdicts[names] = found
        return found

    def _walk(self, names: Sequence[str]) -> Iterator[tuple[int, str]]:
        at = -1
        for index, name in enumerate(names):
            if name[0] == "Z":
                continue
            to, missing = self._moved(at, name)
            if missing and index + 1 < len(names):
                # Is something missing, or is this one too many? The next segment tells, if it fits where we are.
                further, lacks = self._moved(at, names[index + 1])
                if further >= 0 and not lacks and names[index + 1] != name:
                    to = -1
            if to < 0:
                yield index, ""
                continue
            at = to
            for lacking in missing:
                yield index, lacking
        for lacking in self._lacking(at, at + 1, len(self.places), -1):
            yield len(names), lacking

    def _moved(self, at: int, name: str) -> tuple[int, tuple[str, ...]]:
        if name not in self._names:
            return -1, ()
        move = self._moves.get((at, name))
        if move is None:
            move = self._moves[at, name] = self._move(at, name)
        return move

    def _move(self, at: int, name: str) -> tuple[int, tuple[str, ...]]:
        """Where a segment of that name leads from a place, and what it leaves out; (-1, ()) if it cannot stand there."""
        ways: list[tuple[int, int, int, int, tuple[str, ...]]] = []  # (left out, levels up, kind of move, to, names left out)
        around = self.places[at].groups if at >= 0 else self.places[0].groups[:1]
        for to, place in enumerate(self.places):
            if place.name != name:
                continue
            if to == at and place.repeats:
                return to, ()
            for up, group in enumerate(reversed(around)):
                if not group.holds(to):
                    continue
                if to > at and not any(inner.holds(to) for inner in around[len(around) - up :]) and not self._excluded(at, to):
                    missing = self._lacking(at, at + 1, to, to)
                    ways.append((len(missing), up, 0, to, missing))
                if group.repeats and at >= 0:
                    missing = self._lacking(at, at + 1, group.stop, -1) + self._lacking(-1, group.start, to, to)
                    ways.append((len(missing), up, 1, to, missing))
        if not ways:
            return -1, ()
        *_, to, missing = min(ways)
        return to, missing

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


def read_grammar(reference: Any) -> Grammar:
    """Compile one entry of hl7apy's `MESSAGES`: (kind, ((name, reference, (least, most), "SEG" | "GRP"), …))."""
    places: list[_Place] = []

    def walk(kind: str, children: Any, groups: tuple[_Group, ...]) -> None:
        for name, child, (least, most), shape in children:
            if shape == "GRP":
                group = _Group(least > 0, most != 1, child[0] == "choice", len(places))
                walk(child[0], child[1], (*groups, group))
                group.stop = len(places)
            elif name != "ANYHL7SEGMENT":
                places.append(_Place(name, least > 0, most != 1, groups))

    message = _Group(True, False, reference[0] == "choice", 0)
    walk(reference[0], reference[1], (message,))
    message.stop = len(places)
    return Grammar(places)
