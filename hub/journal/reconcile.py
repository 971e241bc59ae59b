"""The books: does everything that came in stand where it should? Each equation of promise 9, and the ids that break it.

By sender and day of receipt (Asia/Ho_Chi_Minh), test traffic left out:

    received  = translated + refused + quarantined
    promised  : every event that a message was translated into is in its topic
    events    = addressed + nobody (by rule) + parked + dead
    addressed = QUEUED + SENT + ACKNOWLEDGED + REFUSED + EXPIRED + HELD + PARKED + DISCARDED, none without a state

and the index itself is whole: records read = rows + repeats + undecodable.
"""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

STATES: Final = ("QUEUED", "SENT", "ACKNOWLEDGED", "REFUSED", "EXPIRED", "HELD", "PARKED", "DISCARDED")
_ROUTED: Final = (
    "referral.v1",
    "lab-order.v1",
    "lab-result.v1",
    "encounter.v1",
    "follow-up.v1",
    "person.v1",
    "charge.v1",
    "prescription.v1",
    "document.v1",
    "catalogue-change.v1",
    "resource-report.v1",
    "claim.v1",
    "claim-decision.v1",
)
_SHOWN: Final = 20
_WIDE: Final = 110  # columns that the table needs
_TITLE: Final = "Books by sender and day · Sổ đối chiếu theo bên gửi và ngày"

NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "message-without-verdict": ("messages neither translated, refused nor quarantined", "bản tin chưa có kết luận"),
    "event-missing": ("events that a message was translated into and no topic holds", "sự kiện không có trong chủ đề nào"),
    "event-without-message": ("events of a message that no topic holds", "sự kiện không có bản tin gốc"),
    "event-unaddressed": ("events neither addressed, for nobody by rule, nor parked", "sự kiện chưa có nơi nhận"),
    "delivery-without-event": ("deliveries of an event that no topic holds", "lượt giao không có sự kiện"),
    "delivery-stateless": ("deliveries without a state", "lượt giao chưa có trạng thái"),
    "receipt-without-delivery": ("receipts of a delivery that no topic holds", "biên nhận không có lượt giao"),
    "record-unindexed": (
        "topics with records that were read and are not in the journal",
        "chủ đề có bản ghi thiếu trong nhật ký",
    ),
    "record-undecodable": ("records that cannot be decoded and are not dead letters", "bản ghi không giải mã được"),
}


@dataclass(slots=True)
class BookRow:
    """One sender and day. Sender `?` stands for messages that the journal does not hold.

    promised:  distinct events that messages were translated into; events: distinct ones in their topics, derived ones included.
    addressed: deliveries with a recipient; states: state to how many of them; nobody, parked, dead: events.
    """

    day: date
    sender: str
    received: int = 0
    translated: int = 0
    refused: int = 0
    quarantined: int = 0
    promised: int = 0
    events: int = 0
    events_addressed: int = 0
    nobody: int = 0
    parked: int = 0
    dead: int = 0
    addressed: int = 0
    states: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One equation that does not hold. name: a key of `NAMES`; ids: the first 20 concerned."""

    name: str
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was given up: why, and where it lies."""

    id: str
    stage: str
    code: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Books:
    """What reconcile found."""

    rows: tuple[BookRow, ...]
    differences: tuple[Difference, ...]
    dead_letters: tuple[DeadLetter, ...]
    dead_letters_all: int

    @property
    def close(self) -> bool:
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        return {"close": self.close} | asdict(self)

    def text(self, width: int | None = None) -> str:
        """For people. width: of the page; that of the terminal when omitted."""
        page = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
        parts: list[RenderableType] = [_table(self.rows)] if page.width >= _WIDE else [_lines(self.rows)]
        for one in self.differences:
            english, vietnamese = NAMES[one.name]
            shown = ", ".join(one.ids) + (" …" if one.count > len(one.ids) else "")
            parts.append(f"{one.name}: {one.count} {english} ({vietnamese}): {shown}")
        for letter in self.dead_letters:
            parts.append(
                f"dead letter (thư chết): {letter.topic}/{letter.partition}/{letter.offset} {letter.stage} {letter.code}"
            )
        if self.dead_letters_all > len(self.dead_letters):
            parts.append(f"… {self.dead_letters_all} dead letters in all")
        with page.capture() as captured:
            page.print(*parts, sep="\n")
        return captured.get().rstrip()


