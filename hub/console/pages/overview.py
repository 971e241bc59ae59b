"""What flows now and today, drawn as the hub's own map."""

from typing import Final

from nicegui import ui

from hub.console.shell import Console, Right
from hub.console.words import Words

PATH: Final = "/"
TITLE: Final = Words(vi="Toàn cảnh", en="Overview")
RIGHT: Final[Right] = "see"


async def page(console: Console) -> None:
    ui.label(TITLE.of(console.person().language))
