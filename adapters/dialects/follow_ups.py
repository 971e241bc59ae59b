"""SIU → `hie.FollowUp` with table XML14. Source: `seeds/standards/hl7-mapping.md` §4.5."""

from collections.abc import Sequence
from typing import Any, Final

from adapters.dialects.paths import PROBLEMS_MAX, Notes, Plan, Scope, choose, fill
from adapters.dialects.persons import in_words, insured_and_diagnosed, read_diagnoses, read_person
from adapters.dialects.reading import Reading, tell_left_early, tell_notes
from adapters.formats.hl7v2 import NULL, Message, Segment

FOLLOW_UP_ACTIONS: Final = {
    "S12": "BOOKED",
    "S13": "MOVED",
    "S14": "MODIFIED",
    "S15": "CANCELLED",
    "S16": "CANCELLED",  # what is left of a series
    "S17": "DELETED",  # it was entered in error
    **dict.fromkeys(("S18", "S19", "S20", "S21", "S22"), "MODIFIED"),  # a service or person more, other or less
    "S26": "NO_SHOW",
}
_WITH_DAY: Final = frozenset({"BOOKED", "MOVED", "MODIFIED"})
_MINUTE: Final = len("yyyymmddHHMM")
_RESOURCES: Final = frozenset({"RGS", "AIS", "AIG", "AIL", "AIP"})  # of the appointment, whichever patient they stand behind
_PERSON: Final = (3, 5)  # fields of PID that say who somebody is
_ONCE: Final[dict[str, tuple[tuple[int, int], ...]]] = {  # fields and components of what a slip has one of, by segment
    "SCH": ((2, 1), (11, 4)),
    "PID": tuple((field, 1) for field in _PERSON),
    "TQ1": ((7, 1),),
    "AIS": ((3, 1), (4, 1)),
    "AIG": ((8, 1),),
    "AIL": ((6, 1),),
    "AIP": ((3, 1), (6, 1)),
}
_TIMES: Final = frozenset({("SCH", 11), ("TQ1", 7), ("AIS", 4), ("AIG", 8), ("AIL", 6), ("AIP", 6)})
_OF_THE_PERSON: Final = (
    "ho_ten", "ngay_sinh", "gioi_tinh", "dia_chi", "ma_the_bhyt", "gt_the_den", "chan_doan_rv", "ma_benh_chinh", "ma_benh_kt",
)  # fmt: skip


def map_follow_up(reading: Reading, trigger: str) -> None:
    """One slip a message, of its first patient: what a further one, or a further resource, has otherwise is told. Refused without SCH."""
    message, dialect = reading.message, reading.dialect
    if message.first("SCH") is None:
        reading.refuse("NOTHING_REPRESENTABLE", "SCH")
        return
    notes = reading.notes()
    segments = _of_first_patient(message)
    scope = reading.scope(segments)

    def named(name: str) -> list[Segment]:
        return [segment for segment in segments if segment.name == name]

    if "OBX" in scope:
        scope |= choose("OBX", named("OBX"))
    if "PID" not in scope:
        notes.warn("SEGMENT_MISSING", "PID")
    person = read_person(reading, scope, named("IN1"), notes)
    content: dict[str, Any] = {"action": FOLLOW_UP_ACTIONS[trigger], "person": person}
    fill(dialect.plans["follow_up"], scope, content, notes)
    if content["action"] in _WITH_DAY and not {"ngay_hen_kl"} & {*content, *notes.unparsed, *notes.cleared}:
        notes.warn("FIELD_MISSING", _day_place(dialect.plans["follow_up"]))
    diagnoses = read_diagnoses(dialect, segments, notes)
    if diagnoses:
        content["diagnoses"] = diagnoses
    if reading.context.facility:
        content["ma_cskcb"] = reading.context.facility
    table: dict[str, Any] = {}
    fill(dialect.plans["xml14"], scope, table, notes, "xml14.")
    tell_left_early(dialect.plans["xml14"], scope, table, notes)
    tell_notes((dialect.plans[name] for name in ("person", "follow_up", "xml14")), scope, notes)
    _tell_differing(scope, message, notes)
    insured_and_diagnosed(table, person, diagnoses, _OF_THE_PERSON)
    for name, value in (
        ("so_giayhen_kl", content.get("slip")),
        ("ma_cskcb", content.get("ma_cskcb")),
        ("ma_lk", content.get("ma_lk")),
        ("ma_bac_si", content.get("ma_bac_si")),
        ("ngay_hen_kl", content.get("ngay_hen_kl", "")[:8]),
    ):
        if value:
            table.setdefault(name, value)
    content["xml14"] = table
    if label := dialect.labels.in_words(f"{in_words(content)}\n{in_words(table)}"):
        notes.labels.add(label)
    reading.publish("hie.FollowUp", content, content.get("slip", ""), notes, key_path="SCH-2")


def _of_first_patient(message: Message) -> Sequence[Segment]:
    """All segments but those behind a PID of somebody else, up to the resources."""
    people = message.segments("PID")
    if len(people) < 2:
        return message.segments_in_order
    first = people[0]
    found = []
    is_first = True
    for segment in message.segments_in_order:
        if segment.name == "PID":
            is_first = not any(_differs(segment, first, field, 1) for field in _PERSON)
        elif segment.name in _RESOURCES:
            is_first = True
        if is_first:
            found.append(segment)
    return found


def _differs(segment: Segment, first: Segment, field: int, component: int) -> bool:
    """Whether something else is stated there than in the first; of two times one may be told shorter."""
    if segment.field(field) in ("", NULL):
        return False
    stated, said = segment.get(field, component).strip(), first.get(field, component).strip()
    if (segment.name, field) in _TIMES and said:
        until = min(_MINUTE, len(stated), len(said))
        stated, said = stated[:until], said[:until]
    return stated not in ("", said)


def _tell_differing(scope: Scope, message: Message, notes: Notes) -> None:
    """That a further patient or resource has another number, name, service, person or time than the first: a slip has one of each."""
    for name, places in _ONCE.items():
        for segment in message.segments(name)[1:]:
            for field, component in places:
                if len(notes.problems) >= PROBLEMS_MAX:  # a path is looked for among all segments of its name
                    return
                if _differs(segment, scope[name], field, component):
                    notes.warn("APPOINTMENT_DIFFERS", message.path(segment, field))


def _day_place(plan: Plan) -> str:
    """Where the day of the appointment should stand first of all."""
    first = next((rule.places[0] for rule in plan if rule.name == "ngay_hen_kl"), None)
    return f"{first.segment}-{first.field}" if first else "SCH-11"
