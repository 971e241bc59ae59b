"""The console gets a message as it is read: its text, where each field stands, and what is wrong with it, by the field's path."""

from pathlib import Path

from hub.cli.border import as_text, explain

SEED = Path(__file__).parents[3] / "seeds" / "demo"
MAX = 1_000_000


def of(path):
    return explain(path.read_bytes(), bytes_max=MAX)


def test_each_field_stands_where_its_span_says():
    for file in sorted(SEED.glob("*.hl7")):
        reading = of(file)
        assert reading.segments, file.name
        for segment in reading.segments:
            for field in segment.fields:
                first, behind = field.span
                assert reading.text[first:behind] == field.value, (file.name, field.path)


def test_a_problem_names_the_path_of_a_field_or_segment_that_is_there_or_missing():
    raw = b"MSH|^~\\&|X|01004|HIE|HIE|20261123||ADT^A01^ADT_A01|C1|P|2.5.1\rEVN||20261123\rPID|1||P1^^^H^PI||A^B||19800230\rPV1|1|I\r"
    reading = explain(raw, bytes_max=MAX)
    [wrong] = [one for one in reading.troubles if one.path.startswith("PID-7")]
    assert wrong.vi and wrong.en and "1980" not in wrong.en + wrong.vi
    assert "PID-7" in {field.path for segment in reading.segments for field in segment.fields}
    assert {field.kind for segment in reading.segments for field in segment.fields if field.path == "PID-5"} == {"XPN"}


def test_of_a_message_of_many_lines_or_fields_the_first_are_placed_and_that_is_said():
    head = "MSH|^~\\&|X|01004|HIE|HIE|20261123||ADT^A01^ADT_A01|C1|P|2.5.1\r"
    for raw in (head + "NTE|1\r" * 20_000, head + "NTE|1\r" * 2 + "ZZZ" + "|a" * 20_000):
        reading = explain(raw.encode(), bytes_max=MAX)
        assert reading.cut
        assert sum(1 + len(one.fields) for one in reading.segments) == 2_000
        assert [one.path for one in reading.segments[:3]] == ["MSH", "NTE[1]", "NTE[2]"]
        assert [one.path for one in reading.segments[2].fields] == ["NTE[2]-1"]
    assert not of(next(SEED.glob("04-*.hl7"))).cut


def test_bytes_that_are_no_message_are_told_and_never_raise():
    for raw in (b"", b"\x00\xff\xfe", b"no message", b"MSH|", b"<xml", b"{"):
        reading = explain(raw, bytes_max=MAX)
        assert reading.verdict in ("refused", "quarantined")
        assert reading.troubles
    assert explain(b"MSH" * 10, bytes_max=5).troubles[0].code == "FRAME_TOO_LARGE"


def test_text_is_read_in_the_messages_own_charset():
    assert "Nguyễn" in as_text("MSH|^~\\&|X\rPID|||||Nguyễn^An".encode())


def test_a_vendor_is_held_to_its_facility():
    file = next(SEED.glob("04-*.hl7"))
    codes = {one.code for one in explain(file.read_bytes(), frozenset({"99999"}), bytes_max=MAX).troubles}
    assert "FACILITY_NOT_ENTITLED" in codes
