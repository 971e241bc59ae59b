"""The insurance XML envelope, read and written."""

import base64
import itertools
import re
import tracemalloc
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.formats import charset, claim_rows, claim_xml
from adapters.formats.claim_xml import ROOTS, Hoso, Reader, looks_like_envelope, read_outline, trimmed, write
from hub.contract.claim_tables import RENAMED, tables
from hub.contract.errors import HubError

TABLES = tables()
CLAIM = {
    "XML1": [{"MA_LK": "01004-1", "HO_TEN": "Nguyễn Văn A", "MA_CSKCB": "01004", "T_TONGCHI_BH": "120000.00"}],
    "XML2": [{"MA_LK": "01004-1", "STT": "1", "SO_LUONG": "1.500"}, {"MA_LK": "01004-1", "STT": "2", "TEN_THUOC": "A & B <10mg"}],
    "XML3": [{"MA_LK": "01004-1", "STT": "1", "MA_DICH_VU": "03.0001.0000"}],
}


def envelope(*claims: dict[str, list[dict[str, str]]], nested: bool = False) -> bytes:
    return write(claims, TABLES, ma_cskcb="01004", ngaylap="20261015", nested=nested)


def read(raw: bytes) -> tuple[list[Hoso], Reader]:
    reader = Reader(raw, TABLES)
    return list(reader), reader


def filled(hoso: Hoso) -> dict[str, list[dict[str, str]]]:
    """The tables without the elements that are empty."""
    return {table: [{name: text for name, text in row.items() if text} for row in rows] for table, rows in hoso.tables.items()}


def codes(hoso: Hoso) -> list[tuple[str, str, str]]:
    return [(problem.code, problem.severity.value, problem.path) for problem in hoso.problems]


@pytest.mark.parametrize("nested", [False, True])
def test_an_envelope(nested: bool) -> None:
    hosos, reader = read(envelope(CLAIM, CLAIM, nested=nested))
    assert [(hoso.number, hoso.ma_cskcb, hoso.ngaylap, hoso.problems) for hoso in hosos] == [
        (1, "01004", "20261015", ()),
        (2, "01004", "20261015", ()),
    ]
    assert filled(hosos[0]) == CLAIM
    assert tuple(hosos[0].tables["XML2"][0]) == tuple(TABLES["XML2"]), "every element of the table, in the official order"
    assert (reader.ma_cskcb, reader.ngaylap, reader.soluonghoso, reader.count, reader.problems) == (
        "01004",
        "20261015",
        "2",
        2,
        (),
    )


@pytest.mark.parametrize("table", sorted(ROOTS))
@pytest.mark.parametrize("nested", [False, True])
def test_every_table_goes_and_comes_back(table: str, nested: bool) -> None:
    rows = [{name: f"{name} {n}" for name in TABLES[table]} for n in range(2)]
    (hoso,), _ = read(envelope({table: rows}, nested=nested))
    assert hoso.tables == {table: rows} and hoso.problems == ()


texts = st.one_of(
    st.text(max_size=20), st.text(st.sampled_from("aỄđ&<>]\"'\r\n\t\x00\x0b\x1f\x85\xa0\ufffe\U0001f600"), max_size=20)
)
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def rows_of(table: str) -> st.SearchStrategy[list[dict[str, str]]]:
    return st.lists(st.dictionaries(st.sampled_from(list(TABLES[table])), texts, max_size=8), min_size=1, max_size=3)


claims = st.fixed_dictionaries({}, optional={table: rows_of(table) for table in TABLES})


@settings(max_examples=40, deadline=None)
@given(st.lists(claims, max_size=3), st.booleans())
def test_whatever_is_written_reads_back_equal(written: list[dict[str, list[dict[str, str]]]], nested: bool) -> None:
    hosos, reader = read(envelope(*written, nested=nested))
    assert [problem for hoso in hosos for problem in hoso.problems] == [] == list(reader.problems)
    assert [filled(hoso) for hoso in hosos] == [
        {
            table: [
                {
                    name: text
                    for name, raw in row.items()
                    if (text := unicodedata.normalize("NFC", ILLEGAL.sub("\ufffd", raw).strip()))
                }
                for row in rows
            ]
            for table, rows in claim.items()
        }
        for claim in written
    ]


