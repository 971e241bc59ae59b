"""Figures are written as the reader's language writes them."""

from datetime import UTC, datetime

from hub.console.words import Words, number, shown_time, span, why


def test_each_reader_gets_his_language_and_anybody_else_vietnamese():
    words = Words(vi="Chủ đề", en="Topics")
    assert [words.of(language) for language in ("vi", "en", "fr")] == ["Chủ đề", "Topics", "Chủ đề"]


def test_vietnamese_groups_with_points_and_english_with_commas():
    assert number(1234567.5, "vi", 1) == "1.234.567,5"
    assert number(1234567.5, "en", 1) == "1,234,567.5"


def test_a_span_is_told_in_the_largest_unit_that_fits():
    assert [span(s, "en") for s in (-3, 59, 120, 7_200, 3 * 86_400)] == ["0 s", "59 s", "2 min", "2 h", "3 days"]
    assert span(3 * 86_400, "vi") == "3 ngày"


def test_a_time_is_that_of_vietnam_and_none_is_nothing():
    at = datetime(2026, 11, 29, 17, 30, 5, tzinfo=UTC)
    assert (shown_time(at), shown_time(at, seconds=True), shown_time(None)) == ("30/11/2026 00:30", "30/11/2026 00:30:05", "")


def test_a_code_is_told_in_words_and_one_of_others_is_not():
    assert why("TYPE_UNSUPPORTED", "en") != why("TYPE_UNSUPPORTED", "vi") != ""
    assert why("NO_SUCH_CODE", "en") == ""
