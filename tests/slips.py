"""Slips that nothing is wrong with, for tests to spoil one thing at a time: invented people, official rows."""

from datetime import timedelta
from typing import Any

from hub.contract.events import Event, Origin, sparse, stamp
from tests.made import AT, KEYRING, unique

DISTRICT, PROVINCE = "01021", "01004"
CITIZEN, CARD = "001180004321", "GD4010118004321"


def _person() -> Event:
    identifiers = [
        {"value": CITIZEN, "normalised": CITIZEN, "type": "SDDCN", "issuer": "BCA"},
        {"value": CARD, "normalised": CARD, "type": "BHYT_CARD", "issuer": "VSS"},
        {"value": CARD[-10:], "normalised": CARD[-10:], "type": "BHXH_NUMBER", "issuer": "VSS"},
    ]
    return {"ho_ten": "TRẦN THỊ MAI", "ngay_sinh": "19800720", "gioi_tinh": "2", "identifiers": identifiers}


_WHOSE = {
    "ma_cskcb": DISTRICT,
    "ma_lk": "LK-1",
    "ho_ten": "TRẦN THỊ MAI",
    "ngay_sinh": "198007200000",
    "gioi_tinh": "2",
    "ma_the_bhyt": CARD,
    "gt_the_den": "20281231",
    "ngay_vao": "202606200730",
    "ngay_ra": "202606231040",
    "chan_doan_rv": "Đái tháo đường típ 2",
    "ma_benh_chinh": "E11.9",
    "ma_benh_kt": "I10",
    "ma_bac_si": "000123/HNO-CCHN",
    "ma_ttdv": "000007/HNO-CCHN",
    "du_phong": "MIIB…",
}


def xml13(slip: str, **changed: str) -> Event:
    return sparse(
        _WHOSE
        | {
            "so_hoso": "HS-7",
            "so_chuyentuyen": "SCT-7",
            "giay_chuyen_tuyen": slip,
            "ma_cskcb_den": PROVINCE,
            "dau_hieu_ls": "Mệt, khát nhiều",
            "qt_benhly": "Đái tháo đường 6 năm",
            "tinh_trang_ct": "Tỉnh",
            "ma_loai_rv": "2",
            "ma_lydo_ct": "2",
            "huong_dieu_tri": "Điều chỉnh insulin",
            "phuongtien_vc": "Tự túc",
        }
        | changed
    )


def xml14(slip: str, **changed: str) -> Event:
    return sparse(_WHOSE | {"so_giayhen_kl": slip, "ngay_hen_kl": "20260707", "ngay_ct": "20260623"} | changed)


def _stamped(record: str, content: dict[str, Any], stated_at: str, **more: Any) -> Event:
    origin = Origin(unique("m-"), AT + timedelta(days=113), {"sender": "minhkhai"}, stated_at=stated_at)
    return stamp(
        record, content, facility=content["ma_cskcb"], business_key=content["slip"], origin=origin, keyring=KEYRING, **more
    )


def referral(
    slip: str = "",
    *,
    action: str = "ISSUED",
    stated_at: str = "20260623104000",
    label: str = "",
    person: Event | None = None,
    **changed: str,
) -> Event:
    """A referral.  changed: elements of XML13."""
    slip = slip or unique("GCT-")
    content = {
        "action": action,
        "slip": slip,
        "ma_cskcb": DISTRICT,
        "ma_cskcb_den": PROVINCE,
        "person": person or _person(),
        "issued_on": stated_at[:8],
        "ma_lk": "LK-1",
        "xml13": xml13(slip, **changed),
    }
    return _stamped("hie.Referral", content, stated_at, **({"sensitivity": label} if label else {}))


def follow_up(slip: str = "", *, action: str = "BOOKED", stated_at: str = "20260623104000", **changed: str) -> Event:
    """A follow-up slip.  changed: elements of XML14."""
    slip = slip or unique("HK-")
    content = {
        "action": action,
        "slip": slip,
        "ma_cskcb": DISTRICT,
        "person": _person(),
        "ma_lk": "LK-1",
        "ngay_hen_kl": "20260707",
        "ma_bac_si": "000123/HNO-CCHN",
        "xml14": xml14(slip, **changed),
    }
    return _stamped("hie.FollowUp", content, stated_at)
