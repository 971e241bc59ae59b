"""Trying again: pauses that double and spread, and a breaker that leaves a peer alone that has failed too often.

Nothing here waits or does anything by itself; whoever sends asks how long to wait.
"""

import random
from typing import Final

BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 300.0
OPENS_AT: Final = 5


def backoff_s(failures: int, chance: float | None = None) -> float:
    """How long to wait after so many failures in a row: exponential, with jitter.

    chance: 0 to 1, spreads peers over half of the pause; drawn when not given.
    """
    drawn = random.random() if chance is None else chance  # noqa: S311  # spreads load, guards nothing
    return float(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(max(failures, 1) - 1, 16)) * (0.5 + drawn / 2))


class Breaker:
    """The circuit breaker of one peer: open after five failures in a row, closed by the first success.

    Closed, something new may end a pause early, so a short fault costs little. Open, the pause is kept whole, then one
    attempt is made (half-open): a peer that is down is asked a few times an hour, however much comes for it.
    """

    def __init__(self) -> None:
        self.failures = 0

    @property
    def open(self) -> bool:
        return self.failures >= OPENS_AT

    def failed(self, wait_s: float = 0.0) -> float:
        """Note a failure.  wait_s: what the peer asked for, such as by Retry-After. Returns: how long to wait, in seconds."""
        self.failures += 1
        return max(backoff_s(self.failures), min(wait_s, BACKOFF_MAX_S))

    def succeeded(self) -> None:
        """The peer answered, whatever it said."""
        self.failures = 0
