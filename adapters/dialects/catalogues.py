"""MFN^M02, M04, M05, M08 to M13 → `hie.CatalogueChange`, one event an MFE. Source: `seeds/standards/hl7-mapping.md` §4.8.

Local segments, all beginning with a set id:

    ZPR  practitioner  2 scope codes (repeats); 3 weekly hours as day^from^to (1 Monday; repeats); 4, 5 registration from, to
    ZLO  location      2 MA_KHOA; 3 bed type (H, T, C, K); 4 beds planned; 5 beds in place
    ZMA  machine       2 MA_MAY; 3 modality; 4 funding; 5 serial number; 6 MA_CSKCB; 7, 8 valid from, to
"""

from typing import Any, Final

from adapters.dialects.paths import choose, fill
from adapters.dialects.reading import Reading
from adapters.dialects.runs import firsts, patients
from adapters.formats.hl7v2 import Segment

Record = dict[str, Any]

_CATALOGUES: Final = {
    "M02": "PRACTITIONER",
    "M04": "PRICE",
    "M05": "LOCATION",
    "M08": "SERVICE",
    "M09": "SERVICE",
    "M10": "SERVICE",
    "M11": "SERVICE",
    "M12": "SERVICE",
    "M13": "MACHINE",
}
TRIGGERS: Final = frozenset(_CATALOGUES)
_LISTS: Final = ("services", "specialities")  # of a location: each of its departments (LDP) adds to them


def map_catalogue(reading: Reading, trigger: str) -> None:
    """Refused without MFE; in M13 an entry is a machine (ZMA), and one without is not representable."""
    catalogue = _CATALOGUES[trigger]
    entries = [run for patient in patients(reading.message, lambda name, _: name == "MFE") for run in patient.runs]
    for run in entries:
        if catalogue != "MACHINE" or any(segment.name == "ZMA" for segment in run):
            _publish(reading, catalogue, run)
    if not reading.events:
        reading.refuse("NOTHING_REPRESENTABLE", "ZMA" if entries else "MFE")


def _publish(reading: Reading, catalogue: str, run: list[Segment]) -> None:
    notes, plans = reading.notes(), reading.dialect.plans
    scope = {"MSH": reading.message.header, **firsts(run)}
    for name in ("LCH", "LRL"):
        scope |= choose(name, [segment for segment in run if segment.name == name])
    entry: Record = {"catalogue": catalogue, "code": {}}
    own = plans[catalogue.lower()]
    fill(plans["catalogue"], scope, entry, notes)
    fill(own, scope, entry, notes)
    for department in [segment for segment in run if segment.name == "LDP"][1:]:
        more: Record = {}
        fill(tuple(rule for rule in own if rule.name in _LISTS), {"LDP": department}, more, notes)
        for name, values in more.items():
            entry[name] = list(dict.fromkeys([*entry.get(name, []), *values]))
    entry.setdefault("action", "UPDATED")
    if reading.context.facility:
        entry["ma_cskcb"] = reading.context.facility
    key = f"{catalogue}/{entry['entry']}" if entry.get("entry") else ""
    reading.publish("hie.CatalogueChange", entry, key, notes, key_path=reading.message.path(run[0], 4))
