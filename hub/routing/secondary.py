"""Who else than the primary payer gets a claim, and what each payer was sent of one.

A claim that names a supplementary insurer is copied to it once the primary payer has decided: one copy for each of its decisions on
each revision. A payer that a newer revision is not for any more (another card, another insurer, cancelled) is told so: WITHDRAWN in
effect, a cancelled claim in form. Both follow from facts that only grow, and ids derive from causes: so in whatever order claims
and decisions come, the last one brings out what is missing.

Facts are of one kind, `claim`, under the claim's key: one for each claim that went to its payer (`payer`, `copies`), one for each
decision that has to be copied (`decided`). The first kind also says what became of papers at the portal (`papers`, of `summaries`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from hub.contract.directory import payers
from hub.contract.events import Event, derive, new_id, revision_rank
from hub.contract.records import Revision
from hub.routing.deliveries import TOPIC as DELIVERIES
from hub.routing.deliveries import delivery, delivery_id, receipt
from hub.routing.projections import granted
from hub.routing.stream import Deliver, Fact, Found, Gather, Known, Moment, Output, Publish, Refuse

KIND: Final = "claim"
COPY: Final = "claim-to-supplementary"
WITHDRAWN: Final = "claim-withdrawn"
SHARED: Final = "decision-checked-shared"
"""Rule of a decision on a claim that names a supplementary insurer: all others need no second look."""
DECIDED: Final = frozenset({"ACCEPTED", "REDUCED", "REJECTED"})
_CLAIMS: Final = "claim.v1"
ORDER_MOST: Final = 999


@dataclass(frozen=True, slots=True)
class Sent:
    """One thing that a payer was sent.

    rank:      of the claim's revision.
    order:     of the decision that brought a copy: its revision is so many microseconds above the claim's.
    subject:   id of the event that was delivered by it: the claim, or the decision that brought a copy.
    withdrawn: it says that the claim is not for that payer any more.
    """

    rank: str
    subject: str
    order: int = 0
    withdrawn: bool = False

    def has(self, revision: Revision) -> bool:
        """Whether that is its revision."""
        return revision_rank(above(revision, -self.order)) == self.rank


# --- facts ------------------------------------------------------------------------------------------------------------


def claim_fact(event: Event, projected: str, payer: str, copies: list[str], papers: str) -> Fact:
    """That a claim went to its payer.

    copies: who gets one once that payer has decided.
    papers: what it says of papers at the portal; empty: nothing.
    """
    meta = event["meta"]
    rank = revision_rank(meta["revision"])
    data = {"payer": payer, "rank": rank, "claim": meta["event_id"]}
    more = ({"copies": copies} if copies else {}) | ({"papers": papers} if papers else {})
    return Fact(KIND, meta["key"], projected, rank, data | more)


def decided_facts(event: Event) -> list[Fact]:
    """That a claim was decided which has to be copied, of a checked decision."""
    meta = event["meta"]
    if meta.get("rule") != SHARED or event.get("verdict") not in DECIDED:
        return []
    data = {"decided": event.get("claim_event_id", ""), "order": _order_of(event)}
    return [Fact(KIND, meta["key"], meta["event_id"], revision_rank(meta["revision"]), data)]


def _version_of(word: Event) -> int:
    """Which of a payer's words on one claim event it is, of a decision as the payer wrote it.

    The hub's own insurer numbers on from the claim's version, which may be any: a large one leaves room for the words after it.
    """
    version = int(word["meta"]["revision"]["version"])
    if payers()[word["payer"]].adjudicated_here:
        claims = int(word["claim_revision"]["version"])
        version += min(claims, ORDER_MOST // 2) - claims
    return max(0, min(version, ORDER_MOST))


def word_on(sent: Sent, word: Event) -> Revision:
    """The revision of a payer's word once it is passed on: that of the claim, by the copy it is about and then by its version.

    So a word on a newer claim stands over all on older ones, whatever their versions.
    """
    return above(word["claim_revision"], ORDER_MOST * sent.order + _version_of(word))


def _order_of(decision: Event) -> int:
    """The version of the primary payer's word, of a decision that was passed on."""
    own: Revision = decision["meta"]["revision"]
    claims: Revision = decision["claim_revision"]
    return (own["received_at"] - claims["received_at"]) // timedelta(microseconds=1)


