"""Discharge papers (XML7) and treatment summaries (XML8) of a claim: to the citizen's app, through the insurance portal's mailbox."""

from typing import Final

from hub.contract.events import Event, revision_rank
from hub.routing.follow_ups import PORTAL, is_held
from hub.routing.secondary import KIND
from hub.routing.stream import Deliver, Found, Known, Nobody, Output, Recall

RULE: Final = "summary-to-portal"
_PAPERS: Final = ("xml7", "xml8")
_GIVEN, _TAKEN_BACK = "GIVEN", "TAKEN_BACK"  # what a fact says of them
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


def said_of_papers(event: Event) -> str:
    """What the fact of a claim keeps of its papers: GIVEN to the portal, TAKEN_BACK with the claim, or nothing."""
    if event["action"] == "CANCELLED":
        return _TAKEN_BACK
    return _GIVEN if _has_papers(event) and not is_held(event) else ""


def to_portal(event: Event, projection: Event, known: Known) -> list[Output]:
    """What goes there of a claim; held where it is labelled sensitive.

    A cancelled claim goes too, with its key alone, where papers of an older one went: what waits of it is given up. Both sides
    see to that, so it goes whichever comes first; and before the papers that come late, which are never sent then. And
    every revision goes, with the papers of the one before or not: only the client of the portal knows what became of that
    one, and to the portal the same papers are the same file.

    projection: what the claim's payer gets, of whose summary the portal sees a part: no policies of other insurers are in it.
    known:      the facts of the claim's key.
    """
    said, rank = said_of_papers(event), revision_rank(event["meta"]["revision"])
    if said == _TAKEN_BACK:
        given = any(fact.data["rank"] <= rank for fact in _saying(_GIVEN, known))
        return [Deliver(PORTAL, RULE, part=taken_back(event))] if given else []
    if not said:
        return [Nobody("nobody-held-sensitive")] if _has_papers(event) else []
    newer = [fact.place for fact in _saying(_TAKEN_BACK, known) if fact.data["rank"] >= rank]
    summary = projection["xml1"]
    papers = {name: event[name] for name in _PAPERS if event.get(name)}
    # The day of the papers, not of the claim, which is another whenever the claim is corrected.
    day = max((row.get("ngay_ct", "") for rows in papers.values() for row in rows), default="") or event.get("ngaylap", "")
    whose = {name: summary[name] for name in _WHOSE if name in summary}
    cancelled = [Recall(place, PORTAL, RULE, part=taken_back) for place in newer]
    return [*cancelled, Deliver(PORTAL, RULE, part=_part(event, whose) | {"ngaylap": day} | papers)]


def taken_back(event: Event) -> Event:
    """What the portal gets of a cancelled claim: which one it is."""
    return _part(event, {"ma_lk": event["ma_lk"]})


def _has_papers(event: Event) -> bool:
    return any(event.get(name) for name in _PAPERS)


def _saying(said: str, known: Known) -> list[Found]:
    return [fact for fact in known if fact.kind == KIND and fact.data.get("papers") == said]


def _part(event: Event, summary: Event) -> Event:
    meta = event["meta"]
    unparsed = {at: text for at, text in (meta.get("unparsed") or {}).items() if at.startswith(("XML7[", "XML8["))}
    kept = {name: event[name] for name in ("action", "ma_cskcb", "ma_lk")}
    return {"meta": {**meta, "unparsed": unparsed}, **kept, "xml1": summary}
