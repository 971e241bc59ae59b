"""Signing in and staying in: each rule of a password's tries and of a session's end."""

import asyncio
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest

from hub.access.people import People, Person
from hub.access.signin import TRIES_MAX, TRIES_OF_ADDRESS_MAX, WINDOW_S, SignIn, _give_back, _take, digest, revoke, sessions
from hub.contract.errors import HubError
from tests.hub.access.test_people import PASSWORD, ask, noted, url  # noqa: F401  # fixtures

AT = datetime(2026, 11, 29, 8, tzinfo=UTC)
NAME = "ca-truc-1"


def later(seconds):
    return AT + timedelta(seconds=seconds)


@pytest.fixture
def house(ask):  # noqa: F811
    """Runs what is given with one operator and a sign-in."""

    def asked(work, password=PASSWORD):
        async def run(pool):
            await People(pool).new(Person(NAME, "operator", (), "vi"), password, "root", "test")
            signin = SignIn(pool, 1800, 43_200)
            try:
                return await work(pool, signin)
            finally:
                signin.close()

        return ask(run)

    return asked


async def refused(signin, name=NAME, password="wrong password", address="10.0.0.1", at=AT):
    with pytest.raises(HubError) as wrong:
        await signin.open(name, password, address, at)
    return wrong.value.code


def test_the_right_password_opens_a_session_that_is_known(house):
    async def work(pool, signin):
        token, signed = await signin.open(NAME, PASSWORD, "10.0.0.1", AT)
        found = await signin.known(token, later(60), used=True)
        async with pool.connection() as database:
            kept = str(await (await database.execute("select * from person_session")).fetchall())
        assert token not in kept
        assert digest(token) in kept
        assert await signin.known("x" * 43, AT, used=True) is None
        assert found == signed
        return signed.person

    assert house(work) == Person(NAME, "operator", (), "vi")


def test_a_password_is_the_same_in_both_forms_of_unicode(house):
    password = "mật khẩu của ca trực"
    assert house(lambda _, signin: signin.open(NAME, unicodedata.normalize("NFD", password), "a", AT), password)


@pytest.mark.parametrize("disabled", [False, True])
def test_wrong_unknown_and_disabled_go_the_same_way(house, monkeypatch, disabled):
    async def work(pool, signin):
        seen = []
        matches = signin._checker.matches

        async def watched(stored, sent):
            seen.append(stored.rsplit("$", 2)[0])
            return await matches(stored, sent)

        monkeypatch.setattr(signin._checker, "matches", watched)
        if disabled:
            await People(pool).disable(NAME, "root", "left")
        codes = [await refused(signin, password=PASSWORD if disabled else "wrong password"), await refused(signin, "nobody")]
        assert len(seen) == 2
        assert seen[0] == seen[1]  # the same parameters, so the same cost
        return codes, [row for row in await noted(pool) if row[0] == "sign-in"]

    codes, rows = house(work)
    assert codes == ["CREDENTIAL_WRONG"] * 2
    assert [row[1:] for row in rows] == [
        (NAME, NAME, "CREDENTIAL_WRONG", "refused"),
        ("unknown", "unknown", "CREDENTIAL_WRONG", "refused"),
    ]


def test_after_the_tries_the_right_password_waits_too_in_every_process(house):
    async def work(pool, signin):
        for _ in range(TRIES_MAX):
            assert await refused(signin) == "CREDENTIAL_WRONG"
        other = SignIn(pool, 1800, 43_200)
        try:
            assert await refused(other, password=PASSWORD) == "TRIES_EXCEEDED"
            assert await refused(other, password=PASSWORD) == "TRIES_EXCEEDED"
            told = [row for row in await noted(pool) if row[3] == "TRIES_EXCEEDED"]
            assert len(told) == 1  # who tries for ever does not fill the audit
            assert await other.open(NAME, PASSWORD, "10.0.0.2", AT)  # nobody shuts an operator out from elsewhere
            return await other.open(NAME, PASSWORD, "10.0.0.1", later(WINDOW_S + 1))
        finally:
            other.close()

    assert house(work)


