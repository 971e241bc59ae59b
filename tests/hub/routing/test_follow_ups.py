"""Follow-up slips go to the portal's mailbox."""

import pytest

from hub.routing.stream import Deliver, Nobody
from tests.hub.routing.story import DISTRICT, decided, person, said


def slip(action="BOOKED", minute=0, **meta):
    content = {"action": action, "slip": "H1", "ma_cskcb": DISTRICT, "person": person()}
    return said("hie.FollowUp", DISTRICT, "H1", content, minute=minute, **meta)


def test_a_slip_goes_to_the_portal():
    assert decided("follow-up.v1", slip()) == [Deliver("portal", "follow-up-to-portal")]


@pytest.mark.parametrize("label", ["HIV", "MENTAL", "REPRODUCTIVE"])
def test_one_that_is_sensitive_is_held(label):
    assert decided("follow-up.v1", slip(sensitivity=label)) == [Nobody("nobody-held-sensitive")]


def test_and_so_is_what_is_said_of_it_later(new_hub):
    hub = new_hub()
    hub.send(("hie.FollowUp", slip(sensitivity="HIV")), ("hie.FollowUp", slip("CANCELLED", minute=9)))
    assert "portal" not in {recipient for recipient, _rule in hub.addressed()}
