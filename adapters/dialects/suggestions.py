"""Guesses at meaning, from shapes: where keys and times that no rule finds may stand, and what local tests there are.

Each is one commented row of a proposal; a person decides.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from functools import cache
from typing import Final, NamedTuple

from adapters.dialects.accounts import ACCOUNT
from adapters.dialects.conformance import Report, place_text
from adapters.dialects.evidence import Evidence
from adapters.dialects.observed import concludes
from adapters.dialects.paths import Place, choose, read_place
from adapters.dialects.persons import MIDDLE
from adapters.dialects.profile import sections
from adapters.dialects.sampled import Sample, replacing_lines
from adapters.dialects.shapes import cards_of, is_code, is_local_test, is_loinc, shape
from adapters.dialects.transforms import Comma, day_first, facility_code, in_dong, moment, pointed, time
from adapters.formats.charset import fold
from adapters.formats.hl7v2 import NULL, Message, Segment
from adapters.formats.names import NEWEST_FIRST, field_name
from hub.contract.charge_lines import CHARGES, CREDIT
from hub.contract.directory import facilities

_COMMAS: Final[tuple[Comma, Comma]] = ("decimal", "thousands")
_NEARLY: Final = 0.9  # of the numbers agree
_OF_NUMBERS: Final = frozenset({"NM", "CP", "MO", "CQ"})
_OF_AMOUNTS: Final = frozenset({"CP", "MO"})
_KEY: Final = re.compile(r"(?=.*\d)[\w./-]{4,30}")
_DAY_FIRST: Final = re.compile(r"\d{1,2}([/.-])\d{1,2}\1[12]\d{3}")
_YEAR_FIRST: Final = re.compile(r"[12]\d{3}([/.-])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])")
_AMOUNT: Final = re.compile(r"[1-9]\d{0,6}00|\d+[.,]\d\d|\d{1,3}(?:[.,]\d{3})+")  # a price mostly ends in hundreds of VND
_ADDRESSEE: Final = 6  # of MSH
_KEYS: Final = ("ma_lk", "placer", "filler", "slip")
_TIMES: Final = ("ngay_vao", "ngay_ra", "ngay_hen_kl", "ordered_at", "sampled_at", "reported_at")
_FACILITIES: Final = ("ma_cskcb_den", "orderer", "performer")
_FAMILIES: Final = frozenset(
    {"nguyen", "tran", "le", "pham", "hoang", "huynh", "phan", "vu", "vo", "dang", "bui", "do", "ho", "ngo", "duong", "ly"}
)
_OF_PERSONS: Final = frozenset({"PID", "NK1", "IN1"})  # their numbers, but PID-18, are a person's, and no key
_NO_KEYS: Final = frozenset(
    {"XCN", "CN", "XON", "XPN", "XAD", "XTN", "PL", "CE", "CWE", "CNE", "ID", "IS", "TS", "DTM", "DT", "TM"}
)  # types of people, places, codes and times
_NOT_OF_THE_VISIT: Final = _OF_PERSONS | frozenset(
    {"DG1", "PR1", "AL1", "IAM", "ACC", "PD1", "GT1", "IN2", "MRG"}
)  # nor are their times
_FEW: Final = 5  # fewer names than these say nothing of a habit
_SHOWN, _TESTS_MAX = 3, 200
_MOST: Final = 0.9  # of the values at a place have to fit
_VARIED: Final = 0.3  # of the values of a key differ at least, since it is another in each visit, order or slip


class _Candidate(NamedTuple):
    """A place that may hold what is looked for. share: of the messages; distinct: how many of the values differ."""

    place: str
    share: float
    distinct: int
    values: int
    looks: str


def candidates(samples: Sequence[Sample], found: Report) -> Iterator[tuple[str, str]]:
    """(section, commented row) for each key, time and facility that no rule finds, the likeliest places first."""
    of_record = {record.__name__: section for section, record in sections().items()}
    meant: dict[str, str] = {}  # place to the key that it was first proposed for: in an order it hardly is another
    for row in found.events:
        section = of_record.get(row.record.removeprefix("hie."))
        if section is None:
            continue
        having = [one for one in samples if one.message and any(record == row.record for record, _ in one.events)]
        kinds = {one.kind for one in having}
        ignored = {one.place for one in found.fields if one.passed_over and not kinds.isdisjoint(one.ignored)}
        taken: set[str] = set()  # by a key before it
        for name, places in row.never.items():
            fits = _fitting(name)
            if not places or fits is None:
                continue
            others = taken | {place for place, key in meant.items() if key != name and key in row.never}
            likely = [one for one in _ranked(having, ignored, fits, name, places) if one.place not in others][:_SHOWN]
            taken |= {one.place for one in likely}
            meant |= {one.place: name for one in likely if name in _KEYS and one.place not in meant}
            for one in likely:
                yield section, _proposed(name, places, one, "hold nothing")
            if not likely and name in _FACILITIES:
                told = "nor does another field hold a facility of the directory; which one is it, and where does it stand?"
                yield section, f"# {name}: {', '.join(places)} hold nothing, {told}"
        if places := row.partly.get("ma_lk", (0, ()))[1]:
            without = [
                one for one in having if not any(record == row.record and event.get("ma_lk") for record, event in one.events)
            ]
            for one in _ranked(without, set(), _fits_a_key, "ma_lk", places)[:1]:
                yield section, _proposed("ma_lk", places, one, f"hold nothing in {len(without)} of {len(having)} messages")


def _proposed(name: str, places: Sequence[str], one: _Candidate, why: str) -> str:
    """The row of a candidate; of a place beside one of the rule's both."""
    told = f"{one.values} values, {one.distinct} different, {100 * one.share:.0f} % of messages: {one.looks}"
    before = [place for place in places if one.place in _beside(name, [place])]
    stated = json.dumps([*before, one.place] if before else one.place)
    return f"# {name} = {stated} # {', '.join(places)} {why}; here {told}"


