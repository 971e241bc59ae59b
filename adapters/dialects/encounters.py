"""ADT A01, A03, A04, A08 → `hie.Encounter`. Source: `seeds/standards/hl7-mapping.md` §3.2–3.3 and §4."""

from typing import Any, Final

from adapters.dialects.paths import choose, fill
from adapters.dialects.persons import read_diagnoses, read_person
from adapters.dialects.reading import Reading

_ACTIONS: Final = {"A01": "OPENED", "A04": "OPENED", "A03": "CLOSED", "A08": "UPDATED"}


def map_encounter(reading: Reading, trigger: str) -> None:
    """One event a message; refused without a PID, as nobody came."""
    message, dialect = reading.message, reading.dialect
    if message.first("PID") is None:
        reading.refuse("NOTHING_REPRESENTABLE", "PID")
        return
    notes = reading.notes()
    scope = reading.scope(message)
    if "OBX" in scope:
        scope |= choose("OBX", message.segments("OBX"))
    content: dict[str, Any] = {"action": _ACTIONS[trigger], "person": read_person(reading, scope, message.segments("IN1"), notes)}
    fill(dialect.plans["encounter"], scope, content, notes)
    if diagnoses := read_diagnoses(dialect, message.segments("DG1"), notes):
        content["diagnoses"] = diagnoses
    if reading.context.facility:
        content["ma_cskcb"] = reading.context.facility
    codes = dialect.codes
    kind = content.get("patient_class", "")
    form = codes["care_form"].get(f"{kind}/{message.get('PV1', 18)}") or codes["care_form"].get(kind)
    if form:
        content.setdefault("ma_loai_kcb", form)
    if kind == "E":
        content.setdefault("ma_doituong_kcb", "2")
    if died := codes["death"].get(message.get("PV1", 36)):
        content.setdefault("ket_qua_dtri", died)
    reading.publish("hie.Encounter", content, content.get("ma_lk", ""), notes, key_path="PV1-19")
