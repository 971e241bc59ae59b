"""By what a person is looked up, and told from others: keyed hashes of identifiers that mean the same person wherever they stand."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from hub.contract.events import Keyring

# Identifiers of national issue; a patient number means something only together with the facility that gave it.
_NATIONAL: Final = frozenset({"SDDCN", "CMND9", "PASSPORT", "BHXH_NUMBER", "BIRTH_CERTIFICATE_NO", "FOREIGNER_EID"})
_PER_ISSUER: Final = frozenset({"MRN"})

OTHER_PERSON: Final = "nobody-other-person"
"""Rule of what is kept from somebody who would get it if a number were all that makes a person (`share_by_mistake`)."""

_SEXES: Final = ("1", "2")  # GIOI_TINH: 3 is not known
_ANY_DAY: Final = ("", "00", "0000", "0101")  # of a birth date of which the year alone is known
_AGE: Final = re.compile(  # that some systems append, with all behind it; a number without a unit may tell twins apart
    r"\d{1,3}\s?(?:t|tu[oổ]i|tuần|th(?:[aá]ng)?|n(?:g[aà]y|t)?|gi[oờ])(?![^\W\d_]).*", re.DOTALL
)
_D: Final = {ord(letter): "d" for letter in "đðɖ"}
_ENOUGH: Final = 12  # hex digits of a hash that is compared with few others, and never looked up

PersonRefs = Mapping[str, str]


class Who(NamedTuple):
    """A person as the facts of an event tell of it: what it is looked up by, and what tells it from others (`traits`)."""

    refs: PersonRefs
    traits: Mapping[str, str]


def person_refs(person: Mapping[str, Any], keyring: Keyring, *, test: bool) -> dict[str, str]:
    """Kind of identifier to its hash; {} for a person without any identifier that can be compared.

    A card counts by its last ten digits, the social-insurance number, which stay when the card changes form; a card
    with the citizen number counts as that number. Test persons have hashes of their own.
    Source: seeds/standards/identifiers.md §2, §3.
    """
    realm = "test" if test else "real"
    found: dict[str, str] = {}
    for identifier in person.get("identifiers", ()):
        kind, value = identifier.get("type", ""), identifier.get("normalised") or identifier.get("value", "")
        if not value:
            continue
        if kind == "BHYT_CARD":
            digits = value[-12:] if len(value) == 12 else value[-10:]
            if not digits.isdigit() or len(digits) < 10:
                continue
            kind, value = ("SDDCN" if len(digits) == 12 else "BHXH_NUMBER"), digits
        if kind in _PER_ISSUER and identifier.get("issuer"):
            kind = f"{kind}:{identifier['issuer']}"
        elif kind not in _NATIONAL:
            continue
        found.setdefault(kind, keyring.hash("person", realm, kind, value))
    return found


def traits(person: Mapping[str, Any], keyring: Keyring) -> dict[str, str]:
    """Hashes of what tells a person from another that has the same number: `name`, `sex`, `year` and, where the day is known, `born`.

    What is not stated is left out. A name counts by its letters and digits, without case, marks and whatever age stands behind it.
    Source: seeds/standards/identifiers.md §11, §12.
    """
    born, sex = person.get("ngay_sinh", ""), person.get("gioi_tinh", "")
    written = unicodedata.normalize("NFC", person.get("ho_ten", "")).casefold()
    letters = unicodedata.normalize("NFD", _AGE.sub("", written)).translate(_D)
    said = {
        "name": "".join(filter(str.isalnum, letters)),
        "sex": sex if sex in _SEXES else "",
        "year": born[:4],
        "born": "" if born[4:8] in _ANY_DAY or born[6:8] == "00" else born[:8],
    }
    return {kind: keyring.hash("trait", kind, value)[:_ENOUGH] for kind, value in said.items() if value}


def who(said: Mapping[str, Any]) -> Who:
    """The person of a fact, given by its data. One of a release that kept no traits says nothing of them."""
    return Who(said["persons"], said.get("traits", {}))


def contradict(one: PersonRefs, other: PersonRefs) -> bool:
    """Whether both have an identifier of one kind, and none of those in common agrees."""
    shared = one.keys() & other.keys()
    return bool(shared) and not any(one[kind] == other[kind] for kind in shared)


def may_be_two(one: Who, other: Who) -> bool:
    """Whether they contradict, or none of their numbers of national issue agrees, though a patient number does; or they share
    a number by mistake.

    A patient number that agrees may be the word which some system writes where there is none. It is asked before what is known of a
    person goes to somebody whom nobody named: kept back is better than given to the wrong one.
    """

    def national(refs: PersonRefs) -> PersonRefs:
        return {kind: ref for kind, ref in refs.items() if kind in _NATIONAL}

    contradicted = contradict(one.refs, other.refs) or contradict(national(one.refs), national(other.refs))
    return contradicted or share_by_mistake(one, other)


def share_by_mistake(one: Who, other: Who) -> bool:
    """Whether two persons have a number of national issue in common, as when a card is lent, or another's is typed.

    Where one facility has two patient numbers for them, name and birth date have to agree, as of somebody registered twice;
    else two of name, birth date, sex and citizen number have to differ, as one alone may be a slip of the pen.
    """
    same = {kind: one.refs[kind] == other.refs[kind] for kind in one.refs.keys() & other.refs.keys()}
    if not any(agrees for kind, agrees in same.items() if kind in _NATIONAL):
        return False
    born = "born" if "born" in one.traits and "born" in other.traits else "year"
    name, birth, sex = (_agrees(one.traits, other.traits, kind) for kind in ("name", born, "sex"))
    own = [agrees for kind, agrees in same.items() if kind not in _NATIONAL]
    if own and not any(own):
        return not (name and birth)
    return (name, birth, sex, same.get("SDDCN")).count(False) > 1


def _agrees(one: Mapping[str, str], other: Mapping[str, str], kind: str) -> bool | None:
    """None where one of them does not say it."""
    return one[kind] == other[kind] if kind in one and kind in other else None


def lab_refs(
    keyring: Keyring, person: Iterable[str], *, test: bool, performers: Iterable[str], placer: str, filler: str, open_order: bool
) -> list[str]:
    """By what an order and its result find each other.

    performers: the codes of the laboratory: number and laboratory together mean one order.
    open_order: look, too, for an order that named no laboratory: there the placer's number must go with the person.
    """
    realm = "test" if test else "real"
    refs = []
    for performer in performers:
        if placer:
            refs.append(keyring.hash("placer", realm, performer, placer))
        if filler:
            refs.append(keyring.hash("filler", realm, performer, filler))
    if open_order and placer:
        refs += [keyring.hash("placer-of", placer, ref) for ref in person]
    return refs
