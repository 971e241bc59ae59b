"""The service as a process: serves, survives its servers' absence, and ends cleanly."""

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from adapters.outbound.service import keep
from hub.contract.errors import HubError
from tests.adapters.outbound.test_mailbox import deliveries, publish
from tests.made import out, unique

LIMIT_S = 60
RUN = """
import asyncio, sys
from adapters.outbound import mailbox, service
from hub.contract.settings import read_settings
bootstrap, registry, database, group = sys.argv[1:]
mailbox.Intake.__init__.__kwdefaults__["group"] = group
settings = read_settings(kafka_bootstrap=bootstrap, registry_url=registry, database_url=database, inbox_port=0)
asyncio.run(service.run(settings, lambda facts: print("ready", facts["inbox_port"], flush=True)))
print("stopped", flush=True)
"""


@contextmanager
def service(settings, group):
    arguments = (settings.kafka, settings.registry_url, settings.database_url.get_secret_value(), group)
    child = subprocess.Popen([sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        words = child.stdout.readline().split()
        assert words[0] == "ready"
        yield child, f"http://127.0.0.1:{words[1]}"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def pulled(url, box, count):
    """Deliveries of a mailbox, once there are so many."""
    deadline = time.monotonic() + LIMIT_S
    rows = []
    with httpx.Client(base_url=url, timeout=LIMIT_S) as client:
        while len(rows) < count and time.monotonic() < deadline:
            answer = client.get(f"/v1/inbox/{box}", params={"wait": 5, "after": rows[-1]["cursor"] if rows else 0})
            if answer.status_code == 200:
                rows += answer.json()["deliveries"]
            else:
                assert answer.status_code == 503
                time.sleep(0.1)
    return [row["delivery_id"] for row in rows]


def test_what_is_delivered_is_pulled_and_sigterm_ends_it_in_the_middle_of_a_long_poll(database, own_settings, wire, group):
    box = unique("A")
    with service(own_settings, group()) as (child, url):
        sent = deliveries(wire, box, 10)
        publish(own_settings, [out(wire, "delivery.v1", one) for one in sent])
        assert pulled(url, box, 10) == [one["meta"]["event_id"] for one in sent]
        with httpx.stream("GET", f"{url}/health", timeout=LIMIT_S) as alive:
            assert alive.status_code == 200
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read().endswith("stopped\n")
        assert child.wait(LIMIT_S) == 0


def test_it_goes_on_by_itself_when_the_database_was_away(database, own_settings, wire, group):
    """Every connection of the service is cut, again and again, while deliveries come."""
    box = unique("A")
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    with service(own_settings, group()) as (child, url):
        sent = []
        for _ in range(3):
            some = deliveries(wire, box, 20)
            publish(own_settings, [out(wire, "delivery.v1", one) for one in some])
            database.execute(cut)
            sent += some
        assert pulled(url, box, 60) == [one["meta"]["event_id"] for one in sent]
        assert child.poll() is None
    states = database.execute("select count(*), count(distinct delivery_id) from mailbox where recipient = %s", (box,)).fetchone()
    assert states == (60, 60)


def test_a_fault_of_a_server_is_waited_out_and_a_fault_of_ours_is_not():
    tried = []

    async def away():
        tried.append(1)
        raise HubError("DATABASE_UNAVAILABLE") if len(tried) < 3 else ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        asyncio.run(keep("mailbox", away))
    assert len(tried) == 3


def test_a_port_that_is_taken_is_said(own_settings):
    import socket

    from adapters.outbound.service import run

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = own_settings.model_copy(update={"inbox_port": taken.getsockname()[1]})
        with pytest.raises(HubError) as raised:
            asyncio.run(run(settings, lambda _facts: None))
    assert raised.value.code == "PORT_TAKEN"
