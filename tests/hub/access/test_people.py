"""People of the console: what each role may, and that every change is made with its audit event, or not at all."""

import asyncio

import pytest

from hub.access.people import ROLES, People, Person
from hub.contract.errors import HubError
from hub.store.database import async_pool
from tests.own_database import own_database

PASSWORD = "correct horse battery"
OPERATOR = Person("ca-truc-1", "operator", (), "vi")


@pytest.fixture(scope="module")
def url(stack):
    with own_database(stack.database_url) as made:
        yield made


@pytest.fixture
def ask(url):
    """Runs what is given with an empty house."""

    def asked(work):
        async def run():
            async with async_pool(url, size=4) as pool:
                async with pool.connection() as database:
                    await database.execute("truncate person, person_session, person_try, audit_noted")
                return await work(pool)

        return asyncio.run(run())

    return asked


async def noted(pool):
    async with pool.connection() as database:
        rows = await (
            await database.execute("select action, target, by, reason, outcome from audit_noted order by at")
        ).fetchall()
    return rows


@pytest.mark.parametrize(
    "role, rights",
    [
        ("viewer", {"see"}),
        ("operator", {"see", "act"}),
        ("admin", {"see", "act", "unmask", "administer"}),
        ("vendor", {"see"}),
        ("insurer", {"see"}),
    ],
)
def test_each_role_may_what_the_table_says(role, rights):
    scope = ("songhong_his",) if role in ("vendor", "insurer") else ()
    one = Person("x1", role, scope, "vi")
    assert {right for right in ("see", "act", "unmask", "administer") if one.may(right)} == rights == ROLES[role]


def test_a_vendor_sees_its_senders_only():
    vendor = Person("songhong", "vendor", ("songhong_his",), "vi")
    assert vendor.sees("songhong_his")
    assert not vendor.sees("other_his")
    assert OPERATOR.sees("other_his")


@pytest.mark.parametrize(
    "person, password",
    [
        (Person("Nguyễn Văn A", "viewer", (), "vi"), PASSWORD),
        (Person("unknown", "viewer", (), "vi"), PASSWORD),  # whom the audit names for names that nobody has
        (Person("viewer-1", "boss", (), "vi"), PASSWORD),  # type: ignore[arg-type]
        (Person("vendor-1", "vendor", (), "vi"), PASSWORD),
        (Person("admin-1", "admin", ("vss",), "vi"), PASSWORD),
        (Person("viewer-1", "viewer", (), "fr"), PASSWORD),  # type: ignore[arg-type]
        (OPERATOR, "short"),
        (OPERATOR, "my-ca-truc-1-password"),
        (OPERATOR, "aaaaaaaaaaaaaaaa"),
        (OPERATOR, "x1y2" * 65),
    ],
)
def test_what_is_wrong_is_refused_and_leaves_nothing(ask, person, password):
    async def work(pool):
        with pytest.raises(HubError, match="REQUEST_WRONG") as refused:
            await People(pool).new(person, password, "root", "test")
        assert password not in refused.value.where
        return await People(pool).list(), await noted(pool)

    assert ask(work) == ([], [])


def test_a_change_without_a_reason_is_not_made(ask):
    async def work(pool):
        with pytest.raises(HubError, match="REQUEST_WRONG"):
            await People(pool).new(OPERATOR, PASSWORD, "root", "  ")
        return await People(pool).list()

    assert ask(work) == []


def test_a_name_is_given_once(ask):
    async def work(pool):
        people = People(pool)
        await people.new(OPERATOR, PASSWORD, "root", "first")
        with pytest.raises(HubError, match="REQUEST_WRONG"):
            await people.new(OPERATOR, PASSWORD, "root", "second")
        return len(await people.list()), len(await noted(pool))

    assert ask(work) == (1, 1)


def test_every_change_is_noted_and_no_password_is(ask):
    async def work(pool):
        people = People(pool)
        await people.new(OPERATOR, PASSWORD, "root", "night shift")
        await people.give_password(OPERATOR.name, PASSWORD + "!", "root", "forgotten")
        await people.give_role(OPERATOR.name, "vendor", ["songhong_his"], "root", "left for a vendor")
        await people.disable(OPERATOR.name, "root", "left")
        await people.enable(OPERATOR.name, "root", "is back")
        with pytest.raises(HubError, match="NOT_FOUND"):
            await people.disable("nobody", "root", "left")
        async with pool.connection() as database:
            stored = (await (await database.execute("select password from person")).fetchone())[0]
        assert stored.startswith("$argon2id$")
        return await people.list(), await noted(pool)

    [found], rows = ask(work)
    assert (found["name"], found["role"], found["scope"]) == (OPERATOR.name, "vendor", ["songhong_his"])
    assert [row[0] for row in rows] == ["person-new", "person-password", "person-role", "person-disable", "person-enable"]
    assert rows[2][1:4] == ("ca-truc-1 vendor songhong_his", "root", "left for a vendor")
    assert PASSWORD not in str(rows)
