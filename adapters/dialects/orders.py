"""Orders. ORM, OML, OMG, OMI → `hie.LabOrder`.

Source: `seeds/standards/hl7-mapping.md` §4.2.
"""

from typing import Final

from adapters.dialects.groups import ORDER_SEGMENTS, Group, Patient, Record, of_orc_alone, patients, person_of, tell_unnamed
from adapters.dialects.lines import read_lines
from adapters.dialects.parts import NUMBERS, read_parts
from adapters.dialects.paths import Notes, Plan, Scope, fill
from adapters.dialects.persons import label_told, read_diagnoses
from adapters.dialects.profile import aliased
from adapters.dialects.reading import Reading, keep_words, tell_beside, tell_nobody, tell_priority
from hub.contract.unnamed import ANSWERS, STOPS, UNREAD, is_unnamed_order

_NEW: Final = "PLACED"  # what is said of an order by default
_PRIOR: Final = "PR"  # ORC-1, table 0119: previous results with a new order
_STATUS, _COMPLETED = 5, "CM"  # of ORC, table 0038: what SC says in full
_UNKNOWN_CLASS: Final = "U"  # PV1-2, which is required even of those who do not know
_RECEIVER: Final = 6  # of MSH: the receiving facility, behind its application
_HUB: Final = ("HUB", "HIE")  # what senders call the hub there
_LOCAL: Final = "Z"  # how names of local segments begin
_SERVICES: Final = {"OBR": 4, "RXO": 1, "RXE": 2}  # where the test, or the drug, of an order stands
_REASON: Final = 16  # of ORC


def map_orders(reading: Reading, _trigger: str) -> None:
    """One event an action of a placer number: several OBR under one number are services of one order, and what is said of one of
    them alone (CA beside NW) is an event of its own. Refused without ORC and OBR."""
    for patient in patients(reading.message):
        groups = _ordered(patient)
        if not groups:
            continue
        person, noted = person_of(reading, patient)
        orders: list[tuple[list[Group], str]] = []
        for order in _by_number(reading, groups):
            said = _by_action(reading, order)
            named = _named_performer(reading, order) if len(said) > 1 else ""
            orders += [(together, named) for together in said]
        _tell_diagnosed_last(reading, patient, [together for together, _ in orders])
        for together, named in orders:
            _publish_order(reading, patient, together, named, person, noted.also())
    if not reading.events:
        reading.refuse("NOTHING_REPRESENTABLE", "ORC")


def _tell_diagnosed_last(reading: Reading, patient: Patient, orders: list[list[Group]]) -> None:
    """That of several orders the last alone has a diagnosis, which its sender may have meant for all: by HL7 it is of that one."""
    *before, last = ([segment for group in order for segment in group.others] for order in orders)
    if before and last and not patient.others and not any(before):
        reading.notes().warn("DIAGNOSIS_OF_LAST", reading.message.path(last[0]))


def _ordered(patient: Patient) -> list[Group]:
    """The orders of a patient, without earlier results that one repeats (OML, OMG). What an ORC says holds for each OBR up to the
    next ORC, but for the numbers of an OBR that has its own."""
    found: list[Group] = []
    is_prior = False
    for group in patient.groups:
        if (control := group.scope.get("ORC")) is not None:
            is_prior = control.get(1) == _PRIOR
        if not is_prior and not ORDER_SEGMENTS.isdisjoint(group.scope):
            found.append(group)
    return found


def _by_number(reading: Reading, groups: list[Group]) -> list[list[Group]]:
    """Groups of the same order: those of one placer (else filler) number, and an OBR without number that follows its ORC."""
    rules = tuple(rule for rule in reading.dialect.plans["order"] if rule.name in NUMBERS)
    found: dict[str, list[Group]] = {}
    last = ""
    for position, group in enumerate(groups):
        numbers: Record = {}
        _fill_numbers(rules, group, numbers, reading.notes())
        number = numbers.get("placer") or numbers.get("filler") or ""
        if not number:
            number = last if last and "ORC" not in group.scope else f"\0{position}"
        last = number
        found.setdefault(number, []).append(group)
    return list(found.values())


def _fill_numbers(rules: Plan, group: Group, into: Record, notes: Notes) -> None:
    """The numbers of an order: its own, not those of another test; but where a profile says that ORC alone has the placer's, the one above."""
    fill(rules, group.scope, into, notes)
    if group.above and "placer" not in into:
        fill(of_orc_alone(rules, "placer"), group.above, into, notes)


def _by_action(reading: Reading, groups: list[Group]) -> list[list[Group]]:
    """Groups of one order of which the same is said; an OBR without an ORC goes on with the one before it, if that is under the same ORC."""
    if len(groups) == 1:
        return [groups]
    names = tuple(rule for rule in reading.dialect.plans["order"] if rule.name == "action")
    local = _with_local({}, groups)
    found: dict[str, list[Group]] = {}
    last, before = "", None
    for group in groups:
        said: Record = {}
        notes = reading.notes()
        ruled = _ruled(group)
        goes_on = last != "" and ("ORC" not in ruled or ruled["ORC"] is before)
        fill(names, local | (group.scope if goes_on else ruled), said, notes)
        unread = notes.unparsed.get("action", "")
        if not goes_on or "action" in said or unread:
            last = said.get("action") or (f"\0{unread}" if unread else _NEW)
        before = ruled.get("ORC", before)
        found.setdefault(last, []).append(group)
    return list(found.values())


