"""Rules between a line and what stands beside it: each with a claim that passes and one that fails; what is cut, to the đồng."""

from decimal import Decimal
from functools import partial
from itertools import cycle
from typing import Any

import polars as pl
import pytest

from hub.contract.events import Event
from hub.insurer.rules import RULES
from hub.simulate import claims
from tests.hub.insurer import made
from tests.hub.insurer.made import claim_of, line

OURS = [rule for rule in RULES if rule.id == "C33" or (rule.id[0] == "X" and rule.id not in ("X07", "X17"))]
found_in, findings_of = partial(made.found_in, rules=OURS), partial(made.findings_of, rules=OURS)

VND = Decimal("1.00")
STAY = {"ngay_vao": "202611230805", "ngay_ra": "202611231030"}
WARD = {"ngay_vao": "202611200800", "ngay_ra": "202611231500", "ma_loai_kcb": "03", "so_ngay_dtri": 4}
FUND = 8_000 * VND  # of a line of tests: ten times 1,000 VND at 80 %


def service(**given: Any) -> Event:
    return line("xml3", ma_dich_vu="23.0075.1494", **given)


def supply(**given: Any) -> Event:
    return line("xml3", **{"ma_nhom": "10", "ma_vat_tu": "N03.05.010.1", "ten_vat_tu": "Bơm tiêm"} | given)


def stent(**given: Any) -> Event:
    return supply(**{"ten_vat_tu": "STENT phủ thuốc", "ma_dich_vu": "18.0660", "so_luong": Decimal(1), "don_gia_bv": Decimal(20_000_000), "don_gia_bh": Decimal(20_000_000)} | given)  # fmt: skip


def bed(days: str = "1", begun: str = "202611200830", ended: str = "", **given: Any) -> Event:
    times = {"ngay_yl": begun, "ngay_th_yl": begun, "ngay_kq": ended}
    price = {"don_gia_bv": Decimal(200_000), "don_gia_bh": Decimal(200_000)}
    return line("xml3", **{"ma_nhom": "15", "ma_dich_vu": "K03.1911", "so_luong": Decimal(days)} | times | price | given)


def cut_of(event: Event) -> list[tuple[str, str, int, Decimal]]:
    """Rule, field, STT and VND of every cut."""
    found = findings_of(event).filter(pl.col("severity") == "C")
    return list(found.select("rule", "field", "stt", "reduction").iter_rows())


def shown_of(event: Event) -> list[tuple[str, int, Decimal, Decimal]]:
    """Rule, STT, and what was claimed and is allowed, of every cut."""
    found = findings_of(event).filter(pl.col("severity") == "C")
    return list(found.select("rule", "stt", "claimed", "computed").iter_rows())


def one(table: str, made: Event, **summary: Any) -> Event:
    return claim_of(**{"drugs" if table == "xml2" else "services": [made]}, **STAY | summary)


@pytest.mark.parametrize("table", ["xml2", "xml3"])
def test_x02_an_order_is_given_during_the_stay(table):
    unread = {"ngay_kq": ""} if table == "xml3" else {}
    assert found_in(one(table, line(table, ngay_yl="202611230805", ngay_th_yl="202611231030", **unread))) == set()
    assert cut_of(one(table, line(table, ngay_yl="202611230804"))) == [("X02", "ngay_yl", 1, FUND)]
    late = one(table, line(table, ngay_yl="202611231031", ngay_th_yl="202611231031", **unread))
    assert found_in(late) == {("X02", "C", "ngay_yl"), ("X02", "W", "ngay_th_yl")}


def test_x02_an_order_is_carried_out_after_it_is_given_and_before_its_result():
    times = {"ngay_yl": "202611230815", "ngay_th_yl": "202611230815", "ngay_kq": "202611230815"}
    assert found_in(one("xml3", line("xml3", **times))) == set()
    assert cut_of(one("xml3", line("xml3", **times | {"ngay_th_yl": "202611230814"}))) == [("X02", "ngay_th_yl", 1, FUND)]
    assert cut_of(one("xml3", line("xml3", **times | {"ngay_kq": "202611230814"}))) == [("X02", "ngay_kq", 1, FUND)]


