"""What a profile says that loads and can hardly be meant: told by `hie vendor check`, and refused by nobody."""

from collections.abc import Iterator
from functools import cache
from typing import Final

from adapters.dialects.conformance import place_text
from adapters.dialects.profile import Dialect
from adapters.formats.names import NEWEST_FIRST, field_name

_LOCAL: Final = "Z"  # how names of local segments begin
_SECTIONS: Final = {"services": "order", "admission": "encounter", "line": "observation"}  # of plans that hold the rest of one


def doubts(dialect: Dialect) -> list[str]:
    """Each as a sentence that begins with the entry of the file."""
    return list(dict.fromkeys([*_unknown_fields(dialect), *_unused_tables(dialect)]))


def _unknown_fields(dialect: Dialect) -> Iterator[str]:
    """Fields that HL7 does not have: a vendor may have added one, and a number may be mistyped."""
    for name, plan in dialect.plans.items():
        for rule in plan:
            for place in rule.places:
                if not _known(place.segment[:3], place.field):
                    yield _no_field(f"{_SECTIONS.get(name, name)}.{rule.name}", place_text(place))
    for number in (number for together in dialect.identifiers.lists for number in together):
        if not _known("PID", number):
            yield _no_field("identifiers.lists", f"PID-{number}")
    for number in dialect.identifiers.cards:
        if not _known("IN1", number):
            yield _no_field("identifiers.cards", f"IN1-{number}")


def _no_field(entry: str, place: str) -> str:
    return f"{entry}: no version of HL7 has {place}; if it is a field that the sender adds, all is well"


@cache
def _known(segment: str, field: int) -> bool:
    return segment[0] == _LOCAL or any(field_name(version, segment, field).kind for version in NEWEST_FIRST)


def _unused_tables(dialect: Dialect) -> Iterator[str]:
    for table in dialect.unused:
        yield f'codes.{table}: no rule looks anything up in it; the rule that should says codes = "{table}"'
