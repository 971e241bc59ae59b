"""Closing a month: the same from the same ledger however often, and never an edit of what was said."""

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
from deltalake import DeltaTable

from hub.contract.errors import HubError
from hub.insurer import history as module
from hub.insurer.history import ADJUSTMENTS, TABLE, closed_months, summary
from hub.insurer.history_rules import OF_ALL, OF_PERSON
from hub.insurer.ledger import files_of, scan
from hub.insurer.settlement import LATE
from tests.hub.insurer import naive_history
from tests.hub.insurer.histories import drug, examination, lived, service, stay, visit, write

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)
THEN = datetime(2026, 12, 3, 9, tzinfo=UTC)
FUND = Decimal("8000.00")


def rows_of(folder):
    return scan(files_of(folder, TABLE), ADJUSTMENTS).filter(pl.col("rule") != LATE).collect()


def close(folder, month, at):
    """What the rules across claims say; what a settled claim was corrected to (S01) has tests of its own."""
    return module.close(folder, month, at).filter(pl.col("rule") != LATE)


def content(rows):
    return set(rows.select("rule", "event_id", "table", "stt", "reduction", "other_event_id").iter_rows())


def total(folder):
    return rows_of(folder).get_column("reduction").sum()


@pytest.mark.parametrize("seed", [1, 2])
def test_all_rules_agree_with_a_plain_second_reading_to_the_dong(tmp_path, seed):
    events = lived(seed, 2_000)
    write(tmp_path, events)
    rows = close(tmp_path, NOVEMBER, THEN)
    assert content(rows) == naive_history.close(events, NOVEMBER)
    assert {one["rule"] for one in summary(rows)} == {f"H{number:02d}" for number in range(1, 10)}
    assert rows.get_column("adjustment_id").is_unique().all()


def test_the_order_of_arrival_does_not_matter_and_neither_do_repeats(tmp_path):
    events = lived(3, 300)
    write(tmp_path / "once", events)
    write(tmp_path / "mixed", events[::-1])
    write(tmp_path / "mixed", events[:50], first=300)
    once, mixed = (close(tmp_path / name, NOVEMBER, THEN) for name in ("once", "mixed"))
    assert once.height > 50
    assert once.sort("adjustment_id").equals(mixed.sort("adjustment_id"))


def test_a_month_that_is_closed_again_gets_nothing_new(tmp_path):
    write(tmp_path, lived(4, 300))
    first = close(tmp_path, NOVEMBER, THEN)
    version = DeltaTable(tmp_path / TABLE).version()
    assert close(tmp_path, NOVEMBER, datetime(2027, 1, 1, tzinfo=UTC)).is_empty()
    assert DeltaTable(tmp_path / TABLE).version() == version
    assert content(rows_of(tmp_path)) == content(first)


