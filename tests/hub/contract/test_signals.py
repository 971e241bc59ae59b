"""Two signals at once, as a terminal and a supervisor send them: a service and a command end all the same, in their own way."""

import signal
import subprocess
import sys
from contextlib import suppress

BOTH = (signal.SIGINT, signal.SIGTERM)
SERVICE = """
import sys, threading
from hub.contract.signals import on_end
stop = threading.Event()
on_end(stop.set)
print("up", flush=True)
while not stop.wait(0.001):
    pass
sys.stdin.readline()
print("finished")
"""
HOLDING = """
import os, signal, threading
from hub.contract.signals import on_end
lock, ended = threading.Lock(), threading.Event()
def end():
    with lock:
        ended.set()
on_end(end)
print("up", flush=True)
with lock:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
print("finished" if ended.wait(60) else "lost")
"""
COMMAND = """
import signal, sys, time
from hub.contract.signals import unwind_on
unwind_on(signal.SIGINT, signal.SIGTERM, saying="stopping")
try:
    print("up", flush=True)
    while True:  # a signal that comes just before a sleep begins does not end it
        time.sleep(0.01)
finally:
    sys.stdin.readline()
    print("finished")
"""


def ended(script: str, *numbers: signal.Signals) -> tuple[int, str, str]:
    """Exit code and what it said after it was up, of a process that gets these signals one right after the other, and ends when it has
    them all: a busy machine may send one of them late."""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == "up\n"
            for number in numbers:
                process.send_signal(number)
            with suppress(BrokenPipeError):  # one that waits for nothing may have ended
                process.stdin.write("\n")
                process.stdin.flush()
            return process.wait(60), process.stdout.read(), process.stderr.read()
        finally:
            process.kill()


def test_a_service_that_gets_both_at_once_and_many_finishes_each_time() -> None:
    for _ in range(20):
        assert ended(SERVICE, *BOTH * 10) == (0, "finished\n", "")


def test_a_signal_waits_for_no_lock_that_the_main_thread_holds() -> None:
    assert ended(HOLDING) == (0, "finished\n", "")


def test_a_command_is_unwound_once_and_then_undisturbed() -> None:
    for _ in range(20):
        code, said, wrong = ended(COMMAND, *BOTH)
        assert (said, wrong.count("stopping")) == ("finished\n", 1)
        assert code in {-signal.SIGINT, 128 + signal.SIGTERM}  # whichever came first; Python ends itself by SIGINT after it
