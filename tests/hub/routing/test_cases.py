"""The case index: what was seen, what stands at the head, what is found."""

import uuid
from datetime import timedelta

import pytest

from hub.contract.events import now
from hub.routing import cases
from hub.routing.cases import Entry
from hub.routing.stream import CaseRef, Fact
from tests.hub.routing.story import MORNING

A, B, C = (str(uuid.UUID(int=number)) for number in (1, 2, 3))


@pytest.fixture
def database(routing_pool, empty_index):
    with routing_pool.connection() as opened:
        yield opened


def enter(database, *entries):
    return cases.enter(database, "stream", list(entries), MORNING)


def test_the_first_of_a_key_supersedes_nothing_the_next_one_it(database):
    first, second = enter(database, Entry(A, "t/0/1", "k", "1", "x"), Entry(B, "t/0/2", "k", "2", "y"))
    assert (first.fate, first.supersedes) == ("", "")
    assert (second.fate, second.supersedes) == ("", A)


def test_an_older_one_supersedes_nothing_and_the_head_stays(database):
    enter(database, Entry(A, "t/0/1", "k", "2", "x"), Entry(B, "t/0/2", "k", "1", "y"))
    (third,) = enter(database, Entry(C, "t/0/3", "k", "3", "z"))
    assert third.supersedes == A


def test_content_of_the_head_under_a_new_id_is_a_repeat(database):
    _first, second = enter(database, Entry(A, "t/0/1", "k", "1", "x"), Entry(B, "t/0/2", "k", "2", "x"))
    assert second.fate == cases.REPEAT


def test_what_one_message_says_in_two_ways_under_a_key_is_news_both_times(database):
    first, second = enter(database, Entry(A, "t/0/1", "k", "1", "x"), Entry(B, "t/0/2", "k", "1", "y"))
    assert (first.fate, second.fate) == ("", "")


def test_older_than_a_repeat_of_the_head_is_void(database):
    enter(database, Entry(A, "t/0/1", "k", "1", "x"), Entry(B, "t/0/2", "k", "3", "x"))
    (between,) = enter(database, Entry(C, "t/0/3", "k", "2", "y"))
    assert between.fate == cases.VOID


def test_the_first_place_counts_and_any_other_is_again(database):
    enter(database, Entry(A, "t/0/1", "k", "1", "x"))
    (same,) = enter(database, Entry(A, "t/0/1", "k", "1", "x"))
    (other,) = enter(database, Entry(A, "t/0/9", "k", "1", "x"))
    assert (same.again, other.again) == (False, True)


def test_what_was_decided_first_is_decided_again(database):
    before = enter(database, Entry(A, "t/0/1", "k", "1", "x"), Entry(B, "t/0/2", "k", "2", "y"))
    assert cases.enter(database, "stream", [Entry(B, "t/0/2", "k", "2", "y")], now()) == before[1:]


def test_of_two_facts_the_higher_rank_stands_in_any_order(database):
    older, newer = Fact("kind", "ref", "id", "1", {"is": "old"}), Fact("kind", "ref", "id", "2", {"is": "new"})
    for told in ([older, newer], [newer, older], [newer], [older]):
        cases.state(database, [(fact, A, "t/0/1") for fact in told], now(), 365)
    ((found,),) = cases.find(database, [[CaseRef("kind", "ref")]])
    assert found.data == {"is": "new"}


def test_a_look_up_brings_what_is_known_about_each_find(database):
    facts = [
        Fact("of-person", "p", "k1", "1", {}),
        Fact("of-person", "p", "k2", "1", {}),
        Fact("slip", "k1", "side", "1", {"n": 1}),
    ]
    cases.state(database, [(fact, A, "t/0/1") for fact in facts], now(), 365)
    none, found = cases.find(database, [[], [CaseRef("of-person", "p", about="slip")]])
    assert none == []
    assert {one.id: [two.data for two in one.about] for one in found} == {"k1": [{"n": 1}], "k2": []}


def test_a_look_up_brings_so_many_at_the_most_those_of_the_lowest_rank(database):
    facts = [Fact("kind", "ref", f"id{number}", f"{9 - number}", {}) for number in range(5)]
    cases.state(database, [(fact, A, "t/0/1") for fact in facts], now(), 365)
    [found] = cases.find(database, [[CaseRef("kind", "ref", most=2)]])
    assert {one.id for one in found} == {"id3", "id4"}


def test_and_of_the_facts_about_each_too_without_those_that_have_outlived_their_use(database):
    cases.state(database, [(Fact("about", "id", "gone", "0", {}, days=1), A, "t/0/1")], now() - timedelta(days=2), 365)
    facts = [Fact("kind", "ref", "id", "1", {}), *(Fact("about", "id", f"id{n}", f"{9 - n}", {}) for n in range(5))]
    cases.state(database, [(fact, A, "t/0/1") for fact in facts], now(), 365)
    [[found]] = cases.find(database, [[CaseRef("kind", "ref", about="about", about_most=2)]])
    assert {one.id for one in found.about} == {"id3", "id4"}


def test_facts_that_have_outlived_their_use_are_not_found_and_go(database):
    cases.state(database, [(Fact("kind", "ref", "id", "1", {}, days=1), A, "t/0/1")], now() - timedelta(days=2), 365)
    assert cases.find(database, [[CaseRef("kind", "ref")]]) == [[]]
    assert cases.clean(database, now(), 730) == 1


def test_what_a_replay_may_still_bring_is_not_forgotten(database):
    at = now()
    for name, days in ((A, 729), (B, 732)):
        cases.enter(database, "stream", [Entry(name, "t/0/1", f"key {name}", "1", "")], at - timedelta(days=days))
    assert cases.clean(database, at, 730) == 1
    again = [Entry(name, "t/0/2", f"key {name}", "1", "") for name in (A, B)]
    assert [one.again for one in cases.standings(database, "stream", again, at)] == [True, False]
