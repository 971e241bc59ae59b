"""What the ledger adds up to, by SQL over its files."""

from decimal import Decimal
from typing import Any, Final

import duckdb

from hub.contract.settings import Settings
from hub.insurer.ledger import TABLES, files_of

_IN_FORCE: Final = """
    with newest as (
        select *, row_number() over (
            partition by key order by version desc, stated_at desc, received_at desc, kafka_offset
        ) as place from claims
    ), in_force as (select event_id, t_tongchi_bv, t_tongchi_bh, t_bhtt from newest where place = 1 and action <> 'CANCELLED')
"""
_TOTALS: Final = f"""{_IN_FORCE}
    select count(*) as claims,
           (select count(*) from lines semi join in_force using (event_id)) as lines,
           (select count(*) from findings semi join in_force using (event_id)) as findings,
           (select count(*) from decisions semi join in_force using (event_id) where verdict = 'ACCEPTED') as accepted,
           (select count(*) from decisions semi join in_force using (event_id) where verdict = 'REJECTED') as rejected,
           coalesce(sum(t_tongchi_bv), 0) as t_tongchi_bv,
           coalesce(sum(t_tongchi_bh), 0) as t_tongchi_bh,
           coalesce(sum(t_bhtt), 0) as t_bhtt,
           (select coalesce(sum(t_bhtt_gd), 0) from decisions semi join in_force using (event_id)) as t_bhtt_gd
    from in_force
"""  # noqa: S608  # no value comes from outside


def totals(settings: Settings) -> dict[str, Any]:
    """Counts and VND over the newest revision of each claim that is not cancelled.

    Returns: claims, lines, findings, accepted, rejected (counts); t_tongchi_bv, t_tongchi_bh, t_bhtt (claimed),
             t_bhtt_gd (granted), all Decimal. Zeros where there is no ledger yet.
    """
    files = {name: files_of(settings.ledger, name) for name in TABLES}
    if not files["claims"]:
        counts = ("claims", "lines", "findings", "accepted", "rejected")
        return dict.fromkeys(counts, 0) | dict.fromkeys(("t_tongchi_bv", "t_tongchi_bh", "t_bhtt", "t_bhtt_gd"), Decimal(0))
    with duckdb.connect() as database:
        for name, paths in files.items():
            view(database, name, paths)
        cursor = database.execute(_TOTALS)
        return dict(zip((column[0] for column in cursor.description or ()), cursor.fetchone() or (), strict=True))


def view(database: duckdb.DuckDBPyConnection, name: str, files: list[str]) -> None:
    """A table of the ledger as a view; an empty one with the columns that questions use when it has no files."""
    if files:
        database.register(name, database.read_parquet(files))
    else:
        database.execute(f"create view {name} as select '' event_id, '' verdict, 0::decimal(18, 2) t_bhtt_gd where false")
