"""The directory in force: the shipped one or one's own, followed when the file changes, and never replaced by half a one."""

import os
from datetime import date

import pytest

from hub.contract import directory, telemetry
from hub.contract.directory import Watch, edition, facilities, heir, names_of, same_facility, use_directory
from hub.contract.errors import HubError

HEADER = "code,name,kind,province,valid_from,valid_to,successor"
FIRST, SECOND, THIRD = "26001,A,hospital,26,2019-01-01", "26002,B,hospital,26,2019-01-01", "26003,C,clinic,26,2019-01-01"
TODAY = date(2026, 11, 27)


@pytest.fixture
def own(tmp_path):
    """A folder whose file a test writes; the shipped directory is in force again afterwards."""
    clock = iter(range(1, 1000))

    def write(*rows):
        lines = [row + "," * (6 - row.count(",")) for row in rows]
        fresh = tmp_path / "facilities.new"
        fresh.write_text("\n".join([HEADER, *lines]) + "\n", "utf-8")
        os.utime(fresh, (moment := next(clock), moment))
        fresh.replace(tmp_path / "facilities.csv")
        return tmp_path

    yield write
    use_directory(None)


@pytest.fixture
def told(monkeypatch):
    """The happenings: how many facilities were taken, or what was wrong."""
    lines = []
    monkeypatch.setattr(telemetry, "directory_taken", lines.append)
    monkeypatch.setattr(telemetry, "fault", lambda stage, code, where: lines.append((stage, code, where)))
    return lines


def test_a_folder_of_ones_own_replaces_the_shipped_directory(own):
    assert "01004" in facilities()
    assert use_directory(own(FIRST)) is facilities()
    assert list(facilities()) == ["26001"]
    use_directory(None)
    assert "01004" in facilities()


def test_a_directory_with_a_fault_is_refused_by_line_and_column(own):
    with pytest.raises(HubError) as wrong:
        use_directory(own("26001,A,hospital,99,2019-01-01", "2,B,spital,26,2019-01-01"))
    assert wrong.value.code == "SETTING_WRONG"
    assert wrong.value.where.startswith("facilities.csv line 2, province: ")
    assert wrong.value.where.endswith("; 2 more: hie directory check")
    assert "01004" in facilities(), "what was in force stays"


def test_a_folder_without_the_file_is_named(tmp_path, own):
    with pytest.raises(HubError, match=r"there is no file facilities\.csv"):
        use_directory(tmp_path)


# --- followed ---------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_taken_once_it_stands_still(own, told):
    use_directory(own(FIRST))
    watch, before = Watch(), edition()
    own(FIRST, SECOND)
    watch.look()
    assert "26002" not in facilities(), "somebody may still be writing it"
    own(FIRST, SECOND, THIRD)
    watch.look()
    watch.look()
    assert list(facilities()) == ["26001", "26002", "26003"]
    assert edition() > before
    assert told == [3]


def test_a_file_that_does_not_change_is_read_once(own, told, monkeypatch):
    use_directory(own(FIRST))
    monkeypatch.setattr(directory, "read_facilities", None)
    watch = Watch()
    for _ in range(3):
        watch.look()
    assert told == []


def test_a_fault_is_told_once_and_the_directory_before_it_stays(own, told):
    use_directory(own(FIRST))
    known, watch, before = facilities(), Watch(), edition()
    own(FIRST, "Nguyễn Thị Bí Mật,B,hospital,26,2019-01-01")
    for _ in range(4):
        watch.look()
    assert facilities() is known and edition() == before
    [(stage, code, where)] = told
    assert (stage, code) == ("directory", "SETTING_WRONG") and where.startswith("facilities.csv line 3, code")
    assert "Bí Mật" not in where
    own(FIRST, SECOND)
    watch.look()
    watch.look()
    assert "26002" in facilities() and told[1:] == [2]


def test_a_file_that_is_gone_changes_nothing(own, told):
    folder = own(FIRST)
    use_directory(folder)
    watch = Watch()
    (folder / "facilities.csv").unlink()
    for _ in range(3):
        watch.look()
    assert list(facilities()) == ["26001"]
    assert [line[1] for line in told] == ["SETTING_WRONG"]


def test_what_the_file_system_refuses_is_told_and_the_next_change_is_looked_at(own, told):
    def unreadable(_dialects):
        raise PermissionError(13, "Permission denied", "/somewhere/profile.toml")

    use_directory(own(FIRST))
    watch = Watch()
    directory._in_force.unusable = unreadable
    own(FIRST, SECOND)
    for _ in range(3):
        watch.look()
    assert told == [("directory", "SETTING_WRONG", "Permission denied")]
    directory._in_force.unusable = directory.unchecked
    own(FIRST, SECOND, THIRD)
    watch.look()
    watch.look()
    assert list(facilities()) == ["26001", "26002", "26003"]


# --- who stands for whom ----------------------------------------------------------------------------------------------


def test_a_closed_facility_is_stood_in_for_by_the_end_of_its_chain(own):
    use_directory(own(FIRST + ",2025-03-31,26002", SECOND + ",2026-03-31,26003", THIRD))
    days = [date(2018, 12, 31), date(2025, 3, 31), date(2025, 4, 1), date(2026, 4, 1)]
    assert [heir("26001", day) for day in days] == ["", "26001", "26002", "26003"]


def test_a_facility_has_all_names_of_those_that_were_merged_into_it_by_then(own):
    use_directory(own(FIRST + ",2025-03-31,26002", SECOND + ",2026-03-31,26003", THIRD))
    assert names_of("26003", date(2026, 4, 1)) == ("26003", "26001", "26002")
    assert names_of("26001", date(2026, 4, 1)) == ("26001", "26002", "26003")
    assert names_of("26002", date(2025, 4, 1)) == ("26002", "26001")
    assert names_of("26003", date(2025, 4, 1)) == ("26003",)
    assert names_of("99999", TODAY) == ("99999",)
    assert same_facility("26001", "26003", date(2026, 4, 1))
    assert not same_facility("26001", "26003", date(2025, 4, 1))
    assert not same_facility("99999", "", TODAY)


def test_nobody_stands_for_one_that_only_closed_or_is_unknown(own):
    use_directory(own(FIRST + ",2025-03-31", SECOND + ",2025-03-31,26001"))
    assert [heir(code, TODAY) for code in ("26001", "26002", "99999", "")] == ["", "", "", ""]