def hand_made(hoso: str, *, head: str = "", tail: str = "", attributes: str = "", count: int | str = 1) -> bytes:
    return (
        f"{head}<GIAMDINHHS{attributes}><THONGTINHOSO><SOLUONGHOSO>{count}</SOLUONGHOSO><DANHSACHHOSO>{hoso}</DANHSACHHOSO>"
        f"<NGAYLAP>20261015</NGAYLAP></THONGTINHOSO><THONGTINDONVI><MACSKCB>01004</MACSKCB></THONGTINDONVI>{tail}</GIAMDINHHS>"
    ).encode()


def file(table: str, content: str) -> str:
    return f"<FILEHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE><LOAIHOSO>{table}</LOAIHOSO></FILEHOSO>"


XML1 = "<TONG_HOP><HO_TEN>A</HO_TEN><MA_LK>LK1</MA_LK><MA_CSKCB>01004</MA_CSKCB></TONG_HOP>"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_the_order_of_elements_is_free() -> None:
    (hoso,), reader = read(hand_made(f"<HOSO>{file('XML1', XML1)}</HOSO>"))
    assert hoso.tables == {"XML1": [{"HO_TEN": "A", "MA_LK": "LK1", "MA_CSKCB": "01004"}]}
    assert hoso.ma_cskcb == "01004", "from XML1, as the envelope names it only afterwards"
    assert reader.ma_cskcb == "01004" and reader.ngaylap == "20261015"


@pytest.mark.parametrize(
    "content",
    [
        b64(XML1),
        b64(XML1).rstrip("="),
        b64(XML1) + "==",
        base64.urlsafe_b64encode(XML1.encode()).decode(),
        "\r\n".join(b64(XML1)[at : at + 64] for at in range(0, len(b64(XML1)), 64)),
        f"<![CDATA[{b64(XML1)}]]>",
        b64(re.sub("<[^>]+>", lambda tag: tag[0].lower(), XML1)),
        b64(XML1.replace("TONG_HOP", "Tong_Hop").replace("MA_LK", "Ma_Lk")),
        b64(XML1.replace("<", "<ns1:").replace("<ns1:/", "</ns1:")),
        b64(XML1.replace(">", ">\r\n  ").replace("</", "\t</")),
        b64("\r\n " + XML1 + "\n"),
        b64(XML1.replace("<HO_TEN>", "<HO_TEN xsi:nil='false' note='&lt;x&gt;'>")),
        b64(XML1.replace("A</HO_TEN>", "<![CDATA[A]]></HO_TEN>")),
        b64("<?xml-stylesheet href='file:///etc/hostname'?>" + XML1),
        base64.b64encode(XML1.encode("utf-16-le")).decode(),
        base64.b64encode(XML1.encode("utf-16-be")).decode(),
        XML1.replace("<", "&lt;"),
        "<?xml version='1.0' encoding='utf-16'?>".replace("<", "&lt;") + XML1.replace("<", "&lt;"),
        "<VO_NGOAI>" + XML1 + "</VO_NGOAI>",
        XML1.removeprefix("<TONG_HOP>").removesuffix("</TONG_HOP>"),
        "\n  " + b64(XML1)[:20] + "\n  " + b64(XML1)[20:] + "\n",
        b64("\ufeff" + XML1),
        b64('<?xml version="1.0" encoding="utf-8"?>\n' + XML1),
        b64('<?xml version="1.0" encoding="utf-16"?>\n' + XML1),
        base64.b64encode(XML1.encode("utf-16")).decode(),
        b64("<!-- made by -->" + XML1),
        b64(XML1.replace("<TONG_HOP>", '<TONG_HOP xmlns="urn:x" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">')),
        f"<![CDATA[{XML1}]]>",
        XML1,
        XML1.replace("<", "<!-- c --><"),
    ],
)
def test_the_many_ways_to_put_a_table(content: str) -> None:
    (hoso,), _ = read(hand_made(f"<HOSO>{file('XML1', content)}</HOSO>"))
    assert hoso.problems == ()
    assert hoso.tables == {"XML1": [{"HO_TEN": "A", "MA_LK": "LK1", "MA_CSKCB": "01004"}]}


@pytest.mark.parametrize(
    ("head", "attributes"),
    [
        ("\ufeff", ""),
        ("\ufeff<?xml version='1.0' encoding='UTF-8'?>\n", ""),
        ("\r\n ", ""),
        ("<?xml version='1.0' encoding='utf-16'?>", ""),
        ("<?xml version='1.0' encoding='TCVN3'?>", ""),
        ("<!-- by --><?pi x?>", ""),
        ("", " xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:noNamespaceSchemaLocation='file:///x.xsd'"),
        ("", " so='1' Id=\"y\" "),
        ("", " xmlns='urn:vss'"),
        ("", " xmlns:xsd='http://www.w3.org/2001/XMLSchema' Id='x'"),
    ],
)
def test_what_may_stand_around(head: str, attributes: str) -> None:
    (hoso,), reader = read(hand_made(f"<HOSO>{file('XML1', b64(XML1))}</HOSO>", head=head, attributes=attributes))
    assert hoso.tables["XML1"] and reader.ma_cskcb == "01004"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("declared", ["", "utf-8", "utf-16", "us-ascii"])
