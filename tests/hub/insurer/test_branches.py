"""What-if: the same stream under other rules, compared to the đồng, promoted as adjustments."""

import shutil
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from hub.contract.errors import HubError
from hub.insurer import branches as module
from hub.insurer.branches import Branch, branches, changed, compare, drop, promote, read_branch, readjudicate, words
from hub.insurer.history import TABLE, close
from hub.insurer.ledger import Ledger, files_of, scan, schema_of
from hub.insurer.rules import RULES
from hub.insurer.statement import statement
from tests.hub.insurer.histories import TOPIC, service, visit
from tests.hub.insurer.made import Record, values_of, writers
from tests.hub.insurer.test_ledger import batch

AT = datetime(2026, 12, 20, 9, tzinfo=UTC)
FUND = Decimal("8000.00")


def of_someone(key, **more):
    """A visit with one service that nothing is wrong with."""
    lines = [service(ngay_th_yl="202611100830")]
    return visit(key, services=lines, so_cccd=f"00108500{ord(key):04d}", **more)


EVENTS = [
    of_someone("A"),
    of_someone("B", nam_qt=2025),  # F06: rejected
    of_someone("C", facility="01021", ho_ten=""),  # F01: rejected
    of_someone("D", ngay_ra="202612011000"),  # of December
    of_someone("E"),
    of_someone("E", version=1, action="CANCELLED"),
]


@pytest.fixture
def ledger(tmp_path):
    Ledger(tmp_path, TOPIC).append(batch(EVENTS, [(0, row) for row in range(len(EVENTS))], TOPIC), {0: len(EVENTS)})
    return tmp_path


def made(ledger, name="lenient", events=EVENTS, **change):
    """A branch of what is in force of some events, which stand in the topic in this order; read two records at a time."""

    def stream(places):
        values = values_of(events)
        wanted = places.get_column("kafka_offset").to_list()
        return [[Record(offset, values[offset]) for offset in wanted[at : at + 2]] for at in range(0, len(wanted), 2)]

    branch = Branch(name, "2026-11", "some change", 0, AT.isoformat(), changes_vi="thay đổi")
    return readjudicate(ledger, branch, stream, writers, "vss", changed(**change))


def test_the_same_rules_say_the_same(ledger):
    assert made(ledger).claims == 3
    found = compare(ledger, "lenient")
    assert (found["claims"], found["changed"], found["rules"], found["facilities"]) == (3, 0, [], [])
    assert promote(ledger, "lenient", AT).is_empty()


def test_a_changed_rule_is_compared_by_facility_and_rule(ledger):
    made(ledger, without=["F06"], severities={"F01": "W"})
    found = compare(ledger, "lenient")
    assert (found["changed"], found["before"], found["after"]) == (2, FUND, 3 * FUND)
    assert found["facilities"] == [
        {"facility": "01004", "changed": 1, "before": 0, "after": FUND},
        {"facility": "01021", "changed": 1, "before": 0, "after": FUND},
    ]
    assert [one["rule"] for one in found["rules"]] == ["F01", "F06"]
    assert {(one["before"], one["after"], one["claims"]) for one in found["verdicts"]} == {
        ("ACCEPTED", "ACCEPTED", 1),
        ("REJECTED", "ACCEPTED", 2),
    }


def row_of(found, rule):
    """Severity, findings, cut and refused money of a rule, before and after."""
    [one] = [one for one in found["rules"] if one["rule"] == rule]
    return [(one[f"{kind}_before"], one[f"{kind}_after"]) for kind in ("severity", "findings", "cut", "refused")]


def test_a_rule_says_what_it_refuses_beside_what_it_cuts(ledger):
    made(ledger, without=["F06"], severities={"F01": "W"})
    found = compare(ledger, "lenient")
    assert row_of(found, "F01") == [("E", "W"), (1, 1), (0, 0), (FUND, 0)]
    assert row_of(found, "F06") == [("E", ""), (1, 0), (0, 0), (FUND, 0)]
    money = [one[f"{kind}_before"] - one[f"{kind}_after"] for one in found["rules"] for kind in ("cut", "refused")]
    assert sum(money) == found["after"] - found["before"]


