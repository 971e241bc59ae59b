"""Kinds of events that nobody is addressed with: they are recorded for whoever reads their topic, and the books say so."""

import hashlib
from collections.abc import Callable
from functools import partial

from hub.contract.events import Event
from hub.routing.charges import known_by
from hub.routing.stream import Known, Moment, Nobody, Output, Stream, one_side


def recorded(topic: str, record: str, kind: str, side: Callable[[Event], str] = one_side) -> Stream:
    """One row of the table of streams: every event of the topic is for nobody, by rule `nobody-<kind>`.

    Heads are kept as in any other stream, so what is said again is a `repeat`.
    side: what of a key an event is about, where events of different things share a key.
    """
    return Stream(topic, record, partial(_decide, f"nobody-{kind}"), side=side)


def lines_of(event: Event) -> str:
    """Which lines of an encounter a charge is about: only what says something of the same ones repeats or replaces it.

    A line without an id is known by what was done and when.
    """
    names = "\x1f".join(sorted(line.get("line_id") or known_by(line) for line in event.get("lines", ())))
    return hashlib.blake2b(names.encode(), digest_size=16).hexdigest()


def _decide(rule: str, _event: Event, _known: Known, _moment: Moment) -> list[Output]:
    return [Nobody(rule)]
