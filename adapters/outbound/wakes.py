"""Who waits for a mailbox is woken when it gets something, whichever process put it there."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from psycopg import AsyncConnection

from adapters.outbound.mailbox import NOTIFY
from hub.store.database import available

_QUIET_MAX: Final = 20_000
_CHECK_S: Final = 10.0  # a link to the database that died without a word is noticed by this


class Wakes:
    """One listening connection a process; any number of waiters cost nothing in the database."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._quiet: dict[str, int] = {}
        self._listening = False

    @contextmanager
    def waiting(self, mailbox: str) -> Iterator[asyncio.Event]:
        """An event that is set when the mailbox got something. Look into the mailbox after entering, or a moment is missed."""
        event = asyncio.Event()
        self._waiting[mailbox].add(event)
        try:
            yield event
        finally:
            self._waiting[mailbox].discard(event)
            if not self._waiting[mailbox]:
                del self._waiting[mailbox]

    def quiet(self, mailbox: str, after: int) -> bool:
        """Whether there was nothing behind that number when somebody looked, and nothing has come since: no need to look again."""
        return self._listening and self._quiet.get(mailbox) == after

    def looked(self, mailbox: str, last: int, woken: asyncio.Event) -> None:
        """Somebody saw the mailbox to its end.  woken: cleared before that, so that it tells whether something came meanwhile."""
        if not woken.is_set():
            if len(self._quiet) >= _QUIET_MAX:
                self._quiet.clear()
            self._quiet[mailbox] = last

    def wake(self, names: str) -> None:
        """names: mailboxes, space between; empty for all of them."""
        for name in names.split() or list(self._quiet):
            self._quiet.pop(name, None)
        for name in names.split() or list(self._waiting):
            for event in self._waiting.get(name, ()):
                event.set()

    async def run(self) -> None:
        """Until cancelled. Raises: HubError(DATABASE_UNAVAILABLE); the caller runs it again."""
        with available():
            async with await AsyncConnection.connect(self._url, autocommit=True, connect_timeout=10) as connection:
                await connection.execute(f"listen {NOTIFY}")
                self.wake("")  # whatever came while nobody listened
                self._listening = True
                try:
                    while True:
                        async for note in connection.notifies(timeout=_CHECK_S):
                            self.wake(note.payload)
                        await connection.execute("select 1")
                finally:
                    self._listening = False
