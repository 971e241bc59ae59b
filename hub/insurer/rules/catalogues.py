"""C01 to C52: claims against dated catalogues, adjudication.md §4.4. A line is checked against the rows valid on its NGAY_YL.

Lines that are in no catalogue, or above its price, are not payable and cut; what differs in words is told, as is staff:
integration users stand as performers in many records, and that must not cost a hospital its money (identifiers.md §6).
Diagnoses are told too: over-detailed codes are common (identifiers.md §7). A facility without rows of a kind is not checked.
"""

from collections.abc import Collection
from typing import Final

import polars as pl

from hub.contract.directory import facilities
from hub.insurer.catalogues import Catalogues
from hub.insurer.rules.model import Frames, Rule, blank, divided

_SOURCE: Final = "adjudication.md §4.4"
_FOREVER: Final = "99991231"


def prepare(frames: Frames, catalogues: Catalogues, places: Collection[str]) -> Frames:
    """Frames `drugs`, `services`, `supplies` (lines, with `known` and what is approved), `orders` (who ordered or performed),
    `diagnoses` and `places`; only those whose catalogue there is.

    places: MA_CSKCB of the claims of the batch.
    """
    col = pl.col
    granted = frames["claims"].select("row", "granted")
    lines = frames["lines"].join(granted, on="row", how="left", maintain_order="left")
    service = blank("ma_vat_tu")
    kinds = {
        "drugs": (col("table") == "XML2", "ma_thuoc", "ten_thuoc"),
        "services": ((col("table") == "XML3") & service, "ma_dich_vu", "ten_dich_vu"),
        "supplies": ((col("table") == "XML3") & ~service, "ma_vat_tu", "ten_vat_tu"),
    }
    made = {"places": _places(frames["claims"])}
    for kind, (which, code, name) in kinds.items():
        if kind in catalogues:
            made[kind] = _matched(lines.filter(which), catalogues[kind].of(places), code, name)
    if "staff" in catalogues:
        made["orders"] = _staffed(lines, catalogues["staff"].of(places))
    if "icd" in catalogues:
        made["diagnoses"] = _diagnosed(frames["claims"], catalogues["icd"].rows)
    return frames | made


def _places(claims: pl.LazyFrame) -> pl.LazyFrame:
    known = [
        (one.code, f"{one.valid_from:%Y%m%d}", f"{one.valid_to:%Y%m%d}" if one.valid_to else _FOREVER)
        for one in facilities().values()
    ]
    directory = pl.DataFrame(known, schema=["ma_cskcb", "opened", "closed"], orient="row")
    return claims.select("row", "table", "stt", "ma_cskcb", "day").join(directory.lazy(), on="ma_cskcb", how="left")


