"""Where everything stands for one facility: what became of what it sent, and of what is addressed to it; and what a rule holds."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow, class_row


@dataclass(frozen=True, slots=True)
class Stand:
    """So many of one kind that stand at the same place.

    what:   message type of what it sent, record of what was delivered.
    other:  recipient of what it sent, facility of what it gets; "" before routing, and for nobody by rule.
    state:  verdict of a message; PARKED or NOBODY of an event; state of a delivery, "" while it is on its way to the mailbox.
    why:    code of an error, or the rule.
    newest: when the last of them came.
    """

    what: str
    other: str
    state: str
    why: str
    count: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class View:
    """sent: its messages, then their deliveries. addressed: deliveries to it."""

    facility: str
    sent: tuple[Stand, ...]
    addressed: tuple[Stand, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def view(database: Connection[TupleRow], facility: str, since: date) -> View:
    """Sender's and receiver's view of one facility, test traffic left out.

    since:  day (Asia/Ho_Chi_Minh) from which on messages were received, or deliveries recorded.
    Raises: psycopg's errors.
    """
    values = {"facility": facility, "since": since, "prefix": f"{facility}:"}
    with database.transaction():
        database.execute("set transaction isolation level repeatable read, read only")
        sent = [Stand(*row) for query in (_MESSAGES, _PARKED, _SENT) for row in database.execute(query, values)]
        addressed = [Stand(*row) for row in database.execute(_ADDRESSED, values)]
    return View(facility, tuple(sent), tuple(addressed))


@dataclass(frozen=True, slots=True)
class Held:
    """A slip, or a claim with its papers, that a rule holds from the citizen's app; or a result of nobody; or, for 30 days, what
    is kept back as a number is all that two persons share, and a visit whose claim may lack a charge. Its number is in no index.

    event_id: the newest statement of it, for `trace`.
    rule:     by which it is held.
    since:    when that was routed.
    """

    facility: str
    record: str
    event_id: str
    rule: str
    since: datetime


def held(database: Connection[TupleRow], facility: str = "", most: int = 500) -> tuple[int, list[Held]]:
    """How many a rule holds, and the oldest of them; each once, without what was cancelled and test traffic.

    facility: that issued them; all when omitted.
    Raises:   psycopg's errors.
    """
    values = {"facility": facility, "most": most}
    with database.cursor(row_factory=class_row(Held)) as cursor:
        rows = cursor.execute(_HELD_ROWS, values).fetchall()
    counted = database.execute(_HELD_COUNT, values).fetchone()
    return (counted[0] if counted else 0), rows


_HELD: Final = """
with word as (
    select distinct on (event.record, event.key) event.*, delivery.rule as why, delivery.recorded_at as since
    from journal_delivery as delivery join journal_event as event on event.event_id = delivery.subject_event_id
    where (delivery.rule = 'nobody-unnamed'
            or delivery.rule = 'nobody-other-person' and delivery.recorded_at > now() - interval '30 days'
            or delivery.rule = 'claim-line-replaced' and delivery.recorded_at > now() - interval '30 days'
            or delivery.rule = 'nobody-held-sensitive' and event.record in ('hie.Referral', 'hie.FollowUp', 'hie.Claim'))
        and not delivery.test and (%(facility)s = '' or event.facility = %(facility)s)
    order by event.record, event.key, event.revision desc, delivery.recorded_at
), held as (
    select facility, record, event_id::text, why as rule, since from word
    where action not in ('CANCELLED', 'DELETED') and not exists (
        select from journal_event as newer join journal_delivery as sent on sent.subject_event_id = newer.event_id
        where newer.key = word.key and newer.record = word.record and newer.revision > word.revision
            and case when why = 'nobody-held-sensitive' or word.record = 'hie.Referral' then sent.recipient = 'portal'
                     else sent.rule not in (why, 'repeat', 'superseded') end)
)
"""
_HELD_ROWS: Final = _HELD + "select * from held order by since, event_id limit %(most)s"  # noqa: S608  # constants only
_HELD_COUNT: Final = _HELD + "select count(*) from held"  # noqa: S608  # constants only
_MESSAGES: Final = """
select message_type, '', verdict, coalesce((select one ->> 'code' from jsonb_array_elements(problems) as one
           where one ->> 'severity' = 'E' limit 1), '') as why, count(*), min(received_at), max(received_at)
from journal_message where facility = %(facility)s and day >= %(since)s and not test group by 1, 2, 3, 4 order by 1, 3, 4
"""
_PARKED: Final = """
select topic, '', 'PARKED', code, count(*), min(parked_at), max(parked_at)
from parked where state = 'PARKED' and starts_with(key, %(prefix)s) group by 1, 4 order by 1, 4
"""
_DELIVERY: Final = """
    case when recipient = '' then 'NOBODY' else state end, case when delivery.code <> '' then delivery.code else delivery.rule end,
    count(*), min(delivery.recorded_at), max(delivery.recorded_at)
"""
_SENT: Final = f"""
select delivery.record, recipient, {_DELIVERY}
from journal_message as message join journal_delivery as delivery using (message_id)
where message.facility = %(facility)s and message.day >= %(since)s and not message.test
    and (recipient <> %(facility)s or delivery.record <> 'hie.MessageReceived')
group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""  # noqa: S608  # constants only
_ADDRESSED: Final = f"""
select delivery.record, coalesce(message.facility, ''), {_DELIVERY}
from journal_delivery as delivery left join journal_message as message using (message_id)
where recipient = %(facility)s and delivery.recorded_at >= (%(since)s::timestamp at time zone 'Asia/Ho_Chi_Minh')
    and not delivery.test
group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""  # noqa: S608  # constants only
