"""Push, whatever the channel: the order to go in."""

from uuid import UUID

from adapters.outbound.push import Pending, in_order


def pending(seq, key, lane="routine"):
    return Pending(seq, UUID(int=seq), key, lane, 0, None)


def test_urgent_ones_go_first_but_never_before_their_keys_earlier_ones():
    rows = [pending(1, "a"), pending(2, "b"), pending(3, "c", "urgent"), pending(4, "b", "urgent"), pending(5, "b")]
    assert [one.seq for one in in_order(rows)] == [2, 3, 4, 1, 5]
