"""A decided claim as a person would tell it: what was claimed, what is paid, and of each cut the line, the rule and the reason.

The same shape for a claim of the ledger and for one that is checked before it is sent. Pure, but for `read_claim` and `read_month`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from hub.insurer.catalogues import Catalogues
from hub.insurer.columns import Decoded
from hub.insurer.decisions import FINDING, decide
from hub.insurer.history import ADJUSTMENTS, adjustments
from hub.insurer.history import TABLE as ADJUSTED
from hub.insurer.ledger import PLACE, SIDES, files_of, newest_first, scan, schema_of
from hub.insurer.promoted import AGAIN, again
from hub.insurer.promoted import found as findings_in_force
from hub.insurer.rules import adjudicate
from hub.insurer.settlement import FORGOTTEN, TOLD, verdict_after

VERDICTS: Final = {
    "ACCEPTED": ("chấp nhận", "accepted"),
    "REDUCED": ("giảm trừ", "reduced"),
    "REJECTED": ("từ chối", "rejected"),
    "CANCELLED": ("đã hủy", "cancelled"),
}
"""Verdict to its word in Vietnamese and in English."""

SEVERITIES: Final = {
    "E": ("từ chối", "rejects"),
    "C": ("giảm trừ", "cuts"),
    "W": ("cảnh báo", "warning"),
    "I": ("ghi nhận", "noted"),
}

_OTHER: Final = {"other_ma_cskcb": "ma_cskcb", "other_ma_lk": "ma_lk"}
_NAMES: Final = ("ten_thuoc", "ten_vat_tu", "ten_dich_vu")  # a supply may name the service that it was used in
_NOTHING: Final = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Place:
    """What is said of one line, or (XML1, no `stt`) of the claim as a whole.

    name:     of the drug, service or supply; "" for the claim.
    claimed:  its T_BHTT, VND; None where the line has none, or cannot be told from another of the same number.
    findings: as columns of `FINDINGS`.
    """

    table: str
    stt: int | None
    name: str
    claimed: Decimal | None
    findings: tuple[Mapping[str, Any], ...]

    @property
    def cut(self) -> Decimal:
        """VND that the findings take."""
        return sum((one["reduction"] or _NOTHING for one in self.findings), _NOTHING)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        own = {"table": self.table, "stt": self.stt, "name": self.name, "t_bhtt": self.claimed}
        return {**own, "cut": self.cut, "findings": self.findings}


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided on a claim.

    verdict: of `VERDICTS`; "" while nothing is decided.
    granted: VND.
    places:  what is said of the claim as a whole first, then of the lines in their order.
    """

    verdict: str
    granted: Decimal
    places: tuple[Place, ...]

    def without(self, other: "Decided") -> tuple[Place, ...]:
        """The places with what they alone say, and not the other one's at the same place too."""
        known = {(one.table, one.stt): one.findings for one in other.places}
        own = [
            replace(one, findings=tuple(row for row in one.findings if row not in known.get((one.table, one.stt), ())))
            for one in self.places
        ]
        return tuple(one for one in own if one.findings)


