"""The rules of a profile: from what its file says to what mapping walks, with every fault in them said in a sentence."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from adapters.dialects.accounts import ACCOUNT
from adapters.dialects.faults import among
from adapters.dialects.newborns import MOTHERS_NUMBER
from adapters.dialects.paths import FOLDED, Place, Plan, Rule, folded, read_place
from adapters.dialects.profile_model import IdentifierTable, RuleTable
from adapters.dialects.sections import CODED_AS, DIGITS, NOT_BY_RULE, OFFICIAL, ONE_SEGMENT, RECORDS, fields_of, transform_of
from adapters.dialects.transforms import LIST, TEXT, TRANSFORMS, Comma, Gives, Point, Transform, fitting, with_comma
from adapters.formats.charset import CHARSETS
from adapters.formats.names import NEWEST_FIRST, field_name
from hub.contract.claim_tables import codes as official

_LOCAL: Final = "Z"  # how names of local segments begin
_OF_CARDS: Final = frozenset({"IN1", _LOCAL})
_HEAD: Final = frozenset(
    {"extends", "version", "about", "charset", "comma", "point", "ended", "stated_at"}
)  # lines before the first section
_SURELY_HEAD: Final = frozenset(
    {
        ("comma", "decimal"),
        ("comma", "thousands"),
        ("point", "thousands"),
        *(("charset", name) for name in CHARSETS),
        ("extends", "_standard"),
    }
)
_OF_TABLES: Final = frozenset({"codes", "identifiers"})  # sections of tables with names and codes of the file's own
_OF_SEND: Final = frozenset({"version", "charset"})  # which has lines of these names, too
_TIMES: Final = frozenset({"TS", "DTM", "DT", "TM"})
_DATES_OF_IN1: Final = {"valid_from": "IN1-12", "valid_to": "IN1-13"}

IN_WORDS: Final = (
    "ly_do_vv", "ly_do_vnt", "chan_doan_vao", "chan_doan_rv", "dau_hieu_ls", "qt_benhly", "tomtat_kq", "ten_dich_vu", "ten_chi_so", "ten_thuoc",
    "pp_dieutri", "pp_dieu_tri", "tinh_trang_ct", "huong_dieu_tri", "ghi_chu", "reason",
)  # fmt: skip
"""What stays, slips and papers tell in free text, and the names of what was done, found and given."""
_FREE: Final = frozenset(
    {
        *IN_WORDS,
        "ten_vat_tu",
        "chan_doan",
        "specimen_name",
        "chucdanh_nguoi_ht",
        "title",
        "file_name",
        "change_reason",
        "display",
        "job",
    }
)  # text, in which a delimiter is a sign like any other


@dataclass(frozen=True, slots=True)
class Identifiers:
    """`IdentifierTable`, with its places read.

    cards: fields of IN1; cards_apart: places in Z-segments; dates: segment to where in it the first and the last day of its card stand.
    """

    lists: tuple[tuple[int, ...], ...]
    cards: tuple[int, ...]
    cards_apart: tuple[Place, ...]
    dates: Mapping[str, Mapping[str, Place]]
    payers: frozenset[str]
    untyped: bool
    number_prefixes: tuple[str, ...]
    types: Mapping[str, str]


def misplaced(raw: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """What a file says without the lines of its head that stand behind a [section], where TOML makes them part of that section."""
    found: dict[str, Any] = {}
    for section, part in raw.items():
        found[section] = part
        if not isinstance(part, Mapping):
            continue
        known = fields_of(section) if section in RECORDS else _OF_SEND if section == "send" else ()
        wrong = [name for name in part if name in _HEAD and name not in known and isinstance(part[name], str | bool)]
        faults += [_behind(section, name) for name in wrong]
        found[section] = kept = {name: value for name, value in part.items() if name not in wrong}
        for table, rows in part.items() if section in _OF_TABLES else ():  # anything may be a code there, but hardly these
            inner = [one[0] for one in rows.items() if one in _SURELY_HEAD] if _all_text(rows) else []
            faults += [_behind(f"{section}.{table}", name) for name in inner]
            if inner:
                kept[table] = {name: value for name, value in rows.items() if name not in inner}
    return found


def _all_text(rows: object) -> bool:
    return isinstance(rows, Mapping) and all(isinstance(value, str) for value in rows.values())


def _behind(section: str, name: str) -> str:
    return f"{section}.{name}: behind [{section}] this line belongs to that section; write it before the first [section]"


def read_identifiers(table: IdentifierTable, faults: list[str]) -> Identifiers | None:
    before = len(faults)

    def read(name: str, text: str, segments: Collection[str]) -> Place:
        try:
            place = _place(text, segments)
            if place.pick or "[" in place.segment:
                raise ValueError(f"{text}: nothing is chosen here by what stands in brackets; leave them out")
            return place
        except ValueError as wrong:
            faults.append(f"identifiers.{name}: {wrong}")
            return Place("", 0, 1, 1, "")

    cards = [read("cards", text, _OF_CARDS) for text in table.cards]
    dates = {"IN1": {name: read_place(text) for name, text in _DATES_OF_IN1.items()}}  # also where a Z-segment has cards too
    for name, setting, text in (("valid_from", "card_from", table.card_from), ("valid_to", "card_to", table.card_to)):
        place = read(setting, text, _OF_CARDS)
        if place.segment not in {"IN1", *(card.segment for card in cards), ""}:
            faults.append(f"identifiers.{setting}: {text}: no card is read in {place.segment}; name its place in `cards` too")
        dates.setdefault(place.segment, {})[name] = place
    lists = tuple(tuple(read("lists", one.strip(), {"PID"}).field for one in text.split("+")) for text in table.lists)
    if any(MOTHERS_NUMBER in fields for fields in lists):
        faults.append(
            f"identifiers.lists: PID-{MOTHERS_NUMBER} holds the mother's numbers: among the patient's own they would make one person of "
            "mother and child; leave it out here, it is read as hers (person.guardians) anyway"
        )
    found = Identifiers(
        lists=lists,
        cards=tuple(place.field for place in cards if place.segment == "IN1"),
        cards_apart=tuple(place for place in cards if place.segment != "IN1"),
        dates=dates,
        payers=table.payers,
        untyped=table.untyped,
        number_prefixes=table.number_prefixes,
        types={unicodedata.normalize("NFC", code).upper(): kind for code, kind in table.types.items()},  # as CX-5 is compared
    )
    return found if len(faults) == before else None


def _place(text: str, segments: Collection[str] = ()) -> Place:
    """segments: those that can be read there, `Z` for those of one's own; any when omitted. Raises: ValueError."""
    place = read_place(text)
    name = place.segment[:3]
    if segments and name not in segments and not (name[0] == _LOCAL and _LOCAL in segments):
        known = " and ".join("Z-segments" if one == _LOCAL else one for one in sorted(segments))
        hint = "; a card in a Z-segment goes into `cards`" if name[0] == _LOCAL and "PID" in segments else ""
        if name == "PID" and segments is _OF_CARDS:
            hint = f'; a card in PID goes into `lists`, and {text} = "BHYT_CARD" into [identifiers.types]'
        raise ValueError(f"{text} cannot be read there, only fields of {known}{hint}")
    return place


