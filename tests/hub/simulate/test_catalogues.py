"""Catalogues that fit the claims: what the insurer reads, the same by seed, and no finding about a right claim."""

from hub import simulate
from hub.insurer import catalogues
from hub.simulate.catalogues import COLUMNS, write_catalogues
from tests.hub.insurer.made import findings_of

FACILITY = "01021"


def test_the_files_are_all_that_the_insurer_reads(tmp_path):
    write_catalogues(tmp_path)
    assert {name: set(columns) for name, columns in COLUMNS.items()} == {
        name: set(columns) for name, columns in catalogues.COLUMNS.items()
    }
    assert set(catalogues.read_catalogues(tmp_path)) == set(COLUMNS)


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_catalogues(tmp_path / name, seed, [FACILITY])
    first, again, other = ([(tmp_path / name / f"{one}.csv").read_bytes() for one in COLUMNS] for name in "abc")
    assert first == again
    assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))


def test_each_price_has_changed_once_without_a_gap(tmp_path):
    write_catalogues(tmp_path, 1, [FACILITY])
    rows = catalogues.read_catalogues(tmp_path)["services"].of([FACILITY])
    of_glucose = rows.filter(code="23.0075.1494").sort("valid_from")
    assert of_glucose.select("valid_from", "valid_to").rows() == [("20250101", "20260531"), ("20260601", "99999999")]
    assert of_glucose.get_column("price").n_unique() == 2


def test_a_right_claim_has_no_finding(tmp_path):
    write_catalogues(tmp_path)
    made = [one.event for one in simulate.nation(5, 300) if not one.expected]
    assert findings_of(*made, against=catalogues.read_catalogues(tmp_path)).to_dicts() == []
