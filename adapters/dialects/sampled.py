"""One message of a folder of samples, and what nobody notices before the whole folder is looked over."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from adapters.dialects.accounts import ACCOUNT, is_a_citizens
from adapters.dialects.shapes import LOINC, cards_of, is_local_test, is_mistyped, numbers_of_a_person
from adapters.dialects.transforms import normalise
from adapters.formats.hl7v2 import Message
from hub.contract.charge_lines import replaced
from hub.contract.errors import Problem, Severity
from hub.contract.events import Event, revision_rank

_WITHOUT_VALUE: Final = frozenset(
    "DINOWX"
)  # of table 0085: deleted, pending, not asked, order only, wrong patient, none obtained
_VALUES: Final = ("gia_tri", "mo_ta")
_OF_ONE_PERSON: Final = (("ma_lk", ("PV1-19", "PID-18")), ("placer", ("ORC-2", "OBR-2")))  # a field, and where it may stand
_OF_OTHERS: Final = frozenset({"hie.LabResult"})  # which repeat the numbers of whoever ordered, maybe without saying who that is
_CONTROL_ID: Final = 10  # of MSH


@dataclass(frozen=True, slots=True)
class Sample:
    """One message, and what the hub made of it.

    name:     where it stands, such as `a04.hl7#1`.
    message:  as it was read; None for the insurance XML and what could not be read.
    expected: a golden beside it expects that it has no events.
    accepted: the problems that this golden has, as code, severity and place; unsaid: its `about` is empty.
    """

    name: str
    kind: str
    message: Message | None
    facility: str
    charset: str
    verdict: str
    problems: tuple[Problem, ...]
    events: tuple[tuple[str, Event], ...]
    expected: bool = False
    accepted: frozenset[tuple[str, str, str]] = frozenset()
    unsaid: bool = False

    @property
    def unaccepted(self) -> tuple[Problem, ...]:
        return tuple(one for one in self.problems if not self._accepts(one))

    @property
    def warned(self) -> tuple[Problem, ...]:
        return tuple(one for one in self.unaccepted if one.severity is not Severity.INFORMATION)

    @property
    def as_accepted(self) -> tuple[Problem, ...]:
        return tuple(one for one in self.problems if self._accepts(one))

    def _accepts(self, problem: Problem) -> bool:
        """A warning that stands in the golden: somebody has looked at it."""
        return problem.severity is Severity.WARNING and (problem.code, "W", problem.path) in self.accepted

    @property
    def refused(self) -> bool:
        return self.verdict != "translated"


def looked_over(samples: Sequence[Sample]) -> list[Sample]:
    """The samples, each with what the gate does not tell: numbers that nothing reads or that several share, local tests,
    states that can hardly be meant."""
    doubtful, shared, replacing = _doubtful_states(samples), _shared_numbers(samples), replacing_lines(samples)
    return [
        replace(
            one,
            problems=(
                *one.problems, *_unread_numbers(one), *_local_tests(one), *_states_of(one, doubtful),
                *shared.get(position, ()),
                *(Problem("LINE_NUMBER_SHARED", Severity.WARNING, "FT1-2") for _ in range(replacing[position])),
            ),
        )
        for position, one in enumerate(samples)
    ]  # fmt: skip


def _shared_numbers(samples: Sequence[Sample]) -> dict[int, list[Problem]]:
    """Numbers that stand for different patients, and control ids for different messages: told once of each that shares one."""
    persons: defaultdict[tuple[str, ...], list[tuple[int, Mapping[str, Any], str]]] = defaultdict(list)
    bodies: defaultdict[tuple[str, ...], dict[tuple[str, ...], int]] = defaultdict(dict)
    for position, sample in enumerate(samples):
        if sample.refused or sample.message is None:
            continue
        header = sample.message.header
        if number := header.get(_CONTROL_ID):
            body = tuple("|".join(segment.fields) for segment in sample.message.segments_in_order[1:])
            bodies[header.get(3), header.field(4), number].setdefault(body, position)
        for record, event in sample.events:
            for name, places in _OF_ONE_PERSON if "person" in event and record not in _OF_OTHERS else ():
                if number := event.get(name, ""):
                    met = persons[name, event.get("ma_cskcb", ""), number]
                    if all(_are_two(event["person"], other) for _, other, _ in met):
                        met.append((position, event["person"], _place_of(number, places, sample.message)))
    found: defaultdict[int, list[Problem]] = defaultdict(list)
    for met in persons.values():
        for position, _, place in met if len(met) > 1 else ():
            found[position].append(Problem("NUMBER_SHARED", Severity.WARNING, place))
    for positions in bodies.values():
        for position in positions.values() if len(positions) > 1 else ():
            found[position].append(Problem("CONTROL_ID_SHARED", Severity.WARNING, f"MSH-{_CONTROL_ID}"))
    return found


def replacing_lines(samples: Sequence[Sample]) -> Counter[int]:
    """By position of the sample, how many of its lines of charges take away one of another item in a message before it of the
    same visit. What shares a number in one message is told there."""
    visits: defaultdict[tuple[str, str], list[tuple[int, Event]]] = defaultdict(list)
    for position, sample in enumerate(samples):
        for record, event in sample.events:
            if record == "hie.Charge" and event.get("ma_lk"):
                visits[event.get("ma_cskcb", ""), event["ma_lk"]].append((position, event))
    found: Counter[int] = Counter()
    for said in visits.values():
        said.sort(key=lambda one: revision_rank(one[1]["meta"]["revision"]))
        found.update(said[at][0] for at, _ in replaced(event for _, event in said))
        for position, event in said:
            found[position] -= len(replaced([event]))
    return found


def _are_two(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether they can hardly be the same person: no number in common, and another name or day of birth."""
    numbers = (
        {(number.get("type"), number.get("normalised")) for number in person.get("identifiers", ())} for person in (one, other)
    )
    if not set.isdisjoint(*numbers):
        return False
    said = [(one[name], other[name]) for name in ("ho_ten", "ngay_sinh") if one.get(name) and other.get(name)]
    return any(mine.casefold() != theirs.casefold() for mine, theirs in said)


