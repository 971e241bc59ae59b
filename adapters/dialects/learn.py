"""A profile proposed from messages: reviewable TOML that states only what differs from `_standard`, each row with its evidence.

What follows from the form of the values (charset, types by shape, prefixes, codes that can mean only one thing) stands as a
row; what is a guess at meaning (which number is the key, what a local code or test is called) stands as a comment to be
completed. Evidence is counts, shapes and codes, never the value of a patient.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Final

from adapters.dialects.accounts import ACCOUNT, LAST_YEAR, is_a_citizens
from adapters.dialects.conformance import Plans, Report, place_text, report
from adapters.dialects.draft import Draft, as_table, counted, key_text, places_of, quoted, rule_text
from adapters.dialects.evidence import Evidence, Numbers, facility_of
from adapters.dialects.local_codes import local_classes, local_codes, local_flags, local_priorities, local_states
from adapters.dialects.paths import Place, read_place
from adapters.dialects.profile import STANDARD, load_dialect, read_profile, sections, whose
from adapters.dialects.reading import stated_day_first
from adapters.dialects.sections import transform_of
from adapters.dialects.shapes import SURE, cards_of, is_code, kind_of, numbers_of_a_person, shape, shown_name
from adapters.dialects.suggestions import candidates, line_rows, local_tests, name_orders, sign_rows, times_read
from adapters.dialects.transforms import (
    TRANSFORMS,
    citizen_number,
    facility_code,
    full_name,
    full_name_without_age,
    moment,
    normalise,
)
from adapters.formats.charset import fold
from adapters.formats.structure import VERSIONS
from adapters.formats.vietnamese import LEGACY
from hub.contract.directory import facilities

_ENOUGH: Final = 10  # messages that show a habit of all
_MOST, _MANY, _SOME = 0.9, 0.5, 0.05  # shares of what was seen that make a rule, a habit, a sign
_MOST_TIMES: Final = 0.8  # of times in a form: some were never a day, such as 99/99/9999
_PREFIX: Final = re.compile(r"([A-Z]{1,6}\d{0,2}[-./_])\d")
_YEAR: Final = re.compile(r"\d\d[-./_]$")  # how such a prefix ends that may be of a year


def learn(seen: Evidence, name: str) -> str:
    """The text of `<name>.toml`. It loads, whatever was seen. Without a message it is a skeleton."""
    draft, raw = Draft(), read_profile(STANDARD)[0]
    base = load_dialect(STANDARD)
    plans = Plans(base.plans)
    samples = seen.samples(replace(base, plans=plans, seen={}, forms={}))
    found = report(samples, base)
    draft.add("", f"about = {quoted(_about(seen, name))}")
    _charset(draft, seen)
    for row in sign_rows(seen):
        draft.add("", row)
    _ends(draft, seen)
    _stated_at(draft, seen)
    _send(draft, seen)
    _aliases(draft, seen)
    _identifiers(draft, seen, raw["identifiers"])
    if seen.citizens_in_accounts():
        _visits(draft, raw)
    for section in sections():
        if section in plans.asked or section == "person":  # claims are mapped elsewhere
            _rules(draft, seen, raw, section)
    for row in line_rows(samples):
        draft.add("charge_line", row)
    for table, row in candidates(samples, found):
        draft.add(table, row)
    conclusions = _conclusions(draft, seen, raw["conclusions"]["codes"])
    local_codes(draft, seen, raw)
    local_flags(draft, seen)
    local_states(draft, seen)
    local_priorities(draft, seen, raw)
    local_classes(draft, seen, raw, found)
    for row in local_tests(seen, conclusions):
        draft.add("tests", row)
    return draft.text(_head(seen, found, name))


# --- words ------------------------------------------------------------------------------------------------------------


def _about(seen: Evidence, name: str) -> str:
    versions = ", ".join(version for version, _ in seen.versions.most_common(2) if version in VERSIONS)
    return f"Proposed from {len(seen.messages)} messages of {name}" + (f", HL7 v{versions}" if versions else "")


def _head(seen: Evidence, found: Report, name: str) -> list[str]:
    """What was seen, for whoever reviews the proposal."""
    lines = [
        f"{name}: proposed by `hie vendor learn` from {len(seen.messages)} messages, to be reviewed. A row without # follows from the",
        "form of the values; a row with # is a guess at their meaning: complete it or delete it. Shapes: A capital, a letter,",
        "9 digit. No value of a patient stands here.",
        "",
    ]
    shown_types = {kind if len(kind) <= 16 and kind.isprintable() else "?": count for kind, count in seen.types.items()}
    facts: list[tuple[str, Mapping[Any, int]]] = [
        ("types", shown_types),
        ("versions", {version if version in VERSIONS else "?": count for version, count in seen.versions.items()}),
        ("segments, by messages", {key: count for key, count in seen.segments.items() if key[0] != "Z"}),
        ("charsets", seen.charsets),
        ("ends of segments", seen.terminators),
        ("not read", seen.unread),
    ]
    lines += [f"{label}: {counted(counts, 30)}" for label, counts in facts if counts]
    local = sorted(key for key in seen.segments if key[0] == "Z")
    for segment in local:
        rows = [row for row in found.fields if row.place.startswith(f"{segment}-")]
        told = "; ".join(f"{row.place} {row.shapes[0][0]}{'' if row.read else ' (no rule)'}" for row in rows if row.shapes)
        lines.append(f"{segment} × {seen.segments[segment]}: {told or 'in no message that the hub translates'}")
    if forms := times_read(seen):
        lines.append(f"times: {counted(forms)}")
    if ignored := [row.where for row in found.ignored if row.place[0] != "Z"]:
        lines.append(f"sent, and read by no rule: {', '.join(ignored)}")
    return lines


# --- form -------------------------------------------------------------------------------------------------------------


def _charset(draft: Draft, seen: Evidence) -> None:
    beyond = {name: count for name, count in seen.charsets.items() if name != "ascii"}
    if not beyond:
        return
    name, count = max(beyond.items(), key=lambda row: row[1])
    others = counted({other: times for other, times in beyond.items() if other != name})
    if name in LEGACY and count >= _MOST * sum(beyond.values()):
        sure = seen.likelihoods[name]
        told = f"{count} of {sum(beyond.values())} messages beyond ASCII read as it; likelihood {sum(sure) / len(sure):.2f}"
        draft.add("", f'charset = "{name}" # {told}' + (f"; not {others}: look at these before it stands" if others else ""))
    elif others and not LEGACY.isdisjoint(beyond):
        draft.add(
            "",
            f'# charset = "{name}" # of messages beyond ASCII {count}, but {others}: without this row the hub tells each apart, and surely where MSH-18 says it',
        )


def _ends(draft: Draft, seen: Evidence) -> None:
    """Whether each message ends its last segment. A row where all do as on a link, since it refuses any other; a file that an editor
    wrote may have got its last line end there."""
    count, unended = seen.ends.total(), seen.ends["none"]
    ended = count - unended
    if ended < _ENOUGH or ended < _MANY * count:
        return
    told = f"{ended} of {count} messages end their last segment"
    if unended:
        told += f"; were the other {unended} cut? Without this row a value that lost its end may be taken"
    elif seen.ends["cr"] < _ENOUGH:
        told += ", with line ends that an editor may have written: if they do on your link, take the # away"
    draft.add("", f"{'# ' if unended or seen.ends['cr'] < _ENOUGH else ''}ended = true # {told}")


def _stated_at(draft: Draft, seen: Evidence) -> None:
    """How a message writes the times that it states of itself, where that is not HL7's form. No sure row where many are neither."""
    stated = [value for message in seen.messages if (value := message.header.get(7)) and moment(value) is None]
    first = sum(bool(stated_day_first(value)) for value in stated)
    if first:
        sure = first >= _MOST_TIMES * len(stated)
        told = f"MSH-7 of {first} of {len(seen.messages)} messages; HL7's own form is read as ever"
        draft.add("", f'{"" if sure else "# "}stated_at = "day_first" # {told}')


