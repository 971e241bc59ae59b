"""The pass over a closed month: claims side by side (`history_rules.py`), and what that changes after the decisions.

What was decided stays as it is. What is found later is a row of a fifth Delta table, `adjustments`, and what no longer
holds, such as after a late correction, is taken back by a row of its own (`reverses`), so that the sum of `reduction` is
right at any time. The rows of a month are made from the ledger alone, in a fixed order, and come in one commit with the app
transaction (`close/YYYY-MM`, n): a run that was killed has written nothing, and one that is run again finds nothing new.

An adjustment belongs to the month of the later of its two claims: a stay that ends in December may show that a visit of
November was wrong, and the closing of December says so. Claims of later months are never looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from hub.contract.errors import HubError
from hub.contract.events import new_id
from hub.insurer.history_rules import OF_ALL, OF_PERSON, RULES, History, HistoryRule, adjust, examination, hands_on
from hub.insurer.ledger import files_of, newest_first, opened, scan, schema_of
from hub.insurer.promoted import AGAIN, MOVED, decided
from hub.insurer.promoted import found as findings_in_force
from hub.insurer.settlement import FORGOTTEN, LATE, TOLD, claims_of, in_force, late, settled

TABLE: Final = MOVED
ADJUSTMENTS: Final[dict[str, pl.DataType]] = {
    "adjustment_id": pl.String(),
    "period": pl.String(),
    "rule": pl.String(),
    "severity": pl.String(),
    "event_id": pl.String(),
    "key": pl.String(),
    "facility": pl.String(),
    "table": pl.String(),
    "stt": pl.Int64(),
    "reduction": pl.Decimal(18, 2),
    "other_event_id": pl.String(),
    "reverses": pl.String(),
    "text_vi": pl.String(),
    "text_en": pl.String(),
    "closed_at": pl.Datetime("us", "UTC"),
}
"""Columns. `period` YYYY-MM; `table` XML1 with no `stt`: the whole claim; `reduction` VND of the fund's share (below zero:
in the patient's favour, or taken back), deducted where `severity` is C; `reverses`: the adjustment that this row takes back, else ""."""

HELD: Final = 500_000
"""Claims whose lines are held at once, about 250 bytes a line: more come in parts, each with all claims of its people."""

_TAKEN: Final = ("event_id", "table", "stt", "reduction")
_STILL: Final = ("rule", "event_id", "table", "stt", "reduction", "other_event_id", "key", "facility")
_CONTENT: Final = ("rule", "event_id", "table", "stt", "reduction", "other_event_id")
_WHERE: Final = ("rule", "event_id", "table", "stt")
_OF_PLACES: Final = ("H06", "H07")  # of desks and performers; all others are of one person
_LINES_BACK: Final = timedelta(days=90)  # no drug is supplied for longer
_CLAIMS_BACK: Final = timedelta(days=366)  # the longest slip; and the year of co-payments
_TABLES: Final = pl.Enum(["XML2", "XML3"])
_NO_DRUG: Final = "00.0000"  # MA_THUOC of what is in no list
_TEXTS: Final = {rule.id: (rule.severity, rule.vi, rule.en) for rule in RULES} | {
    LATE: (
        TOLD,
        "Hồ sơ được sửa, thu hồi hoặc gửi sau khi quyết toán; quyết định đang có hiệu lực đã tính.",
        "The claim was corrected, withdrawn or sent after the settlement; the decisions in force already have it.",
    )
}


