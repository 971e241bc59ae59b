"""Search over the index: messages, events and deliveries by what a person knows of them, newest first, a page at a time.

    found = search(database, Wanted(facility="01004", verdict="refused"))
    if isinstance(found, Page): ...      # Cost: it would take long; `patience_s` says how long it may

Every word has an index that ends in the order of a page, so that a page costs what it shows. What no index narrows down, such as
a verdict that a sender of millions had once, is either found soon or not begun: then `Cost` is what it would take. How the
words go together: a key finds events, a state finds deliveries, a code finds both messages and deliveries, an id whatever it is
of; everything else finds messages. The facility of a delivery is its recipient.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast
from uuid import UUID

from psycopg import Connection
from psycopg.errors import QueryCanceled
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from hub.contract.errors import HubError
from hub.contract.events import Keyring

PAGE: Final = 50
PATIENCE_S: Final = 1.0
_WALKED_A_SECOND: Final = 150_000  # rows on the way through an index, out of memory; bench.search shows it
_DEAR: Final = 500_000.0  # of the planner's own units: more is not even tried within `PATIENCE_S`

Kind = Literal["message", "event", "delivery"]
Database = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; what is empty does not matter.

    id:           a UUID: of a message, an event or a delivery.
    control_id:   MSH-10 as the sender wrote it.
    claim, slip:  `facility/ma_lk` and `facility/number`.
    state, code:  of a delivery; code also of a problem of a message.
    since, until: from this time on, and before that one.
    """

    id: str = ""
    control_id: str = ""
    claim: str = ""
    slip: str = ""
    facility: str = ""
    sender: str = ""
    verdict: str = ""
    state: str = ""
    code: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One message, event or delivery.

    what:       message type, or record.
    state:      verdict of a message, action of an event, state of a delivery.
    code:       of a message its problems' codes.
    facility:   of a delivery its recipient.
    """

    at: datetime
    kind: Kind
    id: str
    message_id: str | None
    facility: str
    sender: str
    what: str
    control_id: str
    state: str
    code: str
    test: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Page:
    """hits: newest first, `PAGE` at most. next: what `after` is for the page behind this one; "" for the last."""

    hits: tuple[Hit, ...]
    next: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a search would take at most that was not begun, or was given up.

    rows:    how many it would look at. seconds: how long about. by: the word that narrows it down most; "" for none.
    """

    rows: int
    seconds: float
    by: str


def search(
    database: Database,
    wanted: Wanted,
    keyring: Keyring | None = None,
    *,
    after: str = "",
    patience_s: float = PATIENCE_S,
) -> Page | Cost:
    """One page, or what it would cost, which is told within `patience_s`.

    database:   without an open transaction.
    keyring:    makes Kafka keys of claims and slips.
    after:      `next` of the page before.
    patience_s: how long it may take; beyond `PATIENCE_S` it is begun whatever the planner thinks of it.
                It can be stopped by cancelling the connection.
    Raises:     HubError(REQUEST_WRONG) for a word that cannot be one; psycopg's errors.
    """
    with database.transaction():
        query, values = statement(wanted, keyring, after, frequent=is_frequent(database, wanted))
        database.execute("set transaction read only")
        # Parallel workers and compilation are for reports: here they cost more than what they help.
        database.execute("set local max_parallel_workers_per_gather = 0")
        database.execute("set local jit = off")
        if patience_s <= PATIENCE_S and _plan(database, query, values)["Total Cost"] > _DEAR:
            return _cost(database, wanted, values)
        try:
            with database.transaction(), database.cursor(row_factory=class_row(Hit)) as cursor:
                cursor.execute(f"set local statement_timeout = {int(patience_s * 1000)}".encode())
                hits = cursor.execute(query, values, prepare=False).fetchall()
        except QueryCanceled as late:
            if "statement timeout" not in str(late):
                raise
            return _cost(database, wanted, values)
    more = len(hits) > PAGE
    return Page(tuple(hits[:PAGE]), _place(hits[PAGE - 1]) if more else "")


def statement(
    wanted: Wanted, keyring: Keyring | None = None, after: str = "", *, frequent: bool = False
) -> tuple[bytes, dict[str, Any]]:
    """What is asked of the database for a page and one more row, and its values.

    frequent: so many messages have a problem of this code that they are met on the way through time.
    Raises:   HubError(REQUEST_WRONG).
    """
    values = _values(wanted, keyring, after)
    if wanted.code and frequent:
        values["often"] = Jsonb([{"code": wanted.code}])
    branches = [_SELECT[kind].format(source=_source(kind, values), where=_where(kind, values)) for kind in _kinds(wanted)]
    ordered = "order by at desc, id desc limit %(most)s"
    whole = " union all ".join(f"({branch})" for branch in branches)
    return f"select * from ({whole}) as found {ordered}".encode(), values  # noqa: S608  # constants only


