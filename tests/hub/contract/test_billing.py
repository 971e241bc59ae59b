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
    ("day", "minutes"),
    [("2025-12-31", None), ("2026-01-01", 60), ("2026-06-30", 60), ("2026-07-01", 180), ("2030-01-01", 180)],
)
def test_an_agreement_has_its_days(tmp_path, monkeypatch, day, minutes):
    (tmp_path / "assembly.csv").write_text(
        "facility,valid_from,valid_to,settle_minutes\n01918,2026-01-01,2026-06-30,60\n01918,2026-07-01,,180\n"
    )
    monkeypatch.setattr(billing, "shipped", lambda name: tmp_path / name.removeprefix("seeds/"))
    monkeypatch.setattr(billing, "_assemblies", billing._assemblies.__wrapped__)
    assert billing.settling("01918", date.fromisoformat(day)) == (minutes and timedelta(minutes=minutes))
    assert billing.settling("01021", date.fromisoformat(day)) is None
    assert billing.assembles("01918")
