"""`hie simulate`: a week of the nation, in small, through a real hub of its own; then the accounts of it."""

import csv
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from hub.cli.own_hub import own_hub
from hub.cli.running import keyring, terminal
from hub.cli.simulate_claims import catalogues, claims
from hub.cli.week_partners import App, Listener, Partner, Payer, Puller, together
from hub.cli.week_senders import Senders
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now, to_json
from hub.contract.facilities import COLUMNS, FILE
from hub.contract.places import shipped
from hub.contract.settings import Settings, read_settings
from hub.journal.reconcile import Books
from hub.services import Services, address
from hub.week.accounts import Accounts, Row, account
from hub.week.places import GONE, PLACES, PUSHED
from hub.week.plan import REST_DAYS, Rates, last_week, plan
from hub.week.sends import Expect, SlipPlan, Week
from hub.week.slips import PAYER

out = terminal()
simulate_app = typer.Typer(help="A nation in small.", no_args_is_help=True)
simulate_app.command("claims")(claims)
simulate_app.command("catalogues")(catalogues)
_STILL_S: Final = 120.0  # nothing came for so long: nothing will
_SHOWN: Final = 8
_TELL_S: Final = 15.0
_AGO_MOST: Final = 20  # days: longer ago, slips that are good for weeks would have ended too
Disturb = Callable[[Services, Any], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulated week came to.  per_s: messages taken in a second, sent_s: time it took to send them, all_s: with all that follows."""

    accounts: Accounts
    books: Books
    messages: int
    visits: int
    sent_s: float
    all_s: float

    @property
    def good(self) -> bool:
        return self.accounts.whole and self.books.close

    def as_dict(self) -> dict[str, Any]:
        return {
            "good": self.good,
            "visits": self.visits,
            "messages": self.messages,
            "sent_s": round(self.sent_s, 1),
            "all_s": round(self.all_s, 1),
            "accounts": self.accounts.as_dict(),
            "books_close": self.books.close,
        }


@simulate_app.command("week")
def week(
    scale: Annotated[
        float, typer.Option(min=1e-6, max=0.01, help="Share of the nation's traffic; 0.001 is 3,586 visits a week.")
    ] = 0.001,
    seed: Annotated[int, typer.Option(help="The same seed sends the same bytes.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=7, help="Days from Monday on.")] = 7,
    monday: Annotated[
        str,
        typer.Option(
            help="A Monday within 20 days, such as 2026-11-16; the days ended three days ago. The last such week when omitted."
        ),
    ] = "",
    slips: Annotated[float, typer.Option(min=0, max=1, help="Share of visits that end with a referral slip.")] = Rates().referral,
    kill: Annotated[int, typer.Option(min=0, max=50, help="So many times a service is killed (kill -9) on the way.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Twelve facilities' week through a hub of its own: resends, late, reordered and faulty messages; then where each of them is.

    Ends with 1 when a message or slip is unaccounted for, or the books do not close.

    Example: hie simulate week --scale 0.0002
    """
    say = (lambda _line: None) if as_json else (lambda line: out.print(f"[dim]  · {line}[/]"))
    first = _first_day(monday, days)
    outcome = run_week(
        read_settings(),
        say,
        seed=seed,
        scale=scale,
        monday=first,
        days=days,
        rates=Rates(referral=slips),
        disturb=killer(seed, kill, say),
    )
    if as_json:
        print(to_json(outcome.as_dict()).decode())
    else:
        show(outcome)
    raise typer.Exit(0 if outcome.good else 1)


def _first_day(stated: str, days: int) -> date:
    """Raises: HubError(REQUEST_WRONG) for a day of which slips would not have ended, or all of them would."""
    today = now().astimezone(VIETNAM).date()
    try:
        first = date.fromisoformat(stated) if stated else last_week(today)
    except ValueError:
        raise HubError("REQUEST_WRONG", "--monday: a day such as 2026-11-16") from None
    if first.weekday() or not days + REST_DAYS <= (today - first).days <= _AGO_MOST:
        raise HubError(
            "REQUEST_WRONG",
            f"--monday: a Monday within {_AGO_MOST} days, and the days from it must have ended {REST_DAYS} days ago",
        )
    return first


def run_week(
    settings: Settings,
    say: Callable[[str], None],
    *,
    seed: int,
    scale: float,
    monday: date,
    days: int,
    rates: Rates,
    disturb: Disturb | None = None,
) -> Outcome:
    """Plan, send, wait, mend the work list, account. Nothing is left running.

    disturb: called in a thread of its own once sending has begun, to break what it likes.
    Raises:  HubError when the hub does not come up, or does not take a message for minutes.
    """
    from adapters.dialects.render import as_xml
    from adapters.formats.charset import encode
    from adapters.outbound.portal_simulator import SimulatedPortal

    began = time.monotonic()
    made = plan(seed, scale, monday, encode, lambda claim: as_xml("hie.Claim", claim), days=days, rates=rates)
    say(f"{made.visits} visits, {len(made.sends)} messages, {len(made.slips)} slips planned in {time.monotonic() - began:.0f} s")
    listeners = [Listener(code) for code in PUSHED]
    portal = SimulatedPortal()

    def arrange(folder: Path) -> dict[str, object]:
        files = {"push": _push_file(folder, listeners), "portal": portal.file(folder, calls_per_s=1000)}
        return {"directory_dir": _directory(folder), **files}

    with portal, own_hub(settings, say, arrange=arrange, name="week") as (here, services, servers), ExitStack() as held:
        held.enter_context(_watched(services))
        others = [App(portal.taken), Payer(PAYER, here.kafka, here.registry_url)]
        partners = held.enter_context(_partners(here, [*listeners, *others]))
        return _through(here, services, servers, made, partners, say, disturb)


def _through(
    here: Settings,
    services: Services,
    servers: Any,
    made: Week,
    partners: list[Partner],
    say: Callable[[str], None],
    disturb: Disturb | None,
) -> Outcome:
    from hub.cli.operate import books_of

    began = time.monotonic()
    senders = Senders(made.sends, lambda port: address(here, "gate", port))
    senders.start()
    breaker = threading.Thread(target=disturb, args=(services, servers), daemon=True) if disturb else None
    if breaker:
        breaker.start()
    told = began
    while not senders.done:
        time.sleep(1)
        if time.monotonic() - told > _TELL_S:
            told = time.monotonic()
            say(f"{len(senders.said)} of {len(made.sends)} messages answered, {together(partners).total()} deliveries received")
    senders.check()
    if breaker:
        breaker.join()
    sent_s = time.monotonic() - began
    say(f"all answered after {sent_s:.0f} s")
    _until_still(here, partners, made.expected)
    alone = together(partners)
    stopped = _stopped(here)  # before anything is mended
    parked = _mend(here, made.slips, say)
    waiting = {(partner, about): code for partner in ("facility", "portal") for about, code in parked.items()}
    waiting |= {("portal", about): code for about, code in stopped.items()}
    corrections = [send for about, send in made.corrected.items() if ("portal", about) in waiting]
    senders_again = Senders(corrections, lambda port: address(here, "gate", port))
    senders_again.run()
    say(f"work list of the portal: {len(stopped)} slips wait, {len(corrections)} of them corrected by their facilities")
    _until_still(here, partners, made.expected + made.mended)
    books = books_of(here, wait_s=180)
    got = together(partners)
    said = {**senders.said, **senders_again.said}
    accounts = account(made, said, _rows(here), alone, got, waiting, _held(here, made.slips), corrections)
    return Outcome(accounts, books, len(made.sends), made.visits, sent_s, time.monotonic() - began)


# --- around the hub ---------------------------------------------------------------------------------------------------


def _directory(folder: Path) -> Path:
    """The hub's own directory, and facilities that are gone."""
    place = folder / "directory"
    place.mkdir()
    with shipped(f"seeds/{FILE}").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    since = {"province": "01", "dialect": "_standard", "valid_from": "2019-01-01", "valid_to": "2025-06-30"}
    with (place / FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(COLUMNS), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, *({**since, **gone} for gone in GONE)])
    return place


