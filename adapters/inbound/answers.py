"""What is answered: one answer to messages that came together, and the order of the answers on a link."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from adapters.formats.batch import answer
from adapters.formats.mllp import START, TAIL
from adapters.inbound.received import Received, Translation
from hub.contract.events import VIETNAM


def answered(header: str, acks: Sequence[bytes], at: datetime) -> bytes:
    """The one answer to messages that came together; at: when they were taken, which names it too."""
    local = at.astimezone(VIETNAM)
    return answer(header, acks, control_id=f"{local:%Y%m%d%H%M%S%f}", now=local)


def answer_view(translation: Translation) -> dict[str, object]:
    """What became of a message, as JSON tells it (`http_api.Answer`)."""
    message = translation.message
    return {
        "message_id": message["message_id"],
        "control_id": message.get("control_id", ""),
        "verdict": translation.verdict,
        "ack": message["ack"],
        "problems": [
            {"code": p.code, "severity": p.severity, "path": p.path, "text": p.row.en, "text_vi": p.row.vi}
            for p in translation.problems
        ],
        "events": message["events"],
    }


class Slot:
    """The place of one message in the order of acknowledgements."""

    __slots__ = ("ack", "batch", "lost")

    def __init__(self, batch: "Batch | None" = None) -> None:
        self.ack: bytes | None = None  # the acknowledgement, framed unless of a batch, b"" for none; None while it is not known
        self.lost = False  # the brokers did not confirm
        self.batch = batch


class Batch:
    """A frame of several messages: its answer is written when the last of them is settled."""

    __slots__ = ("_acks", "_at", "_header", "_left")

    def __init__(self, header: str, messages: int, at: datetime) -> None:
        self._header, self._left, self._at = header, messages, at
        self._acks: list[bytes] = []

    def settle(self, ack: bytes) -> bytes:
        """Take the acknowledgement of the next message; returns the framed answer to all after the last, else b""."""
        self._left -= 1
        if ack:
            self._acks.append(ack)
        if self._left or not self._acks:
            return b""
        return START + answered(self._header, self._acks, self._at) + TAIL


class Answering(Protocol):
    """A link, as far as answers go."""

    def settled(self) -> None:
        """One more slot has its answer, or is lost."""


class Settle:
    """What the gate calls when a message is done; lighter than a closure and a bound method."""

    __slots__ = ("_link", "_slot")

    def __init__(self, link: Answering, slot: Slot) -> None:
        self._link = link
        self._slot = slot

    def __call__(self, translation: Translation | None) -> None:
        if translation is None:
            self._slot.lost = True
        else:
            ack = translation.ack
            self._slot.ack = START + ack + TAIL if ack and self._slot.batch is None else ack
        self._link.settled()


class Part:
    """One message of a batch, on its way to the gate."""

    __slots__ = ("batch", "received")

    def __init__(self, received: Received, batch: Batch) -> None:
        self.received, self.batch = received, batch
