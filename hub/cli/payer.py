"""`hie payer`: who pays, and the login with which a payer reads its claims, slips and decisions, and writes these where it decides itself."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.table import Table

from hub.cli.running import audit_before, connected, terminal
from hub.contract.directory import payers
from hub.contract.kafka import read_address
from hub.contract.settings import read_settings

payer_app = typer.Typer(help="Payers and their logins at Kafka.", no_args_is_help=True)
out, err = terminal(), terminal(stderr=True)

Code = Annotated[str, typer.Argument(help="Code of the payer, as the files of seeds/payers are named.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]


@payer_app.command("list")
def list_payers() -> None:
    """Every payer, what it may read, and whether it has a login; and each login of a payer that is not in the seeds.

    Example: hie payer list
    """
    from hub.access.rights import logins, user_of

    known = logins(connected(read_settings()).kafka)
    table = Table("code", "name", "login", "claims of", "slips", box=None)
    for code, payer in sorted(payers().items()):
        table.add_row(
            code,
            payer.name,
            user_of(code) if code in known else "none",
            f"payer.{code}.claim.v1",
            "yes" if payer.referrals else "no",
        )
    for code in sorted(known - set(payers())):
        table.add_row(code, "not in seeds", user_of(code), "none")
    out.print(table)


@payer_app.command("credential")
def credential(code: Code, reason: Reason) -> None:
    """Make a payer's login, or a new password for it. The password is shown once and kept nowhere.

    Example: hie payer credential vss --reason "first connection"
    """
    from hub.access.rights import give_login, user_of

    settings = connected(read_settings())
    audit_before(settings, "payer-credential", code, reason)
    password = give_login(settings.kafka, code)
    login = replace(read_address(settings.kafka), user=user_of(code), password=password, mechanism="SCRAM-SHA-512")
    err.print("shown once; the payer's Kafka client wants these lines (client.properties):")
    print("\n".join(f"{name}={value}" for name, value in (login.client() | {"group.id": user_of(code)}).items()))


@payer_app.command("revoke")
def revoke(code: Code, reason: Reason) -> None:
    """Take a payer's login away. Its place in the claims stays; a new login goes on from there.

    So too of a payer that is not in the seeds any more.

    Example: hie payer revoke vss --reason "password was seen"
    """
    from hub.access.rights import take_login

    settings = connected(read_settings())
    audit_before(settings, "payer-revoke", code, reason)
    out.print(f"{code} can no longer log in" if take_login(settings.kafka, code) else f"{code} had no login")
