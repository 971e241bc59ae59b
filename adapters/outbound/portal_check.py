"""What would stop a document at the insurance portal, found before it is sent; pure. Each reason names the element to mend.

Source: `seeds/standards/adjudication.md` §6 and §7 (the minimum set of a referral slip), the column `required` of
`xml-tables.csv`, check X08, `identifiers.md` §1, §2, §7, §11. A document is held here, and only here, for an identifier's form: the message
that brought it was taken and routed all the same.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from adapters.dialects.claims import official, person
from adapters.dialects.profile import STANDARD, load_dialect
from adapters.dialects.render import SLIPS, issued_on, slip_row
from adapters.formats.charset import fold
from hub.contract.claim_tables import tables
from hub.contract.directory import heir
from hub.contract.errors import ERRORS
from hub.contract.events import Event

Row = Mapping[str, str]

SIGNED_SINCE: Final = "20260601"  # electronic slips need the organisation's signature, which DU_PHONG carries
_DROPPED: Final = frozenset({"TEN_DICH_VU", "TEN_THUOC"})  # by Decision 3176
_IF_TESTED: Final = frozenset({"TOMTAT_KQ"})  # wanted where tests were done, which a slip does not say
_OF_A_BIRTH: Final = frozenset({"NGAY_SINHCON", "NGAY_CONCHET"})  # required of every XML8 by the sheet, as if each were one
_ALSO: Final = {"XML13": ("MA_CSKCB", "CHAN_DOAN_RV", "MA_BENH_CHINH", "MA_LOAI_RV")}
_WHOSE: Final = (  # of XML1, without which nobody knows whose papers they are, of which stay, and whether they are protected
    "MA_LK",
    "MA_BN",
    "HO_TEN",
    "NGAY_SINH",
    "GIOI_TINH",
    "MA_CSKCB",
    "NGAY_VAO",
    "NGAY_RA",
    "MA_BENH_CHINH",
)
_CODED: Final = {
    "MA_LOAI_RV": ("2", "5"),
    "MA_LYDO_CT": ("1", "2", "3"),
    "GIOI_TINH": ("1", "2", "3"),
    "KET_QUA_DTRI": ("1", "2", "3", "4", "5", "6", "7", "8"),
    "MA_DINH_CHI_THAI": ("0", "1"),
}
_UNSOUND: Final = frozenset({"WRONG", "UNTRUSTED"})  # of a claim's own signature: what came is not what was signed, or by whom
_TIMES: Final = ("NGAY_VAO", "NGAY_RA", "NGAY_HEN_KL", "NGAY_CT")
_ICD: Final = re.compile(r"[A-Z]\d{2}(?:\.\d{1,2})?[+*]?")
_CITIZEN: Final = re.compile(r"\d{9}|\d{12}|[A-Z]\d{7}")
_CARD: Final = re.compile(r"[A-Z]{2}[1-5]\d{12}|TE1\d{12}|(?!0{10})\d{10}|\d{12}")
_DATE: Final = re.compile(r"\d{8}(?:\d{4})?")
_OF_THE_OPERATOR: Final = frozenset(
    {"PORTAL_ACCOUNT_MISSING", "PORTAL_LOGIN_REFUSED", "RECIPIENT_UNREACHABLE", "TRANSLATION_FAILED", "TYPE_UNSUPPORTED"}
)
_OF_THE_HUB: Final = frozenset({"201", "204", "205", "123"})  # maKetQua that says the file has the wrong form, which we wrote


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps a document from the app.

    code:    row of the table of errors, with its sentence in both languages.
    element: official name of what is to be mended, such as `XML13/MA_TTDV`, or the portal's result; "" for the whole.
    """

    code: str
    element: str = ""

    @property
    def turn(self) -> str:
        """Who has to do something: `facility` (it issued the document), `operator` (of the hub), `consent` (nobody, by rule)."""
        if self.code == "SENSITIVE_HELD":
            return "consent"
        ours = self.code in _OF_THE_OPERATOR or self.element.removeprefix("maKetQua ") in _OF_THE_HUB
        return "operator" if ours else "facility"

    def shown(self) -> dict[str, str]:
        """For people and programs."""
        row = ERRORS[self.code]
        return {"code": self.code, "element": self.element, "text": row.en, "text_vi": row.vi, "turn": self.turn}


def check(record: str, event: Event, day: date) -> list[Reason]:
    """All that stands against sending a document; [] when nothing is known to.

    record, event: `hie.Referral`, `hie.FollowUp`, or of a `hie.Claim` the part that routing gives the portal.
    day:           of today, in Vietnam: facilities have to exist then.
    """
    if record not in SLIPS:
        return _papers(event, day)
    table, row = slip_row(record, event)
    if is_sensitive(event, row):
        return [Reason("SENSITIVE_HELD")]
    found = [
        *(Reason("FIELD_MISSING", name) for name in _required(table) if not row.get(name)),
        *_signature(row, issued_on(event)),
        *_identity(row, event.get("person") or {}),
        *_codes(row),
        *_places(row, event, day),
        *_dates(row),
    ]
    return _at(table, dict.fromkeys(found))


