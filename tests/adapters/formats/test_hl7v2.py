"""Reading and building HL7 v2."""

from collections.abc import Sequence

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats.hl7v2 import (
    NULL,
    PROBLEMS_MAX,
    Component,
    Delimiters,
    Message,
    Repetition,
    Value,
    build,
    escape,
    parse,
    split_messages,
    unescape,
)
from hub.contract.errors import HubError

from .samples import ORU

MSH = "MSH|^~\\&|A|B|C|D|20261015||ADT^A01|1|P|2.5.1\r"


def codes(message: Message) -> list[str]:
    return [problem.code for problem in message.problems]


def test_a_message() -> None:
    message = parse(ORU)
    assert message.names == ("MSH", "PID", "PV1", "ORC", "OBR", "OBX", "NTE", "OBX", "OBR", "OBX")
    assert (message.type, message.trigger, message.structure) == ("ORU", "R01", "ORU_R01")
    assert (message.control_id, message.version) == ("C1", "2.5.1")
    assert parse("MSH|^~\\&|A|B|C|D|20261015||ADT^A01|1|P| 2.3.1 ^VNM^1").version == "2.3.1"
    pid = message.first("PID")
    assert pid is not None
    assert pid.get(3) == "MR1"
    assert pid.get(3, 4, repetition=2) == "BCA"
    assert pid.repetitions(3) == ["MR1^^^01004^MR", "001085012345^^^BCA^NI"]
    assert pid.components(3, 2) == ["001085012345", "", "", "BCA", "NI"]
    assert pid.components(5) == ["MAU", "AN", "THI"]
    assert pid.rows(3) == [["MR1", "", "", "01004", "MR"], pid.components(3, 2)] and pid.rows(99) == []
    assert pid.get(99) == pid.get(3, 99) == pid.get(3, 1, 2) == pid.get(3, repetition=3) == pid.field(99) == ""
    assert [segment.get(5) for segment in message.segments("OBX")] == ["5.4", "6.1", "131"]
    assert message.get("OBR", 4, 2) == "Panel"
    assert message.first("ZZZ") is None and message.segments("ZZZ") == [] and message.get("ZZZ", 1) == ""
    assert message.problems == ()


def test_msh_counts_its_separator_as_field_one() -> None:
    header = parse(ORU).header
    assert header.get(1) == "|" and header.get(2) == "^~\\&" and header.get(3) == "LIS" and header.repetitions(2) == ["^~\\&"]


def test_groups_follow_the_order_of_their_starts() -> None:
    groups = parse(ORU).groups("ORC", "OBR")
    assert [[segment.name for segment in group] for group in groups] == [["ORC", "OBR", "OBX", "NTE", "OBX"], ["OBR", "OBX"]]


def test_paths_number_only_what_there_is_several_of() -> None:
    message = parse(ORU)
    assert message.path(message.segments("OBX")[1], 5) == "OBX[2]-5"
    assert message.path(message.segments("PID")[0], 3, 1, 2) == "PID-3[2].1"
    assert message.path(message.segments("PID")[0]) == "PID"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_any_line_end_will_do(end: str) -> None:
    message = parse(ORU.replace("\r", end))
    assert [segment.fields for segment in message] == [segment.fields for segment in parse(ORU)]
    assert message.problems == ()


def test_mixed_line_ends_will_do() -> None:
    text = "".join(line + end for line, end in zip(ORU.split("\r"), ["\r", "\n", "\r\n", "\n\r", "\r\r\n"] * 3, strict=False))
    assert [segment.fields for segment in parse(text)] == [segment.fields for segment in parse(ORU)]


@pytest.mark.parametrize("around", ["\ufeff%s", "\r\n\r\n%s\r\n", "\x0b%s\x1c\r", "  %s", "%s\x1c"])
def test_what_stands_around_a_message_is_passed_over(around: str) -> None:
    message = parse(around % ORU)
    assert [segment.fields for segment in message] == [segment.fields for segment in parse(ORU)]


def test_a_line_break_inside_a_field_is_joined_where_cr_ends_the_segments() -> None:
    message = parse(MSH + "OBX|1|TX|X||first line\nsecond line||||||F\r")
    obx = message.segments("OBX")[0]
    assert obx.get(5) == "first line\nsecond line" and obx.get(11) == "F"
    assert codes(message) == ["LINE_BREAK_IN_FIELD"]


def test_a_line_that_is_no_segment_is_told_and_the_rest_is_read() -> None:
    message = parse(MSH + "PID|1\rthis is not a segment\rPV1|1\r")
    assert message.names == ("MSH", "PID", "PV1")
    assert [(problem.code, problem.path) for problem in message.problems] == [("SEGMENT_UNREADABLE", "after PID[1]")]


def test_a_name_in_small_letters_is_read() -> None:
    message = parse(MSH + "pid|1||77\r")
    assert message.get("PID", 3) == "77" and codes(message) == ["SEGMENT_NAME_ODD"]


def test_z_segments_are_kept() -> None:
    assert parse(MSH + "ZIN|1|01004\r").get("ZIN", 2) == "01004"


