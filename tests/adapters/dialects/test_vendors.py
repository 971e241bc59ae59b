"""What the dialects of `vendors/` show together: habits that take more than one golden message to see."""

import re
from pathlib import Path

import pytest

from adapters.dialects.profile import STANDARD, dialect_names
from adapters.inbound.received import Received
from adapters.inbound.translate import split, translate
from hub.contract.directory import facilities
from hub.contract.events import Event
from tests.adapters.dialects.goldens import FOLDER, KEYRING, RECEIVED_AT, cases, translated

ROOT = Path(__file__).parents[3]


def event(case: str) -> Event:
    [(_, only)] = translated(FOLDER / f"{case}.hl7").events
    return only


def identifiers(of: Event, kind: str) -> list[str]:
    return [each["normalised"] for each in of["person"]["identifiers"] if each["type"] == kind]


def test_every_dialect_belongs_to_a_facility_and_no_code_knows_its_name() -> None:
    vendors = [name for name in dialect_names() if name != STANDARD]
    assert len(vendors) >= 12
    assert set(vendors) <= {facility.dialect for facility in facilities().values()}
    for source in (ROOT / "adapters").rglob("*.py"):
        text = source.read_text("utf-8")
        assert [name for name in vendors if name in text] == [], source.name


@pytest.mark.parametrize("path", [path for path in cases() if path.parent.name != STANDARD], ids=lambda path: path.stem)
def test_the_samples_of_a_vendor_are_read_by_its_own_dialect(path: Path) -> None:
    assert translated(path).message["dialect"] == path.parent.name


def test_every_dialect_is_in_the_list_of_the_readme() -> None:
    text = (ROOT / "adapters" / "dialects" / "README.md").read_text("utf-8")
    assert [name for name in dialect_names() if f"| `{name}` |" not in text] == []


def test_every_conformance_sample_that_the_list_names_is_there() -> None:
    _, _, table = (FOLDER.parent / "README.md").read_text("utf-8").partition("## Where each conformance sample is")
    rows = re.findall(r"^\| (\d+) .*\| (.+) \|$", table, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 14))
    there = {f"{path.parent.name}/{path.stem}" for path in cases()}
    for _, where in rows:
        folder = ""
        for name in re.findall(r"`([^`]+)`", where):
            folder = name.rpartition("/")[0] or folder
            assert f"{folder}/{name.rpartition('/')[2]}" in there


def test_a_name_of_a_file_means_nothing() -> None:
    placed = event("trucxanh_his/ORM_910233_180001_20261123142000")
    withdrawn = event("trucxanh_his/ORM_910233_180001_20261123151000")
    assert (placed["action"], withdrawn["action"]) == ("PLACED", "CANCELLED")
    assert placed["meta"]["key"] == withdrawn["meta"]["key"]
    assert placed["meta"]["revision"]["stated_at"] < withdrawn["meta"]["revision"]["stated_at"]


@pytest.mark.parametrize(
    ("application", "name", "authority", "issuer"),
    [
        ("TRUCXANH", "BVTX", "", "VN-CSKCB-01914"),
        ("TRUCXANH", "BVTX", "BVTX", "VN-CSKCB-01914"),  # its own alias is no other origin
        ("TRUCXANH", "BVTX", "LAB2", "VN-CSKCB-01914/LAB2"),
        ("TRUCXANH", "BVTX", "01004", "VN-CSKCB-01004"),
        ("SONGHONG_HIS", "CS1", "CS1", "VN-CSKCB-01004/CS1"),  # of two branches each may count from 1
        ("TAMDAO_HIS", "CS1", "CS2", "VN-CSKCB-01912/CS2"),  # the alias of another facility
        ("TAMDAO_HIS", "CS1", "VN-CSKCB-01004/CS1", "VN-CSKCB-01004/CS1"),  # as the hub passed it on
        ("TRUCXANH", "BVTX", "VN-CSKCB-01004/BVTX", "VN-CSKCB-01004/BVTX"),  # where its own alias is another's authority
        ("TRUCXANH", "BVTX", "VN-CSKCB-01004/CS1&1.2.704&ISO", "VN-CSKCB-01004/CS1"),
        ("TRUCXANH", "BVTX", "VN-CSKCB-01914/LAB2", "VN-CSKCB-01914/LAB2"),
        ("TRUCXANH", "BVTX", "VN-CSKCB-01914/BVTX", "VN-CSKCB-01914"),
        ("TRUCXANH", "BVTX", "KHU A/LAB2", "VN-CSKCB-01914/KHU A/LAB2"),
    ],
)
def test_whose_a_patient_number_is(application: str, name: str, authority: str, issuer: str) -> None:
    raw = (
        f"MSH|^~\\&|{application}|{name}|HIS|HUB|20261123142000||ADT^A04|N1|P|2.5.1\r"
        f"PID|1||TX00871^^^{authority}^MR||NGUYEN^HIEN||19920305|F\rPV1|1|O|||||||||||||||||TX.2611.31\r"
    )
    [(_, only)] = translate(Received(raw.encode(), RECEIVED_AT, "mllp"), KEYRING).events
    assert [each["issuer"] for each in only["person"]["identifiers"] if each["value"] == "TX00871"] == [issuer]


