"""The rules across claims a second time: plain Python over events, `decimal` and `datetime`, one rule after the other."""

import re
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from hub.contract.slip_life import last_day

STAYS = {"03", "04", "09"}
NOTHING = Decimal("0.00")


class Claim:
    def __init__(self, event):
        self.event, self.id, one = event, event["meta"]["event_id"], event["xml1"]
        self.facility = event["ma_cskcb"]
        self.get = lambda name: (one.get(name) or "").strip()
        self.out = self.get("ngay_ra") or event["ngaylap"]
        self.day = datetime.strptime(self.out[:8], "%Y%m%d").date()
        self.arrived, self.ended = minute(self.get("ngay_vao")), minute(self.get("ngay_ra"))
        self.admitted = minute(self.get("ngay_vao_noi_tru")) or self.arrived
        self.form, self.category = self.get("ma_loai_kcb"), self.get("ma_doituong_kcb")
        self.person = person(event), self.get("ngay_sinh")[:4]
        self.granted, self.copaid = one["t_bhtt"], one["t_bncct"]
        self.order = (self.out, event["meta"]["revision"]["received_at"], self.id)
        self.lines = [Line(self, "XML2", row) for row in event.get("xml2", [])]
        self.lines += [Line(self, "XML3", row) for row in event.get("xml3", [])]
        self.dialysis = any("thận nhân tạo" in (line.row.get("ten_dich_vu") or "").lower() for line in self.lines)


class Line:
    def __init__(self, claim, table, row):
        self.claim, self.table, self.row, self.stt = claim, table, row, row["stt"]
        self.group, self.granted = row["ma_nhom"], row["t_bhtt"]
        self.at = minute(row.get("ngay_th_yl")) or minute(row.get("ngay_yl"))
        self.until = minute(row.get("ngay_kq"))
        self.order = (claim.order, table, row["stt"])
        self.outside = bool(re.search(r"\.K\.\w{5}$", row.get("ma_dich_vu") or "")) or (
            row.get("ma_cskcb_thuoc") or ""
        ).startswith("K.")

    @property
    def supply_days(self):
        dose = self.row["lieu_dung"].lower()
        written, daily = re.search(r"\*\s*(\d+)\s*ngày", dose), re.search(r"\[\s*(\d+(?:[.,]\d+)?)\s", dose)
        days = []
        if written:
            days.append(int(written[1]))
        if daily and Decimal(daily[1].replace(",", ".")):
            lasts = self.row["so_luong"] / Decimal(daily[1].replace(",", "."))
            days.append(int(lasts.to_integral_value(ROUND_DOWN)))
        return min(90, max(1, min(days, default=1)))


def minute(text):
    return datetime.strptime(text, "%Y%m%d%H%M") if text else None


def person(event):
    one = event["xml1"]
    number, card = one.get("so_cccd") or "", (one.get("ma_the_bhyt") or "").split(";")[0].strip().upper()
    for found in (number, card):
        if re.fullmatch(r"\d{12}", found) and set(found) != {"0"}:
            return "citizen", found
    if re.fullmatch(r"([A-Z]{2}[1-5]\d\d)?\d{10}", card) and set(card[-10:]) != {"0"}:
        return "card", card[-10:]
    return "facility", event["ma_cskcb"], one.get("ma_bn") or ""


def grouped(rows, key):
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups.values()


def beside_open(rows, start, end):
    """Each row with the earliest of those before it that end last."""
    widest = None
    for row in sorted(rows, key=lambda row: (start(row), row.order)):
        yield row, widest
        if end(row) and (widest is None or end(row) > end(widest)):
            widest = row


def stays_again(claims):
    stays = [claim for claim in claims if claim.form in STAYS and claim.admitted < claim.ended]
    for group in grouped(stays, lambda claim: claim.person):
        for stay, other in beside_open(group, lambda stay: stay.admitted, lambda stay: stay.ended):
            if other and stay.admitted < other.ended and stay.facility != other.facility:
                moved = stay.get("ma_noi_di") == other.facility and stay.admitted.date() == other.ended.date()
                if not moved:
                    yield stay, None, None, other


