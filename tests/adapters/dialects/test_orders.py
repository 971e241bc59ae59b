"""What becomes of an order: who performs it, what is said of it, how soon, with which notes."""

import pytest

from adapters.dialects.clinical_segments import order_segments
from adapters.dialects.profile import compile_text
from adapters.formats.hl7v2 import build
from tests.adapters.dialects.said import PID, mapped, only, read
from tests.adapters.dialects.said import told as problems


@pytest.mark.parametrize(
    ("receiver", "performer", "told"),
    [
        ("LIS|01940", "01940", []),
        ("NGUYETCAT|NC-DONG", "01921", []),
        ("LIS|NC-DONG", None, [("PERFORMER_UNKNOWN", "MSH-6")]),
        ("LIS|BV-KHAC", None, [("PERFORMER_UNKNOWN", "MSH-6")]),
        ("LIS|01004", None, []),
        ("SONGHONG_HIS|CS1", None, []),
        ("HIE|HUB", None, []),
        ("|", None, []),
    ],
    ids=["a code", "an alias", "half of one", "a name", "its own code", "an alias of its own", "the hub", "nobody"],
)
def test_who_performs_an_order_is_named_by_code_or_alias_or_told_to_be_nobody(receiver, performer, told) -> None:
    found = mapped("ORM^O01", PID, "ORC|NW|1", "OBR|1|1||A", facility="01004", receiver=receiver)
    assert (only(found).get("performer"), sorted(problems(found))) == (performer, told)


@pytest.mark.parametrize("control", ["OK", "SC", "CM", "UA", "NHAN"])
def test_an_answer_needs_no_name_in_msh6(control) -> None:
    found = mapped("ORM^O01", PID, f"ORC|{control}|1", "OBR|1|1||A", facility="01940", receiver="HIS|BV-KHAC")
    told = {"NHAN": {("CODE_UNKNOWN", "ORC-1")}, "UA": {("FIELD_MISSING", "ORC-16")}}
    assert problems(found) == told.get(control, set())


@pytest.mark.parametrize(
    ("states", "action"), [(("CM", "CM"), "COMPLETED"), (("CM", "IP"), "IN_PROGRESS"), (("cm", "cm"), "COMPLETED")]
)
def test_an_order_is_completed_when_all_of_it_is(states, action) -> None:
    tests = [f"ORC|SC|P1|F{n}||{state}\rOBR|{n}|P1|F{n}|T{n}" for n, state in enumerate(states)]
    assert only(mapped("ORM^O01", PID, *"\r".join(tests).split("\r")))["action"] == action


def test_what_is_said_of_one_test_of_an_order_alone_is_an_event_of_its_own() -> None:
    rows = ["ORC|NW|P1", "OBR|1|P1||A", "NTE|1||fasting", "OBX|1|NM|W^Weight||52", f"ORC|CA|P1{'|' * 14}^twice", "OBR|2|P1||B",
            "NTE|1||not drawn", "OBX|1|ST|X^X||no", "OBR|3|||C", "ORC|SN|P1", "OBR|4|P1||D"]  # fmt: skip
    placed, cancelled = events = read("ORM^O01", *rows)
    assert [(event["action"], event["placer"], [one["code"] for one in event["services"]]) for event in events] == [
        ("PLACED", "P1", ["A", "D"]),
        ("CANCELLED", "P1", ["B", "C"]),
    ]
    assert [event["notes"] for event in events] == [["fasting"], ["not drawn"]]
    assert [event["observations"][0]["code"]["code"] for event in events] == ["W", "X"]
    assert "reason" not in placed and cancelled["reason"] == "twice"
    assert placed["meta"]["key"] == cancelled["meta"]["key"] and placed["meta"]["event_id"] != cancelled["meta"]["event_id"]


