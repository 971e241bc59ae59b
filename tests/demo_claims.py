"""Writes the claims of `seeds/demo/`: `python -m tests.demo_claims`. The people in them are invented.

Prices and quantities stand here; every amount follows from them by the rules of adjudication.md §3.
"""

import copy
from decimal import Decimal
from typing import Any, Final, NamedTuple

from adapters.dialects.claim_segments import ehc_segments
from adapters.dialects.claims import official
from adapters.formats import claim_xml
from adapters.formats.hl7v2 import build
from hub import simulate
from hub.contract.claim_tables import tables
from hub.contract.events import Event
from hub.contract.places import shipped

DAY: Final = "20261123"


class Times(NamedTuple):
    """yyyymmddHHMM of what happens in a visit."""

    came: str
    ordered: str
    done: str
    resulted: str
    prescribed: str
    out: str


# ma_thuoc, ten_thuoc, don_vi_tinh, ham_luong, duong_dung, dang_bao_che, lieu_dung, so_dang_ky, số lượng, đơn giá, tyle_tt_bh
DRUGS: Final = {
    "metformin": ("40.807", "Metformin Stada 850mg", "viên", "850mg", "1.01", "viên nén bao phim", "1 viên * 2 lần * 14 ngày [2 viên/ngày]", "VD-26565-17", 28, 1_250, 100),
    "amlodipin": ("40.491", "Amlodipin 5mg", "viên", "5mg", "1.01", "viên nén", "1 viên * 1 lần * 14 ngày [1 viên/ngày]", "VD-30105-18", 14, 415, 100),
    "atorvastatin": ("40.549", "Atorvastatin 20mg", "viên", "20mg", "1.01", "viên nén bao phim", "1 viên * 1 lần * 14 ngày [1 viên/ngày]", "VD-21312-14", 14, 945, 100),
    "paracetamol": ("40.48", "Paracetamol 500mg", "viên", "500mg", "1.01", "viên nén", "1 viên * 3 lần * 5 ngày [3 viên/ngày]", "VD-24086-16", 15, 305, 100),
    "amoxicilin": ("40.154", "Amoxicilin 500mg", "viên", "500mg", "1.01", "viên nang", "1 viên * 3 lần * 5 ngày [3 viên/ngày]", "VD-28268-17", 15, 1_095, 100),
    "glucosamin": ("40.63", "Glucosamin 500mg", "viên", "500mg", "1.01", "viên nang", "1 viên * 2 lần * 14 ngày [2 viên/ngày]", "VD-25433-16", 28, 1_375, 50),
}  # fmt: skip
# ma_dich_vu, ten_dich_vu, ma_nhom, đơn giá bệnh viện, đơn giá BHYT, tyle_tt_dv, ma_may
SERVICES: Final = {
    "exam-commune": ("02.1895", "Khám bệnh tại trạm y tế", "13", 36_500, 36_500, 100, ""),
    "exam": ("02.1896", "Khám Nội", "13", 42_100, 42_100, 100, ""),
    "exam-second": ("03.1897", "Khám Nội tiết", "13", 42_100, 42_100, 30, ""),
    "glucose": ("23.0075.1494", "Định lượng Glucose [Máu]", "1", 22_400, 22_400, 100, "HS.1.AU480"),
    "glucose-strip": ("23.0077.1518", "Đường máu mao mạch", "1", 15_900, 15_900, 100, "HS.3.ACCU"),
    "hba1c": ("23.0083.1523", "Định lượng HbA1c [Máu]", "1", 105_300, 105_300, 100, "HS.2.D10"),
    "creatinin": ("23.0051.1494", "Định lượng Creatinin [Máu]", "1", 22_400, 22_400, 100, "HS.1.AU480"),
    "cholesterol": ("23.0041.1506", "Định lượng Cholesterol toàn phần [Máu]", "1", 27_800, 27_800, 100, "HS.1.AU480"),
    "triglycerid": ("23.0158.1506", "Định lượng Triglycerid [Máu]", "1", 27_800, 27_800, 100, "HS.1.AU480"),
    "ecg": ("02.0085.1778", "Điện tim thường", "3", 45_000, 39_900, 100, "TD.1.ECG12"),
    "xray": ("18.0119.0028", "Chụp X-quang ngực thẳng", "2", 68_300, 68_300, 100, "XQ.1.DR100"),
}
# ma_vat_tu, ten_vat_tu, don_vi_tinh, số lượng, đơn giá
SUPPLIES: Final = {"syringe": ("N03.05.010.1", "Bơm tiêm nhựa 5 ml", "cái", 2, 915)}
# ma_chi_so, ten_chi_so, gia_tri (ket_luan where there is no unit), don_vi_do, of which service
INDICES: Final = {
    "glucose": ("1000101", "Glucose", "15.2", "mmol/L", "glucose"),
    "glucose-strip": ("1000101", "Glucose", "14.8", "mmol/L", "glucose-strip"),
    "hba1c": ("1000102", "HbA1c", "10.4", "%", "hba1c"),
    "creatinin": ("1000103", "Creatinin", "96", "µmol/L", "creatinin"),
    "cholesterol": ("1000104", "Cholesterol toàn phần", "5.8", "mmol/L", "cholesterol"),
    "triglycerid": ("1000105", "Triglycerid", "2.4", "mmol/L", "triglycerid"),
    "xray": ("", "X-quang ngực thẳng", "Tim phổi bình thường", "", "xray"),
}
TEMPERATURE: Final = ("", "Nhiệt độ", "36.8", "°C", "exam-commune")

