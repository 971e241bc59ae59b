"""The bus: produce and wait for the brokers, consume in batches, registry framing, topics.

Everything that writes to Kafka goes through `Producer`, so that "acknowledged" means one thing everywhere: all in-sync
replicas confirmed. Values are Avro in Confluent's wire format (a zero byte, four bytes of schema id, the body).
"""

import asyncio
import os
import signal
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka import Producer as _Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, OffsetSpec, ResourceType
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from fastavro import parse_schema

from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import Event, Rows, decode, decode_head, encode, new_id, now, schema, schema_text
from hub.contract.kafka import client
from hub.contract.reader import layout
from hub.contract.topics import Topic, topics

LARGEST_BYTES: Final = 9 * 1024 * 1024  # one record of 8 MiB with its headers
_PREFIX: Final = struct.Struct(">bI")
_TOPICS_WAIT_S: Final = 180.0  # for hundreds of partitions on a disk that still writes down what was just fetched

Headers = list[tuple[str, bytes]]
Done = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Out:
    """One record on its way to Kafka."""

    topic: str
    key: str
    value: bytes
    headers: Headers = field(default_factory=list)
    partition: int = -1


class Wire:
    """Events to Kafka values and back, with the ids that the registry gave our schemas.

    Safe to share between threads. Schemas are looked up once and kept.
    Raises (everywhere): HubError(REGISTRY_UNAVAILABLE) when the registry is needed and does not answer.
    """

    def __init__(self, registry_url: str) -> None:
        self._client = SchemaRegistryClient({"url": registry_url, "timeout": 10})
        weakref.finalize(self, self._client.__exit__, None, None, None)  # its links end with this object
        self._prefixes: dict[str, bytes] = {}
        self._writers: dict[int, tuple[str, Any]] = {}

    def pack(self, topic: str, event: Mapping[str, Any]) -> bytes:
        """The Kafka value of an event on its way to a topic."""
        row = topics()[topic]
        return self.prefix(topic) + encode(row.record, event)

    def prefix(self, topic: str) -> bytes:
        """The five bytes in front of every body that we write to a topic."""
        if topic not in self._prefixes:
            schema = Schema(schema_text(topics()[topic].record), "AVRO")
            try:
                found = self._ask(lambda: self._client.lookup_schema(f"{topic}-value", schema))
            except SchemaRegistryError as unknown:
                raise HubError("SCHEMA_INCOMPATIBLE", f"{topic}: not registered yet; `hie topics apply` does it") from unknown
            self._prefixes[topic] = _PREFIX.pack(0, found.schema_id)
        return self._prefixes[topic]

    def unpack(self, value: bytes | None, rows: Rows = ()) -> tuple[str, Event]:
        """Record name and event of a Kafka value, whatever released schema wrote it.  rows: as in `decode`.

        Raises: HubError(BODY_UNDECODABLE).
        """
        if value is None or len(value) < _PREFIX.size or value[0] != 0:
            raise HubError("BODY_UNDECODABLE", "prefix")
        record, writer = self.writer(_PREFIX.unpack_from(value)[1])
        return record, decode(record, value[_PREFIX.size :], writer, rows)

    def unpack_head(self, value: bytes | None, last: Mapping[str, str]) -> tuple[str, Event]:
        """Record name and the first fields of a Kafka value, as `decode_head` reads them.

        last: record name to the last field wanted; `meta` for a record that is not in it.
        Raises: HubError(BODY_UNDECODABLE).
        """
        if value is None or len(value) < _PREFIX.size or value[0] != 0:
            raise HubError("BODY_UNDECODABLE", "prefix")
        record, writer = self.writer(_PREFIX.unpack_from(value)[1])
        if writer is not None:  # written by another release, whose fields may stand in another order
            return record, decode(record, value[_PREFIX.size :], writer)
        return record, decode_head(record, value[_PREFIX.size :], last.get(record, "meta"))

    def writer(self, schema_id: int) -> tuple[str, Any]:
        """Record name and parsed schema of one schema id; None for the schema where it equals our own (no resolution needed).

        Raises: HubError(BODY_UNDECODABLE) for an id that the registry does not know, or a record that is not ours.
        """
        if schema_id not in self._writers:
            try:
                found = self._ask(lambda: self._client.get_schema(schema_id))
            except SchemaRegistryError as unknown:
                raise HubError("BODY_UNDECODABLE", f"schema id {schema_id}") from unknown
            written = orjson.loads(cast("str", found.schema_str))
            record = written["name"] if "." in written["name"] else f"{written.get('namespace', '')}.{written['name']}"
            if record not in {topic.record for topic in topics().values()}:
                raise HubError("BODY_UNDECODABLE", f"schema id {schema_id}")
            self._writers[schema_id] = (record, None if layout(written) == layout(schema(record)) else parse_schema(written))
        return self._writers[schema_id]

    def register(self, topic: Topic) -> int:
        """Register the topic's schema and have it grow only compatibly.

        Raises: HubError(SCHEMA_INCOMPATIBLE) with the registry's reason.
        """
        subject = f"{topic.name}-value"
        try:
            schema_id = self._ask(lambda: self._client.register_schema(subject, Schema(schema_text(topic.record), "AVRO")))
            self._ask(lambda: self._client.set_compatibility(subject_name=subject, level="FULL_TRANSITIVE"))
        except SchemaRegistryError as refused:
            raise HubError("SCHEMA_INCOMPATIBLE", f"{subject}: {refused.error_message}") from refused
        return cast("int", schema_id)

    @staticmethod
    def _ask(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except SchemaRegistryError as answer:
            if answer.http_status_code >= 500:
                raise HubError("REGISTRY_UNAVAILABLE", "registry") from answer
            raise
        except OSError as broken:
            raise HubError("REGISTRY_UNAVAILABLE", "registry") from broken
        except Exception as broken:
            # whichever of the two the registry client is built on
            if type(broken).__module__.partition(".")[0] in ("httpx", "httpx2"):
                raise HubError("REGISTRY_UNAVAILABLE", "registry") from broken
            raise


def event_out(wire: Wire, topic: str, event: Event) -> Out:
    """The Kafka record of an event."""
    return body_out(topic, wire.pack(topic, event), event["meta"])


def body_out(topic: str, value: bytes, meta: Mapping[str, Any]) -> Out:
    """The same of an event that is encoded: its key, its value, and headers by CloudEvents' Kafka binding."""
    event_id, message = meta["event_id"], meta.get("message_id", "")
    trace, span = ((text or event_id).replace("-", "") for text in (message, event_id))  # W3C: the message, the event
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", topics()[topic].record.encode()),
        ("ce_source", f"/facility/{meta['key'].partition(':')[0]}".encode()),
        ("ce_time", meta["revision"]["received_at"].isoformat().encode()),
        ("hie_message_id", message.encode()),
        ("traceparent", f"00-{trace:0>32.32}-{span[:16]:0>16}-01".encode()),
    ]
    return Out(topic, meta["key"], value, headers)


