"""Claims with a discharge paper and a treatment summary that nothing is wrong with, for tests to spoil one thing at a time."""

from datetime import timedelta
from decimal import Decimal

from hub.contract.events import Event, Origin, sparse, stamp
from hub.routing.summaries import taken_back, to_portal
from tests.made import AT, KEYRING, unique
from tests.slips import CARD, CITIZEN, DISTRICT

_STAY = {"ngay_vao": "202606200730", "ngay_ra": "202606231040"}
_SUMMARY = _STAY | {
    "ma_bn": "BN4521",
    "ho_ten": "TRẦN THỊ MAI",
    "ngay_sinh": "198007200000",
    "gioi_tinh": "2",
    "so_cccd": CITIZEN,
    "ma_the_bhyt": CARD,
    "gt_the_den": "20281231",
    "dia_chi": "45 đường Bờ Sông",
    "ma_benh_chinh": "E11.9",
    "ma_benh_kt": "I10",
    "ma_loai_kcb": "03",
    "ma_cskcb": DISTRICT,
    "t_tongchi_bv": Decimal("1250000.5"),
}
_DISCHARGE = _STAY | {
    "so_luu_tru": "LT-112",
    "ma_yte": "01021.26.112",
    "ma_khoa_rv": "K03",
    "chan_doan_rv": "Đái tháo đường típ 2",
    "pp_dieutri": "Điều chỉnh insulin",
    "ma_ttdv": "000007/HNO-CCHN",
    "ma_bs": "000123/HNO-CCHN",
    "ten_bs": "Phạm Thị Hòa",
    "ngay_ct": "20260623",
    "so_ngay_nghi": 3,
    "du_phong": "MIIB…",
}
_TREATMENT = _STAY | {
    "ma_loai_kcb": "03",
    "chan_doan_vao": "Tăng đường huyết",
    "chan_doan_rv": "Đái tháo đường típ 2",
    "qt_benhly": "Đái tháo đường 6 năm",
    "pp_dieutri": "Điều chỉnh insulin",
    "ket_qua_dtri": "2",
    "ma_ttdv": "000007/HNO-CCHN",
    "ngay_ct": "20260623",
    "du_phong": "MIIB…",
}


def claim(
    ma_lk: str = "",
    *,
    action: str = "SUBMITTED",
    stated_at: str = "20260623160000",
    label: str = "",
    signature: str = "",
    xml1: Event | None = None,
    xml7: Event | None = None,
    xml8: Event | None = None,
    **content: object,
) -> Event:
    """A claim as the gate takes it; each of xml1, xml7 and xml8 changes elements of its table."""
    ma_lk = ma_lk or unique("LK-")
    tables = {
        "xml1": _SUMMARY | {"ma_lk": ma_lk} | (xml1 or {}),
        "xml3": [{"ma_lk": ma_lk, "stt": 1, "ten_dich_vu": "Khám Nội"}],
        "xml7": [_DISCHARGE | {"ma_lk": ma_lk} | (xml7 or {})],
        "xml8": [_TREATMENT | {"ma_lk": ma_lk} | (xml8 or {})],
    }
    made = {"action": action, "ma_cskcb": DISTRICT, "ma_lk": ma_lk, "ngaylap": stated_at[:8]} | tables | content
    source = {"sender": "minhkhai"} | ({"signature": signature} if signature else {})
    origin = Origin(unique("m-"), AT + timedelta(days=113), source, stated_at=stated_at)
    more = {"sensitivity": label} if label else {}
    return stamp("hie.Claim", sparse(made), facility=DISTRICT, business_key=ma_lk, origin=origin, keyring=KEYRING, **more)


def papers(ma_lk: str = "", **changed: object) -> Event:
    """What routing gives the portal of such a claim."""
    event = claim(ma_lk, **changed)  # type: ignore[arg-type]
    if event["action"] == "CANCELLED":
        return taken_back(event)
    [given] = to_portal(event, event, [])
    part: Event = given.part  # type: ignore[union-attr]
    return part
