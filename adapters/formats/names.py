"""What the standard calls a field, and of which datatype it is: for reports that people read."""

from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import hl7apy

from adapters.formats.structure import VERSIONS

# The newest has nearly all segments and fields, and each library of hl7apy costs a process some 8 ms and a megabyte.
NEWEST_FIRST: Final = tuple(sorted(VERSIONS, reverse=True))
TEXTS: Final = frozenset({"ST", "TX", "FT"})  # datatypes of free text, which has no components
_NO_KIND: Final = frozenset({"", "WD"})  # not there in that version, or no more
_OF_2_9: Final = frozenset(
    {"GSC", "GSP", "GSR", "OH1", "OH2", "OH3", "OH4"}
)  # of persons, v2.9 and 2.9.1, which hl7apy does not have


class FieldName(NamedTuple):
    """name: in words, such as `patient name`. kind: the datatype, such as `XPN`. Both "" for a field that has no entry."""

    name: str
    kind: str


@lru_cache(maxsize=4096)
def field_name(version: str, segment: str, field: int) -> FieldName:
    """Source: hl7apy's reference tables. Z-segments, and versions that are in no table, have no names.

    >>> field_name("2.5.1", "PID", 5)
    FieldName(name='patient name', kind='XPN')
    """
    reference: Any = hl7apy.load_library(version).SEGMENTS.get(segment) if version in VERSIONS else None
    if reference is None or len(reference) < 2:
        return FieldName("", "")
    for child in reference[1]:
        if child[0] == f"{segment}_{field}" and len(child) > 1 and isinstance(child[1], (tuple, list)):
            return FieldName(str(child[1][3] or "").replace("_", " ").lower(), str(child[1][2] or ""))
    return FieldName("", "")


@lru_cache(maxsize=4096)
def component_name(version: str, segment: str, field: int, component: int) -> FieldName | None:
    """What the standard calls a component, by that version or the newest in which its field has components: what was a code alone
    (PV1-36 before 2.7) has a text and a system later.

    None where the field has them in none: a delimiter in it is text. Both "" for a component that the standard does not have, as of
    a Z-segment.

    >>> component_name("2.5.1", "PID", 3, 8), component_name("2.5.1", "NTE", 3, 1)
    (FieldName(name='expiration date', kind='DT'), None)
    >>> component_name("2.5.1", "PV1", 36, 2)
    FieldName(name='text', kind='ST')
    """
    if segment[0] == "Z":
        return FieldName("", "")
    versions = (version, *NEWEST_FIRST) if version in VERSIONS else NEWEST_FIRST
    kinds = list(dict.fromkeys(kind for each in versions if (kind := field_name(each, segment, field).kind)))
    structs = (hl7apy.load_library(each).DATATYPES_STRUCTS.get(kind) for kind in kinds for each in versions)
    children: Any = next(filter(None, structs), None)
    if children is None:
        return None
    if component > len(children):
        return FieldName("", "")
    _, what, *_ = children[component - 1]
    return FieldName(str(what[3] or "").replace("_", " ").lower(), str(what[2] or ""))


@cache
def is_one_text(segment: str, field: int) -> bool:
    """Whether a field is free text and has no components in any version that has it: a delimiter in it is text.

    >>> is_one_text("FT1", 8), is_one_text("FT1", 7), is_one_text("ZFT", 1)
    (True, False, False)
    """
    kinds = {field_name(version, segment, field).kind for version in NEWEST_FIRST} - _NO_KIND
    return bool(kinds) and kinds <= TEXTS


@cache
def is_segment(name: str) -> bool:
    """Whether a segment of that name is in any version of HL7, or is one of somebody's own.

    >>> is_segment("PID"), is_segment("ZBH"), is_segment("GSP"), is_segment("PDI")
    (True, True, True, False)
    """
    return name[:1] == "Z" or name in _OF_2_9 or has_fields(name)


def has_fields(name: str) -> bool:
    """Whether the names of its fields are known: those of a segment that is newer than v2.8.2 are not."""
    return any(name in hl7apy.load_library(version).SEGMENTS for version in NEWEST_FIRST)


@cache
def segment_names() -> frozenset[str]:
    """The segments of all versions, in capitals."""
    return _OF_2_9 | {name for version in VERSIONS for name in hl7apy.load_library(version).SEGMENTS}
