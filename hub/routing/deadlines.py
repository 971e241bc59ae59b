"""The due table: events that come on their own key when their time has come."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from hub.bus import Out, Producer, Wire, event_out
from hub.routing.cases import Database
from hub.routing.stream import Due

_AT_ONCE: Final = 500


def put(database: Database, wire: Wire, dues: Iterable[Due]) -> None:
    """Keep events until their time; one that is there already stays."""
    rows = [
        (due.event["meta"]["event_id"], due.at, due.topic, due.event["meta"]["key"], wire.pack(due.topic, due.event))
        for due in dues
    ]
    if rows:
        database.execute(_PUT, [list(column) for column in zip(*rows, strict=True)])


def fire(database: Database, producer: Producer, wire: Wire, at: datetime) -> int:
    """Publish what is due, then forget it: killed in between, it is published again under the same id.

    Several workers may do it at once; each takes rows that no other has.
    Returns: how many events. Raises: HubError(BROKER_UNAVAILABLE).
    """
    with database.transaction():
        rows = database.execute(_TAKE, (at, _AT_ONCE)).fetchall()
        outs: list[Out] = [event_out(wire, topic, wire.unpack(value)[1]) for topic, value in rows]
        producer.publish_blocking(outs)
    database.commit()
    return len(rows)


_PUT: Final = """
insert into due (id, due_at, topic, key, value)
select * from unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::bytea[]) on conflict do nothing
"""
_TAKE: Final = """
delete from due where id in (select id from due where due_at <= %s order by due_at limit %s for update skip locked)
returning topic, value
"""