def test_a_claim_that_two_rules_refuse_counts_once_and_stays_refused_by_the_other(tmp_path):
    both = of_someone("A", nam_qt=2025, ho_ten="")
    Ledger(tmp_path, TOPIC).append(batch([both], [(0, 0)], TOPIC), {0: 1})
    branch = Branch("mild", "2026-11", "F01 as W", 0, AT.isoformat())
    record = Record(0, values_of([both])[0])
    readjudicate(tmp_path, branch, lambda _places: [[record]], writers, "vss", changed(severities={"F01": "W"}))
    found = compare(tmp_path, "mild")
    assert (found["changed"], row_of(found, "F01")[3], row_of(found, "F06")[3]) == (0, (FUND, 0), (0, FUND))


def test_a_change_of_the_verdict_alone_is_counted_apart(tmp_path):
    free = of_someone("A", nam_qt=2025)
    Ledger(tmp_path, TOPIC).append(batch([free], [(0, 0)], TOPIC), {0: 1})
    decisions = scan(files_of(tmp_path, "decisions"), schema_of("decisions")).collect()
    decisions.with_columns(t_bhtt_gd=pl.lit(FUND).cast(pl.Decimal(18, 2))).write_delta(tmp_path / "decisions", mode="overwrite")
    branch = Branch("mild", "2026-11", "without F06", 0, AT.isoformat())
    record = Record(0, values_of([free])[0])
    readjudicate(tmp_path, branch, lambda _places: [[record]], writers, "vss", changed(without=["F06"]))
    found = compare(tmp_path, "mild")
    assert (found["changed"], found["same_amount"]) == (1, 1)
    assert promote(tmp_path, "mild", AT).is_empty()


def test_the_ledger_itself_does_not_change(ledger):
    def rows():
        return {
            name: scan(files_of(ledger, name), schema_of(name)).collect().sort("kafka_offset")
            for name in ("findings", "decisions")
        }

    before = rows()
    made(ledger, without=["F06"])
    promote(ledger, "lenient", AT)
    assert all(frame.equals(before[name]) for name, frame in rows().items())


def test_promoting_is_one_adjustment_a_claim_and_is_done_once(ledger):
    made(ledger, without=["F06", "F01"])
    rows = promote(ledger, "lenient", AT)
    assert rows.get_column("reduction").to_list() == [-FUND, -FUND]
    assert set(rows.get_column("rule")) == {"R01"}
    assert read_branch(ledger, "lenient").promoted == AT.isoformat()
    assert promote(ledger, "lenient", AT).is_empty()
    assert scan(files_of(ledger, TABLE), module.ADJUSTMENTS).collect().height == 2


def test_a_second_branch_is_promoted_by_what_the_first_left(ledger):
    made(ledger, "first", without=["F06", "F01"])
    promote(ledger, "first", AT)
    made(ledger, "second", without=["F06"])
    assert promote(ledger, "second", AT).get_column("reduction").to_list() == [FUND]  # C is rejected again


def by_facility(rows):
    """What adjustments give besides (below zero: take)."""
    return {row["facility"]: -row["reduction"] for row in rows.group_by("facility").agg(pl.col("reduction").sum()).to_dicts()}


def money_of_rules(found):
    """What a comparison says by rule, as what is paid besides."""
    return sum(one[f"{kind}_before"] - one[f"{kind}_after"] for one in found["rules"] for kind in ("cut", "refused"))


def forget(ledger, name):
    """As releases before 0.2.0 dropped a branch that was promoted: whole."""
    shutil.rmtree(ledger / module.FOLDER / name)


