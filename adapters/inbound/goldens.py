"""Golden messages: `<case>.hl7` (or `.xml`) beside `<case>.json`, and how what is expected is made and compared.

A golden says `about` (written by hand and kept), `ack`, `events` and `errors`; of a file of several messages (a batch) the last
three under `messages`, once for each in order. Keyring and time are fixed, so that ids stay
still. `hie vendor accept` rewrites them, and the tests read them, through this one place.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from adapters.inbound.received import Received, Translation
from adapters.inbound.translate import split, tried
from hub.contract.errors import HubError
from hub.contract.events import Keyring, to_json

KEYRING: Final = Keyring(b"golden-secret-16")
RECEIVED_AT: Final = datetime(2026, 11, 23, 1, 5, tzinfo=UTC)
MESSAGES: Final = (".hl7", ".xml")
_DERIVED: Final = ("event_id", "content_hash", "dialect_version")  # they differ whenever anything does


def cases(folder: Path) -> list[Path]:
    """Every message of the tree, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix in MESSAGES)


def is_golden(path: Path) -> bool:
    """Whether a file is what is expected of the message beside it, and no message."""
    return path.suffix == ".json" and any(path.with_suffix(suffix).exists() for suffix in MESSAGES)


def translated(path: Path) -> Translation:
    """What the hub makes of the message, received at the fixed time, its events written as the gate writes them."""
    return _translated(path.read_bytes())


def _translated(raw: bytes) -> Translation:
    return tried(Received(raw, RECEIVED_AT, "mllp"), KEYRING)


def expectation(path: Path) -> dict[str, Any]:
    """What the file beside a message has to say, but for `about`."""
    raw = path.read_bytes()
    parts = split(raw)
    return {"messages": [_outcome(part) for part in parts]} if len(parts) > 1 else _outcome(raw)


def _outcome(raw: bytes) -> dict[str, Any]:
    outcome = _translated(raw)
    return {
        "ack": outcome.message["ack"],
        "events": orjson.loads(to_json([{"record": record, **event} for record, event in outcome.events])),
        "errors": [[problem.code, problem.severity.value, problem.path] for problem in outcome.problems],
    }


def each(golden: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a golden says of every message of its file: `ack`, `events` and `errors`, as far as it says them."""
    return list(golden.get("messages", [golden]))


def of_message(golden: Mapping[str, Any], number: int, count: int) -> dict[str, Any]:
    """What a golden says of one message of its file, with its `about`; {} if it is of another number of messages.

    number: from 1, of count messages.
    """
    said = each(golden)
    return {"about": golden.get("about"), **said[number - 1]} if golden and len(said) == count else {}


def stated(path: Path) -> dict[str, Any]:
    """What the file beside a message says; {} without one. Raises: HubError(SETTING_WRONG) that names it if it is no JSON."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        return {}
    try:
        return dict(orjson.loads(beside.read_bytes()))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise HubError("SETTING_WRONG", f"{beside.name}: no JSON object") from None


def is_fault(golden: Mapping[str, Any]) -> bool:
    """Whether the hub itself fails at the message: that is never what is expected of it."""
    return any(code == "TRANSLATION_FAILED" for one in each(golden) for code, *_ in one.get("errors", ()))


@dataclass(frozen=True, slots=True)
class Change:
    """One golden that is no longer what the hub does.

    old, new: the whole files; old is {} or has only `about` for a new case.
    differs:  what is stated now and was otherwise or not at all, as places: `events[0].person.ho_ten`, `ack`.
    lost:     those of them whose old value was another, or that are gone: somebody has to look at them.
    dialects: who read it now.
    """

    path: Path
    old: dict[str, Any]
    new: dict[str, Any]
    differs: tuple[str, ...]
    lost: tuple[str, ...]
    dialects: frozenset[str]

    @property
    def is_new(self) -> bool:
        return "ack" not in self.old and "messages" not in self.old


def changes(folder: Path) -> list[Change]:
    """The cases of a folder whose golden would be written anew, in order."""
    found = []
    for path in cases(folder):
        old = stated(path)
        new = {"about": old.get("about", ""), **expectation(path)}
        if new != old:
            before, after = flat(old), flat(new)
            differs = tuple(place for place in {**before, **after} if before.get(place) != after.get(place))
            lost = tuple(place for place in differs if place in before)
            dialects = frozenset(event["meta"]["source"]["dialect"] for one in each(new) for event in one["events"])
            found.append(Change(path, old, new, differs, lost, dialects))
    return found


def flat(value: Any, place: str = "") -> dict[str, Any]:
    """Every leaf by its place; ids and hashes, which follow from the rest, left out. A problem is a place of its own."""
    if isinstance(value, dict):
        parts = [(f"{place}.{name}" if place else name, part) for name, part in value.items() if name not in _DERIVED]
    elif isinstance(value, list) and place.rpartition(".")[2] == "errors":
        return {f"{place} {' '.join(problem)}": True for problem in value}
    elif isinstance(value, list):
        parts = [(f"{place}[{number}]", part) for number, part in enumerate(value)]
    else:
        return {place: value}
    return {name: leaf for inner, part in parts for name, leaf in flat(part, inner).items()}


def write(change: Change) -> None:
    """Make what is the case now what is expected."""
    text = json.dumps(change.new, ensure_ascii=False, indent=2) + "\n"
    change.path.with_suffix(".json").write_text(text, "utf-8")
