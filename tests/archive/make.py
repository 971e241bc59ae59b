"""Write the bytes of this release for the archive, once for each release: `python -m tests.archive.make 0.1.0`.

Each record gets `<record>.avsc` (the schema it was written with), `<record>.bin` (the body) and `<record>.json` (its values).
"""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from hub.contract.events import decode, encode, schema, to_json
from hub.contract.topics import topics

AT = datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)


def example(avro: Any, known: dict[str, Any], name: str = "x") -> Any:
    """A value for a type, no part of it absent: every field is worth keeping."""
    if isinstance(avro, list):
        return example(avro[1], known, name)
    if isinstance(avro, str) and avro in known:
        return example(known[avro], known, name)
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "record":
        known[avro["name"]] = avro
        return {field["name"]: example(field["type"], known, field["name"]) for field in avro["fields"]}
    if kind == "array":
        return [example(avro["items"], known, name), example(avro["items"], known, name)]
    if kind == "map":
        return {"PID-7": example(avro["values"], known, name)}
    logical = "" if isinstance(avro, str) else avro.get("logicalType", "")
    if logical == "decimal":
        return Decimal(12345).scaleb(-avro["scale"])
    if logical == "timestamp-micros":
        return AT
    plain = {"string": f"{name} Việt", "bytes": name.encode(), "boolean": True, "int": 7, "long": 8, "double": 9.5}
    return plain[kind]


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    for record in sorted({topic.record for topic in topics().values()}):
        body = encode(record, example(schema(record), {}))
        (folder / f"{record}.avsc").write_text(json.dumps(schema(record), ensure_ascii=False), "utf-8")
        (folder / f"{record}.bin").write_bytes(body)
        (folder / f"{record}.json").write_bytes(to_json(decode(record, body)))


if __name__ == "__main__":
    write(Path(__file__).parent / sys.argv[1])
