"""`hie recipient`: what an operator types is in the row of the recipient, and nothing else is touched."""

import json

import pytest
from typer.testing import CliRunner

from hub.bus import Wire, apply_topics
from hub.cli.main import app
from hub.contract.errors import HubError
from hub.store.database import connect
from tests.made import unique
from tests.own_database import own_database


@pytest.fixture
def database(stack, monkeypatch):
    apply_topics(stack.kafka_bootstrap, Wire(stack.registry_url))
    with own_database(stack.database_url) as url, connect(url, autocommit=True) as connection:
        named = {"KAFKA_BOOTSTRAP": stack.kafka_bootstrap, "REGISTRY_URL": stack.registry_url, "DATABASE_URL": url}
        for name, value in {**named, "KEY_SECRET": "a secret of tests only"}.items():
            monkeypatch.setenv(f"HIE_{name}", value)
        yield connection


def hie(*arguments):
    done = CliRunner().invoke(app, ["recipient", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_a_recipient_is_paused_listed_and_goes_on(database):
    code = unique("C")
    assert "nobody is paused" in hie("list")
    assert f"{code} is paused" in hie("pause", code, "--reason", "wrong system")
    assert "was paused already" in hie("pause", code, "--reason", "again")
    hie("pause", code, "--test", "--reason", "trial ended")
    rows = json.loads(hie("list", "--json"))
    assert [(row["code"], row["paused_reason"], row["waiting"]) for row in rows] == [
        (code, "wrong system", 0),
        (f"{code}!test", "trial ended", 0),
    ]
    assert "wrong system" in hie("list")
    assert "gets its deliveries again" in hie("resume", code, "--reason", "mended")
    assert "was not paused" in hie("resume", code, "--reason", "mended")
    paused = database.execute("select code from recipient where paused_at is not null").fetchall()
    assert paused == [(f"{code}!test",)]


def test_what_is_no_code_is_refused_before_anything_is_asked():
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        CliRunner().invoke(app, ["recipient", "pause", "a code!", "--reason", "x"], catch_exceptions=False)
