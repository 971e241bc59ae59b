"""What a facility has to give → `hie.ResourceReport`: ORU^R01 without a patient, or a small JSON form.

In HL7 the figures are OBX by the codes of `[codes.resource]`; those with the same OBX-4 belong together, so that a department,
a speciality or a level stands beside its figures. The JSON form is `Form`; `adapters/inbound/README.md` shows it.
"""

import re
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from adapters.dialects.mapped import Context
from adapters.dialects.paths import fill, look_up, read_words, unread_number
from adapters.dialects.reading import Reading
from adapters.dialects.results import map_results
from adapters.dialects.runs import notes_of
from adapters.dialects.transforms import moment, whole
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import Event, sparse, stamp

Record = dict[str, Any]

JSON_TYPE: Final = "resource-report"
_RESOURCES_MAX: Final = 10_000
_NAME: Final = re.compile(r"[a-z_]{1,32}")


# --- ORU^R01 ----------------------------------------------------------------------------------------------------------


def map_observed(reading: Reading, trigger: str) -> None:
    """ORU^R01: results, unless it names no patient and tells of resources."""
    message, codes = reading.message, reading.dialect.codes["resource"]
    if message.first("PID") is None and any(look_up(row.get(3), codes) for row in message.segments("OBX")):
        _map_report(reading)
    else:
        map_results(reading, trigger)


def _map_report(reading: Reading) -> None:
    notes, message, codes = reading.notes(), reading.message, reading.dialect.codes["resource"]
    report: Record = {"action": "REPORTED"}
    fill(reading.dialect.plans["report"], reading.scope(message), report, notes)
    places: dict[str, Record] = {}  # OBX-4 to what is said of that place
    figures: dict[tuple[str, str], Record] = {}  # OBX-4 and kind
    for row in message.segments("OBX"):
        said = look_up(row.get(3), codes) or ""
        kind, _, name = said.rpartition(".")
        group, value = row.field(4), read_words(row, 5).strip()
        if value and not said:
            notes.unreadable("CODE_UNKNOWN", row, 3, f"resources.{message.path(row, 3)}", f"{row.text(3)} {value}")
        if not said or not value:
            continue
        if not kind:
            places.setdefault(group, {})[name] = value
        elif (number := whole(value)) is None:
            notes.unreadable(unread_number(value), row, 5, f"resources.{kind}.{name}", value)
        elif name in (figure := figures.setdefault((group, kind), {"kind": kind})):
            notes.warn("REPETITION_DROPPED", message.path(row, 4))  # of another place, it would have another OBX-4
        else:
            figure[name] = number
    if not figures:
        reading.refuse("NOTHING_REPRESENTABLE", "OBX")
        return
    report["resources"] = [{**figure, **places.get(group, {})} for (group, _), figure in figures.items()]
    if reading.context.facility:
        report["ma_cskcb"] = reading.context.facility
    if remarks := notes_of(message.segments_in_order):
        report["notes"] = remarks
    reading.publish("hie.ResourceReport", report, reading.context.facility, notes, key_path="MSH-4")


# --- JSON -------------------------------------------------------------------------------------------------------------


def _time(value: object) -> object:
    digits = re.sub(r"[-:T]", "", value[:19]) + value[19:].replace(":", "") if isinstance(value, str) else ""
    digits = re.sub(r"\.\d+|Z$", lambda found: "+0000" if found[0] == "Z" else "", digits)
    if not moment(digits):
        raise ValueError("time")
    return digits


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


_Text = Annotated[str, Field(max_length=200)]
_Count = Annotated[int, Field(ge=0, le=999_999_999)]


class Figure(_Form):
    """How much there is of one thing at one place; at least one of the three numbers."""

    kind: Literal["BED", "ICU_BED", "VENTILATOR", "STAFF"]
    ma_khoa: _Text = ""
    speciality: _Text = ""
    level: _Text = ""
    total: _Count | None = None
    in_use: _Count | None = None
    free: _Count | None = None


class Form(_Form):
    """A report of resources as JSON.

    reported_at: ISO 8601 with offset, or as in HL7; the time of statement, so a correction needs a later one.
    """

    type: Literal["resource-report"]
    ma_cskcb: Annotated[str, Field(pattern=r"^\d{5}(\d{8})?$")]
    reported_at: Annotated[str, BeforeValidator(_time)]
    control_id: _Text = ""
    test: bool = False
    resources: Annotated[list[Figure], Field(min_length=1, max_length=_RESOURCES_MAX)]
    notes: list[Annotated[str, Field(max_length=4000)]] = []


_CODES: Final = {
    "missing": "FIELD_MISSING",
    "extra_forbidden": "FIELD_UNKNOWN",
    "literal_error": "CODE_UNKNOWN",
    "string_pattern_mismatch": "CODE_UNKNOWN",
    "string_too_long": "FIELD_TOO_LONG",
    "too_long": "FIELD_REPEATS",
    "too_short": "NOTHING_REPRESENTABLE",
    "value_error": "TIME_UNPARSABLE",
}


def read_form(raw: bytes) -> tuple[Form | None, list[Problem]]:
    """The form, or what is wrong with it, each with its place such as `resources[2].kind`; never a value.

    Raises: HubError(JSON_MALFORMED), HubError(TYPE_UNSUPPORTED) for a JSON object of another `type`.
    """
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise HubError("JSON_MALFORMED") from None
    if not isinstance(found, dict):
        raise HubError("JSON_MALFORMED")
    if found.get("type", JSON_TYPE) != JSON_TYPE:
        raise HubError("TYPE_UNSUPPORTED", "type")
    try:
        form = Form.model_validate(found)
    except ValidationError as wrong:
        return None, [
            Problem(_CODES.get(each["type"], _by_type(each["type"])), Severity.ERROR, _place(each["loc"]))
            for each in wrong.errors(include_input=False, include_url=False, include_context=False)
        ]
    without = [
        Problem("FIELD_MISSING", Severity.ERROR, f"resources[{number}].total")
        for number, figure in enumerate(form.resources, 1)
        if figure.total is figure.in_use is figure.free is None
    ]
    return (None, without) if without else (form, [])


def _by_type(kind: str) -> str:
    numeric = kind.startswith(("int", "greater", "less"))
    return "NUMBER_UNPARSABLE" if numeric else "REQUEST_WRONG"


def _place(location: tuple[int | str, ...]) -> str:
    """A name that the form does not know is told only if it looks like a name: it may be anything."""
    place = ""
    for part in location:
        if isinstance(part, int):
            place += f"[{part + 1}]"
        else:
            place += f".{part if _NAME.fullmatch(part) else '?'}"
    return place.lstrip(".")


def report_of(form: Form, context: Context) -> tuple[str, Event]:
    """The event of a form that was read."""
    report: Record = sparse(
        {
            "action": "REPORTED",
            "ma_cskcb": context.facility,
            "reported_at": form.reported_at,
            "resources": [figure.model_dump() for figure in form.resources],
            "notes": form.notes,
        }
    )
    event = stamp(
        "hie.ResourceReport",
        report,
        facility=context.facility,
        business_key=context.facility,
        origin=context.origin,
        keyring=context.keyring,
        occurred_at=moment(form.reported_at) or "",
    )
    return "hie.ResourceReport", event
