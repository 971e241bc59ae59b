"""Who looked at a thing, or did something with it: the audit events that name its id, out of topic or archive.

The index knows where audit events lie, not what they are about, so the newest are read; how many is said.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bus import Wire, read_at
from hub.contract.errors import HubError
from hub.contract.events import Event
from hub.journal.dead_letters import Archived

MOST: Final = 500


def looked_at(
    database: Connection[TupleRow], kafka: str, wire: Wire, older: Archived, ids: Sequence[str], since: datetime
) -> tuple[list[Event], int]:
    """The audit events that name one of the ids, newest first, and how many were read, `MOST` at most.

    since: nothing older can be about it: when it was received.
    Raises: HubError(BROKER_UNAVAILABLE, ARCHIVE_UNAVAILABLE).
    """
    rows = database.execute(_PLACES, (since, MOST)).fetchall()
    places = [(row[0], row[1], row[2]) for row in rows]
    told = [wire.unpack(value)[1] for value in values_at(kafka, places, older) if value]
    return [one for one in told if any(id in one["target"] for id in ids)], len(places)


def values_at(kafka: str, places: Sequence[tuple[str, int, int]], older: Archived) -> list[bytes | None]:
    """`value_at` of several, in the order asked, by one reader where the topic keeps all."""
    try:
        return [one.value() for one in read_at(kafka, places)]
    except HubError as gone:
        if gone.retriable:
            raise
        return [value_at(kafka, place, older) for place in places]


def value_at(kafka: str, place: tuple[str, int, int], older: Archived) -> bytes | None:
    """A record's value out of topic or archive; None where neither keeps it any more."""
    try:
        return read_at(kafka, [place])[0].value()
    except HubError as gone:
        if gone.retriable:
            raise
        return older(*place)


# Only audit events have no key, so the index of keys finds them.
_PLACES: Final = """
select topic, partition, record_offset from journal_event
where key = '' and record = 'hie.AuditEvent' and recorded_at >= %s order by recorded_at desc limit %s
"""