def _claims(known: Known) -> dict[str, Found]:
    return {fact.id: fact for fact in known if fact.kind == KIND and "claim" in fact.data}


def _copies(known: Known) -> list[tuple[Found, Found]]:
    """Each decided fact with its claim's, the oldest first: by each, copies went to whom the claim names."""
    claims = _claims(known)
    decided = {fact.id: fact for fact in known if fact.kind == KIND and fact.data.get("decided") in claims}
    pairs = [(fact, claims[fact.data["decided"]]) for fact in decided.values()]
    return sorted(pairs, key=lambda pair: (pair[1].data["rank"], pair[0].data["order"], pair[0].id))


def _named(fact: Found) -> tuple[str, ...]:
    """The supplementary insurers that get copies of a claim."""
    return tuple(fact.data.get("copies", ()))


# --- what each payer was sent -----------------------------------------------------------------------------------------


def copy_id(claim_id: str, decision_id: str, payer: str) -> str:
    """Event id of the copy that a supplementary insurer gets by a decision on a claim: as `derive` makes it."""
    return new_id("hie.Claim", *sorted((claim_id, decision_id)), COPY, payer)


def withdrawal_id(claim_id: str, payer: str) -> str:
    """Event id of the word that a claim is not for a payer any more: as `derive` makes it."""
    return new_id("hie.Claim", claim_id, WITHDRAWN, payer)


def above(revision: Revision, order: int) -> Revision:
    """The revision of a copy: above those by the payer's words before, below the next claim's."""
    return {**revision, "received_at": revision["received_at"] + timedelta(microseconds=order)}


def sent_to(payer: str, known: Known) -> dict[str, Sent]:
    """Event id to what stands under it, of all that a payer was sent of a claim's key."""
    claims = _claims(known)
    sent = {fact.id: Sent(fact.data["rank"], fact.data["claim"]) for fact in claims.values() if fact.data["payer"] == payer}
    for decided, fact in _copies(known):
        if payer in _named(fact):
            found = Sent(fact.data["rank"], decided.id, decided.data["order"])
            sent[copy_id(fact.data["claim"], decided.id, payer)] = found
    first = _first(known)
    for fact in claims.values():
        if payer in _lost(fact, first):
            sent[withdrawal_id(fact.data["claim"], payer)] = Sent(fact.data["rank"], fact.data["claim"], withdrawn=True)
    return sent


def outdated(sent: Sent, known: Known) -> bool:
    """Whether a newer revision than the one sent is known, whoever that is for."""
    return any(fact.data["rank"] > sent.rank for fact in _claims(known).values())


def _first(known: Known) -> dict[str, str]:
    """Payer to the rank of the oldest claim that it was sent."""
    ranks = [(fact.data["rank"], fact.data["payer"]) for fact in _claims(known).values()]
    ranks += [(fact.data["rank"], payer) for _decided, fact in _copies(known) for payer in _named(fact)]
    return {payer: rank for rank, payer in sorted(ranks, reverse=True)}


def _lost(claim: Found, first: Mapping[str, str]) -> list[str]:
    """Payers that were sent an older claim of the key, which this one is not for."""
    own = {claim.data["payer"], *_named(claim)}
    return sorted(payer for payer, rank in first.items() if rank < claim.data["rank"] and payer not in own)


# --- what follows -----------------------------------------------------------------------------------------------------


def moved_away(event: Event, own: Found, known: Known, moment: Moment) -> list[Output]:
    """What a claim says to those that have an older one; and what newer ones, known before it, say to its own payer."""
    known, told = [own, *known], list[Output]()
    for payer in _lost(own, _first(known)):
        if payer in payers():
            told += [Deliver(payer, WITHDRAWN, body=False), *_withdrawal(event, payer, moment.seen_at)]
    return [*told, *_newer(own, {own.data["payer"]}, known, moment)]


