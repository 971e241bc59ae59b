"""Persons and what is said of them: PID, IN1, NK1, AL1, DG1, PR1. Source: `seeds/standards/hl7-mapping.md` §3.1–3.2, `identifiers.md` §1–3."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

from adapters.dialects.accounts import has_form_of_citizens
from adapters.dialects.issuers import ISSUERS, issuer_of
from adapters.dialects.newborns import MOTHER, MOTHERS_NUMBER, is_mother
from adapters.dialects.paths import Notes, Place, Scope, fill
from adapters.dialects.profile import Dialect
from adapters.dialects.reading import Reading
from adapters.dialects.rules import IN_WORDS, Identifiers
from adapters.dialects.transforms import (
    codes_apart,
    day,
    day_first,
    icd,
    icd_before_words,
    moment,
    normalise,
    words_behind_icd,
)
from adapters.formats.er7 import split_components
from adapters.formats.hl7v2 import NULL, Segment
from hub.contract.errors import Severity

Record = dict[str, Any]

CARD: Final = re.compile(r"[A-Z]{2}[1-5]\d{12}")
# Of an age or a number, rather; or a sign (ª º ¹ ¼ × …) that is a letter of another charset; or `?` for one that
# was lost on the way. ´ and · are written for an apostrophe and a dash.
_NOT_OF_A_NAME: Final = re.compile(r"[\d()\[\]¡-\xac®-³µ¶¸-¿×÷\ufffd]|\?\w|\w\?")
MIDDLE: Final = frozenset({"văn", "thị"})  # names that nearly nobody is called by; without marks they would be Vân and Thi too
_NUMBERS: Final = 3  # of PID
_COUNTY: Final = 12  # of PID: a code without components
_NUMBERS_OF_PATIENTS: Final = frozenset({2, _NUMBERS, 4, MOTHERS_NUMBER})  # of PID; others hold an account, a card, a licence
_RELATIONSHIP: Final = 3  # of NK1
_GUARDIANS_NUMBERS: Final = 33  # of NK1
_NO_END: Final = "9999"  # a day behind every other
_CODE_IN_WORDS: Final = (
    re.compile(  # in capitals; not F18 the tracer, F20 the catheter, nor X60 the number of pills, which are read past
        r"\b(?:PET|CT|SONDE|FOLEY|ỐNG THÔNG|CATHETER)[\s:(-]+F\d+"
        r"|\bF18[\s-]*(?:FDG|PSMA|NAF|DOPA)"
        r"|\bX\d+\s*(?:VIÊN|GÓI|ỐNG|LẦN|MM|CM|ML|MG)\b"
        r"|\b([A-Z]\d{2}(?!\d)(?:\.\d)?)"
    )
)
_ICD: Final = re.compile(r"ICD-?10(?:-?[A-Z]{2})?|I10[CP]?", re.IGNORECASE)  # table 0396, and as it is written here
_SYSTEM: Final = re.compile(r"[A-Z\d][A-Z\d._-]*", re.ASCII)  # what a coding system looks like
_WITHDRAWN: Final = "D"  # IAM-6, table 0206: the allergy is none
_FORMS: Final = {  # of the kinds that have one: whatever CX-5 or the profile says, anything else is none
    "BHYT_CARD": re.compile(rf"{CARD.pattern}|\d{{10}}|\d{{12}}"),
    "SDDCN": re.compile(r"\d{12}|\d{9}"),
    "CMND9": re.compile(r"\d{9}"),
    "BHXH_NUMBER": re.compile(r"\d{10}"),
}


def read_person(reading: Reading, scope: Scope, insurance: Iterable[Segment], notes: Notes) -> Record:
    """The person of a PID with its identifiers and guardians; {} without PID. insurance: the IN1 of that person."""
    person: Record = {}
    pid = scope.get("PID")
    if pid is None:
        return person
    fill(reading.dialect.plans["person"], scope, person, notes, "person.")
    _tell_odd(person.get("ho_ten", ""), pid, 5, notes)
    if pid.delimiters.component in pid.field(_COUNTY).rstrip(pid.delimiters.component):
        notes.warn("FIELDS_SHIFTED", notes.message.path(pid, _COUNTY))
    sent = reading.message.header.get(7)
    if person.get("ngay_sinh", "")[:8] > sent[:8] and (day := moment(sent)) and _day(person["ngay_sinh"]) > day[:10]:
        notes.warn("DATES_CONTRADICT", notes.message.path(pid, 7))
    collected = _Collected(reading, notes, "person.identifiers")
    table = reading.dialect.identifiers
    for fields in table.lists:
        if sum(collected.add_list(pid, field) for field in fields if pid.field(field)):  # all of them are read
            break
    for policy in insurance:
        collected.add_card(policy)
    for place in table.cards_apart:
        for local in reading.of_person(pid, place.segment):
            collected.add_card_apart(local, place)
    if found := collected.finished():
        person["identifiers"] = found
    if guardians := _read_guardians(reading, pid, found, notes):
        person["guardians"] = guardians
    return person


def _tell_odd(name: str, segment: Segment, field: int, notes: Notes) -> None:
    """That a name, as it was read of that field, holds what is of no name, or ends in a part of the field that a middle name begins."""
    if _NOT_OF_A_NAME.search(name) or (segment.get(field, 3) and _ends_in_middle(name, segment, field)):
        notes.warn("NAME_ODD", notes.message.path(segment, field))


def _ends_in_middle(name: str, segment: Segment, field: int) -> bool:
    words = name.casefold().split()
    if words and words[-1] in MIDDLE:
        return True
    parts = [unicodedata.normalize("NFC", part).casefold().split() for part in segment.components(field)[:3]]
    return any(part and part[0] in MIDDLE and words[-len(part) :] == part for part in parts)


def _day(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}"


def read_identifiers(reading: Reading, places: Iterable[tuple[Segment, int]], notes: Notes, at: str) -> list[Record]:
    """The identifiers in some fields of CX, such as MRG-1: as they stand, each once. at: where in the event."""
    collected = _Collected(reading, notes, at)
    for segment, field in places:
        if segment.field(field):
            collected.add_list(segment, field)
    return collected.each_once()


def _read_guardians(reading: Reading, pid: Segment, of_child: list[Record], notes: Notes) -> list[Record]:
    """The NK1 of the person of a PID, in order. The numbers in PID-21 are the mother's: of the NK1 of hers that has one of them
    already, else of the first that is hers, else of one more guardian, of whom nothing else is known; but for those of the child."""
    found: list[tuple[Record, _Collected]] = []
    mothers: list[_Collected] = []
    for segment in reading.of_person(pid, "NK1"):
        guardian: Record = {}
        at = f"person.guardians[{len(found)}]."
        fill(reading.dialect.plans["guardian"], {"NK1": segment}, guardian, notes, at)
        _tell_odd(guardian.get("ho_ten", ""), segment, 2, notes)
        numbers = _Collected(reading, notes, f"{at}identifiers")
        if segment.field(_GUARDIANS_NUMBERS):
            numbers.add_list(segment, _GUARDIANS_NUMBERS)
        if is_mother(guardian.get("relationship", "")):
            mothers.append(numbers)
        elif any(map(is_mother, segment.components(_RELATIONSHIP))):  # in words, beside a code of the sender's own
            guardian["relationship"] = MOTHER
            mothers.append(numbers)
        if guardian or numbers.found:
            found.append((guardian, numbers))
    if pid.field(MOTHERS_NUMBER):
        stated = {normalise(row[0]) for row in pid.rows(MOTHERS_NUMBER) if row}
        named = (each for each in mothers if any(normalise(number["value"]) in stated for number, _ in each.found))
        unknown = _Collected(reading, notes, f"person.guardians[{len(found)}].identifiers")
        hers = next(named, None) or next(iter(mothers), unknown)
        hers.of_child = of_child
        if hers.add_list(pid, MOTHERS_NUMBER) and hers is unknown:
            found.append(({"relationship": MOTHER}, hers))
    return [guardian | {"identifiers": numbers.each_once()} if numbers.found else guardian for guardian, numbers in found]


class _Collected:
    """The identifiers of one person while they are read."""

    __slots__ = ("at", "facility", "found", "known_as", "notes", "of_child", "table")

    def __init__(self, reading: Reading, notes: Notes, at: str) -> None:
        self.at = at  # where they stand in the event
        self.table: Identifiers = reading.dialect.identifiers
        self.facility = reading.context.facility
        self.known_as = reading.dialect.names.get(self.facility, "")
        self.notes = notes
        self.found: list[tuple[Record, str]] = []  # identifier, and its place for a problem
        self.of_child: list[Record] = []  # while the mother's are read: those of her child, which are not hers

    def add_list(self, segment: Segment, field: int) -> bool:
        """A list of CX, such as PID-3. Returns: whether there was any number in it."""
        before = len(self.found)
        for number, raw in enumerate(segment.repetitions(field), 1):
            parts = split_components(raw, segment.delimiters)
            value = parts[0].strip()
            if value:
                self._add(value, parts, segment.name, field, number)
        return len(self.found) > before

    def _add(self, value: str, parts: list[str], name: str, field: int, number: int) -> None:
        reach = len(parts)
        authority = parts[3] if reach > 3 else ""
        stated = parts[4].upper() if reach > 4 else ""
        table = self.table
        comparable = normalise(value)
        if not comparable:
            return  # `-` or `?`: no number at all
        if not stated and field != _NUMBERS and (len(set(comparable)) == 1 or not any(map(str.isdigit, comparable))):
            self._unread("IDENTIFIER_UNREAD", _list_place(name, field, number), "value", value)
            return  # `0` or `KHONG CO`: what stands where there is none would make one of many people
        if not stated and any(each["normalised"] == comparable for each, _ in self.found):
            return  # said before, often with its type: many repeat the number of PID-3 in PID-2
        identifier: Record = {"value": value, "normalised": comparable}
        told: str | None = table.types.get(stated, "") if stated else self._kind_at(name, field, comparable, first=number == 1)
        if told == "SDDCN":
            told = self._citizen_or_social(comparable, authority, stated)
        kind = told if told is None else _of_its_form(told, comparable)
        if kind is None:
            self._unread("IDENTIFIER_UNREAD", _list_place(name, field, number), "value", value)
            return
        if stated and stated not in table.types:
            self._unread("CODE_UNKNOWN", _list_place(name, field, number), "type", parts[4])
        if kind != told:
            authority = ""  # it was said of another kind
        if kind != told or (not stated and f"{name}-{field}" not in table.types):
            identifier["inferred"] = True
            severity = Severity.INFORMATION if table.untyped and not stated else Severity.WARNING
            self.notes.warn("IDENTIFIER_INFERRED", _list_place(name, field, number), severity)
        if kind == "MRN" and table.number_prefixes:
            identifier["normalised"] = normalise(self._without_prefix(value)) or comparable
        if kind:
            identifier["type"] = kind
        if issuer := issuer_of(kind, authority, self.facility, self.known_as):
            identifier["issuer"] = issuer
        if any(_is_same(identifier, each) for each in self.of_child):
            self._unread("IDENTIFIER_UNREAD", _list_place(name, field, number), "value", value)
            return
        if reach > 6:
            for end, part in zip(("valid_from", "valid_to"), parts[6:8], strict=False):
                if part and (date := day(part)):
                    identifier[end] = date
                elif part and part != NULL:
                    self._unread("TIME_UNPARSABLE", _list_place(name, field, number), end, part)
            if identifier.get("valid_to", _NO_END) < identifier.get("valid_from", ""):
                self.notes.warn("DATES_CONTRADICT", _list_place(name, field, number))
        self.found.append((identifier, _list_place(name, field, number) if kind == "BHYT_CARD" else ""))

    def _kind_at(self, name: str, field: int, comparable: str, *, first: bool) -> str | None:
        """What a number without a type is: by the type of its field, else by its shape; None for what that field cannot mean.

        Ten digits that stand first are the hospital's own: a patient number taken for a social-insurance number would make one of
        two people, the other way round nothing is lost but a number.
        """
        stated = self.table.types.get(f"{name}-{field}")
        if stated is not None:
            return stated
        kind = _by_shape(comparable)
        if field == MOTHERS_NUMBER and has_form_of_citizens(comparable, self.notes.message, self.facility):
            return "SDDCN"
        if name != "PID" or field in _NUMBERS_OF_PATIENTS:
            return kind if self.table.untyped and not (first and kind == "BHXH_NUMBER") else "MRN"
        # no field behind those has a type in any version, and none is for a patient number
        return kind if kind != "MRN" else None

    def _unread(self, code: str, place: str, name: str, value: str) -> None:
        """A part of the next number that says nothing: told, and kept beside the event, each of several that stand before it."""
        self.notes.warn(code, place)
        at, unparsed = f"{self.at}[{len(self.found)}].{name}", self.notes.unparsed
        unparsed[at] = f"{unparsed[at]};{value}" if at in unparsed else value

    def _citizen_or_social(self, comparable: str, authority: str, stated: str) -> str:
        if authority in self.table.payers:
            return "BHXH_NUMBER"
        if stated == "SS" and authority != "BCA" and len(comparable) != 12:
            return "BHXH_NUMBER" if len(comparable) == 10 else ""
        return "CMND9" if len(comparable) == 9 else "SDDCN"

    def _without_prefix(self, value: str) -> str:
        for prefix in self.table.number_prefixes:
            if value.startswith(prefix):
                return value[len(prefix) :]
        return value

    def add_card(self, policy: Segment) -> None:
        """The card of one IN1, if it is one of the social insurance."""
        table = self.table
        for field in table.cards:
            value = policy.get(field).strip()
            if not value:
                continue
            comparable = normalise(value)
            if not comparable:
                continue
            if not is_social(table, policy) and (policy.field(3) or policy.field(4) or not _is_card(comparable)):
                continue  # the policy of another insurer
            self._add_card(policy, field, value, comparable)
            return
        beside = (at for field in table.cards for at in (field - 1, field + 1) if at not in table.cards)
        for at in beside:
            if CARD.fullmatch(normalise(policy.get(at))):
                self.notes.warn("FIELDS_SHIFTED", self.notes.message.path(policy, at))
                return

    def add_card_apart(self, segment: Segment, place: Place) -> None:
        """The card that the profile says stands in a segment of the sender's own."""
        value = segment.get(place.field, place.component, place.subcomponent).strip()
        comparable = normalise(value)
        if not comparable:
            return
        if _is_card(comparable):
            self._add_card(segment, place.field, value, comparable)
        else:  # no payer stands beside it, so its form has to tell
            self.notes.unreadable("IDENTIFIER_UNREAD", segment, place.field, "person.identifiers.value", value)

    def _add_card(self, segment: Segment, field: int, value: str, comparable: str) -> None:
        card: Record = {"value": value, "normalised": comparable, "type": "BHYT_CARD", "issuer": "VSS"}
        for name, place in self.table.dates.get(segment.name, {}).items():
            text = segment.get(place.field, place.component)
            if text and (date := day(day_first(text) or text)):  # dates of cards are copied as the card shows them
                card[name] = date
            elif text:
                self.notes.unreadable("TIME_UNPARSABLE", segment, place.field, f"person.identifiers.{name}", text)
        if card.get("valid_to", _NO_END) < card.get("valid_from", ""):
            self.notes.warn(
                "DATES_CONTRADICT", self.notes.message.path(segment, self.table.dates[segment.name]["valid_to"].field)
            )
        self.found.append((card, self.notes.message.path(segment, field)))

    def each_once(self) -> list[Record]:
        """The identifiers as they stand, without those that stand twice."""
        return list({(each.get("type"), each.get("issuer"), each["normalised"]): each for each, _ in self.found}.values())

    def finished(self) -> list[Record]:
        """Cards that are none are left out, those named twice are one, and what a card tells is added."""
        numbers = set()
        for identifier, _ in self.found:
            if identifier.get("type") == "MRN":
                numbers.add(identifier["normalised"])
                if self.table.number_prefixes:
                    numbers.add(normalise(identifier["value"]))
        kept: dict[tuple[str, str], Record] = {}
        for identifier, where in self.found:
            name = identifier.get("type", ""), identifier["normalised"]
            if name[0] == "BHYT_CARD" and name[1] in numbers:
                self.notes.warn("CARD_IS_PATIENT_NUMBER", where)
            elif name in kept:
                kept[name] |= identifier
            else:
                kept[name] = identifier
        kinds = {kind for kind, _ in kept}
        derived = [derived_number(number, kinds) for kind, number in kept if kind == "BHYT_CARD"]
        return [*kept.values(), *(each for each in derived if each)]