def dead_letter(wire: Wire, stage: str, code: str, message: Message, detail: str = "") -> Out:
    """What could not be processed, with its bytes, for the dead-letter topic.  detail: what is wrong, in ids and counts."""
    topic, partition, offset, key = message.topic() or "", message.partition() or 0, message.offset() or 0, message.key()
    key_bytes = key.encode() if isinstance(key, str) else key or b""
    value = {"topic": topic, "partition": partition, "offset": offset, "key": key_bytes, "body": message.value() or b""} | {
        "id": new_id(topic, str(partition), str(offset), stage),
        "at": now(),
        "stage": stage,
        "code": code,
        "detail": detail,
    }
    return Out("dead-letter.v1", key_bytes.decode("ascii", "replace"), wire.pack("dead-letter.v1", value))


# --- producing --------------------------------------------------------------------------------------------------------


class _Group:
    """Records that are waited for together; itself the delivery callback of each, so that a record costs no closure."""

    __slots__ = ("_code", "_done", "_finished", "_left", "_settled", "loop")

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop, done: Done, finished: "deque[_Group]") -> None:
        self.loop = loop
        self._left = size
        self._code, self._settled = "", False
        self._done = done
        self._finished = finished

    def __call__(self, error: KafkaError | None, _message: Message) -> None:
        """A delivery report, in the thread that polls."""
        if error is not None and self._code != "BROKER_LIMIT":
            self._code = _code(error)
        self._left -= 1
        if not self._left:
            self._finished.append(self)

    def settle(self, code: str = "") -> None:
        """Tell whoever waits, once; in the loop's own thread."""
        if not self._settled:
            self._settled = True
            self._done(code or self._code)