@pytest.mark.parametrize("control", ["NW", "CA"])
@pytest.mark.parametrize(
    ("placer", "numbers"),
    [
        ('["ORC-2", "OBR-2"]', ["P7", "P7.2", "P7.3"]),
        ('"OBR-2"', ["P7.1", "P7.2", "P7.3"]),
        ('"ORC-2"', ["P7"]),
    ],
    ids=["as it is", "an order each", "one order"],
)
def test_what_an_orc_says_is_of_all_tests_up_to_the_next_but_for_their_own_numbers(control, placer, numbers) -> None:
    lines = 'extends = "_standard"\nversion = "1"\n[order]\nplacer = ' + placer
    rows = [f"ORC|{control}|P7||G26|||^^^^^S||20260912084500|||BS1||||^stop"]
    rows += [f"OBR|{n}|P7.{n}||{test}" for n, test in enumerate("ABC", 1)]
    rows += ["ORC|NW|P8", "OBR|4|P8||D"]
    *events, other = read("ORM^O01", *rows, dialect=compile_text("one", lines))
    assert [event["placer"] for event in events] == numbers
    assert [one["code"] for event in events for one in event["services"]] == ["A", "B", "C"]
    said = {(event["action"], event["group"], event["priority"], event["ma_bac_si"], event["reason"]) for event in events}
    assert said == {({"NW": "PLACED", "CA": "CANCELLED"}[control], "G26", "S", "BS1", "stop")}
    assert len({event["ordered_at"] for event in events}) == 1
    assert other["action"] == "PLACED" and other.keys().isdisjoint({"group", "priority", "reason", "ordered_at"})


def test_what_a_test_says_itself_comes_before_what_the_orc_above_says() -> None:
    rows = [
        "ORC|NW|P1|^01921||||^^^^^R||20261123070000|||BS1",
        "OBR|1|P1||A",
        f"OBR|2|P2|^01731|B||20261123073000{'|' * 10}BS2{'|' * 11}^^^^^S",
    ]
    first, second = read("ORM^O01", *rows)
    names = ("placer", "performer", "priority", "ma_bac_si")
    assert [first[name] for name in names] == ["P1", "01921", "R", "BS1"]
    assert [second[name] for name in names] == ["P2", "01731", "S", "BS2"]
    assert [event["ordered_at"] for event in (first, second)] == ["20261123070000", "20261123073000"]


def test_the_tube_before_orders_is_of_a_test_under_an_orc_above_as_of_the_first() -> None:
    test = f"||{{}}|||20261123060000{'|' * 8}UR"
    rows = [f"SPM|1|S1||BLD{'|' * 13}20261123073000", "ORC|NW|P1", "OBR|1|P1" + test.format("A"), "OBR|2|P2" + test.format("B")]
    first, second = read("OML^O33", *rows)
    assert [(one["specimen_id"], one["specimen_type"], one["sampled_at"]) for one in (first, second)] == [
        ("S1", "BLD", "20261123073000")
    ] * 2


def test_what_a_test_deletes_is_not_what_the_orc_above_says() -> None:
    deleted = f'OBR|2|P2||B{"|" * 12}""{"|" * 11}""'
    for orc in ("ORC|NW|P1|||||^^^^^S|||||BS1", "ORC|NW|P1"):
        [_, second] = read("ORM^O01", orc, "OBR|1|P1||A", deleted)
        assert {"priority", "ma_bac_si"}.isdisjoint(second)
        assert sorted(second["meta"]["cleared"]) == ["ma_bac_si", "priority"]


def test_the_urgency_between_orc_and_its_first_test_is_of_all_and_that_behind_a_test_its_own() -> None:
    before = read("OML^O21", "ORC|NW|P1", "TQ1|1||||||||S", "OBR|1|P1||A", "OBR|2|P2||B", "ORC|NW|P3", "OBR|3|P3||C")
    assert [event.get("priority") for event in before] == ["S", "S", None]
    behind = read("OML^O21", "ORC|NW|P1", "OBR|1|P1||A", "TQ1|1||||||||S", "OBR|2|P2||B")
    assert [event.get("priority") for event in behind] == ["S", None]


def test_a_test_that_comes_again_under_another_orc_is_what_that_one_says() -> None:
    profile = compile_text("own", 'extends = "_standard"\nversion = "1"\n[order]\nplacer = "OBR-2"')
    rows = ["ORC|CA|S1", "OBR|1|T1||A", "ORC|NW|S2", "OBR|2|T9||B", "OBR|3|T1||A"]
    events = read("ORM^O01", *rows, dialect=profile)
    assert [(event["placer"], event["action"]) for event in events] == [("T1", "CANCELLED"), ("T1", "PLACED"), ("T9", "PLACED")]


