"""Charges of an encounter: the lines that stand once all corrections and credits are in, in whatever order they came."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from hub.contract.charge_lines import CHARGES, CREDIT, Line, said_of, takes_all
from hub.contract.events import Event

_WHOLE: Final = "thanh_tien_bv"
SPONSORS: Final = ("t_nguonkhac_nsnn", "t_nguonkhac_vtnn", "t_nguonkhac_vttn", "t_nguonkhac_cl")


def standing_lines(charges: Iterable[Event]) -> list[Line]:
    """The lines that are left of charges, which come oldest first.

    A credit takes back the line that it names, as that stood then: all of it, or the quantity that it states.
    One that names none takes back what was charged under its own line_id; if nothing was, it stands as a negative line.
    Payments and adjustments are no lines, and take no line's place.
    """
    standing = []
    for one in said_of(charges)[0].values():
        kind = one.line.get("kind", "")
        if kind in CHARGES:
            taken = list(one.credits.values())
            if not takes_all(one.line, taken):
                standing.append(_without(one.line, taken) if taken else one.line)
        elif kind == CREDIT and not one.charged:
            standing.append(_negative(one.line))
    return standing


def _without(line: Line, taken: Sequence[Line]) -> Line:
    """What credits leave of a line of which they do not take all."""
    rest = line | {"so_luong": line["so_luong"] - sum(abs(credit["so_luong"]) for credit in taken)}
    for name in (_WHOLE, *SPONSORS):
        if line.get(name) is not None:
            rest[name] = line[name] - sum((abs(credit.get(name) or Decimal(0)) for credit in taken), Decimal(0))
    if any(credit.get(_WHOLE) is None for credit in taken):
        rest[_WHOLE] = None  # the rest is worth what its price says
    return rest


def _negative(line: Line) -> Line:
    return line | {name: -abs(line[name]) for name in ("so_luong", _WHOLE, *SPONSORS) if line.get(name) is not None}
