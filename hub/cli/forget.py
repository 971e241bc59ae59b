"""`hie forget`: erasure of one case, or of all cases of a patient, at somebody's request. Without --yes it shows what would go."""

import getpass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from hub.cli.person import asked_and_told
from hub.cli.running import audit_before, connected, keyring, terminal
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.settings import Settings, read_settings

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

    from hub.bus import Wire
    from hub.keep.forget import Plan
    from hub.store.forgotten import Database, Request

out = terminal()

_TABLES: Final = {
    "mailbox": "hộp thư · mailboxes",
    "portal_document": "cổng bảo hiểm · portal",
    "parked": "tạm giữ · parked",
    "due": "thời hạn · deadlines",
    "case_fact": "chỉ mục ca bệnh · case index",
    "case_head": "chỉ mục ca bệnh · case index",
    "journal_event": "nhật ký · journal",
    "journal_message": "nhật ký · journal",
}
_ACTION: Final = "forget"


def forget(
    case: Annotated[
        str, typer.Argument(metavar="[FACILITY/KEY]", help="Business key (MA_LK, slip, order or patient number) of a facility.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit topic. Name nobody.")] = "",
    patient: Annotated[
        bool,
        typer.Option(
            "--patient", help="KEY is a patient number: all cases that name it as this facility's. Reads much of the archive."
        ),
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Finish what was interrupted, and what a new ledger may have again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would be erased.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Erase a case: mailboxes, case index, ledger, archive; amounts, ids and states stay, so that the books close. It cannot be undone.

    Without a case: what was erased, and what is not finished. Of a day of a legal hold nothing is erased. What topics hold goes by
    time; until then it is left out by all that reads them.

    Example: hie forget 01021/LK2611-031 --reason "request 12/2026"
    """
    from hub.bus import Wire
    from hub.keep.forget import unfinished
    from hub.store.database import connect
    from hub.store.forgotten import Request, listed

    facility, _, key = (part.strip() for part in case.partition("/"))
    if case and not (facility and key):
        raise HubError("REQUEST_WRONG", "FACILITY/KEY, such as 01021/LK2611-031")
    if case and not reason.strip():
        raise HubError("REQUEST_WRONG", "--reason")
    settings = connected(read_settings())
    wire = Wire(settings.registry_url)
    with connect(settings.database_url.get_secret_value(), autocommit=True) as database:
        if finish:
            for begun in unfinished(settings, database):
                _carry_out(settings, database, wire, begun, yes=yes, as_json=as_json)
        elif case:
            keys = _keys(settings, wire, facility, key, patient=patient)
            _carry_out(settings, database, wire, Request(keys, reason.strip(), now()), yes=yes, as_json=as_json)
        else:
            _list(listed(database), as_json)


def _keys(settings: Settings, wire: "Wire", facility: str, key: str, *, patient: bool) -> tuple[str, ...]:
    """The Kafka keys of a business key, of real and of test traffic; with all that name it as their patient's number."""
    from hub.keep.forget import keys_of_patient

    hashes = keyring(settings)
    found = {hashes.key(facility, key, test=test) for test in (False, True)}
    return tuple(sorted(found | (keys_of_patient(settings, wire, facility, key) if patient else set())))


def _carry_out(settings: Settings, database: "Database", wire: "Wire", request: "Request", *, yes: bool, as_json: bool) -> None:
    from hub.keep.forget import erase, look, look_once_arrived, unfinished
    from hub.store.forgotten import ids_of

    plan = (look_once_arrived if yes else look)(settings, database, wire, request.keys, ids_of(database, request.keys))
    _show(plan, as_json)
    if not yes:
        if not as_json:
            _foretell(settings, database, plan)
        return
    begun = not plan.nothing or any(set(request.keys) & set(one.keys) for one in unfinished(settings, database))
    if begun:
        audit_before(settings, _ACTION, " ".join(request.keys), request.reason)
        erase(settings, database, wire, plan, request)
        _finish(request)
    if not as_json:
        out.print("đã xóa · erased" if begun else "không có gì để xóa · there is nothing to erase")


def _finish(request: "Request") -> None:
    """That it is done, in the table and in the audit, or in neither."""
    from hub.access.people import note
    from hub.store.forgotten import finish

    by = getpass.getuser()

    async def change(pool: "AsyncConnectionPool") -> None:
        async with pool.connection() as database, database.transaction():
            await finish(database, request, now())
            await note(database, _ACTION, " ".join(request.keys), by, request.reason)

    asked_and_told(change)


def _foretell(settings: Settings, database: "Database", plan: "Plan") -> None:
    from hub.keep.forget import check

    try:
        check(settings, database, plan)
    except HubError as refused:
        out.print(f"{refused.row.vi}\n{refused.row.en} ({refused.where})", markup=False)
        return
    out.print("chưa xóa gì; --yes sẽ xóa · nothing was erased; --yes does it")


def _show(plan: "Plan", as_json: bool) -> None:
    found = plan.as_dict()
    if as_json:
        print(to_json(found).decode())
        return
    table = Table("nơi · where", "nội dung · what", "số · count", box=None)
    for name, count in found["tables"].items():
        if count and name in _TABLES:
            table.add_row(_TABLES[name], name, str(count))
    if waiting := found["tables"]["waiting"]:
        table.add_row("", "trong đó chưa nhận · of these not fetched yet", str(waiting))
    for payer, rows in found["ledgers"].items():
        for name, count in rows.items():
            if count:
                table.add_row(f"sổ cái · ledger {payer}", name, str(count))
    for topic, count in found["archive"].items():
        table.add_row("kho lưu trữ · archive", topic, str(count))
    if found["raw"]:
        table.add_row("kho bản gốc · raw store", "tệp · files", str(found["raw"]))
    out.print(", ".join(found["keys"]), markup=False)
    if found["first_day"]:
        out.print(f"{found['first_day']:%d/%m/%Y} – {found['last_day']:%d/%m/%Y}")
    out.print("không còn gì · nothing is left" if plan.nothing else table)
    if found["others"]:
        out.print(
            f"{found['others']} sự kiện khác đến trong cùng bản tin: vẫn giữ, chỉ byte gốc của bản tin bị xóa ·"
            " other events came in the same messages: they stay, only the bytes of those messages go"
        )


def _list(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(to_json(rows).decode())
        return
    table = Table("khóa · key", "lúc · asked", "xong · done", "lý do · reason", box=None)
    for row in rows:
        asked, done = (f"{at.astimezone(VIETNAM):%d/%m/%Y %H:%M}" if at else "" for at in (row["asked_at"], row["done_at"]))
        table.add_row(row["key"], asked, done or "chưa: --finish · not yet: --finish", row["reason"])
    out.print(table if rows else "chưa xóa gì · nothing was ever erased")