def test_the_number_of_a_slip_is_of_all_its_tests_where_a_profile_says_that_orc_alone_has_it() -> None:
    lines = 'extends = "_standard"\nversion = "1"\n[order]\nplacer = "ORC-2"\n[result]\nplacer = "ORC-2"'
    profile = compile_text("slip", lines)
    rows = [f"OBR|{n}|T{n}|F{n}|{test}" for n, test in enumerate("ABC", 1)]
    [order] = read("ORM^O01", "ORC|OK|S1", *rows, dialect=profile)
    assert (order["placer"], order["action"], len(order["services"])) == ("S1", "ACCEPTED", 3)
    seen = [line for row in rows for line in (row, "OBX|1|NM|X^X||1||||||F")]
    results = read("ORU^R01", "ORC|RE|S1", *seen, "ORC|RE|S2", rows[0], "OBX|1|NM|X^X||1||||||F", dialect=profile)
    assert [(result["placer"], result["filler"]) for result in results] == [
        ("S1", "F1"),
        ("S1", "F2"),
        ("S1", "F3"),
        ("S2", "F1"),
    ]
    assert "placer" not in read("ORU^R01", "ORC|RE|S1", *seen[:2], "OBR|2||F2|B", seen[1])[1], (
        "as it is, an OBR speaks for itself"
    )


@pytest.mark.parametrize("receiver", ["HIE|HUB", "HIS|01004"], ids=["the hub", "another code"])
@pytest.mark.parametrize(
    "order", [("NW|P1|^01940", "CA|P1"), ("CA|P1", "NW|P1|^01940")], ids=["cancelled last", "cancelled first"]
)
def test_a_cancelled_test_goes_to_whom_its_order_names_beside_it(order: tuple[str, str], receiver: str) -> None:
    rows = [row for n, control in enumerate(order, 1) for row in (f"ORC|{control}", f"OBR|{n}|P1||T{n}")]
    events = [event for _, event in mapped("ORM^O01", PID, *rows, receiver=receiver).events]
    assert [event["performer"] for event in events] == ["01940", "01940"]


def test_tests_of_one_order_that_name_their_own_performers_go_to_these() -> None:
    rows = ["ORC|NW|P1|^01940", "OBR|1|P1||A", "ORC|CA|P1|^01921", "OBR|2|P1||B"]
    assert [event["performer"] for _, event in mapped("ORM^O01", PID, *rows).events] == ["01940", "01921"]


@pytest.mark.parametrize(
    ("controls", "actions"),
    [
        (["CA", "NW"], ["CANCELLED", "PLACED"]),
        (["CA", ""], ["CANCELLED", "PLACED"]),
        (["NW", "SN", "PA"], ["PLACED"]),
        (["CA", "DC"], ["CANCELLED"]),
        (["OK", "UA"], ["ACCEPTED", "REFUSED"]),
        (["NW", "NHAN", "KHAC"], ["PLACED", "UNKNOWN", "UNKNOWN"]),
    ],
)
def test_controls_of_one_meaning_say_one_thing_of_an_order(controls: list[str], actions: list[str]) -> None:
    rows = [row for n, control in enumerate(controls, 1) for row in (f"ORC|{control}|P1", f"OBR|{n}|P1||T{n}")]
    assert [event["action"] for event in read("ORM^O01", *rows)] == actions


def test_an_action_in_a_local_segment_behind_the_last_service_is_of_the_whole_order() -> None:
    mine = compile_text(
        "mine", 'extends = "_standard"\nversion = "1"\n[order]\naction = { from = "ZLB-1", codes = "order_control" }\n'
    )
    rows = ["ORC||P1", "OBR|1|P1||A", "ORC||P1", "OBR|2|P1||B", "ZLB|CA"]
    assert [event["action"] for event in read("ORM^O01", *rows, dialect=mine)] == ["CANCELLED"]


