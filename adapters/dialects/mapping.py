"""A message of HL7 v2 to events: which part of this folder reads which type."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from adapters.dialects.catalogues import TRIGGERS as _MFN
from adapters.dialects.catalogues import map_catalogue
from adapters.dialects.charges import map_charges
from adapters.dialects.documents import TRIGGERS as _MDM
from adapters.dialects.documents import map_document
from adapters.dialects.encounters import ENCOUNTER_ACTIONS, map_encounter
from adapters.dialects.follow_ups import FOLLOW_UP_ACTIONS, map_follow_up
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.orders import map_orders
from adapters.dialects.prescriptions import map_prescriptions
from adapters.dialects.profile import Dialect
from adapters.dialects.reading import Reading
from adapters.dialects.referrals import REFERRAL_ACTIONS, map_answered, map_issued
from adapters.dialects.registrations import REGISTRATION_ACTIONS, map_class_changed, map_registration, map_updated
from adapters.dialects.resources import map_observed
from adapters.dialects.results import map_results
from adapters.formats.hl7v2 import STANDARD, Message, Segment

_MAPPERS: Final[dict[str, Callable[[Reading, str], None]]] = {
    **{f"ADT^{trigger}": map_encounter for trigger in ENCOUNTER_ACTIONS},
    **{f"ADT^{trigger}": map_registration for trigger in REGISTRATION_ACTIONS},
    "ADT^A06": map_class_changed,
    "ADT^A07": map_class_changed,
    "ADT^A08": map_updated,
    **dict.fromkeys(("ORM^O01", "OML^O21", "OML^O33", "OML^O35", "OML^O39", "OMG^O19", "OMI^O23"), map_orders),
    **dict.fromkeys(("ORU^R01", "ORU^R30", "ORU^R31", "ORU^R32", "ORU^R40"), map_observed),
    **dict.fromkeys(("OUL^R21", "OUL^R22", "OUL^R23", "OUL^R24"), map_results),
    **{f"REF^{trigger}": map_issued for trigger in REFERRAL_ACTIONS},
    **dict.fromkeys(("RRI^I12", "RRI^I13", "RRI^I14", "RRI^I15"), map_answered),
    **{f"SIU^{trigger}": map_follow_up for trigger in FOLLOW_UP_ACTIONS},
    **dict.fromkeys(("DFT^P03", "DFT^P11"), map_charges),
    **dict.fromkeys(("RDE^O01", "RDE^O11", "RDE^O25", "OMP^O09"), map_prescriptions),
    **{f"MDM^{trigger}": map_document for trigger in sorted(_MDM)},
    **{f"MFN^{trigger}": map_catalogue for trigger in sorted(_MFN)},
}
CLAIM_TYPES: Final = frozenset({"EHC^E01", "EHC^E02", "EHC^E04"})  # `claims.py` reads these
SUPPORTED: Final = frozenset(_MAPPERS) | CLAIM_TYPES
_ONLY_TRIGGER: Final = {"ORU": "R01", "ORM": "O01"}  # before v2.3 the trigger could be left out
_STATED_MAX: Final = 64  # characters of a type that is worth remembering


def message_type(message: Message) -> str:
    """MSH-9 as code^trigger. A trigger that is missing is taken from the structure (MSH-9.3), or where the type has but one."""
    stated = message.header.field(9)
    usual = message.delimiters is STANDARD and len(stated) <= _STATED_MAX
    return _usual_type(stated) if usual else _read_type(message.header)


@lru_cache(maxsize=1024)
def _usual_type(stated: str) -> str:
    return _read_type(Segment("MSH", [*[""] * 9, stated], STANDARD))


def _read_type(header: Segment) -> str:
    kind, trigger = header.get(9, 1).strip(), header.get(9, 2).strip()
    if not trigger:
        structure = header.get(9, 3).strip()
        trigger = structure.partition("_")[2] if structure.startswith(f"{kind}_") else _ONLY_TRIGGER.get(kind, "")
    return f"{kind}^{trigger}" if trigger else kind


def map_message(message: Message, dialect: Dialect, context: Context) -> Mapped:
    """Every event that the message holds, with what was noticed.

    Refused, that is without events and with a problem of severity E: a type that is not in `_MAPPERS`
    (TYPE_UNSUPPORTED), none at all (TYPE_MISSING), and a message without anything to pass on (NOTHING_REPRESENTABLE). All else is a warning.
    """
    reading = Reading(message, dialect, context)
    kind = message_type(message)
    mapper = _MAPPERS.get(kind)
    if mapper is None:
        reading.refuse("TYPE_UNSUPPORTED" if kind else "TYPE_MISSING", "MSH-9")
    else:
        mapper(reading, kind.partition("^")[2])
    return reading.mapped()
