"""What PostgreSQL holds of forgotten keys: how much, and how it goes. All in the caller's transaction.

Nothing that the books count goes: the journal's rows lose what leads to a person, what waits parked is given up, and what nobody fetched
is discarded, with its receipt.
"""

from datetime import date, datetime
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from hub.journal.forgetting import Traces

Database = Connection[TupleRow]

CODE: Final = "FORGOTTEN"


def counts(database: Database, traces: Traces) -> dict[str, int]:
    """Table to how many of its rows are not forgotten yet; and `waiting`: those of the mailboxes that nobody has fetched."""
    asked = {table: f"select count(*) from {table} where {which}" for table, which in _WHICH.items()}  # noqa: S608  # our words
    found = {}
    for name, query in {**asked, "waiting": _WAITING}.items():
        row = database.execute(query.encode(), _values(traces)).fetchone()
        found[name] = row[0] if row else 0
    return found


def mailbox_days(database: Database, traces: Traces) -> set[date]:
    """The days of the mailboxes in which any of it lies."""
    return {row[0] for row in database.execute(_DAYS, _values(traces))}


def others(database: Database, traces: Traces) -> int:
    """Events of other keys that came in the same messages, whose bytes go with them."""
    row = database.execute(_OTHERS, _values(traces)).fetchone()
    return row[0] if row else 0


def under_way(database: Database, traces: Traces) -> list[str]:
    """Events and deliveries that have not arrived, by their ids."""
    return [str(row[0]) for row in database.execute(_UNDER_WAY, _values(traces))]


def erase(database: Database, traces: Traces, at: datetime) -> None:
    """Do it. Done again, it does what is left.  at: time of the receipts."""
    values = _values(traces) | {"at": at, "code": CODE}
    database.execute(_BEFORE, values)
    for table, which in _WHICH.items():
        database.execute(_GOES.get(table, f"delete from {table} where {{}}").format(which).encode(), values)  # noqa: S608


def _values(traces: Traces) -> dict[str, object]:
    return {"keys": list(traces.keys), "ids": list(traces.ids)}


_DELIVERIES: Final = """delivery_id in (
    select delivery_id from journal_delivery where subject_event_id = any(%(ids)s::uuid[]))"""
_WHICH: Final = {
    "portal_document": _DELIVERIES,
    "mailbox": _DELIVERIES,
    "parked": "(event_id = any(%(ids)s::uuid[]) or key = any(%(keys)s)) and key <> ''",
    "due": "key = any(%(keys)s)",
    "case_fact": """(event_id = any(%(ids)s::uuid[]) or split_part(id, '/', 1) = any(%(keys)s)
        or split_part(ref, '/', 1) = any(%(keys)s))""",
    "case_head": "split_part(key, '/', 1) = any(%(keys)s)",
    "journal_event": "event_id = any(%(ids)s::uuid[]) and key <> ''",
    "journal_message": "message_id = any(%(ids)s::uuid[]) and control_id <> ''",
}
"""Table to the rows that are not forgotten yet."""
_GOES: Final = {
    "mailbox": """
        with gone as (delete from mailbox where {} returning delivery_id, recipient, facility, message_id, test, state)
        insert into receipt_outbox (delivery_id, recipient, facility, message_id, test, state, code, channel, at)
        select delivery_id, recipient, facility, message_id, test, 'DISCARDED', %(code)s, '', %(at)s from gone
        where state in ('QUEUED', 'SENT', 'HELD')""",
    "parked": "update parked set key = '', value = '', state = case state when 'PARKED' then 'DISCARDED' else state end where {}",
    "journal_event": "update journal_event set key = '' where {}",
    "journal_message": "update journal_message set control_id = '' where {}",
}
"""How they go, where they are not simply deleted."""
_BEFORE: Final = (
    "update case_fact set before = null where before ->> 2 = any(%(ids)s)"  # what stood before something else was said
)
_WAITING: Final = f"select count(*) from mailbox where {_DELIVERIES} and state in ('QUEUED', 'SENT', 'HELD')"  # noqa: S608
_DAYS: Final = f"select distinct day from mailbox where {_DELIVERIES}"  # noqa: S608  # constants only
_OTHERS: Final = """
select count(distinct event) from journal_message, unnest(events) as event
where message_id = any(%(ids)s::uuid[]) and not event = any(%(ids)s::uuid[])
"""
_UNDER_WAY: Final = """
select delivery_id from journal_delivery where subject_event_id = any(%(ids)s::uuid[]) and recipient <> '' and state = ''
union
select event_id from journal_event as event
where event_id = any(%(ids)s::uuid[]) and topic not like 'payer.%%'
    and not exists (select from journal_delivery where subject_event_id = event.event_id)
    and not exists (select from parked where parked.event_id = event.event_id and not (state = 'PARKED' and sent))
    and not exists (select from journal_dead_letter as letter
        where (letter.topic, letter.partition, letter.record_offset) = (event.topic, event.partition, event.record_offset))
limit 20
"""
