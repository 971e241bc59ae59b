"""What is in force, and whose money was cut."""

from hub.insurer import ledger as module
from hub.insurer.ledger import Ledger, schema_of
from hub.insurer.views import opened
from tests.hub.insurer.made import batch
from tests.hub.insurer.small_ledger import DRUG, RULES, TOPIC_ID, small_ledger, stated


def test_of_each_key_the_newest_revision_is_in_force_unless_it_is_cancelled(tmp_path):
    made = small_ledger(tmp_path)
    with opened(tmp_path) as ledger:
        in_force = ledger.sql("select ma_lk, version from claims_in_force").fetchall()
        counts = [
            ledger.execute(f"select count(*), count(distinct event_id) from {name}").fetchall()
            for name in ("stated", "decisions_in_force", "lines_in_force")
        ]
    assert sorted(in_force) == [("corrected", 2), ("cut", 0), ("december", 0), ("elsewhere", 0), ("inpatient", 0), ("paid", 0), ("rejected", 0)]  # fmt: skip
    assert counts == [[(len(made), len(made))], [(7, 7)], [(14, 7)]]


def test_reductions_add_up_to_what_was_claimed_less_what_was_granted(tmp_path):
    small_ledger(tmp_path)
    with opened(tmp_path) as ledger:
        lost = ledger.execute("select sum(amount) from reductions").fetchall()
        assert lost == ledger.execute("select sum(t_bhtt - t_bhtt_gd) from claims_in_force").fetchall()
        of_lines = ledger.sql('select "table", stt, reduction from lines_in_force where reduction > 0').fetchall()
    assert of_lines == [("XML2", 2, 8000)]


def test_a_repeat_that_came_too_late_to_be_dropped_counts_once(tmp_path):
    made = [stated("once", [DRUG])] * 2
    Ledger(tmp_path, TOPIC_ID).append(batch(made, [(0, 0), (0, 200_000)], TOPIC_ID, RULES), {0: 200_001})
    with opened(tmp_path) as ledger:
        assert ledger.execute("select count(*), sum(t_bhtt) from claims_in_force").fetchall() == [(1, 24_000)]
        assert ledger.execute("select count(*), sum(t_bhtt) from lines_in_force").fetchall() == [(2, 24_000)]
        assert ledger.execute("select count(*) from decisions_in_force").fetchall() == [(1,)]


def test_files_of_an_older_release_lack_columns_and_are_read_beside_newer_ones(tmp_path, monkeypatch):
    def older(name):
        return {column: dtype for column, dtype in schema_of(name).items() if column != "reduction"}

    old, new = stated("old", [DRUG]), stated("new", [DRUG, DRUG | {"ma_thuoc": "CUT", "stt": 2}])
    monkeypatch.setattr(module, "schema_of", older)
    rows = batch([old], [(0, 0)], TOPIC_ID, RULES)
    Ledger(tmp_path, TOPIC_ID).append({name: frame.select(*older(name)) for name, frame in rows.items()}, {0: 1})
    with opened(tmp_path) as ledger:
        assert ledger.execute("select sum(reduction) from lines_in_force").fetchall() == [(0,)]
    monkeypatch.undo()
    Ledger(tmp_path, TOPIC_ID).append(batch([new], [(0, 1)], TOPIC_ID, RULES), {0: 2})
    with opened(tmp_path) as ledger:
        assert ledger.execute("select sum(reduction) from lines_in_force").fetchall() == [(8_000,)]
        assert ledger.sql("select ma_lk, sum(amount) from reductions join claims using (event_id) group by 1").fetchall() == [
            ("new", 8_000)
        ]
