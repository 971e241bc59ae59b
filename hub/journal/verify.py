"""Is the archive whole: every checksum, every offset, every body of the raw store, and what Kafka has and it has not yet."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.contract.topics import topics
from hub.journal.archive import LOST, Archive, checksum
from hub.journal.cut import cut
from hub.journal.places import ends, topic_ids

_SHOWN: Final = 20
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TopicHeld:
    """One topic in the archive. missing: offsets between its first and its last record that it does not hold;
    twice: records too many; damaged: records whose checksum is wrong; waiting: what Kafka has and the archive has not yet;
    lost: what Kafka lost of it and the archive keeps; ahead: the same, where the archiver has not noticed it yet, so that new
    records with the same offsets are not archived."""

    topic: str
    records: int = 0
    missing: int = 0
    twice: int = 0
    damaged: int = 0
    waiting: int = 0
    ahead: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Verified:
    """places: the first 20 that something is wrong with, topic/partition/offset or a name of the raw store."""

    topics: tuple[TopicHeld, ...]
    raw_missing: int
    places: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not self.raw_missing and not any(one.missing or one.twice or one.damaged or one.ahead for one in self.topics)

    def as_dict(self) -> dict[str, Any]:
        return {"whole": self.whole} | asdict(self)


def verify(settings: Settings, day: date | None = None) -> Verified:
    """Read the archive and say what is wrong with it.

    day:    look only at the bytes of that day; offsets are looked at whole in any case.
    Raises: HubError(NOT_FOUND) when there is none, HubError(BROKER_UNAVAILABLE), HubError(ARCHIVE_UNAVAILABLE).
    """
    archive = Archive.open(settings.archive)
    if archive is None:
        raise HubError("NOT_FOUND", f"archive in {settings.archive}")
    ids = topic_ids(settings.kafka)
    places: list[str] = []
    found: dict[str, dict[str, int]] = {name: {} for name in topics()}
    for topic, row in _offsets(archive, places):
        _add(found.setdefault(topic, {}), row)
    for topic, (records, damaged) in _bytes(archive, day, places).items():
        _add(found.setdefault(topic, {}), {"records": records, "damaged": damaged})
    there = ends(settings.kafka, topics())
    others = cut(archive, settings.kafka, ids, there)
    for (topic, partition), (first, end) in there.items():
        reached = archive.next_offset(ids[topic], partition)
        same = others.get((topic, partition), reached)
        _add(found[topic], {"waiting": max(0, end - max(first, same)), "ahead": reached - same})
        if reached > same:
            places.append(f"{topic}/{partition}/{same}-{reached}")
    raw_missing = _raw(archive, places)
    held = tuple(TopicHeld(topic, **row) for topic, row in sorted(found.items()))
    return Verified(held, raw_missing, tuple(places[:_SHOWN]))


def _add(row: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        row[name] = row.get(name, 0) + value


def _offsets(archive: Archive, places: list[str]) -> Iterable[tuple[str, dict[str, int]]]:
    """Of each partition, how many offsets are missing or there twice. A compacted topic has holes of its own."""
    query = "true group by topic, kafka_topic_id, kafka_partition order by 1, 2, 3"
    columns = (
        "topic, kafka_topic_id, kafka_partition, count(*), count(distinct kafka_offset), min(kafka_offset), max(kafka_offset)"
    )
    for topic, topic_id, partition, rows, distinct, first, last in archive.select(columns, archive.files(), query):
        holes = topic in topics() and topics()[topic].cleanup != "delete"
        missing = 0 if holes else max(last + 1, archive.next_offset(topic_id, partition)) - first - distinct
        if missing or rows > distinct:
            places.append(f"{topic}/{partition}/{first}-{last}")
        yield topic, {"missing": missing, "twice": rows - distinct, "lost": rows if LOST in topic_id else 0}


def _bytes(archive: Archive, day: date | None, places: list[str]) -> dict[str, tuple[int, int]]:
    """Topic to how many records it has and how many of them are damaged. A file that cannot be read is an error of the disk."""
    columns = "topic, kafka_partition, kafka_offset, recorded_at, key, value, headers, checksum"
    counts: dict[str, tuple[int, int]] = {}
    for file in archive.files():
        if day is not None and file["day"] != day:
            continue
        for topic, partition, offset, at, key, value, headers, digest in archive.select(columns, [file]):
            pairs = [(one["name"], one["value"]) for one in headers]
            wrong = digest != checksum(topic, partition, offset, round(at.timestamp() * 1000), key, value, pairs)
            if wrong:
                places.append(f"{topic}/{partition}/{offset}")
            records, damaged = counts.get(topic, (0, 0))
            counts[topic] = (records + 1, damaged + wrong)
    return counts


def _raw(archive: Archive, places: list[str]) -> int:
    """How many bodies that messages name are not in the archive's raw store, or are others."""
    missing = 0
    for (reference,) in archive.select("distinct raw_ref", archive.files(), "raw_ref <> ''"):
        if _hash(archive.folder / "raw" / reference) != reference:
            missing += 1
            places.append(f"raw/{reference}")
    return missing


def _hash(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
