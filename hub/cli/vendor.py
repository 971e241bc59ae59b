"""What the maker of a vendor's system does: begin a dialect, check samples, accept what comes of them, learn from messages."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapters.dialects.conformance import Report, report
from adapters.dialects.doubts import doubts
from adapters.dialects.evidence import Evidence, gather
from adapters.dialects.profile import STANDARD, Dialect, compile_text, dialect_names, load_dialect, resolve_message
from adapters.dialects.sampled import Sample
from hub.cli.running import OFFLINE, dialect_of, terminal, use_profiles
from hub.cli.vendor_report import show_begun, show_changes, show_doubts, show_report
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.places import compiled, in_checkout, shipped
from hub.contract.settings import Settings, read_settings

vendor_app = typer.Typer(
    help="A dialect of your own: begin it, check samples, prove it, learn from messages.", no_args_is_help=True
)

_NO_SAMPLES: Final = frozenset({".json", ".toml", ".md", ".html", ".csv", ".py", ".gz", ".zip"})
_ROOT: Final = Path(__file__).resolve().parents[2]

out = terminal()

Name = Annotated[str, typer.Argument(help="Name of the dialect, such as minhtam_his: small letters, digits and _.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


# --- where things are -------------------------------------------------------------------------------------------------


def _profile_of(settings: Settings, name: str) -> Path:
    """Where the file of a vendor is, or would be: the user's own folder, else the checkout. Raises: HubError(SETTING_WRONG)."""
    if settings.vendors_dir is not None:
        return settings.vendors_dir / f"{name}.toml"
    if not in_checkout():
        raise HubError("SETTING_WRONG", "this hub is installed, not a checkout: set HIE_VENDORS_DIR to a folder of your own")
    return _ROOT / "adapters" / "dialects" / "vendors" / f"{name}.toml"


def _samples_of(settings: Settings, name: str) -> Path:
    """The folder of a vendor's samples: beside its file in a folder of the user's, else `seeds/messages/<name>`."""
    if settings.vendors_dir is not None and (settings.vendors_dir / f"{name}.toml").is_file():
        return settings.vendors_dir / name
    return shipped("seeds") / "messages" / name


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """(name to show, file) of everything that may hold messages."""
    for path in paths:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            if file.is_file() and not file.name.startswith(".") and (file == path or file.suffix.lower() not in _NO_SAMPLES):
                yield str(file.relative_to(path)) if file != path else file.name, file


# --- new --------------------------------------------------------------------------------------------------------------


