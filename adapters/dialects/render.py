"""Events outward: JSON, HL7 v2 in the recipient's dialect, or the insurance envelope.

What is written here our own door reads again with equal content, as far as HL7 has a place for it (a test holds it to that).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from adapters.dialects.adt_segments import encounter_form, encounter_segments, registration_form, registration_segments
from adapters.dialects.claim_segments import ehc_segments
from adapters.dialects.claims import official
from adapters.dialects.clinical_segments import (
    Segments,
    answer_segments,
    follow_up_segments,
    order_segments,
    referral_segments,
    result_segments,
    segment,
)
from adapters.dialects.profile import Dialect
from adapters.dialects.recorded_segments import (
    catalogue_segments,
    charge_segments,
    document_segments,
    money,
    plain,
    prescription_segments,
    resource_segments,
)
from adapters.formats import claim_xml
from adapters.formats.ack import acknowledge
from adapters.formats.charset import charset_name, encode
from adapters.formats.hl7v2 import Value, build, parse
from hub.contract.claim_tables import tables
from hub.contract.errors import ERRORS, HubError, Problem, Severity
from hub.contract.events import VIETNAM, Event, to_json

APPLICATION: Final = "HIE"  # MSH-3 of whatever the hub writes
_TERMINATORS: Final = {"cr": "\r", "lf": "\n", "crlf": "\r\n"}
_DECLARED: Final = {"utf-8": "UNICODE UTF-8", "iso-8859-1": "8859/1", "latin-1": "8859/1"}
_ANSWERS: Final = frozenset(("ACCEPTED", "REJECTED", "ARRIVED", "ARRIVAL_CANCELLED", "USED_AGAIN", "EXPIRED"))
_SLIPS: Final = {"MOVED": "S13", "MODIFIED": "S14", "CANCELLED": "S15", "DELETED": "S17", "NO_SHOW": "S26"}
_DOCUMENTS: Final = {  # action to trigger, without and with the body
    "STATUS_CHANGED": ("T03", "T04"),
    "ADDENDED": ("T05", "T06"),
    "EDITED": ("T07", "T08"),
    "REPLACED": ("T09", "T10"),
    "CANCELLED": ("T11", "T11"),
}
_CATALOGUES: Final = {"PRACTITIONER": "M02", "PRICE": "M04", "LOCATION": "M05", "SERVICE": "M08", "MACHINE": "M13"}
_RECEIVED: Final = "hie.MessageReceived"  # the subject of an application's answer
SLIPS: Final = {"hie.Referral": "XML13", "hie.FollowUp": "XML14"}
"""Slips to their official table."""
STATED: Final = frozenset({"ISSUED", "BOOKED", "MOVED", "MODIFIED"})
"""What is said of a slip in its table; the table has no word for a cancellation, nor for what others say."""
_STATUSES: Final = {"REJECTED": "REJ", "CANCELLED": "ADJZER", "INFORMATION_REQUESTED": "PEND", "PAID": "PAID"}  # IPR-4
_EHC_VERSION: Final = "2.6"  # the first that has EHC


@dataclass(frozen=True, slots=True)
class _Form:
    """How one event goes into a message.

    type:    MSH-9 as code, trigger, structure.
    sender:  MSH-4: whose word it is.
    version: MSH-12.
    """

    type: tuple[str, str, str]
    sender: str
    version: str


def as_json(record: str, event: Event) -> bytes:
    """The event as JSON: amounts as text, times in ISO 8601."""
    return to_json(event)


def as_xml(record: str, event: Event) -> bytes:
    """The insurance envelope of a `hie.Claim`, or of a slip (XML13 or XML14), with one HOSO; the same bytes each time.

    Raises: HubError(TYPE_UNSUPPORTED) for another record, and for what is said of a slip but not by its table (`STATED`).
    """
    if record in SLIPS and event.get("action") in STATED:
        table, row = slip_row(record, event)
        if row:
            return claim_xml.write([{table: [row]}], tables(), ma_cskcb=event["ma_cskcb"], ngaylap=issued_on(event))
    if record != "hie.Claim":
        raise HubError("TYPE_UNSUPPORTED", f"{record} as the insurance envelope")
    return claim_xml.write(
        [official(event)],
        tables(),
        ma_cskcb=event["ma_cskcb"],
        ngaylap=event.get("ngaylap", ""),
        signature=(event.get("signature") or b"").decode("utf-8", "replace"),
    )


def slip_row(record: str, event: Event) -> tuple[str, dict[str, str]]:
    """The table of a slip and its official row."""
    table = SLIPS[record]
    row = {name.upper(): str(value) for name, value in event[table.lower()].items() if value}
    if "NGAY_HEN_KL" in row:
        row["NGAY_HEN_KL"] = row["NGAY_HEN_KL"][:8]  # a day since Decision 3176
    return table, row


def issued_on(event: Event) -> str:
    """The day that a slip bears, or the papers of a claim, yyyymmdd: stated, else that of its message."""
    revision = event["meta"]["revision"]
    stated = event.get("issued_on") or event.get("ngaylap") or event.get("xml14", {}).get("ngay_ct", "") or revision["stated_at"]
    return str(stated)[:8] or f"{revision['received_at'].astimezone(VIETNAM):%Y%m%d}"


def as_hl7(record: str, event: Event, dialect: Dialect, *, now: datetime, control_id: str, receiving_facility: str) -> bytes:
    """One HL7 v2 message in the recipient's version, charset and line ends.

    now:                for MSH-7, aware.
    receiving_facility: MA_CSKCB of the recipient; MSH-5 and MSH-6 name it as its own system does.
    Raises: HubError(TYPE_UNSUPPORTED) for a record that HL7 has no message for.
    """
    if record == _RECEIVED:
        return _answer(event, dialect, now, control_id)
    written = _order_of_old if record == "hie.LabOrder" and dialect.send.orders == "ORM" else _RECORDS.get(record)
    if written is None:
        raise HubError("TYPE_UNSUPPORTED", f"{record} as HL7")
    time = f"{now.astimezone(VIETNAM):%Y%m%d%H%M%S}"
    form, body = written(_as_owner_says(event, receiving_facility), dialect.send.version, time)
    charset = charset_name(dialect.send.charset)
    alias = next((each for each in dialect.aliases if each.code == receiving_facility), None)
    structure = form.type[2] if form.version >= "2.4" else ""
    header: list[Value] = [
        "MSH",
        APPLICATION,
        form.sender,
        alias.application if alias else "",
        alias.name if alias else receiving_facility,
        time,
        "",
        (form.type[0], form.type[1], structure),
        control_id,
        "T" if event["meta"].get("test") else "P",
        form.version,
        *("",) * 5,  # MSH-15 and MSH-16 are empty: the recipient answers in original mode
        _DECLARED.get(charset, ""),
    ]
    segments = [header, *body] if record != "hie.Claim" else _claim(header, event)
    text = build(segments)
    return encode(text.replace("\r", _TERMINATORS[dialect.send.terminator]), charset, exact=False)


def _as_owner_says(event: Event, facility: str) -> Event:
    """The event with that facility's own patient numbers under the authority that it wrote itself: its system knows no other name of it."""
    own = f"VN-CSKCB-{facility}/"

    def named(who: Event, lists: Iterable[str]) -> Event:
        return who | {
            name: [each | {"issuer": each.get("issuer", "").removeprefix(own)} for each in who[name]]
            for name in lists
            if who.get(name)
        }

    told = named(event, ("merged", "linked"))
    if person := event.get("person"):
        told["person"] = named(person, ("identifiers",))
        if guardians := person.get("guardians"):
            told["person"]["guardians"] = [named(each, ("identifiers",)) for each in guardians]
    return told


