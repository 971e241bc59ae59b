"""Quotas: how much a sender may send in a minute, as one token bucket of messages and one of bytes for each credential.

A bucket holds a minute's worth and fills evenly, so a sender may send that much at once. What has come is always counted and never
turned away: a bucket may go below nothing, and nothing more is read of the sender until it is above again. That is back-pressure:
a link is not read, HTTP says when to come again, a file waits in its folder.
"""

from dataclasses import dataclass, field
from typing import Final

from hub.access.credentials import Credential

_MINUTE_S: Final = 60.0


@dataclass(slots=True)
class _Bucket:
    per_minute: int
    level: float
    at: float

    def wait_s(self, at: float) -> float:
        self.level = min(self.per_minute, self.level + (at - self.at) * self.per_minute / _MINUTE_S)
        self.at = at
        return 0.0 if self.level >= 1 else (1 - self.level) * _MINUTE_S / self.per_minute


class Quota:
    """What one credential has left. `at` is any clock in seconds that only goes forward."""

    def __init__(self, credential: Credential, at: float) -> None:
        self.limits = (credential.messages_per_minute, credential.bytes_per_minute)
        self._messages = _full(credential.messages_per_minute, at)
        self._bytes = _full(credential.bytes_per_minute, at)

    def wait_s(self, at: float) -> float:
        """Seconds until there is room for another message; 0 when there is."""
        return max((bucket.wait_s(at) for bucket in (self._messages, self._bytes) if bucket is not None), default=0.0)

    def take(self, size: int, messages: int = 1) -> None:
        """Count what came: bytes, and messages."""
        if self._messages is not None:
            self._messages.level -= messages
        if self._bytes is not None:
            self._bytes.level -= size


@dataclass(slots=True)
class Quotas:
    """The quotas of one process, shared by all its ways in."""

    _by_name: dict[str, Quota] = field(default_factory=dict)

    def of(self, credential: Credential, at: float) -> Quota | None:
        """The quota of a sender; None for one without limits."""
        if not credential.messages_per_minute and not credential.bytes_per_minute:
            return None
        found = self._by_name.get(credential.name)
        if found is None or found.limits != (credential.messages_per_minute, credential.bytes_per_minute):
            found = self._by_name[credential.name] = Quota(credential, at)
        return found


def _full(per_minute: int, at: float) -> _Bucket | None:
    return _Bucket(per_minute, per_minute, at) if per_minute else None
