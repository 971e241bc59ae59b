"""The way to the citizen's app: what is whole goes, what is not is held with its reasons, and the newest revision is what counts."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from adapters.dialects.render import as_xml
from adapters.formats.claim_xml import Reader
from adapters.outbound.mailbox import make_days, put, read_delivery
from adapters.outbound.portal_calls import read_portal
from adapters.outbound.portal_client import PortalClient, put_back
from adapters.outbound.portal_simulator import SimulatedPortal
from adapters.outbound.receipts import Teller
from adapters.outbound.wakes import Wakes
from hub.contract.claim_tables import tables
from hub.contract.events import now
from hub.store.database import async_pool
from tests.adapters.outbound.test_mllp_push import until
from tests.adapters.outbound.test_portal_calls import TAKEN, portal_file, scripted
from tests.made import delivery
from tests.slips import DISTRICT, PROVINCE, follow_up, referral

LIMIT_S = 90
RECORDS = {"xml1": "hie.Claim", "xml13": "hie.Referral", "xml14": "hie.FollowUp"}


def run(work):
    return asyncio.run(asyncio.wait_for(work, LIMIT_S))


@pytest.fixture(autouse=True)
def _empty(database):
    database.execute("truncate portal_document")


async def deliver(settings, wire, *slips):
    """Slips into the portal's mailbox, as routing and the mailbox do it. Returns: the ids of their deliveries."""
    found = []
    async with await AsyncConnection.connect(settings.database_url.get_secret_value()) as connection:
        await make_days(connection, now().date() - timedelta(days=1), 3)
        for slip in slips:
            record = next(name for table, name in RECORDS.items() if table in slip)
            one = delivery(wire, record, slip, "portal", rule="follow-up-to-portal")
            letter, _ = read_delivery(wire, wire.pack("delivery.v1", one))
            async with connection.transaction():
                await put(connection, [letter], now())
            found.append(str(letter.delivery_id))
    return found


@asynccontextmanager
async def draining(settings, wire, path):
    """The client, until left."""
    url = settings.database_url.get_secret_value()
    async with async_pool(url) as pool:
        wakes = Wakes(url)
        client = PortalClient(settings, read_portal(path), wire, wakes, Teller(pool, wire, None))
        tasks = [asyncio.create_task(wakes.run()), asyncio.create_task(client.run())]
        try:
            yield client
        finally:
            for task in tasks:
                assert not task.done(), task.result()
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def states(database):
    """Delivery to state and code."""
    rows = database.execute("select delivery_id::text, state, code from mailbox where recipient = 'portal'").fetchall()
    return {row[0]: row[1:] for row in rows}


def reasons(database, one):
    row = database.execute("select reasons, told, transaction from portal_document where delivery_id = %s", (one,)).fetchone()
    return [(each["code"], each["element"]) for each in row[0]], *row[1:]


def receipts(database, one):
    return database.execute(
        "select state, code, channel from receipt_outbox where delivery_id = %s and channel <> '' order by id", (one,)
    ).fetchall()


def settled(database):
    return all(state not in ("QUEUED", "SENT") for state, _code in states(database).values())


def drain(database, settings, wire, path, *slips):
    """Deliver slips, let the client work until nothing waits. Returns: the ids of their deliveries."""

    async def work():
        ids = await deliver(settings, wire, *slips)
        async with draining(settings, wire, path):
            await until(lambda: settled(database))
        return ids

    return run(work())


@pytest.fixture
def portal(tmp_path):
    with SimulatedPortal({DISTRICT, PROVINCE}) as one:
        one.path = one.file(tmp_path, calls_per_s=1000.0)
        yield one


# --- what goes, and what does not -------------------------------------------------------------------------------------


def test_whole_slips_are_acknowledged_by_the_portals_own_word(database, own_settings, wire, portal):
    slips = [referral("GCT-1"), follow_up("HK-1")]
    ids = drain(database, own_settings, wire, portal.path, *slips)
    assert set(portal.taken) == {(DISTRICT, "GCT-1"), (DISTRICT, "HK-1")}
    for one in ids:
        assert receipts(database, one) == [("ACKNOWLEDGED", "", "portal")]
        found, _told, transaction = reasons(database, one)
        assert found == []
        assert len(transaction) == 20