def _kinds(wanted: Wanted) -> tuple[Kind, ...]:
    if wanted.state:
        return ("delivery",)
    if wanted.claim or wanted.slip:
        return ("event",)
    if wanted.id:
        return ("message", "event", "delivery")
    return ("message", "delivery") if wanted.code and not wanted.verdict else ("message",)


def _values(wanted: Wanted, keyring: Keyring | None, after: str) -> dict[str, Any]:
    """The words that are said, as values of the query."""
    values: dict[str, Any] = {}
    for name in (one.name for one in fields(wanted)):
        value = getattr(wanted, name)
        if value and name not in ("claim", "slip"):
            if isinstance(value, str) and "\x00" in value:
                raise HubError("REQUEST_WRONG", name)
            values[name] = value
    if wanted.id:
        values["id"] = _uuid(wanted.id, "id")
    keys = [_keys(keyring, name, getattr(wanted, name)) for name in ("claim", "slip") if getattr(wanted, name)]
    if keys:
        values["keys"] = sorted(set[str].intersection(*keys))
    if after:
        at, _, last = after.partition("|")
        try:
            values |= {"at": datetime.fromisoformat(at), "last": _uuid(last, "after")}
        except ValueError:
            raise HubError("REQUEST_WRONG", "after") from None
    return values | {"most": PAGE + 1}


def _keys(keyring: Keyring | None, name: str, said: str) -> set[str]:
    facility, slash, key = (part.strip() for part in said.partition("/"))
    if not slash or not facility or not key or keyring is None:
        raise HubError("REQUEST_WRONG", f"{name}: FACILITY/KEY")
    return {keyring.key(facility, key, test=test) for test in (False, True)}


