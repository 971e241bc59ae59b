"""A message of HL7 v2 to events: which part of this folder reads which type."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from adapters.dialects.encounters import map_encounter
from adapters.dialects.follow_ups import map_follow_up
from adapters.dialects.laboratory import map_orders, map_results
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.profile import Dialect
from adapters.dialects.reading import Reading
from adapters.dialects.referrals import map_answered, map_issued
from adapters.formats.hl7v2 import STANDARD, Message, Segment

_MAPPERS: Final[dict[str, Callable[[Reading, str], None]]] = {
    "ADT^A01": map_encounter,
    "ADT^A03": map_encounter,
    "ADT^A04": map_encounter,
    "ADT^A08": map_encounter,
    "ORM^O01": map_orders,
    "OML^O21": map_orders,
    "ORU^R01": map_results,
    "REF^I12": map_issued,
    "RRI^I12": map_answered,
    "SIU^S12": map_follow_up,
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
    (TYPE_UNSUPPORTED), and a message without anything to pass on (NOTHING_REPRESENTABLE). All else is a warning.
    """
    reading = Reading(message, dialect, context)
    kind = message_type(message)
    mapper = _MAPPERS.get(kind)
    if mapper is None:
        reading.refuse("TYPE_UNSUPPORTED", "MSH-9")
    else:
        mapper(reading, kind.partition("^")[2])
    return reading.mapped()
