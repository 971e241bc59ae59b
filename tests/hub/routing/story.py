"""The events of a small story, stamped as the gate stamps them, and a hub without Kafka to send them through."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hub.bus import Out
from hub.contract.events import Event, Keyring, Origin, sparse, stamp
from hub.routing.app import streams
from hub.routing.record import PARKED_HEADER, Record
from hub.routing.stream import Found, Moment

KEYRING = Keyring(b"0123456789abcdef")
PROVINCE, DISTRICT, COMMUNE, LAB = "01004", "01021", "01731", "01940"
MORNING = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)  # a Monday, 08:00 in Vietnam
NOW = Moment(MORNING, MORNING)
STREAMS = {stream.topic: stream for stream in streams()}
TOPICS = {"hie.Referral": "referral.v1", "hie.LabOrder": "lab-order.v1", "hie.LabResult": "lab-result.v1"}
TOPICS |= {"hie.Encounter": "encounter.v1", "hie.FollowUp": "follow-up.v1", "hie.Claim": "claim.v1"}
TOPICS |= {"hie.Charge": "charge.v1", "hie.Prescription": "prescription.v1", "hie.Document": "document.v1"}

_FULL = {
    "hie.Referral": {"person": {}, "xml13": {}},
    "hie.LabOrder": {"person": {}},
    "hie.LabResult": {"person": {}, "service": {}},
}
_FULL |= {"hie.Encounter": {"person": {}}, "hie.FollowUp": {"person": {}, "xml14": {}}, "hie.Claim": {"xml1": {}}}
_FULL |= {record: {"person": {}} for record in ("hie.Charge", "hie.Prescription")}
_FULL |= {"hie.Document": {"person": {}, "code": {}}}


def person(number: str = "001090000001", *cards: str) -> dict[str, Any]:
    numbers = [("SDDCN", number), *(("BHYT_CARD", card) for card in cards)]
    named = [{"type": kind, "value": value, "normalised": value} for kind, value in numbers]
    return {"ho_ten": "Người Thử", "identifiers": named}


def registered(
    number: str, name: str, born: str = "", sex: str = "", *, at: str = COMMUNE, card: str = "HT3494912003388"
) -> dict[str, Any]:
    """A person as a facility has it, with a patient number of its own: all of them with one card, as of who lends it."""
    numbers = [("MRN", number, f"VN-CSKCB-{at}"), ("BHYT_CARD", card, "VSS")]
    identifiers = [{"type": kind, "value": value, "normalised": value, "issuer": issuer} for kind, value, issuer in numbers]
    return {"ho_ten": name, "ngay_sinh": born, "gioi_tinh": sex, "identifiers": identifiers}


BORROWER = registered("24007777", "Hồ Bảo An", "201905050000", "2")
LENDER = registered("24001911", "Trần Văn Đức", "195509020000", "1")


def said(
    record: str, facility: str, business_key: str, content: Event, *, minute: int = 0, test: bool = False, **more: Any
) -> Event:
    """One event, stated and received `minute` minutes into the morning."""
    at = MORNING + timedelta(minutes=minute)
    stated = f"{at + timedelta(hours=7):%Y%m%d%H%M%S}"
    origin = Origin(f"00000000-0000-0000-0000-{minute:012d}", at, {"sender": "test"}, test, stated)
    full = _FULL[record] | content
    event = stamp(record, sparse(full), facility=facility, business_key=business_key, origin=origin, keyring=KEYRING, **more)
    return {**event, **full}


def referral(action: str = "ISSUED", slip: str = "S1", *, minute: int = 0, to: str = DISTRICT, **content: Any) -> Event:
    test, more = content.pop("test", False), {"slip": slip, "ma_cskcb": COMMUNE, "ma_cskcb_den": to, "person": person()}
    by = {"by_facility": to} if action in ("ACCEPTED", "REJECTED") else {"expires_on": "20261207", "issued_on": "20261123"}
    return said("hie.Referral", COMMUNE, slip, {"action": action} | more | by | content, minute=minute, test=test)


def check_in(ma_lk: str = "LK1", *, minute: int = 0, at: str = DISTRICT, **content: Any) -> Event:
    more = {"action": "OPENED", "ma_lk": ma_lk, "ma_cskcb": at, "person": person(), "ngay_vao": "202611230900"}
    return said("hie.Encounter", at, ma_lk, more | content, minute=minute)


def order(placer: str = "O1", *, minute: int = 0, by: str = PROVINCE, performer: str = LAB, **content: Any) -> Event:
    more = {"action": "PLACED", "placer": placer, "ma_cskcb": by, "performer": performer, "person": person()}
    return said("hie.LabOrder", by, placer, more | content, minute=minute)


def result(placer: str = "O1", *, minute: int = 0, status: str = "F", lab: str = LAB, **content: Any) -> Event:
    meta = {"sensitivity": content.pop("sensitivity")} if "sensitivity" in content else {}
    more = {"status": status, "placer": placer, "ma_cskcb": lab, "person": person()}
    return said("hie.LabResult", lab, placer, more | content, minute=minute, **meta)


def claim(ma_lk: str = "C1", *, minute: int = 0, test: bool = False, card: str = "GD4010012345678", **content: Any) -> Event:
    summary = {"ma_lk": ma_lk, "ma_the_bhyt": card}
    more = {"action": "SUBMITTED", "ma_cskcb": DISTRICT, "ma_lk": ma_lk, "xml1": summary}
    return said("hie.Claim", DISTRICT, ma_lk, more | content, minute=minute, test=test)


def known_of(stream: str, *events: Event, kinds: Iterable[str] = ()) -> list[Found]:
    """The facts of events as a look-up would find them, each with all facts of its id about it."""
    own = [
        Found(fact.kind, fact.ref, fact.id, fact.data, event["meta"]["event_id"], f"{stream}/0/{at}")
        for at, event in enumerate(events)
        for fact in STREAMS[stream].facts(event, KEYRING)
    ]
    return [
        Found(one.kind, one.ref, one.id, one.data, one.event_id, one.place, tuple(two for two in own if two.ref == one.id))
        for one in own
        if not kinds or one.kind in kinds
    ]


def decided(topic: str, event: Event, known: Iterable[Found] = ()) -> list[Any]:
    """What a stream makes of one event."""
    stream = STREAMS[topic]
    return list(stream.decide(event, list(known), Moment(MORNING, MORNING, tuple(stream.facts(event, KEYRING)))))


# --- a hub without Kafka ----------------------------------------------------------------------------------------------


@dataclass
class Published:
    """Stands where the producer stands, and keeps what is published."""

    outs: list[Out] = field(default_factory=list)

    async def publish(self, records: Iterable[Out]) -> None:
        self.outs += records

    def publish_blocking(self, records: Iterable[Out]) -> None:
        self.outs += records

    def close(self) -> None:
        """Nothing is open."""


class Remembered:
    """Stands where the recaller stands: what was sent through this hub, by its place."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, int, int], bytes] = {}

    def read(self, origins: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int, int], bytes]:
        return {origin: self.values[origin] for origin in origins if origin in self.values}


