"""Translate: one ORU of 14 OBX from bytes to encoded event, on one core, beside python-hl7 and hl7apy."""

import re
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from statistics import median

from adapters.dialects.mapped import Context
from adapters.dialects.mapping import map_message
from adapters.dialects.profile import resolve_message
from adapters.formats.hl7v2 import parse
from adapters.formats.structure import check
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.bench import Figure, figure
from hub.bench.peers import hapi_rate, hapi_sample
from hub.contract.events import Keyring, Origin, encode, now
from hub.contract.places import shipped

_ROUNDS = 3
_VARIANTS = 600
_LONG_NUMBER = re.compile(rb"\d{9,}")
_RESULT = re.compile(rb"(\|\|\d+\.)\d(?=\|)")  # OBX-5


def variants(raw: bytes) -> Iterator[bytes]:
    """The message over and over with other ids, times and values, as what repeats is remembered here and there."""

    def variant(number: int) -> bytes:
        digits = b"%d%02d" % (number // 60, number % 60)  # of minute and second, or of an id
        other = _LONG_NUMBER.sub(lambda found: found[0][:-3] + digits, raw)
        return _RESULT.sub(b"\\g<1>%d" % (number % 10), other)

    return cycle([variant(number) for number in range(_VARIANTS)])


def rate(work: Callable[[], object], seconds: float) -> float:
    """How often a second, the median of three rounds after a warm-up."""
    rates = []
    for round_s in (min(1.0, seconds), *[seconds / _ROUNDS] * _ROUNDS):
        done, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < round_s:
            work()
            done += 1
        rates.append(done / spent)
    return median(rates[1:])


def bench(seconds: float, folder: Path | None = None) -> Iterator[Figure]:
    """ORU^R01 with 14 OBX: the hub reads, checks, maps and encodes; the rivals only parse (and read twenty fields)."""
    raw = shipped("seeds/bench/oru_14_obx.hl7").read_bytes()
    keys, received_at = Keyring(b"bench, no secret"), now()

    def whole(messages: Iterator[bytes]) -> None:
        raw = next(messages)
        done = translate(Received(raw, received_at, "mllp"), keys)
        for record, event in done.events:
            encode(record, event)

    messages = variants(raw)
    ours = rate(lambda: whole(messages), seconds)
    shared: Figure = {"bytes": len(raw), "us": round(1e6 / ours, 1)}
    yield figure("translate", ours, "messages/s", **shared)
    for stage, part in _stages(raw, keys).items():
        yield figure(f"translate, {stage}", 1e6 / rate(part, seconds / 4), "µs/message")
    text = raw.decode().replace("\r\n", "\r").replace("\n", "\r")
    for peer, work in _peers(text).items():
        theirs = rate(work, seconds)
        yield figure("translate", ours, "messages/s", peer=peer, peer_value=theirs, **shared)
    if folder is not None:
        sample = hapi_sample(folder).read_bytes()
        messages = variants(sample)
        # In turn, as what else the machine does changes meanwhile.
        pairs = [(rate(lambda: whole(messages), seconds), hapi_rate(folder)) for _ in range(_ROUNDS)]
        ours, theirs = sorted(pairs, key=lambda pair: pair[0] / pair[1])[_ROUNDS // 2]
        shared = {"bytes": len(sample), "us": round(1e6 / ours, 1)}
        yield figure("translate, HAPI's sample", ours, "messages/s", peer="HAPI parse and 20 fields", peer_value=theirs, **shared)


def _stages(raw: bytes, keys: Keyring) -> dict[str, Callable[[], object]]:
    """The parts of the way by themselves; the rest of it is hash, ids, verdict and acknowledgement."""
    text = raw.decode()
    message = parse(text)
    facility, dialect = resolve_message(message)
    done = translate(Received(raw, now(), "mllp"), keys)
    [(record, event)] = done.events
    context = Context(Origin("", now(), event["meta"]["source"]), keys, facility)
    return {
        "read": lambda: parse(text),
        "check": lambda: check(message),
        "map": lambda: map_message(message, dialect, context),
        "encode": lambda: encode(record, event),
        "encode the received message": lambda: encode("hie.MessageReceived", done.message),
    }


def _peers(text: str) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {}
    try:
        import hl7
    except ImportError:
        pass
    else:
        found["python-hl7 parse"] = lambda: hl7.parse(text)
    from hl7apy.parser import parse_message

    found["hl7apy parse, tolerant"] = lambda: parse_message(text, find_groups=False, validation_level=2)
    return found
