"""What the standard asks of a message, and that the quick look never misses what the full check finds."""

import re
from typing import Any

import hl7apy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.formats import structure
from adapters.formats.charset import decode
from adapters.formats.hl7v2 import PROBLEMS_MAX, Message, parse, split_messages
from adapters.formats.structure import VERSIONS, check, check_segment, grammar, segment_rule, structure_of
from hub.contract.errors import Severity

from .samples import CORPUS, NO_CORPUS, ORU, corpus


def findings(text: str) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in check(parse(text))]


def changed(*changes: tuple[str, str]) -> str:
    text = ORU
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_a_good_message_has_no_findings() -> None:
    assert findings(ORU) == []


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("PID|1||MR1^^^01004^MR~001085012345^^^BCA^NI", "PID|1||", "FIELD_MISSING", "PID-3"),
        ("PV1|1|O", "PV1|1|", "FIELD_MISSING", "PV1-2"),
        ("OBX|2|NM", "OBX|two|NM", "NUMBER_UNPARSABLE", "OBX[2]-1"),
        ("|6.1|", "|6,1|", "NUMBER_UNPARSABLE", "OBX[2]-5"),
        ("|6.1|", "| 6.1 |", "", ""),
        ("|6.1|", "|12345678901234567|", "FIELD_TOO_LONG", "OBX[2]-5"),
        ("19850312", "12/03/1985", "TIME_UNPARSABLE", "PID-7"),
        ("20261015073000", "20261315073000", "TIME_UNPARSABLE", "OBR[1]-7"),
        ("|F\rPV1", "|F~M\rPV1", "FIELD_REPEATS", "PID-8"),
        ("mmol/L|3.9-6.1|N", "mmol/L|" + "x" * 61 + "|N", "", ""),
        ("mmol/L|3.9-6.1|N", "mmol/L|" + "x" * 200 + "|N", "FIELD_TOO_LONG", "OBX[1]-7"),
        ("PV1|1|O|LAB^A2\r", "PV1|1|O|LAB^A2\rZZ1|any~thing\r", "", ""),
        ("NTE|1||fasting\r", "NTE|1||fasting\rSCH|1\r", "SEGMENT_UNEXPECTED", "SCH"),
        ("NTE|1||fasting\r", "NTE|1||fasting\rPV1|1|O\r", "SEGMENT_UNEXPECTED", "PV1[2]"),
    ],
)
def test_findings(old: str, new: str, code: str, path: str) -> None:
    expected = [(code, path)] if code else []
    if code == "SEGMENT_UNEXPECTED" and path == "SCH":
        found = [one for one in findings(changed((old, new))) if one[0].startswith("SEGMENT")]
    else:
        found = findings(changed((old, new)))
    assert found == expected


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        ("SIU^S12", "SCH PID RGS AIL AIS", [("SEGMENT_UNEXPECTED", "AIS")]),
        ("SIU^S12", "SCH PID RGS AIP AIL AIS", [("SEGMENT_UNEXPECTED", "AIL"), ("SEGMENT_UNEXPECTED", "AIS")]),
        ("SIU^S12", "SCH PID AIL", [("SEGMENT_MISSING", "RGS")]),
        ("SIU^S12", "SCH PID RGS AIS AIS RGS AIL AIS", [("SEGMENT_UNEXPECTED", "AIS[3]")]),
        ("RDE^O11", "PID ORC TQ1 RXE RXR", [("SEGMENT_MISSING", "TQ1")]),
        ("ORM^O01", "PID ORC OBR OBR", [("SEGMENT_MISSING", "ORC")]),
    ],
)
def test_a_segment_out_of_order_begins_no_group_of_its_own(kind, names, expected) -> None:
    text = f"MSH|^~\\&|A|B|C|D|20261123||{kind}|1|P|2.5.1\r" + "".join(f"{name}|\r" for name in names.split())
    assert [one for one in findings(text) if one[0].startswith("SEGMENT")] == expected


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("ORC|RE|", "ORC|??|", "ORC-1"),
        ("||CM\r", "||ZZ\r", "ORC-5"),
        ("|||F\rNTE", "|||Q\rNTE", "OBX[1]-11"),
        ("OBX|2|NM|", "OBX|2|QQ|", "OBX[2]-2"),
        ("|P|2.5.1\r", "|P|2.5.1|||ON|AL\r", "MSH-15"),
    ],
)
def test_a_code_that_its_table_lacks_is_information(old: str, new: str, path: str) -> None:
    (problem,) = check(parse(changed((old, new))))
    assert (problem.code, problem.severity, problem.path) == ("CODE_UNKNOWN", Severity.INFORMATION, path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ORC|RE|", 'ORC|""|'),
        ("OBX|2|NM|22664-7^Urea^LN||6.1", "OBX|2|CWE|22664-7^Urea^LN||6.1"),  # table 0125 of v2.5.1 forgot it
        ("|P|2.5.1\r", "|P|2.5.1||||||TCVN3\r"),  # charsets are judged by reading
        ("|19850312|F\r", "|19850312|Nữ\r"),  # table 0001 is the users' to define
    ],
)
def test_what_is_no_closed_table_is_not_checked(old: str, new: str) -> None:
    assert findings(changed((old, new))) == []


