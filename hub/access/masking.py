"""What is shown of a message while nobody has lifted the mask: its shape, and what is no person's.

The list says what may be seen; everything else is masked. So a field that a sender adds is masked from the
first day, and free text, wherever it stands. `unmask` is the one way to lift it: a right, a reason, an audit event.
"""

import re
from collections.abc import Iterable
from typing import Final

from psycopg_pool import AsyncConnectionPool

from hub.access.people import Person, note
from hub.contract.errors import HubError

OPEN_HL7: Final = frozenset(
    f"{segment}-{number}"
    for segment, numbers in {
        "MSH": [*range(1, 8), *range(9, 22)], "MSA": [1, 2], "ERR": [1, 2, 3, 4], "EVN": [1, 2, 6], "PID": [1], "PV1": [1, 2, 4],
        "ORC": [1, 5, 7, 9], "OBR": [1, 4, 7, 14, 22, 24, 25], "OBX": [1, 2, 3, 4, 6, 11, 14], "NTE": [1, 2], "SPM": [1, 4], "DG1": [1, 6],
        "IN1": [1], "FT1": [1, 4, 5, 6], "RXO": [], "RXE": [], "TXA": [1, 2], "BHS": range(1, 8), "BTS": [1], "FHS": range(1, 8), "FTS": [1],
    }.items()
    for number in numbers
)  # fmt: skip
"""Fields of HL7 v2 whose values are shown: what kind of message it is, when, and which test; never a value, a name or a note."""

_CODE, _TIME, _UNIT = re.compile(r"\S{0,12}"), re.compile(r"[0-9 :/.,+TZ-]*(\^[A-Z]?)?"), re.compile(r"[^\s^]{0,20}(\^.*)?")
_SHAPES: Final = {
    **dict.fromkeys(("MSH-15", "MSH-16", "MSA-1", "PV1-2", "ORC-1", "ORC-5", "OBR-24", "OBR-25", "OBX-2", "OBX-11", "NTE-2", "DG1-6"), _CODE),
    **dict.fromkeys(("MSH-7", "EVN-2", "EVN-6", "ORC-9", "OBR-7", "OBR-14", "OBR-22", "OBX-14"), _TIME),
    "OBX-6": _UNIT,
}  # fmt: skip
"""What these look like, or they are not shown: a note that slipped into one, or behind a separator of its own, is a note."""
_JOINED: Final = re.compile(
    "(AL1|ARV|BHS|DB1|DG1|ERR|EVN|FT1|GT1|IAM|IN[123]|MRG|MSA|MSH|NK1|NTE|OB[RX]|ORC|PD1|PID|PR[1DT]|PV[12]|RF1|ROL|RX[ACDEGOR]|SFT|SPM|"
    "TQ[12]|TXA|UB[12]|Z[A-Z][A-Z0-9])$"
)
"""A value behind which another segment begins, as nothing ended the one that it is in."""
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?=$|[^A-Za-z0-9])")
_TARGET: Final = re.compile(r"[0-9A-Za-z:_.!-]{1,128}")
_TAG: Final = re.compile(r"</?[A-Za-z_][\w.-]{0,63}\s*/?>")
_SHORT, _MIDDLE, _LONG = "••", "••••", "••••••••"
_SHORT_MAX, _MIDDLE_MAX = 4, 12  # characters


def mask(value: object) -> str:
    """How long a value is, in three classes, and nothing else of it; nothing for nothing. Any number is short."""
    if value is None or value in ("", b""):
        return ""
    size = len(value) if isinstance(value, str | bytes) else 1
    return _SHORT if size <= _SHORT_MAX else _MIDDLE if size <= _MIDDLE_MAX else _LONG


def open_fields(segment: str, values: Iterable[tuple[int, str]]) -> frozenset[int]:
    """Numbers of the fields of one segment of HL7 v2 whose values are shown. values: number and value of each, in order.

    None that does not look like what stands there; none from where another segment begins in it: of a message that came
    as one line the patient's name stands in MSH-17.
    """
    found = set()
    for number, value in values:
        if _JOINED.search(value):
            break
        place = f"{segment}-{number}"
        shape = _SHAPES.get(place)
        if place in OPEN_HL7 and (shape is None or shape.fullmatch(value)):
            found.add(number)
    return frozenset(found)


def masked_text(text: str) -> str:
    """A raw message as text, HL7 v2 or XML, masked: segments, fields, components and tags stay where they were."""
    begun = text.lstrip("\ufeff\x0b \r\n\t")
    if begun[:3] in ("MSH", "FHS", "BHS"):
        return "\r".join(_masked_segment(line, _separators(begun)) for line in re.split(r"\r\n|\r|\n", begun))
    return _masked_xml(text)


def _separators(message: str) -> tuple[str, str]:
    """The field separator, and those within a field."""
    field = message[3:4] or "|"
    return field, "".join(sign for sign in message[4:8].split(field)[0] if sign not in "\\" and not sign.isalnum()) or "^~&"


def _masked_segment(line: str, separators: tuple[str, str]) -> str:
    field, within = separators
    if not line:
        return ""
    if not _SEGMENT.match(line):
        return mask(line)
    name, *values = line.split(field)
    if len(name) != 3:  # no field separator behind it: not a segment that anybody could read
        return mask(line)
    first = 2 if name in ("MSH", "BHS", "FHS") else 1  # their first field is the separator itself
    parts = re.compile(f"[^{re.escape(within)}]+")
    numbered = list(enumerate(values, first))
    opened = open_fields(name, numbered)
    shown = (value if number in opened else parts.sub(lambda part: mask(part[0]), value) for number, value in numbered)
    return field.join((name, *shown))


def _masked_xml(text: str) -> str:
    """Tags without attributes stay; whatever stands between two of them is masked: text, attributes, comments, CDATA, what is broken."""
    made, at = [], 0
    for tag in _TAG.finditer(text):
        made += [_masked_between(text[at : tag.start()]), tag[0]]
        at = tag.end()
    return "".join((*made, _masked_between(text[at:])))


def _masked_between(text: str) -> str:
    return mask(text) if text.strip() else text


async def unmask(pool: AsyncConnectionPool, person: Person, target: str, reason: str) -> None:
    """Return when this person may be shown what is masked of a message or an event, and the audit knows of it.

    target: `message` or `event` and its id, such as `message:0193…`; never a person's data.
    Raises: HubError(RIGHT_MISSING), which the audit knows of too; HubError(REQUEST_WRONG) without a reason.
    """
    if not _TARGET.fullmatch(target):
        raise HubError("REQUEST_WRONG", "target")
    allowed = person.may("unmask")
    async with pool.connection() as database, database.transaction():
        await note(database, "unmask", target, person.name, reason, "done" if allowed else "refused")
    if not allowed:
        raise HubError("RIGHT_MISSING", "unmask")
