"""What the doctor finds, and what it goes by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from hub.contract.settings import Settings

State = Literal["ok", "warn", "bad", "unknown"]
MB: Final = 1_000_000
GB: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What one check saw.

    state: bad must be mended now; warn will be bad; unknown need not, or cannot, be looked at now.
    seen:  figures, names of files, topics, services; never a person's data or a secret.
    en, vi: what to do, one sentence; "" where there is nothing to do.
    """

    state: State
    seen: str
    en: str = ""
    vi: str = ""


def ok(seen: str) -> Seen:
    return Seen("ok", seen)


def worst(*found: Seen) -> Seen:
    """The gravest of several looks; what each of that state saw, joined."""
    order: tuple[State, ...] = ("bad", "warn", "unknown", "ok")
    gravest = min(found, key=lambda one: order.index(one.state))
    same = [one for one in found if one.state == gravest.state]
    return Seen(gravest.state, "; ".join(dict.fromkeys(one.seen for one in same)), gravest.en, gravest.vi)


@dataclass(frozen=True, slots=True)
class Limits:
    """From when a figure is worth a word (warn), and from when it must be mended (bad)."""

    disk_warn_bytes: int = 20 * GB
    disk_bad_bytes: int = 2 * GB
    days_left_warn: int = 30
    memory_warn_bytes: int = 1 * GB
    memory_bad_bytes: int = 300 * MB
    clock_warn_s: float = 1.0
    clock_bad_s: float = 5.0
    certificate_warn_days: int = 30
    certificate_bad_days: int = 5
    transaction_warn_s: float = 900.0
    behind_warn: int = 20_000
    catalogue_warn_days: int = 180
    backup_warn_days: int = 7
    restarted_warn_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Examined:
    """The hub that is looked at.

    settings: with the addresses of the servers filled in where a hub runs; empty where none does.
    now:      the time of the look.
    """

    settings: Settings
    limits: Limits
    now: datetime
