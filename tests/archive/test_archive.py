"""Schemas only grow: what any release wrote still decodes to the same values, and official rules agree, both ways."""

import json
from pathlib import Path

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse
from fastavro import parse_schema

from hub.contract.events import decode, schema_text, to_json
from hub.contract.topics import topics

RELEASES = sorted(
    (path.parent for path in Path(__file__).parent.glob("*/hie.Claim.avsc")),
    key=lambda path: tuple(map(int, path.name.split("."))),
)
RECORDS = [path for release in RELEASES for path in sorted(release.glob("*.avsc"))]


def test_every_record_of_this_release_is_in_the_archive():
    assert RELEASES
    assert {path.stem for path in RECORDS if path.parent == RELEASES[-1]} == {topic.record for topic in topics().values()}


def contains(now, then):
    """All that was there is there; new fields may stand beside it."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(name in now and contains(now[name], value) for name, value in then.items())
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(contains, now, then))
    return now == then


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_its_bytes_decode_to_the_same_values(path):
    event = decode(path.stem, path.with_suffix(".bin").read_bytes(), parse_schema(json.loads(path.read_text("utf-8"))))
    assert contains(json.loads(to_json(event)), json.loads(path.with_suffix(".json").read_bytes()))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_official_rules_call_it_compatible_both_ways(path):
    then, today = parse(path.read_text("utf-8")), parse(schema_text(path.stem))
    for reader, writer in ((today, then), (then, today)):
        result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        assert result.compatibility == SchemaCompatibilityType.compatible, result.messages