def _push_file(folder: Path, listeners: list[Listener]) -> Path:
    path = folder / "push.toml"
    path.write_text("".join(f'[recipient."{one.code}"]\nhost = "127.0.0.1"\nport = {one.port}\n' for one in listeners), "utf-8")
    return path


@contextmanager
def _watched(services: Services) -> Iterator[None]:
    """Services that die are started again."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            services.watch()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


@contextmanager
def _partners(here: Settings, others: Sequence[Partner]) -> Iterator[list[Partner]]:
    """Everybody who gets something: laboratories listen, the others look from time to time, small ones seldom."""
    pulled = [place for place in PLACES if place.code not in PUSHED]
    inbox = lambda: address(here, "mailbox", "inbox_port")  # noqa: E731  # where it is, now
    partners = [*others, *(Puller(place.code, inbox, 1.0 if place.share > 5 else 5.0) for place in pulled)]
    for one in partners:
        one.start()
    try:
        yield partners
    finally:
        for one in partners:
            one.stop()


def killer(seed: int, times: int, say: Callable[[str], None]) -> Disturb | None:
    """Kills so many services, one after the other, each when all serve again; which and when is drawn by the seed."""
    if not times:
        return None
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret

    def disturb(services: Services, _servers: Any) -> None:
        for _ in range(times):
            time.sleep(chance.uniform(2, 6))
            name = chance.choice(list(services.names))
            say(f"kill -9 of {name}")
            services.kill(name)
            time.sleep(1)
            deadline = time.monotonic() + 120
            while not all(map(services.serves, services.names)) and time.monotonic() < deadline:
                time.sleep(0.5)

    return disturb


# --- waiting and mending ----------------------------------------------------------------------------------------------


def _until_still(here: Settings, partners: list[Partner], expected: Counter[Expect]) -> None:
    """Until everybody has what is expected and the portal's mailbox is drained, or nothing has come for a while."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < _STILL_S:
        got = together(partners)
        if not expected - got and not _on_the_way(here):
            time.sleep(3)  # what comes twice comes now
            return
        if got.total() != before:
            before, since = got.total(), time.monotonic()
        time.sleep(1)


