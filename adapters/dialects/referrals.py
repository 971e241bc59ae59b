"""REF and RRI → `hie.Referral`, with table XML13 for the slip. Source: `seeds/standards/hl7-mapping.md` §4.1."""

from typing import Any, Final

from adapters.dialects.paths import Notes, Scope, choose, fill, place_of, tell_unread
from adapters.dialects.persons import in_words, insured_and_diagnosed, read_allergies, read_diagnoses, read_person
from adapters.dialects.reading import Reading, tell_embedded, tell_left_early, tell_notes, tell_priority
from adapters.dialects.transforms import facility_code, minute, stamped
from adapters.formats.hl7v2 import Message, Segment
from hub.contract.directory import heir

_OF_THE_PERSON: Final = (
    "ho_ten", "ngay_sinh", "gioi_tinh", "ma_quoctich", "ma_dantoc", "dia_chi", "ma_the_bhyt", "gt_the_den", "chan_doan_rv",
    "ma_benh_chinh", "ma_benh_kt",
)  # fmt: skip
_OF_THE_SLIP: Final = ("person", "referral", "xml13")
_NO_TEXT: Final = ("ED", "RP")  # OBX-2 of documents
_TEXT: Final = ("TX", "FT", "ST", "")  # OBX-2 of what may be a line
_GONE: Final = ("D", "X", "W")  # OBX-11, table 0085: deleted, not to be had, of another patient
_PERSONS: Final = frozenset({"LN", "MD"})  # PRD-7.2: licences
_OF_THE_ANSWER: Final = frozenset({"action", "reason", "redirect_to"})
REFERRAL_ACTIONS: Final = {"I12": "ISSUED", "I13": "MODIFIED", "I14": "CANCELLED"}


def map_issued(reading: Reading, trigger: str) -> None:
    """REF: the sender issues a slip, changes it, takes it back. Refused without RF1."""
    message = reading.message
    if message.first("RF1") is None:
        reading.refuse("NOTHING_REPRESENTABLE", "RF1")
        return
    notes, scope = reading.notes(), _scope(reading)
    content = _content(reading, scope, notes, issued=True)
    content["action"] = REFERRAL_ACTIONS[trigger]
    said = message.segments("RF1")[0]
    stated = said.words(10).strip()
    reason = said.words(10, 2).strip() or (
        stated if " " in stated else ""
    )  # in words, beside the code of RF1-10.1 or in its place
    if reason:
        content["reason"] = reason
    if reading.context.facility:
        content["ma_cskcb"] = reading.context.facility  # who sends a slip issues it, whatever PRD says
    _add_slip(reading, scope, content, notes)
    slip = content.get("slip", "")
    if len(slip) == len("YYYYMMDDHHMMSS") and stamped(slip) and not said.field(7):  # the time of issue in the place of the number
        notes.warn("FIELDS_SHIFTED", notes.message.path(said, 6))
    number = content["xml13"].get("so_chuyentuyen", "")
    if " " in number and not any(map(str.isdigit, number)) and number == said.get(11).strip():  # the reason, of RF1-10
        notes.warn("FIELDS_SHIFTED", notes.message.path(said, 11))
    if label := reading.dialect.labels.in_words(f"{said.field(10)}\n{in_words(content['xml13'])}"):
        notes.labels.add(label)
    if trigger != "I14":  # a slip is taken back by its number alone
        _tell_undiagnosed(message, content, notes)
    coded = "ma_lydo_ct" in content["xml13"] or "xml13.ma_lydo_ct" in notes.unparsed
    if reason and not coded and trigger != "I14":
        notes.unreadable("CODE_UNKNOWN", said, 10, "xml13.ma_lydo_ct", reason)  # MA_LYDO_CT is a code, and there is none
    tell_unread({"ma_cskcb_den"}, reading.dialect.plans["referral"], scope, content, notes, "RECEIVER_UNKNOWN")
    if "ma_cskcb_den" in content:
        _tell_nobody(reading, scope, content["ma_cskcb_den"], notes)
        if trigger != "I14" and content["ma_cskcb_den"] == content.get("ma_cskcb"):
            notes.warn("FACILITY_SAME", _receiver_place(reading, scope, content["ma_cskcb_den"]))
    elif trigger != "I14" and "ma_cskcb_den" not in notes.unparsed:
        notes.warn("RECEIVER_UNKNOWN", "PRD")  # nothing stands where the profile looks for one
    reading.publish("hie.Referral", content, content.get("slip", ""), notes, key_path="RF1-6")


def _tell_undiagnosed(message: Message, content: dict[str, Any], notes: Notes) -> None:
    """That the main diagnosis has no code (MA_BENH_CHINH): at DG1 where there is none, else where the code should stand."""
    if "ma_benh_chinh" in content["xml13"]:
        return
    said, diagnoses = message.segments("DG1"), content.get("diagnoses", [])
    main = next((at for at, each in enumerate(diagnoses) if each.get("main")), 0)
    known = len(said) == len(diagnoses)  # a DG1 that says nothing is no diagnosis
    notes.warn("DIAGNOSIS_MISSING", "DG1" if not said else message.path(said[main], 3) if known else "DG1-3")