def close(folder: Path, month: date, closed_at: datetime) -> pl.DataFrame:
    """Close a month of a ledger, for the first time or again.

    folder:    of the ledger.
    month:     any day of it; it must be over, and its claims read.
    closed_at: aware; said in the new rows, as `later` has it.
    Returns:   the rows that were appended: adjustments that are new, and rows that take back what no longer holds.
    Raises:    HubError(LEDGER_CONFLICT) when another process closes it or promotes a branch of it at the same time.
    """
    period, mark = f"{month:%Y-%m}", f"close/{month:%Y-%m}"
    table = opened(folder / TABLE, ADJUSTMENTS)
    closings, of_month = (table.transaction_version(one) or 0 for one in (mark, mark_of(period)))
    known, ends = adjustments(table.file_uris()).collect(), _ends(folder)
    seen = {place: table.transaction_version(f"seen/{period}/{place}") or 0 for place in ends}
    closed_at = later(known.lazy(), closed_at)
    before = known.filter(pl.col("period") == period)
    # What was promoted is no cut: the claims are granted by it already.
    earlier = known.filter(pl.col("severity") != TOLD, pl.col("period") < period, pl.col("rule") != AGAIN)
    claims, held = claims_of(folder, period), _in_force(before)
    was = settled(folder, period, claims, closed_at)
    stands, anew = _standing(folder, held, known, month, _last_closing(was, before) if closings else None, seen)
    looked = _side_by_side(folder, month, pl.concat([_in_force(earlier), stands])).filter(anew)
    found = pl.concat(
        [
            looked.join(stands, on=_WHERE, how="anti", nulls_equal=True, maintain_order="left"),
            _late(was, claims),
            _still(held, claims),
            stands.select(_STILL),
        ]
    )
    rows = pl.concat([_new(found, before, period), _reversals(found, before)])
    rows = rows.with_columns(closed_at=pl.lit(closed_at).cast(ADJUSTMENTS["closed_at"])).select(*ADJUSTMENTS)
    if rows.height or not closings or ends != seen:
        said = {mark: closings + 1, mark_of(period): of_month + 1} | {
            f"seen/{period}/{place}": end for place, end in ends.items()
        }
        marks = CommitProperties(app_transactions=[Transaction(*one) for one in said.items()])
        try:
            write_deltalake(table, rows, mode="append", commit_properties=marks)
        except CommitFailedError:
            raise HubError("LEDGER_CONFLICT", TABLE) from None
    return rows


def _ends(folder: Path) -> dict[str, int]:
    """Of each `topic id/partition` that the ledger has claims of, the offset behind the last of them."""
    places = scan(files_of(folder, "claims"), schema_of("claims")).group_by("kafka_topic_id", "kafka_partition")
    ends = places.agg(pl.col("kafka_offset").max() + 1).collect(engine="streaming")
    return {f"{topic}/{partition}": end for topic, partition, end in ends.iter_rows()}


def mark_of(period: str) -> str:
    """The app transaction of all that moves the money of a month (YYYY-MM): closings and promotions, each by what the last one left."""
    return f"promote/{period}"  # named by what had it first


def adjustments(files: Sequence[str]) -> pl.LazyFrame:
    """Rows of files of the table, as `ADJUSTMENTS`. S01 is of severity I, though an older release wrote it as C."""
    late = pl.col("rule") == LATE
    return scan(list(files), ADJUSTMENTS).with_columns(severity=pl.when(late).then(pl.lit(TOLD)).otherwise("severity"))


def later(rows: pl.LazyFrame, at: datetime) -> datetime:
    """`at`, or just after the newest of rows of the table where that is not before it.

    Words to the facility are numbered by `closed_at`: a machine whose clock is behind would use a number again.
    """
    newest: datetime | None = rows.select(pl.col("closed_at").max()).collect().item()
    return max(at, newest + timedelta(microseconds=1)) if newest else at


def closed_months(folder: Path, first: date, last: date) -> list[str]:
    """YYYY-MM of the months from `first` to `last` that were closed."""
    if not (folder / TABLE).is_dir():
        return []
    table, found, month = opened(folder / TABLE, ADJUSTMENTS), [], first.replace(day=1)
    while month <= last:
        if table.transaction_version(f"close/{month:%Y-%m}"):
            found.append(f"{month:%Y-%m}")
        month = month_after(month)
    return found


def month_after(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)


# --- what the rules look at -------------------------------------------------------------------------------------------


def read_history(folder: Path, month: date) -> Iterator[tuple[Sequence[HistoryRule], History, pl.DataFrame]]:
    """The ledger up to the end of a month, in parts that fit into memory, each with the rules that are asked of it.

    Yields: the rules of persons with some people's claims and lines, until all had their turn; then the other rules with all
            claims and the lines of desks and performers. Beside them event_id, key and facility by the claims' places.
    """
    start = month.replace(day=1)
    claims, places = _claims(folder, start), ["event_id", "key", "meta_facility"]
    given_again = pl.col("recent") & pl.col("returning")
    parts = claims.filter(given_again).height // HELD + 1

    def part(some: pl.DataFrame, held: pl.Expr) -> tuple[History, pl.DataFrame]:
        placed = some.with_row_index("claim")
        lines = _lines(folder, placed, held)
        return History(start.replace(month=1), placed.drop(places, "returning"), lines), placed.select(places)

    for number in range(parts):
        yield OF_PERSON, *part(claims.filter(pl.col("person") % parts == number), given_again)
    yield OF_ALL, *part(claims, pl.col("recent") & pl.col("desk"))


