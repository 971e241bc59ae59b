"""What the standard asks of a message: which segments, in which order, how often; which fields, and of what form.

The rules come from hl7apy's reference tables (v2.1 to 2.8.2), compiled once for each version and structure that is asked
for. Every finding is a warning: the border refuses messages for other reasons (promise 3). A code that is not in its table is
information only, recorded and not told: vendors add codes of their own, and what the hub maps is judged by the mapping.

Fields are checked twice: a quick look over whole columns, which most segments pass, and the full check of a segment, made
only where the quick look saw something. The full check alone decides what is reported.
"""

import re
from calendar import isleap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import zip_longest
from typing import Any, Final, Literal

import hl7apy

from adapters.formats.grammar import Grammar, read_grammar
from adapters.formats.hl7v2 import LONG, NULL, PROBLEMS_MAX, Message, Segment
from hub.contract.errors import Problem, Severity

VERSIONS: Final = frozenset(hl7apy.SUPPORTED_LIBRARIES)

# Table 0354: which structure a trigger uses where its own name is not one. Of several, the first that the version has.
_SHARED: Final = {
    "ADT_A01": "A04 A05 A08 A13 A14 A28 A31",
    "ADT_A05": "A14 A28 A31",
    "ADT_A06": "A07",
    "ADT_A09": "A10 A11 A12 A15",
    "ADT_A21": "A22 A23 A25 A26 A27 A29 A32 A33",
    "ADT_A12": "A21 A22 A23 A25 A26 A27 A29 A32 A33",  # before v2.4
    "ADT_A30": "A34 A35 A36 A46 A47 A48 A49",
    "ADT_A39": "A40 A41 A42",
    "ADT_A43": "A44",
    "ADT_A45": "A45",
    "ADT_A50": "A50 A51",
    "ADT_A52": "A53",
    "ADT_A54": "A55",
    "ADT_A61": "A62",
}
_BY_TYPE: Final = {
    "SIU": "SIU_S12",
    "REF": "REF_I12",
    "RRI": "RRI_I12",
    "MDM": "MDM_T02",
    "PPR": "PPR_PC1",
    "VXU": "VXU_V04",
    "ORU": "ORU_R01",
    "ORM": "ORM_O01",
    "RDE": "RDE_O11",
    "ACK": "ACK",
}
_A05_FIRST: Final = ("A14", "A28", "A31", "A05")
_MDM_PLAIN: Final = frozenset(("T01", "T03", "T05", "T07", "T09", "T11"))

# The forms of simple values and their greatest lengths (v2.5.1 §2A; hl7apy's base datatypes).
_TIME: Final = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d(?:\.\d{1,4})?)?)?"
_ZONE: Final = r"(?:[+-](?:0\d|1[0-4])[0-5]\d)?"
_DATE: Final = r"\d{4}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12]\d|3[01])%s)?)?"
_FORMS: Final = {
    "SI": (re.compile(r"\d+"), 4, "NUMBER_UNPARSABLE"),
    "NM": (re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)"), 16, "NUMBER_UNPARSABLE"),
    "DT": (re.compile(_DATE % ""), 8, "TIME_UNPARSABLE"),
    "TM": (re.compile(_TIME + _ZONE), 16, "TIME_UNPARSABLE"),
    "TS": (re.compile(_DATE % f"(?:{_TIME})?" + _ZONE), 26, "TIME_UNPARSABLE"),
    "IS": (re.compile(r".*", re.DOTALL), 20, "FIELD_TOO_LONG"),
}
_TEXT_MAX: Final = {"ST": LONG, "TX": 65536, "FT": 65536}  # asked of senders up to v2.6; later versions leave it to profiles
_WITH_VALUES: Final = frozenset({"ORU", "OUL", "MDM"})  # MSH-9.1 of those whose OBX are results or a document
_VALUE, _STATE = 5, 11  # of OBX
_BEHIND_TYPE: Final = 10  # of MSH: the control id
_SECOND: Final = ("SFT", "EVN", "PID", "ORC", "OBR", "PRD", "RF1", "SCH", "MFI", "MSA", "PRT", "UAC", "NTE", "IVC")
"""Segments that may stand behind MSH, in the types that the hub takes."""
_SHORT_MONTHS: Final = frozenset({"04", "06", "09", "11"})
_SEGMENT_ENDS: Final = ("\r", "\n")
_FRAME_BEGINS, _FRAME_ENDS, _HEADER = "\x0b", "\x1c", "MSH"
_ESCAPE_BEGINS: Final = re.compile(
    r"[FSTREHNPX]|X[0-9A-F]+|\.[a-z]{0,2}(?: ?[+-]?\d+)?"
)  # behind the character that opens it, which alone is text
_BEHIND: Final = "\x0b\x1c\x00\t "  # framing and blanks left behind the last segment
_COLUMNS_FROM: Final = 4  # segments of one name from which looking at columns is cheaper than at segments
_SEEN_MAX: Final = 20_000

