"""Synthetic facilities sending synthetic patients: claims, laboratory results and referral slips for load and benches.

Everything derives from the seed and the number of the item, so two runs give the same bytes. Nobody in it exists.
Sizes: one visit has on the mean 6.5 drugs, 9.5 services and supplies, 9.1 results and 1.4 notes (26 rows a claim).
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from hub.contract.directory import facilities
from hub.contract.events import VIETNAM, Event, Keyring, Origin, stamp

KEYRING: Final = Keyring(b"simulation")
RECEIVED_AT: Final = datetime(2026, 11, 23, 8, 0, tzinfo=VIETNAM)
MEAN_ROWS: Final = {"xml2": 6.5, "xml3": 9.5, "xml4": 9.1, "xml5": 1.4}
FAULTS: Final = ("X04", "X05")
"""Rules that a claim can be made to break: a line whose balance fails; a total that is not the sum of its lines."""

_CENT: Final = Decimal("0.01")
_VARIANTS: Final = 40  # different lines of one kind, one benefit: what a claim draws from

_FAMILIES: Final = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi", "Đỗ", "Ngô")
_MIDDLES: Final = ("Văn", "Thị", "Đức", "Minh", "Thu", "Quốc", "Ngọc", "Hữu")
_GIVEN: Final = ("An", "Bình", "Châu", "Dũng", "Hạnh", "Khôi", "Lan", "Nga", "Phúc", "Quỳnh", "Sơn", "Tuấn", "Uyên", "Yến")
_ILLNESSES: Final = (
    ("E11.9", "Đái tháo đường type 2, không có biến chứng", "I10;E78.2"),
    ("I10", "Tăng huyết áp vô căn (nguyên phát)", "E78.5"),
    ("J20.9", "Viêm phế quản cấp", "J30.4"),
    ("K29.7", "Viêm dạ dày", "K21.9"),
    ("N18.3", "Bệnh thận mạn, giai đoạn 3", "I10;E11.2;D63.8"),
)
# MA_THUOC, TEN_THUOC, DON_VI_TINH, HAM_LUONG, DUONG_DUNG, DANG_BAO_CHE, LIEU_DUNG, SO_DANG_KY, DON_GIA
_DRUGS: Final = (
    ("40.807", "Metformin Stada", "viên", "850mg", "1.01", "viên nén bao phim", "1 viên * 2 lần * 14 ngày [2 viên/ngày]", "VD-26565-17", 1200),
    ("40.491", "Amlodipin DHG", "viên", "5mg", "1.01", "viên nén", "1 viên * 1 lần * 14 ngày [1 viên/ngày]", "VD-30105-18", 400),
    ("40.550", "Atorvastatin TV", "viên", "20mg", "1.01", "viên nén bao phim", "1 viên * 1 lần * 14 ngày [1 viên/ngày]", "VD-21312-14", 900),
    ("40.169", "Amoxicilin Mekophar", "viên", "500mg", "1.01", "viên nang", "1 viên * 3 lần * 7 ngày [3 viên/ngày]", "VD-28268-17", 1100),
    ("40.677", "Omeprazol Domesco", "viên", "20mg", "1.01", "viên nang", "1 viên * 1 lần * 14 ngày [1 viên/ngày]", "VD-29873-18", 700),
    ("40.48", "Paracetamol Imexpharm", "viên", "500mg", "1.01", "viên nén", "1 viên * 3 lần * 5 ngày [3 viên/ngày]", "VD-24086-16", 300),
    ("40.1026", "Natri clorid 0,9% B.Braun", "chai", "500ml", "2.15", "dung dịch tiêm truyền", "1 chai * 1 lần * 2 ngày [1 chai/ngày]", "VD-32457-19", 9500),
)  # fmt: skip
# MA_DICH_VU, TEN_DICH_VU, MA_NHOM, DON_VI_TINH, DON_GIA_BV, MA_MAY
_SERVICES: Final = (
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
_SUPPLIES: Final = (
    ("N03.05.010.1", "Bơm tiêm nhựa 5 ml", "cái", 900),
    ("N03.02.070.2", "Kim luồn tĩnh mạch 22G", "cái", 3_600),
    ("N02.01.020.1", "Băng cuộn y tế", "cuộn", 2_100),
)
# MA_CHI_SO, TEN_CHI_SO, DON_VI_DO, LOINC, reference range, lowest and highest value in tenths, MA_DICH_VU
_INDICES: Final = (
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


# --- money ------------------------------------------------------------------------------------------------------------


def cents(amount: Decimal) -> Decimal:
    """VND, rounded half up at two places, as the portal does."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def shares(tt_bv: Decimal, tt_bh: Decimal, benefit: Decimal, sponsors: Decimal = Decimal(0)) -> dict[str, Decimal]:
    """Who pays a line: `t_bntt`, `t_bncct`, `t_bhtt`, which with the sponsors' money add up to `tt_bv`.

    benefit:  MUC_HUONG in percent.
    sponsors: T_NGUONKHAC, deducted in order (case a).
    Source:   adjudication.md §3.
    """
    fund = cents(tt_bh * benefit / 100)
    own, together = tt_bv - tt_bh, tt_bh - fund
    paid = {}
    for name, part in (("t_bntt", own), ("t_bncct", together), ("t_bhtt", fund)):
        used = min(part, sponsors)
        sponsors -= used
        paid[name] = cents(part - used)
    return paid


