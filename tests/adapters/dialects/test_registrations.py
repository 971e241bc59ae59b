"""ADT of persons: under which number, what is merged, and when an update of a visit is one of a person."""

from typing import Any

import pytest

from adapters.dialects.registrations import REGISTRATION_ACTIONS
from hub.contract.events import Event
from tests.adapters.dialects.test_encounters import PID, read

MERGES = sorted(trigger for trigger, action in REGISTRATION_ACTIONS.items() if action in ("MERGED", "MOVED"))


def registration(trigger: str, *rows: str) -> Event:
    [(record, event)] = read(trigger, *rows).events
    assert record == "hie.Registration"
    return event


def values(identifiers: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["value"], each.get("type", "")) for each in identifiers]


@pytest.mark.parametrize(
    ("numbers", "number"),
    [
        ("001085012345^^^BCA^NI~BN-7^^^^MR~BN8^^^^MR", "BN7"),
        ("X1^^^^ZZ~VD-1^^^^PNT", "VD1"),
        ("001085012345^^^BCA^NI~X1^^^^ZZ", "X1"),
        ("BN9", "BN9"),
    ],
    ids=["the first of the hospital", "a temporary one", "one of a kind that nobody knows", "one without a type"],
)
def test_which_number_is_the_key(numbers: str, number: str) -> None:
    assert registration("A28", f"PID|1||{numbers}")["number"] == number


def test_a_person_that_has_no_number_here_stands_under_sender_and_control_id() -> None:
    mapped = read("A28", "PID|1||001085012345^^^BCA^NI")
    assert [problem.code for problem in mapped.problems] == ["KEY_MISSING"]
    assert "number" not in mapped.events[0][1]


def test_the_same_number_is_the_same_key_whatever_happens_to_the_person() -> None:
    events = [registration(trigger, PID, "MRG|BN2") for trigger in ("A28", "A31", "A40", "A43", "A29")]
    assert len({event["meta"]["key"] for event in events}) == 1
    assert [event["action"] for event in events] == ["REGISTERED", "UPDATED", "MERGED", "MOVED", "DELETED"]


@pytest.mark.parametrize("trigger", MERGES)
def test_all_numbers_of_mrg_are_told_once_with_their_kind(trigger: str) -> None:
    event = registration(trigger, PID, "MRG|BN2^^^^MR~001085012345^^^BCA^NI|BN2^^^^MR|LK8|OLD4^^^^MR|LK9")
    assert values(event["merged"]) == [("BN2", "MRN"), ("001085012345", "SDDCN"), ("OLD4", "MRN")]
    assert event["merged_visits"] == ["LK8", "LK9"]


def test_a_merge_of_accounts_names_no_number() -> None:
    event = registration("A41", PID + "|" * 13 + "LK1", 'MRG|""||LK8')
    assert "merged" not in event
    assert (event["ma_lk"], event["merged_visits"]) == ("LK1", ["LK8"])


@pytest.mark.parametrize("trigger", MERGES)
@pytest.mark.parametrize("row", ["", "MRG", 'MRG|""'])
def test_a_merge_of_nothing_is_refused(trigger: str, row: str) -> None:
    mapped = read(trigger, PID, *([row] if row else []))
    assert not mapped.events
    assert [(problem.code, problem.path) for problem in mapped.problems] == [("NOTHING_REPRESENTABLE", "MRG")]


def test_of_several_persons_only_those_that_merge_are_told() -> None:
    mapped = read("A40", PID, "MRG|BN2", "PID|2||BN3^^^^MR", "PID|3||BN4^^^^MR", "MRG|BN5")
    assert [(event["number"], event["merged"][0]["value"]) for _, event in mapped.events] == [("BN1", "BN2"), ("BN4", "BN5")]


def test_a_link_tells_the_numbers_of_the_other_as_they_stand() -> None:
    event = registration("A24", PID, "PID|2||BN2^^^^MR~DN4010116149000^^^VSS^HC")
    assert values(event["linked"]) == [("BN2", "MRN"), ("DN4010116149000", "BHYT_CARD")]  # nothing is derived from a card


@pytest.mark.parametrize(
    ("rows", "record"),
    [
        ([PID], "hie.Registration"),
        ([PID, "PV1|1|O"], "hie.Encounter"),
        ([PID + "|" * 13 + "LK1"], "hie.Encounter"),
    ],
    ids=["no visit", "a visit", "an account"],
)
def test_an_update_is_of_the_person_where_no_visit_is_named(rows: list[str], record: str) -> None:
    [(found, event)] = read("A08", *rows).events
    assert (found, event["action"]) == (record, "UPDATED")


@pytest.mark.parametrize("trigger", ["A06", "A07"])
def test_a_change_of_class_without_another_number_is_one_event(trigger: str) -> None:
    assert [record for record, _ in read(trigger, PID, "PV1|1|I").events] == ["hie.Encounter"]
    assert [record for record, _ in read(trigger, PID, "MRG", "PV1|1|I").events] == ["hie.Encounter"]
    assert [record for record, _ in read(trigger, PID, "MRG|NT1", "PV1|1|I").events] == ["hie.Encounter", "hie.Registration"]