@dataclass(frozen=True, slots=True)
class Explained:
    """One revision of one claim and what was decided on it.

    claim:       columns of the ledger's `claims` that tell which it is, and its amounts; no names or numbers of people.
    first:       the first decision.
    again:       that of the promoted branch by which it stands; None where it stands by the first one.
    adjustments: what was found after the decision, as columns of `ADJUSTMENTS`, oldest first; with `other_ma_cskcb` and
                 `other_ma_lk` of the other claim, "" where there is none.
    replaced:    whether a newer revision took its place.
    """

    claim: Mapping[str, Any]
    first: Decided
    again: Decided | None = None
    adjustments: tuple[Mapping[str, Any], ...] = ()
    replaced: bool = False

    @property
    def stands(self) -> Decided:
        """The decision in force, before what was found across claims."""
        return self.again or self.first

    @property
    def claimed(self) -> Decimal:
        """T_BHTT, VND."""
        return self.claim["t_bhtt"] or _NOTHING

    @property
    def paid(self) -> Decimal:
        """What the fund owes for it, VND: granted first, less what was found afterwards.

        The difference to what its month was settled at (S01) is no cut of its own: the decision already has it.
        """
        return self.first.granted - sum((one["reduction"] or _NOTHING for one in self.found_later), _NOTHING)

    @property
    def verdict_now(self) -> str:
        """Of `VERDICTS`, in force: that of the decision by which it stands, or what adjustments made of it."""
        said = self.stands
        return verdict_after(said.verdict, self.claimed, self.paid) if self.paid != said.granted else said.verdict

    @property
    def changes(self) -> tuple[tuple[Mapping[str, Any], Decimal, Decimal], ...]:
        """Each of `found_later`, with what was to be paid before it and after it, VND."""
        made, paid = [], self.first.granted
        for one in self.found_later:
            before, paid = paid, paid - (one["reduction"] or _NOTHING)
            made.append((one, before, paid))
        return tuple(made)

    @property
    def found_later(self) -> tuple[Mapping[str, Any], ...]:
        """Adjustments that change what was decided, or warn of it."""
        return tuple(one for one in self.adjustments if one["severity"] != TOLD)

    @property
    def settled_later(self) -> tuple[Mapping[str, Any], ...]:
        """Adjustments (S01) that only say with which closing of its month a late correction is settled."""
        return tuple(one for one in self.adjustments if one["severity"] == TOLD)

    @property
    def refused(self) -> bool:
        """Whether it must be corrected before anything is paid."""
        return self.verdict_now == "REJECTED"

    def as_decision(self) -> dict[str, Any]:
        """As a `hie.ClaimDecision` would say it today: what was found afterwards stands among its findings; never below zero."""
        findings = [one for place in self.stands.places for one in place.findings]
        later = [{**one, "field": ""} for one in as_told(self.found_later, known=self.again is not None)]
        return {
            "ma_lk": self.claim["ma_lk"],
            "verdict": self.verdict_now,
            "t_bhtt_gd": max(self.paid, _NOTHING),
            "findings": [*findings, *later],
        }

    def as_dict(self) -> dict[str, Any]:
        """For programs: the claim's own columns; verdict, amounts and places, first and in force (`…_now`, `paid`); adjustments."""
        return {
            **self.claim,
            "replaced": self.replaced,
            "verdict": self.first.verdict,
            "t_bhtt_gd": self.first.granted,
            "verdict_now": self.verdict_now,
            "paid": self.paid,
            "places": [one.as_dict() for one in self.first.places],
            "places_now": [one.as_dict() for one in self.stands.places],
            "adjustments": self.adjustments,
        }


_UNDECIDED: Final = Decided("", _NOTHING, ())
_CLAIM: Final = (
    *("event_id", "key", "payer", "ma_cskcb", "ma_lk", "action", "version", "stated_at", "received_at"),
    *("ngaylap", "ngay_vao", "ngay_ra", "t_tongchi_bv", "t_tongchi_bh", "t_bhtt"),
)