def test_x02_a_late_result_is_told_and_one_after_sixty_days_cut():
    assert found_in(one("xml3", line("xml3", ngay_kq="202611231030"))) == set()
    for late in ("202611231031", "202701222359"):
        assert found_in(one("xml3", line("xml3", ngay_kq=late))) == {("X02", "W", "ngay_kq")}
    assert cut_of(one("xml3", line("xml3", ngay_kq="202701230000"))) == [("X02", "ngay_kq", 1, FUND)]


def test_x02_what_is_no_time_is_not_compared():
    for odd in ("", "20261101", "2026110108", "202611010800Z"):
        assert found_in(one("xml3", line("xml3", ngay_yl=odd, ngay_kq=odd))) == set()
        assert found_in(one("xml3", line("xml3"), ngay_ra=odd)) == set()


def test_x06_sponsors_pay_from_nothing_up_to_the_amount():
    all_of_it = line("xml2", t_nguonkhac=10_000 * VND, t_nguonkhac_cl=10_000 * VND)
    assert not [found for found in found_in(claim_of([all_of_it])) if found[0] == "X06"]
    more = all_of_it | {"t_nguonkhac": 10_001 * VND}
    assert ("X06", "E", "t_nguonkhac") in found_in(claim_of([more]))
    below = all_of_it | {"t_nguonkhac": -VND, "t_nguonkhac_nsnn": -VND}
    assert {("X06", "E", "t_nguonkhac"), ("X06", "E", "t_nguonkhac_nsnn")} <= found_in(claim_of([below]))


@pytest.mark.parametrize(
    ("groups", "field"),
    [("1 3", "ma_may"), ("1 3 8 18", "nguoi_thuc_hien"), ("1 3 8 18", "ngay_th_yl"), ("8", "pp_vo_cam"), ("12", "ma_xang_dau"), ("10", "tt_thau")],
)  # fmt: skip
def test_x11_a_group_needs_its_elements(groups, field):
    whole = {"pp_vo_cam": "1", "ma_xang_dau": "X1"}
    for group in groups.split():
        assert found_in(one("xml3", line("xml3", ma_nhom=group, **whole))) == set()
        assert cut_of(one("xml3", line("xml3", ma_nhom=group, **whole | {field: ""}))) == [("X11", field, 1, FUND)]
    assert found_in(one("xml3", line("xml3", ma_nhom="13", **whole | {field: ""}))) == set()


def test_x11_a_drug_has_no_machine_whatever_its_group_says():
    assert found_in(one("xml2", line("xml2", ma_nhom="1"))) == set()


def test_x12_outpatients_have_no_bed_but_that_of_a_day():
    for form in ("01", "05", "07", "09"):
        assert ("X12", "ma_nhom", 1, 160_000 * VND) in cut_of(claim_of([], [bed()], **WARD | {"ma_loai_kcb": form}))
    for form, group, wrong in (
        ("02", "14", 0),
        ("02", "15", 1),
        ("08", "14", 0),
        ("08", "16", 1),
        ("03", "15", 0),
        ("06", "16", 0),
    ):
        assert len(cut_of(claim_of([], [bed(ma_nhom=group)], **WARD | {"ma_loai_kcb": form}))) == wrong, form


def test_x12_a_stay_of_less_than_four_hours_has_no_bed():
    """From the admission to the ward, where there was one."""
    short = WARD | {"ngay_vao": "202611230800", "so_ngay_dtri": 1}
    made = bed(begun="202611231200")
    assert cut_of(claim_of([], [made], **short)) == []
    assert cut_of(claim_of([], [made], **short | {"ngay_vao_noi_tru": "202611231100"})) == []
    assert cut_of(claim_of([], [made], **short | {"ngay_vao_noi_tru": "202611231101"})) == [("X12", "ma_nhom", 1, 160_000 * VND)]


