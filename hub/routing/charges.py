"""Charges of an encounter: which lines stand once all corrections and credits are in, in whatever order they came."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from hub.contract.events import Event, to_json

Line = dict[str, Any]

_CHARGES: Final = ("CHARGE", "")
_CREDIT: Final = "CREDIT"
_WHOLE: Final = "thanh_tien_bv"
_WHAT: Final = ("ma_thuoc", "ma_dich_vu", "ma_vat_tu", "ten_thuoc", "ten_dich_vu", "ten_vat_tu")
_WHICH: Final = ("ngay_th_yl", "placer", "filler")
SPONSORS: Final = ("t_nguonkhac_nsnn", "t_nguonkhac_vtnn", "t_nguonkhac_vttn", "t_nguonkhac_cl")


@dataclass(slots=True)
class _Said:
    """The last statement of one line.  turn: which charge made it; charged: whether one before it was no credit."""

    turn: int
    line: Line
    charged: bool


def standing_lines(charges: Iterable[Event]) -> list[Line]:
    """The lines that are left of charges, which come oldest first.

    A line that comes again, under its line_id, replaces the line before; one without a line_id is known by what was done
    and when. A credit takes back the line that it names, as that stood then: all of it, or the quantity that it states.
    One that names none takes back what was charged under its own line_id; if nothing was, it stands as a negative line.
    Payments and adjustments are no lines.
    """
    said: dict[str, _Said] = {}
    for turn, charge in enumerate(charges):
        met: Counter[str] = Counter()
        for line in charge.get("lines", ()):
            name = line.get("line_id", "")
            if not name:
                name = _deed(line)
                met[name] += 1
                name += f"\x1e{met[name]}"  # the same deed twice in one message is two lines
            before = said.get(name)
            charged = before is not None and (before.charged or before.line.get("kind") != _CREDIT)
            said[name] = _Said(turn, line, charged)
    credits_of: dict[str, list[_Said]] = {}
    for one in said.values():
        if one.line.get("kind") == _CREDIT and one.line.get("cancels"):
            credits_of.setdefault(one.line["cancels"], []).append(one)
    standing = []
    for name, one in said.items():
        kind = one.line.get("kind", "")
        if kind in _CHARGES:
            taken = [credit.line for credit in credits_of.get(name, ()) if credit.turn >= one.turn]
            left = _without(one.line, taken) if taken else one.line
            if left is not None:
                standing.append(left)
        elif kind == _CREDIT and not one.line.get("cancels") and not one.charged:
            standing.append(_negative(one.line))
    return standing


def _deed(line: Line) -> str:
    """What a line without a line_id is known by: what was done, and when or for which order; else by all that it says.

    So two lines that name neither are one only where nothing tells them apart.
    """
    code = line.get("code") or {}
    what = [code.get(name) or "" for name in ("code", "alt_code", "display")] + [line.get(name) or "" for name in _WHAT]
    which = [line.get(name) or "" for name in _WHICH]
    if any(what) and any(which):
        return "\x1e".join(("", *what, *which))
    return f"\x1e{to_json(sorted(line.items())).decode()}"


def _without(line: Line, taken: list[Line]) -> Line | None:
    """What credits leave of a line; None when they take all of it."""
    quantity, backs = line.get("so_luong"), [abs(credit["so_luong"]) for credit in taken if credit.get("so_luong") is not None]
    if quantity is None or len(backs) < len(taken):
        return None
    left = quantity - sum(backs)
    if left <= 0:
        return None
    rest = line | {"so_luong": left}
    for name in (_WHOLE, *SPONSORS):
        if line.get(name) is not None:
            rest[name] = line[name] - sum((abs(credit.get(name) or Decimal(0)) for credit in taken), Decimal(0))
    if any(credit.get(_WHOLE) is None for credit in taken):
        rest[_WHOLE] = None  # the rest is worth what its price says
    return rest


def _negative(line: Line) -> Line:
    return line | {name: -abs(line[name]) for name in ("so_luong", _WHOLE, *SPONSORS) if line.get(name) is not None}