def test_codes_are_those_of_the_version() -> None:
    text = changed(("|||F\rNTE", "|||B\rNTE"))
    assert findings(text) == [("CODE_UNKNOWN", "OBX[1]-11")]
    assert ("CODE_UNKNOWN", "OBX[1]-11") not in findings(text.replace("|2.5.1\r", "|2.8.2\r"))
    assert ("CODE_UNKNOWN", "OBX[1]-11") not in findings(text.replace("|2.5.1\r", "|2.3\r")), "it has no tables"


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5.1", "2.8"])
def test_what_a_slip_observes_needs_no_request_but_what_a_result_does_needs_one(version: str) -> None:
    def missing(kind: str, *rows: str) -> set[str]:
        head = f"MSH|^~\\&|A|B|C|D|20261123080000||{kind}|1|P|{version}"
        return {one.path for one in check(parse("\r".join([head, *rows]))) if one.code == "SEGMENT_MISSING"}

    slip = ["RF1|A", "PRD|RT", "PID|1||1||A^B", "DG1|1"]
    assert missing("REF^I12^REF_I12", *slip, "OBX|1|ST|VN-DHLS^X||y||||||F", "NTE|1||z", "OBX|2|ST|VN-QTBL^X||y||||||F") == set()
    assert missing("REF^I12^REF_I12", *slip, "OBR|1||1|X", "OBX|1|ST|X^X||y||||||F") == set()
    assert "PRD" in missing("REF^I12^REF_I12", "RF1|A", "PID|1||1||A^B", "OBX|1|ST|X^X||y||||||F")
    assert "OBR" in missing("ORU^R01^ORU_R01", "PID|1||1||A^B", "OBX|1|ST|X^X||y||||||F")


def test_a_missing_segment_is_named() -> None:
    assert findings(changed(("OBR|1|ORD1|LAB1|CMP^Panel^L|||20261015073000+0700\r", ""))) == [("SEGMENT_MISSING", "OBR")]
    header = ORU.split("\r")[0]
    assert findings(header + "\r") == [("SEGMENT_MISSING", "OBR")]


def test_without_msh_9_3_the_trigger_decides() -> None:
    assert findings(changed(("^ORU_R01", ""), ("OBR|1|ORD1|LAB1|CMP^Panel^L|||20261015073000+0700\r", ""))) == [
        ("SEGMENT_MISSING", "OBR")
    ]


def test_a_version_without_tables_is_not_checked() -> None:
    assert findings(changed(("2.5.1", "9.9"), ("|6.1|", "|x|"))) == []


def test_an_unknown_type_has_its_fields_checked() -> None:
    assert findings("MSH|^~\\&|A|B|C|D|20261015||XYZ^Z01|1|P|2.5.1\rPID|1||7||A|||Q\rSCH|1\r")[0] != ("SEGMENT_UNEXPECTED", "PID")
    assert ("FIELD_MISSING", "PID-5") in findings("MSH|^~\\&|A|B|C|D|20261015||XYZ^Z01|1|P|2.5.1\rPID|1||7\r")


