"""`hie backup`, `hie restore`: everything the hub keeps, at one moment, and back."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.running import terminal
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.settings import read_settings

err = terminal(stderr=True)

Whence = Annotated[
    Path, typer.Argument(help="A backup, or the folder of several: then the newest.", exists=True, file_okay=False)
]


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="An operator")(backup)
    app.command(rich_help_panel="An operator")(restore)


def backup(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[verify] DIR", help="Folder of the backups, on another disk; `verify DIR` reads one again."),
    ],
    full: Annotated[bool, typer.Option("--full", help="Copy all again, without links to the backup before.")] = False,
) -> None:
    """All that the hub keeps, into a new folder of DIR named by the time; the hub must stand still. Prints the new folder.

    Unchanged files are links to the backup before. It holds whole messages of patients and secrets: its folder is the hub's user's
    alone; keep the disk encrypted. `hie backup verify DIR` reads every byte of one and compares its checksum.

    Example: hie backup BACKUPS
    """
    from hub.keep import backup as kept

    match words:
        case ["verify", folder]:
            found = _newest(Path(folder))
            manifest = kept.verify(found)
            err.print(
                f"whole · nguyên vẹn: {len(manifest.entries)} files and folders, {manifest.size_bytes / 1e6:.0f} MB, of {manifest.made_at}"
            )
            print(found)
        case [folder]:
            print(kept.backup(read_settings(), Path(folder), now(), _say, full=full))
        case _:
            raise HubError("REQUEST_WRONG", "hie backup DIR, or hie backup verify DIR")


def restore(folder: Whence) -> None:
    """Put a backup where the settings have the hub's folders, which must be empty. Every checksum is compared before anything is written.

    Example: HIE_DATA_DIR=… hie restore BACKUPS
    """
    from hub.keep import backup as kept

    settings = read_settings()
    manifest = kept.restore(settings, _newest(folder), _say)
    err.print(f"restored as of {manifest.made_at}; start the hub with `hie up`, then `hie reconcile` and `hie archive verify`")
    if settings.key_secret.get_secret_value():
        err.print("HIE_KEY_SECRET is set: it must be that of the time of the backup, or keys do not match")


def _newest(folder: Path) -> Path:
    from hub.keep.backup import newest
    from hub.keep.manifest import MANIFEST

    return folder if (folder / MANIFEST).exists() else newest(folder) or folder


def _say(line: str) -> None:
    err.print(line, soft_wrap=True, markup=False)
