"""A profile while it is proposed: its rows by table, and how what stands in them is written."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.dialects.paths import Place, read_place


@dataclass(slots=True)
class Draft:
    """The file while it is written: rows by table, "" for those before the first table."""

    tables: dict[str, list[str]] = field(default_factory=dict)

    def add(self, table: str, *rows: str) -> None:
        self.tables.setdefault(table, []).extend(rows)

    def text(self, head: Iterable[str]) -> str:
        parts = ["\n".join(f"# {line}".rstrip() for line in head), 'extends = "_standard"\nversion = "1"']
        parts[1] += "".join(f"\n{row}" for row in self.tables.get("", ()))
        for name, rows in self.tables.items():
            if name:
                parts.append("\n".join([f"[{name}]", *rows]))
        return "\n\n".join(parts) + "\n"


def quoted(value: str) -> str:
    """A string as TOML has it: JSON's form is legal there, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key_text(name: str) -> str:
    """A key as TOML has it, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def counted(counts: Mapping[Any, int], most: int = 12) -> str:
    """`A × 3, B × 1`, the most frequent first."""
    rows = [f"{name} × {count}" for name, count in Counter(counts).most_common(most)]
    return ", ".join(rows) + (f", … {len(counts)} in all" if len(counts) > most else "")


def rule_text(rule: Mapping[str, Any]) -> str:
    """A rule as it is written: the place alone, or an inline table."""
    if set(rule) == {"from"}:
        return json.dumps(rule["from"], ensure_ascii=False)
    return "{ " + ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in rule.items()) + " }"


def as_table(rule: Any) -> dict[str, Any]:
    """A rule of a file with its `from`, however short it was written."""
    return dict(rule) if isinstance(rule, Mapping) else {"from": rule}


def places_of(rule: Any) -> list[Place]:
    """Where a rule of a file looks."""
    stated = as_table(rule)["from"]
    return [read_place(text) for text in ([stated] if isinstance(stated, str) else stated) if text]
