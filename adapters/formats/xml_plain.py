"""Plain XML, as nearly all tables are, cut up by one pattern: elements with text or with elements in them, and nothing else.

A parser calls back three times an element. Here a row of a table is found by one search and its elements by another; what is
not plain is left to the parser.
"""

import re
import unicodedata
from typing import Final, NamedTuple

Piece = tuple[str, str, str, str, str, str, str, str]
"""One of these is there: name and inside of an element that holds leaves only; name and text of another leaf; the name of one
that opens; of one that closes; what is not plain. The third is a name inside the first."""

PLAIN_MAX: Final = 1024 * 1024  # characters of what is cut up at once
_NAME: Final = r"([A-Za-z_][\w.:-]{0,63})"
_TEXT: Final = r"[^<&]*+(?:&(?:amp|lt|gt|quot|apos);[^<&]*+)*+"
_BLANK: Final = r"[ \t\r\n]*+"
_DECLARATION: Final = re.compile(
    rf"""{_BLANK}<\?xml version=(["'])1\.0\1(?: encoding=(["'])[A-Za-z][\w.-]{{0,39}}\2)?(?: standalone=(["'])(?:yes|no)\3)? ?\?>""",
    re.ASCII,
)
_PIECES: Final = re.compile(
    rf"(?:<{_NAME}>{_BLANK}((?:<{_NAME}(?:>{_TEXT}</\3>|/>){_BLANK})++)</\1>|<{_NAME}(?:>({_TEXT})</\4>|/>)|<{_NAME}>|</{_NAME}>)"
    rf"{_BLANK}|(.+)",
    re.ASCII | re.DOTALL,
)
_CONTROLS: Final = bytes(set(range(32)) - {9, 10, 13})  # characters that XML has no place for, and these two
_ILLEGAL: Final = ("\ufffe", "\uffff", "]]>")
_LEAVES: Final = re.compile(r"<([^<>/]+)(?:>([^<]*)<|/>)")


class Cut(NamedTuple):
    """Well-formed XML in its pieces, in order. as_it_is: no text in it has an entity, and all are in NFC."""

    pieces: list[Piece]
    as_it_is: bool


def cut_up(text: str, *, several: bool = False) -> Cut | None:
    """The elements of well-formed XML; None: it is not plain, too long for here, or no XML at all.

    several: elements side by side will do, as they stand inside another; without a declaration.
    """
    if len(text) > PLAIN_MAX or any(sign in text for sign in _ILLEGAL):
        return None
    raw = text.encode("utf-8", "replace")
    if len(raw.translate(None, _CONTROLS)) != len(raw):
        return None
    if not several and (declared := _DECLARATION.match(text)):
        text = text[declared.end() :]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    pieces: list[Piece] = _PIECES.findall(text.lstrip(" \t\n"))
    if not pieces or pieces[-1][7] or not _is_nested(pieces, several=several):
        return None
    return Cut(pieces, "&" not in text and (text.isascii() or unicodedata.is_normalized("NFC", text)))


def leaves_of(inside: str) -> tuple[list[str], list[str]]:
    """Names and texts of the elements inside one that holds leaves only."""
    if inside.count("<") == inside.count(">"):  # none in a text: each leaf is `<name>text</name>`, blank until the next
        parts = inside.replace("/>", "></>").replace(">", "<").split("<")
        return parts[1::4], parts[2::4]
    found = _LEAVES.findall(inside)
    return [name for name, _ in found], [text for _, text in found]


def text_of(sent: str) -> str:
    """The text of an element, in NFC."""
    if "&" in sent:
        for name, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
            sent = sent.replace(name, sign)
    sent = sent.strip()
    return sent if sent.isascii() else unicodedata.normalize("NFC", sent)


def _is_nested(pieces: list[Piece], *, several: bool) -> bool:
    """Whether each name that closes is the last that opened, and one element holds all the others."""
    under_way: list[str] = []
    last = len(pieces) - 1
    for number, (_, _, _, _, _, opened, closed, _) in enumerate(pieces):
        if opened:
            under_way.append(opened)
        elif closed and (not under_way or under_way.pop() != closed):
            return False
        if not under_way and number != last and not several:
            return False
    return not under_way
