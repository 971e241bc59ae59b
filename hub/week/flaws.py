"""What keeps a slip from the citizen's app, and the slip that nothing is wrong with. Source: adjudication.md §6 and §7.

Six in ten have a flaw at first, as of the nation's slips four in ten arrived (load.md §1).
"""

import random
from dataclasses import replace
from typing import Final

from hub.week.places import Place
from hub.week.writing import Person, card_of, noted, patient

SHARES: Final = {"": 40, "unsigned": 25, "a field is missing": 20, "another birth date": 15}
REASONS: Final = {"unsigned": "SLIP_UNSIGNED", "a field is missing": "FIELD_MISSING", "another birth date": "IDENTITY_MISMATCH"}
CORRECTED: Final = 0.85
"""Of those with a flaw, how many their facility corrects when the work list shows them; the others stay there."""


def drawn(chance: random.Random) -> str:
    """A flaw, or none."""
    [flaw] = chance.choices(list(SHARES), list(SHARES.values()))
    return flaw


def about_the_person(place: Place, person: Person, visit: str, flaw: str) -> tuple[str, str]:
    """PID and IN1 of a slip; the clerk may have mistyped the year."""
    if flaw == "another birth date":
        mistyped = replace(person, born=person.born.replace(year=person.born.year - 1, day=min(28, person.born.day)))
        pid = patient(place, mistyped, visit, citizen=person.citizen)
    else:
        pid = patient(place, person, visit)
    return pid, card_of(person)


def signed(flaw: str, first: int) -> tuple[str, ...]:
    """OBX of who signs for the facility, and its signature.  first: number of the first of them."""
    found = []
    if flaw != "a field is missing":
        found.append(noted(first, "VN-TTDV", "0101234567"))
    if flaw != "unsigned":
        found.append(noted(first + 1, "VN-CKDV", "MIIB0123456789ABCDEF"))
    return tuple(found)
