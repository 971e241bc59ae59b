"""The numbers of a person: which fields of PID they are taken from, and how often. The golden messages show the rest."""

import pytest

from adapters.dialects.profile import compile_text
from tests.adapters.dialects.said import PID, PV1, mapped, only, told

MANY = "&".join(map(str, range(100_000)))  # parts of FN or SAD, which have five at most


@pytest.mark.parametrize(
    ("external", "internal", "numbers", "noticed"),
    [
        ("H77^^^^PI", "N1^^^^MR", [("N1", "MRN"), ("H77", "MRN")], set()),
        ("001190012345^^^BCA^NI", "N1^^^^MR", [("N1", "MRN"), ("001190012345", "SDDCN")], set()),
        ("H77", "N1^^^^MR", [("N1", "MRN"), ("H77", "MRN")], {("IDENTIFIER_INFERRED", "PID-2")}),
        ("N1", "N1^^^^MR", [("N1", "MRN")], set()),
        ("001190012345", "001190012345^^^BCA^NI", [("001190012345", "SDDCN")], set()),
        ("H77^^^^MR", "", [("H77", "MRN")], set()),
    ],
    ids=["another number", "of another kind", "without a type", "the same again", "the same, its type told once", "alone"],
)
def test_the_old_place_of_the_number_is_read_beside_the_new_one(external, internal, numbers, noticed):
    found = mapped("ADT^A04", f"PID|1|{external}|{internal}||Phạm^Hà^Thị||19850612|F", PV1)
    assert [(one["value"], one["type"]) for one in only(found)["person"]["identifiers"]] == numbers
    assert told(found) == noticed


@pytest.mark.parametrize(
    ("first", "last", "contradict"),
    [("20261231", "20260101", True), ("20260101", "20261231", False), ("20260101", "20260101", False)],
)
@pytest.mark.parametrize(
    ("row", "place"),
    [
        (f"IN1|1|BHYT|VSS{'|' * 9}{{}}|{{}}{'|' * 23}DN4010112345678", "IN1-13"),
        ("ZBH|1|DN4010112345678|{}|{}", "ZBH-4"),
        ("PID|1||MR7^^^^MR~DN4010112345678^^^VSS^HC^^{}^{}||Phạm^Hà||19850612|F", "PID-3[2]"),
    ],
)
def test_a_card_that_ends_before_it_begins_is_told(row, place, first, last, contradict):
    table = '[identifiers]\ncards = ["IN1-36", "ZBH-2"]\ncard_from = "ZBH-3"\ncard_to = "ZBH-4"\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{table if place == "ZBH-4" else ""}')
    row = row.format(first, last)
    person = () if row.startswith("PID") else ("PID|1||MR7^^^^MR||Phạm^Hà||19850612|F",)
    found = mapped("ADT^A04", *person, row, PV1, dialect=mine)
    [card] = [one for one in only(found)["person"]["identifiers"] if one["type"] == "BHYT_CARD"]
    assert (card["valid_from"], card["valid_to"]) == (first, last), "kept as it came"
    assert (("DATES_CONTRADICT", place) in told(found)) is contradict


@pytest.mark.parametrize(
    ("number", "types", "read"),
    [
        ("DN4010112345678", "", "BHYT_CARD"),
        ("001085012345", "", "SDDCN"),
        ("B1234567", "", None),
        ("BS-77/2026", "", None),
        ("B1234567", 'PID-19 = "PASSPORT"', "PASSPORT"),
        ("B1234567", 'PID-19 = "MRN"', "MRN"),
        ("DN4010112345678", 'PID-19 = "BHYT_CARD"', "BHYT_CARD"),
        ("B1234567", 'PID-19 = "BHYT_CARD"', None),
        ("B1234567", 'PID-19 = "SDDCN"', None),
        ("012345678", 'PID-19 = "SDDCN"', "CMND9"),
    ],
)
@pytest.mark.parametrize("untyped", ["true", "false"])
def test_a_field_that_is_for_no_patient_number_gives_one_only_if_the_profile_says_so(
    number: str, types: str, read: str | None, untyped: str
) -> None:
    table = f'[identifiers]\nlists = ["PID-3+PID-19"]\nuntyped = {untyped}\n[identifiers.types]\n{types}\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{table}')
    found = mapped("ADT^A04", f"PID|1||MR7^^^^MR||Phạm^Hà||19850612|F{'|' * 11}{number}", PV1, dialect=mine)
    kinds = {one["value"]: one for one in only(found)["person"]["identifiers"]}
    assert kinds.get(number, {}).get("type") == read
    assert (("IDENTIFIER_UNREAD", "PID-19") in told(found)) == (read is None)
    assert (number in only(found)["meta"].get("unparsed", {}).values()) == (read is None)
    assert (("IDENTIFIER_INFERRED", "PID-19") in told(found)) == (read is not None and not types), (
        "what the profile says is no guess"
    )


