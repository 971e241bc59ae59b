"""Who gets what a stream addresses: the facility it names, or who that was merged into."""

import pytest

from hub.contract.directory import use_directory
from hub.contract.errors import HubError
from hub.routing.stream import Deliver, Nobody, Recall, addressed, is_open, receiver
from tests.hub.routing.story import NOW

OPEN, MERGED, CLOSED = "26001", "26002", "26003"


@pytest.fixture(autouse=True)
def merged(tmp_path):
    """A directory where one facility is open, one was merged into it, and one only closed."""
    rows = ["code,name,kind,province,valid_from,valid_to,successor", f"{OPEN},A,hospital,26,2019-01-01,,"]
    rows += [f"{MERGED},B,hospital,26,2019-01-01,2025-06-30,{OPEN}", f"{CLOSED},C,clinic,26,2019-01-01,2025-06-30,"]
    (tmp_path / "facilities.csv").write_text("\n".join(rows), "utf-8")
    use_directory(tmp_path)
    yield
    use_directory(None)


def test_a_merged_facility_can_be_named_a_closed_or_unknown_one_waits():
    assert [receiver(code, NOW) for code in (OPEN, MERGED)] == [OPEN, MERGED]
    for code in (CLOSED, "99999"):
        assert not is_open(code, NOW)
        with pytest.raises(HubError) as waits:
            receiver(code, NOW)
        assert waits.value.code == "RECEIVER_UNKNOWN"


def test_what_names_a_merged_facility_goes_to_its_successor_under_a_rule_that_says_so():
    assert addressed(Deliver(MERGED, "referral-to-receiver", "urgent"), NOW) == Deliver(
        OPEN, "referral-to-receiver-successor", "urgent"
    )
    assert addressed(Recall("lab-result.v1/0/0", MERGED, "result-to-orderer"), NOW) == Recall(
        "lab-result.v1/0/0", OPEN, "result-to-orderer-successor"
    )


@pytest.mark.parametrize("output", [Deliver(OPEN, "r"), Deliver("portal", "r"), Deliver("vss", "r"), Nobody("nobody-self")])
def test_everything_else_stays_as_the_stream_said_it(output):
    assert addressed(output, NOW) is output
