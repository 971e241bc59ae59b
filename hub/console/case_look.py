"""Cases: referrals, laboratory results and claims, each found by its number, or by facility, day and state.

A case is all that has one Kafka key. The index knows which message was received when, so messages are walked, the newest first and
a bounded number at a time, to the events that they made; the state is that of the case index or of the newest events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row

from hub.contract.errors import HubError
from hub.contract.events import Keyring
from hub.routing import cases
from hub.routing.persons import person_refs
from hub.routing.slips import slip_of
from hub.routing.stream import CaseRef

PAGE: Final = 200
WALKED: Final = 1_000  # messages looked at for one page
_LIMIT_MS: Final = 5_000
_DONE: Final = UUID(int=0)  # less than any event's id
Part = Literal["referrals", "results", "claims"]
PARTS: Final = get_args(Part)
RECORDS: Final[Mapping[Part, tuple[str, ...]]] = {
    "referrals": ("hie.Referral",),
    "results": ("hie.LabOrder", "hie.LabResult"),
    "claims": ("hie.Claim",),
}
"""Of which records a case of each part is made."""
STATES: Final[Mapping[Part, tuple[str, ...]]] = {
    "referrals": ("ISSUED", "MODIFIED", "ACCEPTED", "REJECTED", "ARRIVED", "EXPIRED", "CANCELLED"),
    "results": (
        "PLACED",
        "CHANGED",
        "HELD",
        "CANCELLED",
        "ACCEPTED",
        "IN_PROGRESS",
        "COMPLETED",
        "REFUSED",
        "UNKNOWN",
        "P",
        "F",
        "C",
        "X",
    ),
    "claims": ("SUBMITTED", "INFORMATION_REQUESTED", "ACCEPTED", "REDUCED", "REJECTED", "PAID", "CANCELLED"),
}
"""In which states one may be: of a slip `Slip.stands`, of others the action, status or verdict of what was said last."""
_OF_PERSON: Final = ("referral-of-person", "result-of-person", "arrival-of-person")  # facts that are looked up by a person

Database = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Case:
    """One case. Its own number is in no index, and not shown.

    at:       when the newest message of it came that was walked over.
    event_id: of its event in that message; `hub.journal.trace.trace_case` tells its story.
    facility: under whose numbers it goes.
    holder:   who has it now: of a slip who it is meant for, of others who was delivered the newest of it; "" for nobody.
    """

    at: datetime
    message_id: UUID | None
    event_id: UUID
    key: str
    record: str
    facility: str
    test: bool
    state: str = ""
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Cases:
    """found: newest first. walked: messages that were looked at; next: where to go on, "" at the end."""

    found: tuple[Case, ...]
    walked: int
    next: str = ""


def by_number(database: Database, part: Part, facility: str, number: str, keyring: Keyring | None) -> Cases:
    """The case of a slip's number, an order's number (the filler's, where there is none) or an ma_lk, of tests too.

    Raises: HubError(REQUEST_WRONG) where facility or number is missing; psycopg's errors.
    """
    if not facility or not number or keyring is None:
        raise HubError("REQUEST_WRONG", "facility, number")
    keys = [keyring.key(facility, number, test=test) for test in (False, True)]
    found = [Case(**one) for one in _asked(database, _BY_KEY, {"keys": keys, "records": list(RECORDS[part])})]
    return Cases(_with_states(database, part, found), 0)


def walk(
    database: Database,
    part: Part,
    *,
    facility: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    state: str = "",
    after: str = "",
) -> Cases:
    """A page of cases of which a message was received then, newest first, `PAGE` of them or as many as `WALKED` messages made.
    One with an older message too may stand on a later page again.

    facility: that sent the message; "" for all.
    after:    `next` of the page before.
    Raises:   HubError(REQUEST_WRONG); psycopg's errors.
    """
    wanted: dict[str, Any] = {"facility": facility, "since": since, "until": until, "walked": WALKED}
    where = [words for name, words in _WORDS.items() if wanted[name]]
    behind = _place(after) if after else {}
    if after:
        done = behind["event"] == _DONE  # all of that message was shown
        where.append(f"(received_at, message_id) {'<' if done else '<='} (%(at)s, %(message)s)")
    walked = _asked(database, _WALKED.format(where=" and ".join(where) or "true"), wanted | behind)
    times, ids = [one["at"] for one in walked], [one["message_id"] for one in walked]
    values = behind | {"times": times, "ids": ids, "records": list(RECORDS[part]), "most": PAGE}
    found = [Case(**one) for one in _asked(database, _MADE.format(behind=_BEHIND if after else "true"), values)]
    following = ""
    if len(found) == PAGE:
        following = _written(found[-1].at, found[-1].message_id, found[-1].event_id)
    elif len(walked) == WALKED:
        following = _written(times[-1], ids[-1], _DONE)
    told = _with_states(database, part, found)
    return Cases(tuple(one for one in told if state in ("", one.state)), len(walked), following)


def case_of(database: Database, id: UUID) -> Case:
    """The case that an event or a delivery belongs to. Raises: HubError(NOT_FOUND)."""
    found = [Case(**one) for one in _asked(database, _BY_EVENT, {"id": id})]
    if not found:
        raise HubError("NOT_FOUND", "id")
    part = next((part for part in PARTS if found[0].record in RECORDS[part]), None)
    return _with_states(database, part, found)[0]


def keys_of_patient(database: Database, said: str, keyring: Keyring | None) -> list[str]:
    """Kafka keys of what is known of a patient, of tests too.

    said:   `facility/number` of a slip, an order or a visit (ma_lk) of the patient's; or an insurance card, a social-insurance or
            citizen's number: then of the slips, visits and results that the case index has of this person, which says of no claim
            whose it is but by its visit.
    Raises: HubError(REQUEST_WRONG) for what is none of these.
    """
    facility, slash, number = (part.strip() for part in said.partition("/"))
    if keyring is None or (slash and not (facility and number)):
        raise HubError("REQUEST_WRONG", "patient")
    if slash:
        return [keyring.key(facility, number, test=test) for test in (False, True)]
    person = {"identifiers": [{"type": "BHYT_CARD", "value": "".join(said.split())}]}
    refs = [ref for test in (False, True) for ref in person_refs(person, keyring, test=test).values()]
    if not refs:
        raise HubError("REQUEST_WRONG", "patient")
    known = cases.find(database, [[CaseRef(kind, ref, most=PAGE) for ref in refs for kind in _OF_PERSON]])[0]
    rows = _asked(database, _KEYS, {"ids": [one.event_id for one in known]})
    return [one["key"] for one in rows]


def _written(at: datetime, *ids: UUID | None) -> str:
    return "|".join((at.astimezone(UTC).isoformat(), *map(str, ids)))


def _place(after: str) -> dict[str, Any]:
    at, message, event = [*after.split("|"), "", ""][:3]
    try:
        return {"at": datetime.fromisoformat(at), "message": UUID(message), "event": UUID(event)}
    except ValueError:
        raise HubError("REQUEST_WRONG", "after") from None


def _asked(database: Database, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with database.transaction(), database.cursor(row_factory=dict_row) as cursor:
        cursor.execute(f"set local statement_timeout = {_LIMIT_MS}".encode())
        cursor.execute(b"set local jit = off")
        return cursor.execute(query.encode(), values).fetchall()


# --- states -----------------------------------------------------------------------------------------------------------


def _with_states(database: Database, part: Part | None, found: Sequence[Case]) -> tuple[Case, ...]:
    if part == "referrals":
        return tuple(_slips(database, found))
    rows = _asked(database, _NEWEST, {"keys": [one.key for one in found]})
    said = {(row["key"], row["record"]): row for row in rows}
    return tuple(_stands(one, said) for one in found)


def _slips(database: Database, found: Sequence[Case]) -> list[Case]:
    """By the case index, as routing draws a slip; a slip of which that knows nothing has no state yet."""
    known = cases.find(database, [[CaseRef("referral", one.key)] for one in found])
    slips = [slip_of(one.key, facts) for one, facts in zip(found, known, strict=True)]
    return [
        replace(one, state=slip.stands, holder=slip.receiver) if slip else one for one, slip in zip(found, slips, strict=True)
    ]


def _stands(one: Case, said: Mapping[tuple[str, str], dict[str, Any]]) -> Case:
    """What was said last of it; of a claim what its payer said, unless it was said anew, or cancelled, since then."""
    records = reversed(RECORDS["results"]) if one.record in RECORDS["results"] else (one.record,)  # a result over its order
    newest = next((said[one.key, record] for record in records if (one.key, record) in said), None)
    if newest is None:
        return one
    decided = said.get((one.key, "hie.ClaimDecision"))
    state = str(newest["action"])
    if one.record == "hie.Claim" and state != "CANCELLED" and decided and decided["recorded_at"] > newest["recorded_at"]:
        state = str(decided["action"])
    return replace(one, state=state, holder=", ".join(newest["recipients"] or ()))


_WORDS: Final = {
    "facility": "facility = %(facility)s",
    "since": "received_at >= %(since)s",
    "until": "received_at < %(until)s",
}
_WALKED: Final = """
select received_at as at, message_id from journal_message where {where} order by received_at desc, message_id desc limit %(walked)s
"""
# Of a payer's own topics are projections, and decisions that nobody has checked yet.
_MADE: Final = """
select * from (
    select distinct on (event.key) walked.at, message_id, event.event_id, event.key, event.record, event.facility, event.test
    from unnest(%(times)s::timestamptz[], %(ids)s::uuid[]) as walked (at, message_id) join journal_event as event using (message_id)
    where event.record = any(%(records)s) and event.key <> '' and not starts_with(event.topic, 'payer.')
    order by event.key, walked.at desc, message_id desc, event.event_id desc
) as made where {behind} order by at desc, message_id desc, event_id desc limit %(most)s
"""
_BEHIND: Final = "(at, message_id, event_id) < (%(at)s, %(message)s, %(event)s)"
_BY_KEY: Final = """
select distinct on (key) recorded_at as at, message_id, event_id, key, record, facility, test from journal_event
where key = any(%(keys)s) and record = any(%(records)s) and not starts_with(topic, 'payer.')
order by key, revision desc, recorded_at desc
"""
_BY_EVENT: Final = """
select recorded_at as at, message_id, event_id, key, record, facility, test from journal_event
where key <> '' and event_id in (%(id)s, (select subject_event_id from journal_delivery where delivery_id = %(id)s)) limit 1
"""
_KEYS: Final = "select distinct key from journal_event where event_id = any(%(ids)s::uuid[]) and key <> ''"
# Of an order one message may cancel a test and place another: it stands.
_NEWEST: Final = """
select newest.*, (select array_agg(distinct recipient order by recipient) from journal_delivery as delivery
                  where delivery.subject_event_id = newest.event_id and recipient not in ('', 'portal')) as recipients
from (
    select distinct on (key, record) key, record, event_id, action, recorded_at from journal_event
    where key = any(%(keys)s) and key <> '' and not starts_with(topic, 'payer.')
    order by key, record, revision desc, action in ('CANCELLED', 'HELD'), recorded_at
) as newest
"""