def is_sensitive(event: Event, *rows: Row) -> bool:
    """Whether a document tells of what is protected: by the label that the gate gave it, and, as a second look, by codes and words."""
    if event["meta"].get("sensitivity") or any(row.get("MA_DINH_CHI_THAI") == "1" for row in rows):
        return True
    known = load_dialect(STANDARD).labels
    listed = (code for row in rows for code in _listed(row, "MA_BENH_CHINH", "MA_BENH_KT"))
    codes = (*(each.get("ma_benh", "") for each in event.get("diagnoses") or ()), *listed)
    if any(known.of_illness(code) for code in codes):
        return True
    told = (value for row in rows for name, value in row.items() if name != "DU_PHONG")
    text = "\n".join([*told, event.get("reason", "")])
    return known.in_words(text) != ""


def _required(table: str) -> Iterable[str]:
    left_out = _DROPPED | _IF_TESTED | _OF_A_BIRTH
    stated = (name for name, one in tables()[table].items() if one.required == "y" and name not in left_out)
    return (*stated, *_ALSO.get(table, ()))


def _signature(row: Row, issued: str) -> Iterable[Reason]:
    if issued >= SIGNED_SINCE and not row.get("DU_PHONG"):
        yield Reason("SLIP_UNSIGNED", "DU_PHONG")


# --- discharge papers and treatment summaries -------------------------------------------------------------------------


def _papers(event: Event, day: date) -> list[Reason]:
    """Of XML7 and XML8, and of what XML1 says of the person: they go together, as they are one stay's."""
    rows = official(event)
    whose = rows.pop("XML1")[0]
    papers = [(table, _place(table, at, of), row) for table, of in rows.items() for at, row in enumerate(of, 1)]
    if is_sensitive(event, whose, *(row for _table, _at, row in papers)):
        return [Reason("SENSITIVE_HELD")]
    meta = event["meta"]
    found = [
        *(Reason("FIELD_MISSING", f"XML1/{name}") for name in _WHOSE if not whose.get(name)),
        *_at("XML1", (*_identity(whose, person(event["xml1"], event["ma_cskcb"])), *_codes(whose), *_dates(whose))),
        *_at("XML1", _places(whose, event, day)),
    ]
    for table, place, row in papers:
        missing = (Reason("FIELD_MISSING", name) for name in _required(table) if not row.get(name))
        signed = _signature(row, issued_on(event))
        found += _at(place, (*missing, *signed, *_of_the_stay(table, row, whose), *_codes(row), *_dates(row)))
    found += [Reason("NUMBER_UNPARSABLE", place) for place in meta.get("unparsed") or ()]
    if (state := meta["source"].get("signature", "")) in _UNSOUND:
        found.append(Reason(f"SIGNATURE_{state}", "CHUKYDONVI"))
    return list(dict.fromkeys(found))


def _place(table: str, at: int, rows: Sequence[Row]) -> str:
    return table if len(rows) == 1 else f"{table}[{at}]"


def _at(place: str, reasons: Iterable[Reason]) -> list[Reason]:
    return [Reason(one.code, f"{place}/{one.element}") for one in reasons]


def _of_the_stay(table: str, row: Row, whose: Row) -> Iterable[Reason]:
    """A paper states again of which stay it is (X08); a discharge paper bears the day on which it ended."""
    if row.get("MA_LK") and row["MA_LK"] != whose.get("MA_LK"):
        yield Reason("IDENTITY_MISMATCH", "MA_LK")
    for name in ("NGAY_VAO", "NGAY_RA"):
        if row.get(name) and whose.get(name) and row[name] != whose[name]:
            yield Reason("DATES_CONTRADICT", name)
    if table == "XML7" and row.get("NGAY_CT") and row.get("NGAY_RA") and row["NGAY_CT"][:8] != row["NGAY_RA"][:8]:
        yield Reason("DATES_CONTRADICT", "NGAY_CT")


# --- whose it is ------------------------------------------------------------------------------------------------------


def _identity(row: Row, person: Mapping[str, Any]) -> Iterable[Reason]:
    by_kind: dict[str, list[str]] = {}
    for each in person.get("identifiers") or ():
        by_kind.setdefault(each.get("type", ""), []).append(each.get("normalised") or each.get("value", ""))
    citizen = [number for kind in ("SDDCN", "CMND9") for number in by_kind.get(kind, ())]
    cards = _listed(row, "MA_THE_BHYT")
    if not cards and not any(by_kind.get(kind) for kind in ("SDDCN", "CMND9", "PASSPORT", "FOREIGNER_EID", "BHYT_CARD")):
        yield Reason("IDENTITY_MISSING", "MA_THE_BHYT")
    if any(not _CITIZEN.fullmatch(number) for number in citizen):
        yield Reason("IDENTITY_MALFORMED", "SO_CCCD")
    if any(not _CARD.fullmatch(card) for card in cards):
        yield Reason("IDENTITY_MALFORMED", "MA_THE_BHYT")
    if cards and not row.get("GT_THE_DEN") and any(len(card) != 12 for card in cards):
        yield Reason("FIELD_MISSING", "GT_THE_DEN")
    if row.get("GT_THE_DEN") and len(row["GT_THE_DEN"].split(";")) != len(cards):
        yield Reason("IDENTITY_MISMATCH", "GT_THE_DEN")
    well_formed = [card for card in cards if _CARD.fullmatch(card)]
    yield from _one_person(row, person, set(by_kind.get("SDDCN", ())), well_formed, by_kind)


