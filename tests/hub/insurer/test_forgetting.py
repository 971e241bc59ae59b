"""What is left of a claim that is forgotten: amounts and ids, so that no sum changes; and nothing that tells of a person, in no file."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from hub.contract.errors import HubError
from hub.contract.events import decode
from hub.insurer import branches, history
from hub.insurer import forgetting as module
from hub.insurer.branches import compare, promote
from hub.insurer.compaction import replacing
from hub.insurer.export import export
from hub.insurer.forgetting import erase, held, keys_of_patient
from hub.insurer.ledger import Ledger, files_of, scan, schema_of
from hub.insurer.questions import QUESTIONS, answer
from hub.insurer.settlement import claims_of
from hub.insurer.statement import statement
from hub.insurer.totals import totals, totals_of
from hub.insurer.views import opened
from hub.simulate import KEYRING
from tests.hub.insurer.histories import TOPIC, examination, lived, service, stamped, stay, visit, write
from tests.hub.insurer.made import PREFIX, batch, values_of
from tests.hub.insurer.small_ledger import RULES, TOPIC_ID, small_ledger
from tests.hub.insurer.test_branches import EVENTS, made
from tests.hub.insurer.test_history_rules import SIX_SALARIES, paid, queue

NOVEMBER = date(2026, 11, 1)
AT = datetime(2026, 12, 3, 9, tzinfo=UTC)
BY_CONTENT = ("disease", "drug", "copayments")  # questions that ask for what goes


def key(ma_lk, facility="01021"):
    return KEYRING.key(facility, ma_lk, test=False)


def on_disk(folder: Path) -> str:
    """Every value of every file that lies there, of an older version too."""
    frames = [pl.read_parquet(file) for file in folder.rglob("*.parquet")]
    logs = "".join(file.read_text("utf-8") for file in folder.rglob("*.json"))
    quoted = logs.replace("\\", "").replace('"', "'")  # statistics are JSON within JSON; rows have the other quotes
    return quoted + "".join(str(frame.rows()) for frame in frames)


def sums(folder):
    """What people are told of a ledger, with what stands for MA_LK left out."""
    with opened(folder) as ledger:
        answers = {name: answer(ledger, name).rows for name in QUESTIONS if name not in BY_CONTENT}
        found = totals_of(ledger)
    answers["heavy"] = [row[6:] for row in answers["heavy"]]
    told = statement(folder, "01021", "2026-11")
    sheets = [sheet.rows for form in told.forms for sheet in form.sheets if "Hồ sơ bị từ chối" not in sheet.title]
    return found, answers, sheets, told.payable


def test_no_sum_changes_and_no_file_tells_of_the_person_any_more(tmp_path):
    small_ledger(tmp_path)
    before, ledger = sums(tmp_path), on_disk(tmp_path)
    assert "'rejected'" in ledger and "'001085000001'" in ledger
    keys = [key("rejected"), key("cut"), key("inpatient"), key("corrected")]
    rows = held(tmp_path, keys).rows
    assert rows == {"claims": 5, "lines": 11, "decisions": 5}
    erase(tmp_path, keys)
    assert sums(tmp_path) == before
    left = on_disk(tmp_path)
    assert not [name for name in ("'rejected'", "'cut'", "'inpatient'", "'corrected'") if name in left]
    assert held(tmp_path, keys).rows == {"claims": 0, "lines": 0, "decisions": 0}
    of_them = scan(files_of(tmp_path, "claims"), schema_of("claims")).filter(pl.col("key").is_in(keys)).collect()
    assert set(of_them["ho_ten"]) | set(of_them["so_cccd"]) | set(of_them["ma_benh_chinh"]) == {""}
    assert set(of_them["action"]) == {"FORGOTTEN"} and set(of_them["ngay_ra"]) == {"20261101"}
    others = scan(files_of(tmp_path, "claims"), schema_of("claims")).filter(~pl.col("key").is_in(keys)).collect()
    assert "" not in set(others["ho_ten"]) and "paid" in set(others["ma_lk"])


def test_the_claims_of_a_patient_are_known_by_the_number_that_their_facility_gave(tmp_path):
    write(
        tmp_path, [visit("A", ma_bn="7"), visit("B", ma_bn="7", facility="01021"), visit("C", ma_bn="70"), visit("D", ma_bn="7")]
    )
    assert keys_of_patient(tmp_path, "01004", "7") == {key("A", "01004"), key("D", "01004")}
    erase(tmp_path, [key("A", "01004")])
    assert keys_of_patient(tmp_path, "01004", "7") == {key("D", "01004")}


def test_a_withdrawn_claim_stays_withdrawn(tmp_path):
    small_ledger(tmp_path)
    before = totals(tmp_path)
    erase(tmp_path, [key("cancelled")])
    assert totals(tmp_path) == before


def test_a_worker_goes_on_and_the_places_are_as_they_were(tmp_path):
    events = small_ledger(tmp_path)
    ledger = Ledger(tmp_path, TOPIC_ID)
    erase(tmp_path, [key("paid")])
    assert Ledger(tmp_path, TOPIC_ID).committed(0) == len(events)
    frames = batch(events[:1], [(0, len(events))], TOPIC_ID, RULES)
    with pytest.raises(CommitFailedError):  # which makes a worker look again
        ledger.append(frames, {0: len(events) + 1})
    ledger.reopen()
    ledger.append(frames, {0: len(events) + 1})
    for name in ("claims", "decisions"):
        found = scan(files_of(tmp_path, name), schema_of(name)).collect()
        assert sorted(found["kafka_offset"]) == list(range(len(events) + 1))


def test_one_that_was_cut_off_is_completed_by_the_next(tmp_path, monkeypatch):
    small_ledger(tmp_path)
    before, tables = totals(tmp_path), []
    rewrite = module._rewrite

    def die(path, predicate):
        tables.append(path.name)
        if len(tables) == stop:
            raise KeyboardInterrupt
        rewrite(path, predicate)

    monkeypatch.setattr(module, "_rewrite", die)
    for stop in (1, 2, 3):  # noqa: B007  # `die` reads it
        tables.clear()
        with pytest.raises(KeyboardInterrupt):
            erase(tmp_path, [key("cut"), key("december")])
        assert any(held(tmp_path, [key("cut"), key("december")]).rows.values())
        assert totals(tmp_path) == before
    stop = 0
    erase(tmp_path, [key("cut"), key("december")])
    assert totals(tmp_path) == before and "'december'" not in on_disk(tmp_path)


def test_files_that_a_kill_left_without_their_deletion_are_deleted_by_the_next(tmp_path, monkeypatch):
    small_ledger(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(DeltaTable, "vacuum", lambda *_given, **_more: None)
        erase(tmp_path, [key("cut")])
    assert "'cut'" in on_disk(tmp_path)
    erase(tmp_path, [key("cut")])
    assert "'cut'" not in on_disk(tmp_path)


def test_a_batch_that_is_being_written_is_left_alone(tmp_path):
    small_ledger(tmp_path)
    uncommitted = tmp_path / "claims" / "part-00000-of-a-batch.parquet"
    uncommitted.write_bytes(Path(files_of(tmp_path, "claims")[0]).read_bytes())
    erase(tmp_path, [key("elsewhere", "01004")])
    assert uncommitted.exists()


def test_it_waits_for_whoever_replaces_files(tmp_path, monkeypatch):
    small_ledger(tmp_path)
    monkeypatch.setattr(module, "_WAIT_S", 0.3)
    with replacing(tmp_path), pytest.raises(HubError, match="LEDGER_CONFLICT"):
        erase(tmp_path, [key("cut")])
    assert held(tmp_path, [key("cut")]).rows["claims"] == 1


def test_a_month_that_is_closed_again_finds_nothing_new_and_takes_nothing_back(tmp_path):
    events = lived(1, 2_000)
    write(tmp_path, events)
    first = history.close(tmp_path, NOVEMBER, AT)
    assert {f"H{number:02d}" for number in range(1, 10)} == set(first["rule"])
    before = totals(tmp_path)
    erase(tmp_path, [event["meta"]["key"] for event in events[::5]])
    assert history.close(tmp_path, NOVEMBER, AT).is_empty()
    assert totals(tmp_path) == before


@pytest.mark.parametrize("ngaylap", ["20261123", "2026112", "202611"])
def test_a_claim_whose_ngaylap_is_cut_off_stays_in_its_month(tmp_path, ngaylap):
    write(tmp_path, [stamped(visit("A", ngay_ra="") | {"ngaylap": ngaylap}, "A")])
    before = claims_of(tmp_path, "2026-11").drop("action")
    history.close(tmp_path, NOVEMBER, AT)
    erase(tmp_path, [key("A", "01004")])
    assert before.height == 1 and claims_of(tmp_path, "2026-11").drop("action").equals(before)
    assert history.close(tmp_path, NOVEMBER, AT).is_empty()


EXAMINED = {"ma_dich_vu": "02.1896", "ten_dich_vu": "Khám Nội"}
LATER = 60 * 24 * 20  # minutes: received after the closing
WHENEVER = pytest.mark.parametrize("received", [0, LATER], ids=["received before", "received after"])
"""A claim may be parked, settled late or read again: that it comes after the closing is told by its place in the stream."""


def seen(name, hour, facility, person="001085012345", **more):
    """A visit with an examination at a facility."""
    lines = [examination(ngay_yl=f"20261110{hour}00", **EXAMINED)]
    return visit(name, services=lines, facility=facility, so_cccd=person, **more)


@pytest.mark.parametrize(
    ("events", "found", "forgotten"),
    [
        ([paid("A", "20260801", SIX_SALARIES - 1_000), paid("B", "20261110", "1500.25")], {"H08"}, "A"),
        (queue(67), {"H06"}, "N00"),
        ([seen("A", "08", "01004"), seen("B", "09", "01021"), seen("C", "11", "01004")], {"H04"}, "A"),
        ([stay("A", "202611010800", "202611201200", services=[service(ma_dich_vu="a")]), stay("B", "202611020800", "202611101200", facility="01021"), seen("C", "09", "01004")], {"H01"}, "A"),
    ],
    ids=["co-payments of the year", "a desk", "the first of three", "a stay that hides another"],
)  # fmt: skip
def test_what_the_forgotten_claim_led_to_without_being_named_stands(tmp_path, events, found, forgotten):
    write(tmp_path, events)
    assert set(history.close(tmp_path, NOVEMBER, AT)["rule"]) == found
    [facility] = [event["ma_cskcb"] for event in events if event["ma_lk"] == forgotten]
    erase(tmp_path, [key(forgotten, facility)])
    assert history.close(tmp_path, NOVEMBER, AT).is_empty()


@WHENEVER
def test_beside_a_forgotten_claim_those_are_compared_again_of_whose_person_something_came_after_the_closing(tmp_path, received):
    events = [seen("forgotten", "08", "30009", "001085000009")]
    events += [seen("A", "08", "01004"), seen("B", "09", "01021"), seen("C", "10", "01731")]
    write(tmp_path, events)
    history.close(tmp_path, NOVEMBER, AT)
    erase(tmp_path, [key("forgotten", "30009")])
    late = [
        seen("A", "08", "01004", version=1, action="CANCELLED", minutes=received),
        seen("D", "08", "30009", "001085000001", minutes=received),
        seen("E", "09", "01004", "001085000001", minutes=received),
    ]
    write(tmp_path, late, first=len(events))
    names = {event["meta"]["event_id"]: event["ma_lk"] for event in (*events, *late)}
    rows = history.close(tmp_path, NOVEMBER, AT).filter(pl.col("rule") == "H04")
    told = {(names[row["event_id"]], names[row["other_event_id"]], row["reverses"] != "") for row in rows.to_dicts()}
    assert told == {("B", "A", True), ("C", "A", True), ("C", "B", False), ("E", "D", False)}
    assert history.close(tmp_path, NOVEMBER, AT).is_empty()


def test_a_claim_of_a_later_month_is_no_reason_to_compare_an_earlier_one_again(tmp_path):
    events = [paid("A", "20260801", SIX_SALARIES - 1_000), paid("B", "20261110", "1500.25")]
    write(tmp_path, events)
    history.close(tmp_path, NOVEMBER, AT)
    erase(tmp_path, [key("A", "01004")])
    write(tmp_path, [paid("C", "20261212", "700.50", minutes=LATER)], first=len(events))
    assert history.close(tmp_path, NOVEMBER, AT).is_empty()


@WHENEVER
def test_a_desk_that_a_late_claim_came_to_is_looked_at_again(tmp_path, received):
    events = [*queue(65), seen("forgotten", "08", "30009", "001085000999")]
    write(tmp_path, events)
    history.close(tmp_path, NOVEMBER, AT)
    erase(tmp_path, [key("forgotten", "30009")])
    write(tmp_path, [seen("early", "07", "01004", "001085000998", minutes=received)], first=len(events))
    found = history.close(tmp_path, NOVEMBER, AT).filter(rule="H06")
    assert found["event_id"].to_list() == [events[64]["meta"]["event_id"]]  # who was the 65th is the 66th


def test_what_is_forgotten_is_no_longer_adjudicated_again_and_what_was_promoted_of_it_stands(tmp_path):
    Ledger(tmp_path, TOPIC).append(batch(EVENTS, [(0, row) for row in range(len(EVENTS))], TOPIC), {0: len(EVENTS)})
    one = made(tmp_path, "one", without=["F06"])
    assert promote(tmp_path, "one", AT).height == 1
    before = totals(tmp_path)
    erase(tmp_path, [EVENTS[1]["meta"]["key"]])  # the claim that was rejected by F06 first
    assert totals(tmp_path) == before
    assert f"'{EVENTS[1]['ma_lk']}'" not in on_disk(tmp_path)
    assert made(tmp_path, "two", without=["F06"]).claims == one.claims - 1
    assert compare(tmp_path, "two")["changed"] == 0


def test_a_claim_that_is_erased_while_a_branch_is_made_is_erased_in_it_too(tmp_path, monkeypatch):
    Ledger(tmp_path, TOPIC).append(batch(EVENTS, [(0, row) for row in range(len(EVENTS))], TOPIC), {0: len(EVENTS)})
    adjudicated, batches = branches._adjudicated, []

    def erased_meanwhile(*given):
        batches.append(given)
        if len(batches) == 2:  # C is in this one; a batch before it is written
            erase(tmp_path, [EVENTS[2]["meta"]["key"]])
        return adjudicated(*given)

    monkeypatch.setattr(branches, "_adjudicated", erased_meanwhile)
    made(tmp_path, "one", without=["F06"])
    assert len(batches) == 2 and f"'{EVENTS[2]['ma_lk']}'" not in on_disk(tmp_path)
    left = pl.read_delta(tmp_path / "branches" / "one" / "decisions")
    assert sorted(left["ma_lk"]) == ["", "A", "B"]


def test_the_log_of_a_branch_that_an_older_release_made_tells_of_it_no_more(tmp_path):
    Ledger(tmp_path, TOPIC).append(batch(EVENTS, [(0, row) for row in range(len(EVENTS))], TOPIC), {0: len(EVENTS)})
    made(tmp_path, "one", without=["F06"])
    old = tmp_path / "branches" / "one" / "decisions"
    rows = pl.read_delta(old)
    shutil.rmtree(old)
    for row in rows.iter_slices(1):
        write_deltalake(str(old), row, mode="append")  # as it was: with statistics of thirty columns
    erase(tmp_path, [EVENTS[1]["meta"]["key"]])
    assert f"'{EVENTS[1]['ma_lk']}'" not in on_disk(tmp_path)
    left = pl.read_delta(old)
    assert left.height == rows.height and left["t_bhtt_gd"].sum() == rows["t_bhtt_gd"].sum()
    assert sorted(left["ma_lk"]) == ["", "A", "C"]


def test_it_is_not_exported_and_is_named_as_gone(tmp_path):
    events = small_ledger(tmp_path / "ledger")
    values = values_of(events)
    erase(tmp_path / "ledger", [key("paid")])
    found = export(
        tmp_path / "ledger",
        tmp_path / "out",
        read=lambda _partition, offsets: ((offset, values[offset]) for offset in offsets),
        unpack=lambda value: decode("hie.Claim", value[len(PREFIX) :]),
        write=lambda event: event["ma_lk"].encode(),
        month="2026-11",
    )
    [paid] = [event["meta"]["event_id"] for event in events if event["ma_lk"] == "paid"]
    assert found.gone == (paid,)
    assert b"paid" not in [file.read_bytes() for file in (tmp_path / "out").rglob("*.xml")]
