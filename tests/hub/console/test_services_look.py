"""Of each service: whether its process lives, and whether it answers; one that was stopped by a signal lives and does not."""

import socket
from contextlib import closing

import pytest

from hub import services
from hub.console.services_look import ServiceNow, services_now
from hub.contract.settings import read_settings
from hub.services import say_ready
from hub.watched import Door


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(services, "ANSWER_S", 0.3)
    return read_settings(data_dir=tmp_path, metrics_port=0)


def test_nothing_is_known_where_nothing_was_started(settings):
    assert services_now(settings) == {}


def test_one_that_answers_one_that_hangs_and_one_that_never_came(settings):
    door = Door(settings)
    with (
        closing(door),
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
    ):  # as the kernel does for a process that is stopped
        say_ready(settings, "journal", {"metrics_port": door.port})
        say_ready(settings, "mailbox", {"metrics_port": silent.getsockname()[1]})
        say_ready(settings, "archive", {})
        seen = services_now(settings)
    assert seen["journal"] == ServiceNow(alive=True, addresses=f"metrics {door.port}")
    assert seen["mailbox"].alive and not seen["mailbox"].answers and not seen["mailbox"].well
    assert seen["archive"].well, "where it told no port nothing is said of its answer"
    assert not seen["gate"].alive and not seen["gate"].well
