"""`hie bench insurer`: claims of full official width from a real topic into the ledger and out as decisions.

Beside a row-by-row loop over the same topic: fastavro, `decimal`, one decision a claim, published the same way. The loop
writes no ledger, which is in its favour.
"""

import multiprocessing
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil
from confluent_kafka import Consumer, TopicPartition

from hub.bench import Figure, figure
from hub.bench.rig import apart, rig
from hub.bench.row_loop import Found, adjudicate_row
from hub.bus import Out, Producer, Wire, consumer, event_out
from hub.contract import telemetry
from hub.contract.events import Event, derive, encode
from hub.contract.settings import Settings
from hub.contract.topics import topics
from hub.insurer.consumer import Insurer, run
from hub.simulate import claims

TOPIC: Final = "payer.vss.claim.v1"
ANSWERS: Final = "payer.vss.decision.v1"
_ROWS: Final = 26  # of a claim, XML1 to XML5
_DISTINCT: Final = 2_000
_GUESS: Final = 6_000  # claims a second, to choose how many make a run of the asked length
_SENT_AT_ONCE: Final = 20_000


def bench(seconds: float) -> Iterator[Figure]:
    """One worker and two, CPU by stage, and the row loop, in one run on servers of their own."""
    telemetry.configure("error")
    with rig([]) as made:
        count = max(4_000, int(seconds * _GUESS))
        bytes_each = fill(made.settings, count)
        by_row = row_loop(made.settings, max(1_000, count // 20))
        alone = made.settings.model_copy(update={"ledger_dir": made.settings.data_dir / "alone"})
        [(rate, cpu_s)], cost = apart("insurer", one_worker, (alone, count))
        wide = {"rows": _ROWS, "rows_per_s": round(rate * _ROWS), "bytes": bytes_each, "peak_mb": cost["peak_mb"]}
        yield figure("insurer-claims", rate, "claims/s", peer="fastavro row loop, no ledger", peer_value=by_row, **wide)
        for stage, spent in cpu_s.items():
            yield figure(f"insurer-cpu-{stage}", spent / count * 1e6, "µs/claim")
        yield figure("insurer-cpu", sum(cpu_s.values()) / count * 1e6, "µs/claim")
        yield figure("insurer-ledger", size_of(alone.ledger) / count, "bytes/claim")
        pair = made.settings.model_copy(update={"ledger_dir": made.settings.data_dir / "pair"})
        rate, rss_mb = several_workers(pair, count, 2)
        wide = {"rows_per_s": round(rate * _ROWS), "rss_mb": round(rss_mb)}
        yield figure("insurer-claims", rate, "claims/s", cores=os.cpu_count() or 1, workers=2, **wide)


def fill(settings: Settings, count: int) -> int:
    """Put `count` claims with ids of their own into the topic. Returns: mean bytes of a value."""
    wire, producer = Wire(settings.registry_url), Producer(settings.kafka, wait_s=60, linger_ms=20)
    made = [(event["meta"]["key"], encode("hie.Claim", event)) for event in claims(1, min(count, _DISTINCT))]
    prefix = wire.prefix(TOPIC)
    try:
        for start in range(0, count, _SENT_AT_ONCE):
            records = []
            for number in range(start, min(count, start + _SENT_AT_ONCE)):
                key, body = made[number % len(made)]
                # meta.event_id is the first field of the body: a length byte and 36 characters
                records.append(Out(TOPIC, f"{key[:-8]}{number:08x}", prefix + body[:1] + str(uuid.uuid4()).encode() + body[37:]))
            producer.publish_blocking(records)
    finally:
        producer.close()
    return sum(len(body) for _, body in made) // len(made)


def one_worker(settings: Settings, count: int) -> tuple[float, dict[str, float]]:
    """Claims per second from standing at offset 0 to the last decision published; CPU seconds by stage."""
    insurer = Insurer(settings, "vss", threading.Event())
    try:
        insurer.open()
        began, done = time.perf_counter(), 0
        while done < count:
            done += insurer.step()
        return count / (time.perf_counter() - began), dict(insurer.cpu_s)
    finally:
        insurer.close()


def several_workers(settings: Settings, count: int, workers: int) -> tuple[float, float]:
    """Claims per second of several processes, from when all are ready to when the brokers hold the last decision; the MB of them all
    then."""
    context = multiprocessing.get_context("spawn")
    standing = context.Queue()
    before = sum(ends(settings, ANSWERS))
    processes = [
        context.Process(target=_worker, args=(settings, standing, number, workers), daemon=True) for number in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        for _ in processes:
            standing.get(timeout=60)
        began = time.perf_counter()
        while sum(ends(settings, ANSWERS)) - before < count:
            time.sleep(0.02)
        rate = count / (time.perf_counter() - began)
        return rate, sum(psutil.Process(process.pid).memory_info().rss for process in processes) / 1e6
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _worker(settings: Settings, standing: Any, worker: int, workers: int) -> None:
    telemetry.configure("error")
    run(settings, "vss", standing.put, worker, workers)


def row_loop(settings: Settings, count: int) -> float:
    """Claims per second of the rival over the first records of the topic."""
    wire, producer = Wire(settings.registry_url), Producer(settings.kafka, wait_s=60, linger_ms=5)
    reader = _reader(settings)
    try:
        began, done = time.perf_counter(), 0
        while done < count:
            messages = [message for message in reader.consume(500, 0.5) if not message.error()]
            events = [wire.unpack(message.value())[1] for message in messages]
            decided = [event_out(wire, ANSWERS, _decision(event, adjudicate_row(event))) for event in events]
            producer.publish_blocking(decided)
            done += len(messages)
        return done / (time.perf_counter() - began)
    finally:
        reader.close()
        producer.close()


def _decision(claim: Event, found: list[Found]) -> Event:
    summary, meta = claim["xml1"], claim["meta"]
    rejected = any(severity == "E" for _, severity, *_ in found)
    content = {
        "payer": "vss",
        "ma_cskcb": claim["ma_cskcb"],
        "ma_lk": claim["ma_lk"],
        "claim_event_id": meta["event_id"],
        "claim_revision": meta["revision"],
        "verdict": "REJECTED" if rejected else "ACCEPTED",
        **{name: summary[name] for name in ("t_tongchi_bv", "t_tongchi_bh", "t_bhtt")},
        "t_bhtt_gd": None if rejected else summary["t_bhtt"],
        "findings": [{"rule": rule, "severity": severity, "table": table, "stt": stt, "field": field} for rule, severity, table, stt, field in found],
    }  # fmt: skip
    return derive(
        "hie.ClaimDecision",
        content,
        parents=[claim],
        rule="row-loop",
        facility=meta["facility"],
        key=meta["key"],
        revision=meta["revision"],
    )


def _reader(settings: Settings) -> Consumer:
    reader = consumer(settings.kafka, "hie-bench-row-loop")
    reader.assign([TopicPartition(TOPIC, partition, 0) for partition in range(topics()[TOPIC].partitions)])
    return reader


def ends(settings: Settings, topic: str) -> list[int]:
    """The next offset of each partition."""
    reader = consumer(settings.kafka, "hie-bench-end")
    try:
        places = [TopicPartition(topic, partition) for partition in range(topics()[topic].partitions)]
        return [reader.get_watermark_offsets(place, timeout=10)[1] for place in places]
    finally:
        reader.close()


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
