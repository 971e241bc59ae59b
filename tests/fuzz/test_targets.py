"""The invariants of the fuzz targets over the goldens, over damage to them, and over inputs that broke one or came near it."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from hub.contract.places import shipped
from tests.fuzz.targets import TARGETS, within

FOUND = Path(__file__).parent / "found"
CASES = sorted((path.parent.name, path) for path in FOUND.glob("*/*"))


@pytest.mark.parametrize(("target", "path"), CASES, ids=lambda value: value.name if isinstance(value, Path) else value)
def test_what_was_found_holds(target: str, path: Path) -> None:
    TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_goldens_and_damage_to_them_hold(target: str) -> None:
    chance = random.Random(7)  # the same damage in every run
    suffix = "xml" if target == "xml" else "hl7"
    for path in sorted(shipped("seeds/messages").rglob(f"*.{suffix}"))[::9]:
        raw = bytearray(b"\x20\x60\xa0\xc0\x0b" + path.read_bytes()[:3000] + b"\x1c\r")
        TARGETS[target](bytes(raw))
        for _ in range(3):
            raw[chance.randrange(len(raw))] = chance.choice(b"\x0b\x1c\r\n|^~\\&<>\x00\xff\x80")
        TARGETS[target](bytes(raw))


def test_a_broken_invariant_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.formats.mllp.Decoder.close", lambda self: [])
    with pytest.raises(AssertionError):
        TARGETS["framer"](b"\xff\x20\x60\xa0\xc0\x0bMSH|")


def test_an_input_that_takes_too_much_cpu_is_a_find() -> None:
    within(timedelta(seconds=5), lambda _data: None)(b"")
    with pytest.raises(AssertionError, match="too long"):
        within(timedelta(0), lambda _data: sum(range(100_000)))(b"")
