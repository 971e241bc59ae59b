"""Encounters: a person who comes with a slip closes the referral at its issuer."""

from dataclasses import replace
from typing import Any, Final

from hub.contract.events import VIETNAM, Event, Keyring, revision_rank
from hub.routing.arrivals import CANCELLED_MOST, came_with, is_doubted, what_follows
from hub.routing.persons import OTHER_PERSON, person_refs, traits
from hub.routing.slips import Slip, as_data, day_of, slip_of
from hub.routing.stream import CaseRef, Fact, Found, Known, Moment, Nobody, Output, own_facts

_REFERRED: Final = "1.3"  # MA_DOITUONG_KCB: came by the right way, with a referral slip
_THERE: Final = frozenset({"OPENED", "UPDATED", "TRANSFERRED", "CLASS_CHANGED"})  # actions that say that somebody has come
_CANCELLED: Final = "CANCELLED"  # it was entered in error
_DAYS: Final = 400  # as long as a slip is known: it may be good for a year


def facts(event: Event, keyring: Keyring) -> list[Fact]:
    """That somebody arrived: under the slip's key when the message names the slip and its issuer, else under the person.
    Or that the encounter was an error."""
    meta = event["meta"]
    key, rank = meta["key"], revision_rank(meta["revision"])
    if event.get("action") == _CANCELLED:
        return [Fact("encounter-cancelled", key, meta["event_id"], rank, {"revision": as_data(meta["revision"])}, _DAYS)]
    if not _comes_referred(event):
        return []
    said = _arrival(event, keyring)
    if _names_slip(event):
        slip = _slip_key(event, keyring)
        return [Fact("arrival", slip, key, rank, said, _DAYS), Fact("slip-of-encounter", key, slip, rank, {}, _DAYS)]
    return [Fact("arrival-of-person", ref, key, rank, said, _DAYS) for ref in said["persons"].values()]


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """The slip it names and whoever came with it, else every slip of that person; and when it was cancelled.
    What is cancelled need not name its slip again."""
    key, cancelled = event["meta"]["key"], event.get("action") == _CANCELLED
    if not cancelled and not _comes_referred(event):
        return []
    found = [CaseRef("encounter-cancelled", key, most=CANCELLED_MOST)]
    if not cancelled and _names_slip(event):
        slip = _slip_key(event, keyring)
        return [*found, CaseRef("referral", slip), came_with(slip)]
    if cancelled:
        found += [CaseRef("slip-of-encounter", key, about=kind) for kind in ("referral", "arrival")]
    for ref in person_refs(event["person"], keyring, test=event["meta"]["test"]).values():
        found += [CaseRef("referral-of-person", ref, about="referral"), CaseRef("arrival-of-person", ref)]
    return found


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """What it says of each slip that it fulfils, on the slip's key. The encounter itself is for nobody else."""
    encounters = _encounters(event, known, moment)
    outputs: dict[str, Output] = {}
    otherwise = "nobody-encounter"
    for by_number, kind in ((True, "arrival"), (False, "arrival-of-person")):
        for slip in _slips(known, by_number=by_number):
            came = [one for one in encounters if one.kind == kind and (one.ref == slip.key or not by_number)]
            outputs |= what_follows(slip, came, event, by_number=by_number)
            if not by_number and any(is_doubted(slip, one.data) for one in came):
                otherwise = OTHER_PERSON
    rule = "arrival-cancelled" if event.get("action") == _CANCELLED else "referral-arrived"
    return [*outputs.values(), Nobody(rule if outputs else otherwise)]


def _encounters(event: Event, known: Known, moment: Moment) -> list[Found]:
    """This one and, where a slip is named, the others that name it, each with its cancellations about it."""
    key = event["meta"]["key"]
    own = own_facts(event, moment)
    facts = {(fact.kind, fact.ref, fact.id): fact for one in [*own, *known] for fact in (one, *one.about)}
    cancelled = tuple(fact for fact in facts.values() if fact.kind == "encounter-cancelled" and fact.ref == key)
    this = [replace(fact, about=cancelled) for fact in facts.values() if fact.kind.startswith("arrival") and fact.id == key]
    if event.get("action") == _CANCELLED:
        return this
    return [*this, *(fact for fact in facts.values() if fact.kind == "arrival" and fact.id != key)]


def _slips(known: Known, *, by_number: bool) -> list[Slip]:
    by_key: dict[str, list[Found]] = {}
    for fact in known:
        if fact.kind == "referral" and by_number:
            by_key.setdefault(fact.ref, []).append(fact)
        elif fact.kind == ("slip-of-encounter" if by_number else "referral-of-person"):
            by_key[fact.id] = list(fact.about)
    return [slip for key, facts_of in by_key.items() if (slip := slip_of(key, facts_of)) is not None]


def _comes_referred(event: Event) -> bool:
    return event.get("action") in _THERE and (_names_slip(event) or event.get("ma_doituong_kcb") == _REFERRED)


def _names_slip(event: Event) -> bool:
    return bool(event.get("slip") and event.get("ma_noi_di"))


def _slip_key(event: Event, keyring: Keyring) -> str:
    return keyring.key(event["ma_noi_di"], event["slip"], test=event["meta"]["test"])


def _arrival(event: Event, keyring: Keyring) -> dict[str, Any]:
    revision = event["meta"]["revision"]
    received = revision["received_at"].astimezone(VIETNAM).date()
    return {
        "facility": event.get("ma_cskcb", ""),
        "at": (event.get("ngay_vao", "") or revision["stated_at"])[:12],
        "on": day_of(event.get("ngay_vao", ""), day_of(revision["stated_at"], received)).isoformat(),
        "persons": person_refs(event["person"], keyring, test=event["meta"]["test"]),
        "traits": traits(event["person"], keyring),
        "revision": as_data(revision),
    }
