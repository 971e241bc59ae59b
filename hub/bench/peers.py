"""Rivals on the Java machine, by the scripts of a folder: `hapi/run.sh FILE`, `camel/run.sh PORT BOOTSTRAP TOPIC`.

The folder also holds `sample/oru_r01.hl7`, an ORU^R01 with 14 OBX whose twenty fields HAPI reads. Both need Java 17 and Maven.
"""

import json
import shutil
import socket
import subprocess
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
    ran = subprocess.run(
        ["env", "CASES=fields", "ROUNDS=3", str(folder / "hapi/run.sh"), str(hapi_sample(folder))],
        stdout=subprocess.PIPE,
        check=True,
        timeout=_READY_S,
    )
    return float(json.loads(ran.stdout)["msgs_s"])


@contextmanager
def camel(folder: Path, kafka: str, topic: str, transport: str) -> Iterator[tuple[tuple[str, int], psutil.Process]]:
    """Camel's route MLLP → HAPI → JSON → Kafka, acknowledged when Kafka confirmed: where it listens, and its process.

    transport: mllp (a thread a link, loses messages that are pipelined) or netty.
    """
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        place = ("127.0.0.1", int(free.getsockname()[1]))
    command = [
        "env",
        "MODE=json",
        f"TRANSPORT={transport}",
        str(folder / "camel/run.sh"),
        str(place[1]),
        _in_address(kafka),
        topic,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(place, process)
            yield place, psutil.Process(process.pid)  # each program becomes the next one
        finally:
            process.terminate()


def _in_address(kafka: str) -> str:
    """The brokers, and the login as the further options of the address that Camel makes of it."""
    told = client(kafka)
    login = f'{_PLAIN} required username="{told["sasl.username"]}" password="{told["sasl.password"]}";'
    return f"{told['bootstrap.servers']}&securityProtocol=SASL_PLAINTEXT&saslMechanism=PLAIN&saslJaasConfig=RAW({login})"


def _wait(place: tuple[str, int], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(place, timeout=1)):
            return
        time.sleep(0.2)
    raise HubError("PROCESS_DIED", "camel")
