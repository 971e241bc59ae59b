"""The senders of the simulated week: one thread a link, lock-step, and together in the order of simulated time."""

import http.client
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import orjson

from adapters.formats.mllp import Decoder, Frame, encode
from hub.cli.messages import media_type, read_ack
from hub.contract.errors import HubError
from hub.week.accounts import Said
from hub.week.sends import Send

_APART: Final = timedelta(hours=1)
_TOGETHER: Final = 200  # messages that links may be apart by, where there are few in an hour
_GIVE_UP_S: Final = 300.0
_ANSWER_S: Final = 60.0
Place = tuple[str, int]


class Senders:
    """All links. None runs further ahead of another than an hour of simulated time, or what holds some 200 messages.

    gate: host and port of MLLP and of HTTP, asked anew for each connection: a gate that died may have others.
    """

    def __init__(self, sends: Sequence[Send], gate: Callable[[str], Place]) -> None:
        self._gate = gate
        sends = sorted(sends, key=lambda one: one.at)
        self._lanes: defaultdict[tuple[str, int], list[Send]] = defaultdict(list)
        for send in sends:
            self._lanes[send.lane].append(send)
        self._next = {lane: of[0].at for lane, of in self._lanes.items()}
        self._apart = max(_APART, (sends[-1].at - sends[0].at) * _TOGETHER / len(sends)) if sends else _APART
        self._changed = threading.Condition()
        self.said: dict[int, Said] = {}
        self.faults: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(lane,), daemon=True) for lane in self._lanes]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def run(self) -> None:
        """All of it, to its end. Raises: as `check`."""
        self.start()
        for thread in self._threads:
            thread.join()
        self.check()

    def check(self) -> None:
        """Raises: what a sender failed of: HubError(BROKER_UNAVAILABLE) when a message was not taken for minutes."""
        if self.faults:
            raise self.faults[0]

    @property
    def done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, lane: tuple[str, int]) -> None:
        link = _Link(self._gate)
        try:
            for send in self._lanes[lane]:
                self._wait(lane, send)
                self.said[send.number] = self._sent(link, send)
        except BaseException as fault:
            self.faults.append(fault)
        finally:
            link.close()
            with self._changed:
                self._next.pop(lane)
                self._changed.notify_all()

    @staticmethod
    def _sent(link: "_Link", send: Send) -> Said:
        if send.how == "cut":
            return link.cut(send.raw)
        return link.leave(send.raw) if send.how == "silent" else link.deliver(send)

    def _wait(self, lane: tuple[str, int], send: Send) -> None:
        """Until nobody is too far behind."""
        with self._changed:
            before = self._next[lane]
            self._next[lane] = send.at
            if send.at != before:
                self._changed.notify_all()
            while send.at > min(self._next.values()) + self._apart and not self.faults:
                self._changed.wait(0.2)


class _Link:
    """One sender's link: sends until it is answered, on a new connection after each trouble."""

    def __init__(self, gate: Callable[[str], Place]) -> None:
        self._gate = gate
        self._socket: socket.socket | None = None
        self._http: http.client.HTTPConnection | None = None

    def close(self) -> None:
        for one in (self._socket, self._http):
            if one is not None:
                one.close()
        self._socket = self._http = None

    def deliver(self, send: Send) -> Said:
        """Raises: HubError(BROKER_UNAVAILABLE) when it was not taken for minutes."""
        raw, unanswered = send.raw, 0
        deadline = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < deadline:
            try:
                message_id = self._post(raw) if send.door == "http" else self._exchange(raw)
            except (OSError, http.client.HTTPException, HubError):
                message_id = None
            if message_id is not None:
                return Said(1, unanswered, message_id)
            unanswered += 1
            self.close()
            time.sleep(0.3)
        raise HubError("BROKER_UNAVAILABLE", f"message {send.number} was not taken within {_GIVE_UP_S:.0f} s")

    def _exchange(self, raw: bytes) -> str | None:
        if self._socket is None:
            self._socket = socket.create_connection(self._gate("mllp_port"), timeout=_ANSWER_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(encode(raw))
        decoder = Decoder()
        while data := self._socket.recv(65536):
            for found in decoder.feed(data):
                if isinstance(found, Frame):
                    return "" if read_ack(found.body)["ack"] else None
        return None

    def _post(self, raw: bytes) -> str | None:
        if self._http is None:
            host, port = self._gate("http_port")
            self._http = http.client.HTTPConnection(host, port, timeout=_ANSWER_S)
        kind = media_type(raw)
        body = encode(raw) if kind == "application/hl7-v2" else raw  # a system without MLLP posts its frames all the same
        self._http.request("POST", "/v1/messages", body, {"Content-Type": kind})
        answer = self._http.getresponse()
        said = answer.read()
        return str(orjson.loads(said)["message_id"]) if answer.status in (200, 422) else None

    def leave(self, raw: bytes) -> Said:
        """Send on a link of its own and ask no more: whoever wants no refusals gets none, and cannot know."""
        with suppress(OSError, HubError), socket.create_connection(self._gate("mllp_port"), timeout=_ANSWER_S) as link:
            link.sendall(encode(raw))
            link.shutdown(socket.SHUT_WR)
            link.recv(100)  # the hub closes its side when it has dealt with it
        return Said(0, 1, "")

    def cut(self, raw: bytes) -> Said:
        """Half a frame, then nothing more; the hub closes its side when it has taken note."""
        with suppress(OSError, HubError), socket.create_connection(self._gate("mllp_port"), timeout=_ANSWER_S) as link:
            link.sendall(b"\x0b" + raw)
            link.shutdown(socket.SHUT_WR)
            if link.recv(100) == b"":
                return Said(1, 0, "")
        return Said(0, 1, "")
