"""An encounter with everything in it survives the way out in each of its messages."""

from typing import Any

import pytest

from adapters.formats.structure import check
from hub.contract.events import Event
from tests.adapters.dialects.goldens import FOLDER, translated
from tests.adapters.dialects.test_render import carried, read_again, rendered, stamped

[(_, EVERYTHING)] = translated(FOLDER / "_standard" / "adt-a01-everything.hl7").events
ADMITTED = {"ngay_vao_noi_tru": "202611231000", "ly_do_vnt": "Sốt"}
WHOLE = ("OPENED", "UPDATED", "CLOSED", "PLANNED", "CLASS_CHANGED", "REOPENED")  # their structures have all the segments


def whole(action: str, **more: Any) -> Event:
    content = {name: value for name, value in EVERYTHING.items() if name != "meta"} | {"action": action} | more
    if "ly_do_vnt" in more:
        del content["ly_do_vv"]
    return stamped("hie.Encounter", content)


@pytest.mark.parametrize("action", [*WHOLE, "TRANSFERRED", "TRANSFER_CANCELLED", "CANCELLED"])
def test_everything_is_read_again(action: str) -> None:
    event = whole(action, department_before="K00")
    message = rendered("hie.Encounter", event)
    [(_, read)] = read_again(message).events
    if action not in WHOLE:
        event["person"] = {name: value for name, value in event["person"].items() if name != "guardians"}
    assert carried(read) == carried(event)
    codes = {problem.code for problem in check(message)}
    assert ("SEGMENT_UNEXPECTED" in codes) == (action not in WHOLE)
    assert "SEGMENT_MISSING" not in codes


def test_an_admission_is_read_again() -> None:
    event = whole("CLASS_CHANGED", **ADMITTED)
    [(_, read)] = read_again(rendered("hie.Encounter", event)).events
    assert carried(read) == carried(event)


@pytest.mark.parametrize("visits", [[], ["1"], ["1", "2"], ["1", "2", "3"]])
def test_any_number_of_merged_visits_is_read_again(visits: list[str]) -> None:
    number = {"value": "BN2", "normalised": "BN2", "type": "MRN", "issuer": "VN-CSKCB-01021"}
    content: Event = {"action": "MERGED", "ma_cskcb": "01021", "number": "BN1", "merged": [number], "ma_lk": "LK1"}
    content["person"] = {"identifiers": [number | {"value": "BN1", "normalised": "BN1"}]}
    event = stamped("hie.Registration", content | ({"merged_visits": visits} if visits else {}))
    [(_, read)] = read_again(rendered("hie.Registration", event)).events
    assert carried(read) == carried(event)


def test_an_identifier_of_a_kind_without_a_name_is_not_guessed_on_the_way_back() -> None:
    numbers = [
        {"value": "BN1", "normalised": "BN1", "type": "MRN", "issuer": "VN-CSKCB-01021"},
        {"value": "X1", "normalised": "X1"},
    ]
    event = stamped(
        "hie.Registration", {"action": "UPDATED", "ma_cskcb": "01021", "number": "BN1", "person": {"identifiers": numbers}}
    )
    mapped = read_again(rendered("hie.Registration", event))
    assert carried(mapped.events[0][1]) == carried(event)
    assert mapped.problems == []


@pytest.mark.parametrize(
    ("issuer", "to_another", "to_its_own"),
    [
        ("VN-CSKCB-01021", "VN-CSKCB-01021", "VN-CSKCB-01021"),
        ("VN-CSKCB-01021/BVBM", "VN-CSKCB-01021/BVBM", "BVBM"),
        ("VN-CSKCB-01021/KHU A/LAB2", "VN-CSKCB-01021/KHU A/LAB2", "KHU A/LAB2"),
        ("VN-CSKCB-01914/BVBM", "VN-CSKCB-01914/BVBM", "VN-CSKCB-01914/BVBM"),
    ],
)
@pytest.mark.parametrize("dialect", ["_standard", "anhduong_lis"])  # of 2.5.1 and of 2.3.1
def test_wherever_a_patient_number_stands_it_names_its_facility_but_to_that_facility_itself(
    issuer: str, to_another: str, to_its_own: str, dialect: str
) -> None:
    numbers = [{"value": value, "normalised": value, "type": "MRN", "issuer": issuer} for value in ("1", "2", "3", "4")]
    mother = {"ho_ten": "trần thị mai", "relationship": "MTH", "identifiers": numbers[1:2]}
    content: Event = {"action": "MERGED", "ma_cskcb": "01021", "number": "1", "merged": numbers[2:3], "linked": numbers[3:]}
    content["person"] = {"identifiers": numbers[:1], "guardians": [mother]}
    event = stamped("hie.Registration", content)
    updated = stamped("hie.Registration", content | {"action": "UPDATED", "merged": [], "linked": []})
    for to, authority in (("01004", to_another), ("01021", to_its_own)):
        message = rendered("hie.Registration", event, dialect, to=to)
        (person, linked), (merged,) = (message.segments(name) for name in ("PID", "MRG"))
        written = [each.get(n, 4) for each, n in ((person, 3), (person, 21), (merged, 1), (linked, 3))]
        assert written == [authority] * 4
        guardian = rendered("hie.Registration", updated, dialect, to=to).segments("NK1")[0]
        assert guardian.get(33, 4) == authority
    [(_, read)] = read_again(rendered("hie.Registration", event, to="01004")).events
    assert [read["person"]["identifiers"], read["merged"]] == [numbers[:1], numbers[2:3]]
    assert event["person"]["guardians"] == [mother], "what is passed on is left as it is"