@pytest.mark.parametrize(
    ("stated", "kind", "code"),
    [
        ("001085012345^^^BCA^NI", "SDDCN", ""),
        ("012345678^^^BCA^NI", "CMND9", ""),
        ("0116149000^^^BHXH^NI", "BHXH_NUMBER", ""),
        ("DN4171234567890^^^BHXH^NI", "BHYT_CARD", "IDENTIFIER_INFERRED"),
        ("DN4171234567890^^^BCA^NI", "BHYT_CARD", "IDENTIFIER_INFERRED"),
        ("001085012345^^^BHXH^SB", "SDDCN", "IDENTIFIER_INFERRED"),
        ("01234567890^^^BCA^NI", None, "IDENTIFIER_UNREAD"),
        ("01161490^^^VSS^SB", None, "IDENTIFIER_UNREAD"),
        ("0000000000^^^VSS^SB", None, "IDENTIFIER_UNREAD"),
        ("260045^^^VSS^HC", None, "IDENTIFIER_UNREAD"),
    ],
)
def test_a_type_that_a_number_has_not_the_form_of_makes_none_of_that_kind(stated: str, kind: str | None, code: str) -> None:
    found = mapped("ADT^A04", f"PID|1||MR7^^^^MR~{stated}||Phạm^Hà||19850612|F", PV1)
    number = stated.partition("^")[0]
    [own, *others] = only(found)["person"]["identifiers"]
    assert own["type"] == "MRN"
    assert next((one["type"] for one in others if one["value"] == number), None) == kind
    assert told(found) == ({(code, "PID-3[2]")} if code else set())
    assert (number in only(found)["meta"].get("unparsed", {}).values()) == (kind is None)
    if code == "IDENTIFIER_INFERRED":
        assert others[0]["issuer"] == {"BHYT_CARD": "VSS", "SDDCN": "BCA"}[kind or ""], "the authority was that of another kind"


@pytest.mark.parametrize(
    ("stated", "issuer"),
    [
        ("DN4010112345678^^^BHYT^HC", "VSS"),
        ("DN4010112345678^^^BHXH_HN^HC", "VSS"),
        ("0112345678^^^BHXH^SB", "VSS"),
        ("001184009871^^^CCCD^NI", "BCA"),
        ("C1234567^^^KOR^PPN", "KOR"),
    ],
)
def test_a_number_of_national_issue_has_one_issuer_whatever_stands_beside_it(stated: str, issuer: str) -> None:
    found = only(mapped("ADT^A04", f"PID|1||{stated}||Phạm^Hà||19850612|F", PV1))["person"]["identifiers"]
    assert found[0]["issuer"] == issuer


@pytest.mark.parametrize("untyped", ["true", "false"])
@pytest.mark.parametrize(
    ("numbers", "kinds"),
    [("2600200001", ["MRN"]), ("MR7^^^^MR~0116149000", ["MRN", "BHXH_NUMBER"]), ("0116149000^^^VSS^SB", ["BHXH_NUMBER"])],
    ids=["first", "behind another", "typed"],
)
def test_ten_digits_that_stand_first_without_a_type_are_the_hospitals_own(numbers: str, kinds: list[str], untyped: str) -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n[identifiers]\nuntyped = {untyped}\n')
    found = mapped("ADT^A04", f"PID|1||{numbers}||Phạm^Hà||19850612|F", PV1, dialect=mine)
    expected = kinds if untyped == "true" or numbers.endswith("SB") else ["MRN"] * len(kinds)
    assert [one["type"] for one in only(found)["person"]["identifiers"]] == expected
    assert bool(told(found)) == (not numbers.endswith("SB"))