@vendor_app.command("new")
def new(
    name: Name,
    extends: Annotated[str, typer.Option(help="The dialect that it differs from.")] = STANDARD,
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder or file of messages: begin with what they teach.", exists=True)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Begin a dialect: its file, with comments to take away, and a folder for its samples.

    In a checkout the file stands among the hub's own; with HIE_VENDORS_DIR in that folder, samples beside it.

    Example: hie vendor new minhtam_his --from samples/
    """
    from adapters.dialects.learn import learn as propose
    from adapters.dialects.skeleton import skeleton

    settings = read_settings()
    use_profiles(settings, extends)
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,40}", name):
        raise HubError("REQUEST_WRONG", "NAME: small letters, digits and _, such as minhtam_his")
    if name in dialect_names():
        raise HubError("REQUEST_WRONG", f"there is a dialect {name} already: hie vendor check {name}")
    load_dialect(extends)
    if source is not None and extends != STANDARD:
        raise HubError("REQUEST_WRONG", f"--from compares with {STANDARD}; leave --extends out")
    text = propose(_evidence([source]), name) if source is not None else skeleton(name, extends)
    profile = _profile_of(settings, name)
    profile.write_text(text, "utf-8")
    samples = _samples_of(settings, name)
    samples.mkdir(parents=True, exist_ok=True)
    if as_json:
        print(to_json({"profile": str(profile), "samples": str(samples)}).decode())
    else:
        show_begun(out, name, profile, samples, learned=source is not None)


# --- learn ------------------------------------------------------------------------------------------------------------


def watchable() -> None:
    """Raises: HubError(REQUEST_WRONG) in a compiled hub, which reads fields past those who watch it."""
    if compiled():
        raise HubError("REQUEST_WRONG", "this hub is compiled: use one that is not for samples, as a plain install is")


def _evidence(paths: Sequence[Path]) -> Evidence:
    """Raises: HubError(REQUEST_WRONG)."""
    watchable()
    return gather(file.read_bytes() for _, file in _files(paths))


@vendor_app.command("learn")
def learn(
    paths: Annotated[list[Path], typer.Argument(metavar="FOLDER|FILES", help="Messages, a few hundred if you can.", exists=True)],
    name: Annotated[str, typer.Option(help="Name of the dialect in the proposal.")] = "learned",
    as_json: AsJson = False,
) -> None:
    """Propose a profile from messages, on standard output: what differs from _standard, each row with its evidence.

    It loads as it stands. No value of a patient is in it: only counts, shapes and codes.

    Example: hie vendor learn samples/ --name minhtam_his > minhtam_his.toml
    """
    from adapters.dialects.learn import learn as propose

    use_profiles(read_settings())
    seen = _evidence(paths)
    if not seen.messages:
        raise HubError("NOT_FOUND", "no message of HL7 v2 in these files")
    text = propose(seen, name)
    learned = compile_text(name, text)
    before, after = (report(gather_samples(paths, dialect), dialect).grade for dialect in (load_dialect(STANDARD), learned))
    if as_json:
        rows = {"name": name, "messages": len(seen.messages), "grade_standard": before, "grade_learned": after, "profile": text}
        print(to_json(rows).decode())
        return
    print(text, end="")
    told = terminal(stderr=True)
    told.print(f"{len(seen.messages)} messages; grade with {STANDARD}: {before}, with this proposal: {after}")


def gather_samples(paths: Sequence[Path], dialect: Dialect) -> list[Sample]:
    """`read_samples` of several files and folders."""
    return [sample for path in paths for sample in read_samples(path, dialect)]


# --- check ------------------------------------------------------------------------------------------------------------


def read_samples(folder: Path, dialect: Dialect) -> list[Sample]:
    """Every message of a folder, read by the dialect, whoever sends it."""
    from adapters.inbound.goldens import of_message, stated
    from adapters.inbound.translate import split

    samples = []
    for name, file in _files([folder]):
        golden = stated(file)
        parts = split(file.read_bytes()) or [b""]
        for number, raw in enumerate(parts, 1):
            called = name if len(parts) == 1 else f"{name}#{number}"
            samples.append(read_sample(called, raw, dialect, of_message(golden, number, len(parts))))
    return samples


def read_sample(name: str, raw: bytes, dialect: Dialect, golden: Mapping[str, Any]) -> Sample:
    """One message, read by the dialect, whoever sends it. golden: what is expected of it, {} for nothing."""
    from adapters.formats.charset import decode
    from adapters.formats.hl7v2 import parse
    from adapters.inbound.goldens import is_fault
    from adapters.inbound.received import Received
    from adapters.inbound.translate import tried

    done = tried(Received(raw, now(), "folder"), OFFLINE, dialect)
    note, message = done.message, None
    if note["format"] == "hl7":
        with suppress(HubError):
            message = parse(decode(raw, dialect.charset).text)
    return Sample(
        name,
        note.get("message_type", ""),
        message,
        note["facility"],
        note.get("charset", ""),
        done.verdict,
        done.problems,
        done.events,
        expected="ack" in golden and not golden.get("events") and not is_fault(golden),
        accepted=frozenset((code, severity, path) for code, severity, path in golden.get("errors", [])),
        unsaid=bool(golden) and not str(golden.get("about") or "").strip(),
    )


@vendor_app.command("check")
def check(
    dialect: Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="Name of a dialect, or a profile anywhere.")],
    folder: Annotated[Path | None, typer.Argument(help="Folder of samples, or one file; the dialect's own when omitted.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML page too.", dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Read a folder of samples by a dialect, offline, and report what is understood, missing, wrong and ignored.

    No value of a patient is shown: only what values look like. Ends with 1 if a sample is refused and no golden expects that, or if
    the dialect's own cases differ from what was accepted.

    Example: hie vendor check minhtam_his samples/ --html report.html
    """
    from adapters.inbound.goldens import changes

    watchable()
    settings = read_settings()
    use_profiles(settings, dialect)
    chosen = dialect_of(dialect)
    where = folder or _samples_of(settings, chosen.name)
    if not where.exists():
        raise HubError("NOT_FOUND", f"no folder or file of samples: {where}")
    samples = read_samples(where, chosen)
    if not samples:
        raise HubError("NOT_FOUND", f"no file of messages in {where}")
    differing = [] if folder or dialect.endswith(".toml") else [one.path.name for one in changes(where) if one.lost]
    found = report(samples, chosen, differing=bool(differing))
    otherwise, odd = _read_otherwise(samples, chosen), doubts(chosen, samples)
    if html is not None:
        _write_page(found, html)
    if as_json:
        print(to_json(asdict(found) | {"differing": differing, "otherwise": otherwise, "doubts": odd}).decode())
    else:
        show_report(out, found, html, differing)
        show_doubts(out, chosen.name, odd, otherwise, len(samples))
    raise typer.Exit(1 if found.unexpected or differing else 0)


def _read_otherwise(samples: Sequence[Sample], chosen: Dialect) -> dict[str, int]:
    """Whose profile a hub would read the samples by, where it is another than this one, and how many of them."""
    found: Counter[str] = Counter()
    for sample in samples:
        if sample.message is not None:
            with suppress(HubError):  # the profile that its facility names has a fault, which was told
                found[resolve_message(sample.message)[1].name] += 1
    del found[chosen.name]
    return dict(found.most_common())


def _write_page(found: Report, path: Path) -> None:
    from adapters.dialects.conformance_page import page

    try:
        path.write_text(page(found, f"{now().astimezone(VIETNAM):%d/%m/%Y %H:%M}"), "utf-8")
    except OSError as broken:
        raise HubError("SETTING_WRONG", f"--html {path}: {broken.strerror}") from None


# --- accept -----------------------------------------------------------------------------------------------------------


@vendor_app.command("accept")
def accept(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before expectations are changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write down what the hub makes of a dialect's samples as what is expected of it. `about` is kept.

    Additions are written at once. Where something that was expected changes or goes, it asks first.
    Without a terminal it needs --yes then, and ends with 1 if it is not given.

    Example: hie vendor accept minhtam_his
    """
    from adapters.inbound.goldens import cases, changes, is_fault, write

    settings = read_settings()
    use_profiles(settings, name)
    load_dialect(name)
    folder = _samples_of(settings, name)
    if not cases(folder):
        raise HubError("NOT_FOUND", f"no .hl7 or .xml in {folder}")
    found = changes(folder)
    if failing := [one.path.name for one in found if is_fault(one.new)]:
        raise HubError("TRANSLATION_FAILED", f"{', '.join(failing)}: nothing is written; hie vendor check {name} names the place")
    if as_json:
        rows = [
            {"case": one.path.name, "new": one.is_new, "differs": one.differs, "lost": one.lost, "dialects": sorted(one.dialects)}
            for one in found
        ]
        print(to_json(rows).decode())
    else:
        show_changes(out, name, found, len(cases(folder)))
    lost = [one for one in found if one.lost]
    if lost and not yes:
        if as_json or not sys.stdin.isatty():
            if not as_json:
                out.print("Nothing is written: expectations would change. Look at them, then run it again with --yes.")
            raise typer.Exit(1)
        if not typer.confirm("Write them?"):
            raise typer.Exit(1)
    for one in found:
        write(one)
