"""A service that breaks says where, and nothing of what it was working on; one that runs follows the directory."""

import os
import subprocess
import sys

_BREAKS = """
import logging, threading
import hub.journal.consumer
from hub.cli.service import run_service
from hub.contract.settings import read_settings

def broken(settings, ready):
    logging.getLogger("asyncio").error("task broke: %r", "SEN-LOGGED", exc_info=KeyError("SEN-TRACED"))
    thread = threading.Thread(target=lambda: {}["SEN-THREAD"], name="poller")
    thread.start()
    thread.join()
    try:
        raise ValueError("SEN-CAUSE")
    except ValueError as cause:
        raise RuntimeError("SEN-RAISED") from cause

hub.journal.consumer.run = broken
run_service("journal", read_settings())
"""


def test_a_fault_that_nobody_expected_ends_the_service_and_tells_no_value():
    done = subprocess.run([sys.executable, "-c", _BREAKS], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "SEN" not in done.stderr + done.stdout
    assert "RuntimeError" in done.stderr and "ValueError" in done.stderr
    assert '"logger":"asyncio"' in done.stderr.replace(": ", ":") and '"stage":"poller"' in done.stderr.replace(": ", ":")


_FOLLOWS = """
import time
import hub.journal.consumer
from hub.cli.service import run_service
from hub.contract.directory import facilities
from hub.contract.settings import read_settings

def running(settings, ready):
    folder = settings.directory_dir
    text = (folder / "facilities.csv").read_text("utf-8")
    (folder / "fresh").write_text(text + "26002,B,clinic,26,2019-01-01\\n", "utf-8")
    (folder / "fresh").replace(folder / "facilities.csv")
    assert list(facilities()) == ["26001"]
    deadline = time.monotonic() + 30
    while "26002" not in facilities() and time.monotonic() < deadline:
        time.sleep(0.05)
    print(*facilities())

hub.journal.consumer.run = running
run_service("journal", read_settings())
"""


def test_a_running_service_takes_a_changed_directory(tmp_path):
    (tmp_path / "facilities.csv").write_text("code,name,kind,province,valid_from\n26001,A,clinic,26,2019-01-01\n", "utf-8")
    own = os.environ | {"HIE_DIRECTORY_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", _FOLLOWS], capture_output=True, text=True, timeout=60, check=False, env=own)
    assert done.stdout.split() == ["26001", "26002"], done.stderr
    assert '"event": "directory_taken"' in done.stderr