def test_an_address_has_a_limit_over_all_names(house, monkeypatch):
    async def work(_, signin):
        async def wrong(_stored, _sent):
            return False

        monkeypatch.setattr(signin._checker, "matches", wrong)
        for number in range(TRIES_OF_ADDRESS_MAX):
            assert await refused(signin, f"name-{number}", address="2001:db8::1") == "CREDENTIAL_WRONG"
        return await refused(signin, address="2001:db8::2")  # the same host, by IPv6

    assert house(work) == "TRIES_EXCEEDED"


def test_who_tries_one_name_for_ever_does_not_shut_his_address_out_nor_an_address_its_names(house, monkeypatch):
    async def work(_, signin):
        for _ in range(TRIES_OF_ADDRESS_MAX + TRIES_MAX):
            await refused(signin, "a-script-with-an-old-password")
        assert await signin.open(NAME, PASSWORD, "10.0.0.1", AT)

        async def wrong(_stored, _sent):
            return False

        monkeypatch.setattr(signin._checker, "matches", wrong)
        for number in range(TRIES_OF_ADDRESS_MAX):
            await refused(signin, f"name-{number}")
        at_limit = [await refused(signin, "somebody", at=later(WINDOW_S - 1)) for _ in range(TRIES_MAX + 1)]
        assert set(at_limit) == {"TRIES_EXCEEDED"}
        return await refused(signin, "somebody", at=later(WINDOW_S + 1))

    assert house(work) == "CREDENTIAL_WRONG", "none of those was a try of the name"


def test_a_socket_of_both_families_tells_hosts_apart_as_one_of_ipv4_does(house):
    async def work(_, signin):
        for _ in range(TRIES_MAX):
            await refused(signin, address="::ffff:10.0.0.1")
        other = await refused(signin, address="::ffff:10.0.0.2")
        return other, await refused(signin, address="10.0.0.1")

    assert house(work) == ("CREDENTIAL_WRONG", "TRIES_EXCEEDED")


def test_right_passwords_are_no_tries(house):
    async def work(_, signin):
        for _ in range(TRIES_MAX + 2):
            await signin.open(NAME, PASSWORD, "10.0.0.1", AT)
        return True

    assert house(work)


@pytest.mark.parametrize("use, known", [([1700, 3400], True), ([1801], False)])
def test_a_session_ends_without_use(house, use, known):
    async def work(_, signin):
        token, _ = await signin.open(NAME, PASSWORD, "a", AT)
        return [await signin.known(token, later(second), used=True) for second in use][-1] is not None

    assert house(work) is known


def test_a_look_is_no_use(house):
    async def work(_, signin):
        token, _ = await signin.open(NAME, PASSWORD, "a", AT)
        assert await signin.glance(token, later(1700)) is not None
        return await signin.known(token, later(1900), used=True)

    assert house(work) is None


def test_a_session_ends_at_its_age_however_busy(house):
    async def work(_, signin):
        token, _ = await signin.open(NAME, PASSWORD, "a", AT)
        for second in range(1700, 43_200, 1700):
            assert await signin.known(token, later(second), used=True)
        return await signin.known(token, later(43_201), used=True)

    assert house(work) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda pool, _: People(pool).disable(NAME, "root", "left"),
        lambda pool, _: People(pool).give_role(NAME, "viewer", (), "root", "other work"),
        lambda pool, _: People(pool).give_password(NAME, PASSWORD + "!", "root", "forgotten"),
        lambda pool, _: revoke(pool, NAME, "", "root", "tablet lost"),
        lambda _, token: _.end(token, AT),
    ],
    ids=["disabled", "role", "password", "revoked", "sign-out"],
)
def test_what_ends_a_session(house, change):
    async def work(pool, signin):
        token, _ = await signin.open(NAME, PASSWORD, "a", AT)
        assert await signin.glance(token, later(1)) is not None
        await change(signin if change.__code__.co_varnames[0] == "_" else pool, token)
        assert await signin.known(token, later(2), used=True) is None
        return await signin.glance(token, later(3))

    assert house(work) is None


