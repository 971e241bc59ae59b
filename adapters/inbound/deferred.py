"""The application's answer of enhanced mode, when the sender wants it besides the commit one: delivered later, to its mailbox.

A link carries one answer to a message, so that a lock-step sender is never out of step. Who asks for both (MSH-15 and MSH-16)
gets CA on the link, and AA as a `hie.Delivery` to its own facility: by pull, or by MLLP push as a message of type ACK. The
subject is the message as received, with its MSH alone. A refusal is known at once and said in the commit answer (CE, CR), after
which HL7 has no other. Source: HL7 v2.5.1 §2.9.3.
"""

from typing import Final

from adapters.formats.hl7v2 import Message
from hub.contract.directory import facilities
from hub.contract.events import Event, content_hash, new_id
from hub.contract.records import Source

TOPIC: Final = "delivery.v1"
RULE: Final = "application-ack-to-sender"
_SUBJECT: Final = ("hie.MessageReceived", "message-received.v1")


def deferred_answer(note: Event, source: Source, stated_at: str) -> Event | None:
    """The delivery of an application's AA, its body left to whoever knows the wire; None for a facility of no directory.

    note: the `hie.MessageReceived` that was acknowledged CA. The id holds the message's sender and bytes, not its time, so a
          resend is answered on its link and not delivered twice.
    """
    recipient = note["facility"]
    if recipient not in facilities():
        return None
    content = {
        "recipient": recipient,
        "subject_event_id": note["message_id"],
        "subject_record": _SUBJECT[0],
        "subject_topic": _SUBJECT[1],
        "lane": "routine",
        "rule": RULE,
    }
    meta = {
        "event_id": new_id("hie.Delivery", note["sender"], note["raw_hash"], RULE, recipient),
        "facility": recipient,
        "key": recipient,
        "revision": {"version": 0, "stated_at": stated_at, "received_at": note["received_at"]},
        "message_id": note["message_id"],
        "test": note["test"],
        "causes": [note["message_id"]],
        "rule": RULE,
        "content_hash": content_hash(content),
        "source": source,
    }
    return {"meta": meta, **content}


def answered(note: Event, header: Message) -> Event:
    """The body of the delivery: the message as received, of its bytes the MSH alone, with the answer it is to get."""
    separator, fields = header.delimiters.field, header.header.fields
    raw = f"MSH{separator}{separator.join(fields[2:])}\r".encode()
    return {**note, "raw": raw, "raw_ref": "", "ack": "AA"}
