"""What a person changes: dead letters and parked keys, on the console and by `hie dead` and `hie parked` alike.

Every change has a reason and a person's name, can be tried first, is limited in rate, can be stopped between one thing and the
next, and leaves an audit event. Killed at any point, what was not closed is still open, and doing it again has no further effect.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Stop
from typing import TYPE_CHECKING, Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow

from hub.audit import audit
from hub.bus import Out, Producer, Wire
from hub.console.words import Words
from hub.contract.errors import HubError
from hub.contract.events import Event, Keyring, now
from hub.contract.settings import Settings
from hub.journal.dead_letters import Archived, Letter, bare, closing, find, read
from hub.routing import parking
from hub.routing.stream import Stream
from hub.store.database import connect

if TYPE_CHECKING:
    from hub.routing.foresight import Foreseen

PER_SECOND: Final = 50.0
GONE: Final = Words(
    vi="byte của nó không còn được lưu, cả ở topic lẫn ở kho lưu trữ",
    en="its bytes are kept no more, neither by the topic nor by the archive",
)
_STAYS: Final = Words(vi=f"{GONE.vi}, nên thư vẫn mở: hãy bỏ hẳn", en=f"{GONE.en}, so it stays open: discard it")
_STAYS_KNOWN: Final = Words(vi=f"{_STAYS.vi}, hoặc dịch lại bản tin", en=f"{_STAYS.en}, or translate its message again")
_UNKNOWN: Final = Words(
    vi="nhật ký không biết bản tin của nó, nên thư vẫn mở: hãy gửi lại mà không dịch",
    en="the journal does not know its message, so it stays open: redrive it without translating",
)
_CLOSED: Final = Words(vi="đóng hẳn", en="closed for good")
_CLOSED_BARE: Final = Words(vi=f"{_CLOSED.vi}; {GONE.vi}", en=f"{_CLOSED.en}; {GONE.en}")
_IN_MEMORY: Final = 8
_REASON_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Hand:
    """Who changes something, why, and with what."""

    kafka: str
    database: Connection[TupleRow]
    wire: Wire
    producer: Producer
    older: Archived
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, or would be, with one letter. dealt: false where it stays as it is."""

    letter: Letter
    what: Words
    dealt: bool


@contextmanager
def hand(settings: Settings, older: Archived, *, by: str, reason: str) -> Iterator[Hand]:
    """Raises: HubError(REQUEST_WRONG) without a reason; HubError(DATABASE_UNAVAILABLE, …)."""
    if not reason.strip() or len(reason) > _REASON_MAX:
        raise HubError("REQUEST_WRONG", "a reason")
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
    try:
        with connect(settings.database_url.get_secret_value()) as database:
            yield Hand(settings.kafka, database, Wire(settings.registry_url), producer, older, by, reason.strip())
    finally:
        producer.close()


# --- dead letters -----------------------------------------------------------------------------------------------------


def letters(
    database: Connection[TupleRow], ids: Sequence[str] = (), *, code: str = "", topic: str = "", stage: str = ""
) -> list[Letter]:
    """Letters by their ids, or the open ones of a cause. Raises: HubError(NOT_FOUND)."""
    try:
        wanted = {str(uuid.UUID(one)) for one in ids}
    except ValueError:
        raise HubError("NOT_FOUND", "an id is a UUID; see `hie dead list`") from None
    found = find(database, sorted(wanted), code=code, topic=topic, stage=stage)
    if not found or len(found) < len(wanted):
        raise HubError("NOT_FOUND", "no such dead letter; see `hie dead list`, and the journal may be seconds behind")
    return found


def whole_letters(kafka: str, wire: Wire, some: Sequence[Letter], older: Archived) -> Iterator[tuple[Letter, Event | None]]:
    """Letters with their bytes, a few at a time: each may be of 8 MiB. None where topic and archive keep them no more."""
    for at in range(0, len(some), _IN_MEMORY):
        few = some[at : at + _IN_MEMORY]
        yield from zip(few, read(kafka, wire, few, older), strict=True)


def readable(wire: Wire, whole: Event) -> bool:
    """Whether what was given up can be read by its schema today."""
    try:
        wire.unpack(whole["body"])
    except HubError as unread:
        if unread.retriable:
            raise
        return False
    return True


