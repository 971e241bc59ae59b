"""Whoever acts on what waits at the moment when a worker lets it go: an operator, another worker, and death."""

import asyncio
import dataclasses
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from hub.bus import Out
from hub.cli.main import app
from hub.contract.directory import Facility, facilities
from hub.contract.errors import HubError
from hub.routing import parking
from hub.routing.amend import amended
from hub.routing.record import PARKED_HEADER
from hub.store.database import connect
from tests.hub.routing.story import DISTRICT, KEYRING, PROVINCE, STREAMS, referral

TOPIC, NEW, LIMIT_S = "referral.v1", "01999", 20
WRONG, RIGHT = referral(to=NEW), referral("MODIFIED", minute=5)
KEY, STREAM = WRONG["meta"]["key"], STREAMS[TOPIC]
SAYS = {"by": "somebody", "reason": "test"}


class _Killed(BaseException):
    """The end of a process, as far as a test may have it."""


@pytest.fixture
def database(routing_settings):
    with connect(routing_settings.database_url.get_secret_value(), autocommit=True) as opened:
        yield opened


@pytest.fixture
def other(routing_settings):
    """Calls with a connection of one's own."""

    def call(act):
        with connect(routing_settings.database_url.get_secret_value()) as own:
            return act(own)

    return call


@pytest.fixture
def meanwhile(database):
    """Has somebody act once the brokers hold what is published next, and before its worker has gone on. Returns: what came of it."""
    with ThreadPoolExecutor(1) as thread:

        def arrange(hub, act) -> Future:
            came: Future = Future()

            def publish(outs):
                calm(hub)
                hub.published.outs += outs
                acting = thread.submit(act)
                acting.add_done_callback(lambda done: came.set_result(done.result()))
                until(lambda: acting.done() or waits_for_a_lock(database))

            hooked(hub, publish)
            return came

        yield arrange


def hooked(hub, publish):
    """The next that is published goes there."""

    async def published(outs):
        publish(outs)

    hub.published.publish, hub.published.publish_blocking = published, publish


def calm(hub):
    for name in ("publish", "publish_blocking"):
        hub.published.__dict__.pop(name, None)


def waits_for_a_lock(database):
    return database.execute(
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')"
    ).fetchone()[0]


def until(true):
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def record(hub, event):
    return hub.record(TOPIC, Out(TOPIC, event["meta"]["key"], hub.router.wire.pack(TOPIC, event)))


def send(hub, *events):
    for event in events:
        hub.route(TOPIC, [record(hub, event)])


def mended(hub, other):
    """An edit of what waits now, to be done later."""
    waits = other(lambda own: parking.oldest(own, hub.router.wire, TOPIC, KEY))
    edited = amended("hie.Referral", waits, {"ma_cskcb_den": PROVINCE}, KEYRING)
    ask = {"fields": ["ma_cskcb_den"], **SAYS}
    return lambda: other(lambda own: parking.edit(own, hub.published, hub.router.wire, STREAM, edited, KEYRING, **ask))


def copies(hub):
    """What was published again comes in; what else was published stays."""
    found = [out for out in hub.published.outs if PARKED_HEADER in dict(out.headers)]
    hub.published.outs = [out for out in hub.published.outs if out not in found]
    return [hub.record(TOPIC, out) for out in found]


def reached(hub, recipient):
    return [one["subject_event_id"] for one in hub.deliveries.values() if one["recipient"] == recipient]


def stuck(database):
    """Rows that nobody will look at again by themselves, and no operator may touch."""
    return database.execute("select code from parked where state = 'PARKED' and sent").fetchall()


def test_an_edit_of_what_its_sender_just_said_right_is_refused_and_loses_nothing(new_hub, database, other, meanwhile):
    hub = new_hub()
    send(hub, WRONG)
    came = meanwhile(hub, mended(hub, other))
    send(hub, RIGHT)
    assert came.result(LIMIT_S) == 0
    assert parking.waiting(database) == []
    assert (reached(hub, DISTRICT), reached(hub, PROVINCE)) == ([RIGHT["meta"]["event_id"]], [])
    assert "edited" not in {one["rule"] for one in hub.deliveries.values()}