def _one_person(
    row: Row, person: Mapping[str, Any], citizen: set[str], cards: list[str], by_kind: Mapping[str, list[str]]
) -> Iterable[Reason]:
    born, named = row.get("NGAY_SINH", ""), row.get("HO_TEN", "")
    if born and not _is_birth(born):
        yield Reason("IDENTITY_MALFORMED", "NGAY_SINH")
    elif born and any(len(number) == 12 and number.isdigit() and _year_of(number) != born[:4] for number in citizen):
        # Holds after a corrected number too: a person who has seen the papers sends it all the same.
        yield Reason("IDENTITY_MISMATCH", "NGAY_SINH")
    elif born and person.get("ngay_sinh") and not _agree(born, person["ngay_sinh"]):
        yield Reason("IDENTITY_MISMATCH", "NGAY_SINH")
    if named and person.get("ho_ten") and fold(named) != fold(person["ho_ten"]):
        yield Reason("IDENTITY_MISMATCH", "HO_TEN")
    if len(citizen) > 1:
        yield Reason("IDENTITY_MISMATCH", "SO_CCCD")
    if citizen and any(len(card) == 12 and card not in citizen for card in cards):
        yield Reason("IDENTITY_MISMATCH", "MA_THE_BHYT")
    numbers = set(by_kind.get("BHXH_NUMBER", ()))
    if numbers and any(len(card) in (10, 15) and not card.startswith("TE1") and card[-10:] not in numbers for card in cards):
        yield Reason("IDENTITY_MISMATCH", "MA_THE_BHYT")


def _year_of(number: str) -> str:
    """The birth year in a citizen number: digit 4 is century and sex, 5 and 6 the year in it."""
    return f"{19 + int(number[3]) // 2}{number[4:6]}"


def _is_birth(text: str) -> bool:
    """yyyymmdd[HHMM], where month, day and time may be 00."""
    if not _DATE.fullmatch(text) or not "1880" <= text[:4] <= "2100":
        return False
    month, day = text[4:6], text[6:8]
    return day == "00" or _day(text) is not None if month != "00" else day == "00"


def _agree(one: str, other: str) -> bool:
    """Whether two birth dates do, as far as both are known: `00` is a part that is not."""
    if one[:4] != other[:4]:
        return False
    parts = ((one[place : place + 2], other[place : place + 2]) for place in (4, 6))
    return all(mine == theirs or "00" in (mine, theirs) or not (mine and theirs) for mine, theirs in parts)


# --- codes, places, dates ---------------------------------------------------------------------------------------------


def _codes(row: Row) -> Iterable[Reason]:
    for name, allowed in _CODED.items():
        if row.get(name) and row[name] not in allowed:
            yield Reason("CODE_UNKNOWN", name)
    for name in ("MA_BENH_CHINH", "MA_BENH_KT"):
        if any(not _ICD.fullmatch(code) for code in _listed(row, name)):
            yield Reason("CODE_UNKNOWN", name)


def _places(row: Row, event: Event, day: date) -> Iterable[Reason]:
    own, to = row.get("MA_CSKCB", ""), row.get("MA_CSKCB_DEN", "")
    for name, code in (("MA_CSKCB", own), ("MA_CSKCB_DEN", to)):
        if code and not heir(code, day):
            yield Reason("FACILITY_UNKNOWN", name)
    if own and own == to:
        yield Reason("FACILITY_SAME", "MA_CSKCB_DEN")
    if own and own != event["meta"]["facility"]:
        yield Reason("FACILITY_NOT_ENTITLED", "MA_CSKCB")


def _dates(row: Row) -> Iterable[Reason]:
    own = {name: row.get(name, "").split(";")[-1].strip() for name in _TIMES}  # of a list, its own stay stands last
    known = {name: text for name, text in own.items() if _DATE.fullmatch(text) and _day(text) is not None}
    for name, text in own.items():
        if text and name not in known:
            yield Reason("TIME_UNPARSABLE", name)
    for later, earlier in (("NGAY_RA", "NGAY_VAO"), ("NGAY_HEN_KL", "NGAY_RA")):
        one, other = known.get(later, ""), known.get(earlier, "")
        if one and other and one < other[: len(one)]:
            yield Reason("DATES_CONTRADICT", later)


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _listed(row: Row, *names: str) -> list[str]:
    return [part.strip() for name in names for part in row.get(name, "").split(";") if part.strip()]