def visits_in_stays(claims):
    def begins(claim):
        return claim.admitted if claim.form in STAYS else claim.arrived

    def ends(claim):
        return claim.ended if claim.form in STAYS and claim.admitted < claim.ended else None

    for group in grouped([claim for claim in claims if claim.form != "04"], lambda claim: claim.person):
        for visit, stay in beside_open(group, begins, ends):
            if visit.form in STAYS or stay is None or visit.facility == stay.facility or visit.dialysis:
                continue
            if not stay.admitted < visit.arrived < stay.ended:
                continue
            if any(line.outside for line in visit.lines):
                yield from ((visit, line, None, stay) for line in visit.lines if not line.outside)
            else:
                yield visit, None, None, stay


def given_again(claims):
    lines = [line for claim in claims for line in claim.lines]
    services = [
        line
        for line in lines
        if line.table == "XML3"
        and line.group in {"1", "2", "3", "8", "9", "18", "19"}
        and not line.row.get("ma_vat_tu")
        and line.row.get("ma_dich_vu")
    ]
    for group in grouped(services, lambda line: (line.claim.person, line.row["ma_dich_vu"], line.at.date())):
        first, *rest = sorted(group, key=lambda line: (line.at, line.order))
        yield from ((line.claim, line, None, first.claim) for line in rest if line.claim is not first.claim)
    drugs = [line for line in lines if line.table == "XML2" and line.claim.form not in STAYS and line.row["ma_thuoc"]]
    for group in grouped(drugs, lambda line: (line.claim.person, line.row["ma_thuoc"], line.row["duong_dung"])):
        supplies = []
        for together in grouped(group, lambda line: line.claim.id):
            supply = lambda: None  # noqa: E731  # something that takes attributes
            supply.claim, supply.lines, supply.order = together[0].claim, together, together[0].claim.order
            supply.start = min(line.at.date() for line in together)
            supply.end = max(line.at.date() + timedelta(days=line.supply_days - 1) for line in together)
            supplies.append(supply)
        for supply, other in beside_open(supplies, lambda one: one.start, lambda one: one.end):
            if other and supply.start <= other.end:
                yield from ((supply.claim, line, None, other.claim) for line in supply.lines)


def examinations(claims):
    return [line for claim in claims for line in claim.lines if line.table == "XML3" and line.group == "13"]


def examined_twice(claims):
    for group in grouped(examinations(claims), lambda line: (line.claim.person, line.at.date())):
        first, *rest = sorted(group, key=lambda line: (line.at, line.order))
        for line in rest:
            if line.claim.facility != first.claim.facility and line.claim.category not in ("1.3", "2"):
                yield line.claim, line, None, first.claim


def slips_again(claims):
    slips = [claim for claim in claims if claim.get("giay_chuyen_tuyen") and claim.category in ("1.3", "1.5")]
    key = lambda claim: (claim.person, claim.get("ma_noi_di"), claim.get("giay_chuyen_tuyen"))  # noqa: E731
    for group in grouped(slips, key):
        first, *rest = sorted(group, key=lambda claim: (claim.arrived, claim.order))
        for claim in rest:
            end = last_day(first.arrived.date(), [first.get("ma_benh_chinh"), claim.get("ma_benh_chinh")])
            if claim.category == "1.5" or claim.facility != first.facility or claim.arrived.date() > end:
                yield claim, None, None, first


def crowded(claims, start):
    lines = [line for line in examinations(claims) if line.row.get("ma_bac_si")]
    for group in grouped(lines, lambda line: (line.claim.facility, line.row["ma_bac_si"], line.at.date())):
        group.sort(key=lambda line: (line.claim.day >= start, line.at, line.order))
        for line in group[65:]:
            if line.claim.day >= start:
                yield line.claim, line, (line.granted / 2).quantize(Decimal("0.01"), ROUND_HALF_UP), None


