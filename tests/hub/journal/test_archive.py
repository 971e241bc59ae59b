"""The archive read back without Kafka: whatever it holds, in little memory and no further than it is asked."""

import os
from datetime import date

import duckdb
import pytest
from confluent_kafka import Message
from deltalake.exceptions import DeltaError

from hub.contract.errors import HubError
from hub.contract.settings import read_settings
from hub.journal import archive as module
from hub.journal import consumer
from hub.journal.archive import Archive
from hub.journal.verify import _bytes

AT_MS = 1_772_415_000_123
TOPIC = "claim.v1"


def record(offset, size):
    return Message(topic=TOPIC, partition=0, offset=offset, key=b"k", value=os.urandom(size), timestamp=(1, AT_MS + offset))


def stored(folder, sizes, batch):
    """An archive of values of these sizes, so many in a commit."""
    archive = Archive.made(folder)
    for start in range(0, len(sizes), batch):
        archive.append([record(start + at, size) for at, size in enumerate(sizes[start : start + batch])], {TOPIC: "id"}, {})
    return archive


def offsets(pages):
    return [[one.offset() for one in page] for page in pages]


@pytest.mark.parametrize("compacted", [False, True])
def test_more_than_memory_holds_is_read_back_in_order(tmp_path, monkeypatch, compacted):
    monkeypatch.setattr(module, "_SORT", "24MB")
    monkeypatch.setattr(module, "_GROUP_BYTES", 1024 * 1024)
    monkeypatch.setattr(module, "_PAGE_BYTES", 4 * 1024 * 1024)
    archive = stored(tmp_path, [100_000] * 400, 100)
    if compacted:
        archive.tidy(36_500, date(2026, 3, 2))
        assert len(archive.files()) == 1
    pages = offsets(archive.records(TOPIC, "id", 0))
    assert [one for page in pages for one in page] == list(range(400))
    assert max(len(page) for page in pages) * 100_000 < 5 * 1024 * 1024


@pytest.mark.parametrize("compacted", [False, True])
def test_one_record_is_read_without_its_large_neighbours(tmp_path, monkeypatch, compacted):
    """Small ones come with them, so that the mean of all says little."""
    monkeypatch.setattr(module, "_SORT", "16MB")
    monkeypatch.setattr(module, "_GROUP_BYTES", 2 * 1024 * 1024)
    archive = stored(tmp_path, [1_000_000] * 40 + [100] * 400, 40)
    if compacted:
        archive.tidy(36_500, date(2026, 3, 2))
        assert len(archive.files()) == 1
    assert sum(one["size_bytes"] for one in archive.files()) < 45_000_000  # no value stands in a footer too
    assert len(archive.at(TOPIC, "id", 0, 17).value()) == 1_000_000
    assert archive.at(TOPIC, "id", 0, 440) is None
    assert _bytes(archive, None, []) == {TOPIC: (440, 0)}


def test_row_groups_of_small_values_stay_long(tmp_path):
    archive = stored(tmp_path, [100] * 3_000, 3_000)
    [file] = archive.files()
    with duckdb.connect() as sql:
        query = "select distinct row_group_id, row_group_num_rows from parquet_metadata(?) order by 1"
        assert sql.execute(query, [str(tmp_path / "records" / file["path"])]).fetchall() == [(0, 2_000), (1, 1_000)]


def test_of_an_archive_that_is_ahead_of_its_topic_nothing_is_indexed_behind_the_topics_end(tmp_path, monkeypatch):
    stored(tmp_path, [10] * 100, 100)
    found = []
    monkeypatch.setattr(consumer, "topic_ids", lambda _bootstrap: {TOPIC: "id"})
    monkeypatch.setattr(consumer, "index", lambda _database, _wire, page, _at: found.extend(one.offset() for one in page))
    assert consumer.fill(read_settings(archive_dir=tmp_path), None, None, {(TOPIC, 0): 5}, {(TOPIC, 0): (30, 90)}) == 85
    assert found == list(range(5, 90))


@pytest.mark.parametrize("told", [OSError(28, "full"), DeltaError("Generic error: No space left on device (os error 28)")])
def test_a_full_disk_is_told_as_such_whoever_tells_it(told):
    with pytest.raises(HubError) as raised, module._disk():
        raise told
    assert raised.value.code == "DISK_FULL"


def test_a_body_that_is_linked_keeps_the_mode_of_the_raw_store(tmp_path):
    store = tmp_path / "raw"
    store.mkdir()
    (store / "hash").write_bytes(b"body")
    (store / "hash").chmod(0o640)
    archive = Archive.made(tmp_path / "archive")
    assert archive.keep_raw(store, "hash")
    assert (store / "hash").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "archive" / "raw" / "hash").read_bytes() == b"body"
