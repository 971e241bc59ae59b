"""What is expected of a sample: how it is made, and what counts as a change that somebody has to look at."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.inbound.goldens import changes, flat, of_message, stated, write
from hub.contract.errors import HubError

VISIT = b"MSH|^~\\&|HIS|01021|HUB|HUB|20261123080000||ADT^A04|C-1|P|2.5.1\rPID|1||7^^^^MR||A^B\rPV1|1|O|||||||||||||||||1.1\r"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "visit.hl7").write_bytes(VISIT)
    return tmp_path


def golden(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "visit.json").read_text("utf-8")))


def put(folder: Path, value: dict[str, Any]) -> None:
    (folder / "visit.json").write_text(json.dumps(value), "utf-8")


def test_a_case_without_a_golden_is_new_and_is_as_expected_once_written(folder: Path) -> None:
    [change] = changes(folder)
    assert change.is_new
    assert change.lost == ()
    write(change)
    assert golden(folder)["ack"] == "AA"
    assert changes(folder) == []


def test_what_the_case_is_about_is_kept(folder: Path) -> None:
    put(folder, {"about": "Someone comes."})
    [change] = changes(folder)
    assert change.is_new, "a sentence expects nothing"
    write(change)
    assert golden(folder)["about"] == "Someone comes."


def test_more_is_no_loss_and_other_is(folder: Path) -> None:
    write(*changes(folder))
    expected = golden(folder)
    del expected["events"][0]["patient_class"]
    put(folder, expected)
    [more] = changes(folder)
    assert (more.differs, more.lost) == (("events[0].patient_class",), ())
    expected["events"][0]["patient_class"] = "I"
    expected["errors"] = [["FIELD_MISSING", "W", "PV1-3"]]
    put(folder, expected)
    [other] = changes(folder)
    assert set(other.lost) == {"events[0].patient_class", "errors FIELD_MISSING W PV1-3"}


def test_a_batch_is_one_case_that_says_of_each_of_its_messages_what_it_becomes(folder: Path) -> None:
    nobody = VISIT.replace(b"C-1", b"C-2").replace(b"ADT^A04", b"ADT^A99")
    (folder / "visit.hl7").write_bytes(b"FHS|^~\\&\rBHS|^~\\&\r" + VISIT + nobody + b"BTS|2\rFTS|1\r")
    [change] = changes(folder)
    assert change.is_new and change.dialects == {"_standard"}
    write(change)
    assert changes(folder) == []
    written = golden(folder) | {"about": "A visit and what nobody reads."}
    assert [message["ack"] for message in written["messages"]] == ["AA", "AR"]
    assert [len(message["events"]) for message in written["messages"]] == [1, 0]
    assert of_message(written, 2, 2) == {"about": written["about"], **written["messages"][1]}
    assert of_message(written, 2, 3) == {}, "written of another number of messages"

    written["messages"][1]["errors"] = [["TYPE_MISSING", "E", "MSH-9"]]
    put(folder, written)
    [other] = changes(folder)
    assert not other.is_new and other.lost == ("messages[1].errors TYPE_MISSING E MSH-9",)
    put(folder, {"about": "", "ack": "AR", "events": [], "errors": [["SEVERAL_MESSAGES", "E", "MSH[2]"]]})
    [before] = changes(folder)
    assert "ack" in before.lost, "a file that was taken for one message is no new case"


def test_ids_that_follow_from_the_rest_are_no_difference_of_their_own() -> None:
    event = {"meta": {"event_id": "1", "content_hash": "2", "key": "k"}, "ma_lk": ""}
    assert flat({"events": [event]}) == {"events[0].meta.key": "k", "events[0].ma_lk": ""}


def test_a_golden_that_is_no_json_is_named(folder: Path) -> None:
    (folder / "visit.json").write_text("{", "utf-8")
    with pytest.raises(HubError, match=r"visit\.json"):
        stated(folder / "visit.hl7")