def _send(draft: Draft, seen: Evidence) -> None:
    standard = read_profile(STANDARD)[0]["send"]
    versions = Counter({version: count for version, count in seen.versions.items() if version in VERSIONS})
    for key, counts in (("version", versions), ("terminator", seen.terminators)):
        if not counts:
            continue
        value, count = counts.most_common(1)[0]
        if value not in (standard[key], "none"):
            draft.add("send", f'{key} = "{value}" # {count} of {len(seen.messages)} messages')
    version = next((value for value, _ in versions.most_common(1)), standard["version"])
    if version >= "2.5" and seen.types["ORM^O01"] and not any(kind.startswith("OML") for kind in seen.types):
        draft.add(
            "send", f'orders = "ORM" # its own are ORM^O01 × {seen.types["ORM^O01"]}, none OML, which the hub writes from 2.5 on'
        )
    legacy = next((row for row in draft.tables[""] if row.startswith("charset")), "")
    if legacy:
        draft.add("send", legacy.partition(" #")[0])


def _aliases(draft: Draft, seen: Evidence) -> None:
    rows, notes = [], []
    names: defaultdict[str, set[str]] = defaultdict(set)  # of facilities; of those that nobody knows together
    for (application, name), count in seen.senders.most_common(20):
        who = f"{shown_name(application)} · {shown_name(name)}"
        code, dialect = whose(application, [name])
        if facility_code(code):
            known = f"read by {dialect}.toml" if code in facilities() else "not in the directory"
            notes.append(f"# {who} × {count}: facility {code}, {known}")
            continue
        row = f"{{ application = {quoted(application)}, name = {quoted(name)}, code = %s }}, # × {count}"
        named = seen.facilities_of((application, name)).most_common(1)
        if not application or not name or shown_name(name) != name or shown_name(application) != application:
            notes.append(f"# {who} × {count}: an alias needs both MSH-3 and MSH-4")
        elif named and named[0][1] >= _MANY * count:
            names[named[0][0]].add(name)
            rows.append(f"    {row % quoted(named[0][0])}; {named[0][1]} of them name this facility elsewhere")
        else:
            names[""].add(name)
            rows.append(f"    # {row % quoted('?????')}; write its MA_CSKCB")
    if any(len(known) > 1 for known in names.values()):
        notes.append(
            "# names of one facility: a patient number with one of them in CX-4 is then another's than the same number without it."
        )
        notes.append("# If they are one series, write one name here and the other in a second file that extends this one")
    if rows or notes:
        draft.add("facility", *notes)
    if any(not row.lstrip().startswith("#") for row in rows):
        draft.add("facility", "aliases = [", *rows, "]")
    elif rows:
        draft.add("facility", "# aliases = [", *(f"#     {row.lstrip(' #')}" for row in rows), "# ]")


