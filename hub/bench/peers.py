"""Rivals on the Java machine, by the scripts of a folder: `hapi/run.sh FILE`, `camel/run.sh PORT BOOTSTRAP TOPIC`.

The folder also holds `sample/oru_r01.hl7`, an ORU^R01 with 14 OBX whose twenty fields HAPI reads. Both need Java 17 and Maven.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from hub.contract.errors import HubError
from hub.contract.kafka import client

_PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"
_READY_S: Final = 300.0  # the first run fetches jars and compiles
_ENDING_S: Final = 15.0  # of a rival that was asked to end; Camel takes up to ten


def check(folder: Path) -> None:
    """Raises: HubError(NOT_FOUND) for a folder without the scripts, or a machine without Java or Maven."""
    for script in ("hapi/run.sh", "camel/run.sh", "sample/oru_r01.hl7"):
        if not (folder / script).is_file():
            raise HubError("NOT_FOUND", f"--peers: {script}")
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise HubError("NOT_FOUND", f"--peers needs {program}")


def hapi_sample(folder: Path) -> Path:
    """The message that HAPI is measured with."""
    return folder / "sample/oru_r01.hl7"


def hapi_rate(folder: Path) -> float:
    """Messages a second of HAPI on one thread: parse without validation, then read twenty fields."""
    command = ["env", "CASES=fields", "ROUNDS=3", str(folder / "hapi/run.sh"), str(hapi_sample(folder))]
    with _program(command, stdout=subprocess.PIPE) as process:
        said, _ = process.communicate(timeout=_READY_S)
    if process.returncode:
        raise HubError("PROCESS_DIED", "hapi")
    return float(json.loads(said)["msgs_s"])


@contextmanager
def _program(command: list[str], stdout: int, stderr: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """A script with all that it starts, in a session of its own: nothing of it is left behind, whatever ends this process."""
    with subprocess.Popen(command, stdout=stdout, stderr=stderr, start_new_session=True) as process:
        try:
            yield process
        finally:
            for how in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, how)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_ENDING_S)
                    break


@contextmanager
def camel(folder: Path, kafka: str, topic: str, transport: str) -> Iterator[tuple[tuple[str, int], psutil.Process]]:
    """Camel's route MLLP → HAPI → JSON → Kafka, acknowledged when Kafka confirmed: where it listens, and its process.

    transport: mllp (a thread a link, loses messages that are pipelined) or netty.
    """
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        place = ("127.0.0.1", int(free.getsockname()[1]))
    with tempfile.NamedTemporaryFile("w", prefix="hie-camel-", suffix=".jaas") as login:  # of mode 0600
        told = client(kafka)
        login.write(
            f'KafkaClient {{ {_PLAIN} required username="{told["sasl.username"]}" password="{told["sasl.password"]}"; }};'
        )
        login.flush()
        settings = ["MODE=json", f"TRANSPORT={transport}", f"JDK_JAVA_OPTIONS=-Djava.security.auth.login.config={login.name}"]
        brokers = f"{told['bootstrap.servers']}&securityProtocol=SASL_PLAINTEXT&saslMechanism=PLAIN"
        command = ["env", *settings, str(folder / "camel/run.sh"), str(place[1]), brokers, topic]
        with _program(command, subprocess.DEVNULL, subprocess.DEVNULL) as process:
            _wait(place, process)
            yield place, psutil.Process(process.pid)  # each program becomes the next one


def _wait(place: tuple[str, int], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(place, timeout=1)):
            return
        time.sleep(0.2)
    raise HubError("PROCESS_DIED", "camel")
