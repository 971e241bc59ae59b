"""`hie directory`: a facility looked up and found, a file checked, a nation written."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.dialects.profile import use_vendors
from hub.cli.main import app
from hub.contract.directory import use_directory
from hub.contract.errors import HubError

ROWS = """code,name,name_en,route,level,kind,province,dialect,valid_from,valid_to,successor
26001,Bệnh viện huyện Đồng Lĩnh,Dong Linh Hospital,district,basic,hospital,26,songhong_his,2019-01-01,2025-08-31,26002
26002,Bệnh viện Sông Lô,Song Lo Hospital,province,specialised,hospital,26,_standard,2019-01-01,,
15003,Trạm y tế xã Hồ Thác,,commune,initial,commune station,15,_standard,2019-01-01,,
"""


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "facilities.csv").write_text(ROWS, "utf-8")
    monkeypatch.setenv("HIE_DIRECTORY_DIR", str(tmp_path))
    yield tmp_path
    use_directory(None)


def hie(*arguments):
    return CliRunner().invoke(app, ["directory", *map(str, arguments)])


def codes(*arguments):
    return [row["code"] for row in json.loads(hie("find", *arguments, "--json").stdout)]


def test_a_facility_is_shown_as_it_was_and_is():
    text = hie("show", "26001").stdout
    for part in (
        "26001 Bệnh viện huyện Đồng Lĩnh · Dong Linh Hospital",
        "closed, since 01/01/2019, until 31/08/2025",
        "26002 Bệnh viện Sông Lô",
        "district 01/01/2019 – 31/12/2024; basic 01/01/2025 – 31/08/2025",
        "26 Vĩnh Phúc; 25 Phú Thọ since 01/07/2025",
        "songhong_his",
    ):
        assert part in text


def test_a_province_may_change_its_name_and_keep_its_code():
    assert "15 Yên Bái; 15 Lào Cai since 01/07/2025" in hie("show", "15003").stdout


def test_for_programs_it_is_json():
    row = json.loads(hie("show", "26001", "--json").stdout)
    assert (row["open"], row["stands_in"], row["province_today"], row["level"]) == (False, "26002", "25", "")
    assert row["levels"][0] == {"level": "district", "since": "2019-01-01", "until": "2024-12-31"}


def test_an_unknown_facility_is_not_found():
    wrong = hie("show", "01004").exception
    assert isinstance(wrong, HubError) and wrong.code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dong linh", ["26001"]),
        ("ĐỒNG", ["26001"]),
        ("song lo", ["26002"]),
        ("2600", ["26001", "26002"]),
        ("phu tho", ["26001", "26002"]),
        ("vinh phuc", ["26001", "26002"]),
        ("nowhere", []),
    ],
)
def test_it_is_found_by_name_without_accents_code_or_province(text, found):
    assert codes(text) == found
    assert hie("find", text).exit_code == (0 if found else 1)


def test_of_many_the_first_are_shown():
    text = hie("find", "26", "--limit", 1).stdout
    assert "26001" in text and "… and 1 more" in text
    assert codes("26", "--limit", 1) == ["26001"]


def test_a_directory_without_fault_is_told_so():
    done = hie("check")
    assert done.exit_code == 0
    assert "3 facilities, 2 open today; no fault" in done.stdout.replace("\n", "")


def test_every_fault_is_listed_with_its_line(own: Path):
    bad = own / "bad"
    bad.mkdir()
    text = ROWS.replace("songhong_his", "gone_his").replace("15003", "1503").replace(",26002\n", ",26009\n")
    (bad / "facilities.csv").write_text(text, "utf-8")
    done = hie("check", bad)
    assert done.exit_code == 1
    told = json.loads(hie("check", bad, "--json").stdout)["faults"]
    assert [(one["line"], one["column"]) for one in told] == [(2, "dialect"), (2, "successor"), (4, "code")]
    for part in ("line 2, dialect: there is no dialect of this name", "line 2, successor: no row has this code", "line 4, code"):
        assert part in done.stdout
    assert "gone_his" not in done.stdout
    assert "3 faults: it would not be taken" in done.stdout.replace("\n", " ")
    (bad / "facilities.csv").write_text(ROWS.replace("songhong_his", "gone_his"), "utf-8")
    assert "1 fault: it would not be taken" in hie("check", bad).stdout.replace("\n", " ")


def test_a_fault_of_a_profile_that_no_row_names_is_told_beside_it_and_stops_nothing(own: Path, monkeypatch):
    vendors = own / "vendors"
    vendors.mkdir()
    (vendors / "other_his.toml").write_text('extends = "_standard"\nversion = "1"\n[person]\nten = "PID-5"\n', "utf-8")
    monkeypatch.setenv("HIE_VENDORS_DIR", str(vendors))
    try:
        for done in (hie("check"), hie("show", "26001"), hie("find", "dong linh")):
            assert done.exit_code == 0
            assert "other_his.toml person.ten: no rule fills such a field" in done.stderr
        (own / "facilities.csv").write_text(ROWS.replace("songhong_his", "other_his"), "utf-8")
        done = hie("check")
        assert done.exit_code == 1 and "line 2, dialect: other_his.toml person.ten" in done.stdout
    finally:
        use_vendors(None)


def test_the_shipped_directory_has_no_fault(monkeypatch):
    monkeypatch.delenv("HIE_DIRECTORY_DIR")
    assert hie("check").exit_code == 0


def test_a_nation_is_written_and_passes_its_check(tmp_path):
    assert hie("nation", tmp_path / "nation").exit_code == 0
    done = hie("check", tmp_path / "nation", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["facilities"] == 12_485
