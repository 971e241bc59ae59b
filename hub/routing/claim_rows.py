"""What the parts of an encounter amount to: the official tables of its claim, out of what a sender stated.

Values are taken over as stated, joined by key fields, and computed by the money rules; what cannot be had that way stays
absent. The same parts give the same tables, in whatever order they come.
Source: `seeds/standards/hl7-mapping.md` §4.2–4.6, §5; `seeds/standards/adjudication.md` §3.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from hub.contract.charge_lines import replaced
from hub.contract.events import Event, revision_rank, to_json
from hub.contract.records import ChargeLine, Encounter, Person, Xml1, Xml2, Xml3
from hub.routing.charges import SPONSORS, standing_lines
from hub.routing.lab_results import side
from hub.routing.slips import day_of

Part = tuple[str, Event]  # record, event
Row = dict[str, Any]

_OF_STAY: Final = sorted(Xml1.__annotations__.keys() & Encounter.__annotations__.keys())
_OF_PERSON: Final = sorted(Xml1.__annotations__.keys() & Person.__annotations__.keys())
_OF_DRUG: Final = sorted(Xml2.__annotations__.keys() & ChargeLine.__annotations__.keys())
_OF_SERVICE: Final = sorted(Xml3.__annotations__.keys() & ChargeLine.__annotations__.keys())
_PRESCRIBED: Final = (
    *("ten_thuoc", "so_dang_ky", "ham_luong", "dang_bao_che", "duong_dung", "lieu_dung", "cach_dung", "don_vi_tinh"),
    *("ma_bac_si", "ngay_yl"),
)
_ORDERED: Final = ("ngay_yl", "ma_bac_si", "ma_benh")
_END: Final = ("ngay_ra", "ma_loai_rv", "ket_qua_dtri", "ma_noi_den")  # what a reopened stay (A13) has no longer
_WITHDRAWN: Final = ("CANCELLED", "DELETED", "HELD", "REFUSED")
NOTES: Final = {"PN": "dien_bien_ls", "CN": "hoi_chan", "OP": "phau_thuat"}  # HL7 table 0270 to the element of XML5
_NO_DAYS: Final = ("01", "07", "09")  # MA_LOAI_KCB
_WHOLE_DAYS: Final = ("02", "03", "04", "06")
_SUPPLIES: Final = ("10", "11")  # MA_NHOM
_BY_SERVICE: Final = "1"  # MA_PTTT: outside capitation
_DONG: Final = Decimal("0.01")
_PERCENT: Final = Decimal(100)


def tables(parts: Iterable[Part]) -> Event:
    """The content of the claim, but for its action: `ma_cskcb`, `ma_lk`, `xml1` and the tables that have rows."""
    said: dict[str, list[Event]] = {}
    for record, event in sorted(parts, key=lambda part: _rank(part[1])):
        said.setdefault(record, []).append(event)
    stay = _stay(said.get("hie.Encounter", []))
    lines = standing_lines(said.get("hie.Charge", []))
    orders = _orders(said.get("hie.LabOrder", []))
    results = _results(said.get("hie.LabResult", []))
    drugs = _numbered(stay, _drugs(lines, _prescriptions(said.get("hie.Prescription", [])), stay))
    services = _numbered(stay, _services(lines, orders, results, stay))
    notes = _numbered(stay, _notes(said.get("hie.Document", [])))
    tests = _numbered(stay, [row for result in results for row in _tests(result, services, lines)])
    referrals = [_of_stay(slip["xml13"], stay) for slip in _newest(said.get("hie.Referral", []))]
    follow_ups = [_of_stay(slip["xml14"], stay) for slip in _newest(said.get("hie.FollowUp", []))]
    summary = _summary(stay) | _totals(drugs, services)
    if days := sorted({slip["ngay_hen_kl"] for slip in follow_ups if slip.get("ngay_hen_kl")}):
        summary["ngay_tai_kham"] = ";".join(days)
    found = {"xml2": drugs, "xml3": services, "xml4": tests, "xml5": notes, "xml13": referrals, "xml14": follow_ups}
    head = {"ma_cskcb": stay.get("ma_cskcb", ""), "ma_lk": stay.get("ma_lk", ""), "xml1": summary}
    return head | {name: rows for name, rows in found.items() if rows}


def replaces_items(parts: Iterable[Part]) -> bool:
    """Whether a line of the charges took away one of another item, under its number: the claim lacks that, which is right of a
    correction and wrong of a number that counts anew in each message. Nothing in the lines tells which."""
    return bool(replaced(sorted((event for record, event in parts if record == "hie.Charge"), key=_rank)))


def _rank(event: Event) -> tuple[str, str]:
    return revision_rank(event["meta"]["revision"]), event["meta"]["event_id"]


def _stated(values: Mapping[str, Any]) -> Row:
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def _newest(events: Iterable[Event], of: Callable[[Event], str] = lambda _event: "") -> list[Event]:
    """Of each thing (its key, and what `of` says) what was said last, without those withdrawn. Events come oldest first."""
    last = {(event["meta"]["key"], of(event)): event for event in events}
    return [event for event in last.values() if event.get("action") not in _WITHDRAWN]


def _orders(events: Iterable[Event]) -> list[Event]:
    """Of each order what was said last, in one message maybe several things (a test cancelled beside a new one), test by test,
    without those that were withdrawn; an order that is withdrawn without naming one is so as a whole. What a message withdraws was
    wanted before it: a test that it cancels and orders anew stands. Events come oldest first."""
    standing: dict[str, list[Event]] = {}
    for event in events:
        key, message = event["meta"]["key"], event["meta"]["message_id"]
        before: list[Event] = []
        beside: list[Event] = []
        for one in standing.get(key, ()):
            (beside if one["meta"]["message_id"] == message else before).append(one)
        if event.get("action") not in _WITHDRAWN:
            standing[key] = [*beside, *_each_test(event)]
        elif gone := {_codes(service) for service in event.get("services", ())}:
            standing[key] = [
                *(one for one in before if any(_codes(service) not in gone for service in one.get("services", ()))),
                *beside,
            ]
        else:
            standing[key] = beside
    return [one for of_key in standing.values() for one in of_key]


def _each_test(order: Event) -> list[Event]:
    """An order of each service of an order, as its own part says it; the order itself where it names none."""
    own = {part["number"]: _stated(part) for part in order.get("parts") or ()}
    services = enumerate(order.get("services", ()), 1)
    return [order | own.get(number, {}) | {"services": [service]} for number, service in services] or [order]


def _agreed(sources: Iterable[Mapping[str, Any]], names: Iterable[str]) -> Row:
    """Of each field the one value that all of the sources agree on which state it."""
    stated = [_stated(source) for source in sources]
    found = {name: [source[name] for source in stated if name in source] for name in names}
    return {name: values[0] for name, values in found.items() if values and all(value == values[0] for value in values)}


def _minute(text: str) -> str:
    """A time as sent in the form of the tables, yyyymmddHHMM; "" for one less precise."""
    return text[:12] if len(text) >= 12 and text[:12].isdigit() else ""


def _numbered(stay: Event, rows: Iterable[Row]) -> list[Row]:
    """STT in the order of the deeds: never that of arrival."""
    ordered = sorted(rows, key=lambda row: (row.get("ngay_th_yl", ""), row.get("ngay_yl", ""), to_json(sorted(row.items()))))
    return [{"ma_lk": stay.get("ma_lk", ""), "stt": number} | row for number, row in enumerate(ordered, 1)]


def _of_stay(row: Mapping[str, Any], stay: Event) -> Row:
    return _stated(row) | {"ma_lk": stay.get("ma_lk", "")}


# --- XML1 -------------------------------------------------------------------------------------------------------------


def _stay(encounters: list[Event]) -> Event:
    """The encounter as all statements together tell it: of each field the newest, unless it was deleted or undone."""
    stay: Event = {"person": {}, "cards": {}, "departments": [], "entering": [], "leaving": []}
    for event in encounters:
        meta, person = event["meta"], event.get("person", {})
        if event.get("action") == "REOPENED":
            for name in _END:
                stay.pop(name, None)
        for path in meta.get("cleared", ()):
            if path in _OF_STAY:
                stay.pop(path, None)
            stay["person"].pop(path.removeprefix("person."), None)
        stay |= _stated({name: value for name, value in event.items() if name not in ("meta", "action", "person")})
        stay["person"] |= _stated(person)
        kinds: dict[str, list[Event]] = {}
        for identifier in person.get("identifiers", ()):
            kinds.setdefault(identifier.get("type", ""), []).append(identifier)
        stay["cards"] |= kinds
        _move(stay["departments"], event)
        for name, entering in (("entering", True), ("leaving", False)):
            stay[name] = [one for one in event.get("diagnoses", ()) if (one.get("type") == "A") == entering] or stay[name]
    return stay


def _move(departments: list[str], event: Event) -> None:
    if event.get("action") == "TRANSFER_CANCELLED" and departments:
        departments.pop()
    if event.get("ma_khoa") and departments[-1:] != [event["ma_khoa"]]:
        departments.append(event["ma_khoa"])


def _summary(stay: Event) -> Row:
    """XML1 without its totals."""
    row = {"stt": 1} | {name: stay[name] for name in _OF_STAY if name in stay}
    row |= {name: stay["person"][name] for name in _OF_PERSON if name in stay["person"]}
    row |= _stated(_identifiers(stay["cards"]))
    entering, leaving = stay["entering"], stay["leaving"]
    main = [one.get("ma_benh", "") for one in leaving if one.get("main")] or [one.get("ma_benh", "") for one in leaving]
    chief = main[0] if len(set(main)) == 1 else ""
    others = dict.fromkeys(one.get("ma_benh", "") for one in leaving if one.get("ma_benh") not in ("", None, chief))
    procedures = dict.fromkeys(
        one["code"]["code"] for one in stay.get("procedures", ()) if one.get("code", {}).get("system") == "ICD-9-CM"
    )
    return row | _stated(
        {
            "giay_chuyen_tuyen": stay.get("slip", ""),
            "ma_khoa": ";".join(stay["departments"]),
            "chan_doan_vao": _texts(entering),
            "chan_doan_rv": _texts(leaving),
            "ma_benh_chinh": chief,
            "ma_benh_kt": ";".join(others),
            "ma_pttt_qt": ";".join(procedures),
            "so_ngay_dtri": _days(stay),
            **_settled_in(stay.get("ngay_ra", "")),
        }
    )


def _texts(diagnoses: Iterable[Event]) -> str:
    return "; ".join(dict.fromkeys(one["chan_doan"] for one in diagnoses if one.get("chan_doan")))


def _identifiers(cards: Mapping[str, list[Event]]) -> Row:
    papers = [one for kind in ("SDDCN", "CMND9", "PASSPORT", "FOREIGNER_EID") for one in cards.get(kind, ())]
    insured = cards.get("BHYT_CARD", [])

    def listed(name: str) -> str:  # one item a card, so that the lists stay in step
        items = [one.get(name) or "" for one in insured]
        return ";".join(items) if any(items) else ""

    return {
        "ma_bn": next((one.get("value", "") for one in cards.get("MRN", ())), ""),
        "so_cccd": next((one.get("normalised") or one.get("value", "") for one in papers), ""),
        "ma_the_bhyt": ";".join(one.get("normalised") or one.get("value", "") for one in insured),
        "gt_the_tu": listed("valid_from"),
        "gt_the_den": listed("valid_to"),
    }


def _days(stay: Event) -> int | None:
    """SO_NGAY_DTRI of the care forms where the times of the stay say it."""
    form = stay.get("ma_loai_kcb", "")
    if form in _NO_DAYS:
        return 0
    came, left = day_of(stay.get("ngay_vao", ""), date.min), day_of(stay.get("ngay_ra", ""), date.min)
    return (left - came).days + 1 if form in _WHOLE_DAYS and date.min < came <= left else None


def _settled_in(left: str) -> Row:
    """NAM_QT and THANG_QT: a stay is settled in the year (portal 103) and month of its end."""
    return {"nam_qt": int(left[:4]), "thang_qt": int(left[4:6])} if left[:6].isdecimal() and len(left) >= 8 else {}


def _totals(drugs: list[Row], services: list[Row]) -> Row:
    """Sums of lines; one that a line does not tell its part of stays absent."""
    lines = [*drugs, *services]
    sums = {f"t_tongchi_{side}": _sum(lines, f"thanh_tien_{side}") for side in ("bv", "bh")}
    sums |= {name: _sum(lines, name) for name in ("t_bntt", "t_bncct", "t_bhtt", "t_nguonkhac")}
    sums["t_thuoc"] = _sum(drugs, "thanh_tien_bv")
    if all(row.get("ma_nhom") for row in services):
        sums["t_vtyt"] = _sum([row for row in services if row["ma_nhom"] in _SUPPLIES], "thanh_tien_bv")
    if all(row.get("ma_pttt") for row in lines):
        sums["t_bhtt_gdv"] = _sum([row for row in lines if row["ma_pttt"] == _BY_SERVICE], "t_bhtt")
    return _stated(sums)


def _sum(rows: Iterable[Row], name: str) -> Decimal | None:
    values = [row.get(name) for row in rows]
    return None if None in values else sum((value for value in values if value is not None), Decimal("0.00"))


# --- XML2, XML3 -------------------------------------------------------------------------------------------------------


def _drugs(lines: list[Row], prescribed: list[Row], stay: Event) -> list[Row]:
    rows = []
    for line in lines:
        if line.get("table") == "XML2":
            row = _line(line, _OF_DRUG, stay) | _stated({"don_gia": line.get("don_gia_bv")})
            joined = _agreed(_orders_of_drug(line, prescribed), _PRESCRIBED)
            rows.append(_money(joined | row, line.get("don_gia_bv"), line.get("don_gia_bv"), _PERCENT))
    return rows


def _services(lines: list[Row], orders: list[Event], results: list[Event], stay: Event) -> list[Row]:
    rows = []
    for line in lines:
        if line.get("table") == "XML3":
            joined = _agreed(map(_order, _orders_of_service(line, orders)), _ORDERED)
            answers = [result for result in results if _belongs(result, line, [result.get("service", {})])]
            joined |= _agreed([{"ngay_kq": _minute(one.get("reported_at", ""))} for one in answers], ["ngay_kq"])
            joined |= _agreed([seen for one in answers for seen in one.get("observations", ())], ["ma_may"])
            row = joined | _line(line, _OF_SERVICE, stay)
            if row.get("ma_vat_tu"):
                row.setdefault("tyle_tt_dv", _PERCENT.quantize(_DONG))  # no special ratio of a service applies to a supply
            rows.append(_money(row, line.get("don_gia_bv"), line.get("don_gia_bh"), row.get("tyle_tt_dv")))
    return rows


def _line(line: Row, names: Iterable[str], stay: Event) -> Row:
    """What is the same in line and table; the benefit of the stay where the line has none of its own."""
    return _stated({"muc_huong": stay.get("muc_huong")}) | _stated({name: line.get(name) for name in names})


def _money(row: Row, price: Decimal | None, insured_price: Decimal | None, ratio: Decimal | None) -> Row:
    """The row with its amounts: stated ones as they are, the others by the rules as far as their factors are known.

    ratio: TYLE_TT_DV. With money of sponsors, what is insured depends on an agreement (case a or b) that no charge states.
    """
    sponsored = sum((row[name] for name in SPONSORS if name in row), Decimal("0.00"))
    whole = row.get("thanh_tien_bv", _product(row.get("so_luong"), price, ratio))
    insured = _product(row.get("so_luong"), insured_price, ratio, row.get("tyle_tt_bh"))
    amounts = {"thanh_tien_bv": whole, "t_nguonkhac": sponsored}
    if not sponsored and whole is not None and insured is not None:
        amounts |= {"thanh_tien_bh": insured, "t_bntt": whole - insured}
        if row.get("muc_huong") is not None:
            fund = _rounded(insured * row["muc_huong"] / _PERCENT)
            amounts |= {"t_bhtt": fund, "t_bncct": insured - fund}
    return row | _stated(amounts)


def _product(quantity: Decimal | None, price: Decimal | None, *percents: Decimal | None) -> Decimal | None:
    if quantity is None or price is None:
        return None
    amount = quantity * price
    for percent in percents:
        if percent is None:
            return None
        amount = amount * percent / _PERCENT
    return _rounded(amount)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_DONG, ROUND_HALF_UP)


def _prescriptions(events: list[Event]) -> list[Row]:
    """The drugs of all prescriptions that were neither withdrawn nor replaced, each with its prescriber and time."""
    current = _newest(events)
    replaced = {event["replaces"] for event in current if event.get("replaces")}
    return [
        {"ma_bac_si": event.get("ma_bac_si", ""), "ngay_yl": _minute(event.get("ngay_yl", ""))} | line
        for event in current
        if event.get("ma_don_thuoc") not in replaced
        for line in event.get("lines", ())
        if line.get("action") not in _WITHDRAWN
    ]


def _orders_of_drug(line: Row, prescribed: list[Row]) -> list[Row]:
    """By the number of the order; else every prescription of the same drug."""
    if line.get("placer") and (found := [one for one in prescribed if one.get("line_id") == line["placer"]]):
        return found
    drug, number = line.get("ma_thuoc"), line.get("so_dang_ky")
    same = [one for one in prescribed if drug and one.get("ma_thuoc") == drug]
    return [one for one in same if not number or one.get("so_dang_ky") in (None, "", number)]


def _orders_of_service(line: Row, orders: list[Event]) -> list[Event]:
    """Of the tests that come under the number of the line, those of its service where there are any."""
    found = [order for order in orders if _belongs(order, line, order.get("services", ()))]
    service = line.get("ma_dich_vu") or None
    return [order for order in found if any(service in _codes(one) for one in order.get("services", ()))] or found


def _order(order: Event) -> Row:
    illnesses = dict.fromkeys(one["ma_benh"] for one in order.get("diagnoses", ()) if one.get("ma_benh"))
    return {
        "ngay_yl": _minute(order.get("ordered_at", "")),
        "ma_bac_si": order.get("ma_bac_si", ""),
        "ma_benh": ";".join(illnesses),
    }


def _belongs(other: Event, line: Row, services: Iterable[Mapping[str, Any]]) -> bool:
    """Whether an order or a result is that of a line: by a number where both have one, else by the service."""
    for number in ("placer", "filler"):
        if line.get(number) and other.get(number):
            return bool(line[number] == other[number])
    service = line.get("ma_dich_vu")
    return bool(service) and not line.get("ma_vat_tu") and any(service in _codes(one) for one in services)


def _codes(code: Mapping[str, Any]) -> tuple[str, str]:
    return code.get("code", ""), code.get("alt_code", "")


# --- XML4, XML5 -------------------------------------------------------------------------------------------------------


def _results(events: list[Event]) -> list[Event]:
    """Final and corrected results, each as it was reported last."""
    told = [event for event in events if event.get("status") in ("F", "C", "X")]
    return [event for event in _newest(told, side) if event["status"] != "X"]


def _tests(result: Event, services: list[Row], lines: list[Row]) -> list[Row]:
    """One row an observation, joined on the service. A conclusion stands where no value does."""
    shared = _stated(
        {
            "ma_dich_vu": _service_of(result, services, lines),
            "ngay_kq": _minute(result.get("reported_at", "")),
            "ma_bs_doc_kq": result.get("ma_bs_doc_kq", ""),
        }
    )
    rows = [shared | _test(seen) for seen in result.get("observations", ()) if seen.get("status", "") in ("", "F", "C")]
    if result.get("ket_luan"):
        worded = [row for row in rows if "gia_tri" not in row]
        if not worded:
            rows.append(shared | _stated({"ten_chi_so": result.get("service", {}).get("display", "")}))
            worded = rows[-1:]
        for row in worded:
            row["ket_luan"] = result["ket_luan"]
    return rows


def _test(seen: Event) -> Row:
    code = seen.get("code", {})
    numbers = {code.get("system"): code.get("code", ""), code.get("alt_system"): code.get("alt_code", "")}
    return _stated(
        {
            "ma_chi_so": numbers.get("QD1227", ""),
            "ten_chi_so": code.get("display") or code.get("alt_display", ""),
            **{name: seen.get(name, "") for name in ("gia_tri", "don_vi_do", "mo_ta", "ma_bs_doc_kq")},
            "ngay_kq": _minute(seen.get("observed_at", "")),
        }
    )


def _service_of(result: Event, services: list[Row], lines: list[Row]) -> str:
    """MA_DICH_VU: of the lines that it belongs to, else of a charged service with its code, else as a code of the nation's."""
    service = result.get("service", {})
    joined = [line for line in lines if not line.get("ma_vat_tu") and _belongs(result, line, [service])]
    if agreed := _agreed(joined, ["ma_dich_vu"]):
        return str(agreed["ma_dich_vu"])
    charged = {row.get("ma_dich_vu") for row in services}
    national = {service.get("system"): service.get("code", ""), service.get("alt_system"): service.get("alt_code", "")}
    return next((code for code in _codes(service) if code and code in charged), national.get("VN-DVKT", ""))


def _notes(documents: list[Event]) -> list[Row]:
    """Notes of progress, consultations and operations, as text; not those that are confidential, void or amended by others."""
    current = [one for one in _newest(documents) if one.get("availability", "") not in ("CA", "OB")]
    amended = {one["parent"] for one in current if one.get("action") in ("EDITED", "REPLACED") and one.get("parent")}
    rows = []
    for one in current:
        element = NOTES.get(one.get("code", {}).get("code", ""))
        if element and one.get("text") and one.get("document") not in amended and one.get("confidentiality", "") in ("", "U"):
            at = _minute(one.get("activity_at", "")) or _minute(one.get("originated_at", ""))
            rows.append({element: one["text"]} | _stated({"thoi_diem_dbls": at, "nguoi_thuc_hien": one.get("ma_bac_si", "")}))
    return rows
