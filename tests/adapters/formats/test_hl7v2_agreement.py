"""Two readers of others beside ours: hl7apy on every value of the messages of others, python-hl7 on every dialect of escaping.

Segments are compared one by one: hl7apy reads 40 whole messages a second, of segments alone several hundred. Where it keeps an
escape sequence as it was sent, ours is decoded from the same text.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_segment
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats.charset import decode
from adapters.formats.er7 import NULL, Delimiters, unescape
from adapters.formats.hl7v2 import STANDARD, Segment, build, parse, split_messages
from adapters.formats.structure import VERSIONS

from .samples import CORPUS, NO_CORPUS, corpus

COMPARED = {  # results, identifiers, names, dates
    "OBX": (5, 14),
    "PID": (3, 5, 7),
    "NK1": (2,),
    "OBR": (2, 3, 4, 7),
    "PV1": (19, 44, 45),
    "EVN": (2,),
}
Leaves = dict[tuple[int, int, int], str]
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)


def by_hl7apy(segment: Segment, field: int, version: str) -> Leaves:
    """(repetition, component, subcomponent) to the text, of what is not empty; a component without a name is numbered from 1001."""
    d = segment.delimiters
    line = d.field.join([segment.name, *[""] * (field - 1), segment.field(field)])
    if segment.name == "OBX":
        line = d.field.join(["OBX", "1", segment.field(2), "", "", *[""] * (field - 5), segment.field(field)])
    characters = {"FIELD": d.field, "COMPONENT": d.component, "REPETITION": d.repetition, "ESCAPE": d.escape} | {
        "SUBCOMPONENT": d.subcomponent,
        "SEGMENT": "\r",
        "GROUP": "\r",
    }
    parsed = parse_segment(line, version, characters, VALIDATION_LEVEL.TOLERANT)
    found: Leaves = {}
    for repetition, one in enumerate([each for each in parsed.children if each.name == f"{segment.name}_{field}"], 1):
        for place, component in enumerate(one.children, 1):
            number = _number(component.name) or 1000 + place
            for part, leaf in enumerate(component.children, 1):
                text = _text(leaf)
                if text:
                    found[repetition, number, _number(leaf.name) or part] = text
    return found


def _number(name: str | None) -> int:
    return int(name.rpartition("_")[2]) if name and re.search(r"_\d+$", name) else 0


def _text(leaf: Any) -> str:
    value = leaf.value
    value = getattr(value, "value", value)
    return value if isinstance(value, str) else str(leaf.to_er7())


def by_us(segment: Segment, field: int) -> Leaves:
    d = segment.delimiters
    found: Leaves = {}
    for repetition, whole in enumerate(segment.repetitions(field), 1):
        for component, parts in enumerate(whole.split(d.component), 1):
            for part, text in enumerate(parts.split(d.subcomponent), 1):
                if text:
                    found[repetition, component, part] = text
                    assert segment.get(field, component, part, repetition) == ("" if text == NULL else unescape(text, d))
    return found


def places(every: int) -> Iterator[tuple[str, Segment, int, str]]:
    """File, segment, field and version of every value of the corpus, or of each so many-th message."""
    number = 0
    for name, raw in corpus():
        for text in split_messages(decode(raw).text):
            number += 1
            message = parse(text)
            if number % every or message.version not in VERSIONS:
                continue
            for segment in message:
                for field in COMPARED.get(segment.name, ()):
                    if segment.field(field):
                        yield name, segment, field, message.version


def why(ours: Leaves, theirs: Leaves) -> str:
    """The reason why the two may differ; "" if there is none."""
    written = {place: text for place, text in ours.items() if text.strip()}
    if written == theirs:
        return "blank"  # hl7apy drops a component of blanks only
    unnamed = any(component > 1000 for _, component, _ in theirs)
    if unnamed and sorted(written.values()) == sorted(theirs.values()):
        return "beyond"  # components that the datatype of that version has not: hl7apy keeps them without a number
    return ""


def compare(every: int) -> Counter[str]:
    """How many values are equal, how many hl7apy does not read, and how many differ for a reason of `why`."""
    counts: Counter[str] = Counter()
    seen: set[tuple[str, int, str, str, Delimiters]] = set()
    for name, segment, field, version in places(every):
        key = (segment.name, field, segment.field(field), version, segment.delimiters)
        if key in seen:
            continue
        seen.add(key)
        try:
            theirs = by_hl7apy(segment, field, version)
        except HL7apyException:
            counts["unread"] += 1
            continue
        ours = by_us(segment, field)
        reason = "equal" if ours == theirs else why(ours, theirs)
        assert reason, (name, segment.name, field, ours, theirs)
        counts[reason] += 1
    return counts


@needs_corpus
def test_results_identifiers_names_and_dates_are_those_of_hl7apy() -> None:
    counts = compare(every=6)
    assert counts["equal"] > 3000 and sum(counts.values()) - counts["equal"] < 150, counts


@needs_corpus
@pytest.mark.slow
def test_all_results_identifiers_names_and_dates_are_those_of_hl7apy() -> None:
    counts = compare(every=1)
    assert counts["equal"] > 10_000 and sum(counts.values()) - counts["equal"] < 600, counts


# What others do not write: any delimiters, every nesting, the null. Texts without blanks at their ends, which hl7apy strips.

DELIMITERS = [
    STANDARD,
    Delimiters("#", "!", "@", "%", "*"),
    Delimiters("|", "~", "^", "\\", "&"),
    Delimiters(";", ":", ",", "?", "."),
]
texts = st.text(st.sampled_from("abcXYZ019-+ éễĐ\"'()|^~\\&#!@%*"), max_size=8).map(str.strip).filter(lambda text: text != NULL)
nested = st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=4)


def hl7_message(repetitions: list[list[list[str]]], delimiters: Delimiters) -> str:
    """One Z-segment and one PID that hold the repetitions, everything escaped."""
    value: Any = [tuple(tuple(parts) for parts in each) for each in repetitions]
    header = ["MSH", "A", "B", "C", "D", "20261015", None, ("ADT", "A01"), "1", "P", "2.5.1"]
    return build([header, ["ZZ1", "1", value], ["PID", "1", None, value]], delimiters)


@given(st.lists(nested, min_size=1, max_size=3), st.sampled_from(DELIMITERS))
def test_every_nesting_in_any_delimiters_is_read_as_hl7apy_reads_it(
    repetitions: list[list[list[str]]], delimiters: Delimiters
) -> None:
    message = parse(hl7_message(repetitions, delimiters))
    pid = message.segments("PID")[0]
    ours, theirs = by_us(pid, 3), by_hl7apy(pid, 3, "2.5.1")
    assert ours == theirs or why(ours, theirs)
    for repetition, each in enumerate(repetitions, 1):
        for component, parts in enumerate(each, 1):
            for part, text in enumerate(parts, 1):
                assert pid.get(3, component, part, repetition) == text


@given(st.lists(nested, min_size=1, max_size=3), st.sampled_from(DELIMITERS))
def test_every_nesting_in_any_delimiters_is_split_as_python_hl7_splits_it(
    repetitions: list[list[list[str]]], delimiters: Delimiters
) -> None:
    text = hl7_message(repetitions, delimiters)
    zz1, theirs = parse(text).segments("ZZ1")[0], hl7.parse(text)
    for repetition, each in enumerate(repetitions, 1):
        for component, parts in enumerate(each, 1):
            for part, _ in enumerate(parts, 1):
                try:
                    found = theirs.extract_field("ZZ1", 1, 2, repetition, component, part) or ""
                except IndexError:  # a place that an empty end does not reach
                    found = ""
                assert zz1.get(2, component, part, repetition) == unescape(found, delimiters)


sequences = st.sampled_from(["\\F\\", "\\S\\", "\\T\\", "\\R\\", "\\E\\", "\\X41\\", "\\X0D0A\\", "a", " b ", "é", "1"])


@given(st.lists(sequences, max_size=8).map("".join))
def test_escape_sequences_are_those_of_python_hl7(value: str) -> None:
    # It has other words for layout: `.br` is a CR and highlighting an underscore, where ours are a line break and nothing.
    theirs = hl7.parse("MSH|^~\\&|A\rZZ1|1\r")
    assert unescape(value) == theirs.unescape(value)
