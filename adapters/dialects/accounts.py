"""PID-18, the account of the patient: the number of a visit (MA_LK), unless a citizen number stands there, which must be no key.

Of other numbers of twelve digits with a leading zero about one in six has the form of a citizen's too (63 provinces of 100, one
century and year in four), and far more of those that begin with the code of the facility (01021 26 11 001) or a day (01 12 26 …,
01 12 2026 …).
"""

import re
from datetime import date
from typing import Final

from adapters.dialects.transforms import citizen_number, normalise
from adapters.formats.hl7v2 import Message, Segment
from hub.contract.directory import facilities

ACCOUNT: Final = 18  # of PID
_BORN: Final = re.compile(r"(?:19|20)\d\d")  # the year of a birthday, in whatever form
_SENT: Final = re.compile(r"20\d\d")  # likewise of MSH-7
LAST_YEAR: Final = 2399  # that a citizen number can tell
_VISITS_SINCE: Final = 10  # years that a message may come behind its visit


def is_a_citizens(pid: Segment, message: Message, facility: str) -> bool:
    """Whether the account is a citizen number, by its form (`citizen_number`), however it is separated.

    What begins with the code of the facility or a day is one only if its year is that of the birthday. All others are taken for
    citizens' whatever the birthday says, since it may have been corrected, and a key that is lost is told, one that tells a
    citizen is not.

    facility: whose message it is; "" where that is not known, and any facility may be the one.
    """
    value = normalise(pid.get(ACCOUNT))
    born = _BORN.search(pid.get(7))
    if born is not None and citizen_number(value, _year(message)) == int(born[0]):
        return True
    return has_form_of_citizens(value, message, facility)


def has_form_of_citizens(value: str, message: Message, facility: str) -> bool:
    """Whether a number is a citizen's by its form alone: it does not begin with the code of the facility or a day either.

    value: as it is compared. facility: as for `is_a_citizens`.
    """
    this_year = _year(message)
    if not citizen_number(value, this_year):
        return False
    named = value[:5] == facility if facility else value[:5] in facilities()
    return not named and not _begins_with_a_day(value, this_year)


def _year(message: Message) -> int:
    """In which the message was sent."""
    sent = _SENT.search(message.header.get(7))
    return int(sent[0]) if sent else LAST_YEAR


def _begins_with_a_day(value: str, this_year: int) -> bool:
    """ddmmyyyy or ddmmyy, of the last years."""
    last = range(this_year - _VISITS_SINCE, this_year + 1)
    return any(
        year in last and _is_day(year, value[2:4], value[:2])
        for year in (int(value[4:8]), this_year // 100 * 100 + int(value[4:6]))
    )


def _is_day(year: int, month: str, day: str) -> bool:
    try:
        date(year, int(month), int(day))
    except ValueError:
        return False
    return True