def test_the_encoding_is_what_the_bytes_show(encoding: str, declared: str) -> None:
    head = f"<?xml version='1.0' encoding='{declared}'?>" if declared else ""
    named = XML1.replace("<HO_TEN>A<", "<HO_TEN>Nguyễn Thị Ấu<")
    raw = trimmed((hand_made(f"<HOSO>{file('XML1', named)}</HOSO>", head=head).decode() + "\r\n").encode(encoding))
    (hoso,), reader = read(raw)
    assert hoso.tables["XML1"][0]["HO_TEN"] == "Nguyễn Thị Ấu" and (reader.problems, hoso.problems) == ((), ())


@pytest.mark.parametrize("encoding", ["windows-1258", "tcvn3", "viscii"])
@pytest.mark.parametrize("declared", ["utf-8", "windows-1252", "windows-1258"])
def test_another_charset_is_read_and_a_wrong_declaration_is_told(encoding: str, declared: str) -> None:
    text = "Bệnh nhân Nguyễn Thị Ngọc Anh, địa chỉ phường Điện Biên, quận Ba Đình, thành phố Hà Nội"
    head = f"<?xml version='1.0' encoding='{declared}'?>"
    inner = charset.encode(head + XML1.replace("<HO_TEN>A<", f"<HO_TEN>{text}<"), encoding)
    (hoso,), _ = read(hand_made(f"<HOSO>{file('XML1', base64.b64encode(inner).decode())}</HOSO>"))
    assert hoso.tables["XML1"][0]["HO_TEN"] == text
    told = [] if declared == encoding else [("CHARSET_DECLARED_WRONG", "W", "HOSO[1]/XML1")]
    assert codes(hoso) == told
    whole = hand_made(f"<HOSO>{file('XML1', XML1.replace('<HO_TEN>A<', f'<HO_TEN>{text}<'))}</HOSO>", head=head).decode()
    (hoso,), reader = read(charset.encode(whole, encoding))
    assert hoso.tables["XML1"][0]["HO_TEN"] == text
    assert [problem.code for problem in reader.problems] == [code for code, *_ in told]


@pytest.mark.parametrize("case", [str.lower, str.title])
def test_tags_may_be_in_any_case_and_carry_any_prefix(case: Callable[[str], str]) -> None:
    raw = hand_made(f"<HOSO>{file('xml1', b64(XML1))}{file(' Xml 02 ', b64('<a><Stt>1</Stt></a>'))}</HOSO>").decode()
    raw = re.sub(r"<(/?)([A-Z]+)>", lambda tag: f"<{tag[1]}q:{case(tag[2])}>", raw)
    (hoso,), reader = read(raw.encode())
    assert hoso.tables == {"XML1": [{"HO_TEN": "A", "MA_LK": "LK1", "MA_CSKCB": "01004"}], "XML2": [{"STT": "1"}]}
    assert (reader.ma_cskcb, reader.ngaylap, reader.problems) == ("01004", "20261015", ())


def test_the_outline_is_the_same_wherever_things_stand() -> None:
    late = hand_made(f"<HOSO>{file('XML1', b64(XML1))}</HOSO>" * 2, count=2, tail="<CHUKYDONVI>s</CHUKYDONVI>")
    for raw in (late, envelope(CLAIM, CLAIM)):
        found = read_outline(raw)
        assert (found.ma_cskcb, found.ngaylap, found.soluonghoso, found.count, found.problems) == (
            "01004",
            "20261015",
            "2",
            2,
            (),
        )
    assert [hoso.ngaylap for hoso in Reader(late, TABLES, ma_cskcb="01004", ngaylap="20261015")] == ["20261015"] * 2


