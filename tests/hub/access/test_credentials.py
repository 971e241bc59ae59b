"""Credentials: who a caller is."""

import hashlib
from datetime import datetime

import pytest

from hub.access.credentials import LOCAL, Credentials, make_token, token_hash
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM


@pytest.fixture
def open_file(tmp_path):
    def open_it(text):
        path = tmp_path / "credentials.toml"
        path.write_text(text, encoding="utf-8")
        return Credentials.open(path)

    return open_it


def test_without_a_file_whoever_is_on_this_machine_is_local_and_nobody_else_is_anybody():
    credentials = Credentials.open(None)
    assert credentials.of_address("127.0.0.1") is LOCAL and credentials.of_address("::1") is LOCAL
    assert credentials.of_token("", "127.0.0.1") is LOCAL
    assert credentials.of_address("10.0.0.1") is None and credentials.of_token("any", "10.0.0.1") is None
    assert credentials.of_name("local") is LOCAL and LOCAL.may_act_for("01004")


def test_a_token_is_known_by_its_hash_alone(open_file):
    token, digest = make_token()
    credentials = open_file(f'[sender.a]\nfacilities = ["01004"]\ntoken_blake2b = "{digest}"\n')
    found = credentials.of_token(token, "203.0.113.9")
    assert found is not None and found.name == "a"
    assert found.may_act_for("01004") and not found.may_act_for("01021")
    assert credentials.of_token(digest) is None and credentials.of_token("") is None
    assert credentials.of_token(token + "x") is None


def test_each_token_is_another_and_hashes_the_same_every_time():
    one, two = make_token(), make_token()
    assert one[0] != two[0] and token_hash(one[0]) == one[1]


def test_with_a_file_loopback_is_nobody(open_file):
    credentials = open_file('[sender.a]\nfacilities = ["01004"]\nmllp_from = ["10.1.0.0/16"]\n')
    assert credentials.of_address("127.0.0.1") is None and credentials.of_token("", "127.0.0.1") is None
    assert credentials.of_name("local") is None


def test_the_closest_network_decides(open_file):
    credentials = open_file(
        '[sender.region]\nfacilities = ["01004", "01021"]\nmllp_from = ["10.1.0.0/16", "2001:db8::/32"]\n'
        '[sender.lab]\nfacilities = ["01940"]\nmllp_from = ["10.1.7.0/24"]\ntest = true\n'
    )
    assert credentials.of_address("10.1.2.3").name == "region"
    assert credentials.of_address("::ffff:10.1.2.3").name == "region"
    assert credentials.of_address("2001:db8::5%eth0").name == "region"
    lab = credentials.of_address("10.1.7.9")
    assert (lab.name, lab.test) == ("lab", True)
    assert credentials.of_address("10.2.0.1") is None and credentials.of_address("") is None


