"""The content of one NOIDUNGFILE to rows."""

import pytest

from adapters.formats.claim_rows import Content, Row, TableHandler, read_content
from hub.contract.errors import HubError

KNOWN = {"MA_LK": "MA_LK", "STT": "STT", "CU": "MOI"}


def rows(text: str, *, nested: bool = False) -> tuple[list[Row], list[tuple[int, str]]]:
    found: list[Row] = []
    unknown: list[tuple[int, str]] = []
    assert (
        read_content(
            Content(text, nested), TableHandler(KNOWN, found, lambda row, name: unknown.append((row, name)), "place"), "place"
        )
        == []
    )
    return found, unknown


def test_a_row_is_what_has_elements_of_its_table_however_deep() -> None:
    text = "<a><b><r><MA_LK>1</MA_LK><STT/></r></b><r><STT> 2 </STT></r><empty/></a>"
    assert rows(text) == ([{"MA_LK": "1", "STT": ""}, {"STT": "2"}], [(2, "EMPTY")])


def test_the_first_of_two_counts_unless_it_is_empty_and_old_names_are_read() -> None:
    assert rows("<r><STT/><STT>1</STT><STT>2</STT><CU>x</CU></r>") == ([{"STT": "1", "MOI": "x"}], [])


def test_elements_that_nothing_holds_together_are_a_row() -> None:
    assert rows("<STT>1</STT><MA_LK>k</MA_LK>", nested=True) == ([{"STT": "1", "MA_LK": "k"}], [])


def test_a_row_inside_a_row_is_told() -> None:
    assert rows("<r><STT>1</STT><r><STT>2</STT></r></r>") == ([{"STT": "1"}], [(1, "?")])


def test_a_signature_inside_a_table_is_no_strange_element() -> None:
    text = "<r><STT>1</STT><CHUKYDONVI>c2ln</CHUKYDONVI><X/></r><CHUKYDONVI><S><V>1</V><V/></S></CHUKYDONVI>"
    assert rows(f"<a>{text}</a>") == ([{"STT": "1"}], [(1, "X")])


def test_a_strange_name_is_not_repeated() -> None:
    assert rows("<r><STT>1</STT><Nguyễn/></r>") == ([{"STT": "1"}], [(1, "?")])


@pytest.mark.parametrize("text", ["", " ", "é", "QQ=Q", "Q", "<r>", "PHI+", "====", "QUJD\x00"])
def test_what_is_neither_base64_nor_xml_is_broken_at_its_place(text: str) -> None:
    with pytest.raises(HubError, match="XML_CONTENT_BROKEN") as broken:
        rows(text)
    assert broken.value.where == "place"
