"""What a value looks like, without the value: reports and proposals show shapes, so that no patient stands in them."""

import re
from typing import Final

from adapters.dialects.accounts import ACCOUNT
from adapters.dialects.newborns import MOTHERS_NUMBER
from adapters.dialects.persons import CARD
from adapters.dialects.transforms import normalise
from adapters.formats.hl7v2 import Segment
from adapters.formats.names import field_name

SURE: Final = ("BHYT_CARD", "SDDCN")  # kinds of number whose shape hardly anything else has
FLAGS: Final = frozenset(
    [
        "L",
        "H",
        "LL",
        "HH",
        "<",
        ">",
        "N",
        "A",
        "AA",
        "U",
        "D",
        "B",
        "W",
        "S",
        "R",
        "I",
        "MS",
        "VS",
        "SDD",
        "NS",
        "POS",
        "NEG",
        "IND",
        "DET",
        "ND",
        "AC",
        "TOX",
        "QCF",
        "RR",
        "WR",
        "NR",
        "EX",
        "HX",
        "LX",
        "HM",
        "E",
        "SYN-R",
        "SYN-S",
        "VS",
        "NCL",
        "EXP",
        "UNE",
        "CAR",
        "Carrier",
        "HU",
        "LU",
        "SIG",
        "CT",
    ]
)
"""What OBX-8 may hold: HL7 table 0078, with the codes of HL7's ObservationInterpretation."""
LOINC: Final = "LN"
_COMMON: Final = frozenset({LOINC, "QD1227"})  # systems of tests
_LOINC_FORM: Final = re.compile(r"([0-9]{1,7})-([0-9])")
_LONGEST: Final = 36  # characters of a value that are looked at
_RUN: Final = 5  # letters shown of a longer run: the length of a name is the name's
_RUNS: Final = re.compile(r"A{6,}|a{6,}")
_CODED: Final = frozenset({"ID", "IS", "CE", "CWE", "CNE", "CF"})
_CODE: Final = re.compile(r"[A-Za-z0-9][\w.+/%*-]{0,23}")
_LONG_NUMBER: Final = re.compile(r"\d{8,}")  # identifiers of people have nine digits and more; a birthday has eight
_OF_A_PERSON: Final = frozenset(
    {"PID", "PD1", "PDA", "NK1", "MRG", "IN1", "IN2", "IN3", "GT1", "ACC", "AL1", "IAM", "DG1", "DRG", "PR1", "DB1", "ARV",
     "OH1", "OH2", "OH3", "OH4", "NTE", "FAM", "UB1", "UB2", "RMI"}
)  # fmt: skip


def shape(value: str) -> str:
    """Capitals as A, other letters as a, digits as 9; signs stay; long words and long values are cut.

    >>> shape("Nguyễn^An^Văn"), shape("2026-11-23"), shape("CS1-0098765")
    ('Aaaaaa^Aa^Aaa', '9999-99-99', 'AA9-9999999')
    """
    found = "".join(map(_sign, value[:_LONGEST]))
    found = _RUNS.sub(lambda run: run[0][:_RUN] + "…", found)
    return found + "…" if len(value) > _LONGEST else found


def _sign(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character if character.isprintable() and character.isascii() else "·"


def kind_of(value: str) -> str:
    """What an identifier is by its shape alone."""
    plain = normalise(value)
    if CARD.fullmatch(plain):
        return "BHYT_CARD"
    if len(plain) == 12 and plain.isdigit() and plain[0] == "0":  # the first three are a province, 001 to 096
        return "SDDCN"
    return {10: "BHXH_NUMBER", 9: "CMND9"}.get(len(plain), "MRN") if plain.isdigit() else "MRN"


def numbers_of_a_person(pid: Segment) -> dict[int, str]:
    """Fields of a PID that hold a card or a citizen's number, with the first of these as it is compared; PID-18 is an account's,
    PID-21 the mother's."""
    found: dict[int, str] = {}
    for number in range(1, len(pid.fields)):
        for value in (row[0] for row in pid.rows(number) if row):
            if number not in (ACCOUNT, MOTHERS_NUMBER) and kind_of(value) in SURE:
                found.setdefault(number, normalise(value))
    return found


def cards_of(segment: Segment) -> dict[int, str]:
    """Fields of a segment whose first component has the form of an insurance card, with it as it is compared."""
    values = ((number, normalise(segment.get(number))) for number in range(1, len(segment.fields)))
    return {number: value for number, value in values if CARD.fullmatch(value)}


def is_local_test(code: str, *systems: str) -> bool:
    """Whether a test is of no common system, nor the hub's own (`VN-…`): its laboratory alone knows what it is.

    >>> is_local_test("GLU", "L"), is_local_test("GLU", "L", "LN"), is_local_test("VN-CN", "")
    (True, False, False)
    """
    return _COMMON.isdisjoint(systems) and not code.startswith("VN-")


def is_mistyped(code: str) -> bool:
    """Whether a code has the form of LOINC's, and its last digit is not the check digit (Luhn's) of those before.

    >>> is_mistyped("14749-5"), is_mistyped("14749-6"), is_mistyped("GLU")
    (True, False, False)
    """
    if not (found := _LOINC_FORM.fullmatch(code)):
        return False
    doubled = (int(digit) * (2 - at % 2) for at, digit in enumerate(reversed(found[1])))
    return (sum(each // 10 + each % 10 for each in doubled) + int(found[2])) % 10 != 0


def is_loinc(code: str) -> bool:
    """Whether a code has the form of LOINC's, check digit and all, which hardly any other code has.

    >>> is_loinc("14749-6"), is_loinc("14749-5"), is_loinc("GLU")
    (True, False, False)
    """
    return _LOINC_FORM.fullmatch(code) is not None and not is_mistyped(code)


def shown_code(version: str, segment: str, field: int, value: str) -> str:
    """The code of a coded field, if it may be shown: "" for fields about a person and their health, and for what is no code."""
    if segment in _OF_A_PERSON or segment[:1] == "Z" or field_name(version, segment, field).kind not in _CODED:
        return ""
    return value if is_code(value) else ""


def is_code(value: str) -> bool:
    """Whether a value can only be a code: one short word without a long number in it."""
    return bool(_CODE.fullmatch(value)) and not _LONG_NUMBER.search(value)


def shown_name(value: str) -> str:
    """Name of an application or facility as it stands, cut; its shape when a long number is in it."""
    if _LONG_NUMBER.search(value):
        return shape(value)
    return "".join(character if character.isprintable() else "·" for character in value[:40])
