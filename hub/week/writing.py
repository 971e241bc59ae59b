"""How each system writes what happened: HL7 v2 in its version, delimiters, names, code page and line ends."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from hub.contract.events import Event
from hub.week.places import Place

Encode = Callable[[str, str], bytes]
"""Text and charset to bytes: the border's, handed in by the command."""
WriteClaim = Callable[[Event], bytes]

_FAMILIES: Final = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Bùi", "Ngô", "Dương", "Lý")
_MIDDLES: Final = ("Văn", "Thị", "Đức", "Minh", "Thu", "Quốc", "Ngọc", "Hữu")
_GIVEN: Final = ("An", "Bình", "Châu", "Dũng", "Hạnh", "Khôi", "Lan", "Nga", "Phúc", "Quỳnh", "Sơn", "Tuấn", "Uyên", "Yến")
ILLNESSES: Final = (
    ("J20.9", "Viêm phế quản cấp"),
    ("K29.7", "Viêm dạ dày"),
    ("I10", "Tăng huyết áp vô căn"),
    ("M54.5", "Đau vùng thắt lưng"),
    ("N39.0", "Nhiễm khuẩn đường tiết niệu"),
)
HIV: Final = ("B20", "Bệnh do HIV dẫn đến nhiễm trùng")
TESTS: Final = (
    ("23.0075.1494", "Định lượng Glucose", "GLU", "Glucose", 38, 180, "mmol/L", "3.9-6.4"),
    ("23.0051.1494", "Định lượng Creatinin", "CREA", "Creatinin", 500, 2400, "umol/L", "53-120"),
    ("23.0019.1493", "Đo hoạt độ ALT", "ALT", "ALT (GPT)", 100, 1200, "U/L", "0-40"),
)
_STANDARD: Final = "|^~\\&"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist.  known: whether any number of theirs is told."""

    number: int
    family: str
    middle: str
    given: str
    born: date
    sex: int
    known: bool = True

    @property
    def citizen(self) -> str:
        """Century and sex, and the year of birth, stand in it. Source: identifiers.md §1."""
        return f"001{self.born.year // 100 % 19 * 2 + self.sex}{self.born.year % 100:02d}{self.number:06d}"

    @property
    def card(self) -> str:
        return f"GD401{self.number:010d}"


def somebody(chance: random.Random, number: int) -> Person:
    """An invented person; each number is one of their own."""
    born = date(1940, 1, 1) + timedelta(days=chance.randrange(24_000))
    return Person(number, chance.choice(_FAMILIES), chance.choice(_MIDDLES), chance.choice(_GIVEN), born, chance.randrange(2))


@dataclass(frozen=True, slots=True)
class Draft:
    """One message before it has a control id.

    stated:   MSH-7.
    body:     its segments after MSH, in the usual delimiters.
    receiver: MSH-6.
    records:  of the events that it must become.
    single:   nothing else is said of the same thing, so that saying it again at a later time means nothing new.
    keyed:    it has its business key; else the control id stands in, and another one is another thing.
    """

    place: Place
    kind: str
    stated: datetime
    body: tuple[str, ...]
    records: tuple[str, ...]
    receiver: str = "HUB"
    single: bool = True
    keyed: bool = True

    def later(self, at: datetime) -> "Draft":
        return replace(self, stated=at)


def stamp(at: datetime) -> str:
    """Fourteen digits."""
    return f"{at:%Y%m%d%H%M%S}"


def written(draft: Draft, control_id: str, encode: Encode, *, version: str = "", declared: str = "") -> bytes:
    """The bytes of a message.  version, declared: MSH-12 and MSH-18 when they are not those of the system."""
    place = draft.place
    stated_charset = declared or ("UNICODE UTF-8" if place.charset == "utf-8" else "")
    structure = f"^{STRUCTURES.get(draft.kind, draft.kind.replace('^', '_'))}" if place.version >= "2.5" else ""
    header = (
        f"MSH|^~\\&|{place.application}|{place.name}|HIS|{draft.receiver}|{stamp(draft.stated)}||{draft.kind}{structure}|"
        f"{control_id}|P|{version or place.version}||||||{stated_charset}"
    )
    text = place.end.join((header.rstrip("|"), *draft.body, ""))
    if place.delimiters != _STANDARD:
        text = text.translate(str.maketrans(_STANDARD, place.delimiters))
    return encode(text, place.charset)


STRUCTURES: Final = {"ADT^A04": "ADT_A01", "ADT^A08": "ADT_A01", "ADT^A11": "ADT_A09", "REF^I13": "REF_I12", "REF^I14": "REF_I12", "SIU^S13": "SIU_S12", "SIU^S15": "SIU_S12"}  # fmt: skip
"""MSH-9.3 where it is not the type and trigger themselves."""


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment from its fields by number."""
    return "|".join((name, *(fields.get(number, "") for number in range(1, max(fields) + 1))))


