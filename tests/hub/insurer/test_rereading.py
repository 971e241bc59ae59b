"""A month adjudicated again from a real topic, by the places that the ledger keeps."""

import pytest

from hub.contract.errors import HubError
from hub.insurer.branches import Branch, changed, compare, promote, readjudicate
from hub.insurer.rereading import reread
from hub.insurer.settlement import claims_of
from hub.insurer.statement import statement
from tests.hub.insurer.test_adjusted import AT
from tests.hub.insurer.test_branches import EVENTS, FUND
from tests.hub.insurer.test_consumer import bench as bench  # the fixture


def test_one_changed_rule_is_compared_and_promoted_and_the_facility_sees_it(bench):
    bench.put(EVENTS)
    folder = bench.run("ledger", len(EVENTS))

    def read(places):
        return reread(bench.settings, bench.topic, places, 2)

    places = claims_of(folder, "2026-11")
    assert [len(messages) for messages in read(places)] == [2, 1]
    before = statement(folder, "01004", "2026-11")
    branch = Branch("lenient", "2026-11", "without F06", 0, AT.isoformat())
    assert readjudicate(folder, branch, read, bench.wire.writer, "vss", changed(without=["F06"])).claims == 3
    found = compare(folder, "lenient")
    assert (found["claims"], found["changed"], found["before"], found["after"]) == (3, 1, FUND, 2 * FUND)
    assert promote(folder, "lenient", AT).get_column("reduction").to_list() == [-FUND]
    after = statement(folder, "01004", "2026-11")
    assert after.granted - before.granted == FUND, "the forms are of the decisions in force"
    assert (len(before.corrections.rows), len(after.corrections.rows)) == (0, 1)
    assert after.adjusted == before.adjusted == 0
    bench.make_topic_anew()
    with pytest.raises(HubError, match="NOT_FOUND"):
        list(read(places))
