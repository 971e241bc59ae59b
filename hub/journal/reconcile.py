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
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from hub.contract.errors import ERRORS
from hub.contract.events import VIETNAM
from hub.journal import equations
from hub.journal.equations import By

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
_TITLES: Final[Mapping[By, str]] = {
    "sender": "Books by sender and day · Sổ đối chiếu theo bên gửi và ngày",
    "recipient": "Deliveries by recipient and day · Lượt giao theo bên nhận và ngày",
    "type": "Books by message type and day · Sổ đối chiếu theo loại bản tin và ngày",
}

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
    """One day of one sender, recipient or message type, as asked. `?` stands for messages that the journal does not hold.

    promised:  distinct events that messages were translated into; events: distinct ones in their topics, derived ones included.
    addressed: deliveries with a recipient; states: state to how many of them; nobody, parked, dead: events.
    """

    day: date
    name: str
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
class Waiting:
    """What waits for one reason.

    state: PARKED (before routing), HELD, QUEUED, or "" on its way to a mailbox; of: facility of a parked key, else the recipient;
    what:  topic or record; why: a code of the table of errors or the rule that holds it, "" for what only waits to be fetched.
    """

    state: str
    of: str
    what: str
    why: str
    count: int
    since: datetime

    def text(self) -> str:
        meant = f": {ERRORS[self.why].en}" if self.why in ERRORS else ""
        since = self.since.astimezone(VIETNAM)
        return f"{self.state or 'on its way'} {self.count} {self.what} of {self.of or '?'} since {since:%d/%m/%Y %H:%M} {self.why}{meant}".rstrip()


@dataclass(frozen=True, slots=True)
class Books:
    """What reconcile found. waiting: the oldest first."""

    by: By
    rows: tuple[BookRow, ...]
    differences: tuple[Difference, ...]
    dead_letters: tuple[DeadLetter, ...]
    dead_letters_all: int
    waiting: tuple[Waiting, ...] = ()

    @property
    def close(self) -> bool:
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        return {"close": self.close} | asdict(self)

    def text(self, width: int | None = None) -> str:
        """For people. width: of the page; that of the terminal when omitted."""
        page = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
        parts: list[RenderableType] = [self._table() if page.width >= _WIDE else self._lines()]
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
        if self.waiting:
            parts.append("\nWaiting, the oldest first · Đang chờ, cũ nhất trước")
            parts += [f"  {one.text()}" for one in self.waiting[:_SHOWN]]
        if len(self.waiting) > _SHOWN:
            parts.append(f"  … {len(self.waiting)} rows in all (--json shows them)")
        with page.capture() as captured:
            page.print(*parts, sep="\n")
        return captured.get().rstrip()

    def _table(self) -> Table:
        table = Table(title=_TITLES[self.by], title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        own = () if self.by == "recipient" else ("received", "translated", "refused", "quarantined", "events", "nobody", "parked")
        columns = (*own, "addressed")
        table.add_column("day", no_wrap=True)
        table.add_column(self.by)
        for name in columns:
            table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
        table.add_column("states")
        for row in self.rows:
            table.add_row(row.day.isoformat(), row.name, *(str(getattr(row, name)) for name in columns), _states(row))
        return table

    def _lines(self) -> str:
        """The same for a narrow window."""
        text = [_TITLES[self.by]]
        for row in self.rows:
            text.append(f"{row.day.isoformat()}  {row.name}")
            if self.by != "recipient":
                text.append(
                    f"  received {row.received} = translated {row.translated} + refused {row.refused}"
                    f" + quarantined {row.quarantined}"
                )
                text.append(f"  events {row.events}, of them for nobody {row.nobody}, parked or given up {row.parked + row.dead}")
            text.append(f"  deliveries {row.addressed}: {_states(row) or 'none'}")
        return "\n".join(text)


def _states(row: BookRow) -> str:
    return ", ".join(f"{name} {row.states[name]}" for name in (*STATES, "") if row.states.get(name))


def reconcile(database: Connection[TupleRow], by: By = "sender", day: date | None = None) -> Books:
    """Draw the books from the journal and the parked rows, all at one moment.

    Call it when the journal has caught up: what is under way shows as a difference.
    by:  what the rows are of; by recipient they have deliveries only.
    day: only this one (Asia/Ho_Chi_Minh), found by indexes; whether every record is in the journal is not looked at then.
    Raises: psycopg's errors.
    """
    values: dict[str, Any] = {"routed": list(_ROUTED), "states": list(STATES), "shown": _SHOWN}
    if day is not None:
        start = datetime.combine(day, time.min, VIETNAM)
        values |= {"day": day, "start": start, "end": start + timedelta(days=1)}
    with database.transaction():
        database.execute("set transaction isolation level repeatable read, read only")
        if day is not None:
            database.execute(_BY_INDEX)
        rows = _rows(database, by, day is not None, values)
        differences = []
        for name, query in equations.differences(day is not None).items():
            ids = [str(row[0]) for row in database.execute(query.encode(), values)]
            if ids:
                differences.append(Difference(name, len(ids), tuple(ids[:_SHOWN])))
        letters = [DeadLetter(str(row[0]), *row[1:]) for row in database.execute(_LETTERS, values)]
        (count,) = database.execute("select count(*) from journal_dead_letter where state = ''").fetchone() or (0,)
        held = tuple(Waiting(*row) for row in database.execute(equations.WAITING))
    return Books(by, rows, tuple(differences), tuple(letters), count, held)


def _rows(database: Connection[TupleRow], by: By, one_day: bool, values: Mapping[str, Any]) -> tuple[BookRow, ...]:
    found: dict[tuple[date, str], BookRow] = {}
    parts = (equations.deliveries,) if by == "recipient" else (equations.messages, equations.events, equations.deliveries)
    for part in parts:
        for row in database.cursor(row_factory=dict_row).execute(part(by, one_day).encode(), values):
            key = (row.pop("day"), row.pop("name"))
            book = found.setdefault(key, BookRow(*key))
            if "state" in row:
                book.states[row["state"]] = row["count"]
                book.addressed += row["count"]
            else:
                for name, value in row.items():
                    setattr(book, name, value)
    return tuple(found[key] for key in sorted(found))


# A day's rows lie together, and PostgreSQL's price of a look-up is that of a turning disk: it would rather read everything.
_BY_INDEX: Final = "set local random_page_cost = 1.0; set local seq_page_cost = 1.0; set local enable_seqscan = off; set local enable_mergejoin = off"
_LETTERS: Final = """
select id, stage, code, topic, partition, record_offset from journal_dead_letter where state = '' order by recorded_at desc limit %(shown)s
"""
