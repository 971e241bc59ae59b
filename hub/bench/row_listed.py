"""What the catalogues take off a line, a second time: CSV, `decimal` and plain Python.

Written from adjudication.md §4.4 and the words of the rules C10 to C31; shares no code with `hub.insurer`.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

Row = Mapping[str, Any]
Listed = Mapping[str, Mapping[str, Mapping[str, Sequence[Row]]]]
"""Catalogue to facility to code to its rows."""

_CENT: Final = Decimal("0.01")
_NONE: Final = Decimal(0)
_WORDS: Final = {"registration": "so_dang_ky", "tender": "tt_thau"}


def read_listed(folder: Path) -> Listed:
    """What a folder has of drugs, services and supplies."""
    found: dict[str, dict[str, dict[str, list[Row]]]] = {}
    for name in ("drugs", "services", "supplies"):
        of = found[name] = defaultdict(lambda: defaultdict(list))
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                of[row["facility"]][row["code"]].append(row)
    return found


def off_list(listed: Listed, facility: str, table: str, line: Row, rate: Decimal | None) -> Decimal:
    """What is not paid of a line that is in no catalogue, or dearer than there: VND.

    table: xml2 or xml3.  rate: MUC_HUONG that is granted, None where it is not known.
    """
    kind, code = ("drugs", "ma_thuoc") if table == "xml2" else ("supplies", "ma_vat_tu")
    if table == "xml3" and not line["ma_vat_tu"]:
        kind, code = "services", "ma_dich_vu"
    of_facility = listed[kind].get(facility)
    if of_facility is None:
        return _NONE
    day = (line["ngay_yl"] or "")[:8]
    rows = [row for row in of_facility.get(line[code] or "", ()) if _in_force(row, day)]
    if not rows:
        return max(_NONE, line["t_bhtt"] or _NONE)
    same = [row for row in rows if all(row[word] == (line[field] or "") for word, field in _WORDS.items() if word in row)]
    approved = max(Decimal(row["price"]) for row in same or rows)
    asked = line["don_gia"] if table == "xml2" else line["don_gia_bh"]
    needed = (asked, line["so_luong"], line["tyle_tt_bh"], line["thanh_tien_bh"], line["muc_huong"])
    service = Decimal(100) if table == "xml2" else line["tyle_tt_dv"]
    if None in (*needed, service) or asked <= approved:
        return _NONE
    granted = line["muc_huong"] if rate is None else min(rate, line["muc_huong"])
    right = _half_up(line["so_luong"] * approved * service / 100 * line["tyle_tt_bh"] / 100)
    return max(_NONE, _half_up(line["thanh_tien_bh"] * granted / 100) - _half_up(right * granted / 100))


def _in_force(row: Row, day: str) -> bool:
    first, last = (row[name].replace("-", "") for name in ("valid_from", "valid_to"))
    return bool(day) and first <= day <= (last or "99999999")


def _half_up(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
