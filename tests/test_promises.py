"""The promises, tested by breaking things on real servers: nothing acknowledged is lost, nothing has its effect twice, the books close."""

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from adapters.dialects.render import as_xml
from adapters.formats.mllp import encode
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.bus import Out, Producer, Wire
from hub.cli.messages import read_ack, send_http, send_mllp
from hub.cli.running import keyring
from hub.contract.events import now
from hub.contract.kafka import client
from hub.services import address
from hub.simulate import claims, referrals, results
from tests.whole_hub import Hub, ledger_rows, senders

pytestmark = pytest.mark.slow
SEED = count(1)
LINKS, EACH, CLAIMS = 6, 40, 15
BREAKABLE = ["gate", "routing-2", "insurer-vss", "mailbox"]


def said_twice(slips: Iterable[bytes]) -> Iterator[bytes]:
    """Each slip, and then its change an hour later: two statements under one key, in order."""
    for raw in slips:
        yield raw
        later = raw.replace(b"|2026112309", b"|2026112310", 1).replace(b"|SIMG", b"|SIMH", 1)
        yield later.replace(b"REF^I12^", b"REF^I13^", 1).replace(b"RF1|P|R|", b"RF1|P|A|", 1)


class Load:
    """One batch of traffic that no other test sends: results, and referrals with their changes, by MLLP, claims by HTTP."""

    def __init__(self) -> None:
        seed = 1000 * next(SEED)
        self.mllp = [[*results(seed + link, EACH // 2), *said_twice(referrals(seed + link, EACH // 4))] for link in range(LINKS)]
        self.claims = list(claims(seed, CLAIMS))
        self.http = [[as_xml("hie.Claim", claim) for claim in self.claims]]

    def check(self, hub: Hub, acked: Counter[str]) -> None:
        """Everything acknowledged is translated; every slip is delivered once, and its change behind it; every claim stands in the
        ledger once; the books close."""
        assert sum(acked.values()) == LINKS * EACH + CLAIMS
        assert {ack.split()[0] for ack in acked} == {"AA"}
        books = hub.settled(180)
        assert books.close, books.text()
        journal = {control_id for (control_id,) in hub.sql("select control_id from journal_message where verdict = 'translated'")}
        sent = {raw.split(b"|", 10)[9].decode() for part in self.mllp for raw in part}
        assert sent <= journal
        twice = hub.sql("select recipient, event_id from mailbox group by 1, 2 having count(*) > 1")
        assert twice == []
        assert hub.sql(OUT_OF_ORDER) == []
        slips = [raw for part in self.mllp for raw in part if b"REF^I1" in raw]
        delivered = hub.sql(
            "select count(*) from journal_delivery d join journal_event e on e.event_id = d.subject_event_id"
            " join journal_message m on m.message_id = e.message_id"
            " where d.rule = 'referral-to-receiver' and m.control_id = any(array["
            + ",".join(f"'{one}'" for one in sorted(sent))
            + "])"
        )
        assert delivered[0][0] >= len(slips)
        wanted = {(claim["ma_cskcb"], claim["ma_lk"]) for claim in self.claims}
        hub.wait(lambda: wanted <= set(in_ledger(hub)), 120)  # an insurer that has just begun anew reads at its own pace
        rows = in_ledger(hub)
        assert {one: rows.count(one) for one in wanted} == dict.fromkeys(wanted, 1)


OUT_OF_ORDER = """
    select recipient, subject_key from (
        select recipient, subject_key, revision, lag(revision) over (partition by recipient, subject_key order by seq) as before
        from mailbox join (select event_id, min(revision) as revision from journal_event where record = 'hie.Referral' group by 1) as event
        using (event_id)
    ) as said where before > revision"""
"""Mailboxes in which an older statement of a slip stands behind a newer one."""


def in_ledger(hub: Hub) -> list[tuple[str, ...]]:
    """Facility and encounter of each claim there."""
    return ledger_rows(hub.settings, "claims").select("ma_cskcb", "ma_lk").rows()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("promises"), workers=3, sweep_after_s=5) as running:
        yield running


@contextmanager
def raising(hub: Hub, name: str) -> Iterator[Path]:
    """The service runs with a fault that raises once, in the middle of a batch; the file that it leaves behind then."""
    marker = hub.settings.data_dir / f"{name}.raised"
    process = hub.services._running[name].process
    whole = process.argv
    process.argv = [whole[0], "-m", "tests.faulty_service", name, str(marker)]
    hub.services.end(name)
    hub.wait(lambda: hub.services.serves(name), 90)
    yield marker
    process.argv = whole


@pytest.mark.parametrize("how", ["kill", "end"])
@pytest.mark.parametrize("name", [*BREAKABLE, "journal"])
def test_a_service_that_ends_under_load_loses_nothing_and_doubles_nothing(hub, name, how):
    load = Load()
    with senders(hub, load.mllp, load.http) as acked:
        hub.wait(lambda: sum(acked.values()) > LINKS * EACH // 4, 60)
        getattr(hub.services, how)(name)
    hub.wait(lambda: hub.services.serves(name), 90)
    load.check(hub, acked)


@pytest.mark.parametrize("name", BREAKABLE)
def test_an_exception_inside_a_batch_loses_nothing_and_doubles_nothing(hub, name):
    load = Load()
    with raising(hub, name) as marker:
        with senders(hub, load.mllp, load.http) as acked:
            hub.wait(marker.exists, 90)
        hub.wait(lambda: hub.services.serves(name), 90)
        load.check(hub, acked)
    hub.services.end(name)
    hub.wait(lambda: hub.services.serves(name), 90)


def test_without_a_broker_nobody_is_answered_and_with_it_everything_goes_on(tmp_path):
    load = Load()
    with Hub(tmp_path, ack_wait_s=4) as hub:
        pids = {name: hub.services.pid(name) for name in hub.services.names}
        os.kill(hub.stack.processes["kafka-1"].pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with socket.create_connection(address(hub.settings, "gate", "mllp_port"), timeout=60) as link:
                link.sendall(encode(load.mllp[0][0]))
                assert link.recv(1000) == b"", "an answer came without a broker"
            assert time.monotonic() - began > 3
            status, _ = send_http(address(hub.settings, "gate", "http_port"), load.mllp[0][1])
            assert status == 503
        finally:
            os.kill(hub.stack.processes["kafka-1"].pid, signal.SIGCONT)
        with senders(hub, load.mllp, load.http) as acked:
            pass
        load.check(hub, acked)
        assert {name: hub.services.pid(name) for name in hub.services.names} == pids, "a service was started again"


def test_a_broker_that_dies_and_comes_back_loses_nothing(tmp_path):
    load = Load()
    with Hub(tmp_path, ack_wait_s=4) as hub:
        with senders(hub, load.mllp, load.http) as acked:
            hub.wait(lambda: sum(acked.values()) > LINKS * EACH // 4, 60)
            hub.stack.kill("kafka-1")
            time.sleep(6)
            hub.stack.restart("kafka-1")
        load.check(hub, acked)


def test_a_broker_that_is_stopped_for_a_minute_loses_nothing_doubles_nothing_and_keeps_the_order(tmp_path):
    """A minute is longer than sessions, acks and requests wait: whoever waits for the broker has given up and begun anew by then."""
    load = Load()
    with Hub(tmp_path, ack_wait_s=4) as hub:
        with senders(hub, load.mllp, load.http) as acked:
            hub.wait(lambda: sum(acked.values()) > LINKS * EACH // 4, 60)
            broker = hub.stack.processes["kafka-1"].pid
            os.kill(broker, signal.SIGSTOP)
            try:
                time.sleep(60)
            finally:
                os.kill(broker, signal.SIGCONT)
        load.check(hub, acked)


def test_of_three_brokers_the_leader_dies_and_nothing_acknowledged_is_lost(tmp_path):
    load = Load()
    with Hub(tmp_path, brokers=3) as hub:
        with senders(hub, load.mllp, load.http) as acked:
            hub.wait(lambda: sum(acked.values()) > LINKS * EACH // 4, 90)
            topic = AdminClient(client(hub.settings.kafka)).list_topics("message-received.v1", timeout=10)
            leader = topic.topics["message-received.v1"].partitions[0].leader
            hub.stack.kill(f"kafka-{leader}")
        load.check(hub, acked)


def test_the_database_restarts_under_load(hub):
    load = Load()
    with senders(hub, load.mllp, load.http) as acked:
        hub.wait(lambda: sum(acked.values()) > LINKS * EACH // 4, 60)
        hub.stack.kill("postgres")
        time.sleep(3)
        hub.stack.restart("postgres")
    load.check(hub, acked)


def test_a_half_written_message_heals_itself(hub):
    """The gate died after the brokers had the message, and before they had its events."""
    [raw] = referrals(1000 * next(SEED), 1)
    done = translate(Received(raw, now(), "mllp"), keyring(hub.settings))
    producer = Producer(hub.settings.kafka, wait_s=10)
    value = Wire(hub.settings.registry_url).pack("message-received.v1", done.message)
    producer.publish_blocking([Out("message-received.v1", done.message["facility"], value)])
    producer.close()
    [(_, event)] = done.events
    found = f"select count(*) from journal_delivery where subject_event_id = '{event['meta']['event_id']}'"
    hub.wait(lambda: hub.sql(found)[0][0] == 3, 90)  # to the receiver, the portal and the payer
    assert hub.settled().close


def test_an_unreadable_message_is_answered_so_that_a_lock_step_sender_goes_on(hub):
    answer = read_ack(send_mllp(address(hub.settings, "gate", "mllp_port"), b"this is no message"))
    assert answer["ack"] == "AR"
    assert answer["control_id"] == ""
