"""The command `hie`: the composition root. It reads the settings once and hands them on; it alone knows both sides."""

from hub.cli.main import main

__all__ = ["main"]
