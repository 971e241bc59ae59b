"""The conformance report as one HTML page: no other file, no script, in Vietnamese and English, made to be printed too."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from adapters.dialects.conformance import FieldRow, Finding, Report
from adapters.dialects.grades import GRADES

_STYLE: Final = """
:root{--ink:#1b2733;--dim:#5b6b7a;--line:#dfe5ea;--soft:#f5f7f9;--good:#1d7a46;--warn:#96650a;--bad:#b3261e;--info:#2b5f9e}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:#fff;font:14px/1.45 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1280px;margin:0 auto;padding:20px 28px 48px}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:32px 0 8px;padding-bottom:4px;border-bottom:2px solid var(--line)}
h3{font-size:14px;margin:18px 0 6px}p{margin:4px 0}.dim{color:var(--dim)}
code,.shape{font:12.5px/1.4 ui-monospace,"Cascadia Mono",Consolas,"DejaVu Sans Mono",monospace}
.shape{background:var(--soft);border:1px solid var(--line);border-radius:3px;padding:0 4px;margin-right:6px;white-space:pre-wrap;
overflow-wrap:anywhere}
.lang{float:right;font-size:13px}.lang label{margin-left:10px;cursor:pointer}
body:has(#lang-vi:checked) .en{display:none}body:has(#lang-en:checked) .vi{display:none}
.top{display:flex;gap:24px;align-items:center;margin:18px 0;padding:16px 20px;background:var(--soft);border-radius:8px}
.grade{flex:none;width:84px;height:84px;border-radius:12px;color:#fff;font-size:52px;font-weight:700;display:grid;place-items:center}
.A,.B{background:var(--good)}.C{background:var(--warn)}.D,.E{background:var(--bad)}
.tiles{display:flex;gap:12px;flex-wrap:wrap;margin:14px 0}
.tile{flex:1 1 150px;border:1px solid var(--line);border-radius:8px;padding:10px 14px}.tile b{display:block;font-size:22px}
table{border-collapse:collapse;width:100%;margin:6px 0}
th,td{text-align:left;vertical-align:top;padding:5px 10px 5px 0;border-bottom:1px solid var(--line)}
th{font-size:12px;color:var(--dim);font-weight:600}td.n,th.n{text-align:right;white-space:nowrap;padding-right:18px}tr.segment td{padding-top:14px}td.place{white-space:nowrap}
.tag{font-size:12px;font-weight:600;white-space:nowrap}.tag.understood{color:var(--good)}.tag.wrong,.tag.E{color:var(--bad);background:none}
.tag.ignored,.tag.W{color:var(--warn)}.tag.I{color:var(--info)}.tag.form{color:var(--dim);font-weight:400}
ul.flow{list-style:none;margin:4px 0;padding:0}ul.flow li{display:inline-block;margin:0 14px 3px 0}
details>summary{cursor:pointer;color:var(--info)}
@media print{.lang{display:none}main{max-width:none;padding:0}body{font-size:10.5px}h2{break-after:avoid}h3{break-after:avoid}
tr{break-inside:avoid}.top,.shape,.grade{-webkit-print-color-adjust:exact;print-color-adjust:exact}thead{display:table-header-group}}
"""
_STATUS: Final = {
    "understood": ("understood", "hiểu được"),
    "wrong": ("wrong in places", "có chỗ sai"),
    "ignored": ("ignored", "bỏ qua"),
    "form": ("form", "hình thức"),
}
_SEVERITIES: Final = {"E": ("refused", "từ chối"), "W": ("warning", "cảnh báo"), "I": ("noted", "ghi nhận")}


def page(report: Report, made_at: str) -> str:
    """The whole page. made_at: when, as it is to stand there."""
    title = f"{report.dialect}: {report.grade}"
    parts = [
        _head(report, made_at),
        _todo(report),
        _refused(report),
        _ignored(report.ignored),
        _events(report),
        _fields(report.fields, report.segments),
        _about(report),
    ]
    return (
        f'<!doctype html>\n<html lang="vi">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<body><main>\n{''.join(parts)}</main></body></html>\n"
    )


def _both(en: str, vi: str) -> str:
    return f'<span class="vi" lang="vi">{escape(vi)}</span> <span class="en" lang="en">{escape(en)}</span>'


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _table(heads: Iterable[tuple[str, str, str]], rows: Iterable[str]) -> str:
    head = "".join(f'<th class="{kind}">{_both(en, vi)}</th>' for kind, en, vi in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>\n"


def _head(report: Report, made_at: str) -> str:
    read, sent = report.understood
    share = f"{100 * read // sent} %" if sent else "–"
    translated = report.verdicts.get("translated", 0)
    expected = report.samples - translated - report.unexpected
    ignored = sum(row.passed_over for row in report.fields)
    tiles = [
        (str(report.samples), "samples", "mẫu"),
        (str(translated), "translated", "dịch được"),
        (str(report.unexpected), "refused, unexpectedly", "bị từ chối ngoài dự kiến"),
        (str(expected), "refused, as expected", "bị từ chối đúng dự kiến"),
        (share, "of the values sent are read", "giá trị gửi được đọc"),
        (str(ignored), "fields that nothing reads", "trường không được đọc"),
    ]
    shown = "".join(f'<div class="tile"><b>{escape(value)}</b>{_both(en, vi)}</div>' for value, en, vi in tiles)
    remarks = "".join(f"<p>{_both(_sentence(en), _sentence(vi))}</p>" for en, vi in report.remarks)
    en, vi = GRADES[report.grade]
    return (
        '<div class="lang"><label><input type="radio" name="lang" id="lang-vi" checked> Tiếng Việt</label>'
        '<label><input type="radio" name="lang" id="lang-en"> English</label></div>\n'
        f"<h1>{_both('Conformance report', 'Báo cáo tương thích')} · {escape(report.dialect)}</h1>\n"
        f'<p class="dim">{_both("version", "phiên bản")} {escape(report.version)} · {escape(made_at)}</p>\n'
        f'<div class="top"><div class="grade {report.grade}">{report.grade}</div>'
        f"<div><b>{_both(f'Grade {report.grade}', f'Hạng {report.grade}')}</b><p>{_both(_sentence(en), _sentence(vi))}</p>{remarks}</div></div>\n"
        f'<div class="tiles">{shown}</div>\n'
    )


def _todo(report: Report) -> str:
    missing = [one for one in report.findings if one.missing and one.severity != "I"]
    wrong = [one for one in report.findings if not one.missing and one.severity != "I"]
    noted = [one for one in report.findings if one.severity == "I"]
    accepted = report.accepted
    nothing = f"<p>{_both('Nothing.', 'Không có.')}</p>"
    return (
        f"<h2>{_both('Wrong', 'Sai')}</h2>{_findings(wrong) if wrong else nothing}"
        f"<h2>{_both('Missing', 'Thiếu')}</h2>{_findings(missing) if missing else nothing}"
        + (f"<h2>{_both('Accepted in goldens', 'Đã chấp nhận trong mẫu chuẩn')}</h2>{_findings(accepted)}" if accepted else "")
        + (f"<h2>{_both('Noted only', 'Chỉ ghi nhận')}</h2>{_findings(noted)}" if noted else "")
    )


def _findings(findings: Iterable[Finding]) -> str:
    rows = []
    for one in findings:
        en, vi = _SEVERITIES[one.severity]
        looks = f'<span class="shape">{escape(one.shape)}</span>' if one.shape else ""
        do = f"<p><b>→</b> {_both(one.do_en, one.do_vi)}</p>" if one.do_en else ""
        rows.append(
            f'<tr><td class="place"><code>{escape(one.place or "–")}</code></td><td class="n">{one.count}</td>'
            f'<td class="n">{one.messages}</td><td><code>{one.code}</code> <span class="tag {one.severity}">{_both(en, vi)}</span>'
            f"<p>{_both(one.en, one.vi)}</p>{do}</td><td>{looks}</td><td>{escape(one.first)}</td></tr>"
        )
    heads = [
        ("", "place", "vị trí"),
        ("n", "times", "lần"),
        ("n", "messages", "bản tin"),
        ("", "what, and what to do", "vấn đề và cách xử lý"),
        ("", "looks like", "dạng giá trị"),
        ("", "first in", "gặp đầu ở"),
    ]
    return _table(heads, rows)


def _refused(report: Report) -> str:
    if not report.refused:
        return ""
    rows = [
        f"<tr><td>{escape(name)}</td><td><code>{escape(kind)}</code></td><td><code>{escape(', '.join(codes))}</code></td>"
        f"<td>{_both('yes', 'có') if expected else '<b>' + _both('no', 'không') + '</b>'}</td></tr>"
        for name, kind, codes, expected in report.refused
    ]
    heads = [("", "sample", "mẫu"), ("", "type", "loại"), ("", "codes", "mã lỗi"), ("", "expected", "có dự kiến")]
    return f"<h2>{_both('Not translated', 'Không dịch được')}</h2>{_table(heads, rows)}"


def _ignored(rows: Iterable[FieldRow]) -> str:
    items = "".join(
        f"<li><code>{escape(row.where)}</code> {escape(row.name)} × {row.unread} "
        f'<span class="shape">{escape(row.shapes[0][0]) if row.shapes else ""}</span></li>'
        for row in rows
    )
    shown = f'<ul class="flow">{items}</ul>' if items else f"<p>{_both('Nothing.', 'Không có.')}</p>"
    return f"<h2>{_both('Ignored: sent, and read by nothing', 'Gửi nhưng không được đọc')}</h2>\n{shown}\n"


def _events(report: Report) -> str:
    parts = [f"<h2>{_both('What came out', 'Kết quả dịch')}</h2>\n"]
    common = report.never_anywhere
    for row in report.events:
        of = {name: f" / {count}" for name, (count, _places) in row.partly.items()}
        filled = "".join(f"<li><code>{escape(name)}</code> {count}{of.get(name, '')}</li>" for name, count in row.filled.items())
        parts.append(f"<h3>{escape(row.record)} × {row.count}</h3><p>{_both('Filled:', 'Có giá trị:')}</p>")
        parts.append(f'<ul class="flow">{filled}</ul>')
        parts.append(_never({name: places for name, places in row.never.items() if name not in common}))
    if common:
        parts.append(f"<h3>{_both('In none of these events', 'Trong mọi sự kiện trên')}</h3>{_never(common)}")
    if not report.events:
        parts.append(f"<p>{_both('No event.', 'Không có sự kiện.')}</p>\n")
    return "".join(parts)


def _never(never: Mapping[str, tuple[str, ...]]) -> str:
    ruled = "".join(
        f'<li><code>{escape(name)}</code> <span class="dim">{escape(", ".join(places))}</span></li>'
        for name, places in never.items()
        if places
    )
    others = ", ".join(name for name, places in never.items() if not places)
    shown = ""
    if ruled:
        shown += f"<p>{_both('Never filled, and where the profile looks:', 'Luôn trống, và vị trí hồ sơ tìm:')}</p>"
        shown += f'<ul class="flow">{ruled}</ul>'
    if others:
        label = _both("Never filled, without a rule of its own:", "Luôn trống, không có quy tắc riêng:")
        shown += f'<p class="dim">{label} {escape(others)}</p>\n'
    return shown


def _fields(rows: Iterable[FieldRow], segments: Mapping[str, int]) -> str:
    by_segment: dict[str, list[FieldRow]] = {}
    for row in rows:
        by_segment.setdefault(row.place.partition("-")[0], []).append(row)
    heads = [
        ("", "field", "trường"),
        ("", "name", "tên"),
        ("n", "messages", "bản tin"),
        ("n", "times", "lần"),
        ("", "", ""),
        ("", "looks like (A capital, a letter, 9 digit) · codes", "dạng giá trị (A chữ hoa, a chữ thường, 9 chữ số) · mã"),
    ]
    lines = []
    for name, found in by_segment.items():
        where = _both(f"in {segments.get(name, 0)} messages", f"trong {segments.get(name, 0)} bản tin")
        lines.append(f'<tr class="segment"><td colspan="6"><b>{escape(name)}</b> <span class="dim">{where}</span></td></tr>')
        lines += map(_field, found)
    label = _both("Fields, as translated samples send them", "Các trường trong mẫu dịch được")
    return f"<h2>{label}</h2>\n{_table(heads, lines)}"


def _field(row: FieldRow) -> str:
    shapes = "".join(f'<span class="shape">{escape(looks)}</span>' for looks, _ in row.shapes)
    codes = " ".join(f"<code>{escape(code)}</code>&nbsp;×{count}" for code, count in row.codes)
    en, vi = _STATUS[row.status]
    partly = ""
    if row.read and row.ignored and row.status != "form":
        partly = f' <span class="dim">{_both("not in", "trừ")} {escape(", ".join(row.ignored))}</span>'
    return (
        f'<tr><td class="place"><code>{escape(row.place)}</code></td><td>{escape(row.name)}</td><td class="n">{row.messages}</td>'
        f'<td class="n">{row.count}</td><td><span class="tag {row.status}">{_both(en, vi)}</span>{partly}</td>'
        f"<td>{shapes}{codes}</td></tr>"
    )


def _about(report: Report) -> str:
    facts: list[tuple[str, str, Mapping[str, int]]] = [
        ("types", "loại bản tin", report.types),
        ("versions", "phiên bản", report.versions),
        ("charsets", "bảng mã", report.charsets),
        ("MSH-3 · MSH-4", "MSH-3 · MSH-4", report.senders),
        ("read by", "đọc bằng", report.read_by),
    ]
    rows = [
        f'<tr><td class="place">{_both(en, vi)}</td><td>{escape(", ".join(f"{name} × {count}" for name, count in what.items()))}</td></tr>'
        for en, vi, what in facts
        if what
    ]
    grades = [f"<tr><td><b>{grade}</b></td><td>{_both(en, vi)}</td></tr>" for grade, (en, vi) in GRADES.items()]
    note = _both(
        "Samples whose refusal a golden expects do not count. What no rule reads does not lower the grade: it stays in the raw message.",
        "Mẫu mà tệp .json đã ghi là bị từ chối thì không tính. Phần không quy tắc nào đọc không làm giảm hạng: nội dung gốc vẫn được lưu.",
    )
    return (
        f"<h2>{_both('The samples', 'Các mẫu')}</h2><table><tbody>{''.join(rows)}</tbody></table>\n"
        f"<h2>{_both('How it is graded', 'Cách xếp hạng')}</h2><table><tbody>{''.join(grades)}</tbody></table><p>{note}</p>\n"
    )
