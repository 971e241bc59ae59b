"""A message cut into what repeats in it: patients, and under each the runs of segments that a line, a drug or an entry makes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.dialects.paths import Scope
from adapters.formats.hl7v2 import Message, Segment

Begins = Callable[[str, set[str]], bool]
"""Whether a segment begins a new run, by its name and the names that the run before has already."""


@dataclass(slots=True)
class Patient:
    """One PID (or none) with the segments before the first run, and the runs; up to the next PID."""

    head: list[Segment] = field(default_factory=list)
    runs: list[list[Segment]] = field(default_factory=list)

    def named(self, *names: str) -> list[Segment]:
        """All segments of these names, wherever they stand."""
        everywhere = [*self.head, *(segment for run in self.runs for segment in run)]
        return [segment for segment in everywhere if segment.name in names]


def patients(message: Message, begins: Begins) -> list[Patient]:
    """The patients of a message, with MSH left out; a message without PID has one, of whom nothing is known."""
    patient = Patient()
    found = [patient]
    names: set[str] = set()
    for segment in message.segments_in_order[1:]:
        name = segment.name
        if name == "PID" and any(each.name == "PID" for each in patient.head):
            patient = Patient()
            found.append(patient)
        elif begins(name, names if patient.runs else set()):
            patient.runs.append([])
            names = set()
        names.add(name)
        (patient.runs[-1] if patient.runs else patient.head).append(segment)
    return found


def firsts(run: list[Segment]) -> Scope:
    """The first of each name, for rules to look at."""
    found: Scope = {}
    for segment in run:
        found.setdefault(segment.name, segment)
    return found


def notes_of(run: list[Segment]) -> list[str]:
    """NTE-3 of a run, without empty ones."""
    return [text for segment in run if segment.name == "NTE" and (text := segment.text(3).strip())]
