"""Codes and words of the sender's own: rows for what they can only mean, questions for the rest."""

from typing import Any

import pytest

from adapters.dialects.profile import compile_text
from tests.adapters.dialects.learned import HEAD, events, learned


def test_words_for_high_and_low_are_told_and_learned() -> None:
    lines = "".join(f"OBX|{n}|NM|2345^X^LN||9|mmol/L||{flag}|||F\r" for n, flag in enumerate(["CAO", "Thấp", "H~CAO", "ZQ"], 1))
    raw = (HEAD % ("HIS", "01021", "ORU^R01", 1) + f"PID|1||7^^^^MR||LÊ^AN||19920101|M\rOBR|1|5||X|||20261123\r{lines}").encode()
    mine, stated, text = learned([raw])
    assert stated["observation"]["flags"] == {"from": "OBX-8", "as": "list", "codes": "flags", "unknown": "keep"}
    assert stated["codes"]["flags"] == {"CAO": "H", "Thấp": "L"}
    assert '# ZQ = "?"' in text
    [(_, event)] = events(raw, mine)
    assert [line["flags"] for line in event["observations"]] == [["H"], ["L"], ["H", "H"], ["ZQ"]]


def test_short_flags_are_asked_for_however_many_and_those_of_hl7_shown() -> None:
    flags = ["C", "T", "CC", "KO", "TT", "A"]
    lines = "".join(f"OBX|{n}|NM|2345^X^LN||9|mmol/L||{flag}|||F\r" for n, flag in enumerate(flags, 1))
    raw = (HEAD % ("HIS", "01021", "ORU^R01", 1) + f"PID|1||7^^^^MR||LÊ^AN||19920101|M\rOBR|1|5||X|||20261123\r{lines}").encode()
    text = learned([raw])[2]
    assert all(f'# {flag} = "?" # × 1' in text for flag in flags[:-1]) and "too varied" not in text
    assert "# as HL7 has them: A × 1; a row for each that means something else to you" in text


def test_what_orders_and_prescriptions_say_in_one_field_is_looked_up_each_in_its_own_table() -> None:
    order, drug = "PID|1||7^^^^MR\rORC|{}|1\rOBR|1|1||A\r", "PID|1||7^^^^MR\rORC|{}|1\rRXE|1|P^Paracetamol|1\r"
    kinds = [("ORM^O01", order, "UA"), ("ORM^O01", order, "ZN"), ("RDE^O11", drug, "ZT")]
    raws = [(HEAD % ("HIS", "01021", kind, n) + rows.format(said)).encode() for n, (kind, rows, said) in enumerate(kinds)]
    tables = learned(raws)[2].partition("[codes.order_control]")[2].partition("[codes.prescription_control]")
    assert '# ZN = "?"' in tables[0] and '# ZT = "?"' in tables[2] and "ZN" not in tables[2] and "UA" not in "".join(tables)
    assert "prescription_control" not in learned(raws[:2])[2]


def test_letters_for_the_state_of_a_line_are_asked_for() -> None:
    body = "PID|1||7^^^01021^MR||Lê^Hoa\rOBR|1|5||X|||20261123\rOBX|1|NM|2345^X^LN||9|||N|||%s\r"
    raws = [(HEAD % ("LIS", "01021", "ORU^R01", n) + body % state).encode() for n, state in enumerate(["K", "K", "T", "F"])]
    _, stated, text = learned(raws)
    assert stated["observation"]["status"] == {"from": "OBX-11", "codes": "line_status", "unknown": "keep"}
    assert '# K = "?" # × 2' in text and '# T = "?" # × 1' in text and "# F =" not in text
    completed = compile_text("mine", text.replace('# K = "?"', 'K = "F"'))
    states = [events(raw, completed)[0][1]["observations"][0]["status"] for raw in raws]
    assert states == ["F", "F", "T", "F"]


def test_letters_that_hl7_has_too_are_shown_with_what_it_means_by_them() -> None:
    body = "PID|1||7^^^01021^MR||Lê^Hoa\rOBR|1|5||X|||20261123\rOBX|1|NM|2345^X^LN||9|||N|||%s\r"

    def of(*states: str) -> tuple[dict[str, Any], str]:
        raws = [(HEAD % ("LIS", "01021", "ORU^R01", n) + body % state).encode() for n, state in enumerate(states)]
        _, stated, text = learned(raws)
        return stated, "".join(line for line in text.splitlines() if "line_status" in line or "as HL7 has them" in line)

    stated, told = of("D", "D", " F ")
    assert not stated["observation"] and "codes" not in stated
    assert "only if one of these means something else to you: D deleted × 2, F final × 1" in told
    stated, told = of("D", "K")
    assert "status" in stated["observation"] and "# as HL7 has them: D deleted × 1" in told
    assert of("F", "F ")[1] == ""


@pytest.mark.parametrize("kind", ["REF^I12", "SIU^S12", "MDM^T02"])
def test_lines_of_other_messages_are_no_results(kind: str) -> None:
    body = "PID|1||7^^^01021^MR||Lê^Hoa\rOBX|1|NM|XN1^X||9|||CAO|||K\r"
    _, _, text = learned((HEAD % ("HIS", "01021", kind, n) + body).encode() for n in range(4))
    assert "line_status" not in text and "[codes.flags]" not in text and "XN1" not in text