def _claims(folder: Path, start: date) -> pl.DataFrame:
    """Claims in force that are not rejected, after promotions too, of a year and a month, and all deaths; in the fixed order.

    `returning`: of a person who has a claim of the month and another one. Nobody else can have anything given twice.
    """
    col = pl.col
    end = month_after(start)
    revision = ("version", "stated_at", "received_at")
    rows = scan(files_of(folder, "claims"), schema_of("claims")).select(
        "event_id", "key", *revision, "kafka_offset", "action",
        col("facility").alias("meta_facility"), col("ma_cskcb").alias("facility"),
        _person().alias("person"), _day().alias("day"),
        pl.coalesce(_readable("ngay_ra"), "ngaylap").alias("out"),
        _minute("ngay_vao").alias("arrived"),
        pl.coalesce(_minute("ngay_vao_noi_tru"), _minute("ngay_vao")).alias("admitted"),
        _minute("ngay_ra").alias("ended"),
        _text("ma_loai_kcb").alias("form"), _text("ma_doituong_kcb").alias("category"),
        _text("ma_noi_di").alias("referred_from"), _text("giay_chuyen_tuyen").alias("slip"),
        _text("ma_benh_chinh").alias("icd"), _text("ket_qua_dtri").is_in(["5", "8"]).alias("died"),
        _date(col("nam_nam_lien_tuc")).alias("five_years"),
        _hundredths("t_bncct").alias("t_bncct"),
    )  # fmt: skip
    in_time = (col("day") < end) & ((col("day") >= start - _CLAIMS_BACK) | col("died"))
    keys = rows.filter(in_time).select("key").unique().collect(engine="streaming").lazy()  # so that no other year is held
    newest = newest_first(rows.join(keys, on="key", how="semi")).unique("key", keep="first", maintain_order=True)
    found = newest.filter(~col("action").is_in(["CANCELLED", FORGOTTEN]), in_time).collect(engine="streaming").lazy()
    every = decided(folder, adjustments(files_of(folder, TABLE)), found.select("event_id"))
    granted = every.filter(col("verdict_now").is_in(["ACCEPTED", "REDUCED"])).select("event_id", _hundredths("granted"))
    ordered = (
        found.join(granted, on="event_id")
        .sort("out", "received_at", "event_id")
        .with_columns(col("person").rank("dense"), now=col("day") >= start, recent=col("day") >= start - _LINES_BACK)
    )
    returning = ((pl.len() > 1) & col("now").any()).over("person").alias("returning")
    return ordered.drop(*revision, "kafka_offset", "action", "out").with_columns(returning).collect()


def _lines(folder: Path, claims: pl.DataFrame, held: pl.Expr) -> pl.DataFrame:
    """Lines of claims, once each.  held: which, by `recent` and `returning` of their claim and by `desk`: whether a desk or a
    performer can have too many of them."""
    col = pl.col
    drug, group = col("table") == "XML2", _text("ma_nhom").cast(pl.Int16, strict=False)
    service = col("table") == "XML3"
    name = _text("ten_dich_vu").str.to_lowercase()
    lines = scan(files_of(folder, "lines"), schema_of("lines")).select(
        "event_id", "table", "stt", group.alias("group"),
        pl.when(drug & ~_text("ma_thuoc").is_in(["", _NO_DRUG])).then(_text("ma_thuoc") + "|" + _text("duong_dung"))
        .when(service & (_text("ma_vat_tu") == "")).then(_text("ma_dich_vu")).otherwise(pl.lit("")).alias("code"),
        pl.coalesce(_minute("ngay_th_yl"), _minute("ngay_yl")).alias("at"),
        pl.when(service).then(_minute("ngay_kq")).alias("until"),
        pl.when(drug).then(_days_of_supply()).alias("days"),
        pl.when(group == 13).then(_text("ma_bac_si")).otherwise(pl.lit("")).alias("doctor"),
        pl.when(group.is_in([8, 18])).then(_text("nguoi_thuc_hien")).otherwise(pl.lit("")).alias("performers"),
        (_text("ma_cskcb_thuoc").str.starts_with("K.") | _text("ma_dich_vu").str.contains(r"\.K\.\w{5}$")).alias("outside"),
        name.str.contains("thận nhân tạo|lọc máu|lọc màng bụng").alias("dialysis"),
        _hundredths("t_bhtt").alias("granted"),
    )  # fmt: skip
    told = lines.with_columns((examination() | hands_on()).fill_null(False).alias("desk"))
    recent = claims.lazy().filter("recent").select("event_id", "claim", "recent", "returning")
    asked = told.join(recent, on="event_id").filter(held).drop("recent", "returning")
    found = asked.join(_cut_before(folder), on=["event_id", "table", "stt"], how="left")
    found = found.with_columns((col("granted") - col("cut").fill_null(0)).clip(lower_bound=0)).drop("event_id", "cut")
    # Streamed, so that the event ids and texts of all lines are never in memory together.
    narrow = found.with_columns(col("table").cast(_TABLES)).collect(engine="streaming").lazy()
    numbered = narrow.with_columns(_number("code"), _number("doctor"))
    # Of lines with one number the dearest counts, but what a desk or performer did before all else, as it may be held alone.
    ordered = numbered.sort("claim", "table", "stt", "desk", "granted", descending=[False, False, False, True, True])
    again = pl.all_horizontal(col(name).eq_missing(col(name).shift(1)) for name in ("claim", "table", "stt"))
    return ordered.filter(~again).drop("desk").with_row_index("line").collect()