def test_a_row_is_known_by_its_elements_and_what_is_in_them_is_text() -> None:
    odd = "<R><HO_TEN>A<b>B</b>C<i>D</i></HO_TEN>&lt; <MA_LK>1</MA_LK><MA_LK>2</MA_LK><L><X/></L></R><R><MA_LK/></R>"
    (hoso,), _ = read(hand_made(f"<HOSO>{file('XML1', odd)}</HOSO>"))
    assert hoso.tables["XML1"] == [{"HO_TEN": "ABCD", "MA_LK": "1"}, {"MA_LK": ""}]
    assert codes(hoso) == [("XML_ELEMENT_UNKNOWN", "W", "HOSO[1]/XML1[1]/X")]


def test_names_of_the_older_layout_are_read_under_the_newer() -> None:
    (table, old), new = next(iter(RENAMED.items()))
    row = f"<{ROOTS[table][0]}><{old}>x</{old}></{ROOTS[table][0]}>"
    (hoso,), _ = read(hand_made(f"<HOSO>{file(table, b64(row))}</HOSO>"))
    assert hoso.tables == {table: [{new: "x"}]} and hoso.problems == ()


def test_unknown_elements_and_tables_are_told_and_kept_out() -> None:
    odd = "<TONG_HOP><MA_LK>LK1</MA_LK><SO_NHA>12</SO_NHA><X__>y</X__></TONG_HOP>"
    (hoso,), _ = read(hand_made(f"<HOSO>{file('XML1', odd)}{file('XML99', b64(XML1))}{file('ABC', '')}</HOSO>"))
    assert hoso.tables == {"XML1": [{"MA_LK": "LK1"}]}
    assert codes(hoso) == [
        ("XML_ELEMENT_UNKNOWN", "W", "HOSO[1]/XML1[1]/SO_NHA"),
        ("XML_ELEMENT_UNKNOWN", "W", "HOSO[1]/XML1[1]/X__"),
        ("XML_TABLE_UNKNOWN", "W", "HOSO[1]/XML99"),
        ("XML_TABLE_UNKNOWN", "W", "HOSO[1]/LOAIHOSO"),
    ]


@pytest.mark.parametrize("content", ["!!! no base64", b64("no xml"), b64("<a>"), "", "QQ=Q", b64("\x00\x01")])
def test_a_broken_table_refuses_its_own_hoso_only(content: str) -> None:
    good = f"<HOSO>{file('XML1', b64(XML1))}</HOSO>"
    hosos, _ = read(hand_made(good + f"<HOSO>{file('XML1', b64(XML1))}{file('XML2', content)}</HOSO>" + good, count=3))
    assert [codes(hoso) for hoso in hosos] == [[], [("XML_CONTENT_BROKEN", "E", "HOSO[2]/XML2")], []]


@pytest.mark.parametrize("count", [2, "9" * 5_000])  # more digits than Python turns into a number
def test_a_count_that_differs_is_told(count: int | str) -> None:
    _, reader = read(hand_made(f"<HOSO>{file('XML1', b64(XML1))}</HOSO>", count=count))
    assert [problem.code for problem in reader.problems] == ["XML_COUNT_MISMATCH"]


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        ("<CHUKYDONVI>abc</CHUKYDONVI>", "abc"),
        ("<CHUKYDONVI><Signature><X/></Signature></CHUKYDONVI>", "<Signature><X></X></Signature>"),
        ("", ""),
    ],
)
def test_the_signature_is_kept(tail: str, kept: str) -> None:
    _, reader = read(hand_made("", tail=tail, count=0))
    assert reader.signature == kept


EXTERNAL = "<!DOCTYPE a SYSTEM 'file:///etc/hostname'>"
BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>]>"


@pytest.mark.parametrize(
    "raw",
    [
        hand_made("", head="<!DOCTYPE GIAMDINHHS>"),
        hand_made("&c;", head=BOMB),
        hand_made("", head=BOMB, attributes=" x='&c;'"),
        hand_made("&e;", head="<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>"),
        hand_made(f"<HOSO>{file('XML1', b64(BOMB + '<TONG_HOP><HO_TEN>&c;</HO_TEN></TONG_HOP>'))}</HOSO>"),
        BOMB.encode() + b"<other/>",
        hand_made("", head="<!DOCTYPE x [<!ENTITY % p SYSTEM 'http://127.0.0.1:9/p.dtd'> %p;]>"),
        hand_made("", head="<!DOCTYPE x PUBLIC '-//x//y' 'http://127.0.0.1:9/x.dtd'>"),
        hand_made("", head=BOMB).decode().encode("utf-16"),
        hand_made(f"<HOSO>{file('XML1', '<![CDATA[' + BOMB + XML1 + ']]>')}</HOSO>"),
        hand_made(f"<HOSO>{file('XML1', base64.b64encode((BOMB + XML1).encode('utf-16')).decode())}</HOSO>"),
        hand_made(f"<HOSO>{file('XML1', b64(EXTERNAL + XML1))}</HOSO>"),
    ],
)
def test_entities_and_dtds_are_refused(raw: bytes) -> None:
    with pytest.raises(HubError, match="XML_FORBIDDEN") as refused:
        read(raw)
    assert refused.value.where in ("line 1", "HOSO[1]/XML1")


