"""The compose file, without an engine: it parses, its images are the pinned ones, its services are ours and know their settings, nothing runs as root."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from hub.contract.settings import read_settings
from hub.services import service_names

yaml = pytest.importorskip("yaml", reason="unverified, PyYAML is not installed")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "compose/compose.yaml").read_text("utf-8"))


def test_images_are_the_pinned_versions(compose):
    images = tomllib.loads((ROOT / "hub/versions.toml").read_text("utf-8"))["images"]
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    foreign = {service["image"] for service in compose["services"].values()} - {f"hie-hub:{release}"}
    assert foreign == set(images.values())


def test_every_service_of_the_hub_is_there(compose):
    commands = [service.get("command", []) for service in compose["services"].values()]
    named = {command[2] for command in commands if command[:2] == ["hie", "run"]}
    assert named == {*service_names(routing_workers=2), "console"}


def settings_of(service, monkeypatch):
    for name in [name for name in os.environ if name.startswith("HIE_")]:
        monkeypatch.delenv(name)
    for name, value in service["environment"].items():
        default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        monkeypatch.setenv(name, re.sub(r"\$\{[^}]*\}", "a-secret-of-some-length", default))
    return read_settings()


def test_each_service_of_the_hub_understands_its_settings(compose, monkeypatch):
    for service in compose["services"].values():
        if service["image"].startswith("hie-hub"):
            with monkeypatch.context() as here:
                settings_of(service, here)


def test_traces_are_made_only_for_who_names_a_collector(compose, monkeypatch):
    journal = compose["services"]["journal"]
    assert settings_of(journal, monkeypatch).otlp_endpoint == ""
    named = {
        name: value.replace("HIE_OTLP_ENDPOINT:-", "HIE_OTLP_ENDPOINT:-http://collector:4318")
        for name, value in journal["environment"].items()
    }
    assert settings_of({"environment": named}, monkeypatch).otlp_endpoint == "http://collector:4318"


def test_what_the_gate_opens_is_what_is_published(compose, monkeypatch):
    """Plain HTTP stays inside: a token travels over TLS, or on one machine."""
    gate = compose["services"]["gate"]
    settings = settings_of(gate, monkeypatch)
    assert settings.tls_certificate is not None
    published = {int(port.split(":")[1]) for port in gate["ports"]}
    assert published == {settings.mllp_port, settings.mllps_port, settings.https_port}
    mounted = {mount.split(":")[1] for mount in gate["volumes"]}
    assert {str(settings.credentials), str(settings.tls_certificate.parent), str(settings.data_dir)} == mounted


def test_the_hub_runs_without_rights(compose):
    for name, service in compose["services"].items():
        if service["image"].startswith("hie-hub"):
            assert service["user"] == "10001:10001", name
            assert service["read_only"] is True, name


def test_each_container_is_looked_at_and_limited_and_is_not_root(compose):
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["cpus"] > 0, name
        assert re.fullmatch(r".+:v?\d[\d.]*", service["image"]), f"{name}: a tag that never changes"
        if service["restart"] == "no":
            assert service["healthcheck"] == {"disable": True}, "it ends by itself"
        else:
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
            assert {"interval", "timeout", "retries"} <= set(service["healthcheck"]), name


def test_the_hub_is_asked_at_the_port_of_its_metrics_which_nobody_outside_reaches(compose, monkeypatch):
    for name, service in compose["services"].items():
        if service["image"].startswith("hie-hub") and service["restart"] != "no":
            with monkeypatch.context() as here:
                settings = settings_of(service, here)
            assert settings.metrics_listen == "0.0.0.0", name
            assert f"http://127.0.0.1:{settings.metrics_port}/ready" in service["healthcheck"]["test"][-1], name
        assert not any("9464" in port for port in service.get("ports", ())), name


def test_what_has_no_login_of_the_hub_listens_on_the_machine_only(compose):
    for name in ("prometheus", "grafana"):
        assert all(port.startswith("127.0.0.1:") for port in compose["services"][name]["ports"]), name


def test_three_brokers_keep_two_confirmed_copies(compose):
    brokers = [service for name, service in compose["services"].items() if name.startswith("kafka")]
    assert len(brokers) == 3
    for broker in brokers:
        assert broker["environment"]["KAFKA_MIN_INSYNC_REPLICAS"] == 2
        assert broker["environment"]["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"
        assert "healthcheck" in broker
