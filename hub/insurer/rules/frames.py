"""The frames that rules read, and what all families may use of them."""

from typing import Final

import polars as pl

from hub.insurer.columns import FRAMES, Decoded
from hub.insurer.rules.model import Frames, hundredths

_OF_CLAIM: Final = "claim_"


def frames(decoded: Decoded) -> Frames:
    """Lazy frames by name, of the claims that are not cancelled.

    All decimals are whole numbers (Int128): hundredths, of quantities and unit prices thousandths. claims has `day`, the
    day that dated rules and catalogues go by (yyyymmdd of NGAY_RA, else NGAYLAP), and `table`, `stt` as rows have them. The
    others have `line`, the place in their frame, and every text of their claim's XML1 as `claim_<element>`, with
    `claim_day`, `claim_ma_cskcb` (the facility of the envelope).
    """
    active = decoded.claims.lazy().filter(pl.col("action") != "CANCELLED")
    claims = active.with_columns(*_whole(decoded.claims), _day().alias("day"), pl.lit("XML1").alias("table")).drop("stt")
    claims = claims.with_columns(pl.lit(None, dtype=pl.Int64).alias("stt"))
    texts = [name for name, kind in decoded.claims.schema.items() if kind == pl.String]
    context = claims.select("row", pl.col(*texts, "day").name.prefix(_OF_CLAIM))
    made = {"claims": claims}
    for name in FRAMES:
        held: pl.DataFrame = getattr(decoded, name)
        rows = (
            held.lazy()
            .with_row_index("line")
            .with_columns(
                *_whole(held),
                pl.col("stt").cast(pl.Int64) if "stt" in held.columns else pl.lit(None, dtype=pl.Int64).alias("stt"),
            )
        )
        made[name] = rows.join(context, on="row", how="inner", maintain_order="left")
    return made


def _whole(frame: pl.DataFrame) -> list[pl.Expr]:
    return [hundredths(name) for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal)]


def _day() -> pl.Expr:
    left = pl.col("ngay_ra").str.slice(0, 8)
    return pl.when(left.str.len_chars() == 8).then(left).otherwise(pl.col("ngaylap"))
