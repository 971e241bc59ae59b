"""SIU → `hie.FollowUp` with table XML14. Source: `seeds/standards/hl7-mapping.md` §4.5."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise, takewhile
from typing import Any, Final

from adapters.dialects.paths import PROBLEMS_MAX, Notes, Plan, Scope, choose, fill
from adapters.dialects.persons import in_words, insured_and_diagnosed, read_diagnoses, read_person
from adapters.dialects.reading import Reading, tell_left_early, tell_notes
from adapters.dialects.registrations import number_of
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
_RESOURCES: Final = frozenset({"RGS", "AIS", "AIG", "AIL", "AIP"})
_MINUTE: Final = len("yyyymmddHHMM")
_ONCE: Final[
    dict[str, tuple[tuple[int, int | None], ...]]
] = {  # what a slip has one of, by segment: fields, and how many characters of them tell two apart
    "TQ1": ((7, _MINUTE),),
    "AIS": ((3, None), (4, _MINUTE)),
    "AIG": ((8, _MINUTE),),
    "AIL": ((6, _MINUTE),),
    "AIP": ((3, None), (6, _MINUTE)),
}
_OF_THE_PERSON: Final = (
    "ho_ten", "ngay_sinh", "gioi_tinh", "dia_chi", "ma_the_bhyt", "gt_the_den", "chan_doan_rv", "ma_benh_chinh", "ma_benh_kt",
)  # fmt: skip


def map_follow_up(reading: Reading, trigger: str) -> None:
    """One slip a patient of each SCH; refused without SCH."""
    if reading.message.first("SCH") is None:
        reading.refuse("NOTHING_REPRESENTABLE", "SCH")
        return
    for segments in _appointments(reading.message):
        slips = [_read(reading, trigger, own) for own in _of_each_patient(reading, segments)]
        numbers = Counter(content.get("slip", "") for content, _ in slips)
        for content, notes in slips:
            key = slip = content.get("slip", "")
            if slip and numbers[slip] > 1:  # SCH has one number for all, and what is said of one is not said of the other
                notes.warn("NUMBER_SHARED", "SCH-2")
                number = number_of(content["person"]) or content.get("ma_lk", "")
                key = f"{slip}/{number}" if number else ""
            reading.publish("hie.FollowUp", content, key, notes, key_path="SCH-2")


def _appointments(message: Message) -> list[list[Segment]]:
    """The segments of each SCH, of which HL7 has one in a message; what stands before the first is of it too."""
    first, *others = message.groups("SCH")
    before = takewhile(lambda segment: segment.name != "SCH", message.segments_in_order)
    return [[*before, *first], *others]


def _of_each_patient(reading: Reading, segments: list[Segment]) -> list[list[Segment]]:
    """The segments of each PID with what all have in common: what stands before the first one, and the resources behind the last.

    Who writes resources behind each PID means them for that one. Of what is in common only the first has more than what rules look at.
    """
    starts = [number for number, segment in enumerate(segments) if segment.name == "PID"]
    if len(starts) < 2:
        return [segments]
    resources = next((number for number, segment in enumerate(segments) if segment.name in _RESOURCES), 0)
    end = resources if resources > starts[-1] else len(segments)
    runs = [segments[start:until] for start, until in pairwise([*starts, end])]
    before, behind = segments[: starts[0]], segments[end:]
    common, shared = reading.scope(before).values(), reading.scope(behind).values()
    return [[*before, *runs[0], *behind], *([*common, *run, *shared] for run in runs[1:])]


def _read(reading: Reading, trigger: str, segments: list[Segment]) -> tuple[dict[str, Any], Notes]:
    dialect = reading.dialect
    notes = reading.notes()
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
    tell_notes((dialect.plans[name] for name in ("person", "follow_up", "xml14")), scope, named("NTE"), notes)
    _tell_differing(scope, segments, notes)
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
    return content, notes


def _tell_differing(scope: Scope, segments: Iterable[Segment], notes: Notes) -> None:
    """That a further resource has another service, person or time than the first: a slip has one of each."""
    for segment in segments:
        if segment.name not in _ONCE or segment is scope[segment.name]:
            continue
        for field, characters in _ONCE[segment.name]:
            stated = segment.field(field)[:characters]
            differs = stated not in ("", NULL, scope[segment.name].field(field)[:characters])
            if differs and len(notes.problems) < PROBLEMS_MAX:  # a path is looked for among all segments of its name
                notes.warn("APPOINTMENT_DIFFERS", notes.message.path(segment, field))


def _day_place(plan: Plan) -> str:
    """Where the day of the appointment should stand first of all."""
    first = next((rule.places[0] for rule in plan if rule.name == "ngay_hen_kl"), None)
    return f"{first.segment}-{first.field}" if first else "SCH-11"
