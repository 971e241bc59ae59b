"""The work list: what stands on it, who sees it, what a person does with it, and how much more arrives because of it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from psycopg import AsyncConnection

from adapters.outbound import worklist
from adapters.outbound.inbox_api import Inbox, build_api
from adapters.outbound.portal_simulator import SimulatedPortal
from adapters.outbound.receipts import Teller
from adapters.outbound.wakes import Wakes
from hub.access.credentials import Credentials, make_token
from hub.contract.errors import ERRORS
from hub.store.database import async_pool
from tests.adapters.outbound.test_portal_client import deliver, drain, draining, run, settled, states, until
from tests.slips import DISTRICT, PROVINCE, follow_up, referral


@pytest.fixture(autouse=True)
def _empty(database):
    database.execute("truncate portal_document")


@pytest.fixture
def portal(tmp_path):
    with SimulatedPortal({DISTRICT, PROVINCE}) as one:
        one.path = one.file(tmp_path, calls_per_s=1000.0)
        yield one


def of_province(slip, **changed):
    theirs = referral(slip, ma_cskcb=PROVINCE, ma_cskcb_den=DISTRICT, **changed)
    theirs["ma_cskcb"] = theirs["meta"]["facility"] = PROVINCE
    theirs["meta"]["key"] = f"{PROVINCE}:{slip}"
    return theirs


def ask(settings, work):
    async def asked():
        async with await AsyncConnection.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
            return await work(connection)

    return run(asked())


def counted(own_settings):
    """How many wait for what; every one since some time."""
    found = ask(own_settings, worklist.counts)
    assert all(oldest <= datetime.now(UTC) for _, oldest in found.values())
    return {code: count for code, (count, _oldest) in found.items()}


@asynccontextmanager
async def api(settings, wire, credentials):
    url = settings.database_url.get_secret_value()
    async with async_pool(url) as pool:
        known = Credentials.open(credentials)

        async def ready():
            return True

        app = build_api(Inbox(settings, pool, wire, Wakes(url), Teller(pool, wire, None)), known, ready)
        worklist.mount(app, pool, wire, known)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inbox") as client:
            yield client


def test_a_facility_sees_its_own_slips_with_each_reason_and_nobody_elses(database, own_settings, wire, portal, tmp_path):
    token, token_hash = make_token()
    trial, trial_hash = make_token()
    credentials = tmp_path / "credentials.toml"
    credentials.write_text(
        f'[sender.his]\nfacilities = ["{DISTRICT}"]\ntoken_blake2b = "{token_hash}"\n'
        f'[sender.trial]\nfacilities = ["{DISTRICT}"]\ntest = true\ntoken_blake2b = "{trial_hash}"\n'
    )
    slips = [referral("GCT-1", ma_ttdv="", du_phong=""), follow_up("HK-1", ma_bac_si=""), of_province("GCT-2", ma_ttdv="")]
    drain(database, own_settings, wire, portal.path, *slips, referral("GCT-3"))

    async def read():
        async with api(own_settings, wire, credentials) as client:
            own = {"Authorization": f"Bearer {token}"}
            page = await client.get(f"/v1/worklist/{DISTRICT}", headers=own)
            first = await client.get(f"/v1/worklist/{DISTRICT}", headers=own, params={"limit": 1})
            after = {"after": first.json()["slips"][0]["delivery_id"]}
            rest = await client.get(f"/v1/worklist/{DISTRICT}", headers=own, params=after)
            strangers = [
                (await client.get(f"/v1/worklist/{code}", headers=headers)).status_code
                for code, headers in ((PROVINCE, own), (DISTRICT, {}), (DISTRICT, {"Authorization": f"Bearer {trial}"}))
            ]
            return page.json(), rest.json(), strangers

    page, rest, strangers = run(read())
    assert strangers == [403, 401, 403]
    assert page["counts"] == {"FIELD_MISSING": 2}
    assert [(one["slip"], one["state"]) for one in page["slips"]] == [("GCT-1", "HELD"), ("HK-1", "HELD")]
    assert [(one["code"], one["element"], one["turn"]) for one in page["slips"][0]["reasons"]] == [
        ("FIELD_MISSING", "XML13/MA_TTDV", "facility"),
        ("SLIP_UNSIGNED", "XML13/DU_PHONG", "facility"),
    ]
    assert page["slips"][0]["reasons"][1]["text_vi"] == ERRORS["SLIP_UNSIGNED"].vi
    assert [one["slip"] for one in rest["slips"]] == ["HK-1"]


def test_a_slip_leaves_it_when_its_correction_comes_also_one_that_the_portal_refused(database, own_settings, wire, portal):
    portal.people = {"GD4010118004321": ("TRẦN THỊ MẬN", "")}
    drain(database, own_settings, wire, portal.path, referral("GCT-1"))
    assert counted(own_settings) == {"RECIPIENT_REFUSED": 1}
    portal.people = {}
    drain(database, own_settings, wire, portal.path, referral("GCT-1", action="MODIFIED", stated_at="20260623120000"))
    assert counted(own_settings) == {}
    assert sorted(state for state, _code in states(database).values()) == ["ACKNOWLEDGED", "REFUSED"]  # the portal's word stands


def test_a_person_gives_one_up_and_sends_another(database, own_settings, wire, portal):
    portal.people = {"GD4010118004321": ("TRẦN THỊ MẬN", "")}
    one, other = drain(database, own_settings, wire, portal.path, referral("GCT-1"), referral("GCT-2", ma_ttdv=""))

    async def act(connection):
        assert await worklist.drop(connection, [UUID(other)]) == {UUID(other)}
        assert await worklist.drop(connection, [UUID(other)]) == set()
        return await worklist.send_again(connection, [UUID(one), UUID(other)])

    portal.people = {}
    assert ask(own_settings, act) == {UUID(one)}
    drain(database, own_settings, wire, portal.path)
    run(_until_settled(database, own_settings, wire, portal))
    assert states(database) == {one: ("ACKNOWLEDGED", ""), other: ("DISCARDED", "GIVEN_UP")}
    assert counted(own_settings) == {}


async def _until_settled(database, settings, wire, portal):
    async with draining(settings, wire, portal.path):
        await until(lambda: settled(database))


def test_what_waits_by_itself_is_on_it_with_what_it_waits_for(database, own_settings, wire, portal):
    portal.down = True

    async def work():
        await deliver(own_settings, wire, referral("GCT-1"))
        async with draining(own_settings, wire, portal.path):
            await until(lambda: with_reasons(database) == 1)

    run(work())
    [row] = ask(own_settings, worklist.listed)
    shown = row.shown(wire)
    assert (shown["state"], shown["slip"], shown["reasons"][0]["turn"]) == ("QUEUED", "GCT-1", "operator")


def with_reasons(database):
    return database.execute("select count(*) from portal_document where reasons <> '[]'").fetchone()[0]


def test_one_number_in_both_kinds_is_two_slips(database, own_settings, wire, portal):
    slips = [referral("25/2026", ma_ttdv=""), follow_up("25/2026", ma_bac_si="", stated_at="20260624080000")]
    drain(database, own_settings, wire, portal.path, *slips)
    assert [row.record for row in ask(own_settings, worklist.listed)] == ["hie.Referral", "hie.FollowUp"]
    assert counted(own_settings) == {"FIELD_MISSING": 2}
    assert ask(own_settings, worklist.arrival).slips == 2


def test_what_expired_is_on_it_and_a_person_sends_it_or_gives_it_up(database, own_settings, wire, portal):
    one, other = drain(database, own_settings, wire, portal.path, referral("GCT-1", ma_ttdv=""), referral("GCT-2", ma_ttdv=""))
    database.execute("update mailbox set state = 'EXPIRED', expires_at = now() - interval '1 hour'")
    assert [row.state for row in ask(own_settings, worklist.listed)] == ["EXPIRED", "EXPIRED"]

    async def act(connection):
        return await worklist.send_again(connection, [UUID(one)]), await worklist.drop(connection, [UUID(other)])

    assert ask(own_settings, act) == ({UUID(one)}, {UUID(other)})
    assert database.execute("select expires_at from mailbox where state = 'QUEUED'").fetchall() == [(None,)]
    run(_until_settled(database, own_settings, wire, portal))
    assert states(database) == {one: ("REFUSED", "RECIPIENT_REFUSED"), other: ("DISCARDED", "GIVEN_UP")}  # it went


FAULTS = (
    {"du_phong": ""},
    {"ma_ttdv": ""},
    {"so_hoso": ""},
    {"ngay_sinh": "19810720"},
    {"ma_cskcb_den": "00000"},
)


def test_how_much_more_arrives_because_of_it(database, own_settings, wire, portal):
    """Sixty of a hundred slips have a fault, as in the field; each facility mends what its list names. Four tell of HIV."""
    faulty = [referral(f"GCT-{number}", **FAULTS[number % len(FAULTS)]) for number in range(60)]
    good = [follow_up(f"HK-{number}") for number in range(40)]
    sensitive = [referral(f"GCT-H{number}", label="HIV") for number in range(4)]

    async def work():
        await deliver(own_settings, wire, *faulty, *good, *sensitive)
        async with draining(own_settings, wire, portal.path):
            await until(lambda: settled(database))

    asyncio.run(work())
    before = ask(own_settings, worklist.arrival)
    assert (before.slips, before.without_list, before.with_list) == (100, 0.4, 0.4)
    named = [row.shown(wire)["slip"] for row in ask(own_settings, worklist.listed)]
    mended = [referral(slip, action="MODIFIED", stated_at="20260624080000") for slip in named if "H" not in slip]
    drain(database, own_settings, wire, portal.path, *mended)
    after = ask(own_settings, worklist.arrival)
    assert (after.slips, after.at_once, after.corrected) == (100, 40, 60)
    assert (after.without_list, after.with_list) == (0.4, 1.0)
    assert sum(portal.refused.values()) == 0
    assert counted(own_settings) == {"SENSITIVE_HELD": 4}
