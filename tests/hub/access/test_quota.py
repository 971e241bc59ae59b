"""Quotas: what a sender may send in a minute."""

import pytest

from hub.access.credentials import Credential
from hub.access.quota import Quotas


def quota(messages=0, size=0):
    return Quotas().of(Credential("a", None, messages_per_minute=messages, bytes_per_minute=size), 0.0)


def test_a_sender_without_limits_has_no_quota():
    assert quota() is None


def test_a_minute_s_worth_may_come_at_once_and_fills_up_evenly():
    one = quota(messages=60)
    for _ in range(60):
        assert one.wait_s(0.0) == 0
        one.take(1000)
    assert one.wait_s(0.0) == pytest.approx(1.0)
    assert one.wait_s(0.5) == pytest.approx(0.5)
    assert one.wait_s(1.0) == 0
    one.take(1000)
    assert one.wait_s(1.0) == pytest.approx(1.0)


def test_what_came_is_counted_even_beyond_the_limit_and_waited_off():
    one = quota(size=6000)
    one.take(12_000)
    assert one.wait_s(0.0) == pytest.approx(60.01)
    assert one.wait_s(61.0) == 0


def test_no_more_than_a_minute_s_worth_is_saved_up():
    one = quota(messages=60)
    assert one.wait_s(3600.0) == 0
    one.take(1, messages=60)
    assert one.wait_s(3600.0) > 0


def test_the_stricter_of_the_two_decides_and_all_ways_in_share_them():
    quotas, sender = Quotas(), Credential("a", None, messages_per_minute=60, bytes_per_minute=600)
    quotas.of(sender, 0.0).take(600, messages=1)
    assert quotas.of(sender, 0.0) is quotas.of(sender, 9.0)
    assert quotas.of(sender, 9.0).wait_s(0.0) == pytest.approx(0.1)
    assert quotas.of(Credential("b", None, messages_per_minute=60), 0.0).wait_s(0.0) == 0


def test_a_changed_limit_begins_a_new_quota():
    quotas = Quotas()
    before = quotas.of(Credential("a", None, messages_per_minute=60), 0.0)
    assert quotas.of(Credential("a", None, messages_per_minute=60), 1.0) is before
    assert quotas.of(Credential("a", None, messages_per_minute=120), 1.0) is not before
    assert quotas.of(Credential("a", None), 1.0) is None