@pytest.mark.parametrize("gone", [None, drop, forget])
def test_a_branch_is_compared_with_what_an_earlier_one_left_in_force(ledger, gone):
    made(ledger, "first", without=["F06", "F01"])
    promote(ledger, "first", AT)
    if gone:
        gone(ledger, "first")
    made(ledger, "second", without=["F06"])
    found = compare(ledger, "second")
    assert (found["changed"], found["before"], found["after"]) == (1, 3 * FUND, 2 * FUND)
    assert found["facilities"] == [{"facility": "01021", "changed": 1, "before": FUND, "after": 0}]
    assert {(one["before"], one["after"], one["claims"]) for one in found["verdicts"]} == {
        ("ACCEPTED", "ACCEPTED", 2),
        ("ACCEPTED", "REJECTED", 1),
    }
    if gone is forget:  # why the first one paid is not known any more
        assert row_of(found, "R01") == [("C", ""), (2, 0), (-2 * FUND, 0), (0, 0)]
    else:
        assert [one["rule"] for one in found["rules"]] == ["F01"]
        assert row_of(found, "F01") == [("", "E"), (0, 1), (0, 0), (0, FUND)]
    assert by_facility(promote(ledger, "second", AT)) == {"01021": -FUND}
    assert money_of_rules(found) == -FUND
    again = compare(ledger, "second")
    assert (again["changed"], again["before"], again["rules"], again["facilities"]) == (0, 2 * FUND, [], [])


def test_branches_that_find_nothing_at_all_are_compared_like_others(ledger):
    made(ledger, "first", without=["F06", "F01"])
    assert money_of_rules(compare(ledger, "first")) == 2 * FUND
    promote(ledger, "first", AT)
    assert compare(ledger, "first")["rules"] == []
    made(ledger, "second", without=["F06", "F01"])
    assert compare(ledger, "second")["rules"] == []


def test_what_an_earlier_promotion_had_changed_and_this_one_does_not_is_named_before_and_in_the_reason(ledger):
    made(ledger, "first", without=["F06"])
    promote(ledger, "first", AT)
    made(ledger, "second", severities={"F01": "W"})
    named = {"name": "first", "changes": "some change", "changes_vi": "thay đổi"}
    assert compare(ledger, "first")["undoes"] == []
    assert compare(ledger, "second")["undoes"] == [named | {"claims": 1, "before": FUND, "after": 0}]
    assert set(promote(ledger, "second", AT).get_column("text_en")) == {
        "Adjudicated again (second; some change): F06 -8,000.00 VND",
        "Adjudicated again (second; some change): F01 +8,000.00 VND",
    }
    assert compare(ledger, "second")["undoes"] == []


def test_why_an_older_releases_branch_is_undone_is_known_by_its_amount_alone(ledger):
    made(ledger, "first", without=["F06", "F01"])
    promote(ledger, "first", AT)
    forget(ledger, "first")
    made(ledger, "second", without=["F06"])
    assert [(one["name"], one["claims"]) for one in compare(ledger, "second")["undoes"]] == [("", 1)]
    [text] = promote(ledger, "second", AT).get_column("text_en")
    assert text == "Adjudicated again (second; some change): R01 -8,000.00 VND"


def test_what_a_branch_changes_is_said_in_both_languages_with_its_catalogues():
    assert words(["X17"], {"X05": "W"}, ["drugs", "icd"]) == (
        "bỏ X17, X05 ở mức W; danh mục thuốc, mã bệnh ICD",
        "without X17, X05 as W; catalogues of drugs, ICD codes",
    )
    assert words([], {}, []) == ("quy tắc của phiên bản này; không có danh mục", "the rules of this release; no catalogues")


def test_a_comparison_says_what_is_to_be_paid_after_cuts_across_claims_as_the_statement_does(tmp_path):
    line = {"services": [service(ngay_th_yl="202611100830")]}
    twice = [visit("A", **line), visit("B", minutes=1, **line), of_someone("C", nam_qt=2025)]
    Ledger(tmp_path, TOPIC).append(batch(twice, [(0, row) for row in range(3)], TOPIC), {0: 3})
    close(tmp_path, date(2026, 11, 1), AT)

    def payable():
        found = statement(tmp_path, "01004", "2026-11")
        return found.granted - found.adjusted

    made(tmp_path, events=twice, without=["F06"])
    found = compare(tmp_path, "lenient")
    assert (found["before"], found["after"], payable()) == (FUND, 2 * FUND, FUND)
    promote(tmp_path, "lenient", AT)
    assert payable() == found["after"]