def _fitting(name: str) -> Callable[[str], bool] | None:
    if name in _KEYS:
        return _fits_a_key
    if name in _TIMES:
        return lambda value: len(value) >= 8 and moment(value) is not None
    if name in _FACILITIES:
        return lambda value: facility_code(value) in facilities()  # five digits alone may be anything
    return None


def _fits_a_key(value: str) -> bool:
    return bool(_KEY.fullmatch(value)) and not _is_day(value)


def _is_day(value: str) -> bool:
    """Whether it is a date, of HL7 or as people write it: a day is no number of anything."""
    if len(value) == 8 and value.isdigit() and time(value) is None:
        value = f"{value[:2]}/{value[2:4]}/{value[4:]}"  # 23112026
    stated = time(value) or _YEAR_FIRST.fullmatch(value) or (_DAY_FIRST.fullmatch(value) and day_first(value))
    return bool(stated)


def _ranked(
    having: Sequence[Sample], among: set[str], fits: Callable[[str], bool], name: str, rule: Sequence[str]
) -> list[_Candidate]:
    """Places, of the fields that nothing reads, where most values fit; a key differs from message to message, and no price is one.

    name, rule: what is looked for, and the places that hold none of it."""
    distinct, facility, near = name in _KEYS, name in _FACILITIES, _beside(name, rule)
    values: dict[str, list[str]] = defaultdict(list)
    met: dict[str, set[int]] = defaultdict(set)
    of_others: set[str] = set()  # places that name another facility than the sender's at least once
    messages = [(number, one, one.message) for number, one in enumerate(having) if one.message is not None]
    of_cards = {
        one.name for _, _, message in messages for one in message.segments_in_order if one.name[0] == "Z" and cards_of(one)
    }
    for position, sample, message in messages:
        # The number of the visit is no other one: all slips and orders of a visit would be one.
        of_visit = {event.get("ma_lk") for _, event in sample.events} if distinct and name != "ma_lk" else set()
        for called, segment, number in _fields(message, rule, among | near, facility=facility):
            if segment.fields[number] == NULL or (not distinct and segment.name in _NOT_OF_THE_VISIT):
                continue
            if distinct and segment.name in _OF_PERSONS and number != ACCOUNT:
                continue
            other = _kind(message.version, segment.name, number) in _NO_KEYS and f"{called}-{number}" not in near
            if distinct and (segment.name in of_cards or other):
                continue
            for component, value in enumerate(segment.components(number), 1):
                if value and value not in of_visit:
                    place = f"{called}-{number}" + (f".{component}" if component > 1 else "")
                    values[place].append(value)
                    met[place].add(position)
                    if facility and facility_code(value) != sample.facility:
                        of_others.add(place)
    found = []
    for place, here in values.items():
        different, share = len(set(here)), len(met[place]) / len(messages)
        if distinct and (different < _VARIED * len(here) or share < _VARIED or _are_amounts(here)):
            continue
        if sum(map(fits, here)) >= _MOST * len(here) and (not facility or place in of_others):
            looks = Counter(map(shape, here)).most_common(1)[0][0]
            found.append(_Candidate(place, share, different, len(here), looks))
    return sorted(found, key=lambda one: (-one.share, -one.distinct, one.place))


