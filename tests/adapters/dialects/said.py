"""Messages of the standard dialect in short, and what mapping makes of them."""

from datetime import UTC, datetime

from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.mapping import map_message, message_type
from adapters.dialects.profile import Dialect, load_dialect
from adapters.formats.hl7v2 import parse
from hub.contract.events import Event, Keyring, Origin

KEYRING = Keyring(b"golden-secret-16")
PID = "PID|1||N1^^^^MR||Phạm^Hà^Thị||19850612|F"
PV1 = "PV1|1|I|||||||||||||||||LK1"


def mapped(kind: str, *rows: str, facility: str = "01021", receiver: str = "HIE|HUB", dialect: Dialect | None = None) -> Mapped:
    """One message of that MSH-9, stated at eight in the morning.  receiver: MSH-5 and MSH-6."""
    message = parse("\r".join([f"MSH|^~\\&|HIS|{facility}|{receiver}|20261123080000||{kind}|C1|P|2.5.1", *rows]))
    source = {"sender": "local", "control_id": "C1", "message_type": message_type(message)}
    origin = Origin(
        "8f14e45f-0000-5000-8000-000000000000", datetime(2026, 11, 23, 1, 5, tzinfo=UTC), source, False, "20261123080000"
    )
    return map_message(message, dialect or load_dialect("_standard"), Context(origin, KEYRING, facility))


def read(kind: str, *rows: str, dialect: Dialect | None = None) -> list[Event]:
    """The events of one message of a laboratory about one patient."""
    return [event for _, event in mapped(kind, "PID|1||N1^^^^MR", *rows, facility="01940", dialect=dialect).events]


def only(found: Mapped) -> Event:
    """The one event of a message."""
    [(_, event)] = found.events
    return event


def told(found: Mapped) -> set[tuple[str, str]]:
    """What was noticed, as code and place."""
    return {(problem.code, problem.path) for problem in found.problems}
