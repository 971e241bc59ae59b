"""The closed list of transforms that a dialect may name behind `as =`.

Each is a pure function of one value. It gives the value to write, "" when there is nothing to write, or None when the
value is not what the field asks for: then it is left out, kept verbatim in `meta.unparsed`, and reported with the code
of its row. A vendor that needs something else gets a new row here, with its test; a profile never holds an expression.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from adapters.formats.charset import AGE
from adapters.formats.structure import day_exists
from hub.contract.events import VIETNAM
from hub.contract.facilities import provinces

_TIME: Final = re.compile(
    r"(\d{4})(?:(0[1-9]|1[0-2])(?:(0[1-9]|[12]\d|3[01])(?:([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d)(\.\d{1,6})?)?)?)?)?)?"
    r"([+-](?:0\d|1[0-4])[0-5]\d)?"
)
_BIRTH: Final = re.compile(r"\d{4}(?:(?:0\d|1[0-2])(?:(?:[0-2]\d|3[01])(?:(?:[01]\d|2[0-3])(?:[0-5]\d)?)?)?)?")
_WITHOUT_DAY: Final = re.compile(r"(?:(?:00?[/.-])?(\d{1,2})[/.-])?([12]\d{3})")  # or without its month too
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-]([12]\d{3})(?:[ T](\d{1,2}):(\d{2})(?::\d{2})?)?")
_BLANKS: Final = re.compile(r"\s+")
_SEPARATORS: Final = re.compile(r"[\W_]+")
_FACILITY: Final = re.compile(r"(?:CS|VN-CSKCB-)?([0-9]{5})")  # \d would take wide digits too
_PERCENT: Final = re.compile(r"\d{1,3}(?:\.\d{1,2})?")
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_ICD: Final = re.compile(r"[A-Z]\d{2}\.?\w{0,4}[*+†]?")
# A + before a code joins the two, but belongs to the first where the second has the asterisk: A17.0+G01* is A17.0+ and G01*.
_BETWEEN_CODES: Final = re.compile(r"(?:[\s;,/&]|\bVÀ\b|\+(?=\s*[A-Z]\d{2}[\w.]*(?![\w.*])))+|(?<=[+†])(?=[A-Z]\d{2})")
_ICD_BEFORE_WORDS: Final = re.compile(r"([A-Z]\d{2}(?:\.?\d{1,2})?[*+†]?)(?:\s*[-–:,;)]|\s*[/&+](?!\d)|\s)", re.IGNORECASE)
_BETWEEN_DIAGNOSES: Final = re.compile(r"[;,/&]|\bvà\b|\+(?=\s*[A-Z]\d{2})", re.IGNORECASE)


# --- one component ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def time(value: str) -> str | None:
    """A date or time of 4 to 14 digits, with fraction and offset or without, as it was sent."""
    return value if _TIME.fullmatch(value) and day_exists(value) else None


@lru_cache(maxsize=4096)
def minute(value: str) -> str | None:
    """yyyymmddHHMM in Vietnam, unknown hours and minutes as 00: the form of the insurance tables."""
    found = _TIME.fullmatch(value)
    if found is None or found[3] is None or not day_exists(value):
        return None
    if found[8]:
        local = moment(value)
        return local and local[:16].translate(_PUNCTUATION).ljust(12, "0")
    return value[:12].ljust(12, "0")


def day(value: str) -> str | None:
    """yyyymmdd, whatever time stands behind it."""
    found = minute(value)
    return found and found[:8]


def day_first(value: str) -> str | None:
    """yyyymmddHHMM out of a date as people write it, `02/01/1990` or `2-1-1990 08:30`, with 00 for what is unknown: of who
    does not know the day or month, `09/1961`, `00/00/1961` and `1961` are read too. HL7's own form is read as such: a sender
    may write both, and without separators no day stands first."""
    if len(value) >= 8 and value[:8].isdecimal():
        return minute(value) or birth(value)
    found = _DAY_FIRST.fullmatch(value)
    if found is None or found[2] == "00" or found[1] == "00":
        known = _WITHOUT_DAY.fullmatch(value)
        return birth(f"{known[2]}{(known[1] or '').rjust(2, '0')}") if known else None
    date, month, year, hour, minutes = (int(part) if part else 0 for part in found.groups())
    try:
        return f"{datetime(year, month, date, hour, minutes):%Y%m%d%H%M}"
    except ValueError:
        return None


def birth(value: str) -> str | None:
    """yyyymmddHHMM with 00 for what is unknown: `1985` is 198500000000."""
    if len(value) == 8 and value.isdecimal() and "0101" <= value[4:] <= "1231" and "01" <= value[6:] <= "28":
        return value + "0000"  # the usual form, the short way
    digits = value[:12] if value[:14].isdigit() else value
    return digits.ljust(12, "0") if _BIRTH.fullmatch(digits) and day_exists(digits) else None


def moment(value: str) -> str | None:
    """ISO 8601 with the offset of Vietnam, to the second; of a day alone the day, as nobody said when in it."""
    if (len(value) == 14 or value[14:] == "+0700") and value[:14].isdecimal():  # the usual forms, the short way
        iso = f"{value[:4]}-{value[4:6]}-{value[6:8]}T{value[8:10]}:{value[10:12]}:{value[12:14]}"
        try:
            datetime.fromisoformat(iso)
        except ValueError:
            return None
        return f"{iso}+07:00"
    found = _TIME.fullmatch(value)
    if found is None or found[3] is None:
        return None
    hours_stated = found[4] is not None
    year, month, date, hour, minutes, seconds = (int(part) if part else 0 for part in found.groups()[:6])
    try:
        when = datetime(year, month, date, hour, minutes, seconds, tzinfo=VIETNAM)
        if offset := found[8]:
            sign = -1 if offset[0] == "-" else 1
            when += timedelta(hours=7) - sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    except (ValueError, OverflowError):  # 30 February, year 0
        return None
    return when.isoformat() if hours_stated else f"{year:04}-{month:02}-{date:02}"


def stamped(value: str) -> bool:
    """Whether it is a time to the minute or second as systems stamp it: digits alone, of a year that is likely."""
    return len(value) in (12, 14) and value.isdecimal() and "1900" <= value[:4] <= "2100" and moment(value) is not None


_PUNCTUATION: Final = str.maketrans("", "", "-:T")


def facility_code(value: str) -> str:
    """MA_CSKCB out of `01004`, `CS01004` or `VN-CSKCB-01004`; nothing else is taken for one."""
    found = _FACILITY.fullmatch(value.strip())
    return found[1] if found else ""


def province(value: str) -> str | None:
    """Two digits; of three (with a leading zero) the last two."""
    return value[-2:] if value.isdigit() and len(value) in (2, 3) else None


def commune(value: str) -> str | None:
    """Five digits."""
    return value if value.isdigit() and len(value) == 5 else None


def normalise(value: str) -> str:
    """An identifier as it is compared: capitals, without blanks and separators."""
    return value if value.isdigit() or (value.isalnum() and value.isupper()) else _SEPARATORS.sub("", value).upper()


def citizen_number(value: str, this_year: int) -> int:
    """The year of birth that a citizen number (CCCD) tells; 0 if it has not the form of one: twelve digits, a province, a
    century with the sex, and a year that has come. Source: identifiers.md §1.

    >>> citizen_number("001190012345", 2026), citizen_number("202611230001", 2026), citizen_number("001290012345", 2026)
    (1990, 0, 0)
    """
    if len(value) != 12 or not (value.isascii() and value.isdecimal()) or value[0] != "0" or value[1:3] not in provinces().before:
        return 0
    year = 1900 + int(value[3]) // 2 * 100 + int(value[4:6])
    return year if year <= this_year else 0


def two_digits(value: str) -> str | None:
    """A code of two digits; a leading zero that was dropped is put back."""
    return value.zfill(2) if value.isdigit() and len(value) <= 2 else None


def number_not_zero(value: str) -> str:
    """An order number; a zero says "not found" (a habit of middleware)."""
    return value if value.strip("0") else ""


def icd(value: str) -> str | None:
    """ICD-10 in capitals with its dot: `e119` is E11.9. The code before the words of `J18.9 - Viêm phổi`; words alone are no
    code. Several codes, `I10, E11.9`, are given in the official form, I10;E11.9. Other codes pass as they are."""
    codes = [code for code in _BETWEEN_CODES.split(value.upper()) if code]
    if codes and all(map(_ICD.fullmatch, codes)):
        return ";".join(code if len(code.rstrip("*+†")) <= 3 or "." in code else f"{code[:3]}.{code[3:]}" for code in codes)
    code = value.strip()
    return icd_before_words(value) or (None if _BLANKS.search(code) else code)


def icd_before_words(text: str) -> str:
    """The ICD-10 code that a diagnosis in words begins with, in its form; "" where there is none."""
    found = _ICD_BEFORE_WORDS.match(text.strip())
    return (icd(found[1]) or "") if found else ""


def words_behind_icd(text: str) -> str:
    """What follows the ICD-10 code with which a text begins; "" where it begins with none."""
    found = _ICD_BEFORE_WORDS.match(text.strip())
    return text.strip()[found.end() :].strip(" -–:,;)/&+") if found else ""


def codes_apart(text: str) -> tuple[list[str], bool]:
    """The ICD-10 codes with which the diagnoses of a text begin, and whether it says more: words, or what may be a code."""
    whole = [code for code in _BETWEEN_CODES.split(text.upper()) if code]
    if all(map(_ICD.fullmatch, whole)):
        return (icd(text) or "").split(";"), False
    pieces = [f"{piece.strip()}," for piece in _BETWEEN_DIAGNOSES.split(text) if piece.strip()]
    codes = [code for code in map(icd_before_words, pieces) if code]
    return codes, bool(codes) or _BLANKS.search(text.strip()) is not None


def percent(value: str) -> Decimal | None:
    """0 to 100, with or without a sign of percent, to two places."""
    number = value.removesuffix("%").strip()
    if not _PERCENT.fullmatch(number) or (amount := Decimal(number)) > 100:
        return None
    return amount.quantize(Decimal("0.01"))


def is_one(value: str) -> bool:
    """True for 1 (DG1-15: the main diagnosis)."""
    return value.strip() == "1"


def exact(precision: int, scale: int) -> Callable[[str], Decimal | None]:
    """The conversion of a text to an amount that loses nothing: None with more digits or places than these. Few differ, so
    the last ones are kept."""
    quantum = Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (precision - scale)

    @lru_cache(maxsize=8192)
    def convert(text: str) -> Decimal | None:
        if len(text) > 64 or NUMBER.fullmatch(text) is None:
            return None
        value = Decimal(text)
        if not -limit < value < limit:
            return None
        exact = value.quantize(quantum)
        return exact + 0 if exact == value else None  # + 0: minus zero is zero

    return convert


def whole(value: str) -> int | None:
    """A number of things: digits only, nine at most."""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None


# --- the components of one repetition ---------------------------------------------------------------------------------


def full_name(parts: Sequence[str]) -> str:
    """XPN in Vietnamese order: family, middle and given name, blanks collapsed, NFC."""
    family, given, middle = parts if len(parts) == 3 else (*parts[:3], "", "", "")[:3]
    name = f"{family} {middle} {given}" if middle else f"{family} {given}"
    if "  " in name or name[:1] == " " or name[-1:] == " " or not name.isprintable():
        name = _BLANKS.sub(" ", name).strip()
    return name if unicodedata.is_normalized("NFC", name) else unicodedata.normalize("NFC", name)


def full_name_without_age(parts: Sequence[str]) -> str:
    """`full_name` without the age that some systems put behind it, in brackets, behind a dash or plain: `(34T)`, `34 tuổi` years,
    `45TH`, `8 tháng tuổi` months, `28 tuần` weeks, `12NT`, `12N`, `5 ngày` days, `2 giờ tuổi` hours. A number without a unit stays: it may tell twins apart.
    """
    return AGE.sub("", full_name(parts))


def full_name_given_first(parts: Sequence[str]) -> str:
    """`full_name` of a system that writes the given name first and the family name second: `Hòa^Nguyễn^Thị`."""
    given, family, middle = (*parts[:3], "", "", "")[:3]
    return full_name((family, given, middle))


def full_name_in_order(parts: Sequence[str]) -> str:
    """`full_name` of a system that writes the middle name before the given name: `Phạm^Thị^Mai`."""
    family, middle, given = (*parts[:3], "", "", "")[:3]
    return full_name((family, given, middle)) if given else full_name((family, middle))


_HAS_LETTER: Final = re.compile(r"[^\W\d_]")


def address(parts: Sequence[str]) -> str:
    """XAD as one line: street, further designation, town, province and postal code if they are words (`Quận 1`, `Q12`), other
    geographic designation."""
    in_words = [part for part in parts[3:5] if _HAS_LETTER.search(part)]  # codes, which are digits, are read apart
    told = [part.strip() for part in (*parts[:3], *in_words, *parts[7:8]) if part]
    return ", ".join(filter(None, told))


def display(parts: Sequence[str]) -> str:
    """CE, CWE: the text, else the code, else the original text (component 9)."""
    first, second = (*parts[:2], "", "")[:2]
    return second or first or (parts[8] if len(parts) > 8 else "")


_TEN: Final = re.compile(r"(?:.*[^\w.,])?[xX]?10")
_POWER: Final = re.compile(r"[+-]?\d{1,2}(?!\d)")  # of ten
_LETTER: Final = re.compile(r".*[^\W\d_]")
_SQUARE: Final = re.compile(r"(?:[2-4]|-[1-4])(?![\w+-])")  # of anything else: square metres, cubic millimetres, per second


def unit(parts: Sequence[str]) -> str:
    """The unit of a CE: its code, else its text, else the alternate code. A power whose `^` nobody escaped (`10^9/L`, `10^3/mm^3`, `kg/m^2`) is one text and no code with its words."""
    found, *others = (part.strip() for part in parts)
    for part in others:
        if not (_POWER.match(part) and _TEN.fullmatch(found)) and not (_SQUARE.match(part) and _LETTER.fullmatch(found)):
            break
        found = f"{found}^{part}"
    return found or next((others[at] for at in (0, 2) if at < len(others) and others[at]), "")


def location(parts: Sequence[str]) -> str:
    """PL as a path: department, room and bed as far as they are there, with `/` between."""
    return "/".join(part.strip() for part in parts[:3]).rstrip("/")


# --- the whole field --------------------------------------------------------------------------------------------------


def text(value: str) -> str:
    """Free text: repetitions are lines, delimiters that nobody escaped stay."""
    return value.strip()


def code(parts: Sequence[str]) -> dict[str, str]:
    """CE, CWE as a `Code`: identifier, text and system, then the alternate ones; only what is there, and a blank is not."""
    return {name: part for name, part in zip(_CODE, parts, strict=False) if part.strip()}


_CODE: Final = ("code", "display", "system", "alt_code", "alt_display", "alt_system")


def joined(values: Sequence[str]) -> str:
    """The official form of several codes: `;` between them."""
    return ";".join(value.strip() for value in values if value.strip())


def joined_icd(values: Sequence[str]) -> str:
    """The same of ICD-10 codes."""
    return joined([";".join(codes_apart(value)[0]) or value for value in values])


def paths(rows: Sequence[Sequence[str]]) -> list[str]:
    """Each repetition as its components with `/` between: weekly hours `1^0700^1130` are 1/0700/1130."""
    return [path for row in rows if (path := "/".join(part.strip() for part in row).strip("/"))]


# --- numbers with a comma ---------------------------------------------------------------------------------------------

Comma = Literal["", "decimal", "thousands"]
_BY_COMMA: Final = re.compile(r"([+-]?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+)),(\d+)(\s*%?)")  # 9,8 and 1.234,5
_BY_POINTS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}")  # 1.234.567
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")  # where a comma is decimal: 1234, or 1.234 as HL7 has it
_IN_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?\s*%?")


def pointed(value: str, comma: Comma) -> str | None:
    """A number as HL7 has it, with a point and nothing between thousands, by what a comma means to the sender (`comma` of its
    profile). Words and numbers without a comma are left as they are; None for what could be two different numbers or is none.

    >>> pointed("9,8", "decimal"), pointed("1,234", "decimal"), pointed("1,234", "thousands"), pointed("1.234", "decimal")
    ('9.8', '1.234', '1234', None)
    """
    if comma == "decimal":
        if found := _BY_COMMA.fullmatch(value):
            return f"{found[1].replace('.', '')}.{found[2]}{found[3]}"
        if _BY_POINTS.fullmatch(value):
            return value.replace(".", "")
        return None if _EITHER.fullmatch(value) else value
    if comma == "thousands" and _IN_THOUSANDS.fullmatch(value):
        return value.replace(",", "")
    return value


_N: Final = r"(?:[0-9]{1,18}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?"
MEASURED: Final = re.compile(rf"[+-]?{_N}")  # NM
STRUCTURED: Final = re.compile(rf"(<=|>=|<>|<|>)?([+-]?{_N})(?:([-+/:])([+-]?{_N})?)?")
"""SN in one text, such as <0.5, 1:80, 100-200 or 2+: comparator, number, separator or suffix, number."""

Point = Literal["", "thousands"]
_IN_DONG: Final = re.compile(r"([+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+))(?:,(\d+))?")
POINT_DOUBTFUL: Final = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
"""An amount such as 148.480: in Vietnam 148480, in HL7 148.48, and a dong has no thousandths."""


def in_dong(value: str) -> str:
    """An amount as HL7 has it, of a sender who writes points between thousands and a comma before decimals; what cannot be
    of that form is left as it is.

    >>> in_dong("148.480"), in_dong("14.848,5"), in_dong("148480.00"), in_dong("148.5")
    ('148480', '14848.5', '148480.00', '148.5')
    """
    found = _IN_DONG.fullmatch(value)
    if found is None:
        return value
    return found[1].replace(".", "") + (f".{found[2]}" if found[2] else "")


Kind = Literal["value", "number", "money", "components", "coded", "spoken", "uncut", "unpadded", "field", "list", "rows", "code"]


class Gives(NamedTuple):
    """What kind of value a transform gives and a field of a record takes; of a decimal its digits in all, and its places."""

    name: str
    digits: int = 0
    places: int = 0

    def fits(self, field: "Gives") -> bool:
        """Whether every value of this kind can be written into a field."""
        return (
            self.name == field.name and self.places <= field.places and self.digits - self.places <= field.digits - field.places
        )

    def __str__(self) -> str:
        return f"{self.name} with {self.places} places at most" if self.places else self.name


TEXT: Final = Gives("a text")
LIST: Final = Gives("a list of texts")
CODE: Final = Gives("a code with its text and system")
FLAG: Final = Gives("yes or no")
WHOLE: Final = Gives("a whole number")
DECIMAL: Final = "a number"


@dataclass(frozen=True, slots=True)
class Transform:
    """One row of the list.

    kind:    what it is given: one decoded component, the decoded components of a repetition (coded: of CE or CWE; uncut: `&` is text), the whole field as text, the
             first components of all repetitions, or all components of each; a code is its components, looked up among the
             vendor's local tests. A number is one component, and 0 is one too; money is one in VND (CP, MO).
    problem: the code reported when it gives None.
    foreign: it reads a form that HL7 does not have, so what the standard says of the field does not count.
    gives:   what a field must take for it to stand there; checked when a profile is loaded.
    """

    function: Callable[[Any], Any]
    kind: Kind
    problem: str = ""
    foreign: bool = False
    gives: Gives = TEXT


def _amount(precision: int, scale: int, kind: Kind) -> Transform:
    return Transform(exact(precision, scale), kind, "NUMBER_UNPARSABLE", gives=Gives(DECIMAL, precision, scale))


TRANSFORMS: Final[dict[str, Transform]] = {
    "time": Transform(time, "value", "TIME_UNPARSABLE"),
    "minute": Transform(minute, "value", "TIME_UNPARSABLE"),
    "day": Transform(day, "value", "TIME_UNPARSABLE"),
    "day_first": Transform(day_first, "value", "TIME_UNPARSABLE", foreign=True),
    "birth": Transform(birth, "value", "TIME_UNPARSABLE", foreign=True),  # 19560000
    "facility_code": Transform(facility_code, "value"),
    "province": Transform(province, "value", "CODE_UNKNOWN"),
    "commune": Transform(commune, "value", "CODE_UNKNOWN"),
    "two_digits": Transform(two_digits, "value", "CODE_UNKNOWN"),
    "number_not_zero": Transform(number_not_zero, "value"),
    "icd": Transform(icd, "value", "CODE_UNKNOWN"),
    "percent": Transform(percent, "number", "NUMBER_UNPARSABLE", gives=Gives(DECIMAL, 5, 2)),
    "is_one": Transform(is_one, "value", gives=FLAG),
    "full_name": Transform(full_name, "spoken"),
    "full_name_without_age": Transform(full_name_without_age, "spoken"),
    "full_name_given_first": Transform(full_name_given_first, "spoken"),
    "full_name_in_order": Transform(full_name_in_order, "spoken"),
    "address": Transform(address, "spoken"),
    "unit": Transform(unit, "uncut"),
    "display": Transform(display, "coded"),
    "text": Transform(text, "field"),
    "range": Transform(text, "unpadded"),
    "list": Transform(list, "list", gives=LIST),
    "code": Transform(code, "code", gives=CODE),
    "location": Transform(location, "components"),
    "joined": Transform(joined, "list"),
    "joined_icd": Transform(joined_icd, "list"),
    "paths": Transform(paths, "rows", gives=LIST),
    "whole": Transform(whole, "number", "NUMBER_UNPARSABLE", gives=WHOLE),
    "quantity": _amount(13, 3, "number"),
    "amount": _amount(18, 2, "money"),
    "unit_price": _amount(18, 3, "money"),
}


def fitting(field: Gives) -> list[str]:
    """The transforms whose values a field takes, those made for it first, in the order of the list."""
    found = [name for name, transform in TRANSFORMS.items() if transform.gives.fits(field)]
    return sorted(found, key=lambda name: TRANSFORMS[name].gives != field)


def with_comma(transform: Transform, comma: Comma, point: Point = "") -> Transform:
    """The same of a sender to whom a comma in numbers, and a point in amounts, means that; other transforms stay as they are."""
    if point and transform.kind == "money":
        amount = transform.function
        return replace(transform, function=lambda text: amount(in_dong(text)))
    if not comma or transform.kind not in ("number", "money"):
        return transform
    convert = transform.function

    def read(text: str) -> Any:
        number = pointed(text, comma)
        return None if number is None else convert(number)

    return replace(transform, function=read)
