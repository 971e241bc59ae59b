"""Plain XML cut up at once: what it takes the parser reads the same, and what it leaves it leaves whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats import claim_rows, xml_plain
from adapters.formats.claim_rows import Content, Row, TableHandler, read_content
from adapters.formats.xml_plain import PLAIN_MAX, cut_up, leaves_of
from hub.contract.errors import HubError

KNOWN = {"MA_LK": "MA_LK", "STT": "STT", "CU": "MOI", "HO_TEN": "HO_TEN"}


def read(text: str, *, nested: bool) -> object:
    found: list[Row] = []
    unknown: list[tuple[int, str]] = []
    try:
        read_content(Content(text, nested), TableHandler(KNOWN, found, lambda row, name: unknown.append((row, name)), "p"), "p")
    except HubError as refused:
        return refused.code
    return found, unknown


NAMES = st.sampled_from(["MA_LK", "STT", "CU", "HO_TEN", "stt", "a:STT", "r", "l", "X", "CHUKYDONVI", "é"])
TEXTS = st.sampled_from(["", " ", "1", " Ễ ", "E\u0302\u0303", "a &amp; b", "&lt;&gt;&quot;&apos;", "&#65;", "&nbsp;", "x>y", "a/>b", "]]>",
                         "\r\n", "a\r\nb\rc", "\x01", "\ufffe", "\u00a0n\u00a0", "&", "<", "<!-- c -->", "<![CDATA[d]]>", "<?p?>", "</r>"])  # fmt: skip
LEAVES = st.one_of(
    st.builds("<{0}>{1}</{0}>".format, NAMES, TEXTS),
    st.builds("<{0}/>".format, NAMES),
    st.builds("<{0} x='1'>{1}</{0}>".format, NAMES, TEXTS),
    st.builds("<{0}>{1}</{2}>".format, NAMES, TEXTS, NAMES),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda name, parts, blank: f"<{name}>{blank.join(['', *parts, ''])}</{name}>",
        NAMES,
        st.lists(inner, max_size=5),
        st.sampled_from(["", "\n  ", "t"]),
    ),
    max_leaves=30,
)
HEADS = st.sampled_from(
    ["", "<?xml version='1.0'?>", '<?xml version="1.0" encoding="utf-16" ?>\r\n', " \n", "\ufeff", "<!DOCTYPE a>", "<?p?>"]
)


@given(HEADS, st.lists(TREES, min_size=1, max_size=3), st.booleans())
def test_it_reads_as_the_parser_does(head: str, trees: list[str], nested: bool) -> None:
    text = "".join(trees) if nested else head + (trees[0] if len(trees) < 3 else "".join(trees))
    at_once = read(text, nested=nested)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claim_rows, "cut_up", lambda *_args, **_options: None)
        assert read(text, nested=nested) == at_once


@pytest.mark.parametrize(
    "text",
    [
        "<l>\n<r><STT>1</STT><MA_LK/></r>\n<r><STT>Đỗ</STT></r></l>\n",
        "<?xml version='1.0' encoding='utf-8'?>\r\n<r><STT> 1 &amp; 2 </STT></r>",
        "<STT>x</STT>",
        "<v:r><v:stt>1</v:stt></v:r>",
    ],
)
def test_tables_as_they_are_written_are_plain(text: str) -> None:
    assert cut_up(text) is not None


@pytest.mark.parametrize(
    "text",
    ["", " ", "text", "<r>", "<r></s>", "<r><s></r></s>", "<r/><r/>", "<r/>x", "x<r/>", "<r>t<s/></r>", "<r a='1'/>", "<r><!----></r>",
     "<r>]]></r>", "<r>&#1;</r>", "<r>\x00</r>", "<r>\uffff</r>", "<!DOCTYPE r><r/>", "<r>&x;</r>", "<é/>", f"<{'n' * 65}/>",
     f"<r>{'t' * PLAIN_MAX}</r>", "</r>", "<1/>", "< r/>", "<r></>", "<r><//>", "<r//>", "<a></b></a>", "<r>&amp</r>"],
)  # fmt: skip
def test_what_is_not_plain_or_no_xml_is_left(text: str) -> None:
    assert cut_up(text) is None


def test_elements_side_by_side_will_do_inside_another() -> None:
    assert cut_up("<a/><b>1</b>", several=True) is not None
    assert cut_up("<a></a></b>", several=True) is None
    assert cut_up("<?xml version='1.0'?><a/>", several=True) is None


@pytest.mark.parametrize("inside", ["<A>1</A><B/>\n<C> a/b </C>", "<A>1</A><B></B><C> a/>b </C>"])
def test_leaves_with_their_texts(inside: str) -> None:
    names, texts = leaves_of(inside)
    assert names == ["A", "B", "C"]
    assert [text.strip() for text in texts] == ["1", "", inside[-10:-5].strip("> ") if "/>b" not in inside else "a/>b"]


def test_the_rest_is_one_piece_however_long() -> None:
    assert len(xml_plain._PIECES.findall("<r>" + "x<" * 100_000)) == 2
