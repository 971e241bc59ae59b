"""The metrics as a contract: every name, its labels with the values each may have, what it says and in which unit.

Dashboards and alerts of others are built on these names, so they only grow, as schemas do. `METRICS.md` is this table for
people; tests keep it, `telemetry.py` and what a running hub tells in step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from hub.contract.directory import payers
from hub.contract.errors import ERRORS
from hub.contract.topics import topics


@dataclass(frozen=True, slots=True)
class Values:
    """The values that a label may have.

    says: for people.
    all:  every one of them; None where the border alone knows (names of profiles).
    """

    says: str
    all: Callable[[], frozenset[str]] | None


def _listed(*values: str) -> Values:
    return Values(", ".join(value or "(empty)" for value in values), lambda: frozenset(values))


def _groups() -> frozenset[str]:
    return frozenset(("journal", "archive", "routing", "mailbox", *(f"insurer-{code}" for code in payers())))


_STAGES: Final = (
    "gate", "translate", "tls", "card-check", "folder", "sweeper", "replay", "producer",
    "routing", "insurer", "journal", "archive", "mailbox", "receipts", "wakes", "keeper", "push", "portal", "inbox", "metrics", "directory", "credentials",
    "console", "watch",
)  # fmt: skip
_STATES: Final = ("QUEUED", "SENT", "ACKNOWLEDGED", "REFUSED", "EXPIRED", "HELD", "DISCARDED")

CODE: Final = Values("a code of the [table of errors](README.md#errors)", lambda: frozenset(ERRORS))
STAGE: Final = _listed(*_STAGES)
TOPIC: Final = Values("a topic of `seeds/topics.toml`", lambda: frozenset(topics()))
PAYER: Final = Values("code of a payer", lambda: frozenset(payers()))
GROUP: Final = Values("journal, archive, routing, mailbox, insurer-<payer>", _groups)
DIALECT: Final = Values("name of a vendor profile, or empty", None)
LANE: Final = _listed("urgent", "routine")
FOLDER: Final = _listed("data", "archive", "ledger")
INCIDENT: Final = _listed("silence", "volume", "refusals", "codes", "latency")
WAITS: Final = _listed("on-its-way", "queued", "held")


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. A counter is asked for with `_total` behind its name."""

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    unit: str
    labels: Mapping[str, Values] = field(default_factory=dict)

    @property
    def series(self) -> str:
        """The name as a query writes it."""
        return self.name + ("_total" if self.kind == "counter" else "")


def _counter(name: str, meaning: str, unit: str, **labels: Values) -> Metric:
    return Metric(f"hie_{name}", "counter", meaning, unit, labels)


def _gauge(name: str, meaning: str, unit: str, **labels: Values) -> Metric:
    return Metric(f"hie_{name}", "gauge", meaning, unit, labels)


