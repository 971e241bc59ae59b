"""`hie claim`: what an insurer will find in claims before they are sent, and what became of one that was."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.ledger import folder_of, month_of
from hub.cli.messages import messages_in, show_translation, translations
from hub.cli.running import dialect_of, paragraph, terminal, use_profiles
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, encode, now, to_json
from hub.contract.settings import read_settings

if TYPE_CHECKING:
    from hub.insurer.catalogues import Catalogues
    from hub.insurer.explain import Explained, Place

out = terminal()
claim_app = typer.Typer(help="Check claims before they are sent; explain what was decided on one.", no_args_is_help=True)

_COLOURS = {"ACCEPTED": "green", "REDUCED": "yellow", "REJECTED": "red"}
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON line a message; of explain one a revision.")]
Html = Annotated[Path | None, typer.Option("--html", dir_okay=False, help="Write it as a page, to read or print, too.")]


@claim_app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="Insurance envelopes, HL7 EHC messages, or folders of them.", exists=True)],
    facility: Annotated[str, typer.Option(help="Read it as sent by this facility, as the hub does with its credential.")] = "",
    dialect: Annotated[str, typer.Option(metavar="NAME|FILE.toml", help="Read it by this one.")] = "",
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """What the insurer would find in the claims of files, and what it would pay. Offline: nothing is sent, no hub need run.

    Files are read as if they were sent one after the other. Of a folder, the index that `hie ledger export` wrote is left out.
    Ends with 1 if a claim would be rejected, or anything is not taken at the door, or there is no claim in them.

    Example: hie claim check seeds/demo/14-claim-district-wrong-total.xml
    """
    from hub.insurer.catalogues import read_catalogues, unchecked
    from hub.insurer.claim_page import LIMITS, page
    from hub.insurer.export import INDEX

    settings = read_settings()
    use_profiles(settings, dialect)
    chosen = dialect_of(dialect) if dialect else None
    limits_max = (settings.message_bytes_max, settings.envelope_bytes_max)
    found = [file for file in messages_in(files)[0] if file.name != INDEX or file in files]
    rows = [row for file in found for row in translations(file, *limits_max, dialect=chosen, facility=facility)]
    events = [[event for event in row["events"] if event["record"] == "hie.Claim"] for row in rows]
    against = read_catalogues(settings.catalogue_dir) if settings.catalogue_dir else None
    said = unchecked(against or ())
    limits = [LIMITS, *([said] if said else [])]
    claims = _checked([event for each in events for event in each], against)
    unread = sum(row["verdict"] != "translated" or any(one["severity"] == "E" for one in row["problems"]) for row in rows)
    if html is not None:
        named = files[0].resolve().name if len(files) == 1 else f"{len(found)} tệp · files"
        about = f"{named} · {now().astimezone(VIETNAM):%d/%m/%Y %H:%M}"
        html.write_text(
            page(("Kiểm tra hồ sơ trước khi gửi", "Claims checked before sending"), about, claims, unread, limits), "utf-8"
        )
    left = iter(claims)
    for row, own in zip(rows, events, strict=True):
        of_message = list(islice(left, len(own)))
        if as_json:
            told = {"events": len(row["events"]), "claims": [one.as_dict() for one in of_message]}
            not_checked = [{"text_vi": vi, "text_en": en} for vi, en in limits]
            print(to_json({**row, **told, "not_checked": not_checked}).decode())
            continue
        if len(found) > 1 or row["problems"] or row["verdict"] != "translated":
            show_translation(row)
        for one in of_message:
            if one.replaced:
                vi, en = (
                    "có bản khác trong các tệp này thay thế, không được thanh toán",
                    "another one of these files counts: nothing is paid of it",
                )
                out.print(f"[bold yellow]{vi}[/] [dim]· {en}[/]")
            show_claim(one)
    if not as_json:
        _show_sum([one for one in claims if not one.replaced])
        for vi, en in limits:
            paragraph(out, vi, 0)
            paragraph(out, en, 0, "dim")
    raise typer.Exit(1 if unread or not claims or any(one.refused and not one.replaced for one in claims) else 0)


def _checked(events: Sequence[dict[str, Any]], against: "Catalogues | None") -> "list[Explained]":
    """As the insurer reads them: what its payer may see of each, as bytes, by the rules."""
    from hub.insurer.columns import decode_claims
    from hub.insurer.explain import checked
    from hub.routing.projections import payer_of, project

    seen: list[Event] = []
    for event in events:
        claim = {name: part for name, part in event.items() if name != "record"}
        payer = payer_of(claim)
        if payer is None:
            raise HubError("PAYER_UNKNOWN", "seeds/payers")
        seen.append(project(claim, payer, ""))
    head = bytes(5)  # where a schema id stands
    decoded = decode_claims([head + encode("hie.Claim", claim) for claim in seen], lambda _id: ("hie.Claim", None))
    if decoded.culprits:
        raise HubError(next(iter(decoded.culprits.values())), "hie.Claim")
    return checked(decoded, "", against)


@claim_app.command("explain")
def explain(
    key: Annotated[str, typer.Argument(help="MA_LK, FACILITY/MA_LK, or the key or id of one of its events.")],
    facility: Annotated[str, typer.Option(help="Facility code, where several have this MA_LK.")] = "",
    payer: Annotated[str, typer.Option(help="Whose ledger; empty: the default payer's.")] = "",
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """What is in force of a claim: claimed, paid, and why less, line by line; then the revisions before it. From the insurer's ledger.

    Where adjustments changed what was decided first, they come first, and the first decision below them, as such.

    Example: hie claim explain 01021.261123.061
    """
    from hub.insurer.claim_page import page
    from hub.insurer.explain import read_claim

    folder = folder_of(read_settings(), payer)
    found = read_claim(folder, key, facility)
    issuer, slash, ma_lk = key.partition("/")
    if not found and slash and facility in ("", issuer):
        found = read_claim(folder, ma_lk, issuer)
    if not found:
        raise HubError("NOT_FOUND", f"claim {key}")
    if html is not None:
        title = (f"Hồ sơ {key}", f"Claim {key}")
        html.write_text(
            page(title, f"{now().astimezone(VIETNAM):%d/%m/%Y %H:%M}", [one for each in found for one in each]), "utf-8"
        )
    for revisions in found:
        if as_json:
            for one in revisions:
                print(to_json(one.as_dict()).decode())
            continue
        for one in revisions:
            show_revision(one)
            show_claim(one)


@claim_app.command("results")
def results(
    facility: Annotated[str, typer.Argument(help="Facility code, such as 01021.")],
    month: Annotated[str, typer.Argument(help="Of the visits' ends (NGAY_RA), YYYY-MM.")],
    payer: Annotated[str, typer.Option(help="Whose ledger; empty: the default payer's.")] = "",
) -> None:
    """The results of a facility's claims in the form of the insurance gateway (KQGiamDinhHoSo): status, amount, reason.

    Example: hie claim results 01021 2026-11 > ket-qua.json
    """
    from adapters.formats.gateway_calls import decided_row, success
    from hub.insurer.explain import read_month

    month_of(month)
    claims = read_month(folder_of(read_settings(), payer), facility, month)
    print(success(dsKetQuaGiamDinh=[decided_row(one.as_decision()) for one in claims]).decode())


# --- for people -------------------------------------------------------------------------------------------------------


def show_revision(one: "Explained") -> None:
    """Which revision it is, and when it came."""
    vi, en = ("đã được thay thế", "replaced") if one.replaced else ("đang có hiệu lực", "in force")
    at = one.claim["received_at"].astimezone(VIETNAM)
    out.print(f"[bold]Phiên bản {one.claim['version']}[/], nhận {at:%d/%m/%Y %H:%M}: {vi} [dim]· received, {en}[/]")


def show_claim(one: "Explained") -> None:
    """Verdict and amounts in force, then what is said of the claim and of each line, as a person would tell it."""
    from hub.insurer.claim_page import UNDECIDED, vnd
    from hub.insurer.explain import VERDICTS, other_words, settled_words

    vi, en = VERDICTS.get(one.verdict_now, UNDECIDED)
    colour = _COLOURS.get(one.verdict_now, "dim")
    out.print(f"[{colour}]{vi.upper()}[/] [dim]{en}[/]  ", end="")
    out.print(f"{one.claim['ma_cskcb']} {one.claim['ma_lk']}", markup=False)
    out.print(f"    đề nghị {vnd(one.claimed)} · thanh toán {vnd(one.paid)} [dim]· claimed, paid[/]")
    for later, before, after in one.changes:
        where = later["table"] if later["stt"] is None else f"{later['table']}/{later['stt']}"
        took = f": {before:,.2f} → {after:,.2f} VND ({-later['reduction']:+,.2f})" if later["reduction"] else ""
        when = f"{later['closed_at'].astimezone(VIETNAM):%d/%m/%Y}"
        out.print(f"    điều chỉnh {later['period']} · adjusted {when}  {where}  {later['rule']}{took}", markup=False)
        for at, style in enumerate(("", "dim")):
            paragraph(out, (later["text_vi"], later["text_en"])[at], 6, style)
            if other := other_words(later):
                paragraph(out, other[at], 6, style)
    gone = one.first.without(one.stands)
    if one.again:
        for place in one.again.places:
            _show_place(place)
    if one.changes or gone:
        vi, en = VERDICTS.get(one.first.verdict, UNDECIDED)
        out.print(f"    trước điều chỉnh, quyết định đầu: {vi}, {vnd(one.first.granted)} [dim]· before, first decision: {en}[/]")
    for place in gone if one.again else one.first.places:
        _show_place(place)
    for later in one.settled_later:
        vi, en = settled_words(later)
        out.print(f"    quyết toán {later['period']} · settlement  {later['rule']}", markup=False)
        paragraph(out, vi, 6)
        paragraph(out, en, 6, "dim")


def _show_place(place: "Place") -> None:
    from hub.insurer.claim_page import vnd
    from hub.insurer.explain import SEVERITIES

    where = place.table if place.stt is None else f"{place.table}/{place.stt}"
    took = f": đề nghị {vnd(place.claimed)}, giảm {vnd(place.cut)}" if place.cut and place.claimed is not None else ""
    out.print("    " + " ".join(filter(None, (where, place.name))) + took, markup=False)
    for one in place.findings:
        vi, en = SEVERITIES[one["severity"]]
        numbers = [f"khai {one['claimed']:,.2f}"] if one["claimed"] is not None else []
        numbers += [f"tính {one['computed']:,.2f}"] if one["computed"] is not None else []
        numbers += [f"giảm {one['reduction']:,.2f}"] if one["reduction"] is not None else []
        told = " · ".join(numbers)
        out.print(f"      {one['rule']} {vi} / {en}  {one['field'].upper()}" + (f"  ({told})" if told else ""), markup=False)
        paragraph(out, one["text_vi"], 8)
        paragraph(out, one["text_en"], 8, "dim")


def _show_sum(claims: "Sequence[Explained]") -> None:
    from hub.insurer.claim_page import vnd
    from hub.insurer.explain import VERDICTS

    counts = [(VERDICTS[verdict], sum(one.verdict_now == verdict for one in claims)) for verdict in VERDICTS]
    told = " · ".join(f"{vi} / {en} {count}" for (vi, en), count in counts if count)
    out.print(f"\n{told or 'không có hồ sơ / there is no claim'}", markup=False)
    if claims:
        claimed, paid = sum((one.claimed for one in claims), Decimal()), sum((one.paid for one in claims), Decimal())
        out.print(f"đề nghị {vnd(claimed)} · thanh toán {vnd(paid)} [dim]· claimed, paid[/]")
    for code in sorted({one.claim["payer"] for one in claims if not payers()[one.claim["payer"]].adjudicated_here}):
        paragraph(out, f"{code} tự giám định: quy tắc của họ có thể khác. · {code} decides itself: its rules may be others.", 0)
