"""What the ledger adds up to, by SQL over its views."""

from pathlib import Path
from typing import Any, Final

import duckdb

from hub.insurer.views import opened

_TOTALS: Final = """
    select count(*) as claims,
           (select count(*) from lines_in_force) as lines,
           (select count(*) from findings_in_force) as findings,
           count(*) filter (verdict = 'ACCEPTED') as accepted,
           count(*) filter (verdict = 'REDUCED') as reduced,
           count(*) filter (verdict = 'REJECTED') as rejected,
           coalesce(sum(t_tongchi_bv), 0) as t_tongchi_bv,
           coalesce(sum(t_tongchi_bh), 0) as t_tongchi_bh,
           coalesce(sum(t_bhtt), 0) as t_bhtt,
           coalesce(sum(t_bhtt_gd), 0) as t_bhtt_gd,
           (select coalesce(sum(amount), 0) from adjusted) as adjusted
    from claims_in_force
"""


def totals(folder: Path) -> dict[str, Any]:
    """What the ledger in a folder adds up to: counts and VND over the newest revision of each claim that is not cancelled.

    Returns: claims, lines, findings, accepted, reduced, rejected (counts); t_tongchi_bv, t_tongchi_bh, t_bhtt (claimed),
             t_bhtt_gd (granted), adjusted (taken off after the decisions; below zero: paid besides; severity C
             alone), payable (granted less adjusted), all Decimal. Zeros where there is no ledger yet.
    """
    with opened(folder) as database:
        return totals_of(database)


def totals_of(database: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The same of a ledger that is open."""
    cursor = database.execute(_TOTALS)
    names = [column[0] for column in cursor.description or ()]
    found = dict(zip(names, cursor.fetchall()[0], strict=True))
    return found | {"payable": found["t_bhtt_gd"] - found["adjusted"]}