MAI: Final = {  # the patient of the demo's other messages
    "ho_ten": "Trần Thị Mai", "ngay_sinh": "198507200000", "gioi_tinh": "2", "so_cccd": "001185004321",
    "ma_the_bhyt": "GD4010118504321", "ma_dkbd": "01731", "dia_chi": "45 đường Bờ Sông", "maxa_cu_tru": "00601",
    "dien_thoai": "0900000045", "can_nang": "52", "nhom_mau": "B+", "ma_nghe_nghiep": "60000", "gt_the_den": "20281231",
}  # fmt: skip
FARMER: Final = {
    "ho_ten": "Lê Văn Tám", "ngay_sinh": "196500000000", "gioi_tinh": "1", "so_cccd": "001065007713",
    "ma_the_bhyt": "CN3010107713065", "ma_dkbd": "01021", "dia_chi": "Số 40, thôn Bắc", "dien_thoai": "0912000910", "can_nang": "63",
    "nhom_mau": "A+", "ma_nghe_nghiep": "60000", "ma_bn": "BN4533",
}  # fmt: skip
DIABETES: Final = ("E11.9", "Đái tháo đường típ 2", "I10")
SLIP: Final = "GCT-2611-031"


def drug(name: str, benefit: int, at: Times) -> Event:
    code, label, unit, strength, route, form, dose, registration, quantity, price, ratio = DRUGS[name]
    return {
        "ma_thuoc": code,
        "ma_nhom": "4" if ratio == 100 else "6",
        "ten_thuoc": label,
        "don_vi_tinh": unit,
        "ham_luong": strength,
        "duong_dung": route,
        "dang_bao_che": form,
        "lieu_dung": dose,
        "cach_dung": "Uống sau ăn",
        "so_dang_ky": registration,
        "tt_thau": "2210/QĐ-SYT;G1;N2;2026",
        "pham_vi": "1",
        **simulate.drug_amounts(Decimal(quantity), Decimal(price), Decimal(ratio), Decimal(benefit)),
        "ngay_yl": at.prescribed,
        "ngay_th_yl": at.out,
        "ma_pttt": "2",
        "nguon_ctra": "1",
    }


def service(name: str, benefit: int, at: Times) -> Event:
    code, label, group, asked, insured, ratio, machine = SERVICES[name]
    amounts = simulate.service_amounts(
        Decimal(1), Decimal(asked), Decimal(insured), Decimal(ratio), Decimal(100), Decimal(benefit)
    )
    timed = {"ngay_kq": at.resulted, **({"ma_may": machine} if machine else {})} if group != "13" else {}
    return {
        "ma_dich_vu": code,
        "ma_nhom": group,
        "ten_dich_vu": label,
        "don_vi_tinh": "lần",
        "pham_vi": "1",
        **amounts,
        "ngay_yl": at.ordered,
        "ngay_th_yl": at.done,
        **timed,
        "ma_pttt": "1" if group == "2" else "2",
    }