def _answer(event: Event, dialect: Dialect, now: datetime, control_id: str) -> bytes:
    """The application's answer to a message that got its commit answer before, in that message's version.

    MSH-15 asks for a commit answer in turn, without which a push would send it again.
    """
    charset = charset_name(dialect.send.charset)
    problems = [
        Problem(each["code"], Severity(each["severity"]), each["path"]) for each in event["problems"] if each["code"] in ERRORS
    ]
    told = problems if dialect.ack.warnings else []
    text = acknowledge(
        parse(event["raw"].decode()),
        event["ack"],
        told,
        control_id=control_id,
        now=now.astimezone(VIETNAM),
        charset=_DECLARED.get(charset, charset),
        commit=True,
    )
    return encode(text.replace("\r", _TERMINATORS[dialect.send.terminator]), charset, exact=False)


# --- which message, and whose word ------------------------------------------------------------------------------------


def _result(event: Event, version: str, _time: str) -> tuple[_Form, Segments]:
    return _Form(("ORU", "R01", "ORU_R01"), event.get("ma_cskcb", ""), version), result_segments(event, version)


def _order(event: Event, version: str, time: str) -> tuple[_Form, Segments]:
    if version < "2.5":
        return _order_of_old(event, version, time)
    return _Form(("OML", "O21", "OML_O21"), event.get("ma_cskcb", ""), version), order_segments(event, modern=True)


