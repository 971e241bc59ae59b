"""The HOSO of an insurance envelope, one by one, to events: for one in memory and for one on the disk alike.

A large one is read twice. The first time finds what it states of itself, which may stand behind the HOSO, and that it is whole;
only then the tables are read, so nothing comes of an envelope that breaks off. A small one is read once, and its HOSO wait.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Final

from adapters.dialects.claims import map_hoso
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.profile import resolve_facility
from adapters.formats.claim_xml import Hoso, Reader, read_outline
from adapters.formats.xml_signature import State
from adapters.inbound.received import Received
from adapters.inbound.signers import Signers
from hub.contract.claim_tables import tables
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import Event, Keyring, Origin

ENVELOPE: Final = "GIAMDINHHS"
_AT_ONCE_BYTES: Final = 1024 * 1024  # read, their rows take some ten times that
_STEP: Final = timedelta(milliseconds=1)  # above what the 999 words of a payer on one claim take, a microsecond each

Source = Callable[[], bytes | Iterable[bytes]]
"""The bytes of an envelope, from their beginning, each time it is called."""


def read_hosos(
    received: Received,
    note: Event,
    origin: Origin,
    source: Source,
    keyring: Keyring,
    signers: Signers,
    judged: Callable[[str], State],
) -> Iterator[Mapped]:
    """What becomes of each HOSO, and at the end of the envelope as a whole.

    note:    the `hie.MessageReceived` under way: gets facility and signature.
    origin:  of all events; its source gets the signature.
    judged:  what the signature is worth by the certificates of a facility; asked where `signers` want it.
    Raises:  HubError, as reading an envelope does; FACILITY_NOT_ENTITLED; SIGNATURE_… where a valid one is required.
    """
    outline, hosos = _read(source)
    facility, problems = _owner(received, outline.ma_cskcb)
    note["facility"] = facility
    if signers.wanted(facility):
        state = judged(facility) if outline.signature else "MISSING"
        origin.source["signature"] = note["signature"] = state
        told = signers.problem(state)
        problems += [told] if told else []
    yield Mapped(problems=problems)
    stated = _Stated()
    for hoso in hosos:
        if not note["facility"]:
            note["facility"], problems = received.speaks_for(_resolved(hoso.ma_cskcb), "MACSKCB")
            yield Mapped(problems=problems)
        facility = _resolved(hoso.ma_cskcb) or note["facility"]
        if received.facilities is not None and facility not in received.facilities:
            yield Mapped(problems=[Problem("FACILITY_NOT_ENTITLED", Severity.ERROR, f"HOSO[{hoso.number}]")])
        else:
            yield stated.in_order(map_hoso(hoso, Context(origin, keyring, facility)), f"HOSO[{hoso.number}]")
    yield Mapped(problems=[each for each in outline.problems if not (received.pasted and each.code == "CHARSET_DECLARED_WRONG")])


@dataclass(slots=True)
class _Stated:
    """The claims that an envelope has stated so far.

    order:  event id to how many others of its key stood before it.
    claims: key to how many claims it has.
    """

    order: dict[str, int] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)

    def in_order(self, mapped: Mapped, at: str) -> Mapped:
        """What became of a HOSO, with its claim above those of its key that stand before it, which its sender is told.

        All of an envelope are stated and received at one time: without that, nobody could say which of them is in force. One
        that says again what an earlier one said is the same event, and stays where that one stands.
        """
        for record, event in mapped.events:
            if record != "hie.Claim":
                continue
            meta = event["meta"]
            before = self.claims.get(meta["key"], 0)
            order = self.order.setdefault(meta["event_id"], before)
            self.claims[meta["key"]] = max(before, order + 1)
            if order:
                meta["revision"] = {**meta["revision"], "received_at": meta["revision"]["received_at"] + order * _STEP}
            if self.claims[meta["key"]] > 1:
                mapped.problems.append(Problem("CLAIM_REPEATED", Severity.WARNING, at))
        return mapped


def _read(source: Source) -> tuple[Reader, Iterable[Hoso]]:
    """The envelope as a whole, and its HOSO."""
    data = source()
    if isinstance(data, bytes) and len(data) <= _AT_ONCE_BYTES:
        outline = Reader(data, _elements())
        with suppress(HubError):  # what is wrong is told in its turn: whose the envelope is comes before what is in its tables
            hosos = list(outline)
            return outline, [replace(one, ma_cskcb=outline.ma_cskcb or one.ma_cskcb, ngaylap=outline.ngaylap) for one in hosos]
    outline = read_outline(data)
    return outline, Reader(source(), _elements(), ma_cskcb=outline.ma_cskcb, ngaylap=outline.ngaylap)


def _owner(received: Received, ma_cskcb: str) -> tuple[str, list[Problem]]:
    return received.speaks_for(_resolved(ma_cskcb), "MACSKCB") if ma_cskcb else ("", [])


def _resolved(ma_cskcb: str) -> str:
    return resolve_facility("", (ma_cskcb,))[0] if ma_cskcb else ""


@cache
def _elements() -> dict[str, tuple[str, ...]]:
    return {name: tuple(table) for name, table in tables().items()}