def _matched(lines: pl.LazyFrame, approved: pl.DataFrame, code: str, name: str) -> pl.LazyFrame:
    """lines of facilities with a catalogue; beside each whether it is `known`, and of its valid rows the best: that of the same
    registration and tender if there is one, then the dearest."""
    col = pl.col
    held = approved.get_column("facility").unique().to_list()
    mine = lines.filter(col("claim_ma_cskcb").is_in(held)).with_columns(col("ngay_yl").str.slice(0, 8).alias("ordered"))
    words = [word for word, field in (("registration", "so_dang_ky"), ("tender", "tt_thau")) if word in approved.columns]
    fields = {"registration": "so_dang_ky", "tender": "tt_thau"}
    pairs = mine.select("line", "ordered", "claim_ma_cskcb", code, name, "so_dang_ky", "tt_thau").join(
        approved.lazy().rename({"name": "approved_name"}), left_on=["claim_ma_cskcb", code], right_on=["facility", "code"]
    )
    same_words = [col(fields[word]).eq_missing(col(word)) for word in words] or [pl.lit(True)]
    valid = pairs.filter(col("ordered").is_between("valid_from", "valid_to")).with_columns(
        (col(name).str.to_lowercase() == col("approved_name").str.to_lowercase()).alias("same_name"),
        pl.all_horizontal(same_words).alias("same_words"),
    )
    more = [col(column).first() for column in ("departments", "machines") if column in approved.columns]
    best = valid.group_by("line").agg(
        col("same_name").any(),
        pl.coalesce(col("price").filter("same_words").max(), col("price").max()).alias("price"),
        col("same_words").any(),
        pl.lit(True).alias("known"),
        *more,
    )
    asked = pl.coalesce("don_gia_bh", "don_gia")
    ratio = pl.when(col("table") == "XML2").then(pl.lit(10_000, dtype=pl.Int128)).otherwise(col("tyle_tt_dv"))
    at_price = divided(col("so_luong") * col("price") * ratio * col("tyle_tt_bh"), 10**12)
    rate = pl.min_horizontal("muc_huong", "granted")  # X07 has cut a higher rate already
    joined = mine.join(best, on="line", how="left", maintain_order="left").with_columns(
        col("known").fill_null(False), asked.alias("asked"), rate.alias("rate")
    )
    over = divided(col("thanh_tien_bh") * col("rate"), 10**4) - divided(at_price * col("rate"), 10**4)
    return joined.with_columns(
        over.alias("over"),
        col("t_bhtt").alias("all_of_it"),
        *((col(given) // 10).alias(f"{given}_shown") for given in ("asked", "price")),  # findings are of hundredths
    )


def _staffed(lines: pl.LazyFrame, staff: pl.DataFrame) -> pl.LazyFrame:
    """A row for every line and each element in which somebody stands who is not on the facility's list on the day.

    Leading zeros do not count, nor do suffixes of contracts and remote reading (`.HD.01004`).
    """
    col = pl.col
    held = staff.get_column("facility").unique().to_list()
    listed = staff.lazy().with_columns(col("licence").str.strip_chars_start("0"))
    texts = lines.filter(col("claim_ma_cskcb").is_in(held)).select(
        "row",
        "line",
        "table",
        "stt",
        "claim_ma_cskcb",
        col("ngay_yl").str.slice(0, 8).alias("ordered"),
        "ma_bac_si",
        "nguoi_thuc_hien",
    )
    long = texts.unpivot(["ma_bac_si", "nguoi_thuc_hien"], index=["row", "line", "table", "stt", "claim_ma_cskcb", "ordered"])
    asked = long.filter(~blank("value"))
    keys = ["claim_ma_cskcb", "ordered", "value"]
    people = asked.select(keys).unique().with_columns(col("value").str.split(";").alias("licence")).explode("licence")
    people = people.with_columns(
        col("licence").str.strip_chars().str.replace(r"\.(HD|TX|CG)\..*$", "").str.strip_chars_start("0")
    )
    found = people.join(listed, left_on=["claim_ma_cskcb", "licence"], right_on=["facility", "licence"])
    found = found.filter(col("ordered").is_between("valid_from", "valid_to")).select(*keys, "licence").unique()
    missing = people.join(found, on=[*keys, "licence"], how="anti").select(keys).unique()
    return asked.join(missing, on=keys, how="semi")


def _diagnosed(claims: pl.LazyFrame, icd: pl.DataFrame) -> pl.LazyFrame:
    """claims with the flags of their main diagnosis in the list of the end date; `known` is null where the list has none."""
    col = pl.col
    asked = claims.filter(~blank("ma_benh_chinh"))
    listed = icd.lazy().rename({"code": "ma_benh_chinh"})
    valid = (
        asked.select("row", "day", "ma_benh_chinh")
        .join(listed, on="ma_benh_chinh")
        .filter(col("day").is_between("valid_from", "valid_to"))
        .unique("row")
        .drop("day", "ma_benh_chinh")
    )
    joined = asked.join(valid.with_columns(pl.lit(True).alias("known")), on="row", how="left", maintain_order="left")
    return joined.with_columns(col("known").fill_null(False))


# --- the table --------------------------------------------------------------------------------------------------------


def _rule(
    rule: str,
    severity: str,
    about: str,
    field: str,
    fails: pl.Expr,
    en: str,
    vi: str,
    claimed: str = "",
    computed: str = "",
    cut: str = "",
) -> Rule:
    return Rule(rule, severity, about, field, fails, en, vi, claimed, computed, cut, _SOURCE)


def _line(kind: str, tens: int, fields: tuple[str, str, str], en: str, vi: str) -> tuple[Rule, ...]:
    """Unknown, dearer, of another name. fields: code, price, name."""
    code, price, name = fields
    known, dearer = pl.col("known"), pl.col("asked") > pl.col("price")
    return (
        _rule(f"C{tens}0", "C", kind, code, ~known & (pl.col("t_bhtt") > 0), f"The {en} is not in the facility's catalogue on the day of the order: not payable.", f"{vi} không có trong danh mục của cơ sở vào ngày y lệnh: không thanh toán.", "t_bhtt", "", "all_of_it"),
        _rule(f"C{tens}1", "C", kind, price, known & dearer & (pl.col("over") > 0), f"The price of the {en} is above the approved one: the fund pays at the approved price.", f"Đơn giá {vi} cao hơn giá được phê duyệt: quỹ thanh toán theo giá được phê duyệt.", "asked_shown", "price_shown", "over"),
        _rule(f"C{tens}2", "W", kind, name, known & ~pl.col("same_name"), f"The name of the {en} is not the approved one.", f"Tên {vi} không đúng tên được phê duyệt."),
    )  # fmt: skip


def _has(texts: str, text: str) -> pl.Expr:
    """Whether a `;` list, where it says anything, names every code of an element."""
    return (";" + pl.col(texts) + ";").str.contains(";" + pl.col(text) + ";", literal=True) | (pl.col(texts) == "")


def _flag(flag: str) -> pl.Expr:
    return (pl.col(flag) == "1").fill_null(False)


RULES: Final[tuple[Rule, ...]] = (
    _rule("C01", "E", "places", "ma_cskcb", pl.col("opened").is_null() | ~pl.col("day").is_between("opened", "closed"), "There is no such facility on the day of discharge.", "Cơ sở không tồn tại hoặc không hoạt động vào ngày ra viện."),
    *_line("drugs", 1, ("ma_thuoc", "don_gia", "ten_thuoc"), "drug", "Thuốc"),
    _rule("C13", "W", "drugs", "so_dang_ky", pl.col("known") & ~pl.col("same_words"), "Registration number or tender are not those of an approved row.", "Số đăng ký hoặc thông tin thầu không khớp danh mục được phê duyệt."),
    *_line("services", 2, ("ma_dich_vu", "don_gia_bh", "ten_dich_vu"), "service", "Dịch vụ"),
    _rule("C23", "W", "services", "ma_khoa", pl.col("known") & ~_has("departments", "ma_khoa"), "The department is not authorised for the service.", "Khoa không được phê duyệt thực hiện dịch vụ."),
    _rule("C24", "W", "services", "ma_may", pl.col("known") & ~blank("ma_may") & ~_has("machines", "ma_may"), "The machine is not registered for the service.", "Máy chưa được đăng ký cho dịch vụ."),
    *_line("supplies", 3, ("ma_vat_tu", "don_gia_bh", "ten_vat_tu"), "supply", "Vật tư"),
    _rule("C40", "W", "orders", "ma_bac_si", pl.col("variable") == "ma_bac_si", "The practitioner is not on the facility's list on the day of the order.", "Người chỉ định không có trong danh sách người hành nghề của cơ sở vào ngày y lệnh."),
    _rule("C40", "W", "orders", "nguoi_thuc_hien", pl.col("variable") == "nguoi_thuc_hien", "The performer is not on the facility's list on the day of the order.", "Người thực hiện không có trong danh sách người hành nghề của cơ sở vào ngày y lệnh."),
    _rule("C50", "W", "diagnoses", "ma_benh_chinh", ~pl.col("known"), "The main diagnosis is not in the list of the day of discharge.", "Mã bệnh chính không có trong danh mục có hiệu lực vào ngày ra viện."),
    _rule("C51", "W", "diagnoses", "ma_benh_chinh", _flag("not_main") | _flag("never"), "The code is not one for a main diagnosis.", "Mã bệnh không được dùng làm bệnh chính."),
    _rule("C51", "W", "diagnoses", "ma_benh_chinh", _flag("death_only") & (pl.col("ket_qua_dtri") != "5"), "The code is one of causes of death only.", "Mã bệnh chỉ dùng cho nguyên nhân tử vong."),
    _rule("C52", "W", "diagnoses", "ma_benh_chinh", (_flag("female") & (pl.col("gioi_tinh") == "1")) | (_flag("male") & (pl.col("gioi_tinh") == "2")), "The list has the diagnosis for the other sex only.", "Theo danh mục, mã bệnh chỉ dùng cho giới tính khác."),
)  # fmt: skip
