"""The reports of `hie vendor` on a terminal of 80 columns."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from adapters.dialects.conformance import Finding, Report
from adapters.dialects.grades import GRADES
from adapters.inbound.goldens import Change, each
from hub.cli.running import paragraph

_COLOURS = {"A": "green", "B": "green", "C": "yellow", "D": "red", "E": "red"}
_SHOWN = 12  # findings and fields; --html and --json have all


def show_report(out: Console, found: Report, html: Path | None, differing: Sequence[str] = ()) -> None:
    """The conformance report, what to do first. differing: cases whose golden says otherwise."""
    colour = _COLOURS[found.grade]
    out.print(f"[bold white on {colour}] {found.grade} [/]  [bold]{found.dialect}[/] [dim]{found.version}[/]")
    en, vi = GRADES[found.grade]
    paragraph(out, f"{en[0].upper()}{en[1:]}.", 5)
    paragraph(out, f"{vi[0].upper()}{vi[1:]}.", 5, "dim")
    if differing:
        more = f", … {len(differing)} in all" if len(differing) > _SHOWN else ""
        sentence = (
            f"Not as accepted: {', '.join(differing[:_SHOWN])}{more}. `hie vendor accept {found.dialect}` shows what differs."
        )
        paragraph(out, sentence, 5, "bold red")
    for sentence, _vi in found.remarks:
        paragraph(out, f"{sentence}.", 5, "yellow")
    read, sent = found.understood
    verdicts = " · ".join(f"{verdict} {count}" for verdict, count in found.verdicts.items())
    share = f"; {100 * read // sent} % of {sent} values are read" if sent else ""
    out.print(f"\n{found.samples} samples: {verdicts}{share}")
    for label, counts in (("types", found.types), ("versions", found.versions), ("charsets", found.charsets)):
        paragraph(out, f"{label}: {_counts(counts)}", 2, "dim")
    paragraph(out, f"MSH-3 · MSH-4: {_counts(found.senders)}", 2, "dim")
    told = [one for one in found.findings if one.severity != "I"]
    _findings(out, "Wrong / Sai", [one for one in told if not one.missing])
    _findings(out, "Missing / Thiếu", [one for one in told if one.missing])
    _listed(out, "Accepted in goldens / Đã chấp nhận trong mẫu chuẩn", found.accepted)
    _listed(out, "Noted only / Chỉ ghi nhận", [one for one in found.findings if one.severity == "I"])
    _ignored(out, found)
    _events(out, found)
    _refused(out, found)
    if html is not None:
        out.print(f"\nThe whole report: {html}")
    else:
        out.print("\n[dim]Every field with what its values look like: --html report.html, or --json[/]")


def _counts(counts: dict[str, int]) -> str:
    shown = [f"{name} × {count}" for name, count in list(counts.items())[:_SHOWN]]
    return ", ".join(shown) + (f", … {len(counts)} in all" if len(counts) > _SHOWN else "")


def _findings(out: Console, title: str, findings: Sequence[Finding]) -> None:
    out.print(f"\n[bold]{title}[/]" + ("" if findings else "  nothing / không có"))
    first_of = {one.code: one for one in reversed(findings)}
    kept = sorted(findings, key=lambda one: one is not first_of[one.code])[
        : max(_SHOWN, len(first_of))
    ]  # of each code the gravest
    said: set[tuple[str, str]] = set()
    for one in (one for one in findings if one in kept):
        colour = "red" if one.severity == "E" else "yellow"
        looks = f", looks like {one.shape}" if one.shape else ""
        out.print(f"  [{colour}]{one.severity} {one.code}[/] [bold]{one.place or 'message'}[/]  × {one.count}")
        again = (one.en, one.do_en) in said
        paragraph(out, f"first in {one.first}{looks}{'; what it is and what to do: above' if again else ''}", 4, "dim")
        if again:
            continue
        said.add((one.en, one.do_en))
        paragraph(out, one.en, 4)
        if one.do_en:
            paragraph(out, f"→ {one.do_en}", 4)
        paragraph(out, f"{one.vi} → {one.do_vi}" if one.do_vi else one.vi, 4, "dim")
    if rest := [one for one in findings if one not in kept]:
        paragraph(out, f"… and at other places: {_in_short(rest)}", 2, "dim")


def _listed(out: Console, title: str, findings: Sequence[Finding]) -> None:
    if findings:
        out.print(f"\n[bold]{title}[/]")
        paragraph(out, _in_short(findings), 2)


def _in_short(findings: Sequence[Finding]) -> str:
    return ", ".join(f"{one.code} {one.place} × {one.count}" for one in findings)


def _ignored(out: Console, found: Report) -> None:
    rows = found.ignored
    out.print(
        "\n[bold]Ignored: sent, and read by nothing / Gửi nhưng không được đọc[/]" + ("" if rows else "  nothing / không có")
    )
    for row in rows[:_SHOWN]:
        looks = row.shapes[0][0] if row.shapes else ""
        paragraph(out, f"{row.where:8} × {row.unread:<4} {row.name[:28]:28} {looks}", 2)
    if len(rows) > _SHOWN:
        paragraph(out, "… " + ", ".join(row.where for row in rows[_SHOWN:]), 2, "dim")


def _events(out: Console, found: Report) -> None:
    common = found.never_anywhere
    for row in found.events:
        out.print(f"\n[bold]{row.record}[/] × {row.count}: {len(row.filled)} fields filled")
        partly = {name: (row.filled[name], of, places) for name, (of, places) in row.partly.items() if places}
        if partly:
            out.print("  not always filled / có khi trống:")
            shown = (f"{name} {filled} of {of} ({', '.join(places)})" for name, (filled, of, places) in partly.items())
            paragraph(out, "; ".join(shown), 4)
        out.print("  never filled / luôn trống:")
        _never(out, {name: places for name, places in row.never.items() if name not in common})
    if common:
        out.print("\n[bold]In none of these events[/] / Trong mọi sự kiện trên đều trống:")
        _never(out, common)


def _never(out: Console, never: dict[str, tuple[str, ...]]) -> None:
    ruled = [f"{name} ({', '.join(places)})" for name, places in never.items() if places]
    others = [name for name, places in never.items() if not places]
    if ruled:
        paragraph(out, "; ".join(ruled), 2)
    if others:
        paragraph(out, f"without a rule: {_some(others)}", 2, "dim")
    if not never:
        paragraph(out, "–", 2)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:40]) + (f", … {len(names)} in all" if len(names) > 40 else "")


def _refused(out: Console, found: Report) -> None:
    if found.refused:
        out.print("\n[bold]Not translated / Không dịch được[/]")
    for name, kind, codes, expected in found.refused[: 2 * _SHOWN]:
        mark = "[dim]as expected[/]" if expected else "[red]unexpected[/]"
        out.print(f"  {mark}  {name}  {kind}  {', '.join(codes)}")
    if len(found.refused) > 2 * _SHOWN:
        out.print(f"  … and {len(found.refused) - 2 * _SHOWN} more", style="dim")
    if found.unexpected:
        paragraph(out, "A sample that is right to be refused: `hie vendor accept` writes that down as expected.", 2, "dim")


def show_doubts(out: Console, name: str, doubts: Sequence[str], otherwise: dict[str, int], samples: int) -> None:
    """What can hardly be meant in the profile, and who else would read the samples on a hub."""
    if doubts:
        out.print("\n[bold]Doubtful in the profile / Đáng ngờ trong hồ sơ[/]")
        for one in doubts:
            paragraph(out, one, 2)
    if otherwise:
        by = ", ".join(f"{other}.toml × {count}" for other, count in otherwise.items())
        told = (
            f"Not live yet: a hub would read {sum(otherwise.values())} of these {samples} by {by}. Name {name} in the column "
            "dialect of their facility's row in the directory (facilities.csv), or MSH-3 and MSH-4 in [facility] aliases of the profile."
        )
        out.print()
        paragraph(out, told, 0, "yellow")


# --- accept -----------------------------------------------------------------------------------------------------------


def show_changes(out: Console, name: str, found: Sequence[Change], total: int) -> None:
    """What would be expected from now on, and of it what was expected otherwise."""
    for one in found:
        if one.is_new:
            _new(out, one)
        elif one.lost:
            out.print(f"[yellow]changed[/]  {one.path.stem}")
        else:
            out.print(f"[green]more[/]     {one.path.stem}")
        if not one.is_new:
            _differences(out, one)
        strangers = one.dialects - {name}
        if strangers:
            paragraph(
                out, f"read by {', '.join(sorted(strangers))}.toml: name its facility in [facility] or the directory", 9, "yellow"
            )
    unsaid = [one.path.stem for one in found if not one.new["about"]]
    if unsaid:
        paragraph(out, f"Say in one sentence what each shows, `about` in the .json of: {', '.join(unsaid)}", 0)
    same = total - len(found)
    counts = [
        sum(one.is_new for one in found),
        sum(not one.is_new and not one.lost for one in found),
        sum(bool(one.lost) for one in found),
    ]
    out.print(f"{total} cases: {counts[0]} new, {counts[1]} with more, {counts[2]} changed, {same} as expected")


def _new(out: Console, one: Change) -> None:
    messages = each(one.new)
    for number, new in enumerate(messages[:_SHOWN], 1):
        events = ", ".join(event["record"].removeprefix("hie.") for event in new["events"]) or "no event"
        codes = Counter(code for code, *_ in new["errors"])
        errors = "; " + _some([f"{code} × {count}" if count > 1 else code for code, count in codes.items()]) if codes else ""
        called = one.path.stem if len(messages) == 1 else f"{one.path.stem}#{number}"
        out.print(f"[green]new[/]      {called}: {new['ack'] or 'no answer'}, {events}{errors}")
    if len(messages) > _SHOWN:
        out.print(f"         … {len(messages)} messages in all")


def _differences(out: Console, one: Change) -> None:
    came = [place for place in one.differs if place not in one.lost]
    for mark, places in (("~", one.lost), ("+", came)):
        for place in places[:_SHOWN]:
            paragraph(out, f"{mark} {place}", 9)
        if len(places) > _SHOWN:
            paragraph(out, f"{mark} … {len(places)} in all", 9, "dim")


# --- new --------------------------------------------------------------------------------------------------------------


def show_begun(out: Console, name: str, profile: Path, samples: Path, *, learned: bool) -> None:
    """What was written, and the way from here."""
    out.print(f"[green]written[/]  {profile}\n[green]made[/]     {samples}{os.sep}\n\nNext:")
    steps = (
        (
            "Read the file: each row has its evidence; complete or delete those with #."
            if learned
            else "Say in the file what differs."
        ),
        f"Name the facility: an alias under [facility] (MSH-3, MSH-4, its code), or its row in the directory, with {name} as its dialect.",
        f"Put samples into the folder, without real patients: one .hl7 or .xml a habit, some that must be refused.\n"
        f"hie vendor check {name} --html report.html",
        f"hie vendor accept {name}\nwrites a .json beside each sample; say in its `about` what it shows.",
    )
    for number, step in enumerate(steps, 1):
        first, *more = step.split("\n")
        paragraph(out, first, 3, lead=f"{number}.")
        for line in more:
            paragraph(out, line, 3)
