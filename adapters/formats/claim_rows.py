"""The rows of one official table, from the XML inside NOIDUNGFILE: base64 of it, the XML as text, or its elements.

A row is an element that has elements of its table as children, wherever it stands and whatever it is called.
"""

import binascii
import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from adapters.formats.xml_plain import Cut, cut_up, leaves_of, text_of
from adapters.formats.xml_stream import DEPTH_MAX, Attributes, Stream, encoding_of, in_utf8, name_of
from hub.contract.errors import HubError, Problem

Row = dict[str, str]


class Content(NamedTuple):
    """What stands in one NOIDUNGFILE. nested: `text` is the XML of the elements in it; else it is the text itself."""

    text: str
    nested: bool = False


ROWS_MAX: Final = 50_000  # of one HOSO and table
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_SIGNATURE: Final = "CHUKYDONVI"  # a check-in that is sent alone carries it inside its table
_UNKNOWN_MAX: Final = 100  # names of one element
_SAFE_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class _Element:
    """An element with others in it.

    name: official name if it is one of the table. before: how many rows there were at its start. quiet: inside a signature.
    """

    __slots__ = ("before", "name", "quiet", "row", "text", "unknown")

    def __init__(self, name: str | None, before: int, *, quiet: bool = False) -> None:
        self.name = name
        self.before = before
        self.quiet = quiet
        self.row: Row | None = None
        self.text = ""
        self.unknown: list[str] | None = None


class TableHandler:
    """Takes in the elements of one table.

    known: every tag of the table as it usually comes, to the official name that it stands for.
    rows:  where they go.
    tell:  called with the number of the row, from 1, and the name of an element that is none of the table's.
    Raises (in start and end): HubError(XML_LIMIT).
    """

    __slots__ = ("_at", "_known", "_leaf", "_place", "_rows", "_stack", "_tell", "_text")

    def __init__(self, known: Mapping[str, str], rows: list[Row], tell: Callable[[int, str], None], place: str) -> None:
        self._known, self._rows, self._tell, self._place = known, rows, tell, place
        self._at = _Element(None, len(rows))
        self._stack: list[_Element] = []
        # Nearly all elements have only text in them: the last one opened is made an `_Element` when another opens inside.
        self._leaf = ""
        self._text = ""

    def start(self, tag: str, _attributes: Attributes, /) -> None:
        if self._leaf:
            self._open()
        elif self._at.name:
            self._at.text = self._text
        self._leaf = tag
        self._text = ""

    def text(self, text: str, /) -> None:
        self._text += text

    def end(self, tag: str, /) -> None:
        if not self._leaf:
            self._close(tag)
            return
        self._leaf = ""
        at = self._at
        name = self._known.get(tag) or self._known.get(name_of(tag))
        if name is None:
            if self._stack:
                self._strange(at, name_of(tag))
        else:
            row = at.row
            if row is None:
                row = at.row = {}
            if not row.get(name):
                text = self._text.strip()
                row[name] = text if text.isascii() else unicodedata.normalize("NFC", text)
        self._text = at.text + self._text if at.name else ""

    def holds_texts(self, cut: Cut) -> bool:
        """Whether elements stand inside an element of the table, which makes them its text."""
        known = self._known
        names = {name for piece in cut.pieces if (name := piece[0] or piece[5])}
        return any(name in known or name_of(name) in known for name in names)

    def take(self, cut: Cut) -> None:
        """What start, text and end do, for XML that is cut up already and that none of this `holds_texts`."""
        for row, inside, _, leaf, text, opened, closed, _ in cut.pieces:
            if row:
                self._leaf = row
                self._open()
                self._take_row(*leaves_of(inside), as_it_is=cut.as_it_is)
                self._close(row)
            elif leaf:
                self._take_leaf(leaf, text)
            elif opened:
                self._leaf = opened
                self._open()
                self._leaf = ""
            else:
                self._close(closed)

    def _take_row(self, names: list[str], texts: list[str], *, as_it_is: bool) -> None:
        self._leaf = ""
        if as_it_is:
            with suppress(KeyError):
                row = dict(zip(map(self._known.__getitem__, names), map(str.strip, texts), strict=True))
                if len(row) == len(names):
                    self._at.row = row
                    return
        for name, text in zip(names, texts, strict=True):
            self._take_leaf(name, text)

    def _take_leaf(self, tag: str, text: str) -> None:
        at = self._at
        name = self._known.get(tag) or self._known.get(name_of(tag))
        if name is None:
            if self._stack:
                self._strange(at, name_of(tag))
            return
        if at.row is None:
            at.row = {}
        if not at.row.get(name):
            at.row[name] = text_of(text)

    def close(self) -> None:
        """The end of the content; elements that stand in no other make a row too."""
        self._keep(self._at)

    def _open(self) -> None:
        """The element under way is one with others in it."""
        stack, at, tag = self._stack, self._at, self._leaf
        at.text = ""
        stack.append(at)
        if len(stack) > DEPTH_MAX:
            raise HubError("XML_LIMIT", self._place)
        name = self._known.get(tag) or self._known.get(name_of(tag))
        self._at = _Element(name, len(self._rows), quiet=at.quiet or name_of(tag) == _SIGNATURE)
        self._at.text = self._text

    def _close(self, tag: str) -> None:
        done, at = self._at, self._stack.pop()
        self._at = at
        if done.name is None:
            self._keep(done)
            self._text = ""
            return
        del self._rows[done.before :]  # what stands inside an element of the table is its text
        self._leaf = tag
        self.end(tag)

    def _keep(self, element: _Element) -> None:
        rows = self._rows
        if element.row is not None:
            if len(rows) > element.before:  # a row inside a row
                self._strange(element, "")
                del rows[element.before :]
            rows.append(element.row)
            if len(rows) > ROWS_MAX:
                raise HubError("XML_LIMIT", self._place)
        for name in element.unknown or ():
            self._tell(max(len(rows), 1), name if _SAFE_NAME.fullmatch(name) else "?")

    @staticmethod
    def _strange(element: _Element, name: str) -> None:
        if element.quiet or name == _SIGNATURE:
            return
        if element.unknown is None:
            element.unknown = []
        if len(element.unknown) < _UNKNOWN_MAX:
            element.unknown.append(name)