def supply(name: str, of: str, benefit: int, at: Times) -> Event:
    code, label, unit, quantity, price = SUPPLIES[name]
    one, all_of = Decimal(price), Decimal(100)
    return {
        "ma_dich_vu": SERVICES[of][0],
        "ma_vat_tu": code,
        "ma_nhom": "10",
        "goi_vtyt": "G1",
        "ten_vat_tu": label,
        "ma_hieu_sp": "VINAHANKOOK-5",
        "tt_thau": "2210/QĐ-SYT;G5;N1;2026",
        "don_vi_tinh": unit,
        "pham_vi": "1",
        **simulate.service_amounts(Decimal(quantity), one, one, all_of, all_of, Decimal(benefit)),
        "ngay_yl": at.ordered,
        "ngay_th_yl": at.done,
        "ma_pttt": "2",
        "tai_su_dung": "0",
    }


def claim(
    facility: str,
    key: str,
    who: dict[str, str],
    illness: tuple[str, str, str],
    benefit: int,
    *,
    drugs: tuple[str, ...] = (),
    services: tuple[str, ...],
    supplies: tuple[str, ...] = (),
    indices: tuple[str, ...],
    note: str,
    doctor: str,
    department: str = "K01",
    hours: str = "0730 0745 0800 1010 1020 1040",
    papers: dict[str, Event] | None = None,
    **more: Any,
) -> Event:
    """The content of one claim.

    hours:  of the day when the patient came, services were ordered, done, resulted, drugs prescribed, and the patient left.
    papers: further tables of one row, such as xml13.
    more:   further elements of XML1.
    """
    at = Times(*(DAY + hour for hour in hours.split()))
    code, text, others = illness
    row = {"ma_khoa": department, "ma_bac_si": doctor}
    performed = {"nguoi_thuc_hien": doctor, "ma_benh": code}
    xml2 = [drug(name, benefit, at) | row for name in drugs]
    xml3 = [service(name, benefit, at) | row | performed for name in services]
    xml3 += [supply(name, services[1], benefit, at) | row | performed for name in supplies]  # of what follows the examination
    found = [INDICES.get(name, TEMPERATURE) for name in indices]
    xml4 = [
        {
            "ma_dich_vu": SERVICES[of][0],
            **({"ma_chi_so": index} if index else {}),
            "ten_chi_so": label,
            **({"gia_tri": value, "don_vi_do": unit} if unit else {"ket_luan": value}),
            "ngay_kq": at.resulted,
            "ma_bs_doc_kq": doctor,
        }
        for index, label, value, unit, of in found
    ]
    xml5 = [{"dien_bien_ls": note, "thoi_diem_dbls": at.ordered, "nguoi_thuc_hien": doctor, "giai_doan_benh": "Ổn định"}]
    summary = {
        "stt": 1,
        "ma_quoctich": "000",
        "ma_dantoc": "01",
        "matinh_cu_tru": "01",
        "mahuyen_cu_tru": "009",
        "maxa_cu_tru": "00352",
        "gt_the_tu": "20260101",
        "gt_the_den": "20261231",
        **who,
        "nam_nam_lien_tuc": "20280101",
        "ly_do_vv": "Khám bệnh",
        "chan_doan_vao": text,
        "chan_doan_rv": text,
        "ma_benh_chinh": code,
        **({"ma_benh_kt": others} if others else {}),
        "ma_doituong_kcb": "1.1",
        "ma_tai_nan": "0",
        "ngay_vao": at.came,
        "ngay_ra": at.out,
        "so_ngay_dtri": 0,
        "pp_dieu_tri": "Nội khoa",
        "ket_qua_dtri": "2",
        "ma_loai_rv": "1",
        "ghi_chu": "Tái khám khi có bất thường",
        "ngay_ttoan": at.out,
        **simulate.totals(xml2, xml3),
        "nam_qt": 2026,
        "thang_qt": 11,
        "ma_loai_kcb": "01",
        "ma_khoa": department,
        "ma_cskcb": facility,
        "ma_hsba": f"HS-{key}",
        "ma_ttdv": "0101998877",
        **more,
    }
    content = {"ma_cskcb": facility, "ma_lk": key, "ngaylap": DAY, "xml1": {"ma_lk": key, **summary}}
    for name, rows in (("xml2", xml2), ("xml3", xml3), ("xml4", xml4), ("xml5", xml5)):
        if rows:
            content[name] = [{"ma_lk": key, "stt": stt, **each} for stt, each in enumerate(rows, 1)]
    repeated = (
        "ho_ten",
        "ngay_sinh",
        "gioi_tinh",
        "ma_the_bhyt",
        "ma_benh_chinh",
        "ma_benh_kt",
        "chan_doan_rv",
        "ngay_vao",
        "ngay_ra",
    )
    for name, paper in (papers or {}).items():
        known = tables()[name.upper()]
        same = {each: content["xml1"][each] for each in repeated if each.upper() in known and each in content["xml1"]}
        content[name] = [{"ma_lk": key, **({"ma_cskcb": facility} if "MA_CSKCB" in known else {}), **same, **paper}]
    return content


