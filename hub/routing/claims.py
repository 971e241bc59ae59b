"""Claims: to their payer, as the projection that it is granted."""

from typing import Final

from hub.contract.directory import Payer, payers
from hub.contract.errors import HubError
from hub.contract.events import Event, Keyring, derive, new_id, revision_rank
from hub.routing.assembly import outdone, own_claims
from hub.routing.deliveries import delivery_id, receipt
from hub.routing.stream import Deliver, Fact, Known, Moment, Nobody, Output, Publish

RULE: Final = "claim-to-payer"
_TEST: Final = "test"
_TABLES: Final = frozenset(f"xml{number}" for number in range(2, 16))  # xml1 is the claim's own summary: always granted


def facts(event: Event, _keyring: Keyring) -> list[Fact]:
    """What was sent to whom: a decision has to match it; and who made it."""
    payer, own = payer_of(event), own_claims(event)
    if payer is None:
        return own
    meta = event["meta"]
    rank, projected = revision_rank(meta["revision"]), projection_id(meta["event_id"], payer.code)
    return [Fact("claim", meta["key"], projected, rank, {"payer": payer.code, "rank": rank, "claim": meta["event_id"]}), *own]


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """The projection on the payer's topic, and the delivery that stands for it in the books.

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
    return [
        Publish(f"payer.{payer.code}.claim.v1", projection),
        Deliver(payer.code, RULE, body=False),
        Publish("receipt.v1", sent),
    ]


def payer_of(event: Event) -> Payer | None:
    """The payer of a claim, from its first card; test claims have one of their own, which no other claim reaches."""
    known = payers()
    if event["meta"].get("test"):
        return known.get(_TEST)
    group = event.get("xml1", {}).get("ma_the_bhyt", "")[:2].upper()
    real = [payer for payer in known.values() if payer.code != _TEST]
    by_card = [payer for payer in real if group and group in payer.card_groups]
    return next(iter(by_card or [payer for payer in real if payer.default]), None)


def projection_id(claim_id: str, payer: str) -> str:
    """Event id of the projection that a payer gets of a claim: as `derive` makes it."""
    return new_id("hie.Claim", claim_id, RULE, payer)


def project(event: Event, payer: Payer, superseded: str) -> Event:
    """The claim with the tables that are granted, and no others.

    superseded: event id of the claim that was the newest of its key before; the projection names that one's projection.
    """
    meta = event["meta"]
    content = {name: part for name, part in event.items() if name != "meta" and (name not in _TABLES or name in payer.tables)}
    content["payer"] = payer.code
    # The hash of a full claim is dear to make and says nothing new: the projection bears that of its claim.
    projected = derive(
        "hie.Claim",
        {},
        parents=[event],
        rule=RULE,
        facility=meta["facility"],
        key=meta["key"],
        revision=meta["revision"],
        to=payer.code,
    )
    projected["meta"] |= {
        "supersedes": projection_id(superseded, payer.code) if superseded else "",
        "content_hash": meta.get("content_hash", ""),
        "cleared": meta.get("cleared", []),
        "unparsed": meta.get("unparsed", {}),
    }
    return projected | content
