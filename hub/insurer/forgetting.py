"""Claims of the ledger that are to be forgotten: who, what for and by whom goes; what was claimed, decided and paid stays.

Of a row of each table the place, ids, codes of facility and payer, revision and amounts are left, and what statements are made up of: the
form, the place of registration, the number of days, the group of a line's costs, the month. So totals, statements and what a closed month was settled
at are as before. Such a claim has the action `FORGOTTEN`, and nothing is found across it and others any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from hub.contract.errors import HubError
from hub.contract.events import VIETNAM
from hub.insurer.compaction import replacing
from hub.insurer.ledger import INDEXED, PLACE, files_of, scan, schema_of, writer_of
from hub.insurer.promoted import FOLDER, KEPT
from hub.insurer.settlement import FORGOTTEN

_WAIT_S: Final = 60.0
_TRIES: Final = 5
_OF_ALL: Final = (
    *PLACE,
    "event_id",
    "facility",
    "key",
    "message_id",
    "test",
    "supersedes",
    "version",
    "stated_at",
    "received_at",
)
_STAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "claims": (
        *_OF_ALL, "causes", "source_sender", "source_dialect", "action", "ma_cskcb", "payer",
        "ma_loai_kcb", "ma_dkbd", "so_ngay_dtri", "ngaylap", "ngay_ra",
    ),
    "lines": (*PLACE, "event_id", "table", "stt", "ma_nhom"),
    "decisions": (*_OF_ALL, "decision_id", "source_sender", "source_dialect", "verdict", "ma_cskcb", "payer"),
}  # fmt: skip
"""Columns that stay beside the amounts. Findings stay whole: they hold rules, names of elements and amounts."""
_FIRST_DAY: Final = "case when length({0}) >= 8 then left({0}, 6) || '01' else {1} end"


@dataclass(frozen=True, slots=True)
class Held:
    """What a ledger holds of some keys.  rows: by table, those that are not forgotten yet; days (Asia/Ho_Chi_Minh) of receipt."""

    events: tuple[str, ...]
    rows: Mapping[str, int]
    days: frozenset[date]


def held(ledger: Path, keys: Sequence[str]) -> Held:
    """What the ledger in a folder, and its branches, hold of some Kafka keys."""
    of_keys = pl.col("key").is_in(list(keys))
    claims = scan(files_of(ledger, "claims"), schema_of("claims")).filter(of_keys)
    found = claims.select("event_id", "received_at", open=_told("claims")).collect()
    events = found.get_column("event_id").unique().to_list()
    rows = {"claims": int(found.get_column("open").sum())}
    rows["lines"] = _count(ledger, "lines", pl.col("event_id").is_in(events))
    rows["decisions"] = sum(_count(home, "decisions", of_keys) for home in _homes(ledger))
    days = frozenset(at.astimezone(VIETNAM).date() for at in found.get_column("received_at").unique())
    return Held(tuple(events), rows, days)


def keys_of_patient(ledger: Path, facility: str, number: str) -> set[str]:
    """The Kafka keys of the claims of a facility that have a number as MA_BN."""
    of_patient = (pl.col("facility") == facility) & (pl.col("ma_bn") == number)
    keys = scan(files_of(ledger, "claims"), schema_of("claims")).filter(of_patient).select("key").unique().collect()
    return set(keys.get_column("key"))


def erase(ledger: Path, keys: Sequence[str]) -> None:
    """Rewrite what holds any of it, and delete the files of before. Done again, it does what is left.

    Raises: HubError(LEDGER_CONFLICT) when other processes write and replace all the time; OSError, deltalake's DeltaError.
    """
    with replacing(ledger, _WAIT_S):
        events = held(ledger, keys).events
        by_key, by_event = _among("key", keys), _among("event_id", events)
        for home, name in ((ledger, "lines"), *((home, "decisions") for home in _homes(ledger)), (ledger, "claims")):
            if files_of(home, name):
                _erase(home / name, by_event if name == "lines" else by_key)


def erase_missed(ledger: Path, branch: Path, events: pl.Series) -> None:
    """For whoever has just written the tables of a branch: erase in them what was erased of its events (ids) meanwhile.

    Raises: as `erase`.
    """
    gone = (pl.col("action") == FORGOTTEN) & pl.col("event_id").is_in(events.implode())
    with replacing(ledger, _WAIT_S):  # who erases marks the claims last, and who does so from here on sees the whole branch
        found = scan(files_of(ledger, "claims"), schema_of("claims")).filter(gone).select("event_id").collect()
        if found.height:
            _erase(branch / "decisions", _among("event_id", found.get_column("event_id").to_list()))


def _homes(ledger: Path) -> list[Path]:
    """The ledger, and branches, promoted ones too."""
    return [ledger, *(home for folder in (FOLDER, KEPT) for home in sorted((ledger / folder).glob("*")) if home.is_dir())]


def _count(home: Path, name: str, wanted: pl.Expr) -> int:
    rows = scan(files_of(home, name), schema_of(name)).filter(wanted, _told(name))
    return int(rows.select(pl.len()).collect().item())


def _gone(name: str) -> list[str]:
    """Text and numbers that go; amounts are decimals."""
    schema = schema_of(name)
    return [column for column, dtype in schema.items() if column not in _STAYS[name] and not isinstance(dtype, pl.Decimal)]


def _told(name: str) -> pl.Expr:
    """Whether a row says anything that is to go."""
    schema = schema_of(name)
    says = [
        pl.col(column).fill_null("") != "" if schema[column] == pl.String() else pl.col(column).is_not_null()
        for column in _gone(name)
    ]
    return pl.any_horizontal(says)


def _erase(path: Path, predicate: str) -> None:
    _rewrite(path, predicate)
    table = DeltaTable(str(path))
    # Files of no version are left alone: a batch that is being written is such a file until its commit.
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    if table.metadata().configuration != INDEXED:
        _shorten_log(table)


def _rewrite(path: Path, predicate: str) -> None:
    """Appends go on beside it, and may come first: then it is done again, on what they left."""
    name, schema = path.name, schema_of(path.name)
    updates = {column: "''" if schema[column] == pl.String() else "null" for column in _gone(name)}
    if name == "claims":
        # A time of leaving that is too short says no month, while NGAYLAP says one by its first six digits, however short it is.
        updates |= {"ngay_ra": _FIRST_DAY.format("ngay_ra", "''"), "ngaylap": _FIRST_DAY.format("ngaylap", "left(ngaylap, 6)")}
        updates["action"] = f"case when action = 'CANCELLED' then action else '{FORGOTTEN}' end"
    for tries_left in reversed(range(_TRIES)):
        table = DeltaTable(str(path))
        known = {field.name for field in table.schema().fields}
        try:
            table.update(
                {name: value for name, value in updates.items() if name in known},
                predicate=predicate,
                writer_properties=writer_of(name),
            )
            return
        except CommitFailedError:
            if not tries_left:
                raise HubError("LEDGER_CONFLICT", name) from None


def _shorten_log(table: DeltaTable) -> None:
    """An older release made branches whose log says the least and greatest of all columns, MA_LK too."""
    table.alter.set_table_properties(INDEXED | {"delta.logRetentionDuration": "interval 0 seconds"})
    table.create_checkpoint()
    table.cleanup_metadata()


def _among(column: str, values: Sequence[str]) -> str:
    """values: keys and ids, which hold no quote."""
    return f"{column} in ({', '.join(repr(str(value)) for value in values)})" if values else "false"
