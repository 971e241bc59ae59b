"""Reads the dated catalogues of HIE_CATALOGUE_DIR: what each facility may bill, by whom, and the list of diagnoses.

Each is a CSV file of the folder, all of them optional; days are yyyy-mm-dd, an empty `valid_to` is open. A change of a price
closes a row and opens a new one. They are read once, at the start, and kept sorted by facility, so that a batch of claims
is joined with the rows of its own facilities only.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from hub.contract.errors import HubError

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "drugs": ("facility", "code", "name", "price", "registration", "tender", "valid_from", "valid_to"),
    "services": ("facility", "code", "name", "price", "departments", "machines", "valid_from", "valid_to"),
    "supplies": ("facility", "code", "name", "price", "tender", "valid_from", "valid_to"),
    "staff": ("facility", "licence", "valid_from", "valid_to"),
    "icd": ("code", "not_main", "never", "death_only", "female", "male", "valid_from", "valid_to"),
}
"""Catalogue (`<name>.csv`) to the columns that it must have; others are left unread."""

RULES_OF: Final = {
    "drugs": "C10–C13",
    "services": "C20–C24",
    "supplies": "C30–C32",
    "staff": "C40",
    "icd": "C50–C52",
}
"""Catalogue to the rules that cannot be checked without it. C01 needs none, but is checked beside others only."""

NAMES: Final = {
    "drugs": ("thuốc", "drugs"),
    "services": ("dịch vụ", "services"),
    "supplies": ("vật tư", "supplies"),
    "staff": ("người hành nghề", "staff"),
    "icd": ("mã bệnh ICD", "ICD codes"),
}
"""Catalogue to what it lists, in Vietnamese and in English."""

_THOUSANDTHS: Final = 1000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Rows sorted by facility (or the one list of all), with days as yyyymmdd and prices as thousandths of a đồng (Int128).

    places: facility to the first row and the number of rows.
    """

    rows: pl.DataFrame
    places: Mapping[str, tuple[int, int]]

    def of(self, facilities: Collection[str]) -> pl.DataFrame:
        """The rows of these facilities; those without a row have no catalogue."""
        found = [self.rows.slice(*self.places[code]) for code in sorted(facilities) if code in self.places]
        return pl.concat(found) if found else self.rows.clear()


Catalogues = Mapping[str, Catalogue]
"""By the names of COLUMNS; of what is missing nothing is checked."""


def read_catalogues(folder: Path) -> Catalogues:
    """Every catalogue that the folder holds.

    Raises: HubError(SETTING_WRONG) that names file and column, never a cell.
    """
    return {name: _read(folder / f"{name}.csv", COLUMNS[name]) for name in kinds_in(folder)}


def kinds_in(folder: Path | None) -> list[str]:
    """The names of the catalogues that a folder has; none without a folder."""
    return [name for name in COLUMNS if folder is not None and (folder / f"{name}.csv").exists()]


def unchecked(kinds: Collection[str]) -> tuple[str, str] | None:
    """What stays unchecked with no more than these catalogues: one sentence in Vietnamese and English, None if nothing does."""
    missing = [name for name in COLUMNS if name not in kinds]
    if not missing:
        return None
    rules = ", ".join(RULES_OF[name] for name in missing)
    if not kinds:
        return (
            f"Không có danh mục nào (HIE_CATALOGUE_DIR): các quy tắc C01, {rules} không được kiểm tra.",
            f"There are no catalogues (HIE_CATALOGUE_DIR): rules C01, {rules} are not checked.",
        )
    files = ", ".join(f"{name}.csv" for name in missing)
    return (
        f"HIE_CATALOGUE_DIR thiếu {files}: các quy tắc {rules} không được kiểm tra.",
        f"HIE_CATALOGUE_DIR lacks {files}: rules {rules} are not checked.",
    )


def _read(path: Path, columns: tuple[str, ...]) -> Catalogue:
    try:
        read = pl.read_csv(path, columns=list(columns), infer_schema=False).fill_null("")
    except (pl.exceptions.PolarsError, OSError):
        raise HubError("SETTING_WRONG", f"{path.name}: not a CSV in UTF-8 with the columns {', '.join(columns)}") from None
    days = [
        pl.col(name).str.replace_all("-", "", literal=True).replace("", without).alias(name)
        for name, without in (("valid_from", "00000000"), ("valid_to", "99999999"))
    ]
    rows = read.with_columns(days)
    wrong = [name for name in ("valid_from", "valid_to") if not rows.get_column(name).str.contains(r"^\d{8}$").all()]
    if "price" in columns:
        price = pl.col("price").cast(pl.Decimal(18, 3), strict=False)
        rows = rows.with_columns((price * _THOUSANDTHS).cast(pl.Int128).alias("price"))
        wrong += ["price"] if rows.get_column("price").null_count() else []
    if wrong:
        raise HubError("SETTING_WRONG", f"{path.name}: {wrong[0]} is not what it must be in some row")
    if "facility" not in columns:
        return Catalogue(rows, {})
    rows = rows.sort("facility", maintain_order=True)
    counted = rows.with_row_index("first").group_by("facility", maintain_order=True).agg(pl.col("first").first(), pl.len())
    return Catalogue(rows, {code: (first, many) for code, first, many in counted.iter_rows()})