def copied(event: Event, known: Known, moment: Moment) -> list[Output]:
    """What a checked decision leads to besides its delivery, where the claim names supplementary insurers."""
    pair = next((pair for pair in _copies(known) if pair[0].id == event["meta"]["event_id"]), None)
    if pair is None:
        return []
    fact, codes = pair[1], [code for code in _named(pair[1]) if code in payers()]

    def then(read: Mapping[str, tuple[str, Event]]) -> list[Output]:
        if fact.place not in read:
            return [Refuse("CLAIM_GONE", "nobody-claim-gone", fact.place)]
        claim = read[fact.place][1]
        return [output for code in codes for output in _copy(claim, event, code, known, moment)]

    return [Gather((fact.place,), then), *_newer(fact, set(codes), known, moment)] if codes else []


def _copy(claim: Event, decision: Event, code: str, known: Known, moment: Moment) -> list[Output]:
    ids = [copy_id(fact.data["claim"], decided.id, code) for decided, fact in _copies(known) if code in _named(fact)]
    own = copy_id(claim["meta"]["event_id"], decision["meta"]["event_id"], code)
    before = ids[: ids.index(own)]
    revision = above(claim["meta"]["revision"], _order_of(decision))
    made = granted(claim, payers()[code], [claim, decision], COPY, revision, before[-1] if before else "")
    made["prior"] = [_prior(claim, decision)]
    subject = delivery_id(decision["meta"]["event_id"], code)
    sent = receipt(decision, subject, code, "SENT", channel="kafka", at=moment.seen_at)
    return [Publish(f"payer.{code}.claim.v1", made), Deliver(code, COPY, body=False), Publish("receipt.v1", sent)]


def _prior(claim: Event, decision: Event) -> Event:
    """What the primary payer decided, and what it leaves."""
    total, granted = claim["xml1"].get("t_tongchi_bv"), decision.get("t_bhtt_gd")
    left = None if total is None or granted is None else total - granted - (claim["xml1"].get("t_nguonkhac") or Decimal(0))
    return {
        "payer": decision["payer"],
        "decision_event_id": decision["meta"]["event_id"],
        "verdict": decision["verdict"],
        "t_bhtt_gd": granted,
        "t_conlai": left,
    }


def _newer(own: Found, have: set[str], known: Known, moment: Moment) -> list[Output]:
    """Withdrawals by newer claims that came before what they withdraw: the same as if they had come behind it."""
    told: list[Output] = []
    first = _first(known)
    for fact in _claims(known).values():
        lost = [payer for payer in _lost(fact, first) if payer in have and payer in payers()]
        if not lost or fact.data["rank"] <= own.data["rank"]:
            continue

        def then(
            read: Mapping[str, tuple[str, Event]], place: str = fact.place, lost: list[str] = lost, at: datetime = moment.seen_at
        ) -> list[Output]:
            if place not in read:
                return []  # its topic keeps it no more, nor, then, what it would withdraw
            newer = read[place][1]
            deliveries = [delivery(newer, "hie.Claim", _CLAIMS, payer, WITHDRAWN, lane="routine") for payer in lost]
            return [
                *(Publish(DELIVERIES, one) for one in deliveries),
                *(output for payer in lost for output in _withdrawal(newer, payer, at)),
            ]

        told.append(Gather((fact.place,), then))
    return told


def _withdrawal(newer: Event, payer: str, at: datetime) -> list[Output]:
    """That a claim is not for a payer any more: it names the claim and tells no more."""
    meta = newer["meta"]
    content = {"action": "CANCELLED", "payer": payer, "ma_cskcb": newer["ma_cskcb"], "ma_lk": newer["ma_lk"]}
    content["xml1"] = {"ma_cskcb": newer["ma_cskcb"], "ma_lk": newer["ma_lk"]}
    made = derive(
        "hie.Claim",
        content,
        parents=[newer],
        rule=WITHDRAWN,
        facility=meta["facility"],
        key=meta["key"],
        revision=meta["revision"],
        to=payer,
    )
    sent = receipt(newer, delivery_id(meta["event_id"], payer), payer, "SENT", channel="kafka", at=at)
    return [Publish(f"payer.{payer}.claim.v1", made), Publish("receipt.v1", sent)]
