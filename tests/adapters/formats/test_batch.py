"""Files of several messages."""

import pytest

from adapters.formats.batch import read

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


def test_text_outside_messages_is_kept() -> None:
    assert read("hello\r" + HEAD + "PID|1\r" + ORU).outside == ["hello\r\rPID|1"]