def _beside(name: str, rule: Sequence[str]) -> set[str]:
    """The fields before and behind those of the rule of MA_LK or of a slip's number: the number stands there by mistake, and what else
    is read there (the patient's type in PV1-18) can hardly be meant."""
    near = [read_place(place) for place in rule] if name in ("ma_lk", "slip") else []
    return {f"{place.segment}-{place.field + step}" for place in near for step in (-1, 1)}


def _fields(message: Message, rule: Sequence[str], among: set[str], *, facility: bool) -> Iterator[tuple[str, Segment, int]]:
    """The fields of a message that nothing reads, with how a rule names their segments: of those that it tells apart by a code
    (`PRD[RT]`) only the one that it means. For a facility MSH-6 too, which names the one at the other end."""
    meant = {place.segment for place in map(read_place, rule) if "[" in place.segment}
    apart = {called[:3] for called in meant}
    segments = [(one.name, one) for one in message.segments_in_order[1:] if one.name not in apart]
    for name in sorted(apart):
        segments += [(called, one) for called, one in choose(name, message.segments(name)).items() if called in meant]
    if facility and message.header.field(_ADDRESSEE):
        yield "MSH", message.header, _ADDRESSEE
    for called, segment in segments:
        for number in range(1, len(segment.fields)):
            if f"{segment.name}-{number}" in among:
                yield called, segment, number


def _are_amounts(values: Sequence[str]) -> bool:
    return sum(_AMOUNT.fullmatch(value) is not None for value in values) >= _VARIED * len(values)


@cache
def _kind(version: str, segment: str, number: int) -> str:
    """The datatype of a field, in that version or the newest that has it."""
    return next((kind for each in (version, *NEWEST_FIRST) if (kind := field_name(each, segment, number).kind)), "")


def line_rows(samples: Sequence[Sample]) -> Iterator[str]:
    """That FT1-2 counts anew in each message, where in one visit it comes again with another item and says which line of the message it
    is; a commented row where it may be the number of a line all the same: it says something else, comes with the same item, or is named by credits."""
    replacing = replacing_lines(samples).total()
    events = [event for one in samples for record, event in one.events if record == "hie.Charge" and event.get("ma_lk")]
    lines = [(event["ma_lk"], at, line) for event in events for at, line in enumerate(event["lines"], 1)]
    numbers = [
        (visit, at, number)
        for visit, at, line in lines
        if (number := line.get("cancels") or line.get("line_id")) and line.get("kind", "") in (*CHARGES, CREDIT)
    ]
    again = len(numbers) - len({(visit, number) for visit, _, number in numbers})
    credits_ = sum("cancels" in line for _, _, line in lines)
    if replacing:
        counts = all(number.lstrip("0") == str(at) for _, at, number in numbers)
        sure = counts and replacing >= _NEARLY * again and not credits_
        told = f"{replacing} of {again} lines whose FT1-2 (of credits FT1-31) their visit had before are of another item: "
        told += "it counts anew in each message" if sure else "does it count anew in each message?"
        told += f" {credits_} credits name their line by it (FT1-31): then it has to be a number of its own" if credits_ else ""
        yield f'{"" if sure else "# "}line_id = "" # {told}'


def name_orders(seen: Evidence, name: str, place: Place) -> Iterator[str]:
    """A commented row where the second component of names begins as families are called, and the first does not; or where it
    is a middle name, and the third is none."""
    first, second = list(seen.values(place._replace(component=1))), list(seen.values(place._replace(component=2)))
    families, given = ([fold(value.split()[0]) in _FAMILIES for value in values if value.split()] for values in (second, first))
    if len(families) >= _FEW and sum(families) >= _MOST * len(families) and sum(given) < (1 - _MOST) * len(given):
        told = f"{sum(families)} of {len(families)} second components begin with a family name"
        yield f'# {name} = {{ from = "{place_text(place)}", as = "full_name_given_first" }} # {told}'
    third = list(seen.values(place._replace(component=3)))
    before, behind = (sum(value.casefold() in MIDDLE for value in values) for values in (second, third))
    if len(third) >= _FEW and 2 * before >= len(third) and behind < (1 - _MOST) * before:
        told = f"{before} of {len(third)} second components are Văn or Thị, middle names"
        yield f'# {name} = {{ from = "{place_text(place)}", as = "full_name_in_order" }} # {told}'


