"""SIGTERM and Ctrl-C: how they end a service, and how they end a command.

A handler runs between any two steps of the main thread, and the next signal within the handler of the one before. Whatever lock it
took, the main thread may hold already, and would never give up. So the handlers here take none. An asyncio loop runs the ones that it
is given (`add_signal_handler`) itself, between callbacks: services that have a loop use those.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def on_end(call: Callable[[], object]) -> None:
    """Calls it once, in a thread of its own, when SIGTERM or SIGINT asks this process to end; what it calls may take locks.

    Outside the main thread, where nobody may set handlers, it does nothing: whoever runs a service there ends it.
    """
    asked: SimpleQueue[None] = SimpleQueue()  # unlike Queue, its put may come in the middle of another one of the same thread

    def wait() -> None:
        asked.get()
        call()

    with suppress(ValueError):
        for number in _ENDING:
            signal.signal(number, lambda *_: asked.put(None))
        threading.Thread(target=wait, name="end", daemon=True).start()


def unwind_on(*numbers: signal.Signals, saying: str = "") -> None:
    """The first of these signals unwinds the main thread from where it stands; those that come meanwhile hurry nothing.

    It raises KeyboardInterrupt for SIGINT, SystemExit(128 + number) for another.
    saying: goes to the standard error, past its buffer and the buffer's lock.
    """

    def unwind(number: int, _frame: FrameType | None) -> None:
        for one in _ENDING:
            signal.signal(one, lambda *_: None)
        with suppress(OSError):  # nobody reads it any more
            os.write(2, saying.encode())
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    for number in numbers:
        signal.signal(number, unwind)