def commune() -> Event:
    return claim(
        "01731",
        "01731.261123.007",
        MAI | {"ma_bn": "MK231"},
        ("R73.9", "Tăng đường huyết", ""),
        100,
        drugs=("paracetamol", "metformin"),
        services=("exam-commune", "glucose-strip"),
        supplies=("syringe",),
        indices=("glucose-strip", "temperature"),
        note="Mệt, khát nhiều. CSST<M82_T36.8_HA140/85_NT18>",
        doctor="000210/HNO-CCHN",
        hours="0650 0653 0655 0658 0700 0715",
    )


def district() -> Event:
    slip = {
        "giay_chuyen_tuyen": SLIP, "ma_cskcb_di": "01731", "ma_cskcb_den": "01004", "so_chuyentuyen": "SCT-2611-31",
        "so_hoso": "HS-01021.261123.045", "dia_chi": MAI["dia_chi"], "gt_the_den": MAI["gt_the_den"],
        "dau_hieu_ls": "Mệt, khát nhiều, sụt 4 kg trong 2 tháng", "qt_benhly": "Đái tháo đường 6 năm, điều trị Metformin",
        "tomtat_kq": "HbA1c: 10.4 %", "ten_dich_vu": "Khám Nội", "pp_dieutri": "Metformin", "ma_loai_rv": "2", "ma_lydo_ct": "2",
        "tinh_trang_ct": "Tỉnh, sinh hiệu ổn định", "huong_dieu_tri": "Điều chỉnh insulin", "phuongtien_vc": "Tự túc",
        "ma_bac_si": "000123/HNO-CCHN", "ma_ttdv": "0101998877",
    }  # fmt: skip
    return claim(
        "01021",
        "01021.261123.045",
        MAI | {"ma_bn": "BN4521"},
        DIABETES,
        100,
        drugs=("metformin", "amlodipin", "glucosamin"),
        services=("exam", "glucose", "creatinin", "ecg"),
        supplies=("syringe",),
        indices=("glucose", "creatinin"),
        note="Mệt, khát nhiều, sụt cân. CSST<M82_T37_HA145/90_NT18>",
        doctor="000123/HNO-CCHN",
        papers={"xml13": slip},
        ma_doituong_kcb="1.11",
        ma_loai_rv="2",
        ma_noi_den="01004",
        ket_qua_dtri="3",
        ly_do_vv="Mệt, khát nhiều, sụt cân",
    )


