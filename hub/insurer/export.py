"""What the fund pays, as files of the official XML envelope, one HOSO each, out of the claim stream itself.

The ledger says which claims, and where each stands in Kafka; the claim is read there again, with all its tables. How an envelope
is written is the border's matter and is injected.
"""

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaException, TopicPartition

from hub.bus import consumer
from hub.contract.errors import HubError
from hub.contract.events import Event, is_code
from hub.insurer.settlement import FORGOTTEN, verdict_after
from hub.insurer.views import opened

Read = Callable[[int, Sequence[int]], Iterator[tuple[int, bytes]]]
"""Partition and ascending offsets to (offset, value) of those records that are still there, in that order."""

Kept = Callable[[str, int, int], bytes | None]
"""(topic, partition, offset) to the value that the archive keeps of it."""

INDEX: Final = "index.csv"
_COLUMNS: Final = ("file", "ma_cskcb", "ma_lk", "month", "verdict", "t_bhtt", "t_bhtt_gd", "adjusted", "payable")
_PAID: Final = """
select kafka_partition, kafka_offset, event_id, action, ma_cskcb, ma_lk, month, verdict, t_bhtt, t_bhtt_gd, t_bhtt_gd - payable as adjusted, payable
from claims_in_force
where (payable > 0 or (verdict in ('ACCEPTED', 'REDUCED') and adjusted = 0))
    and ($month::varchar is null or month = $month) and ($facility::varchar is null or ma_cskcb = $facility)
order by kafka_partition, kafka_offset
"""
_CHUNK: Final = 500
_GAP: Final = 5_000  # offsets that are rather read over than sought across
_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Exported:
    """How many claims were written, and the event ids of those that neither topic nor archive has any more, or that are forgotten."""

    written: int
    gone: tuple[str, ...]


def export(
    folder: Path,
    out: Path,
    *,
    read: Read,
    unpack: Callable[[bytes], Event],
    write: Callable[[Event], bytes],
    month: str | None = None,
    facility: str | None = None,
) -> Exported:
    """Write `MA_CSKCB/event id.xml` for every accepted or reduced claim in force, and `index.csv` that names them.

    What was found after the decisions counts: of a claim that was cut whole there is no file, of a rejected one that is paid after
    all there is. An envelope is the claim as its facility stated it; verdict and `payable` of the index are what became of it.
    folder: of the ledger. out: made where it is not there yet; files of the same names are replaced.
    unpack: a Kafka value to the claim. write: the claim to an envelope.
    Raises: HubError (retriable) when brokers or registry do not answer, OSError.
    """
    with opened(folder) as database:
        paid = database.execute(_PAID, {"month": month, "facility": facility}).fetchall()
    places: dict[
        int, dict[int, dict[str, list[Any]]]
    ] = {}  # several at one offset: of a topic that was made anew, and of the old one
    for partition, offset, event_id, action, *row in paid:
        if action == FORGOTTEN:
            continue
        places.setdefault(partition, {}).setdefault(offset, {})[event_id] = _as_it_stands(*row)
    out.mkdir(parents=True, exist_ok=True)
    gone = {row[2] for row in paid}
    with (out / INDEX).open("w", encoding="utf-8", newline="") as file:
        index = csv.writer(file)
        index.writerow(_COLUMNS)
        for partition, rows in places.items():
            for offset, value in read(partition, list(rows)):
                event = unpack(value)
                event_id = event["meta"]["event_id"]
                if event_id not in rows[offset]:
                    continue
                ma_cskcb, *rest = rows[offset][event_id]
                path = Path(ma_cskcb if is_code(ma_cskcb) else "other") / f"{event_id}.xml"
                (out / path).parent.mkdir(exist_ok=True)
                (out / path).write_bytes(write(event))
                index.writerow((path.as_posix(), ma_cskcb, *rest))
                gone.discard(event_id)
    return Exported(len(paid) - len(gone), tuple(sorted(gone)))


def _as_it_stands(ma_cskcb: str, ma_lk: str, month: str, verdict: str, claimed: Decimal | None, *money: Decimal) -> list[Any]:
    """Columns of the index, with the verdict after adjustments.  money: granted, adjusted, payable."""
    adjusted, payable = money[1:]
    verdict = verdict_after(verdict, claimed or Decimal(0), payable) if adjusted else verdict
    return [ma_cskcb, ma_lk, month, verdict, claimed, *money]


def from_topic(kafka: str, topic: str, kept: Kept) -> Read:
    """Read from a topic; what its retention took, from the archive.

    The reading raises HubError(BROKER_UNAVAILABLE) when the brokers are silent for ten seconds.
    """

    def read(partition: int, offsets: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        reader = consumer(kafka, "hie-ledger-export")
        try:
            low, high = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=_WAIT_S)
            for offset in offsets:
                if offset < low and (value := kept(topic, partition, offset)) is not None:
                    yield offset, value
            for run in _runs([offset for offset in offsets if low <= offset < high]):
                yield from _records(reader, topic, partition, run)
        except KafkaException as silent:
            raise HubError("BROKER_UNAVAILABLE", topic) from silent
        finally:
            reader.close()

    return read


def _runs(offsets: Sequence[int]) -> Iterator[list[int]]:
    """Ascending offsets in runs that are read in one go."""
    run: list[int] = []
    for offset in offsets:
        if run and offset - run[-1] > _GAP:
            yield run
            run = []
        run.append(offset)
    if run:
        yield run


def _records(reader: Consumer, topic: str, partition: int, run: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    wanted, at = set(run), -1
    reader.assign([TopicPartition(topic, partition, run[0])])
    heard = time.monotonic()
    while at < run[-1]:
        for message in reader.consume(_CHUNK, 0.5):
            if message.error() is None:  # of others librdkafka takes care; while it cannot, nothing is heard
                at, heard = cast("int", message.offset()), time.monotonic()
                if at in wanted:
                    yield at, message.value() or b""
        if time.monotonic() - heard > _WAIT_S:
            raise HubError("BROKER_UNAVAILABLE", topic)
