"""Claims for the tests of the insurer, and its tables of columns made from them."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from hub.contract.events import Event, encode
from hub.insurer.catalogues import Catalogues
from hub.insurer.columns import Decoded, decode_claims
from hub.insurer.decisions import decide
from hub.insurer.ledger import PLACE, schema_of
from hub.insurer.rules import RULES, adjudicate
from hub.insurer.rules.model import Rule
from hub.simulate import cents, claims, shares, totals

SCHEMA_ID = 7
PREFIX = b"\0" + SCHEMA_ID.to_bytes(4, "big")


def writers(schema_id: int) -> tuple[str, Any]:
    """A registry that knows our own claim schema under one id."""
    from hub.contract.errors import HubError

    if schema_id != SCHEMA_ID:
        raise HubError("BODY_UNDECODABLE", f"schema id {schema_id}")
    return "hie.Claim", None


class Record:
    """A record of the topic as the Kafka client has it."""

    def __init__(self, offset, value):
        self._offset, self._value = offset, value

    def partition(self):
        return 0

    def offset(self):
        return self._offset

    def value(self):
        return self._value


def values_of(events: Iterable[Event]) -> list[bytes]:
    return [PREFIX + encode("hie.Claim", event) for event in events]


def columns_of(events: Iterable[Event]) -> Decoded:
    return decode_claims(values_of(events), writers)


def claim(seed: int = 1, rows: int = 26) -> Event:
    """One right claim with lines in both tables."""
    return next(event for event in claims(seed, 50, rows) if event.get("xml2") and event.get("xml3"))


COMMON = {
    "pham_vi": "1",
    "don_vi_tinh": "lần",
    "ma_khoa": "K01",
    "ma_bac_si": "000123/HNO-CCHN",
    "ngay_yl": "202611230815",
    "ngay_th_yl": "202611230830",
}
OF_TABLE = {
    "xml2": {"ma_thuoc": "40.154", "ten_thuoc": "Amoxicilin 500mg", "ham_luong": "500mg", "duong_dung": "1.01", "lieu_dung": "1 viên * 3 lần * 5 ngày [3 viên/ngày]", "so_dang_ky": "VD-28268-17", "nguon_ctra": "1"},
    "xml3": {"ma_dich_vu": "23.0075.1494", "ten_dich_vu": "Định lượng Glucose [Máu]", "nguoi_thuc_hien": "000456/HNO-CCHN", "ma_benh": "E11.9", "ngay_kq": "202611230915", "ma_may": "XN.1.AU480"},
}  # fmt: skip


def line(table: str, **given: Any) -> dict[str, Any]:
    """A right line without sponsors; what is given comes instead, and `sponsors` is spread over the four sources."""
    prices = {"don_gia": Decimal("1000.000")} if table == "xml2" else {"don_gia_bv": Decimal("1000.000"), "don_gia_bh": Decimal("1000.000"), "tyle_tt_dv": Decimal("100.00")}  # fmt: skip
    made: dict[str, Any] = {
        "stt": 1,
        "ma_nhom": "4" if table == "xml2" else "1",
        "ma_pttt": "1",
        **COMMON,
        **OF_TABLE[table],
        "so_luong": Decimal("10.000"),
        "tyle_tt_bh": Decimal("100.00"),
        "muc_huong": Decimal("80.00"),
        **prices,
        "ngay_yl": "202611230815",
        "ngay_th_yl": "202611230830",
        "tt_thau": "1234/QĐ-SYT;G5;N1;2026",
        **{f"t_nguonkhac_{name}": Decimal("0.00") for name in ("nsnn", "vtnn", "vttn", "cl")},
        "t_nguonkhac": Decimal("0.00"),
    } | given
    price = made["don_gia"] if table == "xml2" else made["don_gia_bv"] * made["tyle_tt_dv"] / 100
    insured = made["don_gia"] if table == "xml2" else made["don_gia_bh"] * made["tyle_tt_dv"] / 100
    bv = cents(made["so_luong"] * price)
    bh = cents(made["so_luong"] * insured * made["tyle_tt_bh"] / 100)
    right = {"thanh_tien_bv": bv, "thanh_tien_bh": bh, **shares(bv, bh, made["muc_huong"], made["t_nguonkhac"])}
    return right | made


def claim_of(drugs: Sequence[dict[str, Any]] = (), services: Sequence[dict[str, Any]] = (), **summary: Any) -> Event:
    """A claim of these lines whose totals are theirs, unless given otherwise."""
    made = claim()
    xml2, xml3 = list(drugs), list(services)
    return made | {"xml1": made["xml1"] | totals(xml2, xml3) | summary, "xml2": xml2, "xml3": xml3, "xml4": []}


def findings_of(*events: Event, rules: Sequence[Rule] = RULES, against: Catalogues | None = None) -> pl.DataFrame:
    decoded = columns_of(events)
    assert not decoded.culprits
    return adjudicate(decoded, rules, against)


def found_in(event: Event, rules: Sequence[Rule] = RULES) -> set[tuple[str, str, str]]:
    """Rule, severity and field of every finding about one claim."""
    return set(findings_of(event, rules=rules).select("rule", "severity", "field").iter_rows())


def batch(
    events: Iterable[Event], places: Iterable[tuple[int, int]], topic_id: str = "topic-a", rules: Sequence[Rule] = RULES
) -> dict[str, pl.DataFrame]:
    """Frames of the ledger's tables for a batch whose claims stand at (partition, offset)."""
    decoded = columns_of(events)
    findings = adjudicate(decoded, rules)
    frames = {
        "claims": decoded.claims,
        "lines": decoded.lines,
        "findings": findings,
        "decisions": decide(decoded.claims, findings, "vss"),
    }
    where = pl.DataFrame(
        [
            {"row": row, "kafka_topic_id": topic_id, "kafka_partition": partition, "kafka_offset": offset}
            for row, (partition, offset) in enumerate(places)
        ],
        schema={"row": pl.UInt32(), **PLACE},
    )
    ids = decoded.claims.select("row", "event_id")
    return {
        name: (frame if name == "claims" else frame.join(ids, on="row")).join(where, on="row").select(*schema_of(name))
        for name, frame in frames.items()
    }
