"""The insurance XML envelope GIAMDINHHS: read one HOSO at a time, written in the official order.

    GIAMDINHHS / THONGTINDONVI / MACSKCB
               / THONGTINHOSO / NGAYLAP, SOLUONGHOSO, DANHSACHHOSO / HOSO / FILEHOSO / LOAIHOSO, NOIDUNGFILE
               / CHUKYDONVI

The order of elements is free, the root may have namespaces, NOIDUNGFILE is base64 of a table's XML or the table itself.
DTDs and entities are refused. Source: adjudication.md §2; tables as in `hub.contract.claim_tables`.
"""

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from adapters.formats.claim_rows import Content, Row, TableHandler, read_content
from adapters.formats.xml_stream import CHUNK_BYTES, DEPTH_MAX, Attributes, Stream, encoding_of, in_utf8, name_of
from hub.contract.claim_tables import RENAMED
from hub.contract.errors import HubError, Problem, Severity

Step = tuple[str, Attributes] | tuple[str] | str
"""What a recorded element is made of: a start with its attributes, an end, or text."""

Tables = Mapping[str, Iterable[str]]
"""Table name to its element names in the official order, as `claim_tables.tables()` has them."""

# Root, list and row elements of each table; one name alone: the root is the row.
ROOTS: Final[dict[str, tuple[str, ...]]] = {
    "XML0": ("CHI_TIEU_TRANG_THAI_KCB", "DSACH_TRANG_THAI_KCB", "TRANG_THAI_KCB"),
    "XML1": ("TONG_HOP",),
    "XML2": ("CHITIEU_CHITIET_THUOC", "DSACH_CHI_TIET_THUOC", "CHI_TIET_THUOC"),
    "XML3": ("CHITIEU_CHITIET_DVKT_VTYT", "DSACH_CHI_TIET_DVKT", "CHI_TIET_DVKT"),
    "XML4": ("CHITIEU_CHITIET_DICHVUCANLAMSANG", "DSACH_CHI_TIET_CLS", "CHI_TIET_CLS"),
    "XML5": ("CHITIEU_CHITIET_DIENBIENLAMSANG", "DSACH_CHI_TIET_DIEN_BIEN_BENH", "CHI_TIET_DIEN_BIEN_BENH"),
    "XML6": (
        "CHI_TIEU_HO_SO_BENH_AN_CHAM_SOC_VA_DIEU_TRI_HIV_AIDS",
        "DSACH_HO_SO_BENH_AN_CHAM_SOC_VA_DIEU_TRI_HIV_AIDS",
        "HO_SO_BENH_AN_CHAM_SOC_VA_DIEU_TRI_HIV_AIDS",
    ),
    "XML7": ("CHI_TIEU_DU_LIEU_GIAY_RA_VIEN",),
    "XML8": ("CHI_TIEU_DU_LIEU_TOM_TAT_HO_SO_BENH_AN",),
    "XML9": ("CHI_TIEU_DU_LIEU_GIAY_CHUNG_SINH", "DSACH_GIAYCHUNGSINH", "DU_LIEU_GIAY_CHUNG_SINH"),
    "XML10": ("CHI_TIEU_DU_LIEU_GIAY_NGHI_DUONG_THAI",),
    "XML11": ("CHI_TIEU_DU_LIEU_GIAY_CHUNG_NHAN_NGHI_VIEC_HUONG_BAO_HIEM_XA_HOI",),
    "XML12": ("CHI_TIEU_GIAM_DINH_YKHOA",),
    "XML13": ("CHI_TIEU_GIAYCHUYENTUYEN",),
    "XML14": ("CHI_TIEU_GIAYHEN_KHAMLAI",),
    "XML15": ("CHI_TIEU_DIEUTRI_BENHLAO", "DSACH_CHITIET_DIEUTRI_BENHLAO", "CHITIET_DIEUTRI_BENHLAO"),
}
HOSO_BYTES_MAX: Final = 16 * 1024 * 1024  # of one HOSO: its text, and 32 for each element of it
_ELEMENT_BYTES: Final = 32
_FIELD_MAX: Final = 1024 * 1024  # characters of an element beside the HOSO, the signature included
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROBLEMS_MAX: Final = 100  # of one HOSO; a sender with a thousand unknown elements is told of the first hundred
_OF_ONE_HOSO: Final = frozenset({"XML_CONTENT_BROKEN", "XML_LIMIT", "CHARSET_UNREADABLE"})
_FIELDS: Final = {  # name and depth of what is read beside the HOSO
    ("MACSKCB", 2): "ma_cskcb",
    ("NGAYLAP", 2): "ngaylap",
    ("SOLUONGHOSO", 2): "soluonghoso",
    ("CHUKYDONVI", 1): "signature",
}


