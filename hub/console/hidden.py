"""Which values of a message are a person's, and are hidden until a role and a reason show them."""

import re
from typing import Final

from hub.console.border import Field, Reading, Segment

# What may be seen; everything else is hidden, so also what no standard names. Of a coded field only its code stands here.
_OPEN: Final = frozenset(
    f"{name}-{number}"
    for name, numbers in {
        "MSH": (*range(1, 8), *range(9, 22)), "EVN": (1, 2, 6), "MSA": (1, 2), "ERR": (1, 2, 3, 4), "PID": (1,), "NK1": (1,), "PV1": (1, 2),
        "ORC": (1, 5, 9), "OBR": (1, 4, 7, 25), "OBX": (1, 2, 3, 6, 11), "NTE": (1, 2), "DG1": (1, 6), "FT1": (1, 4, 6), "IN1": (1,), "SPM": (1, 4),
    }.items()
    for number in numbers
)  # fmt: skip
_BETWEEN_TAGS: Final = re.compile(r">[^<]+<")
MASK: Final = "•••"


def is_hidden(segment: Segment, field: Field) -> bool:
    """Whether a field may tell of a person: all but those that say what kind of message it is, when, and which test."""
    return f"{segment.name}-{field.number}" not in _OPEN


def masked(reading: Reading) -> str:
    """The whole text with each value hidden that is a person's; of XML every value, of anything else nothing but its length."""
    if reading.format == "xml":
        return _BETWEEN_TAGS.sub(f">{MASK}<", reading.text)
    if not reading.segments:
        return f"{MASK} ({len(reading.text)})"
    text, behind = [], 0
    for segment in reading.segments:
        for field in segment.fields:
            if is_hidden(segment, field) and field.span[0] >= behind:
                text += [reading.text[behind : field.span[0]], MASK]
                behind = field.span[1]
    return "".join([*text, reading.text[behind:]])
