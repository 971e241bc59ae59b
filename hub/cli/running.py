"""The running hub, as every command finds it: settings with addresses and secret filled in."""

import getpass
import os
import secrets
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr
from rich.console import Console

from hub.contract.directory import use_directory
from hub.contract.errors import HubError
from hub.contract.events import Keyring
from hub.contract.settings import Settings, to_environment

if TYPE_CHECKING:
    from adapters.dialects.profile import Dialect
    from hub.journal.older import Older
    from hub.stack import Stack

OFFLINE: Final = Keyring(b"offline, no secret")  # keys made offline are never seen on a bus


def terminal(*, stderr: bool = False) -> Console:
    """Where a command prints for people: as wide as the window, or 120 columns when nobody looks (a pipe, a log)."""
    seen = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if seen else 120)


def paragraph(out: Console, text: str, indent: int, style: str = "", lead: str = "") -> None:
    """Print text wrapped at the width of the terminal, every line indented; `lead` stands in the room before the first."""
    room = " " * indent
    wrapped = fill(
        text,
        out.width - 1,
        initial_indent=lead.ljust(indent),
        subsequent_indent=room,
        break_long_words=False,
        break_on_hyphens=False,
    )
    out.print(wrapped, style=style, markup=False)


def key_secret(settings: Settings) -> SecretStr:
    """The secret of the settings, else the one kept in the data folder, made when there is none."""
    if settings.key_secret.get_secret_value():
        return settings.key_secret
    path = settings.data_dir / "key.secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    with suppress(FileExistsError):  # another process was first
        if not path.exists():
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(32), "ascii")
            os.link(fresh, path)
    fresh.unlink(missing_ok=True)
    return SecretStr(path.read_text("ascii"))


def keyring(settings: Settings) -> Keyring:
    """Raises: HubError(SETTING_WRONG) for a secret that is too short to protect anything."""
    secret = settings.key_secret.get_secret_value().encode()
    if not 16 <= len(secret) <= 64:
        raise HubError("SETTING_WRONG", "HIE_KEY_SECRET must have 16 to 64 bytes")
    return Keyring(secret)


def connected(settings: Settings) -> Settings:
    """The settings with what they leave empty taken from the hub that runs on this data folder.

    Raises: HubError(NOT_RUNNING) when no hub runs and the settings name no servers.
    """
    named = {
        "kafka_bootstrap": settings.kafka,
        "registry_url": settings.registry_url,
        "database_url": settings.database_url.get_secret_value(),
    }
    if not all(named.values()):
        from hub.stack import find, held

        found = find(settings)
        if found is None:
            begun = "the hub of this data folder does not answer yet" if held(settings) else "no hub runs on this data folder"
            raise HubError("NOT_RUNNING", begun)
        named = {name: value or getattr(found, name) for name, value in named.items()}
    secret = {name: SecretStr(named[name]) for name in ("kafka_bootstrap", "database_url")}
    return settings.model_copy(update={**named, **secret, "key_secret": key_secret(settings)})


def started(settings: Settings, servers: "Stack") -> Settings:
    """The settings with all addresses, once `hub.stack.start` has made the servers."""
    secret = {"kafka_bootstrap": SecretStr(servers.kafka_bootstrap), "database_url": SecretStr(servers.database_url)}
    return connected(settings.model_copy(update={**secret, "registry_url": servers.registry_url}))


def prepare(settings: Settings, say: Callable[[str], None]) -> None:
    """Topics, the payers' rights to them, schemas and tables, as this release wants them. Safe at every start."""
    from hub.access.rights import apply_rights
    from hub.bus import Wire, apply_topics
    from hub.store.database import migrate

    created = apply_topics(settings.kafka, Wire(settings.registry_url))
    apply_rights(settings.kafka, say)
    migrate(settings.database_url.get_secret_value())
    say(f"topics, schemas and tables are there ({created} topics created)")


def check_ports(settings: Settings) -> None:
    """Raises: HubError(PORT_TAKEN) when another program has a port of the listeners; better said before all else starts."""
    from hub.stack import find
    from hub.stack.ports import Ports

    if find(settings) is not None:  # a hub of this folder has them, and `stack.start` says so
        return
    ports = Ports()
    try:
        secure = ("mllps_port", "https_port") if settings.tls_certificate is not None else ()
        for name in ("mllp_port", "http_port", "inbox_port", "console_port", *secure):
            ports.take(getattr(settings, name), f"HIE_{name.upper()}")
    finally:
        ports.release()


def use_reference(settings: Settings) -> None:
    """Profiles and directory, as the settings name them. Raises: HubError(SETTING_WRONG) that names the file and the place in it."""
    from adapters.dialects.profile import use_vendors

    use_vendors(settings.vendors_dir)
    use_directory(settings.directory_dir, unusable_dialects)


def unusable_dialects(names: Collection[str]) -> dict[str, str]:
    """Those that no profile can be read for, and why; what other names facilities go by is read again.

    Raises: HubError(SETTING_WRONG) if two profiles claim the same name.
    """
    from adapters.dialects.profile import read_aliases

    why = unusable_by_themselves(names)
    read_aliases()
    return why