def _table(rows: tuple[BookRow, ...]) -> Table:
    table = Table(title=_TITLE, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    columns = ("received", "translated", "refused", "quarantined", "events", "nobody", "parked", "addressed")
    table.add_column("day", no_wrap=True)
    table.add_column("sender")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("states")
    for row in rows:
        table.add_row(row.day.isoformat(), row.sender, *(str(getattr(row, name)) for name in columns), _states(row))
    return table


def _lines(rows: tuple[BookRow, ...]) -> str:
    """The same for a narrow window."""
    text = [_TITLE]
    for row in rows:
        text.append(f"{row.day.isoformat()}  {row.sender}")
        text.append(
            f"  received {row.received} = translated {row.translated} + refused {row.refused} + quarantined {row.quarantined}"
        )
        text.append(f"  events {row.events}, of them for nobody {row.nobody}, parked or given up {row.parked + row.dead}")
        text.append(f"  deliveries {row.addressed}: {_states(row) or 'none'}")
    return "\n".join(text)


def _states(row: BookRow) -> str:
    return ", ".join(f"{name} {row.states[name]}" for name in (*STATES, "") if row.states.get(name))


def reconcile(database: Connection[TupleRow]) -> Books:
    """Draw the books from the journal and the parked rows, all at one moment.

    Call it when the journal has caught up: what is under way shows as a difference.
    Raises: psycopg's errors.
    """
    with database.transaction():
        database.execute("set transaction isolation level repeatable read, read only")
        rows = _rows(database)
        differences = []
        for name, query in _DIFFERENCES.items():
            ids = [str(row[0]) for row in database.execute(query.encode(), _VALUES)]
            if ids:
                differences.append(Difference(name, len(ids), tuple(ids[:_SHOWN])))
        letters = [
            DeadLetter(str(row[0]), *row[1:])
            for row in database.execute(
                "select id, stage, code, topic, partition, record_offset from journal_dead_letter"
                " where state = '' order by recorded_at desc limit %s",
                (_SHOWN,),
            )
        ]
        (count,) = database.execute("select count(*) from journal_dead_letter where state = ''").fetchone() or (0,)
    return Books(rows, tuple(differences), tuple(letters), count)


def _rows(database: Connection[TupleRow]) -> tuple[BookRow, ...]:
    found: dict[tuple[date, str], BookRow] = {}
    for query in (_MESSAGES, _EVENTS, _STATES):
        for row in database.cursor(row_factory=dict_row).execute(query.encode(), _VALUES):
            key = (row.pop("day"), row.pop("sender"))
            book = found.setdefault(key, BookRow(*key))
            if "state" in row:
                book.states[row["state"]] = row["count"]
                book.addressed += row["count"]
            else:
                for name, value in row.items():
                    setattr(book, name, value)
    return tuple(found[key] for key in sorted(found))


_VALUES: Final[Mapping[str, Any]] = {"routed": list(_ROUTED), "states": list(STATES)}

_MESSAGES: Final = """
select day, sender, count(*) as received, count(*) filter (where verdict = 'translated') as translated,
       count(*) filter (where verdict = 'refused') as refused, count(*) filter (where verdict = 'quarantined') as quarantined,
       (select count(distinct promised) from journal_message as same, unnest(same.events) as promised
        where same.day = message.day and same.sender = message.sender and not same.test) as promised
from journal_message as message where not test group by day, sender
"""

# One row an event: its first record says whose day it belongs to; each later one is a repeat under the same id.
_ACCOUNTED: Final = """
with event as (
    select distinct on (event_id) event_id, topic, message_id, recorded_at from journal_event
    where topic = any(%(routed)s) and not test order by event_id, recorded_at, topic, partition, record_offset
), addressed as (
    select subject_event_id as event_id, bool_or(recipient <> '') as to_someone from journal_delivery group by 1
), waiting as (
    select distinct coalesce(parked.event_id, held.event_id) as event_id
    from parked left join journal_event as held using (topic, partition, record_offset)
    where parked.state in ('PARKED', 'DISCARDED')
), dead as (
    select distinct record.event_id
    from journal_dead_letter join journal_event as record using (topic, partition, record_offset)
), accounted as (
    select event.*, addressed.to_someone, waiting.event_id is not null as is_waiting, dead.event_id is not null as is_dead
    from event left join addressed using (event_id) left join waiting using (event_id) left join dead using (event_id)
)
"""
_EVENTS: Final = (
    _ACCOUNTED
    + """
select coalesce(message.day, (recorded_at at time zone 'Asia/Ho_Chi_Minh')::date) as day, coalesce(message.sender, '?') as sender,
       count(*) as events, count(*) filter (where to_someone) as events_addressed,
       count(*) filter (where not to_someone) as nobody,
       count(*) filter (where to_someone is null and is_waiting) as parked,
       count(*) filter (where to_someone is null and not is_waiting and is_dead) as dead
from accounted left join journal_message as message using (message_id) group by 1, 2
"""
)
_STATES: Final = """
select coalesce(message.day, (delivery.recorded_at at time zone 'Asia/Ho_Chi_Minh')::date) as day,
       coalesce(message.sender, '?') as sender, delivery.state, count(*) as count
from journal_delivery as delivery left join journal_message as message using (message_id)
where delivery.recipient <> '' and not delivery.test group by 1, 2, 3
"""

_DIFFERENCES: Final[Mapping[str, str]] = {
    "message-without-verdict": """
        select message_id from journal_message
        where not test and verdict not in ('translated', 'refused', 'quarantined') order by 1""",
    "event-missing": """
        select distinct promised from journal_message, unnest(events) as promised
        where not test and not exists (select from journal_event where event_id = promised) order by 1""",
    # A gate that is killed may leave an event whose message did not make it; when the sender says it again, that message
    # promises the same event, and with it what derives from it is accounted for.
    "event-without-message": """
        with orphan as (
            select distinct event_id, message_id, causes = '{}' as is_root from journal_event as event
            where not test and message_id is not null
            and not exists (select from journal_message as message where message.message_id = event.message_id)
        )
        select distinct event_id from orphan
        where case when is_root then not exists (select from journal_message where orphan.event_id = any(events))
              else not exists (select from orphan as root where root.message_id = orphan.message_id and root.is_root) end
        order by 1""",
    "event-unaddressed": _ACCOUNTED  # noqa: S608  # constants only
    + "select event_id from accounted where to_someone is null and not is_waiting and not is_dead order by 1",
    "delivery-without-event": """
        select delivery_id from journal_delivery where not test
        and not exists (select from journal_event where event_id = subject_event_id)
        and not exists (select from journal_message where message_id = subject_event_id) order by 1""",
    "delivery-stateless": """
        select delivery_id from journal_delivery
        where recipient <> '' and not test and not (state = any(%(states)s)) order by 1""",
    "receipt-without-delivery": """
        select distinct delivery_id from journal_receipt as receipt
        where not exists (select from journal_delivery as delivery where delivery.delivery_id = receipt.delivery_id) order by 1""",
    # Whatever was read is a row, a repeat or undecodable; a gap (records that expired unread) shows here too.
    "record-unindexed": """
        select topic from (select topic, sum(next_offset - first_offset - repeats) as wanted from journal_offset group by 1) as read
        full join (
            select topic, count(*) as there from (
                select topic from journal_event union all select topic from journal_undecodable
                union all select topic from journal_message
                union all select 'delivery.v1' from journal_delivery union all select 'receipt.v1' from journal_receipt
                union all select 'dead-letter.v1' from journal_dead_letter
            ) as held group by 1
        ) as held using (topic)
        where coalesce(wanted, 0) <> coalesce(there, 0) order by 1""",
    "record-undecodable": """
        select topic || '/' || partition || '/' || record_offset from journal_undecodable
        where not exists (select from journal_dead_letter as letter where (letter.topic, letter.partition, letter.record_offset)
            = (journal_undecodable.topic, journal_undecodable.partition, journal_undecodable.record_offset)) order by 1""",
}
