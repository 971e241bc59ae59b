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


def test_entries_of_a_ledger_add_to_each_other():
    assert recorded("charge.v1", "hie.Encounter", "charge", adds=True).adds
    assert not recorded("person.v1", "hie.Encounter", "person").adds
