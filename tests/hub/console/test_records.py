"""Records by their places: those that the topic still holds, whatever became of the others."""

import pytest

from hub.console import records
from hub.contract.errors import HubError


def holding(monkeypatch, offsets, fault="NOT_FOUND"):
    """A topic that holds these. Returns: how many places each reader was asked for."""
    asked = []

    def read_at(_kafka, places):
        asked.append(len(places))
        if any(offset not in offsets for _, _, offset in places):
            raise HubError(fault, "x")
        return [offset for _, _, offset in places]

    monkeypatch.setattr(records, "read_at", read_at)
    monkeypatch.setattr(records, "shown", lambda _wire, one: one)
    return asked


def test_one_reader_is_enough_where_all_are_there(monkeypatch):
    asked = holding(monkeypatch, range(100))
    assert records.at_places("k", None, "t", [(0, at) for at in range(80)]) == list(range(records.MOST))
    assert asked == [records.MOST]


def test_what_retention_took_hides_nothing_that_is_there(monkeypatch):
    holding(monkeypatch, {1, 3})
    assert records.at_places("k", None, "t", [(0, 1), (0, 2), (0, 3)]) == [1, 3]
    assert records.at_places("k", None, "t", [(0, 2)]) == []


def test_that_no_broker_answers_is_no_absence(monkeypatch):
    holding(monkeypatch, {1}, "BROKER_UNAVAILABLE")
    with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
        records.at_places("k", None, "t", [(0, 1), (0, 2)])
