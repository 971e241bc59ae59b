"""Each check of the servers passes on a real stack, and fails on what is really broken in it."""

import json
import os
import signal
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from pydantic import SecretStr

from hub.bus import Wire, apply_topics
from hub.contract.events import now, schema_text
from hub.contract.kafka import client
from hub.contract.settings import Settings
from hub.keep import flow, servers
from hub.keep.doctor import OF_SERVERS, examine, sound
from hub.keep.finding import Examined, Limits
from hub.stack import Stack
from tests.own_database import own_database


@pytest.fixture(scope="module")
def hub(settings: Settings) -> Iterator[Examined]:
    """Servers as `hie prepare` leaves them, with a database of the test's own."""
    apply_topics(settings.kafka, Wire(settings.registry_url))
    with own_database(settings.database_url.get_secret_value()) as url:
        yield Examined(settings.model_copy(update={"database_url": SecretStr(url)}), Limits(), now())


@pytest.mark.parametrize("name", ["broker", "topics", "registry", "schemas", "database", "clock"])
def test_all_is_well(hub: Examined, name: str) -> None:
    found = servers.CHECKS[name](hub)
    assert found.state == "ok", found


def retention(hub: Examined, days: int) -> None:
    row = ConfigEntry("retention.ms", str(days * 86_400_000), incremental_operation=AlterConfigOpType.SET)
    admin = AdminClient(client(hub.settings.kafka))
    for done in admin.incremental_alter_configs(
        [ConfigResource(ResourceType.TOPIC, "claim.v1", incremental_configs=[row])]
    ).values():
        done.result(10)


def test_a_topic_with_another_retention(hub: Examined) -> None:
    retention(hub, 7)
    found = servers.topic_settings(hub)
    apply_topics(hub.settings.kafka, Wire(hub.settings.registry_url))
    assert found.state == "bad" and found.seen == "claim.v1 retention.ms=604800000, not 7776000000"
    assert servers.topic_settings(hub).state == "ok", "what it says to do mends it"


def test_a_subject_that_may_grow_as_it_likes(hub: Examined) -> None:
    httpx.put(
        f"{hub.settings.registry_url}/config/claim.v1-value", json={"compatibility": "NONE"}, trust_env=False
    ).raise_for_status()
    found = servers.registry(hub)
    apply_topics(hub.settings.kafka, Wire(hub.settings.registry_url))
    assert found.state == "bad" and found.seen == "not FULL_TRANSITIVE: claim.v1 NONE"


def test_a_schema_that_is_not_registered(hub: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = servers.schema_text
    monkeypatch.setattr(servers, "schema_text", lambda record: ours("hie.Referral" if record == "hie.Claim" else record))
    found = servers.schemas(hub)
    assert found.state == "bad" and "claim.v1" in found.seen and "referral.v1" not in found.seen.split(", ")


def test_a_schema_that_a_newer_release_registered(hub: Examined) -> None:
    schema = json.loads(schema_text("hie.Claim"))
    schema["fields"].append({"name": "of_the_next_release", "type": "string", "default": ""})
    address = f"{hub.settings.registry_url}/subjects/claim.v1-value"
    told = httpx.post(f"{address}/versions", json={"schema": json.dumps(schema), "schemaType": "AVRO"}, trust_env=False)
    told.raise_for_status()
    newest = httpx.get(f"{address}/versions/latest", trust_env=False).json()["version"]
    found = servers.schemas(hub)
    httpx.delete(f"{address}/versions/{newest}", trust_env=False).raise_for_status()
    assert found.state == "warn" and found.seen == "another release's are newer: claim.v1"
    assert servers.schemas(hub).state == "ok"


def test_a_database_whose_migrations_are_behind_or_were_never_run(hub: Examined) -> None:
    url = hub.settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as link:
        head = link.execute("update alembic_version set version_num = '0001' returning old.version_num").fetchone()
        assert head is not None
        found = servers.database(hub)
        link.execute("update alembic_version set version_num = %s", head)
    assert found.state == "bad" and "migration 0001" in found.seen and head[0] in found.en
    assert servers.database(hub).state == "ok"


def test_a_transaction_that_nobody_ends(hub: Examined) -> None:
    with psycopg.connect(hub.settings.database_url.get_secret_value()) as link:
        link.execute("select 1")
        found = servers.database(Examined(hub.settings, Limits(transaction_warn_s=-1), hub.now))
    assert found.state == "warn" and "pg_stat_activity" in found.en


def test_a_clock_that_differs(hub: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    right = servers.time.time
    for off_s, state in ((0.0, "ok"), (-2.0, "warn"), (60.0, "bad")):
        monkeypatch.setattr(servers.time, "time", lambda off_s=off_s: right() + off_s)
        assert servers.clock(hub).state == state


def test_what_is_behind_and_what_waits(hub: Examined) -> None:
    assert flow.journal(hub).state == "ok"
    assert flow.journal(Examined(hub.settings, Limits(behind_warn=-1), hub.now)).state == "warn"
    assert flow.archive(Examined(hub.settings, Limits(behind_warn=10**9), hub.now)).state == "ok"
    assert flow.archive(Examined(hub.settings, Limits(behind_warn=-1), hub.now)).state == "warn"
    assert flow.waiting(hub).state == "ok"
    assert flow.services(hub).state == "unknown", "these servers were not started by `hie up`"
    with psycopg.connect(hub.settings.database_url.get_secret_value(), autocommit=True) as link:
        link.execute(
            "insert into journal_dead_letter values (gen_random_uuid(), 'routing', 'FACILITY_UNKNOWN', 'claim.v1', 0, 0, now())"
        )
        found = flow.waiting(hub)
        link.execute("delete from journal_dead_letter")
    assert found.state == "warn" and "1 dead letters" in found.seen


def test_servers_that_are_not_there_are_bad_and_the_rest_unknown_within_seconds(hub: Examined) -> None:
    nowhere = {"registry_url": "http://127.0.0.1:1", "database_url": SecretStr("postgresql://hie:secret@127.0.0.1:1/hie")}
    found = {one.id: one for one in examine(hub.settings.model_copy(update=nowhere), hub.now)}
    assert {found[name].state for name in ("registry", "database")} == {"bad"}
    assert {found[name].state for name in ("schemas", "clock", "journal", "waiting")} == {"unknown"}
    assert found["broker"].state == "ok"
    assert not sound(found.values())
    assert "secret" not in str(found)


def test_a_broker_that_stands_still(hub: Examined, stack: Stack) -> None:
    if "kafka-1" not in stack.processes:
        pytest.skip("unverified: the brokers are not this test's")
    pid = stack.processes["kafka-1"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        found = {one.id: one.state for one in examine(hub.settings, hub.now)}
    finally:
        os.kill(pid, signal.SIGCONT)
    assert found["broker"] == "bad"
    assert found["topics"] == "unknown"
    assert found["database"] == "ok"


def test_without_a_hub_only_this_machine_is_looked_at(hub: Examined) -> None:
    off = {"kafka_bootstrap": SecretStr(""), "registry_url": "", "database_url": SecretStr("")}
    found = {one.id: one.state for one in examine(hub.settings.model_copy(update=off), hub.now)}
    assert {found[name] for name in OF_SERVERS} == {"unknown"}
    assert found["time-zone"] == "ok"
