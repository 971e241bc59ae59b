"""A stay at a hospital that does not bill by itself, as its systems tell it, part by part."""

from decimal import Decimal
from typing import Any

from hub.contract.events import Event
from tests.hub.routing.story import said

HOSPITAL, MA_LK = "01918", "PQ-1"
DRUG, ECHO, GLUCOSE, NEEDLE = "40.170", "03.0063.0074", "23.0075.1494", "N03.05.060"

_PERSON = {
    "ho_ten": "Người Thử",
    "ngay_sinh": "197001010000",
    "gioi_tinh": "1",
    "identifiers": [
        {"type": "MRN", "value": "PQ08812", "normalised": "PQ08812", "issuer": "VN-CSKCB-01918"},
        {"type": "SDDCN", "value": "001070000001", "normalised": "001070000001"},
    ],
}
_CARD = {"type": "BHYT_CARD", "value": "HT2010160008812", "normalised": "HT2010160008812", "valid_to": "20261231"}
_INSURED = _PERSON | {"identifiers": [*_PERSON["identifiers"], _CARD]}


def _of_stay(record: str, key: str, content: Event, minute: int, **meta: Any) -> tuple[str, Event]:
    at_home = {"ma_cskcb": HOSPITAL, "ma_lk": MA_LK, "person": _PERSON}
    return record, said(record, HOSPITAL, key, at_home | content, minute=minute, **meta)


def encounter(action: str, minute: int, **content: Any) -> tuple[str, Event]:
    return _of_stay("hie.Encounter", MA_LK, {"action": action} | content, minute)


def admitted(minute: int = 0, **content: Any) -> tuple[str, Event]:
    about = {"person": _INSURED, "ngay_vao": "202611200800", "ma_khoa": "K01", "ma_loai_kcb": "03", "muc_huong": Decimal("80.00")}
    ill = {"diagnoses": [{"ma_benh": "R10", "chan_doan": "Đau bụng", "type": "A"}], "ly_do_vv": "Đau bụng"}
    return encounter("OPENED", minute, **(about | ill | content))


def discharged(minute: int = 600, **content: Any) -> tuple[str, Event]:
    about = {"ngay_ra": "202611231000", "ma_khoa": "K02", "ma_loai_rv": "1", "ket_qua_dtri": "1"}
    main = {"ma_benh": "K80.2", "chan_doan": "Sỏi túi mật", "type": "F", "main": True}
    other = {"ma_benh": "I10", "chan_doan": "Tăng huyết áp", "type": "F"}
    return encounter("CLOSED", minute, **(about | {"diagnoses": [main, other]} | content))


def charged(*lines: Event, minute: int) -> tuple[str, Event]:
    return _of_stay("hie.Charge", MA_LK, {"action": "POSTED", "lines": list(lines)}, minute)


def line(line_id: str, quantity: str = "1", price: str = "1000", **more: Any) -> Event:
    amounts = {
        "so_luong": Decimal(f"{quantity}.000"),
        "don_gia_bv": Decimal(f"{price}.000"),
        "don_gia_bh": Decimal(f"{price}.000"),
    }
    scope = {"tyle_tt_bh": Decimal("100.00"), "pham_vi": "1", "ma_pttt": "1"}
    return {"line_id": line_id, "kind": "CHARGE", "code": {}} | amounts | scope | more


def drug(line_id: str = "L1", quantity: str = "10", price: str = "1501", **more: Any) -> Event:
    about = {"table": "XML2", "ma_thuoc": DRUG, "ma_nhom": "4", "ngay_th_yl": "202611201200"}
    return line(line_id, quantity, price, **(about | more))


def service(line_id: str = "L2", code: str = ECHO, price: str = "49300", **more: Any) -> Event:
    about = {"table": "XML3", "ma_dich_vu": code, "ma_nhom": "2", "tyle_tt_dv": Decimal("100.00"), "ngay_th_yl": "202611210900"}
    return line(line_id, "1", price, **(about | more))


def supply(line_id: str = "L3", **more: Any) -> Event:
    about = {"table": "XML3", "ma_vat_tu": NEEDLE, "ma_dich_vu": ECHO, "ma_nhom": "10", "ngay_th_yl": "202611210900"}
    return line(line_id, "2", "4500", **(about | more))


def credit(of: str, quantity: str, line_id: str = "L9") -> Event:
    taken = {"so_luong": Decimal(f"-{quantity}.000"), "table": "XML2"}
    return {"line_id": line_id, "kind": "CREDIT", "code": {}, "cancels": of} | taken


def ordered(number: str = "CD-1", minute: int = 5, **content: Any) -> tuple[str, Event]:
    about = {"action": "PLACED", "placer": number, "ordered_at": "202611210730", "ma_bac_si": "0001", "performer": HOSPITAL}
    ill = {"diagnoses": [{"ma_benh": "K80.2"}], "services": [{"code": GLUCOSE, "system": "VN-DVKT"}]}
    return _of_stay("hie.LabOrder", number, about | ill | content, minute)


def reported(number: str = "CD-1", minute: int = 30, value: str = "5.4", status: str = "F", **content: Any) -> tuple[str, Event]:
    code = {"code": "1000101", "display": "Glucose", "system": "QD1227"}
    seen = {"code": code, "gia_tri": value, "don_vi_do": "mmol/L", "status": status, "ma_may": "XN.1.77"}
    about = {"status": status, "placer": number, "filler": "F-1", "service": {"code": "GLU", "system": "L"}, "ma_lk": ""}
    times = {"reported_at": "20261121081500", "ma_bs_doc_kq": "0002", "observations": [seen]}
    return _of_stay("hie.LabResult", number, about | times | content, minute)


def prescribed(code: str = "D-1", minute: int = 6, **content: Any) -> tuple[str, Event]:
    one = {"line_id": "TH-1", "code": {}, "ma_thuoc": DRUG, "ham_luong": "5 mg", "duong_dung": "1.01", "don_vi_tinh": "Viên"}
    about = {"action": "ISSUED", "ma_don_thuoc": code, "ma_bac_si": "0001", "ngay_yl": "202611201130", "lines": [one]}
    return _of_stay("hie.Prescription", code, about | content, minute)


def noted(number: str = "N-1", minute: int = 40, **content: Any) -> tuple[str, Event]:
    about = {"action": "PUBLISHED", "document": number, "code": {"code": "PN"}, "text": "Đỡ đau", "activity_at": "202611210700"}
    return _of_stay("hie.Document", number, about | {"ma_bac_si": "0001"} | content, minute)


def booked(slip: str = "HK-1", minute: int = 50, **content: Any) -> tuple[str, Event]:
    row = {"so_giayhen_kl": slip, "ngay_hen_kl": "20261207"}
    return _of_stay("hie.FollowUp", slip, {"action": "BOOKED", "slip": slip, "xml14": row} | content, minute)


STAY = [
    admitted(),
    ordered(),
    prescribed(),
    charged(drug(), service(ma_bac_si="0007"), minute=20),
    reported(),
    noted(),
    charged(supply(), service("L4", GLUCOSE, "21500", placer="CD-1"), minute=45),
    booked(),
    charged(credit("L1", "4"), minute=60),
    discharged(),
]
LATE = charged(drug("L5", "1", "20000", ma_thuoc="40.30"), minute=700)
