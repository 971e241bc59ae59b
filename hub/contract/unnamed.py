"""Orders and results that say of no person whose they are: the gate warns of them, and routing lets nobody have them."""

from collections.abc import Mapping
from typing import Any, Final

STOPS: Final = ("CANCELLED", "HELD")
"""Actions of an order that say what is not to be done, or not now."""
ANSWERS: Final = ("ACCEPTED", "IN_PROGRESS", "COMPLETED", "REFUSED")
"""Actions of an order by which the one that is to perform it answers."""
UNREAD: Final = "UNKNOWN"
"""Action of an order whose ORC-1 nobody can read: it may be a new one, or an answer to one, so it goes to nobody."""
WITHDRAWN: Final = "X"
"""Status of a result that is taken back (OBR-25)."""


def is_unnamed_order(order: Mapping[str, Any]) -> bool:
    """Whether nobody can tell for whom a LabOrder is. Of what stops or answers one its number is enough: it goes out all the same."""
    return _is_nobody(order["person"]) and order.get("action") not in STOPS + ANSWERS


def is_unnamed_result(result: Mapping[str, Any]) -> bool:
    """Whether nobody can tell whose a LabResult is. Of a withdrawal its number is enough: it says which values are not to be kept."""
    withdrawn = result.get("status") == WITHDRAWN and (result.get("placer") or result.get("filler"))
    return _is_nobody(result["person"]) and not withdrawn


def _is_nobody(person: Mapping[str, Any]) -> bool:
    """Whether neither a number nor a name says who it is."""
    return not person.get("identifiers") and not person.get("ho_ten")
