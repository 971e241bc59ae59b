"""Encounters: a person who comes with a slip closes the referral at its issuer."""

from typing import Any

from hub.contract.events import VIETNAM, Event, Keyring, revision_rank
from hub.routing.persons import person_refs
from hub.routing.referrals import TOPIC, Slip, arrived, arrives, day_of, slip_of
from hub.routing.stream import CaseRef, Fact, Found, Known, Moment, Nobody, Output, Publish

_REFERRED = "1.3"  # MA_DOITUONG_KCB: came by the right way, with a referral slip
_THERE = frozenset({"OPENED", "UPDATED", "TRANSFERRED", "CLASS_CHANGED"})  # actions that say that somebody has come
_DAYS = 90


def facts(event: Event, keyring: Keyring) -> list[Fact]:
    """That somebody arrived: under the slip's key when the message names the slip and its issuer, else under the person."""
    meta = event["meta"]
    if not _comes_referred(event):
        return []
    rank = revision_rank(meta["revision"])
    said = _arrival(event, keyring)
    if _names_slip(event):
        return [Fact("arrival", _slip_key(event, keyring), meta["key"], rank, said, _DAYS)]
    return [Fact("arrival-of-person", ref, meta["key"], rank, said, _DAYS) for ref in said["persons"].values()]


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """The slip it names, else every slip of that person."""
    if not _comes_referred(event):
        return []
    if _names_slip(event):
        return [CaseRef("referral", _slip_key(event, keyring))]
    persons = person_refs(event["person"], keyring, test=event["meta"]["test"])
    return [CaseRef("referral-of-person", ref, about="referral") for ref in persons.values()]


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """ARRIVED on the key of each slip that it fulfils. The encounter itself is for nobody else."""
    outputs: list[Output] = []
    if moment.facts:
        arrival, by_number = moment.facts[0].data, _names_slip(event)
        for slip in _slips(known, by_number=by_number):
            if not slip.arrived and arrives(slip, arrival, by_number=by_number):
                outputs.append(Publish(TOPIC, arrived(slip, arrival, event["meta"]["event_id"], event)))
    return [*outputs, Nobody("referral-arrived" if outputs else "nobody-encounter")]


def _slips(known: Known, *, by_number: bool) -> list[Slip]:
    by_key: dict[str, list[Found]] = {}
    for fact in known:
        if by_number:
            by_key.setdefault(fact.ref, []).append(fact)
        else:
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
        "on": day_of(event.get("ngay_vao", ""), day_of(revision["stated_at"], received)).isoformat(),
        "persons": person_refs(event["person"], keyring, test=event["meta"]["test"]),
        "revision": [revision["version"], revision["stated_at"], revision["received_at"].isoformat()],
    }
