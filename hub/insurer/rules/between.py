"""Rules between the elements of a claim, its notes and papers (adjudication.md §4.3): X01, X03, X08 to X10, X16.

Times are compared as the texts that they are, yyyymmddHHMM, and only where both have twelve characters: anything else is for
the rules about single elements. What a paper repeats is compared only where both sides say something.
"""

from typing import Final

import polars as pl

from hub.insurer.rules.model import Frames, Rule, blank

SOURCE: Final = "adjudication.md §4.3; xml-tables.csv"
MOMENT: Final = "%Y%m%d%H%M"

_REFERRED: Final = ("2", "5")
"""MA_LOAI_RV of those who were sent on to another facility."""
_SELF_REFERRED: Final = ("1.11", "1.12", "1.13", "1.14", "1.15", "1.18", "3.1", "3.2", "3.3")
"""MA_DOITUONG_KCB of those who came of their own accord."""
_FORMS_OF_CARD: Final = (10, 15)  # of one person both end in the ten digits of the social-insurance number
_PERSONAL_DIGITS: Final = 10


def earlier(first: str, second: str) -> pl.Expr:
    """Whether one time is before another; false where either is no time."""
    one, other = pl.col(first), pl.col(second)
    return (one.str.len_bytes() == 12) & (other.str.len_bytes() == 12) & (one < other)


def outside_stay(name: str) -> pl.Expr:
    """Whether the time of a row is before the patient came or after the end of the visit."""
    return earlier(name, "claim_ngay_vao") | earlier("claim_ngay_ra", name)


def prepare(frames: Frames) -> Frames:
    """claims: `slip`, whether there is a row of XML13."""
    slips = frames["papers"].filter(pl.col("table") == "XML13").select("row", pl.lit(True).alias("slip")).unique()
    claims = frames["claims"].join(slips, on="row", how="left", maintain_order="left")
    return frames | {"claims": claims.with_columns(pl.col("slip").fill_null(False))}


# --- claims -----------------------------------------------------------------------------------------------------------


def _longer_than_a_day() -> pl.Expr:
    came, left = pl.col("ngay_vao"), pl.col("ngay_ra")
    another_day = (pl.col("ma_loai_kcb") == "01") & earlier("ngay_vao", "ngay_ra") & (came.str.head(8) != left.str.head(8))
    came, left = (pl.when(another_day).then(time).str.to_datetime(MOMENT, strict=False) for time in (came, left))
    return left - came > pl.duration(days=1)


def _registered_elsewhere() -> pl.Expr:
    elsewhere = (pl.col("ma_doituong_kcb") == "1.1") & ~blank("ma_dkbd") & (pl.col("ma_dkbd") != pl.col("ma_cskcb"))
    return ~pl.when(elsewhere).then(pl.col("ma_dkbd")).str.contains(pl.col("ma_cskcb"), literal=True)


# --- papers -----------------------------------------------------------------------------------------------------------


def _differs(name: str, of_claim: str = "") -> pl.Expr:
    own, other = pl.col(name), pl.col(f"claim_{of_claim or name}")
    return (own != "") & (other != "") & (own != other)


def _folded(name: pl.Expr) -> pl.Expr:
    """A name as identifiers.md §11 compares names: without marks, case, points, and the age that some systems append."""
    plain = name.str.to_lowercase().str.replace(r"\s\d{1,2}(th|nt)$", "").str.normalize("NFD")
    plain = plain.str.replace_all(r"[\p{Mn}.'-]", "").str.replace_all("[đðɖ]", "d")
    return plain.str.replace_all(r"\s+", " ").str.strip_chars()


def _other_name() -> pl.Expr:
    differs = _differs("ho_ten")  # the others are not folded at all
    return _folded(pl.when(differs).then(pl.col("ho_ten"))) != _folded(pl.when(differs).then(pl.col("claim_ho_ten")))


def _other_card() -> pl.Expr:
    """Cards of one shape must be the same; those of 15 and 10 characters in the number of the person."""
    own, of_claim = (
        pl.when(_differs("ma_the_bhyt")).then(pl.col(name)).str.to_uppercase().str.replace_all(" ", "")
        for name in ("ma_the_bhyt", "claim_ma_the_bhyt")
    )
    personal = pl.all_horizontal(card.str.len_chars().is_in(_FORMS_OF_CARD) for card in (own, of_claim))
    same_shape = own.str.len_chars() == of_claim.str.len_chars()
    tails = own.str.tail(_PERSONAL_DIGITS) != of_claim.str.tail(_PERSONAL_DIGITS)
    return pl.when(personal).then(tails).otherwise(same_shape & (own != of_claim))


def _other_birthday() -> pl.Expr:
    return _differs("ngay_sinh") & (pl.col("ngay_sinh").str.head(8) != pl.col("claim_ngay_sinh").str.head(8))


def _of_this_stay(name: str) -> pl.Expr:
    """Differs, in a paper whose times are this stay's. A slip that names earlier facilities may list their times too."""
    earlier_stays = (pl.col("table") == "XML13") & (~blank("ma_cskcb_di") | pl.col(name).str.contains(";", literal=True))
    return _differs(name) & ~earlier_stays


# --- the table --------------------------------------------------------------------------------------------------------


def _rule(rule: str, severity: str, about: str, field: str, fails: pl.Expr, en: str, vi: str) -> Rule:
    return Rule(rule, severity, about, field, fails, en, vi, source=SOURCE)