def test_null_is_not_absent() -> None:
    pid = parse(MSH + 'PID|1||""||A^""^B|\r').segments("PID")[0]
    assert pid.is_null(3) and pid.get(3) == "" and pid.text(3) == "" and pid.field(3) == NULL
    assert not pid.is_null(4) and not pid.is_null(99)
    assert pid.get(5, 2) == "" and pid.components(5) == ["A", "", "B"]


def test_odd_delimiters() -> None:
    message = parse("MSH#!@%*#A!x@B*y#\rPID#1##7!%S%!*!a@8\r")
    assert message.delimiters == Delimiters("#", "!", "@", "%", "*")
    pid = message.segments("PID")[0]
    assert pid.get(3) == "7" and pid.get(3, 2) == "!" and pid.get(3, repetition=2) == "8"
    assert pid.get(3, 3, 2) == "" and message.header.get(3, 1, 2, 2) == "y"
    assert message.problems == ()


@pytest.mark.parametrize(
    ("encoding", "used"),
    [("^~", "^~\\&"), ("^~\\\\&", "^~\\&"), ("", "^~\\&"), ("^~\\&#", "^~\\&#"), ("&", "&~\\")],
)
def test_incomplete_delimiters_are_completed(encoding: str, used: str) -> None:
    message = parse(f"MSH|{encoding}|A\rPID|1||7^8\r")
    assert message.delimiters.encoding == used
    assert (codes(message) == []) == (encoding == "^~\\&#")


def test_the_truncation_character_of_v2_7_is_escaped_as_p() -> None:
    message = parse("MSH|^~\\&#|A\rNTE|1||No \\P\\ 5 and cut#\r")
    assert message.delimiters.truncation == "#" and message.problems == ()
    assert message.segments("NTE")[0].get(3) == "No # 5 and cut#"
    assert build([["MSH", "A"], ["NTE", "1", "", "No # 5"]], message.delimiters) == "MSH|^~\\&#|A\rNTE|1||No \\P\\ 5\r"
    before = parse("MSH|^~\\&|A\rNTE|1||No \\P\\ 5\r")
    assert before.segments("NTE")[0].get(3) == "No \\P\\ 5" and codes(before) == ["ESCAPE_UNKNOWN"]


@pytest.mark.parametrize("text", ["PID|1\r", "MSH", "MSHA^~\\&|", "MSH ^~\\&", "hello", "<xml/>"])
def test_what_does_not_begin_with_a_header_is_refused(text: str) -> None:
    with pytest.raises(HubError, match="MSH_UNREADABLE"):
        parse(text)


@pytest.mark.parametrize("text", ["", "\r\n", "\x0b\x1c\r"])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(HubError, match="EMPTY_INPUT"):
        parse(text)


@pytest.mark.parametrize("text", ["MSH|", "MSH|^~\\&", "MSH|^~\\&|", "MSH|^~\\&\rPID"])
def test_a_short_header_is_read(text: str) -> None:
    message = parse(text)
    assert message.type == message.control_id == message.header.get(3) == "" and message.header.get(1) == "|"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two", "one\ntwo"),
        (r"\H\bold\N\ text", "bold text"),
        (r"\X0D\\X0A\end", "\r\nend"),
        (r"\XC3A9\ and \XE9\ and \XC3\\XA9\\X41\ ", "é and é and éA "),
        (r"a\.sp 2\b\.in+4\c", "a\n\nbc"),
        (r"C:\temp\new", r"C:\temp\new"),
        (r"\Zabc\ \C2842\ \X4\ \q", r"\Zabc\ \C2842\ \X4\ \q"),
        (r"\E\F\E\ ", r"\F\ "),
        (r"a\b\F\c", "a\\b|c"),
    ],
)
def test_escapes(sent: str, read: str) -> None:
    assert unescape(sent) == read
    assert parse(f"{MSH}NTE|1||{sent}").segments("NTE")[0].get(3) == read


def test_unknown_escapes_are_kept_and_told() -> None:
    message = parse(MSH + "NTE|1||fine \\T\\ here\rNTE|2||C:\\temp\\x\r")
    assert [(problem.code, problem.path) for problem in message.problems] == [("ESCAPE_UNKNOWN", "NTE[2]-3")]


def test_free_text_keeps_delimiters_that_nobody_escaped() -> None:
    obx = parse(MSH + "OBX|1|TX|X||Hb & Hct ^ ok~line two \\T\\ more\r").segments("OBX")[0]
    assert obx.text(5) == "Hb & Hct ^ ok\nline two & more"


def test_a_file_of_several_messages() -> None:
    file = "FHS|^~\\&|x\rBHS|^~\\&|x\r" + ORU + MSH + "BTS|2\rFTS|1\r"
    assert [parse(text).control_id for text in split_messages(file)] == ["C1", "1"]
    assert split_messages(ORU) == [ORU] and split_messages("PID|1\r") == [] and split_messages("") == []
    framed = f"\x0b{ORU}\x1c\r\x0b{MSH}\x1c\r"
    assert [parse(text).control_id for text in split_messages(framed)] == ["C1", "1"]
    assert len(split_messages("\ufeff" + (ORU + "\n\n").replace("\r", "\n") + MSH)) == 2


