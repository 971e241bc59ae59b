"""What a child is known by before it has a number or a name of its own: its mother's. Source: HL7 v2.5.1 §3.4.2.21, table 0063; `identifiers.md` §11."""

import re
from typing import Final

from adapters.formats.charset import fold

MOTHERS_NUMBER: Final = 21
"""Of PID: the numbers of the mother, by which a newborn is linked to her."""
MOTHER: Final = "MTH"
"""NK1-3, table 0063."""
_MOTHERS: Final = frozenset({"mth", "mother", "me", "me de", "me ruot"})  # without marks
_OF_ITS_MOTHER: Final = re.compile(  # with marks or without: Bế is a family, Côn a name
    r"\bcon (?:bà|ba|chị|chi|cô|mẹ|me|sản phụ|san phu)\b|\b(?:bé|be) (?:trai|gái|gai)\b|\b(?:sơ|so) sinh\b|^(?:cb|con|ss) ",
    re.IGNORECASE,
)


def is_mother(relationship: str) -> bool:
    """Whether that is what NK1-3 says of a mother.

    >>> is_mother("MTH"), is_mother("Mẹ"), is_mother("FTH")
    (True, True, False)
    """
    return fold(relationship) in _MOTHERS


def is_named_by_mother(name: str) -> bool:
    """Whether a name says whose child it is, and no family and given name: the last word is of the mother's.

    >>> is_named_by_mother("Bé gái con bà Lê Thị Hoa"), is_named_by_mother("CB Lê Thị Hoa 2"), is_named_by_mother("Lê Thị Bé")
    (True, True, False)
    """
    return _OF_ITS_MOTHER.search(name) is not None