def test_a_type_in_cx5_goes_before_that_of_the_field() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n[identifiers.types]\nPID-3 = "MRN"\n')
    found = mapped("ADT^A04", "PID|1||MR7~001085012345^^^BCA^NI||Phạm^Hà||19850612|F", PV1, dialect=mine)
    assert [one["type"] for one in only(found)["person"]["identifiers"]] == ["MRN", "SDDCN"]
    assert told(found) == set()


@pytest.mark.parametrize(
    ("name", "street", "ho_ten", "dia_chi"),
    [
        ("PHẠM & LÊ^NGỌC ÁNH", "Số 7 Nguyễn Huệ & Lê Lợi^^Quận 1", "PHẠM & LÊ NGỌC ÁNH", "Số 7 Nguyễn Huệ & Lê Lợi, Quận 1"),
        ("van der Berg&van der&Berg^Anna", "12 Lê Lợi&Lê Lợi&12^^Quận 1", "van der Berg Anna", "12 Lê Lợi, Quận 1"),
        ("Lê&Phạm^Ánh", "12&Lê Lợi^^Quận 1", "Lê Phạm Ánh", "12 Lê Lợi, Quận 1"),
        ("Lê&Lê^Ánh", "Đường 3 Tháng 2&&3^^Quận 10", "Lê Lê Ánh", "Đường 3 Tháng 2 3, Quận 10"),
        ("Lê&^Ánh", "&Lê Lợi^^Quận 1", "Lê Ánh", "Lê Lợi, Quận 1"),
        ("Lê&&Lê^Ánh", "7&&7^^Quận 1", "Lê Ánh", "7, Quận 1"),
        (MANY + "^Ánh", MANY, MANY + " Ánh", MANY),
    ],
    ids=["typed", "parts that the whole has already", "parts", "words said twice", "empty parts", "the own surname", "too many"],
)
def test_an_ampersand_cuts_neither_name_nor_address(name: str, street: str, ho_ten: str, dia_chi: str) -> None:
    person = only(mapped("ADT^A04", f"PID|1||N1^^^^MR||{name}||19850612|F|||{street}", PV1))["person"]
    assert (person["ho_ten"], person["dia_chi"]) == (ho_ten, dia_chi)


@pytest.mark.parametrize(
    ("stated", "order", "name", "odd"),
    [
        ("PHẠM^THỊ^MAI", "full_name", "PHẠM MAI THỊ", True),
        ("Trần^Văn^Đức", "full_name", "Trần Đức Văn", True),
        ("PHẠM^THỊ^MAI", "full_name_in_order", "PHẠM THỊ MAI", False),
        ("Phạm^Mai^Thị", "full_name", "Phạm Thị Mai", False),
        ("Phạm^Thị", "full_name", "Phạm Thị", False),
        ("PHAM^THI^MAI", "full_name", "PHAM MAI THI", False),
        ("NGUYỄN^THỊ BÉ^SÁU", "full_name", "NGUYỄN SÁU THỊ BÉ", True),
        ("Lê^Văn  Út^Em", "full_name", "Lê Em Văn Út", True),
        ("NGUYỄN^THI\u0323 BÉ^SÁU", "full_name", "NGUYỄN SÁU THỊ BÉ", True),
        ("NGUYỄN^THỊ BÉ^SÁU", "full_name_in_order", "NGUYỄN THỊ BÉ SÁU", False),
        ("NGUYỄN^SÁU^THỊ BÉ", "full_name", "NGUYỄN THỊ BÉ SÁU", False),
        ("NGUYỄN^THỊ BÉ SÁU", "full_name", "NGUYỄN THỊ BÉ SÁU", False),
    ],
    ids=[
        *("Thị", "Văn", "the profile says so", "as HL7 has it", "of two", "without marks, may be Thi"),
        *(
            "Thị and more",
            "Văn and more",
            "letter and mark apart",
            "more, the profile says so",
            "more, as HL7 has it",
            "more, of two",
        ),
    ],
)
def test_a_middle_name_where_the_given_name_belongs_is_told(stated: str, order: str, name: str, odd: bool) -> None:
    rule = f'[person]\nho_ten = {{ from = "PID-5", as = "{order}" }}\n'
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{rule}')
    found = mapped("ADT^A04", f"PID|1||N1^^^^MR||{stated}||19850612|F", PV1, dialect=mine)
    assert only(found)["person"]["ho_ten"] == name
    assert (("NAME_ODD", "PID-5") in told(found)) is odd