_SENT_ON = pl.col("ma_loai_rv").is_in(_REFERRED)
_CATEGORY = pl.col("ma_doituong_kcb")

RULES: Final[tuple[Rule, ...]] = (
    _rule("X01", "E", "claims", "ngay_ra", earlier("ngay_ra", "ngay_vao"), "The visit ends before it begins.", "Ngày ra trước ngày vào."),
    _rule("X01", "E", "claims", "ngay_vao_noi_tru", earlier("ngay_vao_noi_tru", "ngay_vao") | earlier("ngay_ra", "ngay_vao_noi_tru"), "The admission to the ward is not between the beginning and the end of the visit.", "Ngày vào nội trú không nằm giữa ngày vào và ngày ra."),
    _rule("X03", "W", "notes", "thoi_diem_dbls", outside_stay("thoi_diem_dbls"), "The note was written outside the stay.", "Thời điểm diễn biến lâm sàng nằm ngoài đợt điều trị."),
    # X08: a paper about somebody else spoils the record; other times of the stay, and rows of another encounter, are told
    _rule("X08", "E", "papers", "ma_cskcb", _differs("ma_cskcb"), "The paper is of another facility than the claim.", "Giấy của cơ sở khác với hồ sơ."),
    _rule("X08", "E", "papers", "ho_ten", _other_name(), "The paper names another person than XML1.", "Họ tên trên giấy khác XML1."),
    _rule("X08", "E", "papers", "ngay_sinh", _other_birthday(), "The paper has another date of birth than XML1.", "Ngày sinh trên giấy khác XML1."),
    _rule("X08", "E", "papers", "gioi_tinh", _differs("gioi_tinh"), "The paper has another sex than XML1.", "Giới tính trên giấy khác XML1."),
    _rule("X08", "E", "papers", "ma_the_bhyt", _other_card(), "The paper has another card than XML1.", "Mã thẻ BHYT trên giấy khác XML1."),
    _rule("X08", "W", "papers", "ngay_vao", _of_this_stay("ngay_vao"), "The paper has another beginning of the visit than XML1.", "Ngày vào trên giấy khác XML1."),
    _rule("X08", "W", "papers", "ngay_vao_noi_tru", _of_this_stay("ngay_vao_noi_tru"), "The paper has another admission to the ward than XML1.", "Ngày vào nội trú trên giấy khác XML1."),
    _rule("X08", "W", "papers", "ngay_ra", _of_this_stay("ngay_ra"), "The paper has another end of the visit than XML1.", "Ngày ra trên giấy khác XML1."),
    *(_rule("X08", "W", about, "ma_lk", _differs("ma_lk"), "The row bears another MA_LK than XML1; it was counted as one of this claim.", "MA_LK của dòng khác XML1; dòng vẫn được tính vào hồ sơ này.") for about in ("lines", "notes", "papers")),
    _rule("X09", "E", "claims", "ma_noi_den", _SENT_ON & blank("ma_noi_den"), "The patient was referred, but not where to.", "Người bệnh chuyển cơ sở nhưng thiếu mã nơi đến."),
    _rule("X09", "E", "claims", "ma_loai_rv", _SENT_ON & ~pl.col("slip"), "The patient was referred, but the slip (XML13) is missing.", "Người bệnh chuyển cơ sở nhưng thiếu giấy chuyển (XML13)."),
    _rule("X09", "W", "claims", "ma_noi_den", ~_SENT_ON & ~blank("ma_noi_den"), "A facility to go to is named, but the patient was not referred.", "Có mã nơi đến nhưng người bệnh không chuyển cơ sở."),
    _rule("X09", "W", "claims", "ma_loai_rv", ~_SENT_ON & pl.col("slip"), "There is a referral slip (XML13), but the patient was not referred.", "Có giấy chuyển (XML13) nhưng người bệnh không chuyển cơ sở."),
    _rule("X09", "W", "papers", "ma_cskcb_den", _differs("ma_cskcb_den", "ma_noi_den"), "The referral slip is for another facility than MA_NOI_DEN of XML1.", "Giấy chuyển ghi nơi đến khác MA_NOI_DEN của XML1."),
    # X10: a follow-up slip is often the facility's own: a fifth of the visits of §8 name no facility, so that is only told
    _rule("X10", "E", "claims", "ma_noi_di", (_CATEGORY == "1.3") & blank("ma_noi_di"), "The patient came with a referral slip, but from where is missing.", "Người bệnh có phiếu chuyển nhưng thiếu mã nơi đi."),
    _rule("X10", "W", "claims", "ma_noi_di", (_CATEGORY == "1.5") & blank("ma_noi_di"), "The patient came with a follow-up slip, but of which facility is missing.", "Người bệnh có phiếu hẹn nhưng thiếu mã cơ sở hẹn."),
    _rule("X10", "W", "claims", "ma_noi_di", _CATEGORY.is_in(_SELF_REFERRED) & ~blank("ma_noi_di"), "A referring facility is named, but the patient came of their own accord.", "Có mã nơi đi nhưng người bệnh tự đến."),
    _rule("X10", "E", "claims", "ma_dkbd", _registered_elsewhere(), "The category is that of the facility of registration, but the card names another one.", "Đối tượng là đúng nơi đăng ký ban đầu nhưng thẻ đăng ký ở cơ sở khác."),
    _rule("X16", "W", "claims", "ngay_ra", _longer_than_a_day(), "An examination of outpatients lasted longer than a day.", "Lượt khám ngoại trú kéo dài hơn một ngày."),
)  # fmt: skip
