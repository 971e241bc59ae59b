"""A profile proposed from messages: reviewable TOML that states only what differs from `_standard`, each row with its evidence.

What follows from the form of the values (charset, types by shape, prefixes, codes that can mean only one thing) stands as a
row; what is a guess at meaning (which number is the key, what a local code or test is called) stands as a comment to be
completed. Evidence is counts, shapes and codes, never the value of a patient.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.dialects.accounts import ACCOUNT, is_a_citizens
from adapters.dialects.conformance import Report, place_text, report
from adapters.dialects.evidence import Evidence, facility_of
from adapters.dialects.laboratory import STATES
from adapters.dialects.paths import Place, read_place
from adapters.dialects.profile import STANDARD, load_dialect, read_profile, resolve_facility, sections
from adapters.dialects.sections import transform_of
from adapters.dialects.shapes import FLAGS, SURE, cards_of, is_code, kind_of, numbers_of_a_person, shape, shown_name
from adapters.dialects.suggestions import candidates, comma_rows, local_tests, name_orders, times_read
from adapters.dialects.transforms import TRANSFORMS, facility_code, full_name, full_name_without_age
from adapters.formats.charset import fold
from adapters.formats.structure import VERSIONS
from adapters.formats.vietnamese import LEGACY
from hub.contract.directory import facilities

_MOST, _MANY, _SOME = 0.9, 0.5, 0.05  # shares of what was seen that make a rule, a habit, a sign
_PREFIX: Final = re.compile(r"([A-Z]{1,6}\d{0,2}[-./_])\d")
_SEXES: Final = {
    "nam": "1", "male": "1", "trai": "1", "nu": "2", "female": "2", "gai": "2", "khac": "3", "other": "3", "khong ro": "3",
}  # fmt: skip
_FLAGS: Final = {
    "cao": "H", "tang": "H", "high": "H", "thap": "L", "giam": "L", "low": "L", "rat cao": "HH", "rat thap": "LL",
    "binh thuong": "N", "bt": "N", "normal": "N", "bat thuong": "A", "abnormal": "A",
}  # fmt: skip
_WORDS: Final = {"sex": _SEXES, "flags": _FLAGS}  # by table, without accents and in small letters
_WORD: Final = re.compile(r"[^\W_][^\W_ ]{0,11}(?: [^\W_]{1,6})?")
_SEX_WORD: Final = 4  # letters of a word for a sex that may be shown as it stands
_SAY_NOTHING: Final = {"referral_answer": ("P", "E")}  # table 0283: pending, expired; no answers, and no table may make them one
_CLASSES: Final = {code: code for code in "BCEINOPRUV"}  # of PV1-2: table 0004, and V of the hub's own profile


@dataclass(slots=True)
class Draft:
    """The file while it is written: rows by table, "" for those before the first table."""

    tables: dict[str, list[str]] = field(default_factory=dict)

    def add(self, table: str, *rows: str) -> None:
        self.tables.setdefault(table, []).extend(rows)

    def text(self, head: Iterable[str]) -> str:
        parts = ["\n".join(f"# {line}".rstrip() for line in head), 'extends = "_standard"\nversion = "1"']
        parts[1] += "".join(f"\n{row}" for row in self.tables.get("", ()))
        for name, rows in self.tables.items():
            if name:
                parts.append("\n".join([f"[{name}]", *rows]))
        return "\n\n".join(parts) + "\n"


def learn(seen: Evidence, name: str) -> str:
    """The text of `<name>.toml`. It loads, whatever was seen. Without a message it is a skeleton."""
    draft, raw = Draft(), read_profile(STANDARD)[0]
    base = load_dialect(STANDARD)
    samples = seen.samples(base)
    found = report(samples, base)
    draft.add("", f"about = {_text(_about(seen, name))}")
    _charset(draft, seen)
    for row in comma_rows(seen):
        draft.add("", row)
    _send(draft, seen)
    _aliases(draft, seen)
    _identifiers(draft, seen, raw["identifiers"])
    if seen.citizens_in_accounts():
        _visits(draft, raw)
    for section in sections():
        _rules(draft, seen, raw, section)
    for table, row in candidates(samples, found):
        draft.add(table, row)
    _conclusions(draft, seen, raw["conclusions"]["codes"])
    _codes(draft, seen, raw)
    _flags(draft, seen)
    _states(draft, seen)
    _classes(draft, seen, raw, found)
    for row in local_tests(seen):
        draft.add("tests", row)
    return draft.text(_head(seen, found, name))


# --- words ------------------------------------------------------------------------------------------------------------


def _text(value: str) -> str:
    """A string as TOML has it: JSON's form is legal there, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _counts(counts: Mapping[Any, int], most: int = 12) -> str:
    rows = [f"{name} × {count}" for name, count in Counter(counts).most_common(most)]
    return ", ".join(rows) + (f", … {len(counts)} in all" if len(counts) > most else "")


