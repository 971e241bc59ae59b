"""Receipt look-ups on a real journal: whose transactions they show, on which day, and what they say of errors."""

import asyncio
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

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


# --- what was decided -------------------------------------------------------------------------------------------------


class OneWire:
    """Bodies are numbers of decisions."""

    def __init__(self):
        self.events = []

    def unpack(self, body):
        return "hie.ClaimDecision", self.events[int(body)]


@pytest.fixture(scope="module")
def mailbox(journal):
    with connect(journal.url) as database:
        for day in (DAY - timedelta(days=1), DAY):
            name = f"mailbox_of_{day:%Y%m%d}"
            database.execute(
                f"create table {name} partition of mailbox for values from ('{day}') to ('{day + timedelta(days=1)}')"
            )
    return Mailbox(journal)


class Mailbox:
    def __init__(self, journal):
        self.url, self.wire = journal.url, OneWire()

    def put(self, ma_lk, verdict, version=0, *, day=DAY, facility="01021", granted="800.00", test=False, state="QUEUED"):
        revision = {"version": version, "stated_at": "", "received_at": AT}
        meta = {"key": f"{facility}:{ma_lk}", "revision": revision}
        event = {"meta": meta, "payer": "vss", "ma_lk": ma_lk, "verdict": verdict, "t_bhtt_gd": Decimal(granted), "findings": []}
        self.wire.events.append(event)
        number = len(self.wire.events)
        with connect(self.url) as database:
            database.execute(
                "insert into mailbox (day, recipient, seq, delivery_id, event_id, record, subject_key, lane, rule, facility, message_id,"
                " test, state, queued_at, changed_at, body) values (%s, %s, %s, %s, %s, 'hie.ClaimDecision', '', 'routine',"
                " 'decision-to-facility', %s, '', %s, %s, %s, %s, %s)",
                (day, facility + ("!test" if test else ""), number, uuid.uuid4(), uuid.uuid4(), facility, test, state, AT, AT, str(number - 1).encode()),
            )  # fmt: skip

    def ask(self, call):
        return asyncio.run(call(Receipts(self.url, self.wire)))


def test_a_round_is_a_day_on_which_decisions_came_and_tells_the_newest_of_each_claim(mailbox):
    mailbox.put("A", "REDUCED", 2, granted="500.00")
    mailbox.put("A", "ACCEPTED", 1)
    mailbox.put("A", "PAID", 3)
    mailbox.put("B", "REJECTED", granted="0.00")
    mailbox.put("C", "CANCELLED", granted="0.00")
    mailbox.put("D", "ACCEPTED", facility="01731")
    mailbox.put("E", "ACCEPTED", test=True)
    mailbox.put("F", "ACCEPTED", state="DISCARDED")
    mailbox.put("G", "ACCEPTED", day=DAY - timedelta(days=1))
    asked = Asked(SENDER, "01021", CLAIM)
    rounds = mailbox.ask(lambda receipts: receipts.rounds(asked, DAY.replace(day=1)))
    assert [(row["maDot"], row["tuNgay"]) for row in rounds] == [("20261126", "26/11/2026"), ("20261127", "27/11/2026")]
    rows = mailbox.ask(lambda receipts: receipts.decided(asked, DAY))
    assert {row["maLK"]: (row["trangThai"], row["soTienDuyet"]) for row in rows} == {
        "A": ("Đạt", "500.00"),
        "B": ("Không đạt", "0.00"),
    }
    tester = Asked(Credential("tester", frozenset({"01021"}), test=True), "01021", CLAIM)
    assert [row["maLK"] for row in mailbox.ask(lambda receipts: receipts.decided(tester, DAY))] == ["E"]
    assert mailbox.ask(lambda receipts: receipts.rounds(asked, date(2026, 12, 1))) == []