def test_a_sender_without_facilities_may_speak_for_none(open_file):
    credentials = open_file('[sender.a]\nmllp_from = ["10.0.0.0/8"]\n')
    assert not credentials.of_address("10.0.0.1").may_act_for("01004")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[sender.a]\nfacilities = 5\n", "sender.a.facilities"),
        ('[sender.a]\ntoken_blake2b = "secret value"\n', "sender.a.token_blake2b"),
        ('[sender.a]\nmllp_from = ["10.1.0.1/16"]\n', "sender.a.mllp_from"),
        ("[sender.a]\ncolour = 1\n", "sender.a.colour"),
        ("[other]\n", "sender"),
        ("[sender", "TOMLDecodeError"),
        ('[sender.a]\nmllp_from = ["10.0.0.0/8"]\n[sender.b]\nmllp_from = ["10.0.0.0/8"]\n', "sender.b"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_never_a_value(open_file, text, place):
    with pytest.raises(HubError, match="SETTING_WRONG") as wrong:
        open_file(text)
    assert place in str(wrong.value) and "secret value" not in str(wrong.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(HubError, match="SETTING_WRONG"):
        Credentials.open(tmp_path / "none.toml")


HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$Wl1yMkuKqqnEOMCmXuuxDQ"


def test_an_account_of_the_gateway_is_known_by_its_user_in_any_case(open_file):
    credentials = open_file(f'[sender.a]\nfacilities = ["01004"]\ngateway_user = "01004_BV"\ngateway_password = "{HASH}"\n')
    account = credentials.of_user("01004_bv", "203.0.113.9")
    assert account is not None and (account.user, account.credential.name, account.password) == ("01004_BV", "a", HASH)
    assert HASH not in repr(account)
    assert credentials.of_user("01021_BV") is None and credentials.of_name("a") is account.credential
    assert credentials.any_account() is account


def test_without_a_file_any_user_on_this_machine_is_local():
    credentials = Credentials.open(None)
    account = credentials.of_user("01004_BV", "127.0.0.1")
    assert account is not None and account.credential is LOCAL
    assert credentials.of_user("01004_BV", "10.0.0.1") is None


@pytest.mark.parametrize(
    "lines",
    [
        'gateway_user = "x"',
        f'gateway_password = "{HASH}"',
        'gateway_user = "x"\ngateway_password = "5EBE2294ECD0E0F08EAB7690D2A6EE69"',
        f'gateway_user = "X"\ngateway_password = "{HASH}"\n[sender.b]\ngateway_user = "x"\ngateway_password = "{HASH}"',
    ],
    ids=["no password", "no user", "a password that is no argon2id hash", "two accounts of one user"],
)
def test_a_wrong_account_stops_the_start_without_a_value(open_file, lines):
    with pytest.raises(HubError, match="SETTING_WRONG") as wrong:
        open_file(f"[sender.a]\n{lines}\n")
    assert "5EBE" not in str(wrong.value) and HASH not in str(wrong.value)


def test_a_client_certificate_is_known_by_its_fingerprint_however_it_is_written(open_file):
    der = b"the bytes of a certificate"
    plain = hashlib.sha256(der).hexdigest()
    printed = ":".join(plain[at : at + 2].upper() for at in range(0, 64, 2))
    for text in (plain, printed):
        credentials = open_file(f'[sender.a]\nfacilities = ["01004"]\ncertificates = ["{text}"]\n')
        assert credentials.of_certificate(der).name == "a" and credentials.of_certificate(b"another") is None
        assert credentials.of_name("a").name == "a"
    with pytest.raises(HubError, match=r"sender\.b: certificate of another"):
        open_file(f'[sender.a]\ncertificates = ["{plain}"]\n[sender.b]\ncertificates = ["{printed}"]\n')
    with pytest.raises(HubError, match="SETTING_WRONG"):
        open_file('[sender.a]\ncertificates = ["not a fingerprint"]\n')


def test_quotas_stand_with_the_sender(open_file):
    credentials = open_file("[sender.a]\nmessages_per_minute = 600\nbytes_per_minute = 1000\n")
    found = credentials.of_name("a")
    assert (found.messages_per_minute, found.bytes_per_minute) == (600, 1000)


# --- while they are changed -------------------------------------------------------------------------------------------


def test_what_is_former_is_good_beside_the_new_until_the_end_of_its_day_in_vietnam(tmp_path):
    (before, before_hash), (after, after_hash) = make_token(), make_token()
    file = tmp_path / "credentials.toml"
    file.write_text(
        f'[sender.a]\nfacilities = ["01004"]\ntoken_blake2b = "{after_hash}"\nformer_token_blake2b = "{before_hash}"\n'
        f'gateway_user = "u"\ngateway_password = "{HASH}1"\nformer_gateway_password = "{HASH}2"\nformer_until = 2026-12-31\n'
    )
    at = datetime(2026, 12, 31, 23, 59, tzinfo=VIETNAM)
    credentials = Credentials.open(file, lambda: at)
    assert credentials.of_token(before).name == credentials.of_token(after).name == "a"
    assert (credentials.of_user("u").password, credentials.of_user("u").former) == (f"{HASH}1", f"{HASH}2")
    at = datetime(2027, 1, 1, tzinfo=VIETNAM)
    assert credentials.of_token(before) is None and credentials.of_token(after).name == "a"
    assert (credentials.of_user("u").password, credentials.of_user("u").former) == (f"{HASH}1", "")


@pytest.mark.parametrize(
    "lines",
    [
        f'former_token_blake2b = "{"0" * 64}"',
        "former_until = 2026-12-31",
        f'former_gateway_password = "{HASH}"\nformer_until = 2026-12-31',
        f'former_token_blake2b = "{"0" * 64}"\nformer_until = 9999-12-31',
    ],
    ids=["for ever", "nothing that ends", "no password after it", "as good as for ever"],
)
def test_what_is_former_has_an_end_and_a_successor(open_file, lines):
    with pytest.raises(HubError, match="SETTING_WRONG"):
        open_file(f"[sender.a]\n{lines}\n")


@pytest.fixture
def told(monkeypatch):
    lines = []
    monkeypatch.setattr(telemetry, "fault", lambda stage, code, where="": lines.append((stage, code, where)))
    monkeypatch.setattr(telemetry, "credentials_taken", lines.append)
    return lines


def test_a_changed_file_is_taken_once_two_looks_in_a_row_saw_it_the_same(tmp_path, told):
    file = tmp_path / "credentials.toml"
    file.write_text('[sender.a]\nmllp_from = ["10.1.0.0/16"]\n')
    credentials = Credentials.open(file)
    credentials.look()
    file.write_text('[sender.b]\nmllp_from = ["10.2.0.0/16"]\n')
    credentials.look()
    file.write_text('[sender.b]\nmllp_from = ["10.2.0.0/16"]\n[sender.c]\nmllp_from = ["10.3.0.0/16"]\n')  # still written
    credentials.look()
    assert credentials.of_address("10.1.0.1").name == "a" and (credentials.edition, told) == (0, [])
    for _ in range(3):
        credentials.look()
    assert credentials.of_address("10.1.0.1") is None and credentials.of_name("a") is None
    assert credentials.of_address("10.3.0.1").name == "c"
    assert (credentials.edition, told) == (1, [2])


def test_a_broken_change_is_told_once_and_what_was_good_stays(tmp_path, told):
    file = tmp_path / "credentials.toml"
    good = '[sender.a]\nmllp_from = ["10.1.0.0/16"]\n'
    file.write_text(good)
    credentials = Credentials.open(file)
    for change in (lambda: file.write_text("[sender.a]\nfacility = 1\n"), lambda: file.write_text(""), file.unlink):
        change()
        for _ in range(3):
            credentials.look()
        assert credentials.of_address("10.1.0.1").name == "a" and credentials.edition == 0
    assert [line[:2] for line in told] == [("credentials", "SETTING_WRONG")] * 3 and "sender.a.facility" in told[0][2]
    file.write_text(good + "[sender.b]\n")
    credentials.look()
    credentials.look()
    assert credentials.of_name("b").name == "b" and told[3:] == [2]
