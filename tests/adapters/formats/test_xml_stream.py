"""XML as a stream: the encoding from the bytes, limits, and nothing but start, text and end."""

import pytest

from adapters.formats import xml_stream
from adapters.formats.xml_stream import Attributes, Stream, declared_encoding, encoding_of, in_utf8, name_of
from hub.contract.errors import HubError


class Told:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def start(self, tag: str, attributes: Attributes, /) -> None:
        self.seen.append((tag, attributes))

    def text(self, text: str, /) -> None:
        self.seen.append(text)

    def end(self, tag: str, /) -> None:
        self.seen.append(f"/{tag}")


def told(raw: bytes, size: int = 1 << 20) -> list[object]:
    handler = Told()
    stream = Stream(handler)
    for at in range(0, len(raw), size):
        stream.feed(raw[at : at + size])
    stream.close()
    return handler.seen


SAID = [("a", {"x": "1"}), "Ễ <", ("b:c", {}), "/b:c", "/a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_however_it_is_cut_and_encoded_it_says_the_same(encoding: str, size: int) -> None:
    raw = "<?xml version='1.0' encoding='us-ascii'?><a x='1'>Ễ<!-- c --> <?p i?><![CDATA[<]]><b:c/></a>".encode(encoding)
    found = told(raw, size)
    joined: list[object] = []
    for one in found:
        if isinstance(one, str) and one[0] != "/" and joined and isinstance(joined[-1], str):
            joined[-1] += one
        else:
            joined.append(one)
    assert joined == SAID


@pytest.mark.parametrize(
    ("raw", "code", "where"),
    [
        (b"", "EMPTY_INPUT", ""),
        (b" \n", "EMPTY_INPUT", ""),
        (b"<", "XML_MALFORMED", "line 1"),
        (b"<a>\n<b></a>", "XML_MALFORMED", "line 2"),
        (b"<a/><b/>", "XML_MALFORMED", "line 1"),
        (b"<a>\xff</a>", "XML_MALFORMED", "line 1"),
        (b"<a>&nbsp;</a>", "XML_MALFORMED", "line 1"),
        (b"\n\n<!DOCTYPE a><a/>", "XML_FORBIDDEN", "line 1"),
        (b"<a>\n" + b"<x y='" + b"z" * 2_000_000, "XML_LIMIT", "line 2"),
    ],
)
def test_what_it_refuses_it_names_with_the_place(raw: bytes, code: str, where: str) -> None:
    with pytest.raises(HubError) as refused:
        told(raw)
    assert (refused.value.code, refused.value.where) == (code, where)


def test_text_may_be_of_any_length_and_a_tag_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_stream, "TOKEN_MAX", 1000)
    assert "".join(str(one) for one in told(b"<a>" + b"t" * 1_000_000 + b"</a>")[1:-1]) == "t" * 1_000_000
    with pytest.raises(HubError, match="XML_LIMIT"):
        told(b"<a " + b" " * 100_000 + b"/>")


def test_names_are_without_prefix_and_in_capitals() -> None:
    assert [name_of(tag) for tag in ("HOSO", "hoso", "v:Hoso")] == ["HOSO"] * 3


def test_the_first_bytes_show_the_encoding_and_the_declaration_says_one() -> None:
    assert [
        encoding_of(text.encode(name)[:8]) for text, name in (("<a/>", "utf-16-le"), ("<a/>", "utf-16-be"), ("<a/>", "utf-16"))
    ] == [
        "utf-16le",
        "utf-16be",
        "utf-16",
    ]
    assert encoding_of(b"\r\n<a/>") == encoding_of(b"") == "utf-8"
    assert declared_encoding(b"\xef\xbb\xbf<?xml version='1.0' encoding = \"TCVN3\"?>") == "tcvn3"
    assert declared_encoding(b"<a encoding='x'/>") == ""


def test_bytes_that_fit_no_charset_are_told_with_their_place() -> None:
    with pytest.raises(HubError, match="CHARSET_UNREADABLE") as refused:
        in_utf8(b"<a>\x80\x81\x8d\x8f</a>", "HOSO[1]/XML1")
    assert refused.value.where == "HOSO[1]/XML1"
