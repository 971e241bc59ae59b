"""What a person's payer hears of a referral slip: what its issuer states, as far as an insurer needs it, and what became of it.

The payer is told by the newest statement, as a claim's is: by card, facility or default. What others say of a slip (answers,
arrivals, its end) goes to whoever is its payer as far as is known when it, or a statement, comes: so whoever is its payer in the
end has all of it in any order, and one that a newer statement took the slip from hears that, and no more from then on.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hub.contract.directory import payers, same_facility
from hub.contract.events import Event, derive, new_id
from hub.contract.payers import Payer
from hub.routing.deliveries import delivery_id, receipt
from hub.routing.projections import is_policy, payer_by
from hub.routing.slips import Slip, Word, day_of_word, is_sensitive
from hub.routing.stream import Deliver, Gather, Known, Moment, Output, Publish, Recall

RULE: Final = "referral-to-payer"
LEFT: Final = "referral-left-payer"
SAME: Final = "="
"""In the place of a payer's code: a statement that tells none, and is for whoever is the slip's payer."""

_WITH_PERSON: Final = frozenset({"ISSUED", "MODIFIED"})
_OF_ANY: Final = ("action", "slip", "ma_cskcb", "ma_cskcb_den", "by_facility", "redirect_to", "expires_on")
_OF_STATEMENTS: Final = ("priority", "issued_on", "ma_lk")
_OF_THE_TABLE: Final = ("ma_benh_chinh", "ma_benh_kt", "ma_lydo_ct")
_OF_DIAGNOSES: Final = ("ma_benh", "type", "main")  # the code: its text is the doctor's, and may tell anything
_CARD: Final = "BHYT_CARD"
_NUMBER: Final = "BHXH_NUMBER"
_CITIZEN: Final = "SDDCN"
_HAPPENED: Final = ("arrived", "arrival_cancelled")


# --- whose slip it is -------------------------------------------------------------------------------------------------


def payer_named(event: Event) -> str:
    """Code of the payer that a statement is for; "" for none that hears of slips.

    A cancellation need not say again whose card it was, so one without a card takes the slip from nobody (`SAME`).
    """
    meta, cards = event["meta"], [card["normalised"] for card in _cards(event)]
    if event.get("action") == "CANCELLED" and not cards:
        return SAME
    if same_facility(event.get("ma_cskcb_den", ""), event.get("ma_cskcb", ""), day_of_word(meta["revision"])):
        return ""
    payer = payer_by(cards, meta["facility"], test=meta["test"])
    return payer.code if payer is not None and payer.referrals else ""


def _names_payer(word: Word) -> bool:
    """Whether it is a statement that tells whose slip it is, if only that it is no payer's."""
    return word.payer not in (None, SAME)


def _granted(code: str | None) -> Payer | None:
    """The payer, while its grant says that it hears of slips."""
    payer = payers().get(code or "")
    return payer if payer is not None and payer.referrals else None


def _newest(slip: Slip) -> Word | None:
    return next((word for word in reversed(slip.words) if _names_payer(word)), None)


# --- what follows -----------------------------------------------------------------------------------------------------


def told_to_payer(event: Event, slip: Slip | None, known: Known, moment: Moment) -> list[Output]:
    """What the slip's payer, as far as it is known, hears of an answer or of what happened."""
    newest = None if slip is None or is_sensitive(known) else _newest(slip)
    payer = _granted(newest.payer) if newest is not None else None
    if payer is None or (event.get("action") in ("ACCEPTED", "REJECTED") and not event.get("by_facility")):
        return []  # an answer that names nobody as its author is no word that could be found again
    return _told(event, payer, moment)


def stated_to_payers(event: Event, slip: Slip | None, known: Known, moment: Moment) -> list[Output]:
    """What payers hear by a statement: its own, those it takes the slip from, and what became of the slip before it came.

    As in `referrals`, each output follows from what is known and from nothing that is not.
    """
    if slip is None or is_sensitive(known):
        return []
    own = next(word for word in slip.words if word.event_id == event["meta"]["event_id"])
    if not _names_payer(own):
        return told_to_payer(event, slip, known, moment)
    found: list[Output] = []
    payer, statements = _granted(own.payer), [word for word in slip.words if _names_payer(word)]
    if payer is not None:
        found += _told(event, payer, moment)
    for code in sorted({str(word.payer) for word in statements if word.order < own.order} - {own.payer}):
        if _granted(code) is not None:
            found += [Deliver(code, LEFT, body=False), *_taken(event, code, moment.seen_at)]
    if payer is not None:
        for word in statements:
            if word.order > own.order and word.payer != own.payer:
                found += _again(word.place, payer, LEFT, moment)
        if own is statements[-1]:
            for place in _places(slip, known, moment):
                found += _again(place, payer, RULE, moment)
    return found