def is_social(table: Identifiers, policy: Segment) -> bool:
    """Whether an IN1 names the social insurance as its plan or company."""
    return policy.get(2) in table.payers or policy.get(3) in table.payers or policy.get(4) in table.payers


def derived_number(card: str, kinds: set[str]) -> Record:
    """A card ends in the social-insurance number, or is the citizen number itself (12 digits, since 2025); {} if told already."""
    if CARD.fullmatch(card) or (len(card) == 10 and card.isdigit()):
        kind, value = "BHXH_NUMBER", card[-10:]
    elif len(card) == 12 and card.isdigit():
        kind, value = "SDDCN", card
    else:
        return {}
    if kind in kinds or not value.strip("0"):
        return {}
    kinds.add(kind)
    return {"value": value, "normalised": value, "type": kind, "issuer": ISSUERS[kind], "inferred": True}


def _is_same(one: Record, other: Record) -> bool:
    """Whether two identifiers are one number, of one issuer as far as both have one."""
    issuers = {each["issuer"] for each in (one, other) if "issuer" in each}
    return bool(one["normalised"] == other["normalised"]) and len(issuers) < 2


def _list_place(name: str, field: int, number: int) -> str:
    return f"{name}-{field}" if number == 1 else f"{name}-{field}[{number}]"