def patient(place: Place, person: Person, visit: str = "", citizen: str = "") -> str:
    """PID, as this system writes who somebody is.  citizen: another number than follows from the rest."""
    citizen = citizen or person.citizen
    number = f"BN{person.number:09d}"
    listed = {
        "typed": f"{number}^^^VN-CSKCB-{place.code}^MR~{citizen}^^^BCA^NI~{person.card}^^^VSS^HC",
        "second": f"{number}^^^VN-CSKCB-{place.code}^MR~{citizen}^^^BCA^NI~{person.card}^^^VSS^HC",
        "untyped": f"{place.prefix}{person.number:07d}~{citizen}~{person.card}",
        "words": f"{number}^^^^BN~{citizen}^^^^CC~{person.card}^^^^THE",
    }[place.numbers]
    if not person.known:
        listed = ""
    second = place.numbers == "second"
    return segment(
        "PID",
        {
            1: "1",
            2: listed if second else "",
            3: visit if second else listed,
            5: f"{person.family}^{person.given}^{person.middle}",
            7: f"{person.born:%d/%m/%Y}" if place.day_first else f"{person.born:%Y%m%d}",
            8: place.sex[person.sex],
        },
    )


def visit_of(
    place: Place,
    key: str,
    kind: str,
    *,
    came: datetime | None = None,
    left: datetime | None = None,
    disposition: str = "",
    category: str = "",
) -> str:
    """PV1.  kind: O or I; category: MA_DOITUONG_KCB."""
    form = "%d/%m/%Y %H:%M" if place.day_first else "%Y%m%d%H%M"
    times = {number: f"{at:{form}}" for number, at in ((44, came), (45, left)) if at}
    return segment(
        "PV1",
        {
            1: "1",
            2: place.classes.get(kind, kind),
            3: "K01",
            19: key,
            20: category,
            **({36: disposition} if disposition else {}),
            **times,
        },
    )


def card_of(person: Person) -> str:
    """IN1: the card and until when it is good."""
    return segment("IN1", {1: "1", 2: "BHYT", 3: "VSS", 12: "20260101", 13: "20281231", 36: person.card if person.known else ""})


def noted(number: int, code: str, text: str) -> str:
    """OBX of a part of a slip."""
    return f"OBX|{number}|TX|{code}||{text}||||||F"


def diagnosis(illness: tuple[str, str]) -> str:
    """DG1: the main, final one."""
    return segment("DG1", {1: "1", 3: f"{illness[0]}^{illness[1]}^ICD-10", 6: "F", 15: "1"})


def result_lines(chance: random.Random, test: tuple[str, str, str, str, int, int, str, str], status: str) -> str:
    """One OBX of a test, or without a value when the result is withdrawn."""
    _, _, code, name, low, high, unit, usual = test
    tenths = chance.randint(low, high)
    value = "" if status == "X" else f"{tenths // 10}.{tenths % 10}"
    return segment("OBX", {1: "1", 2: "NM", 3: f"{code}^{name}^L", 5: value, 6: unit, 7: usual, 11: status})
