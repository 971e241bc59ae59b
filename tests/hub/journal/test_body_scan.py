"""A scan looks into one message after the other, in whatever charset, until it is stopped; what the index cannot narrow down is refused."""

from threading import Event as Stop
from types import SimpleNamespace

import pytest

from hub.cli.border import as_text
from hub.contract.errors import HubError
from hub.journal import body_scan
from hub.journal.body_scan import estimate, scan
from hub.journal.search import Cost, Hit, Page, Wanted
from tests.made import AT

TEXTS = ["MSH|1\rPID|||||NGUYỄN^THỊ SEN", "MSH|2\rPID|||||Lê^Minh", "MSH|3\rPID|||||nguyễn^thị sen"]


@pytest.fixture
def kept(monkeypatch):
    """Three messages on two pages; the bytes of the second are gone."""
    hits = [Hit(AT, "message", str(n), str(n), "01004", "s", "ADT^A01", "C", "translated", "", False) for n in range(len(TEXTS))]
    pages = {"": Page(tuple(hits[:2]), "more"), "more": Page(tuple(hits[2:]), "")}
    monkeypatch.setattr(body_scan, "search", lambda *_, after="", **_more: pages[after])
    monkeypatch.setattr(body_scan, "value_at", lambda _kafka, place, _older: TEXTS[place[2]].encode() if place[2] != 1 else None)
    rows = [(str(n), "message-received.v1", 0, n) for n in range(len(TEXTS))]
    database = SimpleNamespace(execute=lambda *_: SimpleNamespace(fetchall=lambda: rows))
    wire = SimpleNamespace(unpack=lambda value: ("", {"raw": value}))

    def found(text, stop=None):
        return scan(database, Wanted(), text, as_text, kafka="", wire=wire, older=lambda *_: None, stop=stop or Stop())

    return found


def test_a_text_is_found_whatever_its_case_and_the_form_of_its_accents(kept):
    decomposed = "nguyê\u0303n"
    looked = list(kept(decomposed))
    assert [one.messages for one in looked] == [1, 2, 3], "also the one whose bytes are gone was looked for"
    assert [one.found.id for one in looked if one.found] == ["0", "2"]


def test_it_ends_between_two_messages_when_it_is_told_to(kept):
    stop, looked = Stop(), []
    for one in kept("sen", stop):
        looked.append(one)
        stop.set()
    assert len(looked) == 1


@pytest.mark.parametrize("words", [{"claim": "01004/LK1"}, {"slip": "01004/1"}, {"state": "HELD"}], ids=str)
def test_only_messages_have_a_text(words):
    with pytest.raises(HubError) as refused:
        estimate(None, Wanted(**words))
    assert refused.value.code == "REQUEST_WRONG"


def test_what_it_takes_is_told_before(monkeypatch):
    monkeypatch.setattr(body_scan, "search", lambda *_a, **_m: Cost(5_000, 0.1, "facility"))
    assert estimate(None, Wanted()) == Cost(5_000, 50.0, "facility")
