"""`hie ledger close`: a month is settled; `readjudicate`, `branches`, `compare`, `promote`, `drop`: what other rules would have said of it."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from hub.cli.ledger import Payer, default_payer, folder_of, folder_to_sum, ledger_app, month_of, out, print_whole
from hub.cli.running import audit_before, connected
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.settings import read_settings

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Name = Annotated[str, typer.Argument(help="Of the branch: small letters, digits, hyphens.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit topic.")]


@ledger_app.command("close")
def close_month(
    month: Annotated[str, typer.Argument(help="The month, YYYY-MM; it must be over.")],
    payer: Payer = "",
    as_json: AsJson = False,
) -> None:
    """Look at a month's claims side by side (rules H01 to H09); what changes is kept as adjustments, never as an edit.

    Again after late corrections: only what is new is added, and what no longer holds is taken back.

    Example: hie ledger close 2026-11
    """
    from hub.insurer.history import close, month_after, summary

    first = month_of(month)
    if _open(first):
        raise HubError("MONTH_OPEN", month)
    folder = folder_to_sum(read_settings(), payer)
    rows = close(folder, first, now())
    found, again = summary(rows), _to_close_again(folder, month, month_after(first))
    if as_json:
        print(to_json({"month": month, "rules": found, "close_again": again}).decode())
        return
    table = Table("rule", "rows", "taken back", "VND", box=None)
    for rule in found:
        table.add_row(rule["rule"], str(rule["rows"]), str(rule["taken_back"]), f"{rule['reduction']:,.2f}")
    out.print(table if found else f"{month}: nothing new")
    if again:
        out.print(f"These months were closed on what {month} said before; close them again, in this order: {', '.join(again)}")


def _to_close_again(folder: Path, month: str, first: date) -> list[str]:
    """Closed months from `first` on that did not see what the ledger says of a month now: also what a command that was killed could not tell."""
    from hub.insurer.history import TABLE, adjustments, closed_months
    from hub.insurer.ledger import files_of
    from hub.insurer.settlement import closed_before

    closed = closed_months(folder, first, now().astimezone(VIETNAM).date())
    return closed_before(folder, adjustments(files_of(folder, TABLE)), month, closed)


def _open(month: date) -> bool:
    from hub.insurer.history import month_after

    return month_after(month) > now().astimezone(VIETNAM).date()


@ledger_app.command("readjudicate")
def readjudicate(
    month: Annotated[str, typer.Argument(help="The month, YYYY-MM.")],
    name: Annotated[str, typer.Option(help="Of the branch: small letters, digits, hyphens.")],
    without: Annotated[list[str] | None, typer.Option(help="A rule to leave out, such as X07; may be given again.")] = None,
    severity: Annotated[
        list[str] | None, typer.Option(help="Another severity of a rule, such as F01=W; may be given again.")
    ] = None,
    payer: Payer = "",
    as_json: AsJson = False,
) -> None:
    """Adjudicate a month again from the stream, with this release's rules and what you change of them, beside the ledger.

    The catalogues are those of HIE_CATALOGUE_DIR, none without it. A branch does not build on those promoted before it: give their options again
    to keep what they changed. Nothing of the ledger changes. Then: hie ledger compare NAME, and promote or drop.

    Example: hie ledger readjudicate 2026-11 --name without-f01 --without F01
    """
    from hub.bus import Wire
    from hub.insurer import branches
    from hub.insurer.catalogues import read_catalogues
    from hub.insurer.rereading import reread

    settings, whose = connected(read_settings()), payer or default_payer()
    other = dict(_pair(one) for one in severity or ())
    rules = branches.changed(without or (), other)
    month_of(month)
    against = read_catalogues(settings.catalogue_dir) if settings.catalogue_dir else None
    changes_vi, changes = branches.words(without or (), other, against or ())
    branch = branches.Branch(name, month, changes, 0, datetime.now(UTC).isoformat(), changes_vi=changes_vi)
    read = partial(reread, settings, f"payer.{whose}.claim.v1", batch=settings.insurer_batch)
    ledger, writers = folder_to_sum(settings, whose), Wire(settings.registry_url).writer
    made = branches.readjudicate(ledger, branch, read, writers, whose, rules, against)
    if as_json:
        print(to_json(asdict(made)).decode())
    else:
        out.print(f"{made.claims} claims of {month} adjudicated again: {made.changes}. Now: hie ledger compare {name}")


def _pair(text: str) -> tuple[str, str]:
    rule, equals, severity = text.partition("=")
    if not equals:
        raise HubError("REQUEST_WRONG", f"{text}: a rule and its severity, such as F01=W")
    return rule, severity


@ledger_app.command("branches")
def list_branches(payer: Payer = "", as_json: AsJson = False) -> None:
    """The what-ifs that there are.

    Example: hie ledger branches
    """
    from hub.insurer.branches import branches

    found = branches(folder_of(read_settings(), payer))
    if as_json:
        print(to_json([asdict(one) for one in found]).decode())
        return
    table = Table("name", "month", "claims", "changes", "promoted", box=None)
    for one in found:
        table.add_row(one.name, one.period, str(one.claims), one.changes, one.promoted or "no")
    out.print(table if found else "no branches")


@ledger_app.command("compare")
def compare(name: Name, payer: Payer = "", as_json: AsJson = False) -> None:
    """What promoting a branch would change of what is in force: claims and VND, by facility and by rule.

    What is to be paid is after earlier promotions and all adjustments, as the statements say it. cut: what a rule took of claims that are paid; refused: what rejected claims claimed of which it is the first reason.

    Example: hie ledger compare without-f01
    """
    from hub.insurer.branches import compare as compared

    found = compared(folder_to_sum(read_settings(), payer), name)
    if as_json:
        print(to_json(found).decode())
        return
    out.print(
        f"{found['changed']} of {found['claims']} claims change{_verdict_alone(found)}: "
        f"to be paid {found['before']:,.2f} → {found['after']:,.2f} VND{_replaced(found)}"
    )
    _say_undone(found)
    if found["rules"]:
        print_whole(_rules(found["rules"]))
    if found["facilities"]:
        table = Table("facility", "claims", "before", "after", "difference", box=None)
        for one in found["facilities"]:
            amounts = (one["before"], one["after"], one["after"] - one["before"])
            table.add_row(one["facility"], str(one["changed"]), *(f"{amount:,.2f}" for amount in amounts))
        out.print(table)


def _rules(rules: list[dict[str, Any]]) -> Table:
    table = Table("rule", "severity", "findings", "→", "cut (VND)", "→", "refused (VND)", "→", box=None)
    for one in rules:
        before, after = (one[f"severity_{side}"] or "none" for side in ("before", "after"))
        counts = (str(one["findings_before"]), str(one["findings_after"]))
        money = (f"{one[f'{kind}_{side}']:,.2f}" for kind in ("cut", "refused") for side in ("before", "after"))
        table.add_row(one["rule"], before if before == after else f"{before} → {after}", *counts, *money)
    return table


def _verdict_alone(found: dict[str, Any]) -> str:
    """Says why fewer claims get an adjustment than change."""
    return f" ({found['same_amount']} of them in the verdict alone, without money)" if found["same_amount"] else ""


def _say_undone(found: dict[str, Any]) -> None:
    """Names the promotions whose claims are changed once more: who did not give their options again may not want that."""
    for one in found["undoes"]:
        whose = f"{one['name']} ({one['changes']})" if one["name"] else "an earlier promotion"
        money = f"{one['before']:,.2f} → {one['after']:,.2f} VND"
        out.print(f"Changes again what {whose} had changed of {one['claims']} claims: {money}", markup=False)
    if found["undoes"]:
        out.print("A branch does not build on those promoted before it; to keep what they changed, give it their options too.")


def _replaced(found: dict[str, Any]) -> str:
    return f"; {found['replaced']} corrected or withdrawn since are left alone" if found["replaced"] else ""


@ledger_app.command("promote")
def promote(name: Name, reason: Reason, payer: Payer = "") -> None:
    """Make a branch count: an adjustment (R01) of the difference to what is in force for every claim whose amount it changes.

    First decisions stay as they were said; statements and explanations follow the branch's. A second call finds it done. Of a month that is not over
    it counts for the claims that the branch has; those that come later are decided by the rules as they are.

    Example: hie ledger promote without-f01 --reason "circular 12, article 4"
    """
    from hub.insurer.branches import compare as compared
    from hub.insurer.branches import promote as promoted

    settings = connected(read_settings())
    folder = folder_to_sum(settings, payer)
    audit_before(settings, "ledger-promote", f"{folder.name}/{name}", reason)
    found = compared(folder, name)
    rows, month = promoted(folder, name, now()), found["branch"]["period"]
    taken = rows.get_column("reduction").sum() or 0
    more = f"{abs(taken):,.2f} VND {'less' if taken > 0 else 'more'} to be paid"
    out.print(f"{rows.height} adjustments, {more}; {found['changed']} claims change{_verdict_alone(found)}{_replaced(found)}")
    _say_undone(found)
    if again := _to_close_again(folder, month, month_of(month)):
        out.print(f"Rules across claims looked at what was in force before; close again, in this order: {', '.join(again)}")
    if _open(month_of(month)):
        out.print(
            f"{month} is not over: what comes after this is decided by the rules as they are, until another branch is promoted"
        )


@ledger_app.command("drop")
def drop(name: Name, reason: Reason, payer: Payer = "") -> None:
    """Remove a branch. What was promoted of it stays.

    Example: hie ledger drop without-f01 --reason "only asked"
    """
    from hub.insurer.branches import drop as dropped

    settings = connected(read_settings())
    folder = folder_of(settings, payer)
    audit_before(settings, "ledger-drop", f"{folder.name}/{name}", reason)
    dropped(folder, name)
    out.print(f"{name} is gone")
