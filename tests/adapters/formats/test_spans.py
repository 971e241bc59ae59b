"""Where messages begin and end: as one plain search finds them, without one search that goes on for long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats import spans
from adapters.formats.batch import _ENVELOPE
from adapters.formats.spans import in_pieces, message_spans

NAMED = r"[ \t\ufeff]{0,64}(?:(MSH|FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9\s])|[BF]TS(?=[\r\n]|\Z))"
PLAIN = re.compile(
    rf"(?:^|(?<=[\r\n\x0b\x1c\ufeff])){NAMED}|\x1c(?=[\x00\r\n\x0b\x1c]|\Z|{NAMED})",
    re.MULTILINE,
)
TEXTS = st.lists(
    st.sampled_from(
        ["MSH|", "MSH", "FHS|", "BHS^x", "BTS|2", "BTS", "FTS", "TS", "M", "S", "PID|1", "x", "|", "é", *"\r\n\x0b\x1c\x00\ufeff \t\v\f\u2028"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


def plain_spans(text: str) -> list[tuple[int, int]]:
    found, start = [], -1
    for edge in PLAIN.finditer(text):
        if start >= 0:
            found.append((start, edge.start()))
        start = edge.start(1) if edge[1] == "MSH" else -1
    return [*found, (start, len(text))] if start >= 0 else found


@pytest.fixture(params=[0, 1, 5, 64 * 1024], scope="module", autouse=True)
def _piece(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "_PIECE", request.param)
        yield


@given(TEXTS)
def test_what_is_found_is_what_one_plain_search_finds(text: str) -> None:
    assert message_spans(text) == plain_spans(text)
    assert [found.span() for found in in_pieces(_ENVELOPE, text)] == [found.span() for found in _ENVELOPE.finditer(text)]


class Watched:
    """A pattern that keeps how much text each search was given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def finditer(self, text: str, at: int, stop: int):
        self.sizes.append(stop - at)
        return _ENVELOPE.finditer(text, at, stop)


def test_no_search_is_over_all_of_a_large_document() -> None:
    pattern, text = Watched(), "OBX|1|ED|PDF||^^PDF^Base64^" + "JVBERi0xLjQKJcOkw7zDtsOf" * 4_000
    assert list(in_pieces(pattern, text)) == []  # type: ignore[arg-type]  # as far as it is asked
    assert sum(pattern.sizes) == len(text) and max(pattern.sizes) < spans._PIECE + 24