def _number(name: str) -> pl.Expr:
    """A number for each text, null for none: equal ones are all that matters, and numbers sort and group faster."""
    return pl.when(pl.col(name) != "").then(name).cast(pl.Categorical).to_physical().alias(name)


def _cut_before(folder: Path) -> pl.LazyFrame:
    """What the decision in force took of each line already."""
    known = adjustments(files_of(folder, TABLE))
    findings = findings_in_force(folder, known).filter(pl.col("reduction").is_not_null())
    cut = findings.unique(["event_id", "number"], keep="any")
    return cut.group_by("event_id", "table", "stt").agg(_hundredths("reduction").sum().alias("cut"))


def _person() -> pl.Expr:
    """Whose claim it is: SO_CCCD of 12 digits, else the last ten digits of the card, else the facility's patient number.

    A number of zeros is no number. The year of birth stands beside it: a child under its mother's number, and a placeholder
    that many share, would else be one person whose claims cut each other. Source: identifiers.md §1, §2.
    """
    number, card = _text("so_cccd"), _text("ma_the_bhyt").str.to_uppercase().str.extract(r"^([^;]*)").str.strip_chars()
    ten = card.str.extract(r"^(?:[A-Z]{2}[1-5]\d{2})?(\d{10})$")
    person = (
        pl.when(number.str.contains(r"^\d{12}$") & (number.str.strip_chars("0") != ""))
        .then("c" + number)
        .when(card.str.contains(r"^\d{12}$") & (card.str.strip_chars("0") != ""))
        .then("c" + card)
        .when(ten.str.strip_chars("0") != "")
        .then("h" + ten)
        .otherwise("f" + pl.col("ma_cskcb") + "/" + _text("ma_bn"))
    )
    return person + "/" + _text("ngay_sinh").str.head(4)


