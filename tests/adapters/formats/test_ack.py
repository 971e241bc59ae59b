"""Acknowledgements: who is told what, in which layout."""

from datetime import datetime, timedelta, timezone

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message, parse_segment

from adapters.formats.ack import Answer, acknowledge, answer_wanted, deferred_wanted, read_answer, verdict
from adapters.formats.hl7v2 import Message, parse
from adapters.formats.structure import VERSIONS, check
from hub.contract.errors import ERRORS, Problem, Severity

from .samples import ORU

NOW = datetime(2026, 10, 15, 8, 15, 30, tzinfo=timezone(timedelta(hours=7)))
ERROR = Problem("NUMBER_UNPARSABLE", Severity.ERROR, "OBX[4]-5")
WARNING = Problem("FIELD_MISSING", Severity.WARNING, "PID-3[2].1")
NOTE = Problem("IDENTIFIER_INFERRED", Severity.INFORMATION, "PID-3")


def oru_text(version: str = "2.5.1", accept: str = "", application: str = "") -> str:
    return ORU.replace("|2.5.1\r", f"|{version}|||{accept}|{application}\r")


def oru(version: str = "2.5.1", accept: str = "", application: str = "") -> Message:
    return parse(oru_text(version, accept, application))


def answer(message: Message | None, code: str = "AA", problems: tuple[Problem, ...] = (), **options: object) -> Message:
    return parse(acknowledge(message, code, problems, control_id="H1", now=NOW, **options))  # type: ignore[arg-type]


def test_accepted() -> None:
    assert acknowledge(oru(), "AA", control_id="H1", now=NOW) == (
        "MSH|^~\\&|HIE|HUB|LIS|01004|20261015081530+0700||ACK^R01^ACK|H1|P|2.5.1\rMSA|AA|C1\r"
    )


@pytest.mark.parametrize(
    ("version", "message_type"),
    [("2.1", "ACK"), ("2.2", "ACK^R01"), ("2.3", "ACK^R01"), ("2.3.1", "ACK^R01^ACK"), ("2.7", "ACK^R01^ACK")],
)
def test_the_version_and_type_are_the_senders(version: str, message_type: str) -> None:
    found = answer(oru(version))
    assert found.version == version and found.header.field(9) == message_type


def test_an_unreadable_header_is_rejected_without_a_message_id() -> None:
    found = answer(None, "AR", (Problem("MSH_UNREADABLE", Severity.ERROR),))
    assert found.names == ("MSH", "MSA", "ERR")
    assert found.header.field(9) == "ACK" and found.version == "2.5.1"
    assert found.get("MSA", 1) == "AR" and found.get("MSA", 2) == ""
    assert found.get("ERR", 3) == "100"


def test_errors_since_2_5() -> None:
    found = answer(oru(), "AE", (NOTE, WARNING, ERROR))
    first, second = found.segments("ERR")
    assert first.components(2) == ["OBX", "4", "5", "1"] and second.components(2) == ["PID", "1", "3", "2", "1"]
    assert first.components(3) == ["102", "Data type error", "HL70357"]
    assert (first.get(4), second.get(4)) == ("E", "W")
    assert (first.get(5), second.get(5)) == ("NUMBER_UNPARSABLE", "FIELD_MISSING")
    assert first.get(7).startswith(ERRORS["NUMBER_UNPARSABLE"].en) and "[OBX[4]-5]" in first.get(7)
    assert first.get(8) == ERRORS["NUMBER_UNPARSABLE"].vi
    assert found.header.get(18) == "UNICODE UTF-8"


def test_errors_before_2_5() -> None:
    found = answer(oru("2.3.1"), "AE", (WARNING, ERROR))
    (err,) = found.segments("ERR")
    assert [err.get(1, part) for part in (1, 2, 3)] == ["OBX", "4", "5"]
    assert [err.get(1, 4, part) for part in (1, 3, 4)] == ["102", "HL70357", "NUMBER_UNPARSABLE"]
    assert len(err.repetitions(1)) == 1, "ERR-1 knows no severity: warnings are told in MSA-3"
    assert found.get("MSA", 3) == "NUMBER_UNPARSABLE OBX[4]-5; FIELD_MISSING PID-3[2].1"


