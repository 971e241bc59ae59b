"""The watch: `hie watch`, `hie watch feed`. Which feeds are silent or unlike themselves, by cause, and what is usual for one."""

from typing import Annotated, Any, Final

import typer

from hub.cli.running import connected, paragraph, terminal
from hub.contract.directory import facilities
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.settings import read_settings
from hub.journal.incidents import CAUSES, KINDS

_BARS: Final = " ▁▂▃▄▅▆▇█"
_DAYS: Final = ("Mon T2", "Tue T3", "Wed T4", "Thu T5", "Fri T6", "Sat T7", "Sun CN")
_MEMBERS_SHOWN: Final = 8

out = terminal()
watch_app = typer.Typer(invoke_without_command=True)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(watch_app, name="watch", rich_help_panel="An operator")


@watch_app.callback()
def watch(
    context: typer.Context,
    all_of_them: Annotated[bool, typer.Option("--all", help="Those that ended too, the newest 200.")] = False,
    as_json: AsJson = False,
) -> None:
    """Silent feeds and anomalies, one incident for one cause. Exit code 1 if any is open.

    Example: hie watch --all
    """
    if context.invoked_subcommand is not None:
        return
    from hub.journal.watch import incidents
    from hub.store.database import connect

    settings = connected(read_settings())
    with connect(settings.database_url.get_secret_value()) as database:
        rows = incidents(database, all_of_them=all_of_them)
    if as_json:
        print(to_json([row | {"id": str(row["id"]), "part_of": str(row["part_of"] or "")} for row in rows]).decode())
    else:
        count = sum(row["ended"] is None for row in rows)
        out.print(f"{count} {'incident' if count == 1 else 'incidents'} open · {count} sự cố đang mở")
        for row in rows:
            out.print()
            for line in sentences(row):
                paragraph(out, line, 4)
    if any(row["ended"] is None for row in rows):
        raise typer.Exit(1)


def sentences(row: dict[str, Any]) -> list[str]:
    """What an incident is, in English and Vietnamese, then its times and members."""
    (en, vi), (cause_en, cause_vi) = KINDS[row["kind"]], CAUSES[row["cause_kind"]]
    figures = row["figures"]
    lines = [f"{en} {cause_en} {row['cause']}".strip() + f" · {vi} {cause_vi} {row['cause']}".rstrip()]
    began, noticed = (row[name].astimezone(VIETNAM) for name in ("began", "noticed"))
    ended = f"{row['ended'].astimezone(VIETNAM):%d/%m/%Y %H:%M}" if row["ended"] else "still open · chưa kết thúc"
    lines.append(f"began · từ {began:%d/%m/%Y %H:%M}, noticed · phát hiện {noticed:%d/%m/%Y %H:%M}, ended · kết thúc: {ended}")
    if row["kind"] in ("refusals", "codes", "latency"):
        lines.append(f"{figures['what']}: usual · thường lệ {figures['usual']:.2%}, seen · hiện {figures['seen']:.2%}")
    elif row["kind"] == "volume":
        lines.append(f"usual · thường lệ {figures['usual']:.0f}, seen · hiện {figures['seen']:.0f} in 24 h · trong 24 giờ")
    if row["missing"] >= 1:
        lines.append(f"about {row['missing']:.0f} messages missing · thiếu khoảng {row['missing']:.0f} bản tin")
    members = row["members"]
    if row["cause_kind"] != "feed":
        more = f" … +{len(members) - _MEMBERS_SHOWN}" if len(members) > _MEMBERS_SHOWN else ""
        lines.append(f"{len(members)} feeds · luồng gửi: {', '.join(members[:_MEMBERS_SHOWN])}{more}")
    return lines


@watch_app.command("feed")
def watch_feed(
    sender: Annotated[str, typer.Argument(help="Name of the credential.")],
    facility: Annotated[str, typer.Argument(help="Code of the facility; needed where the sender sends for several.")] = "",
    as_json: AsJson = False,
) -> None:
    """When a feed was last heard, its usual week hour by hour, and how sure it is that it is silent.

    Example: hie watch feed minhkhai 01731
    """
    from hub.journal.incidents import Feed
    from hub.journal.rhythm import LEARN_H
    from hub.journal.traffic import feeds, hour_of
    from hub.journal.watch import feed_now
    from hub.store.database import connect

    settings = connected(read_settings())
    at = now()
    with connect(settings.database_url.get_secret_value()) as database:
        known = [one for one in feeds(database, hour_of(at) - LEARN_H) if one.sender == sender and facility in ("", one.facility)]
        if len(known) != 1:
            told = ", ".join(sorted(one.facility for one in known)) or "nothing heard in eight weeks"
            raise HubError("NOT_FOUND", f"{sender} {facility}: {told}")
        facts = feed_now(database, Feed(*known[0]), at)
    if as_json:
        print(to_json(facts).decode())
        return
    named = facilities().get(known[0].facility)
    out.print(f"{sender} · {known[0].facility}" + (f" {named.name}" if named else ""), markup=False)
    out.print(f"    last heard in the hour of · giờ nhận cuối: {facts['last_heard_hour'].astimezone(VIETNAM):%d/%m/%Y %H:%M}")
    if "week" not in facts:
        out.print("    too little is known of it to expect anything · chưa đủ dữ liệu")
        return
    for line in chart(facts["week"]):
        out.print(f"    {line}", markup=False)
    out.print(
        f"    {facts['weekly']:.0f} messages a week; expected this hour {facts['expected_this_hour']:.1f}, since last heard {facts['expected_since']:.1f}"
        f" · bản tin mỗi tuần; giờ này {facts['expected_this_hour']:.1f}, từ lần nhận cuối {facts['expected_since']:.1f}"
    )
    state = ("silent", "im lặng bất thường") if facts["silent"] else ("nothing unusual", "không có gì bất thường")
    out.print(f"    {state[0]} · {state[1]}")


def chart(week: tuple[float, ...]) -> list[str]:
    """A line a day, a bar an hour, scaled to the busiest hour."""
    most = max(week)
    rows = ["       " + "".join(f"{hour:<6d}" for hour in range(0, 24, 6))]
    for day, name in enumerate(_DAYS):
        bars = "".join(_BARS[round(one / most * 8)] for one in week[day * 24 : day * 24 + 24])
        rows.append(f"{name} {bars} {sum(week[day * 24 : day * 24 + 24]):.0f}")
    return rows
