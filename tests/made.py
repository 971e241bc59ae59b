"""Events as gate and routing make them, for tests of what comes after: invented people, real ids and bytes."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Message

from hub.bus import Out, Wire, event_out
from hub.contract.events import Event, Keyring, Origin, derive, new_id, sparse, stamp
from hub.contract.topics import topic_of

KEYRING = Keyring(b"a secret of tests")
AT = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


def unique(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(5)}"


def received(
    facility: str = "01731", *, verdict: str = "translated", at: datetime = AT, test: bool = False, **more: Any
) -> Event:
    """A `hie.MessageReceived` without events."""
    control_id = more.pop("control_id", unique("M"))
    return {
        "message_id": new_id("message", facility, control_id, at.isoformat()),
        "received_at": at,
        "facility": facility,
        "sender": "minhkhai",
        "transport": "mllp",
        "format": "hl7",
        "raw": b"MSH|",
        "message_type": "REF^I12",
        "control_id": control_id,
        "verdict": verdict,
        "ack": "AA" if verdict == "translated" else "AR",
        "problems": [{"code": "FIELD_MISSING", "severity": "W", "path": "PID-7"}],
        "events": [],
        "test": test,
    } | more


def origin_of(message: Event) -> Origin:
    return Origin(
        message["message_id"],
        message["received_at"],
        {"sender": message["sender"], "message_type": message["message_type"]},
        test=message["test"],
        stated_at="20260302083000",
    )


def referral(message: Event, slip: str = "", *, action: str = "ISSUED", to: str = "01021", name: str = "NGUYỄN THỊ SEN") -> Event:
    """A referral of a message, which then says that it made it."""
    slip = slip or unique("S")
    content = {
        "action": action,
        "slip": slip,
        "ma_cskcb": message["facility"],
        "ma_cskcb_den": to,
        "person": {"ho_ten": name, "ngay_sinh": "19800304", "gioi_tinh": "2"},
        "diagnoses": [{"ma_benh": "I10", "chan_doan": "Tăng huyết áp", "main": True}],
        "reason": "Vượt khả năng chuyên môn",
    }
    event = stamp(
        "hie.Referral",
        sparse(content),
        facility=message["facility"],
        business_key=slip,
        origin=origin_of(message),
        keyring=KEYRING,
    )
    event["xml13"] = {}  # a record has no default: what is absent in it is absent inside
    message["events"].append({"event_id": event["meta"]["event_id"], "topic": "referral.v1"})
    return event


def delivery(wire: Wire, record: str, event: Event, recipient: str, *, rule: str = "referral-to-receiver", **more: Any) -> Event:
    """A `hie.Delivery` of an event; `recipient` empty when the rule addresses nobody."""
    topic = topic_of(record)
    content = {
        "recipient": recipient,
        "subject_event_id": event["meta"]["event_id"],
        "subject_record": record,
        "subject_topic": topic,
        "lane": "routine",
        "rule": rule,
        "body": wire.pack(topic, event) if recipient else b"",
    } | more
    meta = event["meta"]
    return derive(
        "hie.Delivery",
        content,
        parents=[event],
        rule=rule,
        facility=meta["facility"],
        key=recipient or meta["facility"],
        revision=meta["revision"],
        to=recipient,
    )


@dataclass
class Log:
    """Topics as one reader sees them: records at places, one after another in one partition each."""

    wire: Wire
    ends: dict[str, int] = field(default_factory=dict)

    def value(self, topic: str, value: bytes | None, key: str = "k", at: datetime = AT) -> Message:
        offset = self.ends.get(topic, 0)
        self.ends[topic] = offset + 1
        stamped = (1, int(at.timestamp() * 1000))
        return Message(topic=topic, partition=0, offset=offset, key=key.encode(), value=value, timestamp=stamped)

    def event(self, topic: str, event: Event, at: datetime = AT) -> Message:
        return self.value(topic, self.wire.pack(topic, event), at=at)


def out(wire: Wire, topic: str, event: Event) -> Out:
    """The Kafka record of an event, or of a received message."""
    if topic == "message-received.v1":
        return Out(topic, event["facility"], wire.pack(topic, event))
    return event_out(wire, topic, event)