def test_an_order_that_goes_to_nobody_is_not_told_to_wait_for_whom_it_names() -> None:
    assert problems(mapped("ORM^O01", PID, "ORC|NHAN|P1|F1^01999", "OBR|1|P1|F1^01999|GLU^G")) == {("CODE_UNKNOWN", "ORC-1")}


def test_an_order_control_that_nobody_knows_is_no_change() -> None:
    found = mapped("ORM^O01", PID, "ORC|NHAN|P1|F1", "OBR|1|P1|F1|GLU^G")
    assert (only(found)["action"], only(found)["meta"]["unparsed"]) == ("UNKNOWN", {"action": "NHAN"})
    own = compile_text("own", 'extends = "_standard"\nversion = "1"\n[codes.order_control]\nNHAN = "ACCEPTED"\n')
    assert only(mapped("ORM^O01", PID, "ORC|nhan|P1|F1", "OBR|1|P1|F1|GLU^G", dialect=own))["action"] == "ACCEPTED"


@pytest.mark.parametrize(
    ("ordered", "entered_by", "shifted"),
    [
        ("", "20261124081000", True),
        ("", "BS01^Lê^An", False),
        ("", "26111212000001", False),
        ("20261124081000", "20261124081000", False),
    ],
    ids=["a time", "a person", "a number", "both"],
)
def test_the_time_of_an_order_in_the_place_of_who_entered_it_is_told(ordered: str, entered_by: str, shifted: bool) -> None:
    found = mapped("ORM^O01", PID, f"ORC|NW|P1{'|' * 7}{ordered}|{entered_by}", "OBR|1|P1||GLU^G")
    assert (("FIELDS_SHIFTED", "ORC-10") in problems(found)) is shifted


@pytest.mark.parametrize(("filler", "place"), [("^01999", "ORC-3"), ("^01940", "")])
def test_an_order_for_a_performer_that_the_directory_lacks_is_told(filler: str, place: str) -> None:
    found = mapped("ORM^O01", PID, f"ORC|NW|P1|{filler}", "OBR|1|P1||GLU^G")
    assert [where for code, where in problems(found) if code == "RECEIVER_UNKNOWN"] == [place] * bool(place)


def test_the_class_of_an_order_is_its_own_before_that_of_the_visit_and_unknown_is_none() -> None:
    def kind(visit: str, order: str) -> str:
        [event] = read("ORM^O01", f"PV1|1|{visit}", "ORC|NW|1" + "|" * 27 + order, "OBR|1|1||A")
        return str(event.get("patient_class", ""))

    assert [kind("O", "I"), kind("O", ""), kind("U", ""), kind("", "")] == ["I", "O", "", ""]


LOCAL = compile_text(
    "local",
    """
extends = "_standard"
version = "1"
[order]
notes = { from = "ZLB-2", as = "list" }
[result]
notes = { from = "ZLB-2", as = "list" }
[observation]
notes = { from = "OBX-13", as = "list" }
""",
)


def test_a_local_segment_behind_any_service_of_an_order_is_of_the_order() -> None:
    one = ["ORC|NW|1", "OBR|1|1||A", "OBR|2|1||B", "ZLB|1|fasting~at home"]
    other = ["ORC|NW|2", "OBR|3|2||C", "ZLB|1|urgent", "OBR|4|2||D", "ZLB|2|later"]
    events = read("ORM^O01", *one, *other, dialect=LOCAL)
    assert [event.get("notes") for event in events] == [["fasting", "at home"], ["urgent"]], "of several the first"
    assert [[one["code"] for one in event["services"]] for event in events] == [["A", "B"], ["C", "D"]]


def test_notes_that_a_rule_finds_stand_before_those_of_nte() -> None:
    rows = ["ORC|NW|1", "OBR|1|1||A", "NTE|1||as told", "ZLB|1|fasting"]
    assert [event["notes"] for event in read("ORM^O01", *rows, dialect=LOCAL)] == [["fasting", "as told"]]
    lines = ["OBX|1|NM|a||5||||||||seen twice", "NTE|1||hazy", "OBX|2|NM|a||+||||||||diluted", "NTE|1||clear"]
    [result] = read("ORU^R01", *rows, *lines, dialect=LOCAL)
    assert result["notes"] == ["fasting", "as told"]
    assert [line["notes"] for line in result["observations"]] == [["seen twice", "hazy"], ["diluted", "clear"]]


