"""Passwords of the gateway's accounts: what counts as right, how long a wrong one may be tried, and what it costs the others."""

import asyncio

import pytest
from argon2 import PasswordHasher

from hub.access import passwords
from hub.access.credentials import Account, Credential, Credentials
from hub.access.passwords import FailedTries, Login, as_sent, is_password_hash, password_hash
from hub.contract.errors import HubError

MD5 = "5EBE2294ECD0E0F08EAB7690D2A6EE69"  # of "secret"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def clock():
    class Clock:
        at = 0.0

        def __call__(self):
            return self.at

    return Clock()


@pytest.fixture
def login(clock):
    account = Account("01004_BV", password_hash(MD5), Credential("songhong", frozenset({"01004"})))
    made = Login(Credentials({}, [], [account]), clock)
    yield made
    made.close()


def tried(login, *tries):
    """The code that each try (user, password, address) ends with, "" for a login."""

    async def one(user, sent, address="10.0.0.1"):
        try:
            await login.account(user, sent, address)
        except HubError as stop:
            return stop.code
        return ""

    async def all_of_them():
        return [await one(*each) for each in tries]

    return asyncio.run(all_of_them())


def test_what_clients_send_is_the_md5_in_capitals_and_an_md5_stays():
    assert as_sent("secret") == MD5 and as_sent(MD5.lower()) == MD5


def test_a_hash_is_argon2id_and_another_each_time():
    one, two = password_hash(MD5), password_hash(MD5)
    assert one != two and one.startswith("$argon2id$") and is_password_hash(one)
    assert not is_password_hash("$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAA") and not is_password_hash(MD5)


def test_the_md5_counts_in_both_cases_and_the_user_in_any(login):
    assert tried(login, ("01004_BV", MD5), ("01004_bv", MD5.lower())) == ["", ""]


def test_the_former_password_is_right_too_and_the_account_says_by_which_it_came(clock):
    new, old, other = MD5, "0" * 32, "1" * 32
    account = Account("u", password_hash(new), Credential("songhong", frozenset({"01004"})), password_hash(old))
    login = Login(Credentials({}, [], [account]), clock)

    async def both():
        return [(await login.account("u", sent, "10.0.0.1")).password for sent in (new, old)]

    assert asyncio.run(both()) == [account.password, account.former]
    assert tried(login, ("u", other)) == ["CREDENTIAL_WRONG"]
    login.close()


def test_a_wrong_password_and_a_user_that_nobody_has_are_answered_alike_and_both_cost_the_same(login, monkeypatch):
    hashed = []
    monkeypatch.setattr(passwords, "_matches", lambda stored, sent: hashed.append(stored) or False)
    assert tried(login, ("01004_BV", "0" * 32), ("01021_BV", MD5)) == ["CREDENTIAL_WRONG"] * 2
    assert len(hashed) == 4 and len(set(hashed)) == 1


def test_the_right_password_of_a_user_that_nobody_has_opens_nothing(login):
    assert tried(login, ("01021_BV", MD5), ("", MD5), ("01004_BV", ""), ("01004_BV", "x" * 300)) == ["CREDENTIAL_WRONG"] * 4


def test_after_ten_wrong_ones_the_right_one_waits_too_but_not_from_elsewhere_and_not_for_ever(login, clock):
    wrong, right = ("01004_BV", "0" * 32), ("01004_BV", MD5)
    assert tried(login, *[wrong] * 10, right) == ["CREDENTIAL_WRONG"] * 10 + ["TRIES_EXCEEDED"]
    assert tried(login, (*right, "10.0.0.2")) == [""]
    clock.at += 299
    assert tried(login, right) == ["TRIES_EXCEEDED"]
    clock.at += 1
    assert tried(login, right) == [""]


def test_logins_that_succeed_use_up_no_tries(login):
    assert set(tried(login, *[("01004_BV", MD5)] * 25)) == {""}


def test_one_address_has_a_hundred_tries_whatever_users_it_names(login):
    assert tried(login, *[(f"u{number}", MD5) for number in range(101)])[-2:] == ["CREDENTIAL_WRONG", "TRIES_EXCEEDED"]


def test_what_is_remembered_of_failures_is_bounded(clock):
    tries = FailedTries(clock)
    for number in range(30_000):
        tries.take([(f"10.0.0.{number}", 1)])
    tries.take([("10.0.0.0", 1)])  # forgotten
    with pytest.raises(HubError, match="TRIES_EXCEEDED"):
        tries.take([("10.0.0.29999", 1)])


def test_more_logins_at_once_than_may_wait_are_asked_to_come_again(login):
    async def flood():
        answers = await asyncio.gather(
            *(login.account("01004_BV", MD5, f"10.0.1.{n}") for n in range(40)), return_exceptions=True
        )
        return [answer.code if isinstance(answer, HubError) else "" for answer in answers]

    answers = asyncio.run(flood())
    assert answers.count("") == 32 and answers.count("OVERLOADED") == 8