def test_msa_3_names_what_is_lost_before_what_is_odd_as_far_as_there_is_room() -> None:
    odd = [Problem("SEGMENT_MISSING", Severity.WARNING, name) for name in ("OBR", "PV1")]
    lost = [Problem("TIME_UNPARSABLE", Severity.WARNING, "RF1-7"), Problem("CODE_UNKNOWN", Severity.WARNING, "RF1-10")]
    told = answer(oru("2.4"), "AA", (*odd, *lost)).get("MSA", 3)
    assert told == "TIME_UNPARSABLE RF1-7; CODE_UNKNOWN RF1-10; SEGMENT_MISSING OBR (+1)" and len(told) <= 80
    assert [row.get(5) for row in answer(oru(), "AA", (*odd, *lost)).segments("ERR")][:2] == ["TIME_UNPARSABLE", "CODE_UNKNOWN"]
    assert answer(oru("2.4"), "AA", lost[:1]).get("MSA", 3) == "TIME_UNPARSABLE RF1-7"


def test_msa_6_names_the_error_from_2_2_to_2_4() -> None:
    for version in ("2.2", "2.3", "2.3.1", "2.4"):
        found = answer(oru(version), "AE", (WARNING, ERROR)).segments("MSA")[0]
        assert found.components(6) == ["102", "Data type error", "HL70357"]
    for version, problems in (("2.1", (ERROR,)), ("2.5.1", (ERROR,)), ("2.4", (WARNING,))):
        assert answer(oru(version), "AE", problems).get("MSA", 6) == ""


def test_v2_1_has_plain_components_in_err_1_and_no_charset() -> None:
    found = answer(parse(oru_text("2.1").replace("|01004|", "|Bệnh viện|")), "AE", (ERROR,))
    assert found.segments("ERR")[0].components(1) == ["OBX", "4", "5", "102"]
    assert len(found.header.fields) - 1 == 12 and found.header.get(6) == "Bệnh viện"


# What hl7apy's tables of each version say of every answer. Its checks of whole messages know no ACK before v2.3.1, so there
# each segment is checked by itself; and it takes ERR-1 of v2.1 for an ID without the components its own standard describes.
ANSWERS = {
    "accepted": ("AA", ()),
    "stored": ("CA", ()),
    "warned": ("AA", (WARNING, NOTE)),
    "refused": ("AE", (WARNING, ERROR)),
    "rejected": ("AR", (Problem("TYPE_UNSUPPORTED", Severity.ERROR, "MSH-9"),)),
    "without a place": ("AR", (Problem("FACILITY_NOT_ENTITLED", Severity.ERROR),)),
    "of several errors": ("AE", (ERROR,) * 3),
}


@pytest.mark.parametrize("version", sorted(VERSIONS))
@pytest.mark.parametrize("name", ANSWERS)
def test_hl7apy_takes_every_answer_in_every_version(version: str, name: str) -> None:
    code, problems = ANSWERS[name]
    for commit in (False, version >= "2.2"):
        text = acknowledge(oru(version), code, problems, control_id="H1", now=NOW, commit=commit)
        assert check(parse(text)) == []
        if version >= "2.3.1":
            assert parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
            continue
        for line in text.strip().split("\r"):
            if version != "2.1" or line.startswith("MSA"):
                assert parse_segment(line, version=version, validation_level=VALIDATION_LEVEL.STRICT).validate()


def test_warnings_before_2_5_make_no_error_segment() -> None:
    found = answer(oru("2.3.1"), "AA", (WARNING,))
    assert found.names == ("MSH", "MSA") and found.get("MSA", 3) == "FIELD_MISSING PID-3[2].1"


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
def test_many_errors_are_counted_not_listed(version: str) -> None:
    found = answer(oru(version), "AE", (ERROR,) * 50, errors_max=20)
    listed = len(found.segments("ERR")) if version == "2.5.1" else len(found.segments("ERR")[0].repetitions(1))
    assert listed == 21
    assert "30 more" in acknowledge(oru(version), "AE", (ERROR,) * 50, control_id="H1", now=NOW)


