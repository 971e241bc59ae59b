"""Receipt look-ups on a real journal: whose transactions they show, on which day, and what they say of errors."""

import asyncio
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from adapters.inbound.gateway_receipts import CHECK_IN, CLAIM, Asked, Receipts
from hub.access.credentials import LOCAL, Credential
from hub.contract.errors import HubError
from hub.store.database import connect
from tests.own_database import own_database

DAY = date(2026, 11, 27)
AT = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
SENDER = Credential("donglinh", frozenset({"01021"}))
GROUP = Credential("group", frozenset({"01021", "01731"}))
WRONG = [
    {"code": "XML_ELEMENT_UNKNOWN", "severity": "W", "path": "HOSO[1]/XML1[1]/X"},
    {"code": "FIELD_MISSING", "severity": "E", "path": "HOSO[1]/XML1/MA_LK"},
]


@pytest.fixture(scope="module")
def journal(stack):
    with own_database(stack.database_url) as url:
        yield Journal(url)


class Journal:
    def __init__(self, url):
        self.url, self.offset = url, 0

    def add(self, sender="donglinh", facility="01021", *, verdict="translated", at=AT, day=DAY, transport=CLAIM, problems=()):
        self.offset += 1
        ident = uuid.uuid4()
        with connect(self.url) as database:
            database.execute(
                "insert into journal_message values (%s, %s, %s, %s, %s, %s, 'xml', 'GIAMDINHHS', '', %s, '', %s, '{}', false,"
                " 'message-received.v1', 0, %s)",
                (ident, at, day, sender, facility, transport, verdict, Jsonb(list(problems)), self.offset),
            )
        return str(ident)

    def ask(self, call):
        return asyncio.run(call(Receipts(self.url)))


def test_days_count_what_was_taken_and_what_was_not_of_this_account_and_kind_only(journal):
    for verdict in ("translated", "translated", "refused"):
        journal.add(verdict=verdict)
    journal.add(day=DAY - timedelta(days=1), verdict="quarantined", facility="")
    journal.add(transport=CHECK_IN)
    journal.add(transport="http")
    journal.add(sender="another")
    asked = Asked(SENDER, "01021", CLAIM)
    assert journal.ask(lambda receipts: receipts.days(asked, DAY - timedelta(days=1), DAY)) == [
        {"ngayGui": "26/11/2026", "tongSo": 1, "soHSThanhCong": 0, "soHSLoi": 1},
        {"ngayGui": "27/11/2026", "tongSo": 3, "soHSThanhCong": 2, "soHSLoi": 1},
    ]
    assert journal.ask(lambda receipts: receipts.days(asked, DAY, DAY))[0]["tongSo"] == 3
    check_ins = journal.ask(lambda receipts: receipts.days(Asked(SENDER, "01021", CHECK_IN), DAY, DAY))
    assert [row["tongSo"] for row in check_ins] == [1]


def test_the_transactions_of_a_day_are_in_order_with_the_time_of_vietnam_and_say_what_became_of_them(journal):
    day = DAY + timedelta(days=1)
    later = journal.add(day=day, at=AT + timedelta(hours=1), verdict="refused", problems=WRONG)
    first = journal.add(day=day, problems=WRONG[:1])
    rows = journal.ask(lambda receipts: receipts.transactions(Asked(SENDER, "01021", CLAIM), day))
    assert [(row["maGiaoDich"], row["ngayGui"]) for row in rows] == [
        (first, "27/11/2026 09:00:00"),
        (later, "27/11/2026 10:00:00"),
    ]
    assert [(row["soLuongHoSo"], row["slHoSoDung"], row["slHoSoLoi"]) for row in rows] == [(1, 1, 0), (1, 0, 1)]
    assert "1 cảnh báo" in rows[0]["mieuTa"] and "[FIELD_MISSING HOSO[1]/XML1/MA_LK]" in rows[1]["mieuTa"]


def test_a_group_sees_each_facility_alone_and_what_names_none_of_its_own_under_each(journal):
    day = DAY + timedelta(days=2)
    mine, other, unread, foreign = (journal.add("group", code, day=day) for code in ("01021", "01731", "", "01004"))

    def seen(facility, sender=GROUP):
        rows = journal.ask(lambda receipts: receipts.transactions(Asked(sender, facility, CLAIM), day))
        return {row["maGiaoDich"] for row in rows}

    assert seen("01021") == {mine, unread, foreign} and seen("01731") == {other, unread, foreign}
    local = journal.add("local", "01021", day=day)
    assert seen("01021", LOCAL) == {local} and seen("01731", LOCAL) == set()


def test_errors_of_a_transaction_are_what_kept_it_out_and_nothing_for_one_that_was_taken(journal):
    refused, taken = journal.add(verdict="refused", problems=WRONG), journal.add(problems=WRONG[:1])
    [row] = journal.ask(lambda receipts: receipts.errors(SENDER, refused))
    assert row["maLoi"] == "202" and "FIELD_MISSING" in row["moTaLoi"]
    assert journal.ask(lambda receipts: receipts.errors(SENDER, taken)) == []


def test_anothers_transaction_and_one_that_is_not_there_are_not_found(journal):
    anothers, by_http = journal.add("another", verdict="refused", problems=WRONG), journal.add(transport="http")
    for ident in (anothers, by_http, str(uuid.uuid4()), "no id", ""):
        with pytest.raises(HubError, match="NOT_FOUND"):
            journal.ask(lambda receipts, ident=ident: receipts.errors(SENDER, ident))


def test_a_database_that_is_away_is_told_as_such():
    with pytest.raises(HubError, match="DATABASE_UNAVAILABLE"):
        asyncio.run(Receipts("postgresql://nobody@127.0.0.1:1/none").errors(SENDER, str(uuid.uuid4())))
