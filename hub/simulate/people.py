"""Persons and illnesses that do not exist, or not of these persons."""

import random
from typing import Final

from hub.contract.events import Event

FAMILIES: Final = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi", "Đỗ", "Ngô")
MIDDLES: Final = ("Văn", "Thị", "Đức", "Minh", "Thu", "Quốc", "Ngọc", "Hữu")
GIVEN: Final = ("An", "Bình", "Châu", "Dũng", "Hạnh", "Khôi", "Lan", "Nga", "Phúc", "Quỳnh", "Sơn", "Tuấn", "Uyên", "Yến")
ILLNESSES: Final = (
    ("E11.9", "Đái tháo đường type 2, không có biến chứng", "I10;E78.2"),
    ("I10", "Tăng huyết áp vô căn (nguyên phát)", "E78.5"),
    ("J20.9", "Viêm phế quản cấp", "J30.4"),
    ("K29.7", "Viêm dạ dày", "K21.9"),
    ("N18.3", "Bệnh thận mạn, giai đoạn 3", "I10;E11.2;D63.8"),
)


def summary(chance: random.Random, number: int, facility: str, group: str) -> Event:
    """XML1 without its money: one examination of an outpatient on 23/11/2026."""
    illness, text, others = chance.choice(ILLNESSES)
    person = f"{number % 10**9:09d}"
    return {
        "stt": 1,
        "ma_bn": f"BN{person}",
        "ho_ten": f"{chance.choice(FAMILIES)} {chance.choice(MIDDLES)} {chance.choice(GIVEN)}",
        "so_cccd": f"001{person}",
        "ngay_sinh": f"{chance.randint(1940, 2008)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}0000",
        "gioi_tinh": chance.choice("12"),
        "nhom_mau": "O+",
        "ma_quoctich": "000",
        "ma_dantoc": "01",
        "ma_nghe_nghiep": "00000",
        "dia_chi": f"Số {chance.randint(1, 200)}, thôn Đông",
        "matinh_cu_tru": "01",
        "mahuyen_cu_tru": "009",
        "maxa_cu_tru": "00352",
        "dien_thoai": f"09{person[:8]}",
        "ma_the_bhyt": f"{group}01{int(person):010d}",
        "ma_dkbd": facility,
        "gt_the_tu": "20260101",
        "gt_the_den": "20261231",
        "ly_do_vv": "Khám định kỳ",
        "chan_doan_vao": text,
        "chan_doan_rv": text,
        "ma_benh_chinh": illness,
        "ma_benh_kt": others,
        "ma_doituong_kcb": "1.1",
        "ma_tai_nan": "0",
        "ngay_vao": "202611230805",
        "ngay_ra": "202611231030",
        "so_ngay_dtri": 0,
        "pp_dieu_tri": "Nội khoa",
        "ket_qua_dtri": "2",
        "ma_loai_rv": "1",
        "ghi_chu": "Tái khám sau 2 tuần",
        "ngay_ttoan": "202611231035",
        "nam_qt": 2026,
        "thang_qt": 11,
        "ma_loai_kcb": "01",
        "ma_khoa": "K01",
        "ma_cskcb": facility,
        "can_nang": str(chance.randint(40, 90)),
        "nam_nam_lien_tuc": "20300101",
        "ngay_tai_kham": "20261207",
        "ma_hsba": f"HS{person}",
        "ma_ttdv": "0101234567",
    }