def two_places(claims):
    work = []
    for claim in claims:
        for line in claim.lines:
            if line.table == "XML3" and line.group in ("8", "18") and line.until and line.at < line.until:
                for licence in (line.row.get("nguoi_thuc_hien") or "").split(";"):
                    if licence and ".TX." not in licence:
                        one = Line(claim, line.table, line.row)
                        one.licence, one.line = re.sub(r"\.(HD|CG)\.\d{5}$", "", licence.strip()), line
                        work.append(one)
    for chosen, differ in (
        (work, lambda a, b: a.claim.facility != b.claim.facility),
        ([one for one in work if one.group == "8"], lambda a, b: a.claim is not b.claim),
    ):
        for group in grouped(chosen, lambda one: one.licence):
            for one, other in beside_open(group, lambda one: one.at, lambda one: one.until):
                if other and one.at < other.until and differ(one, other):
                    yield one.claim, one.line, None, other.claim


def base_salary(day):
    return Decimal(2_530_000 if day >= date(2026, 7, 1) else 2_340_000)


def copayments(claims, start):
    for group in grouped(claims, lambda claim: claim.person):
        total, passed = NOTHING, False
        for claim in sorted(group, key=lambda claim: claim.order):
            since = claim.get("nam_nam_lien_tuc")
            if claim.day.year != start.year or not since or since > f"{claim.day:%Y%m%d}":
                continue
            if claim.category.startswith("3.") or claim.category == "9":
                continue
            total += claim.copaid
            due = claim.copaid if passed else min(claim.copaid, total - 6 * base_salary(claim.day))
            passed = passed or total > 6 * base_salary(claim.day)
            if passed and due > 0 and claim.day >= start:
                yield claim, None, -due, None


def after_death(claims):
    for group in grouped(claims, lambda claim: claim.person):
        deaths = sorted(
            (claim for claim in group if claim.get("ket_qua_dtri") in ("5", "8")), key=lambda one: (one.ended, one.order)
        )
        for claim in group:
            if deaths and claim.arrived > deaths[0].ended:
                yield claim, None, None, deaths[0]


def in_force(events):
    newest = {}
    for event in events:
        revision = event["meta"]["revision"]
        rank = (revision["version"], revision["stated_at"], revision["received_at"])
        if event["meta"]["key"] not in newest or rank > newest[event["meta"]["key"]][0]:
            newest[event["meta"]["key"]] = rank, event
    return [event for _, event in newest.values() if event["action"] != "CANCELLED"]


def close(events, start, rejected=()):
    """Set of (rule, event_id, table, stt, reduction, other event_id) of a month that has no month before it closed."""
    end = (start + timedelta(days=31)).replace(day=1)
    claims = [Claim(event) for event in in_force(events) if event["meta"]["event_id"] not in rejected]
    claims = sorted((claim for claim in claims if claim.day < end), key=lambda claim: claim.order)
    by_rule = {
        "H01": stays_again(claims), "H02": visits_in_stays(claims), "H03": given_again(claims), "H04": examined_twice(claims),
        "H05": slips_again(claims), "H06": crowded(claims, start), "H07": two_places(claims), "H08": copayments(claims, start),
        "H09": after_death(claims),
    }  # fmt: skip
    left, found = {}, set()
    for claim in claims:
        left[claim.id] = claim.granted
        left |= {line.order: line.granted for line in claim.lines}
    for rule, rows in by_rule.items():
        seen = set()
        here = [row for row in rows if row[0].day >= start or (row[3] and row[3].day >= start)]
        here.sort(key=lambda row: (row[0].order, row[1].order if row[1] else (), row[3].order if row[3] else ()))
        for claim, line, wanted, other in here:
            where = (claim.id, line.order if line else None)
            if where in seen:
                continue
            seen.add(where)
            amount = NOTHING
            if rule not in ("H05", "H07"):
                most = min(left[claim.id], left[line.order] if line else left[claim.id])
                amount = wanted if wanted is not None and wanted < 0 else min(most, most if wanted is None else wanted)
                if not amount:
                    continue
                if amount > 0:
                    left[claim.id] -= amount
                    if line:
                        left[line.order] -= amount
            table, stt = (line.table, line.stt) if line else ("XML1", None)
            found.add((rule, claim.id, table, stt, amount, other.id if other else ""))
    return found