METRICS: Final = (
    _counter(
        "messages_received",
        "Messages at the border.",
        "messages",
        transport=_listed("mllp", "http", "folder", "gateway", "gateway-check-in", "gateway-claim", "replay"),
        dialect=DIALECT,
        verdict=_listed("translated", "refused", "quarantined"),
    ),
    _counter("problems", "Problems told to senders.", "problems", code=CODE, severity=_listed("E", "W", "I")),
    _counter("events_published", "Events that the brokers hold.", "events", stage=STAGE, topic=TOPIC),
    _counter(
        "mllp_bytes",
        "Bytes of MLLP links: in = framed + quarantined + padding + dropped.",
        "bytes",
        kind=_listed("in", "framed", "quarantined", "padding", "dropped"),
    ),
    _gauge("mllp_links", "Open MLLP links.", "links"),
    _counter(
        "mllp_links_closed",
        "MLLP links that ended.",
        "links",
        reason=Values("closed, idle, stopping, or a code of the table of errors", lambda: frozenset(("", "closed", "idle", "stopping", *ERRORS))),
    ),
    _counter(
        "gateway_calls_refused",
        "Calls of the insurance gateway that nothing came of.",
        "calls",
        call=Values("name of a call of the insurance gateway", None),
        code=CODE,
    ),
    _counter("unconfirmed", "Messages left without acknowledgement: the brokers did not confirm.", "messages", stage=STAGE),
    _counter("faults", "Faults that a service survived.", "faults", stage=STAGE, code=CODE),
    _counter("swept_messages", "Half-written messages whose events were published again.", "messages"),
    _counter("replayed_messages", "Messages translated again because somebody asked.", "messages"),
    _counter("deliveries_queued", "Deliveries put into mailboxes.", "deliveries", lane=LANE),
    _counter("deliveries_repeated", "Deliveries that were in their mailbox already.", "deliveries"),
    _counter(
        "receipts",
        "Receipts that the brokers hold.",
        "receipts",
        state=_listed(*_STATES),
        channel=_listed("", "pull", "mllp", "webhook", "portal", "mailbox", "keeper"),
    ),
    _counter("dead_letters", "Records that could not be processed.", "records", stage=STAGE, code=CODE),
    _counter(
        "push_answers",
        "What recipients answered to MLLP push.",
        "answers",
        answer=_listed("acknowledged", "refused", "sent", "gone", "silent", "unreachable", "held"),
    ),
    _counter(
        "portal_slips",
        "What became of slips for the citizen's app at the insurance portal.",
        "slips",
        answer=_listed("acknowledged", "refused", "held", "discarded", "login-refused", "unreachable"),
    ),
    _counter(
        "journal_records",
        "Records that the journal indexed.",
        "records",
        kind=_listed("message", "event", "delivery", "receipt", "dead-letter", "undecodable"),
    ),
    _counter("trace_spans", "What became of spans for the collector of traces.", "spans", answer=_listed("sent", "failed", "full")),
    _counter("archived_records", "Records that the archive holds.", "records"),
    _counter(
        "ledger_rows",
        "Rows written to an insurer's ledger; repeats are claims dropped as known.",
        "rows",
        payer=PAYER,
        kind=_listed("claims", "lines", "findings", "repeats"),
    ),
    _counter("incidents", "Incidents that the watch opened or ended.", "incidents", kind=INCIDENT, change=_listed("opened", "ended")),
    _gauge("incidents_open", "Incidents that are open.", "incidents", kind=INCIDENT),
    _counter(
        "console_sign_ins",
        "Tries to sign in to the console.",
        "tries",
        answer=_listed(
            "done",
            "CREDENTIAL_WRONG",
            "LOGIN_UNKNOWN",
            "LOGIN_UNPROVEN",
            "TRIES_EXCEEDED",
            "OVERLOADED",
            "PROVIDER_UNAVAILABLE",
            "DATABASE_UNAVAILABLE",
        ),
    ),
    _counter(
        "console_refused",
        "Requests that the console's door refused.",
        "requests",
        reason=_listed("plain", "origin", "form", "session", "polling", "many", "frame"),
    ),
    # what stands now: looked at every half minute; what cannot be asked for is absent, never a number of before
    _gauge("consumer_lag_records", "Records that a reader has still to read.", "records", group=GROUP, topic=TOPIC),
    _gauge(
        "deliveries_waiting",
        "Deliveries without their recipient's word: on their way to a mailbox, in it, or held for a person.",
        "deliveries",
        state=WAITS,
        lane=LANE,
    ),
    _gauge("deliveries_oldest_seconds", "Age of the oldest of them.", "seconds", state=WAITS, lane=LANE),
    _gauge("parked_keys", "Keys that wait for a fact or a fix.", "keys", code=Values("a code of the table of errors, or BEHIND", lambda: frozenset(("BEHIND", *ERRORS)))),
    _gauge("dead_letters_open", "Dead letters that nobody has dealt with.", "records", stage=STAGE, code=CODE),
    _gauge("disk_free_bytes", "Room left for the hub where a folder lies.", "bytes", folder=FOLDER),
    _gauge("disk_size_bytes", "Size of the disk where a folder lies.", "bytes", folder=FOLDER),
    _gauge("certificate_expires_seconds", "Time until the hub's certificate ends; below nothing once it has.", "seconds", certificate=_listed("hub")),
)  # fmt: skip

STANDING: Final = {
    one.name: one for one in METRICS if one.kind == "gauge" and one.name not in ("hie_mllp_links", "hie_incidents_open")
}
"""The gauges that are not counted as things happen, but asked for: `telemetry.stands`."""


def table() -> str:
    """The rows of `METRICS.md`."""
    lines = []
    for one in METRICS:
        labels = "; ".join(f"`{name}`: {values.says}" for name, values in one.labels.items())
        lines.append(f"| `{one.series}` | {one.kind} | {labels} | {one.meaning} | {one.unit} |")
    return "\n".join(lines)
