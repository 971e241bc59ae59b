"""The border as a vendor's own pages see it: what would follow from a pasted message, sending it as a test, and how well
messages are understood. Bytes come in and go to the gate's own functions; nothing of them is logged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from adapters.dialects.conformance import Finding, report
from adapters.dialects.grades import GRADES
from adapters.dialects.profile import STANDARD, load_dialect
from adapters.dialects.remedies import remedy
from adapters.inbound.gate import Gate
from adapters.inbound.raw_store import RawStore
from adapters.inbound.received import Received
from adapters.inbound.signers import Signers
from adapters.inbound.translate import tried
from hub.access.credentials import Credentials
from hub.access.quota import Quotas
from hub.bus import Producer, Wire
from hub.cli.running import OFFLINE
from hub.cli.vendor import read_sample, watchable
from hub.cli.why import foreseen_of, foresight
from hub.console.border import Conformance, Reading, Sent, Trouble
from hub.contract.errors import HubError
from hub.contract.events import Keyring, now
from hub.contract.settings import Settings

PASTED_A_MINUTE = 20  # a person pastes; a program has the front door
_UNKNOWN = "…"  # where a remedy names the charset of a message


def entitled(settings: Settings, sender: str) -> frozenset[str] | None:
    """Facilities that a sender may speak for; None for any. One without a credential may speak for none; "" is nobody's name."""
    if not sender:
        return None
    credential = Credentials.open(settings.credentials).of_name(sender)
    return frozenset() if credential is None else credential.facilities


def foreseen(settings: Settings, reading: Reading) -> list[dict[str, Any]]:
    """See `Border.foreseen`: with what the case index knows of test traffic, read only."""
    with foresight(settings) as eye:
        return [one.as_dict() for event in reading.events for one in foreseen_of(eye, event)]


def send_test(settings: Settings, keyring: Keyring, quotas: Quotas, raw: bytes, sender: str) -> Sent:
    """See `Border.send_test`. quotas: of what is pasted, so many messages a minute for a sender, or fewer where its own quota says so.

    Raises: HubError(NOT_FOUND, FRAME_TOO_LARGE, OVERLOADED, BROKER_UNAVAILABLE).
    """
    credential = Credentials.open(settings.credentials).of_name(sender)
    if credential is None:
        raise HubError("NOT_FOUND", "sender")
    if len(raw) > settings.message_bytes_max:
        raise HubError("FRAME_TOO_LARGE")
    pasting = replace(credential, messages_per_minute=min(credential.messages_per_minute or PASTED_A_MINUTE, PASTED_A_MINUTE))
    quota = quotas.of(pasting, monotonic())
    if quota is not None and quota.wait_s(monotonic()) > 0:
        raise HubError("OVERLOADED", "sender")
    if quota is not None:
        quota.take(len(raw))
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
    signers = Signers.open(settings.signers, required=settings.signature_required)
    gate = Gate(producer, Wire(settings.registry_url), keyring, RawStore(settings.data_dir / "raw"), signers)
    try:
        whose = credential.name, credential.facilities
        prepared = gate.prepare(Received(raw, gate.clock(), "http", *whose, test=True, pasted=True))
        if prepared is None:
            raise HubError("BROKER_UNAVAILABLE")
        done, records = prepared
        producer.publish_blocking(records)
    finally:
        gate.close()
        producer.close()
    return Sent(done.message["message_id"], done.verdict, str(done.message.get("ack", "")))


def check(raws: Sequence[bytes]) -> Conformance:
    """See `Border.check`: by the dialect that reads most of them, as the front door chooses it; those of others are left out.

    Raises: HubError(REQUEST_WRONG) in a compiled hub, HubError(NOT_FOUND) without a message.
    """
    watchable()
    named = [(raw, str(tried(Received(raw, now(), "folder"), OFFLINE).message.get("dialect", ""))) for raw in raws]
    most = Counter(name for _, name in named if name).most_common(1)
    dialect = load_dialect(most[0][0] if most else STANDARD)
    samples = [read_sample(str(at), raw, dialect, {}) for at, (raw, name) in enumerate(named, 1) if name in ("", dialect.name)]
    if not samples:
        raise HubError("NOT_FOUND", "messages")
    found = report(samples, dialect)
    en, vi = GRADES[found.grade]
    return Conformance(
        dialect=found.dialect,
        version=found.version,
        grade=found.grade,
        vi=vi,
        en=en,
        samples=found.samples,
        translated=found.verdicts.get("translated", 0),
        findings=tuple((_trouble(one), one.count) for one in found.findings),
        ignored=tuple((row.where, row.unread) for row in found.ignored),
        never={
            row.record: tuple(f"{name} ({', '.join(places)})" for name, places in row.never.items() if places)
            for row in found.events
        },
    )


def remedy_of(code: str, path: str) -> tuple[str, str]:
    """See `Border.remedy`."""
    en, vi = remedy(code, _UNKNOWN, path)
    return vi, en


def _trouble(one: Finding) -> Trouble:
    return Trouble(one.code, one.severity, one.place, one.vi, one.en, one.do_vi, one.do_en)
