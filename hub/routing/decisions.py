"""Payers' decisions: checked against what the payer was sent, then back to the facility.

A payer says ACCEPTED, REDUCED, REJECTED or CANCELLED; INFORMATION_REQUESTED while it cannot decide; PAID when it has paid. All are one
record, checked in one way; each has a rule of its own on its way to the facility.
"""

from typing import Final

from hub.contract.directory import payers
from hub.contract.events import Event, Keyring, derive, new_id, revision_rank
from hub.contract.payers import TEST, Payer
from hub.routing.deliveries import delivery_id, receipt
from hub.routing.secondary import DECIDED, KIND, ORDER_MOST, SHARED, copied, decided_facts, outdated, sent_to, word_on
from hub.routing.stream import CaseRef, Deliver, Fact, Known, Moment, Nobody, Output, Publish, Refuse, own_facts, receiver

TOPIC: Final = "claim-decision.v1"
_TO_FACILITY: Final = {"INFORMATION_REQUESTED": "request-to-facility", "PAID": "payment-to-facility"}
_STATES: Final = frozenset({*DECIDED, "CANCELLED", *_TO_FACILITY})
_OUTDATED: Final[Event] = {
    "rule": "T07",
    "severity": "W",
    "table": "XML1",
    "text_vi": "Đây là về một phiên bản cũ của hồ sơ: hub đã có phiên bản mới hơn, phiên bản mới đó mới có hiệu lực.",
    "text_en": "This is about an older revision of the claim: the hub has a newer one, and that one is in force.",
}
_WORD: Final = "payer-word"  # kind of the fact that a payer has used a version of one claim event


def side(event: Event) -> str:
    """Each payer speaks for itself."""
    return str(event.get("payer", ""))


def _word(payer: str, event: Event) -> str:
    """Of one length, whatever the payer wrote: not yet compared with what it was sent."""
    about = (event["meta"]["key"], event["claim_event_id"], revision_rank(event["claim_revision"]))
    return new_id(_WORD, payer, *about, str(event["meta"]["revision"]["version"]))


def counted(payer: Payer, event: Event, _keyring: Keyring) -> list[Fact]:
    """That this version of the claim event is taken: of two words that bear it, which one counts could not be told.

    The hub's own insurer numbers its words by itself (the decision, then each that has adjustments), and none is counted.
    """
    fits = _fit(payer.code, event)
    return [] if payer.adjudicated_here or not all(fits.values()) else [Fact(_WORD, _word(payer.code, event), "", "", {})]


def sent_before(payer: Payer, event: Event, _keyring: Keyring) -> list[CaseRef]:
    """What was sent of that claim, and who took the version."""
    sent = CaseRef(KIND, event["meta"]["key"])
    return [sent] if payer.adjudicated_here else [sent, CaseRef(_WORD, _word(payer.code, event))]


def _fit(payer: str, event: Event) -> dict[str, bool]:
    """What a decision has to fulfil, whatever its payer was sent."""
    meta = event["meta"]
    return {
        "payer": event.get("payer") == payer,
        "ma_cskcb": event.get("ma_cskcb") == meta["facility"],
        "verdict": event.get("verdict") in _STATES,
        "meta.test": bool(meta.get("test")) == (payer == TEST),
        "meta.revision.version": payers()[payer].adjudicated_here or 0 <= meta["revision"]["version"] <= ORDER_MOST,
    }


def check(payer: str, event: Event, known: Known, moment: Moment) -> list[Output]:
    """A decision on its payer's own topic: passed on if it names a claim, key and revision that this payer was sent.

    The answer to a withdrawal is heard and goes no further: the facility would take it for one about the claim in force. One on
    an older revision than the newest that is known goes on and says so first (T07): its facility may take it for what is paid.
    The hub's own insurer says of which message the claim was made: of none is one that was put into its topic by itself.

    payer: whose topic it came by.
    """
    sent = sent_to(payer, known).get(event.get("claim_event_id", ""))
    meta = event["meta"]
    if sent is None and payers()[payer].adjudicated_here and not meta.get("message_id"):
        return [Nobody("nobody-simulated")]
    fits = {
        "claim_event_id": sent is not None,
        **_fit(payer, event),
        "claim_revision": sent is not None and sent.has(event["claim_revision"]),
    }
    if sent is not None and sent.withdrawn:
        fits["verdict"] = event.get("verdict") == "CANCELLED"
    elif any(fact.event_id != meta["event_id"] for fact in known if fact.kind == _WORD):
        fits["meta.revision.version"] = False
    if sent is None or not all(fits.values()):
        return [Refuse("DECISION_MISMATCH", "nobody-decision-mismatch", next(name for name, fit in fits.items() if not fit))]
    heard = Publish(
        "receipt.v1",
        receipt(event, delivery_id(sent.subject, payer), payer, "ACKNOWLEDGED", channel="kafka", at=moment.seen_at),
    )
    if sent.withdrawn:
        return [heard, Nobody("nobody-withdrawal-heard")]
    shared = any(fact.id == event["claim_event_id"] and fact.data.get("copies") for fact in known)
    content = {name: part for name, part in event.items() if name != "meta"}
    if outdated(sent, known):
        content["findings"] = [_OUTDATED, *content.get("findings", [])]
    passed = derive(
        "hie.ClaimDecision",
        content,
        parents=[event],
        rule=SHARED if shared else "decision-checked",
        facility=meta["facility"],
        key=meta["key"],
        revision=word_on(sent, event),
    )
    return [Publish(TOPIC, passed), heard, Nobody("decision-checked")]


def facts(event: Event, _keyring: Keyring) -> list[Fact]:
    """That copies of a claim went out."""
    return decided_facts(event)


def lookups(event: Event, _keyring: Keyring) -> list[CaseRef]:
    """What was sent of the claim, where it names a supplementary insurer."""
    return [CaseRef(KIND, event["meta"]["key"])] if event["meta"].get("rule") == SHARED else []


def decide(event: Event, known: Known, moment: Moment) -> list[Output]:
    """A checked decision goes to the facility that claimed, and with the claim to its supplementary insurers.

    Raises: HubError(RECEIVER_UNKNOWN).
    """
    rule = _TO_FACILITY.get(event.get("verdict", ""), "decision-to-facility")
    told = Deliver(receiver(event.get("ma_cskcb", ""), moment), rule)
    return [told, *copied(event, [*own_facts(event, moment), *known], moment)]
