"""What a vendor does: send, look into the inbox, translate offline."""

import json
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from rich.markup import escape
from rich.table import Table

from hub.cli.running import OFFLINE, connected, dialect_of, paragraph, tell_edited, terminal, use_profiles
from hub.contract.directory import facilities, use_directory
from hub.contract.errors import ERRORS, GUESSED, HubError, Problem
from hub.contract.events import VIETNAM, Keyring, now
from hub.contract.settings import Settings, read_settings
from hub.services import address

if TYPE_CHECKING:
    from adapters.dialects.profile import Dialect

out = terminal()
_SHOWN, _PLACES = 20, 6  # kinds of problems of a message, places of each; --json has all
_NAMED = re.compile(r"([A-Z_]+)(?: ([^ (]+))?")  # each finding of MSA-3 before v2.5, as adapters.formats.ack writes it
_NO_PROFILE = re.compile(r"NOT_FOUND dialect (\w+)")  # where translation failed for want of one
_CAUSES = ("FIELDS_SHIFTED", "MESSAGE_CUT")  # of what else is wrong in a message, though they are warnings; the last first
_NOT_NAMED = re.compile(r" \(\+(\d+)\)$")  # how many more there are


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="A vendor")(send)
    app.command(rich_help_panel="A vendor")(inbox)
    app.command(rich_help_panel="A vendor")(translate)


# --- send -------------------------------------------------------------------------------------------------------------


def send_mllp(place: tuple[str, int], raw: bytes, wait_s: float = 30.0, tls: ssl.SSLContext | None = None) -> bytes:
    """Send one frame by MLLP and return what is answered; b"" when the hub closed the link without an answer."""
    from adapters.formats.mllp import Decoder, Frame, encode

    decoder = Decoder()
    plain = socket.create_connection(place, timeout=wait_s)
    with tls.wrap_socket(plain) if tls is not None else plain as link:
        link.sendall(encode(raw))
        while data := link.recv(65536):
            for found in decoder.feed(data):
                if isinstance(found, Frame):
                    return found.body
    return b""


def media_type(raw: bytes) -> str:
    """What a message is, by its first sign. HL7 goes by MLLP, XML and JSON by HTTP."""
    first = raw.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
    return {b"<": "application/xml", b"{": "application/json"}.get(first, "application/hl7-v2")


def by_http(raw: bytes) -> bool:
    """Whether a message goes by HTTP unasked: XML, JSON, and what no MLLP frame can carry: nothing, or the frame's own signs."""
    from adapters.formats.mllp import END, START

    return media_type(raw) != "application/hl7-v2" or b"GIAMDINHHS" in raw[:400] or not raw.strip() or START in raw or END in raw


def send_http(
    place: tuple[str, int],
    raw: bytes,
    token: str = "",
    wait_s: float = 60.0,
    tls: ssl.SSLContext | None = None,
    *,
    test: bool = False,
) -> tuple[int, dict[str, Any]]:
    """Send one body to POST /v1/messages, as test traffic if wanted; the status and the answer."""
    headers = {"Content-Type": media_type(raw)}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    url = f"{'https' if tls is not None else 'http'}://{place[0]}:{place[1]}/v1/messages"
    limit_s = wait_s + len(raw) / 1_000_000
    params, verify = {"test": "true"} if test else None, tls if tls is not None else True
    answer = httpx.post(url, content=raw, params=params, headers=headers, timeout=limit_s, verify=verify)
    return answer.status_code, answer.json()


def send(
    files: Annotated[list[Path], typer.Argument(help="Files of HL7 v2, insurance XML or JSON.", exists=True, dir_okay=False)],
    http: Annotated[bool, typer.Option(help="By HTTP; XML, JSON and what MLLP cannot carry always go this way.")] = False,
    test: Annotated[bool, typer.Option(help="As test traffic, whatever the messages say; by HTTP.")] = False,
    token: Annotated[str, typer.Option(help="Token of your credential, by HTTP.", envvar="HIE_TOKEN")] = "",
    whole: Annotated[
        bool, typer.Option(help="Each file in one frame or request, however many messages it holds; else one by one.")
    ] = False,
    ca: Annotated[
        Path | None, typer.Option(help="By TLS: certificates of the authority that signed the hub's.", exists=True)
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Your client certificate, with --ca.", exists=True)] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.", exists=True)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a message.")] = False,
) -> None:
    """Send files to the running hub, one after the other, and show what it answered.

    Example: hie send seeds/demo/*.hl7
    """
    from adapters.inbound.translate import split

    settings, tls = connected(read_settings()), _tls(ca, cert, key)
    tell_edited(settings)
    refused = 0
    for file in files:
        bodies = [file.read_bytes()] if whole else split(file.read_bytes()) or [b""]
        sent = (row for raw in bodies for row in _sent(settings, raw, http or test or by_http(raw), token, tls, test))
        for number, answer in enumerate(sent, 1):
            row = {"file": file.name, "message": number, **answer}
            refused += row["ack"] not in ("AA", "CA")
            if as_json:
                print(json.dumps(row, ensure_ascii=False))
            else:
                colour = "green" if row["ack"] in ("AA", "CA") else "red"
                ids = (
                    row.get(name) for name in ("control_id", "message_id", "answer_id")
                )  # the sender's own word before the hub's
                known_as = next(filter(None, ids), "")
                out.print(f"[{colour}]{row['ack'] or 'no answer'}[/]  {file.name}#{number}  {known_as}")
                _show_problems(row["problems"])
                if row.get("more"):
                    out.print(f"    … and {row['more']} more: hie trace {known_as}", markup=False)
    raise typer.Exit(1 if refused else 0)