# Simple values found good before, by datatype: a bounded cache. The empty value and the HL7 null pass everywhere.
_seen: Final[dict[str, set[str]]] = {kind: {"", '""'} for kind in _FORMS}


Seen = Literal["nothing", "codes", "all"]
"""What a quick look found: nothing to report, nothing but codes that are not in their tables, or anything at all."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field of one segment.

    kind: its datatype; most: repetitions allowed, -1 for any number; codes: what a field of type ID may hold, empty for any.
    """

    number: int
    kind: str
    required: bool
    most: int
    codes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """The fields of one segment; the rest is what the quick look needs of them."""

    fields: dict[int, FieldRule]
    required: tuple[int, ...]
    asks_up_to: int  # the first field behind all that are required
    simple: tuple[tuple[int, str, set[str]], ...]
    bounded: tuple[int, ...]  # fields that may not repeat for ever
    texts: tuple[tuple[int, int], ...]  # fields of text, with their greatest length
    coded: tuple[tuple[int, frozenset[str]], ...]  # fields of a closed table, with its codes, the empty value and the null


def check(message: Message) -> list[Problem]:
    """The findings about one message, structure first, at most `PROBLEMS_MAX`; [] for a version that has no reference tables.

    Z-segments and fields beyond the standard's are passed over. Without MSH-9.3 the structure is taken from the trigger; a
    message whose structure is not in the tables has only its fields checked.
    """
    version = message.version
    if version not in VERSIONS:
        return []
    problems = _order(message, version)
    for name, segments in message.by_name.items():
        rule = segment_rule(version, name)
        seen = _quick(rule, name, segments, message) if rule is not None else "nothing"
        if rule is not None and seen != "nothing":
            for segment in segments:
                problems += check_segment(rule, segment, message) if seen == "all" else _check_codes(rule, segment, message)
                if len(problems) >= PROBLEMS_MAX:
                    return problems[:PROBLEMS_MAX]
    return problems


def stops_at(message: Message, text: str) -> str:
    """Where the message stops, `PV1-19`, when nothing ends its last segment; "" when a CR or LF does.

    text: what the message was read from.
    """
    if text[-1:] in _SEGMENT_ENDS or not (line := _last_line(text)):
        return ""
    last = message.segments_in_order[-1]
    whole = line.upper().startswith(last.name)
    return message.path(last, len(last.fields) - 1) if whole else f"after {message.path(last)}"


def cut_within_value(message: Message, text: str) -> str:
    """Where a message of results or of a document breaks off, `OBX[2]-5`; "" where nothing says that it does.

    Many senders leave out the last segment end, and some never send more than the value. It is taken for cut where nothing stands
    behind the value, or not even that is there, and every other OBX of the message goes on further. Where there is no other, the
    version has to require what stands behind it: `1` may be the beginning of 17.8.

    text: what the message was read from.
    """
    if text[-1:] in _SEGMENT_ENDS or message.type not in _WITH_VALUES:
        return ""
    if _last_line(text)[:4].upper() != f"OBX{message.delimiters.field}" or message.names[-1] != "OBX":
        return ""
    *others, last = message.segments("OBX")
    reach = len(last.fields) - 1
    rule = _rule(message.version, "OBX")
    goes_on = bool(others) or (rule is not None and _STATE in rule.required)
    return message.path(last, reach) if reach <= _VALUE and goes_on and _others_go_on(others, last) else ""


