"""What nobody is addressed with is recorded, and carries the rule why."""

import pytest

from hub.routing.recorded import recorded
from hub.routing.stream import Nobody
from tests.hub.routing.story import KEYRING, NOW, check_in


@pytest.mark.parametrize("kind", ["person", "charge"])
def test_nobody_is_addressed_by_a_rule_that_names_the_kind(kind):
    stream = recorded(f"{kind}.v1", "hie.Encounter", kind)
    event = check_in()
    assert stream.decide(event, [], NOW) == [Nobody(f"nobody-{kind}")]
    assert stream.facts(event, KEYRING) == []
    assert stream.lookups(event, KEYRING) == []
    assert (stream.side(event), stream.repeat_rule) == ("", "repeat")


def test_events_of_several_things_under_one_key_have_sides():
    stream = recorded("charge.v1", "hie.Encounter", "charge", side=lambda event: event["ma_khoa"])
    assert stream.side(check_in(ma_khoa="K01")) == "K01"