def _place_of(number: str, places: Sequence[str], message: Message) -> str:
    """The first of the places where it stands, else the first of all: a profile may read it from anywhere."""
    standing = (place for place in places for segment in message.segments(place[:3]) if number in segment.get(int(place[4:])))
    return next(standing, places[0])


def _doubtful_states(samples: Sequence[Sample]) -> frozenset[str]:
    """The states by which HL7 says that there is no result, where most lines with a value have one: they mean something else here."""
    states = Counter(state for sample in samples for state in _states(sample))
    doubtful = _WITHOUT_VALUE & states.keys()
    return doubtful if sum(states[state] for state in doubtful) * 2 > states.total() else frozenset()


def _states_of(sample: Sample, doubtful: frozenset[str]) -> Iterator[Problem]:
    for state in _states(sample):
        if state in doubtful:
            yield Problem("RESULT_STATE_DOUBTFUL", Severity.WARNING, "OBX-11")


def _states(sample: Sample) -> Iterator[str]:
    """Of the lines with a value that state one."""
    return (line["status"] for line in _lines(sample) if line.get("status") and any(line.get(name) for name in _VALUES))


def _lines(sample: Sample) -> Iterator[dict[str, Any]]:
    for record, event in sample.events:
        if record == "hie.LabResult":
            yield from event.get("observations", ())


def _unread_numbers(sample: Sample) -> Iterator[Problem]:
    """A patient's number that stands in PID, or a card in a Z-segment, and in none of the events: nobody would notice."""
    if sample.message is None or not sample.events:
        return
    read = set(_normalised([event for _, event in sample.events]))
    for segment in sample.message if any("person" in event for _, event in sample.events) else ():
        for number, value in cards_of(segment).items() if segment.name[0] == "Z" else ():
            if value not in read:
                yield Problem("IDENTIFIER_UNREAD", Severity.WARNING, f"{segment.name}-{number}")
    for pid in sample.message.segments("PID"):
        for number, value in numbers_of_a_person(pid).items():
            if value not in read:
                yield Problem("IDENTIFIER_UNREAD", Severity.WARNING, f"PID-{number}")
        told = any(one.code == "VISIT_IS_CITIZEN_NUMBER" for one in sample.problems)  # where PV1-19 is empty the gate tells it
        if not told and normalise(pid.get(ACCOUNT)) not in read and is_a_citizens(pid, sample.message, sample.facility):
            yield Problem("VISIT_IS_CITIZEN_NUMBER", Severity.WARNING, f"PID-{ACCOUNT}")


def _local_tests(sample: Sample) -> Iterator[Problem]:
    """Results under a code that only the laboratory knows: the hub keeps and delivers them, so this lowers no grade. One under a
    code that LOINC cannot have counts as another test, or as none."""
    for line in _lines(sample):
        test = line.get("code", {})
        if is_local_test(test.get("code", ""), test.get("system", ""), test.get("alt_system", "")):
            yield Problem("TEST_LOCAL", Severity.INFORMATION, "OBX-3")
        said = ((test.get("code", ""), test.get("system", "")), (test.get("alt_code", ""), test.get("alt_system", "")))
        if any(system == LOINC and is_mistyped(code) for code, system in said):
            yield Problem("TEST_CODE_WRONG", Severity.WARNING, "OBX-3")


def _normalised(part: object) -> Iterator[str]:
    """Of all identifiers in events."""
    if isinstance(part, dict):
        if "normalised" in part:
            yield part["normalised"]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _normalised(one)
