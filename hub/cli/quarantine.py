"""Quarantine: `hie quarantine list`, `show`. Bytes that the border could not frame or read: cut frames, junk, what is no message."""

import base64
import getpass
import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hub.cli.running import connected, keyring, older, paragraph, terminal
from hub.contract.errors import ERRORS, HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.settings import Settings, read_settings
from hub.journal.quarantine import Quarantined, find, newest

_SHOWN: Final = 4_000  # characters on a terminal; a file takes all
_CONTROLS: Final = {number: 0x2400 + number for number in range(0x20)} | {0x7F: 0x2421}  # their pictures, as ␋ for VT

out = terminal()
quarantine_app = typer.Typer(help="Bytes that could not be framed or read, as they came.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@quarantine_app.command("list")
def quarantine_list(
    sender: Annotated[str, typer.Option(help="Only of this sender's links.")] = "",
    days: Annotated[int, typer.Option(min=1, help="How many days back.")] = 7,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most of them shown, the newest; the count is of all.")] = 50,
    as_json: AsJson = False,
) -> None:
    """When, on whose link, how many bytes, and why they could not be read.

    Example: hie quarantine list --sender dongtrieu
    """
    from hub.store.database import connect

    settings = connected(read_settings())
    since = now().astimezone(VIETNAM).date() - timedelta(days=days - 1)
    with connect(settings.database_url.get_secret_value()) as database:
        count, rows = newest(database, since, sender, limit)
    if as_json:
        print(to_json({"count": count, "messages": [asdict(row) for row in rows]}).decode())
        return
    out.print(f"{count} in quarantine since {since:%d/%m/%Y}" + (f", the newest {limit} shown" if count > len(rows) else ""))
    for row in rows:
        out.print()
        _print_facts(row)
        out.print(f"    hie quarantine show {row.message_id}")


@quarantine_app.command("show")
def quarantine_show(
    message: Annotated[str, typer.Argument(help="Its id, as the list shows it.")],
    body: Annotated[bool, typer.Option("--body", help="Its bytes too, which may tell of a person; that is audited.")] = False,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write all its bytes to a new file, in base64; that is audited too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What came, when, from whom, and why it could not be read. Nothing of a person is shown without --body or --out.

    With --body control characters are visible, as ␋ for the byte that begins a frame and ␜␍ for those that end it.

    Example: hie quarantine show 5f0c6f3e-0000-5000-8000-000000000001 --body
    """
    settings = connected(read_settings())
    row = _row(settings, message)
    facts: dict[str, Any] = asdict(row)
    raw = _bytes(settings, row, [name for name, asked in (("body", body), ("out", file)) if asked]) if body or file else b""
    if body:
        facts["body"] = visible(raw)
    if file:
        _write(file, base64.encodebytes(raw))
    if as_json:
        print(to_json(facts).decode())
        return
    _print_facts(row)
    out.print(f"    hie trace {row.message_id}")
    if body:
        out.print(facts["body"][:_SHOWN], markup=False)
        if len(facts["body"]) > _SHOWN:
            out.print(f"… the first {_SHOWN:,} characters of {len(facts['body']):,}; --out FILE takes all")
    if file:
        out.print(f"{len(raw):,} bytes in base64: {file}", markup=False)
    if (body or file) and row.raw_size is not None and len(raw) < row.raw_size:
        out.print(f"only the first {len(raw):,} bytes were kept")


def visible(raw: bytes) -> str:
    """Bytes as text of which every one can be seen, and none moves a terminal's cursor but the ends of lines.

    Control characters are their pictures, bytes that are no UTF-8 and what prints as nothing their numbers.
    """
    text = raw.decode("utf-8", "backslashreplace").translate(_CONTROLS)
    shown = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
    return re.sub("␍␊|␍|␊", r"\g<0>\n", shown)


# --- the steps --------------------------------------------------------------------------------------------------------


def _row(settings: Settings, message: str) -> Quarantined:
    from hub.store.database import connect

    try:
        wanted = str(uuid.UUID(message))
    except ValueError:
        raise HubError("NOT_FOUND", "an id is a UUID; see `hie quarantine list`") from None
    with connect(settings.database_url.get_secret_value()) as database:
        row = find(database, wanted)
    if row is None:
        raise HubError(
            "NOT_FOUND", "nothing of this id is in quarantine; see `hie trace` of it, and the journal may be seconds behind"
        )
    return row


def _bytes(settings: Settings, row: Quarantined, ways: Sequence[str]) -> bytes:
    """Out of archive, topic or raw store; that they are looked at is audited before they are. Raises: HubError(NOT_FOUND)."""
    from adapters.inbound.kept import Kept
    from adapters.inbound.raw_store import RawStore
    from hub.audit import audit
    from hub.bus import Producer, Wire

    wire, store = Wire(settings.registry_url), RawStore(settings.data_dir / "raw")
    value = Kept(settings, wire, keyring(settings), store, older=older(settings)).value(
        row.topic, row.partition, row.record_offset
    )
    kept = wire.unpack(value)[1]
    raw: bytes = store.get(kept["raw_ref"]) if kept["raw_ref"] else kept["raw"]
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
    try:
        actions = [f"quarantine-show-{way}" for way in ways]
        producer.publish_blocking([audit(wire, action, row.message_id, getpass.getuser(), "") for action in actions])
    finally:
        producer.close()
    return raw


def _write(file: Path, content: bytes) -> None:
    try:
        file.touch(mode=0o600, exist_ok=False)  # it may tell of a person: for the operator alone, from the first moment
        file.write_bytes(content)
    except OSError as fault:
        raise HubError("REQUEST_WRONG", f"--out {file}: {fault.strerror}") from fault


def _print_facts(row: Quarantined) -> None:
    who = row.sender or "a sender that the hub does not know"
    size = "" if row.raw_size is None else f", {row.raw_size:,} {'byte' if row.raw_size == 1 else 'bytes'}"
    test = ", test" if row.test else ""
    answer = f"answered {row.ack}" if row.ack else "not answered"
    at = f"{row.received_at.astimezone(VIETNAM):%d/%m/%Y %H:%M:%S}"
    out.print(f"{at} {row.code}\n    {who} by {row.transport}{size}{test}, {answer}", markup=False)
    if row.code in ERRORS:
        paragraph(out, f"{ERRORS[row.code].en} · {ERRORS[row.code].vi}", 6, "dim")
