"""Rules between a line and what stands beside it in the claim (adjudication.md §4.3): X02, X06, X11 to X15, C33.

A line that is not payable is cut, not its claim: by the whole of its T_BHTT, or by the part of it that is beyond a limit. What
needs other rows of the claim is looked at in the few lines that it is about: beds, supplies, imaging.
"""

from typing import Final

import polars as pl

from hub.insurer.rules.benefit import base_salary
from hub.insurer.rules.between import MOMENT, SOURCE, earlier, outside_stay
from hub.insurer.rules.model import NOTHING, Frames, Rule, blank, divided

_SPONSORS: Final = ("t_nguonkhac_nsnn", "t_nguonkhac_vtnn", "t_nguonkhac_vttn", "t_nguonkhac_cl")
_BY_MACHINE: Final = ("1", "2", "3")  # MA_NHOM: tests, imaging, functional exploration
_PERFORMED: Final = ("1", "2", "3", "8", "18")  # and surgery, procedures
_SUPPLIES: Final = ("10", "11")
_BEDS: Final = ("14", "15", "16")
_NO_BED: Final = ("01", "05", "07", "09")  # MA_LOAI_KCB: examinations, collecting drugs, less than four hours
_DAY_BED_ONLY: Final = ("02", "08")  # treatment of outpatients: group 14 is their bed
_SERVICE_CODE: Final = 15  # characters: what XML4 holds of a code, such as that of an outsourced service
_LATE_DAYS: Final = 60
_GROUP: Final = pl.col("ma_nhom")
_SERVICE: Final = pl.col("ma_dich_vu").str.head(_SERVICE_CODE)
_KEY: Final = (pl.col("row").hash() ^ _SERVICE.hash()).alias("key")
"""Claim and service as one number of 64 bits: half the time of a join by both, and as good as never the same by chance."""
_READ: Final = (
    *("line", "row", "table", "stt", "ma_nhom", "ma_dich_vu", "goi_vtyt", "ten_vat_tu"),
    *("so_luong", "tyle_tt_dv", "tyle_tt_bh", "thanh_tien_bh", "t_bhtt", "ngay_yl", "ngay_th_yl", "ngay_kq"),
    *("claim_ma_loai_kcb", "claim_ngay_vao", "claim_ngay_vao_noi_tru", "claim_ngay_ra", "claim_day", "claim_ma_the_bhyt"),
)
_ONE: Final = 1000  # SO_LUONG is in thousandths
_SALARIES_OF_A_PACKAGE: Final = 45
_LIMITED: Final = r"^[A-Z]{2}[234]\d{12}( *; *[A-Z]{2}[234]\d{12})*$"
"""Cards to which limits of items apply: levels 1 and 5 have none, and what has no level is not known."""


def prepare(frames: Frames) -> Frames:
    """The lines that few rules are about, as frames of their own: `lines.beds`, `lines.packed`, `lines.dear`, `lines.stents`,
    `lines.images`.

    results: `joined`, whether the claim has their service. What other rows tell is read here, once a batch: as joins of the
    whole frames it would take four times as long.
    """
    lines, results = frames["lines"].filter(pl.col("table") == "XML3"), frames["results"]
    services = lines.filter(blank("ma_vat_tu")).select(_KEY, "goi_vtyt").collect()
    few = lines.filter(_GROUP.is_in((*_BEDS, *_SUPPLIES, "2"))).select(*_READ).collect()
    supplies = few.filter(_GROUP.is_in(_SUPPLIES))
    packed = supplies.filter(~blank("goi_vtyt")).lazy()
    done = services.get_column("key").implode()
    return frames | {
        "results": results.with_columns(_KEY.is_in(done).alias("joined")),
        "lines.beds": _beds(few.filter(_GROUP.is_in(_BEDS)).lazy(), frames["claims"]),
        "lines.packed": _packed(packed, services),
        "lines.dear": _dear(packed),
        "lines.stents": _stents(supplies.filter(pl.col("ten_vat_tu").str.head(5).str.to_lowercase() == "stent").lazy()),
        "lines.images": _images(few.filter(_GROUP == "2"), results),
    }


