"""A ledger of two facilities and two months whose every sum is known. One rule of its own cuts drugs named `CUT`."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from hub.contract.events import Event, Origin, stamp
from hub.insurer.ledger import Ledger
from hub.insurer.rules import money
from hub.insurer.rules.model import Rule
from hub.simulate import KEYRING, RECEIVED_AT
from tests.hub.insurer.made import batch, claim_of, line

TOPIC_ID = "topic-a"
CUTS = Rule(
    "C99", "C", "lines", "thanh_tien_bh", pl.col("ma_thuoc") == "CUT", "Not paid.", "Không thanh toán.", reduction="t_bhtt"
)
RULES = (*money.RULES, CUTS)

# A drug line of 10,000 VND at 80 %: fund 8,000, co-payment 2,000. A service line of 20,000: fund 16,000, co-payment 4,000.
DRUG = line("xml2", ma_thuoc="40.1", ten_thuoc="Thuốc A", don_vi_tinh="viên")
CUT = line("xml2", ma_thuoc="CUT", ten_thuoc="Thuốc B", don_vi_tinh="viên", stt=2)
SERVICE = line("xml3", so_luong=Decimal("20.000"), stt=1)


def stated(ma_lk: str, drugs: list[dict[str, Any]], facility: str = "01021", version: int = 0, **summary: Any) -> Event:
    """A claim event of some lines; what is given is the summary's."""
    action, dialect = summary.pop("action", "SUBMITTED"), summary.pop("dialect", "_standard")
    made = claim_of(drugs, [SERVICE], **{"ma_dkbd": facility, "ma_cskcb": facility, "ma_lk": ma_lk, **summary})
    content = {name: value for name, value in made.items() if name not in ("meta", "xml4", "xml5") and value != []}
    content |= {"action": action, "ma_cskcb": facility, "ma_lk": ma_lk}
    origin = Origin(
        f"message {ma_lk} {version}", RECEIVED_AT, {"sender": "x", "dialect": dialect}, stated_at="20261123", version=version
    )
    return stamp("hie.Claim", content, facility=facility, business_key=ma_lk, origin=origin, keyring=KEYRING)


def events() -> list[Event]:
    """Of 01021 in November: one paid, one cut, one corrected (only its second revision counts), one cancelled, one rejected and an
    inpatient one; in December one. Of 01004 in November: one paid."""
    an, binh = {"so_cccd": "001085000001"}, {"so_cccd": "", "ma_the_bhyt": "GD4010000000002"}
    return [
        stated("paid", [DRUG], ma_benh_chinh="E11.9", **an),
        stated("cut", [DRUG, CUT], ma_benh_chinh="E11.2", **an),
        stated("corrected", [DRUG, DRUG | {"stt": 2}], version=1, ma_benh_chinh="I10", **binh),
        stated("corrected", [DRUG], version=2, ma_benh_chinh="I10", **binh),
        stated("cancelled", [DRUG], version=1, **an),
        stated("cancelled", [], version=2, action="CANCELLED", **an),
        stated("rejected", [DRUG], dialect="songhong_his", t_tongchi_bv=Decimal("31000.00"), ma_benh_chinh="I10", ma_dkbd="01004", **an),
        stated("inpatient", [], ma_loai_kcb="03", so_ngay_dtri=4, ma_dkbd="79001", ma_benh_chinh="J20.9", **binh),
        stated("december", [DRUG], ngay_vao="202612020805", ngay_ra="202612021030", ma_benh_chinh="E11.9", **an),
        stated("elsewhere", [DRUG], facility="01004", ma_benh_chinh="I10", **an),
    ]  # fmt: skip


def adjust(folder: Path, *rows: tuple[Any, ...]) -> None:
    """Add adjustments to the ledger: rule, event id, VND, and the adjustment that it takes back, if any. S01 is of severity I."""
    texts = [(f"{rule} vi", f"{rule} en") if not back else ("Rút lại", "Taken back") for rule, _, _, *back in rows]
    pl.DataFrame(
        [("I" if row[0] == "S01" else "C", *row[:3], *(row[3:] or ("",)), *text) for row, text in zip(rows, texts, strict=True)],
        schema={
            **dict.fromkeys(("severity", "rule", "event_id"), pl.String),
            "reduction": pl.Decimal(18, 2),
            **dict.fromkeys(("reverses", "text_vi", "text_en"), pl.String),
        },
        orient="row",
    ).write_delta(folder / "adjustments")


def small_ledger(folder: Path) -> list[Event]:
    """Write the ledger; one partition, in the order of the events, which are returned."""
    made = events()
    rows = batch(made, [(0, offset) for offset in range(len(made))], TOPIC_ID, RULES)
    Ledger(folder, TOPIC_ID).append(rows, {0: len(made)})
    return made