def read_plan(
    section: str,
    rules: Mapping[str, RuleTable],
    codes: Mapping[str, Mapping[str, str]],
    signs: tuple[Comma, Point],
    faults: list[str],
) -> tuple[Rule, ...]:
    plan = []
    for name, table in rules.items():
        try:
            rule = _rule_of(section, name, table, codes, signs)
        except ValueError as wrong:
            faults.append(f"{section}.{name}: {wrong}")
            continue
        if rule.places:
            plan.append(rule)
    return tuple(plan)


def _rule_of(
    section: str, name: str, rule: RuleTable, codes: Mapping[str, Mapping[str, str]], signs: tuple[Comma, Point]
) -> Rule:
    """Raises: ValueError that says what is wrong with it."""
    known = fields_of(section)
    if (section, name) in NOT_BY_RULE:
        raise ValueError(f"no rule fills this field: {NOT_BY_RULE[section, name]}")
    if name not in known:
        raise ValueError(f"no rule fills such a field; {among(name, known)}")
    if rule.codes and rule.codes not in codes:
        raise ValueError(f"no table codes.{rule.codes}; {among(rule.codes, codes)}")
    if rule.transform and rule.transform not in TRANSFORMS:
        raise ValueError(f"no transform {rule.transform}; {among(rule.transform, TRANSFORMS)}")
    places = tuple(_place(text, ONE_SEGMENT.get(section, ())) for text in rule.places)
    if section == "order" and (found := next((text for text in rule.places if text[:3] == "OBX"), "")):
        raise ValueError(
            f"{found} cannot be read there: the OBX of an order, each with its notes, go with it as they stand; leave it out"
        )
    transform = TRANSFORMS.get(rule.transform)
    if places:
        _check_kind(known[name], rule, transform)
    if rule.codes:
        _check_table(name, rule, {code: value for code, value in codes[rule.codes].items() if not code.startswith(FOLDED)})
    if transform is not None:
        transform = with_comma(transform_of(section, name, transform), *signs)
    kind: str = transform.kind if transform else "value"
    if kind == "value" and name == "ma_lk" and any((place.segment, place.field) == ("PID", ACCOUNT) for place in places):
        kind = "visit"
    elif transform is None and name in _FREE and not rule.codes:
        kind = "words"
    return Rule(name, places, kind, transform, codes[rule.codes] if rule.codes else None, rule.unknown == "keep")