def _tell_nobody(reading: Reading, scope: Scope, code: str, notes: Notes) -> None:
    """That nobody in the directory stands for the receiver: the slip is taken, and waits until that changes."""
    if heir(code, reading.received_on):
        return
    notes.warn("RECEIVER_UNKNOWN", _receiver_place(reading, scope, code))


def _receiver_place(reading: Reading, scope: Scope, code: str) -> str:
    rule = next(one for one in reading.dialect.plans["referral"] if one.name == "ma_cskcb_den")
    found = place_of(code, rule, scope)
    return reading.message.path(*found) if found else "PRD"


def map_answered(reading: Reading, _trigger: str) -> None:
    """RRI: the receiving facility accepts or rejects. Key and facility are those of the slip, not of the answer.

    Refused when RF1-1 says neither.
    """
    message, sender = reading.message, reading.context.facility
    notes, scope = reading.notes(), _scope(reading)
    content = _content(reading, scope, notes, issued=False)
    if "action" not in content:
        reading.refuse("NOTHING_REPRESENTABLE", "RF1-1")
        return
    if content["action"] != "REJECTED":
        for name in ("reason", "redirect_to"):
            content.pop(name, None)  # RF1-10 of an acceptance repeats why the slip was written
    issuer = content.get("ma_cskcb") or facility_code(message.header.get(6))
    if issuer:
        content["ma_cskcb"] = issuer
    if sender:
        content["by_facility"] = sender
        content.setdefault("ma_cskcb_den", sender)
        if content["action"] == "REJECTED" and (onward := content.get("redirect_to") or _onward(message, sender)):
            content |= {"redirect_to": onward, "ma_cskcb_den": sender}
    if label := reading.dialect.labels.in_words(in_words(content)):
        notes.labels.add(label)
    content["xml13"] = {}
    slip = content.get("slip", "") if issuer else ""
    reading.publish("hie.Referral", content, slip, notes, key_path="RF1-6", facility=issuer or None)


def _onward(message: Message, sender: str) -> str:
    """The facility that a rejecting one names in its place: a referred-to provider (PRD-1 RT) other than itself."""
    named = (_facility_of(provider) for provider in message.segments("PRD") if provider.get(1) == "RT")
    return next((code for code in named if code not in ("", sender)), "")


def _scope(reading: Reading) -> Scope:
    message = reading.message
    scope = reading.scope(message)
    for name in ("PRD", "CTD"):
        scope |= choose(name, message.segments(name))
    scope |= choose("OBX", _rows(message))
    scope |= _joined(reading)
    own = reading.context.facility
    for provider in message.segments("PRD"):
        if provider.get(1) == "RP" and own and _facility_of(provider) == own:
            scope["PRD[RP]"] = provider  # the sender's own, wherever it stands among several
            break
    return scope


def _rows(message: Message) -> list[Segment]:
    """The OBX but those whose state says that their value is none."""
    return [row for row in message.segments("OBX") if row.get(11) not in _GONE]


def _joined(reading: Reading) -> Scope:
    """Of several OBX of one code that a rule reads as text, one that has the text of each as a line, in order."""
    found: Scope = {}
    texts = _texts(reading)
    for row in _rows(reading.message):
        name = f"OBX[{row.get(3)}]"
        if name not in texts or row.get(2) not in _TEXT or not row.text(5).strip():
            continue
        if name not in found:
            found[name] = Segment(row.name, row.fields.copy(), row.delimiters)
        else:
            found[name].fields[5] += row.delimiters.repetition + row.field(5)  # repetitions of a text are lines
    return found


def _texts(reading: Reading) -> set[str]:
    """OBX by their codes (`OBX[VN-QTBL]`), of which a rule reads OBX-5 as text."""
    rules = [rule for name in _OF_THE_SLIP for rule in reading.dialect.plans[name] if rule.kind == "field" and rule.codes is None]
    return {place.segment for rule in rules for place in rule.places if place.field == 5}


def _facility_of(provider: Segment) -> str:
    """Of a PRD: PRD-10, else the number in PRD-7 that says FI, else one that is not said to be a person's."""
    numbers = [parts for parts in provider.rows(7) if parts]  # of nothing between two repetitions there is none
    stated = [parts[0] for parts in numbers if "FI" in parts] or [parts[0] for parts in numbers if _PERSONS.isdisjoint(parts)]
    places = [provider.get(10, 10), provider.get(10, 3), *stated]
    return next(filter(None, map(facility_code, places)), "")


