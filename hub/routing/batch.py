"""Routes one batch of one stream: facts first, then look-ups, then what follows from both, then the brokers' word.

Everything may be done again at any point: what was decided of a record is kept with it, ids derive from causes, and facts
compare revisions. So a batch is acknowledged last, and a crash before that only costs time.
"""

import asyncio
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import psycopg
from psycopg_pool import ConnectionPool

from hub.bus import Out, Producer, Wire, dead_letter, event_out
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import Event, Keyring, now, revision_rank
from hub.routing import cases, deadlines, deliveries, parking
from hub.routing.recall import Recaller
from hub.routing.record import Origin, Record, place_of, place_text
from hub.routing.stream import (
    CaseRef,
    Deliver,
    Due,
    Fact,
    Found,
    Gather,
    Moment,
    Nobody,
    Output,
    Publish,
    Recall,
    Refuse,
    Stream,
    addressed,
)
from hub.store.database import available

_STAGE: Final = "routing"
_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_KEY_LONGEST: Final = 200
_CURABLE: Final = frozenset({"RECEIVER_UNKNOWN", "PAYER_UNKNOWN"})  # by the sender, who says it right
_RECALLED_MOST: Final = 10_000  # records read again for one batch

Recalled = Mapping[Origin, bytes]


class _SplitError(Exception):
    """The batch cannot be taken as a whole: halves of it may. wait: the code of what to wait for when there is only one."""

    def __init__(self, wait: str = "") -> None:
        super().__init__(wait)
        self.wait = wait


@dataclass(slots=True)
class _Arrived:
    """One event of the batch, and what is found out about it on the way."""

    record: Record
    event: Event
    origin: Origin
    facts: list[Fact] = field(default_factory=list)
    lookups: list[CaseRef] = field(default_factory=list)
    failed: str = ""
    waited: bool = False  # it was parked, and now comes again
    outdoes: parking.Row | None = None  # what its key waits for, if it turns out to be older than this one

    @property
    def key(self) -> str:
        return str(self.event["meta"]["key"])

    @property
    def event_id(self) -> str:
        return str(self.event["meta"]["event_id"])


@dataclass(slots=True)
class Plan:
    """What follows from a batch.

    routed:    parked events that are through.
    sent:      places of parked rows that were published again.
    behind:    keys of records that were parked before, by an earlier try.
    published: all of it is held by the brokers already.
    """

    outs: list[Out] = field(default_factory=list)
    dues: list[Due] = field(default_factory=list)
    parked: list[parking.Parked] = field(default_factory=list)
    causes: dict[str, set[str]] = field(default_factory=dict)
    routed: list[parking.Copy] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    behind: set[str] = field(default_factory=set)
    dead: int = 0
    published: bool = False

    def send_on(self, outs: list[Out], places: list[tuple[int, int]]) -> None:
        """Publish parked events again."""
        self.outs += outs
        self.sent += places


