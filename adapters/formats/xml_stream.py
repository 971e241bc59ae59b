"""XML from senders, as a stream of start, text and end: without DTDs or entities, bounded in every direction, and no tree.

Expat, not libxml2: it keeps nothing of what it has read, while lxml builds a tree and keeps every element name it ever saw
for the life of its thread. The character set is decided here, from the bytes, because declarations are often wrong.
"""

import codecs
import re
from collections import deque
from typing import Final, Protocol
from xml.parsers import expat

from adapters.formats.charset import charset_name, decode
from hub.contract.errors import HubError, Problem, Severity

Attributes = dict[str, str]


class Handler(Protocol):
    """Who is told of what the stream meets. A start deeper than `DEPTH_MAX` is the handler's to refuse: it knows its depth."""

    def start(self, tag: str, attributes: Attributes, /) -> None: ...
    def text(self, text: str, /) -> None: ...
    def end(self, tag: str, /) -> None: ...


DEPTH_MAX: Final = 64
NAMES_MAX: Final = 4096  # distinct names of elements and attributes; the standard has some 650
TOKEN_MAX: Final = 1024 * 1024  # bytes of one tag, comment or instruction; text may be of any length
CHUNK_BYTES: Final = 64 * 1024
_BLANK: Final = b" \t\r\n"
_HEAD: Final = 512  # bytes that hold the XML declaration
_SHOWING: Final = 4  # bytes that show the encoding
_DECLARED: Final = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")


def name_of(tag: str) -> str:
    """The official name of a tag: without namespace prefix, in capitals."""
    return tag.rpartition(":")[2].upper()


def encoding_of(head: bytes) -> str:
    """The encoding that the first bytes show: `utf-16` with or without a byte order mark, else `utf-8`."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = head.lstrip(_BLANK)[:2]
    return {b"<\0": "utf-16le", b"\0<": "utf-16be"}.get(start, "utf-8")


def declared_encoding(head: bytes) -> str:
    """What the XML declaration says; "" if it says nothing."""
    found = _DECLARED.match(head.removeprefix(codecs.BOM_UTF8).lstrip(_BLANK))
    return found[1].decode("ascii").lower() if found else ""


def in_utf8(raw: bytes, path: str) -> tuple[bytes, list[Problem]]:
    """Whole bytes of XML as `Stream` reads them: as they are in UTF-8 or UTF-16, else read in the charset they fit.

    path:    for the warning about a wrong declaration. `utf-16` over UTF-8 is none: a habit of .NET that misleads nobody.
    Raises:  HubError(CHARSET_UNREADABLE).
    """
    if raw.isascii() or encoding_of(raw[:_HEAD]) != "utf-8":
        return raw, []
    declared = declared_encoding(raw[:_HEAD])
    name = charset_name("" if declared.startswith("utf-16") else declared)
    wrong = [Problem("CHARSET_DECLARED_WRONG", Severity.WARNING, path)]
    try:
        raw.decode()
    except UnicodeDecodeError:
        try:
            found = decode(raw, None, name)
        except HubError as unreadable:
            raise HubError(unreadable.code, path) from None
        return found.text.encode(), [] if name and found.charset == name else wrong
    return raw, [] if name in ("", "ascii", "utf-8") else wrong


class Stream:
    """A parser fed with bytes, cut anywhere.

    place: what stands in the errors it raises instead of a line, such as `HOSO[2]/XML1`.

    feed and close raise HubError(XML_FORBIDDEN) for a DTD, HubError(XML_LIMIT) beyond a limit, HubError(XML_MALFORMED) where the
    XML breaks off or is not in the encoding that its first bytes show; and whatever the handler raises.
    """

    def __init__(self, handler: Handler, *, place: str = "") -> None:
        self._place = place
        self._handler = handler
        self._head = b""
        self._parser: expat.XMLParserType | None = None
        self._fed = 0
        self._held: deque[bytes] = deque()  # what may still be asked for: from the event under way on, or from the mark
        self._held_from = 0
        self._mark = -1
        self._most = 0
        self._names: dict[str, str] = {}
        self.encoding = self._codec = ""

    def tell(self, handler: Handler, *, texts: bool = True) -> None:
        """Another handler from now on; may be called from within one.

        texts: whether it is told of texts at all.
        """
        self._handler = handler
        parser = self._parser
        assert parser is not None
        parser.StartElementHandler = handler.start
        parser.EndElementHandler = handler.end
        parser.CharacterDataHandler = handler.text if texts else None

    def mark(self, most: int) -> None:
        """Keep the bytes from the event under way on, up to so many of them; called from within a handler."""
        assert self._parser is not None
        self._mark, self._most = self._parser.CurrentByteIndex, most

    def taken(self) -> str | None:
        """What stands between the mark and the event under way; None if it was more than was to be kept."""
        assert self._parser is not None and self._mark >= 0
        first, stop = self._mark - self._held_from, self._parser.CurrentByteIndex - self._held_from
        whole = first >= 0 and stop - first <= self._most
        self._mark = -1
        return b"".join(self._held)[first:stop].decode(self._codec) if whole else None

    def feed(self, data: bytes) -> None:
        """Parse more bytes."""
        if self._parser is None:
            self._head = (self._head + data).lstrip(_BLANK)
            if len(self._head) < _SHOWING:
                return
            data = self._begin()
        for at in range(0, len(data), CHUNK_BYTES):
            self._parse(data[at : at + CHUNK_BYTES], final=False)

    def close(self) -> None:
        """The end of the input. Raises: HubError(EMPTY_INPUT) as well."""
        if self._parser is None:
            if not self._head:
                raise HubError("EMPTY_INPUT", self._place)
            self._parse(self._begin(), final=False)
        self._parse(b"", final=True)

    def where(self) -> str:
        """The place now: the one given, or the line."""
        return self._place or (f"line {self._parser.CurrentLineNumber}" if self._parser is not None else "")

    def _begin(self) -> bytes:
        self.encoding = encoding_of(self._head)
        marked = "utf-16le" if self._head.startswith(codecs.BOM_UTF16_LE) else "utf-16be"
        self._codec = marked if self.encoding == "utf-16" else self.encoding
        parser = expat.ParserCreate(self.encoding, None, self._names)
        parser.buffer_text = True
        parser.buffer_size = CHUNK_BYTES
        parser.StartDoctypeDeclHandler = self._doctype
        self._parser = parser
        self.tell(self._handler)
        return self._head.removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)

    def _parse(self, data: bytes, *, final: bool) -> None:
        parser = self._parser
        assert parser is not None
        self._held.append(data)
        try:
            parser.Parse(data, final)
        except expat.ExpatError as broken:
            self._release()
            raise HubError("XML_MALFORMED", self._place or f"line {broken.lineno}") from None
        except HubError:
            self._release()
            raise
        if final:
            self._release()
        self._fed += len(data)
        self._let_go(parser.CurrentByteIndex)
        if self._fed - parser.CurrentByteIndex > TOKEN_MAX or len(self._names) > NAMES_MAX:
            raise HubError("XML_LIMIT", self.where())

    def _release(self) -> None:
        """The parser and its handlers know each other; its buffers would wait for the collector of garbage."""
        parser = self._parser
        assert parser is not None
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
        parser.StartDoctypeDeclHandler = None

    def _let_go(self, now: int) -> None:
        marked = self._mark >= 0 and now - self._mark <= self._most
        needed = self._mark if marked else now
        while self._held and self._held_from + len(self._held[0]) <= needed:
            self._held_from += len(self._held.popleft())

    def _doctype(self, *_: object) -> None:
        raise HubError("XML_FORBIDDEN", self.where())
