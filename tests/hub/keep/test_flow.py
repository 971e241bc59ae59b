"""Services of a hub whose processes are the test's own: alive, dead, starting, started again."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub import services
from hub.contract.settings import Settings, read_settings
from hub.keep import flow
from hub.keep.finding import Examined, Limits
from hub.services import ready_file, service_names
from hub.stack import standing_still

HOURS = 3


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Settings]:
    """A data folder that is held as a running hub holds it, started hours ago; every service is said to be this process."""
    settings = read_settings(data_dir=tmp_path)
    (tmp_path / "stack.json").write_text(json.dumps({"kafka_bootstrap": "", "registry_url": "", "database_url": ""}))
    for name in service_names():
        said(settings, name, os.getpid())
    with standing_still(settings):
        yield settings


def said(settings: Settings, name: str, pid: int) -> None:
    ready_file(settings, name).parent.mkdir(exist_ok=True)
    ready_file(settings, name).write_text(json.dumps({"pid": pid}))


def started(settings: Settings, ago_s: float) -> None:
    at = time.time() - ago_s
    os.utime(settings.data_dir / "stack.json", (at, at))


def look(settings: Settings, **limits: float) -> tuple[str, str]:
    found = flow.services(Examined(settings, Limits(**limits), datetime.now(UTC)))  # type: ignore[arg-type]
    return found.state, found.seen


def test_all_run(hub: Settings) -> None:
    started(hub, 0)
    state, seen = look(hub)
    assert state == "ok" and seen.startswith(f"{len(service_names())} run, since ")


def test_one_that_runs_and_does_not_answer(hub: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "ANSWER_S", 0.3)
    started(hub, timedelta(hours=HOURS).total_seconds())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ready_file(hub, "mailbox").write_text(json.dumps({"pid": os.getpid(), "metrics_port": silent.getsockname()[1]}))
        assert look(hub) == ("bad", "no answer of mailbox")


def test_one_that_is_gone(hub: Settings) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    said(hub, "mailbox", gone.pid)
    started(hub, timedelta(hours=HOURS).total_seconds())
    assert look(hub) == ("bad", "not running: mailbox")
    started(hub, 10)
    assert look(hub) == ("warn", "the hub is starting; not there yet: mailbox")


def test_one_that_was_started_again(hub: Settings) -> None:
    started(hub, timedelta(hours=HOURS).total_seconds())
    state, seen = look(hub, restarted_warn_s=10**9)
    assert state == "warn" and "gate" in seen
    assert look(hub, restarted_warn_s=0)[0] == "ok", "long ago by now"


def test_without_a_hub_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert look(read_settings(data_dir=tmp_path))[0] == "unknown"
