"""The topics, as `seeds/topics.toml` lists them."""

import tomllib
from dataclasses import dataclass
from functools import cache

from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.places import shipped


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    record:         full name of its records, such as `hie.Claim`.
    retention_days: how long a record is kept (deleting topics only).
    largest_bytes:  largest record.
    written_by:     the services that may write it.
    """

    name: str
    record: str
    key: str
    partitions: int
    cleanup: str
    retention_days: int
    largest_bytes: int
    written_by: tuple[str, ...]


@cache
def topics() -> dict[str, Topic]:
    """Topic name to topic, payers' own topics included."""
    rows = tomllib.loads(shipped("seeds/topics.toml").read_text("utf-8"))
    defaults = rows.pop("defaults")
    found: dict[str, Topic] = {}
    for pattern, row in rows.items():
        row = defaults | row | {"written_by": tuple(row["written_by"])}
        names = [pattern.format(payer=code) for code in payers()] if "{payer}" in pattern else [pattern]
        found |= {name: Topic(name=name, **row) for name in names}
    return found


def check_size(topic: str, value: bytes) -> None:
    """Raises: HubError(FRAME_TOO_LARGE) for a record that is larger than the topic takes."""
    most = topics()[topic].largest_bytes
    if len(value) > most:
        raise HubError("FRAME_TOO_LARGE", f"{topic}: more than {most} bytes")


@cache
def topic_of(record: str) -> str:
    """The topic that holds a record; payers' projections have topics of their own besides.

    Raises: KeyError for a record that no topic holds.
    """
    names = [topic.name for topic in topics().values() if topic.record == record and not topic.name.startswith("payer.")]
    if len(names) != 1:
        raise KeyError(record)
    return names[0]