def test_x12_one_bed_a_day():
    ward = claim_of(
        [], [bed("3", ended="202611221500"), bed("0.5", "202611221501", stt=2), bed("0.5", "202611222000", stt=3)], **WARD
    )
    assert found_in(ward) == set()
    four_in_three = claim_of([], [bed("4", ended="202611221500")], **WARD)
    assert cut_of(four_in_three) == [("X12", "so_luong", 1, 160_000 * VND)]
    twice = claim_of([], [bed("1"), bed("0.5", "202611201200", stt=2)], **WARD)
    assert cut_of(twice) == [("X12", "so_luong", 2, 80_000 * VND)]
    unknown_end = claim_of([], [bed("4")], **WARD)
    assert found_in(unknown_end) == set()
    no_times = claim_of([], [bed("1", ""), bed("1", "", stt=2)], **WARD)
    assert {found[0] for found in cut_of(no_times)} == set()


def test_x12_a_bed_is_left_before_the_next_is_taken():
    def moved(at: str) -> Event:
        return claim_of([], [bed("2", ended="202611211000"), bed("1", at, "202611221000", stt=2)], **WARD)

    assert found_in(moved("202611211000")) == set()
    assert found_in(moved("202611210959")) == {("X12", "W", "ngay_th_yl")}


def test_x12_days_in_bed_are_not_more_than_days_of_treatment():
    whole = [bed("3"), bed("1.5", "202611221501", stt=2)]
    assert cut_of(claim_of([], whole, **WARD | {"so_ngay_dtri": 5})) == []
    assert cut_of(claim_of([], whole, **WARD)) == [("X12", "so_luong", 2, 80_000 * VND)]
    assert cut_of(claim_of([], whole, **WARD | {"so_ngay_dtri": None})) == []


def test_x12_a_day_too_many_is_cut_once():
    """Five days from the 20th to the 23rd, in a stay of four."""
    five = claim_of([], [bed("5", ended="202611231500")], **WARD)
    assert cut_of(five) == [("X12", "so_luong", 1, 160_000 * VND)]


def test_x12_says_how_many_days_of_the_line_were_claimed_and_are_left():
    crowded = claim_of([], [bed("4.5", ended="202611221500")], **WARD)
    assert shown_of(crowded) == [("X12", 1, Decimal("4.5"), 3)]
    too_long = claim_of([], [bed("3"), bed("1.5", "202611221501", stt=2)], **WARD)
    assert shown_of(too_long) == [("X12", 2, Decimal("1.5"), 1)]
    both = claim_of([], [bed("6", ended="202611241500")], **WARD)
    assert shown_of(both) == [("X12", 1, 6, 5), ("X12", 1, 6, 4)]


def test_x13_a_package_belongs_to_a_service_of_the_claim():
    packed = supply(stt=2, ma_dich_vu="23.0075.1494", goi_vtyt="G1")
    for package in ("", "G1"):
        assert found_in(claim_of([], [service(goi_vtyt=package), packed])) == set()
    for lonely in ([service(goi_vtyt="G2"), packed], [packed], [line("xml3", ma_dich_vu="23.0083.1523"), packed], [supply(ma_dich_vu="23.0075.1494"), packed]):  # fmt: skip
        assert cut_of(claim_of([], lonely)) == [("X13", "goi_vtyt", 2, FUND)]
    assert found_in(claim_of([], [supply()])) == set()


def test_x14_from_the_second_stent_on_the_fund_pays_half():
    half = 8_000_000 * VND  # of 80 % of 20,000,000
    assert cut_of(claim_of([], [stent()])) == []
    assert cut_of(claim_of([], [stent(), stent(stt=2)])) == [("X14", "tyle_tt_bh", 2, half)]
    assert cut_of(claim_of([], [stent(so_luong=Decimal(3))])) == [("X14", "tyle_tt_bh", 1, 2 * half)]
    assert cut_of(claim_of([], [stent(), stent(stt=2, ma_dich_vu="18.0661")])) == []


def test_x14_a_stent_that_is_claimed_at_half_is_not_halved_again():
    assert cut_of(claim_of([], [stent(tyle_tt_bh=Decimal(50)), stent(stt=2)])) == []
    assert cut_of(claim_of([], [stent(), stent(stt=2, so_luong=Decimal("0.5"))])) == []


LIMIT = 45 * 2_530_000  # base salaries of the day


