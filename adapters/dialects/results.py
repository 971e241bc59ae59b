"""Results. ORU, OUL → `hie.LabResult`.

Source: `seeds/standards/hl7-mapping.md` §4.3.
"""

from typing import Final

from adapters.dialects.groups import Group, Patient, Record, of_orc_alone, patients, person_of, tell_unnamed
from adapters.dialects.lines import read_lines
from adapters.dialects.observed import parents
from adapters.dialects.paths import Notes, fill
from adapters.dialects.persons import label_told
from adapters.dialects.reading import Reading, keep_words, tell_beside, tell_nobody
from hub.contract.unnamed import is_unnamed_result

_NO_LINES: Final = ("P", "X")  # states of results that may have none: there is nothing yet, or no more


def map_results(reading: Reading, _trigger: str) -> None:
    """One event an OBR with its lines. Refused without OBR and OBX."""
    for patient in patients(reading.message):
        groups = [group for group in patient.groups if group.has_service or group.lines]
        if not groups:
            continue
        person, noted = person_of(reading, patient)
        last = len(groups) - 1
        for position, group in enumerate(groups):
            _publish_result(reading, patient, group, person, noted if position == last else noted.also())
    if not reading.events:
        reading.refuse("NOTHING_REPRESENTABLE", "OBR")


def _publish_result(reading: Reading, patient: Patient, group: Group, person: Record, notes: Notes) -> None:
    result: Record = {"person": person, "service": {}}
    scope = group.scope
    if "OBR" not in scope:
        notes.warn("SEGMENT_MISSING", "OBR")
    if group.lines:
        scope["OBX"] = group.lines[0]
    fill(reading.dialect.plans["result"], scope, result, notes)
    if group.above:
        for name in ("placer", "orderer"):
            if name not in result:
                fill(of_orc_alone(reading.dialect.plans["result"], name), group.above, result, notes)
    tell_beside(reading.dialect.plans["result"], ("sampled_at", "received_in_lab_at", "reported_at"), scope, result, notes)
    keep_words(reading.dialect.plans["result"], scope, result, notes)
    if reading.context.facility:
        result["ma_cskcb"] = reading.context.facility
    if label := label_told(reading.dialect, "", "\n".join(result.get("notes", ()))):
        notes.labels.add(label)
    tell_nobody(reading, "result", "orderer", scope, result, notes)
    conclusions: list[str] = []
    observations: list[Record] = []
    read_lines(reading, group, observations, conclusions, notes)
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
        tell_unnamed(reading, patient, notes)
    reading.publish("hie.LabResult", result, key, notes, key_path="OBR-2")
