"""What mapping a message needs from outside it, and what comes of it."""

from dataclasses import dataclass, field
from typing import Final

from hub.contract.errors import Problem
from hub.contract.events import Event, Keyring, Origin

EVENTS_MAX: Final = 100_000  # of one message: their ids fill 5 MiB of its record, which holds 8


@dataclass(frozen=True, slots=True)
class Context:
    """Known before the content is read: where the message comes from and whose it is.

    facility: MA_CSKCB of the sender, resolved from MSH-4 or MACSKCB by the dialect.
    """

    origin: Origin
    keyring: Keyring
    facility: str


@dataclass(slots=True)
class Mapped:
    """Events as (record name, event), and what was noticed on the way."""

    events: list[tuple[str, Event]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
