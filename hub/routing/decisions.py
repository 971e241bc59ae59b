"""Payers' decisions: checked against what the payer was sent, then back to the facility."""

from typing import Final

from hub.contract.events import Event, Keyring, derive, revision_rank
from hub.routing.deliveries import delivery_id, receipt
from hub.routing.stream import CaseRef, Deliver, Known, Moment, Nobody, Output, Publish, Refuse, receiver

TOPIC: Final = "claim-decision.v1"


def lookups(event: Event, _keyring: Keyring) -> list[CaseRef]:
    """What was sent of that claim."""
    return [CaseRef("claim", event["meta"]["key"])]


def check(payer: str, event: Event, known: Known, moment: Moment) -> list[Output]:
    """A decision on its payer's own topic: passed on if it names a claim, key and revision that this payer was sent.

    payer: whose topic it came by.
    """
    sent = next((fact for fact in known if fact.kind == "claim" and fact.id == event.get("claim_event_id")), None)
    if (
        sent is None
        or {payer, event.get("payer")} != {sent.data["payer"]}
        or revision_rank(event["claim_revision"]) != sent.data["rank"]
        or event.get("ma_cskcb") != event["meta"]["facility"]
    ):
        return [Refuse("DECISION_MISMATCH", "nobody-decision-mismatch")]
    meta = event["meta"]
    content = {name: part for name, part in event.items() if name != "meta"}
    passed = derive(
        "hie.ClaimDecision",
        content,
        parents=[event],
        rule="decision-checked",
        facility=meta["facility"],
        key=meta["key"],
        revision=meta["revision"],
    )
    heard = receipt(event, delivery_id(sent.data["claim"], payer), payer, "ACKNOWLEDGED", channel="kafka", at=moment.seen_at)
    return [Publish(TOPIC, passed), Publish("receipt.v1", heard), Nobody("decision-checked")]


def decide(event: Event, _known: Known, moment: Moment) -> list[Output]:
    """A checked decision goes to the facility that claimed. Raises: HubError(RECEIVER_UNKNOWN)."""
    return [Deliver(receiver(event.get("ma_cskcb", ""), moment), "decision-to-facility")]