def _is_card(comparable: str) -> bool:
    return _FORMS["BHYT_CARD"].fullmatch(comparable) is not None and comparable.strip("0") != ""


def _of_its_form(kind: str, comparable: str) -> str | None:
    """The kind, if the number has its form; the other one that alone has such a form, a card or a citizen number; else None."""
    form = _FORMS.get(kind)
    if form is None or (form.fullmatch(comparable) and comparable.strip("0")):
        return kind
    if CARD.fullmatch(comparable):
        return "BHYT_CARD"
    return "SDDCN" if len(comparable) == 12 and comparable.isdigit() and comparable[0] == "0" and comparable.strip("0") else None


def _by_shape(comparable: str) -> str:
    if CARD.fullmatch(comparable):
        return "BHYT_CARD"
    if comparable.isdigit() and len(comparable) == 12:
        return "SDDCN"
    return "BHXH_NUMBER" if comparable.isdigit() and len(comparable) == 10 else "MRN"


def read_diagnoses(dialect: Dialect, segments: Iterable[Segment], notes: Notes) -> list[Record]:
    """The DG1 among the segments, in order; the label of a protected diagnosis is noted. Of several codes in one DG1 each is a
    diagnosis, in the same words; the first is the main one, if that DG1 is.

    Where the rule finds no code, that is taken with which the diagnosis in words begins; words in the place of the code (DG1-3.1)
    are the diagnosis in words where there are no others, so that its recipient reads them.
    """
    found: list[Record] = []
    for segment in segments:
        if segment.name != "DG1":
            continue
        diagnosis: Record = {}
        at = f"diagnoses[{len(found)}]."
        fill(dialect.plans["diagnosis"], {"DG1": segment}, diagnosis, notes, at)
        words = diagnosis.get("chan_doan", "")
        if words and words == segment.words(3, 2).strip() and (tail := _tail(segment)):
            words = diagnosis["chan_doan"] = f"{words} {segment.delimiters.component} {tail}"
        said = segment.words(3).strip()
        if (codes := icd(said) or "").startswith(f"{diagnosis.get('ma_benh')};"):
            diagnosis["ma_benh"] = codes  # the others stand behind an & that nobody escaped
        behind = words_behind_icd(said) if diagnosis.get("ma_benh") == icd_before_words(said) else ""
        more = bool(codes_apart(behind)[0]) if behind else False  # codes, and not alone
        if more or (words and behind.casefold() not in words.casefold()):
            notes.unreadable("CODE_UNKNOWN", segment, 3, f"{at}ma_benh", said)
        if not words and (behind or ("ma_benh" not in diagnosis and " " in said)):
            words = diagnosis["chan_doan"] = said
        if "ma_benh" not in diagnosis and (code := icd_before_words(words)):
            diagnosis["ma_benh"] = code
        first, *others = [code for code in diagnosis.get("ma_benh", "").split(";") if code] or [""]
        if others:
            diagnosis["ma_benh"] = first
        if diagnosis:
            found.append(diagnosis)
        for code in others:
            found.append({name: value for name, value in diagnosis.items() if name != "main"} | {"ma_benh": code})
        if label := label_told(dialect, first, "\n".join((*others, words, *segment.fields[3:5]))):
            notes.labels.add(label)
    return found