def _content(reading: Reading, scope: Scope, notes: Notes, *, issued: bool) -> dict[str, Any]:
    message, dialect = reading.message, reading.dialect
    if "PID" not in scope:
        notes.warn("SEGMENT_MISSING", "PID")
    content: dict[str, Any] = {"person": read_person(reading, scope, message.segments("IN1"), notes)}
    plan = dialect.plans["referral"]
    fill(tuple(rule for rule in plan if rule.name not in _OF_THE_ANSWER) if issued else plan, scope, content, notes)
    tell_priority(plan, scope, content, notes)
    tell_notes((dialect.plans[name] for name in _OF_THE_SLIP), scope, notes)
    if diagnoses := read_diagnoses(dialect, message.segments("DG1"), notes):
        content["diagnoses"] = diagnoses
    if allergies := read_allergies(reading, message.segments("AL1"), notes):
        content["allergies"] = allergies
    return content


def _add_slip(reading: Reading, scope: Scope, content: dict[str, Any], notes: Notes) -> None:
    """Table XML13 of a slip, out of the same message."""
    message = reading.message
    table: dict[str, Any] = {}
    fill(reading.dialect.plans["xml13"], scope, table, notes, "xml13.")
    tell_left_early(reading.dialect.plans["xml13"], scope, table, notes)
    insured_and_diagnosed(table, content["person"], content.get("diagnoses", []), _OF_THE_PERSON)
    for name, value in (
        ("giay_chuyen_tuyen", content.get("slip")),
        ("ma_cskcb", content.get("ma_cskcb")),
        ("ma_cskcb_den", content.get("ma_cskcb_den")),
        ("ma_lk", content.get("ma_lk")),
        ("tomtat_kq", _results_in_words(reading, scope, notes, stated="tomtat_kq" in table)),
    ):
        if value:
            table.setdefault(name, value)
    _add_earlier(message, scope.get("PRD[RP]"), table, notes)
    content["xml13"] = table


def _add_earlier(message: Message, issuing: Segment | None, table: dict[str, Any], notes: Notes) -> None:
    """MA_CSKCB_DI, and the stays there before the own one in NGAY_VAO and NGAY_RA, each a list with `;` between.

    The facilities before the issuing one: each other PRD of role PP or RP, in order.
    """
    own = "" if issuing is None else _facility_of(issuing)
    codes: list[str] = []
    stays: list[tuple[str, str]] = []
    for provider in message.segments("PRD"):
        code = _facility_of(provider)
        if provider is issuing or provider.get(1) not in ("PP", "RP") or not code or (provider.get(1) == "RP" and code == own):
            continue  # a further RP of the same facility is another of its people
        codes.append(code)
        times = []
        for field in (8, 9):
            stated = provider.get(field).strip()
            times.append(minute(stated) or "")
            if stated and not times[-1]:
                notes.unreadable("TIME_UNPARSABLE", provider, field, f"xml13.ma_cskcb_di[{len(codes) - 1}]", stated)
        stays.append((times[0], times[1]))
    if codes:
        table.setdefault("ma_cskcb_di", ";".join(codes))
    for name, each in zip(("ngay_vao", "ngay_ra"), zip(*stays, strict=True), strict=False):
        if any(each):
            table[name] = ";".join([*each, table.get(name, "")])


def _results_in_words(reading: Reading, scope: Scope, notes: Notes, *, stated: bool) -> str:
    """TOMTAT_KQ: each OBX that is a result, as one phrase; those coded VN-… are parts of the slip, and so is what a rule reads.

    stated: a rule found it elsewhere, so that no result goes into it: each is told, and so is a part of the slip that no rule reads.
    """
    phrases, rows, plans = [], _rows(reading.message), reading.dialect.plans
    chosen = {place.segment for name in _OF_THE_SLIP for rule in plans[name] for place in rule.places} if rows else ()
    read = [scope.get(name) for name in chosen if name.startswith("OBX[") or (stated and name == "OBX")]
    texts = _texts(reading) if rows else ()
    for row in rows:
        of_slip, kind = row.get(3).startswith("VN-"), row.get(2)
        if any(one is row for one in read) or (kind in _TEXT and f"OBX[{row.get(3)}]" in texts):
            continue
        if kind == "ED" and not of_slip:
            tell_embedded(row, notes)
        if kind in _NO_TEXT or not (value := _value(row)):
            continue
        if of_slip or stated:
            notes.warn("NOTE_NOT_PASSED_ON", reading.message.path(row, 5))
        else:
            phrases.append(f"{_named(row, 3)}: {value} {row.get(6)}".strip())
    return "; ".join(phrases)


def _value(row: Segment) -> str:
    if row.get(2) in _TEXT:
        return row.text(5)
    return _named(row, 5) if row.get(2) in ("CE", "CWE") else "".join(row.components(5))


def _named(row: Segment, field: int) -> str:
    """The text of a coded field, else its code."""
    code, text, *_ = (*next(iter(row.coded(field)), []), "", "")
    return text or code
