"""A facility over time, and what a file is refused for: by line, column and sentence, never by what stands in it."""

from datetime import date

import pytest

from hub.contract.directory import unchecked
from hub.contract.errors import HubError
from hub.contract.facilities import COLUMNS, Fault, provinces, read_facilities

HEADER = ",".join(COLUMNS)
ROW = {"code": "26001", "name": "Bệnh viện Thử", "kind": "hospital", "province": "26", "valid_from": "2019-01-01"}
GOOD = ROW | {"code": "26009", "gln": "8930000260097"}


@pytest.fixture
def read(tmp_path):
    """Reads rows, each given by the cells that are not empty."""

    def reading(*rows, header=HEADER, unusable=unchecked):
        lines = [",".join(f'"{row.get(name, "")}"' for name in header.split(",")) for row in rows]
        path = tmp_path / "facilities.csv"
        path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
        return read_facilities(path, unusable)

    return reading


def one_of(read, **cells):
    found, faults = read(ROW | cells)
    assert faults == []
    return found["26001"]


# --- over time --------------------------------------------------------------------------------------------------------


def test_a_route_ends_with_2024_and_a_level_begins_then(read):
    one = one_of(read, route="district; province 2022-05-01", level="basic; specialised 2026-03-01")
    assert list(one.levels()) == [
        ("district", date(2019, 1, 1), date(2022, 4, 30)),
        ("province", date(2022, 5, 1), date(2024, 12, 31)),
        ("basic", date(2025, 1, 1), date(2026, 2, 28)),
        ("specialised", date(2026, 3, 1), None),
    ]
    days = [date(2018, 1, 1), date(2022, 4, 30), date(2024, 12, 31), date(2025, 1, 1), date(2026, 11, 27)]
    assert [one.level_on(day) for day in days] == ["", "district", "province", "basic", "specialised"]


def test_levels_are_those_of_the_days_it_was_open(read):
    assert list(one_of(read, route="commune", level="initial", valid_to="2024-06-30").levels()) == [
        ("commune", date(2019, 1, 1), date(2024, 6, 30))
    ]
    late = one_of(read, valid_from="2025-09-01", province="25", level="initial")
    assert list(late.levels()) == [("initial", date(2025, 9, 1), None)]


def test_a_level_that_is_not_stated_is_none(read):
    one = one_of(read, route="district")
    assert (one.level_on(date(2024, 12, 31)), one.level_on(date(2025, 1, 1))) == ("district", "")


def test_the_province_follows_the_map_and_a_code_may_change_its_name():
    assert (len(provinces().before), len(provinces().after)) == (63, 34)
    assert set(provinces().successor.values()) == set(provinces().after)
    assert provinces().name("15", date(2025, 6, 30)) == "Yên Bái"
    assert provinces().name("15", date(2025, 7, 1)) == "Lào Cai"


def test_a_facility_stands_in_the_province_of_the_day(read):
    one = one_of(read)
    assert (one.province_on(date(2025, 6, 30)), one.province_on(date(2025, 7, 1))) == ("26", "25")
    late = one_of(read, valid_from="2025-07-01", province="25")
    assert late.province_on(date(2026, 1, 1)) == "25"


def test_what_may_be_left_out_has_a_default(read):
    found, faults = read(ROW, header="code,name,kind,province,valid_from")
    assert faults == []
    one = found["26001"]
    assert (one.dialect, one.receives, one.gln, one.successor, one.valid_to) == ("_standard", frozenset(), "", "", None)


def test_what_it_can_receive_is_a_list_of_records(read):
    assert one_of(read, receives="LabOrder; ClaimDecision").receives == {"LabOrder", "ClaimDecision"}


def test_a_file_of_a_spreadsheet_begins_with_a_mark_and_may_have_blank_lines(tmp_path):
    path = tmp_path / "facilities.csv"
    path.write_bytes("\ufeffcode,name,kind,province,valid_from\r\n26001, Thử ,clinic,26,2019-01-01\r\n\r\n".encode())
    found, faults = read_facilities(path, unchecked)
    assert (faults, found["26001"].name) == ([], "Thử")


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("code", "2601"),
        ("code", "26 01"),
        ("code", "２６００１"),
        ("name", ""),
        ("route", "basic"),
        ("route", "district; province"),
        ("route", "district; province 2025-01-01"),
        ("route", "district; province 2022-05-01; central 2022-05-01"),
        ("level", "district"),
        ("level", "basic 2024-12-31"),
        ("level", "basic; specialised 2026-02-30"),
        ("level", "basic; specialised 2027-01-01; basic 2026-01-01"),
        ("kind", "spital"),
        ("province", "99"),
        ("province", ""),
        ("receives", "Patient"),
        ("gln", "89300002600"),
        ("valid_from", "01/02/2019"),
        ("valid_from", "1546300800"),
        ("valid_from", "2019-W01-1"),
        ("valid_to", "2018-12-31"),
        ("valid_to", "1546300800"),
        ("valid_to", "soon"),
    ],
)
def test_a_cell_that_says_nothing_sensible_is_named_and_not_quoted(read, column, cell):
    _, faults = read(GOOD, ROW | {column: cell})
    assert faults == [Fault(3, column, COLUMNS[column])]