class Producer:
    """Writes records and waits until all in-sync replicas hold them. One for each process.

    wait_s: how long the brokers may take, in seconds; then the records are given up and nothing was acknowledged.
    """

    def __init__(self, kafka: str, *, wait_s: float, linger_ms: float = 1.0, client_id: str = "hie-hub") -> None:
        self._wait_s = wait_s
        self._producer = _Producer(
            {
                **client(kafka),
                "client.id": client_id,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # as Faust's and Java's, so that a key lies in one partition for all
                "compression.type": "lz4",
                "linger.ms": linger_ms,
                "message.max.bytes": LARGEST_BYTES,
                "delivery.timeout.ms": int(wait_s * 1000),
                "request.timeout.ms": max(1000, min(5000, int(wait_s * 500))),
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 256 * 1024,
                "socket.keepalive.enable": True,
                "log_level": 2,  # broken links are reported by what fails, not by librdkafka's own lines
                "error_cb": _end_if_fatal,
            }
        )
        self._done: deque[_Group] = deque()
        self._late: set[asyncio.Task[None]] = set()
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="producer-poll", daemon=True)
        self._poller.start()

    def send(self, records: Sequence[Out], done: Done) -> None:
        """Hand over records without waiting: for hot paths that cannot afford a task a message.

        done: called once, in the running loop: "" when the brokers hold every record, else the code of what kept one out.
              Some may be held all the same: whoever sends again sends the same ids.
        """
        loop = asyncio.get_running_loop()
        group = _Group(len(records), loop, done, self._done)
        if not records:
            loop.call_soon(group.settle)
        for at, record in enumerate(records):
            try:
                taken = not self._late and self._enqueue(record, group)  # behind those that wait, so that order is kept
            except HubError as refused:
                loop.call_soon(group.settle, refused.code)
                return
            if not taken:
                late = loop.create_task(self._enqueue_later(records[at:], group))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
                return

    async def publish(self, records: Sequence[Out]) -> None:
        """Return when the brokers hold every record.

        Raises: HubError(BROKER_UNAVAILABLE) when they do not confirm in time, HubError(BROKER_LIMIT) when a record is too large for them.
                Some of the records may be held all the same: whoever sends again sends the same ids.
        """
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.send(records, lambda code: None if future.done() else future.set_result(code))
        try:
            async with asyncio.timeout(2 * self._wait_s + 1):
                code = await future
        except TimeoutError:
            code = "BROKER_UNAVAILABLE"
        if code:
            raise HubError(code, records[0].topic)

    def publish_blocking(self, records: Iterable[Out]) -> None:  # the same for a thread without a loop
        asyncio.run(self.publish(list(records)))

    def _enqueue(self, record: Out, group: _Group) -> bool:
        try:
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=cast("Any", record.headers),
                on_delivery=group,
            )
        except BufferError:
            return False
        except KafkaException as refused:
            raise HubError(_code(refused.args[0]), record.topic) from refused
        return True

    async def _enqueue_later(self, records: Sequence[Out], group: _Group) -> None:
        """The queue is full: slow down, never drop."""
        deadline = group.loop.time() + self._wait_s
        try:
            for record in records:
                while not self._enqueue(record, group):
                    if group.loop.time() > deadline:
                        return group.settle("BROKER_UNAVAILABLE")
                    await asyncio.sleep(0.01)
        except HubError as refused:
            group.settle(refused.code)

    def reachable(self, wait_s: float = 2.0) -> bool:
        """Whether a broker answers; blocks up to `wait_s`."""
        try:
            return bool(self._producer.list_topics("audit.v1", timeout=wait_s).brokers)
        except KafkaException:
            return False

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.05)
            finished: dict[asyncio.AbstractEventLoop, list[_Group]] = {}
            while self._done:
                group = self._done.popleft()
                finished.setdefault(group.loop, []).append(group)
            for loop, groups in finished.items():
                with suppress(RuntimeError):  # that loop is closed: nobody waits any more, and the others still do
                    loop.call_soon_threadsafe(_settle, groups)

    def close(self) -> None:
        """Stop; whatever was not waited for is flushed for a moment, then given up."""
        self._producer.flush(min(self._wait_s, 5))
        self._stopping.set()
        self._poller.join()


def _code(error: KafkaError) -> str:
    """All of it passes, or an operator mends it: limits, rights, a topic that is missing."""
    return "BROKER_LIMIT" if error.code() == KafkaError.MSG_SIZE_TOO_LARGE else "BROKER_UNAVAILABLE"


def _end_if_fatal(error: KafkaError) -> None:
    """After a fatal error this producer never sends again: end the process cleanly, and whoever watches it starts it anew."""
    if error.fatal():
        telemetry.fault("producer", "BROKER_UNAVAILABLE", "fatal")
        os.kill(os.getpid(), signal.SIGTERM)


def _settle(groups: list[_Group]) -> None:
    for group in groups:
        group.settle()


# --- consuming --------------------------------------------------------------------------------------------------------


def consumer(kafka: str, group: str, names: Sequence[str] = (), **more: Any) -> Consumer:
    """A consumer of a group, from the beginning where the group has no offsets; offsets are committed by hand.

    names: topics to subscribe to; without any the caller assigns partitions itself.
    """
    made = Consumer(
        {
            **client(kafka),
            "group.id": group,
            "client.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 2000,
            "max.poll.interval.ms": 300_000,
            "fetch.message.max.bytes": LARGEST_BYTES,
            "fetch.wait.max.ms": 50,
            "socket.keepalive.enable": True,
            "log_level": 2,
            **more,
        }
    )
    if names:
        made.subscribe(list(names))
    return made


