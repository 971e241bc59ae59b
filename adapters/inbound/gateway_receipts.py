"""What became of files sent by the gateway's calls, as the journal knows it: counts by day, transactions of a day, errors.

The journal runs a moment behind the gate, keeps no amounts (so no `tongTien` is answered), and may be away without any file
waiting for it. What was decided on claims comes out of the facility's mailbox, which stays as it is: a round is a day on which
decisions came.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from adapters.formats.gateway_calls import decided_row, error_row, sentence
from hub.access.credentials import Credential
from hub.bus import Wire
from hub.contract.directory import facilities
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, Event, revision_rank
from hub.store.database import available

CLAIM: Final = "gateway"
CHECK_IN: Final = "gateway-check-in"
_AT_ONCE: Final = 4  # connections to the database
_WAITING_MAX: Final = 32
_LIMIT_S: Final = 5
_ROWS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose transactions: of a sender, by one transport, for one facility.

    What names no facility of the sender's (a file that could not be read) is shown under each of them.
    """

    sender: Credential
    facility: str
    transport: str

    def values(self) -> dict[str, Any]:
        mine = self.sender.facilities if self.sender.facilities is not None else facilities()
        return {"sender": self.sender.name, "facility": self.facility, "transport": self.transport, "mine": sorted(mine)}


_THEIRS: Final = (
    "sender = %(sender)s and transport = %(transport)s and (facility = %(facility)s or not facility = any(%(mine)s::text[]))"
)
_DAYS: Final = f"""
select day, count(*), count(*) filter (where verdict = 'translated') from journal_message
where day between %(since)s and %(until)s and {_THEIRS} group by day order by day
"""  # noqa: S608  # constants only
_TRANSACTIONS: Final = f"""
select message_id, received_at, verdict, problems from journal_message
where day = %(day)s and {_THEIRS} order by received_at, message_id limit {_ROWS_MAX}
"""  # noqa: S608
_ERRORS: Final = """
select problems from journal_message where message_id = %(id)s and sender = %(sender)s and transport like 'gateway%%'
"""


_DECISIONS: Final = (
    "facility = %(facility)s and recipient in (%(facility)s, %(facility)s || '!test') and test = %(test)s"
    " and record = 'hie.ClaimDecision' and state not in ('HELD', 'DISCARDED')"
)
_ROUNDS: Final = f"""
select day from mailbox where day >= %(since)s and day < %(until)s and {_DECISIONS} group by day order by day
"""  # noqa: S608
_DECIDED: Final = f"""
select body from mailbox where day = %(day)s and {_DECISIONS} order by recipient, seq limit {_ROWS_MAX}
"""  # noqa: S608


class Receipts:
    """Look-ups in the journal and in the mailbox. One for each process; used from its event loop."""

    def __init__(self, database_url: str, wire: Wire | None = None) -> None:
        self._url, self._wire = database_url, wire
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def days(self, asked: Asked, since: date, until: date) -> list[dict[str, object]]:
        """dsKQGuiHosoNgay: one row a day that has any.

        Raises, as all of these: HubError(DATABASE_UNAVAILABLE), HubError(OVERLOADED).
        """
        rows = await self._rows(_DAYS, {**asked.values(), "since": since, "until": until})
        return [
            {"ngayGui": f"{day:%d/%m/%Y}", "tongSo": total, "soHSThanhCong": right, "soHSLoi": total - right}
            for day, total, right in rows
        ]

    async def transactions(self, asked: Asked, day: date) -> list[dict[str, object]]:
        """dsHoSo: one row a call, in their order; the first ten thousand of a day."""
        rows = await self._rows(_TRANSACTIONS, {**asked.values(), "day": day})
        return [
            {
                "ngayGui": f"{received_at.astimezone(VIETNAM):%d/%m/%Y %H:%M:%S}",
                "maGiaoDich": str(ident),
                "soLuongHoSo": 1,
                "slHoSoDung": int(verdict == "translated"),
                "slHoSoLoi": int(verdict != "translated"),
                "mieuTa": _described(verdict, problems),
            }
            for ident, received_at, verdict, problems in rows
        ]

    async def errors(self, sender: Credential, transaction: str) -> list[dict[str, str]]:
        """dsLoi: what kept a file from being taken; nothing for one that was, however odd.

        Raises: HubError(NOT_FOUND) for another's transaction, and for one that is not in the journal yet.
        """
        try:
            ident = UUID(transaction)
        except ValueError:
            raise HubError("NOT_FOUND", "maGiaoDich") from None
        rows = await self._rows(_ERRORS, {"id": ident, "sender": sender.name})
        if not rows:
            raise HubError("NOT_FOUND", "maGiaoDich")
        return [error_row(problem) for problem in rows[0][0] if problem["severity"] == "E"]

    async def rounds(self, asked: Asked, month: date) -> list[dict[str, str]]:
        """dsDotGiamDinh: the days of a month on which decisions on the facility's claims came. month: its first day."""
        until = (month + timedelta(days=31)).replace(day=1)
        rows = await self._rows(_ROUNDS, {**asked.values(), "test": asked.sender.test, "since": month, "until": until})
        return [_round(day) for (day,) in rows]

    async def decided(self, asked: Asked, day: date) -> list[dict[str, Any]]:
        """dsKetQuaGiamDinh: one row a claim, by the newest decision of that day; payments are none."""
        rows = await self._rows(_DECIDED, {**asked.values(), "test": asked.sender.test, "day": day})
        return await asyncio.to_thread(self._newest, [bytes(body) for (body,) in rows])

    def _newest(self, bodies: Sequence[bytes]) -> list[dict[str, Any]]:
        if self._wire is None:
            raise HubError("REGISTRY_UNAVAILABLE", "decisions")
        newest: dict[tuple[str, str], Event] = {}
        for body in bodies:
            _, event = self._wire.unpack(body)
            about = (event["payer"], event["meta"]["key"])
            if event["verdict"] == "PAID" or (about in newest and _rank(newest[about]) > _rank(event)):
                continue
            newest[about] = event
        return [decided_row(event) for event in newest.values() if event["verdict"] != "CANCELLED"]

    async def _rows(self, query: str, values: Mapping[str, Any]) -> list[TupleRow]:
        if self._waiting >= _WAITING_MAX:
            raise HubError("OVERLOADED", "look-ups")
        self._waiting += 1
        try:
            async with asyncio.timeout(2 * _LIMIT_S), self._room:
                with available():
                    limit = f"-c statement_timeout={_LIMIT_S * 1000}"
                    async with await AsyncConnection.connect(self._url, connect_timeout=_LIMIT_S, options=limit) as database:
                        return await (await database.execute(query.encode(), values)).fetchall()
        except TimeoutError:
            raise HubError("DATABASE_UNAVAILABLE", "query") from None
        finally:
            self._waiting -= 1


def _described(verdict: str, problems: Sequence[Mapping[str, str]]) -> str:
    if verdict == "translated":
        return f"Đã tiếp nhận · accepted; {len(problems)} cảnh báo · warnings" if problems else "Đã tiếp nhận · accepted"
    worst = next((problem for problem in problems if problem["severity"] == "E"), None)
    return sentence(worst["code"], worst["path"]) if worst else verdict


def _rank(decision: Event) -> str:
    return revision_rank(decision["meta"]["revision"])


def _round(day: date) -> dict[str, str]:
    told = f"{day:%d/%m/%Y}"
    return {
        "maDot": f"{day:%Y%m%d}",
        "tenDot": f"Kết quả giám định ngày {told}",
        "tuNgay": told,
        "denNgay": told,
        "trangThai": "Đã giám định",
    }
