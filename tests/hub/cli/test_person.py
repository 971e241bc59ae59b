"""`hie person`: what an administrator types is in the database, and in the audit topic with its reason; passwords are in neither."""

import json

import pytest
from typer.testing import CliRunner

from hub.bus import Wire, apply_topics, consumer
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


def hie(*arguments, typed=""):
    done = CliRunner().invoke(app, ["person", *arguments], input=typed, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def audited(stack, targets):
    """Actions of the audit topic on these people, in order."""
    wire, found = Wire(stack.registry_url), []
    reader = consumer(stack.kafka_bootstrap, unique("audit-"), ["audit.v1"])
    try:
        for _ in range(60):
            message = reader.poll(1.0)
            if message is not None and not message.error():
                event = wire.unpack(message.value())[1]
                if event["target"].split(" ")[0] in targets:
                    found.append((event["at"], event["action"], event["reason"]))
            if len(found) == 8:
                break
    finally:
        reader.close()
    return [row[1:] for row in sorted(found)]


def test_a_person_comes_changes_and_goes(database, stack):
    name = unique("p").lower().replace("_", "-")
    password = hie("new", name, "--role", "operator", "--reason", "night shift").splitlines()[-1].rsplit(" ", 1)[-1]
    assert len(password) == 20
    hie("password", name, "--password-stdin", "--reason", "forgotten", typed="another long one\n")
    hie("role", name, "--role", "vendor", "--scope", "songhong_his", "--reason", "left")
    (row,) = json.loads(hie("list", "--json"))
    assert (row["name"], row["role"], row["scope"], "password" in row) == (name, "vendor", ["songhong_his"], False)
    hie("identity", name, "--is", "lan@hospital.example", "--reason", "account of the hospital")
    assert "lan@hospital.example" in hie("list")
    hie("identity", name, "--reason", "left the hospital")
    assert "lan@hospital.example" not in hie("list")
    assert "nobody is signed in" in hie("sessions")
    assert "0 sessions" in hie("revoke", name, "--reason", "tablet lost")
    hie("disable", name, "--reason", "gone")
    assert "disabled" in hie("list")
    hie("enable", name, "--reason", "is back")
    assert database.execute("select count(*) from audit_noted").fetchone() == (0,)  # all told
    found = audited(stack, {name})
    assert found == [
        ("person-new", "night shift"),
        ("person-password", "forgotten"),
        ("person-role", "left"),
        ("person-identity", "account of the hospital"),
        ("person-identity", "left the hospital"),
        ("person-revoke", "tablet lost"),
        ("person-disable", "gone"),
        ("person-enable", "is back"),
    ]


def test_a_payer_that_nobody_knows_is_no_scope(database):
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        CliRunner().invoke(
            app, ["person", "new", "xx", "--role", "insurer", "--scope", "nobody", "--reason", "x"], catch_exceptions=False
        )
