"""OBX-5 by OBX-2: what a line of a result says, or the conclusion; and what stands beside the value. Source: `seeds/standards/hl7-mapping.md` §4.3; HL7 v2.5.1 §7.4.2.

A delimiter that nobody escaped is kept as it stands in a value whose type has no parts.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from adapters.dialects.paths import Notes, Scope, place_of, unread_number
from adapters.dialects.profile import Dialect
from adapters.dialects.reading import tell_embedded
from adapters.dialects.shapes import FLAGS
from adapters.dialects.transforms import MEASURED, STRUCTURED, Comma, code, pointed
from adapters.formats.hl7v2 import NULL, Segment

Record = dict[str, Any]

VALUES: Final = frozenset({"gia_tri", "number", "mo_ta"})  # where a line has what was measured
_SAYING: Final = VALUES | {"notes", "value_codes"}
_IS_FINAL: Final = "F"
_FINAL: Final = (_IS_FINAL, "C")
STATES: Final = frozenset("ABCDFINOPRSUVWX")  # OBX-11, table 0085 of all versions; A, B and V since v2.8
_BEHIND_STATE: Final = 12  # of OBX: a time
_PARENTS: Final = (26, 29)  # of OBR: the result, and the number of the order, that a result belongs to
VALUE_MAX: Final = 255  # characters of GIA_TRI; what is longer is MO_TA
TEXT: Final = frozenset({"TX", "FT"})
_CODED: Final = frozenset({"CE", "CWE", "CNE", "CF", "IS", "ID"})
_WITH_TEXT: Final = _CODED - {"IS", "ID"}  # a code, its text and its system; the others are the code alone
_NUMERIC: Final = frozenset({"NM", "SN"})
_DIGITS: Final = r"\d+(?:[.,]\d+)?"
_ANSWERS: Final = frozenset({"S", "I", "R", "SDD", "NS", "MS", "VS"})  # of a germ to an antibiotic: table 0078
_IN_FLAGS: Final = _ANSWERS | {"POS", "NEG", "IND", "DET", "ND", "RR", "WR", "NR"}  # results by themselves; others rate a value
_RANGE: Final = re.compile(rf"[<>≤≥]=?\s*{_DIGITS}|{_DIGITS}\s*[-–]\s*{_DIGITS}")
_NORMAL: Final = "N"  # OBX-8
_COMPARED: Final = re.compile(
    r"([<>]=|=[<>]|<>|[<>=])?\s*(.*)", re.DOTALL
)  # SN-1, and what stands behind it where all is one text
_COMPARATORS: Final = {"=": "", "=<": "<=", "=>": ">="}  # as SN-1 has them
_SEPARATORS: Final = frozenset({"", "-", "+", "/", ":"})  # SN-3
_STRING: Final = "ST"
_TWO_NUMBERS: Final = (
    "Số này có thể hiểu theo hai cách (dấu chấm ngăn hàng nghìn hoặc phần thập phân); hub không chọn cách nào."
    " / This number can be read in two ways (its point between thousands or before decimals); the hub chose neither."
)
_EMBEDDED: Final = "ED"  # a document: the raw message keeps it, the line tells its type
_POINTER: Final = "RP"
_IN_WORDS: Final = (1, 0, 8, 4, 3)  # components of a coded value: text, code, original text, the alternate ones
_DATATYPES: Final = (
    "AD AUI CCD CCP CD CK CM CN CNN CP CQ CSU CX DDI DIN DLD DLN DLT DR DT DTM DTN ED EI EIP ERL FC FN GTS HD ICD JCC LA1 LA2 MA MO MOC"
    " MOP MSG NA NDL NM NR OCD OSD OSP PIP PL PLN PN PPN PRL PT PTA QIP QSC RCD RFR RI RMC RP RPT SAD SCV SI SN SPD SPS SRT ST TM TN TQ TS"
    " UVC VH VID VR WVI WVS XAD XCN XON XPN XTN"
)
_OF_HL7: Final = TEXT | _CODED | frozenset(_DATATYPES.split())
"""What OBX-2 may be: the datatypes of HL7 v2.1 to v2.8.2, as table 0125 lags behind them in some versions."""


def read_value(segment: Segment, kind: str, line: Record, notes: Notes, at: str, comma: Comma) -> None:
    """OBX-5 by OBX-2: GIA_TRI, or MO_TA when it is text or long, and the number where it is one. Of a sender with commas in its
    numbers GIA_TRI has the point of the standard too, for whoever gets it. What should be a number and cannot be read as one is ST
    from here on: no recipient is to parse what the hub could not; and where it could be two numbers, a note says so to who reads it."""
    raw = segment.field(5)
    if not raw:
        return
    if raw == NULL:
        notes.cleared.append(at + "gia_tri")
        return
    if kind in TEXT:
        if text := segment.text(5):  # highlighting alone leaves nothing
            line["mo_ta"] = text
        return
    if kind not in _OF_HL7:
        notes.warn("VALUE_TYPE_UNKNOWN", notes.message.path(segment, 2))
    number: str | None = None
    if kind == "NM":
        stated = _whole(segment) or raw
        number = pointed(stated, comma)
        value = number if number and MEASURED.fullmatch(number) else stated
    elif kind == _EMBEDDED:
        value = "/".join(filter(None, segment.components(5)[1:3]))
        tell_embedded(segment, notes)
    elif kind == _POINTER:
        value = segment.words(5)
    elif kind == "SN":
        read = [_structured(row, comma) for row in segment.rows(5)]
        value = ";".join(text for text, _clear in read if text)
        number = value if all(clear for _text, clear in read) else None
    elif (kind == "ST" or kind not in _OF_HL7) and segment.delimiters.subcomponent in raw:
        value = _whole(segment)
    else:
        rows = segment.coded(5) if kind in _CODED else segment.rows(5)
        value = ";".join(filter(None, (_one_value(segment, kind, row) for row in rows)))
        if kind in _WITH_TEXT and (codes := _codes(rows)):
            line["value_codes"] = codes
    if not value:
        return
    line["gia_tri" if len(value) <= VALUE_MAX else "mo_ta"] = value
    if kind == "NM" or kind == "SN":
        if number is not None and MEASURED.fullmatch(number):
            line["number"] = float(number)
        elif kind == "NM" or number is None:
            line["value_type"] = _STRING
            wrong = unread_number(value)
            notes.unreadable(wrong, segment, 5, at + "number", value)
            if wrong == "NUMBER_DOUBTFUL":
                line["notes"] = [*line.get("notes", ()), _TWO_NUMBERS]


def concludes(segment: Segment, kind: str, state: str, answered: Callable[[], bool]) -> bool:
    """Whether an OBX with the code of a conclusion is one. IMP is imipenem too: a number, what is flagged, and how a germ answers
    (S, I, R) are lines of a result, and so is what is no text beside such answers. What is withdrawn, preliminary or corrected by
    itself (OBX-11) is a line too, which keeps its state: a conclusion has that of its result.

    state:    OBR-25.
    answered: whether any OBX of the same OBR is such an answer.
    """
    own = segment.get(11).strip().upper()
    if own not in ("", _IS_FINAL, state.strip().upper()) or answers(segment):
        return False
    return kind in TEXT or not (kind in _NUMERIC or is_flagged(segment) or answered())


def is_flagged(segment: Segment) -> bool:
    """Whether OBX-8 says that it is not normal."""
    return segment.get(8).strip() not in ("", _NORMAL)


def answers(segment: Segment) -> bool:
    """Whether an OBX says how a germ answers to an antibiotic."""
    return segment.get(5).strip().upper() in _ANSWERS


def _whole(segment: Segment) -> str:
    """OBX-5 of a type that has no parts, with the delimiters that nobody escaped: `10^5` is not 10, nor `A & B` A."""
    delimiters = segment.delimiters
    text = segment.text(5).strip(f" {delimiters.component}{delimiters.subcomponent}\n")
    return text.replace("\n", ";")


def _structured(parts: list[str], comma: Comma) -> tuple[str, bool]:
    """Comparator, number, separator or suffix, number, also of who writes comparator and number in one place; and whether it is
    an SN, in which each number can be one only."""
    parts = [part.strip() for part in parts[:4]]
    if not any(parts):
        return "", True
    head, *rest = parts if parts[0] else parts[1:]
    compared = _COMPARED.fullmatch(head)
    assert compared is not None
    comparator, behind = compared.groups("")
    first, separator, second, *more = *([behind] if behind else []), *rest, "", "", ""
    if separator not in _SEPARATORS or (second and not separator) or any(more):
        return "^".join(parts), False
    read = [(pointed(part, comma), part) for part in (first, second)]
    plain = [part if number is None else number for number, part in read]
    text = f"{_COMPARATORS.get(comparator, comparator)}{plain[0]}{separator}{plain[1]}"
    numbers = not separator or all(MEASURED.fullmatch(part) for part in plain if part)
    clear = numbers and first[:1] not in ("<", ">") and all(number is not None for number, _part in read)
    return text, clear and STRUCTURED.fullmatch(text) is not None


def _codes(rows: list[list[str]]) -> list[Record]:
    """Of a coded value each repetition that holds anything; [] where none has a code, as the text says it all then."""
    if not any(row[at] for row in rows for at in (0, 3) if at < len(row)):
        return []
    found = [code(row) for row in rows]
    for one, row in zip(found, rows, strict=True):
        if "display" not in one and len(row) > 8 and row[8]:
            one["display"] = row[8]  # the original text of CWE
    return [one for one in found if one]


def _one_value(segment: Segment, kind: str, parts: list[str]) -> str:
    if not parts:
        return ""
    if kind in _CODED:
        return next((parts[at] for at in _IN_WORDS if at < len(parts) and parts[at]), "")
    if kind == "ST" or kind not in _OF_HL7:
        return segment.delimiters.component.join(parts)  # a delimiter that nobody escaped
    return " ".join(filter(None, parts))


# --- beside the value -------------------------------------------------------------------------------------------------


def parents(dialect: Dialect, scope: Scope, notes: Notes) -> list[str]:
    """What a result says of the one that it belongs to, such as the germ of an antibiogram: in words, as no field is made for it."""
    if (request := scope.get("OBR")) is None or len(request.fields) <= min(_PARENTS):
        return []
    said = (
        (request.get(26, 1, 2) or request.get(26), request.get(26, 2), request.words(26, 3)),
        (request.get(29), request.get(29, 2)),
    )
    read = {place.field for rule in dialect.plans["result"] for place in rule.places if place.segment == "OBR"}
    found = []
    for field, parts in zip(_PARENTS, said, strict=True):
        words = " ".join(filter(None, map(str.strip, parts)))
        if field not in read and words not in STATES and words:  # a state that slipped from OBR-25 is no parent
            found.append(f"OBR-{field}: {words}")
            if label := dialect.labels.in_words(words):
                notes.labels.add(label)
    return found


def is_silent(line: Record, segment: Segment, kind: str) -> bool:
    """Whether a line is final and says nothing. One without a type is a heading, an empty text a blank line."""
    said = segment.fields[5] or not kind or kind in TEXT or line.get("status") not in _FINAL
    return not said and _SAYING.isdisjoint(line) and _IN_FLAGS.isdisjoint(line.get("flags", ()))


def tell_silent(silent: list[Segment], lines: list[Segment], notes: Notes) -> None:
    """That a final line has no value, but where another line of its test has it."""
    if silent:
        told = {one.field(3) for one in lines if one.field(5)}
        for segment in silent:
            if segment.field(3) not in told:
                notes.warn("FIELD_MISSING", notes.message.path(segment, 5))


def tell_flags(segment: Segment, line: Record, notes: Notes, at: str) -> None:
    """That a flag is none of HL7's: it is kept, but makes no result urgent. A range there is none, and is kept beside the event."""
    if FLAGS.issuperset(line.get("flags", ())):
        return
    flags = [flag for one in line["flags"] if (flag := one.strip())]
    if known := [flag for flag in flags if not _RANGE.fullmatch(flag)]:
        line["flags"] = known
    else:
        del line["flags"]
    if len(known) < len(flags):
        notes.unreadable("FIELDS_SHIFTED", segment, 8, f"{at}flags", segment.text(8))
    if not FLAGS.issuperset(known):
        notes.warn("CODE_UNKNOWN", notes.message.path(segment, 8))


def tell_state(dialect: Dialect, segment: Segment, line: Record, notes: Notes) -> None:
    """That the state of a line is none of HL7's: it is kept, since without one the line would count as final. A state in the
    place behind says that a separator in the value, which nobody escaped, cut it and shifted what follows."""
    state = line.get("status", "")
    if state not in STATES and segment.get(_BEHIND_STATE) in STATES:
        notes.warn("FIELDS_SHIFTED", notes.message.path(segment, 5))
    if not state or state in STATES:
        return
    rule = next(one for one in dialect.plans["observation"] if one.name == "status")
    found = place_of(state, rule, {"OBX": segment})
    notes.warn("RESULT_STATE_UNKNOWN", notes.message.path(*found or (segment, 11)))
