"""A profile as its file is written: the typed model of `vendors/<vendor>.toml`, with everything that can be said of one value alone."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool
from pydantic_core import PydanticCustomError

from adapters.dialects.transforms import Comma, Point
from adapters.formats.charset import CHARSETS, charset_name
from adapters.formats.structure import VERSIONS


def _charset(value: str) -> str:
    if value and not charset_name(value):
        raise PydanticCustomError(
            "charset", "no charset {name}; there are {known}", {"name": value, "known": ", ".join(CHARSETS)}
        )
    return value


def _charset_to_write(value: str) -> str:
    if not value:
        raise PydanticCustomError("charset", "a charset to write in is needed; there are {known}", {"known": ", ".join(CHARSETS)})
    return _charset(value)


def _version(value: str) -> str:
    if value not in VERSIONS:
        raise PydanticCustomError(
            "version", "no version {name} of HL7; there are {known}", {"name": value, "known": ", ".join(sorted(VERSIONS))}
        )
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _places(value: object) -> object:
    return [] if value == "" else [value] if isinstance(value, str) else value


def _rule(value: object) -> object:
    return value if isinstance(value, (dict, RuleTable)) else {"from": value}


class RuleTable(_Table):
    """One rule: the first of `from` that holds a value, put through `as`, then looked up in `codes`."""

    places: Annotated[list[str], BeforeValidator(_places)] = Field(alias="from")
    transform: str = Field("", alias="as")
    codes: str = ""
    unknown: Literal["drop", "keep"] = "drop"


Rules = dict[str, Annotated[RuleTable, BeforeValidator(_rule)]]


class AckChoices(_Table):
    """How refusals and warnings are told. coded: by the error's row; AA: accepted all the same; none: silence."""

    refused: Literal["coded", "AA", "none"]
    warnings: StrictBool


class Send(_Table):
    """How the hub writes to a facility of this dialect. orders: ORM^O01 whatever the version, else OML^O21 from 2.5 on."""

    version: Annotated[str, AfterValidator(_version)]
    terminator: Literal["cr", "lf", "crlf"]
    charset: Annotated[str, AfterValidator(_charset_to_write)]
    orders: Literal["", "ORM"] = ""


class Alias(_Table):
    """MSH-4 `name`, from the application MSH-3, is facility `code`."""

    application: str = Field(min_length=1)
    name: str = Field(min_length=1)
    code: str = Field(pattern=r"^\d{5}$")


class FacilityTable(_Table):
    """How MSH-4 is told to be a facility when it is not its code."""

    aliases: list[Alias]


class IdentifierTable(_Table):
    """How identifiers of a person are read; see `_standard.toml`."""

    lists: list[str]
    cards: list[str]
    card_from: str
    card_to: str
    payers: frozenset[str]
    untyped: StrictBool
    number_prefixes: tuple[str, ...]
    types: dict[str, str]


class LocalTest(_Table):
    """What a local test code is called in a common system."""

    code: str = Field(min_length=1)
    system: str = Field(min_length=1)
    display: str = ""
    alt_code: str = ""
    alt_system: str = ""


class Conclusions(_Table):
    """Codes of the OBX that are the conclusion of a result, not a line of it."""

    codes: frozenset[str]


class Sensitive(_Table):
    """What makes an event of this label: ICD-10 by its first three characters or those and the digit behind the dot, test codes; in
    names, diagnoses and free text words, which may begin longer ones, and mentions, which are whole but for those that end in `*`. harmless:
    words that are read first and are no mention. unless_denied: a mention that the text denies (`không trầm cảm`) is none."""

    icd: frozenset[str]
    tests: frozenset[str]
    words: tuple[str, ...]
    mentions: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    unless_denied: bool = False


class Profile(_Table):
    """One file of `vendors/`, with everything it extends."""

    version: str
    about: str
    charset: Annotated[str, AfterValidator(_charset)]
    comma: Comma = ""
    point: Point = ""
    ended: StrictBool = False
    stated_at: Literal["", "day_first"] = ""
    ack: AckChoices
    send: Send
    facility: FacilityTable
    identifiers: IdentifierTable
    person: Rules
    guardian: Rules
    allergy: Rules
    diagnosis: Rules
    procedure: Rules
    registration: Rules
    encounter: Rules
    order: Rules
    result: Rules
    observation: Rules
    referral: Rules
    xml13: Rules
    follow_up: Rules
    xml14: Rules
    charge: Rules
    charge_line: Rules
    prescription: Rules
    prescription_line: Rules
    prescription_part: Rules
    document: Rules
    catalogue: Rules
    practitioner: Rules
    location: Rules
    machine: Rules
    service: Rules
    price: Rules
    report: Rules
    conclusions: Conclusions
    codes: dict[str, dict[str, str]]
    tests: dict[str, LocalTest] = {}
    sensitive: dict[str, Sensitive]
