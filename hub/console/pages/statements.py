"""The statement of a facility for a month, as `hie ledger statement` makes it; who opened which, and why, is told to the audit."""

import asyncio
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nicegui import ui

from hub.access.masking import mask
from hub.access.people import Person, Right, note
from hub.console.change import NO_REASON, REASON
from hub.console.kept import LEDGER
from hub.console.pages.payer import ABSENT, ELSEWHERE, NO_LEDGER, UNREADABLE
from hub.console.pages.payers import name_of
from hub.console.payer_look import seen_by, unreadable
from hub.console.shell import FAULTS, Console, html, sorry
from hub.console.words import Words
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now
from hub.contract.settings import Settings

if TYPE_CHECKING:
    from hub.insurer.statement import Sheet, Statement

PATH: Final = "/payers/{payer}/statements"
TITLE: Final = Words(vi="Bảng quyết toán", en="Statements")
RIGHT: Final[Right] = "see"
SCOPED: Final = "insurer"

_FACILITY: Final = Words(vi="Mã cơ sở (MA_CSKCB)", en="Facility (MA_CSKCB)")
_MONTH: Final = Words(vi="Tháng (mm/yyyy)", en="Month (mm/yyyy)")
_OPEN: Final = Words(vi="Mở", en="Open")
_SAVE: Final = Words(vi="Tải về để in", en="Download, to print")
_WRONG: Final = Words(
    vi="Cần mã cơ sở và tháng, ví dụ 01021 và 11/2026.", en="A facility and a month are needed, such as 01021 and 11/2026."
)
_MASKED: Final = Words(
    vi="MA_LK được che: chỉ bên chi trả và người có quyền bỏ che mới xem được.",
    en="MA_LK is masked: it is shown to the payer, and to who may lift masks.",
)
_BACK: Final = Words(vi="Luồng và sổ của bên này", en="This payer's stream and ledger")

_ROWS: Final = 500
_SHORT: Final = Words(
    vi="Bảng dài chỉ hiện {most} dòng đầu; bản tải về có đủ.",
    en="Of long tables the first {most} rows are shown; what you download has all.",
)


@dataclass
class _State:
    """What is open on this page. told: the page to print."""

    name: str = ""
    told: str = ""


async def page(console: Console, payer: str) -> None:
    """The form; the statement below it."""
    person, state = console.person(), _State()
    language, known = person.language, seen_by(person).get(payer)
    if known is None:
        html(escape(ABSENT.of(language))).classes("hie-notice")
        return
    html(f'{escape(name_of(known, language))} · <a href="/payers/{payer}">{escape(_BACK.of(language))}</a>', "p")
    if (folder := ledger_of(console.settings, payer)) is None:
        html(escape((NO_LEDGER if known.adjudicated_here else ELSEWHERE).of(language))).classes("hie-notice")
        return
    with ui.element("div").classes("hie-form"):
        facility = ui.input(_FACILITY.of(language)).props("dense outlined maxlength=10")
        month = ui.input(_MONTH.of(language), value=last_month()).props("dense outlined maxlength=7")
        reason = ui.input(REASON.of(language)).props("dense outlined maxlength=500").classes("hie-reason")
        opening = ui.button(_OPEN.of(language)).props("unelevated no-caps")
        saving = ui.button(_SAVE.of(language)).props("unelevated no-caps outline")
    saving.disable()
    said = ui.label("").props("role=status")
    shown = html("").classes("hie-scroll hie-paper")

    async def go() -> None:
        if not opening.enabled:  # Enter in a field passes by the button
            return
        wanted = asked(facility.value or "", month.value or "")
        if wanted is None or not (reason.value or "").strip():
            said.set_text((NO_REASON if wanted else _WRONG).of(language))
            return
        said.set_text("…")
        opening.disable()
        try:
            await _note(console, person, payer, wanted, reason.value)
            content, state.told = await _made(folder, *wanted, whole=sees_keys(person))
        except FAULTS + unreadable() as broken:
            said.set_text(_sorry(broken, language))
            return
        finally:
            opening.enable()
        state.name = f"{payer}-{wanted[0]}-{wanted[1]}.html"
        said.set_text("" if sees_keys(person) else _MASKED.of(language))
        shown.set_content(content)
        saving.enable()

    opening.on_click(go)
    saving.on_click(lambda: ui.download.content(state.told, state.name, "text/html; charset=utf-8"))
    for field in (facility, month, reason):
        field.on("keydown.enter", go)


def ledger_of(settings: Settings, payer: str) -> Path | None:
    """Where its ledger is; None where it is not on this machine."""
    from hub.insurer.ledger import known_ledger

    try:
        return known_ledger(settings, payer)
    except HubError:
        return None


def asked(facility: str, month: str) -> tuple[str, str] | None:
    """The facility's code and YYYY-MM, of what the form says; None where it says neither."""
    code, text = facility.strip(), month.strip()
    read = re.fullmatch(r"(0?[1-9]|1[0-2])/(\d{4})", text) or re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text)
    if read is None or not re.fullmatch(r"[0-9A-Z]{1,10}", code):
        return None
    one, other = read.groups()
    return code, f"{other}-{one:0>2}" if "/" in text else text


def last_month() -> str:
    """The month that was over last, as the form has it."""
    return f"{now().astimezone(VIETNAM).replace(day=1) - timedelta(days=1):%m/%Y}"


def sees_keys(person: Person) -> bool:
    """Whether MA_LK is shown: to the insurer whose claims they are, and to who may lift masks."""
    return person.role == "insurer" or person.may("unmask")


async def _note(console: Console, person: Person, payer: str, wanted: tuple[str, str], reason: str) -> None:
    async with console.pool.connection() as database, database.transaction():
        await note(database, "statement", f"payer:{payer} facility:{wanted[0]} month:{wanted[1]}", person.name, reason)


async def _made(folder: Path, facility: str, month: str, *, whole: bool) -> tuple[str, str]:
    return await asyncio.get_running_loop().run_in_executor(LEDGER, lambda: made(folder, facility, month, whole=whole))


def made(folder: Path, facility: str, month: str, *, whole: bool) -> tuple[str, str]:
    """The statement as it stands in the page, and as the command writes it. whole: with MA_LK."""
    from hub.insurer.statement import masked, statement
    from hub.insurer.statement_page import page as printed
    from hub.insurer.statement_page import sheets

    found = statement(folder, facility, month)
    if not whole:
        found = masked(found, mask)
    head = escape(f"{found.facility} · {found.name} · {found.month}")
    seen = shortened(found)
    short = "" if seen == found else f"<p class=hie-soft>{_SHORT.vi.format(most=_ROWS)}<br>{_SHORT.en.format(most=_ROWS)}</p>"
    return f"<h2>{head}</h2>{short}{sheets(seen)}", printed(found, f"{now().astimezone(VIETNAM):%H:%M %d/%m/%Y}")


def shortened(found: "Statement", most: int = _ROWS) -> "Statement":
    """The same with so many rows of each sheet, and its sum, for a page."""

    def first(sheet: "Sheet") -> "Sheet":
        if len(sheet.rows) <= most + sheet.total:
            return sheet
        return replace(sheet, rows=sheet.rows[:most] + sheet.rows[-1:] * sheet.total)

    return replace(found, forms=[replace(form, sheets=[first(sheet) for sheet in form.sheets]) for form in found.forms])


def _sorry(broken: Exception, language: str) -> str:
    """Of a fault only what it is: what it says may hold more."""
    if isinstance(broken, FAULTS):
        return sorry(broken, language)
    return UNREADABLE.of(language).format(what=type(broken).__name__)
