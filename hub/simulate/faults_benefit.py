"""Faults of the benefit rate: X07. One line, or one word of the card, says another rate than all the rest."""

import random
from collections.abc import Iterator
from decimal import Decimal

from hub.contract.events import Event
from hub.simulate.fault import Change, Fault
from hub.simulate.money import shares, totals


def benefit() -> Iterator[Fault]:
    """All of them."""
    for table in ("XML2", "XML3"):
        yield Fault("X07", "C", table, "muc_huong", _at("100.00"), "above the card", _less_than_all)
        yield Fault("X07", "C", table, "muc_huong", _off_route, "above the category")
        yield Fault("X07", "W", table, "muc_huong", _unheard_of, "of no card")
    yield Fault("X07", "W", "XML1", "t_bncct", _too_little, "too little", fits=lambda claim: "xml3" in claim)
    yield Fault("X07", "W", "XML1", "ma_the_bhyt", _another_digit, "digit", lambda summary: summary["ma_the_bhyt"][:3] == "HN2")


def _less_than_all(row: Event) -> bool:
    return bool(row["muc_huong"] < 100)


def _rated(row: Event, percent: Decimal) -> None:
    row["muc_huong"] = percent
    row |= shares(row["thanh_tien_bv"], row["thanh_tien_bh"], percent)


def _at(percent: str) -> Change:
    def change(_chance: random.Random, row: Event, _claim: Event) -> None:
        _rated(row, Decimal(percent))

    return change


def _off_route(_chance: random.Random, row: Event, claim: Event) -> None:
    """Half of the card's rate for who came of their own accord; one line at all of it."""
    summary = claim["xml1"]
    card = {"2": Decimal(100), "3": Decimal(95), "4": Decimal(80)}[summary["ma_the_bhyt"][2]]
    summary |= {"ma_doituong_kcb": "1.13", "ma_loai_kcb": "01"}
    for line in (*claim.get("xml2", ()), *claim.get("xml3", ())):
        _rated(line, (card if line is row else card / 2).quantize(Decimal("0.01")))


def _unheard_of(_chance: random.Random, row: Event, claim: Event) -> None:
    """The card is a number alone, which says nothing of rates."""
    claim["xml1"]["ma_the_bhyt"] = claim["xml1"]["ma_the_bhyt"][-10:]
    _rated(row, Decimal("77.00"))


def _too_little(chance: random.Random, summary: Event, claim: Event) -> None:
    _rated(chance.choice(claim["xml3"]), Decimal("50.00"))
    summary |= totals(claim.get("xml2", ()), claim["xml3"])


def _another_digit(_chance: random.Random, summary: Event, _claim: Event) -> None:
    summary["ma_the_bhyt"] = f"HN1{summary['ma_the_bhyt'][3:]}"
