"""What a payer's pages show of its stream and its ledger; who may see it. Answers are kept, as both take a while."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from hub.access.people import Person
from hub.access.rights import user_of
from hub.console.kept import LEDGER, Kept
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.kafka import client
from hub.contract.payers import Payer
from hub.contract.settings import Settings
from hub.journal.places import ends, records, topic_ids

if TYPE_CHECKING:
    from hub.insurer.glance import Glance

OURS: Final = ""
"""Name of the reader that is this hub's own insurer: its places are in the ledger."""

_GROUPS: Final = 5
_ASK_S: Final = 5.0
_STREAM_S: Final = 10.0
_LEDGER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a payer's claims. name: its consumer group, or `OURS`.

    lags:   partition to records that it has still to read.
    oldest: when the oldest of those was written; None where there is none.
    """

    name: str
    lags: Mapping[int, int]
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Stream:
    """A payer's claims in Kafka at a time. written: partition to records ever written."""

    at: datetime
    written: Mapping[int, int]
    readers: tuple[Reader, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """What to look at: equal where the answer is. Settings themselves are not hashable."""

    payer: str
    kafka: str
    folder: Path


def seen_by(person: Person) -> dict[str, Payer]:
    """Code to payer, of those whose pages are this person's to see: of an insurer its own, of the hub's own people all."""
    return {code: one for code, one in payers().items() if person.role != "vendor" and person.sees(code)}


async def stream_of(settings: Settings, payer: str) -> Stream:
    """Kept for ten seconds. Raises: HubError(BROKER_UNAVAILABLE)."""
    return await _STREAMS.of(_key(settings, payer))


async def glance_of(settings: Settings, payer: str) -> "Glance":
    """Kept for a minute. Raises: HubError(NOT_FOUND) where there is no ledger here, OSError, duckdb.Error, deltalake's DeltaError."""
    return await _GLANCES.of(_key(settings, payer))


def unreadable() -> tuple[type[Exception], ...]:
    """What reading a ledger raises where the disk or a file of it does not do."""
    from deltalake.exceptions import DeltaError
    from duckdb import Error

    return Error, DeltaError, OSError


def _key(settings: Settings, payer: str) -> _Key:
    from hub.insurer.ledger import ledger_folder

    return _Key(payer, settings.kafka, ledger_folder(settings, payer))


def _stream(key: _Key) -> Stream:
    topic = f"payer.{key.payer}.claim.v1"
    held = {number: both for (_, number), both in ends(key.kafka, [topic]).items()}
    places = _groups(key.kafka, key.payer, topic)
    if payers()[key.payer].adjudicated_here and (key.folder / "claims").is_dir():
        from hub.insurer.ledger import committed

        places = {OURS: committed(key.folder, topic_ids(key.kafka)[topic], held)} | places
    readers = tuple(_reader(key.kafka, topic, name, at, held) for name, at in places.items())
    return Stream(now(), {number: end for number, (_, end) in sorted(held.items())}, readers)


def _reader(kafka: str, topic: str, name: str, at: Mapping[int, int], held: Mapping[int, tuple[int, int]]) -> Reader:
    """A place before the first record that is held, or none, is that record: what retention took is read by nobody."""
    next_ones = {number: max(at.get(number, 0), first) for number, (first, _) in sorted(held.items())}
    lags = {number: max(0, held[number][1] - place) for number, place in next_ones.items()}
    waiting = {(topic, number): next_ones[number] for number, lag in lags.items() if lag}
    written: list[int] = []
    if waiting:
        with suppress(HubError):  # its age is not known, its lag is
            written = [one.timestamp()[1] for one in records(kafka, waiting).values()]
    return Reader(name, lags, datetime.fromtimestamp(min(written) / 1000, UTC) if written else None)


def _groups(kafka: str, payer: str, topic: str) -> dict[str, dict[int, int]]:
    """Consumer groups of a payer, which are named after its login, to their places in a topic; at most `_GROUPS`."""
    admin, login = AdminClient({**client(kafka), "log_level": 2}), user_of(payer)
    try:
        listed: Any = admin.list_consumer_groups(request_timeout=_ASK_S).result(_ASK_S * 2)
        names = sorted(one.group_id for one in listed.valid if one.group_id == login or one.group_id.startswith(f"{login}."))
        found: dict[str, dict[int, int]] = {}
        for name in names[:_GROUPS]:
            asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)], request_timeout=_ASK_S)[name]
            placed = asked.result(_ASK_S * 2).topic_partitions or ()
            if at := {one.partition: one.offset for one in placed if one.topic == topic and one.offset >= 0}:
                found[name] = at
        return found
    except (KafkaException, TimeoutError) as broken:
        raise HubError("BROKER_UNAVAILABLE", "groups") from broken


def _glance(key: _Key) -> "Glance":
    from hub.insurer.glance import glance

    if not (key.folder / "claims").is_dir():
        raise HubError("NOT_FOUND", "ledger")
    return glance(key.folder, now())


_STREAMS: Final = Kept(_stream, _STREAM_S)
_GLANCES: Final = Kept(_glance, _LEDGER_S, LEDGER)
