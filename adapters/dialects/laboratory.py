"""Orders and results. ORM, OML, OMG, OMI → `hie.LabOrder`; ORU, OUL → `hie.LabResult`.

Source: `seeds/standards/hl7-mapping.md` §4.2 and §4.3; groups as in HL7 v2.5.1 chapters 4 and 7.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from adapters.dialects.observed import (
    TEXT,
    VALUES,
    answers,
    concludes,
    is_silent,
    parents,
    read_value,
    tell_flags,
    tell_silent,
    tell_state,
)
from adapters.dialects.paths import Notes, Scope, fill
from adapters.dialects.persons import label_told, read_diagnoses, read_person
from adapters.dialects.profile import Line, aliased
from adapters.dialects.reading import SEEN_MAX, Reading, tell_beside, tell_nobody, tell_priority
from adapters.formats.hl7v2 import STANDARD, Message, Segment
from hub.contract.unnamed import ANSWERS, STOPS, UNREAD, is_unnamed_order, is_unnamed_result
from hub.contract.writer import Steady, Varied

Record = dict[str, Any]

_FORMS_MAX: Final = 8  # of one test: normal, high, low, corrected …
_VALUES: Final = frozenset({"gia_tri", "number"})  # what a line has of its own in every dialect
_NO_LINES: Final = ("P", "X")  # states of results that may have none: there is nothing yet, or no more
_SENT: Final = "+"  # stands for a value that differs from line to line
_Varying = tuple[str, int, Callable[[str], str | None] | None]
_PRIOR: Final = "PR"  # ORC-1, table 0119: previous results with a new order
_STATUS, _COMPLETED = 5, "CM"  # of ORC, table 0038: what SC says in full
_UNKNOWN_CLASS: Final = "U"  # PV1-2, which is required even of those who do not know
_RECEIVER: Final = 6  # of MSH: the receiving facility, behind its application
_HUB: Final = ("HUB", "HIE")  # what senders call the hub there
_LOCAL: Final = "Z"  # how names of local segments begin
_SERVICES: Final = {"OBR": 4, "RXO": 1, "RXE": 2}  # where the test, or the drug, of an order stands
_ORDER_SEGMENTS: Final = frozenset({"ORC", "OBR", "RXO", "RXE"})
_REASON: Final = 16  # of ORC


class _Group:
    """One order or result: its segments, its OBX, and the notes behind each (by position) and before all."""

    __slots__ = ("has_service", "lines", "notes", "others", "remarks", "scope")

    def __init__(self, head: Scope) -> None:
        self.scope: Scope = head.copy()
        self.has_service = False
        self.lines: list[Segment] = []
        self.remarks: dict[int, list[str]] = {}
        self.notes: list[str] = []
        self.others: list[Segment] = []


class _Patient:
    """One PID with what belongs to it, up to the next."""

    __slots__ = ("groups", "head", "insurance", "others", "specimen_leads", "unheard")

    def __init__(self, header: Segment) -> None:
        self.head: Scope = {"MSH": header}
        self.specimen_leads = False  # SPM comes before the orders or results on it (OML^O33, OUL^R22), not behind them
        self.insurance: list[Segment] = []
        self.others: list[Segment] = []
        self.unheard: list[Segment] = []  # notes before any order or result, which have no place for them
        self.groups: list[_Group] = []


def _patients(message: Message) -> list[_Patient]:
    """The patients of a message, each with its groups: a group begins with ORC, or with an OBR that no ORC opened.

    In OUL^R22 to R24 an ORC follows its OBR. What is observed of person or specimen before any OBR goes with the first.
    """
    patient = _Patient(message.header)
    found = [patient]
    group: _Group | None = None
    for segment in message.segments_in_order:
        name = segment.name
        if name == "OBX":
            if group is None:
                group = _Group(patient.head)
                patient.groups.append(group)
            group.lines.append(segment)
        elif name == "NTE":
            if not (text := segment.text(3).strip()):
                continue
            if group is None:
                patient.unheard.append(segment)
            else:
                (group.remarks.setdefault(len(group.lines) - 1, []) if group.lines else group.notes).append(text)
        elif name in _ORDER_SEGMENTS:
            joins = name == "ORC" and group is not None and "ORC" not in group.scope and _orders_follow(message)
            if group is None or (name == "ORC" and not joins) or (group.has_service and name == "OBR"):
                group = _Group(patient.head)
                patient.groups.append(group)
            group.has_service |= name != "ORC"
            group.scope.setdefault(name, segment)
        elif name == "PID" and "PID" in patient.head:
            patient = _Patient(message.header)
            patient.head["PID"] = segment
            found.append(patient)
            group = None
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
    return found


def _orders_follow(message: Message) -> bool:
    """Whether an ORC stands behind the OBR that it belongs to."""
    return message.type == "OUL" and message.trigger != "R21"


def _person(reading: Reading, patient: _Patient) -> tuple[Record, Notes]:
    notes = reading.notes()
    if "PID" not in patient.head:
        notes.warn("SEGMENT_MISSING", "PID")
    for note in patient.unheard:
        notes.warn("NOTE_NOT_PASSED_ON", reading.message.path(note, 3))
    return read_person(reading, patient.head, patient.insurance, notes), notes


def _tell_unnamed(reading: Reading, patient: _Patient, notes: Notes) -> None:
    notes.warn("PERSON_MISSING", "PID" if (pid := patient.head.get("PID")) is None else reading.message.path(pid, 3))


# --- orders -----------------------------------------------------------------------------------------------------------


def map_orders(reading: Reading, _trigger: str) -> None:
    """One event a placer number; several OBR under one number are services of one order. Refused without ORC and OBR."""
    for patient in _patients(reading.message):
        groups = [group for group in patient.groups if _is_order(group)]
        if not groups:
            continue
        person, noted = _person(reading, patient)
        orders = _by_number(reading, groups)
        _tell_diagnosed_last(reading, patient, orders)
        for together in orders:
            _publish_order(reading, patient, together, person, noted.also())
    if not reading.events:
        reading.refuse("NOTHING_REPRESENTABLE", "ORC")


def _tell_diagnosed_last(reading: Reading, patient: _Patient, orders: list[list[_Group]]) -> None:
    """That of several orders the last alone has a diagnosis, which its sender may have meant for all: by HL7 it is of that one."""
    *before, last = ([segment for group in order for segment in group.others] for order in orders)
    if before and last and not patient.others and not any(before):
        reading.notes().warn("DIAGNOSIS_OF_LAST", reading.message.path(last[0]))


def _is_order(group: _Group) -> bool:
    """Whether it is one, and not an earlier result that an order repeats (OML, OMG)."""
    control = group.scope.get("ORC")
    return not _ORDER_SEGMENTS.isdisjoint(group.scope) and (control is None or control.get(1) != _PRIOR)


def _by_number(reading: Reading, groups: list[_Group]) -> list[list[_Group]]:
    """Groups of the same order: those of one placer (else filler) number, and an OBR without number that follows its ORC."""
    names = tuple(rule for rule in reading.dialect.plans["order"] if rule.name in ("placer", "filler"))
    found: dict[str, list[_Group]] = {}
    last = ""
    for position, group in enumerate(groups):
        numbers: Record = {}
        fill(names, group.scope, numbers, reading.notes())
        number = numbers.get("placer") or numbers.get("filler") or ""
        if not number:
            number = last if last and "ORC" not in group.scope else f"\0{position}"
        last = number
        found.setdefault(number, []).append(group)
    return list(found.values())


def _publish_order(reading: Reading, patient: _Patient, groups: list[_Group], person: Record, notes: Notes) -> None:
    dialect, own = reading.dialect, reading.context.facility
    order: Record = {"person": person}
    scope = groups[0].scope.copy()
    for group in groups[1:]:  # what a sender says of the order itself may stand behind its last service
        for name, segment in group.scope.items():
            if name[0] == _LOCAL:
                scope.setdefault(name, segment)
    fill(dialect.plans["order"], scope, order, notes)
    tell_priority(dialect.plans["order"], scope, order, notes)
    for group in groups[1:]:
        _hurry(reading, group.scope, order)
    order.setdefault("action", UNREAD if "action" in notes.unparsed else "PLACED")
    if order["action"] == "IN_PROGRESS":
        states = {group.scope["ORC"].get(_STATUS).strip().upper() for group in groups if "ORC" in group.scope}
        order["action"] = "COMPLETED" if states == {_COMPLETED} else "IN_PROGRESS"
    if is_unnamed_order(order):
        _tell_unnamed(reading, patient, notes)
    if order.get("patient_class") == _UNKNOWN_CLASS:
        del order["patient_class"]
    if services := _services(reading, groups, notes, wanted=order["action"] not in STOPS + ANSWERS):
        order["services"] = services
    _read_performer(reading, order, notes)
    if own:
        order["ma_cskcb"] = own
        if order.get("performer") == own:
            del order["performer"]
    if order["action"] != UNREAD and not is_unnamed_order(order):  # which go to nobody, whom they name or not
        tell_nobody(reading, "order", "performer", scope, order, notes)
    diagnosed = patient.others + [segment for group in groups for segment in group.others]
    if diagnoses := read_diagnoses(dialect, diagnosed, notes):
        order["diagnoses"] = diagnoses
    observations: list[Record] = []
    conclusions: list[str] = []
    for group in groups:
        _read_lines(reading, group, observations, conclusions, notes)
    if observations:
        order["observations"] = observations
    said = [*order.get("notes", ()), *_information(reading, groups[1:]), *conclusions]
    if remarks := [*dict.fromkeys(said), *(text for group in groups for text in group.notes)]:
        order["notes"] = remarks
        if label := label_told(dialect, "", "\n".join(remarks)):
            notes.labels.add(label)
    if order["action"] == "REFUSED" and not order.get("reason") and not remarks:
        notes.warn("FIELD_MISSING", reading.message.path(scope["ORC"], _REASON) if "ORC" in scope else f"ORC-{_REASON}")
    key = order.get("placer") or order.get("filler", "")
    reading.publish("hie.LabOrder", order, key, notes, key_path="ORC-2")


def _services(reading: Reading, groups: list[_Group], notes: Notes, *, wanted: bool) -> list[Record]:
    """What is to be done; of what is wanted, a service that nobody can tell is told."""
    found = []
    for group in groups:
        line: Record = {}
        fill(reading.dialect.plans["services"], group.scope, line, notes)
        said = next((group.scope[name] for name in _SERVICES if name in group.scope), None)
        if line:
            found.append(line["services"])
        elif wanted and said is not None:
            notes.warn("TEST_MISSING", reading.message.path(said, _SERVICES[said.name]))
    return found


def _information(reading: Reading, groups: list[_Group]) -> list[str]:
    """What further services of an order say in their OBR."""
    plan = tuple(
        rule
        for rule in reading.dialect.plans["order"]
        if rule.name == "notes" and all(place.segment[:3] == "OBR" for place in rule.places)
    )
    found: list[str] = []
    for group in groups:
        said: Record = {}
        fill(plan, group.scope, said, reading.notes())
        found += said.get("notes", ())
    return found


def _hurry(reading: Reading, scope: Scope, order: Record) -> None:
    """The most urgent service says how soon an order is wanted: one of them in the night, and all of it goes in the urgent lane."""
    plan, notes = reading.dialect.plans["order"], reading.notes()
    other: Record = {}
    fill(tuple(rule for rule in plan if rule.name == "priority"), scope, other, notes)
    tell_priority(plan, scope, other, notes)
    if "priority" in other and ("priority" not in order or _urgency(other["priority"]) > _urgency(order["priority"])):
        order["priority"] = other["priority"]


def _urgency(priority: str) -> int:
    """Of what begins with S or A, the greater one first; of anything else nobody can say."""
    return "AS".find(priority[:1])


def _read_performer(reading: Reading, order: Record, notes: Notes) -> None:
    """Who performs it where no code says so: whose alias stands in MSH-5 and MSH-6. A name there that is nobody's is told, but of
    an answer: its order is found by number, and of what cannot be read nobody knows whether it is one."""
    header = reading.message.header
    named = header.get(_RECEIVER)
    places = (place for rule in reading.dialect.plans["order"] if rule.name == "performer" for place in rule.places)
    reads = any((place.segment, place.field) == ("MSH", _RECEIVER) for place in places)
    if "performer" in order or not reads or not named or named == header.get(4) or named in _HUB:
        return
    if alias := aliased(header.get(_RECEIVER - 1), header.components(_RECEIVER)[:2]):
        order["performer"] = alias[0]
    elif order["action"] not in ANSWERS and order["action"] != UNREAD:
        notes.warn("PERFORMER_UNKNOWN", f"MSH-{_RECEIVER}")


class _Form:
    """What lines of a test have in common, as it was sent and as it is read; see `_read_form`.

    fixed:   their common fields.
    steady:  the same with those that vary, for lines that can be read the short way; None if they cannot.
    varying: of the latter: field of the record, field of OBX, transform.
    """

    __slots__ = ("concludes", "fixed", "label", "sent", "steady", "varying")

    def __init__(self, sent: list[str], fixed: Record, concludes: bool, label: str) -> None:
        self.sent = sent
        self.fixed = fixed
        self.concludes = concludes
        self.label = label
        self.steady: Steady | None = None
        self.varying: tuple[_Varying, ...] = ()


# --- results ----------------------------------------------------------------------------------------------------------


def map_results(reading: Reading, _trigger: str) -> None:
    """One event an OBR with its lines. Refused without OBR and OBX."""
    for patient in _patients(reading.message):
        groups = [group for group in patient.groups if group.has_service or group.lines]
        if not groups:
            continue
        person, noted = _person(reading, patient)
        last = len(groups) - 1
        for position, group in enumerate(groups):
            _publish_result(reading, patient, group, person, noted if position == last else noted.also())
    if not reading.events:
        reading.refuse("NOTHING_REPRESENTABLE", "OBR")


def _publish_result(reading: Reading, patient: _Patient, group: _Group, person: Record, notes: Notes) -> None:
    result: Record = {"person": person, "service": {}}
    scope = group.scope
    if "OBR" not in scope:
        notes.warn("SEGMENT_MISSING", "OBR")
    if group.lines:
        scope["OBX"] = group.lines[0]
    fill(reading.dialect.plans["result"], scope, result, notes)
    tell_beside(reading.dialect.plans["result"], ("sampled_at", "received_in_lab_at", "reported_at"), scope, result, notes)
    if reading.context.facility:
        result["ma_cskcb"] = reading.context.facility
    tell_nobody(reading, "result", "orderer", scope, result, notes)
    conclusions: list[str] = []
    observations: list[Record] = []
    _read_lines(reading, group, observations, conclusions, notes)
    if observations:
        result["observations"] = observations
        if "status" not in result:
            states = {line.get("status", "") for line in observations}
            if len(states) == 1 and (state := states.pop()) in "PFCX" and state:
                result["status"] = state
    if conclusions:
        result["ket_luan"] = "\n".join(conclusions)
    if not group.lines and result.get("status") not in _NO_LINES:  # as it is of one that was cut within OBR, and counts as final
        notes.warn("SEGMENT_MISSING", "OBX")
    if remarks := parents(reading.dialect, scope, notes) + group.notes:
        result["notes"] = result.get("notes", []) + remarks
    key = result.get("placer") or result.get("filler", "")
    if is_unnamed_result(result):
        _tell_unnamed(reading, patient, notes)
    reading.publish("hie.LabResult", result, key, notes, key_path="OBR-2")


def _read_lines(reading: Reading, group: _Group, found: list[Record], conclusions: list[str], notes: Notes) -> None:
    """The OBX of a group, behind those that were found already."""
    silent: list[Segment] = []
    dialect, remarks = reading.dialect, group.remarks
    forms = dialect.forms if reading.message.delimiters is STANDARD else {}
    answered = cache(lambda: any(map(answers, group.lines)))
    text_of = ""  # OBX-3 of the text that the next line may go on with
    for position, segment in enumerate(group.lines):
        fields = segment.fields
        if len(fields) < 6:  # no value: room for all that is looked at by number
            fields = segment.fields = fields + [""] * (6 - len(fields))
        kind, test = fields[2], fields[3]
        if text_of and text_of == test and kind in TEXT:
            _go_on(found[-1], segment, remarks.get(position))
            continue
        sent = _without_values(fields)
        for form in forms.get(test, ()):
            if form.sent == sent:
                break
        else:
            form = _read_form(reading, segment, sent, notes, len(found))
        if form.label:
            notes.labels.add(form.label)
        if form.concludes and concludes(segment, kind, answered):
            text_of = ""
            if text := segment.text(5).strip() if kind in TEXT else " ".join(filter(None, next(iter(segment.coded(5)), []))):
                conclusions.append(text)
            conclusions += remarks.get(position, ())
            continue
        line = _read_plain(fields, form) if form.steady is not None else None
        if line is None:
            line = form.fixed.copy()
            at = f"observations[{len(found)}]."
            fill(dialect.plans["line"], {"OBX": segment}, line, notes, at)
            read_value(segment, kind, line, notes, at, dialect.comma)
        if not form.fixed["code"] and not VALUES.isdisjoint(line):
            notes.warn("TEST_MISSING", notes.message.path(segment, 3))
        if position in remarks:
            line = {**line, "notes": line.get("notes", []) + remarks[position]}
        if is_silent(line, segment, kind):
            silent.append(segment)
        found.append(line)
        text_of = test if kind in TEXT else ""
    tell_silent(silent, group.lines, notes)


def _go_on(before: Record, segment: Segment, remarks: list[str] | None) -> None:
    """A further line of the text before."""
    before["mo_ta"] = f"{before.get('mo_ta', '')}\n{segment.text(5)}"
    if remarks:
        before["notes"] = before.get("notes", []) + remarks


def _without_values(fields: list[str]) -> list[str]:
    """OBX-2 and all behind it, without what differs from one result of a test to the next: there it only says whether it is sent."""
    sent = fields[2:]
    if sent[2]:
        sent[2] = _SENT
    sent[3] = ""
    if len(sent) > 12:
        if sent[12]:
            sent[12] = _SENT
        if len(sent) > 17 and sent[17]:
            sent[17] = _SENT
    return sent


def _read_plain(fields: list[str], form: _Form) -> Record | None:
    """A line read the short way: a plain number, plain fields, the rest as it is known. None: nothing sure, read it in full."""
    value = fields[5]
    if len(value) > 18 or not (value.isdecimal() or value.replace(".", "", 1).isdecimal()):
        return None
    assert form.steady is not None
    line = Varied(form.steady)
    line.steady = form.steady
    for name, field, convert in form.varying:
        raw = fields[field]
        text = raw if convert is None else convert(raw)
        if not text or not (raw.isalnum() or _has_offset(raw)):
            return None
        line[name] = text
    line["gia_tri"] = value
    line["number"] = float(value)
    return line


def _has_offset(time: str) -> bool:
    """Whether it is digits and an offset of UTC, nothing else: 20261123091000+0700."""
    return time[-5:-4] in ("+", "-") and time[:-5].isdecimal() and time[-4:].isdecimal()


def _read_form(reading: Reading, segment: Segment, sent: list[str], notes: Notes, position: int) -> _Form:
    """What does not change from one result of a test to the next.

    Laboratories repeat themselves: the last few forms of a test are remembered, and compared as they were sent.
    """
    dialect, fields = reading.dialect, segment.fields
    own = Notes(notes.message, {}, notes.read_code, notes.facility)
    fixed: Record = {"code": {}}
    at = f"observations[{position}]."
    fill(dialect.plans["observation"], {"OBX": segment}, fixed, own, at)
    tell_state(dialect, segment, fixed, own)
    tell_flags(segment, fixed, own, at)
    concludes = segment.get(3) in dialect.conclusions or segment.get(3, 1, 2) in dialect.conclusions
    form = _Form(sent, fixed, concludes, reading.dialect.labels.gravest(own.labels))
    if own.problems or own.cleared or own.unparsed:
        notes.cleared += own.cleared
        notes.unparsed |= own.unparsed
        for problem in own.problems:
            notes.warn(problem.code, problem.path)
    elif segment.delimiters is STANDARD:
        if fields[2] == "NM" and fields[1] and dialect.line is not None and not dialect.comma and _VALUES.isdisjoint(fixed):
            form.varying = _present(dialect.line, fields)
            names = [*(name for name, _, _ in form.varying), *_VALUES]
            form.steady = Steady({**fixed, **dict.fromkeys(names)}, names)
        if len(dialect.forms) >= SEEN_MAX:
            dialect.forms.clear()
        dialect.forms[fields[3]] = [form, *dialect.forms.get(fields[3], ())[: _FORMS_MAX - 1]]
    return form


def _present(line: Line, fields: list[str]) -> tuple[_Varying, ...]:
    """Of each rule the place that holds a value, if there is one."""
    found = []
    for name, places, convert in line:
        field = next((field for field in places if field < len(fields) and fields[field]), 0)
        if field:
            found.append((name, field, convert))
    return tuple(found)