@pytest.mark.parametrize(("stated", "odd"), [("NGUYỄN^THỊ BÉ^SÁU", True), ("NGUYỄN^THỊ^SÁU", True), ("NGUYỄN^SÁU^THỊ BÉ", False)])
def test_a_middle_name_where_the_given_name_of_a_guardian_belongs_is_told(stated: str, odd: bool) -> None:
    found = mapped("ADT^A04", "PID|1||N1^^^^MR||Phạm^Mai^Thị||19850612|F", f"NK1|1|{stated}|MTH", PV1)
    assert {place for code, place in told(found) if code == "NAME_ODD"} == ({"NK1-2"} if odd else set())


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("J18.9^Viêm phổi & suy hô hấp ^ nặng^ICD10", "Viêm phổi & suy hô hấp ^ nặng"),
        ("J18.9^Viêm phổi^ICD10", "Viêm phổi"),
        ("J18.9^Viêm phổi^L^ICD10", "Viêm phổi"),
        ("J18.9^Viêm phổi^^ICD10", "Viêm phổi"),
        ("J18.9^Viêm phổi^bộ mã riêng^J18^Viêm phổi^I10", "Viêm phổi"),
        ("J18.9^Viêm phổi ^ nặng^ICD10|Viêm phổi nặng", "Viêm phổi nặng"),
    ],
    ids=["cut", "one system", "a local system", "none", "another code", "in words elsewhere"],
)
def test_words_of_a_diagnosis_that_a_caret_cut_are_one_text(stated: str, words: str) -> None:
    [diagnosis] = only(mapped("ADT^A04", "PID|1||N1^^^^MR||Phạm^Hà", PV1, f"DG1|1||{stated}"))["diagnoses"]
    assert (diagnosis["ma_benh"], diagnosis["chan_doan"]) == ("J18.9", words)


WORDS = "BPTNMT; ĐTĐ; Suy thận mạn"


@pytest.mark.parametrize(
    "codes",
    [
        "J44.9;E11.9;N18.3",
        "j449, e119, n183",
        "J44.9; E11.9;N18.3;",
        "J44.9/E11.9 / N18.3",
        "J44.9 và E11.9 & N18.3",
        r"J44.9\T\e119 + N18.3",
        "J44.9+E11.9+N18.3",
    ],
)
def test_several_codes_in_one_dg1_are_as_many_diagnoses_in_the_same_words(codes: str) -> None:
    found = mapped("ADT^A03", "PID|1||N1^^^^MR||Phạm^Hà", PV1, f"DG1|1||{codes}^{WORDS}^ICD10|||F|||||||||1", "DG1|2||I10")
    main = {"ma_benh": "J44.9", "chan_doan": WORDS, "type": "F", "main": True}
    others = [{"ma_benh": code, "chan_doan": WORDS, "type": "F"} for code in ("E11.9", "N18.3")]
    assert only(found)["diagnoses"] == [main, *others, {"ma_benh": "I10"}]
    assert not told(found)


def test_a_slip_has_the_first_of_several_codes_as_the_main_one_and_their_words_once() -> None:
    rf1 = "RF1|P|R|||||20261123|||1|CT1"
    slip = only(mapped("REF^I12", rf1, "PID|1||N1^^^^MR||Phạm^Hà", f"DG1|1||J44.9;E11.9;N18.3^{WORDS}"))["xml13"]
    assert (slip["ma_benh_chinh"], slip["ma_benh_kt"], slip["chan_doan_rv"]) == ("J44.9", "E11.9;N18.3", WORDS)