def _places(slip: Slip, known: Known, moment: Moment) -> list[str]:
    """Where the words stand that are for whoever is the slip's payer. EXPIRED and USED_AGAIN are told when their time comes."""
    said = [
        word.place
        for word in slip.words
        if word.payer == SAME or (word.by and not same_facility(word.by, slip.issuer, moment.today))
    ]
    happened = {fact.id: fact.place for fact in known if fact.kind == "referral" and fact.id.partition("/")[0] in _HAPPENED}
    return [*said, *(place for _, place in sorted(happened.items()))]


def _told(event: Event, payer: Payer, moment: Moment) -> list[Output]:
    return [Deliver(payer.code, RULE, body=False), *_published(event, project(event, payer), payer.code, moment.seen_at)]


def _taken(event: Event, code: str, at: datetime) -> list[Output]:
    return _published(event, taken_from(event, code), code, at)


def _published(event: Event, made: Event, code: str, at: datetime) -> list[Output]:
    sent = receipt(event, delivery_id(event["meta"]["event_id"], code), code, "SENT", channel="kafka", at=at)
    return [Publish(f"payer.{code}.referral.v1", made), Publish("receipt.v1", sent)]


def _again(place: str, payer: Payer, rule: str, moment: Moment) -> list[Output]:
    """An earlier event for a payer, as it would have heard of it when that event came."""

    def then(read: Mapping[str, tuple[str, Event]]) -> list[Output]:
        if place not in read:
            return []  # its topic keeps it no more, and then there is no delivery either
        event = read[place][1]
        made = taken_from(event, payer.code) if rule == LEFT else project(event, payer)
        return _published(event, made, payer.code, moment.seen_at)

    return [Recall(place, payer.code, rule, body=False), Gather((place,), then)]


# --- what it gets -----------------------------------------------------------------------------------------------------


def projected_id(event_id: str, payer: str) -> str:
    """Event id of what a payer gets of an event: as `derive` makes it."""
    return new_id("hie.Referral", event_id, RULE, payer)


def project(event: Event, payer: Payer) -> Event:
    """An event of a slip with what an insurer needs, and nothing else: no name, no address, no words of a doctor.

    Who it is about, why and from when on is told by ISSUED and MODIFIED alone.
    """
    names = (*_OF_ANY, *_OF_STATEMENTS) if event.get("action") in _WITH_PERSON else _OF_ANY
    content: dict[str, Any] = {name: event[name] for name in names if event.get(name)} | {"person": {}, "xml13": {}}
    if event.get("action") in _WITH_PERSON:
        content["person"] = {"identifiers": _identifiers(event, payer)}
        content["xml13"] = _some(event["xml13"], _OF_THE_TABLE)
        content["diagnoses"] = [_some(row, _OF_DIAGNOSES) for row in event.get("diagnoses", ())]
    made = _made(event, content, RULE, payer.code)
    if taken_back := event["meta"].get("supersedes") if event.get("action") == "ARRIVAL_CANCELLED" else "":
        made["meta"]["supersedes"] = projected_id(taken_back, payer.code)
    return made


def taken_from(statement: Event, payer: str) -> Event:
    """WITHDRAWN: by that statement the slip is not of a payer's insured any more. It names the slip and tells no more."""
    content = {"action": "WITHDRAWN", "slip": statement.get("slip", ""), "ma_cskcb": statement.get("ma_cskcb", "")}
    return _made(statement, content | {"person": {}, "xml13": {}}, LEFT, payer)


def _made(event: Event, content: Event, rule: str, payer: str) -> Event:
    meta = event["meta"]
    return derive(
        "hie.Referral",
        content,
        parents=[event],
        rule=rule,
        facility=meta["facility"],
        key=meta["key"],
        revision=meta["revision"],
        to=payer,
    )


def _some(row: Event, names: tuple[str, ...]) -> Event:
    return {name: row[name] for name in names if row.get(name)}


def _cards(event: Event) -> list[Event]:
    """The insurance cards of the person, in order, as identifiers; of a slip that has them in its table alone, those."""
    found = [one for one in event["person"].get("identifiers", ()) if one.get("type") == _CARD]
    listed = "" if found else event["xml13"].get("ma_the_bhyt", "")
    found += [{"value": card.strip(), "type": _CARD} for card in listed.split(";") if card.strip()]
    cards = [one | {"normalised": (one.get("normalised") or one.get("value", "")).upper()} for one in found]
    return [card for card in cards if card["normalised"] and not is_policy(card["normalised"])]


def _identifiers(event: Event, payer: Payer) -> list[Event]:
    """The payer's own cards, and the social-insurance number; the citizen number, as which a card counts, where there is neither."""
    meta = event["meta"]
    own = [card for card in _cards(event) if payer_by([card["normalised"]], meta["facility"], test=meta["test"]) == payer]
    kinds: dict[str, list[Event]] = {_NUMBER: [], _CITIZEN: []}
    for one in event["person"].get("identifiers", ()):
        kinds.get(one.get("type", ""), []).append(one)
    return [*own, *kinds[_NUMBER]] or kinds[_CITIZEN]
