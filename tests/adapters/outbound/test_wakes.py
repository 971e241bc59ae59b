"""Whether a mailbox has to be looked into again: not while this process hears of all that comes, and nothing came."""

import pytest

from adapters.outbound.wakes import Wakes


@pytest.fixture
def wakes():
    made = Wakes("postgresql://nobody@127.0.0.1:1/none")
    made._listening = True
    return made


def looked(wakes, mailbox, last, meanwhile=""):
    with wakes.waiting(mailbox) as woken:
        if meanwhile:
            wakes.wake(meanwhile)
        wakes.looked(mailbox, last, woken)


def test_a_mailbox_that_was_seen_to_its_end_is_quiet_behind_that_number_alone(wakes):
    looked(wakes, "A", 7)
    assert wakes.quiet("A", 7)
    assert not wakes.quiet("A", 6)
    assert not wakes.quiet("B", 7)


@pytest.mark.parametrize("names", ["A", "B A", ""])
def test_what_comes_ends_the_quiet(wakes, names):
    looked(wakes, "A", 7)
    wakes.wake(names)
    assert not wakes.quiet("A", 7)


def test_what_comes_while_somebody_looks_may_not_have_been_seen(wakes):
    looked(wakes, "A", 7, meanwhile="A")
    assert not wakes.quiet("A", 7)
    looked(wakes, "A", 7, meanwhile="B")
    assert wakes.quiet("A", 7)


def test_who_does_not_listen_knows_nothing(wakes):
    looked(wakes, "A", 7)
    wakes._listening = False
    assert not wakes.quiet("A", 7)
