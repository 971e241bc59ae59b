"""Payers' decisions: checked against what the payer was sent, then back to the facility.

A payer says ACCEPTED, REJECTED or CANCELLED; INFORMATION_REQUESTED while it cannot decide; PAID when it has paid. All are one
record, checked in one way; each has a rule of its own on its way to the facility.
"""

from typing import Final

from hub.contract.events import Event, Keyring, derive
from hub.contract.payers import TEST
from hub.routing.deliveries import delivery_id, receipt
from hub.routing.secondary import KIND, SHARED, copied, decided_facts, sent_to
from hub.routing.stream import CaseRef, Deliver, Fact, Known, Moment, Nobody, Output, Publish, Refuse, own_facts, receiver

TOPIC: Final = "claim-decision.v1"
_TO_FACILITY: Final = {"INFORMATION_REQUESTED": "request-to-facility", "PAID": "payment-to-facility"}
_STATES: Final = frozenset({"ACCEPTED", "REJECTED", "CANCELLED", *_TO_FACILITY})


def side(event: Event) -> str:
    """Each payer speaks for itself: what one says again is a repeat, whatever another said meanwhile."""
    return str(event.get("payer", ""))


def sent_before(event: Event, _keyring: Keyring) -> list[CaseRef]:
    """What was sent of that claim."""
    return [CaseRef(KIND, event["meta"]["key"])]


def check(payer: str, event: Event, known: Known, moment: Moment) -> list[Output]:
    """A decision on its payer's own topic: passed on if it names a claim, key and revision that this payer was sent.

    payer: whose topic it came by.
    """
    sent = sent_to(payer, known).get(event.get("claim_event_id", ""))
    meta = event["meta"]
    fits = {
        "claim_event_id": sent is not None,
        "payer": event.get("payer") == payer,
        "claim_revision": sent is not None and sent.has(event["claim_revision"]),
        "ma_cskcb": event.get("ma_cskcb") == meta["facility"],
        "verdict": event.get("verdict") in _STATES,
        "meta.test": bool(meta.get("test")) == (payer == TEST),
    }
    if sent is None or not all(fits.values()):
        return [Refuse("DECISION_MISMATCH", "nobody-decision-mismatch", next(name for name, fit in fits.items() if not fit))]
    shared = any(fact.id == event["claim_event_id"] and fact.data.get("copies") for fact in known)
    content = {name: part for name, part in event.items() if name != "meta"}
    passed = derive(
        "hie.ClaimDecision",
        content,
        parents=[event],
        rule=SHARED if shared else "decision-checked",
        facility=meta["facility"],
        key=meta["key"],
        revision=meta["revision"],
    )
    heard = receipt(event, delivery_id(sent.subject, payer), payer, "ACKNOWLEDGED", channel="kafka", at=moment.seen_at)
    return [Publish(TOPIC, passed), Publish("receipt.v1", heard), Nobody("decision-checked")]


def facts(event: Event, _keyring: Keyring) -> list[Fact]:
    """That copies of a claim went out."""
    return decided_facts(event)


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """What was sent of the claim, where it names a supplementary insurer."""
    return sent_before(event, keyring) if event["meta"].get("rule") == SHARED else []


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """A checked decision goes to the facility that claimed, and with the claim to its supplementary insurers.

    Raises: HubError(RECEIVER_UNKNOWN).
    """
    rule = _TO_FACILITY.get(event.get("verdict", ""), "decision-to-facility")
    told = Deliver(receiver(event.get("ma_cskcb", ""), moment), rule)
    return [told, *copied(event, [*own_facts(event, moment), *known], moment)]
