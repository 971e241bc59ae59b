"""What a fault is, the rows that can have it, and the plain ways to spoil a row."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from hub.contract.events import Event
from hub.simulate.money import in_full, totals


class Expected(NamedTuple):
    """A finding that must come. table: as findings have it; stt: of the row, None of XML1."""

    rule: str
    severity: str
    table: str
    stt: int | None
    field: str


SENT_AGAIN: Final = Expected("T06", "I", "", None, "")

Change = Callable[[random.Random, Event, Event], Event | None]
"""What is done to a row (the second; the third is its claim). Returns: the row that findings name, when it is another."""


def any_row(_: Event) -> bool:
    """All will do."""
    return True


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break one rule.

    severity, table, field: of the finding that names it.
    among:     rows of the table that can have it.
    fits:      claims that can have it.
    picks:     the table of the row that is changed, when it is not that of the finding.
    also:      rule, severity, table and field of what is found besides, of the same row or of XML1.
    """

    rule: str
    severity: str
    table: str
    field: str
    change: Change
    kind: str = ""
    among: Callable[[Event], bool] = any_row
    fits: Callable[[Event], bool] = any_row
    picks: str = ""
    also: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def name(self) -> str:
        """Such as `X04 xml3.t_bhtt off`."""
        return f"{self.rule} {self.table.lower()}.{self.field} {self.kind}".strip()

    def inject(self, chance: random.Random, claim: Event) -> frozenset[Expected]:
        """Break the claim. Returns: what must be found; nothing when it cannot have this fault, and is of no use any more."""
        full = in_full(claim["xml1"]["t_tongchi_bh"])
        table = (self.picks or self.table).lower()
        rows = [row for row in ([claim["xml1"]] if table == "xml1" else claim.get(table, ())) if self.among(row)]
        if not rows or not self.fits(claim):
            return frozenset()
        row = chance.choice(rows)
        row = self.change(chance, row, claim) or row
        if self.table in ("XML2", "XML3"):
            claim["xml1"] |= totals(claim.get("xml2", ()), claim.get("xml3", ()))
        if in_full(claim["xml1"]["t_tongchi_bh"]) != full:
            return frozenset()  # another cost is another benefit rate: a second fault
        named = ((self.rule, self.severity, self.table, self.field), *self.also)
        return frozenset(
            Expected(rule, severity, table, None if table == "XML1" else row.get("stt"), field)
            for rule, severity, table, field in named
        )


# --- which rows -------------------------------------------------------------------------------------------------------


def supply(row: Event) -> bool:
    """A row of XML3 that is no service."""
    return bool(row.get("ma_vat_tu"))


def plain(row: Event) -> bool:
    """A service to which neither results nor supplies belong."""
    return row["ma_nhom"] in ("3", "13")


def measured(row: Event) -> bool:
    """A result with a value."""
    return bool(row.get("gia_tri"))


_OF_SUPPLIES: Final = ("ma_vat_tu", "ten_vat_tu", "ma_hieu_sp", "goi_vtyt", "tt_thau")


def of_field(table: str, field: str) -> Callable[[Event], bool]:
    """The rows in which an element can be spoiled without touching what others hang on."""
    if table == "XML4":
        return measured
    if table != "XML3":
        return any_row
    return supply if field in _OF_SUPPLIES else plain


# --- what is done -----------------------------------------------------------------------------------------------------


def given(**values: object) -> Change:
    """These values instead."""

    def change(_chance: random.Random, row: Event, _claim: Event) -> None:
        row.update(values)

    return change


def gone(field: str) -> Change:
    """Without the element."""

    def change(_chance: random.Random, row: Event, _claim: Event) -> None:
        row.pop(field, None)

    return change


def more(*fields: str, by: int = 10_000) -> Change:
    """Amounts that are too large."""

    def change(_chance: random.Random, row: Event, _claim: Event) -> None:
        for field in fields:
            row[field] += by

    return change