def broken_off(message: Message, text: str) -> str:
    """Where a message of any type seems to break off, `DG1[2]-3`; "" where nothing speaks for it.

    Besides the missing segment end one of these has to be seen: an MLLP frame that begins and does not end, an escape sequence that is
    not closed, a name of one or two letters, fields missing that are required and that every other segment of that name has, if there
    is one, or segments missing behind it that the structure requires, where it goes no further than the last field that it must have.

    text: what the message was read from.
    """
    place = stops_at(message, text)
    line, last = _last_line(text) if place else "", message.segments_in_order[-1]
    if line.isalpha() and line.isupper() and len(line) < len(last.name):
        return place
    if not line.upper().startswith(last.name):
        return ""  # no segment, and told as that
    reach = len(last.fields) - 1
    rule = _rule(message.version, last.name)
    *others, _ = message.segments(last.name)
    lacks = rule is not None and any(number > reach for number in rule.required) and _others_go_on(others, last)
    ends_early = rule is not None and reach < rule.asks_up_to and last is not message.header and _lacks_segments(message)
    opened = _FRAME_BEGINS in text[: text.find(_HEADER)] and _FRAME_ENDS not in text
    value, mark = last.field(reach), message.delimiters.escape
    escaped = last is not message.header and value.count(mark) % 2 > 0 and _ESCAPE_BEGINS.fullmatch(value.rpartition(mark)[2])
    return place if lacks or ends_early or opened or escaped else ""


def _rule(version: str, name: str) -> SegmentRule | None:
    return segment_rule(version, name) if version in VERSIONS else None


def _lacks_segments(message: Message) -> bool:
    """Whether segments that the structure requires are missing at the end."""
    rules = _grammar_of(message.version, message.header.field(9), message.delimiters.component)
    return rules is not None and any(index == len(message.names) for index, _ in rules.findings(message.names))


def _last_line(text: str) -> str:
    """A segment, or what was left of one in the midst of a name."""
    text = text.rstrip(_BEHIND)
    return text[max(map(text.rfind, _SEGMENT_ENDS)) + 1 :].lstrip()


def _others_go_on(others: Sequence[Segment], last: Segment) -> bool:
    """Whether each of the others has more fields than the last."""
    return all(len(other.fields) > len(last.fields) for other in others)


def run_together(message: Message) -> str:
    """Where in MSH the next segment begins, `MSH-12`, of a message whose segment ends were all taken out; "" where none does.

    `curl -d` sends a file so. Z-segments tell nothing: a version that ends in one is not to be looked for.
    """
    if len(message.names) > 1:
        return ""
    fields = message.header.fields
    ends = (number for number in range(_BEHIND_TYPE, len(fields) - 1) if fields[number].endswith(_SECOND))
    return f"MSH-{number}" if (number := next(ends, 0)) else ""


def structure_of(version: str, type_: str, trigger: str, structure: str = "") -> str:
    """The name of the structure that a message of that type must have; "" if the tables have none.

    structure: MSH-9.3 as sent, taken when the version has it.
    """
    return _structure_of(version, type_, trigger, structure) if version in VERSIONS else ""


@lru_cache(maxsize=1024)
def _structure_of(version: str, type_: str, trigger: str, structure: str) -> str:
    known = hl7apy.load_library(version).MESSAGES
    tries = [structure, f"{type_}_{trigger}"]
    if type_ == "ADT":
        if trigger in _A05_FIRST:
            tries.append("ADT_A05")
        tries += [name for name, triggers in _SHARED.items() if trigger in triggers.split()]
    elif type_ == "MDM" and trigger in _MDM_PLAIN:
        tries.append("MDM_T01")
    tries.append(_BY_TYPE.get(type_, ""))
    return next((name for name in tries if name and name in known), "")


@cache
def grammar(version: str, structure: str) -> Grammar:
    """The compiled order of segments of one structure."""
    return read_grammar(hl7apy.load_library(version).MESSAGES[structure], _OPTIONAL.get(structure[:3], ()))


_OPTIONAL: Final = {"REF": ("OBR",), "RRI": ("OBR",)}
"""Segments that are required by the tables and not in use: what a slip says in OBX (VN-DHLS) answers no request."""


_CONDITIONAL: Final = frozenset({"OBX_4"})  # required in hl7apy's tables of 2.3.1, where HL7 (§7.3.2) says conditional


