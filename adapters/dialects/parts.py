"""What single tests of an order say otherwise than its first one: their own tube, time, urgency, doctor, notes → `hie.OrderPart`."""

from typing import Any, Final

from adapters.dialects.groups import Group, Record
from adapters.dialects.paths import Notes, Place, Plan, Rule, Scope, fill, place_of
from adapters.dialects.reading import Reading, keep_words, tell_priority
from adapters.formats.hl7v2 import Segment

TUBE: Final = ("specimen_type", "specimen_name", "specimen_id")
"""What an order or one of its tests says of a specimen. It goes together: code, words and number of two are no tube."""

_CARRIED: Final = frozenset(
    {"filler", "ordered_at", "ma_bac_si", "sampled_at", "reason"}.union(TUBE)
)  # beside priority and notes
_OF_THE_ORDER: Final = frozenset({"placer", "action", "services", "priority"})  # what groups it, or is looked at by itself
NUMBERS: Final = frozenset({"placer", "filler"})


def read_parts(
    reading: Reading, groups: list[Group], scope: Scope, order: Record, services: list[Record | None], notes: Notes
) -> list[Record]:
    """What the tests of an order have of their own. What differs and has no place in a part is told.

    scope:    of the order, as its first group says it.
    order:    so far. It becomes as urgent as its most urgent test, since with one of them in the night all of it goes in the urgent
              lane, and gets the clinical information of all.
    services: of each group; None where it names none.
    """
    plan = reading.dialect.plans["order"]
    for group in groups:
        _tell_numbers(reading, plan, group.scope, notes)
    if len(groups) == 1:
        return []
    first = order.copy()
    urgencies = [first.get("priority", "")]
    parts: list[Record] = [{}]
    informed: list[str] = []
    for group, service in zip(groups[1:], services[1:], strict=True):
        own = {name: segment for name, segment in group.scope.items() if scope.get(name) is not segment}
        said: Record = {}
        noted = reading.notes()
        fill(plan, own, said, noted)
        tell_priority(plan, own, said, noted)
        keep_words(plan, own, said, notes)
        urgencies.append(said.get("priority", ""))
        part: Record = {}
        information: list[str] = []
        for rule in _differing(reading, plan, scope, own, first, said):
            if rule.name in _CARRIED and service:
                part[rule.name] = said[rule.name]
            elif rule.name == "notes" and all(place.segment[:3] == "OBR" for place in rule.places):
                information = [text for text in said["notes"] if text not in first.get("notes", ())]
            else:
                notes.warn("ORDER_DIFFERS", _place(reading, rule, own, said[rule.name]))
        if "specimen_type" in part or "specimen_name" in part:
            part |= {
                name: said[name] for name in TUBE if name in said
            }  # also what the order's has: a tube of another kind may share it
        informed += information
        if remarks := information + group.notes:
            part["notes"] = remarks
        parts.append(part)
    if informed:
        order["notes"] = [*dict.fromkeys([*order.get("notes", ()), *informed])]
    if urgency := max(urgencies, key=_urgency):
        order["priority"] = urgency
    found: list[Record] = []
    number = 0
    for service, part, stated in zip(services, parts, urgencies, strict=True):
        if not service:
            continue
        number += 1
        if stated and stated != urgency:
            part["priority"] = stated
        if part:
            found.append({"number": number, **part})
    return found


def _differing(reading: Reading, plan: Plan, scope: Scope, own: Scope, first: Record, said: Record) -> list[Rule]:
    """The rules by which a test says otherwise. Where the order has it by an ORC, and this test has none, its OBR is compared with the
    first one's."""
    found = [
        rule for rule in plan if rule.name in said and rule.name not in _OF_THE_ORDER and said[rule.name] != first.get(rule.name)
    ]
    if not found:
        return []
    alike: Record = {}
    unheard = Notes(reading.message, {}, reading.read_code, reading.context.facility)  # as it was told when the order was read
    fill(plan, {name: segment for name, segment in scope.items() if name in own}, alike, unheard)
    return [rule for rule in found if said[rule.name] != alike.get(rule.name)]


def _urgency(priority: str) -> tuple[bool, int]:
    """Of what begins with S or A, the greater one first; of anything else nobody can say, but that it is more than nothing."""
    return priority != "", "AS".find(priority[:1])


def _place(reading: Reading, rule: Rule, scope: Scope, value: Any) -> str:
    found = place_of(value, rule, scope) if isinstance(value, str) else None
    first = rule.places[0]
    return reading.message.path(*found) if found else f"{first.segment}-{first.field}"


def _tell_numbers(reading: Reading, plan: Plan, scope: Scope, notes: Notes) -> None:
    """That ORC and OBR have different numbers in one place (ORC-2 and OBR-2): the order goes by the first that the profile names."""
    control, request = scope.get("ORC"), scope.get("OBR")
    if control is None or request is None:
        return
    for rule in plan:
        fields = {place.field for place in rule.places if place.segment == "ORC"} if rule.name in NUMBERS else ()
        for place in rule.places:
            if place.segment == "OBR" and place.field in fields:
                ordered, requested = _number(rule, place, control), _number(rule, place, request)
                if ordered and requested and ordered != requested:
                    notes.warn("ORDER_DIFFERS", reading.message.path(request, place.field))


def _number(rule: Rule, place: Place, segment: Segment) -> str:
    stated = segment.get(place.field, place.component, place.subcomponent).strip()
    return stated if rule.transform is None else rule.transform.function(stated) or ""