def test_one_session_is_revoked_by_its_short_id(house):
    async def work(pool, signin):
        at = datetime.now(UTC)
        first, one = await signin.open(NAME, PASSWORD, "a", at)
        second, _ = await signin.open(NAME, PASSWORD, "b", at)
        assert {row["address"] for row in await sessions(pool, 1800, 43_200, NAME)} == {"a", "b"}
        assert await revoke(pool, NAME, one.session, "root", "tablet lost") == 1
        return await signin.known(first, at, used=True), await signin.known(second, at, used=True) is not None

    assert house(work) == (None, True)


def test_who_is_disabled_while_the_password_is_compared_stays_out(house, monkeypatch):
    async def work(pool, signin):
        matches = signin._checker.matches

        async def slow(stored, sent):
            await People(pool).disable(NAME, "root", "left")
            return await matches(stored, sent)

        monkeypatch.setattr(signin._checker, "matches", slow)
        return await refused(signin, password=PASSWORD)

    assert house(work) == "CREDENTIAL_WRONG"


def test_a_try_that_is_given_back_waits_for_one_that_is_taken_and_holds_nothing_meanwhile(house):
    """Else the one would wait for the name and the other for the address: PostgreSQL ends one of them."""
    keys = [("name", TRIES_MAX), ("address", TRIES_OF_ADDRESS_MAX)]

    async def work(pool, _):
        async with pool.connection() as first, pool.connection() as second:
            for key, _limit in reversed(keys):  # as they stand in the table
                await first.execute("insert into person_try (key, count, since) values (%s, 2, %s)", (key, AT))
            await first.commit()
            await _take(first, keys[:1], AT)
            given = asyncio.create_task(_give_back(second, keys))
            await asyncio.sleep(0.3)
            await _take(first, keys, AT)
            await first.commit()
            await given
        async with pool.connection() as database:
            return await (await database.execute("select key, count from person_try order by key")).fetchall()

    assert house(work) == [("address", 2), ("name", 3)]


def test_many_tries_at_once_count_as_many(house):
    async def work(_, signin):
        codes = await asyncio.gather(*(refused(signin) for _ in range(TRIES_MAX + 5)))
        return sorted(set(codes)), codes.count("CREDENTIAL_WRONG")

    assert house(work) == (["CREDENTIAL_WRONG", "TRIES_EXCEEDED"], TRIES_MAX)


# --- by the word of an OpenID Connect provider ------------------------------------------------------------------------


async def brought(signin, named, state="s1", address="10.0.0.1", at=AT):
    """Somebody comes back from the provider: with what it named, or with its refusal."""

    async def identity():
        if isinstance(named, HubError):
            raise named
        return named

    return await signin.open_by(state, identity, address, at)


async def tried(pool):
    """What the audit has of signing in."""
    return [row for row in await noted(pool) if row[0] == "sign-in"]


async def turned_away(signin, named, **more):
    with pytest.raises(HubError) as wrong:
        await brought(signin, named, **more)
    return wrong.value.code


def test_who_the_provider_names_has_a_session_as_by_a_password(house):
    async def work(pool, signin):
        token, signed = await brought(signin, NAME)
        assert await signin.known(token, later(60), used=True) == signed
        return signed, await tried(pool)

    signed, [(action, target, by, reason, outcome)] = house(work)
    assert signed.person == Person(NAME, "operator", (), "vi")
    assert (action, target, by, outcome) == ("sign-in", NAME, NAME, "done")
    assert reason == f"session {signed.session} by OpenID Connect"