def _on_the_way(here: Settings) -> int:
    """Slips that the client of the portal has still to look at."""
    from hub.store.database import connect

    with connect(here.database_url.get_secret_value()) as database:
        [(count,)] = database.execute(
            "select count(*) from mailbox where recipient = 'portal' and state in ('QUEUED', 'SENT')"
        ).fetchall()
    return int(count)


def _stopped(here: Settings) -> dict[str, str]:
    """The work list of the portal: slip to its first reason."""
    from hub.cli.worklist import worklist

    slips = [slip for place in PLACES for slip in worklist(here, place.code)["slips"]]
    return {f"{slip['facility']}/{slip['slip'] or slip['ma_lk']}": slip["reasons"][0]["code"] for slip in slips}


def _mend(here: Settings, slips: Sequence[SlipPlan], say: Callable[[str], None]) -> dict[str, str]:
    """The operator's work list: what waits and why; the slips whose receiver somebody can name are edited and released.

    Returns: slip to why it waited.
    """
    from hub.bus import Producer, Wire
    from hub.routing import parking
    from hub.routing.amend import amended
    from hub.routing.app import streams
    from hub.store.database import connect

    ring, wire = keyring(here), Wire(here.registry_url)
    rows = {stream.topic: stream for stream in streams()}
    by_key = {ring.key(*slip.about.split("/", 1), test=False): slip for slip in slips if slip.partner == "facility"}
    waiting: dict[str, str] = {}
    mended = 0
    producer = Producer(here.kafka, wait_s=here.ack_wait_s)
    try:
        with connect(here.database_url.get_secret_value()) as database:
            for row in parking.waiting(database):
                slip = by_key.get(row["key"])
                waiting[slip.about if slip else f"{row['topic']} {row['key']}"] = row["code"]
                event = parking.oldest(database, wire, row["topic"], row["key"])
                if slip is None or not slip.mend or event is None:
                    continue
                stream = rows[row["topic"]]
                edited = amended(stream.record, event, {"ma_cskcb_den": slip.mend}, ring)
                asked = {"by": "simulation", "reason": "mistyped receiver"}
                parking.edit(database, producer, wire, stream, edited, ring, fields=["ma_cskcb_den"], **asked)
                parking.release(database, producer, wire, row["topic"], row["key"], **asked)
                mended += 1
    finally:
        producer.close()
    say(f"work list: {len(waiting)} keys wait, {mended} of them mended and released")
    return waiting


