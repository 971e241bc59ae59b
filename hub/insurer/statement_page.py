"""The monthly statement as one HTML page to be printed: A4, no other file, no script, Vietnamese with English beside."""

from decimal import Decimal
from html import escape
from typing import Any, Final

from hub.insurer.statement import TITLES, Both, Form, Sheet, Statement, amount

_STYLE: Final = """
@page{size:A4;margin:14mm}
*{box-sizing:border-box}
body{margin:0 auto;max-width:182mm;padding:8mm 0;color:#111;background:#fff;font:11px/1.35 "Times New Roman","Liberation Serif",serif}
h1{font-size:18px;text-align:center;margin:10px 0 2px}h2{font-size:14px;margin:18px 0 4px}h3{font-size:11.5px;margin:10px 0 3px}
p{margin:2px 0}.head p{text-align:center}i{color:#555}td i,th i{display:block;font-weight:400}td{overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}th,td{border:1px solid #777;padding:2px 4px;vertical-align:top;text-align:left}
th{background:#f0f0f0;text-align:center;vertical-align:middle}td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tr.total td{font-weight:700}.signed{display:flex;justify-content:space-around;text-align:center;margin-top:16px;break-inside:avoid}
.signed div{min-height:28mm}
@media print{body{padding:0;max-width:none}tr,h2,h3{break-inside:avoid}h2,h3{break-after:avoid}thead{display:table-header-group}
section+section{break-before:page}th{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
_SIGNED: Final = (
    ("Người lập biểu", "prepared by"),
    ("Kế toán trưởng", "chief accountant"),
    ("Thủ trưởng đơn vị", "head of the facility"),
    ("Giám định BHYT", "insurance assessor"),
)


def page(found: Statement, made_at: str) -> str:
    """The whole page. made_at: when, as it is to stand there."""
    month = f"{found.month[5:]}/{found.month[:4]}"
    title = f"{found.facility} {found.month}"
    signed = "".join(f"<div><b>{escape(vi)}</b><br><i>{escape(en)}</i></div>" for vi, en in _SIGNED)
    return (
        f'<!doctype html>\n<html lang="vi">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<body>\n"
        f'<div class="head"><p><b>{escape(found.facility)} · {escape(found.name)}</b>{f" · <i>{escape(found.name_en)}</i>" if found.name_en else ""}</p>'
        f"<h1>Bảng tổng hợp chi phí khám chữa bệnh BHYT tháng {escape(month)}</h1>"
        f"<p><i>Monthly statement of insured care, {escape(found.month)}</i></p>"
        f"<p>Lập lúc {escape(made_at)} · đơn vị: đồng <i>(amounts in VND)</i></p></div>\n"
        f'{sheets(found)}<div class="signed">{signed}</div>\n</body></html>\n'
    )


def sheets(found: Statement) -> str:
    """What stands on the page between its head and who signs: the forms with their tables, and what is to be paid."""
    forms = "".join(map(_form, found.forms))
    return f"{forms}{_sheet(found.adjustments)}{_sheet(found.corrections)}<p><b>{_both(found.payable)}</b></p>\n"


def _both(text: Both) -> str:
    vi, en = text
    return f'{escape(vi)} <i lang="en">{escape(en)}</i>' if en else escape(vi)


def _form(form: Form) -> str:
    sheets = "".join(map(_sheet, form.sheets)) or '<p>Không có hồ sơ. <i lang="en">No claims.</i></p>'
    return f"<section><h2>{_both(TITLES[form.code])}</h2>\n{sheets}</section>\n"


def _sheet(sheet: Sheet) -> str:
    head = f"<h3>{_both(sheet.title)}</h3>"
    note = f"<p>{_both(sheet.note)}</p>" if sheet.note[0] else ""
    if not sheet.rows:
        return f'{head}<p>Không có. <i lang="en">None.</i></p>{note}\n'
    last = len(sheet.rows) - 1 if sheet.total else -1
    rows = "".join(
        f'<tr class="{"total" if number == last else ""}">{"".join(map(_cell, row))}</tr>'
        for number, row in enumerate(sheet.rows)
    )
    heads = "".join(f"<th>{_both(text)}</th>" for text in sheet.heads)
    return f"{head}<table class=hie><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{note}\n"


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return f"<td>{_both(value)}</td>"
    if isinstance(value, Decimal):
        return f'<td class="n">{amount(value)}</td>'
    return f'<td class="n">{value}</td>' if isinstance(value, int) else f"<td>{escape(value)}</td>"
