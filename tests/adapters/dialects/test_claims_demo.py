"""The claims of the demo are what their generator makes, their money is right where the story says so, and complete."""

import pytest

from hub.contract.claim_tables import tables
from hub.contract.errors import Severity
from hub.contract.events import Event
from tests import demo_claims
from tests.adapters.dialects.goldens import DEMO, translated
from tests.money import line_faults, total_faults

RIGHT = (
    "10-claim-commune.xml",
    "11-claim-district.xml",
    "12-claim-province.hl7",
    "13-claim-laboratory.xml",
    "15-claim-district-corrected.xml",
)
WRONG = "14-claim-district-wrong-total.xml"


def claim(name: str) -> Event:
    [(record, event)] = translated(DEMO / name).events
    assert record == "hie.Claim"
    return event


def test_the_files_are_what_the_generator_makes() -> None:
    made = demo_claims.files()
    assert set(made) == {*RIGHT, WRONG}
    assert {name: (DEMO / name).read_bytes() for name in made} == made


@pytest.mark.parametrize("name", RIGHT)
def test_money_is_right_to_the_last_dong(name: str) -> None:
    assert (line_faults(claim(name)), total_faults(claim(name))) == ([], [])


def test_the_wrong_claim_is_wrong_in_its_total_alone() -> None:
    assert (line_faults(claim(WRONG)), total_faults(claim(WRONG))) == ([], ["t_tongchi_bv"])


def test_the_correction_is_a_newer_revision_of_the_same_claim() -> None:
    wrong, right = claim(WRONG), claim("15-claim-district-corrected.xml")
    assert wrong["meta"]["key"] == right["meta"]["key"]
    assert wrong["meta"]["revision"]["stated_at"] < right["meta"]["revision"]["stated_at"]
    assert wrong["xml3"] == right["xml3"]


@pytest.mark.parametrize("name", [*RIGHT, WRONG])
def test_every_required_element_is_there_and_nothing_is_warned_of(name: str) -> None:
    outcome = translated(DEMO / name)
    assert outcome.message["ack"] == "AA"
    assert [problem for problem in outcome.problems if problem.severity is not Severity.INFORMATION] == []
    event = claim(name)
    for table in ("XML1", "XML2", "XML3", "XML4", "XML5", "XML7", "XML13", "XML14"):
        required = {element.field for element in tables()[table].values() if element.required == "y"}
        rows = [event["xml1"]] if table == "XML1" else event.get(table.lower(), [])
        for row in rows:
            assert required - set(row) == set(), table


def test_claims_of_the_patient_agree_with_her_other_messages() -> None:
    events = {path.stem[:2]: event for path in sorted(DEMO.glob("0*.hl7")) for _, event in translated(path).events}
    district, province = claim("11-claim-district.xml"), claim("12-claim-province.hl7")
    assert (district["ma_lk"], province["ma_lk"]) == (events["01"]["ma_lk"], events["06"]["ma_lk"])
    assert district["xml13"][0]["giay_chuyen_tuyen"] == events["04"]["slip"] == province["xml1"]["giay_chuyen_tuyen"]
    assert province["xml14"][0]["so_giayhen_kl"] == events["08"]["slip"]
    for name in RIGHT[:4]:
        assert claim(name)["xml1"]["ho_ten"] == events["01"]["person"]["ho_ten"]
        assert claim(name)["xml1"]["so_cccd"] in {each["value"] for each in events["01"]["person"]["identifiers"]}
