"""The border as the console sees it: reading a message, pausing a recipient, the work list."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from adapters.dialects.remedies import remedy
from adapters.formats.charset import decode
from adapters.formats.hl7v2 import Message, parse
from adapters.formats.structure import VERSIONS, segment_rule
from adapters.inbound.received import Received
from adapters.inbound.translate import refused, tried
from adapters.outbound import pause as pauses
from adapters.outbound.receipts import mailbox_name
from hub.access.quota import Quotas
from hub.bus import Producer, Wire
from hub.cli.running import OFFLINE, older
from hub.cli.vendor_border import check, entitled, foreseen, remedy_of, send_test
from hub.cli.worklist import worklist
from hub.console.border import Border, Field, Reading, Segment, Trouble
from hub.contract.errors import HubError, Problem
from hub.contract.events import Keyring, now
from hub.contract.settings import Settings
from hub.store.database import connect

_FACILITY: Final = re.compile(r"[0-9A-Za-z_-]{1,32}")
_NEWEST: Final = "2.5.1"  # what a message of no version is laid beside
_PLACES_MAX: Final = 2_000  # lines and fields of a message that a page shows
Change = Callable[..., bool]


def border(settings: Settings, keyring: Keyring) -> Border:
    """All that the console needs of it. Profiles and directory are those in use in this process."""

    def reading(raw: bytes, sender: str, *, pasted: bool) -> Reading:
        return explain(raw, entitled(settings, sender), bytes_max=settings.message_bytes_max, keyring=keyring, pasted=pasted)

    return Border(
        explain=partial(reading, pasted=False),
        pasted=partial(reading, pasted=True),
        foreseen=partial(foreseen, settings),
        send_test=partial(send_test, settings, keyring, Quotas()),
        check=check,
        remedy=remedy_of,
        pause=partial(_change, settings, pauses.pause),
        resume=partial(_change, settings, pauses.resume),
        older=older(settings).value,
        keyring=keyring,
        worklist=partial(worklist, settings),
    )


def as_text(raw: bytes) -> str:
    """The text of a message; of bytes that are none what can be read of them."""
    try:
        return decode(raw).text
    except HubError:
        return raw.decode("utf-8", "replace")


def explain(
    raw: bytes,
    facilities: frozenset[str] | None = None,
    *,
    bytes_max: int,
    keyring: Keyring = OFFLINE,
    pasted: bool = False,
) -> Reading:
    """How the hub reads a message today, as a test; see `Border.explain`. facilities, pasted: as of `Received`."""
    received = Received(raw, now(), "http", facilities=facilities, test=True, pasted=pasted)
    try:
        done = refused(received, "FRAME_TOO_LARGE") if len(raw) > bytes_max else tried(received, keyring)
    except HubError as stop:  # the machine's own trouble
        done = refused(received, stop.code, stop.where)
    told = done.message
    charset = str(told.get("charset", ""))
    text = ""
    with suppress(HubError):
        text = decode(raw, charset or None).text
    segments = _segments(text) if told.get("format") == "hl7" else ()
    cut = sum(1 + len(segment.fields) for segment in segments) >= _PLACES_MAX
    return Reading(
        text=text,
        charset=charset,
        format=str(told.get("format", "unknown")),
        dialect=str(told.get("dialect", "")),
        verdict=done.verdict,
        ack=str(told.get("ack", "")),
        segments=segments,
        troubles=tuple(_trouble(one, charset) for one in done.problems),
        events=tuple({"record": record, **event} for record, event in done.events),
        cut=cut,
    )


def _trouble(one: Problem, charset: str) -> Trouble:
    do_en, do_vi = remedy(one.code, charset, one.path)
    return Trouble(one.code, one.severity.value, one.path, one.row.vi, one.text, do_vi, do_en)


def _segments(text: str) -> tuple[Segment, ...]:
    """With the place of each field in the text: a line that was broken within a field has none that is right, and the whole line's.
    Numbered as they are met, as `Message.path` counts from the first for each place that is asked for."""
    try:
        message = parse(text)
    except HubError:
        return ()
    found, at, left, numbers = [], 0, _PLACES_MAX, Counter[str]()
    for segment in message:
        if not left:
            break
        numbers[segment.name] += 1
        several = len(message.segments(segment.name)) > 1
        path = f"{segment.name}[{numbers[segment.name]}]" if several else segment.name
        begins = text.find(segment.name, at)
        begins = at if begins < 0 else begins
        fields, at = _fields(message, segment, path, text, begins, left - 1)
        found.append(Segment(segment.name, path, fields, (begins, at)))
        left -= 1 + len(fields)
    return tuple(found)


def _fields(message: Message, segment: Any, path: str, text: str, begins: int, most: int) -> tuple[tuple[Field, ...], int]:
    version = message.version if message.version in VERSIONS else _NEWEST
    rule = segment_rule(version, segment.name)
    found: list[Field] = []
    at = begins + len(segment.name)
    for number, value in enumerate(segment.fields[1:], 1):
        if len(found) == most:
            break
        if segment.name == "MSH" and number == 1:  # the separator is its own field
            continue
        at += 1
        ends = at + len(value)
        if text[at:ends] != value:  # lines were joined here
            at, ends = begins, max(begins, text.find("\r", begins))
        if value:
            kind = rule.fields[number].kind if rule is not None and number in rule.fields else ""
            found.append(Field(number, kind, f"{path}-{number}", value, (at, ends)))
        at = ends
    return tuple(found), at


def _change(settings: Settings, change: Change, code: str, test: bool, by: str, reason: str) -> bool:
    if not _FACILITY.fullmatch(code) or not reason.strip() or not by:
        raise HubError("REQUEST_WRONG", "a facility's code, and a reason")
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
    try:
        with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
            return change(database, producer, Wire(settings.registry_url), mailbox_name(code, test=test), by, reason)
    finally:
        producer.close()
