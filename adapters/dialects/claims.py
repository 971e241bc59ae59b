"""Claims in: one HOSO of the envelope, or one EHC message, to one `hie.Claim`.

Both go through the same typed conversion of official rows, so the same claim has the same content however it came.
Source: Decisions 130, 4750, 3176 (`seeds/standards/xml-tables.csv`); EHC profile: `CLAIMS.md`.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Final

from adapters.dialects.claim_segments import Row, Rows, ehc_cleared, ehc_day, ehc_rows
from adapters.dialects.mapped import Context, Mapped
from adapters.dialects.persons import derived_number, in_words
from adapters.dialects.profile import STANDARD, Dialect, load_dialect
from adapters.dialects.transforms import NUMBER, exact, moment, normalise
from adapters.formats.claim_xml import Hoso
from adapters.formats.hl7v2 import Message
from hub.contract.claim_tables import RENAMED, tables
from hub.contract.errors import Problem, Severity
from hub.contract.events import Event, stamp

Convert = Callable[[str], Any]  # a number, or None when the text is none that fits

WITHDRAWN: Final = "8"  # MA_DOITUONG_KCB: the facility takes the claim back
_REPRODUCTIVE: Final = (
    "REPRODUCTIVE"  # label of a paper by which a pregnancy was ended (MA_DINH_CHI_THAI), as HIV is that of table XML6
)
_KEPT_MAX: Final = 1000  # characters of an unreadable value that are kept beside the event


# --- official text to typed values ------------------------------------------------------------------------------------


@cache
def _converter(kind: str) -> Convert | None:
    """The conversion of one kind of `claim_tables`; None for strings. Few amounts differ, so the last ones are kept."""
    if kind == "string":
        return None
    if kind in ("int", "long"):
        return _whole(31 if kind == "int" else 63)
    precision, scale = kind.removeprefix("decimal(").removesuffix(")").split(",")
    return exact(int(precision), int(scale))


def _whole(bits: int) -> Convert:
    limit = 2**bits

    @lru_cache(maxsize=4096)
    def convert(text: str) -> int | None:
        if len(text) > 32 or NUMBER.fullmatch(text) is None:
            return None
        value = Decimal(text)
        return int(value) if value == value.to_integral_value() and -limit <= value < limit else None

    return convert


@cache
def _columns(table: str) -> dict[str, tuple[str, Convert | None]]:
    columns = {name: (element.field, _converter(element.kind)) for name, element in tables()[table].items()}
    return columns | {old: columns[new] for (named, old), new in RENAMED.items() if named == table}


@dataclass(slots=True)
class Typed:
    """Rows as they go into an event, and what did not fit.

    unparsed: place (`XML2[3]/SO_LUONG`) to the text as it came.
    """

    rows: dict[str, list[Event]] = field(default_factory=dict)
    unparsed: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def typed(official: Rows, at: str = "") -> Typed:
    """The official rows (`XML1` to rows by upper-case name) as typed, sparse rows by lower-case name.

    Text is NFC without outer blanks. A number that is none, or has more digits than its element, is left out, kept
    verbatim in `unparsed` and reported (NUMBER_UNPARSABLE).

    at: what stands before the place in a problem, such as `HOSO[2]/`.
    """
    found = Typed()
    for table, rows in official.items():
        columns = _columns(table)
        found.rows[table] = [_typed_row(table, number, row, columns, found, at) for number, row in enumerate(rows, 1)]
    return found


def _typed_row(table: str, number: int, row: Row, columns: dict[str, tuple[str, Convert | None]], found: Typed, at: str) -> Event:
    event: Event = {}
    for name, raw in row.items():
        text = raw.strip()
        column = columns.get(name)
        if not text or column is None:  # unknown elements were reported by the reader of the envelope
            continue
        column_field, convert = column
        if convert is None:
            event[column_field] = text if text.isascii() else unicodedata.normalize("NFC", text)
            continue
        value = convert(text)
        if value is None:
            path = place(table, number, name)
            found.unparsed[path] = text[:_KEPT_MAX]
            found.problems.append(Problem("NUMBER_UNPARSABLE", Severity.WARNING, at + path))
        else:
            event[column_field] = value
    return event


def place(table: str, number: int, name: str) -> str:
    """`XML2[3]/SO_LUONG`; XML1 has one row only: `XML1/MA_LK`."""
    return f"XML1/{name}" if table == "XML1" else f"{table}[{number}]/{name}"


def official(content: Event) -> Rows:
    """The reverse of `typed`: the tables of a claim, or of a part of one, as official text, amounts with their two or three places."""
    of_tables = {name.upper(): rows for name, rows in content.items() if isinstance(rows, list)}
    if "xml1" in content:
        of_tables = {"XML1": [content["xml1"]], **of_tables}
    return {
        table: [{name.upper(): _text(value) for name, value in row.items() if value is not None and value != ""} for row in rows]
        for table, rows in of_tables.items()
        if rows
    }


def _text(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


# --- to events --------------------------------------------------------------------------------------------------------


def map_hoso(hoso: Hoso, context: Context) -> Mapped:
    """One HOSO to one `hie.Claim`, and its check-in table (XML0) to one `hie.Encounter` OPENED a row.

    Refused (severity E): a table that the reader could not read; neither XML1 nor XML0 (NOTHING_REPRESENTABLE); no MA_LK
    (FIELD_MISSING); a facility in the table that is not the envelope's (FACILITY_NOT_ENTITLED).
    """
    at = f"HOSO[{hoso.number}]/"
    mapped = Mapped(problems=list(hoso.problems))
    if any(problem.severity is Severity.ERROR for problem in hoso.problems):
        return mapped
    found = typed(hoso.tables, at)
    mapped.problems += found.problems
    stated = replace(context, origin=replace(context.origin, stated_at=hoso.ngaylap or context.origin.stated_at))
    check_ins = found.rows.pop("XML0", [])
    for number, row in enumerate(check_ins, 1):
        _check_in(row, f"{at}XML0[{number}]", stated, mapped)
    if found.rows.get("XML1"):
        content = _content(found, stated, mapped, at)
        _state(content | _known(ngaylap=hoso.ngaylap.strip()), found, stated, mapped, load_dialect(STANDARD), [], at)
    elif not check_ins:
        mapped.problems.append(Problem("NOTHING_REPRESENTABLE", Severity.ERROR, f"{at}XML1"))
    return mapped


def map_ehc(message: Message, dialect: Dialect, context: Context) -> Mapped:
    """EHC^E01 (and E04, sent again) to a SUBMITTED claim, EHC^E02 to a CANCELLED one, by the profile in `CLAIMS.md`."""
    official, version = ehc_rows(message)
    official["XML1"][0].setdefault("MA_CSKCB", context.facility)
    found = typed({table: rows for table, rows in official.items() if table in tables()})
    mapped = Mapped(problems=found.problems)
    mapped.problems += [Problem("XML_TABLE_UNKNOWN", Severity.WARNING, "ZTB-1") for table in official if table not in tables()]
    stated = replace(context, origin=replace(context.origin, version=version))
    content = _content(found, stated, mapped, "") | _known(ngaylap=ehc_day(message))
    if message.trigger == "E02":
        content["action"] = "CANCELLED"
    _state(content, found, stated, mapped, dialect, ehc_cleared(message), "")
    return mapped


def _content(found: Typed, context: Context, mapped: Mapped, at: str) -> Event:
    summary = found.rows["XML1"][0]
    if len(found.rows["XML1"]) > 1:
        mapped.problems.append(Problem("REPETITION_DROPPED", Severity.WARNING, f"{at}XML1"))
    content: Event = {
        "action": "CANCELLED" if summary.get("ma_doituong_kcb") == WITHDRAWN else "SUBMITTED",
        "ma_cskcb": context.facility,
        "ma_lk": summary.get("ma_lk", ""),
        "xml1": summary,
    }
    return content | {table.lower(): rows for table, rows in found.rows.items() if rows and table not in ("XML0", "XML1")}


def _state(content: Event, found: Typed, context: Context, mapped: Mapped, dialect: Dialect, cleared: list[str], at: str) -> None:
    summary = content["xml1"]
    if not _identified(summary, f"{at}XML1", context, mapped):
        return
    event = stamp(
        "hie.Claim",
        content,
        facility=context.facility,
        business_key=content["ma_lk"],
        origin=context.origin,
        keyring=context.keyring,
        **_known(
            occurred_at=moment(summary.get("ngay_ra", "")),
            unparsed=found.unparsed,
            sensitivity=_label(content, dialect),
            cleared=cleared,
        ),
    )
    mapped.events.append(("hie.Claim", event))


def _identified(row: Event, at: str, context: Context, mapped: Mapped) -> bool:
    if "ma_lk" not in row:
        mapped.problems.append(Problem("FIELD_MISSING", Severity.ERROR, f"{at}/MA_LK"))
        return False
    if row.get("ma_cskcb", context.facility) != context.facility:
        mapped.problems.append(Problem("FACILITY_NOT_ENTITLED", Severity.ERROR, f"{at}/MA_CSKCB"))
        return False
    return True


def _check_in(row: Event, at: str, context: Context, mapped: Mapped) -> None:
    if not _identified(row, at, context, mapped):
        return
    carried = ("ma_lk", "ma_loai_kcb", "ma_doituong_kcb", "ngay_vao", "ma_dkbd")
    content: Event = {
        "action": "OPENED",
        "ma_cskcb": context.facility,
        "person": person(row, context.facility),
        **{name: row[name] for name in carried if name in row},
    }
    event = stamp(
        "hie.Encounter",
        content,
        facility=context.facility,
        business_key=row["ma_lk"],
        origin=context.origin,
        keyring=context.keyring,
        **_known(occurred_at=moment(row.get("ngay_vao", ""))),
    )
    mapped.events.append(("hie.Encounter", event))


# --- small readings of official values --------------------------------------------------------------------------------


def person(row: Event, facility: str) -> Event:
    """The person that an official row (XML0, XML1) describes, sparse."""
    carried = (
        "ho_ten",
        "ngay_sinh",
        "gioi_tinh",
        "dia_chi",
        "matinh_cu_tru",
        "maxa_cu_tru",
        "dien_thoai",
        "ma_quoctich",
        "ma_dantoc",
    )
    found = {name: row[name] for name in carried if name in row}
    identifiers = [
        _identifier(row.get("ma_bn", ""), "MRN", f"VN-CSKCB-{facility}"),
        _identifier(row.get("so_cccd", ""), *paper(row.get("so_cccd", ""))),
        *_cards(row),
    ]
    present = [identifier for identifier in identifiers if identifier]
    kinds = {each["type"] for each in present}
    cards = [each["normalised"] for each in present if each["type"] == "BHYT_CARD"]
    present += [number for number in (derived_number(card, kinds) for card in cards) if number]
    return found | ({"identifiers": present} if present else {})


def paper(number: str) -> tuple[str, str]:
    """Type and issuer of the number in SO_CCCD, by its shape, as facilities put any identity paper there."""
    if number.isdigit():
        return ("CMND9", "BCA") if len(number) == 9 else ("SDDCN", "BCA")
    return ("PASSPORT", "")


def _cards(row: Event) -> list[Event]:
    numbers = row.get("ma_the_bhyt", "").split(";")
    starts, ends = (row.get(name, "").split(";") for name in ("gt_the_tu", "gt_the_den"))
    return [
        _identifier(number.strip(), "BHYT_CARD", "VSS", valid_from=_at(starts, place), valid_to=_at(ends, place))
        for place, number in enumerate(numbers)
    ]


def _at(parts: list[str], index: int) -> str:
    return parts[index].strip() if index < len(parts) else ""


def _identifier(value: str, kind: str, issuer: str, **validity: str) -> Event:
    if not value:
        return {}
    return _known(value=value, normalised=normalise(value), type=kind, issuer=issuer, **validity)


def _label(content: Event, dialect: Dialect) -> str:
    """The label of protected content: by table XML6, by diagnosis, by code of a test, by an ended pregnancy; by words of XML1, of services,
    tests and drugs, of papers and of slips."""
    if "xml6" in content:
        return "HIV"
    known = dialect.labels
    slips = (*content.get("xml13", ()), *content.get("xml14", ()))
    papers = (content["xml1"], *slips, *(row for table in ("xml7", "xml8", "xml11") for row in content.get(table, ())))
    rows = (*papers, *(row for table in ("xml2", "xml3", "xml4") for row in content.get(table, ())))
    listed = {row[name] for row in rows for name in ("ma_benh_chinh", "ma_benh_kt", "ma_benh") if name in row}
    tests = {row["ma_chi_so"] for row in content.get("xml4", ()) if "ma_chi_so" in row}
    names = {row[name] for row in rows for name in ("ten_dich_vu", "ten_chi_so", "ten_thuoc") if name in row}
    told = "\n".join([*names, *map(in_words, papers)])
    labels = (
        *(known.of_illness(code) for codes in listed for code in codes.split(";")),
        known.of_test(tests, told),
        _REPRODUCTIVE if any(row.get("ma_dinh_chi_thai") == "1" for row in papers) else "",
    )
    return known.gravest(labels)


def _known(**values: Any) -> Event:
    return {name: value for name, value in values.items() if value}