def test_every_fault_of_every_row_is_told(read):
    _, faults = read(ROW | {"code": "1", "gln": "2"}, GOOD, ROW | {"kind": ""})
    assert [(fault.line, fault.column) for fault in faults] == [(2, "code"), (2, "gln"), (4, "kind")]


def test_a_new_facility_stands_in_one_of_the_34(read):
    _, faults = read(ROW | {"valid_from": "2025-07-01", "province": "26"})
    assert [fault.column for fault in faults] == ["province"]


def test_a_code_and_a_number_are_one_facilitys_own(read):
    _, faults = read(GOOD, GOOD | {"code": "26002"}, GOOD | {"gln": ""})
    assert [str(fault) for fault in faults] == [
        "line 3, gln: line 2 has the same number",
        "line 4, code: line 2 has the same code",
    ]


def test_a_successor_exists_and_comes_after_an_end(read):
    closed = ROW | {"valid_to": "2025-06-30"}
    assert read(closed | {"successor": "26009"}, GOOD)[1] == []
    assert read(closed | {"successor": "26008"}, GOOD)[1] == [Fault(2, "successor", "no row has this code")]
    [missing] = read(ROW | {"successor": "26009"}, GOOD)[1]
    assert missing.column == "valid_to"


def test_a_successor_in_a_refused_row_is_no_second_fault(read):
    _, faults = read(ROW | {"valid_to": "2025-06-30", "successor": "26009"}, GOOD | {"kind": ""})
    assert [fault.line for fault in faults] == [3]


def test_successors_make_no_circle(read):
    ends = {"valid_to": "2025-06-30"}
    ring = [ROW | ends | {"code": f"2600{at}", "successor": f"2600{at % 3 + 1}"} for at in (1, 2, 3)]
    into_it = ROW | ends | {"code": "26004", "successor": "26001"}
    _, faults = read(*ring, into_it)
    assert [(fault.line, fault.column) for fault in faults] == [(2, "successor"), (3, "successor"), (4, "successor")]


def test_a_dialect_that_cannot_be_used_is_said_why(read):
    _, faults = read(ROW | {"dialect": "gone_his"}, unusable=lambda names: {"gone_his": "it is gone"} if names else {})
    assert faults == [Fault(2, "dialect", "it is gone")]


@pytest.mark.parametrize("header", ["code,name,kind,province", HEADER + ",level_of_care", HEADER + ",code", "", "code;name"])
def test_a_first_line_that_names_no_columns_is_one_fault(read, header):
    found, [fault] = read(ROW, header=header)
    assert (found, fault.line) == ({}, 1)


def test_a_row_of_another_length_is_named(tmp_path):
    path = tmp_path / "facilities.csv"
    path.write_text("code,name,kind,province,valid_from\n26001,Thử,clinic,26\n26002,Thử,clinic,26,2019-01-01\n", "utf-8")
    _, [fault] = read_facilities(path, unchecked)
    assert (fault.line, fault.text) == (2, "4 cells, where the first line has 5")


def test_an_empty_directory_is_none(read):
    assert [fault.text for fault in read()[1]] == ["there is no facility in it"]


@pytest.mark.parametrize("header", [HEADER, "code,name,kind,province,valid_from"])
def test_faults_end_somewhere(tmp_path, header):
    path = tmp_path / "facilities.csv"
    path.write_text(header + "\n" + f"?{',' * (len(COLUMNS) - 1)}\n" * 1000, "utf-8")
    assert 200 <= len(read_facilities(path, unchecked)[1]) < 220


@pytest.mark.parametrize("content", [None, b"\xff\xfecode", b'code,name,kind,province,valid_from\n"26001'])
def test_what_is_no_file_of_the_kind_is_refused_by_its_name(tmp_path, content):
    path = tmp_path / "facilities.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HubError) as wrong:
        read_facilities(path, unchecked)
    assert wrong.value.code == "SETTING_WRONG" and "facilities.csv" in wrong.value.where
