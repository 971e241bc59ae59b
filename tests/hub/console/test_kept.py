"""What takes a while is asked for once, whoever looks."""

import asyncio
import threading

import pytest

from hub.access.people import Person
from hub.console.kept import _TURNS, Kept, away


def test_many_who_ask_at_once_get_one_answer_and_later_ones_the_same():
    asked, go = [], threading.Event()

    def make(key):
        asked.append(key)
        go.wait(10)
        return key * 2

    kept = Kept(make, 60.0)

    async def run():
        both = asyncio.gather(kept.of("a"), kept.of("a"))
        await asyncio.sleep(0.05)
        go.set()
        return [*await both, await kept.of("a"), await kept.of("b")]

    assert asyncio.run(run()) == ["aa", "aa", "aa", "bb"]
    assert asked == ["a", "b"]
    assert not kept._asked, "of keys that nobody waits for nothing is left"


def test_a_fault_is_told_and_not_kept():
    answers = iter((OSError("away"), "here"))

    def make(_key):
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    kept = Kept(make, 60.0)
    with pytest.raises(OSError, match="away"):
        asyncio.run(kept.of("a"))
    assert asyncio.run(kept.of("a")) == "here"


def test_what_is_old_is_asked_for_again():
    numbers = iter(range(9))
    kept = Kept(lambda _key: next(numbers), 0.0)
    assert [asyncio.run(kept.of("a")) for _ in range(2)] == [0, 1]


def test_however_much_vendors_ask_those_on_shift_find_a_thread():
    vendor, operator = Person("songhong", "vendor", ("songhong_his",), "vi"), Person("lan", "operator", (), "vi")
    go = threading.Event()

    async def run():
        asked = [asyncio.create_task(away(vendor, go.wait, 10)) for _ in range(50)]
        await asyncio.sleep(0)
        answer = await asyncio.wait_for(away(operator, "an answer".upper), 5)
        go.set()
        await asyncio.gather(*asked)
        return answer

    assert asyncio.run(run()) == "AN ANSWER"


def test_one_vendor_leaves_a_thread_to_the_next():
    first, second = (Person(name, "vendor", (name,), "vi") for name in ("songhong", "cuulong"))
    go = threading.Event()

    async def run():
        asked = [asyncio.create_task(away(first, go.wait, 10)) for _ in range(5)]
        await asyncio.sleep(0)
        try:
            return await asyncio.wait_for(away(second, "an answer".upper), 5)
        finally:
            go.set()
            await asyncio.gather(*asked)

    assert asyncio.run(run()) == "AN ANSWER"
    assert not _TURNS
