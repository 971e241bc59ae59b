"""The drill: a hub works, is backed up, its data folder is destroyed, and a hub on what was restored goes on where the other ended."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.cli.demo import COMMUNE, DISTRICT, PROVINCE, sample
from hub.cli.main import app
from hub.contract.errors import HubError
from hub.journal.trace import trace
from hub.keep.backup import backup, restore
from hub.store.database import connect
from tests.whole_hub import Hub, ledger_rows

pytestmark = pytest.mark.slow

SENT = ("01", "02", "03", "04", "10", "11", "12")


def stories(hub: Hub) -> dict[str, dict[str, Any]]:
    """Every message's whole story, as `hie trace` tells it."""
    ids = [one for (one,) in hub.sql("select message_id from journal_message order by 1")]
    with connect(hub.settings.database_url.get_secret_value()) as database:
        return {str(one): trace(database, str(one)).as_dict() for one in ids}


def waiting(hub: Hub) -> dict[str, list[str]]:
    return {one: [row["delivery_id"] for row in hub.town.inbox(one)] for one in (PROVINCE, DISTRICT, COMMUNE)}


def decided(hub: Hub) -> bool:
    """Whether each of the three has the decision on its claim."""
    return all(any(row["record"] == "hie.ClaimDecision" for row in hub.town.inbox(one)) for one in (PROVINCE, DISTRICT, COMMUNE))


def at_rest(hub: Hub) -> dict[str, dict[str, Any]]:
    """The stories, once none goes on; the books close then."""
    told: dict[str, dict[str, Any]] = {}
    while True:
        books, before = hub.settled(), told
        assert books.close, books.text()
        if (told := stories(hub)) == before:
            return told


def test_a_hub_that_was_destroyed_goes_on_from_its_backup(tmp_path: Path) -> None:
    data, home = tmp_path / "data", tmp_path / "backups"
    messages = [sample(number).read_bytes() for number in SENT]
    with Hub(data, archive_wait_s=0.5) as hub:
        asked = hub._asked
        for raw in messages:
            assert hub.town.send(raw)["ack"] == "AA"
        hub.wait(lambda: decided(hub), 300)
        waits = waiting(hub)
        told, sizes, ledger = at_rest(hub), hub.sizes(), ledger_rows(hub.settings, "claims")
        with pytest.raises(HubError, match="ALREADY_RUNNING"):
            backup(asked, home, datetime.now(UTC), print)
    assert len(told) == len(SENT) and waits[PROVINCE] and ledger.height == 3

    kept = backup(asked, home, datetime.now(UTC), print)
    shutil.rmtree(data)
    restore(asked, kept, print)

    with Hub(data, archive_wait_s=0.5) as hub:
        assert at_rest(hub) == told
        assert waiting(hub) == waits
        assert ledger_rows(hub.settings, "claims").sort("event_id").equals(ledger.sort("event_id"))
        for raw in messages:
            assert hub.town.send(raw)["ack"] == "AA"
        again = sizes | {"messages": sizes["messages"] + len(SENT)}
        hub.wait(lambda: hub.sizes()["messages"] == again["messages"])
        assert hub.settled().close
        assert hub.sizes() == again, "a resend has no effect twice, after a restore too"
        assert CliRunner().invoke(app, ["archive", "verify"]).exit_code == 0
