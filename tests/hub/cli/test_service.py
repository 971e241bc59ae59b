"""A service that breaks says where, and nothing of what it was working on."""

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