def _check_kind(field: Gives, rule: RuleTable, transform: Transform | None) -> None:
    """That what a rule gives can be written into its field. Raises: ValueError that says which transforms fit."""
    gives = transform.gives if transform else TEXT
    if not gives.fits(field):
        said = f'as = "{rule.transform}" gives {gives}' if rule.transform else f"without `as` a rule gives {gives}"
        way = "leave `as` out, or write" if field == TEXT else "write"
        raise ValueError(f"the field takes {field}, {said}; {way} as = {' or '.join(map(_quoted, fitting(field)))}")
    if rule.codes and gives not in (TEXT, LIST):
        raise ValueError(f"`codes` looks up texts; the field takes {gives}: leave `codes` out")


def _check_table(name: str, rule: RuleTable, rows: Mapping[str, str]) -> None:
    """That its rows can be found, and give what the field takes. Raises: ValueError that names the rows that do not."""
    transform = TRANSFORMS.get(rule.transform)
    if rows and transform is not None and transform.kind == "value" and not any(map(transform.function, rows)):
        raise ValueError(
            f'as = "{rule.transform}" comes before the table, and reads no row of codes.{rule.codes}; leave `as` out'
        )
    lists, digits = () if rule.codes in CODED_AS else OFFICIAL.get(name, ()), DIGITS.get(name, 0)
    allowed = frozenset[str]().union(*(official()[each] for each in lists))
    fits = allowed.__contains__ if lists else re.compile(rf"[0-9]{{{digits}}}" if digits else ".*", re.DOTALL).fullmatch
    if wrong := [f'{code} = "{value}"' for code, value in rows.items() if value and not fits(value)]:
        takes = f"a code of {' or '.join(lists)} (seeds/standards/codes.csv)" if lists else f"{digits} digits"
        raise ValueError(f"the field takes {takes}, and codes.{rule.codes} gives others: {', '.join(wrong)}")


def _quoted(name: str) -> str:
    return f'"{name}"'


def caseless(table: Mapping[str, str]) -> dict[str, str]:
    """A code table as `look_up` wants it: with its codes `folded` too, for values written otherwise, but for those that
    mean two things then."""
    meant: dict[str, set[str]] = {}
    for code, value in table.items():
        meant.setdefault(folded(code), set()).add(value)
    composed = {unicodedata.normalize("NFC", code): value for code, value in table.items()}
    return {code: next(iter(values)) for code, values in meant.items() if len(values) == 1} | composed


def foreign(plans: Iterable[Plan], identifiers: Identifiers) -> frozenset[str]:
    """Fields that a profile reads in a form which HL7 does not have, or as no time where HL7 has one, such as `PID-7`."""
    rules = [rule for plan in plans for rule in plan]
    own = (place for rule in rules if rule.transform is not None and rule.transform.foreign for place in rule.places)
    no_times = (
        place for rule in rules if not _reads_time(rule) for place in rule.places if _is_time(place.segment[:3], place.field)
    )
    dates = (place for ends in identifiers.dates.values() for place in ends.values())
    return frozenset(f"{place.segment[:3]}-{place.field}" for place in (*own, *no_times, *dates))


def _reads_time(rule: Rule) -> bool:
    return rule.transform is not None and rule.transform.problem == "TIME_UNPARSABLE"


@cache
def _is_time(segment: str, field: int) -> bool:
    """Whether HL7 has a time there."""
    return any(field_name(version, segment, field).kind in _TIMES for version in NEWEST_FIRST)
