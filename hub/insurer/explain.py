"""A decided claim as a person would tell it: what was claimed, what is paid, and of each cut the line, the rule and the reason.

The same shape for a claim of the ledger and for one that is checked before it is sent. Pure, but for `read_claim` and `read_month`.
"""

from collections.abc import Mapping, Sequence
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
from hub.insurer.rules import adjudicate
from hub.insurer.settlement import TOLD, verdict_after

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


@dataclass(frozen=True, slots=True)
class Explained:
    """One revision of one claim and what was decided on it.

    claim:       columns of the ledger's `claims` that tell which it is, and its amounts; no names or numbers of people.
    verdict:     of `VERDICTS`, by the first decision.
    granted:     VND, by the first decision.
    places:      what that says, of the claim as a whole first, then of the lines in their order.
    adjustments: what was found after the decision, as columns of `ADJUSTMENTS`, oldest first.
    replaced:    whether a newer revision took its place.
    """

    claim: Mapping[str, Any]
    verdict: str
    granted: Decimal
    places: tuple[Place, ...]
    adjustments: tuple[Mapping[str, Any], ...] = ()
    replaced: bool = False

    @property
    def claimed(self) -> Decimal:
        """T_BHTT, VND."""
        return self.claim["t_bhtt"] or _NOTHING

    @property
    def paid(self) -> Decimal:
        """What the fund owes for it, VND: granted, less what was found afterwards.

        The difference to what its month was settled at (S01) is no cut of its own: the decision already has it.
        """
        return self.granted - sum((one["reduction"] or _NOTHING for one in self.found_later), _NOTHING)

    @property
    def verdict_now(self) -> str:
        """Of `VERDICTS`, in force: that of the first decision, or what adjustments made of it."""
        return verdict_after(self.verdict, self.claimed, self.paid) if self.paid != self.granted else self.verdict

    @property
    def changes(self) -> tuple[tuple[Mapping[str, Any], Decimal, Decimal], ...]:
        """Each of `found_later`, with what was to be paid before it and after it, VND."""
        made, paid = [], self.granted
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
        """As a `hie.ClaimDecision` would say it today: what was found afterwards stands among its findings."""
        findings = [one for place in self.places for one in place.findings]
        later = [{**one, "field": ""} for one in self.found_later]
        return {
            "ma_lk": self.claim["ma_lk"],
            "verdict": self.verdict_now,
            "t_bhtt_gd": self.paid,
            "findings": [*findings, *later],
        }

    def as_dict(self) -> dict[str, Any]:
        """For programs: the claim's own columns, verdict and amounts (first, and in force), then places and adjustments."""
        return {
            **self.claim,
            "replaced": self.replaced,
            "verdict": self.verdict,
            "t_bhtt_gd": self.granted,
            "verdict_now": self.verdict_now,
            "paid": self.paid,
            "places": [
                {
                    "table": one.table,
                    "stt": one.stt,
                    "name": one.name,
                    "t_bhtt": one.claimed,
                    "cut": one.cut,
                    "findings": one.findings,
                }
                for one in self.places
            ],
            "adjustments": self.adjustments,
        }


_CLAIM: Final = (
    *("event_id", "key", "payer", "ma_cskcb", "ma_lk", "action", "version", "stated_at", "received_at"),
    *("ngaylap", "ngay_vao", "ngay_ra", "t_tongchi_bv", "t_tongchi_bh", "t_bhtt"),
)


def checked(decoded: Decoded, payer: str, against: Catalogues | None = None) -> list[Explained]:
    """What the insurer would decide on claims, in their order; `replaced` are those that another one of them takes the place of."""
    findings = adjudicate(decoded, against=against)
    ids = decoded.claims.select("row", "event_id")

    def of_claims(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.join(ids, on="row", how="left", maintain_order="left")

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
    adjustments: pl.DataFrame | None = None,
) -> list[Explained]:
    """Claims in their order. All frames have the claim's `event_id`, and otherwise the columns of the ledger's tables."""
    found = _by_event(findings.sort("number"), FINDING)
    rows = _by_event(lines, ("table", "stt", "t_bhtt", *_NAMES))
    decided = {one["event_id"]: one for one in decisions.select("event_id", "verdict", "t_bhtt_gd").to_dicts()}
    later = _by_event(adjustments, tuple(ADJUSTMENTS)) if adjustments is not None else {}
    made = []
    for claim in claims.select(_CLAIM).to_dicts():
        event_id = claim["event_id"]
        said = decided.get(event_id, {"verdict": "", "t_bhtt_gd": _NOTHING})
        places = _places(found.get(event_id, []), rows.get(event_id, []), claim["t_bhtt"])
        adjusted = tuple(later.get(event_id, ()))
        made.append(Explained(claim, said["verdict"], said["t_bhtt_gd"] or _NOTHING, places, adjusted))
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

    wanted:   its MA_LK, the key of its events, or the id of one of them.
    facility: MA_CSKCB; "" for any.
    Returns:  claims of that name (those of several facilities may have one MA_LK), each with its revisions, newest first.
    """
    col = pl.col
    claims = _scan(folder, "claims")
    named = (col("ma_lk") == wanted) | (col("key") == wanted) | (col("event_id") == wanted)
    if facility:
        named &= col("ma_cskcb") == facility
    keys = claims.filter(named).select("key").unique().collect().get_column("key")
    own = newest_first(claims.filter(col("key").is_in(keys.implode())).select(*PLACE, *_CLAIM))
    own = own.unique("event_id", keep="first", maintain_order=True).sort("ma_cskcb", maintain_order=True)
    grouped: dict[str, list[Explained]] = {}
    for one in _with_sides(folder, own.collect()):
        revisions = grouped.setdefault(one.claim["key"], [])
        revisions.append(replace(one, replaced=bool(revisions)))
    return list(grouped.values())


def read_month(folder: Path, facility: str, month: str) -> list[Explained]:
    """A facility's claims in force whose visits ended in a month (NGAY_RA, else NGAYLAP), as they stand in the ledger.

    month: YYYY-MM.
    """
    col = pl.col
    left, wanted = col("ngay_ra"), month.replace("-", "")
    ended = pl.when(left.str.len_chars() >= 8).then(left).otherwise("ngaylap").str.slice(0, 6)
    own = _scan(folder, "claims").filter(col("ma_cskcb") == facility).select(*PLACE, *_CLAIM, ended.alias("month"))
    newest = newest_first(own).unique("key", keep="first", maintain_order=True)
    claims = newest.filter(col("action") != "CANCELLED", col("month") == wanted).sort("kafka_partition", "kafka_offset")
    return _with_sides(folder, claims.collect())


def _with_sides(folder: Path, claims: pl.DataFrame) -> list[Explained]:
    """Claims with all that hangs on them. A repeat that came late stands twice: the place in Kafka tells the rows apart."""
    ids = claims.select("event_id", *PLACE)
    wanted = pl.col("event_id").is_in(ids.get_column("event_id").implode())
    lines, findings, decisions = (
        _scan(folder, name).filter(wanted).collect().join(ids, on=["event_id", *PLACE], how="semi") for name in SIDES
    )
    later = adjustments(files_of(folder, ADJUSTED)).filter(wanted).collect().sort("closed_at", "rule", "adjustment_id")
    return explained(claims, lines, findings, decisions, later)


def _scan(folder: Path, name: str) -> pl.LazyFrame:
    return scan(files_of(folder, name), schema_of(name))