@pytest.mark.parametrize(
    ("version", "message", "sent", "structure_name"),
    [
        ("2.5.1", "ADT^A04", "", "ADT_A01"),
        ("2.5.1", "ADT^A08", "ADT_A08", "ADT_A01"),
        ("2.5.1", "ADT^A28", "", "ADT_A05"),
        ("2.3.1", "ADT^A28", "", "ADT_A01"),
        ("2.5.1", "ADT^A40", "", "ADT_A39"),
        ("2.5.1", "ADT^A11", "", "ADT_A09"),
        ("2.4", "ADT^A12", "", "ADT_A09"),
        ("2.5.1", "ADT^A12", "", "ADT_A12"),
        ("2.5.1", "ADT^A22", "", "ADT_A21"),
        ("2.3.1", "ADT^A29", "", "ADT_A12"),
        ("2.3.1", "SIU^S15", "", "SIU_S12"),
        ("2.5", "REF^I13", "", "REF_I12"),
        ("2.5", "RRI^I12", "", "RRI_I12"),
        ("2.6", "EHC^E01", "", "EHC_E01"),
        ("2.5.1", "OML^O21", "", "OML_O21"),
        ("2.3.1", "OML^O21", "", ""),
        ("2.3", "ORM^O01", "", "ORM_O01"),
        ("2.5.1", "MDM^T01", "", "MDM_T01"),
        ("2.5.1", "MDM^T08", "", "MDM_T02"),
        ("2.3", "MDM^T11", "", "MDM_T01"),
        ("2.8", "MDM^T10", "MDM_T10", "MDM_T02"),
        ("2.3.1", "DFT^P03", "", "DFT_P03"),
        ("2.8", "DFT^P11", "DFT_P11", "DFT_P11"),
        ("2.3", "RDE^O01", "", "RDE_O01"),
        ("2.4", "RDE^O01", "", "RDE_O11"),
        ("2.8", "RDE^O25", "RDE_O25", "RDE_O11"),
        ("2.2", "RDE^O01", "", ""),
        ("2.6", "OMP^O09", "", "OMP_O09"),
        ("2.2", "MFN^M02", "", "MFN_M02"),
        ("2.5.1", "MFN^M05", "", "MFN_M05"),
        ("2.3.1", "MFN^M05", "", ""),
        ("2.5", "MFN^M13", "", "MFN_M13"),
        ("9.9", "ADT^A01", "", ""),
    ],
)
def test_which_structure_a_message_has(version: str, message: str, sent: str, structure_name: str) -> None:
    type_, trigger = message.split("^")
    assert structure_of(version, type_, trigger, sent) == structure_name


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_every_structure_and_segment_of_every_version_compiles(version: str) -> None:
    library = hl7apy.load_library(version)
    for name in library.MESSAGES:
        rules = grammar(version, name)
        assert rules.places and rules.places[0].name == "MSH"
        # the shortest message the structure allows has nothing wrong
        first = [
            place.name for place in rules.places if place.required and all(g.required and not g.choice for g in place.groups)
        ]
        assert [found for found in rules.findings(tuple(first)) if not found[1]] == [], name
    assert sum(segment_rule(version, name) is not None for name in library.SEGMENTS) > 30


@pytest.mark.parametrize(
    ("value", "kind", "good"),
    [
        ("2026", "TS", True),
        ("202610", "TS", True),
        ("20261015", "TS", True),
        ("2026101508", "TS", True),
        ("20261015081530.1234+0700", "TS", True),
        ("20261015^D", "TS", True),
        ("20261032", "TS", False),
        ("2026-10-15", "TS", False),
        ("198500000000", "TS", False),
        ("0815", "TM", True),
        ("2561", "TM", False),
        ("20260229", "DT", False),
        ("20240229", "DT", True),
        ("202604310830", "TS", False),
        ("20260230x", "DT", False),
        ("-1.50", "NM", True),
        ("1.", "NM", True),
        (".5", "NM", True),
        ("1e5", "NM", False),
        ("<0.5", "NM", False),
        ("12", "SI", True),
        ("-1", "SI", False),
    ],
)
def test_forms_of_simple_values(value: str, kind: str, good: bool) -> None:
    assert (structure._fault(kind, value) == "") is good


