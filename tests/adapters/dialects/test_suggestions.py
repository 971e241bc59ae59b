"""Guesses at meaning: how names are ordered, who sends, and what numbers of lines mean. What else is guessed stands in `test_learn.py`."""

import tomllib

import pytest

from tests.adapters.dialects.learned import HEAD, events, learned


def test_given_names_before_family_names_are_seen_by_the_families() -> None:
    people = ["Hòa^Nguyễn Thị", "Bình^Trần Văn", "Lan^Lê", "Dũng^Phạm Đức", "Mai^Vũ Thị"]
    for names, seen in ((people, True), (["^".join(reversed(name.split("^"))) for name in people], False), (people[:4], False)):
        raws = [
            (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||{number}^^^^MR||{name}||1990|M\r").encode()
            for number, name in enumerate(names)
        ]
        assert ('# ho_ten = { from = "PID-5", as = "full_name_given_first" } # 5 of 5' in learned(raws)[2]) is seen


def test_middle_names_before_given_names_are_seen_by_van_and_thi() -> None:
    people = ["PHẠM^THỊ^MAI", "Trần^Văn^Đức", "Lê^Thị^Hoa", "Vũ^Minh^An", "Ngô^Văn^Sơn", "Hồ^Bá^Lâm"]
    as_hl7_has_it = ["^".join((name.split("^")[0], *reversed(name.split("^")[1:]))) for name in people]
    for names, seen in ((people, True), (as_hl7_has_it, False), (people[:4], False)):
        raws = [
            (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||{number}^^^^MR||{name}||1990|M\r").encode()
            for number, name in enumerate(names)
        ]
        text = learned(raws)[2]
        assert ('# ho_ten = { from = "PID-5", as = "full_name_in_order" } # 4 of 6' in text) is seen
        assert "full_name_given_first" not in text


def test_names_that_may_be_aliases_are_one_list_to_be_completed() -> None:
    raws = [(HEAD % ("MYLIS", f"CS{n}", "ADT^A04", n) + f"PID|1||{n}^^^^MR||Lê^Hoa\r").encode() for n in range(3)]
    text = learned(raws)[2]
    assert text.count("aliases = [") == 1
    whole = text[text.index("# aliases") :].partition("\n\n")[0].replace("\n# ", "\n").removeprefix("# ")
    assert [row["name"] for row in tomllib.loads(whole)["aliases"]] == ["CS0", "CS1", "CS2"], "once the # are taken away"


def charged(number: int, *lines: str, visit: str = "V1") -> bytes:
    """A DFT with lines given as `FT1-2|item`, or `FT1-2|item|line that it takes back`."""
    said = [(*line.split("|"), "")[:3] for line in lines]
    rows = "".join(
        f"FT1|{n}|{line}||20261123||{'CD' if back else 'CG'}|{item}^{item}|||1|1000|1000{'|' * 19}{back}\r"
        for n, (line, item, back) in enumerate(said, 1)
    )
    return (
        HEAD % ("HIS", "01021", "DFT^P03", number) + f"PID|1||7^^^01021^MR||Lê^Hoa\rPV1|1|O{'|' * 17}{visit}\r{rows}"
    ).encode()


@pytest.mark.parametrize(
    ("second", "row"),
    [
        (
            charged(2, "1|C", "2|D"),
            'line_id = "" # 2 of 2 lines whose FT1-2 (of credits FT1-31) their visit had before are of another item',
        ),
        (charged(2, "1|A", "2|D"), '# line_id = "" # 1 of 2 lines'),
        (charged(2, "9|A|1", "2|D"), '# line_id = "" # 1 of 2 lines'),
        (charged(2, "2|C"), '# line_id = "" # 1 of 1 lines'),
        (charged(2, "3|C", "4|D"), ""),
        (charged(2, "1|C", "2|D", visit="V2"), ""),
    ],
    ids=["counted anew", "said again besides", "named by a credit", "a code put right", "a number each", "of another visit"],
)
def test_numbers_of_lines_that_count_anew_in_each_message_are_seen_by_their_items(second: bytes, row: str) -> None:
    dialect, said, text = learned([charged(1, "1|A", "2|B"), second])
    found = [line for line in text.splitlines() if "line_id" in line]
    assert [line[: len(row)] for line in found] == ([row] if row else [])
    assert (said.get("charge_line") == {"line_id": ""}) is row.startswith("line_id")
    if row.startswith("line_id"):
        assert all("line_id" not in line for _, event in events(second, dialect) for line in event["lines"])
