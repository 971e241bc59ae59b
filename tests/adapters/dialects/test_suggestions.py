"""Guesses at meaning: how names are ordered, and who sends. What else is guessed stands in `test_learn.py`."""

import tomllib

from tests.adapters.dialects.learned import HEAD, learned


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
