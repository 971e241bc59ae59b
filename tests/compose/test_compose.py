"""The compose file, without an engine: it parses, its images are the pinned ones, its services are ours, nothing runs as root."""

import tomllib
from pathlib import Path

import pytest

from hub.services import service_names

yaml = pytest.importorskip("yaml", reason="unverified, PyYAML is not installed")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "compose/compose.yaml").read_text("utf-8"))


def test_images_are_the_pinned_versions(compose):
    images = tomllib.loads((ROOT / "hub/versions.toml").read_text("utf-8"))["images"]
    foreign = {service["image"] for service in compose["services"].values()} - {"hie-hub:0.1.0"}
    assert foreign == set(images.values())


def test_every_service_of_the_hub_is_there(compose):
    commands = [service.get("command", []) for service in compose["services"].values()]
    assert {command[2] for command in commands if command[:2] == ["hie", "run"]} == set(service_names(routing_workers=2))


def test_the_hub_runs_without_rights(compose):
    for name, service in compose["services"].items():
        if service["image"].startswith("hie-hub"):
            assert service["user"] == "10001:10001", name
            assert service["read_only"] is True, name


def test_three_brokers_keep_two_confirmed_copies(compose):
    brokers = [service for name, service in compose["services"].items() if name.startswith("kafka")]
    assert len(brokers) == 3
    for broker in brokers:
        assert broker["environment"]["KAFKA_MIN_INSYNC_REPLICAS"] == 2
        assert broker["environment"]["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"
        assert "healthcheck" in broker