def test_endless_faults_are_told_in_few_words_and_in_linear_time() -> None:
    for line in ("OBX|x|NM|||y\r", "SCH|1\r", "PV1\rPID\r"):
        assert 0 < len(findings(ORU + line * 50_000)) <= PROBLEMS_MAX


# The quick look against the full check.


def in_full(message: Message) -> list[object]:
    found: list[object] = list(structure._order(message, message.version))
    for name, segments in message.by_name.items():
        rule = segment_rule(message.version, name)
        if rule:
            for segment in segments:
                found += check_segment(rule, segment, message)
    return found


values = st.sampled_from(
    ["", "", "1", "NM", "ST", "5.4", "x", "20261015", "2026x", '""', "a~b", "1~2", "a^b", "y" * 30, "z" * 250, "12345", "F"]
)
rows = st.lists(
    st.tuples(st.sampled_from(["OBX", "OBX", "OBX", "PID", "OBR", "NTE", "PV1", "DG1", "ZZ9"]), st.lists(values, max_size=16)),
    max_size=14,
)


@given(rows, st.sampled_from(["2.3.1", "2.5.1", "2.6", "2.8"]))
def test_the_quick_look_misses_nothing(segments: list[tuple[str, list[str]]], version: str) -> None:
    lines = [f"MSH|^~\\&|A|B|C|D|20261015||ORU^R01|1|P|{version}", *("|".join([name, *fields]) for name, fields in segments)]
    message = parse("\r".join(lines) + "\r")
    assert check(message) == in_full(message)[:PROBLEMS_MAX]


# The automaton against a regular expression made from the same tables.


def as_expression(reference: Any) -> str:
    kind, children = reference[0], reference[1]
    parts = []
    for name, child, (least, most), shape in children:
        one = as_expression(child) if shape == "GRP" else f"{name},"
        parts.append(f"(?:{one})" + {(0, 1): "?", (1, 1): "", (0, -1): "*", (1, -1): "+"}[least, most])
    return "(?:" + ("|" if kind == "choice" else "").join(parts) + ")"


STRUCTURES = ["ORU_R01", "ADT_A01", "ORM_O01", "OML_O21", "REF_I12", "SIU_S12", "ADT_A39", "DFT_P03", "MDM_T02", "RDE_O11"]


@st.composite
def sequences(draw: st.DrawFn, reference: Any) -> list[str]:
    """Segment names as a structure allows them."""
    kind, children = reference[0], reference[1]
    if kind == "choice":
        children = [draw(st.sampled_from(children))]
    names: list[str] = []
    for name, child, (least, most), shape in children:
        for _ in range(
            draw(st.integers(least, max(least, min(2 if most == -1 else most, 1 if draw(st.booleans()) else 2))))
            if draw(st.booleans())
            else least
        ):
            names += draw(sequences(child)) if shape == "GRP" else [name]
    return names


@pytest.mark.parametrize("name", STRUCTURES)
@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_order_is_judged_as_the_tables_say(name: str, data: st.DataObject) -> None:
    reference = hl7apy.load_library("2.5.1").MESSAGES[name]
    names = data.draw(sequences(reference))
    legal = re.compile(as_expression(reference))
    assert legal.fullmatch("".join(f"{one}," for one in names))
    assert grammar("2.5.1", name).findings(tuple(names)) == []
    # and with one segment taken out, doubled or moved
    place = data.draw(st.integers(0, len(names) - 1))
    damage = data.draw(st.sampled_from(["out", "double", "move"]))
    taken = names.pop(place)
    if damage == "double":
        names[place:place] = [taken, taken]
    elif damage == "move":
        names.insert(data.draw(st.integers(0, len(names))), taken)
    is_legal = legal.fullmatch("".join(f"{one}," for one in names)) is not None
    found = grammar("2.5.1", name).findings(tuple(names))
    assert (found == []) is is_legal
    assert len(found) <= 1 or damage != "double", "one segment too many is one finding at most"


@pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)
def test_quick_and_full_agree_on_the_messages_of_others() -> None:
    checked = 0
    for name, raw in corpus():
        for text in split_messages(decode(raw).text):
            message = parse(text)
            if message.version in VERSIONS:
                assert check(message) == in_full(message)[:PROBLEMS_MAX], name
                checked += 1
    assert checked > 2000