@dataclass(frozen=True, slots=True)
class Hoso:
    """One care episode of an envelope.

    number:    its place in the envelope, from 1.
    ma_cskcb:  the facility of the envelope; that of its XML1 when the envelope names it only after its HOSO.
    tables:    table name (`XML1`) to its rows; official element name to the text as sent, without blanks around, in NFC.
    problems:  one of severity E refuses this HOSO and no other.
    """

    number: int
    ma_cskcb: str
    ngaylap: str
    tables: dict[str, list[Row]]
    problems: tuple[Problem, ...]


class Reader:
    """Reads an envelope: iterate over it once for its HOSO; what belongs to the whole is known at the end.

    chunks:            the bytes of the file, cut anywhere. Memory holds one chunk and the HOSO that end in it.
    tables:            the elements of each table.
    ma_cskcb, ngaylap: what the envelope states, as `read_outline` finds it, for they may stand behind the HOSO.

    Iterating raises HubError(XML_FORBIDDEN) for a DTD, HubError(XML_MALFORMED) where the XML breaks off and
    HubError(XML_LIMIT) where it goes beyond a limit (the HOSO before have been given out), HubError(FORMAT_UNKNOWN) for another
    root, HubError(EMPTY_INPUT) for nothing; for whole bytes HubError(CHARSET_UNREADABLE) too.
    """

    def __init__(self, chunks: bytes | Iterable[bytes], tables: Tables, *, ma_cskcb: str = "", ngaylap: str = "") -> None:
        self._chunks = chunks
        # The tags of each table as they usually come, with the element that each stands for.
        self._tables = {name: {element: element for element in elements} for name, elements in tables.items()}
        for (table, old), new in RENAMED.items():
            if new in self._tables.get(table, ()):
                self._tables[table][old] = new
        self._problems: list[Problem] = []
        self._done: list[Hoso] = []
        self._stack: list[str] = []
        self._files: list[tuple[str, Content | None]] | None = None  # of the HOSO under way
        self._kind, self._content = "", cast("Content | None", None)
        self._size = 0
        self.ma_cskcb = ma_cskcb
        self.ngaylap = ngaylap
        self.soluonghoso = ""
        self.signature = ""
        """CHUKYDONVI: its text, or the XML inside it."""
        self.count = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Findings about the envelope as a whole; complete after the last HOSO."""
        stated = self.soluonghoso
        if stated == str(self.count) or (stated.isdecimal() and len(stated) < 20 and int(stated) == self.count):
            return tuple(self._problems)
        return (*self._problems, Problem("XML_COUNT_MISMATCH", Severity.WARNING, "SOLUONGHOSO"))

    def __iter__(self) -> Iterator[Hoso]:
        chunks = self._chunks
        if isinstance(chunks, bytes):
            text, self._problems = in_utf8(chunks, "encoding")
            chunks = (text[at : at + CHUNK_BYTES] for at in range(0, len(text), CHUNK_BYTES))
        self._stream = Stream(self)
        try:
            for chunk in chunks:
                self._stream.feed(chunk)
                yield from self._given_out()
            self._stream.close()
        except HubError:
            yield from self._given_out()  # what was whole before the break
            raise
        yield from self._given_out()

    def _given_out(self) -> list[Hoso]:
        done, self._done = self._done, []
        return done

    # --- what the stream tells

    def start(self, tag: str, _attributes: Attributes, /) -> None:
        name, stack = name_of(tag), self._stack
        depth = len(stack)
        if depth >= DEPTH_MAX:
            raise HubError("XML_LIMIT", self._stream.where())
        if not depth and name != "GIAMDINHHS":
            raise HubError("FORMAT_UNKNOWN", "root element")
        stack.append(name)
        if self._files is None:
            if name == "HOSO":
                self._files, self._size = [], 0
            elif (name, depth) in _FIELDS:
                self._stream.tell(_Recorder(self._field, _FIELD_MAX))
        elif name == "FILEHOSO":
            self._kind, self._content = "", None
        elif name == "LOAIHOSO" and stack[-2] == "FILEHOSO":
            self._stream.tell(_Recorder(self._is_kind, HOSO_BYTES_MAX - self._size))
        elif name == "NOIDUNGFILE" and stack[-2] == "FILEHOSO":
            keep = bool(self._tables)
            self._stream.tell(_Inner(self._stream, self._is_content, HOSO_BYTES_MAX - self._size, keep=keep), texts=keep)

    def text(self, text: str, /) -> None:
        """Between elements there is none that matters."""

    def end(self, _tag: str, /) -> None:
        name = self._stack.pop()
        if name == "FILEHOSO" and self._files is not None:
            self._files.append((self._kind, self._content))
        elif name == "HOSO" and "HOSO" not in self._stack:
            self._end_hoso()

    def _field(self, steps: list[Step] | None, _size: int) -> None:
        name = self._stack.pop()
        self._stream.tell(self)
        if steps is None:
            raise HubError("XML_LIMIT", name)
        text = _shown(steps) if name == "CHUKYDONVI" else _plain(steps)
        field = _FIELDS[name, len(self._stack)]
        setattr(self, field, getattr(self, field) or text)  # of several the first, before and behind the HOSO alike

    def _is_kind(self, steps: list[Step] | None, size: int) -> None:
        if self._fits(steps is not None, size):
            self._kind = re.sub(r"[^A-Z0-9]", "", _plain(steps or ()).upper())

    def _is_content(self, content: Content | None, size: int) -> None:
        if self._fits(content is not None, size):
            self._content = content

    def _fits(self, kept: bool, size: int) -> bool:
        """The end of a part of the HOSO under way; of one that grows too large nothing is kept."""
        self._stack.pop()
        self._stream.tell(self)
        self._size += size
        if kept and self._size <= HOSO_BYTES_MAX:
            return True
        self._size, self._files = HOSO_BYTES_MAX + 1, []
        return False

    # --- one HOSO

    def _end_hoso(self) -> None:
        files, self._files = self._files or [], None
        self.count += 1
        problems: list[Problem] = []
        tables: dict[str, list[Row]] = {}
        place = f"HOSO[{self.count}]"
        if self._size > HOSO_BYTES_MAX:
            problems.append(Problem("XML_LIMIT", Severity.ERROR, place))
            files = []
        if not self._tables:
            files = []
        for kind, content in files:
            table = re.sub(r"^XML0+(?=\d)", "XML", kind)
            if table not in self._tables:
                known = table if re.fullmatch(r"XML\d{1,2}", table) else "LOAIHOSO"
                problems.append(Problem("XML_TABLE_UNKNOWN", Severity.WARNING, f"{place}/{known}"))
            elif content is None:
                problems.append(Problem("XML_CONTENT_BROKEN", Severity.ERROR, f"{place}/{table}"))
            else:
                problems += self._table(table, content, tables.setdefault(table, []), f"{place}/{table}")
        ma_cskcb = self.ma_cskcb or next((row.get("MA_CSKCB", "") for row in tables.get("XML1", ())), "")
        self._done.append(Hoso(self.count, ma_cskcb, self.ngaylap, tables, tuple(problems[:_PROBLEMS_MAX])))

    def _table(self, table: str, content: Content, rows: list[Row], place: str) -> list[Problem]:
        """Add the rows of a content. Returns: problems. Raises: HubError(XML_FORBIDDEN)."""
        unknown: list[Problem] = []

        def tell(row: int, name: str) -> None:
            if len(unknown) < _PROBLEMS_MAX:
                unknown.append(Problem("XML_ELEMENT_UNKNOWN", Severity.WARNING, f"{place}[{row}]/{name}"))

        try:
            return [*read_content(content, TableHandler(self._tables[table], rows, tell, place), place), *unknown]
        except HubError as stop:
            if stop.code not in _OF_ONE_HOSO:
                raise
            return [Problem(stop.code, Severity.ERROR, place)]


def read_outline(chunks: bytes | Iterable[bytes]) -> Reader:
    """What the envelope states of itself, wherever it stands; and whether it is whole, but for the insides of its tables.

    Raises: as iterating a `Reader`.
    """
    reader = Reader(chunks, {})
    for _ in reader:
        pass
    return reader


class _Recorder:
    """Takes down what stands in an element, and gives it to whoever waits at its end; None if it was more than `most`."""

    def __init__(self, done: Callable[[list[Step] | None, int], None], most: int) -> None:
        self._done, self._most = done, most
        self._steps: list[Step] = []
        self._depth = self._size = 0

    def start(self, tag: str, attributes: Attributes, /) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self._size = self._most + 1
        self._take((tag, attributes), _ELEMENT_BYTES + sum(map(len, attributes.values())))

    def text(self, text: str, /) -> None:
        self._take(text, len(text))

    def end(self, tag: str, /) -> None:
        if self._depth:
            self._depth -= 1
            self._take((tag,), 0)
        else:
            self._done(self._steps if self._size <= self._most else None, self._size)

    def _take(self, step: Step, size: int) -> None:
        self._size += size
        if self._size > self._most:
            self._steps = []
        else:
            self._steps.append(step)


class _Inner:
    """Takes down what stands in a NOIDUNGFILE, and gives it to whoever waits at its end; None if it was more than `most`.

    keep: False to pass over it. Elements in it are not looked at here: their XML is cut out of the file as it stands.
    """

    def __init__(self, stream: Stream, done: Callable[[Content | None, int], None], most: int, *, keep: bool) -> None:
        self._stream, self._done, self._most, self._keep = stream, done, most, keep
        self._texts: list[str] = []
        self._size = self._elements = self._depth = 0

    def start(self, _tag: str, _attributes: Attributes, /) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH_MAX:
            raise HubError("XML_LIMIT", self._stream.where())
        if self._elements == 1 and self._keep:
            self._texts = []
            self._stream.mark(self._most)
            self._stream.tell(self, texts=False)

    def text(self, text: str, /) -> None:
        self._size += len(text)
        if self._size <= self._most:
            self._texts.append(text)

    def end(self, _tag: str, /) -> None:
        if self._depth:
            self._depth -= 1
            return
        if not self._keep:
            self._done(Content(""), 0)
        elif self._elements:
            xml = self._stream.taken()
            size = self._size + len(xml or "") + _ELEMENT_BYTES * self._elements
            self._done(None if xml is None or size > self._most else Content(xml, nested=True), size)
        else:
            self._done(Content("".join(self._texts)) if self._size <= self._most else None, self._size)


def _plain(steps: Iterable[Step]) -> str:
    """The text of an element and of all in it."""
    text = "".join(step for step in steps if isinstance(step, str)).strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _shown(steps: Sequence[Step]) -> str:
    """What stands in an element, as XML; as text when there is only text."""
    if all(isinstance(step, str) for step in steps):
        return _plain(steps)
    parts = []
    for step in steps:
        if isinstance(step, str):
            parts.append(escape(step))
        elif len(step) == 2:
            parts.append("".join((f"<{step[0]}", *(f" {name}={quoteattr(value)}" for name, value in step[1].items()), ">")))
        else:
            parts.append(f"</{step[0]}>")
    return "".join(parts).strip()


def trimmed(raw: bytes) -> bytes:
    """The bytes without what may stand around a message: blanks, frame bytes, zeros, a byte order mark of UTF-8."""
    return raw.strip(b" \t\r\n\x0b\x1c\0\xef\xbb\xbf") if encoding_of(raw[:8]) == "utf-8" else raw


def looks_like_envelope(raw: bytes) -> bool:
    """Whether bytes begin as XML does; whether it is the right XML, reading tells."""
    head = raw[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return head.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\x00<"))


def write(
    hosos: Iterable[Mapping[str, Sequence[Row]]],
    tables: Tables,
    *,
    ma_cskcb: str,
    ngaylap: str,
    signature: str = "",
    nested: bool = False,
) -> bytes:
    """An envelope, in UTF-8.

    hosos:     one mapping a care episode: table name to rows; elements are written in the official order, absent ones empty.
    nested:    write tables as elements instead of base64.
    signature: text of CHUKYDONVI.
    Characters that XML has no place for (controls, from HL7) are written as U+FFFD.
    Raises:    KeyError for a table that `tables` lacks.
    """
    files = []
    for hoso in hosos:
        element = etree.Element("HOSO")
        for table in sorted(hoso, key=lambda name: int(name[3:])):
            for content in _contents(table, hoso[table], tuple(tables[table])):
                file = etree.SubElement(element, "FILEHOSO")
                etree.SubElement(file, "LOAIHOSO").text = table
                body = etree.SubElement(file, "NOIDUNGFILE")
                if nested:
                    body.append(content)
                else:
                    body.text = base64.b64encode(etree.tostring(content, encoding="utf-8", xml_declaration=True)).decode()
        files.append(element)
    root = etree.Element("GIAMDINHHS")
    etree.SubElement(etree.SubElement(root, "THONGTINDONVI"), "MACSKCB").text = ma_cskcb
    about = etree.SubElement(root, "THONGTINHOSO")
    etree.SubElement(about, "NGAYLAP").text = ngaylap
    etree.SubElement(about, "SOLUONGHOSO").text = str(len(files))
    etree.SubElement(about, "DANHSACHHOSO").extend(files)
    etree.SubElement(root, "CHUKYDONVI").text = signature
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def _contents(table: str, rows: Sequence[Row], elements: tuple[str, ...]) -> Iterator[etree._Element]:
    root_name, *inner = ROOTS[table]
    if not inner:
        for row in rows:
            yield _row(root_name, row, elements)
        return
    list_name, row_name = inner
    root = etree.Element(root_name)
    etree.SubElement(root, list_name).extend(_row(row_name, row, elements) for row in rows)
    yield root


def _row(name: str, row: Row, elements: tuple[str, ...]) -> etree._Element:
    element = etree.Element(name)
    for column in elements:
        text = row.get(column)
        etree.SubElement(element, column).text = _ILLEGAL.sub("\ufffd", text) if text else None
    return element