def _part(share: str, of: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return divided(pl.col(share) * of, whole)


def _beyond(quantity: pl.Expr, limit: pl.Expr | int, per: list[str]) -> pl.Expr:
    """How much of a quantity is beyond the limit of all that came until it."""
    beyond = (quantity.cum_sum().over(per) - limit).clip(lower_bound=0)
    return pl.when(beyond.is_not_null()).then(pl.min_horizontal(quantity, beyond))


# --- beds -------------------------------------------------------------------------------------------------------------


def _beds(beds: pl.LazyFrame, claims: pl.LazyFrame) -> pl.LazyFrame:
    """Whether there is a bed to pay at all; the fund's share of more than one a day, and of more days than the stay has; and the days of
    a line in hundredths: `claimed`, and what one a day (`left_by_day`) and the stay (`left_by_stay`) leave of them."""
    col = pl.col
    times = {"came": "claim_ngay_vao", "admitted": "claim_ngay_vao_noi_tru", "left": "claim_ngay_ra", "ordered": "ngay_yl", "done": "ngay_th_yl", "ended": "ngay_kq"}  # fmt: skip
    beds = (
        beds.join(claims.select("row", "so_ngay_dtri"), on="row", how="left", maintain_order="left")
        .with_columns(col(name).str.to_datetime(MOMENT, strict=False).alias(alias) for alias, name in times.items())
        .with_columns(pl.coalesce("done", "ordered").alias("begun"), pl.coalesce("admitted", "came").alias("came"))
        .with_columns(col("begun").dt.date().alias("day"))
        .with_columns(_crowded(col("so_luong")).clip(lower_bound=0).alias("crowded"))
    )
    form, quantity = col("claim_ma_loai_kcb"), col("so_luong")
    before = pl.coalesce("ended", "begun").cum_max().shift(1).over("row", order_by="begun")
    kept = quantity - col("crowded").fill_null(0)
    too_long = _beyond(kept, col("so_ngay_dtri") * _ONE, ["row"])
    days = {"claimed": quantity, "left_by_day": kept, "left_by_stay": kept - too_long}
    return beds.with_columns(
        (form.is_in(_NO_BED) | (form.is_in(_DAY_BED_ONLY) & (col("ma_nhom") != "14"))).alias("no_bed"),
        (col("left") - col("came") < pl.duration(hours=4)).alias("short_stay"),
        _part("t_bhtt", col("crowded"), quantity).alias("crowded"),
        (col("begun") < before).alias("overlaps"),
        _part("t_bhtt", too_long, quantity).alias("too_long"),
        *(divided(thousandths, 10).alias(name) for name, thousandths in days.items()),
    )


def _crowded(quantity: pl.Expr) -> pl.Expr:
    """What is beyond one a day: of the days from the first to the last; of a single day, after all other single lines of it."""
    days = (pl.col("ended").dt.date() - pl.col("day")).dt.total_days() + 1
    single = (quantity <= _ONE) & pl.col("day").is_not_null()
    alone = pl.when(single).then(quantity).otherwise(NOTHING)
    return pl.when(single).then(_beyond(alone, _ONE, ["row", "day"])).otherwise(quantity - days * _ONE)


# --- supplies and imaging ---------------------------------------------------------------------------------------------


def _packed(packed: pl.LazyFrame, services: pl.DataFrame) -> pl.LazyFrame:
    """`opened`: whether the claim has the service of the package; one without a number of its own opens all of its packages."""
    package = pl.col("key") ^ pl.col("goi_vtyt").hash()
    numbered = services.filter(~blank("goi_vtyt")).select(package).to_series().implode()
    unnumbered = services.filter(blank("goi_vtyt")).get_column("key").implode()
    opened = pl.col("key").is_in(unnumbered) | package.is_in(numbered)
    return packed.with_columns(_KEY).with_columns(opened.alias("opened"))


def _dear(packed: pl.LazyFrame) -> pl.LazyFrame:
    """`above`: the fund's share of what the supplies of one package cost (`of_package`) beyond 45 base salaries (`ceiling`), the last ones first."""
    limit = base_salary("claim_day") * _SALARIES_OF_A_PACKAGE
    cost = pl.col("thanh_tien_bh")
    package = ["row", "ma_dich_vu", "goi_vtyt"]
    beyond = packed.with_columns(
        _beyond(cost, limit, package).alias("beyond"), cost.sum().over(package).alias("of_package"), limit.alias("ceiling")
    )
    limited = pl.col("claim_ma_the_bhyt").str.strip_chars().str.to_uppercase().str.contains(_LIMITED)
    return (
        beyond.filter(pl.col("beyond") > 0).filter(limited).with_columns(_part("t_bhtt", pl.col("beyond"), cost).alias("above"))
    )


def _stents(stents: pl.LazyFrame) -> pl.LazyFrame:
    """`half`: of what the fund pays for all but the first of one service, unless they are claimed at a half, or as 0.5 of one."""
    quantity = pl.col("so_luong")
    ratio = pl.col("tyle_tt_bh") * pl.col("tyle_tt_dv").fill_null(100_00)
    in_full = stents.filter((ratio > 50_00 * 100_00) & (quantity >= _ONE))
    further = _beyond(quantity, _ONE, ["row", "ma_dich_vu", "goi_vtyt"])
    return in_full.with_columns(_part("t_bhtt", further, 2 * quantity).alias("half"))


def _images(images: pl.DataFrame, results: pl.LazyFrame) -> pl.LazyFrame:
    """`read`: whether XML4 tells a conclusion or a value."""
    of_them = _SERVICE.is_in(images.select(_SERVICE.unique()).to_series().implode())
    told = results.filter(of_them & (~blank("ket_luan") | ~blank("gia_tri"))).select(_KEY).collect()
    return images.lazy().with_columns(_KEY.is_in(told.to_series().implode()).alias("read"))


# --- the table --------------------------------------------------------------------------------------------------------

_XML3: Final = pl.col("table") == "XML3"


def _rule(rule: str, field: str, fails: pl.Expr, en: str, vi: str, *, severity: str = "C", about: str = "lines", by: str = "t_bhtt", shown: tuple[str, str] = ("", "")) -> Rule:  # fmt: skip
    """`by`: the column of what is cut; `shown`: what is claimed and what it should be."""
    return Rule(rule, severity, about, field, fails, en, vi, *shown, reduction=by if severity == "C" else "", source=SOURCE)


def _needed(field: str, groups: tuple[str, ...], en: str, vi: str) -> Rule:
    return _rule("X11", field, _XML3 & _GROUP.is_in(groups) & (pl.col(field).str.len_bytes().fill_null(0) == 0), en, vi)


def _late() -> pl.Expr:
    """How long after the end of the visit a result came; only late ones are read as times."""
    late = earlier("claim_ngay_ra", "ngay_kq")
    left, told = (
        pl.when(late).then(pl.col(name)).str.head(8).str.to_date("%Y%m%d", strict=False) for name in ("claim_ngay_ra", "ngay_kq")
    )
    return told - left


RULES: Final[tuple[Rule, ...]] = (
    _rule("X02", "ngay_yl", outside_stay("ngay_yl"), "The order was given outside the stay.", "Thời điểm ra y lệnh nằm ngoài đợt điều trị."),
    _rule("X02", "ngay_th_yl", earlier("ngay_th_yl", "ngay_yl"), "The order was carried out before it was given.", "Thời điểm thực hiện trước thời điểm ra y lệnh."),
    _rule("X02", "ngay_th_yl", earlier("claim_ngay_ra", "ngay_th_yl"), "The order was carried out after the end of the visit.", "Thời điểm thực hiện y lệnh sau ngày ra.", severity="W"),
    _rule("X02", "ngay_kq", earlier("ngay_kq", "ngay_th_yl") | earlier("ngay_kq", "ngay_yl"), "The result is older than what it is the result of.", "Thời điểm có kết quả trước thời điểm thực hiện hoặc ra y lệnh."),
    _rule("X02", "ngay_kq", _late() <= pl.duration(days=_LATE_DAYS), "The result came after the end of the visit, as those of cultures do.", "Kết quả có sau ngày ra, như nuôi cấy vi sinh.", severity="W"),
    _rule("X02", "ngay_kq", _late() > pl.duration(days=_LATE_DAYS), "The result came more than 60 days after the end of the visit.", "Kết quả có sau ngày ra quá 60 ngày."),
    *(_rule("X06", name, pl.col(name) < 0, "An amount of sponsors is below zero.", "Nguồn khác nhỏ hơn 0.", severity="E") for name in (*_SPONSORS, "t_nguonkhac")),
    _rule("X06", "t_nguonkhac", pl.col("t_nguonkhac") > pl.col("thanh_tien_bv").clip(lower_bound=0), "Sponsors pay more than the amount of the line.", "Nguồn khác lớn hơn thành tiền BV.", severity="E"),
    _needed("ma_may", _BY_MACHINE, "A test, image or exploration needs the code of its machine.", "Xét nghiệm, chẩn đoán hình ảnh, thăm dò chức năng phải có mã máy."),
    _needed("nguoi_thuc_hien", _PERFORMED, "Who performed it is missing.", "Thiếu người thực hiện."),
    _needed("ngay_th_yl", _PERFORMED, "When it was performed is missing.", "Thiếu thời điểm thực hiện y lệnh."),
    _needed("pp_vo_cam", ("8",), "The anaesthesia of an operation is missing.", "Phẫu thuật thiếu phương pháp vô cảm."),
    _needed("ma_xang_dau", ("12",), "The fuel of a transport is missing.", "Vận chuyển thiếu mã xăng dầu."),
    _needed("tt_thau", ("10",), "The tender of a supply is missing.", "Vật tư y tế thiếu thông tin thầu."),
    _rule("X12", "ma_nhom", pl.col("no_bed"), "This form of care has no such bed.", "Hình thức khám chữa bệnh này không có ngày giường.", about="lines.beds"),
    _rule("X12", "ma_nhom", pl.col("short_stay"), "A stay of less than four hours has no bed.", "Điều trị dưới 4 giờ không được tính ngày giường.", about="lines.beds"),
    _rule("X12", "so_luong", pl.col("crowded") > 0, "More than one bed a day.", "Quá một ngày giường trong một ngày.", by="crowded", about="lines.beds", shown=("claimed", "left_by_day")),
    _rule("X12", "ngay_th_yl", pl.col("overlaps"), "The bed was taken before the one before it was left.", "Thời gian nằm giường chồng lên giường trước đó.", severity="W", about="lines.beds"),
    _rule("X12", "so_luong", pl.col("too_long") > 0, "More days in bed than days of treatment.", "Số ngày giường vượt số ngày điều trị.", by="too_long", about="lines.beds", shown=("claimed", "left_by_stay")),
    _rule("X13", "goi_vtyt", ~pl.col("opened"), "The claim has no service to which the package of this supply belongs.", "Vật tư trong gói nhưng hồ sơ không có dịch vụ của gói.", about="lines.packed"),
    _rule("X14", "tyle_tt_bh", pl.col("half") > 0, "From the second stent on the fund pays half.", "Từ stent thứ hai quỹ chỉ thanh toán một nửa.", by="half", about="lines.stents"),
    _rule("C33", "thanh_tien_bh", pl.col("above") > 0, "The supplies of one package cost more than 45 base salaries: the fund pays its share of these.", "Vật tư của một gói vượt 45 tháng lương cơ sở: quỹ thanh toán theo mức hưởng trong phạm vi mức trần.", by="above", about="lines.dear", shown=("of_package", "ceiling")),
    _rule("X15", "ma_dich_vu", ~pl.col("read"), "XML4 tells neither conclusion nor value of this image.", "XML4 không có kết luận hoặc giá trị của dịch vụ chẩn đoán hình ảnh này.", severity="W", about="lines.images"),
    _rule("X15", "ma_dich_vu", ~blank("ma_dich_vu") & ~pl.col("joined"), "The claim has no service of this result.", "Hồ sơ không có dịch vụ của kết quả này.", severity="W", about="results"),
)  # fmt: skip
