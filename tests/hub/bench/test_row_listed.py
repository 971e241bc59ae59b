"""The second calculation of what catalogues take off a line, by hand."""

from decimal import Decimal

import pytest

from hub.bench.row_listed import off_list, read_listed

DRUGS = """facility,code,name,price,registration,tender,valid_from,valid_to
01021,40.154,A,900,VD-1,T1,2025-01-01,2026-06-30
01021,40.154,A,1000,VD-1,T1,2026-07-01,
01021,40.154,B,1500,VD-2,T1,2026-07-01,
"""
LINE = {
    "ma_thuoc": "40.154",
    "so_dang_ky": "VD-1",
    "tt_thau": "T1",
    "ngay_yl": "202611230800",
    "so_luong": Decimal(10),
    "don_gia": Decimal(1100),
    "tyle_tt_bh": Decimal(50),
    "thanh_tien_bh": Decimal(5500),
    "muc_huong": Decimal(80),
    "t_bhtt": Decimal(4400),
}


@pytest.mark.parametrize(
    ("other", "cut"),
    [
        ({}, 400),  # 5,000 of 5,500, 80 % of each
        ({"so_dang_ky": "VD-2"}, 0),
        ({"so_dang_ky": "VD-3"}, 0),  # of no row: the dearest
        ({"ngay_yl": "202606300800"}, 800),
        ({"ngay_yl": "202412310800"}, 4400),
        ({"ma_thuoc": "99.9"}, 4400),
        ({"don_gia": None}, 0),
    ],
)
def test_a_line_is_cut_to_the_price_of_its_day_and_registration_or_whole(tmp_path, other, cut):
    for name in ("drugs", "services", "supplies"):
        (tmp_path / f"{name}.csv").write_text(DRUGS if name == "drugs" else "facility,code,price\n", "utf-8")
    listed = read_listed(tmp_path)
    assert off_list(listed, "01021", "xml2", LINE | other, None) == cut
    assert off_list(listed, "01004", "xml2", LINE | other, None) == 0


def test_the_granted_rate_counts_where_it_is_lower(tmp_path):
    for name in ("drugs", "services", "supplies"):
        (tmp_path / f"{name}.csv").write_text(DRUGS if name == "drugs" else "facility,code,price\n", "utf-8")
    assert off_list(read_listed(tmp_path), "01021", "xml2", LINE, Decimal(40)) == 200
