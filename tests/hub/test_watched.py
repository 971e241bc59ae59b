"""Every service's page for machines that watch, and what is asked for it."""

import socket
import time
from datetime import timedelta

import httpx
import pytest

from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.settings import read_settings
from hub.watched import Door, Watch, certificate_left, room_on_disk
from tests.adapters.inbound.certificates import Authority


@pytest.fixture
def door():
    made = Door(read_settings(metrics_port=0))
    yield made
    made.close()


def ask(door, path, method="GET"):
    return httpx.request(method, f"http://127.0.0.1:{door.port}{path}", timeout=10)


def test_it_tells_metrics_that_it_lives_and_whether_it_serves(door):
    assert (ask(door, "/health").status_code, ask(door, "/ready").status_code) == (200, 503)
    door.say_ready()
    assert ask(door, "/ready").json() == {"status": "ready"}
    told = ask(door, "/metrics?name=hie")
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "hie_faults" in told.text


@pytest.mark.parametrize(("path", "method"), [("/0900000045", "GET"), ("/0900000045", "POST"), ("/metrics", "BREW")])
def test_what_it_does_not_know_is_refused_without_repeating_it(door, path, method, capfd):
    told = ask(door, path, method)
    assert told.status_code >= 400
    assert "0900000045" not in told.text and "BREW" not in told.text
    assert capfd.readouterr().err == ""


def test_services_of_one_machine_take_the_next_free_port_each():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        door = Door(read_settings(metrics_port=first))
        assert door.port > first
        door.close()


def test_an_address_that_is_not_of_this_machine_is_told():
    with pytest.raises(HubError, match=r"PORT_TAKEN.*HIE_METRICS_PORT"):
        Door(read_settings(metrics_listen="192.0.2.1", metrics_port=0))


def test_a_gauge_that_cannot_be_asked_for_is_gone_and_the_fault_counted():
    answers = [{"hie_parked_keys": {("BEHIND",): 3.0}}, HubError("DATABASE_UNAVAILABLE", "query"), ValueError("Trần")]

    def question():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = Watch([question], every_s=3600)
    wait_for(lambda: 'hie_parked_keys{code="BEHIND"} 3.0' in telemetry.metrics().decode())
    watch.ask()
    assert "hie_parked_keys{" not in telemetry.metrics().decode()
    watch.ask()
    watch.close()
    told = telemetry.metrics().decode()
    assert 'hie_faults_total{code="DATABASE_UNAVAILABLE",stage="metrics"}' in told
    assert 'hie_faults_total{code="QUESTION_FAILED",stage="metrics"}' in told


def wait_for(what, within_s=30):
    deadline = time.monotonic() + within_s
    while not what() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert what()


def test_the_disks_of_the_folders_that_are_there_are_told(tmp_path):
    settings = read_settings(data_dir=tmp_path)
    (tmp_path / "ledger").mkdir()
    found = room_on_disk(settings)
    assert set(found["hie_disk_free_bytes"]) == {("data",), ("ledger",)}
    assert 0 < found["hie_disk_free_bytes"]["data",] < found["hie_disk_size_bytes"]["data",]


def test_the_time_until_the_certificate_ends_is_told(tmp_path):
    assert certificate_left(read_settings()) == {}
    paths = Authority(tmp_path, "authority").sign("hub", days=20)
    settings = read_settings(tls_certificate=paths.certificate, tls_key=paths.key)
    [left] = certificate_left(settings)["hie_certificate_expires_seconds"].values()
    assert timedelta(days=19).total_seconds() < left < timedelta(days=20).total_seconds()
    paths.certificate.write_text("none", "utf-8")
    with pytest.raises(HubError, match=r"SETTING_WRONG.*HIE_TLS_CERTIFICATE"):
        certificate_left(settings)