class SmallHub:
    """Routes events one batch at a time with the real case index; what routing publishes on its own topics comes back in."""

    _offsets = count(1)  # of all hubs of a session: an offset is a place, and places are remembered

    def __init__(self, router: Any, published: Published, remembered: Remembered) -> None:
        self.router, self.published, self.remembered = router, published, remembered
        self.deliveries: dict[str, Event] = {}
        self.others: list[tuple[str, Event]] = []

    def record(self, topic: str, out: Out) -> Record:
        place = (topic, 0, next(self._offsets))
        self.remembered.values[place] = out.value
        return Record(*place, out.key.encode(), out.value, dict(out.headers))

    def send(self, *events: tuple[str, Event]) -> None:
        """Events (record, event) one by one, each with all that follows from it."""
        for record, event in events:
            topic = TOPICS[record]
            self.route(topic, [self.record(topic, Out(topic, event["meta"]["key"], self.router.wire.pack(topic, event)))])

    def route(self, topic: str, records: list[Record], *, follow: bool = True) -> None:
        asyncio.run(self.router.route(STREAMS[topic], records))
        if follow:
            self.follow()

    def follow(self) -> None:
        """Take what was published, in order; what follows from it comes behind all of it, as in a topic."""
        while self.published.outs:
            outs, self.published.outs = self.published.outs, []
            for out in outs:
                record, event = self.router.wire.unpack(out.value)
                if record == "hie.Delivery":
                    self.deliveries[event["meta"]["event_id"]] = event
                elif out.topic not in STREAMS or PARKED_HEADER not in dict(out.headers):
                    self.others.append((out.topic, event))
                if out.topic in STREAMS:
                    asyncio.run(self.router.route(STREAMS[out.topic], [self.record(out.topic, out)]))

    def addressed(self) -> set[tuple[str, str]]:
        """(recipient, rule) of every delivery to somebody."""
        return {(one["recipient"], one["rule"]) for one in self.deliveries.values() if one["recipient"]}