def test_a_discard_of_what_its_sender_just_said_right_is_refused(new_hub, database, other, meanwhile):
    hub = new_hub()
    send(hub, WRONG)
    wire = hub.router.wire
    came = meanwhile(hub, lambda: other(lambda own: parking.discard(own, hub.published, wire, STREAM, KEY, KEYRING, **SAYS)))
    send(hub, RIGHT)
    assert came.result(LIMIT_S) == 0
    assert parking.waiting(database) == []
    assert reached(hub, DISTRICT) == [RIGHT["meta"]["event_id"]]
    assert "dead-letter.v1" not in [topic for topic, _event in hub.others]


def test_a_release_at_that_moment_brings_the_wrong_word_to_nobody(new_hub, database, other, meanwhile):
    hub = new_hub()
    send(hub, WRONG)
    came = meanwhile(hub, lambda: other(lambda own: parking.release(own, hub.published, hub.router.wire, TOPIC, KEY, **SAYS)))
    send(hub, RIGHT)
    came.result(LIMIT_S)
    hub.follow()
    assert parking.waiting(database) == []
    assert reached(hub, DISTRICT) == [RIGHT["meta"]["event_id"]]


def left_behind(hub, monkeypatch):
    """RIGHT waits behind a word that was given up before its worker knew that it parks there. Returns: its record."""
    send(hub, WRONG)
    with monkeypatch.context() as patched:
        patched.setattr(type(hub.router), "_outdo", lambda *_args: None)
        right = record(hub, RIGHT)
        hub.route(TOPIC, [right])
    return right


def test_an_edit_of_what_goes_on_by_itself_is_refused_and_loses_nothing(new_hub, database, other, meanwhile, monkeypatch):
    hub = new_hub()
    right = left_behind(hub, monkeypatch)
    database.execute("update parked set state = 'DISCARDED' where code <> 'BEHIND'")
    came = meanwhile(hub, mended(hub, other))
    hub.route(TOPIC, [right])  # its worker reads it again
    assert came.result(LIMIT_S) == 0
    assert (parking.waiting(database), stuck(database)) == ([], [])
    assert reached(hub, DISTRICT) == [RIGHT["meta"]["event_id"]]


def test_what_another_worker_parks_again_does_not_look_as_if_it_were_on_its_way(new_hub, database, other, meanwhile, monkeypatch):
    """The partition moved: the other one reads all of it again while the first has not yet noted what it published."""
    hub = new_hub()
    send(hub, WRONG)
    right = record(hub, RIGHT)

    def take_over():
        monkeypatch.delitem(facilities(), DISTRICT)
        asyncio.run(hub.router.route(STREAM, [right, *copies(hub)]))

    came = meanwhile(hub, take_over)
    asyncio.run(hub.router.route(STREAM, [right]))
    came.result(LIMIT_S)
    hub.follow()
    assert stuck(database) == []
    assert [row["code"] for row in parking.waiting(database)] == ["RECEIVER_UNKNOWN"]


def test_what_is_published_again_names_a_row_that_others_see(new_hub, database, meanwhile):
    """Whose header no row answers to would be taken for a further event, at a place of its own."""
    hub = new_hub()
    send(hub, WRONG)

    def named():
        headers = [dict(out.headers).get(PARKED_HEADER, b"").decode() for out in hub.published.outs]
        rows = database.execute("select topic || '/' || partition || '/' || record_offset from parked").fetchall()
        return [(place,) in rows for place in headers if place]

    came = meanwhile(hub, named)
    send(hub, RIGHT)
    assert came.result(LIMIT_S) == [True]


