"""Rows of XML2 to XML5: what a simulated claim draws from, priced once for each benefit level."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hub.contract.events import Event
from hub.simulate.money import drug_amounts, service_amounts

_VARIANTS: Final = 40  # different lines of one kind, one benefit

# MA_THUOC, TEN_THUOC, DON_VI_TINH, HAM_LUONG, DUONG_DUNG, DANG_BAO_CHE, LIEU_DUNG, SO_DANG_KY, DON_GIA
DRUGS: Final = (
    ("40.807", "Metformin Stada", "viên", "850mg", "1.01", "viên nén bao phim", "1 viên * 2 lần * 14 ngày [2 viên/ngày]", "VD-26565-17", 1200),
    ("40.491", "Amlodipin DHG", "viên", "5mg", "1.01", "viên nén", "1 viên * 1 lần * 14 ngày [1 viên/ngày]", "VD-30105-18", 400),
    ("40.550", "Atorvastatin TV", "viên", "20mg", "1.01", "viên nén bao phim", "1 viên * 1 lần * 14 ngày [1 viên/ngày]", "VD-21312-14", 900),
    ("40.169", "Amoxicilin Mekophar", "viên", "500mg", "1.01", "viên nang", "1 viên * 3 lần * 7 ngày [3 viên/ngày]", "VD-28268-17", 1100),
    ("40.677", "Omeprazol Domesco", "viên", "20mg", "1.01", "viên nang", "1 viên * 1 lần * 14 ngày [1 viên/ngày]", "VD-29873-18", 700),
    ("40.48", "Paracetamol Imexpharm", "viên", "500mg", "1.01", "viên nén", "1 viên * 3 lần * 5 ngày [3 viên/ngày]", "VD-24086-16", 300),
    ("40.1026", "Natri clorid 0,9% B.Braun", "chai", "500ml", "2.15", "dung dịch tiêm truyền", "1 chai * 1 lần * 2 ngày [1 chai/ngày]", "VD-32457-19", 9500),
)  # fmt: skip
# MA_DICH_VU, TEN_DICH_VU, MA_NHOM, DON_VI_TINH, DON_GIA_BV, MA_MAY
SERVICES: Final = (
    ("02.1896", "Khám Nội", "13", "lần", 42_100, ""),
    ("23.0075.1494", "Định lượng Glucose [Máu]", "1", "lần", 22_400, "HS.1.AU480"),
    ("23.0083.1523", "Định lượng HbA1c [Máu]", "1", "lần", 105_300, "HS.2.D10"),
    ("23.0051.1494", "Định lượng Creatinin [Máu]", "1", "lần", 22_400, "HS.1.AU480"),
    ("23.0019.1493", "Đo hoạt độ ALT (GPT) [Máu]", "1", "lần", 22_400, "HS.1.AU480"),
    ("22.0121.1369", "Tổng phân tích tế bào máu ngoại vi", "1", "lần", 48_400, "HH.1.XN1000"),
    ("18.0119.0028", "Chụp X-quang ngực thẳng", "2", "lần", 68_300, "XQ.1.DR100"),
    ("02.0085.1778", "Điện tim thường", "3", "lần", 39_900, "ST.1.ECG12"),
)
# MA_VAT_TU, TEN_VAT_TU, DON_VI_TINH, DON_GIA_BV
SUPPLIES: Final = (
    ("N03.05.010.1", "Bơm tiêm nhựa 5 ml", "cái", 900),
    ("N03.02.070.2", "Kim luồn tĩnh mạch 22G", "cái", 3_600),
    ("N02.01.020.1", "Băng cuộn y tế", "cuộn", 2_100),
)
# MA_CHI_SO, TEN_CHI_SO, DON_VI_DO, LOINC, reference range, lowest and highest value in tenths, MA_DICH_VU
INDICES: Final = (
    ("2310001", "Glucose", "mmol/L", "14749-6", "3.9-6.4", 38, 180, "23.0075.1494"),
    ("2310002", "HbA1c", "%", "4548-4", "4.0-6.0", 48, 110, "23.0083.1523"),
    ("2310003", "Creatinin", "umol/L", "14682-9", "53-120", 500, 2400, "23.0051.1494"),
    ("2310004", "ALT (GPT)", "U/L", "1742-6", "<40", 100, 1200, "23.0019.1493"),
    ("2310005", "AST (GOT)", "U/L", "1920-8", "<40", 100, 1100, "23.0019.1493"),
    ("2210001", "WBC", "G/L", "6690-2", "4.0-10.0", 30, 180, "22.0121.1369"),
    ("2210002", "RBC", "T/L", "789-8", "3.9-5.4", 30, 60, "22.0121.1369"),
    ("2210003", "HGB", "g/L", "718-7", "120-160", 800, 1700, "22.0121.1369"),
    ("2210004", "HCT", "%", "4544-3", "36-46", 250, 500, "22.0121.1369"),
    ("2210005", "PLT", "G/L", "777-3", "150-400", 900, 4500, "22.0121.1369"),
    ("2310006", "Cholesterol toàn phần", "mmol/L", "14647-2", "3.9-5.2", 30, 80, "23.0075.1494"),
    ("2310007", "Triglycerid", "mmol/L", "14927-8", "0.46-1.88", 5, 60, "23.0075.1494"),
    ("2310008", "Ure", "mmol/L", "22664-7", "2.5-7.5", 20, 200, "23.0051.1494"),
    ("2310009", "Acid uric", "umol/L", "14933-6", "180-420", 1500, 6500, "23.0051.1494"),
)


# MA_DICH_VU, TEN_DICH_VU, DON_GIA_BV
BED: Final = ("K01.1917", "Giường nội khoa loại 2", 226_500)
# MA_VAT_TU, TEN_VAT_TU, DON_GIA_BV of what only faults claim
STENT: Final = ("N06.02.020.1", "Stent động mạch vành phủ thuốc", 31_500_001)
DEVICE: Final = ("N06.05.010.1", "Máy tạo nhịp hai buồng", 120_000_001)
DRUG_SPREAD: Final = 200
"""How far above that of DRUGS the price of a drug may be."""
TENDER, SUPPLY_TENDER = "1234/QĐ-SYT;G1;N2;2026", "1234/QĐ-SYT;G5;N1;2026"


@dataclass(frozen=True, slots=True)
class Pool:
    """Priced rows of one benefit level, made once; a claim copies some and puts its key on them.

    services: with supplies. tests: those of them that have results. results: by MA_DICH_VU. bed: one day in it.
    """

    drugs: tuple[Event, ...]
    services: tuple[Event, ...]
    tests: tuple[Event, ...]
    results: Mapping[str, tuple[Event, ...]]
    bed: Event
    notes: tuple[Event, ...]


def _drug(chance: random.Random, benefit: Decimal) -> Event:
    code, name, unit, strength, route, form, dose, registration, price = chance.choice(DRUGS)
    days, daily = (int(re.findall(pattern, dose)[0]) for pattern in (r"(\d+) ngày ", r"\[(\d+)"))
    ratio = Decimal(chance.choice((100, 100, 100, 50)))
    return {
        "ma_thuoc": code,
        "ma_nhom": "4" if ratio == 100 else "6",
        "ten_thuoc": name,
        "don_vi_tinh": unit,
        "ham_luong": strength,
        "duong_dung": route,
        "dang_bao_che": form,
        "lieu_dung": dose,
        "cach_dung": "Uống sau ăn",
        "so_dang_ky": registration,
        "tt_thau": TENDER,
        "pham_vi": "1",
        **drug_amounts(
            Decimal(min(chance.randint(1, 60), days * daily)),
            Decimal(price + chance.randint(0, DRUG_SPREAD // 5) * 5),
            ratio,
            benefit,
        ),
        "ma_khoa": "K01",
        "ma_bac_si": "000123/HNO-CCHN",
        "ma_dich_vu": "02.1896",
        "ngay_yl": "202611230815",
        "ngay_th_yl": "202611230930",
        "ma_pttt": chance.choice("122"),
        "nguon_ctra": "1",
        "vet_thuong_tp": "0",
    }


def _performed(chance: random.Random) -> Event:
    return {
        "pham_vi": "1",
        "ma_khoa": "K01",
        "ma_bac_si": "000123/HNO-CCHN",
        "nguoi_thuc_hien": "000456/HNO-CCHN",
        "ma_benh": "E11.9",
        "ngay_yl": "202611230815",
        "ngay_th_yl": "202611230830",
        "ngay_kq": "202611230915",
        "ma_pttt": chance.choice("122"),
        "vet_thuong_tp": "0",
        "tai_su_dung": "0",
    }


def _supply(chance: random.Random, benefit: Decimal) -> Event:
    code, name, unit, price = chance.choice(SUPPLIES)
    amount = Decimal(price)
    return {
        "ma_dich_vu": "",  # the service that used it, which the claim knows
        "ma_vat_tu": code,
        "ma_nhom": "10",
        "goi_vtyt": "G1",
        "ten_vat_tu": name,
        "ma_hieu_sp": "HSP-2026",
        "tt_thau": SUPPLY_TENDER,
        "don_vi_tinh": unit,
        **service_amounts(Decimal(chance.randint(1, 4)), amount, amount, Decimal(100), Decimal(100), benefit),
    }


def _service(chance: random.Random, benefit: Decimal) -> Event:
    common = _performed(chance)
    if chance.random() < 0.2:
        return _supply(chance, benefit) | common
    code, name, group, unit, price, machine = chance.choice(SERVICES)
    ratio = Decimal(chance.choice((100, 100, 100, 30))) if group == "13" else Decimal(100)
    asked = Decimal(price + chance.choice((0, 0, 10_000)))
    return {
        "ma_dich_vu": code,
        "ma_nhom": group,
        "ten_dich_vu": name,
        "don_vi_tinh": unit,
        **service_amounts(Decimal(1), asked, Decimal(price), ratio, Decimal(100), benefit),
        **common,
        **({"ma_may": machine} if machine else {}),
    }


def _results(chance: random.Random) -> dict[str, tuple[Event, ...]]:
    """Some of each index, by its service. An image has its conclusion."""
    found: dict[str, list[Event]] = {}
    told = {"ngay_kq": "202611230915", "ma_bs_doc_kq": "000789/HNO-CCHN"}
    for code, name, unit, _, _, low, high, service in INDICES:
        for _ in range(_VARIANTS // 10):
            value = {"gia_tri": tenths(chance.randint(low, high)), "don_vi_do": unit}
            row = {"ma_dich_vu": service, "ma_chi_so": code, "ten_chi_so": name, **value, **told}
            found.setdefault(service, []).append(row)
    for code, name, group, *_ in SERVICES:
        if group == "2":
            row = {"ma_dich_vu": code, "ten_chi_so": name, "ket_luan": "Không thấy bất thường", **told}
            found[code] = [row]
    return {service: tuple(rows) for service, rows in found.items()}


def _bed(chance: random.Random, benefit: Decimal) -> Event:
    code, name, priced = BED
    price = Decimal(priced)
    bed = {"ma_dich_vu": code, "ma_nhom": "15", "ten_dich_vu": name, "don_vi_tinh": "ngày"}
    return bed | service_amounts(Decimal(1), price, price, Decimal(100), Decimal(100), benefit) | _performed(chance)


def _note(chance: random.Random) -> Event:
    pulse, pressure = chance.randint(60, 100), chance.randint(100, 160)
    return {
        "dien_bien_ls": f"Tỉnh, tiếp xúc tốt. CSST<M{pulse}_T37_HA{pressure}/80_NT18>",
        "giai_doan_benh": "Ổn định",
        "thoi_diem_dbls": "202611230820",
        "nguoi_thuc_hien": "000123/HNO-CCHN",
    }


def pool(chance: random.Random, benefit: int) -> Pool:
    """benefit: MUC_HUONG in percent."""
    rate, many = Decimal(benefit), range(_VARIANTS)
    drugs, services = tuple(_drug(chance, rate) for _ in many), tuple(_service(chance, rate) for _ in many)
    tests = tuple(row for row in services if row["ma_nhom"] == "1")
    return Pool(drugs, services, tests, _results(chance), _bed(chance, rate), tuple(_note(chance) for _ in many))


def tenths(number: int) -> str:
    """A number of tenths as a decimal text."""
    return f"{number // 10}.{number % 10}"
