"""The watch over a simulated month, in small: what was put in is found as one incident each, and little else is told."""

import pytest

from hub.bench.watch import beyond, month, province_cut, some_silent, sorted_out, world
from hub.journal.incidents import Unit

FEEDS, SEED = 200, 1


@pytest.fixture(scope="module")
def made():
    return world(FEEDS, SEED)


def test_ten_silent_feeds_are_found_and_one_feed_in_a_hundred_at_most_is_told_for_nothing(made):
    silent = some_silent(made, 10, SEED)
    found, false = sorted_out(silent, month(made, silent))
    assert found.keys() == {feed for feed, _first, _until in silent}
    assert len({feed for one in false for feed in one.members}) <= FEEDS / 100


def test_a_province_that_is_cut_off_is_one_incident_that_ends(made):
    [one] = beyond(month(made, province_cut(made, "03"), hours=13 * 24), [])
    assert (one.kind, one.cause) == ("silence", Unit("province", "03"))
    assert one.noticed - one.began <= 4
    assert one.ended - one.began <= 40
    assert one.missing > 1000


def test_a_vendor_whose_refusals_double_is_one_incident(made):
    [one] = beyond(month(made, worse=("vendor1", 8, 2.0), hours=10 * 24), [])
    assert (one.kind, one.cause) == ("refusals", Unit("vendor", "vendor1"))