@pytest.mark.parametrize(
    ("kind", "section", "places"),
    [("ORM^O01", "order", ["TQ1-9", "ORC-7.6", "OBR-27.6", "OBR-5"]), ("REF^I12", "referral", "RF1-2")],
)
def test_words_for_how_soon_become_rows_and_questions(kind: str, section: str, places: Any) -> None:
    raws = []
    for n, word in enumerate(["CC", "CC", "DB", "R"]):
        row = f"ORC|NW|{n}\rOBR|1|{n}||A|{word}\r" if section == "order" else f"RF1|P|{word}||||{n}^01021\r"
        raws.append((HEAD % ("HIS", "01021", kind, n) + f"PID|1||7^^^01021^MR||Lê^Hoa\r{row}").encode())
    mine, stated, text = learned(raws)
    assert stated[section]["priority"] == {"from": places, "codes": "priority", "unknown": "keep"}
    assert stated["codes"]["priority"] == {"CC": "S"} and '# DB = "?" # × 1' in text
    assert [events(raw, mine)[0][1]["priority"] for raw in raws] == ["S", "S", "DB", "R"]


def test_of_letters_that_hl7_has_for_something_rare_a_person_is_asked() -> None:
    def of(*words: str) -> tuple[Any, list[str]]:
        body = "PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW|%d\rOBR|1|%d||A|%s\r"
        raws = [(HEAD % ("HIS", "01021", "ORM^O01", n) + body % (n, n, word)).encode() for n, word in enumerate(words)]
        _, stated, text = learned(raws)
        return stated.get("order", {}), [line for line in text.splitlines() if "priority" in line or "as HL7 has them" in line]

    stated, told = of("C", "T", "T", "S")
    assert "priority" not in stated and told[0].startswith("# priority = ") and "only if one of these" in told[0]
    assert told[1].startswith('# as HL7 has them: T timing critical × 2, C callback × 1; if they are cấp cứu and thường, C = "S"')
    stated, told = of("C", "CC")
    assert "priority" in stated and any("C callback × 1" in line for line in told)
    assert of("S", "R", "A") == ({}, [])


def test_a_pending_answer_is_no_question_and_the_day_of_a_diagnosis_no_discharge() -> None:
    slip = "RF1|P|R|||||20261123\rPRD|RP|||01004\rPID|1||7^^^01021^MR||Lê^Hoa\rDG1|1||E11.9\r"
    stay = "PID|1||7^^^01021^MR||Lê^Hoa\rPV1|1|I|||||||||||||||||LK%d\rDG1|1||E11.9||20261123080000\r"
    raws = [(HEAD % ("HIS", "01021", "REF^I12", 1) + slip).encode()]
    raws += [(HEAD % ("HIS", "01021", "ADT^A03", n) + stay % n).encode() for n in range(2, 6)]
    _, stated, text = learned(raws)
    assert "referral_answer" not in stated.get("codes", {}) and "RF1-1:" not in text
    assert "DG1-5" not in "".join(line for line in text.splitlines() if "ngay_" in line)


@pytest.mark.parametrize(("other", "row"), [("Nu", 'Nu = "2" # × 2'), ("N?", '# "N?" = "2" # × 2, the other of two words')])
def test_of_two_words_for_a_sex_both_are_proposed(other: str, row: str) -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", n) + f"PID|1||{n}^^^^MR||A^B||1990|{sex}\r").encode()
        for n, sex in enumerate(["Nam", other, "Nam", other])
    ]
    assert {'Nam = "1" # × 2', row} <= set(learned(raws)[2].splitlines())


def test_of_what_begins_like_no_word_for_the_other_sex_none_is_proposed() -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", n) + f"PID|1||{n}^^^^MR||A^B||1990|{sex}\r").encode()
        for n, sex in enumerate(["Nu", "K", "Nu", "K"])
    ]
    lines = set(learned(raws)[2].splitlines())
    assert {'Nu = "2" # × 2', '# K = "?" # × 2'} <= lines


def test_codes_that_are_the_official_ones_stand_and_others_are_asked_for() -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||{number}^^^^MR||A^B||1990|{sex}\r").encode()
        for number, sex in enumerate(["1", "2", "1", "2", "Nữ", "Nam", "X9", "X9"])
    ]
    _, stated, text = learned(raws)
    assert stated["codes"]["sex"] == {"1": "1", "2": "2", "Nữ": "2", "Nam": "1"}
    assert '# X9 = "?" # × 2' in text


def test_local_words_for_the_class_of_a_visit_are_asked_for_where_recipients_read_it() -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||{number}^^^^MR||A^B||1990|M\rPV1|1|{kind}\r").encode()
        for number, kind in enumerate(["NGT", "NGT", "NT", "E"])
    ]
    _, stated, text = learned(raws)
    assert stated["encounter"]["patient_class"] == {"from": "PV1-2", "codes": "patient_class", "unknown": "keep"}
    assert "order" not in stated
    assert '# NGT = "?" # × 2' in text and "# E =" not in text
    completed = text.replace('# NGT = "?"', 'NGT = "O"')
    _, event = events(raws[0], compile_text("mine", completed))[0]
    assert (event["patient_class"], event["ma_loai_kcb"]) == ("O", "01")