def _uuid(text: str, where: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError:
        raise HubError("REQUEST_WRONG", f"{where}: a UUID") from None


def _place(hit: Hit) -> str:
    return f"{hit.at.astimezone(UTC).isoformat()}|{hit.id}"


def found_rows(database: Database, wanted: Wanted, keyring: Keyring | None = None) -> int:
    """How many messages, events or deliveries a search would find on all its pages, as the statistics say."""
    values = _values(wanted, keyring, "")
    return sum(_estimate(database, kind, [_where(kind, values)], values) for kind in _kinds(wanted) if kind == "message")


# --- the words in SQL -------------------------------------------------------------------------------------------------

_TIME: Final[Mapping[Kind, str]] = {"message": "received_at", "event": "recorded_at", "delivery": "recorded_at"}
_ID: Final[Mapping[Kind, str]] = {"message": "message_id", "event": "event_id", "delivery": "delivery_id"}
_OF_MESSAGE: Final[Mapping[str, str]] = {  # of the message that an event or a delivery is of
    "control_id": "message.control_id = %(control_id)s",
    "sender": "message.sender = %(sender)s",
    "verdict": "message.verdict = %(verdict)s",
}
_WORDS: Final[Mapping[Kind, Mapping[str, str]]] = {
    "message": {
        "facility": "one.facility = %(facility)s",
        "sender": "one.sender = %(sender)s",
        # Said twice, as a partial index is only used where the query says its condition itself.
        "verdict": "one.verdict = %(verdict)s",
        "control_id": "one.control_id = %(control_id)s",
        "often": "one.problems @> %(often)s",
    },
    "event": {
        **_OF_MESSAGE,
        "facility": "one.facility = %(facility)s",
        "code": "message.problems <> '[]' and journal_codes(message.problems) @> array[%(code)s::text]",
    },
    "delivery": {
        **_OF_MESSAGE,
        "facility": "one.recipient = %(facility)s",
        "state": "one.state = %(state)s",
        "code": "one.code <> '' and one.code = %(code)s",
    },
}
_POINTS: Final[Mapping[Kind, Mapping[str, str]]] = {
    # Words that leave few rows whatever else is said: these rows are found first, by that index and no other, then sifted.
    # `offset 0` keeps the planner from going through time instead, as it likes to where there is a limit.
    "message": {
        "id": "message_id = %(id)s",
        "control_id": "control_id = %(control_id)s",
        "code": "problems <> '[]' and journal_codes(problems) @> array[%(code)s::text]",
    },
    "event": {"id": "event_id = %(id)s", "keys": "key = any(%(keys)s)"},
    "delivery": {
        "id": "delivery_id = %(id)s",
        "keys": "subject_event_id in (select event_id from journal_event where key = any(%(keys)s))",
        "control_id": "message_id in (select message_id from journal_message where control_id = %(control_id)s)",
    },
}
_SELECT: Final[Mapping[Kind, str]] = {
    "message": """select one.received_at as at, 'message' as kind, one.message_id::text as id, one.message_id::text as message_id,
        one.facility, one.sender, one.message_type as what, one.control_id, one.verdict as state,
        array_to_string(journal_codes(one.problems), ' ') as code, one.test
        from {source} as one where {where} order by one.received_at desc, one.message_id desc limit %(most)s""",
    "event": """select one.recorded_at as at, 'event' as kind, one.event_id::text as id, one.message_id::text as message_id,
        one.facility, coalesce(message.sender, '') as sender, one.record as what, coalesce(message.control_id, '') as control_id,
        one.action as state, '' as code, one.test
        from {source} as one left join journal_message as message on message.message_id = one.message_id
        where {where} order by one.recorded_at desc, one.event_id desc limit %(most)s""",
    "delivery": """select one.recorded_at as at, 'delivery' as kind, one.delivery_id::text as id, one.message_id::text as message_id,
        one.recipient as facility, coalesce(message.sender, '') as sender, one.record as what,
        coalesce(message.control_id, '') as control_id, one.state, one.code, one.test
        from {source} as one left join journal_message as message on message.message_id = one.message_id
        where {where} order by one.recorded_at desc, one.delivery_id desc limit %(most)s""",
}


def _source(kind: Kind, values: Mapping[str, Any]) -> str:
    points = [
        condition for word, condition in _POINTS[kind].items() if word in values and not (word == "code" and "often" in values)
    ]
    if not points:
        return f"journal_{kind}"
    if kind == "message" and "control_id" in values and "facility" in values:
        points.append("facility = %(facility)s")
    return f"(select * from journal_{kind} where {' and '.join(points)} offset 0)"  # noqa: S608  # constants only


def _where(kind: Kind, values: Mapping[str, Any]) -> str:
    conditions = [condition for word, condition in _WORDS[kind].items() if word in values]
    if kind == "message" and values.get("verdict", "translated") != "translated":
        conditions.append("one.verdict <> 'translated'")
    if kind == "delivery" and values.get("state", "QUEUED") not in ("QUEUED", "ACKNOWLEDGED"):
        conditions.append("one.state not in ('', 'QUEUED', 'ACKNOWLEDGED')")
    return " and ".join(conditions + _times(kind, values)) or "true"


def _times(kind: Kind, values: Mapping[str, Any]) -> list[str]:
    at, id = f"one.{_TIME[kind]}", f"one.{_ID[kind]}"
    said = {"since": f"{at} >= %(since)s", "until": f"{at} < %(until)s", "at": f"({at}, {id}) < (%(at)s, %(last)s)"}
    return [condition for word, condition in said.items() if word in values]


def is_frequent(database: Database, wanted: Wanted) -> bool:
    """Whether the statistics know more than `_OFTEN` messages of this code. The planner does not ask them for a function's result."""
    if not wanted.code:
        return False
    row = database.execute(_FREQUENCY, (wanted.code,)).fetchone()
    return row is not None and row[0] is not None and row[0] > _OFTEN


_OFTEN: Final = 20_000  # rows that are read and put in order within a second
_FREQUENCY: Final = """
select max(share * reltuples) from pg_stats, pg_class,
       unnest(most_common_elems::text::text[], most_common_elem_freqs) as common (code, share)
where tablename = 'journal_message_codes' and relname = 'journal_message' and schemaname = current_schema() and common.code = %s
"""


# --- what it would cost -----------------------------------------------------------------------------------------------


def _plan(database: Database, query: bytes, values: Mapping[str, Any]) -> dict[str, Any]:
    row = database.execute(b"explain (format json) " + query, values, prepare=False).fetchone()
    return cast(dict[str, Any], row[0][0]["Plan"]) if row else {}


def _cost(database: Database, wanted: Wanted, values: Mapping[str, Any]) -> Cost:
    """By the word that leaves fewest rows, as the planner's statistics say; with a page's place in the time."""
    rows, by = 0, ""
    for kind in _kinds(wanted):
        times = _times(kind, values)
        own = {
            word: one
            for word, one in _WORDS[kind].items()
            if word in values and not one.startswith("message.") and word != "often"
        }
        least = {word: _estimate(database, kind, [condition, *times], values) for word, condition in {"": "true", **own}.items()}
        narrow = min(least, key=lambda word: least[word])
        if least[narrow] >= rows:
            rows, by = least[narrow], narrow or ("time" if times else "")
    return Cost(rows, round(rows / _WALKED_A_SECOND, 1), by)


def _estimate(database: Database, kind: Kind, conditions: list[str], values: Mapping[str, Any]) -> int:
    query = f"select from journal_{kind} as one where {' and '.join(conditions)}"
    return int(_plan(database, query.encode(), values)["Plan Rows"])
