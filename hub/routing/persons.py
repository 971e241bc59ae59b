"""By what a person is looked up: keyed hashes of identifiers that mean the same person wherever they stand."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hub.contract.events import Keyring

# Identifiers of national issue; a patient number means something only together with the facility that gave it.
_NATIONAL: Final = frozenset({"SDDCN", "CMND9", "PASSPORT", "BHXH_NUMBER", "BIRTH_CERTIFICATE_NO", "FOREIGNER_EID"})
_PER_ISSUER: Final = frozenset({"MRN"})

PersonRefs = Mapping[str, str]


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


def contradict(one: PersonRefs, other: PersonRefs) -> bool:
    """Whether both have an identifier of one kind, and none of those in common agrees."""
    shared = one.keys() & other.keys()
    return bool(shared) and not any(one[kind] == other[kind] for kind in shared)


def may_be_two(one: PersonRefs, other: PersonRefs) -> bool:
    """Whether they contradict, or none of their numbers of national issue agrees, though a patient number does.

    That may be the word which some system writes where there is no number. It is asked before what is known of a person goes to
    somebody whom nobody named: kept back is better than given to the wrong one.
    """

    def national(refs: PersonRefs) -> PersonRefs:
        return {kind: ref for kind, ref in refs.items() if kind in _NATIONAL}

    return contradict(one, other) or contradict(national(one), national(other))


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
