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
    secrets = {"key_secret": "very secret", "database_url": "postgresql://u:hidden@h/d", "oidc_client_secret": "of a client"}
    shown = repr(read_settings(**secrets))
    assert not [word for word in ("very secret", "hidden", "of a client") if word in shown]


PROVIDER = {"oidc_issuer": "https://id.example/realms/hospital", "oidc_client_id": "hie", "console_url": "https://hub.example"}


def test_people_may_come_by_a_provider_alone():
    mine = read_settings(**PROVIDER, console_passwords=False)
    assert (mine.oidc_claim, mine.console_passwords) == ("preferred_username", False)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"oidc_client_id": ""}, "go together"),
        ({"oidc_issuer": "", "console_url": ""}, "go together"),
        ({"oidc_issuer": "http://id.example"}, "HIE_OIDC_ISSUER must be https"),
        ({"oidc_issuer": "https://id.example?realm=hospital"}, "HIE_OIDC_ISSUER must be https"),
        ({"oidc_issuer": "https://[id.example"}, "HIE_OIDC_ISSUER must be https"),
        ({"console_url": ""}, "HIE_CONSOLE_URL must be https"),
        ({"console_url": "http://hub.example"}, "HIE_CONSOLE_URL must be https"),
        ({"oidc_claim": "name"}, "OIDC_CLAIM"),
    ],
)
def test_a_provider_is_named_whole_and_asked_in_private(wrong, said):
    with pytest.raises(HubError, match=said):
        read_settings(**{**PROVIDER, **wrong})


def test_nobody_is_left_without_a_way_in():
    with pytest.raises(HubError, match="HIE_CONSOLE_PASSWORDS may be off only with HIE_OIDC_ISSUER"):
        read_settings(console_passwords=False)


def test_every_setting_says_what_it_is():
    assert [name for name, row in Settings.model_fields.items() if not (row.description or "").endswith(".")] == []
