"""Kinds of events that nobody is addressed with: they are recorded for whoever reads their topic, and the books say so."""

from functools import partial

from hub.contract.events import Event
from hub.routing.stream import Known, Moment, Nobody, Output, Stream


def recorded(topic: str, record: str, kind: str, *, adds: bool = False) -> Stream:
    """One row of the table of streams: every event of the topic is for nobody, by rule `nobody-<kind>`.

    Heads are kept as in any other stream, so what is said again is a `repeat`, unless each event adds to those before it.
    """
    return Stream(topic, record, partial(_decide, f"nobody-{kind}"), adds=adds)


def _decide(rule: str, _event: Event, _known: Known, _moment: Moment) -> list[Output]:
    return [Nobody(rule)]