@lru_cache(maxsize=4096)
def segment_rule(version: str, name: str) -> SegmentRule | None:
    """The compiled fields of one segment; None for a Z-segment or one that the version lacks."""
    reference: Any = hl7apy.load_library(version).SEGMENTS.get(name)
    if reference is None or len(reference) < 2:
        return None
    fields = []
    for child in reference[1]:
        if len(child) < 3 or not isinstance(child[1], (tuple, list)):
            continue  # a few entries of the tables are incomplete
        kind = str(child[1][2])
        least, most = child[2] if child[0] not in _CONDITIONAL else (0, child[2][1])
        codes = _codes(version, str(child[1][4])) if kind == "ID" and len(child[1]) > 4 else frozenset[str]()
        fields.append(FieldRule(int(child[0].rsplit("_", 1)[1]), "TS" if kind == "DTM" else kind, least > 0, most or 1, codes))
    fields.sort(key=lambda field: field.number)
    if name in ("MSH", "FHS", "BHS"):
        fields = [field for field in fields if field.number > 2]
    required = tuple(field.number for field in fields if field.required)
    return SegmentRule(
        {field.number: field for field in fields},
        required,
        max(required, default=0) + 1,
        tuple((field.number, field.kind, _seen[field.kind]) for field in fields if field.kind in _FORMS),
        tuple(field.number for field in fields if field.most > 0),
        tuple((field.number, _TEXT_MAX[field.kind]) for field in fields if field.kind in _TEXT_MAX) if version < "2.7" else (),
        tuple((field.number, field.codes | {"", '""'}) for field in fields if field.codes),
    )


@cache
def _codes(version: str, table: str) -> frozenset[str]:
    """The codes of one table that HL7 itself defines; empty where the reference has none, or cut them, or leaves them open."""
    library: Any = hl7apy.load_library(version)
    codes = frozenset(map(str, getattr(library, "TABLES", {}).get(table, ("", ()))[1]))  # v2.1 to v2.3 have no tables
    if any(" " in code or code == "..." for code in codes):
        return frozenset()
    # Table 0125 lags behind the datatypes that its own version has.
    return codes.union(library.DATATYPES_STRUCTS, library.BASE_DATATYPES) if codes and table == "HL70125" else codes


@lru_cache(maxsize=1024)
def _grammar_of(version: str, message_type: str, component: str) -> Grammar | None:
    type_, trigger, structure, *_ = [*message_type.split(component), "", "", ""]
    name = structure_of(version, type_, trigger, structure)
    return grammar(version, name) if name else None


def _order(message: Message, version: str) -> list[Problem]:
    rules = _grammar_of(version, message.header.field(9), message.delimiters.component)
    if rules is None:
        return []
    problems = []
    for index, missing in rules.findings(message.names)[:PROBLEMS_MAX]:
        if missing:
            problems.append(Problem("SEGMENT_MISSING", Severity.WARNING, missing))
        else:
            problems.append(Problem("SEGMENT_UNEXPECTED", Severity.WARNING, message.path(message.segments_in_order[index])))
    return problems


def _quick(rule: SegmentRule, name: str, segments: Sequence[Segment], message: Message) -> Seen:
    """What these segments may have to report."""
    repetition = message.delimiters.repetition if name in message.repeating else ""
    is_long = name in message.long
    if len(segments) >= _COLUMNS_FROM:
        return _quick_columns(rule, name, [segment.fields for segment in segments], repetition, is_long)
    found: Seen = "nothing"
    for segment in segments:
        fields = segment.fields
        count = len(fields)
        for number in rule.required:
            if number >= count or not fields[number]:
                return "all"
        for number, kind, seen in rule.simple:
            if number >= count:
                break
            if fields[number] not in seen and not _is_good(kind, fields[number], seen):
                return "all"
        for number, codes in rule.coded:
            if number >= count:
                break
            if fields[number] not in codes:
                found = "codes"
        if repetition and any(repetition in fields[number] for number in rule.bounded if number < count):
            return "all"
        if is_long and any(len(fields[number]) > most for number, most in rule.texts if number < count):
            return "all"
        if name == "OBX" and count > 5 and fields[2] in _FORMS and not _is_good(fields[2], fields[5], _seen[fields[2]]):
            return "all"
    return found


