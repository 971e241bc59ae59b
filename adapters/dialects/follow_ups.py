"""SIU → `hie.FollowUp` with table XML14. Source: `seeds/standards/hl7-mapping.md` §4.5."""

from typing import Any, Final

from adapters.dialects.paths import Plan, choose, fill
from adapters.dialects.persons import in_words, insured_and_diagnosed, read_diagnoses, read_person
from adapters.dialects.reading import Reading, tell_left_early, tell_notes

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
_OF_THE_PERSON: Final = (
    "ho_ten", "ngay_sinh", "gioi_tinh", "dia_chi", "ma_the_bhyt", "gt_the_den", "chan_doan_rv", "ma_benh_chinh", "ma_benh_kt",
)  # fmt: skip


def map_follow_up(reading: Reading, trigger: str) -> None:
    """One slip a message; refused without SCH."""
    message, dialect = reading.message, reading.dialect
    if message.first("SCH") is None:
        reading.refuse("NOTHING_REPRESENTABLE", "SCH")
        return
    notes = reading.notes()
    scope = reading.scope(message)
    if "OBX" in scope:
        scope |= choose("OBX", message.segments("OBX"))
    if "PID" not in scope:
        notes.warn("SEGMENT_MISSING", "PID")
    person = read_person(reading, scope, message.segments("IN1"), notes)
    content: dict[str, Any] = {"action": FOLLOW_UP_ACTIONS[trigger], "person": person}
    fill(dialect.plans["follow_up"], scope, content, notes)
    if content["action"] in _WITH_DAY and not {"ngay_hen_kl"} & {*content, *notes.unparsed, *notes.cleared}:
        notes.warn("FIELD_MISSING", _day_place(dialect.plans["follow_up"]))
    diagnoses = read_diagnoses(dialect, message.segments("DG1"), notes)
    if diagnoses:
        content["diagnoses"] = diagnoses
    if reading.context.facility:
        content["ma_cskcb"] = reading.context.facility
    table: dict[str, Any] = {}
    fill(dialect.plans["xml14"], scope, table, notes, "xml14.")
    tell_left_early(dialect.plans["xml14"], scope, table, notes)
    tell_notes((dialect.plans[name] for name in ("person", "follow_up", "xml14")), scope, notes)
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


def _day_place(plan: Plan) -> str:
    """Where the day of the appointment should stand first of all."""
    first = next((rule.places[0] for rule in plan if rule.name == "ngay_hen_kl"), None)
    return f"{first.segment}-{first.field}" if first else "SCH-11"
