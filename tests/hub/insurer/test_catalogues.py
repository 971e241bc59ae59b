"""Files of catalogues: what is read, and what is refused by naming file and column only."""

import pytest

from hub.contract.errors import HubError
from hub.insurer.catalogues import read_catalogues

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