def test_nothing_outside_the_file_is_ever_read() -> None:
    include = "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file:///etc/hostname' parse='text'/>"
    (hoso,), _ = read(hand_made(f"<HOSO>{file('XML1', b64(XML1.replace('A</HO_TEN>', f'A</HO_TEN>{include}')))}</HOSO>"))
    assert hoso.tables["XML1"][0]["HO_TEN"] == "A"
    assert codes(hoso) == [("XML_ELEMENT_UNKNOWN", "W", "HOSO[1]/XML1[1]/INCLUDE")]


DEEP = "<a>" * 100_000
NAMES = "".join(f"<n{number}/>" for number in range(100_000))
ATTRIBUTES = "<x " + " ".join(f"a{number}='1'" for number in range(200_000)) + "/>"


@pytest.mark.parametrize(
    "bomb", [DEEP, NAMES, ATTRIBUTES, f"<{'n' * 2_000_000}/>", f"<x a='{'v' * 2_000_000}'/>", f"<!--{'c' * 2_000_000}-->"]
)
def test_bombs_are_refused_where_they_stand(bomb: str) -> None:
    tracemalloc.start()
    with pytest.raises(HubError, match="XML_LIMIT") as refused:
        read(hand_made("", tail="\n" + bomb))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.where == "line 2" and most < 64 * 1024 * 1024
    good = f"<HOSO>{file('XML1', b64(XML1))}</HOSO>"
    hosos, _ = read(hand_made(good + f"<HOSO>{file('XML1', b64('<r>' + bomb))}</HOSO>" + good, count=3))
    assert [codes(hoso) for hoso in hosos] == [[], [("XML_LIMIT", "E", "HOSO[2]/XML1")], []]


def test_a_hoso_too_large_is_refused_alone_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_xml, "HOSO_BYTES_MAX", 100_000)
    monkeypatch.setattr(claim_rows, "ROWS_MAX", 100)
    good = f"<HOSO>{file('XML1', b64(XML1))}</HOSO>"
    large = [file("XML1", "QUJD" * 30_000), file("XML2", "<r><STT>1</STT></r>" * 3_000), file("XML4", b64("<r><STT>1</STT></r>"))]
    rows = file("XML2", b64("<l>" + "<r><STT>1</STT></r>" * 101 + "</l>"))
    hosos, _ = read(hand_made("".join([good, *(f"<HOSO>{one}</HOSO>" for one in (large[0], large[1], rows)), good]), count=5))
    assert [codes(hoso) for hoso in hosos] == [
        [],
        [("XML_LIMIT", "E", "HOSO[2]")],
        [("XML_LIMIT", "E", "HOSO[3]")],
        [("XML_LIMIT", "E", "HOSO[4]/XML2")],
        [],
    ]


@pytest.mark.parametrize("inside", ["<a>" * 1_000_000, "<TONG_HOP>" + "<a>" * 1_000_000])
def test_depth_is_refused_inside_a_table_too_however_far_it_is_read(inside: str) -> None:
    head = b"<GIAMDINHHS><DANHSACHHOSO><HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>"
    for asked in (TABLES, {}):
        chunks = itertools.chain([head], (inside[at : at + 65_536].encode() for at in range(0, len(inside), 65_536)))
        with pytest.raises(HubError, match="XML_LIMIT"):
            list(Reader(chunks, asked))
        assert sum(1 for _ in chunks) > 40  # nearly nothing of it was read: each open element takes memory


