"""The equations of the books in SQL: the rows and what breaks each equation, over all days or over one.

One day's rows are found by indexes, whatever the journal holds besides: a day's events and deliveries are those of its
messages, and of the rest (no message is known) those that were recorded on it. %(day)s, %(start)s, %(end)s: that day.
"""

from typing import Final, Literal

By = Literal["sender", "recipient", "type"]

_OF_DAY: Final = "message_id in (select message_id from journal_message where day = %(day)s)"
_ORPHAN: Final = """recorded_at >= %(start)s and recorded_at < %(end)s
    and not exists (select from journal_message where journal_message.message_id = {table}.message_id)"""


def _scope(table: str, one_day: bool) -> str:
    """The rows of a table that the day may concern."""
    if not one_day:
        return f"select * from {table}"
    orphans = _ORPHAN.format(table=table)
    return f"select * from {table} where {_OF_DAY} union all select * from {table} where {orphans}"


def _group(by: By) -> str:
    return {"sender": "sender", "type": "message_type", "recipient": "recipient"}[by]


_DAY: Final = "coalesce(message.day, ({at} at time zone 'Asia/Ho_Chi_Minh')::date)"


def _and_day(one_day: bool, column: str = "day") -> str:
    return f"and {column} = %(day)s" if one_day else ""


def messages(by: By, one_day: bool) -> str:
    """Rows of day, name, received, translated, refused, quarantined, promised."""
    return f"""
        with message as (select * from journal_message where not test {_and_day(one_day)}), promised as (
            select day, {_group(by)} as name, count(distinct event_id) as promised
            from message, unnest(events) as event_id group by 1, 2
        ), received as (
            select day, {_group(by)} as name, count(*) as received,
                   count(*) filter (where verdict = 'translated') as translated,
                   count(*) filter (where verdict = 'refused') as refused,
                   count(*) filter (where verdict = 'quarantined') as quarantined
            from message group by 1, 2
        )
        select received.*, coalesce(promised, 0) as promised from received left join promised using (day, name)"""


def _accounted(one_day: bool) -> str:
    """One row an event: its first record says whose day it belongs to; each later one is a repeat under the same id."""
    some = "and event_id in (select event_id from touched)" if one_day else ""
    touched = f"touched as (select event_id from ({_scope('journal_event', True)}) as scope)," if one_day else ""
    only = "where subject_event_id in (select event_id from event)" if one_day else ""
    return f"""
        with {touched} event as (
            select distinct on (event_id) event_id, topic, message_id, recorded_at from journal_event
            where topic = any(%(routed)s) and not test {some}
            order by event_id, recorded_at, topic, partition, record_offset
        ), addressed as (
            select subject_event_id as event_id, bool_or(recipient <> '') as to_someone from journal_delivery {only} group by 1
        ), waiting as (
            select distinct coalesce(parked.event_id, held.event_id) as event_id
            from parked left join journal_event as held using (topic, partition, record_offset)
            where parked.state in ('PARKED', 'DISCARDED')
        ), dead as (  -- given back to its topic, it has to arrive there, unless its message was translated into something else
            select distinct record.event_id
            from journal_dead_letter as letter join journal_event as record using (topic, partition, record_offset)
            where letter.state <> 'REDRIVEN' or record.causes = '{{}}' and exists (
                select from journal_message as again
                where again.message_id = record.message_id and not record.event_id = any(again.events))
        ), accounted as (
            select event.event_id, addressed.to_someone, waiting.event_id is not null as is_waiting,
                   dead.event_id is not null as is_dead, {_DAY.format(at="event.recorded_at")} as day,
                   coalesce(message.sender, '?') as sender, coalesce(message.message_type, '?') as message_type
            from event left join addressed using (event_id) left join waiting using (event_id) left join dead using (event_id)
            left join journal_message as message on message.message_id = event.message_id
        )"""


def events(by: By, one_day: bool) -> str:
    """Rows of day, name, events, events_addressed, nobody, parked, dead."""
    return f"""{_accounted(one_day)}
        select day, {_group(by)} as name, count(*) as events, count(*) filter (where to_someone) as events_addressed,
               count(*) filter (where not to_someone) as nobody,
               count(*) filter (where to_someone is null and is_waiting) as parked,
               count(*) filter (where to_someone is null and not is_waiting and is_dead) as dead
        from accounted where true {_and_day(one_day)} group by 1, 2"""


