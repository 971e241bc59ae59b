"""Settings are one typed model; a wrong one is one clear sentence that never shows a value."""

import os

import pytest

from hub.contract.errors import HubError
from hub.contract.settings import Settings, read_settings, to_environment


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HIE_")]:
        monkeypatch.delenv(name)


def test_an_unknown_name_is_refused(monkeypatch):
    monkeypatch.setenv("HIE_KAFKA_BOOTSTRAPP", "x")
    with pytest.raises(HubError, match="HIE_KAFKA_BOOTSTRAPP"):
        read_settings()


def test_a_wrong_value_names_the_setting(monkeypatch):
    monkeypatch.setenv("HIE_BROKERS", "4")
    with pytest.raises(HubError, match="HIE_BROKERS"):
        read_settings()


def test_listening_beyond_loopback_needs_credentials(monkeypatch):
    monkeypatch.setenv("HIE_LISTEN", "0.0.0.0")
    with pytest.raises(HubError, match="HIE_CREDENTIALS"):
        read_settings()


def test_a_certificate_needs_its_key_and_authorities_of_clients_need_a_certificate(monkeypatch):
    monkeypatch.setenv("HIE_TLS_CERTIFICATE", "hub.pem")
    with pytest.raises(HubError, match="HIE_TLS_KEY"):
        read_settings()
    monkeypatch.setenv("HIE_TLS_KEY", "hub.key")
    assert read_settings(tls_client_ca="clients.pem").tls_key is not None
    monkeypatch.delenv("HIE_TLS_CERTIFICATE")
    monkeypatch.delenv("HIE_TLS_KEY")
    with pytest.raises(HubError, match="HIE_TLS_CLIENT_CA"):
        read_settings(tls_client_ca="clients.pem")


@pytest.mark.parametrize("wrong", ["collector:4318", "grpc://collector:4317", "http://", "/v1/traces"])
def test_a_collector_of_traces_is_named_by_its_address(monkeypatch, wrong):
    monkeypatch.setenv("HIE_OTLP_ENDPOINT", wrong)
    with pytest.raises(HubError, match="HIE_OTLP_ENDPOINT: must be http"):
        read_settings()
    monkeypatch.setenv("HIE_OTLP_ENDPOINT", "http://collector:4318")
    assert read_settings().otlp_share == 0.01


def test_a_child_reads_the_same_settings(monkeypatch, tmp_path):
    mine = read_settings(
        data_dir=tmp_path, brokers=3, key_secret="s" * 32, mllp_port=0, expire_hours={"urgent": 2, "hie.Claim": 5}
    )
    for name, value in to_environment(mine).items():
        monkeypatch.setenv(name, value)
    assert read_settings() == mine


def test_what_was_delivered_is_remembered_longer_than_it_is_kept():
    with pytest.raises(HubError, match="HIE_SEEN_DAYS"):
        read_settings(mailbox_days=90, seen_days=90)


@pytest.mark.parametrize("wrong", ["urgent=2", "[1]", '{"urgent": "soon"}', '{"urgent": 0}', '{"urgent": -1}'])
def test_hours_of_expiry_are_a_table_of_positive_numbers(monkeypatch, wrong):
    monkeypatch.setenv("HIE_EXPIRE_HOURS", wrong)
    with pytest.raises(HubError, match="HIE_EXPIRE_HOURS"):
        read_settings()


def test_secrets_are_not_shown():
    shown = repr(read_settings(key_secret="very secret", database_url="postgresql://u:pass@h/d"))
    assert "very secret" not in shown
    assert "pass" not in shown


def test_every_setting_says_what_it_is():
    assert [name for name, row in Settings.model_fields.items() if not (row.description or "").endswith(".")] == []