def test_an_edit_of_what_another_worker_parked_again_is_not_lost_to_one_that_comes_late(new_hub, database, other, monkeypatch):
    hub, edited = new_hub(), []
    send(hub, WRONG)
    other(lambda own: parking.release(own, hub.published, hub.router.wire, TOPIC, KEY, **SAYS))

    def late(event, known, moment):
        database.execute("update parked set sent = false")  # the other has parked it again
        edited.append(mended(hub, other)())
        monkeypatch.setitem(STREAMS, TOPIC, STREAM)
        return []

    monkeypatch.setitem(STREAMS, TOPIC, dataclasses.replace(STREAM, decide=late))
    hub.route(TOPIC, copies(hub))
    assert edited == [1]
    [row] = parking.waiting(database)
    assert str(row["event_id"]) not in ("", WRONG["meta"]["event_id"])


def test_the_command_says_that_it_has_just_gone(new_hub, other, routing_settings, monkeypatch):
    hub = new_hub()
    send(hub, WRONG)
    other(lambda own: parking.release(own, hub.published, hub.router.wire, TOPIC, KEY, **SAYS))
    monkeypatch.setenv("HIE_REGISTRY_URL", routing_settings.registry_url)
    for name in ("kafka_bootstrap", "database_url", "key_secret"):
        monkeypatch.setenv(f"HIE_{name.upper()}", getattr(routing_settings, name).get_secret_value())
    monkeypatch.setattr("hub.bus.Producer", lambda *_args, **_more: hub.published)
    for act in (["discard"], ["edit", "--set", f"ma_cskcb_den={DISTRICT}"]):
        done = CliRunner().invoke(app, ["parked", act[0], TOPIC, KEY, *act[1:], "--reason", "wrong code"])
        assert isinstance(done.exception, HubError)
        assert "it has just gone on its way" in str(done.exception)


@pytest.mark.parametrize("published", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("broken", [_Killed(), HubError("BROKER_UNAVAILABLE", "test")], ids=["killed", "brokers away"])
def test_a_worker_that_ends_around_publishing_lets_go_what_waits_when_it_is_read_again(new_hub, database, published, broken):
    hub = new_hub()
    send(hub, WRONG)

    def publish(outs):
        calm(hub)
        hub.published.outs += outs if published else []
        raise broken

    hooked(hub, publish)
    right = record(hub, RIGHT)
    try:
        asyncio.run(hub.router.route(STREAM, [right]))
    except _Killed:
        asyncio.run(hub.router.route(STREAM, [right, *copies(hub)]))
    hub.follow()
    assert (parking.waiting(database), stuck(database)) == ([], [])
    assert reached(hub, DISTRICT) == [RIGHT["meta"]["event_id"]]
    assert [one["rule"] for one in hub.deliveries.values() if one["subject_event_id"] == WRONG["meta"]["event_id"]] == [
        "superseded"
    ]


@pytest.mark.parametrize("published", [False, True], ids=["before", "after"])
def test_a_worker_that_ends_while_what_was_released_goes_through_leaves_what_follows_to_follow(
    new_hub, database, other, published, monkeypatch
):
    hub, later = new_hub(), referral("CANCELLED", minute=9, to=NEW)
    send(hub, WRONG)
    opened = Facility(NEW, "", "", "basic", "hospital", "01", "_standard", facilities()[DISTRICT].valid_from, None)
    monkeypatch.setitem(facilities(), NEW, opened)
    other(lambda own: parking.release(own, hub.published, hub.router.wire, TOPIC, KEY, **SAYS))
    [copy] = [hub.record(TOPIC, out) for out in hub.published.outs if out.topic == TOPIC]
    hub.published.outs = []
    send(hub, later)  # it waits behind

    def publish(outs):
        calm(hub)
        hub.published.outs += outs if published else []
        raise _Killed

    hooked(hub, publish)
    with pytest.raises(_Killed):
        asyncio.run(hub.router.route(STREAM, [copy]))
    hub.route(TOPIC, [copy])
    assert (parking.waiting(database), stuck(database)) == ([], [])
    assert reached(hub, NEW) == [WRONG["meta"]["event_id"], later["meta"]["event_id"]]
