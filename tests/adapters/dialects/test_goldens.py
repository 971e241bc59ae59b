"""Every golden message of `seeds/messages`, and the messages of the demo: message in, events out."""

from pathlib import Path

import pytest

from adapters.dialects.mapping import CLAIM_TYPES, SUPPORTED
from adapters.dialects.profile import dialect_names
from hub.contract.claim_tables import tables
from hub.contract.events import content_hash, decode, encode
from tests.adapters.dialects.alike import READ_AS
from tests.adapters.dialects.goldens import DEMO, FOLDER, cases, expectation, stated, translated


def _named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", cases(), ids=_named)
def test_a_golden_message_becomes_what_stands_beside_it(path: Path) -> None:
    expected = stated(path)
    assert expected.pop("about"), "say in one sentence what the case shows"
    assert expectation(path) == expected


@pytest.mark.parametrize("path", [*cases(), *cases(DEMO)], ids=_named)
def test_content_is_sparse_so_that_its_hash_survives_the_wire(path: Path) -> None:
    for record, event in translated(path).events:
        assert content_hash(decode(record, encode(record, event))) == event["meta"]["content_hash"]


def test_every_dialect_has_cases_that_are_taken_and_cases_that_are_refused() -> None:
    for dialect in dialect_names():
        outcomes = {bool(stated(path)["events"]) for path in cases(FOLDER / dialect)}
        assert outcomes == {True, False}, dialect


def test_every_supported_message_type_has_a_case_that_is_taken() -> None:
    shown = {event["meta"]["source"]["message_type"] for path in cases() for event in stated(path)["events"]}
    alike = {kind for kinds in READ_AS.values() for kind in kinds}
    assert SUPPORTED - CLAIM_TYPES - alike - shown == set(), "claims have tests of their own"


def test_the_demo_tells_one_story_of_one_person() -> None:
    people = set()
    outcomes = {}
    for path in cases(DEMO):
        if path.suffix != ".hl7" or path.name[0] not in "09":
            continue
        outcome = translated(path)
        outcomes[path.stem] = outcome.message["ack"]
        for _, event in outcome.events:
            person = event["person"]
            citizen = [each["normalised"] for each in person["identifiers"] if each["type"] == "SDDCN"]
            people.add((person["ho_ten"], *citizen))
    assert people == {("Trần Thị Mai", "001185004321")}
    assert outcomes.pop("90-refused") == "AR"
    assert set(outcomes.values()) == {"AA"}


def test_the_arrival_and_the_answer_of_the_demo_name_the_slip_of_the_referral() -> None:
    slips = {path.stem[:2]: event for path in cases(DEMO) for _, event in translated(path).events}
    referral, answer, arrival = slips["04"], slips["05"], slips["06"]
    assert (referral["ma_cskcb"], referral["ma_cskcb_den"]) == ("01021", "01004")
    assert answer["action"] == "ACCEPTED"
    assert answer["meta"]["key"] == referral["meta"]["key"]
    assert (arrival["ma_noi_di"], arrival["slip"]) == (referral["ma_cskcb"], referral["slip"])


def test_the_result_of_the_demo_answers_its_order() -> None:
    events = {path.stem[:2]: event for path in cases(DEMO) for _, event in translated(path).events}
    order, result = events["02"], events["03"]
    assert (order["performer"], result["meta"]["facility"]) == ("01940", "01940")
    assert (result["orderer"], result["placer"]) == (order["ma_cskcb"], order["placer"])
    assert result["meta"]["source"]["charset"] == "tcvn3"
    assert result["observations"][0]["code"] == {
        "code": "1000114",
        "system": "QD1227",
        "display": "HbA1c",
        "alt_code": "4548-4",
        "alt_system": "LN",
    }


def test_one_claim_is_one_event_however_its_envelope_is_written() -> None:
    """4750 or 3176, base64, text or elements, any encoding, order, case and namespace."""
    paths = sorted((FOLDER / "_standard").glob("claim-as-*.xml"))
    assert len(paths) >= 10
    claims = [[event for _, event in translated(path).events] for path in paths]
    assert {len(events) for events in claims} == {1}
    ids = {(path.name, events[0]["meta"]["event_id"]) for path, events in zip(paths, claims, strict=True)}
    assert len({event_id for _, event_id in ids}) == 1, ids


def test_a_golden_envelope_holds_every_element_of_every_table() -> None:
    [(_, check_in), (_, claim)] = translated(FOLDER / "_standard" / "claim-all-tables.xml").events
    assert check_in["action"] == "OPENED" and claim["meta"].get("unparsed") is None
    missing = {
        f"{table}.{name}"
        for table, elements in tables().items()
        for name in elements
        if table != "XML0" and name.lower() not in (claim["xml1"] if table == "XML1" else claim[table.lower()][0])
    }
    assert missing == set()


BY_MASS = {"2345-7", "3094-0", "3091-6", "2160-0", "2093-3", "2571-8", "3084-1"}  # LOINC whose property is mass by volume


def test_results_in_moles_are_not_called_by_a_code_of_mass() -> None:
    results = [event for path in cases() for event in stated(path)["events"] if event["record"] == "hie.LabResult"]
    lines = [line for event in results for line in event.get("observations", ()) if "mol/L" in line.get("don_vi_do", "")]
    assert any("14749-6" in (line["code"].get("code"), line["code"].get("alt_code")) for line in lines)
    for line in lines:
        assert BY_MASS.isdisjoint((line["code"].get("code"), line["code"].get("alt_code"))), line["code"]
