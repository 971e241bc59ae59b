"""What is in quarantine: messages that the border could not frame or read, with their bytes kept.

The index knows where each lies in its topic, and never its bytes. What was read after all, by a replay, is not in it any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow, class_row

Database = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One row of the index.

    sender:   of its credential; "" of one that the hub does not know.
    code:     of the error that kept it out, the first of several.
    raw_size: in bytes; None of what an older release has read.
    topic, partition, record_offset: where its bytes lie.
    """

    message_id: str
    received_at: datetime
    sender: str
    facility: str
    transport: str
    code: str
    raw_size: int | None
    ack: str
    test: bool
    topic: str
    partition: int
    record_offset: int


def newest(database: Database, since: date, sender: str = "", most: int = 50) -> tuple[int, Sequence[Quarantined]]:
    """How many there are, and the newest of them.

    since:  day (Asia/Ho_Chi_Minh) from which on they were received.
    sender: only of this credential; of all when omitted.
    Raises: psycopg's errors.
    """
    values: dict[str, Any] = {"since": since, "sender": sender, "most": most}
    with database.cursor(row_factory=class_row(Quarantined)) as cursor:
        rows = cursor.execute(_NEWEST, values).fetchall()
    counted = database.execute(_COUNT, values).fetchone()
    return (counted[0] if counted else 0), rows


def find(database: Database, message_id: str) -> Quarantined | None:
    """By its id, a UUID; None when there is none, or when it was not quarantined."""
    with database.cursor(row_factory=class_row(Quarantined)) as cursor:
        return cursor.execute(_BY_ID, {"id": message_id}).fetchone()


_ROW: Final = """
select message_id::text, received_at, sender, facility, transport, raw_size, ack, test, topic, partition, record_offset,
       coalesce((select one ->> 'code' from jsonb_array_elements(problems) as one where one ->> 'severity' = 'E' limit 1), '') as code
from journal_message
"""
_AMONG: Final = "where verdict = 'quarantined' and day >= %(since)s and (%(sender)s = '' or sender = %(sender)s)"
_NEWEST: Final = f"{_ROW} {_AMONG} order by received_at desc, message_id limit %(most)s"
_COUNT: Final = f"select count(*) from journal_message {_AMONG}"  # noqa: S608  # constants only
_BY_ID: Final = _ROW + "where verdict = 'quarantined' and message_id = %(id)s::uuid"