def test_a_branch_leaves_alone_what_was_corrected_or_withdrawn_since_it_was_made(ledger):
    made(ledger, without=["F06", "F01"])
    later = [of_someone("B", version=1), of_someone("C", facility="01021", version=1, action="CANCELLED")]
    Ledger(ledger, TOPIC).append(batch(later, [(0, 6), (0, 7)], TOPIC), {0: 8})
    found = compare(ledger, "lenient")
    assert (found["claims"], found["changed"], found["replaced"]) == (1, 0, 2)
    assert promote(ledger, "lenient", AT).is_empty()


def test_a_branch_may_be_promoted_again_after_another_one(ledger):
    made(ledger, "first", without=["F06"])
    made(ledger, "second")
    ids = [id for name in ("first", "second", "first") for id in promote(ledger, name, AT).get_column("adjustment_id")]
    assert len(set(ids)) == 3
    assert compare(ledger, "first")["before"] == 2 * FUND
    assert [promote(ledger, name, AT).height for name in ("first", "second", "first")] == [0, 1, 1]


def test_closing_a_month_again_keeps_what_was_promoted(ledger):
    made(ledger, without=["F06"])
    promote(ledger, "lenient", AT)
    rows = close(ledger, date(2026, 11, 1), AT)
    assert rows.filter(pl.col("rule") == "R01").is_empty()


def test_a_branch_is_dropped_and_its_name_is_free(ledger):
    made(ledger)
    with pytest.raises(HubError, match="drop it first"):
        made(ledger)
    assert [one.name for one in branches(ledger)] == ["lenient"]
    drop(ledger, "lenient")
    assert branches(ledger) == []
    with pytest.raises(HubError) as gone:
        compare(ledger, "lenient")
    assert gone.value.code == "NOT_FOUND"
    assert made(ledger).claims == 3


def test_of_two_that_are_promoted_at_once_the_second_waits_its_turn(ledger, monkeypatch):
    for name in ("lenient", "other"):
        made(ledger, name, without=["F06"])
    differences = module._differences

    def meanwhile(*asked):
        found = differences(*asked)
        monkeypatch.setattr(module, "_differences", differences)
        assert promote(ledger, "other", AT).height == 1
        return found

    monkeypatch.setattr(module, "_differences", meanwhile)
    with pytest.raises(HubError, match="LEDGER_CONFLICT"):
        promote(ledger, "lenient", AT)
    found = statement(ledger, "01004", "2026-11")
    assert (found.granted, found.adjusted) == (2 * FUND, 0)
    assert not read_branch(ledger, "lenient").promoted
    assert promote(ledger, "lenient", AT).is_empty()


def test_a_run_that_was_cut_off_left_no_branch(ledger, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(module, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            made(ledger)
    assert branches(ledger) == []
    made(ledger)
    assert compare(ledger, "lenient")["claims"] == 3


def test_a_claim_that_can_be_decoded_no_more_stops_it_and_is_named(ledger):
    whole, *others = values_of(EVENTS)
    records = [Record(offset, value) for offset, value in enumerate([whole, others[0][:-9], others[1]])]
    branch = Branch("lenient", "2026-11", "some change", 0, AT.isoformat())
    with pytest.raises(HubError, match=r"BODY_UNDECODABLE.*0/1"):
        readjudicate(ledger, branch, lambda _places: [records], writers, "vss", changed())
    assert branches(ledger) == []


@pytest.mark.parametrize("wrong", [{"without": ["X99"]}, {"severities": {"F01": "C"}}, {"severities": {"F01": "Z"}}])
def test_what_cannot_be_changed_is_told(wrong):
    with pytest.raises(HubError) as told:
        changed(**wrong)
    assert told.value.code == "REQUEST_WRONG"


@pytest.mark.parametrize("name", ["", "../other", "A", "a/b", "x" * 42])
def test_a_name_is_no_path(ledger, name):
    with pytest.raises(HubError) as told:
        made(ledger, name)
    assert told.value.code == "REQUEST_WRONG"


def test_a_rule_that_only_warns_cuts_nothing():
    assert not [
        rule for rule in changed(severities={"F01": "W"}) if rule.id == "F01" and (rule.severity != "W" or rule.reduction)
    ]
    assert len(changed()) == len(RULES)