def _rule(rule: Mapping[str, Any]) -> str:
    """A rule as it is written: the place alone, or an inline table."""
    if set(rule) == {"from"}:
        return json.dumps(rule["from"], ensure_ascii=False)
    return "{ " + ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in rule.items()) + " }"


def _as_table(rule: Any) -> dict[str, Any]:
    return dict(rule) if isinstance(rule, Mapping) else {"from": rule}


def _places(rule: Any) -> list[Place]:
    stated = _as_table(rule)["from"]
    return [read_place(text) for text in ([stated] if isinstance(stated, str) else stated) if text]


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
    lines += [f"{label}: {_counts(counts, 30)}" for label, counts in facts if counts]
    local = sorted(key for key in seen.segments if key[0] == "Z")
    for segment in local:
        rows = [row for row in found.fields if row.place.startswith(f"{segment}-")]
        told = "; ".join(f"{row.place} {row.shapes[0][0]}{'' if row.read else ' (no rule)'}" for row in rows if row.shapes)
        lines.append(f"{segment} × {seen.segments[segment]}: {told or 'in no message that the hub translates'}")
    if forms := times_read(seen):
        lines.append(f"times: {_counts(forms)}")
    if ignored := [row.where for row in found.fields if row.passed_over and row.place[0] != "Z"]:
        lines.append(f"sent, and read by no rule: {', '.join(ignored)}")
    return lines


# --- form -------------------------------------------------------------------------------------------------------------


def _charset(draft: Draft, seen: Evidence) -> None:
    beyond = {name: count for name, count in seen.charsets.items() if name != "ascii"}
    if not beyond:
        return
    name, count = max(beyond.items(), key=lambda row: row[1])
    if name not in LEGACY or count < _MOST * sum(beyond.values()):
        return
    sure = seen.likelihoods[name]
    draft.add(
        "",
        f'charset = "{name}" # {count} of {sum(beyond.values())} messages beyond ASCII read as it; likelihood {sum(sure) / len(sure):.2f}',
    )


def _send(draft: Draft, seen: Evidence) -> None:
    standard = read_profile(STANDARD)[0]["send"]
    versions = Counter({version: count for version, count in seen.versions.items() if version in VERSIONS})
    for key, counts in (("version", versions), ("terminator", seen.terminators)):
        if not counts:
            continue
        value, count = counts.most_common(1)[0]
        if value not in (standard[key], "none"):
            draft.add("send", f'{key} = "{value}" # {count} of {len(seen.messages)} messages')
    legacy = next((row for row in draft.tables[""] if row.startswith("charset")), "")
    if legacy:
        draft.add("send", legacy.partition(" #")[0])


def _aliases(draft: Draft, seen: Evidence) -> None:
    rows, notes = [], []
    for (application, name), count in seen.senders.most_common(20):
        who = f"{shown_name(application)} · {shown_name(name)}"
        code, dialect = resolve_facility(application, [name])
        if facility_code(code):
            known = f"read by {dialect.name}.toml" if code in facilities() else "not in the directory"
            notes.append(f"# {who} × {count}: facility {code}, {known}")
            continue
        row = f"{{ application = {_text(application)}, name = {_text(name)}, code = %s }}, # × {count}"
        named = seen.facilities_of((application, name)).most_common(1)
        if not application or not name or shown_name(name) != name or shown_name(application) != application:
            notes.append(f"# {who} × {count}: an alias needs both MSH-3 and MSH-4")
        elif named and named[0][1] >= _MANY * count:
            rows.append(f"    {row % _text(named[0][0])}; {named[0][1]} of them name this facility elsewhere")
        else:
            rows.append(f"    # {row % _text('?????')}; write its MA_CSKCB")
    if rows or notes:
        draft.add("facility", *notes)
    if any(not row.lstrip().startswith("#") for row in rows):
        draft.add("facility", "aliases = [", *rows, "]")
    elif rows:
        draft.add("facility", *(f"# aliases = [{row.lstrip(' #').replace(' },', ' }]', 1)}" for row in rows))


# --- identifiers ------------------------------------------------------------------------------------------------------


