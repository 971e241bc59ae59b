"""The payers of a folder: one TOML a payer, which says what claims go to it and what it may see of them.

A grant is never guessed: an entry that nobody knows, a table or a field that does not exist stops the hub before it starts.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from hub.contract.claim_tables import tables
from hub.contract.errors import HubError

TEST: Final = "test"
"""The payer of test claims, which no other claim reaches."""
PRIMARY: Final = "primary"
SUPPLEMENTARY: Final = "supplementary"
_CODE: Final = re.compile(r"[a-z]{2,20}")
_GROUP: Final = re.compile(r"[A-Z]{2}")  # of a card, behind which a digit follows: GD4010116149000
_POLICY: Final = re.compile(r"[A-Z]{3,10}")  # so that no insurance card begins like a policy
_FACILITY: Final = re.compile(r"\d{2,5}")


@dataclass(frozen=True, slots=True)
class Payer:
    """One payer.

    role:             primary: a claim goes to one of them; supplementary: gets a copy once that one has decided.
    default:          takes every claim that no other primary payer does.
    adjudicated_here: this hub runs its insurer service; others read and write their topics with systems of their own.
    card_groups:      primary: first two letters of the cards that always go to it; supplementary: three letters or more,
                      with which the numbers of its policies begin.
    facilities:       beginnings of MA_CSKCB: claims from there go to it when the card shows no group (10 or 12 digits, or none).
    tables:           the claim tables that its projection grants; xml1 always.
    withheld:         table to those of its fields that are left out all the same.
    sensitive:        supplementary: whether it also gets claims labelled sensitive (HIV, mental or reproductive health).
    referrals:        primary: whether it hears of the referral slips of its insured.
    """

    code: str
    name: str
    name_en: str
    default: bool
    card_groups: tuple[str, ...]
    tables: frozenset[str]
    role: str = PRIMARY
    adjudicated_here: bool = False
    facilities: tuple[str, ...] = ()
    withheld: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sensitive: bool = False
    referrals: bool = False


def read_payers(folder: Path) -> dict[str, Payer]:
    """Code to payer; the code is the name of its file. Raises: HubError(SETTING_WRONG)."""
    found = {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}
    primary = [payer for payer in found.values() if payer.role == PRIMARY]
    defaults = [payer.code for payer in primary if payer.default]
    if len(defaults) != 1:
        raise HubError("SETTING_WRONG", f"seeds/payers: one payer has default = true, not {len(defaults)}; set it in one file")
    for name in ("card_groups", "facilities"):
        claimed = [entry for payer in found.values() for entry in getattr(payer, name)]
        if twice := [entry for entry, count in Counter(claimed).items() if count > 1]:
            raise HubError("SETTING_WRONG", f"seeds/payers: {name} {twice[0]} stands twice; leave it to one payer")
    policies = sorted(
        (entry, payer.code) for payer in found.values() if payer.role == SUPPLEMENTARY for entry in payer.card_groups
    )
    for (short, one), (long, other) in combinations(policies, 2):
        if long.startswith(short) and one != other:
            said = f"card_groups {long} of {other} begins with {short} of {one}: both would get its policies; change one of them"
            raise HubError("SETTING_WRONG", f"seeds/payers: {said}")
    return found


def _read(path: Path) -> Payer:
    def wrong(what: str) -> HubError:
        return HubError("SETTING_WRONG", f"seeds/payers/{path.name}: {what}")

    try:
        row = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as unreadable:
        raise wrong("it is no TOML; mend it, or take the file away") from unreadable
    if not _CODE.fullmatch(path.stem):
        raise wrong("a payer's code, and so its file's name, is 2 to 20 letters a to z")
    kinds = {one.name: one for one in fields(Payer) if one.name != "code"}
    for name in (*row, "name", "name_en", "default", "card_groups", "tables"):
        if name not in kinds:
            raise wrong(f"{name}: no such entry; it knows {', '.join(kinds)}")
        if name not in row:
            raise wrong(f"{name} is missing")
    for name, value in row.items():
        _check_type(name, value, wrong)
    role = row.get("role", PRIMARY)
    if role not in (PRIMARY, SUPPLEMENTARY):
        raise wrong(f"role {role}: {PRIMARY} or {SUPPLEMENTARY}")
    if role == SUPPLEMENTARY and (row["default"] or row.get("facilities")):
        raise wrong("a supplementary payer is no default and has no facilities: it only gets what another has decided")
    if role == SUPPLEMENTARY and row.get("referrals"):
        raise wrong("referrals: a supplementary payer hears of claims alone, as no slip names its policy; take the entry out")
    shape, words = (_GROUP, "two capital letters") if role == PRIMARY else (_POLICY, "three capital letters or more")
    for name, pattern, said in (("card_groups", shape, words), ("facilities", _FACILITY, "the first 2 to 5 digits of MA_CSKCB")):
        for entry in row.get(name, []):
            if not pattern.fullmatch(entry):
                raise wrong(f"{name} {entry}: {said}")
    row |= {name: tuple(row[name]) for name in ("card_groups", "facilities") if name in row}
    granted, withheld = _grants(row["tables"], row.get("withheld", []), wrong)
    return Payer(code=path.stem, **{**row, "tables": granted, "withheld": withheld})


def _check_type(name: str, value: Any, wrong: Any) -> None:
    if name in ("default", "adjudicated_here", "sensitive", "referrals"):
        fits, said = isinstance(value, bool), "true or false"
    elif name in ("name", "name_en", "role"):
        fits, said = isinstance(value, str) and bool(value), "a text"
    else:
        fits, said = isinstance(value, list) and all(isinstance(entry, str) for entry in value), "a list of texts"
    if not fits:
        raise wrong(f"{name} is {said}")


def _grants(
    names: Collection[str], fields_withheld: Collection[str], wrong: Any
) -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    known = {
        table.lower(): {element.field for element in elements.values()} for table, elements in tables().items() if table != "XML0"
    }
    for table in names:
        if table not in known:
            raise wrong(f"tables {table}: no claim table; xml1 to xml15")
    withheld: dict[str, frozenset[str]] = {}
    for entry in fields_withheld:
        table, _, element = entry.partition(".")
        if element not in known.get(table, ()):
            raise wrong(f"withheld {entry}: no such field of a claim table; it reads like xml1.dia_chi")
        withheld[table] = withheld.get(table, frozenset()) | {element}
    return frozenset(names), withheld