def local_tests(seen: Evidence, conclusions: Collection[str]) -> Iterator[str]:
    """A commented row for each test code of OBX-3 that no common system defines, the most frequent first. One that is LOINC by its
    form needs no other, only its system.

    conclusions: codes under which a text is no test but the conclusion of all.
    """
    counts: Counter[str] = Counter()
    names: dict[str, Counter[str]] = defaultdict(Counter)
    units: dict[str, Counter[str]] = defaultdict(Counter)
    for line in seen.result_lines():
        code = line.get(3)
        if code in conclusions and concludes(line, line.get(2), line.get(11), lambda: False):
            continue
        if is_code(code) and is_local_test(code, line.get(3, 3), line.get(3, 6)):
            counts[code] += 1
            names[code][line.get(3, 2)] += 1
            units[code][line.get(6)] += 1
    if counts:
        yield f"# Local codes in OBX-3 ({len(counts)}), with their lines: give each test what the country calls it, and take its # away"
    for code, count in counts.most_common(_TESTS_MAX):
        display, unit = (each[code].most_common(1)[0][0] for each in (names, units))
        called = f", {_plain(display)}" if display and count > 1 else ""
        key = code if re.fullmatch(r"[A-Za-z0-9_-]+", code) else f'"{code}"'
        common, told = (code, "; LOINC by its form: so send LN in OBX-3.3, or take the # away") if is_loinc(code) else ("", "")
        yield f'# {key} = {{ code = "{common}", system = "LN" }} # × {count}{called}{f", {_plain(unit)}" if unit else ""}{told}'


def _plain(text: str) -> str:
    """Words of a test or unit that may be shown: a long number among them, and it is shown as a shape."""
    shown = shape(text) if re.search(r"\d{8,}", text) else text[:48]
    return "".join(character if character.isprintable() else " " for character in shown)


def sign_rows(seen: Evidence) -> Iterator[str]:
    """What a point in amounts and a comma in numbers mean: rows where the numbers themselves tell, commented ones where they
    could mean either."""
    rows = list(_point_rows(list(_numbers(seen, _OF_AMOUNTS))))
    yield from rows
    yield from _comma_rows(list(_numbers(seen, _OF_NUMBERS - _OF_AMOUNTS if rows else _OF_NUMBERS)))


def _point_rows(amounts: Sequence[str]) -> Iterator[str]:
    """Points are between thousands where amounts in VND have three digits behind each: a dong has no thousandths."""
    having = [value for value in amounts if "." in value]
    read = [value for value in having if in_dong(value) != value]
    if read:
        agreed = len(read) >= _NEARLY * len(having)
        told = f"{len(read)} of {len(having)} amounts with a point are read so: {_looks(having)}"
        yield f'{"" if agreed else "# "}point = "thousands" # {told}'


def _comma_rows(numbers: Sequence[str]) -> Iterator[str]:
    having = [value for value in numbers if "," in value]
    read: dict[Comma, int] = {each: sum("," not in (pointed(one, each) or one) for one in having) for each in _COMMAS}
    if not any(read.values()):
        return
    meant, other = sorted(_COMMAS, key=lambda each: -read[each])
    told = f"{read[meant]} of {len(having)} numbers with a comma are read so: {_looks(having)}"
    lost = sum("," not in value and pointed(value, meant) is None for value in numbers)
    if lost:
        told += f"; {lost} with a point could then be two numbers"
    if read[meant] == read[other]:
        yield f'# comma = "decimal" # or "thousands": {told}'
    else:
        agreed = read[meant] >= _NEARLY * len(having) and lost <= (1 - _NEARLY) * read[meant]
        yield f'{"" if agreed else "# "}comma = "{meant}" # {told}'


def _looks(values: Sequence[str]) -> str:
    return ", ".join(f"{looks} × {count}" for looks, count in Counter(map(shape, values)).most_common(_SHOWN))


def _numbers(seen: Evidence, kinds: Set[str]) -> Iterator[str]:
    """What stands where numbers of these types do: OBX-5 of NM, and fields that are numbers or amounts."""
    for message in seen.messages:
        for segment in message.segments_in_order:
            for number in range(1, len(segment.fields)):
                of_result = segment.name == "OBX" and number == 5
                kind = segment.get(2) if of_result else field_name(message.version, segment.name, number).kind
                if kind in kinds and (value := segment.get(number)):
                    yield value


def times_read(seen: Evidence) -> Counter[str]:
    """The forms of dates and times, where the standard has such a field: by length, or by shape where none is read."""
    found: Counter[str] = Counter()
    for message in seen.messages:
        for segment in message.segments_in_order:
            for number in range(1, len(segment.fields)):
                if field_name(message.version, segment.name, number).kind not in ("TS", "DTM", "DT"):
                    continue
                value = segment.get(number)
                if value:
                    digits = len(value.partition("+")[0].partition(".")[0])
                    read = time(value) is not None
                    found[f"{digits} digits{' and zone' if '+' in value else ''}" if read else f"unread {shape(value)}"] += 1
    return found