def _identifiers(draft: Draft, seen: Evidence, standard: Mapping[str, Any]) -> None:
    lists: list[tuple[int, ...]] = [(read_place(text).field,) for text in standard["lists"]]
    if together := _read_together(draft, seen, lists):
        lists = [together]
    numbers = list(seen.numbers(lists))
    if not numbers:
        return
    untyped = [one for one in numbers if not one.type]
    if len(untyped) >= _MANY * len(numbers) or (untyped and ACCOUNT in together):
        shapes = _counts(Counter(shape(one.value) for one in untyped), 4)
        draft.add("identifiers", f"untyped = true # {len(untyped)} of {len(numbers)} numbers have no type in CX-5: {shapes}")
    elif untyped:
        draft.add("identifiers", f"# untyped = true # only {len(untyped)} of {len(numbers)} numbers have no type in CX-5")
    own = [one.value for one in numbers if standard["types"].get(one.type, kind_of(one.value)) == "MRN"]
    prefixes = Counter(found[1] for value in own if (found := _PREFIX.match(value)))
    stems = {prefix.rstrip("-./_0123456789") for prefix, count in prefixes.items() if count > 1 and count >= _SOME * len(own)}
    habits = {prefix: count for prefix, count in prefixes.items() if prefix.rstrip("-./_0123456789") in stems}  # CS1-, CS2-
    if habits:
        told = f"number_prefixes = {json.dumps(sorted(habits))} # {_counts(habits)}, of {len(own)} patient numbers"
        whole = set(own)
        meet = len(whole) - len({value.removeprefix(next(filter(value.startswith, habits), "")) for value in whole})
        draft.add("identifiers", f"# {told}; {meet} would be another's without it: years, not branches?" if meet else told)
    _cards(draft, seen, standard, together)
    for stated, count in Counter(one.type for one in numbers if one.type not in standard["types"] and one.type).most_common(30):
        kinds = Counter(kind_of(one.value) for one in numbers if one.type == stated)
        kind, same = kinds.most_common(1)[0]
        if is_code(stated):
            sure = "" if same >= _MOST * count and kind in SURE else "# "
            looks = _counts(Counter(shape(one.value) for one in numbers if one.type == stated), 2)
            draft.add("identifiers.types", f'{sure}{_key(stated)} = "{kind}" # {count} numbers: {looks}')


