"""A process that takes one large envelope made on the fly, and tells what it cost: `python -m tests.adapters.inbound.large_worker JSON`.

JSON: kafka, registry, folder, size (bytes). Prints JSON: count (of HOSO), size, verdict, events, peak_bytes.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from adapters.formats.claim_xml import write
from adapters.inbound.gate import Gate
from adapters.inbound.raw_store import RawStore
from adapters.inbound.received import Received
from hub.bus import Producer, Wire
from hub.contract.claim_tables import tables
from hub.contract.events import Keyring

NOTE = "Người bệnh tỉnh, tiếp xúc tốt, mạch 80 lần/phút, huyết áp 130/80 mmHg, bụng mềm, không sốt, ăn uống được. " * 40
KEY = b"LK-0000000"


def claim(number: int) -> dict[str, list[dict[str, str]]]:
    """A stay with long notes; its key is of one length, whatever the number."""
    key = f"LK-{number:07d}"
    notes = [{"MA_LK": key, "STT": str(at), "DIEN_BIEN_LS": NOTE} for at in range(1, 6)]
    lines = [{"MA_LK": key, "STT": str(at), "MA_DICH_VU": "03.0001.0000", "THANH_TIEN_BH": "120000.00"} for at in range(1, 4)]
    return {"XML1": [{"MA_LK": key, "MA_CSKCB": "01004", "T_BHTT": "360000.00"}], "XML3": lines, "XML5": notes}


def envelope(*numbers: int, nested: bool = False) -> bytes:
    """An envelope of such claims."""
    return write([claim(number) for number in numbers], tables(), ma_cskcb="01004", ngaylap="20261123", nested=nested)


async def body(size: int, counted: list[int]) -> AsyncIterator[bytes]:
    """An envelope of at least so many bytes, in pieces as a network gives them."""
    whole = write([claim(0)], tables(), ma_cskcb="01004", ngaylap="20261123")
    start, stop = whole.index(b"<HOSO>"), whole.rindex(b"</HOSO>") + len(b"</HOSO>")
    yield whole[:start].replace(b"<SOLUONGHOSO>1<", b"<SOLUONGHOSO>%d<" % (-(-size // (stop - start))))
    while counted[0] < -(-size // (stop - start)):
        counted[0] += 1
        one = write([claim(counted[0])], tables(), ma_cskcb="01004", ngaylap="20261123")
        one = one[one.index(b"<HOSO>") : one.rindex(b"</HOSO>") + len(b"</HOSO>")]
        for at in range(0, len(one), 65536):
            yield one[at : at + 65536]
    yield whole[stop:]


def peak_bytes() -> int:
    """The most memory this process has held; `ru_maxrss` would count what its parent held too."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


async def main(told: dict[str, Any]) -> None:
    producer = Producer(told["kafka"], wait_s=60)
    store = RawStore(Path(told["folder"]))
    gate = Gate(producer, Wire(told["registry"]), Keyring(b"a secret of tests only"), store)
    counted = [0]
    reference = await gate.large.spool(body(told["size"], counted), 2 * told["size"])
    assert reference is not None
    done = await gate.accept_large(Received(b"", gate.clock(), "http"), reference)
    found = {"count": counted[0], "size": done.message["raw_size"], "verdict": done.verdict, "problems": len(done.problems)}
    print(json.dumps({**found, "events": len(done.message["events"]), "peak_bytes": peak_bytes()}))
    gate.close()
    producer.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
