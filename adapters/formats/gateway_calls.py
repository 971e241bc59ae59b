"""The insurance gateway's calls as text: parameters in, the file of a claim out of them, answers with their result codes.

Clients of the field cut the answers with their own code: members keep their order and case, no blank stands between them, codes
are strings, and the time a token ends has seven digits behind the second.
Source: adjudication.md §5, list GATEWAY_RESULT; identifiers.md §12 for days and times.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson

from adapters.formats.claim_xml import ROOTS
from hub.contract.errors import ERRORS, HubError, Problem, Severity
from hub.contract.events import VIETNAM

ACCEPTED: Final = "200"
UNAVAILABLE: Final = "500"  # with HTTP 503: nothing was taken, send it again
_CONTENT_WRONG: Final = "202"
RESULTS: Final[Mapping[str, str]] = {
    "REQUEST_WRONG": "205",
    "NOT_FOUND": "205",
    "CREDENTIAL_WRONG": "401",
    "FACILITY_NOT_ENTITLED": "403",
    "TLS_REQUIRED": "403",
    "TRIES_EXCEEDED": "403",
    "TOKEN_EXPIRED": "501",
    "EMPTY_INPUT": "204",
    "FORMAT_UNKNOWN": "123",
    "MSH_UNREADABLE": "123",
    "CHARSET_UNREADABLE": "201",
    "XML_MALFORMED": "201",
    "XML_FORBIDDEN": "201",
    "XML_CONTENT_BROKEN": "201",
    "FRAME_TOO_LARGE": "1001",
    "FRAME_UNFINISHED": "408",
    "TRANSLATION_FAILED": "124",  # the bytes are kept, and it is for the hub to try again
    "CARD_CHECK_UNSET": "100",  # these two of list CARD_CHECK
    "CARD_CHECK_SILENT": "101",
}
"""Our code to the gateway's; any other code of a file that is not taken: its content is wrong (202)."""

_FIELDS_MAX: Final = 64
_ESCAPES_MAX: Final = 64 * 1024  # in one field
_OF_BASE64: Final = b"+/=-_ \r\n"
_NAMESPACED: Final = rb"<(?:[\w.-]+:)?"
_ROOT: Final = re.compile(_NAMESPACED + rb"([A-Za-z_][\w.-]*)[\s/>]")
_HOSO: Final = re.compile(_NAMESPACED + rb"HOSO[\s/>]", re.IGNORECASE)
_BARE: Final = ROOTS["XML0"][0].encode()
_DAY: Final = re.compile(r"(\d\d)/(\d\d)/(\d{4})")


# --- requests ---------------------------------------------------------------------------------------------------------


def parameters(body: bytes, query: str = "") -> dict[str, str]:
    """What a call states, by name in lower case: of its address, and of its body, a form or JSON, whatever its header says.

    Raises: HubError(REQUEST_WRONG).
    """
    try:
        found = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS_MAX))
        if body.lstrip()[:1] == b"{":
            stated = orjson.loads(body)
            found |= {name: str(value) for name, value in stated.items() if isinstance(value, str | int | float)}
        else:
            found |= _form(body.strip(b"\r\n"))
    except ValueError:  # JSON, UTF-8 or a form that is none
        raise HubError("REQUEST_WRONG", "body") from None
    return {name.lower(): value for name, value in found.items()}


def _form(body: bytes) -> dict[str, str]:
    """The fields of a form. Raises: ValueError for too many, for bytes that are no UTF-8, and as `_unescaped`."""
    if not body.isascii():
        body.decode()
    fields = body.split(b"&", _FIELDS_MAX)
    if len(fields) > _FIELDS_MAX:
        raise ValueError("fields")
    stated = [field.partition(b"=") for field in fields if field]
    return {_unescaped(name): _unescaped(value) for name, _, value in stated}


def _unescaped(text: bytes) -> str:
    """Percent signs undone. Each costs a hundred bytes on the way, so in a file only those of base64 may come in any number.

    Raises: ValueError for more of others.
    """
    text = text.replace(b"+", b" ")
    if len(text) > _ESCAPES_MAX:
        for sign in _OF_BASE64:
            text = text.replace(b"%%%02X" % sign, bytes([sign])).replace(b"%%%02x" % sign, bytes([sign]))
        if text.count(b"%") > _ESCAPES_MAX:
            raise ValueError("escapes")
    return unquote_to_bytes(text).decode("utf-8", "replace")


def file_of(text: str) -> bytes:
    """The file inside `fileHSBase64`. A text that is no base64 comes back as it is: the gate keeps and judges it.

    A form turns `+` into a blank where a client forgets to escape it.
    Raises: HubError(EMPTY_INPUT).
    """
    packed = text.translate(_UNBROKEN)
    if not packed.strip("+"):
        raise HubError("EMPTY_INPUT", "fileHSBase64")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "surrogateescape")


_UNBROKEN: Final = str.maketrans({"\r": None, "\n": None, "\t": None, " ": "+"})


def enveloped(raw: bytes, ma_cskcb: str, ngaylap: date) -> bytes:
    """A bare check-in table (XML0) in an envelope of one HOSO, byte for byte inside it; anything else as it is."""
    root = _ROOT.search(raw[:4096])
    if root is None or root.group(1).upper() != _BARE:
        return raw
    return (
        f"<GIAMDINHHS><THONGTINDONVI><MACSKCB>{ma_cskcb}</MACSKCB></THONGTINDONVI><THONGTINHOSO><NGAYLAP>{ngaylap:%Y%m%d}</NGAYLAP>"
        "<SOLUONGHOSO>1</SOLUONGHOSO><DANHSACHHOSO><HOSO><FILEHOSO><LOAIHOSO>XML0</LOAIHOSO>"
        f"<NOIDUNGFILE>{base64.b64encode(raw).decode()}</NOIDUNGFILE></FILEHOSO></HOSO></DANHSACHHOSO></THONGTINHOSO></GIAMDINHHS>"
    ).encode()


