"""Compaction: fewer files, the same rows in the same order, while workers go on; nothing of it moves an offset."""

import threading
from datetime import timedelta

import pytest
from deltalake.exceptions import CommitFailedError

from hub.contract.errors import HubError
from hub.insurer import compaction
from hub.insurer.compaction import compact, replacing
from hub.insurer.ledger import TABLES, Ledger, files_of, scan, schema_of
from hub.simulate import claims_with_faults
from tests.hub.insurer.made import batch

BATCHES, EACH = 6, 3


@pytest.fixture(scope="module")
def events():
    return [made.event for made in claims_with_faults(21, EACH, 26, {"X05 xml1.t_tongchi_bv off": 1.0})]


def appended(ledger, events, number):
    ledger.append(batch(events, [(0, number * EACH + place) for place in range(EACH)]), {0: (number + 1) * EACH})


@pytest.fixture
def folder(tmp_path, events):
    ledger = Ledger(tmp_path, "topic-a")
    for number in range(BATCHES):
        appended(ledger, events, number)
    return tmp_path


def rows(folder):
    return {
        name: scan(files_of(folder, name), schema_of(name)).sort("kafka_offset", maintain_order=True).collect() for name in TABLES
    }


def parquet(folder):
    return len(list(folder.rglob("part-*.parquet")))


def test_many_files_become_one_with_the_same_rows_in_the_same_order(folder):
    before = rows(folder)
    assert compact(folder, least=BATCHES) == dict.fromkeys(TABLES, (BATCHES, 1))
    assert all(rows(folder)[name].equals(before[name]) for name in TABLES)
    assert Ledger(folder, "topic-a").committed(0) == BATCHES * EACH
    assert Ledger(folder, "topic-a").rows("lines", 0, 4, 5).height == before["lines"].filter(kafka_offset=4).height


def test_few_files_are_left_alone(folder):
    assert compact(folder, least=BATCHES + 1) == {}
    assert len(files_of(folder, "claims")) == BATCHES


def test_a_worker_that_was_open_before_goes_on_and_a_half_written_batch_is_completed_exactly(folder, events, monkeypatch):
    ledger, frames = Ledger(folder, "topic-a"), batch(events, [(0, BATCHES * EACH + place) for place in range(EACH)])
    end = {0: (BATCHES + 1) * EACH}
    ledger._write("lines", frames["lines"], end)  # a kill between two tables
    compact(folder, least=2)
    again = Ledger(folder, "topic-a")
    assert again.interrupted(0) == end[0]
    again.append(frames, end)
    appended(again, events, BATCHES + 1)
    assert {name: table.filter(kafka_offset=BATCHES * EACH).height for name, table in rows(folder).items()} == {
        name: frame.filter(kafka_offset=BATCHES * EACH).height for name, frame in frames.items()
    }
    with pytest.raises(CommitFailedError):
        appended(ledger, events, BATCHES)  # who has not seen the others' batch is refused, as without compaction


def test_batches_are_appended_while_it_runs(folder, events):
    ledger, left = Ledger(folder, "topic-a"), 12

    def append():
        for number in range(BATCHES, BATCHES + left):
            appended(ledger, events, number)

    writing = threading.Thread(target=append)
    writing.start()
    while writing.is_alive():
        compact(folder, least=2)
    compact(folder, least=2)
    assert rows(folder)["claims"].get_column("kafka_offset").to_list() == list(range((BATCHES + left) * EACH))
    assert len(files_of(folder, "claims")) == 1


def test_what_was_replaced_stays_for_slow_readers_and_is_deleted_later(folder):
    held = files_of(folder, "claims")
    compact(folder, least=2)
    assert scan(held, schema_of("claims")).collect().height == BATCHES * EACH
    compact(folder, least=2, kept=timedelta(0))
    assert parquet(folder) == len(TABLES)
    assert rows(folder)["claims"].height == BATCHES * EACH


def test_a_large_file_is_not_written_again(folder, monkeypatch):
    compact(folder, least=2)
    monkeypatch.setattr(compaction, "LARGE", 1)
    assert compact(folder, least=1) == {}


def test_of_two_at_once_the_second_is_refused(folder):
    before = rows(folder)
    with replacing(folder), pytest.raises(HubError, match="LEDGER_CONFLICT"):
        compact(folder, least=2)
    assert compact(folder, least=2) == dict.fromkeys(TABLES, (BATCHES, 1))
    assert all(rows(folder)[name].equals(before[name]) for name in TABLES)
