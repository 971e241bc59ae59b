"""A portal to try against: the insurance gateway's token and file calls by HTTP, with stated grounds for refusing a document.

For tests and `hie simulate`: no part of a hub in service. What it refuses is written here anew, from the official XML alone, so that it
judges the client's own check instead of repeating it. Source: adjudication.md §5 to §7; column `required` of xml-tables.csv.

    with SimulatedPortal(facilities={"01004", "01021"}) as portal:
        portal.file(folder)          # the file for HIE_PORTAL
        portal.taken, portal.refused
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

from adapters.formats.charset import fold
from adapters.formats.claim_xml import Hoso, Reader
from adapters.formats.gateway_calls import file_of, parameters, receipt, token_answer
from hub.access.passwords import as_sent
from hub.contract.claim_tables import tables
from hub.contract.errors import HubError
from hub.contract.events import now

PASSWORD: Final = "a password of the simulated portal"  # noqa: S105  # of an invented account
_BODY_MAX: Final = 64 * 1024 * 1024
_NUMBERS: Final = {"XML13": "GIAY_CHUYEN_TUYEN", "XML14": "SO_GIAYHEN_KL"}
_PAPERS: Final = ("XML7", "XML8")
_WHOSE: Final = ("MA_LK", "MA_BN", "HO_TEN", "NGAY_SINH", "GIOI_TINH", "MA_CSKCB", "NGAY_VAO", "NGAY_RA")
_OPTIONAL: Final = frozenset({"TEN_DICH_VU", "TOMTAT_KQ", "NGAY_SINHCON", "NGAY_CONCHET"})
_SIGNED_SINCE: Final = "20260601"


class SimulatedPortal:
    """Listens on this machine while it is entered.

    facilities: codes that it knows; empty: it knows all.
    people:     card or number to name and birth date (yyyymmdd), as its register has them; a card that is not there is taken.
    life:       of a token.
    down:       while true, every call is answered 503.
    taken:      (facility, slip number, or MA_LK of papers) to the digests of the files accepted, in order.
    refused:    how often each ground was given.
    """

    def __init__(
        self,
        facilities: Collection[str] = (),
        people: Mapping[str, tuple[str, str]] | None = None,
        life: timedelta = timedelta(hours=1),
    ) -> None:
        self.facilities = frozenset(facilities)
        self.people = people or {}
        self.life = life
        self.down = False
        self.taken: dict[tuple[str, str], list[str]] = {}
        self.refused: Counter[str] = Counter()
        self.logins = 0
        self._tokens: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        portal = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                raw = self.rfile.read(min(size, _BODY_MAX))
                status, body = portal.answer(self.path, dict(self.headers.items()), raw)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: a file stands in each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def file(self, folder: Path, **stated: object) -> Path:
        """Write the file for `HIE_PORTAL`, with one account for all facilities, papers too unless stated. Returns: its path."""
        stated = {"papers": "true"} | stated
        (folder / "portal-password").write_text(PASSWORD, "utf-8")
        lines = [f'address = "{self.address}"', *(f"{name} = {value}" for name, value in stated.items())]
        path = folder / "portal.toml"
        path.write_text("\n".join([*lines, "[account.any]", 'user = "hub"', 'password_file = "portal-password"', ""]), "utf-8")
        return path

    # --- calls --------------------------------------------------------------------------------------------------------

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """HTTP status and body."""
        if self.down:
            return 503, b""
        with self._lock:
            if path == "/api/token/take":
                return 200, self._token(parameters(body))
            token = {name.lower(): value for name, value in headers.items()}.get("accesstoken", "")
            if self._tokens.get(token, now()) <= now():
                return 200, receipt("501", "", now(), "Token không đúng")
            return 200, self._file(parameters(body))

    def _token(self, stated: Mapping[str, str]) -> bytes:
        if stated.get("password", "") != as_sent(PASSWORD):
            return receipt("401", "", now(), "Sai tài khoản")
        self.logins += 1
        token, ends = f"token-{self.logins}", now() + self.life
        self._tokens[token] = ends
        return token_answer(token, token, stated.get("username", ""), ends)

    def _file(self, stated: Mapping[str, str]) -> bytes:
        raw = file_of(stated.get("filehsbase64", ""))
        digest = hashlib.sha256(raw).hexdigest()
        try:
            reader = Reader(raw, {name: list(table) for name, table in tables().items()})
            [hoso] = list(reader)
        except (HubError, ValueError):
            return self._refusal("201", "XML sai định dạng")
        for table, number in _NUMBERS.items():
            for row in hoso.tables.get(table, ()):
                key = (hoso.ma_cskcb, row.get(number, ""))
                if digest in self.taken.get(key, ()):
                    return receipt("200", digest[:20], now(), "Đã có")
                if ground := self._ground(table, row, hoso.ma_cskcb, stated.get("macskcb", ""), hoso.ngaylap):
                    return self._refusal("202", ground)
                self.taken.setdefault(key, []).append(digest)
        if any(table in hoso.tables for table in _PAPERS):
            [whose] = hoso.tables.get("XML1") or [{}]
            key = (hoso.ma_cskcb, whose.get("MA_LK", ""))
            if digest in self.taken.get(key, ()):
                return receipt("200", digest[:20], now(), "Đã có")
            if ground := self._ground_of_papers(hoso, whose, stated.get("macskcb", "")):
                return self._refusal("202", ground)
            self.taken.setdefault(key, []).append(digest)
        return receipt("200", digest[:20], now(), "Thành công")

    def _refusal(self, code: str, ground: str) -> bytes:
        self.refused[ground] += 1
        return receipt(code, "", now(), ground)

    def _ground(self, table: str, row: Mapping[str, str], facility: str, called: str, day: str) -> str:
        """Why a slip is not taken; "" when it is."""
        for name, element in tables()[table].items():
            if element.required == "y" and name not in _OPTIONAL and not row.get(name):
                return f"Thiếu {name}"
        if day >= _SIGNED_SINCE and not row.get("DU_PHONG"):
            return "Thiếu chữ ký số của đơn vị"
        if facility != called or row.get("MA_CSKCB", facility) != facility:
            return "Sai MA_CSKCB"
        if self.facilities and row.get("MA_CSKCB_DEN", facility) not in self.facilities:
            return "Không có MA_CSKCB_DEN"
        return self._another(row)

    def _ground_of_papers(self, hoso: Hoso, whose: Mapping[str, str], called: str) -> str:
        """Why discharge paper and treatment summary of a stay are not taken; "" when they are."""
        for name in _WHOSE:
            if not whose.get(name):
                return f"Thiếu XML1/{name}"
        if not whose.get("MA_THE_BHYT") and not whose.get("SO_CCCD"):
            return "Thiếu MA_THE_BHYT, SO_CCCD"
        if not hoso.ma_cskcb == called == whose["MA_CSKCB"]:
            return "Sai MA_CSKCB"
        for table in _PAPERS:
            for row in hoso.tables.get(table, ()):
                for name, element in tables()[table].items():
                    if element.required == "y" and name not in _OPTIONAL and not row.get(name):
                        return f"Thiếu {table}/{name}"
                if hoso.ngaylap >= _SIGNED_SINCE and not row.get("DU_PHONG"):
                    return "Thiếu chữ ký số của đơn vị"
                for name in ("MA_LK", "NGAY_VAO", "NGAY_RA"):
                    if row[name] != whose[name]:
                        return f"Sai {table}/{name}"
        return self._another(whose)

    def _another(self, row: Mapping[str, str]) -> str:
        """Whether card or number are another person's, by the portal's own register."""
        for card in filter(None, [*row.get("MA_THE_BHYT", "").split(";"), row.get("SO_CCCD", "")]):
            name, born = self.people.get(card.strip(), ("", ""))
            if name and fold(name) != fold(row.get("HO_TEN", "")):
                return "060 Sai họ tên"
            if born and born != row.get("NGAY_SINH", "")[:8]:
                return "070 Sai ngày sinh"
        return ""