def unusable_by_themselves(names: Collection[str]) -> dict[str, str]:
    """As `unusable_dialects`, whatever is wrong in profiles that are not among them."""
    missing = _missing_dialects(names)
    return missing | _faulty_dialects(set(names) - missing.keys())


def _missing_dialects(names: Collection[str]) -> dict[str, str]:
    from adapters.dialects.profile import dialect_names

    known = dialect_names()
    told = f"there is no dialect of this name, nor one in HIE_VENDORS_DIR; there are {', '.join(known)}"
    return {name: told for name in names if name not in known}


def _faulty_dialects(names: Collection[str]) -> dict[str, str]:
    """Those of them that cannot be read, in order, and why: file and entry."""
    from adapters.dialects.profile import load_dialect

    why = {}
    for name in sorted(names):
        try:
            load_dialect(name)
        except HubError as wrong:
            why[name] = wrong.where
    return why


def older(settings: Settings) -> "Older":
    """The archive, for whoever reads messages again."""
    from hub.journal.older import Older
    from hub.journal.places import topic_ids

    return Older(settings.archive, lambda: topic_ids(settings.kafka))


def check_dialects(settings: Settings) -> None:
    """Read every profile, and the directory: for a hub, which takes messages of every vendor. Raises: HubError(SETTING_WRONG) that names the file and the place in it."""
    from adapters.dialects.profile import dialect_names, load_dialect

    use_reference(settings)
    for name in dialect_names():
        load_dialect(name)


def use_profiles(settings: Settings, needed: str = "") -> None:
    """Profiles and directory for a command that reads messages without a hub.

    Another vendor's faulty file does not stop it, nor a facility of the directory whose profile is still to be written: both are told.

    needed: the dialect that the command is about, if it is about one.
    Raises: HubError(SETTING_WRONG) at a fault of that one, at an alias of it that another claims too, and at other faults of the directory.
    """
    from adapters.dialects.profile import dialect_names, load_dialect, use_vendors

    missing: set[str] = set()

    def note_missing(names: Collection[str]) -> dict[str, str]:
        missing.update(_missing_dialects(names))
        return {}

    tell_edited(settings)
    use_vendors(settings.vendors_dir)
    if needed in dialect_names():
        load_dialect(needed)
    use_directory(settings.directory_dir, note_missing)
    tell_faulty(needed)
    for name in sorted(missing):
        told = f"no hub would start with this: the directory names the dialect {name}, which has no profile yet"
        terminal(stderr=True).print(f"{told}: hie vendor new {name}; until then check samples by _standard", markup=False)


def tell_faulty(needed: str = "") -> None:
    """Which profiles have faults, and which claim the same; the former are left out.

    Raises: HubError(SETTING_WRONG) at an alias of the needed one that another claims too.
    """
    from adapters.dialects.profile import clashing, dialect_names, read_aliases

    faulty = _faulty_dialects(dialect_names())
    clashes = read_aliases(faulty, strictly=False)
    if own := [one for one in clashes if needed in (one.first, one.second)]:
        raise clashing(own)
    err = terminal(stderr=True)
    for where in dict.fromkeys(faulty.values()):  # of several that extend it, once
        err.print(f"left out, and no hub would start with it: {where}", markup=False)
    for clash in clashes:
        err.print(f"no hub would start with this: {clash}", markup=False)


def tell_edited(settings: Settings) -> None:
    """Which profiles are newer than the hub that runs on this data folder, which reads by what they said when it was started."""
    from adapters.dialects.profile import edited_since, use_vendors
    from hub.stack import running_since

    since = running_since(settings)
    if since is None:
        return
    use_vendors(settings.vendors_dir)
    if edited := edited_since(since):
        told = "edited since the hub was started, which reads by the older ones until it is started again"
        terminal(stderr=True).print(f"{told}: {', '.join(edited)}", markup=False)


def dialect_of(named: str) -> "Dialect":
    """A dialect by its name, or a profile anywhere (`draft.toml`). Raises: HubError(SETTING_WRONG), HubError(NOT_FOUND)."""
    from adapters.dialects.profile import load_dialect, load_file

    return load_file(Path(named)) if named.endswith(".toml") else load_dialect(named)


def hand_down(settings: Settings) -> None:
    """Put the settings into the environment, for the services that this process starts.

    Addresses stay out: services find those of the data folder themselves, and with them a new password.
    """
    local = settings.model_copy(update={"key_secret": SecretStr("")})
    os.environ.update(to_environment(local))
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True)


def audit_before(settings: Settings, action: str, target: str, reason: str) -> None:
    """Tell of a change before it is made, so that none goes unrecorded.

    target: ids and codes, never a person's data.
    Raises: HubError(BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE).
    """
    from hub.audit import audit
    from hub.bus import Producer, Wire

    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s)
    try:
        producer.publish_blocking([audit(Wire(settings.registry_url), action, target, getpass.getuser(), reason, "asked")])
    finally:
        producer.close()
