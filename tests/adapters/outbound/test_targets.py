"""The file of those who are pushed to is checked before anything is sent."""

import base64

import pytest

from adapters.outbound.mllp_push import Target
from adapters.outbound.targets import read_targets
from adapters.outbound.webhook import Hook, read_secret
from hub.contract.errors import HubError


def test_the_file_of_recipients_is_checked(tmp_path):
    file = tmp_path / "push.toml"
    file.write_text('[recipient.01940]\nhost = "lis"\nport = 2575\n[recipient."01940!test"]\nhost = "trial"\nport = 2576\n')
    assert read_targets(file) == {"01940": Target(host="lis", port=2575), "01940!test": Target(host="trial", port=2576)}
    assert read_targets(None) == {}
    for wrong in ("[recipient.01940]\nhost = 'lis'\n", "[recipient.01940]\nhost = 'x'\nport = 0\n", "recipient = [", "[other]\n"):
        file.write_text(wrong)
        with pytest.raises(HubError) as raised:
            read_targets(file)
        assert raised.value.code == "SETTING_WRONG"


def test_a_webhook_is_an_https_address_with_its_secrets(tmp_path):
    file = tmp_path / "push.toml"
    file.write_text('[recipient.01940]\nurl = "https://his.example/hook"\nsecrets = ["new", "old"]\nnetworks = ["10.8.0.0/16"]\n')
    hook = read_targets(file)["01940"]
    assert isinstance(hook, Hook)
    assert (hook.url, len(hook.secrets)) == ("https://his.example/hook", 2)
    for url in (
        "http://his.example/",
        "https://user:word@his.example/",
        "https://",
        "https://his.example:port/",
        "ftp://his.example",
        f"https://{'x' * 70}.example/",
    ):
        file.write_text(f'[recipient.01940]\nurl = "{url}"\nsecrets = ["new"]\n')
        with pytest.raises(HubError) as raised:
            read_targets(file)
        assert raised.value.code == "SETTING_WRONG"
        assert "word" not in raised.value.where


def test_a_secret_is_long_enough_and_never_told(tmp_path):
    file = tmp_path / "secret"
    file.write_text("whsec_" + base64.b64encode(b"k" * 32).decode() + "\n")
    assert read_secret(file) == b"k" * 32
    for wrong in ("whsec_c2hvcnQ=", base64.b64encode(b"k" * 32).decode(), "whsec_%%%", ""):
        file.write_text(wrong)
        with pytest.raises(HubError) as raised:
            read_secret(file)
        assert raised.value.code == "SETTING_WRONG"
        assert not wrong or wrong not in raised.value.where
