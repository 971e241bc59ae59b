"""What the lists of `[sensitive]` hold, and what only looks like it: whole sentences, as physicians write them."""

import unicodedata

import pytest

from adapters.dialects.profile import STANDARD, load_dialect
from adapters.dialects.profile_model import Sensitive
from adapters.dialects.sensitivity import compile_labels

LABELS = load_dialect(STANDARD).labels


def sensitive(*icd: str, tests: tuple[str, ...] = (), **more: object) -> Sensitive:
    return Sensitive.model_validate({"icd": icd, "tests": tests, "words": (), **more})


# --- free text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Rối loạn thần kinh thực vật",
        "Tâm thần kinh bình thường",
        "Không có rối loạn tâm thần kinh",
        "Rối loạn tâm thần kinh do hạ đường huyết",
        "Tự sát khuẩn vết thương tại nhà bằng cồn",
        "Đã tự sát trùng da trước khi đến",
        "Đang cai nghiện thuốc lá",
        "Cai nghiện  thuốc lào 3 năm",
        "Thuốc Arveles 25 mg",
        "Roi loan than kinh thuc vat",
        "Dang cai nghien thuoc la",
        "Dau bung tang tu tu",
        "Roi loan than nhiet",
        "Dang mang thai ho nhieu ve dem",
        "Benh nhan chuyen phoi, ho ra mau",
        "Đau tăng từ từ\nDan di lai tu tu",
        "Vo sinh mo 2 lan",
        "Vo sinh thuong",
        "Vợ sinh con năm 2020",
        "BS Vo Sinh Duc",
        "Chuyen tu tram Cam Thuy",
        "tram cam ranh",
        "BS Le Hung Cam",
        "Cô Nga ở trạm\ntram\nCô Lan\ncam",
    ],
)
def test_what_only_looks_like_a_mention_is_none(text: str) -> None:
    assert LABELS.in_words(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Tiền sử: không trầm cảm",
        "Chưa phát hiện bệnh tâm thần",
        "Không nghiện rượu, không hút thuốc",
        "Bệnh nhân phủ nhận tiền sử trầm cảm",
        "Không có tiền sử nghiện ma túy",
        "Chưa từng có ý định tự sát",
        "Không ghi nhận dấu hiệu loạn thần",
        "Gia đình không ai mắc bệnh tâm thần",
        "Chưa từng phá thai",
        "Chưa nạo hút thai lần nào",
        "Chưa từng được chẩn đoán trầm cảm",
        "Phủ nhận tiền sử bản thân và gia đình mắc trầm cảm",
        "Phủ nhận tiền sử mắc bệnh lý trầm cảm",
        "Phủ nhận tiền sử bản thân trầm cảm",
        "Không có tiền sử gia đình trầm cảm",
        "Khong co tien su tram cam",
        "Chua tung duoc chan doan tram cam",
        "Phu nhan tien su nghien ma tuy",
    ],
)
def test_what_is_denied_is_no_mention(text: str) -> None:
    assert LABELS.in_words(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Không ngủ được, trầm cảm",
        "Không đáp ứng thuốc chống trầm cảm",
        "Không rõ đã uống thuốc gì để tự tử",
        "Không trầm cảm nữa sau 6 tháng điều trị",
        "Chưa loại trừ trầm cảm",
        "Chưa sử dụng methadone",
        "Sốt: không\nTrầm cảm 3 năm",
        "Không nghiện rượu. Từng trầm cảm",
        "Không trầm cảm, nghiện rượu 20 năm",
        "Chưa có gia đình trầm cảm nặng",
        "Chua co gia dinh tram cam nang",
        "Không có con sau 3 năm, loạn thần sau sinh",
        "Rối loạn thần kinh thực vật, trầm cảm",
        "Rối loạn tâm thần\nKinh tế khó khăn",
        "Loạn thần, kinh nguyệt đều",
        "Bệnh tâm thần kinh niên",
        "Cai nghiện\nThuốc lá: không",
        "Dang chua tram cam",
        "Tram cam lo au",
        "Dang hung cam",
        "Cô Nga\ntram\ncam",
        "Khong ngu duoc, tram cam",
        "Khong tram cam nua sau 6 thang",
        "Co y dinh tu tu",
        "Benh tam than kinh nien",
        "Đã khám tại Bạch Mai\nTram cam 3 nam",
    ],
)
def test_a_denial_of_something_else_or_of_a_part_denies_nothing(text: str) -> None:
    assert LABELS.in_words(text) == "MENTAL"