def test_what_an_order_observes_and_when_the_sample_was_taken_goes_with_it() -> None:
    rows = [PID, "ORC|NW|P1", "OBR|1|P1||GLU^G|||20261123075500", "OBX|1|NM|W^Weight||52.5|kg|||||F", "NTE|1||sáng nay",
            "ORC|NW|P1", "OBR|2|P1||HIV^HIV", "OBX|1|ST|FAST^Fasting||yes"]  # fmt: skip
    order = only(mapped("OML^O21", *rows))
    assert order["sampled_at"] == "20261123075500"
    assert [(line["code"]["code"], line["gia_tri"], line.get("notes", [])) for line in order["observations"]] == [
        ("W", "52.5", ["sáng nay"]),
        ("FAST", "yes", []),
    ]
    tube = "SPM|1|T1||WB" + "|" * 13 + "20261123080100"
    assert only(mapped("OML^O21", *rows[:3], tube))["sampled_at"] == "20261123080100"
    told = mapped("OML^O21", PID, "ORC|NW|P1", "OBR|1|P1||GLU^G", "OBX|1|NM|W^Weight||nặng|kg")
    assert ("NUMBER_UNPARSABLE", "OBX-5") in problems(told)


@pytest.mark.parametrize(
    ("control", "status", "action"),
    [
        ("OK", "", "ACCEPTED"),
        ("SC", "", "IN_PROGRESS"),
        ("SC", "IP", "IN_PROGRESS"),
        ("SC", "CM", "COMPLETED"),
        ("CM", "", "COMPLETED"),
        ("UA", "", "REFUSED"),
        ("CR", "", "CANCELLED"),
    ],
)
def test_what_a_laboratory_says_of_an_order_keeps_its_reason(control: str, status: str, action: str) -> None:
    found = mapped("ORM^O01", PID, f"ORC|{control}|P1|F1||{status}{'|' * 11}HONG^Mẫu vỡ hồng cầu")
    assert "CODE_UNKNOWN" not in {code for code, _ in problems(found)}
    assert (only(found)["action"], only(found)["reason"]) == (action, "Mẫu vỡ hồng cầu")
    assert "TEST_MISSING" not in {code for code, _ in problems(found)}


@pytest.mark.parametrize(
    ("control", "rows", "told"),
    [("UA", [], True), ("UA", ["NTE|1||mẫu vỡ hồng cầu"], False), ("OK", [], False), ("CR", [], False)],
)
def test_a_refused_order_says_why_in_its_reason_or_a_note(control: str, rows: list[str], told: bool) -> None:
    found = problems(mapped("ORM^O01", PID, f"ORC|{control}|P1|F1", *rows))
    assert (("FIELD_MISSING", "ORC-16") in found) == told


def test_the_clinical_information_of_an_order_and_else_its_reason_goes_before_its_notes() -> None:
    obr = "OBR|{}|P1||{}^T|||||||||{}||||||||||||||||||R1^{}"
    found = mapped("ORM^O01", PID, "ORC|NW|P1", obr.format(1, "GLU", "sốt 3 ngày", ""), "NTE|1||lấy máu lúc đói",
                   obr.format(2, "NA", "sốt 3 ngày", ""), obr.format(3, "K", "", "phù"))  # fmt: skip
    assert only(found)["notes"] == ["sốt 3 ngày", "phù", "lấy máu lúc đói"]
    assert "sensitivity" not in only(found)["meta"]
    held = mapped("ORM^O01", PID, "ORC|NW|P1", obr.format(1, "GLU", "nhiễm HIV, đang ARV", ""))
    assert only(held)["meta"]["sensitivity"] == "HIV"
    typed = mapped("ORM^O01", PID, "ORC|NW|P1", obr.format(1, "GLU", "Sốt ^ ho & đau~mệt^^", ""))
    assert only(typed)["notes"] == ["Sốt ^ ho & đau", "mệt"]