def province() -> Event:
    """An inpatient stay of less than four hours (form 09), with the discharge paper and the follow-up slip."""
    discharge = {
        "so_luu_tru": "LT-2611-112", "ma_yte": "01004.26.112", "ma_khoa_rv": "K03", "pp_dieutri": "Điều chỉnh insulin",
        "ma_ttdv": "0101998877", "ma_bs": "000451/HNO-CCHN", "ten_bs": "Phạm Thị Hòa", "ngay_ct": DAY,
    }  # fmt: skip
    appointment = {
        "so_giayhen_kl": "HK-2611-900", "ngay_hen_kl": "20261207", "ma_doituong_kcb": "1.3", "ma_bac_si": "000451/HNO-CCHN",
        "ma_ttdv": "0101998877", "ngay_ct": DAY,
    }  # fmt: skip
    return claim(
        "01004",
        "01004.261123.112",
        MAI | {"ma_bn": "0098765"},
        DIABETES,
        100,
        drugs=("metformin", "amlodipin", "atorvastatin", "glucosamin"),
        services=("exam", "exam-second", "glucose", "cholesterol", "xray", "ecg"),
        indices=("glucose", "cholesterol", "xray"),
        note="Người bệnh được chuyển tuyến, đường máu chưa kiểm soát. CSST<M80_T37_HA140/85_NT18>",
        doctor="000451/HNO-CCHN",
        department="K03",
        hours="1340 1345 1355 1440 1530 1600",
        papers={"xml7": discharge, "xml14": appointment},
        ma_loai_kcb="09",
        ngay_vao_noi_tru="202611231345",
        ly_do_vv="Điều chỉnh insulin",
        ly_do_vnt="Đường máu chưa kiểm soát",
        ma_doituong_kcb="1.3",
        ma_noi_di="01021",
        giay_chuyen_tuyen=SLIP,
        ngay_tai_kham="20261207",
    )


def laboratory() -> Event:
    return claim(
        "01940",
        "01940.261123.088",
        MAI | {"ma_bn": "AD4521"},
        DIABETES,
        100,
        services=("hba1c", "glucose", "cholesterol", "triglycerid"),
        indices=("hba1c", "glucose", "cholesterol", "triglycerid"),
        note="Lấy mẫu máu tĩnh mạch lúc đói",
        doctor="000777/HNO-CCHN",
        department="K28",
        hours="0800 0805 0830 1010 1010 1015",
        ma_doituong_kcb="1.3",
        ma_noi_di="01021",
    )


def corrected() -> Event:
    return claim(
        "01021",
        "01021.261123.061",
        FARMER,
        ("I10", "Tăng huyết áp vô căn (nguyên phát)", "E78.5"),
        100,
        drugs=("amlodipin", "atorvastatin"),
        services=("exam", "cholesterol", "triglycerid", "ecg"),
        indices=("cholesterol", "triglycerid"),
        note="Đau đầu, không nôn. CSST<M78_T37_HA160/95_NT18>",
        doctor="000123/HNO-CCHN",
    )


def wrong_total() -> Event:
    """As a hospital system writes it that rounds the total by hand."""
    wrong = copy.deepcopy(corrected())
    wrong["xml1"]["t_tongchi_bv"] += 100_000
    return wrong


def envelope(content: Event, ngaylap: str = DAY) -> bytes:
    return claim_xml.write([official(content)], tables(), ma_cskcb=content["ma_cskcb"], ngaylap=ngaylap) + b"\n"


def ehc(content: Event, application: str, facility: str, control_id: str) -> bytes:
    """EHC^E01 as the provincial hospital's system sends it."""
    header = ["MSH", application, facility, "HIE", "VSS", f"{content['ngaylap']}163000", "", ("EHC", "E01", "EHC_E01")]
    header += [control_id, "P", "2.5.1", *[""] * 5, "UNICODE UTF-8"]
    return build(ehc_segments(header, official(content), day=content["ngaylap"], version=0, cancelled=False)).encode()


def files() -> dict[str, bytes]:
    """Name to bytes of each claim of the demo."""
    return {
        "10-claim-commune.xml": envelope(commune()),
        "11-claim-district.xml": envelope(district()),
        "12-claim-province.hl7": ehc(province(), "SONGHONG_HIS", "CS1", "DEMO-12"),
        "13-claim-laboratory.xml": envelope(laboratory()),
        "14-claim-district-wrong-total.xml": envelope(wrong_total()),
        "15-claim-district-corrected.xml": envelope(corrected(), "20261124"),
    }


if __name__ == "__main__":
    for name, raw in files().items():
        (shipped("seeds/demo") / name).write_bytes(raw)
