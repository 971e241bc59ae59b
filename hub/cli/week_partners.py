"""The recipients of the simulated week: each keeps its own list of what it got, which the accounts believe."""

import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx

from adapters.formats.mllp import Decoder, Frame, encode
from hub.contract.errors import HubError
from hub.week.sends import Expect

_PAGE: Final = 500
_ACTION: Final = {"LabResult": "status", "ClaimDecision": "verdict", "LabOrder": ""}
Place = tuple[str, int]


def seen(recipient: str, record: str, body: Mapping[str, Any]) -> Expect:
    """What a delivery is, read from its body alone."""
    kind = record.removeprefix("hie.")
    field = _ACTION.get(kind, "action")
    action = str(body.get(field, "")) if field else ""
    issuer = body.get("ma_cskcb", "")
    about = {
        "LabOrder": body.get("placer", ""),
        "LabResult": body.get("filler", ""),
        "ClaimDecision": f"{issuer}/{body.get('ma_lk', '')}",
    }.get(kind) or f"{issuer}/{body.get('slip') or body.get('ma_lk', '')}"
    return Expect(recipient, kind, action, about)


class Partner(ABC):
    """One recipient in a thread of its own.  got: by delivery id; the same delivery again is the same."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.got: dict[str, Expect] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    @abstractmethod
    def _run(self) -> None:
        """Until `_stop` is set."""


class Puller(Partner):
    """Asks its inbox again and again, keeps what is there, acknowledges it, then keeps the cursor.

    rest_s: how long it sleeps between two looks.
    inbox:  host and port, asked anew each time.
    """

    def __init__(self, code: str, inbox: Callable[[], Place], rest_s: float) -> None:
        super().__init__(code)
        self._inbox, self._rest_s = inbox, rest_s

    def _run(self) -> None:
        cursor = 0
        with httpx.Client(timeout=60) as client:
            while not self._stop.is_set():
                with suppress(httpx.HTTPError, HubError, OSError):
                    cursor = self._look(client, cursor)
                self._stop.wait(self._rest_s)

    def _look(self, client: httpx.Client, cursor: int) -> int:
        host, port = self._inbox()
        place = f"http://{host}:{port}/v1/inbox/{self.code}"
        answer = client.get(place, params={"after": cursor, "wait": 2, "limit": _PAGE})
        answer.raise_for_status()
        page = answer.json()
        rows = page["deliveries"]
        if not rows:
            return cursor
        for row in rows:
            self.got[row["delivery_id"]] = seen(self.code, row["record"], row["body"] or {})
        word = [{"delivery_id": row["delivery_id"], "state": "ACKNOWLEDGED"} for row in rows]
        client.post(f"{place}/receipts", json=word).raise_for_status()
        return int(page["cursor"])


class Listener(Partner):
    """A laboratory that listens for MLLP: reads orders, answers each with AA, some after a while.

    Its list is by MSH-10, which is the same at each try.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.5)

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def _run(self) -> None:
        with self._server:
            while not self._stop.is_set():
                with suppress(TimeoutError, OSError):
                    link, _ = self._server.accept()
                    threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        decoder = Decoder()
        link.settimeout(1)
        with link:
            while not self._stop.is_set():
                try:
                    data = link.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not data:
                    return
                for found in decoder.feed(data):
                    if isinstance(found, Frame):
                        with suppress(OSError):
                            link.sendall(encode(self._take(found.body)))

    def _take(self, body: bytes) -> bytes:
        segments = [line.split("|") for line in body.decode("latin-1").replace("\n", "\r").split("\r") if line]
        by_name = {fields[0]: fields for fields in reversed(segments)}
        header, order = by_name["MSH"], by_name.get("ORC", [""] * 3)
        control_id, kind = header[9], header[8].split("^")[0]
        record = "LabOrder" if kind in ("ORM", "OML") else kind
        self.got[control_id] = Expect(self.code, record, "", order[2].split("^")[0])
        if len(self.got) % 20 == 0:
            time.sleep(0.2)
        return (
            f"MSH|^~\\&|LIS|{self.code}|HIE|HUB|{header[6]}||ACK|A{len(self.got)}|P|{header[11]}\rMSA|AA|{control_id}\r".encode()
        )


class App(Partner):
    """The insurance portal, and behind it the citizen's app: what it has taken, each slip once, however often it was revised.

    taken: (facility, slip number) to the files, as `SimulatedPortal` keeps them.
    """

    def __init__(self, taken: Mapping[tuple[str, str], object]) -> None:
        super().__init__("portal")
        self._taken = taken

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            for facility, slip in list(self._taken):
                record = "FollowUp" if slip.startswith("HK-") else "Referral"
                self.got[f"{facility}/{slip}"] = Expect("portal", record, "taken", f"{facility}/{slip}")


class Payer(Partner):
    """A payer, who reads a topic of its own of slips, by event id.

    kafka, registry: addresses of the hub.
    """

    def __init__(self, code: str, kafka: str, registry: str) -> None:
        super().__init__(code)
        self._kafka, self._registry = kafka, registry

    def _run(self) -> None:
        from hub.bus import Wire, consumer

        wire, reader = Wire(self._registry), consumer(self._kafka, f"week-{self.code}", [f"payer.{self.code}.referral.v1"])
        try:
            while not self._stop.is_set():
                for message in reader.consume(_PAGE, 0.5):
                    if message.error() is None:
                        record, event = wire.unpack(message.value())
                        self.got[event["meta"]["event_id"]] = seen(self.code, record, event)
        finally:
            reader.close()


def together(partners: list[Partner]) -> Counter[Expect]:
    """What all of them got, so far."""
    return Counter(one for partner in partners for one in list(partner.got.values()))
