"""Messages written by others, through the whole door: what their standard allows is taken, and a refusal names a real fault."""

import pytest

from adapters.formats.structure import VERSIONS
from adapters.inbound.received import Received
from adapters.inbound.translate import split, translate
from hub.contract.errors import Severity
from tests.adapters.formats.samples import CORPUS, NO_CORPUS, corpus
from tests.adapters.inbound.test_translate import AT, KEYRING

TAKEN = ("ADT", "SIU", "ORU", "OUL", "ORM", "OML", "OMG", "OMI", "REF", "RRI")
NEEDED = {"ADT": {"PID"}, "SIU": {"SCH"}, "ORU": {"OBR", "OBX"}, "OUL": {"OBR", "OBX"}, "REF": {"RF1"}, "RRI": {"RF1"}}
ORDERS = {"ORC", "OBR", "RXO", "RXE"}


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"unverified: {NO_CORPUS}")
def test_what_is_refused_lacks_what_it_is_about() -> None:
    taken = refused = 0
    for name, raw in corpus():
        for part in split(raw):
            outcome = translate(Received(part, AT, "file"), KEYRING)
            kind = outcome.message.get("message_type", "")
            if kind[:4] not in {f"{family}^" for family in TAKEN}:
                continue
            if outcome.events:
                taken += 1
                continue
            refused += 1
            codes = {problem.code for problem in outcome.problems if problem.severity is Severity.ERROR}
            text = part.decode("latin-1").lstrip("ï»¿\x0b\r\n\t ")
            segments = {line.partition(text[3])[0].strip() for line in text.replace("\n", "\r").split("\r")}
            if codes == {"VERSION_UNSUPPORTED"}:
                assert outcome.message["version"] not in VERSIONS, name
            elif codes == {"NOTHING_REPRESENTABLE"}:
                assert segments.isdisjoint(NEEDED.get(kind[:3], ORDERS)), name
            elif codes == {"TYPE_UNSUPPORTED"}:
                assert kind in {"ADT^O01", "ORU^R01^ORU_R01"}, (
                    name
                )  # no such trigger; another component separator than MSH-2 says
            else:
                raise AssertionError(f"{name}: {codes}")
    assert taken > 1_950
    assert refused < 45


@pytest.mark.parametrize("version", [*sorted(VERSIONS), "2.3.1^VNM^VNM", " 2.5.1 "])
@pytest.mark.parametrize("kind", ["ADT^A01", "ORU^R01"])
def test_every_version_is_read(version: str, kind: str) -> None:
    rows = [f"MSH|^~\\&|H|01021|H|HUB|20261123080500||{kind}|1|P|{version}", "PID|1||1^^^^MR||A^B", "PV1|1|O", "OBR|1|1||A"]
    outcome = translate(Received("\r".join(rows).encode(), AT, "mllp"), KEYRING)
    assert outcome.verdict == "translated"
    assert outcome.message["version"] in VERSIONS
