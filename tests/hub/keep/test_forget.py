"""A patient is erased from a whole hub that goes on: whatever is killed in between, the books close, and nothing tells of the person any more."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Message
from typer.testing import CliRunner

from hub.bus import Wire
from hub.cli.demo import COMMUNE, DISTRICT, PROVINCE, sample
from hub.cli.main import app
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.contract.topics import topics
from hub.insurer.totals import totals
from hub.journal import forgetting as of_archive
from hub.journal.archive import Archive
from hub.keep import forget
from hub.keep.flow import erasure
from hub.simulate import KEYRING
from tests.hub.insurer.histories import visit, write
from tests.whole_hub import Hub

SENT = ("01", "02", "03", "04", "10", "11")
NUMBER = "BN4521"  # the patient's, at the district's hospital
VISIT = "01021.261123.045"  # MA_LK there
CASE = (f"{DISTRICT}/{NUMBER}", "--patient", "--reason", "request 12")
TABLES = ("mailbox", "parked", "due", "case_fact", "case_head", "portal_document", "audit_noted", "forgotten")


def hie(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def planned() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hie("forget", *CASE, "--json"))
    return found


def told(hub: Hub) -> list[str]:
    """Where the hub still has it, but in the topics."""
    texts = {table: str(hub.sql(f"select one::text from {table} as one")) for table in TABLES}
    for folder in (hub.settings.archive, hub.settings.ledger):
        texts |= {str(file): str(pl.read_parquet(file).rows()) for file in folder.rglob("*.parquet")}
        # the tables' logs too, with their statistics
        texts |= {str(file): file.read_text("utf-8") for file in folder.rglob("*.json")}
    texts |= {str(file): file.read_text("utf-8", "replace") for file in hub.settings.logs.rglob("*") if file.is_file()}
    return [where for where, text in texts.items() for name in (NUMBER, VISIT) if name in text or name.encode().hex() in text]


def audited(hub: Hub) -> list[dict[str, Any]]:
    wire = Wire(hub.settings.registry_url)
    events = [wire.unpack(one.value())[1] for one in hub.records() if one.topic() == "audit.v1"]
    return sorted((one for one in events if one["action"] == "forget"), key=lambda one: one["at"])


def index(hub: Hub) -> list[Any]:
    """What the books count, of every row."""
    return hub.sql(
        "select event_id::text, topic, partition, record_offset, action, rule from journal_event where record <> 'hie.AuditEvent'"
        " union all select message_id::text, topic, partition, record_offset, verdict, sender from journal_message"
        " union all select delivery_id::text, recipient, 0, 0, rule, record from journal_delivery order by 1, 2, 3, 4"
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_patient_is_erased_and_the_books_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hub(tmp_path / "data", archive_wait_s=0.5) as hub:
        for number in SENT:
            assert hub.town.send(sample(number).read_bytes())["ack"] == "AA"
        hub.wait(
            lambda: all(any(row["record"] == "hie.ClaimDecision" for row in hub.town.inbox(one)) for one in (DISTRICT, COMMUNE)),
            300,
        )
        assert hub.settled().close
        hub.wait(lambda: planned()["archive"].get("payer.vss.claim.v1", 0) > 0)
        hie("ledger", "readjudicate", "2026-11", "--name", "beside")
        plan, rows, money = planned(), index(hub), totals(hub.settings.ledger)
        assert (
            plan["tables"]["mailbox"]
            and plan["tables"]["waiting"]
            and plan["tables"]["case_fact"]
            and plan["ledgers"]["vss"]["claims"] == 1
        )
        assert told(hub) and planned() == plan, "a look changes nothing"

        # A day of a legal hold refuses it, and nothing has changed.
        hie("hold", "add", "tand-1", "--from", plan["last_day"], "--reason", "request of the court")
        with pytest.raises(HubError, match="LEGAL_HOLD"):
            CliRunner().invoke(app, ["forget", *CASE, "--yes"], catch_exceptions=False)
        assert planned() == plan and not audited(hub)
        hie("hold", "end", "tand-1", "--reason", "closed")

        # Killed between any two of its steps, it is finished by the next.
        for place, name in (
            (forget, "_close_letters"),
            (forget.of_ledger, "erase"),
            (of_archive, "empty"),
            (forget.forgotten, "finish"),
        ):
            with monkeypatch.context() as broken:
                broken.setattr(place, name, killed)
                with pytest.raises(Killed):
                    CliRunner().invoke(app, ["forget", *CASE, "--yes"], catch_exceptions=False)
            assert erasure(examined(hub)).state == "bad"
        hie("forget", "--finish", "--yes")
        assert erasure(examined(hub)).state == "ok" and "request 12" in hie("forget")
        assert not told(hub)

        # As if ledger and archive had been lost since, and made anew of the topics.
        hub.sql("update forgotten set done_at = '2020-01-01' returning key")
        assert erasure(examined(hub)).state == "bad"
        hie("forget", "--finish", "--yes")
        assert erasure(examined(hub)).state == "ok"

        # Books and money are as they were, the archive is whole, and the case is found by nobody.
        assert hub.settled().close
        assert index(hub) == rows and totals(hub.settings.ledger) == money
        assert CliRunner().invoke(app, ["archive", "verify"]).exit_code == 0
        with pytest.raises(HubError, match="NOT_FOUND"):
            CliRunner().invoke(app, ["trace", f"{DISTRICT}/{NUMBER}"], catch_exceptions=False)
        assert not [one for one in (PROVINCE, DISTRICT, COMMUNE) if NUMBER in str(hub.town.inbox(one))]

        # Replays and rebuilds, which read topics that still have it, leave it out.
        before = hub.sizes()
        hie("replay", "--facility", DISTRICT, "--since", plan["first_day"], "--reason", "a test")
        hub.wait(lambda: any(one for one in hub.sql("select 1 from journal_event where action = 'replay'")))
        assert hub.settled().close and hub.sizes() == before
        hie("journal", "rebuild")
        assert hub.settled().close
        assert index(hub) == rows and not told(hub)
        assert hub.sql(f"select count(*) from journal_event where key = any('{{{','.join(plan['keys'])}}}')") == [(0,)]

        # The audit says that it was asked for and done, with hashed keys; done again, nothing is left.
        events = audited(hub)
        assert {one["outcome"] for one in events} == {"asked", "done"} and events[-1]["outcome"] == "done"
        assert all(NUMBER not in str(one) and plan["keys"][0] in one["target"] for one in events)
        assert "không còn gì" in hie("forget", *CASE, "--yes") and len(audited(hub)) == len(events)

        # What is stated anew is kept, and is erased anew.
        assert hub.town.send(sample("01").read_bytes().replace(b"20261123073000||ADT", b"20261124073000||ADT"))["ack"] == "AA"
        assert hub.settled().close
        hub.wait(lambda: bool(planned()["archive"].get("encounter.v1")))
        hie("forget", *CASE, "--yes")
        assert not told(hub) and hub.settled().close


@pytest.fixture
def half_archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two events of a topic of which the archive has one; a third is gone by the topic's time."""
    monkeypatch.setattr(forget, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(forget, "_LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(forget, "topic_ids", lambda _kafka: IDS)
    monkeypatch.setattr(
        forget, "ends", lambda _kafka, topics: {(topic, 0): (1, 3 if topic == "encounter.v1" else 1) for topic in topics}
    )
    monkeypatch.setattr(of_archive, "keys_of_patient", lambda *_asked: {"of the archive"})
    settings = Settings(data_dir=tmp_path)
    Archive.made(settings.archive).append([archived(1)], IDS, {})
    return settings


IDS = {name: f"id of {name}" for name in topics()}


def archived(offset: int) -> Message:
    return Message(topic="encounter.v1", partition=0, offset=offset, key=b"k", value=b"v", timestamp=(1, 1_795_000_000_000))


def test_a_patients_cases_are_told_once_the_archive_has_all_that_topics_have(half_archived: Settings) -> None:
    def asked() -> set[str]:
        return forget.keys_of_patient(half_archived, Wire("mock://registry"), DISTRICT, NUMBER)

    with pytest.raises(HubError, match="STILL_UNDER_WAY") as refused:
        asked()
    assert refused.value.where == "archive: encounter.v1"
    Archive.made(half_archived.archive).append([archived(2)], IDS, {})
    assert asked() == {"of the archive"}


def test_a_patients_claims_that_are_older_than_the_archive_are_those_of_the_ledger(half_archived: Settings) -> None:
    write(half_archived.ledger, [visit("A", ma_bn=NUMBER, facility=DISTRICT)])
    Archive.made(half_archived.archive).append([archived(2)], IDS, {})
    keys = forget.keys_of_patient(half_archived, Wire("mock://registry"), DISTRICT, NUMBER)
    assert keys == {"of the archive", KEYRING.key(DISTRICT, "A", test=False)}


def test_what_was_erased_before_a_ledger_or_the_archive_was_made_is_to_be_erased_again(
    half_archived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime | None] = []
    monkeypatch.setattr(forget.forgotten, "unfinished", lambda _database, before: asked.append(before))
    forget.unfinished(half_archived, None)  # type: ignore[arg-type]  # nobody asks it
    between = datetime.now(UTC)
    write(half_archived.ledger, [visit("A")])
    forget.unfinished(half_archived, None)  # type: ignore[arg-type]
    of_archive_made, of_ledger_made = asked
    assert of_archive_made and of_ledger_made and of_archive_made <= between <= of_ledger_made + timedelta(milliseconds=1)


class Killed(BaseException):  # nothing catches it, as nothing catches a kill
    """The process is gone."""


def killed(*_given: object, **_more: object) -> None:
    raise Killed


def examined(hub: Hub) -> Any:
    class Examined:
        settings = hub.settings

    return Examined()
