"""Small weeks for tests."""

from datetime import date

from adapters.dialects.render import as_xml
from adapters.formats.charset import encode
from hub.week.plan import Rates, plan
from hub.week.sends import Week

MONDAY = date(2026, 11, 16)


def week(seed: int = 3, scale: float = 0.00001, **rates: float) -> Week:
    return plan(seed, scale, MONDAY, encode, lambda claim: as_xml("hie.Claim", claim), rates=Rates(**rates))
