"""The ledger as DuckDB views: what is in force, what was decided, and what was cut of whose money.

| view | a row is |
|---|---|
| `claims`, `lines`, `findings`, `decisions` | as in the Delta tables; columns that older files do not know are null |
| `dated`, `stated` | a claim event, with `day` (yyyymmdd), `month` (YYYY-MM); `stated` with `verdict`, `t_bhtt_gd` of its first decision too |
| `claims_in_force` | a dated one, of the newest revision of each key that is not cancelled, with the decision by which it stands, and `payable` VND after `adjusted` |
| `decisions_in_force`, `findings_in_force` | a decision, a finding by which they stand: of the branch that was promoted last (`promoted.py`), else the first |
| `lines_in_force` | a line of them, with `reduction`, VND that cuts took of its fund's share |
| `reductions` | a rule that took money of a claim: `amount` VND, and its texts |
| `adjusted` | a rule that took money of a claim in force after its decision: `amount` VND, below zero in the patient's favour |
| `adjustments` | what was found after the decisions, by `period`, deducted from those in force where `severity` is C; R01 is I where they have it already |
| `codes` | a code of the standard: `list`, `code`, `meaning_en`, `meaning_vi` |

The day of a claim is NGAY_RA, else NGAYLAP, as rules and catalogues have it. Of a rejected claim all that it claimed is lost by
the first finding that rejects it; of a reduced one, each cut by its rule. So `reductions` add up to claimed less granted,
and with `adjusted` to claimed less what is to be paid.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from hub.contract.places import shipped
from hub.insurer.history import TABLE as ADJUSTED
from hub.insurer.history import adjustments
from hub.insurer.ledger import TABLES, files_of, schema_of
from hub.insurer.promoted import AGAIN, again, layers
from hub.insurer.settlement import LATE, TOLD

PLACE: Final = "kafka_topic_id, kafka_partition, kafka_offset"
"""What joins the tables: the event id would join a late repeat of an event with the rows of both."""

_IN_FORCE: Final = f"""
create temp table in_force as select {PLACE} from (
    select {PLACE}, action from claims
    qualify row_number() over (partition by key order by version desc, stated_at desc, received_at desc, kafka_offset) = 1
) where action <> 'CANCELLED'
"""  # a table, as most questions need it several times
_AGAIN: Final = f"""
create temp table again as select event_id, layer, verdict, t_bhtt_gd from "decided again"
semi join (select event_id from claims semi join in_force using ({PLACE})) using (event_id)
"""

_VIEWS: Final = {
    "adjustments": f"""
        select * replace (if(rule = '{LATE}' or (rule = '{AGAIN}' and event_id in (select event_id from again)), '{TOLD}', severity) as severity)
        from afterwards""",  # older ledgers have S01 as C
    "adjusted": f"""
        select {PLACE}, event_id, rule, severity, sum(reduction) as amount, any_value(text_en) filter (reverses is null or reverses = '') as text_en,
            any_value(text_vi) filter (reverses is null or reverses = '') as text_vi
        from adjustments join (select {PLACE}, event_id from claims semi join in_force using ({PLACE})) using (event_id)
        where severity = 'C' group by {PLACE}, event_id, rule, severity having amount <> 0""",
    "dated": """
        select *, left(day, 4) || '-' || substr(day, 5, 2) as month
        from (select *, if(length(left(ngay_ra, 8)) = 8, left(ngay_ra, 8), ngaylap) as day from claims)""",
    "stated": f"select * from dated join (select {PLACE}, verdict, t_bhtt_gd from decisions) using ({PLACE})",
    "decisions_in_force": f"""
        select decisions.* replace (coalesce(again.verdict, decisions.verdict) as verdict, coalesce(again.t_bhtt_gd, decisions.t_bhtt_gd) as t_bhtt_gd)
        from decisions semi join in_force using ({PLACE}) left join again on again.event_id = decisions.event_id""",
    "claims_in_force": f"""
        select dated.*, verdict, t_bhtt_gd, t_bhtt_gd - coalesce(taken.amount, 0) as payable
        from dated join (select {PLACE}, verdict, t_bhtt_gd from decisions_in_force) using ({PLACE})
        left join (select {PLACE}, sum(amount) as amount from adjusted group by {PLACE}) as taken using ({PLACE})""",
    "findings_in_force": f"""
        select * from findings semi join in_force using ({PLACE}) anti join again using (event_id)
        union all by name select * exclude (layer) from "found again" semi join again using (event_id, layer) semi join in_force using ({PLACE})""",
    "cuts": f"""
        select * from findings_in_force
        semi join (from decisions_in_force where verdict = 'REDUCED') using ({PLACE}) where reduction > 0""",
    "lines_in_force": f"""
        select lines.*, coalesce(cut.reduction, 0) as reduction from lines semi join in_force using ({PLACE})
        left join (select {PLACE}, "table", stt, sum(reduction) as reduction from cuts group by all) as cut
        using ({PLACE}, "table", stt)""",
    "reductions": f"""
        select {PLACE}, event_id, rule, severity, sum(reduction) as amount, any_value(text_en) as text_en, any_value(text_vi) as text_vi
        from cuts group by {PLACE}, event_id, rule, severity
        union all
        select {PLACE}, event_id, arg_min(rule, number), 'E', any_value(coalesce(t_bhtt, 0)), arg_min(text_en, number), arg_min(text_vi, number)
        from findings_in_force join (select {PLACE}, t_bhtt from decisions_in_force where verdict = 'REJECTED') using ({PLACE})
        where severity = 'E' group by {PLACE}, event_id""",
}  # fmt: skip

_ADJUSTMENTS: Final = {
    **dict.fromkeys(("adjustment_id", "period", "facility", "event_id", "key", "rule", "severity"), pl.String()),
    **dict.fromkeys(("reverses", "text_vi", "text_en"), pl.String()),
    "reduction": pl.Decimal(18, 2),
    "closed_at": pl.Datetime("us", "UTC"),
}
"""What questions read of the table; it has more."""

_TYPES: Final = {
    pl.String: "varchar", pl.Boolean: "boolean", pl.Int32: "integer", pl.UInt32: "integer", pl.Int64: "bigint",
    pl.Datetime: "timestamptz",
}  # fmt: skip


@contextmanager
def opened(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that has the views over the ledger in a folder; they are empty where there is none yet.

    It sees the ledger as it stood when it was opened. Raises: duckdb.Error, deltalake's DeltaError.
    """
    with duckdb.connect() as database:
        for name in TABLES:
            _table(database, name, schema_of(name), files_of(folder, name))
        _table(database, "afterwards", _ADJUSTMENTS, files_of(folder, ADJUSTED))
        codes = str(shipped("seeds/standards/codes.csv"))
        database.read_csv(codes, header=True, all_varchar=True).create_view("codes")
        database.execute(_IN_FORCE)
        _promoted(database, folder)
        for name, query in _VIEWS.items():
            database.execute(f"create view {name} as {query}")
        yield database


