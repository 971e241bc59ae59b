"""Files of catalogues: what is read, and what is refused by naming file and column only."""

import pytest

from hub.contract.errors import HubError
from hub.insurer.catalogues import COLUMNS, RULES_OF, kinds_in, read_catalogues, unchecked
from hub.insurer.rules.catalogues import RULES

HEADER = "facility,licence,valid_from,valid_to\n"


def read(folder, text):
    (folder / "staff.csv").write_text(text, "utf-8")
    return read_catalogues(folder)


def test_rows_are_found_by_facility_whatever_their_order(tmp_path):
    rows = "01021,b,2026-01-01,\n01004,a,2026-01-01,2026-05-31\n01021,c,2026-01-01,\n"
    staff = read(tmp_path, HEADER + rows)["staff"]
    assert staff.of(["01021"]).get_column("licence").to_list() == ["b", "c"]
    assert staff.of(["01004"]).rows() == [("01004", "a", "20260101", "20260531")]
    assert staff.of(["01731"]).height == 0


def test_a_folder_without_files_has_no_catalogues(tmp_path):
    assert read_catalogues(tmp_path) == {}


@pytest.mark.parametrize("text", ["facility,licence\n", HEADER + "01021,secret,someday,\n"])
def test_a_fault_names_the_file_and_no_cell(tmp_path, text):
    with pytest.raises(HubError, match=r"staff\.csv") as refused:
        read(tmp_path, text)
    assert "secret" not in str(refused.value)


def test_what_stays_unchecked_is_one_sentence_in_both_languages(tmp_path):
    vi, en = unchecked(kinds_in(None))
    assert (
        en == "There are no catalogues (HIE_CATALOGUE_DIR): rules C01, C10–C13, C20–C24, C30–C32, C40, C50–C52 are not checked."
    )
    assert "các quy tắc C01, C10–C13, C20–C24, C30–C32, C40, C50–C52 không được kiểm tra" in vi
    read(tmp_path, HEADER)
    assert unchecked(kinds_in(tmp_path))[1].startswith("HIE_CATALOGUE_DIR lacks drugs.csv, services.csv, supplies.csv, icd.csv: ")
    assert unchecked(COLUMNS) is None


def test_the_rules_that_need_a_catalogue_are_all_said():
    said = {name for rules in RULES_OF.values() for name in rules.split("–")}
    assert said <= {rule.id for rule in RULES}
    assert {rule.id[:2] for rule in RULES} - {one[:2] for one in said} == {"C0"}
