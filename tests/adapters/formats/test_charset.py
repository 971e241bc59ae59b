"""Which character set a message is in, and names that can be compared."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats.charset import charset_name, declared_charset, decode, encode, fold, has_low_letters, is_wide
from adapters.formats.vietnamese import LETTERS, LOW, LOWER, decode_legacy, is_syllable
from hub.contract.errors import HubError

NAMES = [
    "Nguyễn Văn An",
    "Trần Thị Hồng",
    "Đỗ Quốc Khánh",
    "Huỳnh Ngọc Phượng",
    "Bệnh viện Đa khoa tỉnh",
    "Xét nghiệm đường huyết",
]
PAGES = ["tcvn3", "vni", "viscii", "vps", "windows-1258"]


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


def test_nuls_that_only_look_like_utf16_are_no_reason_to_refuse() -> None:
    assert decode(b"\0M\0Svni").text == "\0M\0Svni"
    with pytest.raises(HubError, match="CHARSET_UNREADABLE"):
        decode(b"\xfe\xff\0M\0Svni")


@pytest.mark.parametrize("order", ["utf-32", "utf-32-le", "utf-32-be"])
def test_utf32_is_recognised(order: str) -> None:
    found = decode(message("Nguyễn", "UNICODE UTF-32").encode(order))
    assert (found.text, found.charset, found.problems) == (message("Nguyễn", "UNICODE UTF-32"), "utf-32", ())


@pytest.mark.parametrize(
    ("declared", "right"), [("UNICODE UTF-16", True), ("UNICODE", True), ("", True), ("UNICODE UTF-8", False)]
)
def test_what_a_text_in_utf16_says_of_itself_is_checked(declared: str, right: bool) -> None:
    raw = message("Nguyễn", declared).encode("utf-16-le")
    assert is_wide(raw) and (decode(raw).problems == ()) == right


@pytest.mark.parametrize("text", ["Nguyễn Văn Hải, Trần Thị Hường!", "Nguyễn Văn Hải, Trần Thị Hường"])  # of either parity
@pytest.mark.parametrize("page", ["utf-8", "tcvn3"])
def test_a_text_that_only_says_it_is_utf16_is_read_and_told(page: str, text: str) -> None:
    found = decode(encode(message(text, "UNICODE UTF-16"), page))
    assert (found.text, found.charset) == (message(text, "UNICODE UTF-16"), page)
    assert [problem.code for problem in found.problems] == ["CHARSET_DECLARED_WRONG"]


@pytest.mark.parametrize(
    ("declared", "right"),
    [("8859/1~UNICODE UTF-8", True), ("~UNICODE UTF-8", True), ("x~8859/1", False), ("ASCII~VISCII", False)],
)
def test_any_repetition_of_msh_18_is_a_declaration(declared: str, right: bool) -> None:
    found = decode(message("Nguyễn Văn An", declared).encode())
    assert found.text == message("Nguyễn Văn An", declared)
    assert (found.problems == ()) == right


@pytest.mark.parametrize("name", ["DƯƠNG KIM", "Phan Kim Trường", "ĐẶNG"])
@pytest.mark.parametrize("page", ["viscii", "vps"])
def test_bytes_that_are_utf8_by_chance_do_not_put_foreign_letters_into_a_word(page: str, name: str) -> None:
    assert decode(encode(message(name), page)).text == message(name)


@pytest.mark.parametrize("text", ["α-fetoprotein", "β2-microglobulin", "Иван", "北京", "γ-GT"])
def test_foreign_letters_in_utf8_stay(text: str) -> None:
    assert decode(message(text).encode()).text == message(text)


# One short name or result is all that some messages hold. Invented; drawn once with a fixed rule, so that nothing is chance.
SURNAMES, MIDDLES, GIVEN = map(
    str.split,
    (
        "Nguyễn Trần Lê Phạm Hoàng Huỳnh Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý Đào Đoàn Trịnh Mạc Tạ Lương Quách Thái Châu",
        "Văn Thị Đức Hữu Ngọc Quốc Xuân Thế Bá Mỹ Kim Như Diễm Tường",
        "An Hồng Khánh Phượng Hải Hùng Dũng Tuấn Minh Hạnh Hiền Loan Thúy Yến Vỹ Tỷ Sĩ Nở Thuận Quyên Trường Bảo Đạt Ngân Uyên",
    ),
)
SHORT_NAMES = [f"{SURNAMES[n % len(SURNAMES)]} {MIDDLES[n * 5 % len(MIDDLES)]} {GIVEN[n * 7 % len(GIVEN)]}" for n in range(150)]
TEXTS = (
    "Âm tính;Dương tính;Bình thường;Tăng nhẹ;Không phát hiện;Đang chờ kết quả;Hồng cầu: ít;Bạch cầu tăng;Không thấy tế bào lạ;"
    "Mẫu không đạt, lấy lại;Nước tiểu trong, vàng nhạt;Viêm dạ dày;Gan nhiễm mỡ độ II;Tim đều, T1 T2 rõ;Đường huyết lúc đói cao;"
    "Kháng sinh đồ: nhạy;Nhóm máu O, Rh dương;Xơ vữa nhẹ;Viêm họng cấp;Tăng huyết áp;Đái tháo đường típ 2"
)
RESULTS = TEXTS.split(";")
SHARES = {  # of names, of names in capitals, of results read right, at least; TCVN3 but for the case of its capitals
    "utf-8": (1.0, 1.0, 1.0),
    "tcvn3": (1.0, 1.0, 1.0),
    "windows-1258": (1.0, 1.0, 1.0),
    "vni": (0.99, 0.99, 1.0),
    "viscii": (0.9, 0.98, 1.0),
    "vps": (0.9, 0.9, 1.0),
}


@pytest.mark.parametrize("page", SHARES)
def test_a_single_name_or_result_is_nearly_always_enough(page: str) -> None:
    for texts, share in zip((SHORT_NAMES, [name.upper() for name in SHORT_NAMES], RESULTS), SHARES[page], strict=True):
        read = [decode(encode(message(text), page)).text for text in texts]
        right = [
            one == message(text) or (page == "tcvn3" and one.lower() == message(text).lower())
            for one, text in zip(read, texts, strict=True)
        ]
        assert sum(right) >= share * len(texts), [text for text, ok in zip(texts, right, strict=True) if not ok]


@pytest.mark.parametrize("page", ["tcvn3", "windows-1258", "vni"])
def test_a_guess_that_might_as_well_be_another_is_told_and_a_wrong_one_always_is(page: str) -> None:
    doubted = 0
    for text in map(message, (*SHORT_NAMES, "Ông^^Tùng", "Mai^^Ánh", "Chu^Hồng^Hồng", "Tăng^^Tín")):
        found = decode(encode(text, page))
        assert found.problems == () or [each.code for each in found.problems] == ["CHARSET_DOUBTFUL"]
        assert found.problems or found.text.lower() == text.lower()
        doubted += bool(found.problems)
        assert not decode(encode(text, page), page).problems, "the profile says it"
    assert 0 < doubted < 0.1 * len(SHORT_NAMES)


@pytest.mark.parametrize("page", SHARES)
def test_a_whole_result_with_names_and_texts_is_always_enough(page: str) -> None:
    for n in range(0, len(SHORT_NAMES) - 3, 3):
        text = message(
            f"{SHORT_NAMES[n]}||{RESULTS[n % len(RESULTS)]}||{SHORT_NAMES[n + 1]}, bác sĩ, {RESULTS[(n + 4) % len(RESULTS)]}"
        )
        found = decode(encode(text, page))
        assert found.charset == page and found.text.lower() == text.lower()


# --- a legacy page that is declared, and another that is sent ------------------------------------------------------------

WHOLE = [  # three names and two sentences: what a message of a visit or a result holds at least
    message(
        f"{SHORT_NAMES[n]}||{RESULTS[n % len(RESULTS)]}||{SHORT_NAMES[n + 1]}, bác sĩ {SHORT_NAMES[-n]}, {RESULTS[(n + 4) % 21]}"
    )
    for n in range(0, 149, 3)
]
UNUSUAL = [  # no syllables of Vietnamese, but written in its letters
    *("Y Ngông Niê Kđăm", "H'Blêk Mlô", "Krông Pắc, Đắk Lắk", "Rơ Châm H'Yưr"),
    *("Bs.CKII Đ.V.Hùng", "BV ĐKKV Củ Chi", "CĐ: VPQ cấp/ĐTĐ týp II", "GĐ BVĐK", "Sđt: 09"),
]


def sent(text: str, page: str) -> bytes:
    return encode(text, page, exact=False)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("declared", [*PAGES, "windows-1252", "8859/1"])
def test_another_page_than_the_declared_one_is_read_and_told(declared: str, page: str) -> None:
    if declared == page:
        return
    for text in (each for whole in WHOLE for each in (whole, whole.upper())):
        raw = sent(text, page)
        for found in (decode(raw, declared), decode(raw, None, declared)):
            assert found.charset == page and found.text.lower() == text.lower()
            assert [(each.code, each.severity, each.path) for each in found.problems] == [
                ("CHARSET_DECLARED_WRONG", "W", "MSH-18")
            ]


@pytest.mark.parametrize("page", [*PAGES, "TCVN5712-1"])
def test_of_a_page_that_is_declared_rightly_nothing_is_told(page: str) -> None:
    for text in (each for one in [*WHOLE, *map(message, SHORT_NAMES + RESULTS)] for each in (one, one.upper())):
        raw = sent(text, page)
        for found in (decode(raw, page), decode(raw, None, page)):
            assert found.text.lower() == text.lower() and found.problems == ()


@given(st.lists(st.sampled_from(SHORT_NAMES + RESULTS + UNUSUAL), min_size=1, max_size=12), st.booleans(), st.sampled_from(PAGES))
def test_what_the_profile_says_rightly_stands_whatever_the_words(parts: list[str], capitals: bool, page: str) -> None:
    text = message("|".join(parts))
    text = text.upper() if capitals else text
    found = decode(sent(text, page), page)
    assert found.text.lower() == text.lower() and found.problems == ()


@given(
    st.lists(st.sampled_from(SHORT_NAMES + RESULTS), max_size=12), st.booleans(), st.sampled_from(PAGES), st.sampled_from(PAGES)
)
def test_of_two_pages_each_text_is_read_in_the_one_it_fits_or_as_the_profile_says(
    parts: list[str], capitals: bool, page: str, declared: str
) -> None:
    text = message("|".join(parts))
    raw = sent(text.upper() if capitals else text, page)
    try:
        found = decode(raw, declared)
    except HubError as refused:
        assert refused.code == "CHARSET_UNREADABLE"
    else:
        assert (found.problems == ()) == (found.charset in (declared, "ascii"))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("declared", PAGES)
def test_a_word_alone_is_read_as_the_profile_says(declared: str, page: str) -> None:
    raw = sent(message("Hùng"), page)
    found = decode(raw, declared)
    assert (found.charset, found.problems) == (declared, ())


def test_a_name_in_tcvn3_is_enough_against_a_profile_of_windows_1258() -> None:
    found = decode(sent(message("Phạm Văn Hùng"), "tcvn3"), "windows-1258")
    assert (found.text, found.charset) == (message("Phạm Văn Hùng"), "tcvn3")
    assert [problem.code for problem in found.problems] == ["CHARSET_DECLARED_WRONG"]


def test_text_of_another_language_stays_in_the_charset_of_the_profile() -> None:
    for text, page in (("Müller, Grüße; Hélène Lefèvre, élève; São João", "windows-1252"), ("北京协和医院 张伟", "gb18030")):
        found = decode(message(text).encode(page), "GB 18030-2000" if page == "gb18030" else page)
        assert (found.text, found.charset, found.problems) == (message(text), page, ())


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
    assert declared_charset(message("x", "UNICODE UTF-8~8859/1").encode()) == "UNICODE UTF-8~8859/1"
    assert declared_charset(b"\xef\xbb\xbf" + message("x", "8859/1").replace("\r", "\n").encode()) == "8859/1"
    assert declared_charset(b"MSH|^~\\&|short") == ""
    assert declared_charset(b"") == ""


@pytest.mark.parametrize("page", ["vni", "viscii", "vps", "windows-1258", "TCVN5712-1", "utf-8"])
def test_every_letter_goes_and_comes_back(page: str) -> None:
    assert decode(encode(LETTERS, page), profile=page, declared="").text == LETTERS


@pytest.mark.parametrize("page", ["viscii", "vps", "TCVN5712-1"])
def test_every_letter_has_one_byte_and_every_byte_one_letter(page: str) -> None:
    raw = encode(LETTERS, page)
    assert len(raw) == len(set(raw)) == len(LETTERS) == 134
    for letter in LETTERS:
        assert decode(encode(f"x{letter}x", page), profile=page, declared="").text == f"x{letter}x"


@pytest.mark.parametrize("page", sorted(LOW))
def test_capitals_below_0x20_are_letters_where_the_profile_or_the_message_says_so(page: str) -> None:
    low = "".join(letter for letter in LETTERS if encode(letter, page).isascii())
    raw = encode(message(low), page)
    assert raw.isascii() and has_low_letters(raw, page) and not has_low_letters(message("AN").encode(), page)
    assert decode(raw, profile=page).text == message(low)
    declared = encode(message(low, page.upper()), page)
    assert decode(declared).text == message(low, page.upper())
    assert decode(raw).charset == "ascii", "nothing says that they are letters"


def test_tcvn3_keeps_small_letters_and_the_seven_capitals_of_its_own() -> None:
    own = LOWER + " ĂÂÊÔƠƯĐ"
    assert decode(encode(own, "tcvn3"), profile="tcvn3").text == own
    # Other capitals are a matter of the font: they are written as the small letter.
    assert decode(encode("VŨ", "tcvn3"), profile="tcvn3").text == "Vũ", "nothing tells its case"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("ĐẶNG THỊ ÁNH TUYẾT", "ĐẶNG THỊ ÁNH TUYẾT"),
        ("TRẦN^BÍCH^THÚY", "TRẦN^BÍCH^THÚY"),
        ("7^LÝ^THỊ^HÀ^^^^L|TÔ^^VỸ|VŨ Ý AN", "7^LÝ^THỊ^HÀ^^^^L|TÔ^^VỸ|VŨ Ý AN"),
        ("VŨ Ý", "Vũ ý"),
        ("Vũ^Hà^^^BS", "Vũ^Hà^^^BS"),
        ("Hà Vũ TP.Huế", "Hà Vũ TP.Huế"),
        ("ĐTĐ, HbA1c ổn; AST tăng", "ĐTĐ, HbA1c ổn; AST tăng"),
    ],
    ids=[
        *("a name", "parts of a name", "short words beside one in capitals", "one letter of ASCII tells nothing", "a degree"),
        *("small letters", "abbreviations"),
    ],
)
def test_words_of_tcvn3_in_capitals_are_read_in_capitals(text: str, read: str) -> None:
    assert decode(encode(text, "tcvn3"), profile="tcvn3").text == read
    assert decode(encode(text, "vn1"), profile="vn1").text == text, "VN1 has capitals of its own"


@given(st.text(st.sampled_from(LETTERS + "abcdeghiklmnopqrstuvxy ABC0123|^~\\&.,-"), max_size=60))
def test_text_goes_and_comes_back(text: str) -> None:
    for page in ("viscii", "vps", "windows-1258", "TCVN5712-1"):
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


@pytest.mark.parametrize(
    "word",
    [
        "nguyễn",
        "ĐƯỜNG",
        "khuya",
        "Quỳnh",
        "giêng",
        "yêu",
        "huỳnh",
        "thuở",
        "ngoằn",
        "gì",
        "nghĩa",
        "kỷ",
        "xoong",
        "Đắk",
        "quốc",
        "khuếch",
    ],
)
def test_syllables(word: str) -> None:
    assert is_syllable(word)


@pytest.mark.parametrize(
    "word", ["NguyÔn", "V¨n", "Vieät", "múà", "ázz", "ễễ", "nhâ", "Quểc", "Mồc", "kà", "ghà", "cễ", "Ph\u0300i"]
)
def test_misread_words_are_no_syllables(word: str) -> None:
    assert not is_syllable(word)


@pytest.mark.parametrize("page", ["vni", "tcvn3", "viscii", "windows-1258", "iso-8859-1", "us-ascii"])
def test_a_sign_that_a_charset_lacks_is_what_people_type_for_it_and_no_delimiter_of_hl7(page):
    written = encode("≥ 5 – “x” ± 0,1 10⁹/L 10³ m² μg ≤ 6 37 °C α", page, exact=False)
    read = written.decode("latin-1")
    assert "?" not in read and not set(read) & set("^~|&\\")
    assert ">= 5" in read and "10*9/L" in read and "<= 6" in read and "ug" in read and "alpha" in read


def test_a_sign_that_a_charset_has_stays():
    assert encode("µg ± 37 °C", "windows-1258", exact=False).decode("windows-1258") == "µg ± 37 °C"
