"""Dead letters as an operator sees them: what is open, by cause; one letter whole; that it was dealt with.

The index knows where each lies in its topic, and never its body.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow, class_row, dict_row

from hub.bus import Out, Wire, read_at
from hub.contract.errors import HubError
from hub.contract.events import Event, now

TOPIC: Final = "dead-letter.v1"
AT_ONCE: Final = 1_000

Database = Connection[TupleRow]
Archived = Callable[[str, int, int], bytes | None]
"""The value at topic, partition and offset, as the archive has it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One row of the index.

    topic, partition, offset: of the record that was given up.
    state:                    "" while it is open; REDRIVEN or DISCARDED.
    letter_partition, letter_offset: where the letter lies; None of what an older release has read.
    message_id:               the message that the record was made of, where the journal knows it.
    forgotten:                its bytes were erased at somebody's request; topics may hold them for a while.
    """

    id: str
    stage: str
    code: str
    topic: str
    partition: int
    offset: int
    at: datetime
    state: str
    letter_partition: int | None
    letter_offset: int | None
    message_id: str | None
    forgotten: bool


def causes(database: Database) -> list[dict[str, Any]]:
    """What is open, one row a cause: stage, code, topic, letters (how many), first, last (times), ids (of the five oldest)."""
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_CAUSES).fetchall()


def find(database: Database, ids: Sequence[str] = (), *, code: str = "", topic: str = "", stage: str = "") -> list[Letter]:
    """Letters by their ids, in whatever state, or the oldest open ones of a cause, `AT_ONCE` at most.

    topic, stage: only of that one; of all where they are empty.
    """
    with database.cursor(row_factory=class_row(Letter)) as cursor:
        if ids:
            return cursor.execute(_BY_ID, (list(ids),)).fetchall()
        return cursor.execute(_BY_CAUSE, {"code": code, "topic": topic, "stage": stage, "most": AT_ONCE}).fetchall()


def count(database: Database, *, code: str, topic: str, stage: str) -> int:
    """How many of a cause are open."""
    row = database.execute(_COUNT, {"code": code, "topic": topic, "stage": stage}).fetchone()
    return row[0] if row else 0


def read(kafka: str, wire: Wire, letters: Sequence[Letter], older: Archived) -> list[Event | None]:
    """The letters whole, with key and body, out of topic or archive; None for one that neither keeps any more, or that
    is forgotten.

    Raises: HubError(NOT_FOUND) for one whose place is not known; HubError(BROKER_UNAVAILABLE, ARCHIVE_UNAVAILABLE).
    """
    if any(letter.letter_offset is None for letter in letters):
        raise HubError("NOT_FOUND", "the journal read this letter before it kept places: rebuild it, and it reads the topic anew")
    places = [(TOPIC, letter.letter_partition or 0, letter.letter_offset or 0) for letter in letters]
    try:
        values = [message.value() for message in read_at(kafka, places)]
    except HubError as gone:
        if gone.retriable:
            raise
        values = [_value(kafka, place, older) for place in places]
    return [_whole(wire, letter, value) for letter, value in zip(letters, values, strict=True)]


def _value(kafka: str, place: tuple[str, int, int], older: Archived) -> bytes | None:
    try:
        return read_at(kafka, [place])[0].value()
    except HubError as gone:
        if gone.retriable:
            raise
        return older(*place)


def _whole(wire: Wire, letter: Letter, value: bytes | None) -> Event | None:
    if value is None or letter.forgotten:
        return None
    whole = wire.unpack(value)[1]
    return whole if whole["id"] == letter.id and not whole["state"] else None


def bare(letter: Letter) -> Event:
    """What the index knows of a letter whose bytes are gone, to close it."""
    return {name: getattr(letter, name) for name in ("id", "stage", "code", "topic", "partition", "offset")} | {"key": b""}


def closing(wire: Wire, whole: Event, state: str, partition: int | None = None) -> Out:
    """The letter that tells what became of an earlier one: the same id and key, no body.

    partition: the earlier one's, where the key does not tell it.
    """
    value = whole | {"at": now(), "state": state, "body": b""}
    key = whole["key"].decode("ascii", "replace")
    return Out(TOPIC, key, wire.pack(TOPIC, value), partition=-1 if partition is None else partition)


_CAUSES: Final = """
select stage, code, topic, count(*) as letters, min(recorded_at) as first, max(recorded_at) as last,
       (array_agg(id::text order by recorded_at, id))[1:5] as ids
from journal_dead_letter where state = '' group by stage, code, topic order by letters desc, stage, code, topic
"""
_LETTER: Final = """
select letter.id::text, stage, code, letter.topic, letter.partition, letter.record_offset as offset, letter.recorded_at as at, state,
       letter_partition, letter_offset,
       (select message_id::text from journal_event as made where (made.topic, made.partition, made.record_offset)
            = (letter.topic, letter.partition, letter.record_offset)) as message_id,
       exists (select from forgotten_id where forgotten_id.id = letter.id) as forgotten
from journal_dead_letter as letter
"""
_BY_ID: Final = _LETTER + "where id = any(%s::uuid[]) order by at, id"
_OPEN: Final = """
where state = '' and code = %(code)s and (%(topic)s = '' or letter.topic = %(topic)s) and (%(stage)s = '' or stage = %(stage)s)
"""
_BY_CAUSE: Final = _LETTER + _OPEN + "order by at, id limit %(most)s"
_COUNT: Final = "select count(*) from journal_dead_letter as letter" + _OPEN  # noqa: S608  # constants only
