"""ADT of persons → `hie.Registration`: registered, changed, merged, moved, linked. Source: `hl7-mapping.md` §4; HL7 v2.5.1 §3.6.

A merge never touches what was sent under the old number: it says that the numbers in `merged` mean this person from now on.
"""

from collections.abc import Sequence
from typing import Any, Final

from adapters.dialects.encounters import map_encounter
from adapters.dialects.paths import Notes, fill
from adapters.dialects.persons import read_allergies, read_identifiers, read_person
from adapters.dialects.reading import Reading
from adapters.formats.hl7v2 import NULL, Segment

_MERGES: Final = ("A18", "A30", "A34", "A35", "A36", "A39", "A40", "A41", "A42")
_RENAMES: Final = ("A46", "A47", "A48", "A49", "A50", "A51")  # the old number means what the new one does, as in a merge
REGISTRATION_ACTIONS: Final = {
    "A28": "REGISTERED",
    "A29": "DELETED",
    "A31": "UPDATED",
    "A60": "UPDATED",  # allergies
    "A24": "LINKED",
    "A37": "UNLINKED",
    **dict.fromkeys(_MERGES + _RENAMES, "MERGED"),
    **dict.fromkeys(("A43", "A44", "A45"), "MOVED"),
}
_MERGED_NUMBERS: Final = (1, 2, 4)  # of MRG
_MERGED_VISITS: Final = (3, 5)
_NUMBER_TYPES: Final = ("MRN", "TEMP", "")  # what is the patient's number at the facility, the surest first


def map_registration(reading: Reading, trigger: str) -> None:
    """One event a person: a merge may name several (PID with MRG), a link names two, told as one event of the first.

    Refused: nobody (PID), a merge of nothing (MRG), a link to nobody (the second PID).
    """
    message, action = reading.message, REGISTRATION_ACTIONS[trigger]
    persons = message.groups("PID")
    if not persons:
        reading.refuse("NOTHING_REPRESENTABLE", "PID")
    elif action in ("LINKED", "UNLINKED"):
        if len(persons) > 1:
            _publish(reading, action, persons[0], persons[1:])
        else:
            reading.refuse("NOTHING_REPRESENTABLE", "PID[2]")
    elif action in ("MERGED", "MOVED"):
        merging = [segments for segments in persons if any(_merges(segment) for segment in segments)]
        for segments in merging:
            _publish(reading, action, segments)
        if not merging:
            reading.refuse("NOTHING_REPRESENTABLE", "MRG")
    else:
        for segments in persons:
            _publish(reading, action, segments)


def map_updated(reading: Reading, trigger: str) -> None:
    """A08: the visit, or the person alone where no visit is named."""
    message = reading.message
    of_person = message.first("PID") is not None and message.first("PV1") is None and not message.get("PID", 18)
    if of_person:
        map_registration(reading, "A31")
    else:
        map_encounter(reading, trigger)


def map_class_changed(reading: Reading, trigger: str) -> None:
    """A06, A07: the visit; with MRG the person has another number now, which is told besides."""
    map_encounter(reading, trigger)
    for segments in reading.message.groups("PID"):
        if any(_merges(segment) for segment in segments):
            _publish(reading, "MERGED", segments)


def _merges(segment: Segment) -> bool:
    return segment.name == "MRG" and any(segment.field(field) not in ("", NULL) for field in (*_MERGED_NUMBERS, *_MERGED_VISITS))


def _publish(reading: Reading, action: str, segments: Sequence[Segment], others: Sequence[Sequence[Segment]] = ()) -> None:
    notes = reading.notes()
    scope = reading.scope(segments)
    person = read_person(reading, scope, [segment for segment in segments if segment.name == "IN1"], notes)
    content: dict[str, Any] = {"action": action, "person": person}
    fill(reading.dialect.plans["registration"], scope, content, notes)
    if allergies := read_allergies(reading, segments, notes):
        content["allergies"] = allergies
    if reading.context.facility:
        content["ma_cskcb"] = reading.context.facility
    if number := _number(person):
        content["number"] = number
    _add_merged(reading, content, segments, notes)
    linked = [number for other in others for number in _numbers(reading, other, notes)]
    if linked:
        content["linked"] = linked
    reading.publish("hie.Registration", content, number, notes, key_path="PID-3")


def _number(person: dict[str, Any]) -> str:
    identifiers = person.get("identifiers", ())
    for kind in _NUMBER_TYPES:
        for identifier in identifiers:
            if identifier.get("type", "") == kind:
                return str(identifier["normalised"])
    return ""


def _numbers(reading: Reading, segments: Sequence[Segment], notes: Notes) -> list[dict[str, Any]]:
    pid = segments[0]
    for fields in reading.dialect.identifiers.lists:
        if found := read_identifiers(reading, [(pid, field) for field in fields], notes, "linked"):
            return found
    return []


def _add_merged(reading: Reading, content: dict[str, Any], segments: Sequence[Segment], notes: Notes) -> None:
    merged = [segment for segment in segments if segment.name == "MRG"]
    places = [(segment, field) for segment in merged for field in _MERGED_NUMBERS]
    if numbers := read_identifiers(reading, places, notes, "merged"):
        content["merged"] = numbers
    if visits := [value for segment in merged for field in _MERGED_VISITS if (value := segment.get(field).strip())]:
        content["merged_visits"] = list(dict.fromkeys(visits))
