"""Vendor profiles: typed TOML with `extends`, read once and compiled to what mapping walks.

Everything that can be wrong in a profile is found when it is loaded: unknown keys, fields that no schema has, transforms
outside the list, places that are none, code tables that do not exist.
"""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from adapters.dialects.faults import MISSING, among, told
from adapters.dialects.paths import Plan, Rule
from adapters.dialects.profile_model import AckChoices, Alias, LocalTest, Profile, Send
from adapters.dialects.rules import Identifiers, caseless, foreign, misplaced, read_identifiers, read_plan
from adapters.dialects.sections import CODED_AS, FOR_PROFILES, READ_BY_NAME, RECORDS
from adapters.dialects.sensitivity import Labels, compile_labels
from adapters.dialects.transforms import Comma, Point, facility_code
from adapters.formats.charset import CHARSETS, encode
from adapters.formats.hl7v2 import Message
from hub.contract import directory
from hub.contract.errors import HubError

STANDARD: Final = "_standard"
_SIGNS: Final = re.compile(r"[^\w .-]")
_TOKEN_MAX: Final = 32  # characters of the name of a facility that nobody knows
_VENDORS: Final = Path(__file__).resolve().parent / "vendors"
_OWN: Final[list[Path]] = []  # a folder of the user's beside it, if the settings name one
_ALIASES: Final[list[dict[tuple[str, str], tuple[str, str]]]] = []  # (MSH-3, MSH-4) to facility and dialect, once they are read
_FAULTS_MAX: Final = 20  # told of one file
VARYING: Final = frozenset({1, 4, 5, 14, 19})  # fields of OBX that differ from one result to the next of the same test


def sections() -> Mapping[str, Any]:
    """Section of a profile to the record that its rules fill."""
    return RECORDS


# --- compiled ---------------------------------------------------------------------------------------------------------


