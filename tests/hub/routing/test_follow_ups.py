"""Follow-up slips go to the portal's mailbox."""

from hub.routing.stream import Deliver, Nobody
from tests.hub.routing.story import DISTRICT, decided, person, said


def slip(**meta):
    return said(
        "hie.FollowUp", DISTRICT, "H1", {"action": "BOOKED", "slip": "H1", "ma_cskcb": DISTRICT, "person": person()}, **meta
    )


def test_a_slip_goes_to_the_portal():
    assert decided("follow-up.v1", slip()) == [Deliver("portal", "follow-up-to-portal")]


def test_one_that_tells_of_hiv_is_held():
    assert decided("follow-up.v1", slip(sensitivity="HIV")) == [Nobody("nobody-held-sensitive")]