def test_the_file_is_the_official_table_in_an_envelope_and_the_same_at_each_try():
    slip = follow_up("HK-1", ngay_hen_kl="202607071430")
    [hoso] = Reader(as_xml("hie.FollowUp", slip), {name: list(table) for name, table in tables().items()})
    assert (hoso.ma_cskcb, hoso.ngaylap, list(hoso.tables)) == (DISTRICT, "20260623", ["XML14"])
    [row] = hoso.tables["XML14"]
    assert row["NGAY_HEN_KL"] == "20260707"  # a day since Decision 3176
    assert {name.lower() for name, text in row.items() if text} == set(slip["xml14"])
    assert as_xml("hie.FollowUp", slip) == as_xml("hie.FollowUp", slip)
    [hoso] = Reader(as_xml("hie.Referral", referral("GCT-1")), {name: list(table) for name, table in tables().items()})
    assert (list(hoso.tables), hoso.tables["XML13"][0]["MA_CSKCB_DEN"]) == (["XML13"], PROVINCE)


def test_what_would_be_refused_is_held_with_every_reason_and_not_sent(database, own_settings, wire, portal):
    [one] = drain(database, own_settings, wire, portal.path, referral(ma_ttdv="", du_phong=""))
    assert (portal.taken, portal.refused) == ({}, {})
    assert reasons(database, one)[0] == [("FIELD_MISSING", "XML13/MA_TTDV"), ("SLIP_UNSIGNED", "XML13/DU_PHONG")]
    assert receipts(database, one) == [("HELD", "FIELD_MISSING", "portal")]


def test_what_the_check_does_not_know_the_portal_refuses_with_its_own_words(database, own_settings, wire, portal):
    portal.people = {"GD4010118004321": ("TRẦN THỊ MẬN", "19800720")}
    [one] = drain(database, own_settings, wire, portal.path, referral())
    assert receipts(database, one) == [("REFUSED", "RECIPIENT_REFUSED", "portal")]
    assert reasons(database, one)[:2] == ([("RECIPIENT_REFUSED", "maKetQua 202")], "060 Sai họ tên")


def test_what_is_sensitive_is_held_whoever_wants_it_sent(database, own_settings, wire, portal):
    async def work():
        [one] = await deliver(own_settings, wire, referral(label="MENTAL"))
        async with draining(own_settings, wire, portal.path):
            await until(lambda: states(database)[one] == ("HELD", "SENSITIVE_HELD"))
            await again(own_settings, one)
            await until(lambda: len(receipts(database, one)) == 3)
        return one

    one = run(work())
    assert [row[0] for row in receipts(database, one)] == ["HELD", "QUEUED", "HELD"]
    assert portal.taken == {}


async def again(settings, one):
    async with await AsyncConnection.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
        return await put_back(connection, [UUID(one)], forced=True)


def test_a_person_sends_what_the_check_holds(database, own_settings, wire, portal):
    """A citizen number whose year differs from the birth date: it may have been re-issued."""
    slip = referral(ngay_sinh="19810720")
    slip["person"]["ngay_sinh"] = "19810720"

    async def work():
        [one] = await deliver(own_settings, wire, slip)
        async with draining(own_settings, wire, portal.path):
            await until(lambda: states(database)[one][0] == "HELD")
            await again(own_settings, one)
            await until(lambda: states(database)[one][0] == "ACKNOWLEDGED")
            assert await again(own_settings, one) == set()  # it is done

    run(work())
    assert len(portal.taken) == 1


# --- revisions --------------------------------------------------------------------------------------------------------


