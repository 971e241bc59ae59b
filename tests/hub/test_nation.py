"""The invented nation: as large as told, the same each time, and without a fault."""

import pytest

from hub.contract.directory import unchecked
from hub.contract.errors import HubError
from hub.contract.facilities import provinces, read_facilities
from hub.nation import HOSPITALS, OTHERS, PRIVATE, nation, write_nation


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    return read_facilities(write_nation(tmp_path_factory.mktemp("nation"), 1, ["_standard", "songhong_his"]), unchecked)


def test_it_passes_the_check_that_every_directory_has_to(read):
    found, faults = read
    assert faults == []
    assert len(found) == HOSPITALS + OTHERS == 12_485


def test_it_is_made_up_as_the_country_is(read):
    facilities = read[0].values()
    hospitals = [one for one in facilities if one.kind == "hospital"]
    assert len(hospitals) == HOSPITALS
    assert sum(one.name_en.startswith("Private") for one in hospitals) == PRIVATE
    assert {one.province for one in facilities} == set(provinces().before)
    assert {one.dialect for one in hospitals} == {"_standard", "songhong_his"}


def test_some_are_closed_some_merged_and_some_of_those_again(read):
    found = read[0]
    merged = [one for one in found.values() if one.successor]
    assert 0 < len(merged) < sum(one.valid_to is not None for one in found.values())
    assert any(found[one.successor].successor for one in merged)


def test_the_seed_decides():
    assert nation(7) == nation(7) != nation(8)


def test_a_directory_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "facilities.csv").write_text("mine", "utf-8")
    with pytest.raises(HubError) as refused:
        write_nation(tmp_path, 1)
    assert refused.value.code == "REQUEST_WRONG"
    assert (tmp_path / "facilities.csv").read_text("utf-8") == "mine"
