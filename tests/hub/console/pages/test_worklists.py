"""The work lists count by cause, tell the age of the oldest, lead to each case, and name no slip."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hub.console.pages.worklists import Lists, lists, parked_by_cause
from hub.journal.views import Held

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
SLIP = {
    "delivery_id": ONE, "facility": "01021", "record": "hie.Referral", "slip": "GCT-77", "ma_lk": "LK-77", "state": "HELD",
    "since": NOW - timedelta(hours=3), "tries": 0, "portal_says": "Trần Văn Giấu",
    "reasons": [{"code": "FIELD_MISSING", "element": "ma_the", "turn": "facility", "text": "a", "text_vi": "b"}],
}  # fmt: skip
APP = {"slips": [SLIP], "counts": {"FIELD_MISSING": 1_200}, "oldest": {"FIELD_MISSING": NOW - timedelta(days=4)}}


def parked(code, hours, id, keys=1):
    return {
        "topic": "referral.v1",
        "code": code,
        "event_id": id,
        "keys": keys,
        "waiting": 2 * keys,
        "since": NOW - timedelta(hours=hours),
    }


def test_each_list_counts_tells_the_oldest_and_leads_to_cases():
    held = [Held("01940", "hie.LabResult", str(TWO), "nobody-unnamed", NOW - timedelta(hours=7))]
    page = lists(Lists(APP, (31, held), [parked("RECEIVER_UNKNOWN", 9, TWO)]), "en", NOW)
    for part in ("1,200", "4 days", f"/cases/{ONE}", "issuing facility", "31 · 7 h", f"/cases/{TWO}", "RECEIVER_UNKNOWN", "9 h"):
        assert part in page, part
    for secret in ("GCT-77", "LK-77", "Giấu"):
        assert secret not in page


def test_parked_keys_are_counted_by_cause_and_lead_to_the_oldest():
    causes = parked_by_cause([parked("A", 1, ONE, 3), parked("B", 2, None), parked("A", 5, TWO)], "vi")
    assert [(one.code, one.count, one.oldest, one.case) for one in causes] == [
        ("A", 4, NOW - timedelta(hours=5), str(TWO)),
        ("B", 1, NOW - timedelta(hours=2), ""),
    ]


def test_nothing_to_do_is_said_and_so_is_what_took_too_long():
    nothing = {"slips": [], "counts": {}, "oldest": {}}
    assert lists(Lists(nothing, (0, []), []), "vi", NOW).count("Không có gì.") == 3
    assert "hãy ghi cơ sở" in lists(Lists(nothing, (0, []), [], long=True), "vi", NOW)
