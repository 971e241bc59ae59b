"""Whose claim, or slip, it is, and what a payer gets to see of a claim."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from hub.contract.claim_tables import tables
from hub.contract.directory import payers
from hub.contract.events import Event, derive, new_id
from hub.contract.payers import PRIMARY, SUPPLEMENTARY, TEST, Payer
from hub.contract.records import Revision

RULE: Final = "claim-to-payer"
_CARD: Final = "ma_the_bhyt"
_CARDS: Final = (_CARD, "ma_dkbd", "gt_the_tu", "gt_the_den")  # lists whose positions match, `;` between
_TABLES: Final = frozenset(f"xml{number}" for number in range(2, 16))  # xml1 is the claim's own summary: always granted
_PLACE: Final = re.compile(r"(XML\d+)(?:\[\d+\])?/(\w+)$")  # of what could not be read: XML2[3]/SO_LUONG


def payer_of(event: Event) -> Payer | None:
    """The primary payer of a claim, by the cards of its summary."""
    meta = event["meta"]
    return payer_by(_cards(event.get("xml1") or {}), meta["facility"], test=bool(meta.get("test")))


def payer_by(cards: Sequence[str], facility: str, *, test: bool) -> Payer | None:
    """The primary payer of a person: that of the group of the first insurance card; of a card that shows none, that of the
    facility; else the default. Test traffic has a payer of its own, which nothing else reaches.

    cards: without blanks, in capitals; policies of other insurers may stand among them.
    """
    known = payers()
    if test:
        return known.get(TEST)
    real = [payer for payer in known.values() if payer.role == PRIMARY and payer.code != TEST]
    group = _group(cards)
    if group:
        own = [payer for payer in real if group in payer.card_groups]
    else:
        own = [payer for payer in real if payer.facilities and facility.startswith(payer.facilities)]
    return next(iter(own or [payer for payer in real if payer.default]), None)


def supplementary_of(event: Event) -> list[Payer]:
    """The supplementary insurers that a claim names: MA_THE_BHYT lists a number of their policies beside the card."""
    cards = _cards(event.get("xml1") or {})
    if event["meta"].get("test") or not any(map(is_policy, cards)):
        return []
    real = [payer for payer in payers().values() if payer.role == SUPPLEMENTARY]
    return [payer for payer in real if any(card.startswith(payer.card_groups) for card in cards)]


def copied_to(event: Event) -> list[str]:
    """Codes of the supplementary insurers that get a copy of the claim once its payer has decided.

    Not of a cancelled one; and of one that is labelled sensitive only those whose grant says so.
    """
    held = bool(event["meta"].get("sensitivity"))
    return [
        payer.code
        for payer in (supplementary_of(event) if event.get("action") == "SUBMITTED" else ())
        if payer.sensitive or not held
    ]


def _cards(row: Event) -> list[str]:
    return [card.strip().upper() for card in row.get(_CARD, "").split(";")]


def is_policy(card: str) -> bool:
    """Whether it is the number of another insurer's policy: those begin with three letters, cards with two and a digit, or with digits."""
    return card[2:3].isalpha()


def _group(cards: Sequence[str]) -> str:
    """The group of the first insurance card; "" where it shows none. Of a card of 10 or 12 digits only a look-up could tell it."""
    card = next((card for card in cards if card and not is_policy(card)), "")
    return card[:2] if card[:2].isalpha() and card[2:3].isdigit() else ""


# --- what it gets -----------------------------------------------------------------------------------------------------


def projection_id(claim_id: str, payer: str) -> str:
    """Event id of the projection that a payer gets of a claim: as `derive` makes it."""
    return new_id("hie.Claim", claim_id, RULE, payer)


def project(event: Event, payer: Payer, superseded: str) -> Event:
    """The claim with what is granted, and nothing else.

    superseded: event id of the claim that was the newest of its key before; the projection names that one's projection.
    """
    replaced = projection_id(superseded, payer.code) if superseded else ""
    return granted(event, payer, [event], RULE, event["meta"]["revision"], replaced)


def granted(event: Event, payer: Payer, parents: list[Event], rule: str, revision: Revision, superseded: str) -> Event:
    """What a payer may see of a claim, as an event that a rule derives from its parents."""
    meta = event["meta"]
    content = {
        name: _without(part, payer.withheld[name]) if name in payer.withheld else part
        for name, part in event.items()
        if name != "meta" and (name not in _TABLES or name in payer.tables)
    }
    if not meta.get("test"):
        content |= {name: _own_cards(content[name], payer) for name in _with_cards() if content.get(name)}
    content["payer"] = payer.code
    # The hash of a full claim is dear to make and says nothing new: the projection bears that of its claim.
    made = derive(
        "hie.Claim", {}, parents=parents, rule=rule, facility=meta["facility"], key=meta["key"], revision=revision, to=payer.code
    )
    made["meta"] |= {
        "supersedes": superseded,
        "content_hash": meta.get("content_hash", ""),
        "cleared": meta.get("cleared", []),
        "unparsed": {place: text for place, text in (meta.get("unparsed") or {}).items() if _may_see(payer, place)},
    }
    return made | content


def _without(part: Any, names: frozenset[str]) -> Any:
    if isinstance(part, list):
        return [_without(row, names) for row in part]
    return {name: value for name, value in part.items() if name not in names}


@cache
def _with_cards() -> tuple[str, ...]:
    """The tables whose rows name cards."""
    return tuple(table.lower() for table, elements in tables().items() if any(one.field == _CARD for one in elements.values()))


def _own_cards(part: Any, payer: Payer) -> Any:
    """Its own policies for a supplementary insurer, and for the primary payer all but those of supplementary ones."""
    if isinstance(part, list):
        return [_own_cards(row, payer) for row in part]
    cards = _cards(part)
    if payer.role == SUPPLEMENTARY:
        kept = [at for at, card in enumerate(cards) if card.startswith(payer.card_groups)]
    else:
        others = tuple(group for one in payers().values() if one.role == SUPPLEMENTARY for group in one.card_groups)
        kept = [at for at, card in enumerate(cards) if not card.startswith(others)]
    if len(kept) == len(cards):
        return part
    lists = {name: part[name].split(";") for name in _CARDS if part.get(name)}
    return part | {name: ";".join(texts[at] for at in kept if at < len(texts)) for name, texts in lists.items()}


def _may_see(payer: Payer, place: str) -> bool:
    """Whether what could not be read there is granted; a place that names no table may be any."""
    found = _PLACE.search(place)
    if found is None:
        return payer.role == PRIMARY
    table, name = found[1].lower(), found[2].lower()
    return (table == "xml1" or table in payer.tables) and name not in payer.withheld.get(table, ())