@pytest.mark.parametrize("modern", [True, False])
def test_clinical_information_and_a_reason_reach_the_laboratory_whole_whatever_nobody_escaped_in_them(modern: bool) -> None:
    for sent in ("|" * 9 + "Máu & nước tiểu^&", "|" * 27 + "R^Máu & nước tiểu&^L"):
        event = only(mapped("ORM^O01", PID, "ORC|NW|1", f"OBR|1|1||X{sent}"))
        assert event["notes"] == ["Máu & nước tiểu"]
        assert "NTE|1||Máu \\T\\ nước tiểu\r" in build(order_segments(event, modern=modern))


def test_an_order_says_in_which_department_and_bed_the_patient_lies() -> None:
    order = only(mapped("ORM^O01", PID, "PV1|1|I|K03^P12^G05", "ORC|NW|P1", "OBR|1|P1||GLU^G"))
    assert (order["ma_khoa"], order["ma_giuong"], order["patient_class"]) == ("K03", "G05", "I")


@pytest.mark.parametrize(("reason", "label"), [("B20^^I10", "HIV"), ("R50^^I10", "")])
def test_the_code_of_an_illness_alone_as_the_reason_of_an_order_protects_it(reason: str, label: str) -> None:
    order = only(mapped("ORM^O01", PID, "ORC|NW|P1", f"OBR|1|P1||GLU^G{'|' * 27}{reason}"))
    assert order["notes"] == [reason[:3]]
    assert order["meta"].get("sensitivity", "") == label


@pytest.mark.parametrize(("control", "told"), [("NW", [("PERSON_MISSING", "PID")]), ("CA", []), ("HD", [])])
def test_an_order_for_nobody_is_taken_and_told_unless_it_stops_one(control: str, told: list[tuple[str, str]]) -> None:
    found = mapped("ORM^O01", f"ORC|{control}|P1", "OBR|1|P1||GLU^G")
    assert only(found)["placer"] == "P1"
    assert [one for one in problems(found) if one[0] == "PERSON_MISSING"] == told


@pytest.mark.parametrize(("test", "told"), [("", True), (" ", True), (" ^ ", True), ("GLU", False), ("^Glucose", False)])
def test_an_order_without_its_test_is_told_and_a_blank_is_none(test: str, told: bool) -> None:
    found = mapped("ORM^O01", PID, "ORC|NW|P1", f"OBR|1|P1||{test}", "OBR|2|P1||NA^N")
    assert (
        ("TEST_MISSING", "OBR[1]-4") in problems(found) if told else "TEST_MISSING" not in {code for code, _ in problems(found)}
    )
    assert len(only(found)["services"]) == (1 if told else 2)


_PRIORITY = (
    '[order]\npriority = { from = ["TQ1-9", "OBR-5"], codes = "priority", unknown = "keep" }\n[codes.priority]\nCC = "S"\n'
)


@pytest.mark.parametrize("stated", ["CC", "Khan", "s"])
def test_a_priority_that_is_none_of_hl7_is_told_and_kept(stated: str) -> None:
    found = mapped("ORM^O01", PID, "ORC|NW|1", f"OBR|1|1||A|{stated}")
    assert ("PRIORITY_UNKNOWN", "OBR-5") in problems(found)
    [(_, event)] = found.events
    assert event["priority"] == stated


def test_a_priority_that_the_profile_maps_is_told_no_more() -> None:
    mine = compile_text("mine", f'extends = "_standard"\nversion = "1"\n{_PRIORITY}')
    found = mapped("OML^O21", PID, "ORC|NW|1", "TQ1|1||||||||CC", "OBR|1|1||A", dialect=mine)
    [(_, event)] = found.events
    assert event["priority"] == "S" and "PRIORITY_UNKNOWN" not in {code for code, _ in problems(found)}


