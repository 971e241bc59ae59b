"""Where the messages of a text begin and end: looked for a piece at a time, as no other thread runs during one search.

A message may hold a document of mebibytes in one line. So what is looked for begins with the end of a line, which a search finds
soon, and a search goes no further than a piece.
"""

import re
from collections.abc import Iterator
from typing import Final

# 0x1C ends a message where it would end a frame; before other text it is a letter of VPS.
_BOUNDARY: Final = re.compile(
    r"[\r\n\x0b\x1c\ufeff](?:[ \t\ufeff]{0,64}(?:(MSH|FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9\s])|[BF]TS(?=[\r\n]|\Z))"
    r"|(?<=\x1c)(?=[\x00\r\n\x0b\x1c]|\Z))"
)
_INNER: Final = re.compile(r"[^\r\n\x0b\x1c\ufeff \tMSHFBT]")  # what stands in no name of a segment looked for, nor before it
_PIECE: Final = 64 * 1024


def message_spans(text: str) -> list[tuple[int, int]]:
    """Where each message of a file begins and ends, as offsets into the text."""
    spans: list[tuple[int, int]] = []
    start = -1
    for found in in_pieces(_BOUNDARY, "\n" + text):  # the first line begins as the others do; offsets are one more
        if start >= 0:
            spans.append((start, found.start() - found[0].startswith("\x1c")))
        start = found.start(1) - 1 if found[1] == "MSH" else -1
    if start >= 0:
        spans.append((start, len(text)))
    return spans


def in_pieces(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """What `finditer` finds.

    pattern: of names of segments (MSH, FHS, BHS, BTS, FTS) with what stands around them.
    """
    at = 0
    while at < len(text):
        inner = _INNER.search(text, at + _PIECE)
        stop = inner.end() if inner else len(text)
        for found in pattern.finditer(text, at, stop):
            whole = found if found.end() < stop else pattern.match(text, found.start())
            assert whole is not None  # a match that the piece ends goes on behind it
            stop = max(stop, whole.end())
            yield whole
        at = stop