@pytest.mark.parametrize(
    ("stated", "words", "kept"),
    [
        ("I10;ĐTĐ^Tăng huyết áp", "Tăng huyết áp", "I10;ĐTĐ"),
        ("I10;E11.9;ĐTĐ", "I10;E11.9;ĐTĐ", "I10;E11.9;ĐTĐ"),
        ("I10; ĐTĐ^E11.9", "E11.9", "I10; ĐTĐ"),
        ("I10 và E11.9 nặng^Tăng huyết áp", "Tăng huyết áp", "I10 và E11.9 nặng"),
        ("I10/ĐTĐ^Tăng huyết áp", "Tăng huyết áp", "I10/ĐTĐ"),
        ("I10&ĐTĐ^Tăng huyết áp", "Tăng huyết áp", "I10&ĐTĐ"),
        ("I10-I15^Tăng huyết áp", "Tăng huyết áp", "I10-I15"),
        ("I10/ĐTĐ", "I10/ĐTĐ", None),
        ("I10, tăng huyết áp", "I10, tăng huyết áp", None),
        ("I10 - tăng huyết áp^Tăng huyết áp", "Tăng huyết áp", None),
    ],
    ids=[
        "words that stand nowhere else",
        "a second code",
        "other words",
        "a second code with words",
        "behind a stroke",
        "behind an &",
        "from one code to another",
        "no other words",
        "its words",
        "the same words",
    ],
)
def test_what_stands_behind_a_code_and_is_none_is_in_the_words_or_told_and_kept(
    stated: str, words: str, kept: str | None
) -> None:
    found = mapped("ADT^A03", "PID|1||N1^^^^MR||Phạm^Hà", PV1, f"DG1|1||{stated}")
    assert [(each["ma_benh"], each["chan_doan"]) for each in only(found)["diagnoses"]] == [("I10", words)]
    assert only(found)["meta"].get("unparsed", {}).get("diagnoses[0].ma_benh") == kept
    assert told(found) == ({("CODE_UNKNOWN", "DG1-3")} if kept else set())


@pytest.mark.parametrize(
    ("stated", "codes"),
    [
        ("A17.0+", ["A17.0+"]),
        ("A17.0+ G01*", ["A17.0+", "G01*"]),
        ("A17.0+G01*", ["A17.0+", "G01*"]),
        ("A17.0†G01*", ["A17.0†", "G01*"]),
        ("A17.0†/G01*", ["A17.0†", "G01*"]),
    ],
)
def test_dagger_and_asterisk_stay_with_their_codes(stated: str, codes: list[str]) -> None:
    found = mapped("ADT^A03", "PID|1||N1^^^^MR||Phạm^Hà", PV1, f"DG1|1||{stated}^Lao màng não")
    assert [each["ma_benh"] for each in only(found)["diagnoses"]] == codes and not told(found)


def test_each_of_several_codes_may_be_a_protected_one() -> None:
    found = mapped("ADT^A03", "PID|1||N1^^^^MR||Phạm^Hà", PV1, "DG1|1||I10;B20^Tăng huyết áp")
    assert only(found)["meta"]["sensitivity"] == "HIV"


@pytest.mark.parametrize(
    ("address", "shifted"),
    [("P.5|Q.10^^TP.HCM", True), (r"P.5\F\Q.10^^TP.HCM", False), ("P.5|760", False), ("P.5|760^^", False)],
    ids=["a bar nobody escaped", "escaped", "a county", "padded"],
)
def test_an_address_that_goes_on_in_the_next_field_is_told(address: str, shifted: bool) -> None:
    found = mapped("ADT^A04", f"PID|1||N1^^^^MR||Phạm^Hà||19850612|F|||{address}", PV1)
    assert (("FIELDS_SHIFTED", "PID-12") in told(found)) is shifted


@pytest.mark.parametrize(
    ("field", "told_at"), [(36, set()), (37, {("FIELDS_SHIFTED", "IN1-37")}), (35, {("FIELDS_SHIFTED", "IN1-35")})]
)
def test_a_card_beside_its_field_is_told_and_is_none(field: int, told_at: set[tuple[str, str]]) -> None:
    found = mapped("ADT^A04", PID, "IN1|1|BHYT|VSS" + "|" * (field - 3) + "GD4010116149000", PV1)
    assert {one for one in told(found) if one[0] == "FIELDS_SHIFTED"} == told_at
    assert any(each.get("type") == "BHYT_CARD" for each in only(found)["person"]["identifiers"]) == (not told_at)


def test_of_several_numbers_that_nobody_can_read_each_is_kept() -> None:
    found = mapped("ADT^A04", "PID|1||001^^^VSS^HC~002^^^VSS^HC~N1^^^^MR||Phạm^Hà^Thị||19850612|F", PV1)
    assert only(found)["meta"]["unparsed"] == {"person.identifiers[0].value": "001;002"}
    assert told(found) == {("IDENTIFIER_UNREAD", "PID-3"), ("IDENTIFIER_UNREAD", "PID-3[2]")}
