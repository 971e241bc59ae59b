"""Pausing a recipient: a person's decision, kept in its row, so that it holds in every process and after any restart.

What comes meanwhile is kept. Push stops before its next delivery; reading answers 503 RECIPIENT_PAUSED; receipts are still taken.
"""

from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row

from hub.audit import audit
from hub.bus import Producer, Wire
from hub.contract.events import now

# One statement: the row, and those who wait for the mailbox are woken.
PAUSE: Final = """
with paused as (
    insert into recipient (code, paused_at, paused_by, paused_reason) values (%(code)s, %(at)s, %(by)s, %(reason)s)
    on conflict (code) do update set paused_at = %(at)s, paused_by = %(by)s, paused_reason = %(reason)s
    where recipient.paused_at is null returning code)
select pg_notify('hie_inbox', code) from paused
"""
_RESUME: Final = """
with resumed as (
    update recipient set paused_at = null, paused_by = '', paused_reason = '' where code = %(code)s and paused_at is not null
    returning code)
select pg_notify('hie_inbox', code) from resumed
"""
_LIST: Final = """
select code, paused_at, paused_by, paused_reason, (
    select count(*) from mailbox where mailbox.recipient = recipient.code and state = 'QUEUED') as waiting
from recipient where paused_at is not null order by code
"""


def pause(database: Connection[TupleRow], producer: Producer, wire: Wire, mailbox: str, by: str, reason: str) -> bool:
    """Stop deliveries to a mailbox, which need not have got anything yet. Returns: false when it was paused already."""
    return _change(database, producer, wire, PAUSE, "pause", mailbox, by, reason)


def resume(database: Connection[TupleRow], producer: Producer, wire: Wire, mailbox: str, by: str, reason: str) -> bool:
    """Let deliveries go on. Returns: false when it was not paused."""
    return _change(database, producer, wire, _RESUME, "resume", mailbox, by, reason)


def paused(database: Connection[TupleRow]) -> list[dict[str, Any]]:
    """Who is paused: code (of the mailbox), paused_at, paused_by, paused_reason, waiting (deliveries that are not handed over yet)."""
    return database.cursor(row_factory=dict_row).execute(_LIST).fetchall()


def _change(
    database: Connection[TupleRow], producer: Producer, wire: Wire, query: str, action: str, mailbox: str, by: str, reason: str
) -> bool:
    at = now()
    with database.transaction():  # the audit event is held by the brokers, or nothing changed
        changed = database.execute(query.encode(), {"code": mailbox, "at": at, "by": by, "reason": reason}).fetchone() is not None
        told = audit(wire, f"recipient-{action}", mailbox, by, reason, "done" if changed else "refused", at=at)
        producer.publish_blocking([told])
    return changed