def test_a_correction_goes_and_what_was_held_is_superseded(database, own_settings, wire, portal):
    first, second = referral("GCT-9", ma_ttdv=""), referral("GCT-9", action="MODIFIED", stated_at="20260623120000")

    async def work():
        ids = await deliver(own_settings, wire, first)
        async with draining(own_settings, wire, portal.path):
            await until(lambda: settled(database))
            ids += await deliver(own_settings, wire, second)
            await until(lambda: settled(database) and len(states(database)) == 2)
        return ids

    old, new = run(work())
    assert receipts(database, old) == [("HELD", "FIELD_MISSING", "portal"), ("DISCARDED", "SUPERSEDED", "portal")]
    assert receipts(database, new) == [("ACKNOWLEDGED", "", "portal")]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_only_the_newest_revision_goes_in_whatever_order_they_come(database, own_settings, wire, portal, order):
    slips = [referral("GCT-9", stated_at=f"2026062310400{number}", huong_dieu_tri=f"lời {number}") for number in range(3)]
    ids = drain(database, own_settings, wire, portal.path, *(slips[number] for number in order))
    assert [states(database)[ids[place]][0] for place in map(order.index, range(3))] == ["DISCARDED", "DISCARDED", "ACKNOWLEDGED"]
    assert len(portal.taken[DISTRICT, "GCT-9"]) == 1


def test_an_older_revision_that_comes_late_is_never_sent_after_the_newer(database, own_settings, wire, portal):
    older, newer = referral("GCT-9"), referral("GCT-9", stated_at="20260624080000", huong_dieu_tri="mới")
    drain(database, own_settings, wire, portal.path, newer)
    [late] = drain(database, own_settings, wire, portal.path, older)
    assert receipts(database, late) == [("DISCARDED", "SUPERSEDED", "portal")]
    assert len(portal.taken[DISTRICT, "GCT-9"]) == 1


def test_a_slip_that_is_taken_back_before_it_went_is_never_sent(database, own_settings, wire, portal):
    slip, gone = follow_up("HK-2"), follow_up("HK-2", action="CANCELLED", stated_at="20260624080000")
    ids = drain(database, own_settings, wire, portal.path, slip, gone)
    assert [states(database)[one] for one in ids] == [("DISCARDED", "SUPERSEDED"), ("DISCARDED", "NOT_FOR_PORTAL")]
    assert portal.taken == {}


def test_one_that_is_taken_back_afterwards_waits_for_a_person(database, own_settings, wire, portal):
    """No call of the portal takes a slip back."""
    drain(database, own_settings, wire, portal.path, follow_up("HK-2"))
    [one] = drain(database, own_settings, wire, portal.path, follow_up("HK-2", action="CANCELLED", stated_at="20260624080000"))
    assert reasons(database, one)[0] == [("PORTAL_CANNOT_CANCEL", "")]


@pytest.mark.parametrize("later", ["hie.Referral", "hie.FollowUp"])
def test_a_referral_and_a_follow_up_of_one_number_are_two_slips(database, own_settings, wire, portal, later):
    """Facilities number both books from 1."""
    first, second = "20260623104000", "20260624080000"
    slips = [
        referral("25/2026", stated_at=second if later == "hie.Referral" else first),
        follow_up("25/2026", stated_at=second if later == "hie.FollowUp" else first),
    ]
    assert slips[0]["meta"]["key"] == slips[1]["meta"]["key"]
    ids = drain(database, own_settings, wire, portal.path, *slips)
    assert [states(database)[one] for one in ids] == [("ACKNOWLEDGED", "")] * 2


def test_to_take_back_a_slip_says_nothing_of_the_other_kind(database, own_settings, wire, portal):
    drain(database, own_settings, wire, portal.path, follow_up("25/2026"))
    gone = referral("25/2026", action="CANCELLED", stated_at="20260624080000")
    [one] = drain(database, own_settings, wire, portal.path, gone)
    assert states(database)[one] == ("DISCARDED", "NOT_FOR_PORTAL")


# --- taken back: whether the portal has it ----------------------------------------------------------------------------


def taken_back(slip):
    return follow_up(slip, action="CANCELLED", stated_at="20260624080000")


