"""Routing: events a second of one worker with the case index, from a filled topic to confirmed deliveries."""

import time
from collections.abc import Iterator

from confluent_kafka import TopicPartition

from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.bench import Figure, figure
from hub.bench.rig import Rig, rig
from hub.bus import Producer, Wire, consumer, event_out
from hub.cli.running import keyring
from hub.contract.events import now
from hub.contract.topics import topic_of, topics
from hub.simulate import referrals, results

_EVENTS = 20_000


def _held(bed: Rig, topic: str) -> int:
    """How many records a topic holds."""
    reader = consumer(bed.settings.kafka_bootstrap, "hie-bench")
    try:
        places = [TopicPartition(topic, number) for number in range(topics()[topic].partitions)]
        return sum(high - low for low, high in (reader.get_watermark_offsets(place, timeout=10) for place in places))
    finally:
        reader.close()


def bench(seconds: float) -> Iterator[Figure]:
    """Half referrals, half results, of as many people; each leads to at least one delivery."""
    with rig(["routing-1"]) as bed:
        wire, keys = Wire(bed.settings.registry_url), keyring(bed.settings)
        producer = Producer(bed.settings.kafka_bootstrap, wait_s=60)
        made = [
            event_out(wire, topic_of(record), event)
            for source in (referrals(1, _EVENTS // 2), results(2, _EVENTS // 2))
            for raw in source
            for record, event in translate(Received(raw, now(), "mllp"), keys).events
        ]
        producer.publish_blocking(made)
        producer.close()
        began = time.perf_counter()
        bed.services.start()
        ready_at, ready_held, ready_cpu = time.perf_counter(), _held(bed, "delivery.v1"), bed.cpu_s("routing-1")
        held, moved_at = ready_held, ready_at
        while time.perf_counter() - moved_at < 4 and time.perf_counter() - began < 120:
            time.sleep(0.1)
            if (seen := _held(bed, "delivery.v1")) != held:
                held, moved_at = seen, time.perf_counter()
        share = (held - ready_held) / max(1, held)  # what was routed after the worker said it was ready
        routed, spent = len(made) * share, moved_at - ready_at
        cpu_us = (bed.cpu_s("routing-1") - ready_cpu) / max(1.0, routed) * 1e6
        yield figure(
            "routing, one worker", routed / spent, "events/s", cores=1, events=len(made), deliveries=held, cpu_us=round(cpu_us, 1)
        )
