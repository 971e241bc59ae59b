"""Parked keys: `hie parked list`, `release`, `edit`, `discard`. What waits for a fact or a fix."""

import getpass
from typing import Annotated

import typer

from hub.cli.running import connected, keyring, older, paragraph, terminal
from hub.cli.why import show_foreseen
from hub.contract.errors import ERRORS
from hub.contract.events import VIETNAM, to_json
from hub.contract.settings import read_settings

out = terminal()
parked_app = typer.Typer(help="Keys that wait for a fact or a fix.", no_args_is_help=True)

Topic = Annotated[str, typer.Argument(help="Topic of the parked key, as `hie parked list` shows it.")]
Key = Annotated[str, typer.Argument(help="The key, from the same list.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@parked_app.command("list")
def parked_list(as_json: AsJson = False) -> None:
    """What waits, and why.

    Example: hie parked list
    """
    from hub.routing import parking
    from hub.store.database import connect

    settings = connected(read_settings())
    with connect(settings.database_url.get_secret_value()) as database:
        rows = parking.waiting(database)
    if as_json:
        print(to_json(rows).decode())
        return
    out.print(f"{len(rows)} {'key' if len(rows) == 1 else 'keys'} parked")
    for row in rows:  # no table: topic and key must be whole, to be copied
        since = row["since"].astimezone(VIETNAM)
        why = ERRORS[row["code"]].en if row["code"] in ERRORS else ""
        out.print(f"\n{row['topic']} {row['key']}\n    {row['code']}")
        paragraph(out, why, 6, "dim")
        out.print(f"    {row['waiting']} waiting since {since:%d/%m/%Y %H:%M} · hie trace {row['event_id']}")
    if rows:
        out.print(
            "\nIts cause is gone: hie parked release TOPIC KEY --reason …\nA field is wrong:  hie parked edit TOPIC KEY --set FIELD=VALUE --reason …\nIt never will be:  hie parked discard TOPIC KEY --reason …"
        )


@parked_app.command("release")
def parked_release(topic: Topic, key: Key, reason: Reason) -> None:
    """Send what waits on again, in order.

    Example: hie parked release referral.v1 01021:3f… --reason "facility added"
    """
    _mend("release", topic, key, reason)


@parked_app.command("edit")
def parked_edit(
    topic: Topic,
    key: Key,
    changes: Annotated[list[str], typer.Option("--set", help="FIELD=VALUE; FIELD= empties it; repeat for more.")],
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would change.")] = False,
) -> None:
    """Mend the oldest waiting event: a new event takes its place, the old one is kept. It waits on until it is released.

    Signed documents and payers' decisions are not edited. No value is shown or audited, only names of fields.

    Example: hie parked edit referral.v1 01021:3f… --set ma_cskcb_den=01004 --reason "wrong code, asked by phone"
    """
    from hub.bus import Wire
    from hub.console import actions
    from hub.store.database import connect

    if not all("=" in one for one in changes):
        raise typer.BadParameter("FIELD=VALUE; FIELD= empties it", param_hint="--set")
    wanted = dict(one.partition("=")[::2] for one in changes)
    settings = connected(read_settings())
    keys = keyring(settings)
    with connect(settings.database_url.get_secret_value()) as database:
        mended = actions.mended(database, Wire(settings.registry_url), keys, topic, key, wanted)
    out.print(f"would change: {', '.join(wanted)}" if not yes else f"changes: {', '.join(wanted)}", markup=False)
    for others in mended.elsewhere.values():
        out.print(f"    the same stands in {', '.join(others)}, which stays as it is", markup=False)
    out.print("once released:")
    for foreseen in mended.follows:
        show_foreseen(foreseen)
    if not yes:
        out.print("nothing was changed; --yes does it")
        return
    with actions.hand(settings, older(settings).value, by=getpass.getuser(), reason=reason) as hand:
        actions.edit(hand, keys, topic, mended.edited, wanted)
    out.print(f"event {mended.edited['meta']['event_id']} waits in its place; hie parked release {topic} {key} --reason …")


@parked_app.command("discard")
def parked_discard(topic: Topic, key: Key, reason: Reason) -> None:
    """Give it up; its bytes go to the dead-letter topic.

    Example: hie parked discard referral.v1 01021:3f… --reason "sent in error"
    """
    _mend("discard", topic, key, reason)


def _mend(action: str, topic: str, key: str, reason: str) -> None:
    from hub.console import actions

    settings = connected(read_settings())
    with actions.hand(settings, older(settings).value, by=getpass.getuser(), reason=reason) as hand:
        count = actions.release(hand, topic, key) if action == "release" else actions.give_up(hand, keyring(settings), topic, key)
    again = (
        "; what still has its cause parks again, see `hie parked list`" if action == "release" else "; what waited behind goes on"
    )
    out.print(f"{count} {'event' if count == 1 else 'events'} {action}{'d' if action.endswith('e') else 'ed'}{again}")