def _promoted(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Which claims in force stand by a promoted branch, and the findings of all of these."""
    columns = ("event_id", "layer", "verdict", "t_bhtt_gd")
    decided = again(folder, adjustments(files_of(folder, ADJUSTED))).select(columns)
    database.register("decided again", decided.collect(engine="streaming"))
    database.execute(_AGAIN)
    of_layers = ["select *, null::integer as layer from findings where false"]
    for layer, home in layers(folder).items():
        _table(database, f"findings of {layer}", schema_of("findings"), files_of(home, "findings"))
        of_layers.append(f'select *, {layer} as layer from "findings of {layer}"')
    database.execute(f'create view "found again" as {" union all by name ".join(of_layers)}')


def _table(database: duckdb.DuckDBPyConnection, name: str, schema: Mapping[str, pl.DataType], files: list[str]) -> None:
    """A table of the ledger with all columns of this release, whatever release wrote its files."""
    columns = ", ".join(f'null::{_type(dtype)} as "{column}"' for column, dtype in schema.items())
    known = database.sql(f"select {columns} where false")
    if files:
        written = database.read_parquet(files, union_by_name=True)
        database.register(f"{name} known", known)
        database.register(f"{name} written", written)
        known = database.sql(f'from "{name} known" union all by name from "{name} written"')
    database.register(name, known)


def _type(dtype: pl.DataType) -> str:
    return f"decimal({dtype.precision}, {dtype.scale})" if isinstance(dtype, pl.Decimal) else _TYPES[type(dtype)]