def test_twenty_megabytes_are_read() -> None:
    message = parse(MSH + "OBX|1|ED|X||^^^Base64^" + "QUJD" * 5_000_000 + "||||||F\r")
    assert len(message.segments("OBX")[0].get(5, 5)) == 20_000_000


def test_endless_damage_is_told_in_few_words_and_in_linear_time() -> None:
    # Were each bad line to look back at all before it, these would take hours.
    message = parse(MSH + "NTE|1||x\r no segment \r" * 200_000)
    assert len(message) == 200_001 and len(message.problems) == PROBLEMS_MAX
    message = parse(MSH + "NTE|1||a" + "\nb" * 500_000 + "\r")
    assert len(message.segments("NTE")[0].text(3)) == 1_000_001
    message = parse(MSH + "NTE|1||a\\q\\\r" * 100_000)
    assert len(message.problems) == PROBLEMS_MAX


# what any text gives

damaged = st.text(st.sampled_from("MSHPIDOBX|^~\\&\r\n\"12ZFTX. \x0b\x1c\ufeff'é"), max_size=120)


@given(damaged)
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, MSH + text):
        try:
            message = parse(whole)
        except HubError as refused:
            assert refused.code in ("MSH_UNREADABLE", "EMPTY_INPUT")
            continue
        for segment in message:
            for number in range(len(segment.fields) + 1):
                assert segment.get(number + 1, 2, 2, 2) is not None
                assert isinstance(segment.text(number), str)
                for repetition in range(1, len(segment.repetitions(number)) + 1):
                    segment.components(number, repetition)
        for one in split_messages(whole):
            parse(one)


# building, and reading what was built

plain_text = st.text(
    st.characters(codec="utf-8", exclude_characters="\ufeff\uffff", exclude_categories=("Cs",)), max_size=12
).filter(lambda t: t != NULL)


@given(plain_text)
def test_escaping_is_undone_by_reading(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not set("|^~&\r\n") & set(escape(text))


components = st.one_of(plain_text, st.lists(plain_text, min_size=2, max_size=3).map(tuple))
repetitions = st.one_of(plain_text, st.lists(components, min_size=2, max_size=3).map(tuple))
fields = st.one_of(plain_text, repetitions, st.lists(repetitions, min_size=2, max_size=3))


def flat(value: Repetition) -> list[list[str]]:
    """A repetition as components of subcomponents."""
    each: Sequence[Component] = value if isinstance(value, tuple) else (value,)
    return [[part or "" for part in (component if isinstance(component, tuple) else (component,))] for component in each]


@given(
    st.lists(st.lists(fields, min_size=1, max_size=4), max_size=3),
    st.sampled_from([Delimiters(), Delimiters("#", "!", "@", "%", "*")]),
)
def test_what_is_built_reads_the_same(rows: list[list[Value]], delimiters: Delimiters) -> None:
    text = build([["MSH", "A"], *[["ZZ1", *row] for row in rows]], delimiters)
    message = parse(text)
    assert message.delimiters == delimiters and message.problems == ()
    for row, segment in zip(rows, message.segments("ZZ1"), strict=True):
        for number, value in enumerate(row, 1):
            for repetition, one in enumerate(value if isinstance(value, list) else [value], 1):
                for component, parts in enumerate(flat(one), 1):
                    for subcomponent, part in enumerate(parts, 1):
                        assert segment.get(number, component, subcomponent, repetition) == part


def test_trailing_emptiness_is_left_out() -> None:
    assert (
        build([["MSH", "A", None, ("B", None, ""), None], ["PID", "1", "", [("7", "", ""), None]]])
        == "MSH|^~\\&|A||B\rPID|1||7~\r"
    )
    assert build([["PID", NULL, ("x", NULL)]]) == 'PID|""|x^""\r'


# python-hl7 reads the same where it reads at all

simple = st.text(st.sampled_from("abcXYZ019.-éễ"), max_size=6)


@given(
    st.lists(
        st.lists(st.lists(st.lists(simple, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_agrees_with_python_hl7(segments: list[list[list[list[str]]]]) -> None:
    lines = ["|".join(["ZZ1", *("~".join("^".join(parts) for parts in reps) for reps in fields)]) for fields in segments]
    text = MSH + "\r".join(lines) + "\r"
    ours, theirs = parse(text), hl7.parse(text)
    for row, (our, their) in enumerate(zip(ours.segments("ZZ1"), theirs.segments("ZZ1"), strict=True)):
        for number, reps in enumerate(segments[row], 1):
            assert our.field(number) == str(their[number])
            for repetition, parts in enumerate(reps, 1):
                for component, _ in enumerate(parts, 1):
                    expected = theirs.extract_field("ZZ1", row + 1, number, repetition, component)
                    assert our.get(number, component, repetition=repetition) == (expected or "")
