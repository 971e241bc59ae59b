"""Who does not bill, as the seeds list them."""

from datetime import date, timedelta

import pytest

from hub.contract import billing
from hub.contract.directory import facilities


def test_the_seeds_name_facilities_and_give_each_time_to_settle():
    # What settles within a minute settles once: a part must not come in the minute in which the encounter settles.
    for facility, agreed in billing._assemblies().items():
        assert facility in facilities()
        assert all(one.settle >= timedelta(minutes=1) for one in agreed)


@pytest.mark.parametrize(
    ("day", "agreed"),
    [("2025-12-31", False), ("2026-01-01", True), ("2026-06-30", True), ("2026-07-01", False), ("2026-08-01", True)],
)
def test_an_agreement_has_its_days(tmp_path, monkeypatch, day, agreed):
    (tmp_path / "assembly.csv").write_text(
        "facility,valid_from,valid_to,settle_minutes\n01918,2026-01-01,2026-06-30,60\n01918,2026-08-01,,180\n"
    )
    monkeypatch.setattr(billing, "shipped", lambda name: tmp_path / name.removeprefix("seeds/"))
    monkeypatch.setattr(billing, "_assemblies", billing._assemblies.__wrapped__)
    assert billing.assembles_on("01918", date.fromisoformat(day)) == agreed
    assert not billing.assembles_on("01021", date.fromisoformat(day))
    assert billing.assembles("01918")
    assert billing.settle_time("01918") == timedelta(minutes=180)