def take(reader: Consumer, most: int, wait_s: float) -> list[Message]:
    """The next records, at most `most`: waits for the first one, then takes what is there already.

    Errors of the client (a broker that is gone) are left out: librdkafka mends them by itself.
    """
    first = reader.poll(wait_s)
    if first is None:
        return []
    rest = reader.consume(most - 1, 0.005) if most > 1 else []
    return [message for message in (first, *rest) if message.error() is None]


def read_at(kafka: str, places: Sequence[tuple[str, int, int]], wait_s: float = 10.0) -> list[Message]:
    """The records at (topic, partition, offset), in the order asked.

    Raises: HubError(NOT_FOUND) for one that retention took, HubError(BROKER_UNAVAILABLE).
    """
    reader = consumer(kafka, "hie-read-at")
    found = []
    try:
        for topic, partition, offset in places:
            reader.assign([TopicPartition(topic, partition, offset)])
            deadline = time.monotonic() + wait_s
            message = None
            while message is None and time.monotonic() < deadline:
                message = reader.poll(0.5)
            if message is None or message.error():
                raise HubError("BROKER_UNAVAILABLE", topic)
            if message.offset() != offset:
                raise HubError("NOT_FOUND", f"{topic}/{partition}/{offset}")
            found.append(message)
    finally:
        reader.close()
    return found


def apply_topics(kafka: str, wire: Wire, say: Callable[[str], None] = lambda _line: None) -> int:
    """Create what is missing of `seeds/topics.toml`, set its retention and limits, register every schema.

    Returns: how many topics were created.
    Raises:  HubError(BROKER_UNAVAILABLE), HubError(REGISTRY_UNAVAILABLE), HubError(SCHEMA_INCOMPATIBLE).
    """
    admin = AdminClient({**client(kafka), "log_level": 2})
    try:
        cluster = admin.list_topics(timeout=10)
    except KafkaException as broken:
        raise HubError("BROKER_UNAVAILABLE", "topics") from broken
    copies = min(3, len(cluster.brokers))
    for topic in topics().values():
        wire.register(topic)
    missing = [topic for name, topic in topics().items() if name not in cluster.topics]
    new = [NewTopic(topic.name, topic.partitions, copies, config=topic_config(topic, copies)) for topic in missing]
    _done(admin.create_topics(new, request_timeout=_TOPICS_WAIT_S) if new else {})
    _wait_for_leaders(kafka, missing)
    wanted = [_resource(topic, copies) for name, topic in topics().items() if name in cluster.topics]
    _done(admin.incremental_alter_configs(wanted) if wanted else {})
    for topic in topics().values():
        grown = cluster.topics.get(topic.name)
        if grown is not None and len(grown.partitions) != topic.partitions:
            raise HubError("SETTING_WRONG", f"{topic.name} has {len(grown.partitions)} partitions, not {topic.partitions}")
        say(f"{topic.name:32} {topic.record:22} {'there' if grown else 'created'}")
    return len(missing)


def _wait_for_leaders(kafka: str, made: Sequence[Topic]) -> None:
    """A topic just made has no leaders for a moment, and a leader needs another to know that it is one."""
    newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    places = {TopicPartition(topic.name, number): newest for topic in made for number in range(topic.partitions)}
    deadline = time.monotonic() + _TOPICS_WAIT_S
    while places:
        anew = AdminClient({**client(kafka), "log_level": 2})  # one that asked too early may keep to that answer
        try:
            for answer in anew.list_offsets(places, request_timeout=10).values():
                answer.result(30)
            return
        except KafkaException as early:
            if time.monotonic() > deadline:
                raise HubError("BROKER_UNAVAILABLE", "topics have no leaders") from early
        time.sleep(0.2)


def _resource(topic: Topic, copies: int) -> ConfigResource:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in topic_config(topic, copies).items()
    ]
    return ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)


def topic_config(topic: Topic, copies: int) -> dict[str, str]:
    """What the hub sets of a topic that is on so many brokers, by Kafka's names."""
    config = {
        "cleanup.policy": topic.cleanup,
        "max.message.bytes": str(LARGEST_BYTES),
        "min.insync.replicas": str(max(1, copies - 1)),
        "unclean.leader.election.enable": "false",
    }
    return config | ({"retention.ms": str(topic.retention_days * 86_400_000)} if topic.cleanup == "delete" else {})


def _done(futures: Mapping[Any, Any]) -> None:
    for name, future in futures.items():
        try:
            future.result(_TOPICS_WAIT_S)
        except KafkaException as refused:
            if cast("KafkaError", refused.args[0]).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise HubError("BROKER_UNAVAILABLE", str(name)) from refused