# --- what the hub says ------------------------------------------------------------------------------------------------


def _rows(here: Settings) -> list[Row]:
    """Every message of the journal, with the records of its events."""
    from hub.store.database import connect

    query = """
        select message_id::text, facility, control_id, format, verdict, problems,
               array(select min(record) from unnest(events) with ordinality as made(id, place)
                     join journal_event on event_id = made.id group by place order by place)
        from journal_message where not test"""
    with connect(here.database_url.get_secret_value()) as database:
        found = database.execute(query).fetchall()
    rows = []
    for message_id, facility, control_id, form, verdict, problems, records in found:
        code = next((one["code"] for one in problems if one["severity"] == "E"), "")
        rows.append(
            Row(message_id, facility, control_id, form, verdict, code, tuple(one.removeprefix("hie.") for one in records))
        )
    return rows


def _held(here: Settings, slips: Sequence[SlipPlan]) -> set[str]:
    """Slips that are for nobody, as a rule holds them."""
    from hub.store.database import connect

    query = """
        select distinct key from journal_event join journal_delivery on subject_event_id = event_id
        where journal_delivery.rule = 'nobody-held-sensitive' and recipient = ''"""
    ring = keyring(here)
    with connect(here.database_url.get_secret_value()) as database:
        keys = {row[0] for row in database.execute(query).fetchall()}
    return {
        slip.about
        for slip in slips
        if slip.reason == "nobody-held-sensitive" and ring.key(*slip.about.split("/", 1), test=False) in keys
    }


# --- for people -------------------------------------------------------------------------------------------------------


def show(outcome: Outcome) -> None:
    """The accounts as tables."""
    accounts = outcome.accounts
    table = Table("messages by fate", "sent", "found", "unaccounted")
    for line in accounts.messages:
        table.add_row(line.fate, str(line.sent), str(line.found), str(len(line.odd) or ""))
    out.print(table)
    table = Table("slip", "at", "what happens to it", "must end", "slips", "ended so", "unaccounted")
    for slip in accounts.slips:
        table.add_row(slip.record, slip.partner, slip.tale, slip.end, str(slip.slips), str(slip.found), str(len(slip.odd) or ""))
    out.print(table)
    table = Table("deliveries", "expected", "received")
    for name in sorted({*accounts.expected, *accounts.received}):
        table.add_row(name, str(accounts.expected.get(name, 0)), str(accounts.received.get(name, 0)))
    out.print(table)
    table = Table("slips that arrive at the partner", "slips", "by themselves", "with the work list mended")
    for one in accounts.arrivals:
        rates = (f"{part} ({100 * part / max(1, one.slips):.1f} %)" for part in (one.alone, one.mended))
        table.add_row(one.partner, str(one.slips), *rates)
    out.print(table)
    for name, of in (
        ("odd", accounts.odd),
        ("missing", accounts.missing),
        ("too much", accounts.surplus),
        ("sent by nobody", accounts.strangers),
    ):
        for said in of[:_SHOWN]:
            out.print(f"[red]{name}[/]  {escape(said)}")
        if len(of) > _SHOWN:
            out.print(f"… {len(of)} {name} in all")
    out.print(outcome.books.text(out.width))
    per_s = outcome.messages / max(outcome.sent_s, 0.001)
    out.print(
        f"{outcome.visits} visits, {outcome.messages} messages, {outcome.sent_s:.0f} s to send ({per_s:.0f} a second), {outcome.all_s:.0f} s in all"
    )
    out.print(f"accounted for: {'100 %' if accounts.whole else 'NO'}; books close: {'yes' if outcome.books.close else 'no'}")
