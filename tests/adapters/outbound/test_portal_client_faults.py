"""The way to the citizen's app when something fails: nothing is lost or sent twice as two, and nobody waits for another's fault."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from alembic import command
from alembic.config import Config
from psycopg import AsyncConnection, connect

from adapters.dialects.render import as_xml
from adapters.formats.gateway_calls import file_of, parameters, receipt
from adapters.outbound import portal_client
from adapters.outbound.portal_calls import PortalCalls, read_portal
from adapters.outbound.portal_simulator import PASSWORD, SimulatedPortal
from adapters.outbound.receipts import Teller
from adapters.outbound.wakes import Wakes
from hub.contract.events import now
from hub.store import database as store
from hub.store.database import async_pool
from tests.adapters.outbound.test_portal_calls import TAKEN, TOKEN, http, portal_file, scripted
from tests.adapters.outbound.test_portal_client import deliver, drain, draining, reasons, receipts, run, settled, states, until
from tests.made import unique
from tests.own_database import own_database
from tests.slips import DISTRICT, PROVINCE, referral


@pytest.fixture(autouse=True)
def _empty(database):
    database.execute("truncate portal_document")


@pytest.fixture
def portal(tmp_path):
    with SimulatedPortal({DISTRICT, PROVINCE}) as one:
        one.path = one.file(tmp_path, calls_per_s=1000.0)
        yield one


def reasons_if_any(database, one):
    row = database.execute("select reasons from portal_document where delivery_id = %s", (one,)).fetchone()
    return [(each["code"], each["element"]) for each in row[0]] if row else []


def test_a_portal_that_is_down_consumes_nothing_and_what_waits_says_why(database, own_settings, wire, portal):
    portal.down = True

    async def work():
        ids = await deliver(own_settings, wire, *(referral() for _ in range(5)))
        async with draining(own_settings, wire, portal.path):
            await until(lambda: any(reasons_if_any(database, one) for one in ids))
            assert {state for state, _code in states(database).values()} == {"QUEUED"}
            told = [reasons_if_any(database, one) for one in ids]
            assert {reason[0] for found in told for reason in found} == {"RECIPIENT_UNREACHABLE"}
            portal.down = False
            await until(lambda: settled(database))
        return ids

    ids = run(work())
    assert [states(database)[one] for one in ids] == [("ACKNOWLEDGED", "")] * 5
    assert all(reasons(database, one)[0] == [] for one in ids)


def test_while_it_is_down_one_slip_tries_and_new_ones_do_not_shorten_the_pause(database, own_settings, wire, tmp_path):
    async def work():
        async with scripted(lambda *_: http(b"", 500)) as down:
            await deliver(own_settings, wire, *(referral() for _ in range(8)))
            async with draining(own_settings, wire, portal_file(tmp_path, down.address, more="at_once = 4")) as client:
                await until(lambda: client._failures >= 3)
                before = len(down.calls)
                await deliver(own_settings, wire, *(referral() for _ in range(8)))
                await until(lambda: client._failures >= 4)
                return len(down.calls) - before

    assert run(work()) <= 2


def test_a_slip_that_the_portal_chokes_on_holds_up_no_other(database, own_settings, wire, tmp_path):
    def answers(poison):
        def answer(path, _number):
            raw = file_of(parameters(portal_holder[0].calls[-1][1]).get("filehsbase64", ""))
            return http(b"", 500) if raw == poison else TAKEN

        return answer

    slips = [referral() for _ in range(6)]
    portal_holder = []

    async def work():
        async with scripted(answers(as_xml("hie.Referral", slips[0]))) as one:
            portal_holder.append(one)
            ids = await deliver(own_settings, wire, *slips)
            async with draining(own_settings, wire, portal_file(tmp_path, one.address, more="at_once = 1")):
                await until(lambda: sum(state == "ACKNOWLEDGED" for state, _ in states(database).values()) == 5)
            return ids

    poison, *_others = run(work())
    assert states(database)[poison] == ("QUEUED", "")
    assert reasons(database, poison)[0] == [("RECIPIENT_UNREACHABLE", "answer")]


def test_what_was_taken_and_not_noted_is_sent_again_and_is_there_once(database, own_settings, wire, portal):
    """As after a kill between the portal's word and the database's: the client does not know that the portal has it."""
    slip = referral("GCT-5")

    async def before():
        await deliver(own_settings, wire, slip)
        calls = PortalCalls(read_portal(portal.path))
        await calls.send(DISTRICT, as_xml("hie.Referral", slip))
        await calls.close()
        async with draining(own_settings, wire, portal.path):
            await until(lambda: settled(database))

    run(before())
    assert list(states(database).values()) == [("ACKNOWLEDGED", "")]
    assert len(portal.taken[DISTRICT, "GCT-5"]) == 1


def test_a_wrong_password_holds_up_its_own_facility_only_and_consumes_nothing(database, own_settings, wire, portal, tmp_path):
    (tmp_path / "wrong").write_text("wrong")
    text = portal.path.read_text()
    portal.path.write_text(f'{text}[account.{PROVINCE}]\nuser = "p"\npassword_file = "wrong"\n')
    theirs = referral(ma_cskcb=PROVINCE, ma_cskcb_den=DISTRICT)
    theirs["ma_cskcb"] = theirs["meta"]["facility"] = PROVINCE

    async def work():
        [one] = await deliver(own_settings, wire, theirs)
        ours = await deliver(own_settings, wire, *(referral() for _ in range(3)))
        async with draining(own_settings, wire, portal.path):
            await until(lambda: all(states(database)[each][0] == "ACKNOWLEDGED" for each in ours))
            assert states(database)[one] == ("QUEUED", "")
            assert reasons(database, one)[0] == [("PORTAL_LOGIN_REFUSED", "")]
            (tmp_path / "wrong").write_text(PASSWORD)  # somebody mends it
            await until(lambda: states(database)[one][0] == "ACKNOWLEDGED")

    run(work())


def of_province(**changed):
    theirs = referral(ma_cskcb=PROVINCE, ma_cskcb_den=DISTRICT, **changed)
    theirs["ma_cskcb"] = theirs["meta"]["facility"] = PROVINCE
    return theirs


def two_accounts(folder, address, more=""):
    path = portal_file(folder, address, more=more)
    path.write_text(f'{path.read_text()}[account.{PROVINCE}]\nuser = "p"\npassword_file = "password"\n')
    return path


@asynccontextmanager
async def by_caller(answers):
    """A portal that answers by whose call it is.  answers: of user or facility."""

    def answer(path, _number):
        stated = parameters(holder[0].calls[-1][1])
        return answers(stated["username"] if path.endswith("take") else stated["macskcb"])

    holder = []
    async with scripted(answer, token=None) as one:
        holder.append(one)
        yield one


@pytest.mark.parametrize("fault", [http(receipt("500", "", now(), "")), http(orjson.dumps({"maKetQua": "200"})), http(b"", 500)])
def test_a_login_that_is_not_answered_holds_up_its_own_facility_only(database, own_settings, wire, tmp_path, fault):
    failures = []
    word = {"01021_BV": TOKEN, DISTRICT: TAKEN, "p": fault, PROVINCE: TAKEN}

    async def work():
        async with by_caller(lambda who: word[who]) as one:
            theirs = await deliver(own_settings, wire, *(of_province() for _ in range(6)))
            ours = await deliver(own_settings, wire, *(referral() for _ in range(6)))
            async with draining(own_settings, wire, two_accounts(tmp_path, one.address, "at_once = 1")) as client:
                await until(lambda: all(states(database)[each][0] == "ACKNOWLEDGED" for each in ours))
                failures.append(client._failures)
                assert {states(database)[each][0] for each in theirs} == {"QUEUED"}
                assert {code for each in theirs for code in reasons(database, each)[0]} == {("RECIPIENT_UNREACHABLE", "login")}
                word["p"] = TOKEN
                await until(lambda: settled(database))

    run(work())
    assert failures == [0]


def test_a_login_that_is_not_answered_does_not_say_that_the_portal_is_back(database, own_settings, wire, tmp_path):
    word = {"01021_BV": TOKEN, DISTRICT: http(b"", 500), "p": http(receipt("500", "", now(), "")), PROVINCE: TAKEN}

    async def work():
        async with by_caller(lambda who: word[who]) as one:
            await deliver(own_settings, wire, referral())
            async with draining(own_settings, wire, two_accounts(tmp_path, one.address)) as client:
                await until(lambda: client._failures >= 2)
                [theirs] = await deliver(own_settings, wire, of_province())
                await until(lambda: reasons_if_any(database, theirs) == [("RECIPIENT_UNREACHABLE", "login")])
                await asyncio.sleep(0)
                return client._failures

    assert run(work()) >= 2


def test_after_a_failure_another_facility_has_its_turn(database, own_settings, wire, tmp_path):
    """More slips of one facility than are looked at together, and each makes the portal fail."""

    async def work():
        async with by_caller(lambda who: {"01021_BV": TOKEN, "p": TOKEN, DISTRICT: http(b"", 500), PROVINCE: TAKEN}[who]) as one:
            await deliver(own_settings, wire, *(referral() for _ in range(60)))
            [theirs] = await deliver(own_settings, wire, of_province())
            async with draining(own_settings, wire, two_accounts(tmp_path, one.address, "at_once = 1")):
                await until(lambda: states(database)[theirs][0] == "ACKNOWLEDGED")
            return [parameters(body).get("macskcb") for path, body in one.calls if not path.endswith("take")]

    callers = run(work())
    assert callers[: callers.index(PROVINCE)] == [DISTRICT]


def test_a_facility_without_an_account_is_held_until_it_has_one(database, own_settings, wire, portal):
    text = portal.path.read_text()
    portal.path.write_text(text.replace("account.any", f"account.{PROVINCE}"))
    [one] = drain(database, own_settings, wire, portal.path, referral())
    assert states(database)[one] == ("HELD", "PORTAL_ACCOUNT_MISSING")
    portal.path.write_text(text)

    async def started_anew():
        async with draining(own_settings, wire, portal.path):
            await until(lambda: states(database)[one] == ("ACKNOWLEDGED", ""))

    run(started_anew())


def test_two_clients_do_not_send_at_once(database, own_settings, wire, portal):
    async def work():
        async with draining(own_settings, wire, portal.path), draining(own_settings, wire, portal.path):
            await deliver(own_settings, wire, *(referral() for _ in range(20)))
            await until(lambda: settled(database) and len(states(database)) == 20)

    run(work())
    assert len(portal.taken) == 20
    assert portal.logins == 1


def test_test_traffic_stays_in_its_own_mailbox(database, own_settings, wire, portal):
    slip = referral()
    slip["meta"]["test"] = True
    run(deliver(own_settings, wire, slip))
    drain(database, own_settings, wire, portal.path, referral())
    assert database.execute("select state from mailbox where recipient = 'portal!test'").fetchall() == [("QUEUED",)]
    assert len(portal.taken) == 1


def test_a_refusal_is_told_by_a_receipt_like_any_state(database, own_settings, wire, tmp_path):
    async def work():
        async with scripted(lambda *_: http(receipt("701", "GD9", now(), "Ngoài thời gian"))) as one:
            ids = await deliver(own_settings, wire, referral(unique("GCT-")))
            async with draining(own_settings, wire, portal_file(tmp_path, one.address)):
                await until(lambda: settled(database))
            return ids

    [one] = run(work())
    assert receipts(database, one) == [("REFUSED", "RECIPIENT_REFUSED", "portal")]
    assert reasons(database, one) == ([("RECIPIENT_REFUSED", "maKetQua 701")], "Ngoài thời gian", "GD9")


def test_an_answer_with_characters_that_no_text_holds_is_noted_all_the_same(database, own_settings, wire, tmp_path):
    async def work():
        async with scripted(lambda *_: http(receipt("70\x001", "GD\x009", now(), "Ngoài\x00thời gian\x1b[2J"))) as one:
            ids = await deliver(own_settings, wire, referral())
            async with draining(own_settings, wire, portal_file(tmp_path, one.address)):
                await until(lambda: settled(database))
            return ids

    [one] = run(work())
    assert reasons(database, one) == ([("RECIPIENT_REFUSED", "maKetQua 70 1")], "Ngoài thời gian [2J", "GD 9")


def test_a_pause_is_kept_in_the_midst_of_a_round(database, own_settings, wire, tmp_path):
    def answer(*_):
        database.execute("update recipient set paused_at = now() where code = 'portal'")
        return TAKEN

    async def work():
        async with scripted(answer) as one, at_hand(own_settings, wire, one.address, tmp_path) as (client, connection, calls):
            await deliver(own_settings, wire, *(referral() for _ in range(5)))
            await client.round(connection, calls)

    run(work())
    assert sorted(state for state, _code in states(database).values()) == ["ACKNOWLEDGED", *["QUEUED"] * 4]


def test_no_more_bodies_are_taken_up_than_the_bytes_allowed(database, own_settings, wire, tmp_path, monkeypatch):
    async def work():
        async with at_hand(own_settings, wire, "http://127.0.0.1:1", tmp_path) as (client, connection, _calls):
            ids = await deliver(own_settings, wire, *(referral() for _ in range(4)))
            database.execute("update mailbox set tries = 1, next_try_at = now() where seq > 2")
            whole = await client._found(connection, now(), set())
            monkeypatch.setattr(portal_client, "_BYTES", 1)
            return ids, whole, await client._found(connection, now(), set())

    ids, whole, limited = run(work())
    assert [str(slip.delivery_id) for slip in whole] == ids
    assert [str(slip.delivery_id) for slip in limited] == [ids[0], ids[2]]  # one is taken up however large it is


@asynccontextmanager
async def at_hand(settings, wire, address, folder):
    """A client that does nothing by itself, its connection and its calls; one slip at a time."""
    url, portal = settings.database_url.get_secret_value(), read_portal(portal_file(folder, address, more="at_once = 1"))
    calls = PortalCalls(portal)
    async with async_pool(url) as pool, await AsyncConnection.connect(url, autocommit=True) as connection:
        yield portal_client.PortalClient(settings, portal, wire, Wakes(url), Teller(pool, wire, None)), connection, calls
    await calls.close()


def test_what_older_releases_noted_of_slips_is_kept(stack):
    """A slip's kind comes from its mailbox; what was tried the portal may have."""
    up = """
    create table day partition of mailbox default;
    insert into mailbox (day, recipient, seq, delivery_id, event_id, record, subject_key, lane, rule, facility, message_id, test,
                         state, queued_at, changed_at, body, expires_at, tries)
    select current_date, 'portal', n, gen_random_uuid(), gen_random_uuid(), 'hie.FollowUp', 'k' || n, 'urgent', '', '01021', '', false,
           case n when 1 then 'ACKNOWLEDGED' else 'QUEUED' end, now(), now(), '', now(), case n when 2 then 1 else 0 end
    from generate_series(1, 3) as n;
    insert into portal_document (delivery_id, mailbox, seq, subject_key, rank, facility)
    select delivery_id, recipient, seq, subject_key, '', facility from mailbox;
    """
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).with_name("migrations")))
    with own_database(stack.database_url) as url, connect(url, autocommit=True) as database:
        config.attributes["url"] = url
        command.downgrade(config, "0008")
        database.execute(up)
        store.migrate(url)
        rows = database.execute("select record, sent_at is not null from portal_document order by seq").fetchall()
        assert rows == [("hie.FollowUp", True), ("hie.FollowUp", True), ("hie.FollowUp", False)]
        assert database.execute("select count(expires_at) from mailbox").fetchone() == (0,)


def test_what_is_old_goes_but_for_the_days_of_a_legal_hold(database):
    days = [500, 450, 10]
    for ago in days:
        database.execute(
            "insert into portal_document (delivery_id, mailbox, seq, subject_key, rank, facility, record, taken_at)"
            " values (gen_random_uuid(), 'portal', %s, 'k', '', '01021', 'hie.Referral', now() - make_interval(days => %s))",
            (ago, ago),
        )
    held = (now() - timedelta(days=501)).date(), (now() - timedelta(days=499)).date()
    database.execute("insert into legal_hold values ('a-case', %s, %s, 'a court', 'somebody', now())", held)
    database.execute(portal_client._CLEAN.encode(), (400,))
    assert database.execute("select seq from portal_document order by seq desc").fetchall() == [(500,), (10,)]
    database.execute("update legal_hold set ended_at = now()")
    database.execute(portal_client._CLEAN.encode(), (400,))
    assert database.execute("select seq from portal_document").fetchall() == [(10,)]
