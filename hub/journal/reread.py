"""Partitions that the index reads once more: Kafka lost records of them and gives their places to others, or nothing tells.

What was indexed by its id stays, and is not counted twice; events are indexed by their place, and make room for what lies there now.
"""

from collections.abc import Collection, Mapping
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from hub.bus import Wire
from hub.contract import telemetry
from hub.journal.places import Place, records
from hub.journal.rows import read_record


def other_records(
    database: Connection[TupleRow], wire: Wire, kafka: str, there: Mapping[Place, tuple[int, int]]
) -> tuple[set[Place], bool]:
    """Partitions that hold another record where the index knows the last event of what they still reach.

    Returns: them, and whether any partition holds what the index knows: if none does, they are other topics.
    """
    columns = [list(column) for column in zip(*((*place, *both) for place, both in there.items()), strict=True)]
    known = {(topic, partition): (at, event) for topic, partition, at, event in database.execute(_LAST_EVENTS, columns)}
    now = records(kafka, {place: at for place, (at, _event) in known.items()})
    same = {
        place
        for place, (at, event) in known.items()
        if now[place].offset() == at and (read := read_record(wire, now[place])).kind == "event" and read.values[0] == event
    }
    return set(known) - same, bool(same)


def read_again(database: Connection[TupleRow], places: Collection[Place], there: Mapping[Place, tuple[int, int]]) -> None:
    """Move the index back to where these partitions begin."""
    for topic, partition in sorted(places):
        first = there[topic, partition][0]
        with database.transaction():
            forgotten = sum(
                database.execute(statement, (topic, partition, first)).rowcount
                for statement in (_FORGET_EVENTS, _FORGET_UNDECODABLE)
            )
            # What is kept will be counted as read once more: `repeats` makes up for it, so that the books of the index close.
            moved = database.execute(_BACK, (first, forgotten, first, topic, partition, first)).rowcount
        if moved:
            telemetry.fault("journal", "TOPIC_CUT", f"{topic}/{partition}: its index is built again")


_LAST_EVENTS: Final = """
select there.topic, there.partition, last.record_offset, last.event_id
from unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[]) as there (topic, partition, first, next)
cross join lateral (
    select record_offset, event_id from journal_event as event
    where event.topic = there.topic and event.partition = there.partition
        and event.record_offset >= there.first and event.record_offset < there.next
    order by record_offset desc limit 1
) as last
"""
_FORGET_EVENTS: Final = "delete from journal_event where topic = %s and partition = %s and record_offset >= %s"
_FORGET_UNDECODABLE: Final = "delete from journal_undecodable where topic = %s and partition = %s and record_offset >= %s"
_BACK: Final = """
update journal_offset set repeats = repeats - (next_offset - %s) + %s, next_offset = %s
where topic = %s and partition = %s and next_offset > %s
"""