@pytest.mark.parametrize(
    "text", ["Không rõ HIV", "Chưa xét nghiệm HIV", "HIV âm tính", "Phủ nhận nhiễm HIV", "Không AIDS", "Chưa dùng ARV"]
)
def test_of_hiv_nothing_is_denied_as_that_it_was_asked_after_is_protected_too(text: str) -> None:
    assert LABELS.in_words(text) == "HIV"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Trầm \n cảm nặng", "MENTAL"),
        ("Hành vi tự huỷ hoại", "MENTAL"),
        ("Hành vi tự hủy hoại", "MENTAL"),
        ("Cơn loạn thần cấp", "MENTAL"),
        ("Đang cai nghiện ma tuý", "MENTAL"),
        ("Uống methadone hằng ngày", "MENTAL"),
        ("Tiền sử nạo phá thai", "REPRODUCTIVE"),
        ("Bơm tinh trùng vào buồng tử cung (IUI)", "REPRODUCTIVE"),
        ("XN_HIV", "HIV"),
        ("H.I.V (+)", "HIV"),
        ("HIV duong tinh", "HIV"),
        ("nhiem HIV", "HIV"),
        ("SUY GIAM MIEN DICH MAC PHAI", "HIV"),
        ("tram cam", "MENTAL"),
        ("TRAM CAM NANG", "MENTAL"),
        ("Tram\ncam", "MENTAL"),
        ("Nao pha thai", "REPRODUCTIVE"),
        ("Vo sinh I", "REPRODUCTIVE"),
        ("vo sinh nguyen phat", "REPRODUCTIVE"),
        ("Vo sinh thu phat", "REPRODUCTIVE"),
        ("Dang dieu tri vo sinh", "REPRODUCTIVE"),
        ("hiem muon 5 nam", "REPRODUCTIVE"),
        ("Chưa điều trị vô sinh", "REPRODUCTIVE"),
        ("Chuyen phoi tru", "REPRODUCTIVE"),
        ("HIVAg/Ab", "HIV"),
        ("Phác đồ ARV1", "HIV"),
    ],
)
def test_a_mention_counts_however_it_is_spelt_and_broken(text: str, label: str) -> None:
    assert LABELS.in_words(text) == label


def test_words_of_a_profile_count_in_whatever_form_its_file_was_saved() -> None:
    labels = compile_labels(
        {"MENTAL": sensitive(mentions=(unicodedata.normalize("NFD", "Trầm cảm"), " rối  loạn ăn uống ", "lithi*", "*"))}
    )
    assert [labels.in_words(text) for text in ("trầm cảm", "Rối loạn ăn uống", "Lithium", "không", "alithi")] == [
        "MENTAL"
    ] * 3 + [""] * 2


def test_without_words_nothing_is_mentioned() -> None:
    assert compile_labels({"HIV": sensitive("B20")}).in_words("B20, HIV") == ""


# --- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "label"),
    [("F329", "MENTAL"), ("f32.9", "MENTAL"), ("F024", "HIV"), (" o987 ", "HIV"), ("Z915", "MENTAL"), ("Z114", "HIV"), ("Z910", ""), ("F02.4*", "HIV"), ("", "")],
)  # fmt: skip
def test_an_illness_has_its_label_in_any_form_of_its_code(code: str, label: str) -> None:
    assert LABELS.of_illness(code) == label


def test_a_code_in_two_lists_has_the_label_that_stands_first() -> None:
    labels = compile_labels({"HIV": sensitive("B20", tests=("1",)), "MENTAL": sensitive("B20", tests=("1",))})
    assert (labels.of_illness("B20.1"), labels.of_test(["1"], "")) == ("HIV", "HIV")


@pytest.mark.parametrize(("first", "second"), [("F02", "F02.4"), ("F02.4", "F02")])
def test_of_a_category_and_a_code_in_it_the_graver_label_counts(first: str, second: str) -> None:
    labels = compile_labels({"HIV": sensitive(first), "MENTAL": sensitive(second)})
    assert labels.of_illness("F02.4") == "HIV"
    assert labels.of_illness("F02.9") == ("HIV" if first == "F02" else "MENTAL")


def test_a_test_is_known_by_any_of_its_codes_and_by_its_names() -> None:
    assert LABELS.of_test(("X", "75622-1"), "") == "HIV"
    assert LABELS.of_test(("X", ""), "Định lượng methadone niệu") == "MENTAL"
    assert LABELS.of_test(("", ""), "") == ""
