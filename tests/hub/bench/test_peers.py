"""The rivals of the bench: how they get the login, and that nothing of them is left behind. Scripts stand in for Java."""

import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hub.bench import peers
from hub.contract.errors import HubError
from hub.contract.kafka import write_address

KAFKA = write_address("127.0.0.1:9", "hub", "a password of tests", "PLAIN")
LISTENS = """
import socket, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", {mark!r}])
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as door:
    while True:
        door.accept()
"""
HOLDS = """
import pathlib, signal, sys, time
from hub.bench import peers
from hub.contract.signals import unwind_on
unwind_on(signal.SIGTERM)
with peers.camel(pathlib.Path(sys.argv[1]), sys.argv[2], "topic", "mllp"):
    print("up", flush=True)
    time.sleep(600)
"""


def of(folder: Path) -> list[psutil.Process]:
    """Processes that name the folder in their command line."""
    return [one for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or ())]


def gone(folder: Path) -> bool:
    deadline = time.monotonic() + 20
    while of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not of(folder)


@pytest.fixture
def rivals(tmp_path: Path) -> Path:
    """A folder of scripts whose Camel listens, and leaves a child behind as a shell leaves Maven."""
    (tmp_path / "camel").mkdir()
    listener = tmp_path / "listens.py"
    listener.write_text(LISTENS.format(mark=str(tmp_path)), "utf-8")
    script = tmp_path / "camel" / "run.sh"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{listener}" "$@"\n', "utf-8")
    script.chmod(0o755)
    return tmp_path


def test_the_login_is_in_a_file_of_the_owner_alone_and_in_no_command_line(rivals: Path) -> None:
    with peers.camel(rivals, KAFKA, "topic", "netty") as (_, process):
        assert [one for one in of(rivals) if "a password of tests" in " ".join(one.cmdline())] == []
        assert "127.0.0.1:9&securityProtocol=SASL_PLAINTEXT&saslMechanism=PLAIN" in process.cmdline()
        environment = process.environ()
        assert environment["TRANSPORT"] == "netty" and "a password of tests" not in str(environment)
        login = Path(environment["JDK_JAVA_OPTIONS"].removeprefix("-Djava.security.auth.login.config="))
        assert stat.S_IMODE(login.stat().st_mode) == 0o600
        assert login.read_text("utf-8") == (
            "KafkaClient { org.apache.kafka.common.security.plain.PlainLoginModule required"
            ' username="hub" password="a password of tests"; };'
        )
    assert not login.exists() and gone(rivals)


def test_sigterm_takes_a_rival_along_with_all_that_it_started(rivals: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(rivals), KAFKA], stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None and bench.stdout.readline() == "up\n"
        assert len(of(rivals)) >= 3
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(30) == 128 + signal.SIGTERM
    assert gone(rivals)


def test_a_rival_that_fails_is_told(rivals: Path) -> None:
    (rivals / "hapi").mkdir()
    script = rivals / "hapi" / "run.sh"
    script.write_text("#!/bin/sh\nexit 3\n", "utf-8")
    script.chmod(0o755)
    with pytest.raises(HubError, match="PROCESS_DIED"):
        peers.hapi_rate(rivals)
    script.write_text('#!/bin/sh\necho "{\\"msgs_s\\": 5000}"\n', "utf-8")
    assert peers.hapi_rate(rivals) == 5000.0
