"""What the console says, in Vietnamese and in English; never one without the other."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from hub.contract.errors import ERRORS
from hub.contract.events import VIETNAM, now

Language = Literal["vi", "en"]
LANGUAGES: Final[dict[Language, str]] = {"vi": "Tiếng Việt", "en": "English"}


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages."""

    vi: str
    en: str

    def of(self, language: str) -> str:
        """The text for a reader of this language; Vietnamese for any other."""
        return self.en if language == "en" else self.vi


_VERDICTS: Final = {
    "translated": Words(vi="đã dịch", en="translated"),
    "refused": Words(vi="từ chối", en="refused"),
    "quarantined": Words(vi="cách ly", en="quarantined"),
}
TEST: Final = Words(vi="thử", en="test")
"""What stands beside a test message, event or delivery, wherever it is listed with real ones."""


def number(value: float, language: str, digits: int = 0) -> str:
    """A figure as it is written: 1.234,5 in Vietnamese, 1,234.5 in English."""
    text = f"{value:,.{digits}f}"
    return text if language == "en" else text.translate(str.maketrans(",.", ".,"))


def span(seconds: float, language: str) -> str:
    """How long something took or waits, in the largest unit that fits: 12 s, 5 min, 3 h, 2 days."""
    for size, vi, en in ((86_400, "ngày", "days"), (3_600, "giờ", "h"), (60, "phút", "min")):
        if seconds >= size * 1.5:
            return f"{number(seconds / size, language)} {en if language == 'en' else vi}"
    return f"{number(max(0.0, seconds), language)} {'s' if language == 'en' else 'giây'}"


def shown_time(at: datetime | None, *, seconds: bool = False) -> str:
    """A time as clocks in Vietnam have it, to the minute or the second; "" for none."""
    return at.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M:%S" if seconds else "%d/%m/%Y %H:%M") if at else ""


def today() -> datetime:
    """When this day began in Vietnam."""
    return now().astimezone(VIETNAM).replace(hour=0, minute=0, second=0, microsecond=0)


def verdict_words(verdict: str, language: str) -> str:
    """A verdict as it is searched for, with what it means where that is another word; whatever is none as it is."""
    words = _VERDICTS.get(verdict)
    return verdict if words is None or language == "en" else f"{verdict} · {words.of(language)}"


def why(code: str, language: str) -> str:
    """What a code says in words; "" for one that is none of the hub's."""
    row = ERRORS.get(code)
    return "" if row is None else row.en if language == "en" else row.vi
