"""Guesses at meaning: how names are ordered. What else is guessed stands in `test_learn.py`."""

from tests.adapters.dialects.learned import HEAD, learned


def test_given_names_before_family_names_are_seen_by_the_families() -> None:
    people = ["Hòa^Nguyễn Thị", "Bình^Trần Văn", "Lan^Lê", "Dũng^Phạm Đức", "Mai^Vũ Thị"]
    for names, seen in ((people, True), (["^".join(reversed(name.split("^"))) for name in people], False), (people[:4], False)):
        raws = [
            (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||{number}^^^^MR||{name}||1990|M\r").encode()
            for number, name in enumerate(names)
        ]
        assert ('# ho_ten = { from = "PID-5", as = "full_name_given_first" } # 5 of 5' in learned(raws)[2]) is seen
