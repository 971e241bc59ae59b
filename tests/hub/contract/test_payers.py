"""A payer's file is taken as it is meant or not at all."""

import pytest

from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.payers import read_payers

GOOD = {"name": '"A"', "name_en": '"A"', "default": "false", "card_groups": '["AB"]', "tables": '["xml1"]'}


def read(folder, **rows):
    folder.mkdir(exist_ok=True)
    rows = {"all": {"default": "true", "card_groups": "[]"}} | rows
    for code, row in rows.items():
        entries = {name: value for name, value in (GOOD | row).items() if value}
        (folder / f"{code}.toml").write_text("\n".join(f"{name} = {value}" for name, value in entries.items()), "utf-8")
    return read_payers(folder)


def test_the_shipped_payers_are_those_of_the_standard_and_two_invented_ones():
    known = payers()
    assert {code: payer.role for code, payer in known.items() if payer.role == "supplementary"} == {
        "luavang": "supplementary", "saobien": "supplementary",
    }  # fmt: skip
    assert known["defence"].card_groups == ("QN", "CY") and known["defence"].facilities == ("97",)
    assert known["police"].card_groups == ("CA",) and known["police"].facilities == ("98",)
    assert [code for code, payer in known.items() if payer.default] == ["vss"]
    assert {code for code, payer in known.items() if payer.referrals} == {"vss", "defence", "police", "test"}


def test_what_is_left_out_takes_its_default(tmp_path):
    payer = read(tmp_path, ab={})["ab"]
    assert (payer.role, payer.facilities, payer.withheld) == ("primary", (), {})
    assert (payer.adjudicated_here, payer.sensitive, payer.referrals) == (False, False, False)


def test_what_is_withheld_is_kept_by_table(tmp_path):
    payer = read(tmp_path, ab={"withheld": '["xml1.dia_chi", "xml1.so_cccd", "xml3.du_phong"]'})["ab"]
    assert payer.withheld == {"xml1": {"dia_chi", "so_cccd"}, "xml3": {"du_phong"}}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tables": '["xml1", "xml99"]'}, "tables xml99"),
        ({"tables": '["xml0"]'}, "tables xml0"),
        ({"withheld": '["xml1.address"]'}, "withheld xml1.address"),
        ({"withheld": '["dia_chi"]'}, "withheld dia_chi"),
        ({"table": '["xml1"]'}, "table: no such entry"),
        ({"code": '"x"'}, "code: no such entry"),
        ({"name_en": ""}, "name_en is missing"),
        ({"default": '"no"'}, "default is true or false"),
        ({"tables": '"xml1"'}, "tables is a list of texts"),
        ({"role": '"third"'}, "role third"),
        ({"card_groups": '["Q"]'}, "card_groups Q"),
        ({"card_groups": '["LVG"]'}, "card_groups LVG"),
        ({"role": '"supplementary"'}, "card_groups AB"),
        ({"role": '"supplementary"', "card_groups": '["ABC"]', "facilities": '["97"]'}, "no default and has no facilities"),
        ({"role": '"supplementary"', "card_groups": '["ABC"]', "referrals": "true"}, "hears of claims alone"),
        ({"referrals": '"yes"'}, "referrals is true or false"),
        ({"facilities": '["9"]'}, "facilities 9"),
        ({"default": "true"}, "one payer has default = true, not 2"),
        ({"name": '"'}, "it is no TOML"),
    ],
)
def test_a_fault_stops_the_hub_and_names_its_place(tmp_path, row, said):
    with pytest.raises(HubError) as wrong:
        read(tmp_path, ab=row)
    assert wrong.value.code == "SETTING_WRONG" and said in wrong.value.where


def test_two_payers_cannot_have_one_card_or_one_facility(tmp_path):
    with pytest.raises(HubError, match="AB stands twice"):
        read(tmp_path / "cards", ab={}, ac={})
    with pytest.raises(HubError, match="97 stands twice"):
        read(tmp_path / "places", ab={"facilities": '["97"]'}, ac={"card_groups": "[]", "facilities": '["97"]'})


def test_policies_of_two_insurers_never_begin_alike(tmp_path):
    role = {"role": '"supplementary"'}
    with pytest.raises(HubError, match="SBIX of sb begins with SBI of sa") as wrong:
        read(tmp_path / "two", sa=role | {"card_groups": '["SBIA", "SBI"]'}, sb=role | {"card_groups": '["SBIX"]'})
    assert wrong.value.code == "SETTING_WRONG"
    assert "sa" in read(tmp_path / "one", sa=role | {"card_groups": '["SBI", "SBIX"]'}), "its own may"


def test_there_is_one_default_and_a_code_is_letters(tmp_path):
    with pytest.raises(HubError, match="not 0"):
        read(tmp_path / "none", all={})
    with pytest.raises(HubError, match="2 to 20 letters"):
        read(tmp_path / "code", a1={})
