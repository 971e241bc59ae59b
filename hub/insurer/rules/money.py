"""The formulas of money of adjudication.md §3: X04 of lines, X05 of the totals of XML1.

Each row is one formula: what was claimed, what it should be, how far they may differ. Money is checked relation by relation
against the *claimed* operands, so that one wrong amount is one cause and not a chain of findings. A line may follow either
sponsor case of §3:

- case a: the sponsors' money S reduces the patient's own share, then the co-payment, then the fund's share;
- case b: S leaves the total first and the insured base is net of it. For XML3 the base at the insured price is reduced by
  S, not below zero (our reading; the official example is one of a single price).

A line is read as case b when its THANH_TIEN_BH is that of case b and either not that of case a too, or its shares are
those of case b.
"""

from typing import Final

import polars as pl

from hub.insurer.rules.model import NOTHING, Frames, Rule, divided

EXACT: Final = 0
PORTAL: Final = 200
"""Tolerances in hundredths of a đồng: lines are exact, the totals of XML1 may differ by 2 VND as on the portal."""

_LARGEST_PRODUCT: Final = 10**24  # quantity times price, six decimals: 10^18 VND, far beyond any column


def _taken(part: pl.Expr, available: pl.Expr) -> pl.Expr:
    """How much of what is available a share takes up; a share below zero takes nothing, an unknown one an unknown part."""
    some = part.is_not_null() & available.is_not_null()
    return pl.when(available == 0).then(available).when(some).then(pl.min_horizontal(part.clip(lower_bound=0), available))


def prepare(frames: Frames) -> Frames:
    """lines: beside each claimed amount what the formulas give; claims: what the lines add up to (names ending in `_`)."""
    lines = _line_money(frames["lines"])
    return frames | {"lines": lines, "claims": _claim_money(frames["claims"], frames["lines"])}


def _line_money(lines: pl.LazyFrame) -> pl.LazyFrame:
    parts = ("t_nguonkhac_nsnn", "t_nguonkhac_vtnn", "t_nguonkhac_vttn", "t_nguonkhac_cl")
    read = lines.with_columns(
        pl.sum_horizontal(pl.col(name).fill_null(0) for name in parts).alias("t_nguonkhac_"),
        pl.when(pl.col("table") == "XML2")
        .then(pl.lit(10_000, dtype=pl.Int128))
        .otherwise(pl.col("tyle_tt_dv"))
        .alias("tyle_tt_dv"),
        pl.col("t_nguonkhac").fill_null(0).alias("s"),
        pl.coalesce("don_gia", "don_gia_bv").alias("don_gia_bv"),
        pl.coalesce("don_gia", "don_gia_bh").alias("don_gia_bh"),
    )
    col = pl.col
    priced = read.with_columns((col("so_luong") * col(f"don_gia_{kind}")).alias(f"product_{kind}") for kind in ("bv", "bh"))
    priced = priced.with_columns(
        pl.when(col(name).abs() <= _LARGEST_PRODUCT).then(col(name) * col("tyle_tt_dv")).alias(name)
        for name in ("product_bv", "product_bh")
    )
    base, net = col("product_bh"), (col("product_bh") - col("s") * 10**8).clip(lower_bound=0)
    computed = priced.with_columns(
        divided(col("product_bv"), 10**8).alias("thanh_tien_bv_"),
        divided(base * col("tyle_tt_bh"), 10**12).alias("bh_a"),
        divided(net * col("tyle_tt_bh"), 10**12).alias("bh_b"),
        divided(col("thanh_tien_bh") * col("muc_huong"), 10**4).alias("fund"),
        (col("thanh_tien_bv") - col("thanh_tien_bh")).alias("own"),
    ).with_columns((col("thanh_tien_bh") - col("fund")).alias("together"), _taken(col("own"), col("s")).alias("by_own"))
    computed = computed.with_columns(_taken(col("together"), col("s") - col("by_own")).alias("by_together"))
    computed = computed.with_columns(
        _taken(col("fund"), col("s") - col("by_own") - col("by_together")).alias("by_fund"),
        ((col("t_bntt") == col("own") - col("s")) & (col("t_bncct") == col("together")) & (col("t_bhtt") == col("fund"))).alias(
            "shares_b"
        ),
    )
    is_b = (col("s") > 0) & (col("thanh_tien_bh") == col("bh_b")) & (col("shares_b") | (col("bh_a") != col("bh_b")))
    split = computed.with_columns(is_b.fill_null(False).alias("case_b")).with_columns(
        pl.when("case_b").then(col("bh_b")).otherwise(col("bh_a")).alias("thanh_tien_bh_"),
        (col("own") - pl.when("case_b").then(col("s")).otherwise(col("by_own"))).alias("t_bntt_"),
        (col("together") - pl.when("case_b").then(NOTHING).otherwise(col("by_together"))).alias("t_bncct_"),
        (col("fund") - pl.when("case_b").then(NOTHING).otherwise(col("by_fund"))).alias("t_bhtt_"),
        (col("t_bntt") + col("t_bncct") + col("t_bhtt") + col("s")).alias("balance_"),
    )
    return split


