"""Discharge papers (XML7) and treatment summaries (XML8) of a claim: to the citizen's app, through the insurance portal's mailbox."""

from typing import Final

from hub.contract.events import Event
from hub.routing.follow_ups import PORTAL, is_held
from hub.routing.stream import Deliver, Nobody, Output

RULE: Final = "summary-to-portal"
_PAPERS: Final = ("xml7", "xml8")
_WHOSE: Final = (  # of XML1: whose they are and of which stay, and the codes by which protected ones are told; no money
    "ma_lk",
    "ma_bn",
    "ho_ten",
    "so_cccd",
    "ngay_sinh",
    "gioi_tinh",
    "ma_the_bhyt",
    "ma_dkbd",
    "gt_the_tu",
    "gt_the_den",
    "ma_benh_chinh",
    "ma_benh_kt",
    "ngay_vao",
    "ngay_ra",
    "ma_loai_kcb",
    "ma_cskcb",
)


def to_portal(event: Event, projection: Event) -> list[Output]:
    """What goes there of a claim; held where it is labelled sensitive.

    A cancelled claim goes too, with its key alone: what waits of it is given up, also when it comes after its cancellation. And
    every revision goes, with the papers of the one before or not: only the client of the portal knows what became of that
    one, and to the portal the same papers are the same file.

    projection: what the claim's payer gets, of whose summary the portal sees a part: no policies of other insurers are in it.
    """
    if event["action"] == "CANCELLED":
        return [Deliver(PORTAL, RULE, part=_part(event, {"ma_lk": event["ma_lk"]}))]
    if not any(event.get(name) for name in _PAPERS):
        return []
    if is_held(event):
        return [Nobody("nobody-held-sensitive")]
    summary = projection["xml1"]
    papers = {name: event[name] for name in _PAPERS if event.get(name)}
    # The day of the papers, not of the claim, which is another whenever the claim is corrected.
    day = max((row.get("ngay_ct", "") for rows in papers.values() for row in rows), default="") or event.get("ngaylap", "")
    whose = {name: summary[name] for name in _WHOSE if name in summary}
    return [Deliver(PORTAL, RULE, part=_part(event, whose) | {"ngaylap": day} | papers)]


def _part(event: Event, summary: Event) -> Event:
    meta = event["meta"]
    unparsed = {at: text for at, text in (meta.get("unparsed") or {}).items() if at.startswith(("XML7[", "XML8["))}
    kept = {name: event[name] for name in ("action", "ma_cskcb", "ma_lk")}
    return {"meta": {**meta, "unparsed": unparsed}, **kept, "xml1": summary}
