"""Tokens of the gateway's calls: known to every process with the hub's secret, and to nobody else."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hub.access.credentials import Account, Credential
from hub.access.sessions import Sessions
from hub.contract.errors import HubError
from hub.contract.events import Keyring

AT = datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC)
SENT = "5EBE2294ECD0E0F08EAB7690D2A6EE69"
ACCOUNT = Account("01004_BV", "$argon2id$…1", Credential("songhong", frozenset({"01004"})))


def sessions(secret=b"a secret of tests", account=ACCOUNT):
    return Sessions(Keyring(secret), 3600, lambda user, _address: account if account and user == account.user else None)


def refused(made, opened, sent=SENT, at=AT, access=None, ident=None):
    with pytest.raises(HubError) as stop:
        made.account(access or opened.access_token, ident or opened.id_token, sent, "10.0.0.1", at)
    return stop.value.code, stop.value.where


def test_a_session_is_known_to_another_process_with_the_same_secret():
    opened = sessions().open(ACCOUNT, SENT, AT)
    assert sessions().account(opened.access_token, opened.id_token, SENT, "10.0.0.1", AT + timedelta(seconds=3599)) is ACCOUNT


def test_the_password_in_small_letters_is_the_same():
    opened = sessions().open(ACCOUNT, SENT, AT)
    assert sessions().account(opened.access_token, opened.id_token, SENT.lower(), "10.0.0.1", AT) is ACCOUNT


def test_two_logins_have_different_tokens_of_signs_that_clients_do_not_cut_at():
    one, two = (sessions().open(ACCOUNT, SENT, AT) for _ in range(2))
    assert len({one.access_token, one.id_token, two.access_token, two.id_token}) == 4
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", one.access_token + one.id_token)
    assert SENT not in one.access_token


def test_it_ends_at_its_time():
    opened = sessions().open(ACCOUNT, SENT, AT)
    assert opened.expires_at == AT + timedelta(hours=1)
    assert refused(sessions(), opened, at=AT + timedelta(hours=1)) == ("TOKEN_EXPIRED", "accessToken")


def test_another_password_another_secret_a_changed_password_or_a_removed_account_end_it():
    opened = sessions().open(ACCOUNT, SENT, AT)
    assert refused(sessions(), opened, sent="0" * 32) == ("CREDENTIAL_WRONG", "passwordHash")
    assert refused(sessions(b"another secret of tests"), opened) == ("CREDENTIAL_WRONG", "accessToken")
    assert refused(sessions(account=replace(ACCOUNT, password="$argon2id$…2")), opened) == ("CREDENTIAL_WRONG", "accessToken")
    assert refused(sessions(account=None), opened) == ("CREDENTIAL_WRONG", "accessToken")


def test_a_session_lasts_as_long_as_the_password_it_was_opened_by_is_good():
    opened = sessions().open(ACCOUNT, SENT, AT)
    changed = replace(ACCOUNT, password="$argon2id$…2", former=ACCOUNT.password)
    assert sessions(account=changed).account(opened.access_token, opened.id_token, SENT, "10.0.0.1", AT) is changed
    assert refused(sessions(account=replace(changed, former="")), opened) == ("CREDENTIAL_WRONG", "accessToken")


def test_tokens_stand_for_each_other_only_within_one_login():
    one, two = (sessions().open(ACCOUNT, SENT, AT) for _ in range(2))
    assert refused(sessions(), one, ident=two.id_token)[0] == "CREDENTIAL_WRONG"
    assert refused(sessions(), one, ident=one.access_token)[0] == "CREDENTIAL_WRONG"
    assert refused(sessions(), one, access=one.id_token)[0] == "CREDENTIAL_WRONG"


@pytest.mark.parametrize("token", ["", ".", "a.b", "ü.x", "AAAA.0", "x" * 5000, "H\x1f.1"])
def test_what_is_no_token_is_refused(token):
    opened = sessions().open(ACCOUNT, SENT, AT)
    assert refused(sessions(), opened, access=token or " ", ident=token or " ") == ("CREDENTIAL_WRONG", "accessToken")


def test_no_sign_of_a_token_may_change():
    opened = sessions().open(ACCOUNT, SENT, AT)
    payload, _, signature = opened.access_token.partition(".")
    for changed in (f"{payload[:-4]}AAAA.{signature}", f"{payload}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}"):
        assert refused(sessions(), opened, access=changed, ident=changed)[0] == "CREDENTIAL_WRONG"
