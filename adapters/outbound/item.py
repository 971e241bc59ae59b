"""One delivery as a recipient is shown it, by the inbox API and by a webhook: the same members, the same forms of the body."""

import base64
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import orjson

from adapters.dialects.profile import dialect_for
from adapters.dialects.render import as_hl7, as_json, as_xml
from adapters.formats.charset import decode
from hub.bus import Wire
from hub.contract import telemetry
from hub.contract.errors import HubError
from hub.contract.events import now

Form = Literal["json", "hl7", "xml"]


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery in a mailbox, as it is read.  day: of its partition."""

    day: date
    cursor: int
    delivery_id: UUID
    event_id: UUID
    record: str
    lane: str
    rule: str
    state: str
    code: str
    queued_at: datetime
    body: bytes


COLUMNS: Final = "day, seq as cursor, delivery_id, event_id, record, lane, rule, state, code, queued_at, body"


def control_id(delivery_id: UUID) -> str:
    """MSH-10 of a delivery: 20 characters, the most that HL7 allows, of 100 bits of its id. A retry has the same."""
    return base64.b32encode(delivery_id.bytes).decode()[:20]


def explained(error: HubError) -> dict[str, str]:
    """An error as every answer tells it."""
    return {"code": error.code, "where": error.where, "text": error.row.en, "text_vi": error.row.vi}


def shown(wire: Wire, row: Row, form: Form, facility: str) -> dict[str, object]:
    """The members of an item; a body that cannot be shown is told as a problem and holds up nothing.

    Raises: HubError(REGISTRY_UNAVAILABLE).
    """
    answer: dict[str, object] = {
        "cursor": row.cursor,
        "delivery_id": row.delivery_id,
        "event_id": row.event_id,
        "record": row.record,
        "lane": row.lane,
        "rule": row.rule,
        "state": row.state,
        "code": row.code,
        "queued_at": row.queued_at,
    }
    try:
        return answer | {"body": _body(wire, row, form, facility)}
    except HubError as wrong:
        if wrong.retriable:
            raise
        return answer | {"body": None, "problem": explained(wrong)}
    except Exception as fault:  # ours to mend: the cursor of this mailbox must not stand still for it
        telemetry.fault("inbox", "TRANSLATION_FAILED", telemetry.trace_of(fault))
        return answer | {"body": None, "problem": explained(HubError("TRANSLATION_FAILED", "body"))}


def _body(wire: Wire, row: Row, form: Form, facility: str) -> object:
    record, event = wire.unpack(row.body)
    if form == "json":
        return orjson.Fragment(as_json(record, event))
    if form == "xml":
        return as_xml(record, event).decode("utf-8")
    dialect = dialect_for(facility)
    hl7 = as_hl7(record, event, dialect, now=now(), control_id=control_id(row.delivery_id), receiving_facility=facility)
    return decode(hl7, dialect.send.charset).text