def test_of_a_facility_stated_twice_the_first_counts_for_every_hoso() -> None:
    one = f"<HOSO>{file('XML1', b64(XML1))}</HOSO>"
    tail = "<THONGTINDONVI><MACSKCB>79001</MACSKCB></THONGTINDONVI>"
    raw = hand_made(one, tail=tail, count=1)
    outline = read_outline(raw)
    (hoso,) = Reader(raw, TABLES, ma_cskcb=outline.ma_cskcb, ngaylap=outline.ngaylap)
    assert (outline.ma_cskcb, hoso.ma_cskcb) == ("01004", "01004")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "EMPTY_INPUT"),
        (b"\r\n", "EMPTY_INPUT"),
        (b"<other/>", "FORMAT_UNKNOWN"),
        (b"<other><GIAMDINHHS/></other>", "FORMAT_UNKNOWN"),
        (b"MSH|^~\\&|", "XML_MALFORMED"),
        (b"<GIAMDINHHS>", "XML_MALFORMED"),
        (b"<GIAMDINHHS>&nbsp;</GIAMDINHHS>", "XML_MALFORMED"),
        (bytes(range(256)) * 100, "CHARSET_UNREADABLE"),
    ],
)
def test_what_is_no_envelope_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(HubError, match=code):
        read(raw)


def test_a_file_that_breaks_off_gives_what_was_whole() -> None:
    raw = envelope(CLAIM, CLAIM, CLAIM)
    reader = Reader(raw[: raw.rindex(b"<HOSO>") + 30], TABLES)
    got = []
    with pytest.raises(HubError, match="XML_MALFORMED"):
        got.extend(reader)
    assert [hoso.number for hoso in got] == [1, 2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("content", [b64(XML1), XML1.replace(">A<", ">Ễ &amp; B<"), f"t<!-- c -->{XML1}<!-- c -->t"])
def test_any_cut_gives_the_same(content: str, encoding: str) -> None:
    head = "\ufeff" if encoding == "utf-16-be" else ""
    text = hand_made(f"<HOSO>{file('XML1', content)}</HOSO>" * 3, count=3).decode()
    raw = (head + text).encode(encoding)
    whole, _ = read(text.encode())
    assert [codes(hoso) for hoso in whole] == [[]] * 3
    for size in (1, 7, 100, 10_000):
        assert list(Reader([raw[at : at + size] for at in range(0, len(raw), size)], TABLES)) == whole


def test_a_nested_table_may_be_longer_than_a_chunk_and_not_than_a_hoso(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"<r><MA_LK>LK1</MA_LK><STT>{number}</STT></r>" for number in range(1, 6_001)]
    raw = hand_made(f"<HOSO>{file('XML2', '<l>' + ''.join(rows) + '</l>')}</HOSO>" * 2, count=2)
    for hoso in read(raw)[0]:
        assert [row["STT"] for row in hoso.tables["XML2"]] == [str(number) for number in range(1, 6_001)]
    monkeypatch.setattr(claim_xml, "HOSO_BYTES_MAX", 100_000)
    assert [codes(hoso) for hoso in read(raw)[0]] == [[("XML_LIMIT", "E", f"HOSO[{number}]")] for number in (1, 2)]


def test_memory_holds_one_hoso_and_one_chunk_however_many_come() -> None:
    raw = envelope(CLAIM)
    start, stop = raw.index(b"<HOSO>"), raw.index(b"</HOSO>") + 7

    def most(count: int) -> int:
        chunks = itertools.chain([raw[:start]], itertools.repeat(raw[start:stop], count), [raw[stop:]])
        tracemalloc.start()
        assert sum(1 for _ in Reader(chunks, TABLES)) == count
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert most(90) < 2 * most(15)


@pytest.mark.parametrize(
    "junk",
    [
        "<a/>" * 30_000,
        "".join(f"<THONGTINHOSO{' ' * 50}/>" for _ in range(3_000)),
        "<HOSO>" + "<JUNK>text</JUNK>" * 15_000 + "</HOSO>",
    ],
)
def test_what_nobody_asked_for_is_not_kept(junk: str) -> None:
    chunks = [b"<GIAMDINHHS>", *([junk.encode()] * 3), b"</GIAMDINHHS>"]
    tracemalloc.start()
    list(Reader(chunks, TABLES))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for whole in (raw, b"<GIAMDINHHS>" + raw + b"</GIAMDINHHS>"):
        try:
            list(Reader(whole, TABLES))
        except HubError as refused:
            known = ("EMPTY_INPUT", "XML_MALFORMED", "XML_FORBIDDEN", "FORMAT_UNKNOWN", "CHARSET_UNREADABLE")
            assert refused.code in known


def test_xml_is_told_from_hl7() -> None:
    assert looks_like_envelope(b"\xef\xbb\xbf \r\n<?xml version='1.0'?>") and looks_like_envelope(b"<GIAMDINHHS>")
    assert not looks_like_envelope(b"MSH|^~\\&|") and not looks_like_envelope(b"")
