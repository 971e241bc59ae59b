"""A claim as a person would tell it: before it is sent, and from the ledger, with what came later."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from deltalake import write_deltalake

from hub.contract.events import encode, to_json
from hub.insurer.explain import checked, other_words, read_claim, read_month, settled_words
from hub.insurer.forgetting import erase
from hub.insurer.history import ADJUSTMENTS, close
from hub.insurer.ledger import Ledger, opened
from tests.hub.insurer.histories import TOPIC, stamped, visit, write
from tests.hub.insurer.made import claim_of, columns_of, line
from tests.hub.insurer.rules.test_between_lines import stent
from tests.hub.insurer.test_ledger import batch

VND = Decimal("1.00")
HALF = 8_000_000 * VND
WRONG = {"t_tongchi_bv": Decimal("1.00")}


def sent(key, services=(), *, facility="", version=0, minutes=0, action="SUBMITTED", **summary):
    """A right claim of one line, unless told otherwise."""
    content = claim_of([], services or [line("xml3")], **summary)
    content |= {"ma_cskcb": facility or content["ma_cskcb"]}
    return stamped(content, key, version=version, minutes=minutes, action=action)


THEN = datetime(2026, 12, 20, 9, tzinfo=UTC)
OTHER = "01021"
HOME = sent("A")["ma_cskcb"]
MONTH = f"{sent('A')['xml1']['ngay_ra'][:4]}-{sent('A')['xml1']['ngay_ra'][4:6]}"


def stents(key="A", **more):
    """A claim of two stents, the second of which the fund pays by half (X14)."""
    return sent(key, [stent(), stent(stt=2)], **more)


def told(*events):
    return checked(columns_of(events), "vss")


def named(one):
    return {
        (finding["rule"], place.table, place.stt)
        for place in one.first.places
        for finding in place.findings
        if finding["severity"] in "EC"
    }


def test_a_right_claim_is_paid_as_claimed_and_nothing_is_said_of_it():
    [one] = told(sent("A"))
    assert (one.first.verdict, one.claimed, one.first.granted, one.paid, one.refused) == (
        "ACCEPTED",
        8_000 * VND,
        8_000 * VND,
        8_000 * VND,
        False,
    )
    assert named(one) == set()


def test_a_cut_stands_at_its_line_with_name_amount_and_reason():
    [one] = told(stents())
    assert (one.verdict_now, one.claimed - one.paid) == ("REDUCED", HALF)
    [place] = [place for place in one.stands.places if place.cut]
    assert (place.table, place.stt, place.name, place.claimed, place.cut) == ("XML3", 2, "STENT phủ thuốc", 2 * HALF, HALF)
    [finding] = [finding for finding in place.findings if finding["severity"] == "C"]
    assert finding["rule"] == "X14"
    assert finding["text_vi"] and finding["text_en"]


def test_what_rejects_stands_at_the_claim_as_a_whole_and_each_claim_is_told_alone():
    first, second, third = told(sent("A"), sent("B", **WRONG), sent("C"))
    assert [one.claim["ma_lk"] for one in (first, second, third)] == ["A", "B", "C"]
    assert (second.verdict_now, second.paid, second.refused) == ("REJECTED", Decimal(0), True)
    assert ("X05", "XML1", None) in named(second)
    assert named(first) == named(third) == set()


def test_a_line_that_shares_its_number_with_another_has_no_name_and_no_amount_of_its_own():
    [one] = told(sent("A", [stent(stt=1, ma_vat_tu="N1"), stent(stt=1)]))
    assert {(place.name, place.claimed) for place in one.first.places if place.table == "XML3"} <= {("", None)}


def test_nothing_told_for_programs_names_a_person():
    event = stents()
    encode("hie.Claim", event)
    text = to_json(told(event)[0].as_dict()).decode()
    for secret in ("ho_ten", "so_cccd", "ma_the_bhyt", "dia_chi", "dien_thoai", "ma_bn"):
        value = event["xml1"].get(secret)
        assert not value or value not in text
    assert '"paid":"24000000.00"' in text


# --- from the ledger --------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path):
    """Two revisions of A, of which the first is rejected; B of two facilities; C is cancelled."""
    events = [
        sent("A", [stent(), stent(stt=2)], **WRONG),
        sent("B"),
        sent("B", facility=OTHER),
        stents("A", version=1, minutes=5),
        sent("C", action="CANCELLED"),
    ]
    ledger = Ledger(tmp_path, TOPIC)
    ledger.append(batch(events, [(0, row) for row in range(5)], TOPIC), {0: 5})
    ledger.append(batch([events[1]], [(0, 7)], TOPIC), {0: 8})  # a repeat that came late
    return tmp_path


def adjust(folder, event_id, key, rule, reduction, closed_at=THEN):
    row = dict.fromkeys((name for name, kind in ADJUSTMENTS.items() if kind == pl.String), "")
    row |= {
        "event_id": event_id,
        "key": key,
        "rule": rule,
        "severity": "C",
        "table": "XML1",
        "period": "2026-11",
        "text_vi": "Vì thế",
    }
    write_deltalake(
        opened(folder / "adjustments", ADJUSTMENTS),
        pl.DataFrame(
            [row | {"stt": None, "reduction": reduction and Decimal(reduction), "closed_at": closed_at}], schema=ADJUSTMENTS
        ),
        mode="append",
    )


def test_the_revision_in_force_comes_first_and_each_has_its_own_decision(ledger):
    [[newest, older]] = read_claim(ledger, "A")
    assert [(one.claim["version"], one.first.verdict) for one in (newest, older)] == [(1, "REDUCED"), (0, "REJECTED")]
    assert named(newest) == {("X14", "XML3", 2)}
    assert newest.paid == newest.claimed - HALF


@pytest.mark.parametrize("name", ["event_id", "key"])
def test_a_claim_is_found_by_the_names_of_its_events_too(ledger, name):
    [[newest, older]] = read_claim(ledger, "A")
    assert read_claim(ledger, older.claim[name]) == [[newest, older]]


def test_one_number_at_two_facilities_is_two_claims_unless_told_which(ledger):
    assert [[one.claim["ma_cskcb"] for one in each] for each in read_claim(ledger, "B")] == sorted([[HOME], [OTHER]])
    [[one]] = read_claim(ledger, "B", OTHER)
    assert one.claim["ma_cskcb"] == OTHER
    assert read_claim(ledger, "B", "99999") == read_claim(ledger, "nothing") == []


def test_what_was_found_later_is_taken_off_what_was_granted_but_what_settles_a_correction_only_tells(ledger):
    [[newest, _older]] = read_claim(ledger, "A")
    ids = (newest.claim["event_id"], newest.claim["key"])
    adjust(ledger, *ids, "H03", "1000.00")
    adjust(ledger, *ids, "S01", "500.00")
    [[again, older]] = read_claim(ledger, "A")
    assert [one["rule"] for one in again.adjustments] == ["H03", "S01"]
    assert ([one["rule"] for one in again.found_later], [one["rule"] for one in again.settled_later]) == (["H03"], ["S01"])
    assert settled_words(again.settled_later[0])[1].endswith("-500.00 VND to it; the decision has it already, nothing is added")
    assert (again.first, again.paid) == (newest.first, newest.paid - 1000)
    assert older.adjustments == ()


def test_what_is_in_force_after_a_promotion_is_told_as_such_and_the_first_decision_as_earlier(tmp_path):
    Ledger(tmp_path, TOPIC).append(batch([sent("A", **WRONG)], [(0, 0)], TOPIC), {0: 1})
    [[first]] = read_claim(tmp_path, "A")
    ids = (first.claim["event_id"], first.claim["key"])
    adjust(tmp_path, *ids, "H03", "1000.00", THEN + timedelta(days=1))
    adjust(tmp_path, *ids, "R01", "-8000.00")
    [[one]] = read_claim(tmp_path, "A")
    assert (first.verdict_now, first.refused, first.changes) == ("REJECTED", True, ())
    assert (one.first.verdict, one.first.granted, one.verdict_now, one.paid, one.refused) == (
        "REJECTED",
        0,
        "REDUCED",
        7000 * VND,
        False,
    )
    assert [(change["rule"], before, after) for change, before, after in one.changes] == [
        ("R01", 0, 8000 * VND),
        ("H03", 8000 * VND, 7000 * VND),
    ]
    told = one.as_dict()
    assert (told["verdict"], told["verdict_now"], told["paid"]) == ("REJECTED", "REDUCED", 7000 * VND)


def test_the_claim_beside_which_one_is_cut_is_named(tmp_path):
    write(tmp_path, [visit("A"), visit("B", minutes=1, facility=OTHER)])
    close(tmp_path, date(2026, 11, 1), THEN)  # H03: one service, twice on one day
    [[cut]], [[other]] = read_claim(tmp_path, "B"), read_claim(tmp_path, "A")
    [found] = cut.found_later
    assert (found["rule"], found["other_ma_cskcb"], found["other_ma_lk"]) == ("H03", "01004", "A")
    assert other_words(found) == ("Hồ sơ kia: 01004 A", "The other claim: 01004 A")
    assert other.adjustments == ()


def test_a_revision_that_a_newer_one_took_the_place_of_is_replaced(ledger):
    assert [one.replaced for one in read_claim(ledger, "A")[0]] == [False, True]


def test_a_month_is_told_as_decisions_of_today_with_what_was_found_later(ledger):
    adjust(ledger, *(read_claim(ledger, "A")[0][0].claim[name] for name in ("event_id", "key")), "H03", "1000.00")
    right, cut = (one.as_decision() for one in read_month(ledger, HOME, MONTH))
    assert (right["ma_lk"], right["verdict"], right["t_bhtt_gd"]) == ("B", "ACCEPTED", 8_000 * VND)
    assert (cut["ma_lk"], cut["verdict"], cut["t_bhtt_gd"]) == ("A", "REDUCED", 2 * 2 * HALF - HALF - 1000)
    assert [(one["rule"], one["reduction"]) for one in cut["findings"] if one["severity"] == "C"] == [
        ("X14", HALF),
        ("H03", 1000 * VND),
    ]
    assert read_month(ledger, HOME, "2025-12") == []


def test_of_what_was_erased_neither_a_month_nor_an_empty_number_tells(ledger):
    erase(ledger, [read_claim(ledger, "B", HOME)[0][0].claim["key"]])
    assert [one.claim["ma_lk"] for one in read_month(ledger, HOME, MONTH)] == ["A"]
    assert read_claim(ledger, "") == read_claim(ledger, "", HOME) == []