def _tail(segment: Segment) -> str:
    """What a `^` that nobody escaped cut off the words in DG1-3: a third component that names no system before one that does."""
    tail = segment.words(3, 3).strip()
    return "" if _SYSTEM.fullmatch(tail) or not _ICD.fullmatch(segment.get(3, 4).strip()) else tail


def label_told(dialect: Dialect, code: str, words: str) -> str:
    """The label of a protected diagnosis, by its code, or by a code or a word in its text: wherever a vendor writes it."""
    known = dialect.labels
    inside = (known.of_illness(one) for one in _CODE_IN_WORDS.findall(words.upper()))
    return known.gravest([known.of_illness(code), *inside, known.in_words(words)])


def read_procedures(reading: Reading, segments: Iterable[Segment], notes: Notes) -> list[Record]:
    """The PR1 among the segments, in order."""
    found: list[Record] = []
    for segment in segments:
        if segment.name == "PR1":
            procedure: Record = {}
            fill(reading.dialect.plans["procedure"], {"PR1": segment}, procedure, notes, f"procedures[{len(found)}].")
            if not procedure:
                continue
            found.append({"code": {}, **procedure})
    return found


def read_allergies(reading: Reading, segments: Iterable[Segment], notes: Notes) -> list[Record]:
    """The AL1 and IAM among the segments, in order; without those that IAM-6 takes back."""
    found: list[Record] = []
    for segment in segments:
        if segment.name not in ("AL1", "IAM") or (segment.name == "IAM" and segment.get(6) == _WITHDRAWN):
            continue
        allergy: Record = {}
        fill(reading.dialect.plans["allergy"], {segment.name: segment}, allergy, notes, f"allergies[{len(found)}].")
        if allergy:
            found.append({"code": {}, **allergy})
    return found


