"""What belongs together in a message of orders or results: a patient, and each order or result with its lines and notes.

Source: HL7 v2.5.1 chapters 4 and 7.
"""

from typing import Any, Final

from adapters.dialects.paths import Notes, Plan, Scope
from adapters.dialects.persons import read_person
from adapters.dialects.reading import Reading
from adapters.formats.hl7v2 import Message, Segment

Record = dict[str, Any]

ORDER_SEGMENTS: Final = frozenset({"ORC", "OBR", "RXO", "RXE"})
"""What an order or a result may begin with."""


class Group:
    """One order or result: its segments, its OBX, and the notes behind each (by position) and before all.

    heading: its ORC, and the TQ1 that stands before its service.
    above:   those of the ORC before it, where it has none of its own.
    """

    __slots__ = ("above", "has_service", "heading", "lines", "notes", "others", "remarks", "scope")

    def __init__(self, head: Scope) -> None:
        self.heading: Scope = {}
        self.above: Scope = {}
        self.scope: Scope = head.copy()
        self.has_service = False
        self.lines: list[Segment] = []
        self.remarks: dict[int, list[str]] = {}
        self.notes: list[str] = []
        self.others: list[Segment] = []


class Patient:
    """One PID with what belongs to it, up to the next."""

    __slots__ = ("groups", "head", "insurance", "others", "specimen_leads", "unheard")

    def __init__(self, header: Segment) -> None:
        self.head: Scope = {"MSH": header}
        self.specimen_leads = False  # SPM comes before the orders or results on it (OML^O33, OUL^R22), not behind them
        self.insurance: list[Segment] = []
        self.others: list[Segment] = []
        self.unheard: list[Segment] = []  # notes and allergies before any order or result, which have no place for them
        self.groups: list[Group] = []


def patients(message: Message) -> list[Patient]:
    """The patients of a message, each with its groups: a group begins with ORC, or with an OBR that no ORC opened.

    In OUL^R22 to R24 an ORC follows its OBR. What is observed of person or specimen before any OBR goes with the first.
    """
    patient = Patient(message.header)
    found = [patient]
    group: Group | None = None
    heading: Scope = {}  # of the last ORC
    for segment in message.segments_in_order:
        name = segment.name
        if name == "OBX":
            if group is None:
                group = Group(patient.head)
                patient.groups.append(group)
            group.lines.append(segment)
        elif name == "NTE":
            if not (text := segment.text(3).strip()):
                continue
            if group is None:
                patient.unheard.append(segment)
            else:
                (group.remarks.setdefault(len(group.lines) - 1, []) if group.lines else group.notes).append(text)
        elif name in ORDER_SEGMENTS:
            joins = name == "ORC" and group is not None and "ORC" not in group.scope and _orders_follow(message)
            if group is None or (name == "ORC" and not joins) or (group.has_service and name == "OBR"):
                group = Group(patient.head)
                patient.groups.append(group)
            if name == "ORC":
                group.above, heading = {}, group.heading
                heading["ORC"] = segment
            elif not group.has_service:
                group.above = {} if group.heading else heading
                group.has_service = True
                if group.heading and "TQ1" in group.scope:
                    group.heading["TQ1"] = group.scope["TQ1"]
            group.scope.setdefault(name, segment)
        elif name == "PID" and "PID" in patient.head:
            patient = Patient(message.header)
            patient.head["PID"] = segment
            found.append(patient)
            group, heading = None, {}
        elif name == "SPM" and (group is None or patient.specimen_leads or not group.has_service):
            patient.specimen_leads = True
            patient.head["SPM"] = segment
            if group is not None and not group.has_service:
                group.scope["SPM"] = segment
            else:
                group = None
        elif group is not None:
            group.scope.setdefault(name, segment)
            if name == "DG1":
                group.others.append(segment)
        else:
            patient.head.setdefault(name, segment)
            if name == "IN1":
                patient.insurance.append(segment)
            elif name == "DG1":
                patient.others.append(segment)
            elif name == "AL1":
                patient.unheard.append(segment)
    return found


def of_orc_alone(plan: Plan, name: str) -> Plan:
    """The rule of that name, where a profile reads it from ORC and nowhere else: then an ORC is of every OBR up to the next one."""
    return tuple(rule for rule in plan if rule.name == name and all(place.segment == "ORC" for place in rule.places))


def _orders_follow(message: Message) -> bool:
    """Whether an ORC stands behind the OBR that it belongs to."""
    return message.type == "OUL" and message.trigger != "R21"


def person_of(reading: Reading, patient: Patient) -> tuple[Record, Notes]:
    notes = reading.notes()
    if "PID" not in patient.head:
        notes.warn("SEGMENT_MISSING", "PID")
    for segment in patient.unheard:  # NTE-3, AL1-3
        notes.warn("NOTE_NOT_PASSED_ON", reading.message.path(segment, 3))
    return read_person(reading, patient.head, patient.insurance, notes), notes


def tell_unnamed(reading: Reading, patient: Patient, notes: Notes) -> None:
    notes.warn("PERSON_MISSING", "PID" if (pid := patient.head.get("PID")) is None else reading.message.path(pid, 3))
