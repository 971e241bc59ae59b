"""A running gate on the session's stack, and the plain sockets that tests send with."""

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import uvloop
from confluent_kafka import Consumer, KafkaException, TopicPartition
from pydantic import SecretStr

from adapters.formats.hl7v2 import parse
from adapters.formats.mllp import Decoder, Frame, encode
from adapters.inbound import service
from adapters.inbound.gate import MESSAGES
from hub.bus import Wire, apply_topics, consumer
from hub.contract.events import Event
from hub.contract.settings import Settings
from hub.contract.topics import topics
from hub.store.database import migrate

SECRET = "a secret of tests only"
_numbers = itertools.count(1)


def oru(control_id: str, facility: str = "01004", processing: str = "P", order: str = "", value: str = "5.4") -> bytes:
    """One result with one observation; the order is new in every message unless it is named."""
    order = order or f"ORD{next(_numbers)}"
    return (
        f"MSH|^~\\&|LIS|{facility}|HIE|HUB|20261015081530||ORU^R01^ORU_R01|{control_id}|{processing}|2.5.1\r"
        f"PID|1||MR1^^^{facility}^MR||MAU^AN^THI||19850312|F\r"
        f"ORC|RE|{order}|LAB{order}\r"
        f"OBR|1|{order}|LAB{order}|GLU^Glucose^L|||20261015073000|||||||||||||||20261015081500|||F\r"
        f"OBX|1|NM|GLU^Glucose^L||{value}|mmol/L|3.9-6.4|N|||F|||20261015081500\r"
    ).encode()


class Link:
    """An MLLP link of a sender that reads one acknowledgement at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._decoder = Decoder()
        self._acks: list[str] = []

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ack(self) -> str:
        """The next acknowledgement, "" when the hub closed the link instead."""
        while not self._acks:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return ""
            if not data:
                return ""
            self._acks += [found.body.decode() for found in self._decoder.feed(data) if isinstance(found, Frame)]
        return self._acks.pop(0)

    def ask(self, body: bytes) -> str:
        self.write(encode(body))
        return self.ack()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Link":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def msa(ack: str) -> tuple[str, str]:
    """MSA-1 and MSA-2."""
    message = parse(ack)
    return message.get("MSA", 1), message.get("MSA", 2)


def codes(ack: str) -> list[str]:
    return [row.get(5) for row in parse(ack).segments("ERR")]


class Border:
    """A running gate: its ports, and what it left on the topics."""

    def __init__(self, settings: Settings, mllp_port: int, http_port: int) -> None:
        self.settings, self.mllp_port, self.http_port = settings, mllp_port, http_port
        self.wire = Wire(settings.registry_url)
        self.ports: dict[str, object] = {}

    def link(self) -> Link:
        return Link(self.mllp_port)

    @contextmanager
    def new_records(self, *names: str) -> Iterator[Callable[[], list[tuple[str, Event]]]]:
        """What the topics got since: (topic, event), as far as they go when asked."""
        reader = consumer(self.settings.kafka, "test-reader")
        places = [TopicPartition(name, n) for name in names or (MESSAGES,) for n in range(topics()[name].partitions)]

        def ends() -> dict[tuple[str, int], int]:
            return {(p.topic, p.partition): _end(reader, p) for p in places}

        before = ends()

        def read() -> list[tuple[str, Event]]:
            after, found = ends(), []
            reader.assign([TopicPartition(topic, n, before[topic, n]) for topic, n in before])
            wanted = sum(after.values()) - sum(before.values())
            while len(found) < wanted:
                message = reader.poll(10)
                assert message is not None and message.error() is None
                found.append((message.topic() or "", self.wire.unpack(message.value())[1]))
            return found

        try:
            yield read
        finally:
            reader.close()

    def received(self, control_id: str, read: Callable[[], list[tuple[str, Event]]]) -> Event:
        [found] = [event for topic, event in read() if topic == MESSAGES and event["control_id"] == control_id]
        return found


def _end(reader: Consumer, place: TopicPartition, tries: int = 200) -> int:
    """The end of a partition; one that was made a moment ago has no leader yet."""
    for _ in range(tries):
        try:
            return int(reader.get_watermark_offsets(place, timeout=10)[1])
        except KafkaException:
            time.sleep(0.1)
    raise AssertionError(f"{place.topic} has no leader")


@contextmanager
def running(settings: Settings) -> Iterator[Border]:
    """The gate's service in a thread, as `hie run gate` runs it in a process."""
    ports: Future[dict[str, object]] = Future()
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
        try:
            await service.run(settings, ports.set_result)
        except asyncio.CancelledError:
            pass
        except BaseException as wrong:
            if ports.done():
                raise
            ports.set_exception(wrong)  # it never served: whoever waits for the ports is told

    thread = threading.Thread(target=lambda: uvloop.run(main()), name="gate")
    thread.start()
    try:
        found = ports.result(60)
        border = Border(settings, int(str(found["mllp_port"])), int(str(found["http_port"])))
        border.ports = found
        yield border
    finally:
        for one in stop:
            with suppress(RuntimeError):  # its loop has ended by itself
                one()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def prepared(settings: Settings) -> Settings:
    """Topics and tables are there, and a secret is set."""
    wire = Wire(settings.registry_url)
    apply_topics(settings.kafka, wire)
    migrate(settings.database_url.get_secret_value())
    return settings.model_copy(update={"key_secret": SecretStr(SECRET)})


@pytest.fixture(scope="module")
def border(prepared: Settings) -> Iterator[Border]:
    with running(prepared) as gate:
        yield gate


@pytest.fixture
def make_border(prepared: Settings, tmp_path: Path) -> Iterator[Callable[..., Border]]:
    """A gate with settings of its own."""
    open_gates = []

    def make(**changes: object) -> Border:
        gate = running(prepared.model_copy(update={"data_dir": tmp_path, **changes}))
        open_gates.append(gate)
        return gate.__enter__()

    yield make
    for gate in open_gates:
        gate.__exit__(None, None, None)
