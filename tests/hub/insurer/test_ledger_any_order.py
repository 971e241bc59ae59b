"""Revisions, corrections, cancellations and repeats in any order and any batches: the ledger says the same."""

import tempfile
import threading
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.contract.settings import read_settings
from hub.insurer import outbox as module
from hub.insurer.consumer import Insurer, _Memory
from hub.insurer.decisions import events as decided
from hub.insurer.history import close
from hub.insurer.ledger import Ledger
from hub.insurer.statement import statement
from hub.insurer.totals import totals
from hub.insurer.views import opened
from tests.hub.insurer.histories import service, visit
from tests.hub.insurer.made import Record, values_of, writers
from tests.hub.insurer.test_adjusted import NOVEMBER, Said
from tests.hub.insurer.test_consumer import CLOSED_AT

TOPIC = "topic-a"
CONTENTS = {
    "right": {},
    "more": {"services": (service(1), service(2, ma_dich_vu="23.0083.1523"))},
    "cut": {"services": (service(1, muc_huong=Decimal("100.00")),)},
    "rejected": {"nam_qt": 2025},
    "December": {"ngay_ra": "202612011000"},
    "cancelled": {"action": "CANCELLED"},
}
STATED = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 2), st.sampled_from(sorted(CONTENTS))), min_size=1, max_size=9, unique=True
)


class Wire:
    """Writer schemas as the registry knows them; decisions stay events."""

    writer = staticmethod(writers)


def worker(folder):
    """An insurer's worker that stands at offset 0 of a topic, without servers."""
    made = object.__new__(Insurer)
    made.settings, made.payer, made.stop, made.cpu_s = read_settings(ledger_dir=folder), "vss", threading.Event(), Counter()
    made._catalogues, made._wire, made._memory = None, Wire(), {0: _Memory(set())}
    made._ledger = Ledger(folder, TOPIC)
    made._outbox = module.Outbox(made._ledger, made._wire, Said(), "payer.vss.decision.v1", "0-of-1")
    made._outbox._records = lambda decisions, findings: list(decided(decisions, findings))
    return made


def read(folder, events, cuts):
    """Put the events through columns, rules, decisions and ledger, in batches cut at these places."""
    insurer, records = worker(folder), [Record(offset, value) for offset, value in enumerate(values_of(events))]
    places = sorted({0, len(records), *(cut % (len(records) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        insurer._process(records[start:end])
    return insurer._outbox._producer.events


def told(folder):
    """What the ledger says, but for the places in the topic."""
    where = "exclude (kafka_topic_id, kafka_partition, kafka_offset)"
    with opened(folder) as ledger:
        said: dict[str, object] = {
            name: ledger.sql(f"select * {where} from {name} order by all").fetchall()
            for name in ("claims", "lines", "findings", "decisions", "claims_in_force", "lines_in_force", "reductions")
        }
    said["totals"] = totals(folder)
    said["adjustments"] = sorted(map(repr, close(folder, NOVEMBER, CLOSED_AT).to_dicts()))
    said["statements"] = [statement(folder, "01004", month) for month in ("2026-11", "2026-12")]
    return said


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(stated=STATED, data=st.data())
def test_any_order_any_repeats_any_batches_one_ledger(stated, data):
    events = [
        visit(key, version=version, minutes=minutes, **CONTENTS[content])
        for minutes, (key, version, content) in enumerate(stated)
    ]
    sent = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=5))))
    cuts = data.draw(st.lists(st.integers(0, 14), max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder, "in-order"), Path(folder, "any-order")
        said, again = read(one, events, ()), read(other, sent, cuts)
        assert told(one) == told(other)
        by_id = lambda event: event["meta"]["event_id"]  # noqa: E731
        assert sorted(said, key=by_id) == sorted(again, key=by_id)


@settings(max_examples=8, deadline=None)
@given(stated=STATED)
def test_what_is_in_force_is_the_newest_revision_that_is_not_cancelled(stated):
    newest = {}
    for minutes, (key, version, content) in enumerate(stated):
        newest[key] = max(newest.get(key, (-1, 0, "")), (version, minutes, content))
    events = [
        visit(key, version=version, minutes=minutes, **CONTENTS[content])
        for minutes, (key, version, content) in enumerate(stated)
    ]
    with tempfile.TemporaryDirectory() as folder:
        read(Path(folder), events[::-1], (3,))
        with opened(Path(folder)) as ledger:
            in_force = dict(ledger.sql("select ma_lk, version from claims_in_force").fetchall())
    assert in_force == {key: version for key, (version, _, content) in newest.items() if content != "cancelled"}
