"""Services are started, watched and stopped; here each is a tiny program that says it is ready and waits."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from hub.contract.errors import HubError
from hub.contract.settings import read_settings
from hub.services import Services, address, facts_of, gate_metrics, gate_names, gate_ports, say_ready, service_names

WAITS = """
import os, sys, time
from hub.contract.settings import read_settings
from hub.services import say_ready
say_ready(read_settings(data_dir=sys.argv[1]), sys.argv[2], {"mllp_port": 4711})
time.sleep(600)
"""
COUNTS = """
import os, sys
from hub.contract.settings import read_settings
from hub.services import room_for_metrics
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(room_for_metrics(read_settings(data_dir=sys.argv[1])))
from hub.contract import telemetry
telemetry.link_opened(3)
telemetry.receipt_told("SENT", "test")
print(telemetry.metrics().decode())
"""
DIES = "import sys; print('no such thing as luck'); sys.exit(3)"


class Tiny(Services):
    programs: dict[str, str]

    def _process(self, name):
        process = super()._process(name)
        process.argv = [sys.executable, "-c", self.programs[name], str(self.settings.data_dir), name]
        return process


@pytest.fixture
def settings(tmp_path):
    return read_settings(data_dir=tmp_path)


def tiny(settings, **programs):
    said = []
    services = Tiny(settings, list(programs), said.append)
    services.programs = programs
    return services, said


def wait(what, within_s=60):
    deadline = time.monotonic() + within_s
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert what()


def test_they_are_ready_when_start_returns_and_gone_when_stop_does(settings):
    services, _ = tiny(settings, gate=WAITS, journal=WAITS)
    services.start()
    pids = [services.pid(name) for name in ("gate", "journal")]
    assert all(psutil.pid_exists(pid) for pid in pids)
    assert facts_of(settings, "gate")["pid"] == pids[0]
    services.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_one_that_is_killed_is_started_again_and_the_others_stay(settings):
    services, said = tiny(settings, gate=WAITS, journal=WAITS)
    services.start()
    try:
        before, other = services.pid("gate"), services.pid("journal")
        services.kill("gate")
        wait(lambda: services.watch() or (services.pid("gate") != before and services.serves("gate")))
        assert services.pid("journal") == other
        assert "gate ended by itself" in said[0]
    finally:
        services.stop()


def test_one_that_does_not_start_stops_all_and_says_why(settings):
    services, said = tiny(settings, journal=WAITS, gate=DIES)
    with pytest.raises(HubError, match=r"PROCESS_DIED.*gate"):
        services.start()
    assert said == ["gate said last: no such thing as luck"]
    assert not psutil.pid_exists(facts_of(settings, "journal").get("pid", 2**22))


def test_one_that_keeps_dying_is_started_later_and_later(settings):
    services, said = tiny(settings, gate=WAITS)
    services.start()
    try:
        services.programs["gate"] = DIES
        services._running["gate"].process.argv[2] = DIES
        services.kill("gate")
        wait(lambda: services.watch() or len(said) >= 3)
        assert "in 1 s" in said[1]
        assert "in 2 s" in said[2]
    finally:
        services.stop()


def test_an_address_is_what_the_service_said(settings):
    with pytest.raises(HubError, match="hie up"):
        address(settings, "gate", "mllp_port")
    say_ready(settings, "gate", {"mllp_port": 2575})
    assert address(settings, "gate", "mllp_port") == ("127.0.0.1", 2575)
    assert facts_of(settings, "gate")["pid"] == os.getpid()


def test_gates_that_may_choose_their_ports_share_those_of_the_one_that_serves(settings):
    settings = settings.model_copy(update={"gate_workers": 3, "mllp_port": 0})
    assert gate_names(3) == ["gate", "gate-2", "gate-3"]
    assert gate_ports(settings, "gate") == settings
    say_ready(settings, "gate-2", {"mllp_port": 4711, "http_port": 4712})  # as this process, which lives
    shared = gate_ports(settings, "gate")
    assert (shared.mllp_port, shared.http_port) == (4711, settings.http_port)
    assert gate_ports(settings, "gate-2") == settings


def test_who_reads_starts_before_who_writes():
    names = service_names(routing_workers=2)
    assert names[0] == "journal"
    assert names[-2:] == ["gate", "console"]
    assert [name for name in service_names(gate_workers=2) if name != "console"][-2:] == ["gate", "gate-2"]
    assert {"routing-1", "routing-2", "mailbox"} < set(names)
    assert {name for name in names if name.startswith("insurer")} == {"insurer-vss", "insurer-test"}, "others run their own"


def test_the_room_for_shared_metrics_is_taken_at_the_start(tmp_path):
    told = subprocess.run([sys.executable, "-c", COUNTS, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert "hie_mllp_links 3.0" in told
    files = [file.stat() for file in gate_metrics(read_settings(data_dir=tmp_path)).iterdir()]
    assert len(files) == 2
    assert all(file.st_blocks * 512 >= file.st_size > 64 * 1024 for file in files)
