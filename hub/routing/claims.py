"""Claims: to their payer, as the projection that it is granted; whoever had an older one hears that it is gone; their discharge
papers and treatment summaries to the citizen's app."""

from hub.contract.errors import HubError
from hub.contract.events import Event, Keyring
from hub.routing.assembly import outdone, own_claim, own_claims
from hub.routing.deliveries import delivery_id, receipt
from hub.routing.projections import RULE, copied_to, payer_of, project, projection_id, supplementary_of
from hub.routing.secondary import KIND, claim_fact, moved_away
from hub.routing.stream import CaseRef, Deliver, Fact, Known, Moment, Nobody, Output, Publish, own_facts
from hub.routing.summaries import said_of_papers, to_portal


def facts(event: Event, _keyring: Keyring) -> list[Fact]:
    """What was sent to whom: a decision has to match it; and who made it."""
    payer, own = payer_of(event), own_claims(event)
    if payer is None:
        return own
    projected = projection_id(event["meta"]["event_id"], payer.code)
    return [claim_fact(event, projected, payer.code, copied_to(event), said_of_papers(event)), *own]


def lookups(event: Event, keyring: Keyring) -> list[CaseRef]:
    """What was sent of that claim before, and whether its facility makes it itself."""
    return [CaseRef(KIND, event["meta"]["key"]), *own_claim(event, keyring)]


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """The projection on the payer's topic, and the delivery that stands for it in the books; what the citizen's app may show.

    Raises: HubError(PAYER_UNKNOWN).
    """
    if outdone(known):
        return [Nobody("nobody-claim-own")]
    payer = payer_of(event)
    if payer is None:
        raise HubError("PAYER_UNKNOWN", "seeds/payers")
    meta = event["meta"]
    projection = project(event, payer, moment.supersedes)
    sent = receipt(event, delivery_id(meta["event_id"], payer.code), payer.code, "SENT", channel="kafka", at=moment.seen_at)
    told: list[Output] = [
        Publish(f"payer.{payer.code}.claim.v1", projection),
        Deliver(payer.code, RULE, body=False),
        Publish("receipt.v1", sent),
        *to_portal(event, projection, known),
    ]
    held = Nobody("nobody-held-sensitive")
    if _held(event) and held not in told:
        told.append(held)
    own = next(fact for fact in own_facts(event, moment) if fact.kind == KIND)
    return [*told, *moved_away(event, own, known, moment)]


def _held(event: Event) -> bool:
    """Whether a supplementary insurer gets no copy for what the claim tells."""
    label = bool(event["meta"].get("sensitivity")) and event.get("action") == "SUBMITTED"
    return label and len(copied_to(event)) < len(supplementary_of(event))
