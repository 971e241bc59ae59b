"""Figures are written as the reader's language writes them."""

from hub.console.words import Words, number, span


def test_each_reader_gets_his_language_and_anybody_else_vietnamese():
    words = Words(vi="Chủ đề", en="Topics")
    assert [words.of(language) for language in ("vi", "en", "fr")] == ["Chủ đề", "Topics", "Chủ đề"]


def test_vietnamese_groups_with_points_and_english_with_commas():
    assert number(1234567.5, "vi", 1) == "1.234.567,5"
    assert number(1234567.5, "en", 1) == "1,234,567.5"


def test_a_span_is_told_in_the_largest_unit_that_fits():
    assert [span(s, "en") for s in (-3, 59, 120, 7_200, 3 * 86_400)] == ["0 s", "59 s", "2 min", "2 h", "3 days"]
    assert span(3 * 86_400, "vi") == "3 ngày"