def holds_several(raw: bytes) -> bool:
    """Whether a file holds more than one HOSO: the gateway takes one a call."""
    found = _HOSO.finditer(raw)
    return next(found, None) is not None and next(found, None) is not None


def day_of(text: str, name: str) -> date:
    """dd/MM/yyyy. Raises: HubError(REQUEST_WRONG) that names the parameter."""
    found = _DAY.fullmatch(text.strip())
    try:
        if found:
            return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        pass
    raise HubError("REQUEST_WRONG", name)


# --- answers ----------------------------------------------------------------------------------------------------------


def token_answer(access_token: str, id_token: str, user: str, expires_at: datetime) -> bytes:
    """The answer of `api/token/take`."""
    key = {
        "access_token": access_token,
        "id_token": id_token,
        "token_type": "bearer",
        "username": user,
        "expires_in": f"{expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z",
    }
    return orjson.dumps({"maKetQua": ACCEPTED, "APIKey": key})


def receipt(code: str, transaction: str, at: datetime, text: str) -> bytes:
    """The answer to a file.

    transaction: maGiaoDich; "" when nothing was taken.
    at:          thoiGianTiepNhan, written as yyyyMMddHHmmss of Vietnam.
    """
    return orjson.dumps({"maKetQua": code, "maGiaoDich": transaction, "thoiGianTiepNhan": stamp(at), "thongDiep": text})


def success(**members: object) -> bytes:
    """The answer to a look-up."""
    return orjson.dumps({"maKetQua": ACCEPTED, **members})


def refusal(error: HubError, members: Mapping[str, object], told: str = "thongDiep") -> bytes:
    """The answer to a call that nothing came of.

    members: what a good answer to this call has besides maKetQua, empty: clients look for it.
    told:    the member that clients show to people.
    """
    return orjson.dumps({"maKetQua": refusal_code(error), **members, told: sentence(error.code, error.where)})


def refusal_code(error: HubError) -> str:
    """maKetQua of such an answer; `UNAVAILABLE` for what may pass."""
    return RESULTS.get(error.code, UNAVAILABLE if error.retriable else _CONTENT_WRONG)


def result_of(verdict: str, problems: Iterable[Problem]) -> tuple[str, str]:
    """maKetQua and thongDiep of a file that the brokers hold."""
    found = list(problems)
    if verdict == "translated":
        told = f" Có {len(found)} cảnh báo · {len(found)} warnings" if found else ""
        return ACCEPTED, f"Đã tiếp nhận · accepted.{told}"
    worst = next((problem for problem in found if problem.severity is Severity.ERROR), Problem("NOTHING_REPRESENTABLE"))
    return RESULTS.get(worst.code, _CONTENT_WRONG), sentence(worst.code, worst.path)


_OUTDATED: Final = "T07"  # that the decision is about a revision which is not in force: told whatever else is
_DECIDED: Final = {"ACCEPTED": "Đạt", "REDUCED": "Đạt", "REJECTED": "Không đạt"}


def decided_row(decision: Mapping[str, Any]) -> dict[str, Any]:
    """One row of dsKetQuaGiamDinh (`KQGiamDinhHoSo`): status, amount, reason.

    decision: as `hie.ClaimDecision`: `ma_lk`, `verdict`, `t_bhtt_gd` and `findings`. What is not decided needs more ("Cần bổ sung").
    """
    told = ("E", "") if decision["verdict"] == "REJECTED" else ("E", "C", "Q", "")  # "" of payers that name no severity
    found = decision.get("findings") or ()
    reasons = [_reason(one) for one in found if one.get("severity", "") in told or one.get("rule") == _OUTDATED]
    amount = decision.get("t_bhtt_gd")
    return {
        "maLK": decision["ma_lk"],
        "trangThai": _DECIDED.get(decision["verdict"], "Cần bổ sung"),
        "soTienDuyet": "" if amount is None else str(amount),
        "lyDo": "; ".join(reasons),
    }


def _reason(finding: Mapping[str, Any]) -> str:
    """XML3/2 DON_GIA [C05]: its sentence (giảm 1600.00)."""
    stt, rule, cut = finding.get("stt"), finding.get("rule"), finding.get("reduction")
    table = finding.get("table") or "XML1"
    where = f"{table if stt is None else f'{table}/{stt}'} {finding.get('field', '').upper()}".rstrip()
    text = finding.get("text_vi") or finding.get("text_en", "")
    return f"{where}{f' [{rule}]' if rule else ''}: {text}{f' (giảm {cut})' if cut else ''}"


def error_row(problem: Mapping[str, str]) -> dict[str, str]:
    """One row of dsLoi. problem: code, severity and path, as the journal keeps them."""
    code = problem["code"]
    return {"maLoi": RESULTS.get(code, _CONTENT_WRONG), "moTaLoi": sentence(code, problem["path"])}


def sentence(code: str, where: str = "") -> str:
    """Vietnamese, then English, then the code and its place."""
    row = ERRORS[code]
    return f"{row.vi} · {row.en} [{code}{f' {where}' if where else ''}]"


def stamp(at: datetime) -> str:
    """A time as the gateway writes it: yyyyMMddHHmmss of Vietnam."""
    return f"{at.astimezone(VIETNAM):%Y%m%d%H%M%S}"