Line = tuple[tuple[str, tuple[int, ...], Callable[[str], str | None] | None], ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """A profile, ready for use.

    version: its own version and those of what it extends, such as `1+1`.
    charset: the charset the vendor is known to write, or None.
    comma:   what a comma in a number means; rules for numbers know it already. point: the same of a point in an amount.
    ended:   whether each message ends its last segment, so that one that does not is cut.
    stated_at: `day_first` where MSH-7 and EVN-2 are written as people write a time, else "".
    codes:   its code tables, for `look_up`.
    plans:   section of the profile to its rules; `services` are the rules of one OBR of an order, `admission` those of A06 alone,
             `line` those of an OBX that change from line to line, `observation` the others.
    labels:  what makes an event protected.
    names:   facilities that its aliases know by one name only, with it; two names of one (`CS1`, `CS2`) may count patients apart.
    foreign: fields that it reads in a form which HL7 does not have, or as no time, such as `PID-7`; dates of cards among them.
    mapped: fields whose first component it looks up (`ORC-1`), with every code that a table of it has, whatever case.
    unused:  code tables of its own that no rule looks anything up in.
    line:    the rules of plan `line` the short way: field of the record, fields of OBX, transform; None if they ask for more.
    seen:    codes met before, as they were read; forms: likewise what does not change in the lines of a test. Laboratories
             repeat themselves. Both are bounded by their users, and hold nothing of a person.
    """

    name: str
    version: str
    about: str
    charset: str | None
    comma: Comma
    point: Point
    ended: bool
    stated_at: str
    ack: AckChoices
    send: Send
    aliases: tuple[Alias, ...]
    names: Mapping[str, str]
    identifiers: Identifiers
    plans: Mapping[str, Plan]
    codes: Mapping[str, Mapping[str, str]]
    tests: Mapping[str, LocalTest]
    conclusions: frozenset[str]
    labels: Labels
    foreign: frozenset[str]
    mapped: Mapping[str, frozenset[str]]
    unused: tuple[str, ...]
    line: Line | None
    seen: dict[str, tuple[dict[str, str], str]] = field(default_factory=dict, repr=False, compare=False)
    forms: dict[str, list[Any]] = field(default_factory=dict, repr=False, compare=False)


_NO_PARENT: Final = f'extends: {MISSING}, so the profile would have to say everything itself; write extends = "_standard" before the first [section]'


def use_vendors(folder: Path | None) -> None:
    """Read profiles from a folder of the user's too (HIE_VENDORS_DIR); for the composition root, before anything is read.

    Raises: HubError(SETTING_WRONG) when it is no folder.
    """
    if folder is not None and not folder.is_dir():
        raise HubError("SETTING_WRONG", f"HIE_VENDORS_DIR: there is no folder {folder.name}")
    _OWN[:] = [folder.resolve()] if folder is not None else []
    load_dialect.cache_clear()
    _ALIASES.clear()


@cache
def load_dialect(name: str) -> Dialect:
    """The dialect of `vendors/<name>.toml`, or of the user's own folder.

    Raises: HubError(SETTING_WRONG) that names the file and the place in it; HubError(NOT_FOUND) when there is no such file.
    """
    if not re.fullmatch(r"\w+", name):
        raise HubError("NOT_FOUND", "dialect")
    raw, version = read_profile(name)
    return compile_dialect(name, version, raw)


def load_file(path: Path) -> Dialect:
    """The dialect of a file that stands anywhere; what it extends is found by name. Raises: as `load_dialect`."""
    if not path.is_file():
        raise HubError("NOT_FOUND", f"file {path.name}")
    raw, version = _read_file(path, (path.stem,))
    return compile_dialect(path.stem, version, raw)


def compile_text(name: str, text: str) -> Dialect:
    """The dialect that a file of this text would be. Raises: as `load_dialect`."""
    raw, version = _read_text(f"{name}.toml", text, (name,))
    return compile_dialect(name, version, raw)


def read_profile(name: str) -> tuple[dict[str, Any], str]:
    """What a profile says, `extends` resolved, and its version. Raises: as `load_dialect`."""
    return _read(name, ())


def dialect_names() -> list[str]:
    """Every dialect there is, in order."""
    return sorted({path.stem for path in _files()})


def edited_since(moment: float) -> list[str]:
    """The dialects whose own file was written after a moment, in seconds since 1970, in order."""
    return sorted(path.stem for path in _files() if path.stat().st_mtime > moment)


def _files() -> list[Path]:
    """Every profile there is; a link that leads nowhere is none."""
    return [path for folder in (_VENDORS, *_OWN) for path in folder.glob("*.toml") if path.is_file()]


def _read(name: str, below: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    if name in below:
        raise HubError("SETTING_WRONG", f"{name}.toml: extends itself")
    found = [path for folder in (_VENDORS, *_OWN) if (path := folder / f"{name}.toml").is_file()]
    if not found:
        raise HubError("NOT_FOUND", f"dialect {name}; {among(name, dialect_names())}")
    if len(found) > 1:
        raise HubError(
            "SETTING_WRONG", f"{name}.toml: the hub has a profile of this name already; give yours in HIE_VENDORS_DIR another"
        )
    return _read_file(found[0], (*below, name))


def _read_file(path: Path, below: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise HubError("SETTING_WRONG", f"{path.name}: not UTF-8") from None
    return _read_text(path.name, text, below)


def _read_text(where: str, text: str, below: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise HubError("SETTING_WRONG", f"{where}: {wrong}{_meant(str(wrong), text)}") from None
    version = str(raw.get("version", ""))
    parent = raw.pop("extends", None)
    if parent is None:
        return raw, version
    try:
        base, base_version = _read(str(parent), below)
    except HubError as wrong:
        raise HubError("SETTING_WRONG", f"{where} extends: {wrong.where}" if wrong.code == "NOT_FOUND" else wrong.where) from None
    base["facility"] = {"aliases": []}  # whose messages they are is said by each vendor of its own
    return _merged(base, raw), f"{version}+{base_version}"


def _meant(wrong: str, text: str) -> str:
    """What an error of TOML comes from, where its own words do not say so."""
    if "end of document" in wrong:
        return f"; line {_begun(text)} begins what is never closed"
    if "Cannot overwrite" in wrong or "twice" in wrong:
        return "; that name stands twice: write it once, with all that belongs to it"
    return ""


def _begun(text: str) -> int:
    """The line with which something begins that the file never closes: the one behind all that can be read by itself."""
    lines = text.splitlines(keepends=True)
    for number in range(len(lines) - 1, 0, -1):
        with suppress(tomllib.TOMLDecodeError):
            tomllib.loads("".join(lines[:number]))
            return number + 1
    return 1


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, two levels deep at most; rules, lists and single values are replaced."""
    result = dict(base)
    for name, value in own.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            nested = name in ("codes", "sensitive", "identifiers")
            result[name] = _merged(old, value) if nested else {**old, **value}
        else:
            result[name] = value
    return result


def compile_dialect(name: str, version: str, raw: Mapping[str, Any]) -> Dialect:
    """A dialect out of what its file holds, `extends` resolved.

    Raises: HubError(SETTING_WRONG) that says where the file is wrong.
    """
    faults: list[str] = []
    profile = _read_model(misplaced(raw, faults), faults)
    if name != STANDARD and RECORDS.keys() - raw.keys():  # nobody writes all of them
        raise _wrong(name, [_NO_PARENT, *(one for one in faults if not one.endswith(MISSING))])
    if profile is None:
        raise _wrong(name, faults)
    for table, allowed in CODED_AS.items():
        if wrong_values := set(profile.codes.get(table, {}).values()) - allowed:
            wrong = sorted(wrong_values)
            faults.append(f"codes.{table}: no {', '.join(wrong)}; {among(wrong[0], allowed - {''})}")
    for alias in profile.facility.aliases:
        if (code := facility_code(alias.name)) and code != alias.code:
            faults.append(f"facility.aliases: {alias.name} is a code itself, and not that of {alias.code}")
    used = {rule.codes for section in RECORDS for rule in getattr(profile, section).values()}
    used |= CODED_AS.keys() | READ_BY_NAME | FOR_PROFILES
    if profile.comma == profile.point == "thousands":
        faults.append("point: a comma cannot stand between thousands too; leave one of both lines out")
    signs = profile.comma, profile.point
    codes = {table: caseless(rows) for table, rows in profile.codes.items()}
    plans = {section: read_plan(section, getattr(profile, section), codes, signs, faults) for section in RECORDS}
    identifiers = read_identifiers(profile.identifiers, faults)
    if faults or identifiers is None:
        raise _wrong(name, faults)
    plans["services"] = tuple(rule for rule in plans["order"] if rule.name == "services")
    plans["order"] = tuple(rule for rule in plans["order"] if rule.name != "services")
    plans["admission"] = tuple(rule for rule in plans["encounter"] if rule.name == "ngay_vao_noi_tru")
    plans["encounter"] = tuple(rule for rule in plans["encounter"] if rule.name != "ngay_vao_noi_tru")
    plans["line"] = tuple(rule for rule in plans["observation"] if _varies(rule))
    plans["observation"] = tuple(rule for rule in plans["observation"] if not _varies(rule))
    return Dialect(
        name=name,
        version=version,
        about=profile.about,
        charset=profile.charset or None,
        comma=profile.comma,
        point=profile.point,
        ended=profile.ended,
        stated_at=profile.stated_at,
        ack=profile.ack,
        send=profile.send,
        aliases=tuple(profile.facility.aliases),
        names=_only_names(profile.facility.aliases),
        identifiers=identifiers,
        plans=plans,
        codes=codes,
        tests=profile.tests,
        conclusions=profile.conclusions.codes,
        foreign=foreign(plans.values(), identifiers),
        mapped=_mapped(plans.values()),
        unused=tuple(sorted(table for table, rows in profile.codes.items() if rows and table not in used)),
        line=_line(plans["line"]),
        labels=compile_labels(profile.sensitive),
    )


def _only_names(aliases: Iterable[Alias]) -> dict[str, str]:
    names: dict[str, set[str]] = {}
    for alias in aliases:
        names.setdefault(alias.code, set()).add(alias.name)
    return {code: min(known) for code, known in names.items() if len(known) == 1}


def _mapped(plans: Iterable[Plan]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for rule in (rule for plan in plans for rule in plan if rule.codes):
        for place in rule.places:
            if place[2:] == (1, 1, ""):
                name = f"{place.segment[:3]}-{place.field}"
                found[name] = found.get(name, frozenset()) | frozenset(rule.codes or ())
    return found


def _varies(rule: Rule) -> bool:
    return any(place.field in VARYING for place in rule.places)


def _line(plan: Plan) -> Line | None:
    simple = all(
        rule.kind == "value" and rule.codes is None and all(place[2:] == (1, 1, "") for place in rule.places) for rule in plan
    )
    rows = [
        (rule.name, tuple(place.field for place in rule.places), rule.transform.function if rule.transform else None)
        for rule in plan
    ]
    return tuple(rows) if simple else None


def _read_model(raw: Mapping[str, Any], faults: list[str]) -> Profile | None:
    """The typed profile. What is wrong by itself is told, and left out, so that all else can be looked at too; None where that
    leaves no profile."""
    try:
        return Profile.model_validate(raw)
    except ValidationError as wrong:
        errors = wrong.errors()
    faults += map(told, errors)
    rest = {name: dict(part) if isinstance(part, Mapping) else part for name, part in raw.items()}
    standard = read_profile(STANDARD)[0]
    for section, *inner in (one["loc"] for one in errors):
        part = rest.get(str(section))
        if section in RECORDS and isinstance(part, dict) and inner:
            part.pop(inner[0], None)  # a rule
        elif section == "codes" and isinstance(part, dict) and inner:
            table = part.get(inner[0])
            part[inner[0]] = (
                {code: value for code, value in table.items() if isinstance(value, str)} if isinstance(table, Mapping) else {}
            )
        elif section in standard:
            rest[str(section)] = standard[str(section)]
        else:
            rest.pop(str(section), None)
    try:
        return Profile.model_validate(rest)
    except ValidationError:  # `_standard` itself is wrong
        return None


def _wrong(name: str, faults: Iterable[str]) -> HubError:
    """All that is wrong in a file, at once."""
    found = list(faults)
    more = f" · … {len(found)} faults in all" if len(found) > _FAULTS_MAX else ""
    return HubError("SETTING_WRONG", f"{name}.toml {' · '.join(found[:_FAULTS_MAX])}{more}")


# --- whose message ----------------------------------------------------------------------------------------------------


def dialect_for(facility: str) -> Dialect:
    """The dialect of a facility of the directory; `_standard` for any other."""
    found = directory.facilities().get(facility)
    return load_dialect(found.dialect if found else STANDARD)


class Clash(NamedTuple):
    """An alias that two profiles claim, with the entry of `aliases` in each, counted from 1; the first one has it."""

    application: str
    name: str
    first: str
    first_entry: int
    second: str
    second_entry: int

    def __str__(self) -> str:
        return (
            f"{self.second}.toml facility.aliases, entry {self.second_entry}: {self.application} · {self.name} is claimed by "
            f"{self.first}.toml too, entry {self.first_entry}; take it out of one of them"
        )


def read_aliases(without: Collection[str] = (), *, strictly: bool = True) -> list[Clash]:
    """Take those of all profiles, those that came meanwhile too. Returns: what two of them claim, unless `strictly`.

    without: dialects that are left out, as their files have faults.
    Raises:  HubError(SETTING_WRONG) at the fault of another, and `strictly` at what two claim; nothing is taken then.
    """
    found: dict[tuple[str, str], tuple[str, str]] = {}
    entries: dict[tuple[str, str], int] = {}
    clashes = []
    for name in dialect_names():
        for entry, alias in enumerate(load_dialect(name).aliases if name not in without else (), 1):
            pair = _alike(alias.application, alias.name)
            code, first = found.setdefault(pair, (alias.code, name))
            at = entries.setdefault(pair, entry)
            if (code, first) != (alias.code, name):
                clashes.append(Clash(alias.application, alias.name, first, at, name, entry))
            for written in _written(alias.application, alias.name):
                found.setdefault(_alike(*written), (code, first))
    if clashes and strictly:
        raise clashing(clashes)
    _ALIASES[:] = [found]
    return clashes


def _alike(application: str, name: str) -> tuple[str, str]:
    """MSH-3 and MSH-4 as they are compared: senders are careless of case and of blanks at the ends."""
    return application.strip().casefold(), name.strip().casefold()


@cache
def _written(application: str, name: str) -> frozenset[tuple[str, str]]:
    """An alias with letters beyond ASCII as a header has it that is read byte by byte, before its charset is known."""
    if (application + name).isascii():
        return frozenset()
    composed = [unicodedata.normalize("NFC", text) for text in (application, name)]
    apart = [unicodedata.normalize("NFD", text) for text in (application, name)]
    ways = set()
    for charset, texts in product(CHARSETS, (composed, apart)):
        with suppress(HubError):  # a charset that lacks a letter is not the one it came in; TCVN3 has capitals without tones only
            first, second = (encode(text, charset, exact=charset != "tcvn3").decode("latin-1") for text in texts)
            ways.add((first, second))
    return frozenset(ways)


def clashing(clashes: Iterable[Clash]) -> HubError:
    """The error of profiles that claim the same."""
    return HubError("SETTING_WRONG", " · ".join(map(str, clashes)))


def aliased(application: str, facility: Iterable[str]) -> tuple[str, str] | None:
    """MA_CSKCB and dialect of the first of these names that, with the application, is an alias of any profile."""
    if not _ALIASES:
        read_aliases()
    return next((alias for name in facility if (alias := _ALIASES[0].get(_alike(application, name)))), None)


def resolve_facility(application: str, facility: Sequence[str]) -> tuple[str, Dialect]:
    """Whose message it is, and how to read it.

    application: MSH-3.1.
    facility:    the components of MSH-4.
    Returns:     MA_CSKCB and the facility's dialect. The aliases of all dialects count first, which name both MSH-3 and
                 MSH-4; then a code (`01004`, `CS01004`; in either component). What is neither comes back as MSH-4.1 says it, its
                 letters, digits and blanks, at most 32; or as "" if that would look like a code; with `_standard`.
    """
    code, name = whose(application, facility)
    return code, load_dialect(name)


def whose(application: str, facility: Sequence[str]) -> tuple[str, str]:
    """`resolve_facility` with the name of the dialect alone, which may have no profile yet."""
    names = list(facility[:2])
    if alias := aliased(application, names):
        return alias
    codes = [code for code in map(facility_code, names) if code]
    for code in codes:
        if found := directory.facilities().get(code):
            return code, found.dialect
    token = " ".join(_SIGNS.sub("", names[0] if names else "").split())[:_TOKEN_MAX].strip()
    if codes:
        token = codes[0]
    elif facility_code(unicodedata.normalize("NFKC", token).replace(" ", "")):
        token = ""  # neither `01 004` nor wide digits are a way to write 01004, and must not become it
    return token, STANDARD


def resolve_as(application: str, facility: Sequence[str], dialect: Dialect) -> str:
    """MA_CSKCB as `resolve_facility` finds it, when the dialect is given and only its own aliases count."""
    own = {
        _alike(*pair): alias.code
        for alias in dialect.aliases
        for pair in {(alias.application, alias.name), *_written(alias.application, alias.name)}
    }
    found = next((own[pair] for name in facility[:2] if (pair := _alike(application, name)) in own), "")
    return found or whose(application, facility)[0]


def resolve_message(message: Message) -> tuple[str, Dialect]:
    """`resolve_facility` of a parsed message. MSH-3 and MSH-4 are ASCII in practice: a message read as latin-1 will do."""
    header = message.header
    return resolve_facility(header.get(3), header.components(4))