def _claim_money(claims: pl.LazyFrame, lines: pl.LazyFrame) -> pl.LazyFrame:
    col = pl.col
    drug, supply, fee = (
        col("table") == "XML2",
        (col("table") == "XML3") & col("ma_nhom").is_in(["10", "11"]),
        col("ma_pttt") == "1",
    )
    summed = lines.group_by("row").agg(
        col("thanh_tien_bv").filter(drug).sum().alias("t_thuoc_"),
        col("thanh_tien_bv").filter(supply).sum().alias("t_vtyt_"),
        col("thanh_tien_bv").sum().alias("t_tongchi_bv_"),
        col("thanh_tien_bh").sum().alias("t_tongchi_bh_"),
        col("t_bntt").sum().alias("t_bntt_"),
        col("t_bncct").sum().alias("t_bncct_"),
        col("t_nguonkhac").sum().alias("t_nguonkhac_"),
        col("t_bhtt").filter(fee).sum().alias("t_bhtt_gdv_"),
        col("t_bhtt").sum().alias("of_lines"),
    )
    cards = col("ma_the_bhyt").str.to_uppercase()
    joined = (
        claims.with_columns(cards.str.contains("(^|;) *(QN|CA|CY)").alias("armed_forces"))
        .join(summed, on="row", how="left", maintain_order="left")
        .with_columns(col("^(t_.*_|of_lines)$").fill_null(0))
    )
    return joined.with_columns(
        (col("t_tongchi_bh") - col("t_bncct")).alias("by_copayment"),
        (col("t_tongchi_bh") - col("t_bncct") - col("t_nguonkhac").fill_null(0)).alias("by_portal"),
    ).with_columns(
        pl.any_horizontal((col("t_bhtt") - col(name)).abs() <= PORTAL for name in ("by_copayment", "by_portal", "of_lines"))
        .fill_null(False)
        .alias("t_bhtt_holds")
    )


# --- the table --------------------------------------------------------------------------------------------------------


def _off(claimed: str, computed: str, tolerance: int) -> pl.Expr:
    return ((pl.col(claimed) - pl.col(computed)).abs() > tolerance).fill_null(False)


def _formula(
    about: str, field: str, en: str, vi: str, *, computed: str = "", when: pl.Expr | None = None, severity: str = "E"
) -> Rule:
    """The claimed amount of `field` must be `computed`: X04 on lines, X05 on totals."""
    computed = computed or f"{field}_"
    fails = _off(field, computed, EXACT if about == "lines" else PORTAL)
    rule = "X04" if about == "lines" else "X05"
    return Rule(rule, severity, about, field, fails if when is None else fails & when, en, vi, field, computed)


def _required(about: str, field: str, *, of: str = "", severity: str = "E") -> Rule:
    """`of`: the one table that has the element."""
    missing = pl.col(field).is_null() if not of else pl.col(field).is_null() & (pl.col("table") == of)
    name = "don_gia" if of == "XML2" and field == "don_gia_bv" else field
    return Rule(
        "X04" if about == "lines" else "X05",
        severity,
        about,
        name,
        missing,
        "A required amount is missing or is not a number, so the formulas that use it cannot be checked.",
        "Thiếu số tiền hoặc số liệu bắt buộc, hoặc giá trị không phải số, nên không kiểm tra được công thức.",
        source="xml-tables.csv, column required; adjudication.md §3",
    )


_BV, _BH = pl.col("so_luong") * pl.col("don_gia_bv"), pl.col("so_luong") * pl.col("don_gia_bh")
_HOLDS = pl.col("t_bhtt_holds")