def _days_of_supply() -> pl.Expr:
    """Days from LIEU_DUNG, "1 viên * 2 lần * 14 ngày [2 viên/ngày]": those written, or the quantity over the daily dose
    where that is less; 1 when neither can be read, 90 at most."""
    dose = pl.col("lieu_dung").str.to_lowercase()  # null but for drugs, and so costs nothing there
    written = dose.str.extract(r"\*\s*(\d{1,3})\s*ngày").cast(pl.Int64)
    daily = dose.str.extract(r"\[\s*(\d{1,6}(?:[.,]\d{1,3})?)\s").str.replace(",", ".", literal=True)
    daily = daily.cast(pl.Decimal(12, 3), strict=False).to_physical().cast(pl.Int64)
    lasts = pl.when(daily > 0).then(pl.col("so_luong").to_physical().cast(pl.Int64) // daily)
    return pl.min_horizontal(written, lasts).fill_null(1).clip(1, _LINES_BACK.days)


def _text(name: str) -> pl.Expr:
    return pl.col(name).fill_null("").str.strip_chars()


def _readable(name: str) -> pl.Expr:
    return pl.when(_date(pl.col(name)).is_not_null()).then(name)


def _day() -> pl.Expr:
    return _date(pl.coalesce(_readable("ngay_ra"), "ngaylap"))


def _date(text: pl.Expr) -> pl.Expr:
    return text.str.head(8).str.to_date("%Y%m%d", strict=False)


def _minute(name: str) -> pl.Expr:
    """A time of 12 digits, or a day of 8 as its midnight, as a number; null where it is neither."""
    length, number = pl.col(name).str.len_bytes(), pl.col(name).cast(pl.Int64, strict=False)
    return pl.when(length == 12).then(number).when(length == 8).then(number * 10_000)


def _hundredths(name: str) -> pl.Expr:
    return pl.col(name).to_physical().cast(pl.Int64).fill_null(0)


# --- what is said of it -----------------------------------------------------------------------------------------------


def _side_by_side(folder: Path, month: date, earlier: pl.DataFrame) -> pl.DataFrame:
    """What all rules find, in an order that does not hang on the parts, with the columns of `_found`."""
    taken, found = [earlier.select(_TAKEN)], []
    for part in read_history(folder, month):
        found.append(_found(*part, pl.concat(taken)))
        taken.append(found[-1].select(_TAKEN))
    return pl.concat(found).sort("rule", "event_id", "table", "stt", nulls_last=False)


def _found(rules: Sequence[HistoryRule], history: History, places: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """What rules find, by `_CONTENT`, and the claims' key and facility.  earlier: what was taken before, by `_TAKEN`."""
    col = pl.col
    ids, lines = places.with_row_index("claim"), history.lines.select("line", "claim", pl.col("table").cast(pl.String), "stt")
    at = ids.select("claim", "event_id")
    taken = earlier.join(at, on="event_id")
    taken = taken.join(lines, on=["claim", "table", "stt"], how="left", nulls_equal=True)
    adjusted = adjust(rules, history, taken.select("claim", "line", _hundredths("reduction").alias("reduction")))
    named = adjusted.join(ids, on="claim", how="left", maintain_order="left").with_columns(
        other_event_id=places.get_column("event_id").gather(adjusted.get_column("other")).fill_null("")
    )
    named = named.join(lines.drop("claim"), on="line", how="left", maintain_order="left")
    return named.select(
        "rule", "event_id", col("table").fill_null("XML1"), "stt",
        (col("reduction").cast(pl.Decimal(20, 2)) / 100).cast(ADJUSTMENTS["reduction"]).alias("reduction"),
        "other_event_id", "key", col("meta_facility").alias("facility"),
    )  # fmt: skip


def _late(settled: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """S01: what came after the month was settled, with the columns of `_found`."""
    return late(settled, claims).select(
        pl.lit(LATE).alias("rule"), "event_id", pl.lit("XML1").alias("table"), pl.lit(None, dtype=pl.Int64).alias("stt"),
        "reduction", "other_event_id", "key", "facility",
    )  # fmt: skip


def _still(held: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """R01: what a promoted branch said of claims that are still in force."""
    said = held.filter(pl.col("rule") == AGAIN).join(claims, on="event_id", how="semi", maintain_order="left")
    return said.select(_STILL)


def _last_closing(settled: pl.DataFrame, before: pl.DataFrame) -> datetime | None:
    """When a month was closed last, as far as that found anything; None when it had no claims then."""
    times = [settled.get_column("settled_at").max(), before.filter(pl.col("rule") != AGAIN).get_column("closed_at").max()]
    return max((at for at in times if isinstance(at, datetime)), default=None)


def _standing(
    folder: Path, held: pl.DataFrame, known: pl.DataFrame, month: date, since: datetime | None, seen: Mapping[str, int]
) -> tuple[pl.DataFrame, pl.Expr]:
    """What was found across claims and stands while they are in force; and which rows may be found anew beside it.

    Nobody can look at a forgotten claim again, or knows whose it was. What was found about one stands, and once there is any, others are
    compared again only where there is news since the month was closed last (`since`; None: never; `seen`: what it had read, as `_ends`).
    """
    claims = in_force(scan(files_of(folder, "claims"), schema_of("claims"))).select("event_id", "action").collect()
    stand, gone = (some.get_column("event_id") for some in (claims, claims.filter(pl.col("action") == FORGOTTEN)))
    both = pl.col("event_id"), pl.col("other_event_id")
    across = ~pl.col("rule").is_in([AGAIN, LATE])
    yet = held.filter(across, *((one.is_in(stand.implode()) | (one == "")) for one in both))
    anew = _with_news(folder, known, month, since, seen) if since and len(gone) else pl.lit(True)
    return yet.filter(pl.any_horizontal(one.is_in(gone.implode()) for one in both) | ~anew), anew


def _with_news(folder: Path, known: pl.DataFrame, month: date, since: datetime, seen: Mapping[str, int]) -> pl.Expr:
    """Whether a row is of a person, or is about a desk or performer of a facility, of whom a claim up to the end of a month came
    into the ledger or was withdrawn behind the places that were seen, or was promoted or adjusted after a time.

    By the place: a claim may have been received long before it is there (parked, settled late, read again).
    """
    col = pl.col
    rows = scan(files_of(folder, "claims"), schema_of("claims")).select(
        "event_id", "key", "facility", "action", "kafka_offset", _person().alias("person"), _day().alias("day"),
        pl.format("{}/{}", "kafka_topic_id", "kafka_partition").replace_strict(seen, default=0, return_dtype=pl.Int64).alias("seen"),
    )  # fmt: skip
    adjusted = known.lazy().filter(col("closed_at") > since, col("period") <= f"{month:%Y-%m}").select("key")
    keys = pl.concat([rows.filter(col("kafka_offset") >= col("seen")).select("key"), adjusted]).unique()
    asked = rows.filter(col("action") != FORGOTTEN, col("day") < month_after(month))
    moved = asked.join(keys, on="key", how="semi").select("person", "facility").collect()
    people, facilities = (moved.get_column(name).unique().implode() for name in ("person", "facility"))
    theirs = rows.filter(col("person").is_in(people)).select("event_id").collect().get_column("event_id").implode()
    of_person = col("event_id").is_in(theirs) | col("other_event_id").is_in(theirs)
    return of_person | (col("rule").is_in(_OF_PLACES) & col("facility").is_in(facilities))


def _in_force(rows: pl.DataFrame) -> pl.DataFrame:
    """Adjustments that no later row takes back."""
    return rows.filter(pl.col("reverses") == "", ~pl.col("adjustment_id").is_in(rows.get_column("reverses").implode()))


def _new(found: pl.DataFrame, before: pl.DataFrame, period: str) -> pl.DataFrame:
    """Rows for what was not in force. What comes back after it was taken back has the next number, and so another id."""
    held = _in_force(before)
    fresh = found.join(held, on=_CONTENT, how="anti", nulls_equal=True, maintain_order="left")
    times = before.filter(pl.col("reverses") == "").group_by(_CONTENT).agg(pl.len().alias("times"))
    fresh = fresh.join(times, on=_CONTENT, how="left", nulls_equal=True, maintain_order="left")
    ids = [new_id(TABLE, period, *content, times) for *content, times in _written(fresh.select(*_CONTENT, "times"))]
    rules = fresh.get_column("rule").to_list()
    return fresh.with_columns(
        pl.Series("adjustment_id", ids, dtype=pl.String),
        pl.Series("severity", [_TEXTS[rule][0] for rule in rules], dtype=pl.String),
        pl.Series("text_vi", [_TEXTS[rule][1] for rule in rules], dtype=pl.String),
        pl.Series("text_en", [_TEXTS[rule][2] for rule in rules], dtype=pl.String),
        period=pl.lit(period),
        reverses=pl.lit(""),
    ).select(name for name in ADJUSTMENTS if name != "closed_at")


def _reversals(found: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """A row against each that was in force and is not found any more."""
    gone = _in_force(before).join(found, on=_CONTENT, how="anti", nulls_equal=True, maintain_order="left").drop("closed_at")
    ids = [new_id(TABLE, "reverses", one) for one in gone.get_column("adjustment_id")]
    return gone.with_columns(
        pl.Series("adjustment_id", ids, dtype=pl.String),
        reverses=pl.col("adjustment_id"),
        reduction=-pl.col("reduction"),
        text_vi="Rút lại: " + pl.col("text_vi"),
        text_en="Taken back: " + pl.col("text_en"),
    )


def _written(rows: pl.DataFrame) -> Iterator[list[str]]:
    for row in rows.iter_rows():
        yield ["" if value is None else str(value) for value in row]


def summary(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """By rule of what was appended: rows, rows taken back, VND."""
    taken_back = (pl.col("reverses") != "").sum()
    by_rule = rows.group_by("rule").agg(
        pl.len().alias("rows"), taken_back.alias("taken_back"), pl.col("reduction").sum().alias("reduction")
    )
    return by_rule.sort("rule").to_dicts()