def _order_of_old(event: Event, version: str, _time: str) -> tuple[_Form, Segments]:
    return _Form(("ORM", "O01", "ORM_O01"), event.get("ma_cskcb", ""), version), order_segments(event, modern=False)


def _encounter(event: Event, version: str, time: str) -> tuple[_Form, Segments]:
    form = encounter_form(event)
    return _Form(form, event.get("ma_cskcb", ""), version), encounter_segments(event, form, time, version)


def _registration(event: Event, version: str, time: str) -> tuple[_Form, Segments]:
    form = registration_form(event)
    return _Form(form, event.get("ma_cskcb", ""), version), registration_segments(event, form, time)


def _referral(event: Event, version: str, _time: str) -> tuple[_Form, Segments]:
    action = event.get("action", "")
    if action in _ANSWERS:
        sender = event.get("by_facility") or APPLICATION
        return _Form(("RRI", "I12", "RRI_I12"), sender, version), answer_segments(event)
    trigger = {"MODIFIED": "I13", "CANCELLED": "I14", "WITHDRAWN": "I14"}.get(action, "I12")
    return _Form(("REF", trigger, "REF_I12"), event.get("ma_cskcb", ""), version), referral_segments(event)


def _follow_up(event: Event, version: str, _time: str) -> tuple[_Form, Segments]:
    trigger = _SLIPS.get(event.get("action", ""), "S12")
    return _Form(("SIU", trigger, "SIU_S12"), event.get("ma_cskcb", ""), version), follow_up_segments(event)


def _charge(event: Event, version: str, time: str) -> tuple[_Form, Segments]:
    return _Form(("DFT", "P03", "DFT_P03"), event.get("ma_cskcb", ""), version), charge_segments(event, time)


def _prescription(event: Event, version: str, _time: str) -> tuple[_Form, Segments]:
    kind = ("RDE", "O11", "RDE_O11") if version >= "2.4" else ("RDE", "O01", "RDE_O01")
    return _Form(kind, event.get("ma_cskcb", ""), version), prescription_segments(event, version)


def _document(event: Event, version: str, time: str) -> tuple[_Form, Segments]:
    told, with_body = _DOCUMENTS.get(event.get("action", ""), ("T01", "T02"))
    trigger, structure = (with_body, "MDM_T02") if event.get("text") or event.get("contents") else (told, "MDM_T01")
    return _Form(("MDM", trigger, structure), event.get("ma_cskcb", ""), version), document_segments(event, time)


def _catalogue(event: Event, version: str, _time: str) -> tuple[_Form, Segments]:
    trigger = _CATALOGUES[event["catalogue"]]
    return _Form(("MFN", trigger, f"MFN_{trigger}"), event.get("ma_cskcb", ""), version), catalogue_segments(event)


def _resources(event: Event, version: str, _time: str) -> tuple[_Form, Segments]:
    return _Form(("ORU", "R01", "ORU_R01"), event.get("ma_cskcb", ""), version), resource_segments(event)


def _claim_form(event: Event, version: str, _time: str) -> tuple[_Form, Segments]:
    kind = ("EHC", "E02", "EHC_E02") if event.get("action") == "CANCELLED" else ("EHC", "E01", "EHC_E01")
    return _Form(kind, event["ma_cskcb"], max(version, _EHC_VERSION)), []


def _claim(header: list[Value], event: Event) -> Segments:
    return ehc_segments(
        header,
        official(event),
        day=event.get("ngaylap", ""),
        version=event["meta"]["revision"]["version"],
        cancelled=event.get("action") == "CANCELLED",
    )


# --- decisions --------------------------------------------------------------------------------------------------------


