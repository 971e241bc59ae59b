"""Golden messages: `seeds/messages/<dialect>/<case>.hl7` (or `.xml`) beside `<case>.json`, and how its expectations are made.

    python -m tests.adapters.dialects.goldens [dialect]     rewrites them; whoever knows the field reviews the difference

`about` is written by hand and kept. Keyring and time are fixed, so that ids stay still.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from adapters.inbound.received import Received, Translation
from adapters.inbound.translate import translate
from hub.contract.events import Keyring, to_json
from hub.contract.places import shipped

KEYRING = Keyring(b"golden-secret-16")
RECEIVED_AT = datetime(2026, 11, 23, 1, 5, tzinfo=UTC)
FOLDER = shipped("seeds") / "messages"
DEMO = shipped("seeds") / "demo"


def cases(folder: Path = FOLDER) -> list[Path]:
    """Every message of the tree, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".hl7", ".xml"))


def translated(path: Path) -> Translation:
    """What the hub makes of the message, received at the fixed time."""
    return translate(Received(path.read_bytes(), RECEIVED_AT, "mllp"), KEYRING)


def expectation(path: Path) -> dict[str, Any]:
    """What the file beside a message has to say, but for `about`."""
    outcome = translated(path)
    return {
        "ack": outcome.message["ack"],
        "events": orjson.loads(to_json([{"record": record, **event} for record, event in outcome.events])),
        "errors": [[problem.code, problem.severity.value, problem.path] for problem in outcome.problems],
    }


def stated(path: Path) -> dict[str, Any]:
    """What the file beside a message says."""
    beside = path.with_suffix(".json")
    return dict(orjson.loads(beside.read_bytes())) if beside.exists() else {}


def rewrite(dialect: str = "") -> int:
    """Write what is the case now as what is expected. Returns: the number of files that changed."""
    changed = 0
    for path in cases(FOLDER / dialect):
        old = stated(path)
        new = {"about": old.get("about", ""), **expectation(path)}
        if new != old:
            path.with_suffix(".json").write_text(json.dumps(new, ensure_ascii=False, indent=2) + "\n", "utf-8")
            changed += 1
    return changed


if __name__ == "__main__":
    print(rewrite(*sys.argv[1:2]), "expectations rewritten")