def test_an_http_body_of_frames_is_its_messages() -> None:
    names = ("adt-a04-framed", "oru-r01-from-its-laboratory")
    framed = [(FOLDER / "mocmien_his" / f"{name}.hl7").read_bytes() for name in names]
    assert all(body.startswith(b"\x0b") and body.endswith(b"\x1c\r") for body in framed)
    assert split(b"".join(framed)) == [body[1:-2] for body in framed]
    for body in framed:
        inside, whole = (translate(Received(raw, RECEIVED_AT, "http"), KEYRING).events for raw in (body[1:-2], body))
        assert [one["meta"]["event_id"] for _, one in inside] == [one["meta"]["event_id"] for _, one in whole]


def test_two_branches_of_one_system_are_two_facilities() -> None:
    first, second = event("tamdao_his/adt-a01-admitted"), event("tamdao_his/adt-a04-second-branch")
    assert (first["ma_cskcb"], second["ma_cskcb"]) == ("01912", "01913")
    assert identifiers(first, "SDDCN") == identifiers(second, "SDDCN")
    assert identifiers(first, "MRN") != identifiers(second, "MRN")


def test_doctors_are_told_by_login_wherever_it_stands() -> None:
    """PV1-8 is login^name and ORC-12 name^login in one version of a product, the other way round in another."""
    assert event("songhong_his/orm-o01-one-service-line")["ma_bac_si"] == "000451/HNO-CCHN"
    assert event("tamdao_his/orm-o01-doctor-swapped")["ma_bac_si"] == "002315/HNO-CCHN"
    assert event("tamdao_his/orm-o01-doctor-in-pv1-alone")["ma_bac_si"] == "001908/HNO-CCHN"


def test_a_stay_and_the_slip_out_of_it_are_one_encounter() -> None:
    stay = [event(f"tamdao_his/adt-{name}") for name in ("a01-admitted", "a06-outpatient-admitted", "a03-transferred")]
    assert [each["action"] for each in stay] == ["OPENED", "CLASS_CHANGED", "CLOSED"]
    assert len({each["meta"]["key"] for each in stay}) == 1
    slip = event("tamdao_his/ref-i12-from-the-stay")
    assert slip["ma_lk"] == stay[0]["ma_lk"]
    assert slip["ma_cskcb_den"] == stay[-1]["ma_noi_den"]


def test_composed_and_decomposed_names_are_the_same_person() -> None:
    desk, tablet = event("trucxanh_his/adt-a04-windows-1258"), event("trucxanh_his/adt-a08-names-decomposed")
    assert (desk["meta"]["source"]["charset"], tablet["meta"]["source"]["charset"]) == ("windows-1258", "utf-8")
    assert desk["person"] == tablet["person"]


def test_a_corrected_panel_of_sixty_differs_in_one_line() -> None:
    before, after = event("nguyetcat_labs/oru-r01-60-lines"), event("nguyetcat_labs/oru-r01-60-lines-corrected")
    assert len(before["observations"]) == len(after["observations"]) == 60
    assert before["meta"]["key"] == after["meta"]["key"]
    [corrected] = [line for line, old in zip(after["observations"], before["observations"], strict=True) if line != old]
    assert (corrected["set_id"], corrected["status"], corrected["gia_tri"], corrected["flags"]) == ("10", "C", "30.1", ["N"])


def test_two_specialities_are_two_slips_of_one_visit() -> None:
    slips = [event(f"henxuan_booking/siu-s12-{name}") for name in ("cardiology", "endocrinology")]
    assert len({each["meta"]["key"] for each in slips}) == 2
    assert {each["ma_lk"] for each in slips} == {"HX.2611.70"}
    assert event("henxuan_booking/siu-s13-moved")["meta"]["key"] == slips[1]["meta"]["key"]
    assert event("henxuan_booking/siu-s26-did-not-come")["meta"]["key"] == slips[0]["meta"]["key"]


def test_a_prescription_that_replaces_another_is_a_new_one() -> None:
    old, new = event("ngocchau_pharmacy/rde-o11-issued"), event("ngocchau_pharmacy/rde-o11-replaced")
    assert new["replaces"] == old["ma_don_thuoc"]
    assert new["meta"]["key"] != old["meta"]["key"]


def test_a_credit_names_a_line_that_was_charged() -> None:
    charged, credited = event("phuquy_billing/dft-p03-drug-service-supply"), event("phuquy_billing/dft-p03-credit")
    assert charged["meta"]["key"] == credited["meta"]["key"]
    credit = credited["lines"][0]
    [line] = [each for each in charged["lines"] if each["line_id"] == credit["cancels"]]
    assert line["so_luong"] + credit["so_luong"] == 0
    assert line["ma_thuoc"] == credit["ma_thuoc"]


def test_a_report_in_rows_and_as_a_document_answer_the_same_order() -> None:
    rows, document = event("cattuong_ris/oru-r01-report-in-rows"), event("cattuong_ris/mdm-t02-report")
    assert (rows["placer"], rows["filler"]) == (document["placer"], document["filler"])
    withdrawn = event("cattuong_ris/mdm-t11-withdrawn")
    assert (withdrawn["action"], withdrawn["meta"]["key"]) == ("CANCELLED", document["meta"]["key"])
