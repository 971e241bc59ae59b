"""Which lines of charges stand once corrections and credits are in, and which of them took away a charge of another item: routing,
the gate and `hie vendor check` ask."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from hub.contract.events import Event, to_json

Line = dict[str, Any]

CHARGES: Final = ("CHARGE", "")
"""Kinds of a line (FT1-6) that are charged; none stated is a charge."""
CREDIT: Final = "CREDIT"
_ITEMS: Final = ("ma_thuoc", "ma_vat_tu", "ma_dich_vu")  # of a supply that was used in a service the supply counts
_WHAT: Final = ("ma_thuoc", "ma_dich_vu", "ma_vat_tu", "ten_thuoc", "ten_dich_vu", "ten_vat_tu")
_MEASURES: Final = ("so_luong", "thanh_tien_bv")
_WHICH: Final = ("ngay_th_yl", "placer", "filler")


@dataclass(slots=True)
class Said:
    """What was said last under one number of a line: a charge, or a credit that names no line.

    turn:    which of the charges said it.
    items:   by what its item is known; empty where nothing says it.
    charged: whether something before it was no credit.
    credits: those that name it, by their own numbers.
    """

    turn: int
    line: Line
    items: frozenset[str]
    charged: bool
    credits: dict[str, Line] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        """Whether it is a charge of which something is left."""
        return self.line.get("kind", "") in CHARGES and not takes_all(self.line, [*self.credits.values()])


def said_of(charges: Iterable[Event]) -> tuple[dict[str, Said], list[tuple[int, int]]]:
    """What was said last of every line of the charges, which are of one encounter and come oldest first.

    A charge that comes again, under its line_id, replaces the one before; one without a line_id is known by what was done and
    when. A credit takes back the line that it names; one that names none takes back what was charged under its own line_id. Other
    kinds (payments, adjustments) replace nothing. Lines of one message take effect together, whatever their order.
    Returns: by what a line is known; and, as positions of the charge and of the line in it, both from 0, the lines that took away
    a charge of another item: they may be no corrections, but numbers that count anew in each message.
    """
    said: dict[str, Said] = {}
    replacing: list[tuple[int, int]] = []
    credited: dict[str, tuple[int, str]] = {}  # by the number of a credit: which of the charges said it, of which line
    for turn, charge in enumerate(charges):
        lines = [(number, *named) for number, named in enumerate(_named(charge.get("lines", ())))]
        credits_ = [one for one in lines if _names_another(one[2])]
        of_before: set[tuple[str, str]] = set()  # credits of what a line replaces here, by the line and by their own numbers
        for number, name, line in (one for one in lines if not _names_another(one[2])):
            kind, items, before = line.get("kind", ""), _items(line), said.get(name)
            if kind not in CHARGES and kind != CREDIT:
                said.setdefault(name, Said(turn, line, frozenset(), charged=False))  # a credit under its number is of it
                continue
            beside: dict[str, Line] = {}
            if before and before.stands and kind in CHARGES and before.turn < turn:
                beside = _of_before(name, before, line, credits_)
                of_before.update((name, own) for own in beside)
            other_item = before is not None and before.stands and _differ(items, before.items)
            if before and other_item and not takes_all(before.line, [*(before.credits | beside).values()]):
                replacing.append((turn, number))
            charged = before is not None and (before.charged or before.line.get("kind") != CREDIT)
            said[name] = Said(turn, line, items or (before.items if before else items), charged)
        for number, name, line in credits_:
            one = said.get(line["cancels"])
            if one is None or (line["cancels"], name) in of_before:
                continue
            if _differ(_items(line), one.items):
                if one.turn == turn:  # it is of one before, which never came
                    continue
                if one.stands:
                    replacing.append((turn, number))
            when, named = credited.get(name, (turn, ""))
            other = said.get(named) if when < turn and line.get("line_id") else None
            if other is not None and other is not one and other.credits.pop(name, {}) and _differ(other.items, one.items):
                replacing.append((turn, number))  # no correction of the credit: it may be another one under its number
            credited[name] = turn, line["cancels"]
            one.credits[name] = line
    return said, replacing


def replaced(charges: Iterable[Event]) -> list[tuple[int, int]]:
    """Lines that took away a charge of another item, as `said_of` tells them."""
    return said_of(charges)[1]


def takes_all(line: Line, credits_: Sequence[Line]) -> bool:
    """Whether credits leave nothing of a charge: they state no quantity, or all of it."""
    quantity, backs = line.get("so_luong"), [abs(credit["so_luong"]) for credit in credits_ if credit.get("so_luong") is not None]
    if quantity is None or len(backs) < len(credits_):
        return bool(credits_)
    return bool(credits_) and sum(backs, Decimal(0)) >= Decimal(quantity)


def _names_another(line: Line) -> bool:
    return line.get("kind") == CREDIT and bool(line.get("cancels"))


def _of_before(name: str, before: Said, line: Line, credits_: Iterable[tuple[int, str, Line]]) -> dict[str, Line]:
    """The credits of one message that are of the charge which a line of it replaces, by their own numbers: those of its item, where
    the new one is another; else those that take back its quantity and amount, which are not those of the new one."""
    mine = {own: credit for _, own, credit in credits_ if credit["cancels"] == name and not _differ(_items(credit), before.items)}
    if _differ(_items(line), before.items):
        return mine
    was = {name: before.line[name] for name in _MEASURES if before.line.get(name) is not None}
    if all(line.get(name) == amount for name, amount in was.items()):
        return {}
    return {own: one for own, one in mine.items() if all(one.get(name) is None or abs(one[name]) == was[name] for name in was)}


def _differ(items: frozenset[str], others: frozenset[str]) -> bool:
    return bool(items and others) and items.isdisjoint(others)


def _items(line: Line) -> frozenset[str]:
    """By what the item of a line is known: its codes; without one its name, or the official element."""
    code = line.get("code") or {}
    codes = frozenset(filter(None, (code.get("code"), code.get("alt_code"))))
    return codes or frozenset(filter(None, (code.get("display") or next(filter(None, map(line.get, _ITEMS)), None),)))


def _named(lines: Iterable[Line]) -> Iterator[tuple[str, Line]]:
    """Each line of one message behind what it is known by."""
    met: Counter[str] = Counter()
    for line in lines:
        name = line.get("line_id", "")
        if not name:
            name = _deed(line)
            met[name] += 1
            name += f"\x1e{met[name]}"  # the same deed twice in one message is two lines
        yield name, line


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