def _tls(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Raises: HubError(SETTING_WRONG) for files that are no certificates."""
    if ca is None:
        return None
    try:
        context = ssl.create_default_context(cafile=str(ca))
        context.check_hostname = False  # the hub is known by its data folder, not by a name
        if cert is not None:
            context.load_cert_chain(cert, key)
    except OSError as wrong:
        raise HubError("SETTING_WRONG", f"--ca, --cert, --key: {type(wrong).__name__}") from None
    return context


def _sent(
    settings: Settings, raw: bytes, http: bool, token: str, tls: ssl.SSLContext | None, test: bool = False
) -> list[dict[str, Any]]:
    """What is answered to each message of one body or frame."""
    from adapters.formats.hl7v2 import split_messages

    secure = "s" if tls is not None else ""
    try:
        if http:
            status, answer = send_http(address(settings, "gate", f"http{secure}_port"), raw, token, tls=tls, test=test)
            items = answer["items"] if answer.get("items") else [answer]
            return [{"status": status, "problems": [], "ack": "", **(item or {})} for item in items]
        body = send_mllp(address(settings, "gate", f"mllp{secure}_port"), raw, tls=tls)
    except (OSError, httpx.HTTPError) as broken:
        raise HubError("NOT_RUNNING", f"the gate does not answer ({type(broken).__name__})") from broken
    return [read_ack(ack.encode()) for ack in split_messages(body.decode("utf-8", "replace")) or [""]]


def read_ack(body: bytes) -> dict[str, Any]:
    """MSA-1, MSA-2, MSH-10 (`hie trace` takes both ids) and what is told of an acknowledgement: ERR, before v2.5 ERR-1 or what MSA-3 names, and how many more it counts."""
    from adapters.formats.ack import BETWEEN
    from adapters.formats.hl7v2 import parse

    if not body:
        return {"ack": "", "control_id": "", "answer_id": "", "problems": [], "more": 0}
    answer = parse(body.decode("utf-8", "replace"))
    msa, errors = answer.first("MSA"), answer.segments("ERR")
    ack = msa.get(1) if msa else ""
    problems = [_told(row.get(5), row.get(4), row.get(2, 1), row.get(2, 3), row.get(8)) for row in errors if not row.field(1)]
    for row in errors:
        for number in range(1, len(row.repetitions(1)) + 1):
            code, text = row.get(1, 4, 4, number), row.get(1, 4, 2, number)
            if code or text:
                problems.append(_told(code, "E", row.get(1, 1, 1, number), row.get(1, 3, 1, number), text))
    more = 0
    if msa:
        severity, stated = "W" if problems or ack in ("AA", "CA") else "E", msa.get(3)  # beside ERR it names warnings too
        counted = _NOT_NAMED.search(stated)
        found = [_NAMED.fullmatch(each) for each in _NOT_NAMED.sub("", stated).split(BETWEEN)]
        named = [one for one in found if one is not None and one[1] in ERRORS]
        listed = {one["code"] for one in problems}
        problems += [
            {"code": one[1], "severity": severity, "path": one[2] or "", "text": ERRORS[one[1]].en}
            for one in named
            if one[1] not in listed
        ]
        more = int(counted[1]) if counted and named and not listed else 0
    told = {"control_id": msa.get(2) if msa else "", "answer_id": answer.control_id}
    return {"ack": ack, **told, "problems": problems, "more": more}


def _told(code: str, severity: str, segment: str, field: str, text: str) -> dict[str, str]:
    place = "-".join(filter(None, (segment, field)))
    return {"code": code, "severity": severity, "path": place, "text": ERRORS[code].en if code in ERRORS else text}


# --- inbox ------------------------------------------------------------------------------------------------------------


def inbox(
    facility: Annotated[str, typer.Argument(help="Facility code, such as 01004.")],
    after: Annotated[int, typer.Option(help="Cursor: only what came after it.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Most deliveries shown.")] = 50,
    form: Annotated[str, typer.Option("--format", help="json or hl7.")] = "json",
    body: Annotated[bool, typer.Option(help="Show each delivery's body.")] = False,
    acknowledge: Annotated[bool, typer.Option("--ack", help="Acknowledge what is shown.")] = False,
    token: Annotated[str, typer.Option(help="Token of your credential.", envvar="HIE_TOKEN")] = "",
    test: Annotated[bool, typer.Option(help="The test mailbox.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The answer of the inbox API as it is.")] = False,
) -> None:
    """What came for a facility, in order, acknowledged or not.

    Example: hie inbox 01004 --format hl7 --body
    """
    settings = connected(read_settings())
    use_directory(settings.directory_dir)
    host, port = address(settings, "mailbox", "inbox_port")
    base = f"http://{host}:{port}/v1/inbox/{facility}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(headers=headers, timeout=60) as client:
        asked: dict[str, str | int] = {"after": after, "limit": limit, "format": form, "test": str(test).lower()}
        answer = client.get(base, params=asked)
        page = answer.json()
        if answer.status_code != 200:
            raise HubError(page.get("code", "NOT_FOUND"), page.get("where") or facility)
        if acknowledge and page["deliveries"]:
            done = [{"delivery_id": row["delivery_id"], "state": "ACKNOWLEDGED"} for row in page["deliveries"]]
            said = client.post(f"{base}/receipts", json=done, params={"test": str(test).lower()}).raise_for_status().json()
        else:
            said = []
    if as_json:
        print(json.dumps(page, ensure_ascii=False))
        return
    now_in = {row["delivery_id"]: row["state"] for row in said}
    for row in page["deliveries"]:
        row["state"] = now_in.get(row["delivery_id"], row["state"])
    show_inbox(facility, page, body=body)


def show_inbox(facility: str, page: dict[str, Any], *, body: bool) -> None:
    """For people: one row a delivery of a page of the inbox API; with their bodies if told."""
    if not page["deliveries"]:
        known = facility in facilities() or facility == "portal"
        out.print(f"{facility}: nothing came" + ("" if known else "; this code is not in the directory: hie directory find"))
        return
    count = len(page["deliveries"])
    table = Table(
        "cursor", "queued", "state", "what, delivery id", title=f"{facility}: {count} deliver{'y' if count == 1 else 'ies'}"
    )
    for row in page["deliveries"]:
        queued = datetime.fromisoformat(row["queued_at"]).astimezone(VIETNAM)
        what = f"{row['record'].removeprefix('hie.')} ({row['rule']})\n{row['delivery_id']}"
        table.add_row(str(row["cursor"]), f"{queued:%d/%m %H:%M}", row["state"], what)
    out.print(table)
    for row in page["deliveries"] if body else []:
        text = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"], ensure_ascii=False, indent=2)
        out.print(f"\n[bold]cursor {row['cursor']}[/]  {row['delivery_id']}")
        out.print(text.replace("\r", "\n"), markup=False)


# --- translate --------------------------------------------------------------------------------------------------------


def translations(
    file: Path,
    bytes_max: int,
    envelope_bytes_max: int = 0,
    keyring: Keyring = OFFLINE,
    dialect: "Dialect | None" = None,
    facility: str = "",
) -> Iterator[dict[str, Any]]:
    """One row a message of a file: what the hub would say to it, offline, with an open directory.

    dialect:   how to read it, whoever sent it; the facility's own when omitted.
    facility:  the only one that its sender may speak for; "" for any.
    bytes_max, envelope_bytes_max: largest message and envelope taken, as at the door.
    """
    from adapters.formats.claim_xml import looks_like_envelope
    from adapters.inbound.received import Received, Translation
    from adapters.inbound.translate import refused, split, tried

    def judged(received: Received) -> Translation:
        limit = max(bytes_max, envelope_bytes_max) if looks_like_envelope(received.raw) else bytes_max
        if len(received.raw) > limit:
            return refused(received, "FRAME_TOO_LARGE")
        return tried(received, keyring, dialect)

    started_at, may = now(), frozenset({facility}) if facility else None
    for number, raw in enumerate(split(file.read_bytes()) or [b""], 1):
        received_at = started_at + timedelta(microseconds=number)  # each after the one before it, as at the door
        done = judged(Received(raw, received_at, "folder", facilities=may))
        yield {
            "file": str(file),
            "message": number,
            "control_id": done.message.get("control_id", ""),
            "type": done.message.get("message_type", ""),
            "verdict": done.verdict,
            "ack": done.message.get("ack", ""),
            "problems": [
                {"code": p.code, "severity": p.severity.value, "path": p.path, "text": _sentence(p)} for p in done.problems
            ],
            "events": [{"record": record, **event} for record, event in done.events],
        }


def _sentence(problem: Problem) -> str:
    """What the problem is; of a profile that is not there, which one and what to do, as no hub would start without it."""
    missing = _NO_PROFILE.fullmatch(problem.path) if problem.code == "TRANSLATION_FAILED" else None
    if missing is None:
        return problem.text
    name = missing[1]
    return (
        f"There is no profile {name}.toml, which the directory names for this facility (or the profile that it names extends). Nothing is wrong with "
        f"the message: write the profile (`hie vendor new {name}`), or name another dialect in facilities.csv."
    )


def translate(
    files: Annotated[list[Path], typer.Argument(help="Files or folders.", exists=True)],
    dialect: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help="Read all by this one, before aliases or the directory name it.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a message, events included.")] = False,
) -> None:
    """Translate without sending, offline: what would the hub understand, warn about, refuse?

    Of a folder, what `hie vendor accept` wrote beside the messages is left out. Ends with 1 if any message was not translated.

    Example: hie translate --json my-samples/ | jq .problems
    """
    from hub.contract.events import to_json

    counts: dict[str, int] = {}
    found, goldens = messages_in(files)
    settings = read_settings()
    use_profiles(settings, dialect)
    chosen = dialect_of(dialect) if dialect else None
    for file in found:
        for row in translations(file, settings.message_bytes_max, settings.envelope_bytes_max, dialect=chosen):
            counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
            if as_json:
                print(to_json(row).decode())
            else:
                show_translation(row)
    if not counts:
        raise typer.BadParameter("there is no file in it", param_hint="files")
    if not as_json:
        if goldens:
            out.print(f"left out {goldens} .json with what is expected of the message beside it")
        out.print(" · ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items())))
    raise typer.Exit(0 if set(counts) <= {"translated"} else 1)


def messages_in(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """Files as they are named, and all of folders; and how many of these are left out, as `hie vendor accept` wrote them beside the messages."""
    from adapters.inbound.goldens import is_golden

    files, goldens = [], 0
    for path in paths:
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
        kept = [file for file in inside if not is_golden(file)]
        goldens += len(inside) - len(kept)
        files += kept if path.is_dir() else [path]
    return files, goldens


def show_translation(row: dict[str, Any]) -> None:
    colour = {"translated": "green", "refused": "red"}.get(row["verdict"], "yellow")
    events = ", ".join(event["record"].removeprefix("hie.") for event in row["events"])
    dialect = row["events"][0]["meta"]["source"]["dialect"] if row["events"] else ""
    by = f"  [dim]by {dialect}.toml[/]" if dialect else ""
    told = "  ".join(filter(None, (escape(row["type"]), events)))
    out.print(f"[{colour}]{row['verdict']:11}[/] {Path(row['file']).name}#{row['message']}  {told}{by}".rstrip())
    _show_problems(row["problems"])


def _by_harm(problem: dict[str, str]) -> tuple[int, int, bool]:
    """What explains the others first, then what refuses the message, what loses or guesses something, what is noted only."""
    code = problem["code"]
    cause = _CAUSES.index(code) + 1 if code in _CAUSES else 0
    return -cause, "EWI".find(problem["severity"]), code not in GUESSED


def _show_problems(problems: Sequence[dict[str, str]]) -> None:
    """What was found of a message, each kind with its first places and one sentence, at the width of the terminal."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for problem in sorted(problems, key=_by_harm):
        found.setdefault((problem["severity"], problem["code"], problem["text"]), []).append(problem["path"])
    for (severity, code, text), places in list(found.items())[:_SHOWN]:
        more = f", … {len(places)} places" if len(places) > _PLACES else ""
        where = ", ".join(filter(None, places[:_PLACES])) + more
        out.print("    " + " ".join(filter(None, (severity, code, where))), markup=False)
        paragraph(out, text, 6, "dim")
    if len(found) > _SHOWN:
        out.print(f"    … and {len(found) - _SHOWN} more (--json shows all)", style="dim")
