"""The twelve facilities of the week: what system each has, how much of the nation's traffic it makes, and when."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

VISITS_A_WEEK: Final = 187_000_000 / 52.14
"""Insured visits of the nation in one week; one claim each. Source: seeds/standards/load.md §1."""
INPATIENT: Final = 17 / 187
DAYS: Final = (20.0, 17.5, 17.0, 16.5, 16.0, 9.0, 4.0)
"""Percent of a week's visits, Monday first. Source: load.md §2."""
HOURS: Final = (*[2 / 7] * 7, 5, 9, 12, 13, 11, 6, 6, 9, 10, 9, 5, *[3 / 6] * 6)
"""Percent of a day's visits, by the hour in Viet Nam. Source: load.md §2."""


@dataclass(frozen=True, slots=True)
class Place:
    """One facility and how its system writes.

    share:      of all visits, in percent; laboratories have none.
    refers_to:  codes that its slips name, the usual ones first.
    numbers:    how PID says what a number is: typed, untyped, words (of its own) or second (typed, in PID-2).
    delimiters: of MSH-1 and MSH-2.
    laboratory: who does what it cannot; "" for one that sends no sample away.
    only:       kinds of messages that it sends; empty: all.
    silence:    it wants no answer to what is refused (`[ack] refused = "none"` of its dialect), and goes on.
    """

    code: str
    share: float
    application: str
    name: str
    version: str = "2.5.1"
    charset: str = "utf-8"
    end: str = "\r"
    delimiters: str = "|^~\\&"
    door: str = "mllp"
    numbers: str = "typed"
    prefix: str = ""
    sex: tuple[str, str] = ("M", "F")
    classes: Mapping[str, str] = field(default_factory=dict)
    day_first: bool = False
    refers_to: tuple[str, ...] = ()
    laboratory: str = ""
    only: frozenset[str] = frozenset()
    silence: bool = False


PLACES: Final = (
    Place("01004", 28, "SONGHONG_HIS", "CS1", numbers="untyped", prefix="CS1-", refers_to=("01920",)),
    Place("01920", 16, "THACHANH", "TA.BV", "2.7", delimiters="$*!@%", refers_to=("01004",)),
    Place("01021", 14, "HIS", "01021", refers_to=("01004", "01920"), laboratory="01940"),
    Place("01912", 11, "TAMDAO_HIS", "CS1", "2.4", numbers="untyped", prefix="CS1.", refers_to=("01004",), laboratory="01921"),
    Place("01914", 9, "TRUCXANH", "BVTX", "2.4", "windows-1258", "\r\n", numbers="words", sex=("NAM", "NU"), refers_to=("01004", "01920"), laboratory="01940"),
    Place("01915", 8, "MOCMIEN", "MM^01915", "2.5", door="http", sex=("Nam", "Nữ"), classes={"O": "NGT", "I": "NT"}, day_first=True, refers_to=("01920", "01004")),
    Place("01924", 6, "CODO", "BVH", "2.3", "vps", "\r\n", numbers="second", sex=("1", "2"), refers_to=("01004",), laboratory="01921", silence=True),
    Place("01923", 3, "HENXUAN", "PKDK", "2.5", refers_to=("01021", "01004"), laboratory="01921"),
    Place("01731", 3, "HIS", "01731", refers_to=("01021", "01912"), laboratory="01940"),
    Place("01919", 2, "LUCBINH", "TYT", "2.4", numbers="untyped", refers_to=("01021", "01914"), only=frozenset({"ADT", "REF"})),
    Place("01940", 0, "ADLIS", "01940", "2.3.1", "tcvn3", "\n"),
    Place("01921", 0, "NGUYETCAT", "NC-DONG"),
)  # fmt: skip
"""Levels initial, basic and specialised, a clinic, two laboratories; the systems are those of `adapters/dialects/vendors/`."""

BY_CODE: Final = {place.code: place for place in PLACES}
PUSHED: Final = ("01940", "01921")
"""They listen themselves: the hub pushes to them. All others pull."""
MERGED, SUCCESSOR, CLOSED, UNKNOWN = "01801", "01021", "01802", "01899"
"""Codes that slips still name: of a facility that was merged into another, of one that closed for good, and of none."""
GONE: Final = (
    {"code": MERGED, "name": "Bệnh viện huyện Hạ Lũng (cũ)", "name_en": "Ha Lung District Hospital (merged)", "kind": "hospital", "successor": SUCCESSOR},
    {"code": CLOSED, "name": "Phòng khám Tư nhân Thu Hà", "name_en": "Thu Ha Private Clinic (closed)", "kind": "clinic", "successor": ""},
)  # fmt: skip
"""Rows that the directory of the week has besides those of the seeds; closed with June 2025."""


def moment(chance: random.Random, monday: datetime, days: int) -> datetime:
    """When somebody comes, by the rhythm of week and day.  monday: its midnight, aware, in Viet Nam."""
    [day] = chance.choices(range(days), [DAYS[day % 7] for day in range(days)])
    [hour] = chance.choices(range(24), HOURS)
    return monday + timedelta(days=day, hours=hour, seconds=chance.randrange(3600))