class Router:
    """Shared by all streams of one worker.

    fact_days: life of a fact that does not say it itself.
    """

    def __init__(
        self, wire: Wire, keyring: Keyring, pool: ConnectionPool, producer: Producer, recaller: Recaller, *, fact_days: int
    ) -> None:
        self.wire, self.keyring, self.producer = wire, keyring, producer
        self._pool, self._recaller, self._fact_days = pool, recaller, fact_days

    async def route(self, stream: Stream, records: Sequence[Record], poisoned: bool = False) -> None:
        """Return when everything that follows from the records is held by brokers and database.

        Faults of either are waited out, for as long as they last.
        poisoned: the database refuses what the one record says, so it parks without saying it.
        Raises: what no one expects; nothing must be acknowledged then.
        """
        tries, buried = 0, False
        while True:
            try:
                plan = self._buried(records[0]) if buried else await asyncio.to_thread(self._prepare, stream, records, poisoned)
                if not plan.published:
                    await self.producer.publish(plan.outs)
            except _SplitError as split:
                if len(records) > 1:
                    middle = len(records) // 2
                    await self.route(stream, records[:middle])
                    await self.route(stream, records[middle:])
                    return
                if not split.wait:  # what it says is refused; when that is left out and it still is, the event as such
                    poisoned, buried = True, poisoned
                    continue
                code = split.wait
            except HubError as error:
                if not error.retriable:
                    raise
                code = error.code
            else:
                if plan.dead:
                    telemetry.dead_lettered(_STAGE, "BODY_UNDECODABLE", plan.dead)
                telemetry.event_published(_STAGE, stream.topic, len(plan.outs))
                return
            telemetry.fault(_STAGE, code, stream.topic)
            await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
            tries += 1

    def _buried(self, record: Record) -> Plan:
        return Plan(outs=[dead_letter(self.wire, _STAGE, "BODY_UNDECODABLE", record.as_message())], dead=1)

    # --- in a thread: everything that blocks --------------------------------------------------------------------------

    def _connection(self) -> AbstractContextManager[cases.Database]:
        return self._pool.connection()

    def _prepare(self, stream: Stream, records: Sequence[Record], poisoned: bool) -> Plan:
        plan, at = Plan(), now()
        arrived = [one for record in records if (one := self._read(stream, record, plan)) is not None]
        for one in arrived:
            self._ask(stream, one, poisoned)
        if not arrived:
            return plan
        try:
            with available(), self._connection() as database:
                places = list({one.origin[1:] for one in arrived})
                drained = {one.key for one in arrived if one.record.was_parked}
                copies = {(*one.origin[1:], one.event_id) for one in arrived if one.record.was_parked}
                taken = parking.take(database, stream.topic, copies) if copies else set()  # it may have to wait: read after it
                queues = parking.read(database, stream.topic, {one.key for one in arrived}, places, drained)
                going = self._queue(stream, arrived, queues, taken, plan)
                standings = self._enter(database, stream, going, at)
                database.commit()  # others may find our facts before we look for theirs
                known = cases.find(database, [one.lookups for one in going])
                self._decide(stream, going, standings, known, queues, plan)
                if (code := parking.storm(database, plan.causes)) != "":
                    raise _SplitError(code)
                if plan.parked:
                    parking.park(database, plan.parked, at)
                    database.commit()  # what is published again names a row that is there
                for one in arrived:
                    if one.outdoes:
                        self._outdo(database, stream, one, plan)
                deadlines.put(database, self.wire, plan.dues)
                drained &= {one.key for one in going}
                for key in drained:
                    self._follow(database, stream.topic, key, queues, plan)
                if behind := (plan.behind | {one.key for one in plan.parked if one.code == parking.BEHIND}) - drained:
                    for key in parking.left_alone(database, stream.topic, behind):
                        plan.send_on(*parking.following(database, stream.topic, key))
                if plan.routed or plan.sent:  # as `release` does: their rows are held from here until the brokers have it all
                    parking.settle(database, stream.topic, plan.routed, plan.sent)
                    self.producer.publish_blocking(plan.outs)
                    plan.published = True
        except (psycopg.DataError, psycopg.IntegrityError) as refused:
            raise _SplitError from refused  # one of them says what PostgreSQL cannot hold, such as a NUL in a text
        return plan

    def _read(self, stream: Stream, record: Record, plan: Plan) -> _Arrived | None:
        try:
            name, event = self.wire.unpack(record.body, stream.rows)
            meta = event.get("meta", {})
            uuid.UUID(meta.get("event_id", ""))
            fits = name == stream.record and (record.key or b"") == meta["key"].encode() and len(meta["key"]) <= _KEY_LONGEST
            if not fits or "\0" in meta["key"]:
                raise HubError("BODY_UNDECODABLE", "meta")
            origin = record.origin
            return _Arrived(
                record, event, origin if origin[0] == stream.topic else (record.topic, record.partition, record.offset)
            )
        except (HubError, ValueError, KeyError) as wrong:
            if isinstance(wrong, HubError) and wrong.retriable:
                raise
            bury = self._buried(record)
            plan.outs += bury.outs
            plan.dead += bury.dead
            return None

    def _ask(self, stream: Stream, one: _Arrived, poisoned: bool) -> None:
        if poisoned:
            one.failed = "EVENT_UNROUTABLE"
            return
        try:
            one.facts = stream.facts(one.event, self.keyring)
            one.lookups = stream.lookups(one.event, self.keyring)
        except Exception as bug:  # whatever a rule stumbles over: this key waits for a person, the others go on
            one.failed, one.facts, one.lookups = _cause(bug), [], []

    def _queue(
        self, stream: Stream, arrived: list[_Arrived], queues: parking.Queues, taken: set[parking.Copy], plan: Plan
    ) -> list[_Arrived]:
        """Those whose turn it may be; the rest waits behind what waits already, or was dealt with before."""
        going = []
        for one in arrived:
            waiting = queues.waiting.setdefault(one.key, {})
            known = one.origin[1:] in queues.places
            if one.record.was_parked and not known:  # a header that no row answers to says nothing
                one.origin = (one.record.topic, one.record.partition, one.record.offset)
            one.waited = one.record.was_parked and known
            if one.waited:
                if (*one.origin[1:], one.event_id) in taken:
                    going.append(one)
            elif not waiting:
                going += [] if known else [one]
            else:
                one.outdoes = _curable(stream, one, waiting)
                if known:  # parked by a try that did not get as far as publishing it, or by one that did
                    plan.behind.add(one.key)
                else:
                    self._park(one, parking.BEHIND, queues, plan)
        return going

    def _outdo(self, database: cases.Database, stream: Stream, one: _Arrived, plan: Plan) -> None:
        """Where an event waits for what its sender got wrong, and the sender says it anew: what is newer goes in its place."""
        assert one.outdoes is not None
        place = (one.outdoes.partition, one.outdoes.offset)
        if any(through[:2] == place for through in plan.routed) or not _could_go(stream, one):
            return
        value = parking.first_of(database, stream.topic, one.key, place)
        older = self.wire.unpack(value)[1] if value is not None else None
        if older is None or stream.side(older) != stream.side(one.event) or _rank(older) >= _rank(one.event):
            return
        told = deliveries.delivery(older, stream.record, stream.topic, "", "superseded")
        plan.outs.append(event_out(self.wire, deliveries.TOPIC, told))
        plan.routed.append((*place, older["meta"]["event_id"]))
        plan.send_on(*parking.following(database, stream.topic, one.key, behind=place[1]))

    def _enter(self, database: cases.Database, stream: Stream, going: list[_Arrived], at: datetime) -> list[cases.Standing]:
        entries = []
        for one in going:
            meta = one.event["meta"]
            side = stream.side(one.event)
            entries.append(
                cases.Entry(
                    one.event_id,
                    place_text(one.origin),
                    f"{one.key}/{side}" if side else one.key,
                    _rank(one.event),
                    "" if stream.adds else meta.get("content_hash", ""),
                )
            )
        standings = cases.enter(database, stream.topic, entries, at)
        told = [
            (fact, one.event_id, f"{one.record.topic}/{one.record.partition}/{one.record.offset}")
            for one, standing in zip(going, standings, strict=True)
            if not standing.again and not standing.fate
            for fact in one.facts
        ]
        cases.state(database, told, at, self._fact_days)
        return standings

    def _decide(
        self,
        stream: Stream,
        going: list[_Arrived],
        standings: list[cases.Standing],
        known: list[list[Found]],
        queues: parking.Queues,
        plan: Plan,
    ) -> None:
        made = self._outputs(stream, going, standings, known)
        places = {place for outputs in made if not isinstance(outputs, Exception) for place in _places(outputs)}
        if len(places) > _RECALLED_MOST and len(going) > 1:
            raise _SplitError  # the bodies of one event's places fit into memory, those of a whole batch may not
        recalled = self._recaller.read(places)
        for one, outputs in zip(going, made, strict=True):
            waiting = queues.waiting.get(one.key, {})
            if one.waited and one.origin[2] not in waiting:
                continue  # published again twice, and through already
            if next(iter(waiting), one.origin[2]) < one.origin[2]:
                one.outdoes = _curable(stream, one, waiting)
                self._park(one, parking.BEHIND, queues, plan)
                continue
            try:
                if isinstance(outputs, Exception):
                    raise outputs
                outs, dues = self._write(stream, one, outputs, recalled)
            except Exception as bug:  # as above
                if isinstance(bug, HubError) and bug.retriable:
                    raise
                code = _cause(bug)
                self._park(one, code, queues, plan)
                plan.causes.setdefault(code, set()).add(one.key)
                continue
            plan.outs += outs
            plan.dues += dues
            if one.waited:
                waiting.pop(one.origin[2])
                plan.routed.append((*one.origin[1:], one.event_id))

    def _outputs(
        self, stream: Stream, going: list[_Arrived], standings: list[cases.Standing], known: list[list[Found]]
    ) -> list[Sequence[Output] | Exception]:
        """What each event leads to, or why nothing can follow yet."""
        at = now()
        made: list[Sequence[Output] | Exception] = []
        for one, standing, found in zip(going, standings, known, strict=True):
            if one.failed:
                made.append(HubError(one.failed, "facts"))
            elif standing.again:
                made.append(())  # the same event at another place: nothing to add
            elif standing.fate:
                made.append((Nobody(cases.rule_of(stream, standing.fate)),))
            else:
                try:
                    moment = Moment(at, standing.seen_at, tuple(one.facts), standing.supersedes)
                    made.append(addressed(stream.decide(one.event, found, moment), stream.record, moment))
                except Exception as bug:
                    made.append(bug)
        return made

    def _write(self, stream: Stream, one: _Arrived, outputs: Sequence[Output], recalled: Recalled) -> tuple[list[Out], list[Due]]:
        """The records that outputs stand for."""
        outs: list[Out] = []
        dues: list[Due] = []
        value = one.record.body or b""
        for output in outputs:
            match output:
                case Deliver(recipient, rule, lane, body, part):
                    given = value if part is None else self.wire.pack(stream.topic, part)
                    made = deliveries.delivery(
                        one.event, stream.record, stream.topic, recipient, rule, lane=lane, body=given if body else b""
                    )
                    outs.append(event_out(self.wire, deliveries.TOPIC, made))
                case Publish(topic, event):
                    outs.append(event_out(self.wire, topic, event))
                case Nobody(rule):
                    outs.append(self._nobody(stream, one, rule))
                case Recall():
                    outs += self._recalled(output, recalled)
                case Gather(places, then):
                    read = {place: self.wire.unpack(recalled[place_of(place)]) for place in places if place_of(place) in recalled}
                    more, later = self._write(stream, one, then(read), recalled)
                    outs += more
                    dues += later
                case Due():
                    dues.append(output)
                case Refuse(code, rule, detail):
                    outs.append(dead_letter(self.wire, _STAGE, code, one.record.as_message(), detail))
                    outs.append(self._nobody(stream, one, rule))
        return outs, dues

    def _nobody(self, stream: Stream, one: _Arrived, rule: str) -> Out:
        return event_out(self.wire, deliveries.TOPIC, deliveries.delivery(one.event, stream.record, stream.topic, "", rule))

    def _recalled(self, recall: Recall, recalled: Recalled) -> list[Out]:
        """The delivery of an earlier event, as it would have been made when that event came."""
        origin = place_of(recall.place)
        value = recalled.get(origin)
        if value is None:
            return []  # older than the topic keeps
        record, event = self.wire.unpack(value)
        given = value if recall.part is None else self.wire.pack(origin[0], recall.part(event))
        body = given if recall.body else b""
        made = deliveries.delivery(event, record, origin[0], recall.recipient, recall.rule, lane=recall.lane, body=body)
        return [event_out(self.wire, deliveries.TOPIC, made)]

    @staticmethod
    def _park(one: _Arrived, code: str, queues: parking.Queues, plan: Plan) -> None:
        queues.waiting.setdefault(one.key, {})[one.origin[2]] = parking.Row(one.origin[1], one.origin[2], code, sent=False)
        record = replace(one.record, topic=one.origin[0], partition=one.origin[1], offset=one.origin[2], headers={})
        plan.parked.append(parking.Parked(record, one.key, one.event_id, code))

    def _follow(self, database: cases.Database, topic: str, key: str, queues: parking.Queues, plan: Plan) -> None:
        """When only events without a cause of their own still wait under a key, they follow by themselves."""
        left = queues.waiting.get(key, {})
        if any(row.code != parking.BEHIND and not row.sent for row in left.values()):
            return
        fresh = [offset for offset, row in left.items() if not row.sent and row.code == parking.BEHIND]
        plan.send_on(*parking.following(database, topic, key, among=fresh))


