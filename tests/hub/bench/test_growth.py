"""A ledger made large out of a few claims: each copy is of another month and nothing of it can clash, and half of its people come again."""

import polars as pl
import pytest

from hub.bench import growth
from hub.bench.growth import MONTHS, batches, copied, look, tidy
from hub.contract.settings import read_settings
from hub.insurer.ledger import TABLES, Ledger, files_of, scan, schema_of
from hub.insurer.settlement import claims_of


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "_BATCH", 40)
        patch.setattr(growth, "_MADE", 80)
        return batches()


def test_copies_have_keys_persons_and_months_of_their_own_and_all_their_rows(made, tmp_path):
    ledger = Ledger(tmp_path, "topic-a")
    for number in range(2 * len(MONTHS)):
        ledger.append(*copied(made[number % 2], number, "topic-a"))
    found = {name: scan(files_of(tmp_path, name), schema_of(name)).collect() for name in TABLES}
    claims = found["claims"]
    assert claims.height == 2 * len(MONTHS) * 40
    assert claims.n_unique("event_id") == claims.n_unique("key") == claims.height
    visits = claims.group_by("so_cccd").len().get_column("len")
    assert visits.value_counts().sort("len").rows() == [(1, 12 * 20), (len(MONTHS), 2 * 20)]
    assert claims.get_column("so_cccd").str.len_chars().unique().to_list() == [12]
    assert found["lines"].height == len(MONTHS) * sum(frames["lines"].height for frames in made)
    assert found["lines"].join(claims, on="event_id", how="anti").is_empty()
    assert [claims_of(tmp_path, month).height for month in MONTHS] == [80] * len(MONTHS)
    assert claims.select(pl.col("kafka_offset").max()).item() + 1 == ledger.committed(growth._PARTITION)


def test_what_people_ask_is_timed_on_it_and_files_become_few(made, tmp_path):
    settings = read_settings(data_dir=tmp_path)
    ledger = Ledger(settings.ledger, "topic-a")
    for number in range(64):
        ledger.append(*copied(made[number % 2], number, "topic-a"))
    assert tidy(settings)["claims"] == (64, 1)
    assert set(look(settings)) >= {"statement", "explain", "ask month"}
