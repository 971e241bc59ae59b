"""The gate's process: signals, and brokers that go away and come back."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from pydantic import SecretStr

from adapters.formats.mllp import encode
from adapters.inbound.gate import MESSAGES
from hub import stack as hub_stack
from hub.bus import Wire, apply_topics
from hub.contract.errors import HubError
from hub.contract.settings import read_settings, to_environment
from hub.services import Services, address, gate_names
from hub.store.database import migrate
from tests.adapters.inbound.certificates import Authority
from tests.adapters.inbound.conftest import SECRET, Border, Link, msa, oru, running

PROGRAM = """
import asyncio, json, sys
from adapters.inbound.service import run
from hub.contract import telemetry
from hub.contract.settings import read_settings

telemetry.configure("warning")
asyncio.run(run(read_settings(), lambda ports: print(json.dumps(ports), flush=True)))
"""


def test_without_a_key_secret_it_does_not_start(settings):
    with pytest.raises(HubError, match="SETTING_WRONG"), running(settings):
        pass


@pytest.fixture
def process(prepared, tmp_path):
    """The gate in a process of its own; read its ports from the first line."""
    environment = {
        **os.environ,
        "HIE_DATA_DIR": str(tmp_path),
        "HIE_KAFKA_BOOTSTRAP": prepared.kafka,
        "HIE_REGISTRY_URL": prepared.registry_url,
        "HIE_DATABASE_URL": prepared.database_url.get_secret_value(),
        "HIE_KEY_SECRET": SECRET,
        "HIE_MLLP_PORT": "0",
        "HIE_HTTP_PORT": "0",
    }
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True) as child:
        yield child
        child.kill()


def test_sigterm_finishes_what_is_under_way_and_ends_with_0(process, prepared):
    import orjson

    ports = orjson.loads(process.stdout.readline())
    border = Border(prepared, ports["mllp_port"], ports["http_port"])
    with border.new_records(MESSAGES) as read, border.link() as link:
        assert msa(link.ask(oru("TERM"))) == ("AA", "TERM")
        ids = [f"TERM{number}" for number in range(2000)]
        with ThreadPoolExecutor(1) as beside:
            writing = beside.submit(_write_all, link, b"".join(encode(oru(control_id)) for control_id in ids))
            acked = [msa(link.ack())]
            process.send_signal(signal.SIGTERM)
            while ack := link.ack():
                acked.append(msa(ack))
            link.close()
            writing.result()
        assert process.wait(60) == 0
        assert acked == [("AA", control_id) for control_id in ids[: len(acked)]]  # in order, without a gap
        held = {event["control_id"] for _, event in read()}
        assert {control_id for _, control_id in acked} <= held


def _write_all(link, data):
    try:
        link.write(data)
    except OSError:  # the hub closed the link before it took all
        return


def test_sigkill_loses_nothing_that_was_acknowledged(process, prepared):
    import orjson

    ports = orjson.loads(process.stdout.readline())
    border = Border(prepared, ports["mllp_port"], ports["http_port"])
    with border.new_records(MESSAGES, "lab-result.v1") as read, border.link() as link:
        ids = [f"KILL{number}" for number in range(500)]
        with ThreadPoolExecutor(1) as beside:
            writing = beside.submit(_write_all, link, b"".join(encode(oru(control_id)) for control_id in ids))
            acked = [msa(link.ack()) for _ in range(100)]
            process.kill()
            while ack := link.ack():
                acked.append(msa(ack))
            link.close()
            writing.result()
        records = read()
        made = {event["meta"]["event_id"] for topic, event in records if topic == "lab-result.v1"}
        held = {event["control_id"]: event for topic, event in records if topic == MESSAGES}
        for code, control_id in acked:
            assert code == "AA" and {one["event_id"] for one in held[control_id]["events"]} <= made


def test_with_a_certificate_and_a_folder_every_door_is_open(prepared, tmp_path):
    authority, drop = Authority(tmp_path, "authority"), tmp_path / "drop"
    pair = authority.sign("server")
    drop.mkdir()
    doors = {"tls_certificate": pair.certificate, "tls_key": pair.key, "mllps_port": 0, "https_port": 0, "drop_dir": drop}
    settings = prepared.model_copy(update={"data_dir": tmp_path, "drop_settle_s": 0.05, **doors})
    with running(settings) as border, border.new_records(MESSAGES, "lab-result.v1") as read:
        plain = socket.create_connection(("127.0.0.1", border.ports["mllps_port"]), timeout=60)
        with authority.client().wrap_socket(plain, server_hostname="localhost") as link:
            link.sendall(encode(oru("BY-TLS")))
            assert msa(link.recv(65536).decode()[1:-2]) == ("AA", "BY-TLS")
        with httpx.Client(verify=authority.client(), timeout=60) as client:
            url = f"https://localhost:{border.ports['https_port']}/v1/messages"
            assert client.post(url, content=oru("BY-HTTPS-1") + oru("BY-HTTPS-2")).status_code == 207
        (drop / "file.hl7").write_bytes(oru("BY-FILE"))
        deadline = time.monotonic() + 60
        while not (drop / "done/file.hl7.ack").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        records = read()
        held = {event["control_id"]: event for topic, event in records if topic == MESSAGES}
        made = {event["meta"]["event_id"] for topic, event in records if topic == "lab-result.v1"}
        assert {"BY-TLS": "mllp", "BY-HTTPS-1": "http", "BY-HTTPS-2": "http", "BY-FILE": "folder"}.items() <= {
            control_id: event["transport"] for control_id, event in held.items()
        }.items()
        assert {one["event_id"] for event in held.values() for one in event["events"]} <= made


@pytest.fixture
def pair(prepared, tmp_path, monkeypatch):
    """Two gate processes that share ports which the first one chose."""
    changes = {"data_dir": tmp_path, "gate_workers": 2, "mllp_port": 0, "http_port": 0}
    settings = prepared.model_copy(update=changes)
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    services = Services(settings, gate_names(2), lambda _line: None)
    services.start()
    yield services
    services.stop()


def test_of_two_gates_on_one_port_either_may_die_and_the_other_serves(pair):
    settings = pair.settings
    port = address(settings, "gate", "mllp_port")[1]
    assert address(settings, "gate-2", "mllp_port")[1] == port
    with ExitStack() as open_links:
        links = [open_links.enter_context(Link(port)) for _ in range(40)]  # all at one gate: one case in 2**39
        acked = sum(msa(link.ask(oru("PAIR"))) == ("AA", "PAIR") for link in links)
        assert acked == 40
        pair.kill("gate")
        left = sum(_answered(link) for link in links)
        assert 0 < left < 40
        with Link(port) as link:
            assert msa(link.ask(oru("NEW"))) == ("AA", "NEW")
    while not pair.serves("gate"):
        pair.watch()
        time.sleep(0.05)
    assert address(settings, "gate", "mllp_port")[1] == port
    told = httpx.get("http://{}:{}/metrics".format(*address(settings, "gate", "http_port"))).text
    counted = [line for line in told.splitlines() if line.startswith("hie_messages_received_total")]
    assert [float(line.split()[-1]) for line in counted] == [acked + left + 1]  # of both, and of the one that died


def _answered(link):
    try:
        return msa(link.ask(oru("LEFT"))) == ("AA", "LEFT")
    except (OSError, HubError):
        return False


@pytest.fixture(scope="module")
def fragile(tmp_path_factory):
    """A stack of this test, whose broker may be stopped."""
    own = read_settings(
        data_dir=tmp_path_factory.mktemp("fragile"),
        kafka_bootstrap="",
        registry_url="",
        database_url="",
        kafka_port=0,
        registry_port=0,
        database_port=0,
        mllp_port=0,
        http_port=0,
        ack_wait_s=3.0,
        key_secret=SecretStr(SECRET),
    )
    with hub_stack.start(own, lambda _line: None) as stack:
        secret = {name: SecretStr(getattr(stack, name)) for name in ("kafka_bootstrap", "database_url")}
        settings = own.model_copy(update={**secret, "registry_url": stack.registry_url})
        apply_topics(stack.kafka_bootstrap, Wire(stack.registry_url))
        migrate(stack.database_url)
        yield stack, settings


def test_a_stopped_broker_means_silence_then_everything_goes_on_without_a_restart(fragile):
    stack, settings = fragile
    with running(settings) as border, border.link() as link:
        url = f"http://127.0.0.1:{border.http_port}"
        assert msa(link.ask(oru("UP"))) == ("AA", "UP")
        stack.kill("kafka-1")

        link.write(encode(oru("DOWN1")) + encode(oru("DOWN2")))
        assert link.ack() == ""  # neither AA nor AE: the link is closed after `ack_wait_s`
        answer = httpx.post(f"{url}/v1/messages", content=oru("DOWN3"), timeout=60)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert httpx.get(f"{url}/ready", timeout=60).status_code == 503
        assert httpx.get(f"{url}/health").status_code == 200
        with border.link() as late:
            assert late.ask(oru("DOWN4")) == ""

        stack.restart("kafka-1")
        assert _asked_again(border, oru("BACK")) == ("AA", "BACK")
        with border.new_records(MESSAGES) as read:
            assert httpx.post(f"{url}/v1/messages", content=oru("BACK2"), timeout=60).status_code == 200
            assert border.received("BACK2", read)["verdict"] == "translated"


def _asked_again(border: Border, body: bytes, limit_s: float = 120.0) -> tuple[str, str]:
    """What a sender does: connect and send again until it is answered."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        with Link(border.mllp_port) as link:
            if ack := link.ask(body):
                return msa(ack)
    return "", ""
