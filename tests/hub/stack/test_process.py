"""Processes end when they should: when asked, when they refuse, when the hub is killed; and not before."""

import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

psutil = pytest.importorskip("psutil", reason="unverified: the extra `local` is not installed")

from hub.contract.errors import HubError  # noqa: E402
from hub.stack.process import Process, Spawner, end_remembered, remember  # noqa: E402

SLEEPS = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
FAMILY = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"

Make = Callable[..., Process]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes processes that run a line of Python; what a test leaves is ended."""
    spawner = Spawner()

    def of(code: str, **rest: object) -> Process:
        return Process("server", [sys.executable, "-c", code], tmp_path / "server.log", spawner, **rest)  # type: ignore[arg-type]

    yield of
    spawner.close()
    spawner.end()


def gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(30)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def printed(process: Process, word: str) -> Callable[[], bool]:
    return lambda: process.log.exists() and word in process.log.read_text()


def test_it_is_asked_to_end_and_ends(make: Make) -> None:
    process = make(SLEEPS)
    process.spawn()
    assert process.running()
    process.stop()
    assert not process.running()
    process.stop()  # twice is once


def test_the_pid_is_that_of_the_server_itself(make: Make) -> None:
    process = make("import os; print('pid', os.getpid(), flush=True); " + SLEEPS)
    process.spawn()
    process.ready = printed(process, f"pid {process.pid}\n")
    process.wait_ready()
    process.stop()


def test_one_that_does_not_listen_is_killed_at_its_limit(make: Make) -> None:
    process = make(DEAF, stop_limit_s=0.2)
    process.ready = printed(process, "deaf")
    process.spawn()
    process.wait_ready()
    process.stop()
    assert not process.running()


def test_one_that_was_stopped_by_a_signal_still_ends(make: Make) -> None:
    process = make(SLEEPS)
    process.spawn()
    os.kill(process.pid, signal.SIGSTOP)
    process.stop()
    assert not process.running()


def test_killing_it_takes_its_children_along(make: Make) -> None:
    process = make(FAMILY)
    process.spawn()
    process.ready = lambda: len(psutil.Process(process.pid).children()) == 1
    process.wait_ready()
    child = psutil.Process(process.pid).children()[0].pid
    process.kill()
    assert gone(child)


def test_it_outlives_the_thread_that_asked_for_it(make: Make) -> None:
    process = make("import time; print('up', flush=True); time.sleep(600)")
    asking = threading.Thread(target=process.spawn)
    asking.start()
    asking.join()
    process.ready = printed(process, "up")
    process.wait_ready()
    assert process.running()
    process.stop()


def test_a_terminal_interrupt_does_not_reach_it(make: Make) -> None:
    process = make(SLEEPS)
    process.spawn()
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    process.stop()


def test_one_that_ends_by_itself_is_an_error_with_its_name(make: Make) -> None:
    process = make("raise SystemExit(3)", ready=lambda: False)
    process.spawn()
    with pytest.raises(HubError) as died:
        process.wait_ready()
    assert (died.value.code, died.value.where) == ("PROCESS_DIED", "server")


def test_one_that_ends_for_want_of_room_says_so(make: Make, tmp_path: Path) -> None:
    process = make("import errno; raise OSError(errno.ENOSPC, 'No space left on device')", ready=lambda: False)
    process.spawn()
    with pytest.raises(HubError) as died:
        process.wait_ready()
    assert (died.value.code, died.value.where) == ("DISK_FULL", str(tmp_path))


def test_one_that_runs_but_never_serves_is_an_error_of_its_kind(make: Make) -> None:
    process = make(SLEEPS, ready=lambda: False, ready_limit_s=0.1, unavailable="REGISTRY_UNAVAILABLE")
    process.spawn()
    with pytest.raises(HubError) as never:
        process.wait_ready()
    assert never.value.code == "REGISTRY_UNAVAILABLE"
    assert never.value.where.startswith("server runs, and is not ready after 0 s: ")
    assert f"{process.log} says what it does" in never.value.where and "try again" in never.value.where
    process.stop()


def test_nothing_starts_once_the_stack_is_being_stopped(make: Make) -> None:
    process = make(SLEEPS)
    process.spawner.close()
    with pytest.raises(HubError) as refused:
        process.spawn()
    assert refused.value.code == "PROCESS_DIED"


PARENT = """
import sys, time
from pathlib import Path
from hub.stack.process import Process, Spawner
process = Process("server", [sys.executable, "-c", {code!r}], Path(sys.argv[1]), Spawner())
process.spawn()
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="unverified: only Linux ties a child to its parent; elsewhere the next start ends it"
)
def test_it_dies_with_a_hub_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT.format(code=DEAF), str(tmp_path / "server.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    assert gone(child)


def test_what_a_killed_hub_left_is_ended_at_the_next_start(make: Make, tmp_path: Path) -> None:
    process = make(SLEEPS)
    process.spawn()
    note = tmp_path / "processes.json"
    remember(note, [process])
    end_remembered(note)
    assert not process.running()
    assert not note.exists()


def test_a_process_that_only_has_the_same_number_is_left_alone(make: Make, tmp_path: Path) -> None:
    process = make(SLEEPS)
    process.spawn()
    note = tmp_path / "processes.json"
    note.write_text(f"[[{process.pid}, 1000.0]]")
    end_remembered(note)
    assert process.running()
    process.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="unverified: only root can become another user")
def test_started_by_root_it_is_another_user_who_may_enter_roots_folders(make: Make, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("")
    nobody = pwd.getpwnam("nobody")
    process = make(
        f"import os; print('user', os.geteuid(), os.listdir({str(closed)!r}), flush=True); {SLEEPS}",
        owner=(nobody.pw_uid, nobody.pw_gid),
    )
    process.ready = printed(process, f"user {nobody.pw_uid} ['file']")
    process.spawn()
    process.wait_ready()
    process.stop()