def test_a_priority_that_the_profile_maps_to_a_word_of_its_own_is_told_too() -> None:
    mine = compile_text("mine", 'extends = "_standard"\nversion = "1"\n' + _PRIORITY.replace('"S"', '"URGENT"'))
    assert ("PRIORITY_UNKNOWN", "TQ1-9") in problems(mapped("ORM^O01", PID, "ORC|NW|1", "OBR|1|1||A|CC", dialect=mine))


@pytest.mark.parametrize("stated", ["", "S", "STAT", "A", "R", "P", "C", "TS30", "PRN", "ROUTINE"])
def test_every_priority_of_hl7_is_one_and_so_is_none(stated: str) -> None:
    assert "PRIORITY_UNKNOWN" not in {code for code, _ in problems(mapped("ORM^O01", PID, "ORC|NW|1", f"OBR|1|1||A|{stated}"))}


@pytest.mark.parametrize(
    ("stated", "counts"),
    [
        (["R", "S"], "S"),
        (["S", "R"], "S"),
        (["A", "S", "R"], "S"),
        (["R", "A"], "A"),
        (["", "S"], "S"),
        (["T", "R"], "T"),
        (["", ""], None),
        (['""', "STAT"], "STAT"),
    ],
)
def test_an_order_is_as_urgent_as_its_most_urgent_service(stated: list[str], counts: str | None) -> None:
    rows = [row for n, one in enumerate(stated, 1) for row in ("ORC|NW|1", f"OBR|{n}|1||T{n}|{one}")]
    assert only(mapped("ORM^O01", PID, *rows)).get("priority") == counts
    behind = [row for n, one in enumerate(stated, 1) for row in ("ORC|NW|1", f"TQ1|1||||||||{one}", f"OBR|{n}|1||T{n}")]
    assert only(mapped("OML^O21", PID, *behind)).get("priority") == counts


def test_the_priority_of_a_further_service_that_is_none_of_hl7_is_told_where_it_stands() -> None:
    found = mapped("ORM^O01", PID, "ORC|NW|1", "OBR|1|1||A|S", "OBR|2|1||B|CC")
    assert only(found)["priority"] == "S" and ("PRIORITY_UNKNOWN", "OBR[2]-5") in problems(found)


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        (["ORC|NW|1", "OBR|1|1||A", "ORC|NW|2", "OBR|2|2||B", "DG1|1||I10", "DG1|2||E11"], "DG1[1]"),
        (["DG1|1||I10", "ORC|NW|1", "OBR|1|1||A", "ORC|NW|2", "OBR|2|2||B", "DG1|2||E11"], ""),
        (["ORC|NW|1", "OBR|1|1||A", "DG1|1||I10", "ORC|NW|2", "OBR|2|2||B", "DG1|2||E11"], ""),
        (["ORC|NW|1", "OBR|1|1||A", "OBR|2|1||B", "DG1|1||I10"], ""),
        (["ORC|NW|1", "OBR|1|1||A", "DG1|1||I10"], ""),
        (["ORC|NW|1", "OBR|1|1||A", "DG1|1||I10", "ORC|NW|2", "OBR|2|2||B"], ""),
    ],
    ids=["behind the last", "before all too", "behind each", "two services of one order", "one order", "behind the first"],
)
def test_that_the_last_of_several_orders_alone_has_a_diagnosis_is_told(rows: list[str], place: str) -> None:
    found = mapped("OML^O21", PID, *rows)
    assert [path for code, path in problems(found) if code == "DIAGNOSIS_OF_LAST"] == ([place] if place else [])


@pytest.mark.parametrize(
    ("rows", "told_of"),
    [
        (["ORC|NW|P1"], True),
        (["ORC|NW|P1", "NTE|1||lấy máu"], True),
        (["ORC||P1", "ORC||P1"], True),
        (["ORC|NW|P1", "ORC|NW|P1", "OBR|1|P1||A"], False),
        (["ORC|CA|P1"], False),
        (["ORC|XO|P1"], False),
        (["ORC|OK|P1"], False),
    ],
)
def test_a_new_order_without_a_test_is_told(rows: list[str], told_of: bool) -> None:
    assert (("SEGMENT_MISSING", "OBR") in problems(mapped("ORM^O01", PID, *rows))) == told_of
