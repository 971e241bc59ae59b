"""A text within messages: the one search that no index helps. What it costs is told first; it ends at a limit, and when it is told to.

The other words of a search narrow down which messages are read: a facility and a day are thousands, no word is all there are.
Messages over 8 MiB lie in files of their own and are not looked into.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event as Stop
from typing import Final

from hub.bus import Wire
from hub.contract.errors import HubError
from hub.contract.events import Keyring
from hub.journal.dead_letters import Archived
from hub.journal.looked import value_at
from hub.journal.search import PAGE, Cost, Database, Hit, Page, Wanted, found_rows, search

_PATIENCE_S: Final = 60.0
_READ_A_SECOND: Final = 100  # each is sought by its place; from the archive it takes longer
_COUNTED: Final = 10 * PAGE  # so many are counted, more are guessed

AsText = Callable[[bytes], str]
"""The bytes of a message as they were read: its character set is the border's to know."""


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a scan is. found: this message has the text; None where it has not, or its bytes are kept no more."""

    messages: int
    found: Hit | None


def estimate(database: Database, wanted: Wanted) -> Cost:
    """How many messages would be read, and for how long about. Raises: HubError(REQUEST_WRONG)."""
    _check(wanted)
    rows, after = 0, ""
    while rows < _COUNTED:
        page = search(database, wanted, after=after)
        if isinstance(page, Cost):
            return Cost(page.rows, round(page.rows / _READ_A_SECOND, 1), page.by)
        rows, after = rows + len(page.hits), page.next
        if not after:
            return _taking(rows)
    return _taking(max(rows, found_rows(database, wanted)))  # more than a glance: the statistics are near enough


def _taking(rows: int) -> Cost:
    return Cost(rows, round(rows / _READ_A_SECOND, 1), "")


def scan(
    database: Database,
    wanted: Wanted,
    text: str,
    as_text: AsText,
    *,
    kafka: str,
    wire: Wire,
    older: Archived,
    stop: Stop,
    keyring: Keyring | None = None,
) -> Iterator[Looked]:
    """One row a message that was looked into, newest first, until `stop` is set or the caller ends it.

    Case and the form of accents do not matter. The text may tell of a person: it is in no log, and the caller audits the scan.
    Raises: HubError(REQUEST_WRONG, BROKER_UNAVAILABLE, ARCHIVE_UNAVAILABLE).
    """
    _check(wanted)
    sought, after, looked = _folded(text), "", 0
    while not stop.is_set():
        page = search(database, wanted, keyring, after=after, patience_s=_PATIENCE_S)
        if not isinstance(page, Page):
            raise HubError("REQUEST_WRONG", "a facility, sender or time that narrows it down")
        for hit, raw in zip(page.hits, _raws(database, page.hits, kafka, wire, older), strict=False):
            if stop.is_set():
                return
            looked += 1
            yield Looked(looked, hit if raw and sought in _folded(as_text(raw)) else None)
        after = page.next
        if not after:
            return


def _check(wanted: Wanted) -> None:
    if wanted.claim or wanted.slip or wanted.state:
        raise HubError(
            "REQUEST_WRONG", "a text is looked for in messages: by facility, sender, verdict, code, control id and time"
        )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _raws(database: Database, hits: Sequence[Hit], kafka: str, wire: Wire, older: Archived) -> Iterator[bytes]:
    ids = [hit.id for hit in hits]
    rows = database.execute(
        "select message_id::text, topic, partition, record_offset from journal_message where message_id = any(%s::uuid[])"
        " and not exists (select from forgotten_id where id = message_id)",
        (ids,),
    ).fetchall()
    places = {row[0]: (row[1], row[2], row[3]) for row in rows}
    for id in ids:
        value = value_at(kafka, places[id], older) if id in places else None
        yield bytes(wire.unpack(value)[1]["raw"]) if value else b""
