"""Deliveries and receipts as events. One event reaches one recipient once, whatever rule or side of a case brings it there."""

from datetime import datetime
from typing import Any, Final

from hub.contract.events import Event, derive, new_id

TOPIC: Final = "delivery.v1"
_ID_RULE: Final = "delivery"


def delivery_id(subject_event_id: str, recipient: str) -> str:
    """Id of the delivery of an event to a recipient ("" for nobody): no rule in it, so two rules cannot deliver twice."""
    return new_id("hie.Delivery", subject_event_id, _ID_RULE, recipient)


def delivery(subject: Event, record: str, topic: str, recipient: str, rule: str, *, lane: str = "", body: bytes = b"") -> Event:
    """One event addressed to one recipient, or (recipient "") the rule why nobody is.

    record, topic: of the subject.
    body:          its Kafka value, in Confluent's wire format.
    """
    meta = subject["meta"]
    content: dict[str, Any] = {
        "recipient": recipient,
        "subject_event_id": meta["event_id"],
        "subject_record": record,
        "subject_topic": topic,
        "lane": lane,
        "rule": rule,
    }
    event = derive(
        "hie.Delivery",
        content,
        parents=[subject],
        rule=_ID_RULE,
        facility=meta["facility"],
        key=recipient or meta["key"],
        revision=meta["revision"],
        to=recipient,
    )
    event["meta"]["rule"] = rule
    event["body"] = body  # outside the content hash: the subject's id stands for it
    return event


def receipt(cause: Event, delivery: str, recipient: str, state: str, *, channel: str, at: datetime) -> Event:
    """A change of state that routing itself sees: a claim on its payer's topic, a decision that answers it.

    cause:    the event that brought it about.
    delivery: id of the delivery.
    """
    content = {"delivery_id": delivery, "recipient": recipient, "state": state, "code": "", "channel": channel, "at": at}
    meta = cause["meta"]
    return derive(
        "hie.Receipt",
        content,
        parents=[cause],
        rule=f"receipt-{state.lower()}",
        facility=meta["facility"],
        key=recipient,
        revision=meta["revision"],
        to=recipient,
    )