def _curable(stream: Stream, one: _Arrived, waiting: Mapping[int, parking.Row]) -> parking.Row | None:
    """What its key waits for, if its sender may cure that. Where an event adds to others it takes the place of none."""
    first = next(iter(waiting.values()))
    return first if first.code in _CURABLE and not (stream.adds or first.sent or first.offset == one.origin[2]) else None


def _could_go(stream: Stream, one: _Arrived) -> bool:
    """Whether nothing keeps it but what it waits behind, as far as it says so itself."""
    at = now()
    try:
        stream.decide(one.event, [], Moment(at, at, tuple(one.facts)))
    except Exception:  # it would park for that cause, in its turn
        return False
    return not one.failed


def _rank(event: Event) -> str:
    return revision_rank(event["meta"]["revision"])


def _places(outputs: Sequence[Output]) -> Iterator[Origin]:
    for output in outputs:
        if isinstance(output, Recall):
            yield place_of(output.place)
        elif isinstance(output, Gather):
            yield from map(place_of, output.places)


def _cause(bug: Exception) -> str:
    """The code that an event parks under. The exception's text may hold a value and stays out of the log."""
    if isinstance(bug, HubError):
        return bug.code
    last = bug.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = f"{last.tb_frame.f_code.co_filename.rpartition('/')[2]}:{last.tb_lineno}" if last is not None else ""
    telemetry.fault(_STAGE, "EVENT_UNROUTABLE", f"{type(bug).__name__} {where}")
    return "EVENT_UNROUTABLE"