def _quick_columns(rule: SegmentRule, name: str, rows: list[list[str]], repetition: str, is_long: bool) -> Seen:
    found: Seen = "nothing"
    columns = list(zip_longest(*rows, fillvalue=""))
    count = len(columns)
    for number in rule.required:
        if number >= count or "" in columns[number]:
            return "all"
    for number, kind, seen in rule.simple:
        if number >= count:
            break
        if not seen.issuperset(columns[number]) and not all(_is_good(kind, value, seen) for value in set(columns[number])):
            return "all"
    for number, codes in rule.coded:
        if number >= count:
            break
        if not codes.issuperset(columns[number]):
            found = "codes"
    if repetition and any(repetition in "".join(columns[number]) for number in rule.bounded if number < count):
        return "all"
    if is_long and any(max(map(len, columns[number])) > most for number, most in rule.texts if number < count):
        return "all"
    if name == "OBX" and count > 5:
        for kind in set(columns[2]):
            if kind in _FORMS:
                seen = _seen[kind]
                values = (
                    columns[5]
                    if columns[2].count(kind) == len(rows)
                    else [row[5] for row in rows if row[2:3] == [kind] and len(row) > 5]
                )
                if not seen.issuperset(values) and not all(_is_good(kind, value, seen) for value in values):
                    return "all"
    return found


def _is_good(kind: str, value: str, seen: set[str]) -> bool:
    if value in seen:
        return True
    if _fault(kind, value):
        return False
    if len(seen) >= _SEEN_MAX:
        seen.clear()
        seen.update(("", '""'))
    seen.add(value)
    return True


def day_exists(value: str) -> bool:
    """Whether the month has such a day: False of 30 February. value: yyyymmdd…, or less, of which the form is known to be good."""
    day, month = value[6:8], value[4:6]
    if day <= "28":
        return True  # nearly all
    if month == "02":
        return day == "29" and isleap(int(value[:4]))
    return day <= "30" or month not in _SHORT_MONTHS


def _fault(kind: str, value: str) -> str:
    """The code of what is wrong with a simple value of one repetition; "" if nothing is."""
    form, longest, code = _FORMS[kind]
    if kind == "NM":
        value = value.strip(" ")  # as it is read
    elif kind == "TS":
        value = value.partition("^")[0]  # v2.1 to 2.5.1 have a second component: the precision
        if not value:
            return ""
    if not form.fullmatch(value) or (kind in ("DT", "TS") and not day_exists(value)):
        return code
    return "FIELD_TOO_LONG" if len(value) > longest else ""


def check_segment(rule: SegmentRule, segment: Segment, message: Message) -> list[Problem]:
    """The full check of the fields of one segment."""
    problems: list[Problem] = []

    def report(code: str, number: int, repetition: int = 1) -> None:
        problems.append(Problem(code, Severity.WARNING, message.path(segment, number, repetition=repetition)))

    texts_are_limited = message.version < "2.7"
    fields, repetition_mark = segment.fields, message.delimiters.repetition
    reach = len(fields)
    for number in range(1, max(reach, rule.asks_up_to)):
        whole = fields[number] if number < reach else ""
        if not whole:
            if number in rule.required:
                report("FIELD_MISSING", number)
            continue
        field = rule.fields.get(number)
        if field is None:
            continue  # beyond the standard's, or a delimiter
        kind = field.kind
        if kind == "varies" and segment.name == "OBX" and number == 5 and segment.field(2) in _FORMS:
            kind = segment.field(2)
        repetitions = whole.split(repetition_mark) if repetition_mark in whole else [whole]
        if 0 < field.most < len(repetitions):
            report("FIELD_REPEATS", number)
        if field.codes:
            problems += _unknown_codes(field, segment, message)
        elif kind not in _FORMS and len(whole) <= LONG:
            continue  # nothing is asked of its text
        for repetition, value in enumerate(repetitions, 1):
            if kind in _FORMS:
                fault = "" if value in _seen[kind] else _fault(kind, value.replace(message.delimiters.component, "^"))
                if fault:
                    report(fault, number, repetition)
            elif texts_are_limited and len(value) > _TEXT_MAX.get(kind, len(value)):
                report("FIELD_TOO_LONG", number, repetition)
    return problems


def _check_codes(rule: SegmentRule, segment: Segment, message: Message) -> list[Problem]:
    """`check_segment` of a segment that has nothing to report but codes."""
    fields, reach = segment.fields, len(segment.fields)
    problems: list[Problem] = []
    for number, codes in rule.coded:
        if number < reach and fields[number] not in codes:
            problems += _unknown_codes(rule.fields[number], segment, message)
    return problems


def _unknown_codes(field: FieldRule, segment: Segment, message: Message) -> list[Problem]:
    return [
        Problem("CODE_UNKNOWN", Severity.INFORMATION, message.path(segment, field.number, repetition=repetition))
        for repetition, value in enumerate(segment.repetitions(field.number), 1)
        if value.partition(message.delimiters.component)[0] not in field.codes and value != NULL
    ]