def _ruled(group: Group) -> Scope:
    """The segments of an order with the ORC that speaks of it, be it one further up."""
    return group.above | group.scope if group.above else group.scope


def _with_local(scope: Scope, groups: list[Group]) -> Scope:
    """With local segments behind any of its services: what a sender says of the order itself may stand behind the last."""
    whole = scope.copy()
    for group in groups:
        for name, segment in group.scope.items():
            if name[0] == _LOCAL:
                whole.setdefault(name, segment)
    return whole


def _publish_order(reading: Reading, patient: Patient, groups: list[Group], performer: str, person: Record, notes: Notes) -> None:
    """performer: whom the order names beside what is said here of some of its tests alone; "" for nobody."""
    dialect, own = reading.dialect, reading.context.facility
    order: Record = {"person": person}
    scope = _with_local(_ruled(groups[0]), groups)
    _fill_order(reading, patient, groups[0], scope, order, notes)
    tell_priority(dialect.plans["order"], scope, order, notes)
    tell_beside(dialect.plans["order"], ("ordered_at",), scope, order, notes)
    keep_words(dialect.plans["order"], scope, order, notes)
    order.setdefault("action", UNREAD if "action" in notes.unparsed else _NEW)
    if order["action"] == "IN_PROGRESS":
        controls = (_ruled(group).get("ORC") for group in groups)
        states = {control.get(_STATUS).strip().upper() for control in controls if control is not None}
        order["action"] = "COMPLETED" if states == {_COMPLETED} else "IN_PROGRESS"
    services = _services(reading, groups, notes, wanted=order["action"] not in STOPS + ANSWERS)
    if parts := read_parts(reading, groups, scope, order, services, notes):
        order["parts"] = parts
    if named := list(filter(None, services)):
        order["services"] = named
    if order["action"] == _NEW and not any(group.has_service for group in groups):
        notes.warn("SEGMENT_MISSING", "OBR")
    if is_unnamed_order(order):
        tell_unnamed(reading, patient, notes)
    if order.get("patient_class") == _UNKNOWN_CLASS:
        del order["patient_class"]
    if performer and not _named_performer(reading, groups[:1]):
        order["performer"] = performer
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
    for group in groups[1:]:
        if group.lines:  # an event has no place that says of which test they are
            notes.warn("ORDER_DIFFERS", reading.message.path(group.lines[0]))
    for group in groups:
        read_lines(reading, group, observations, conclusions, notes)
    if observations:
        order["observations"] = observations
    said = [*order.get("notes", ()), *conclusions]
    if remarks := [*dict.fromkeys(said), *(text for group in groups for text in group.notes)]:
        order["notes"] = remarks
        if label := label_told(dialect, "", "\n".join(remarks)):
            notes.labels.add(label)
    if order["action"] == "REFUSED" and not order.get("reason") and not remarks:
        notes.warn("FIELD_MISSING", reading.message.path(scope["ORC"], _REASON) if "ORC" in scope else f"ORC-{_REASON}")
    key = order.get("placer") or order.get("filler", "")
    reading.publish("hie.LabOrder", order, key, notes, key_path="ORC-2")


def _fill_order(reading: Reading, patient: Patient, group: Group, scope: Scope, order: Record, notes: Notes) -> None:
    """What a group says of its order. Under an ORC further up its own segments come first, and what they leave open that ORC says.

    scope: of the group, with that ORC and local segments.
    """
    plan = reading.dialect.plans["order"]
    if group.above:
        _fill_numbers(tuple(rule for rule in plan if rule.name in NUMBERS), group, order, notes)
        plan = tuple(rule for rule in plan if rule.name not in NUMBERS)
        shared = {name: segment for name, segment in patient.head.items() if name != "SPM"} | group.above
        fill(plan, {name: segment for name, segment in scope.items() if shared.get(name) is not segment}, order, notes)
        plan = tuple(rule for rule in plan if rule.name not in order and rule.name not in notes.cleared)
    fill(plan, scope, order, notes)


def _services(reading: Reading, groups: list[Group], notes: Notes, *, wanted: bool) -> list[Record | None]:
    """What is to be done, group by group; of what is wanted, a service that nobody can tell is told."""
    found: list[Record | None] = []
    for group in groups:
        line: Record = {}
        fill(reading.dialect.plans["services"], group.scope, line, notes)
        found.append(line.get("services"))
        said = next((group.scope[name] for name in _SERVICES if name in group.scope), None)
        if wanted and not line and said is not None:
            notes.warn("TEST_MISSING", reading.message.path(said, _SERVICES[said.name]))
    return found


def _named_performer(reading: Reading, groups: list[Group]) -> str:
    """Who performs an order as the first of its groups says it that does, by itself and not by MSH, which is of all; "" if none does."""
    plan = tuple(rule for rule in reading.dialect.plans["order"] if rule.name == "performer")
    for group in groups:
        said: Record = {}
        for segments in (group.scope, group.above):
            fill(plan, {name: segment for name, segment in segments.items() if name != "MSH" and not said}, said, reading.notes())
        if "performer" in said:
            return str(said["performer"])
    return ""


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