def read_content(content: Content, handler: TableHandler, place: str) -> list[Problem]:
    """Feed a table's handler with the content of one NOIDUNGFILE.

    place:   for errors and problems, such as `HOSO[2]/XML1`.
    Returns: warnings about its character set.
    Raises:  HubError(XML_CONTENT_BROKEN) when it is neither base64 nor XML, CHARSET_UNREADABLE, XML_FORBIDDEN, XML_LIMIT.
    """
    problems: list[Problem] = []
    text, raw = content.text, b""
    if not content.nested:
        text = text.strip()
        if not text.startswith(("<", "\ufeff<")):  # XML there as text, escaped or in CDATA, is text, whatever it declares
            raw, problems = in_utf8(_unbase64(text, place), place)
            text = raw.decode() if encoding_of(raw[:8]) == "utf-8" else ""
        text = text.removeprefix("\ufeff")
    cut = cut_up(text, several=content.nested)
    if cut is not None and not handler.holds_texts(cut):
        handler.take(cut)
    else:
        _stream(raw or text.encode(), _Inside(handler) if content.nested else handler, place, nested=content.nested)
    handler.close()
    return problems


def _stream(raw: bytes, handler: "TableHandler | _Inside", place: str, *, nested: bool) -> None:
    stream = Stream(handler, place=place)
    try:
        for part in (b"<_>", raw, b"</_>") if nested else (raw,):
            stream.feed(part)
        stream.close()
    except HubError as stop:
        raise HubError("XML_CONTENT_BROKEN", place) if stop.code in ("XML_MALFORMED", "EMPTY_INPUT") else stop from None


class _Inside:
    """Passes on what stands inside the outermost element."""

    def __init__(self, handler: TableHandler) -> None:
        self._handler = handler
        self._depth = 0

    def start(self, tag: str, attributes: Attributes, /) -> None:
        if self._depth:
            self._handler.start(tag, attributes)
        self._depth += 1

    def text(self, text: str, /) -> None:
        self._handler.text(text)

    def end(self, tag: str, /) -> None:
        self._depth -= 1
        if self._depth:
            self._handler.end(tag)


def _unbase64(text: str, place: str) -> bytes:
    """Line breaks, the alphabet for URLs, and missing or surplus padding are taken."""
    with suppress(ValueError):
        return binascii.a2b_base64(text, strict_mode=True)  # as it usually is
    try:
        plain = "".join(text.split()).encode("ascii").translate(_URL_SAFE).rstrip(b"=")
        return binascii.a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise HubError("XML_CONTENT_BROKEN", place) from None
