"""What an operator does with the directory: look a facility up, find one, check a file, write an invented nation."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from adapters.formats.charset import fold
from hub.cli.running import tell_faulty, terminal, unusable_by_themselves, use_profiles
from hub.contract.directory import directory_file, facilities, heir
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.facilities import COLUMNS, PROVINCES_SINCE, Facility, provinces, read_facilities
from hub.contract.settings import read_settings

directory_app = typer.Typer(help="Who takes part: the facilities, over time.", no_args_is_help=True)

out = terminal()

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def _today() -> date:
    return now().astimezone(VIETNAM).date()


def _day(day: date | None) -> str:
    return f"{day:%d/%m/%Y}" if day else ""


# --- show -------------------------------------------------------------------------------------------------------------


@directory_app.command("show")
def show(code: Annotated[str, typer.Argument(help="Facility code, such as 01021.")], as_json: AsJson = False) -> None:
    """All that the directory says of a facility: names, levels and provinces with their days, dialect, who stands in for it.

    Example: hie directory show 01021
    """
    use_profiles(read_settings())
    one, today = facilities().get(code), _today()
    if one is None:
        raise HubError("NOT_FOUND", f"no facility {code} in the directory; look for it: hie directory find NAME")
    if as_json:
        print(to_json(_facts(one, today)).decode())
        return
    until = f", until {_day(one.valid_to)}" if one.valid_to else ""
    state = "open" if one.open_on(today) else "closed"
    out.print(f"[bold]{one.code}[/] {one.name}" + (f" · {one.name_en}" if one.name_en else ""))
    rows = [
        ("kind", one.kind),
        ("state", f"{state}, since {_day(one.valid_from)}{until}"),
        ("merged into", _named(one.successor)),
        ("stands in today", _named(heir(code, today)) if one.successor else ""),
        ("level", "; ".join(f"{word} {_day(since)} – {_day(last)}".rstrip() for word, since, last in one.levels())),
        ("province", "; ".join(_provinces(one))),
        ("dialect", one.dialect),
        ("receives", ", ".join(sorted(one.receives)) or "every record"),
        ("GLN", one.gln),
    ]
    for name, said in rows:
        if said:
            out.print(f"  {name:16}{said}", markup=False)


def _named(code: str) -> str:
    return f"{code} {facilities()[code].name}" if code else ""


def _provinces(one: Facility) -> list[str]:
    """The province it stood in when it opened and, where the map of 01/07/2025 changed code or name, the one since."""
    days = [one.valid_from, *([PROVINCES_SINCE] if one.valid_from < PROVINCES_SINCE else [])]
    named = [(one.province_on(day), provinces().name(one.province_on(day), day)) for day in days]
    since = f" since {_day(PROVINCES_SINCE)}" if len(set(named)) > 1 else ""
    return [f"{code} {name}{since if number else ''}" for number, (code, name) in enumerate(dict.fromkeys(named))]


def _facts(one: Facility, today: date) -> dict[str, Any]:
    """For programs: the row, what follows from it for today (its level too), and routes and levels with their days."""
    province = one.province_on(today)
    row = {name: getattr(one, name) for name in COLUMNS if name != "route"}
    return row | {
        "receives": sorted(one.receives),
        "open": one.open_on(today),
        "stands_in": heir(one.code, today),
        "level": one.level_on(today),
        "levels": [{"level": word, "since": since, "until": last} for word, since, last in one.levels()],
        "province_name": provinces().name(one.province, one.valid_from),
        "province_today": province,
        "province_today_name": provinces().name(province, today),
    }


# --- find -------------------------------------------------------------------------------------------------------------


@directory_app.command("find")
def find(
    text: Annotated[str, typer.Argument(help="Part of a name, accents or not; the beginning of a code; a province.")],
    limit: Annotated[int, typer.Option(min=1, help="Most facilities shown.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Facilities by name, code, GLN or province, then or now. Ends with 1 when there is none.

    Example: hie directory find "dong linh"
    """
    use_profiles(read_settings())
    today, wanted = _today(), fold(text)
    found = [one for one in facilities().values() if _fits(one, wanted, today)]
    if as_json:
        print(to_json([_facts(one, today) for one in found[:limit]]).decode())
    else:
        table = Table("code", "name", "level", "province", "dialect", "", title=f"{len(found)} found")
        for one in found[:limit]:
            state = "" if one.open_on(today) else f"closed → {one.successor}" if one.successor else "closed"
            province = provinces().name(one.province_on(today), today)
            table.add_row(one.code, one.name, one.level_on(today), province, one.dialect, state)
        out.print(table)
        if len(found) > limit:
            out.print(f"… and {len(found) - limit} more: --limit {len(found)}")
    raise typer.Exit(0 if found else 1)


def _fits(one: Facility, wanted: str, today: date) -> bool:
    names = (
        one.name,
        one.name_en,
        provinces().name(one.province, one.valid_from),
        provinces().name(one.province_on(today), today),
    )
    return one.code.startswith(wanted) or one.gln == wanted or any(wanted in fold(name) for name in names)


# --- check ------------------------------------------------------------------------------------------------------------


@directory_app.command("check")
def check(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder with a facilities.csv; the one in force when omitted.", exists=True, file_okay=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read a directory as a service would, and list every fault with its line and column. Ends with 1 when there is any.

    Faults of profiles that no row names are told beside it.

    Example: hie directory check my-directory/
    """
    from adapters.dialects.profile import use_vendors

    settings = read_settings()
    use_vendors(settings.vendors_dir)
    path = directory_file(folder or settings.directory_dir)
    found, faults = read_facilities(path, unusable_by_themselves)
    tell_faulty()
    open_today = sum(one.open_on(_today()) for one in found.values())
    if as_json:
        told = [fault._asdict() for fault in faults]
        print(to_json({"file": str(path), "facilities": len(found), "open": open_today, "faults": told}).decode())
    else:
        for fault in faults:
            out.print(f"{path.name} {fault}", markup=False)
        verdict = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}: it would not be taken" if faults else "no fault"
        out.print(f"{path}: {len(found)} facilities, {open_today} open today; {verdict}")
    raise typer.Exit(1 if faults else 0)


# --- nation -----------------------------------------------------------------------------------------------------------


@directory_app.command("nation")
def nation(
    folder: Annotated[Path, typer.Argument(help="Where to write facilities.csv; made when it is not there.", file_okay=False)],
    seed: Annotated[int, typer.Option(help="Another number, another nation.")] = 1,
) -> None:
    """Write an invented nation of 12,485 facilities, to try the directory and its load with. Nobody in it exists.

    Example: hie directory nation nation/ && HIE_DIRECTORY_DIR=nation hie up
    """
    from adapters.dialects.profile import dialect_names, use_vendors
    from hub.nation import write_nation

    use_vendors(read_settings().vendors_dir)
    path = write_nation(folder, seed, dialect_names())
    out.print(f"{path} written; look at it: hie directory check {folder}")
