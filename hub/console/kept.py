"""Answers that take a while: asked for once for all who look, away from the loop, and kept for a time."""

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

from hub.access.people import SCOPED, Person

LEDGER: Final = ThreadPoolExecutor(1, "ledger")
"""Ledgers are read one after the other, so that many who look do not take the machine."""
VENDORS: Final = ThreadPoolExecutor(2, "vendors")
"""What vendors have read and checked, two at a time, so that those on shift always find a thread."""

_TURNS: Final = WeakValueDictionary[str, asyncio.Lock]()  # of a vendor's or insurer's person, as long as somebody waits for it
_RARER: Final = 20.0  # an answer is kept this many times as long as it took
_MOST: Final = 200  # keys

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


async def away(person: Person, work: Callable[..., T], *given: object) -> T:
    """What blocks, away from the loop: of a vendor or an insurer in `VENDORS`, where each person takes one thread at most; of the hub's own
    people in threads of the loop."""
    loop = asyncio.get_running_loop()
    if person.role not in SCOPED:
        return await loop.run_in_executor(None, work, *given)
    turn = _TURNS.setdefault(person.name, asyncio.Lock())
    async with turn:
        return await loop.run_in_executor(VENDORS, work, *given)


class Kept(Generic[K, V]):
    """make: blocks; its errors go to all who wait, and are not kept. keep_s: how long an answer is kept at least."""

    def __init__(self, make: Callable[[K], V], keep_s: float, threads: ThreadPoolExecutor | None = None) -> None:
        self._make, self._keep_s, self._threads = make, keep_s, threads
        self._found: dict[K, tuple[float, V]] = {}
        self._asked: dict[K, asyncio.Future[V]] = {}

    async def of(self, key: K) -> V:
        """The answer for a key."""
        until, answer = self._found.get(key, (0.0, None))
        if answer is not None and time.monotonic() < until:
            return answer
        loop = asyncio.get_running_loop()
        asked = self._asked.get(key)
        if asked is None or asked.done() or asked.get_loop() is not loop:
            asked = self._asked[key] = loop.run_in_executor(self._threads, self._ask, key)
            asked.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(asked)

    def _ask(self, key: K) -> V:
        began = time.monotonic()
        answer = self._make(key)
        ended = time.monotonic()
        while len(self._found) >= _MOST:
            self._found.pop(next(iter(self._found)), None)
        self._found[key] = (ended + max(self._keep_s, _RARER * (ended - began)), answer)
        return answer
