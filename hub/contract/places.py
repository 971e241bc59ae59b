"""Where the hub's own files are: the data folders `schemas/` and `seeds/` beside the packages in a checkout, inside them in a wheel."""

from pathlib import Path

_HUB = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """The folder or file of that name, such as `seeds/topics.toml`."""
    in_wheel = _HUB / "_shipped" / name
    return in_wheel if in_wheel.exists() else _HUB.parent / name


def in_checkout() -> bool:
    """Whether the hub runs from a checkout, whose files a developer changes, and not from an installed wheel."""
    return not (_HUB / "_shipped").exists()


def compiled() -> bool:
    """Whether the hot modules are extensions (`make compile`) here, and so in every service that is started from here."""
    from hub.contract import errors

    return not errors.__file__.endswith(".py")