def test_a_person_with_an_identity_is_known_by_it_alone(house):
    async def work(pool, signin):
        people = People(pool)
        await people.new(Person("ca-truc-2", "viewer", (), "vi"), PASSWORD, "root", "test")
        await people.give_identity(NAME, "lan@hospital.example", "root", "account of the hospital")
        await people.give_identity("ca-truc-2", "ca-truc-1", "root", "renamed there")
        first, second = await brought(signin, "lan@hospital.example"), await brought(signin, "ca-truc-1", "s2")
        assert (first[1].person.name, second[1].person.name) == (NAME, "ca-truc-2")
        assert await turned_away(signin, "ca-truc-2", state="s3") == "LOGIN_UNKNOWN"
        with pytest.raises(HubError, match="another person has it"):
            await people.give_identity("ca-truc-2", "lan@hospital.example", "root", "by mistake")
        await people.give_identity(NAME, None, "root", "left the hospital")
        assert await signin.known(first[0], later(1), used=True) is None
        return await noted(pool)

    rows = house(work)
    assert ("person-identity", NAME, "root", "account of the hospital", "done") in rows
    assert "lan@hospital.example" not in str(rows)


@pytest.mark.parametrize("named", ["CA-TRUC-1", "ca-truc-1 ", "ca-truc-9", "lan@hospital.example"])
def test_a_name_there_is_ours_to_the_letter_only(house, named):
    async def work(pool, signin):
        return await turned_away(signin, named), await tried(pool)

    code, last = house(work)
    assert code == "LOGIN_UNKNOWN"
    assert last == [("sign-in", "unknown", "unknown", "LOGIN_UNKNOWN", "refused")]


def test_a_disabled_person_is_refused_and_named_in_the_audit(house):
    async def work(pool, signin):
        await People(pool).disable(NAME, "root", "left")
        return await turned_away(signin, NAME), await tried(pool)

    code, last = house(work)
    assert code == "LOGIN_UNKNOWN"
    assert last == [("sign-in", NAME, NAME, "LOGIN_UNKNOWN", "refused")]


def test_a_way_back_is_good_once_whatever_it_brought(house):
    async def work(pool, signin):
        await brought(signin, NAME, "s1")
        again = [await turned_away(signin, NAME, state="s1", at=later(second)) for second in (1, 2, WINDOW_S)]
        await turned_away(signin, HubError("LOGIN_UNPROVEN", "id_token nonce"), state="s2")
        return [*again, await turned_away(signin, NAME, state="s2")], await noted(pool)

    codes, rows = house(work)
    assert codes == ["LOGIN_UNPROVEN"] * 4
    assert sorted(row[3] for row in rows if row[4] == "refused") == [
        "LOGIN_UNPROVEN id_token nonce",
        "LOGIN_UNPROVEN state",
        "LOGIN_UNPROVEN state",
    ]


def test_of_many_at_once_with_one_way_back_one_comes_in(house):
    async def work(_, signin):
        found = await asyncio.gather(*(brought(signin, NAME) for _ in range(8)), return_exceptions=True)
        return [one for one in found if not isinstance(one, HubError)]

    assert len(house(work)) == 1


def test_an_address_has_a_hundred_failures_and_a_provider_that_is_away_is_none_of_its_own(house):
    async def work(_, signin):
        for number in range(TRIES_OF_ADDRESS_MAX + 5):
            away = HubError("PROVIDER_UNAVAILABLE", "token: 503")
            assert await turned_away(signin, away, state=f"away {number}") == "PROVIDER_UNAVAILABLE"
            await brought(signin, NAME, f"in {number}")
        for number in range(TRIES_OF_ADDRESS_MAX):
            assert await turned_away(signin, "nobody", state=f"no {number}") == "LOGIN_UNKNOWN"
        assert await signin.open(NAME, PASSWORD, "10.0.0.1", AT)  # passwords are counted by themselves
        return await turned_away(signin, NAME, state="last")

    assert house(work) == "TRIES_EXCEEDED"
