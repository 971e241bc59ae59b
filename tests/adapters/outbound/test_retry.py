"""Trying again: pauses double, spread and end; a breaker opens after five failures and one answer closes it."""

from adapters.outbound.retry import BACKOFF_MAX_S, Breaker, backoff_s


def test_backing_off_doubles_spreads_and_ends():
    assert [backoff_s(number, 1.0) for number in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff_s(1, 0.0) == 0.25
    assert backoff_s(10_000, 1.0) == BACKOFF_MAX_S
    assert {0.25 <= backoff_s(1) <= 0.5 for _ in range(100)} == {True}


def test_a_breaker_opens_after_five_failures_in_a_row_and_one_answer_closes_it():
    breaker = Breaker()
    for _ in range(4):
        breaker.failed()
    assert not breaker.open
    breaker.failed()
    assert breaker.open
    breaker.succeeded()
    assert not breaker.open
    assert breaker.failed() <= 0.5


def test_a_peer_that_names_a_pause_gets_it_within_the_limit():
    assert Breaker().failed(20.0) == 20.0
    assert Breaker().failed(86_400.0) == BACKOFF_MAX_S
