"""Claims and what is decided on them as one HTML page: no other file, no script, in Vietnamese and English, made to be printed too.

It shows codes, numbers of claims and money; no names, cards or numbers of people.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any, Final

from hub.contract.events import VIETNAM
from hub.insurer.explain import SEVERITIES, VERDICTS, Explained, Place, as_told, other_words, settled_words

_STYLE: Final = """
:root{--ink:#1b2733;--dim:#5b6b7a;--line:#dfe5ea;--soft:#f5f7f9;--good:#1d7a46;--warn:#96650a;--bad:#b3261e;--info:#2b5f9e}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:#fff;font:14px/1.45 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:20px 28px 48px}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:30px 0 6px;padding-bottom:4px;border-bottom:2px solid var(--line)}
p{margin:4px 0}.dim{color:var(--dim)}code{font:12.5px/1.4 ui-monospace,"Cascadia Mono",Consolas,"DejaVu Sans Mono",monospace}
.lang{float:right;font-size:13px}.lang label{margin-left:10px;cursor:pointer}
body:has(#lang-vi:checked) .en{display:none}body:has(#lang-en:checked) .vi{display:none}
.tiles{display:flex;gap:12px;flex-wrap:wrap;margin:14px 0}
.tile{flex:1 1 130px;border:1px solid var(--line);border-radius:8px;padding:10px 14px}.tile b{display:block;font-size:20px;white-space:nowrap}
.limits{background:var(--soft);border-radius:8px;padding:10px 14px;margin:14px 0}
table{border-collapse:collapse;width:100%;margin:6px 0}
th,td{text-align:left;vertical-align:top;padding:5px 12px 5px 0;border-bottom:1px solid var(--line)}
th{font-size:12px;color:var(--dim);font-weight:600}td.n,th.n{text-align:right;white-space:nowrap}td.place{white-space:nowrap}
.tag{font-size:12px;font-weight:600;white-space:nowrap}.tag.E,.REJECTED{color:var(--bad)}.tag.C,.tag.W,.REDUCED{color:var(--warn)}
.tag.I{color:var(--info)}.ACCEPTED{color:var(--good)}.CANCELLED{color:var(--dim)}
@media print{.lang{display:none}main{max-width:none;padding:0}body{font-size:10.5px}h2{break-after:avoid}tr{break-inside:avoid}
thead{display:table-header-group}}
"""
LIMITS: Final = (
    "Đã kiểm tra những gì bản thân hồ sơ cho thấy. Quy tắc so sánh nhiều hồ sơ (H01–H09: chồng ngày điều trị, trùng thuốc, trùng dịch "
    "vụ …) và danh mục riêng của cơ quan bảo hiểm, nếu khác danh mục tại đây, không có khi kiểm tra ngoại tuyến.",
    "Checked by what a claim itself shows. Rules across claims (H01–H09: overlapping stays, the same drug or service twice …) and "
    "the insurer's own catalogues, where they differ from those here, are not known offline.",
)
"""What a check before sending cannot see, in Vietnamese and English."""


UNDECIDED: Final = ("chưa giám định", "not decided yet")
"""What is said in place of a verdict, in Vietnamese and in English."""


def vnd(amount: Decimal) -> str:
    """An amount as people read it: 1,234.50 VND."""
    return f"{amount:,.2f} VND"


def page(
    title: tuple[str, str], about: str, claims: Sequence[Explained], unread: int = 0, limits: Sequence[tuple[str, str]] = ()
) -> str:
    """The whole page.

    title:  Vietnamese and English.  about: what stands under it, such as file and time.
    unread: messages or parts that the door would not take.
    limits: what was not checked, each in Vietnamese and English.
    """
    known = f'<div class="limits">{"".join(f"<p>{_both(*said)}</p>" for said in limits)}</div>\n' if limits else ""
    told = "".join(map(_claim, claims)) or f"<p>{_both('Không có hồ sơ nào.', 'There is no claim.')}</p>"
    return (
        f'<!doctype html>\n<html lang="vi">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title[0])}</title>\n<style>{_STYLE}</style>\n<body><main>\n"
        '<div class="lang"><label><input type="radio" name="lang" id="lang-vi" checked> Tiếng Việt</label>'
        '<label><input type="radio" name="lang" id="lang-en"> English</label></div>\n'
        f'<h1>{_both(*title)}</h1>\n<p class="dim">{escape(about)}</p>\n{_tiles(claims, unread)}{known}{told}</main></body></html>\n'
    )


def _both(vi: str, en: str) -> str:
    return f'<span class="vi" lang="vi">{escape(vi)}</span> <span class="en" lang="en">{escape(en)}</span>'


def _tiles(claims: Sequence[Explained], unread: int) -> str:
    claims = [one for one in claims if not one.replaced]
    counts = {verdict: sum(one.verdict_now == verdict for one in claims) for verdict in VERDICTS}
    tiles = [(str(count), *VERDICTS[verdict]) for verdict, count in counts.items() if count]
    tiles += [(str(unread), "không tiếp nhận được", "not taken at the door")] if unread else []
    zero = Decimal(0)
    tiles.append((f"{sum((one.claimed for one in claims), zero):,.0f}", "VND đề nghị", "VND claimed"))
    tiles.append((f"{sum((one.paid for one in claims), zero):,.0f}", "VND được thanh toán", "VND paid"))
    shown = "".join(f'<div class="tile"><b>{escape(value)}</b>{_both(vi, en)}</div>' for value, vi, en in tiles)
    return f'<div class="tiles">{shown}</div>\n'


def _claim(claim: Explained) -> str:
    own = claim.claim
    first, now = (VERDICTS.get(verdict, UNDECIDED) for verdict in (claim.first.verdict, claim.verdict_now))
    which, kind = f"{own['ma_cskcb']} · {own['ma_lk']}", claim.verdict_now or "none"
    version = own["version"]
    old = f" · {_both(f'phiên bản {version}, đã được thay thế', f'revision {version}, replaced')}" if claim.replaced else ""
    head = f'{escape(which)}{old} · <span class="{kind}">{_both(*now)}</span>'
    paid, granted = (f"<b>{vnd(amount)}</b>" for amount in (claim.paid, claim.first.granted))
    sums = f"<p>{_both('Đề nghị', 'Claimed')} <b>{vnd(claim.claimed)}</b> · {_both('thanh toán', 'paid')} {paid}"
    gone = claim.first.without(claim.stands)
    if claim.found_later or gone:
        earlier = _both(f"trước điều chỉnh, quyết định đầu: {first[0]}", f"before adjustments, first decision: {first[1]}")
        sums += f" · {earlier} {granted}"
    told = as_told(claim.found_later, known=claim.again is not None)
    rows = [
        _adjustment(one, f"{vnd(before)} → {vnd(after)}") for one, (_, before, after) in zip(told, claim.changes, strict=True)
    ]
    rows += [row for place in claim.stands.places for row in _rows(place)]
    rows += [row for place in gone for row in _rows(place, _both("không còn hiệu lực:", "no longer in force:"))]
    for one in claim.settled_later:
        vi, en = settled_words(one)
        rows.append(_adjustment({**one, "text_vi": vi, "text_en": en, "reduction": None}, ""))
    heads = [
        ("", "vị trí", "place"),
        ("", "nội dung", "what"),
        ("n", "khai", "claimed"),
        ("n", "tính", "computed"),
        ("n", "giảm", "cut"),
    ]
    return f"<h2>{head}</h2>\n{sums}</p>\n{_table(heads, rows) if rows else ''}"


def _rows(place: Place, lead: str = "") -> Iterable[str]:
    where = f"{place.table}/{place.stt}" if place.stt is not None else place.table
    for one in place.findings:
        name = f'<span class="dim">{escape(place.name)}</span> ' if place.name else ""
        yield _row(where, one["field"], one, lead + name, one["claimed"], one["computed"])


def _adjustment(one: Mapping[str, Any], change: str) -> str:
    """change: from what to what it moved what is paid, or "" where it did not."""
    where = f"{one['table']}/{one['stt']}" if one["stt"] is not None else one["table"]
    when = f"{one['closed_at'].astimezone(VIETNAM):%d/%m/%Y}"
    other = other_words(one)
    lead = f'<span class="dim">{" · ".join(filter(None, (escape(one["period"]), when, change)))}</span> '
    return _row(where, "", one, f"{lead}{f'<p>{_both(*other)}</p>' if other else ''}", None, None)


def _row(where: str, field: str, one: Mapping[str, Any], lead: str, claimed: Decimal | None, computed: Decimal | None) -> str:
    cells = "".join(
        f'<td class="n">{"" if value is None else f"{value:,.2f}"}</td>' for value in (claimed, computed, one["reduction"])
    )
    severity = SEVERITIES.get(one["severity"], (one["severity"], one["severity"]))
    return (
        f'<tr><td class="place"><code>{escape(where)}</code><br><code>{escape(field.upper())}</code></td>'
        f'<td><code>{escape(one["rule"])}</code> <span class="tag {escape(one["severity"])}">{_both(*severity)}</span> {lead}'
        f"<p>{_both(one['text_vi'], one['text_en'])}</p></td>{cells}</tr>"
    )


def _table(heads: Iterable[tuple[str, str, str]], rows: Iterable[str]) -> str:
    head = "".join(f'<th class="{kind}">{_both(vi, en)}</th>' for kind, vi, en in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>\n"