def redrive(
    hand: Hand,
    some: Sequence[Letter],
    *,
    do: bool,
    translate: bool = False,
    per_second: float = PER_SECOND,
    stop: Stop | None = None,
) -> Iterator[Step]:
    """Give letters to their own topics once more, each under its own ids.

    do:        false only says what would be done.
    translate: their messages are translated again instead, by today's dialects; one whose message is not known stays open.
    """
    if translate:
        yield from (Step(one, _UNKNOWN, dealt=False) for one in some if not one.message_id)
        some = [one for one in some if one.message_id]
    for number, (one, whole) in enumerate(_paced(hand, some, do, per_second, stop, _IN_MEMORY if translate else 1)):
        if do and translate and number % _IN_MEMORY == 0:
            hand.producer.publish_blocking([_replay(hand, some[number : number + _IN_MEMORY])])
        if whole is None and not translate:
            yield Step(one, _STAYS_KNOWN if one.message_id else _STAYS, dealt=False)
            continue
        if do:
            if not translate and whole is not None:
                record = parking.again(whole, waits=parking.restore(hand.database, hand.wire, whole))
                hand.producer.publish_blocking([record])
            hand.producer.publish_blocking(_closed(hand, one, whole, "REDRIVEN"))
        yield Step(one, _way(hand.wire, one, whole, translate), dealt=True)


def discard(
    hand: Hand, some: Sequence[Letter], *, do: bool, per_second: float = PER_SECOND, stop: Stop | None = None
) -> Iterator[Step]:
    """Close letters for good; do: false only says what would be done."""
    for one, whole in _paced(hand, some, do, per_second, stop):
        if do:
            hand.producer.publish_blocking(_closed(hand, one, whole, "DISCARDED"))
        yield Step(one, _CLOSED if whole else _CLOSED_BARE, dealt=True)


def target(letter: Letter) -> str:
    """How a letter is named in the audit topic."""
    return f"{letter.id} {letter.topic}/{letter.partition}/{letter.offset}"


def _paced(
    hand: Hand, some: Sequence[Letter], do: bool, per_second: float, stop: Stop | None, group: int = 1
) -> Iterator[tuple[Letter, Event | None]]:
    """Until it is stopped, behind a whole group, and no faster than it may where something is done."""
    stop, began = stop or Stop(), time.monotonic()
    for number, pair in enumerate(whole_letters(hand.kafka, hand.wire, some, hand.older)):
        if stop.wait(max(0.0, began + number / per_second - time.monotonic()) if do else 0.0) and number % group == 0:
            return
        yield pair


def _way(wire: Wire, letter: Letter, whole: Event | None, translate: bool) -> Words:
    topic, message = letter.topic, letter.message_id
    if whole is None or translate:
        return Words(vi=f"dịch lại bản tin {message} theo hôm nay", en=f"message {message} through today's translation")
    if readable(wire, whole):
        return Words(vi=f"đến {topic}", en=f"to {topic}")
    return Words(vi=f"đến {topic}, nơi hôm nay cũng không đọc được", en=f"to {topic}, where it cannot be read today either")


def _closed(hand: Hand, letter: Letter, whole: Event | None, state: str) -> list[Out]:
    action = "dead-redrive" if state == "REDRIVEN" else "dead-discard"
    return [
        audit(hand.wire, action, target(letter), hand.by, hand.reason),
        closing(hand.wire, whole or bare(letter), state, letter.letter_partition),
    ]


def _replay(hand: Hand, some: Sequence[Letter]) -> Out:
    request: dict[str, Any] = {"id": str(uuid.uuid4()), "at": now(), "by": hand.by, "reason": hand.reason}
    request |= dict.fromkeys(("sender", "facility", "message_type"), "") | {"from_at": None, "to_at": None}
    request["message_ids"] = sorted({letter.message_id for letter in some if letter.message_id})
    return Out("replay.v1", str(request["id"]), hand.wire.pack("replay.v1", request))


# --- parked keys ------------------------------------------------------------------------------------------------------


def stream_of(topic: str) -> Stream:
    """Raises: HubError(NOT_FOUND) for a topic in which nothing waits."""
    from hub.routing.app import streams

    found = next((one for one in streams() if one.topic == topic), None)
    if found is None:
        raise HubError("NOT_FOUND", f"nothing waits in {topic}; see `hie parked list`")
    return found