def _decision(event: Event, version: str, time: str) -> tuple[_Form, Segments]:
    """EHC^E10: IPR with what the payer grants or has paid, IVC with what was claimed, and one ADJ a finding."""
    granted, claimed, verdict = event.get("t_bhtt_gd"), event.get("t_bhtt"), event.get("verdict", "")
    status = _STATUSES.get(verdict, "ADJSUB" if granted == claimed else "ADJ")
    key = event.get("ma_lk", "")
    body: Segments = [
        segment("MSA", {1: "AA", 2: event.get("claim_event_id", "")}),
        segment(
            "IPR",
            {
                1: event.get("claim_event_id", ""),
                2: (key, event.get("ma_cskcb", "")),
                3: event["meta"]["event_id"],
                4: status,
                5: time,
                6: money(event.get("paid") if verdict == "PAID" else granted),
                7: event.get("paid_on", ""),
            },
        ),
        ["PYE", "1", "PPER"],
        ["IN1", "1", "BHYT", event.get("payer", "").upper()],
        segment(
            "IVC",
            {
                1: key,
                4: "OR",
                5: "NORM",
                6: "FN",
                8: money(event.get("t_tongchi_bv")),
                10: ("", *[""] * 8, event.get("ma_cskcb", "")),
            },
        ),
        segment("PSS", {1: "1"}),
        segment("PSG", {1: "1"}),
    ]
    amounts = [
        segment("ADJ", {1: name.upper(), 3: str(n), 4: name.upper(), 5: money(event.get(name))})
        for n, name in enumerate(("t_tongchi_bv", "t_tongchi_bh", "t_bhtt", "t_bhtt_gd"), 1)
        if event.get(name) is not None
    ]
    if event.get("paid") is not None or event.get("payment_reference"):
        amounts.append(
            segment("ADJ", {1: "PAID", 3: "5", 4: "PAID", 5: money(event.get("paid")), 8: event.get("payment_reference", "")})
        )
    if event.get("answer_by"):
        amounts.append(segment("ADJ", {1: "ANSWER_BY", 3: "6", 4: "ANSWER_BY", 8: event["answer_by"]}))
    body += [segment("PSL", {1: "XML1", 3: "0", 7: "XML1"}), *amounts, *_reasons(event, "XML1", None)]
    lines = {(each.get("table") or "XML1", each.get("stt")) for each in event.get("findings") or []} - {("XML1", None)}
    for table, stt in sorted(lines, key=lambda line: (line[0], line[1] or 0)):
        body.append(segment("PSL", {1: f"{table}.{stt or 0}", 3: str(stt or 0), 7: table}))
        body += _reasons(event, table, stt)
    return _Form(("EHC", "E10", "EHC_E10"), event.get("payer", "").upper(), max(version, _EHC_VERSION)), body


def _reasons(event: Event, table: str, stt: int | None) -> Segments:
    """One ADJ a finding: the element, the rule with its sentence, the amount as claimed and as computed.

    ADJ-5 is what the finding changes: less by what it cuts, else the difference of the two.
    """
    found = [each for each in event.get("findings") or [] if (each.get("table") or "XML1") == table and each.get("stt") == stt]
    built = []
    for number, each in enumerate(found, 1):
        claimed, computed = each.get("claimed"), each.get("computed")
        difference = None if claimed is None or computed is None else computed - claimed
        cut = each.get("reduction")
        text = each.get("text_vi") or each.get("text_en", "")
        row = {
            1: each.get("rule", ""),
            3: str(number),
            4: each.get("field", "").upper(),
            5: money(difference if cut is None else -cut),
            7: (each.get("rule", ""), text),
            8: text,
            9: plain(claimed),
            10: plain(computed),
        }
        built.append(segment("ADJ", row))
    return built


_RECORDS: Final[dict[str, Callable[[Event, str, str], tuple[_Form, Segments]]]] = {
    "hie.LabResult": _result,
    "hie.LabOrder": _order,
    "hie.Encounter": _encounter,
    "hie.Registration": _registration,
    "hie.Referral": _referral,
    "hie.FollowUp": _follow_up,
    "hie.Charge": _charge,
    "hie.Prescription": _prescription,
    "hie.Document": _document,
    "hie.CatalogueChange": _catalogue,
    "hie.ResourceReport": _resources,
    "hie.ClaimDecision": _decision,
    "hie.Claim": _claim_form,
}
RENDERED: Final = frozenset(_RECORDS)
"""The records that `as_hl7` can write, besides an application's answer to a `hie.MessageReceived`."""
