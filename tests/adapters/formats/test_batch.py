"""Files of several messages."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats.batch import alone, answer, cut, read
from adapters.formats.hl7v2 import split_messages
from hub.contract.errors import HubError

from .samples import ORU

HEAD, TAIL = "BHS|^~\\&|A\r", "BTS|2\r"


@pytest.mark.parametrize(
    ("file", "problems"),
    [
        (ORU, []),
        (ORU + ORU, []),
        (HEAD + ORU + ORU + TAIL, []),
        ("FHS|^~\\&|A\r" + HEAD + ORU + ORU + TAIL + HEAD + ORU + "BTS|1\rFTS|2\r", []),
        (HEAD + ORU + ORU + "BTS\r", []),
        (HEAD + ORU + TAIL, [("BATCH_COUNT_MISMATCH", "BTS-1")]),
        (HEAD + ORU + ORU + "BTS|two\r", [("BATCH_COUNT_MISMATCH", "BTS-1")]),
        (HEAD + ORU + ORU + f"BTS|{'2' * 5_000}\r", [("BATCH_COUNT_MISMATCH", "BTS-1")]),
        (HEAD + ORU, [("BATCH_UNBALANCED", "BHS")]),
        (ORU + ORU + "FTS|0\r", [("BATCH_UNBALANCED", "FTS")]),
        ("hello\r" + ORU, [("OUTSIDE_MESSAGES", "")]),
        ("", []),
    ],
)
def test_what_is_odd_is_told(file: str, problems: list[tuple[str, str]]) -> None:
    batch = read(file)
    assert [(problem.code, problem.path) for problem in batch.problems] == problems
    assert batch.messages == [ORU] * file.count("MSH|")


def test_what_is_odd_in_the_same_way_is_told_once() -> None:
    batch = read(ORU + "BTS|7\rFTS|7\r" * 10_000 + HEAD * 10_000)
    assert sorted((problem.code, problem.path) for problem in batch.problems) == [
        ("BATCH_COUNT_MISMATCH", "BTS-1"),
        ("BATCH_COUNT_MISMATCH", "FTS-1"),
        ("BATCH_UNBALANCED", "BHS"),
        ("BATCH_UNBALANCED", "BTS"),
        ("BATCH_UNBALANCED", "FTS"),
    ]


def test_text_outside_messages_is_kept() -> None:
    assert read("hello\r" + HEAD + "PID|1\r" + ORU).outside == ["hello\r\rPID|1"]


ONE = ORU.encode()
VPS = ONE + b"NTE|1||M\x1cN^D\x1cU\rNTE|2||M\x1cU\r"
PIECES = st.sampled_from(
    [ONE, b"MSH|^~\\&|x", b"BHS|^~\\&|A|F\r", b"FHS|^~\\&|A\r", b"BTS|2\r", b"FTS\r", b"BHS\r", b"\r", b"\r\n", b"\x1c\r", b"\x0b", b"text\r",
     b"\xef\xbb\xbf", b"NTE|1||MSH in a text\r", b"<", b"\xff\xfe", b"\x00", b" "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_the_parts_are_the_bytes_and_each_reads_by_itself(raw: bytes) -> None:
    found = cut(raw)
    if found is None:
        return
    assert b"".join(found.parts) == raw and all(found.parts)
    for part in found.parts:
        try:
            alone(part)
        except HubError as stop:
            assert stop.code in ("FORMAT_UNKNOWN", "NOTHING_REPRESENTABLE")
    whole = [one for one in found.parts if len(split_messages(one.decode("latin-1"))) == 1]
    assert len(whole) == len(split_messages(raw.decode("latin-1")))


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        (ONE, None),
        (b"\x0b" + ONE + b"\x1c\r", None),
        (b"<GIAMDINHHS>MSH MSH</GIAMDINHHS>", None),
        (b"\xff\xfe" + (ORU + ORU).encode("utf-16-le"), None),
        (ONE + b"NTE|1||see MSH\r", None),
        (ONE + ONE, [ONE, ONE]),
        (ONE + b"\x1c", None),
        (VPS + b"\x1c\r" + VPS, [VPS + b"\x1c\r", VPS]),  # a letter ends no message
        (HEAD.encode() + ONE + b"BTS|1\r", [HEAD.encode() + ONE + b"BTS|1\r"]),
        (HEAD.encode() + ONE + ONE + b"BTS|2\r", [HEAD.encode() + ONE, ONE + b"BTS|2\r"]),
        (
            HEAD.encode() + ONE + b"BTS|1\r" + HEAD.encode() + ONE + b"BTS|1\r",
            [HEAD.encode() + ONE + b"BTS|1\r", HEAD.encode() + ONE + b"BTS|1\r"],
        ),
        (b"text\r" + ONE + ONE, [b"text\r", ONE, ONE]),
        (HEAD.encode(), [HEAD.encode()]),
    ],
)
def test_headers_stay_with_the_message_after_them_and_trailers_with_the_one_before(raw: bytes, parts: list[bytes] | None) -> None:
    found = cut(raw)
    assert (found and found.parts) == parts


@pytest.mark.parametrize("raw", [ONE, HEAD.encode() + ONE, ONE + b"BTS|1\rFTS|1\r", b"\r\n" + HEAD.encode() + ONE + b"BTS\r"])
def test_the_message_of_a_part_is_read_without_its_batch_segments(raw: bytes) -> None:
    assert alone(raw) == ONE


def test_a_batch_is_answered_by_a_batch_and_a_row_by_a_row() -> None:
    at = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
    how = {"control_id": "7", "now": at}
    assert answer("BHS|^~\\&|LIS|01004|HIE|HUB|2026||||B1", [b"one\r", b"two\r"], **how) == (
        b"BHS|^~\\&|HIE|HUB|LIS|01004|20261123080500+0000||||7|B1\rone\rtwo\rBTS|2\r"
    )
    assert answer("FHS", [b"one\r"], **how) == b"BHS|^~\\&|HIE||||20261123080500+0000||||7\rone\rBTS|1\r"
    assert answer("BHS*^~\\&*L^S*\xe1*H*U", [b"one\r"], **how).startswith(b"BHS|^~\\&|H|U|||")
    assert answer("", [b"one\r", b"two\r"], **how) == b"one\rtwo\r"
    assert answer("BHS|^~\\&", [], **how) == b""