def test_a_place_in_xml_is_told_in_words() -> None:
    (err,) = answer(oru(), "AE", (Problem("XML_CONTENT_BROKEN", Severity.ERROR, "HOSO[1]/XML2"),)).segments("ERR")
    assert err.field(2) == "" and "[HOSO[1]/XML2]" in err.get(7)


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_code_of_the_table_can_be_told(code: str) -> None:
    for version in ("2.3.1", "2.5.1"):
        found = answer(oru(version), "AE", (Problem(code, Severity.ERROR),))
        assert len(found.segments("ERR")) == 1 and found.problems == ()


def test_the_charset_told_is_the_one_asked_for() -> None:
    assert answer(oru(), "AE", (ERROR,), charset="VISCII").header.get(18) == "VISCII"
    assert answer(oru(), "AA", charset="VISCII").header.get(18) == ""


def test_a_receiver_that_was_not_named_is_the_hub() -> None:
    found = answer(parse("MSH|^~\\&|LIS|01004|||20261015||ADT^A01|1|T|2.4\r"), application="HIE-X")
    assert [found.header.get(n) for n in (3, 4, 5, 6, 11)] == ["HIE-X", "", "LIS", "01004", "T"]


def test_odd_delimiters_are_answered_in_the_usual_ones() -> None:
    found = answer(parse("MSH#!@%*#A!x|y#B#C#D#20261015##ADT!A01#7|8#P#2.4\r"))
    assert found.header.get(5, 2) == "x|y" and found.get("MSA", 2) == "7|8" and found.header.get(2) == "^~\\&"


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((), "AA"),
        (("W:KEY_MISSING",), "AA"),
        (("E:NOTHING_REPRESENTABLE",), "AE"),
        (("E:NOTHING_REPRESENTABLE", "E:TYPE_UNSUPPORTED"), "AR"),
        (("E:TYPE_UNSUPPORTED", "E:BROKER_UNAVAILABLE"), ""),
    ],
)
def test_the_verdict_is_the_gravest(codes: tuple[str, ...], expected: str) -> None:
    assert verdict([Problem(code[2:], Severity(code[0])) for code in codes]) == expected


@pytest.mark.parametrize(
    ("accept", "application", "code", "wanted"),
    [
        ("", "", "AE", "AE"),
        ("AL", "", "AA", "CA"),
        ("AL", "NE", "AE", "CE"),
        ("AL", "AL", "AR", "CR"),
        ("ER", "NE", "AA", ""),
        ("ER", "NE", "AR", "CR"),
        ("SU", "NE", "AA", "CA"),
        ("SU", "NE", "AE", ""),
        ("NE", "AL", "AA", "AA"),
        ("NE", "ER", "AA", ""),
        ("NE", "ER", "AE", "AE"),
        ("NE", "NE", "AE", ""),
        ("", "AL", "AE", "AE"),
        ("??", "", "AA", "CA"),
    ],
)
def test_enhanced_mode_obeys_msh_15_and_16(accept: str, application: str, code: str, wanted: str) -> None:
    assert answer_wanted(oru("2.5.1", accept, application), code) == wanted


@pytest.mark.parametrize("accept", ["", "AL", "NE", "ER", "SU", "??"])
@pytest.mark.parametrize("application", ["", "AL", "NE", "ER", "SU", "??"])
@pytest.mark.parametrize("code", ["AA", "AE", "AR"])
def test_an_application_answer_follows_later_only_a_ca_and_where_both_are_wanted(
    accept: str, application: str, code: str
) -> None:
    message = oru("2.5.1", accept, application)
    later = deferred_wanted(message, code)
    assert later == (code == "AA" and accept in ("AL", "SU", "??") and application in ("AL", "SU", "??"))
    assert not later or answer_wanted(message, code) == "CA"


def test_an_answer_that_travels_by_itself_asks_for_a_commit_answer() -> None:
    for problems in ((), (ERROR,)):
        found = answer(oru(), "AA", problems, commit=True)
        assert (found.header.get(15), found.header.get(16)) == ("AL", "NE")
        assert found.header.get(18) == ("UNICODE UTF-8" if problems else "")


def test_an_unreadable_header_has_no_wishes() -> None:
    assert answer_wanted(None, "AR") == "AR" and not deferred_wanted(None, "AA")


def test_a_received_answer() -> None:
    assert read_answer(answer(oru())) == Answer("AA", "C1")
    assert Answer("CA", "1").accepted and not Answer("AE", "1").accepted
    assert read_answer(oru()) is None
