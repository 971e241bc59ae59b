"""Four tables, one commit point: whatever is cut off is completed exactly."""

import polars as pl
import pytest
from deltalake import DeltaTable

from hub.contract.errors import HubError
from hub.insurer import ledger as module
from hub.insurer.ledger import TABLES, Ledger, schema_of
from hub.simulate import claims_with_faults
from tests.hub.insurer.made import batch


@pytest.fixture(scope="module")
def events():
    return [made.event for made in claims_with_faults(21, 30, 26, {"X05 xml1.t_tongchi_bv off": 0.3})]


def table_rows(folder):
    order = ["kafka_topic_id", "kafka_partition", "kafka_offset"]
    more = {"lines": ["table", "stt"], "findings": ["number"]}
    found = {}
    for name in TABLES:
        table = DeltaTable(str(folder / name))
        found[name] = module.scan(table.file_uris(), schema_of(name)).collect().sort(*order, *more.get(name, []))
    return found


PLACES = [(row % 2, row // 2) for row in range(30)]
UPTO = {0: 15, 1: 15}


def test_a_batch_is_in_all_tables_and_moves_the_offsets(tmp_path, events):
    ledger = Ledger(tmp_path, "topic-a")
    assert (ledger.committed(0), ledger.interrupted(0)) == (0, None)
    frames = batch(events, PLACES)
    ledger.append(frames, UPTO)
    again = Ledger(tmp_path, "topic-a")
    assert (again.committed(0), again.committed(1), again.committed(2)) == (15, 15, 0)
    assert again.interrupted(0) is None
    stored = table_rows(tmp_path)
    assert {name: rows.height for name, rows in stored.items()} == {name: frame.height for name, frame in frames.items()}
    assert (
        stored["claims"].get_column("t_bhtt").to_list()
        == frames["claims"].sort("kafka_partition", "kafka_offset").get_column("t_bhtt").to_list()
    )
    assert isinstance(stored["lines"].schema["so_luong"], pl.Decimal)


def test_a_table_without_files_has_the_columns_of_one_with(tmp_path, events):
    Ledger(tmp_path, "topic-a").append(batch(events, PLACES), UPTO)
    for name in TABLES:
        with_files = module.scan(module.files_of(tmp_path, name), schema_of(name))
        assert module.scan([], schema_of(name)).collect_schema() == with_files.collect_schema()


class Cut(Exception):  # noqa: N818  # no error: what a kill is in these tests
    pass


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_batch_cut_off_between_two_tables_is_completed_and_nothing_is_twice(tmp_path, events, monkeypatch, after):
    frames = batch(events, PLACES)
    Ledger(tmp_path / "whole", "topic-a").append(frames, UPTO)
    done, write = [], module.write_deltalake

    def cut(table, *args, **more):
        if len(done) == after:
            raise Cut
        done.append(table)
        write(table, *args, **more)

    monkeypatch.setattr(module, "write_deltalake", cut)
    with pytest.raises(Cut):
        Ledger(tmp_path / "cut", "topic-a").append(frames, UPTO)
    monkeypatch.setattr(module, "write_deltalake", write)
    again = Ledger(tmp_path / "cut", "topic-a")
    assert again.committed(0) == 0
    assert again.interrupted(0) == (15 if after else None)
    again.append(frames, UPTO)
    again.append(frames, UPTO)
    whole, mended = table_rows(tmp_path / "whole"), table_rows(tmp_path / "cut")
    assert all(mended[name].equals(whole[name]) for name in TABLES)


def test_a_batch_without_claims_still_moves_the_offsets(tmp_path, events):
    ledger = Ledger(tmp_path, "topic-a")
    ledger.append({name: frame.clear() for name, frame in batch(events[:1], [(0, 0)]).items()}, {0: 4, 3: 2})
    assert (ledger.committed(0), ledger.committed(3)) == (4, 2)


def test_the_ledger_never_goes_back(tmp_path, events):
    ledger = Ledger(tmp_path, "topic-a")
    ledger.append(batch(events[:2], [(0, 7), (1, 7)]), {0: 8, 1: 8})
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        ledger.append(batch(events[2:3], [(0, 3)]), {0: 4})
    assert ledger.committed(0) == 8


def test_a_writer_that_has_not_seen_the_newest_commit_is_refused(tmp_path, events):
    first, second = Ledger(tmp_path, "topic-a"), Ledger(tmp_path, "topic-a")
    frames = batch(events[:1], [(0, 0)])
    first.append(frames, {0: 1})
    with pytest.raises(Exception, match="Concurrent transaction"):
        second.append(frames, {0: 1})
    second.reopen()
    second.append(frames, {0: 1})
    assert all(rows.height == frames[name].height for name, rows in table_rows(tmp_path).items())


def test_a_topic_made_anew_begins_at_its_own_offsets_but_knows_what_was_taken(tmp_path, events):
    old, new = Ledger(tmp_path, "topic-a"), Ledger(tmp_path, "topic-b")
    old.append(batch(events[:2], [(0, 0), (0, 1)]), {0: 2})
    new.reopen()
    assert (new.committed(0), new.event_ids(0, 100)) == (0, [])
    assert new.event_ids_before(0, 100) == {event["meta"]["event_id"] for event in events[:2]}
    assert new.event_ids_before(1, 100) == set()
    new.append(batch(events[2:4], [(0, 0), (0, 1)], "topic-b"), {0: 2})
    assert [event_id for event_id, _ in new.event_ids(0, 1)] == [events[3]["meta"]["event_id"]]
    assert old.event_ids(0, 100) == [(events[0]["meta"]["event_id"], 0), (events[1]["meta"]["event_id"], 1)]


def test_only_files_that_may_hold_what_is_asked_are_opened(tmp_path, events, monkeypatch):
    ledger = Ledger(tmp_path, "topic-a")
    for number in range(6):
        ledger.append(batch(events[number : number + 1], [(number % 2, number)]), {number % 2: number + 1})
    opened = []
    monkeypatch.setattr(
        module, "scan", lambda files, columns, scan=module.scan: (opened.append(len(files)), scan(files, columns))[1]
    )
    assert ledger.rows("claims", 0, 2, 5, ("kafka_offset",)).get_column("kafka_offset").to_list() == [2, 4]
    assert ledger.event_ids_before(0, 100) == set()
    assert opened == [2, 0]


def test_a_ledger_of_an_older_release_gets_the_columns_it_did_not_know(tmp_path, events, monkeypatch):
    def older(name):
        return {column: dtype for column, dtype in schema_of(name).items() if column != "reduction"}

    frames = batch(events, PLACES)
    monkeypatch.setattr(module, "schema_of", older)
    before = Ledger(tmp_path, "topic-a")
    before.append({name: frame.select(*older(name)) for name, frame in frames.items()}, UPTO)
    monkeypatch.undo()
    ledger = Ledger(tmp_path, "topic-a")
    ledger.append(batch(events, [(row, offset + 15) for row, offset in PLACES]), {0: 30, 1: 30})
    found = ledger.rows("findings", 0, 0, 30)
    assert found.columns == list(schema_of("findings"))
    assert found.height == 2 * frames["findings"].filter(pl.col("kafka_partition") == 0).height
