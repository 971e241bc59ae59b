"""Who gives way when the links together hold much: the sender that holds the most, by its largest unfinished frame."""

import pytest

from adapters.inbound import held
from adapters.inbound.held import Held


class Link:
    """reads: whether it would read on, as it was last asked."""

    def __init__(self, among: Held, sender: str, unfinished: int, large: int = 0) -> None:
        self.among, self.sender = among, sender
        self.reads, self.dropped = True, False
        among.put(self, sender, unfinished, large)

    def drop(self, reason: str) -> None:
        assert reason == "OVERLOADED"
        self.dropped = True
        self.among.put(self, self.sender, 0, 0)

    def set_reading(self) -> None:
        self.reads = self not in self.among.slowed


@pytest.fixture
def among(monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setattr(held, "_BYTES_MAX", 1000)
    monkeypatch.setattr(held, "_SMALL_BYTES", 50)
    return Held()


def test_what_a_link_holds_replaces_what_it_held(among: Held) -> None:
    link = Link(among, "a", 100)
    among.put(link, "a", 0, 300)
    assert among.total == 300
    among.put(link, "a", 0, 0)
    assert among.total == 0 and not among._shares


def test_up_to_half_of_the_limit_nobody_is_slowed(among: Held) -> None:
    links = [Link(among, "flood", 250) for _ in range(2)]
    among.slow_down()
    assert all(link.reads for link in links)


def test_the_heaviest_sender_is_slowed_but_for_its_largest_frame_and_its_small_ones_until_there_is_room(among: Held) -> None:
    good, largest, small = Link(among, "good", 320), Link(among, "flood", 201), Link(among, "flood", 60)
    flood = [Link(among, "flood", 150) for _ in range(2)]
    among.slow_down()
    among.make_room()
    assert good.reads and largest.reads and small.reads and not any(link.reads for link in flood)
    among.put(largest, "flood", 0, 0)
    among.put(good, "good", 0, 0)
    among.slow_down()
    assert all(link.reads for link in flood) and not any(link.dropped for link in [good, largest, small, *flood])


def test_above_the_limit_the_heaviest_sender_loses_its_largest_links_and_no_more_than_it_takes(among: Held) -> None:
    flood = [Link(among, "flood", size) for size in (150, 300, 200, 100)]
    good = Link(among, "good", 400)
    among.make_room()
    assert [link.dropped for link in flood] == [False, True, False, False] and not good.dropped and among.total == 850


def test_what_is_whole_weighs_and_is_not_closed_nor_what_is_small(among: Held) -> None:
    whole, begun, good = Link(among, "flood", 0, 800), Link(among, "flood", 10), Link(among, "good", 250)
    among.make_room()
    assert (whole.dropped, begun.dropped, good.dropped) == (False, False, True)  # the limit holds for all
    more, small = Link(among, "flood", 0, 800), Link(among, "good", 20)
    among.make_room()
    assert not (more.dropped or small.dropped or begun.dropped)