def in_words(table: Record) -> str:
    """The free text of a row of an official table, of an encounter, of a slip."""
    return "\n".join(table[name] for name in IN_WORDS if name in table)


def insured_and_diagnosed(table: Record, person: Record, diagnoses: list[Record], names: Iterable[str]) -> None:
    """Into a row of XML13 or XML14: what it repeats of the person, the cards and the diagnoses, under the names it has."""
    cards = [each for each in person.get("identifiers", ()) if each.get("type") == "BHYT_CARD"]
    main = next((each for each in diagnoses if each.get("main")), diagnoses[0] if diagnoses else {})
    others = [each["ma_benh"] for each in diagnoses if each is not main and "ma_benh" in each]
    has = {
        **{name: value for name, value in person.items() if isinstance(value, str)},
        "ma_the_bhyt": ";".join(card["value"] for card in cards),
        "gt_the_den": ";".join(card.get("valid_to", "") for card in cards) if any("valid_to" in card for card in cards) else "",
        "chan_doan_rv": "; ".join(dict.fromkeys(each["chan_doan"] for each in diagnoses if "chan_doan" in each)),
        "ma_benh_chinh": main.get("ma_benh", ""),
        "ma_benh_kt": ";".join(others),
    }
    for name in names:
        if has.get(name):
            table.setdefault(name, has[name])