def foresee(database: Connection[TupleRow], wire: Wire, keyring: Keyring, topic: str, key: str) -> list[dict[str, Any]]:
    """What would follow if the oldest event of a parked key were released now; nothing is written. Empty where nothing waits."""
    from hub.routing.app import streams
    from hub.routing.foresight import Foresight

    event = parking.oldest(database, wire, topic, key)
    if event is None:
        return []
    with database.transaction(force_rollback=True):
        parking.set_aside(database, stream_of(topic), event, keyring)
        return [one.as_dict() for one in Foresight(streams(), keyring, database).of(topic, event, first=True)]


@dataclass(frozen=True, slots=True)
class Mended:
    """What an edit puts in the place of the event that a key waits for.

    edited:    the event that supersedes it.
    elsewhere: path that changes -> paths of the same name and value, which stay as they are.
    follows:   what would follow from it once it is released.
    """

    edited: Event
    elsewhere: Mapping[str, Sequence[str]]
    follows: Sequence["Foreseen"]


def mended(
    database: Connection[TupleRow], wire: Wire, keyring: Keyring, topic: str, key: str, changes: Mapping[str, str]
) -> Mended:
    """What an edit would do; nothing is written. changes: path of a field -> its new value as text, as of `amend.amended`.

    Raises: HubError(NOT_FOUND) where nothing waits; HubError(EDIT_FORBIDDEN, REQUEST_WRONG) of `amended`.
    """
    from hub.routing.amend import amended, same_elsewhere
    from hub.routing.app import streams
    from hub.routing.foresight import Foresight

    stream, event = stream_of(topic), parking.oldest(database, wire, topic, key)
    if event is None:
        raise HubError("NOT_FOUND", _nothing(topic))
    edited = amended(stream.record, event, changes, keyring)
    elsewhere = {path: [one for one in same_elsewhere(event, path) if one not in changes] for path in changes}
    with database.transaction(force_rollback=True):
        parking.set_aside(database, stream, event, keyring)
        follows = Foresight(streams(), keyring, database).of(topic, edited, first=True)
    return Mended(edited, {path: others for path, others in elsewhere.items() if others}, follows)


def edit(hand: Hand, keyring: Keyring, topic: str, edited: Event, changes: Mapping[str, str]) -> None:
    """Put `Mended.edited` in its place; it waits on until it is released. Raises: HubError(NOT_FOUND) where another waits there by now."""
    done = parking.edit(
        hand.database,
        hand.producer,
        hand.wire,
        stream_of(topic),
        edited,
        keyring,
        fields=changes,
        by=hand.by,
        reason=hand.reason,
    )
    if not done:
        raise HubError("NOT_FOUND", _nothing(topic))


def release(hand: Hand, topic: str, key: str, event_id: str = "") -> int:
    """Send what waits under a key on again, in order. event_id: only if the key waits for that one; "" for whichever it is.

    Returns: how many events. Raises: HubError(NOT_FOUND) where there are none, or another is the first.
    """
    return _some(
        hand,
        (topic, key, event_id),
        lambda: parking.release(hand.database, hand.producer, hand.wire, topic, key, by=hand.by, reason=hand.reason),
    )


def give_up(hand: Hand, keyring: Keyring, topic: str, key: str, event_id: str = "") -> int:
    """Give up the event that a key waits for; its bytes go to the dead letters. event_id, Raises: as of `release`. Returns: 1."""
    return _some(
        hand,
        (topic, key, event_id),
        lambda: parking.discard(
            hand.database, hand.producer, hand.wire, stream_of(topic), key, keyring, by=hand.by, reason=hand.reason
        ),
    )


def _some(hand: Hand, chosen: tuple[str, str, str], change: Callable[[], int]) -> int:
    """Held before it is looked at, so that what is changed is what was chosen."""
    topic, key, event_id = chosen
    if event_id and parking.first_id(hand.database, topic, key, held=True) != event_id:
        raise HubError("NOT_FOUND", f"this key in {topic} waits for another event by now; see `hie parked list`")
    count = change()
    if not count:
        raise HubError("NOT_FOUND", _nothing(topic))
    return count


def _nothing(topic: str) -> str:
    return f"nothing waits in {topic} under this key, or it has just gone on its way; see `hie parked list`"