def test_a_run_that_is_cut_off_leaves_nothing_and_the_next_one_says_the_same(tmp_path, monkeypatch):
    events = lived(5, 200)
    write(tmp_path / "whole", events)
    write(tmp_path / "cut", events)
    whole = close(tmp_path / "whole", NOVEMBER, THEN)
    with monkeypatch.context() as killed:
        killed.setattr(module, "write_deltalake", lambda *given, **more: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            close(tmp_path / "cut", NOVEMBER, THEN)
    assert rows_of(tmp_path / "cut").is_empty()
    assert close(tmp_path / "cut", NOVEMBER, THEN).equals(whole)


def test_a_month_without_anything_to_say_is_closed_all_the_same(tmp_path):
    write(tmp_path, [visit("A")])
    assert closed_months(tmp_path, NOVEMBER, DECEMBER) == []
    assert close(tmp_path, NOVEMBER, THEN).is_empty()
    assert closed_months(tmp_path, date(2025, 12, 31), DECEMBER) == ["2026-11"]


def test_two_that_close_at_once_do_not_say_it_twice(tmp_path, monkeypatch):
    write(tmp_path, [visit("A"), visit("B", minutes=1)])
    read = module.read_history

    def slowly(folder, month):
        monkeypatch.setattr(module, "read_history", read)
        close(folder, month, THEN)
        yield from read(folder, month)

    monkeypatch.setattr(module, "read_history", slowly)
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        close(tmp_path, NOVEMBER, THEN)
    assert rows_of(tmp_path).height == 1


def test_people_come_in_as_many_parts_as_fit_into_memory_and_nothing_changes(tmp_path, monkeypatch):
    events = lived(6, 1_000)
    write(tmp_path / "whole", events)
    write(tmp_path / "parts", events)
    whole = close(tmp_path / "whole", NOVEMBER, THEN)
    monkeypatch.setattr(module, "HELD", 30)
    assert len(list(module.read_history(tmp_path / "parts", NOVEMBER))) > 5
    assert close(tmp_path / "parts", NOVEMBER, THEN).equals(whole)


def held(folder, rules):
    """Lines that are held for rules, with the place of their person."""
    [history] = [history for asked, history, _ in module.read_history(folder, NOVEMBER) if asked is rules]
    return history.lines.join(history.claims.select("claim", "person"), on="claim")


def test_only_lines_that_a_rule_can_ask_for_are_held(tmp_path):
    work = {"ma_nhom": "8", "nguoi_thuc_hien": "000123/HNO-CCHN"}
    lines = {"drugs": (drug(),), "services": (service(1), examination(2), service(3, **work))}
    october = {"ngay_vao": "202610100800", "ngay_ra": "202610101000"}
    people = {"001085000001": [{}], "001085000002": [october], "001085000003": [october, october], "001085000004": [october, {}]}
    came = [(number, when) for number, visits in people.items() for when in visits]
    write(tmp_path, [visit(f"V{n}", **lines, **when, so_cccd=number) for n, (number, when) in enumerate(came)])
    person, table, stt = pl.col("person"), pl.col("table").cast(pl.String), pl.col("stt")
    of_person = held(tmp_path, OF_PERSON).select(person, table, stt).rows()
    assert sorted(of_person) == sorted(2 * [(4, "XML2", 1), (4, "XML3", 1), (4, "XML3", 2), (4, "XML3", 3)])
    of_all = held(tmp_path, OF_ALL).select(table, stt).rows()
    assert sorted(of_all) == sorted(len(came) * [("XML3", 2), ("XML3", 3)])


def test_of_lines_with_one_number_the_dearest_counts_but_before_it_what_a_desk_did(tmp_path):
    dear = {"t_bhtt": Decimal("99000.00")}
    services = (examination(1), service(1, **dear), service(2), service(2, **dear))
    write(tmp_path, [visit(f"V{n}", services=services, so_cccd="001085000002") for n in range(2)])
    granted = {rules: set(held(tmp_path, rules).select("stt", "granted").rows()) for rules in (OF_PERSON, OF_ALL)}
    assert granted == {OF_PERSON: {(1, 800_000), (2, 9_900_000)}, OF_ALL: {(1, 800_000)}}


# --- late corrections -------------------------------------------------------------------------------------------------


def test_what_a_late_correction_undoes_is_taken_back_by_a_row_of_its_own(tmp_path):
    write(tmp_path, [visit("A"), visit("B", minutes=1)])
    first = close(tmp_path, NOVEMBER, THEN)
    assert total(tmp_path) == FUND
    write(tmp_path, [visit("A", version=1, minutes=2, action="CANCELLED")], first=2)
    back = close(tmp_path, NOVEMBER, THEN)
    assert back.select("reverses", "reduction", "rule").rows() == [(first.item(0, "adjustment_id"), -FUND, "H03")]
    assert back.item(0, "text_vi").startswith("Rút lại: ")
    assert (total(tmp_path), close(tmp_path, NOVEMBER, THEN).height) == (0, 0)


def test_what_holds_again_is_said_again_under_another_id(tmp_path):
    write(tmp_path, [visit("A"), visit("B", minutes=1)])
    first = close(tmp_path, NOVEMBER, THEN)
    revisions = [("CANCELLED", []), ("CORRECTED", None)]
    sent = [visit("A", version=number, minutes=0, action=action) for number, (action, _) in enumerate(revisions, 1)]
    for number, event in enumerate(sent, 2):
        write(tmp_path, [event], first=number)
        again = close(tmp_path, NOVEMBER, THEN)
    assert again.select("rule", "reduction", "reverses").rows() == [("H03", FUND, "")]
    assert again.item(0, "adjustment_id") != first.item(0, "adjustment_id")
    assert (total(tmp_path), rows_of(tmp_path).get_column("adjustment_id").n_unique()) == (FUND, 3)


def test_a_corrected_claim_is_cut_anew_and_the_old_cut_taken_back(tmp_path):
    write(tmp_path, [visit("A"), visit("B", minutes=1)])
    close(tmp_path, NOVEMBER, THEN)
    lines = [service(so_luong=Decimal("20.000"))]
    write(tmp_path, [visit("B", services=lines, version=1, minutes=2, action="CORRECTED")], first=2)
    assert sorted(close(tmp_path, NOVEMBER, THEN).get_column("reduction")) == [-FUND, 2 * FUND]
    assert total(tmp_path) == 2 * FUND


# --- what belongs to which month --------------------------------------------------------------------------------------


def test_a_stay_that_ends_later_cuts_the_visit_of_the_month_before_when_its_own_is_closed(tmp_path):
    visited = visit("A", services=[service()], facility="01021")
    write(tmp_path, [visited, stay("B", "202611080800", "202612101200", services=[service(ngay_yl="202611081000")])])
    assert close(tmp_path, NOVEMBER, THEN).is_empty()
    rows = close(tmp_path, DECEMBER, THEN)
    assert rows.select("period", "rule", "event_id", "reduction").rows() == [
        ("2026-12", "H02", visited["meta"]["event_id"], FUND)
    ]


def test_what_a_month_took_is_not_taken_again_by_the_next(tmp_path):
    twice = visit("B", minutes=1, facility="01021")
    write(tmp_path, [visit("A"), twice, stay("C", "202611080800", "202612101200", services=[service(ngay_yl="202611081000")])])
    assert content(close(tmp_path, NOVEMBER, THEN)) == {("H03", twice["meta"]["event_id"], "XML3", 1, FUND, visit("A")["meta"]["event_id"])}  # fmt: skip
    assert close(tmp_path, DECEMBER, THEN).is_empty()
    assert close(tmp_path, NOVEMBER, THEN).is_empty()


def test_a_rejected_claim_takes_no_part(tmp_path):
    events = [visit("A"), visit("B", minutes=1)]
    write(tmp_path, events, rejected=[events[0]["meta"]["event_id"]])
    assert close(tmp_path, NOVEMBER, THEN).is_empty()


def test_a_claim_without_a_readable_end_counts_by_the_day_it_was_made_out(tmp_path):
    write(tmp_path, [visit("A"), visit("B", minutes=1, ngay_ra="20261399")])
    assert close(tmp_path, NOVEMBER, THEN).height == 1


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"so_cccd": "001085012345"}, {"so_cccd": "001085012345", "ma_the_bhyt": "DN4010116149000"}, True),
        ({"ma_the_bhyt": "DN4010116149000"}, {"ma_the_bhyt": "0116149000"}, True),
        ({"ma_the_bhyt": "001085012345"}, {"so_cccd": "001085012345"}, True),
        ({"ma_the_bhyt": "DN4010116149000;HN2010000000001"}, {"ma_the_bhyt": "hn2010116149000"}, True),
        ({"ma_bn": "7"}, {"ma_bn": "7"}, True),
        ({"ma_bn": "7"}, {"ma_bn": "7", "facility": "01021"}, False),
        ({"so_cccd": "000000000000", "ma_bn": "1"}, {"so_cccd": "000000000000", "ma_bn": "2"}, False),
        ({"so_cccd": "001085012345"}, {"so_cccd": "001085012345", "ngay_sinh": "202611010000"}, False),
        ({"so_cccd": "012345678", "ma_bn": "1"}, {"so_cccd": "012345678", "ma_bn": "2"}, False),
    ],
)
def test_whose_claim_it_is(tmp_path, first, second, same):
    nobody = {"so_cccd": "", "ma_the_bhyt": ""}
    write(tmp_path, [visit("A", **nobody | first), visit("B", minutes=1, **nobody | second)])
    assert close(tmp_path, NOVEMBER, THEN).height == int(same)


def test_the_table_reads_as_the_documentation_says(tmp_path):
    write(tmp_path, [visit("A"), visit("B", minutes=1)])
    row = close(tmp_path, NOVEMBER, THEN).row(0, named=True)
    assert row.keys() == ADJUSTMENTS.keys()
    assert (row["period"], row["facility"], row["severity"], row["closed_at"]) == ("2026-11", "01004", "C", THEN)
    assert pl.Schema(ADJUSTMENTS) == rows_of(tmp_path).schema
