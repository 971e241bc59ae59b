"""Whether a line of charges that comes again under its number is of the same item: `hie vendor check`, the gate and routing ask."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from hub.contract.events import Event

CHARGES: Final = ("CHARGE", "")
"""Kinds of a line (FT1-6) that are charged; none stated is a charge."""
CREDIT: Final = "CREDIT"
_ITEMS: Final = ("ma_thuoc", "ma_vat_tu", "ma_dich_vu")  # of a supply that was used in a service the supply counts


def replaced(charges: Iterable[Event]) -> Iterator[tuple[int, int]]:
    """Lines that take the place of one of another item, under its line_id, which no credit took back before: they may be no
    correction, but numbers that count anew in each message.

    charges: of one encounter, the oldest first. Lines of one take effect together, so a credit counts before its charges.
    Returns: positions of the charge and of the line in it, both from 0.
    """
    standing: dict[str, frozenset[str]] = {}
    for position, charge in enumerate(charges):
        lines = charge.get("lines", ())
        for line in lines:
            if line.get("kind") == CREDIT:
                standing.pop(line.get("cancels") or line.get("line_id", ""), None)
        for number, line in enumerate(lines):
            line_id, items = line.get("line_id", ""), _items(line)
            if line_id and items and line.get("kind", "") in CHARGES:
                if items.isdisjoint(standing.get(line_id, items)):
                    yield position, number
                standing[line_id] = items


def _items(line: dict[str, Any]) -> frozenset[str]:
    """By what the item of a line is known: its codes; without one its name, or the official element."""
    code = line.get("code") or {}
    codes = frozenset(filter(None, (code.get("code"), code.get("alt_code"))))
    return codes or frozenset(filter(None, (code.get("display") or next(filter(None, map(line.get, _ITEMS)), None),)))