RULES: Final[tuple[Rule, ...]] = (
    # X04: every amount that a formula needs
    *(_required("lines", field) for field in ("so_luong", "tyle_tt_bh", "muc_huong", "thanh_tien_bv", "thanh_tien_bh", "t_bntt", "t_bncct", "t_bhtt")),
    _required("lines", "don_gia_bv", of="XML2"),
    *(_required("lines", field, of="XML3") for field in ("don_gia_bv", "don_gia_bh", "tyle_tt_dv")),
    _required("lines", "t_nguonkhac", severity="W"),
    Rule("X04", "E", "lines", "so_luong", pl.max_horizontal(_BV.abs(), _BH.abs()) > _LARGEST_PRODUCT, "Quantity times price is beyond any amount of money.", "Số lượng nhân đơn giá vượt quá mọi khoản tiền."),
    # X04: the formulas of a line
    _formula("lines", "thanh_tien_bv", "The amount is not quantity times price (times service ratio in XML3).", "Thành tiền BV không bằng số lượng nhân đơn giá (nhân tỷ lệ dịch vụ ở XML3)."),
    _formula("lines", "thanh_tien_bh", "The insured amount is not quantity times price times the ratios, in neither sponsor case.", "Thành tiền BH không bằng số lượng nhân đơn giá nhân các tỷ lệ, ở cả hai trường hợp nguồn khác."),
    _formula("lines", "t_nguonkhac", "The sponsors' amount is not the sum of its four sources.", "Nguồn khác không bằng tổng bốn nguồn."),
    _formula("lines", "t_bntt", "The patient's own share is not the amount less the insured amount, after sponsors.", "Người bệnh tự trả không bằng thành tiền BV trừ thành tiền BH, sau nguồn khác."),
    _formula("lines", "t_bncct", "The co-payment is not the insured amount less the fund's share, after sponsors.", "Cùng chi trả không bằng thành tiền BH trừ phần quỹ, sau nguồn khác."),
    _formula("lines", "t_bhtt", "The fund's share is not the insured amount times the benefit rate, after sponsors.", "Quỹ BHYT thanh toán không bằng thành tiền BH nhân mức hưởng, sau nguồn khác."),
    _formula("lines", "thanh_tien_bv", "The shares do not add up to the amount (own + co-payment + fund + sponsors).", "Các phần không cộng đủ thành tiền BV (tự trả + cùng chi trả + quỹ + nguồn khác).", computed="balance_"),
    # X05: every total, and what the lines add up to
    *(_required("claims", field) for field in ("t_thuoc", "t_vtyt", "t_tongchi_bv", "t_tongchi_bh", "t_bntt", "t_bncct", "t_bhtt", "t_bhtt_gdv")),
    _required("claims", "t_nguonkhac", severity="W"),
    _formula("claims", "t_thuoc", "The total of drugs is not the sum of THANH_TIEN_BV of XML2.", "Tổng tiền thuốc không bằng tổng THANH_TIEN_BV của XML2."),
    _formula("claims", "t_vtyt", "The total of supplies is not the sum of THANH_TIEN_BV of groups 10 and 11 of XML3.", "Tổng tiền vật tư không bằng tổng THANH_TIEN_BV nhóm 10, 11 của XML3."),
    _formula("claims", "t_tongchi_bv", "The total cost is not the sum of THANH_TIEN_BV of all lines.", "Tổng chi phí BV không bằng tổng THANH_TIEN_BV các dòng."),
    _formula("claims", "t_tongchi_bh", "The insured total is not the sum of THANH_TIEN_BH of all lines.", "Tổng chi phí BH không bằng tổng THANH_TIEN_BH các dòng."),
    _formula("claims", "t_bntt", "The patient's own total is not the sum of the lines.", "Tổng người bệnh tự trả không bằng tổng các dòng."),
    _formula("claims", "t_bncct", "The total of co-payments is not the sum of the lines.", "Tổng cùng chi trả không bằng tổng các dòng."),
    _formula("claims", "t_nguonkhac", "The sponsors' total is not the sum of the lines.", "Tổng nguồn khác không bằng tổng các dòng."),
    _formula("claims", "t_bhtt", "The fund's total is not T_TONGCHI_BH less T_BNCCT.", "T_BHTT không bằng T_TONGCHI_BH trừ T_BNCCT.", computed="by_copayment", when=~_HOLDS),
    _formula("claims", "t_bhtt", "The fund's total is not T_TONGCHI_BH less T_BNCCT; another formula holds.", "T_BHTT không bằng T_TONGCHI_BH trừ T_BNCCT; công thức khác đúng.", computed="by_copayment", when=_HOLDS, severity="W"),
    _formula("claims", "t_bhtt", "The fund's total is not T_TONGCHI_BH less T_BNCCT less T_NGUONKHAC (the portal's rule 5).", "T_BHTT không bằng T_TONGCHI_BH trừ T_BNCCT trừ T_NGUONKHAC (quy tắc 5 của cổng).", computed="by_portal", when=~_HOLDS & (pl.col("t_nguonkhac") != 0)),
    _formula("claims", "t_bhtt", "The fund's total is not T_TONGCHI_BH less T_BNCCT less T_NGUONKHAC (the portal's rule 5); another formula holds.", "T_BHTT không bằng T_TONGCHI_BH trừ T_BNCCT trừ T_NGUONKHAC (quy tắc 5 của cổng); công thức khác đúng.", computed="by_portal", when=_HOLDS & (pl.col("t_nguonkhac") != 0), severity="W"),
    _formula("claims", "t_bhtt_gdv", "The fee-for-service total is not the sum of T_BHTT of lines with MA_PTTT = 1.", "T_BHTT_GDV không bằng tổng T_BHTT các dòng có MA_PTTT = 1.", when=~pl.col("armed_forces")),
)  # fmt: skip