def _read_together(draft: Draft, seen: Evidence, lists: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Fields of PID that hold a patient's numbers side by side, if these are several."""
    where: Counter[int] = Counter()
    accounts_are_citizens = seen.citizens_in_accounts()
    for message in seen.messages:
        for pid in message.segments("PID"):
            first = next((fields for fields in lists if any(pid.get(number) for number in fields)), ())
            account = {ACCOUNT} if accounts_are_citizens and is_a_citizens(pid, message, facility_of(message)) else set()
            where.update({*first, *numbers_of_a_person(pid), *account})
    together = tuple(sorted(number for number, count in where.items() if count >= _SOME * len(seen.messages)))
    if len(together) < 2:
        return ()
    fields = {f"PID-{number}": where[number] for number in together}
    draft.add("identifiers", f'lists = ["{"+".join(fields)}"] # read together; numbers stand in {_counts(Counter(fields))}')
    return together


def _visits(draft: Draft, raw: Mapping[str, Any]) -> None:
    """The rules of MA_LK without PID-18."""
    for section in sections():
        stated = _as_table(raw[section].get("ma_lk", ""))
        places = _places(stated) if stated["from"] else []
        kept = [place_text(place) for place in places if (place.segment, place.field) != ("PID", ACCOUNT)]
        if kept and len(kept) < len(places):
            rule = stated | {"from": kept[0] if len(kept) == 1 else kept}
            draft.add(section, f"ma_lk = {_rule(rule)} # PID-{ACCOUNT} holds citizen numbers")


def _cards(draft: Draft, seen: Evidence, standard: Mapping[str, Any], together: Collection[int]) -> None:
    """Where numbers of the shape of a card stand, and who is named as their payer."""
    known = [read_place(text).field for text in standard["cards"]]
    where: Counter[str] = Counter()
    payers: Counter[str] = Counter()
    for message in seen.messages:
        for segment in message.segments_in_order[1:]:
            for number in cards_of(segment):
                if f"{segment.name}-{number}" not in standard["lists"]:
                    where[f"{segment.name}-{number}"] += 1
                    if segment.name == "IN1" and not {segment.get(each) for each in (2, 3, 4)} & set(standard["payers"]):
                        payers.update([segment.get(3) or segment.get(4) or segment.get(2)])
    read_there = [place for place, _ in where.most_common() if place.startswith(("IN1-", "Z"))]
    others = [place for place in read_there if place[0] != "Z" and int(place[4:]) not in known]
    first = any(where[f"IN1-{each}"] for each in known)
    cards = [*standard["cards"], *others] if first else [*others, *standard["cards"]]
    if others:
        draft.add("identifiers", f"cards = {json.dumps(cards)} # numbers of a card's shape: {_counts(where)}")
    if apart := [place for place in read_there if place[0] == "Z"]:  # whose numbers they are, nothing there says
        row = f"# cards = {json.dumps([*cards, *apart])} # numbers of a card's shape: {_counts(where)}; if they are the patient's"
        draft.add("identifiers", f"{row} cards, take the # away")
    if named := [name for name in payers if name and is_code(name)]:
        count = f"{_counts(payers)}: IN1-3 beside numbers of a card's shape"
        draft.add("identifiers", f"payers = {json.dumps([*standard['payers'], *sorted(named)])} # {count}")
    read = {f"PID-{number}" for number in together}
    elsewhere = {place: count for place, count in where.items() if place not in read_there and place not in read}
    if elsewhere:
        draft.add(
            "identifiers",
            f"# numbers of a card's shape stand in {_counts(elsewhere)} too; cards are read from IN1, PID and Z-segments",
        )


# --- rules ------------------------------------------------------------------------------------------------------------


def _rules(draft: Draft, seen: Evidence, raw: Mapping[str, Any], section: str) -> None:
    for name, stated in raw[section].items():
        rule = _as_table(stated)
        places = _places(stated)
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
        draft.add(section, f"{name} = {_rule(rule | {'as': 'full_name_without_age'})} # {count}")


def _times(draft: Draft, seen: Evidence, section: str, name: str, rule: dict[str, Any], places: list[Place]) -> None:
    """Another transform of times, where it reads what this one cannot, and gives the form that this one gives."""
    usual = TRANSFORMS[rule["as"]].function
    own = [place for place in places if place.segment != "MSH"] or places  # MSH-7 stands in for what is not there
    values = list(seen.first_values(own))
    unread = [value for value in values if usual(value) is None]
    if not unread or len(unread) < _MANY * len(values):
        return
    shapes = f"{len(unread)} of {len(values)} are unread: {_counts(Counter(map(shape, unread)), 3)}"
    for other, transform in TRANSFORMS.items():
        if transform.kind == "value" and transform.problem == "TIME_UNPARSABLE" and other != rule["as"]:
            read = [transform_of(section, name, transform).function(value) for value in unread]
            if sum(bool(value) and usual(value) == value for value in read) >= _MOST * len(unread):
                read_by_it = [place_text(place) for place in own]
                stated = read_by_it[0] if len(read_by_it) == 1 else read_by_it
                draft.add(section, f"{name} = {_rule(rule | {'from': stated, 'as': other})} # {shapes}")
                return
    draft.add(section, f"# {name}: {shapes}; no transform reads them")


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
            draft.add(section, f"{name} = {_rule(rule | {'from': stated})} # {reason}")
            return


def _conclusions(draft: Draft, seen: Evidence, standard: Iterable[str]) -> None:
    """OBX that are called a conclusion, under a code that is not one of the hub's."""
    found: Counter[str] = Counter()
    for message in seen.messages:
        for line in message.segments("OBX"):
            code, display = line.get(3), line.get(3, 2)
            called = fold(display or code)
            if code not in standard and display not in standard and called in ("ket luan", "conclusion", "impression"):
                found[code] += 1
    known = {code: count for code, count in found.items() if is_code(code)}
    if known:
        codes = json.dumps([*standard, *sorted(known)], ensure_ascii=False)
        draft.add("conclusions", f"codes = {codes} # {_counts(known)}: OBX called a conclusion")


# --- codes ------------------------------------------------------------------------------------------------------------


def _codes(draft: Draft, seen: Evidence, raw: Mapping[str, Any]) -> None:
    where: dict[str, list[Place]] = {}
    for section in sections():
        for stated in raw[section].values():
            rule = _as_table(stated)
            if rule.get("codes") and rule.get("unknown") != "keep":
                where.setdefault(rule["codes"], []).extend(_places(stated))
    for table, places in where.items():
        distinct = list(dict.fromkeys(places))
        values = Counter(value for place in distinct for value in seen.values(place))
        known = {code.casefold() for code in (*raw["codes"][table], *_SAY_NOTHING.get(table, ()))}  # as rules compare them
        local = Counter({value: count for value, count in values.items() if value.casefold() not in known})
        if not local:
            continue
        _code_rows(draft, table, ", ".join(map(place_text, distinct)), values.total(), local, raw["codes"][table])


def _flags(draft: Draft, seen: Evidence) -> None:
    """Local words for high and low: urgent results are known by their flags."""
    values = Counter(
        row[0] for message in seen.messages for line in message.segments("OBX") for row in line.rows(8) if row and row[0]
    )
    local = Counter({value: count for value, count in values.items() if value not in FLAGS})
    if local:
        rule = {"from": "OBX-8", "as": "list", "codes": "flags", "unknown": "keep"}
        draft.add("observation", f"flags = {_rule(rule)} # by the rows of [codes.flags]")
        _code_rows(draft, "flags", "OBX-8", values.total(), local, {flag: flag for flag in _FLAGS.values()})


def _states(draft: Draft, seen: Evidence) -> None:
    """Local letters for the state of a result line: one that nobody understands does not count as final."""
    values = Counter(value for message in seen.messages for line in message.segments("OBX") if (value := line.get(11)))
    if local := Counter({value: count for value, count in values.items() if value not in STATES}):
        rule = {"from": "OBX-11", "codes": "line_status", "unknown": "keep"}
        draft.add("observation", f"status = {_rule(rule)} # by the rows of [codes.line_status]")
        _code_rows(draft, "line_status", "OBX-11", values.total(), local, {state: state for state in sorted(STATES)})


def _classes(draft: Draft, seen: Evidence, raw: Mapping[str, Any], found: Report) -> None:
    """Local words for the class of a visit: recipients read it, and MA_LOAI_KCB follows from it."""
    values = Counter(seen.values(read_place("PV1-2")))
    local = Counter({value: count for value, count in values.items() if value not in _CLASSES})
    if not local:
        return
    made = {row.record for row in found.events}
    of = [name for name, record in sections().items() if "patient_class" in raw[name] and f"hie.{record.__name__}" in made]
    for section in of:
        rule = _as_table(raw[section]["patient_class"]) | {"codes": "patient_class", "unknown": "keep"}
        draft.add(section, f"patient_class = {_rule(rule)} # by the rows of [codes.patient_class]")
    if of:  # a table that no rule looks anything up in says nothing
        _code_rows(draft, "patient_class", "PV1-2", values.total(), local, _CLASSES)


def _other_sex(meant: Mapping[str, str]) -> tuple[str, str] | None:
    """Of two words for a sex the one that is not known (`N?`, of a broken charset), with the sex that the known one leaves it."""
    unknown = [value for value, sex in meant.items() if not sex]
    known = {sex for sex in meant.values() if sex}
    if len(unknown) != 1 or len(unknown[0]) > _SEX_WORD or len(known) != 1 or any(sign.isdigit() for sign in unknown[0]):
        return None
    return (unknown[0], "2") if known == {"1"} else (unknown[0], "1") if known == {"2"} else None


def _code_rows(draft: Draft, table: str, at: str, total: int, local: Counter[str], known: Mapping[str, str]) -> None:
    """Local codes: an official code means itself, a word for a sex that sex; of the others a person has to say it."""
    targets = sorted({target for target in known.values() if target})
    words = _WORDS.get(table, {})
    meant = {value: value if value in targets else words.get(fold(value), "") for value in local}
    rest = Counter({value: count for value, count in local.items() if not meant[value]})
    draft.add(
        f"codes.{table}",
        f"# {at}: {local.total()} of {total} values are not in the hub's table; they may mean {', '.join(targets)}",
    )
    rows = [value for value, _ in local.most_common(40) if meant[value]]
    if table == "sex" and (other := _other_sex(meant)):
        value, sex = other
        draft.add(f"codes.{table}", f'# {_key(value)} = "{sex}" # × {local[value]}, the other of two words')
        del rest[value]
    if len(rest) > max(3, local.total() // 3) or not all(_WORD.fullmatch(value) or is_code(value) for value in rest):
        looks = _counts(Counter(map(shape, rest.elements())), 4)
        draft.add(f"codes.{table}", f"# {rest.total()} of them are too varied for codes: {looks}")
    else:
        rows += [value for value, _ in rest.most_common(40)]
    for value in rows:
        draft.add(
            f"codes.{table}", f"{'' if meant[value] else '# '}{_key(value)} = {_text(meant[value] or '?')} # × {local[value]}"
        )
