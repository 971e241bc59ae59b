"""What makes an event protected: the lists of `[sensitive]`, compiled, and the label of a code, a test or a text by them."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from adapters.dialects.profile_model import Sensitive
from adapters.formats.charset import without_marks

_NEVER: Final = re.compile(r"(?!)")
_WORD_BEGINS: Final = r"(?<![^\W_])"  # `_` is no letter: XN_HIV is a test of HIV
_WORD_ENDS: Final = r"(?![^\W\d_])"  # neither is a digit: ARV1, HIV12
_SKIPPED: Final = " … "  # stands where harmless words stood, and is part of no other
# That what follows is denied: one of the first words, and from there to it nothing but such as only ask for it. With any word between,
# `không ngủ được, trầm cảm` would deny; and within a line, as the line before may be the answer to something else.
_BLANK: Final = r"[^\S\r\n]+"
_NOT_FOR_YEARS: Final = rf"(?!{_BLANK}ni[êe]n)"  # `kinh niên` is chronic: `bệnh tâm thần kinh niên` is no `tâm thần kinh`
_ASKED: Final = (
    "ai", "bao giờ", "biểu hiện", "bản thân", "bản thân và gia đình", "bị", "bệnh", "bệnh lý", "các", "có", "dấu hiệu", "ghi nhận", "hành vi", "hề", "mắc", "nạo",
    "phát hiện", "rối loạn", "tiền căn", "tiền sử", "tiền sử gia đình", "triệu chứng", "từng", "về", "ý tưởng", "ý định", "được chẩn đoán",
)  # fmt: skip
_DENIALS: Final = ("không", "chưa", "phủ nhận")
# Without marks `chưa` is `chữa` too: `chua tram cam` may treat one, and denies only before what nobody treats.
_PLAIN_DENIALS: Final = (
    "khong",
    "phu nhan",
    *(f"chua {asked}" for asked in ("tung", "co", "phat hien", "ghi nhan", "bao gio", "he")),
)
# Behind it: `không trầm cảm nữa` tells that it was so.
_STILL: Final = ("cải", "giảm", "hơn", "lại", "như", "nữa", "tái", "thuyên", "thêm", "trở", "đỡ")
_OTHER_LINE: Final = "\n…\n"  # between lines that were not one behind the other, so that no mention stands across them
_BEFORE_MAX: Final = 120  # characters before a mention in which it may be denied


class _Denial(NamedTuple):
    """What stands before a mention that is denied, and behind one that is not for all that."""

    before: re.Pattern[str]
    not_behind: re.Pattern[str]


class _Text(NamedTuple):
    """What a text tells of one label.

    mentions: even across lines, as words are broken into them.
    harmless: what looks like a mention and is none, within a line, as the next one may be another field's; None when there is nothing such.
    denial:   how it is denied; None where that does not count.
    """

    label: str
    mentions: re.Pattern[str]
    harmless: re.Pattern[str] | None
    denial: _Denial | None


class _Texts(NamedTuple):
    """What texts tell, gravest label first, in lower case, as that is three times as fast. any: that one mentions anything at all."""

    labels: tuple[_Text, ...]
    any: re.Pattern[str]

    def label(self, lower: str) -> str:
        if not self.any.search(lower):  # nearly every text, and one look is cheaper than one a label
            return ""
        return next((one.label for one in self.labels if _mentions(one, lower)), "")


@dataclass(frozen=True, slots=True)
class Labels:
    """The lists of a profile, ready for use. Where one thing stands in several, the label counts that stands first: HIV.

    order: the labels, gravest first.
    icd:   ICD-10 in its form, three characters or those and the digit behind the dot, to its label; tests: likewise a test's code.
    texts: what names and free text tell; plain: what those tell that are typed without Vietnamese letters.
    """

    order: tuple[str, ...]
    icd: Mapping[str, str]
    tests: Mapping[str, str]
    texts: _Texts
    plain: _Texts

    def gravest(self, labels: Iterable[str]) -> str:
        """Of several labels the one whose table stands first, HIV before all others: it is held the most. "" of none."""
        found = set(labels)
        return next((label for label in self.order if label in found), "") or min(found - {""}, default="")

    def of_illness(self, code: str) -> str:
        """The label of an ICD-10 code in any form (`O98.7`, `o987`): of its category, or of that and one digit, the graver."""
        fine = _fine(code)
        found, finer = self.icd.get(fine[:3], ""), self.icd.get(fine[:5], "")
        return self.gravest((found, finer)) if found and finer else found or finer

    def of_test(self, codes: Iterable[str], names: str) -> str:
        """The label of a test, or of what else was done or given, by its codes or what its names tell."""
        return self.gravest([*(self.tests.get(code, "") for code in codes), self.in_words(names)])

    def in_words(self, text: str) -> str:
        """The label of what a free text mentions. A line without a Vietnamese letter may be typed without them (`tram cam`)."""
        lower = text.lower()
        if lower.isascii():
            return self.plain.label(lower)
        found = self.texts.label(lower)
        if "\n" not in lower and "\r" not in lower:
            return found
        runs = groupby(lower.splitlines(), str.isascii)
        lines = _OTHER_LINE.join("\n".join(run) for plain, run in runs if plain)
        return self.gravest((found, self.plain.label(lines)))


def compile_labels(tables: Mapping[str, Sensitive]) -> Labels:
    """The lists of a profile, gravest first."""
    icd: dict[str, str] = {}
    tests: dict[str, str] = {}
    for label, what in tables.items():
        for illness in what.icd:
            icd.setdefault(_fine(illness), label)
        for test in what.tests:
            tests.setdefault(test, label)
    return Labels(order=tuple(tables), icd=icd, tests=tests, texts=_texts(tables), plain=_texts(tables, plain=True))


def _texts(tables: Mapping[str, Sensitive], *, plain: bool = False) -> _Texts:
    """plain: for texts without Vietnamese letters. A mention is none there if harmless words look the same: `tự tử`, `từ từ`."""
    labels, every = [], set[str]()
    for label, what in tables.items():
        mentions, harmless = {*(f"{word}*" for word in what.words), *what.mentions}, set(what.harmless)
        if plain:
            mentions, harmless = ({without_marks(word.lower()) for word in words} for words in (mentions, harmless))
            mentions, harmless = mentions - harmless, harmless - mentions
        if mentions:
            denial = (_PLAIN_DENIAL if plain else _DENIAL) if what.unless_denied else None
            labels.append(_Text(label, _any_of(sorted(mentions)), _harmless(sorted(harmless)) if harmless else None, denial))
            every |= mentions
    return _Texts(tuple(labels), _any_of(sorted(every)))


def _fine(code: str) -> str:
    """An ICD-10 code with its dot: `f024` is F02.4."""
    plain = code.strip().upper()
    return plain if len(plain) <= 3 or "." in plain else f"{plain[:3]}.{plain[3:]}"


def _mentions(one: _Text, lower: str) -> bool:
    text = one.harmless.sub(_SKIPPED, lower) if one.harmless else lower
    return any(not (one.denial and _is_denied(one.denial, text, found)) for found in one.mentions.finditer(text))


def _is_denied(denial: _Denial, text: str, found: re.Match[str]) -> bool:
    before = text[max(0, found.start() - _BEFORE_MAX) : found.start()]
    return denial.before.search(before) is not None and denial.not_behind.match(text, found.end()) is None


def _one_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(word.replace(' ', _BLANK) for word in words)})"


def _denial(said: Sequence[str], asked: Sequence[str], still: Sequence[str]) -> _Denial:
    return _Denial(
        re.compile(rf"(?<!\w){_one_of(said)}(?:{_BLANK}{_one_of(asked)})*{_BLANK}$"),
        re.compile(rf"{_BLANK}{_one_of(still)}(?!\w)"),
    )


_DENIAL: Final = _denial(_DENIALS, _ASKED, _STILL)
_PLAIN_DENIAL: Final = _denial(_PLAIN_DENIALS, [without_marks(one) for one in _ASKED], [without_marks(one) for one in _STILL])


def _harmless(words: Sequence[str]) -> re.Pattern[str]:
    return re.compile(_any_of(words, _BLANK).pattern + _NOT_FOR_YEARS)


def _any_of(words: Sequence[str], blanks: str = r"\s+") -> re.Pattern[str]:
    """Any of these in a text in lower case, with such blanks between: whole words, or how one begins (`methadon*`).

    The alternatives are grouped by their first letter, which halves what a look costs where there is none.
    """
    grouped: dict[str, list[str]] = {}
    for word in words:
        plain = unicodedata.normalize("NFC", word.strip()).lower()
        if plain.strip("*"):
            begun, *others = plain.removesuffix("*").split()
            rest = blanks.join(map(re.escape, (begun[1:], *others)))
            grouped.setdefault(begun[0], []).append(rest + ("" if plain.endswith("*") else _WORD_ENDS))
    if not grouped:
        return _NEVER
    firsts = "".join(map(re.escape, grouped))
    all_of_them = "|".join(f"{re.escape(first)}(?:{'|'.join(ends)})" for first, ends in grouped.items())
    return re.compile(f"(?=[{firsts}]){_WORD_BEGINS}(?:{all_of_them})")