def package(*prices: int, packages: str = "G1", card: str = "GD4010116149000", **summary: str) -> Event:
    """Supplies of these prices, in the packages of one service."""
    packed = [
        supply(stt=stt, goi_vtyt=name, ma_dich_vu="23.0075.1494", so_luong=Decimal(1), don_gia_bv=Decimal(price), don_gia_bh=Decimal(price))
        for stt, (price, name) in enumerate(zip(prices, cycle(packages.split()), strict=False), 2)
    ]  # fmt: skip
    return claim_of([], [service(), *packed], ma_the_bhyt=card, **summary)


def test_c33_the_supplies_of_a_package_are_paid_up_to_45_base_salaries():
    assert cut_of(package(LIMIT - 1_000, 1_000)) == []
    assert cut_of(package(LIMIT, 1_000)) == [("C33", "thanh_tien_bh", 3, 800 * VND)]
    assert cut_of(package(LIMIT + 500, 1_000)) == [("C33", "thanh_tien_bh", 2, 400 * VND), ("C33", "thanh_tien_bh", 3, 800 * VND)]
    assert cut_of(package(LIMIT, 1_000, packages="G1 G2")) == []
    for above, cut in ((0, False), (1_000, True)):
        in_june = package(45 * 2_340_000 + above, ngay_ra="202606301030")
        assert ("C33" in {found[0] for found in cut_of(in_june)}) is cut


def test_c33_says_what_the_package_costs_and_its_ceiling():
    assert shown_of(package(LIMIT, 1_000, 500)) == [("C33", stt, LIMIT + 1_500, LIMIT) for stt in (3, 4)]


@pytest.mark.parametrize(("card", "cut"), [("HT3010116149000", True), ("TE1010116149000", False), ("QN5010116149000", False), ("0116149000", False)])  # fmt: skip
def test_c33_holds_for_cards_of_levels_2_to_4(card, cut):
    assert ("C33" in {found[0] for found in cut_of(package(LIMIT + 1_000, card=card))}) is cut


def results(*rows: Event, services: list[Event] | None = None) -> Event:
    made = [service()] if services is None else services
    return claim_of([], made) | {"xml4": [{"stt": stt, "ten_chi_so": "Glucose", **row} for stt, row in enumerate(rows, 1)]}


def test_x15_a_result_is_of_a_service_of_the_claim():
    assert found_in(results({"ma_dich_vu": "23.0075.1494"}, {})) == set()
    assert found_in(results({"ma_dich_vu": "23.0075.1495"})) == {("X15", "W", "ma_dich_vu")}
    assert found_in(results({"ma_dich_vu": "N03.05"}, services=[supply(ma_dich_vu="N03.05")])) == {("X15", "W", "ma_dich_vu")}
    outsourced = line("xml3", ma_dich_vu="23.0075.1494.K.01940")
    assert found_in(results({"ma_dich_vu": "23.0075.1494.K.01940"[:15]}, services=[outsourced])) == set()


def test_x15_a_result_is_not_of_a_service_of_another_claim():
    found = findings_of(results({"ma_dich_vu": "23.0075.1494"}, services=[]), results())
    assert found.select("row", "rule", "table", "stt").rows() == [(0, "X15", "XML4", 1)]


def test_x15_an_image_has_a_conclusion_or_a_value():
    image = [line("xml3", ma_nhom="2", ma_dich_vu="18.0119.0028")]
    for told in ({"ket_luan": "Không thấy bất thường"}, {"gia_tri": "-1.2"}):
        assert found_in(results({"ma_dich_vu": "18.0119.0028"} | told, services=image)) == set()
    for silent in ([], [{"ma_dich_vu": "18.0119.0028"}]):
        assert found_in(results(*silent, services=image)) == {("X15", "W", "ma_dich_vu")}


def test_several_cuts_of_a_line_take_no_more_than_its_share():
    wrong = supply(ma_dich_vu="23.0075.1494", goi_vtyt="G1", tt_thau="")
    assert cut_of(claim_of([], [wrong])) == [("X11", "tt_thau", 1, FUND), ("X13", "goi_vtyt", 1, Decimal("0.00"))]


@pytest.mark.parametrize("rows", [5, 26])
def test_simulated_claims_have_no_findings(rows):
    found = findings_of(*claims(11, 300, rows))
    assert found.rows() == []
