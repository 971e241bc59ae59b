"""What PostgreSQL holds of a forgotten case goes in one transaction; what the books count, and what is of others, stays."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from hub.journal.forgetting import indexed
from hub.keep.forget_tables import counts, erase, mailbox_days, others, under_way
from hub.store import forgotten
from hub.store.database import connect
from hub.store.forgotten import Request
from tests.own_database import own_database

AT = datetime(2026, 11, 23, 1, tzinfo=UTC)
KEY, OTHER = "01021:aa", "01021:bb"
MESSAGE, EVENT, DERIVED, THEIRS = (str(UUID(int=number)) for number in range(1, 5))
FETCHED, WAITS, OF_THEIRS, LETTER = (str(UUID(int=number)) for number in range(11, 15))
TABLES = ("mailbox", "portal_document", "parked", "due", "case_fact", "case_head", "journal_event", "journal_message")


@pytest.fixture
def database(stack):
    with own_database(stack.database_url) as url, connect(url, autocommit=True) as made:
        made.execute("create table mailbox_all partition of mailbox default")
        fill(made)
        yield made


def fill(database):
    """A message of two cases: one that is to be forgotten, with all that can hang on it, and one of somebody else."""
    database.execute(
        "insert into journal_message values (%s, %s, '2026-11-23', 's', '01021', 'mllp', 'hl7', 'ADT', 'CONTROL', 'translated', 'AA', '[]',"
        " %s::uuid[], false, 'message-received.v1', 0, 5)",
        (MESSAGE, AT, [EVENT, THEIRS]),
    )
    for offset, (event, key, causes) in enumerate([(EVENT, KEY, []), (DERIVED, KEY, [THEIRS]), (THEIRS, OTHER, [])]):
        database.execute(
            "insert into journal_event values (%s, 'claim.v1', 0, %s, 'hie.Claim', %s, '01021', %s, 'SUBMITTED', '', '', %s::uuid[], %s, false)",
            (event, offset, MESSAGE, key, causes, AT),
        )
        for table, columns in (
            (
                "case_head",
                "(stream, key, rank, told, event_id, content_hash) values ('claim.v1', %(side)s, '', '', %(event)s, '')",
            ),
            ("due", "values (%(event)s, now(), 'claim.v1', %(key)s, 'body')"),
            ("parked", "values ('claim.v1', 0, %(offset)s, %(key)s, %(event)s, 'BEHIND', 'body', 'PARKED', false, now())"),
        ):
            values = {"event": event, "key": key, "offset": offset, "side": f"{key}/side{offset}"}
            database.execute(f"insert into {table} {columns}".encode(), values)
    facts = [
        ("by-key", KEY, "x", THEIRS),
        ("by-id", "x", f"{KEY}/side", THEIRS),
        ("by-event", "x", "x", EVENT),
        ("theirs", OTHER, OTHER, THEIRS),
    ]
    for kind, ref, id, event in facts:
        database.execute(
            "insert into case_fact values (%s, %s, %s, '', '{}', %s, 'claim.v1/0/0', now(), %s)",
            (kind, ref, id, event, f'["", {{"of": "before"}}, "{EVENT}", ""]' if kind == "theirs" else None),
        )
    for seq, (id, event, state) in enumerate(
        [(FETCHED, EVENT, "ACKNOWLEDGED"), (WAITS, DERIVED, "QUEUED"), (OF_THEIRS, THEIRS, "QUEUED")]
    ):
        database.execute(
            "insert into mailbox (day, recipient, seq, delivery_id, event_id, record, subject_key, lane, rule, facility, message_id, test,"
            " state, queued_at, changed_at, body) values ('2026-11-24', '01004', %s, %s, %s, 'r', 'k', 'routine', 'r', '01021', '', false, %s,"
            " now(), now(), 'body')",
            (seq, id, event, state),
        )
        database.execute(
            "insert into journal_delivery values (%s, %s, '01004', 'r', 'r', 'routine', %s, false, %s, %s)",
            (id, event, MESSAGE, AT, state),
        )
        database.execute(
            "insert into portal_document (delivery_id, mailbox, seq, subject_key, rank, facility, record) values (%s, '01004', %s, 'k', '', '01021', 'r')",
            (id, seq),
        )
    database.execute("insert into journal_dead_letter values (%s, 'routing', 'X', 'claim.v1', 0, 0, now())", (LETTER,))


def left(database, table):
    return database.execute(f"select * from {table}".encode()).fetchall()


def test_everything_of_the_case_goes_and_nothing_of_another(database):
    traces = indexed(database, [KEY])
    assert traces.ids == {MESSAGE, EVENT, DERIVED, LETTER}
    assert counts(database, traces) == {
        **dict(zip(TABLES, (2, 2, 2, 2, 3, 2, 2, 1), strict=True)),
        "waiting": 1,
    }
    assert others(database, traces) == 1
    assert {str(day) for day in mailbox_days(database, traces)} == {"2026-11-24"}
    erase(database, traces, AT)
    assert not any(counts(database, traces).values())
    assert [len(left(database, table)) for table in TABLES] == [1, 1, 3, 1, 1, 1, 3, 1]  # journal and parked keep their rows
    told = str([left(database, table) for table in TABLES])
    assert KEY not in told and "CONTROL" not in told and "before" not in told and OTHER in told
    parked = database.execute("select key, state, value from parked order by record_offset").fetchall()
    assert parked == [("", "DISCARDED", b""), ("", "DISCARDED", b""), (OTHER, "PARKED", b"body")]
    assert database.execute("select delivery_id::text, state, code from receipt_outbox").fetchall() == [
        (WAITS, "DISCARDED", "FORGOTTEN")
    ]
    erase(database, traces, AT)
    assert len(left(database, "receipt_outbox")) == 1, "done again, nothing is told twice"


def test_what_an_index_reads_once_more_is_found_again_by_the_ids_that_were_noted(database):
    traces = indexed(database, [KEY])
    request = Request((KEY,), "r", AT)
    forgotten.begin(database, request, traces.ids)
    erase(database, traces, AT)
    assert indexed(database, [KEY]).ids == set()
    again = indexed(database, [KEY], forgotten.ids_of(database, [KEY]))
    assert (again.ids, again.places) == (traces.ids, traces.places)
    assert [one.keys for one in forgotten.unfinished(database, None)] == [(KEY,)]
    assert forgotten.among(database, [EVENT, THEIRS]) == {EVENT} and EVENT in forgotten.all_ids(database)


def test_what_has_not_arrived_is_told(database):
    traces = indexed(database, [KEY])
    assert under_way(database, traces) == []
    database.execute("update journal_delivery set state = '' where delivery_id = %s", (WAITS,))
    assert under_way(database, traces) == [WAITS]
    database.execute("delete from journal_delivery; delete from journal_dead_letter; update parked set sent = true")
    assert set(under_way(database, traces)) == {EVENT, DERIVED}
