"""Which character set a message is in, and names that can be compared."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats.charset import charset_name, declared_charset, decode, encode, fold
from adapters.formats.vietnamese import LETTERS, LOWER, decode_legacy, is_syllable
from hub.contract.errors import HubError

NAMES = [
    "Nguyễn Văn An",
    "Trần Thị Hồng",
    "Đỗ Quốc Khánh",
    "Huỳnh Ngọc Phượng",
    "Bệnh viện Đa khoa tỉnh",
    "Xét nghiệm đường huyết",
]
PAGES = ["tcvn3", "vni", "viscii", "windows-1258"]


def message(text: str, declared: str = "") -> str:
    return f"MSH|^~\\&|LIS|01004|||20261015||ORU^R01|1|P|2.3.1||||||{declared}\rPID|1||77||{text}\r"


def test_ascii_is_ascii_whatever_is_declared() -> None:
    assert decode(message("AN", "8859/1").encode()) == (message("AN", "8859/1"), "ascii", ())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", PAGES)
def test_undeclared_vietnamese_is_recognised(page: str, name: str) -> None:
    text = message(name)
    found = decode(encode(text, page))
    assert (found.text, found.charset, found.problems) == (text, page, ())


@pytest.mark.parametrize("page", PAGES)
def test_the_profile_of_the_sender_comes_first(page: str) -> None:
    text = message("Lê Hà", "8859/1")
    found = decode(encode(text, page), profile=page)
    assert (found.text, found.charset, found.problems) == (text, page, ())


def test_a_declared_charset_is_obeyed() -> None:
    found = decode(message("Müller Grüße", "8859/1").encode("latin-1"))
    assert (found.text, found.charset, found.problems) == (message("Müller Grüße", "8859/1"), "iso-8859-1", ())


@pytest.mark.parametrize("declared", ["8859/1", "ASCII", "VISCII"])
def test_utf8_declared_as_something_else_is_read_and_told(declared: str) -> None:
    found = decode(message("Nguyễn Văn An", declared).encode())
    assert found.text == message("Nguyễn Văn An", declared)
    assert found.charset == "utf-8"
    assert [problem.code for problem in found.problems] == ["CHARSET_DECLARED_WRONG"]


@pytest.mark.parametrize("declared", ["UNICODE UTF-8", "8859/1", "ASCII", "no such charset"])
def test_tcvn3_declared_as_something_else_is_read_and_told(declared: str) -> None:
    text = message("Nguyễn Văn Hải, Trần Thị Hường", declared)
    found = decode(encode(text, "tcvn3"))
    assert (found.text, found.charset) == (text, "tcvn3")
    assert [problem.code for problem in found.problems] == ["CHARSET_DECLARED_WRONG"]


def test_a_profile_that_is_out_of_date_gives_way_to_utf8() -> None:
    found = decode(message("Nguyễn").encode(), profile="tcvn3")
    assert (found.text, found.charset) == (message("Nguyễn"), "utf-8")
    assert [problem.code for problem in found.problems] == ["CHARSET_DECLARED_WRONG"]


def test_bytes_that_happen_to_be_utf8_stay_in_the_profile_when_they_are_the_better_vietnamese() -> None:
    raw = encode("ÂẼ", "viscii")
    assert raw.decode() == "\x88"
    assert decode(raw, profile="viscii", declared="").text == "ÂẼ"


def test_units_of_a_western_code_page_are_no_reason_to_refuse() -> None:
    text = message("118 µmol/L, 37 °C, 1,73 m²")
    assert decode(text.encode("cp1252")).text == text


def test_what_fits_nothing_is_refused() -> None:
    with pytest.raises(HubError, match="CHARSET_UNREADABLE"):
        decode(bytes(range(0x80, 0x100)) * 3)


def test_a_large_text_is_judged_by_a_part_of_it() -> None:
    text = message("x" * 5_000_000 + " Nguyễn Văn Hải " * 100_000)
    assert decode(encode(text, "tcvn3")).charset == "tcvn3"


def test_decomposed_text_is_composed() -> None:
    text = message("Nguyễn Thị Ngọc")
    assert decode(unicodedata.normalize("NFD", text).encode()).text == text


def test_a_byte_order_mark_is_left_off() -> None:
    assert decode(b"\xef\xbb\xbf" + message("Nguyễn").encode()).text == message("Nguyễn")


@pytest.mark.parametrize("order", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_recognised(order: str) -> None:
    assert decode(message("Nguyễn").encode(order)).text.lstrip("\ufeff") == message("Nguyễn")


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("UNICODE", "utf-8"),
        ("8859/1", "iso-8859-1"),
        ("8859/15", "iso-8859-15"),
        ("ISO 8859-2", "iso-8859-2"),
        ("8859/99", ""),
        ("ASCII", "ascii"),
        ("TCVN3", "tcvn3"),
        ("PRELIM", ""),
        ("", ""),
    ],
)
def test_names_of_charsets(declared: str, name: str) -> None:
    assert charset_name(declared) == name


def test_the_declaration_is_found_in_bytes() -> None:
    assert declared_charset(message("x", "UNICODE UTF-8~8859/1").encode()) == "UNICODE UTF-8"
    assert declared_charset(b"\xef\xbb\xbf" + message("x", "8859/1").replace("\r", "\n").encode()) == "8859/1"
    assert declared_charset(b"MSH|^~\\&|short") == ""
    assert declared_charset(b"") == ""


@pytest.mark.parametrize("page", ["vni", "viscii", "windows-1258", "TCVN5712-1", "utf-8"])
def test_every_letter_goes_and_comes_back(page: str) -> None:
    assert decode(encode(LETTERS, page), profile=page, declared="").text == LETTERS


def test_tcvn3_keeps_small_letters_and_the_seven_capitals_of_its_own() -> None:
    own = LOWER + "ĂÂÊÔƠƯĐ"
    assert decode(encode(own, "tcvn3"), profile="tcvn3").text == own
    # Other capitals are a matter of the font: they are written as the small letter.
    assert decode(encode("NGUYỄN", "tcvn3"), profile="tcvn3").text == "NGUYễN"


@given(st.text(st.sampled_from(LETTERS + "abcdeghiklmnopqrstuvxy ABC0123|^~\\&.,-"), max_size=60))
def test_text_goes_and_comes_back(text: str) -> None:
    for page in ("viscii", "windows-1258", "TCVN5712-1"):
        assert decode_legacy(encode(text, page), charset_name(page)) == text


def test_a_letter_that_the_recipient_cannot_have_is_told_or_written_without_marks() -> None:
    with pytest.raises(HubError, match="CHARSET_LACKS_LETTER"):
        encode("Ångström – 北", "tcvn3")
    assert encode("Å 北 Nguyễn", "tcvn3", exact=False) == b"A ? Nguy\xd4n"
    assert encode("Đức", "ASCII", exact=False) == b"Duc"
    with pytest.raises(HubError, match="CHARSET_LACKS_LETTER"):
        encode("Đức", "8859/1")


@given(
    st.binary(max_size=300),
    st.sampled_from(["", "tcvn3", "vni", "8859/1", "UNICODE UTF-8", "x"]),
    st.sampled_from([None, *PAGES]),
)
def test_any_bytes_give_text_in_nfc_or_a_refusal(raw: bytes, declared: str, profile: str | None) -> None:
    try:
        found = decode(raw, profile, declared)
    except HubError as refused:
        assert refused.code == "CHARSET_UNREADABLE"
    else:
        assert unicodedata.is_normalized("NFC", found.text)


@pytest.mark.parametrize(
    "same",
    [
        ("Nguyễn Thị Đào", "NGUYEN THI DAO", "  nguyễn  thị đào ", "Nguyễn Thị Ðào", "Nguyễn Thị Ɖào", "Nguyễn Thị Đào 45TH"),
        ("Hòa", "Hoà", "HOA", "Ho\u0300a"),
        ("D'Arc-Lê", "d’arcle"),
    ],
)
def test_spellings_of_one_name_fold_together(same: tuple[str, ...]) -> None:
    assert len({fold(name) for name in same}) == 1


def test_different_names_stay_different() -> None:
    assert fold("Nguyễn Thị Đào") != fold("Nguyễn Thị Hào")


@pytest.mark.parametrize("word", ["nguyễn", "ĐƯỜNG", "khuya", "Quỳnh", "giêng", "yêu", "huỳnh", "thuở", "ngoằn"])
def test_syllables(word: str) -> None:
    assert is_syllable(word)


@pytest.mark.parametrize("word", ["NguyÔn", "V¨n", "Vieät", "múà", "ázz", "ễễ"])
def test_misread_words_are_no_syllables(word: str) -> None:
    assert not is_syllable(word)
