"""What a profile says that loads and can hardly be meant: told by `hie vendor check`, and refused by nobody."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Final

from adapters.dialects.conformance import place_text
from adapters.dialects.paths import FOLDED
from adapters.dialects.profile import Dialect
from adapters.dialects.sampled import Sample
from adapters.formats.names import NEWEST_FIRST, field_name, has_fields, is_segment, segment_names
from hub.contract.directory import facilities

_LOCAL: Final = "Z"  # how names of local segments begin
_FIELD: Final = re.compile(r"[A-Z][A-Z0-9]{2}-\d+")  # what no CX-5 looks like
_READ_ANYHOW: Final = frozenset({"MRG-1", "MRG-2", "MRG-4", "NK1-33", "PID-21"})
_SECTIONS: Final = {"services": "order", "admission": "encounter", "line": "observation"}  # of plans that hold the rest of one
_OF_ONE_COMPONENT: Final = frozenset({"value", "number", "money", "list", "visit", "words"})  # kinds of rules
_RECEIVERS: Final = {"order": "performer", "result": "orderer", "referral": "ma_cskcb_den"}  # fields that say where it goes


def doubts(dialect: Dialect, samples: Sequence[Sample] = ()) -> list[str]:
    """Each as a sentence that begins with the entry of the file. samples: what it read, which makes some entries doubtful."""
    return list(
        dict.fromkeys(
            [
                *_unknown_fields(dialect),
                *_parts_of_wholes(dialect),
                *_unread_types(dialect),
                *_unused_tables(dialect),
                *_unknown_places(dialect),
                *_numbers_apart(dialect, samples),
            ]
        )
    )


def _unknown_fields(dialect: Dialect) -> Iterator[str]:
    """Segments and fields that HL7 does not have: a vendor may have added one, and a name or a number may be mistyped."""
    for name, plan in dialect.plans.items():
        for rule in plan:
            for place in rule.places:
                if not is_segment(place.segment[:3]):
                    yield _no_segment(f"{_SECTIONS.get(name, name)}.{rule.name}", place_text(place))
                elif not _known(place.segment[:3], place.field):
                    yield _no_field(f"{_SECTIONS.get(name, name)}.{rule.name}", place_text(place))
    for number in (number for together in dialect.identifiers.lists for number in together):
        if not _known("PID", number):
            yield _no_field("identifiers.lists", f"PID-{number}")
    for number in dialect.identifiers.cards:
        if not _known("IN1", number):
            yield _no_field("identifiers.cards", f"IN1-{number}")


def _unread_types(dialect: Dialect) -> Iterator[str]:
    """Fields with a type from which no number is read."""
    read = {f"PID-{number}" for together in dialect.identifiers.lists for number in together} | _READ_ANYHOW
    for name in dialect.identifiers.types:
        if _FIELD.fullmatch(name) and name not in read:
            yield f'identifiers.types.{name}: no number is read from there; name the field in `lists`, as in lists = ["PID-3+PID-19"]'


def _parts_of_wholes(dialect: Dialect) -> Iterator[str]:
    """Components named beside a transform that reads the whole field, whichever is named."""
    for name, plan in dialect.plans.items():
        for rule in (rule for rule in plan if rule.transform is not None and rule.kind not in _OF_ONE_COMPONENT):
            for place in (place for place in rule.places if place.component > 1 or place.subcomponent > 1):
                entry, stated = f"{_SECTIONS.get(name, name)}.{rule.name}", place_text(place)
                yield f"{entry}: {stated}: this transform reads the whole field; to read the component alone leave `as` out"


def _no_segment(entry: str, place: str) -> str:
    name = place[:3]
    near = get_close_matches(name, sorted(segment_names()), n=10)
    near.sort(key=lambda one: (sorted(one) != sorted(name), one[0] != name[0]))  # PDI is PID rather than QPD
    meant = f"did you mean {near[0]}{place[3:]}? If it is" if near else "if it is"
    return f"{entry}: {place}: HL7 has no segment {name}; {meant} one of the sender's own, all is well"


def _no_field(entry: str, place: str) -> str:
    return f"{entry}: no version of HL7 has {place}; if it is a field that the sender adds, all is well"


@cache
def _known(segment: str, field: int) -> bool:
    return (
        segment[0] == _LOCAL
        or not has_fields(segment)
        or any(field_name(version, segment, field).kind for version in NEWEST_FIRST)
    )


def _unused_tables(dialect: Dialect) -> Iterator[str]:
    for table in dialect.unused:
        yield f'codes.{table}: no rule looks anything up in it; the rule that should says codes = "{table}"'


def _unknown_places(dialect: Dialect) -> Iterator[str]:
    """Facilities that a table of receivers names and the directory lacks: whatever is for one of them will wait."""
    for section, name in _RECEIVERS.items():
        for rule in (rule for rule in dialect.plans[section] if rule.name == name and rule.codes):
            table = next(one for one, rows in dialect.codes.items() if rows is rule.codes)
            for local, code in dialect.codes[table].items():
                if not local.startswith(FOLDED) and code not in facilities():
                    yield (
                        f"codes.{table}.{local}: the directory has no facility {code}: what goes there waits (RECEIVER_UNKNOWN); "
                        "write its MA_CSKCB, or give it a row in the directory (facilities.csv)"
                    )


def _numbers_apart(dialect: Dialect, samples: Sequence[Sample]) -> Iterator[str]:
    """Several names of one facility, where CX-4 holds one of them: its numbers are then of another issuer than the facility's."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for alias in dialect.aliases:
        names[alias.code].add(alias.name)
    issuers = Counter(
        number.get("issuer", "")
        for sample in samples
        for _, event in sample.events
        for number in event.get("person", {}).get("identifiers", ())
    )
    for code, known in names.items():
        held = {name: count for name in sorted(known) if (count := issuers[f"VN-CSKCB-{code}/{name}"])}
        if held and len(known) > 1:
            which = ", ".join(f"{name} × {count}" for name, count in held.items())
            yield (
                f"facility.aliases: {code} has several names ({', '.join(sorted(known))}), each of which may count patients for itself: "
                f"numbers with one of them in CX-4 ({which}) become another patient's than the same numbers without it. If they are one "
                f'series, keep one name in this file and move the other alias to a second file with extends = "{dialect.name}"'
            )
