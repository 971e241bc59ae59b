"""Messages written by others: none stops the reader, and what it reads is what hl7apy and python-hl7 read."""

import csv
import re
from collections import Counter, defaultdict

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.formats import batch
from adapters.formats.charset import decode
from adapters.formats.hl7v2 import STANDARD, Message, build, escape, parse, split_messages
from adapters.formats.structure import VERSIONS, check

from .samples import CORPUS, NO_CORPUS, corpus

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)


@needs_corpus
def test_every_message_is_read() -> None:
    with (CORPUS / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        rows = list(csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE))
    expected = defaultdict(list)
    for row in rows:
        if row["message"] != "0":
            expected[row["file"]].append(row)
    charsets: Counter[str] = Counter()
    read = 0
    for name, raw in corpus():
        decoded = decode(raw)
        charsets[decoded.charset] += 1
        texts = split_messages(decoded.text)
        assert len(texts) == len(expected[name]), name
        assert batch.read(decoded.text).messages == texts
        for text, row in zip(texts, expected[name], strict=True):
            message = parse(text)
            check(message)
            assert message.header.field(9) == row["MSH-9"].replace("(none)", "").strip() or row["MSH-9"] == "(none)", name
            assert message.header.get(12) == row["MSH-12"].split("^")[0], name
            for segment in message:
                for number in range(1, len(segment.fields)):
                    segment.text(number)
                    for repetition, _ in enumerate(segment.repetitions(number), 1):
                        segment.components(number, repetition)
            if "malformed" not in row["notes"] and "CRLF+CR+LF" not in row["notes"]:
                assert len(message) == int(row["segments"]), name
            read += 1
    assert read == sum(map(len, expected.values())) > 2000
    assert set(charsets) <= {"ascii", "utf-8"}, "as the corpus says of itself"


@needs_corpus
def test_fields_are_those_of_python_hl7() -> None:
    compared = 0
    for name, raw in corpus():
        for text in split_messages(decode(raw).text):
            message = parse(text)
            if message.problems or message.delimiters != STANDARD or "\n" in text.strip().replace("\r\n", "\r"):
                continue
            lines = [line for line in text.replace("\r\n", "\r").strip().split("\r") if line]
            theirs = hl7.parse("\r".join(lines) + "\r")
            for segment, their in zip(message, theirs, strict=True):
                assert [field.strip() for field in segment.fields] == [str(field).strip() for field in their], name
            compared += 1
    assert compared > 500


def by_hl7apy(text: str) -> list[tuple[str, str, str]]:
    """(segment, place, value) of every leaf that hl7apy reads, tolerant, in order; Z-segments left out."""
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    found = []
    for segment in parsed.children:
        if segment.name.startswith("Z") or segment.name == "MSH":
            continue
        for field in segment.children:
            if field.name:
                found.append((segment.name, field.name, field.to_er7()))
    return found


def by_us(message: Message) -> list[tuple[str, str, str]]:
    found = []
    for segment in message:
        if segment.name.startswith("Z") or segment.name == "MSH":
            continue
        for number in range(1, len(segment.fields)):
            found += [(segment.name, f"{segment.name}_{number}", value) for value in segment.repetitions(number)]
    return found


@needs_corpus
def test_repetitions_are_those_of_hl7apy() -> None:
    compared = values = 0
    for _name, raw in list(corpus())[::9]:  # hl7apy reads 40 messages a second
        for text in split_messages(decode(raw).text)[:2]:
            message = parse(text)
            if message.problems or message.delimiters != STANDARD or message.version not in VERSIONS or len(message) > 60:
                continue
            try:
                theirs = by_hl7apy("\r".join(line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line))
            except HL7apyException:
                continue
            # What does not stand in that place of the text hl7apy wrote anew: escapes, numbers, blanks, parts it has no place for.
            written = {
                (f"{line[:3]}_{number}", value.rstrip("^&"))
                for line in re.split(r"[\r\n]+", text)
                for number, field in enumerate(line.split("|"))
                for value in field.split("~")
            }
            anew = {place for _, place, value in theirs if (place, value.rstrip("^&")) not in written}
            places = {place for _, place, _ in theirs} - anew
            ours, other = (
                sorted((place, value.rstrip("^&")) for _, place, value in read if place in places and value.strip("^&"))
                for read in (by_us(message), theirs)
            )
            assert ours == other
            values += len(ours)
            compared += 1
    assert compared > 40 and values > 3000


part = st.text(st.sampled_from("abcxyz0189 .éễ|^~&\\"), max_size=8).map(str.strip)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(part, min_size=5, max_size=5), min_size=1, max_size=3), st.lists(part, min_size=3, max_size=3))
def test_values_are_those_of_hl7apy(identifiers: list[list[str]], name: list[str]) -> None:
    text = build(
        [
            ["MSH", "A", "B", "C", "D", "20261015", None, ("ADT", "A01", "ADT_A01"), "1", "P", "2.5.1"],
            ["PID", "1", None, [tuple(each) for each in identifiers], None, tuple(name)],
        ]
    )
    message = parse(text)
    pid = message.segments("PID")[0]
    theirs = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False).pid
    for repetition, each in enumerate(identifiers, 1):
        for component, value in enumerate(each, 1):
            assert pid.get(3, component, repetition=repetition) == value
    for repetition, field in enumerate(theirs.pid_3, 1):
        for component in (1, 2, 3, 5):
            if (child := getattr(field, f"cx_{component}", None)) and child.value:
                assert escape(pid.get(3, component, repetition=repetition)) == child.to_er7()
