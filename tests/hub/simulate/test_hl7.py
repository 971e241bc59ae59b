"""Messages are repeatable, and as long as asked."""

from hub import simulate


def test_messages_are_repeatable_and_each_has_its_own_control_id() -> None:
    for make in (simulate.results, simulate.referrals):
        messages = list(make(1, 30))
        assert messages == list(make(1, 30))
        assert len({message.split(b"|")[9] for message in messages}) == 30
        assert all(message.startswith(b"MSH|") and message.endswith(b"\r") for message in messages)


def test_a_result_has_the_asked_number_of_lines() -> None:
    assert next(simulate.results(1, 1)).count(b"\rOBX|") == 14
    assert next(simulate.results(1, 1, lines=60)).count(b"\rOBX|") == 60
