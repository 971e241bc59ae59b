"""Has Kafka lost the end of a topic: does it hold other records than the archive at the places that the archive has read?"""

from collections.abc import Mapping

from hub.contract.topics import topics
from hub.journal.archive import Archive, checksum_of
from hub.journal.places import Place, records


def cut(archive: Archive, kafka: str, ids: Mapping[str, str], there: Mapping[Place, tuple[int, int]]) -> dict[Place, int]:
    """Partitions that lost records, each with the first offset at which it does not hold any more what was archived.

    ids:    topic to its id; there: the first and the next offset of every partition.
    Raises: HubError(BROKER_UNAVAILABLE, ARCHIVE_UNAVAILABLE).
    """
    held = {(topic, partition): archive.next_offset(ids[topic], partition) for topic, partition in there}
    ahead = {place for place, (_first, end) in there.items() if held[place] > end}
    # One that ends behind the archive may have grown since: then the archive's last record tells.
    last = {
        place: held[place] - 1
        for place, (first, end) in there.items()
        if first < held[place] <= end and topics()[place[0]].cleanup == "delete"
    }
    found = {}
    for place in sorted(ahead | _others(archive, kafka, ids, last)):
        first, end = there[place]
        found[place] = _where(archive, kafka, ids, place, first, min(end, held[place]))
    return found


def _others(archive: Archive, kafka: str, ids: Mapping[str, str], offsets: Mapping[Place, int]) -> set[Place]:
    """Partitions that hold another record at the offset than the archive; where either has none, nothing is known."""
    archived = archive.checksums(offsets, ids) if offsets else {}
    now = records(kafka, {place: offset for place, offset in offsets.items() if place in archived})
    return {place for place, one in now.items() if one.offset() == offsets[place] and checksum_of(one) != archived[place]}


def _where(archive: Archive, kafka: str, ids: Mapping[str, str], place: Place, first: int, end: int) -> int:
    """The first offset whose record is another one: all before it are the same, all behind it are not."""
    while first < end:
        middle = (first + end) // 2
        if _others(archive, kafka, ids, {place: middle}):
            end = middle
        else:
            first = middle + 1
    return first
