"""Traffic by feed and hour: what the journal counts of messages as it indexes them, and what the watch reads of it.

A feed is a sender and a facility; tests are left out. Counted is what a message said first, once, in the transaction of its
row: repeats, replays and a rebuild change nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row

from hub.journal.incidents import RECEIVED, Feed
from hub.journal.rhythm import Hour

_SLOW: Final = timedelta(seconds=2)  # L3 of the load model: the 99th percentile from receipt to the topic
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ByHour = dict[str, dict[Hour, int]]
"""Of one feed: what is counted -> hour -> messages."""


def hour_of(at: datetime) -> Hour:
    return (at - _EPOCH) // _HOUR


def time_of(hour: float) -> datetime:
    return _EPOCH + hour * _HOUR


def is_slow(received_at: datetime, recorded_at: datetime) -> bool:
    """Whether a message took more than 2 s from its receipt to the topic."""
    return recorded_at - received_at > _SLOW


def count(
    database: Connection[TupleRow], messages: Iterable[tuple[datetime, str, str, str, Sequence[Mapping[str, Any]], bool]]
) -> None:
    """Add messages that are new, in the caller's transaction: received at, sender, facility, verdict, problems, slow."""
    counts = Counter[tuple[datetime, str, str, str]]()
    for received_at, sender, facility, verdict, problems, slow in messages:
        feed = received_at.replace(minute=0, second=0, microsecond=0), sender, facility
        whats = {RECEIVED, *(str(problem["code"]) for problem in problems)}
        if verdict != "translated":
            whats.add(verdict)
        if slow:
            whats.add("slow")
        for what in whats:
            counts[*feed, what] += 1
    if counts:
        rows = sorted((*key, number) for key, number in counts.items())
        database.execute(_ADD, [list(column) for column in zip(*rows, strict=True)])


_ADD: Final = """
insert into journal_traffic as old (hour, sender, facility, what, messages)
select * from unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::bigint[])
on conflict (hour, sender, facility, what) do update set messages = old.messages + excluded.messages
"""


def forget_counts(database: Connection[TupleRow], until: datetime, most: int) -> None:
    """Delete so many counts of hours before this one. A rebuild counts them again, as far as the archive goes."""
    database.execute(_FORGET, (until, most))


_FORGET: Final = "delete from journal_traffic where ctid = any(array(select ctid from journal_traffic where hour < %s limit %s))"


# --- reading ----------------------------------------------------------------------------------------------------------


def feeds(database: Connection[TupleRow], since: Hour) -> dict[Feed, tuple[Hour, Hour]]:
    """Who was heard since: first and last hour."""
    rows = database.execute(
        "select sender, facility, min(hour), max(hour) from journal_traffic where what = %s and hour >= %s group by 1, 2",
        (RECEIVED, time_of(since)),
    )
    return {Feed(sender, facility): (hour_of(first), hour_of(last)) for sender, facility, first, last in rows}


def of_feed(database: Connection[TupleRow], feed: Feed, since: Hour, until: Hour) -> ByHour:
    """What a feed did in these hours."""
    found = defaultdict[str, dict[Hour, int]](dict)
    rows = database.execute(
        "select what, hour, messages from journal_traffic where sender = %s and facility = %s and hour >= %s and hour < %s",
        (*feed, time_of(since), time_of(until)),
    )
    for what, hour, messages in rows:
        found[what][hour_of(hour)] = messages
    return found


def of_feeds(database: Connection[TupleRow], members: Iterable[Feed], since: Hour, until: Hour) -> ByHour:
    """The same of many together; the database adds them up."""
    found = defaultdict[str, dict[Hour, int]](dict)
    columns = [list(column) for column in zip(*sorted(members), strict=True)]
    rows = database.execute(_TOGETHER, (*columns, time_of(since), time_of(until)))
    for what, hour, messages in rows:
        found[what][hour_of(hour)] = int(messages)
    return found


def in_hours(database: Connection[TupleRow], since: Hour, until: Hour) -> list[dict[Feed, dict[str, int]]]:
    """What every feed did, hour by hour."""
    hours: list[dict[Feed, dict[str, int]]] = [{} for _ in range(until - since)]
    rows = database.execute(
        "select hour, sender, facility, what, messages from journal_traffic where hour >= %s and hour < %s",
        (time_of(since), time_of(until)),
    )
    for hour, sender, facility, what, messages in rows:
        hours[hour_of(hour) - since].setdefault(Feed(sender, facility), {})[what] = messages
    return hours


def feeds_after(
    database: Connection[TupleRow], sender: str, facility: str, today: datetime, limit: int = 200
) -> list[dict[str, Any]]:
    """Feeds in the order of their names, behind this one: sender, facility, heard (the hour), and today's received and refused.

    One step through an index a feed, so a page costs what it shows, however long the past is.
    """
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_AFTER, {"sender": sender, "facility": facility, "today": today, "limit": limit}).fetchall()


_AFTER: Final = """
with recursive feed as (
    (select sender, facility from journal_traffic where (sender, facility) > (%(sender)s, %(facility)s)
     order by sender, facility limit 1)
    union all
    select following.* from feed cross join lateral (
        select sender, facility from journal_traffic where (sender, facility) > (feed.sender, feed.facility)
        order by sender, facility limit 1) as following
), page as (select * from feed limit %(limit)s)
select page.*,
    (select hour from journal_traffic as past where (past.sender, past.facility) = (page.sender, page.facility)
     order by hour desc limit 1) as heard,
    today.received, today.refused
from page cross join lateral (
    select coalesce(sum(messages) filter (where what = 'received'), 0)::bigint as received,
           coalesce(sum(messages) filter (where what in ('refused', 'quarantined')), 0)::bigint as refused
    from journal_traffic as now
    where (now.sender, now.facility) = (page.sender, page.facility) and now.hour >= %(today)s) as today
order by 1, 2
"""


def senders_of(database: Connection[TupleRow], facility: str) -> list[str]:
    """Who sent the latest 1,000 messages of a facility."""
    rows = database.execute(
        "select distinct sender from (select sender from journal_message where facility = %s"
        " order by received_at desc limit 1000) as latest order by 1",
        (facility,),
    )
    return [sender for (sender,) in rows]


_TOGETHER: Final = """
select what, hour, sum(messages)
from unnest(%s::text[], %s::text[]) as member (sender, facility) join journal_traffic using (sender, facility)
where hour >= %s and hour < %s group by what, hour
"""
