"""MDM^T01 to T11 → `hie.Document`. Source: HL7 v2.5.1 chapter 9; `seeds/standards/hl7-mapping.md` §4.

Even triggers bring the body, odd ones only tell of the document; which is which is taken from what stands in the message.
"""

import base64
import binascii
from typing import Any, Final

from adapters.dialects.paths import Notes, fill, look_up
from adapters.dialects.persons import read_diagnoses, read_person
from adapters.dialects.reading import Reading
from adapters.dialects.runs import notes_of
from adapters.dialects.transforms import full_name
from adapters.formats.hl7v2 import Message, Segment

Record = dict[str, Any]

_ACTIONS: Final = {
    "T01": "PUBLISHED",
    "T02": "PUBLISHED",
    "T03": "STATUS_CHANGED",
    "T04": "STATUS_CHANGED",
    "T05": "ADDENDED",
    "T06": "ADDENDED",
    "T07": "EDITED",
    "T08": "EDITED",
    "T09": "REPLACED",
    "T10": "REPLACED",
    "T11": "CANCELLED",
}
TRIGGERS: Final = frozenset(_ACTIONS)
_MEDIA: Final = {  # OBX-5.3 (table 0291), where OBX-5.2 does not name a type of media
    "PDF": "application/pdf",
    "RTF": "application/rtf",
    "XML": "application/xml",
    "DICOM": "application/dicom",
    "HTML": "text/html",
    "PLAIN": "text/plain",
    "TXT": "text/plain",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
}
_CODED: Final = ("CE", "CWE", "CNE", "CF")
_TYPES: Final = frozenset({"application", "audio", "image", "multipart", "text", "video"})


def map_document(reading: Reading, trigger: str) -> None:
    """One document a message. Refused without TXA."""
    message, dialect = reading.message, reading.dialect
    if message.first("TXA") is None:
        reading.refuse("NOTHING_REPRESENTABLE", "TXA")
        return
    notes, scope = reading.notes(), reading.scope(message)
    if "PID" not in scope:
        notes.warn("SEGMENT_MISSING", "PID")
    document: Record = {
        "action": _ACTIONS[trigger],
        "code": {},
        "person": read_person(reading, scope, message.segments("IN1"), notes),
    }
    fill(dialect.plans["document"], scope, document, notes)
    if reading.context.facility:
        document["ma_cskcb"] = reading.context.facility
    if signatures := _signatures(scope["TXA"]):
        document["signatures"] = signatures
    if label := look_up(document.get("confidentiality", ""), dialect.codes["confidentiality"]):
        notes.labels.add(label)
    _read_body(reading, message, document, notes)
    read_diagnoses(dialect, message.segments("DG1"), notes)  # for its label alone: a document has no diagnoses of its own
    if remarks := notes_of(message.segments_in_order):
        document["notes"] = remarks
    reading.publish("hie.Document", document, document.get("document", ""), notes, key_path="TXA-12")


def _signatures(header: Segment) -> list[Record]:
    found = []
    for row in header.rows(22):
        parts = [*row, *[""] * 15][:15]
        signature = {"ma_bac_si": parts[0], "name": full_name(parts[1:4]), "signed_at": parts[14]}
        if known := {name: value for name, value in signature.items() if value}:
            found.append(known)
    return found


def _read_body(reading: Reading, message: Message, document: Record, notes: Notes) -> None:
    """Text rows are joined; what is embedded or pointed to is kept apart, in order."""
    lines: list[str] = []
    contents: list[Record] = []
    for row in message.segments("OBX"):
        code = reading.read_code(row, 3, notes) if row.field(3) else {}
        kind = row.get(2)
        if kind == "ED":
            content = _embedded(row, notes)
        elif kind == "RP":
            content = {"pointer": row.words(5), "media_type": _media_type(row.get(5, 3), row.get(5, 4))}
        else:
            lines.append(row.text(5) if kind in ("TX", "FT", "ST", "") else " ".join(filter(None, _parts(row, kind))))
            continue
        if content := {name: value for name, value in content.items() if value}:
            contents.append({"code": code, **content})
        if code.get("display"):
            document.setdefault("title", code["display"])
    if text := "\n".join(lines).strip("\n"):
        document["text"] = text
    if contents:
        document["contents"] = contents


def _parts(row: Segment, kind: str) -> list[str]:
    return next(iter(row.coded(5)), []) if kind in _CODED else row.components(5)


def _embedded(row: Segment, notes: Notes) -> Record:
    """ED: source, type of data, subtype, encoding, data."""
    media, subtype, encoding, data = ([*row.components(5), *[""] * 5])[1:5]
    body = b""
    try:
        match encoding.strip().upper():
            case "BASE64":
                body = base64.b64decode("".join(data.split()), validate=True)
            case "HEX":
                body = bytes.fromhex(data)
            case _:
                body = data.encode()
    except (ValueError, binascii.Error):
        notes.warn("CONTENT_UNREADABLE", notes.message.path(row, 5))
    return {"media_type": _media_type(media, subtype), "data": body}


def _media_type(media: str, subtype: str) -> str:
    if media.lower() in _TYPES and subtype:
        return f"{media}/{subtype}".lower()
    return _MEDIA.get(subtype.upper(), "") or (f"application/{subtype}".lower() if subtype else "")
