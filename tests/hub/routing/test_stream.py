"""Who gets what a stream addresses: the facility it names, or who that was merged into."""

import pytest

from hub.contract.directory import use_directory
from hub.contract.errors import HubError
from hub.routing.stream import Deliver, Nobody, Recall, addressed, is_open, receiver
from tests.hub.routing.story import NOW

OPEN, MERGED, CLOSED, LABORATORY = "26001", "26002", "26003", "26004"
REFERRAL = "hie.Referral"


@pytest.fixture(autouse=True)
def merged(tmp_path):
    """A directory where one facility is open, one was merged into it, one only closed, and one takes orders alone."""
    rows = ["code,name,kind,province,receives,valid_from,valid_to,successor", f"{OPEN},A,hospital,26,,2019-01-01,,"]
    rows += [f"{MERGED},B,hospital,26,,2019-01-01,2025-06-30,{OPEN}", f"{CLOSED},C,clinic,26,,2019-01-01,2025-06-30,"]
    rows += [f"{LABORATORY},D,laboratory,26,LabOrder,2019-01-01,,"]
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
    assert addressed([Deliver(MERGED, "referral-to-receiver", "urgent")], REFERRAL, NOW) == [
        Deliver(OPEN, "referral-to-receiver-successor", "urgent")
    ]
    assert addressed([Recall("lab-result.v1/0/0", MERGED, "result-to-orderer")], "hie.LabOrder", NOW) == [
        Recall("lab-result.v1/0/0", OPEN, "result-to-orderer-successor")
    ]


def test_what_a_facility_cannot_receive_is_for_nobody_by_rule():
    order = Deliver(LABORATORY, "order-to-laboratory")
    assert addressed([order], "hie.LabOrder", NOW) == [order]
    assert addressed([Deliver(LABORATORY, "referral-to-receiver"), Deliver("portal", "r")], REFERRAL, NOW) == [
        Nobody("nobody-cannot-receive"),
        Deliver("portal", "r"),
    ]


def test_an_earlier_event_counts_by_its_own_kind_and_says_nothing_anew_when_it_cannot_be_received():
    order, result = (Recall(f"{topic}/0/0", LABORATORY, "r") for topic in ("lab-order.v1", "lab-result.v1"))
    assert addressed([order, result], REFERRAL, NOW) == [order]


@pytest.mark.parametrize("output", [Deliver(OPEN, "r"), Deliver("portal", "r"), Deliver("vss", "r"), Nobody("nobody-self")])
def test_everything_else_stays_as_the_stream_said_it(output):
    assert addressed([output], REFERRAL, NOW) == [output]