# --- identifiers ------------------------------------------------------------------------------------------------------


def _identifiers(draft: Draft, seen: Evidence, standard: Mapping[str, Any]) -> None:
    lists: list[tuple[int, ...]] = [tuple(read_place(one).field for one in text.split("+")) for text in standard["lists"]]
    if together := _read_together(draft, seen, lists):
        lists = [together]
    numbers = list(seen.numbers(lists))
    if not numbers:
        return
    own_fields = _own_fields(draft, numbers, standard["types"])
    _untyped(draft, [one for one in numbers if one.type or one.field not in own_fields], certain=ACCOUNT in together)
    own = [one.value for one in numbers if standard["types"].get(one.type, kind_of(one.value)) == "MRN"]
    prefixes = Counter(found[1] for value in own if (found := _PREFIX.match(value)))
    stems = {prefix.rstrip("-./_0123456789") for prefix, count in prefixes.items() if count > 1 and count >= _SOME * len(own)}
    habits = {prefix: count for prefix, count in prefixes.items() if prefix.rstrip("-./_0123456789") in stems}  # CS1-, CS2-
    if habits:
        told = f"number_prefixes = {json.dumps(sorted(habits))} # {counted(habits)}, of {len(own)} patient numbers"
        whole = set(own)
        meet = len(whole) - len({value.removeprefix(next(filter(value.startswith, habits), "")) for value in whole})
        would = f"; {meet} would be another's without it" if meet else ""
        draft.add("identifiers", f"# {told}{would}: years, not branches?" if meet or any(map(_YEAR.search, habits)) else told)
    _cards(draft, seen, standard, together)
    for stated, count in Counter(one.type for one in numbers if one.type not in standard["types"] and one.type).most_common(30):
        kinds = Counter(kind_of(one.value) for one in numbers if one.type == stated)
        kind, same = kinds.most_common(1)[0]
        if is_code(stated):
            sure = "" if same >= _MOST * count and kind in SURE else "# "
            looks = counted(Counter(shape(one.value) for one in numbers if one.type == stated), 2)
            draft.add("identifiers.types", f'{sure}{key_text(stated)} = "{kind}" # {count} numbers: {looks}')


