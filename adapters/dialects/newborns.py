"""What a child is known by before it has a number or a name of its own: its mother's. Source: HL7 v2.5.1 §3.4.2.21, table 0063; `identifiers.md` §11."""

import re
import unicodedata
from typing import Final

from adapters.formats.charset import fold

MOTHERS_NUMBER: Final = 21
"""Of PID: the numbers of the mother, by which a newborn is linked to her."""
MOTHER: Final = "MTH"
"""NK1-3, table 0063."""
_MOTHERS: Final = frozenset({"mth", "mother", "me", "me de", "me ruot"})  # without marks
_NOT_OF_WORDS: Final = re.compile(r"[^\w/()]+")
# Thị Bé Gái, Con Ba and Sơ Sinh are given names: words of the mother's have to stand behind, and two of them where that alone tells it.
_OF_ITS_MOTHER: Final = re.compile(
    r"\bcon[ /](?:bà|chị|cô|mẹ|của|sản phụ)[ /(]+\w"
    r"|\(con (?:bà|ba|chị|chi|cô|co|mẹ|me)\)"
    r"|^bé (?:trai|gái) \w"
    r"|^(?:c/?b|s/?s|con|trẻ|(?:trẻ )?sơ sinh)[ /](?!(?:thị|thi|văn|van) )\w+ \w"  # Con Thị Hoa is of the family Con
)
_WITHOUT_MARKS: Final = re.compile(  # of names that have none at all: Ba is Bà there, Be may be Bế, and Co Cổ
    r"^(?:be (?:trai|gai) |(?:tre )?so sinh |tre |chau )?con[ /](?:ba|chi|co|me|cua|san phu) \w+ \w"
    r"|^(?:be (?:trai|gai)|(?:tre )?so sinh) \w+ \w"
)


def is_mother(relationship: str) -> bool:
    """Whether that is what NK1-3 says of a mother.

    >>> is_mother("MTH"), is_mother("Mẹ"), is_mother("FTH")
    (True, True, False)
    """
    return fold(relationship) in _MOTHERS


def is_named_by_mother(name: str) -> bool:
    """Whether a name surely says whose child it is, and no family and given name: the last word is of the mother's.

    >>> is_named_by_mother("Bé gái con bà Lê Thị Hoa"), is_named_by_mother("CB. Lê Thị Hoa"), is_named_by_mother("Lê Thị Bé Gái")
    (True, True, False)
    """
    words = _NOT_OF_WORDS.sub(" ", unicodedata.normalize("NFC", name).casefold()).strip()
    return bool(_OF_ITS_MOTHER.search(words) or (words.isascii() and _WITHOUT_MARKS.search(words)))
