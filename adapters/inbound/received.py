"""What a way in hands to the gate, and what the gate makes of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from adapters.formats.batch import Cut
from hub.contract.directory import facilities
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import Event


@dataclass(frozen=True, slots=True)
class Received:
    """The bytes of one message, and who brought them.

    transport:  mllp, http, folder, gateway (claims), gateway-check-in or replay.
    sender:     name of the credential; `local` on loopback without credentials.
    facilities: codes that the sender may speak for; None for any.
    test:       the credential is a test credential.
    problems:   what its framing showed already.
    charset:    what the transport declares (HTTP's charset parameter); "" if it declares none.
    pasted:     on a page: its letters are the page's UTF-8 whatever its system writes, and the last line end is easily left behind.
    """

    raw: bytes
    received_at: datetime
    transport: str
    sender: str = "local"
    facilities: frozenset[str] | None = None
    test: bool = False
    problems: tuple[Problem, ...] = ()
    charset: str = ""
    pasted: bool = False

    def speaks_for(self, facility: str, path: str) -> tuple[str, list[Problem]]:
        """Whether the sender may speak for the facility that stands at a path; one that speaks for a single one need not name it.

        Returns: the facility, with warnings. Raises: HubError(FACILITY_NOT_ENTITLED).
        """
        problems = []
        if not facility and self.facilities is not None and len(self.facilities) == 1:
            facility = next(iter(self.facilities))
            problems.append(Problem("FIELD_MISSING", Severity.WARNING, path))
        if self.facilities is not None and facility not in self.facilities:
            raise HubError("FACILITY_NOT_ENTITLED", path)
        if facility not in facilities():
            problems.append(Problem("FACILITY_UNKNOWN", Severity.WARNING, path))
        return facility, problems


@dataclass(frozen=True, slots=True)
class Translation:
    """What one message became.

    message:  the `hie.MessageReceived` record: bytes, verdict, problems, ids of the events.
    events:   (record name, event) in the order of the message.
    ack:      the acknowledgement to send once the brokers hold everything; empty when the message asks for none.
    deferred: the delivery of the application's answer, where the sender wants it besides the commit one, and its body.
    verdict:  translated, refused or quarantined.
    """

    message: Event
    events: tuple[tuple[str, Event], ...]
    problems: tuple[Problem, ...]
    verdict: str
    ack: bytes
    deferred: tuple[Event, Event] | None = None


def parts(received: Received, cut: Cut, clock: Callable[[], datetime]) -> list[Received]:
    """Each message of a batch as received by itself; the first tells what is odd about the batch.

    clock: gives each its own time, so that two of equal bytes are two messages.
    """
    first, *rest = cut.parts
    return [
        replace(received, raw=first, received_at=clock(), problems=received.problems + cut.problems),
        *(replace(received, raw=part, received_at=clock(), problems=()) for part in rest),
    ]