def _own_fields(draft: Draft, numbers: Sequence[Numbers], types: Mapping[str, str]) -> Set[int]:
    """Fields whose numbers without a type have the shape of the sender's patient numbers with one, and are said to be these."""
    typed = Counter(shape(one.value) for one in numbers if types.get(one.type) == "MRN")
    fields = set()
    for number in sorted({one.field for one in numbers if not one.type}):
        untyped = [one.value for one in numbers if one.field == number and not one.type]
        alike = sum(shape(value) in typed for value in untyped)
        if alike == len(untyped) and not any(kind_of(value) in SURE for value in untyped):
            fields.add(number)
            told = f"{alike} numbers without a type look as patient numbers with one: {counted(typed, 2)}"
            draft.add("identifiers.types", f'PID-{number} = "MRN" # {told}')
    return fields


def _untyped(draft: Draft, numbers: Sequence[Numbers], *, certain: bool) -> None:
    """That numbers without a type get one by their shape; a question where the patient numbers may have the shape of another kind."""
    untyped = [one.value for one in numbers if not one.type]
    if not untyped:
        return
    told = f"{len(untyped)} of {len(numbers)} numbers have no type in CX-5: {counted(Counter(map(shape, untyped)), 4)}"
    kinds = Counter(map(kind_of, untyped))
    long = [value for value in map(normalise, untyped) if len(value) == 12 and value.isdecimal()]
    no_citizens = [value for value in long if not citizen_number(value, LAST_YEAR)]
    if not certain and len(untyped) < _MANY * len(numbers):
        draft.add("identifiers", f"# untyped = true # only {told}")
    elif len(no_citizens) > _SOME * len(long):
        draft.add(
            "identifiers",
            f"# untyped = true # {told}; {len(no_citizens)} of twelve digits are no citizens', and would be taken for them",
        )
    elif kinds["BHXH_NUMBER"] and not kinds["MRN"] and all(one.type == "" for one in numbers):
        draft.add(
            "identifiers", f"# untyped = true # {told}; ten digits are a social insurance number only behind another number"
        )
    else:
        draft.add("identifiers", f"untyped = true # {told}")


