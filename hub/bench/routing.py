"""Routing: events a second with the case index, from the topic to confirmed deliveries; one worker, then two."""

import time
from collections.abc import Iterator, Sequence

from confluent_kafka import TopicPartition

from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.bench import Figure, figure
from hub.bench.rig import Rig, rig
from hub.bus import Out, Producer, Wire, consumer, event_out
from hub.cli.running import keyring
from hub.contract.events import now
from hub.contract.topics import topic_of, topics
from hub.simulate import referrals, results

_EVENTS = 20_000
_WARM_UP = 1_000
_QUIET_S = 4.0  # nothing new for so long: all is routed
_LONGEST_S = 120.0


def bench(seconds: float) -> Iterator[Figure]:
    """Half referrals, half results, of as many people; each leads to at least one delivery."""
    alone_us = 0.0
    for workers in (1, 2):
        row = _routed([f"routing-{number + 1}" for number in range(workers)])
        if alone_us:
            row["cpu_of_one"] = round(row["cpu_us"] / alone_us, 2)
        alone_us = row["cpu_us"]
        yield row


def _routed(workers: Sequence[str]) -> Figure:
    """What workers that have their partitions make of events that come all at once."""
    with rig(workers) as bed:
        producer = Producer(bed.settings.kafka, wait_s=60)
        warm_up, made = _events(bed, 1, _WARM_UP), _events(bed, 3, _EVENTS)
        bed.services.start()
        producer.publish_blocking(warm_up)
        before, _ = _until_quiet(bed)
        began, cpu = time.perf_counter(), sum(map(bed.cpu_s, workers))
        producer.publish_blocking(made)
        held, ended = _until_quiet(bed)
        spent_us = (sum(map(bed.cpu_s, workers)) - cpu) * 1e6
        producer.close()
        return figure(
            f"routing, workers: {len(workers)}",
            len(made) / (ended - began),
            "events/s",
            cores=len(workers),
            cpu_us=round(spent_us / len(made), 1),
            events=len(made),
            deliveries=held - before,
        )


def _events(bed: Rig, seed: int, count: int) -> list[Out]:
    wire, keys = Wire(bed.settings.registry_url), keyring(bed.settings)
    return [
        event_out(wire, topic_of(record), event)
        for source in (referrals(seed, count // 2), results(seed + 1, count // 2))
        for raw in source
        for record, event in translate(Received(raw, now(), "mllp"), keys).events
    ]


def _until_quiet(bed: Rig) -> tuple[int, float]:
    """How many deliveries there are in the end, and since when."""
    began = moved_at = time.perf_counter()
    held = 0
    while (at := time.perf_counter()) - moved_at < _QUIET_S and at - began < _LONGEST_S:
        if (seen := _held(bed, "delivery.v1")) != held:
            held, moved_at = seen, at
        time.sleep(0.1)
    return held, moved_at


def _held(bed: Rig, topic: str) -> int:
    """How many records a topic holds."""
    reader = consumer(bed.settings.kafka, "hie-bench")
    try:
        places = [TopicPartition(topic, number) for number in range(topics()[topic].partitions)]
        return sum(high - low for low, high in (reader.get_watermark_offsets(place, timeout=10) for place in places))
    finally:
        reader.close()