def deliveries(by: By, one_day: bool) -> str:
    """Rows of day, name, state, count."""
    name = "delivery.recipient" if by == "recipient" else f"coalesce(message.{_group(by)}, '?')"
    return f"""
        select {_DAY.format(at="delivery.recorded_at")} as day, {name} as name, delivery.state, count(*) as count
        from ({_scope("journal_delivery", one_day)}) as delivery left join journal_message as message using (message_id)
        where delivery.recipient <> '' and not delivery.test group by 1, 2, 3"""


def differences(one_day: bool) -> dict[str, str]:
    """Name of an equation to the query of the ids that break it. `record-unindexed` is of the whole journal, not of a day."""
    recorded = "and recorded_at >= %(start)s and recorded_at < %(end)s" if one_day else ""
    told = "and receipt.at >= %(start)s and receipt.at < %(end)s" if one_day else ""
    delivery = f"({_scope('journal_delivery', one_day)}) as delivery"
    found = {
        "message-without-verdict": f"""
            select message_id from journal_message
            where not test and verdict not in ('translated', 'refused', 'quarantined') {_and_day(one_day)} order by 1""",
        "event-missing": f"""
            select distinct promised from journal_message, unnest(events) as promised
            where not test {_and_day(one_day)} and not exists (select from journal_event where event_id = promised) order by 1""",
        # A gate that is killed may leave an event whose message did not make it; when the sender says it again, that message
        # promises the same event, and with it what derives from it is accounted for.
        "event-without-message": f"""
            with orphan as (
                select distinct event_id, message_id, causes = '{{}}' as is_root from journal_event as event
                where not test and message_id is not null {recorded}
                and not exists (select from journal_message as message where message.message_id = event.message_id)
            )
            select event_id from orphan where is_root and not exists (
                select from (select unnest(events) as id from journal_message) as promised where id = event_id)
            union select event_id from orphan where not is_root and not exists (
                select from orphan as root where root.message_id = orphan.message_id and root.is_root)
            order by 1""",
        "event-unaddressed": f"""{_accounted(one_day)}
            select event_id from accounted
            where to_someone is null and not is_waiting and not is_dead {_and_day(one_day)} order by 1""",
        "delivery-without-event": f"""
            select delivery_id from {delivery} where not test
            and not exists (select from journal_event where event_id = subject_event_id)
            and not exists (select from journal_message where message_id = subject_event_id) order by 1""",
        "delivery-stateless": f"""
            select delivery_id from {delivery}
            where recipient <> '' and not test and not (state = any(%(states)s)) order by 1""",
        "receipt-without-delivery": f"""
            select distinct delivery_id from journal_receipt as receipt
            where not exists (select from journal_delivery as delivery where delivery.delivery_id = receipt.delivery_id) {told}
            order by 1""",
        "record-unindexed": _UNINDEXED,
        "record-undecodable": """
            select topic || '/' || partition || '/' || record_offset from journal_undecodable
            where not exists (select from journal_dead_letter as letter
                where (letter.topic, letter.partition, letter.record_offset)
                    = (journal_undecodable.topic, journal_undecodable.partition, journal_undecodable.record_offset)) order by 1""",
    }
    if one_day:
        del found["record-unindexed"]
    return found


# Whatever was read is a row, a repeat or undecodable; a gap (records that expired unread) shows here too.
_UNINDEXED: Final = """
    select topic from (select topic, sum(next_offset - first_offset - repeats) as wanted from journal_offset group by 1) as read
    full join (
        select topic, count(*) as there from (
            select topic from journal_event union all select topic from journal_undecodable
            union all select topic from journal_message
            union all select 'delivery.v1' from journal_delivery union all select 'receipt.v1' from journal_receipt
            union all select 'dead-letter.v1' from journal_dead_letter
        ) as held group by 1
    ) as held using (topic)
    where coalesce(wanted, 0) <> coalesce(there, 0) order by 1
"""

# What waits, and why: its code where it has one, else the rule that holds it.
WAITING: Final = """
    select 'PARKED' as state, split_part(key, ':', 1) as of, topic as what, code as why, count(*) as count, min(parked_at) as since
    from parked where state = 'PARKED' group by 1, 2, 3, 4
    union all
    select state, recipient, record, case when code <> '' then code when state = 'HELD' then rule else '' end, count(*),
           min(coalesce(state_at, recorded_at))
    from journal_delivery where state in ('', 'QUEUED', 'HELD') and recipient <> '' and not test group by 1, 2, 3, 4
    order by since
"""
