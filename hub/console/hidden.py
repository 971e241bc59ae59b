"""Which values of a message are a person's, and are hidden until a role and a reason show them."""

import re
from typing import Final

from hub.console.border import Field, Reading, Segment

_SEGMENTS: Final = frozenset({"PID", "PD1", "NK1", "GT1", "IN1", "IN2", "IN3", "MRG", "ACC", "STF", "ARV"})
_KINDS: Final = frozenset({"XPN", "PN", "XAD", "AD", "SAD", "XTN", "TN", "XCN", "CN", "CNN", "NDL", "PPN", "FN", "ED", "RP", ""})
_FREE: Final = frozenset({"TX", "FT", "ST", "UT", "ED"})  # a person's name may stand in any free text
_PLAIN: Final = frozenset({"MSH", "EVN", "MSA", "ERR"})
_BETWEEN_TAGS: Final = re.compile(r">[^<]+<")
MASK: Final = "•••"


def is_hidden(segment: Segment, field: Field) -> bool:
    """Whether a field tells of a person: all of PID and the like, names, addresses, telephones, free text, what no standard names."""
    if segment.name in _PLAIN:
        return field.kind in ("XPN", "XCN", "XAD", "XTN")
    if segment.name in _SEGMENTS or field.kind in _KINDS | _FREE:
        return field.number > 1 or segment.name not in _SEGMENTS  # the set id is nobody's
    return segment.name == "OBX" and field.number == 5


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