def checked(decoded: Decoded, payer: str, against: Catalogues | None = None) -> list[Explained]:
    """What the insurer would decide on claims, in their order; `replaced` are those that another one of them takes the place of."""
    findings = adjudicate(decoded, against=against)
    ids = decoded.claims.select("row", "event_id").unique("event_id", keep="first")  # a repeat says the same again

    def of_claims(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.join(ids, on="row", maintain_order="left")

    decisions = decide(decoded.claims, findings, payer)
    newest = newest_first(decoded.claims.lazy().with_columns(kafka_offset="row")).unique("key", keep="first", maintain_order=True)
    counts = set(newest.select("row").collect().get_column("row"))
    told = explained(decoded.claims, of_claims(decoded.lines), of_claims(findings), of_claims(decisions))
    rows = decoded.claims.get_column("row")
    return [replace(one, replaced=row not in counts) for row, one in zip(rows, told, strict=True)]


def explained(
    claims: pl.DataFrame,
    lines: pl.DataFrame,
    findings: pl.DataFrame,
    decisions: pl.DataFrame,
) -> list[Explained]:
    """Claims in their order. All frames have the claim's `event_id`, and otherwise the columns of the ledger's tables."""
    said = _decided(claims, lines, findings, decisions)
    return [Explained(claim, said.get(claim["event_id"], _UNDECIDED)) for claim in claims.select(_CLAIM).to_dicts()]


def _decided(claims: pl.DataFrame, lines: pl.DataFrame, findings: pl.DataFrame, decisions: pl.DataFrame) -> dict[str, Decided]:
    """By event, what decisions and their findings say; frames as those of `explained`."""
    found = _by_event(findings.sort("number"), FINDING)
    rows = _by_event(lines, ("table", "stt", "t_bhtt", *_NAMES))
    claimed = dict(claims.select("event_id", "t_bhtt").iter_rows())
    made = {}
    for event_id, verdict, granted in decisions.select("event_id", "verdict", "t_bhtt_gd").iter_rows():
        places = _places(found.get(event_id, []), rows.get(event_id, []), claimed[event_id])
        made[event_id] = Decided(verdict, granted or _NOTHING, places)
    return made


def _by_event(frame: pl.DataFrame, columns: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    of_event: dict[str, list[dict[str, Any]]] = {}
    wanted = dict.fromkeys(("event_id", *columns))
    for row in frame.select(*wanted).to_dicts():
        of_event.setdefault(row["event_id"], []).append({name: row[name] for name in columns})
    return of_event


def _places(findings: list[dict[str, Any]], lines: list[dict[str, Any]], claimed: Decimal | None) -> tuple[Place, ...]:
    at: dict[tuple[str, int | None], list[dict[str, Any]]] = {}
    for one in findings:
        at.setdefault((one["table"] or "XML1", one["stt"]), []).append(one)
    of_line: dict[tuple[str, int | None], list[dict[str, Any]]] = {}
    for line in lines:
        of_line.setdefault((line["table"], line["stt"]), []).append(line)
    made = []
    for table, stt in sorted(at, key=lambda place: (int(place[0][3:]), place[1] or 0)):
        own = of_line.get((table, stt), [])
        line = own[0] if len(own) == 1 else {}
        name = next((line[name] for name in _NAMES if line.get(name)), "")
        amount = claimed if table == "XML1" else line.get("t_bhtt")
        made.append(Place(table, stt, name, amount, tuple(at[table, stt])))
    return tuple(made)


def as_told(adjustments: Iterable[Mapping[str, Any]], *, known: bool) -> list[Mapping[str, Any]]:
    """Adjustments as a decision says them.  known: the findings of a promoted branch stand beside them, so that R01 only tells."""
    told = {"severity": TOLD, "reduction": None}
    return [{**one, **told} if known and one["rule"] == AGAIN else one for one in adjustments]


def other_words(one: Mapping[str, Any]) -> tuple[str, str] | None:
    """The other claim that an adjustment is about, in Vietnamese and in English; None where there is none or it is not known."""
    if not one["other_ma_lk"]:
        return None
    which = f"{one['other_ma_cskcb']} {one['other_ma_lk']}"
    return f"Hồ sơ kia: {which}", f"The other claim: {which}"


def settled_words(one: Mapping[str, Any]) -> tuple[str, str]:
    """What one of `settled_later` says, in Vietnamese and in English: so that nobody adds it to what is paid."""
    difference = f"{-one['reduction']:+,.2f} VND"
    if one["reverses"]:
        return f"rút lại chênh lệch đã ghi ({difference})", f"a difference told before is taken back ({difference})"
    return (
        f"sửa, thu hồi hoặc gửi sau quyết toán: chênh {difference}; quyết định đã tính, không cộng trừ nữa",
        f"corrected, withdrawn or sent after the settlement: {difference} to it; the decision has it already, nothing is added",
    )


def read_claim(folder: Path, wanted: str, facility: str = "") -> list[list[Explained]]:
    """What a ledger has of a claim.

    wanted:   its MA_LK, the key of its events, or the id of one of them; "" is none, though what was erased has it as its MA_LK.
    facility: MA_CSKCB; "" for any.
    Returns:  claims of that name (those of several facilities may have one MA_LK), each with its revisions, newest first.
    """
    col = pl.col
    claims = _scan(folder, "claims")
    named = (col("ma_lk") == wanted) | (col("key") == wanted) | (col("event_id") == wanted)
    if facility:
        named &= col("ma_cskcb") == facility
    keys = claims.filter(named, wanted != "").select("key").unique().collect().get_column("key")
    own = newest_first(claims.filter(col("key").is_in(keys.implode())).select(*PLACE, *_CLAIM))
    own = own.unique("event_id", keep="first", maintain_order=True).sort("ma_cskcb", maintain_order=True)
    grouped: dict[str, list[Explained]] = {}
    for one in _with_sides(folder, own.collect()):
        revisions = grouped.setdefault(one.claim["key"], [])
        revisions.append(replace(one, replaced=bool(revisions)))
    return list(grouped.values())


def read_month(folder: Path, facility: str, month: str) -> list[Explained]:
    """A facility's claims in force whose visits ended in a month (NGAY_RA, else NGAYLAP), as they stand in the ledger.

    month: YYYY-MM. What was erased is left out: it has no MA_LK by which the facility would know it.
    """
    col = pl.col
    left, wanted = col("ngay_ra"), month.replace("-", "")
    ended = pl.when(left.str.len_chars() >= 8).then(left).otherwise("ngaylap").str.slice(0, 6)
    own = _scan(folder, "claims").filter(col("ma_cskcb") == facility).select(*PLACE, *_CLAIM, ended.alias("month"))
    newest = newest_first(own).unique("key", keep="first", maintain_order=True)
    claims = newest.filter(~col("action").is_in(["CANCELLED", FORGOTTEN]), col("month") == wanted).sort(
        "kafka_partition", "kafka_offset"
    )
    return _with_sides(folder, claims.collect())


def _with_sides(folder: Path, claims: pl.DataFrame) -> list[Explained]:
    """Claims with all that hangs on them. A repeat that came late stands twice: the place in Kafka tells the rows apart."""
    ids = claims.select("event_id", *PLACE)
    wanted = pl.col("event_id").is_in(ids.get_column("event_id").implode())
    lines, findings, decisions = (
        _scan(folder, name).filter(wanted).collect().join(ids, on=["event_id", *PLACE], how="semi") for name in SIDES
    )
    known = adjustments(files_of(folder, ADJUSTED)).filter(wanted)
    stands = again(folder, known, wanted).collect()
    promoted = findings_in_force(folder, known, wanted).collect().join(stands, on="event_id", how="semi")
    by_branch = _decided(claims, lines, promoted.unique(["event_id", "number"]), stands)
    later = _by_event(_with_other(folder, known.collect()), (*ADJUSTMENTS, *_OTHER))
    return [
        replace(one, again=by_branch.get(one.claim["event_id"]), adjustments=tuple(later.get(one.claim["event_id"], ())))
        for one in explained(claims, lines, findings, decisions)
    ]


def _with_other(folder: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """Adjustments, oldest first, with facility and MA_LK of the other claim."""
    others = rows.get_column("other_event_id").unique()
    named = _scan(folder, "claims").filter(pl.col("event_id").is_in(others.implode()))
    known = named.select(pl.col("event_id").alias("other_event_id"), **_OTHER).unique("other_event_id").collect()
    joined = rows.join(known, on="other_event_id", how="left").with_columns(pl.col(*_OTHER).fill_null(""))
    return joined.sort("closed_at", "rule", "adjustment_id")


def _scan(folder: Path, name: str) -> pl.LazyFrame:
    return scan(files_of(folder, name), schema_of(name))
