"""The insurance XML envelope GIAMDINHHS: read one HOSO at a time, written in the official order.

    GIAMDINHHS / THONGTINDONVI / MACSKCB
               / THONGTINHOSO / NGAYLAP, SOLUONGHOSO, DANHSACHHOSO / HOSO / FILEHOSO / LOAIHOSO, NOIDUNGFILE
               / CHUKYDONVI

The order of elements is free, the root may have namespaces, NOIDUNGFILE is base64 of a table's XML or the table itself.
DTDs and entities are refused. Source: adjudication.md §2; tables as in `hub.contract.claim_tables`.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from hub.contract.claim_tables import RENAMED
from hub.contract.errors import HubError, Problem, Severity

Row = dict[str, str]
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
_PROBLEMS_MAX: Final = 100  # of one HOSO; a sender with a thousand unknown elements is told of the first hundred
_SAFE_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_CHUNK_BYTES: Final = 64 * 1024
_PROLOG_MAX: Final = 1024 * 1024  # bytes before the root element; a file of another kind is not built up in memory
_SEEN: Final = ("GIAMDINHHS", "HOSO", "MACSKCB", "NGAYLAP", "SOLUONGHOSO", "CHUKYDONVI")


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

    chunks: the bytes of the file, cut anywhere. Memory holds one HOSO and one chunk.
    tables: the elements of each table.

    Iterating raises HubError(XML_FORBIDDEN) for a DTD, HubError(XML_MALFORMED) where the XML breaks off (the HOSO before
    it have been given out), HubError(FORMAT_UNKNOWN) for another root, HubError(EMPTY_INPUT) for nothing.
    """

    def __init__(self, chunks: bytes | Iterable[bytes], tables: Tables) -> None:
        self._chunks = _cut(chunks) if isinstance(chunks, bytes) else chunks
        # The tags of each table as they usually come, with the element that each stands for.
        self._tables = {name: {element: element for element in elements} for name, elements in tables.items()}
        for (table, old), new in RENAMED.items():
            if new in self._tables.get(table, ()):
                self._tables[table][old] = new
        self._inner = _parser(None)
        self._inner_utf8 = _parser("utf-8")
        self.ma_cskcb = ""
        self.ngaylap = ""
        self.soluonghoso = ""
        self.signature = ""
        """CHUKYDONVI: its text, or the XML inside it."""
        self.count = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Findings about the envelope as a whole; complete after the last HOSO."""
        stated = self.soluonghoso
        if stated == str(self.count) or (stated.isdecimal() and len(stated) < 20 and int(stated) == self.count):
            return ()
        return (Problem("XML_COUNT_MISMATCH", Severity.WARNING, "SOLUONGHOSO"),)

    def __iter__(self) -> Iterator[Hoso]:
        # Only these elements come up as events. Without huge_tree libxml2 keeps its own limits: 10 MB a text, and none of
        # the entity bombs.
        parser = etree.XMLPullParser(
            ("start", "end"),
            tag=[f"{{*}}{name}" for name in _SEEN],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        self._root_seen, fed = False, 0
        try:
            for chunk in self._chunks:
                chunk = chunk if fed else chunk.lstrip(b" \t\r\n")
                if chunk:
                    parser.feed(chunk)
                    fed += len(chunk)
                yield from self._events(parser)
                if not self._root_seen and fed > _PROLOG_MAX:
                    raise HubError("FORMAT_UNKNOWN", "root element")
            if not fed:
                raise HubError("EMPTY_INPUT")
            root = parser.close()
        except etree.XMLSyntaxError as broken:
            yield from self._events(parser)  # what was whole before the break
            line = broken.lineno or 0
            raise HubError("XML_MALFORMED", f"line {line}" if line else "") from None
        yield from self._events(parser)
        if not self._root_seen:
            self._check_root(root)

    def _events(self, parser: "etree.XMLPullParser") -> Iterator[Hoso]:
        for event, element in parser.read_events():
            assert isinstance(element, etree._Element)
            if not self._root_seen:
                self._root_seen = True
                self._check_root(element)
            elif event == "end":
                hoso = self._end(element)
                if hoso is not None:
                    yield hoso

    def _check_root(self, element: etree._Element) -> None:
        if element.getroottree().docinfo.internalDTD is not None:
            raise HubError("XML_FORBIDDEN")
        if _name(element) != "GIAMDINHHS" or element.getparent() is not None:
            raise HubError("FORMAT_UNKNOWN", "root element")

    def _end(self, element: etree._Element) -> Hoso | None:
        name = _name(element)
        if name == "HOSO":
            self.count += 1
            hoso = self._hoso(element)
            parent = element.getparent()
            element.clear()
            if parent is not None:
                parent.remove(element)
            return hoso
        if name == "MACSKCB" and _depth(element) == 2:
            self.ma_cskcb = _text(element)
        elif name == "NGAYLAP" and _depth(element) == 2:
            self.ngaylap = _text(element)
        elif name == "SOLUONGHOSO" and _depth(element) == 2:
            self.soluonghoso = _text(element)
        elif name == "CHUKYDONVI" and _depth(element) == 1:
            inside = "".join(etree.tostring(child, encoding="unicode") for child in element)
            self.signature = inside or _text(element)
        return None

    def _hoso(self, element: etree._Element) -> Hoso:
        problems: list[Problem] = []
        tables: dict[str, list[Row]] = {}
        place = f"HOSO[{self.count}]"
        for file in element:
            if _name(file) != "FILEHOSO":
                continue
            parts = {_name(part): part for part in file}
            kind = parts.get("LOAIHOSO")
            table = re.sub(r"\s", "", _text(kind)).upper() if kind is not None else ""
            content = parts.get("NOIDUNGFILE")
            if table not in self._tables:
                known = table if re.fullmatch(r"XML\d{1,2}", table) else "LOAIHOSO"
                problems.append(Problem("XML_TABLE_UNKNOWN", Severity.WARNING, f"{place}/{known}"))
            elif content is None:
                problems.append(Problem("XML_CONTENT_BROKEN", Severity.ERROR, f"{place}/{table}"))
            else:
                try:
                    found = self._content(content)
                except (ValueError, etree.XMLSyntaxError):
                    problems.append(Problem("XML_CONTENT_BROKEN", Severity.ERROR, f"{place}/{table}"))
                    continue
                rows = tables.setdefault(table, [])
                for row in found:
                    self._rows(row, table, rows, problems)
        ma_cskcb = self.ma_cskcb or next((row.get("MA_CSKCB", "") for row in tables.get("XML1", ())), "")
        return Hoso(self.count, ma_cskcb, self.ngaylap, tables, tuple(problems[:_PROBLEMS_MAX]))

    def _content(self, content: etree._Element) -> list[etree._Element]:
        """The elements of a table, nested or from base64.

        Raises: ValueError or XMLSyntaxError when they cannot be had, HubError(XML_FORBIDDEN) for a DTD.
        """
        if len(content):
            return list(content)
        text = (content.text or "").strip()
        raw = text.encode() if text.startswith("<") else _unbase64("".join(text.split()))  # some put the XML there as text
        try:
            root = etree.fromstring(raw, self._inner)
        except etree.XMLSyntaxError:
            # Some systems write encoding="utf-16" over UTF-8 bytes.
            root = etree.fromstring(raw.removeprefix(b"\xef\xbb\xbf"), self._inner_utf8)
        if root.getroottree().docinfo.internalDTD is not None:
            raise HubError("XML_FORBIDDEN")
        return [root]

    def _rows(self, element: etree._Element, table: str, rows: list[Row], problems: list[Problem]) -> None:
        """Add the rows in and below an element: a row is what has an element of its table as a child."""
        known = self._tables[table]
        row: Row = {}
        unknown: list[str] = []
        below: list[etree._Element] = []
        for child in element:
            name = known.get(child.tag) or known.get(_name(child))
            if name:
                row[name] = row.get(name) or _text(child)
            elif _name(child) == "CHUKYDONVI":
                continue  # a check-in that is sent alone carries the signature inside its table
            elif len(child):
                below.append(child)
            else:
                unknown.append(_name(child))
        if row:
            rows.append(row)
            below = []
        for child in below:
            self._rows(child, table, rows, problems)
        if len(problems) < _PROBLEMS_MAX:
            for name in unknown:
                shown = name if _SAFE_NAME.fullmatch(name) else "?"
                problems.append(
                    Problem("XML_ELEMENT_UNKNOWN", Severity.WARNING, f"HOSO[{self.count}]/{table}[{max(len(rows), 1)}]/{shown}")
                )


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
        etree.SubElement(element, column).text = row.get(column) or None
    return element


def _parser(encoding: str | None) -> etree.XMLParser:
    return etree.XMLParser(
        encoding=encoding, resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )


def _cut(raw: bytes) -> Iterator[bytes]:
    for start in range(0, len(raw), _CHUNK_BYTES):
        yield raw[start : start + _CHUNK_BYTES]


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as broken:
        raise ValueError("not base64") from broken


def _name(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2].upper() if isinstance(tag, str) else ""


def _depth(element: etree._Element) -> int:
    return sum(1 for _ in element.iterancestors())


def _text(element: etree._Element) -> str:
    text = (element.text or "").strip() if not len(element) else "".join(map(str, element.itertext())).strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)
