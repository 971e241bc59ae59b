"""Whatever one knows of a message finds it, newest first and a page at a time; what would take long says so instead."""

from datetime import timedelta

import pytest

from hub.contract.errors import HubError
from hub.journal.consumer import index
from hub.journal.search import PAGE, Cost, Page, Wanted, is_frequent, search, statement
from tests.hub.journal.test_reconcile import told
from tests.made import AT, KEYRING, delivery, received, referral


@pytest.fixture
def indexed(database, log):
    """A referral that was delivered, a message that was refused, and another sender's."""
    sent, wrong = received(control_id="CT-1"), received(control_id="CT-2", verdict="refused", at=AT + timedelta(hours=1))
    other = received("01004", control_id="CT-1", at=AT + timedelta(hours=2), sender="songhong", problems=[])
    event = referral(sent, "S-2026-1")
    out = delivery(log.wire, "hie.Referral", event, "01021")
    records = [log.event("message-received.v1", one) for one in (sent, wrong, other)]
    records += [log.event("referral.v1", event, AT), log.event("delivery.v1", out, AT)]
    records += [log.event("receipt.v1", one) for one in told(out, "QUEUED", "HELD")]
    index(database, log.wire, records, {})
    return {"sent": sent["message_id"], "wrong": wrong["message_id"], "other": other["message_id"],
            "event": event["meta"]["event_id"], "delivery": out["meta"]["event_id"]}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({}, ["other", "wrong", "sent"]),
        ({"control_id": "CT-1"}, ["other", "sent"]),
        ({"control_id": "CT-1", "facility": "01731"}, ["sent"]),
        ({"facility": "01731"}, ["wrong", "sent"]),
        ({"sender": "songhong"}, ["other"]),
        ({"verdict": "refused"}, ["wrong"]),
        ({"verdict": "translated", "facility": "01731"}, ["sent"]),
        ({"verdict": "quarantined"}, []),
        ({"code": "FIELD_MISSING"}, ["wrong", "sent"]),
        ({"code": "FIELD_MISSING", "verdict": "refused", "sender": "minhkhai"}, ["wrong"]),
        ({"slip": "01731/S-2026-1"}, ["event"]),
        ({"slip": "01731/S-2026-1", "sender": "songhong"}, []),
        ({"slip": "01731/S-2026-1", "state": "HELD"}, ["delivery"]),
        ({"state": "HELD"}, ["delivery"]),
        ({"state": "HELD", "facility": "01021"}, ["delivery"]),
        ({"state": "HELD", "sender": "minhkhai", "control_id": "CT-1"}, ["delivery"]),
        ({"state": "SENT"}, []),
        ({"since": AT + timedelta(hours=1)}, ["other", "wrong"]),
        ({"until": AT + timedelta(hours=1)}, ["sent"]),
        ({"since": AT, "until": AT + timedelta(hours=2), "sender": "minhkhai"}, ["wrong", "sent"]),
    ],
    ids=str,
)
def test_words_find_what_they_say_newest_first(database, indexed, words, found):
    page = search(database, Wanted(**words), KEYRING)
    assert isinstance(page, Page)
    assert [hit.id for hit in page.hits] == [indexed[name] for name in found]


@pytest.mark.parametrize("name", ["sent", "event", "delivery"])
def test_an_id_finds_whatever_it_is_of(database, indexed, name):
    page = search(database, Wanted(id=indexed[name]), KEYRING)
    assert [hit.id for hit in page.hits] == [indexed[name]]
    assert page.hits[0].message_id == indexed["sent"]


@pytest.mark.parametrize("words", [{"id": "no"}, {"slip": "S-1"}, {"claim": "/"}, {"sender": "a\x00"}], ids=str)
def test_a_word_that_cannot_be_one_is_refused(database, words):
    with pytest.raises(HubError) as refused:
        search(database, Wanted(**words), KEYRING)
    assert refused.value.code == "REQUEST_WRONG"


def test_pages_follow_each_other_without_gap_or_repeat_while_more_comes_in(database, log):
    """Ten to a microsecond, so that the order within one time matters."""
    ids = [received(control_id=f"C{n}", at=AT + timedelta(microseconds=n // 10)) for n in range(PAGE * 2 + 7)]
    index(database, log.wire, [log.event("message-received.v1", one) for one in ids], {})
    seen, after = [], ""
    while True:
        page = search(database, Wanted(facility="01731"), after=after)
        assert isinstance(page, Page)
        seen += [hit.id for hit in page.hits]
        index(
            database,
            log.wire,
            [log.event("message-received.v1", received(control_id=f"N{len(seen)}", at=AT + timedelta(days=1)))],
            {},
        )
        if not (after := page.next):
            break
    assert len(seen) == len(set(seen)) == len(ids)
    assert set(seen) == {one["message_id"] for one in ids}


def test_what_would_take_long_is_not_begun_and_says_what_it_takes(database, indexed, monkeypatch):
    monkeypatch.setattr("hub.journal.search._DEAR", 0.0)
    database.execute("analyze journal_message")
    found = search(database, Wanted(facility="01731", verdict="translated"))
    assert isinstance(found, Cost)
    assert found.rows >= 1
    assert found.by == "facility"
    assert isinstance(search(database, Wanted(facility="01731", verdict="translated"), patience_s=10), Page)


def test_what_takes_too_long_is_given_up_and_says_so(database, indexed, monkeypatch):
    query, values = statement(Wanted(facility="01731"))
    slow = (
        query.replace(b"select * from (", b"select * from (select pg_sleep(5)) as slow, lateral (select * from (", 1) + b") as f"
    )
    monkeypatch.setattr(
        "hub.journal.search.statement",
        lambda *_, **_more: (slow.replace(b"select * from (select pg", b"select f.* from (select pg"), values),
    )
    assert isinstance(search(database, Wanted(facility="01731"), patience_s=0.2), Cost)


def test_no_word_is_answered_by_reading_a_table_whole(database, indexed):
    """Each by an index, whatever statistics say: with few rows the planner would rather read them all, so it may not."""
    every = [{"control_id": "CT-1"}, {"id": indexed["event"]}, {"slip": "01731/S-2026-1"}, {"facility": "01731"}, {"sender": "minhkhai"},
             {"verdict": "refused"}, {"verdict": "translated"}, {"state": "HELD"}, {"state": "QUEUED"}, {"state": "ACKNOWLEDGED"},
             {"code": "FIELD_MISSING"}, {"since": AT}, {}]  # fmt: skip
    database.execute("set enable_seqscan = off")
    for words in every:
        query, values = statement(Wanted(**words), KEYRING)
        plan = "\n".join(row[0] for row in database.execute(b"explain " + query, values, prepare=False))
        assert "Seq Scan" not in plan, (words, plan)


def test_a_code_that_many_have_is_found_on_the_way_through_time(database, indexed, monkeypatch):
    """The same hits by either way."""
    database.execute("analyze journal_message")
    rare = search(database, Wanted(code="FIELD_MISSING"))
    monkeypatch.setattr("hub.journal.search._OFTEN", 1)
    assert is_frequent(database, Wanted(code="FIELD_MISSING"))
    assert not is_frequent(database, Wanted(code="NO_SUCH"))
    assert search(database, Wanted(code="FIELD_MISSING")) == rare
    assert [hit.id for hit in rare.hits] == [indexed["wrong"], indexed["sent"]]