def totals(drugs: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """The nine amounts of XML1 that the lines of XML2 and XML3 add up to. Source: adjudication.md §3."""
    lines = [*drugs, *services]

    def total(name: str, among: Sequence[Mapping[str, Any]] = lines) -> Decimal:
        return sum((line[name] for line in among), Decimal("0.00"))

    insured, together = total("thanh_tien_bh"), total("t_bncct")
    return {
        "t_thuoc": total("thanh_tien_bv", drugs),
        "t_vtyt": total("thanh_tien_bv", [line for line in services if line["ma_nhom"] in ("10", "11")]),
        "t_tongchi_bv": total("thanh_tien_bv"),
        "t_tongchi_bh": insured,
        "t_bntt": total("t_bntt"),
        "t_bncct": together,
        "t_bhtt": insured - together,
        "t_nguonkhac": total("t_nguonkhac"),
        "t_bhtt_gdv": total("t_bhtt", [line for line in lines if line["ma_pttt"] == "1"]),
    }


def drug_amounts(quantity: Decimal, price: Decimal, item_ratio: Decimal, benefit: Decimal) -> Event:
    """The amounts of an XML2 line without sponsors."""
    tt_bv, tt_bh = cents(quantity * price), cents(quantity * price * item_ratio / 100)
    return {
        "so_luong": quantity.quantize(Decimal("0.001")),
        "don_gia": price.quantize(Decimal("0.001")),
        "tyle_tt_bh": cents(item_ratio),
        **_line_amounts(tt_bv, tt_bh, benefit),
    }


def service_amounts(
    quantity: Decimal, price: Decimal, insured_price: Decimal, service_ratio: Decimal, item_ratio: Decimal, benefit: Decimal
) -> Event:
    """The amounts of an XML3 line without sponsors."""
    tt_bv = cents(quantity * price * service_ratio / 100)
    tt_bh = cents(quantity * insured_price * service_ratio / 100 * item_ratio / 100)
    return {
        "so_luong": quantity.quantize(Decimal("0.001")),
        "don_gia_bv": price.quantize(Decimal("0.001")),
        "don_gia_bh": insured_price.quantize(Decimal("0.001")),
        "tyle_tt_dv": cents(service_ratio),
        "tyle_tt_bh": cents(item_ratio),
        **_line_amounts(tt_bv, tt_bh, benefit),
    }


def _line_amounts(tt_bv: Decimal, tt_bh: Decimal, benefit: Decimal) -> Event:
    nothing = Decimal("0.00")
    sources = dict.fromkeys(
        ("t_nguonkhac_nsnn", "t_nguonkhac_vtnn", "t_nguonkhac_vttn", "t_nguonkhac_cl", "t_nguonkhac"), nothing
    )
    return {
        "thanh_tien_bv": tt_bv,
        "thanh_tien_bh": tt_bh,
        "muc_huong": cents(benefit),
        **sources,
        **shares(tt_bv, tt_bh, benefit),
    }


# --- claims -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pool:
    """Priced rows of one benefit level, made once; a claim copies some and puts its key on them."""

    drugs: tuple[Event, ...]
    services: tuple[Event, ...]
    results: tuple[Event, ...]
    notes: tuple[Event, ...]


def _drug(chance: random.Random, benefit: Decimal) -> Event:
    code, name, unit, strength, route, form, dose, registration, price = chance.choice(_DRUGS)
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
        "tt_thau": "1234/QĐ-SYT;G1;N2;2026",
        "pham_vi": "1",
        **drug_amounts(
            Decimal(min(chance.randint(1, 60), days * daily)), Decimal(price + chance.randint(0, 40) * 5), ratio, benefit
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


def _service(chance: random.Random, benefit: Decimal) -> Event:
    common = {
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
    if chance.random() < 0.2:
        code, name, unit, price = chance.choice(_SUPPLIES)
        amount = Decimal(price)
        return {
            "ma_dich_vu": "23.0075.1494",
            "ma_vat_tu": code,
            "ma_nhom": "10",
            "goi_vtyt": "G1",
            "ten_vat_tu": name,
            "ma_hieu_sp": "HSP-2026",
            "tt_thau": "1234/QĐ-SYT;G5;N1;2026",
            "don_vi_tinh": unit,
            **service_amounts(Decimal(chance.randint(1, 4)), amount, amount, Decimal(100), Decimal(100), benefit),
            **common,
        }
    code, name, group, unit, price, machine = chance.choice(_SERVICES)
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


def _result(chance: random.Random) -> Event:
    code, name, unit, _, _, low, high, service = chance.choice(_INDICES)
    return {
        "ma_dich_vu": service,
        "ma_chi_so": code,
        "ten_chi_so": name,
        "gia_tri": _tenths(chance.randint(low, high)),
        "don_vi_do": unit,
        "ngay_kq": "202611230915",
        "ma_bs_doc_kq": "000789/HNO-CCHN",
    }


def _note(chance: random.Random) -> Event:
    pulse, pressure = chance.randint(60, 100), chance.randint(100, 160)
    return {
        "dien_bien_ls": f"Tỉnh, tiếp xúc tốt. CSST<M{pulse}_T37_HA{pressure}/80_NT18>",
        "giai_doan_benh": "Ổn định",
        "thoi_diem_dbls": "202611230820",
        "nguoi_thuc_hien": "000123/HNO-CCHN",
    }


def _pool(chance: random.Random, benefit: int) -> _Pool:
    rate, many = Decimal(benefit), range(_VARIANTS)
    return _Pool(
        tuple(_drug(chance, rate) for _ in many),
        tuple(_service(chance, rate) for _ in many),
        tuple(_result(chance) for _ in many),
        tuple(_note(chance) for _ in many),
    )


def _summary(chance: random.Random, number: int, facility: str, group: str) -> Event:
    illness, text, others = chance.choice(_ILLNESSES)
    person = f"{number % 10**9:09d}"
    return {
        "stt": 1,
        "ma_bn": f"BN{person}",
        "ho_ten": f"{chance.choice(_FAMILIES)} {chance.choice(_MIDDLES)} {chance.choice(_GIVEN)}",
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


def claims(seed: int, n: int, rows: int = 26, *, facility_codes: Sequence[str] = ()) -> Iterator[Event]:
    """`n` SUBMITTED claims of full official width whose money is right to the last đồng.

    rows: mean rows of a claim beside XML1, spread over XML2–XML5 as `MEAN_ROWS`.
    """
    return (event for event, _ in claims_with_faults(seed, n, rows, {}, facility_codes=facility_codes))


def claims_with_faults(
    seed: int, n: int, rows: int, faults: Mapping[str, float], *, facility_codes: Sequence[str] = ()
) -> Iterator[tuple[Event, str]]:
    """Claims, each with the rule of `FAULTS` that it breaks, "" for none.

    faults: rule to the share of claims that shall break it (0 to 1); their sum is at most 1.
    """
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    benefits = {"GD4": 80, "HN2": 100, "HT3": 95}
    pools = {group: _pool(chance, benefit) for group, benefit in benefits.items()}
    groups, codes = tuple(pools), tuple(facility_codes) or tuple(facilities())
    means = {table: mean * rows / 26 for table, mean in MEAN_ROWS.items()}
    rules, weights = (*faults, ""), (*faults.values(), 1 - sum(faults.values()))
    for number in range(n):
        group = chance.choice(groups)
        content = _claim(chance, seed, number, chance.choice(codes), group, pools[group], means)
        rule = chance.choices(rules, weights)[0]
        if rule:
            _break(content, rule)
        origin = Origin(f"sim-{seed}-{number}", RECEIVED_AT, {"sender": "simulation"}, stated_at="20261123")
        event = stamp(
            "hie.Claim",
            content,
            facility=content["ma_cskcb"],
            business_key=content["ma_lk"],
            origin=origin,
            keyring=KEYRING,
            occurred_at="2026-11-23T10:30:00+07:00",
        )
        yield event, rule


def _claim(
    chance: random.Random, seed: int, number: int, facility: str, group: str, pool: _Pool, means: Mapping[str, float]
) -> Event:
    key = f"SIM{seed}.{number:08d}"

    def some(source: tuple[Event, ...], mean: float) -> list[Event]:
        count = int(mean) + (chance.random() < mean % 1)
        return [{"ma_lk": key, "stt": stt, **row} for stt, row in enumerate(chance.choices(source, k=count), 1)]

    xml2, xml3 = some(pool.drugs, means["xml2"]), some(pool.services, means["xml3"])
    done = {row["ma_dich_vu"]: row["ma_nhom"] for row in xml3 if "ma_vat_tu" not in row}
    xml4 = some(tuple(row for row in pool.results if row["ma_dich_vu"] in done) or pool.results, means["xml4"])
    for row in (*xml3, *xml4):  # supplies and results are of a service of the claim
        if done and row["ma_dich_vu"] not in done:
            row["ma_dich_vu"] = chance.choice(list(done))
        elif not done:
            del row["ma_dich_vu"]
            row.pop("goi_vtyt", None)
    for image, row in zip((code for code in done if done[code] == "2"), xml4, strict=False):
        del row["ma_chi_so"], row["gia_tri"], row["don_vi_do"]
        row |= {"ma_dich_vu": image, "ten_chi_so": "Kết luận", "ket_luan": "Không thấy bất thường"}
    content: Event = {
        "action": "SUBMITTED",
        "ma_cskcb": facility,
        "ma_lk": key,
        "ngaylap": "20261123",
        "xml1": {"ma_lk": key, **_summary(chance, number, facility, group), **totals(xml2, xml3)},
        "xml2": xml2,
        "xml3": xml3,
        "xml4": xml4,
        "xml5": some(pool.notes, means["xml5"]),
    }
    return {name: value for name, value in content.items() if value != []}


def _break(content: Event, rule: str) -> None:
    """X04: one line's fund share no longer balances, its sums follow. X05: the claim's total is not that of its lines."""
    if rule not in FAULTS:
        raise ValueError(rule)
    summary = content["xml1"]
    if rule == "X05":
        summary["t_tongchi_bv"] += 10_000
        return
    line = (content.get("xml3") or content["xml2"])[0]
    line["t_bhtt"] += 5_000
    if line["ma_pttt"] == "1":
        summary["t_bhtt_gdv"] += 5_000


# --- HL7 --------------------------------------------------------------------------------------------------------------


def results(seed: int, n: int, *, lines: int = 14, reporter: str = "01021", orderer: str = "01004") -> Iterator[bytes]:
    """`n` messages ORU^R01 (v2.5.1, UTF-8, segments ended by CR) from one facility to another, each of `lines` OBX."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    for number in range(n):
        order = f"{seed}{number:08d}"
        observations = [
            f"OBX|{at}|NM|{code}^{name}^QD1227^{loinc}^{name}^LN||{_tenths(chance.randint(low, high))}|{unit}|{usual}|"
            f"{chance.choice('NHL')}|||F|||20261123091500||000789^Lê^Hạnh|AU480^HS.1.AU480"
            for at in range(1, lines + 1)
            for code, name, unit, loinc, usual, low, high, _ in (_INDICES[(at - 1) % len(_INDICES)],)
        ]
        yield "\r".join(
            (
                _header(chance, reporter, orderer, "ORU^R01^ORU_R01", f"SIMR{order}"),
                _patient(chance, seed, number),
                f"PV1|1|O|K01||||||||||||||||SIM{seed}.{number:08d}",
                f"ORC|RE|SIMO{order}^{orderer}|SIMF{order}",
                f"OBR|1|SIMO{order}^{orderer}|SIMF{order}|22.0121.1369^Tổng phân tích tế bào máu ngoại vi^VN-DVKT"
                "|||20261123082000||||||||||||||||||F|||||||000789&Lê&Hạnh",
                *observations,
                "",
            )
        ).encode()


def referrals(seed: int, n: int, *, issuer: str = "01731", receiver: str = "01021") -> Iterator[bytes]:
    """`n` messages REF^I12 (v2.5.1, UTF-8, segments ended by CR), each a slip of its own."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    for number in range(n):
        illness, text, _ = chance.choice(_ILLNESSES)
        slip = f"SIM{seed}.{number:08d}"
        yield "\r".join(
            (
                _header(chance, issuer, receiver, "REF^I12^REF_I12", f"SIMG{seed}{number:08d}"),
                f"RF1|P|R||||{slip}|20261123|20261207||1",
                f"PRD|RP||||||{issuer}^BYT-384^FI",
                f"PRD|RT||||||{receiver}^BYT-384^FI",
                _patient(chance, seed, number),
                f"DG1|1||{illness}^{text}^ICD-10|||F|||||||||1",
                f"PV1|1|O|K01||||||||||||||||SIM{seed}.{number:08d}",
                "",
            )
        ).encode()


def _header(chance: random.Random, sender: str, receiver: str, kind: str, control_id: str) -> str:
    second = f"{chance.randint(0, 3599) // 60:02d}{chance.randint(0, 59):02d}"
    return f"MSH|^~\\&|SIM|{sender}|HIE|{receiver}|2026112309{second}||{kind}|{control_id}|P|2.5.1||||||UNICODE UTF-8"


def _patient(chance: random.Random, seed: int, number: int) -> str:
    person = f"{(seed * 100_003 + number) % 10**9:09d}"  # each seed has people of its own
    born = f"{chance.randint(1940, 2008)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}"
    name = f"{chance.choice(_FAMILIES)}^{chance.choice(_GIVEN)}^{chance.choice(_MIDDLES)}"
    numbers = f"BN{person}^^^VN-CSKCB-01004^MR~001{person}^^^BCA^NI~GD401{int(person):010d}^^^VSS^HC"
    return f"PID|1||{numbers}||{name}||{born}|{chance.choice('MF')}"


def _tenths(number: int) -> str:
    return f"{number // 10}.{number % 10}"
