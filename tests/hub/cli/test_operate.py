"""An operator's commands, before any server is asked."""

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.contract.errors import HubError


def test_a_replay_goes_no_further_back_than_deliveries_are_remembered(monkeypatch):
    for name in ("KAFKA_BOOTSTRAP", "REGISTRY_URL", "DATABASE_URL"):
        monkeypatch.setenv(f"HIE_{name}", "nowhere:9")
    monkeypatch.setenv("HIE_KEY_SECRET", "a secret of tests only")
    with pytest.raises(HubError, match="REQUEST_WRONG") as raised:
        CliRunner().invoke(app, ["replay", "--since", "2020-01-01", "--reason", "x"], catch_exceptions=False)
    assert "HIE_SEEN_DAYS" in raised.value.where