def _read_together(draft: Draft, seen: Evidence, lists: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Fields of PID that hold different numbers of one patient side by side, if these are several."""
    first: set[int] = set()
    where: Counter[int] = Counter()
    beside: Counter[int] = Counter()
    accounts_are_citizens = seen.citizens_in_accounts()
    for message in seen.messages:
        for pid in message.segments("PID"):
            filled = ({number for number in fields if pid.get(number)} for fields in lists)
            read = next(filter(None, filled), set[int]())
            others = numbers_of_a_person(pid)
            if accounts_are_citizens and is_a_citizens(pid, message, facility_of(message)):
                others[ACCOUNT] = normalise(pid.get(ACCOUNT))
            there = {normalise(row[0]) for number in read for row in pid.rows(number) if row}
            first |= read
            where.update(number for number in range(1, len(pid.fields)) if pid.get(number))
            beside.update(number for number, value in others.items() if number not in read and value not in there)
    more = {number for number, count in beside.items() if count >= _SOME * len(seen.messages)}
    if not more:
        return ()
    together = tuple(sorted(first | more))
    fields = {f"PID-{number}": where[number] for number in together}
    draft.add("identifiers", f'lists = ["{"+".join(fields)}"] # read together; numbers stand in {counted(fields)}')
    return together


def _visits(draft: Draft, raw: Mapping[str, Any]) -> None:
    """The rules of MA_LK without PID-18."""
    for section in sections():
        stated = as_table(raw[section].get("ma_lk", ""))
        places = places_of(stated) if stated["from"] else []
        kept = [place_text(place) for place in places if (place.segment, place.field) != ("PID", ACCOUNT)]
        if kept and len(kept) < len(places):
            rule = stated | {"from": kept[0] if len(kept) == 1 else kept}
            draft.add(section, f"ma_lk = {rule_text(rule)} # PID-{ACCOUNT} holds citizen numbers")


def _cards(draft: Draft, seen: Evidence, standard: Mapping[str, Any], together: Collection[int]) -> None:
    """Where numbers of the shape of a card stand, and who is named as their payer."""
    known = [read_place(text).field for text in standard["cards"]]
    listed = {place for text in standard["lists"] for place in text.split("+")}
    where: Counter[str] = Counter()
    payers: Counter[str] = Counter()
    for message in seen.messages:
        for segment in message.segments_in_order[1:]:
            for number in cards_of(segment):
                if f"{segment.name}-{number}" not in listed:
                    where[f"{segment.name}-{number}"] += 1
                    if segment.name == "IN1" and not {segment.get(each) for each in (2, 3, 4)} & set(standard["payers"]):
                        payers.update([segment.get(3) or segment.get(4) or segment.get(2)])
    read_there = [place for place, _ in where.most_common() if place.startswith(("IN1-", "Z"))]
    others = [place for place in read_there if place[0] != "Z" and int(place[4:]) not in known]
    first = any(where[f"IN1-{each}"] for each in known)
    cards = [*standard["cards"], *others] if first else [*others, *standard["cards"]]
    if others:
        draft.add("identifiers", f"cards = {json.dumps(cards)} # numbers of a card's shape: {counted(where)}")
    if apart := [place for place in read_there if place[0] == "Z"]:  # whose numbers they are, nothing there says
        row = f"# cards = {json.dumps([*cards, *apart])} # numbers of a card's shape: {counted(where)}; if they are the patient's"
        draft.add("identifiers", f"{row} cards, take the # away")
    if named := [name for name in payers if name and is_code(name)]:
        count = f"{counted(payers)}: IN1-3 beside numbers of a card's shape"
        draft.add("identifiers", f"payers = {json.dumps([*standard['payers'], *sorted(named)])} # {count}")
    read = {f"PID-{number}" for number in together}
    elsewhere = {place: count for place, count in where.items() if place not in read_there and place not in read}
    if elsewhere:
        draft.add(
            "identifiers",
            f"# numbers of a card's shape stand in {counted(elsewhere)} too; cards are read from IN1, PID and Z-segments",
        )


# --- rules ------------------------------------------------------------------------------------------------------------


def _rules(draft: Draft, seen: Evidence, raw: Mapping[str, Any], section: str) -> None:
    for name, stated in raw[section].items():
        rule = as_table(stated)
        places = places_of(stated)
        transform = TRANSFORMS.get(rule.get("as", ""))
        if not places:
            continue
        if transform is not None and transform.function is full_name:
            _ages(draft, seen, section, name, rule, places)
            for row in name_orders(seen, name, places[0]):
                draft.add(section, row)
        elif transform is not None and transform.problem == "TIME_UNPARSABLE":
            _times(draft, seen, section, name, rule, places)
        elif name.startswith(("ma_bac_si", "ma_bs")) and transform is None and not rule.get("codes"):
            _swapped(draft, seen, section, name, rule, places)


def _ages(draft: Draft, seen: Evidence, section: str, name: str, rule: dict[str, Any], places: list[Place]) -> None:
    names = [[value] for value in seen.values(places[0])]
    names += [["", value] for value in seen.values(places[0]._replace(component=2))]
    suffixed = sum(full_name_without_age(parts) != full_name(parts) for parts in names)
    if suffixed:
        count = f"{suffixed} of {len(names)} names end in an age, as in (34T), 45TH or 12NT"
        draft.add(section, f"{name} = {rule_text(rule | {'as': 'full_name_without_age'})} # {count}")


def _times(draft: Draft, seen: Evidence, section: str, name: str, rule: dict[str, Any], places: list[Place]) -> None:
    """The transform of times that reads most of what this one cannot, and gives the form that this one gives."""
    usual = TRANSFORMS[rule["as"]].function
    own = [place for place in places if place.segment != "MSH"] or places  # MSH-7 stands in for what is not there
    values = list(seen.first_values(own))
    unread = [value for value in values if usual(value) is None]
    if not unread or len(unread) < _MANY * len(values):
        return
    shapes = f"{len(unread)} of {len(values)} are unread: {counted(Counter(map(shape, unread)), 3)}"
    left: dict[str, list[str]] = {}  # by transform, what it cannot read either
    for other, transform in TRANSFORMS.items():
        if transform.kind == "value" and transform.problem == "TIME_UNPARSABLE" and other != rule["as"]:
            reads = transform_of(section, name, transform).function
            left[other] = [value for value in unread if not (read := reads(value)) or usual(read) != read]
    best = min(left, key=lambda other: len(left[other]))
    if len(unread) - len(left[best]) < _MOST_TIMES * len(unread):
        draft.add(section, f"# {name}: {shapes}; no transform reads them")
        return
    if left[best]:
        shapes += f"; {len(left[best])} of these stay so: {counted(Counter(map(shape, left[best])), 3)}"
    read_by_it = [place_text(place) for place in own]
    stated = read_by_it[0] if len(read_by_it) == 1 else read_by_it
    draft.add(section, f"{name} = {rule_text(rule | {'from': stated, 'as': best})} # {shapes}")


def _swapped(draft: Draft, seen: Evidence, section: str, name: str, rule: dict[str, Any], places: list[Place]) -> None:
    """A place of a person's code that holds the name, with the code in the component beside it."""
    for number, place in enumerate(places):
        here = list(seen.values(place))
        beside = place._replace(component=2 if place.component == 1 else 1)
        codes = list(seen.values(beside))
        if len(here) < 2 or len(codes) < _MOST * len(here):
            continue
        if sum(" " in value for value in here) >= _MOST * len(here) and all(" " not in value for value in codes):
            stated = [place_text(each) for each in places]
            stated[number] = place_text(beside)
            reason = f"{place_text(place)} holds names {len(here)} times, {stated[number]} their codes"
            draft.add(section, f"{name} = {rule_text(rule | {'from': stated})} # {reason}")
            return


def _conclusions(draft: Draft, seen: Evidence, standard: Iterable[str]) -> Set[str]:
    """OBX that are called a conclusion, under a code that is not one of the hub's. Returns: the codes of those that are one by the
    proposal."""
    found: Counter[str] = Counter()
    otherwise: Counter[str] = Counter()
    for message in seen.messages:
        for line in message.segments("OBX"):
            code, display = line.get(3), line.get(3, 2)
            if fold(display or code) not in ("ket luan", "conclusion", "impression"):
                otherwise[code] += 1
            elif code not in standard and display not in standard:
                found[code] += 1
    known = {code: count for code, count in found.items() if is_code(code)}
    sure = {code: count for code, count in known.items() if code not in otherwise}
    if sure:
        codes = json.dumps([*standard, *sorted(sure)], ensure_ascii=False)
        draft.add("conclusions", f"codes = {codes} # {counted(sure)}: OBX called a conclusion")
    if doubtful := known.keys() - sure.keys():
        told = "; ".join(
            f"{code} is called a conclusion × {known[code]}, something else × {otherwise[code]}" for code in sorted(doubtful)
        )
        codes = json.dumps([*standard, *sorted(known)], ensure_ascii=False)
        draft.add("conclusions", f"# codes = {codes} # {told}: with it that would be a conclusion too; better a code of its own")
    return {*standard, *sure}
