"""A parked event with a mistake in it, put right: other content, same key, in the same place of its queue."""

import re
import unicodedata
from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from hub.contract.errors import HubError
from hub.contract.events import Event, Keyring, schema, supersede

RULE: Final = "edited"
_ENVELOPE: Final = "GIAMDINHHS"  # message type of the insurance envelope, which is signed as a whole
_PAPERS: Final = ("xml7", "xml8", "xml13", "xml14")  # their DU_PHONG carries the signature of the organisation
_PART: Final = re.compile(r"([a-z0-9_]+)(?:\[([1-9][0-9]{0,5})\])?")


def amended(record: str, event: Event, changes: Mapping[str, str], keyring: Keyring) -> Event:
    """The event that supersedes another, with some fields set anew.

    changes: path to text, such as `ma_cskcb_den`, `xml13.ma_cskcb_den` or `diagnoses[1].ma_benh`; typed by the schema.
    Raises:  HubError(EDIT_FORBIDDEN) for what only its author may change; HubError(REQUEST_WRONG) names the path.
    """
    if record == "hie.ClaimDecision" or _signed(event):
        raise HubError("EDIT_FORBIDDEN", record)
    content = deepcopy({name: part for name, part in event.items() if name != "meta"})
    for path, text in changes.items():
        _set(record, content, path, text, event["meta"], keyring)
    edited = supersede(record, event, content, RULE)
    if edited["meta"]["content_hash"] == event["meta"]["content_hash"]:
        raise HubError("REQUEST_WRONG", "nothing would change")
    for kept in ("cleared", "unparsed"):  # of a field that was set, neither is true any more
        old = edited["meta"][kept]
        edited["meta"][kept] = (
            [one for one in old if one not in changes]
            if isinstance(old, list)
            else {path: text for path, text in old.items() if path not in changes}
        )
    return edited


def _signed(event: Event) -> bool:
    """Whether somebody put a name to the content, or may have: of an envelope nobody looked at, it is not known."""
    source = event["meta"]["source"]
    if source.get("message_type") == _ENVELOPE and source.get("signature") != "MISSING":
        return True
    if any(row.get("du_phong") for table in _PAPERS for row in _rows(event.get(table))):
        return True
    return bool(source.get("signature", "") not in ("", "MISSING") or event.get("signature") or event.get("signatures"))


def _rows(part: Any) -> list[Event]:
    """The row of a slip's table, the rows of a claim's."""
    return part if isinstance(part, list) else [part or {}]


def same_elsewhere(event: Event, path: str) -> list[str]:
    """Paths of fields of the same name and value as the one at a path: often they have to change with it."""
    name = path.rpartition(".")[2]
    leaves = dict(_leaves({part: value for part, value in event.items() if part != "meta"}))
    value = leaves.get(path)
    return [
        other for other, held in leaves.items() if value and other != path and other.rpartition(".")[2] == name and held == value
    ]


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [leaf for name, part in value.items() for leaf in _leaves(part, f"{path}.{name}" if path else name)]
    if isinstance(value, list):
        return [leaf for number, part in enumerate(value, 1) for leaf in _leaves(part, f"{path}[{number}]")]
    return [(path, value)]


def _set(record: str, content: Event, path: str, text: str, meta: Event, keyring: Keyring) -> None:
    """Set one field, or raise HubError(REQUEST_WRONG) with the path, never the value."""
    named = _named(schema(record), {})
    kind: Any = schema(record)["name"]
    holder: Any = {"": content}
    at: str | int = ""
    for part in path.split("."):
        found = _PART.fullmatch(part)
        fields = {row["name"]: row["type"] for row in named.get(_of(kind), {}).get("fields", ())}
        if found is None or found[1] not in fields or found[1] == "meta":
            raise HubError("REQUEST_WRONG", f"{path}: {record} has no such field")
        holder, at, kind = holder[at], found[1], fields[found[1]]
        if found[2]:
            holder, at, kind = holder[at], int(found[2]) - 1, _items(kind)
            if not isinstance(holder, list) or at >= len(holder):
                raise HubError("REQUEST_WRONG", f"{path}: this event has no such entry")
        if holder is None or (isinstance(at, str) and at not in holder):
            raise HubError("REQUEST_WRONG", f"{path}: this event has nothing there")
    old = holder[at]
    if at == "ma_cskcb" or (isinstance(old, str) and keyring.key(meta["facility"], old, test=meta["test"]) == meta["key"]):
        raise HubError("REQUEST_WRONG", f"{path}: the key is made of it; discard the event, and let its sender say it anew")
    try:
        holder[at] = _typed(kind, text)
    except (ValueError, InvalidOperation, KeyError):
        raise HubError("REQUEST_WRONG", f"{path}: the value does not fit the type of the field") from None


def _named(node: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Every record type of a schema by its name."""
    for part in node if isinstance(node, list) else ():
        _named(part, found)
    if isinstance(node, dict):
        if node.get("type") == "record":
            found[node["name"]] = node
        for part in (node.get("type"), node.get("items"), *(row["type"] for row in node.get("fields", ()))):
            _named(part, found)
    return found


def _plain(kind: Any) -> Any:
    """The type without null."""
    return next(one for one in kind if one != "null") if isinstance(kind, list) else kind


def _of(kind: Any) -> str:
    """Name of a record type, however the schema spells it; "" for any other."""
    plain = _plain(kind)
    return str(plain.get("name", "")) if isinstance(plain, dict) else plain


def _items(kind: Any) -> Any:
    plain = _plain(kind)
    return plain.get("items", "") if isinstance(plain, dict) else ""


def _typed(kind: Any, text: str) -> Any:
    """Raises: ValueError, InvalidOperation, KeyError."""
    plain = _plain(kind)
    if text == "" and isinstance(kind, list):
        return None
    if plain == "string" and "\0" not in text:
        return unicodedata.normalize("NFC", text)
    if plain == "boolean":
        return {"true": True, "false": False}[text]
    if plain in ("int", "long"):
        number = int(text)
        if abs(number) < 2 ** (31 if plain == "int" else 63):
            return number
    if isinstance(plain, dict) and plain.get("logicalType") == "decimal":
        scale = Decimal(1).scaleb(-plain["scale"])
        amount = Decimal(text).quantize(scale)
        if amount == Decimal(text) and len(amount.as_tuple().digits) <= plain["precision"]:
            return amount
    raise ValueError
