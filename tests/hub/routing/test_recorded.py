"""What nobody is addressed with is recorded, and carries the rule why."""

import pytest

from hub.routing.recorded import lines_of, recorded
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


def test_charges_of_other_lines_of_an_encounter_are_another_side():
    def side(*names):
        return lines_of({"lines": [{"line_id": name} for name in names]})

    assert side("1", "2") == side("2", "1")
    assert len({side("1", "2"), side("1"), side("12"), side()}) == 4


def test_lines_without_an_id_are_told_apart_by_what_was_done_and_when():
    def side(code, at):
        return lines_of({"lines": [{"code": {"code": code}, "line_id": "", "ngay_th_yl": at}]})

    assert side("A", "202611270800") == side("A", "202611270800")
    assert len({side("A", "202611270800"), side("B", "202611270800"), side("A", "202611270900"), lines_of({"lines": [{}]})}) == 4