def test_it_is_known_when_the_day_of_the_mailbox_is_gone(database, own_settings, wire, portal):
    drain(database, own_settings, wire, portal.path, follow_up("HK-3"))
    database.execute("delete from mailbox")
    [one] = drain(database, own_settings, wire, portal.path, taken_back("HK-3"))
    assert reasons(database, one)[0] == [("PORTAL_CANNOT_CANCEL", "")]


def test_it_is_known_after_a_kill_between_the_portals_word_and_ours(database, own_settings, wire, tmp_path, portal):
    async def never():
        await asyncio.sleep(3600)

    async def killed():
        async with scripted(lambda *_: never()) as one:
            await deliver(own_settings, wire, follow_up("HK-4"))
            async with draining(own_settings, wire, portal_file(tmp_path, one.address)):
                await until(lambda: any(not path.endswith("take") for path, _body in one.calls))

    run(killed())
    [one] = drain(database, own_settings, wire, portal.file(tmp_path), taken_back("HK-4"))
    assert reasons(database, one)[0] == [("PORTAL_CANNOT_CANCEL", "")]


def test_what_was_looked_at_twice_and_never_sent_is_not_there(database, own_settings, wire, portal):
    [one] = drain(database, own_settings, wire, portal.path, follow_up("HK-5", ma_bac_si=""))

    async def looked_at_again():
        async with await AsyncConnection.connect(own_settings.database_url.get_secret_value(), autocommit=True) as connection:
            await put_back(connection, [UUID(one)], forced=False)
        async with draining(own_settings, wire, portal.path):
            await until(lambda: settled(database))

    run(looked_at_again())
    [gone] = drain(database, own_settings, wire, portal.path, taken_back("HK-5"))
    assert states(database)[gone] == ("DISCARDED", "NOT_FOR_PORTAL")


def test_what_the_portal_cannot_have_had_is_not_there(database, own_settings, wire, portal, tmp_path):
    """Nobody listened, and then it was refused."""

    async def away():
        [one] = await deliver(own_settings, wire, follow_up("HK-6"))
        async with draining(own_settings, wire, portal_file(tmp_path, "http://127.0.0.1:1")) as client:
            await until(lambda: client._failures >= 1)
        return one

    run(away())
    assert sent(database) == 0
    portal.people = {"GD4010118004321": ("TRẦN THỊ MẬN", "")}
    drain(database, own_settings, wire, portal.file(tmp_path))
    run(until_settled(database, own_settings, wire, portal.path))
    assert [state for state, _code in states(database).values()] == ["REFUSED"]
    [gone] = drain(database, own_settings, wire, portal.path, taken_back("HK-6"))
    assert states(database)[gone] == ("DISCARDED", "NOT_FOR_PORTAL")


def sent(database):
    return database.execute("select count(*) from portal_document where sent_at is not null").fetchone()[0]


async def until_settled(database, settings, wire, path):
    async with draining(settings, wire, path):
        await until(lambda: settled(database))


# --- what expired -----------------------------------------------------------------------------------------------------


def test_the_portals_word_counts_though_the_slip_expired_meanwhile(database, own_settings, wire, tmp_path):
    def answer(*_):
        database.execute("update mailbox set state = 'EXPIRED', code = 'NOT_FETCHED'")
        return TAKEN

    async def work():
        async with scripted(answer) as one:
            [slip] = await deliver(own_settings, wire, referral())
            async with draining(own_settings, wire, portal_file(tmp_path, one.address)):
                await until(lambda: states(database)[slip][0] in ("ACKNOWLEDGED", "EXPIRED"))
                await until(lambda: states(database)[slip][0] == "ACKNOWLEDGED")
            return slip

    slip = run(work())
    assert receipts(database, slip) == [("ACKNOWLEDGED", "", "portal")]


def test_who_did_not_come_is_no_matter_of_the_portal(database, own_settings, wire, portal):
    drain(database, own_settings, wire, portal.path, follow_up("HK-2"))
    [one] = drain(database, own_settings, wire, portal.path, follow_up("HK-2", action="NO_SHOW", stated_at="20260708080000"))
    assert states(database)[one] == ("DISCARDED", "NOT_FOR_PORTAL")
