"""Codes and words that the hub's tables do not have: rows for what they can only mean, questions for the rest."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from adapters.dialects.conformance import Report, place_text
from adapters.dialects.draft import Draft, as_table, counted, key_text, places_of, quoted, rule_text
from adapters.dialects.evidence import Evidence
from adapters.dialects.observed import STATES
from adapters.dialects.paths import Place, read_place
from adapters.dialects.profile import sections
from adapters.dialects.reading import PRIORITIES
from adapters.dialects.shapes import FLAGS, is_code, shape
from adapters.formats.charset import fold

_SEXES: Final = {
    "nam": "1", "male": "1", "trai": "1", "nu": "2", "female": "2", "gai": "2", "khac": "3", "other": "3", "khong ro": "3",
}  # fmt: skip
_FLAGS: Final = {
    "cao": "H", "tang": "H", "high": "H", "thap": "L", "giam": "L", "low": "L", "rat cao": "HH", "rat thap": "LL",
    "binh thuong": "N", "bt": "N", "normal": "N", "bat thuong": "A", "abnormal": "A",
}  # fmt: skip
_PRIORITIES: Final = {
    "cc": "S", "cap cuu": "S", "khan": "S", "khan cap": "S", "emergency": "S", "urgent": "S",
    "thuong": "R", "thuong quy": "R", "binh thuong": "R",
}  # fmt: skip
_WORDS: Final = {"sex": _SEXES, "flags": _FLAGS, "priority": _PRIORITIES}  # by table, without accents and in small letters
_IN_HL7: Final = {
    "A": "some results", "B": "appended", "C": "corrected", "D": "deleted", "F": "final", "I": "pending", "N": "not asked",
    "O": "order only", "P": "preliminary", "R": "not verified", "S": "partial", "U": "final now", "V": "verified",
    "W": "wrong patient", "X": "no result",
}  # fmt: skip
"""Table 0085 in a word or two: `STATES`."""
_PLAIN_STATES: Final = frozenset({"F"})  # of which nobody asks
_ORDERS: Final = ("ORM", "OML", "OMG", "OMI")
_WITH_PRIORITY: Final = {"order": _ORDERS, "referral": ("REF", "RRI")}  # sections, with types of messages
_UNLIKELY: Final = {"C": "callback", "T": "timing critical"}  # table 0485: few mean this, and many cấp cứu and thường
_OF_TYPES: Final = {
    "order_control": _ORDERS,
    "prescription_control": ("RDE", "OMP"),
    "referral_answer": ("RRI",),
}  # tables of one field, each for its own messages
_SHORT: Final = 2  # signs of what can only be a code, however many of them there are
_WORD: Final = re.compile(r"[^\W_][^\W_ ]{0,11}(?: [^\W_]{1,6})?")
_SEX_WORD: Final = 4  # letters of a word for a sex that may be shown as it stands
_SAY_NOTHING: Final = {"referral_answer": ("P", "E")}  # table 0283: pending, expired; no answers, and no table may make them one
_CLASSES: Final = {code: code for code in "BCEINOPRUV"}  # of PV1-2: table 0004, and V of the hub's own profile


def local_codes(draft: Draft, seen: Evidence, raw: Mapping[str, Any]) -> None:
    where: dict[str, list[Place]] = {}
    for section in sections():
        for stated in raw[section].values():
            rule = as_table(stated)
            if rule.get("codes") and rule.get("unknown") != "keep":
                where.setdefault(rule["codes"], []).extend(places_of(stated))
    for table, places in where.items():
        distinct = list(dict.fromkeys(places))
        of = seen.of_types(_OF_TYPES[table]) if table in _OF_TYPES else seen
        values = Counter(value for place in distinct for value in of.values(place))
        known = {code.casefold() for code in (*raw["codes"][table], *_SAY_NOTHING.get(table, ()))}  # as rules compare them
        local = Counter({value: count for value, count in values.items() if value.casefold() not in known})
        if not local:
            continue
        _code_rows(draft, table, ", ".join(map(place_text, distinct)), values.total(), local, raw["codes"][table])


def local_flags(draft: Draft, seen: Evidence) -> None:
    """Local words for high and low: urgent results are known by their flags."""
    values = Counter(row[0] for line in seen.result_lines() for row in line.rows(8) if row and row[0])
    local = Counter({value: count for value, count in values.items() if value not in FLAGS})
    known = Counter({value: count for value, count in values.items() if value in FLAGS})
    if local:
        rule = {"from": "OBX-8", "as": "list", "codes": "flags", "unknown": "keep"}
        draft.add("observation", f"flags = {rule_text(rule)} # by the rows of [codes.flags]")
        _code_rows(draft, "flags", "OBX-8", values.total(), local, {flag: flag for flag in _FLAGS.values()})
        if known:
            draft.add("codes.flags", f"# as HL7 has them: {counted(known)}; a row for each that means something else to you")


def local_states(draft: Draft, seen: Evidence) -> None:
    """Letters for the state of a result line: one that nobody understands does not count as final. One that HL7 has too may mean
    something else to the sender, which only a person can see: what HL7 means by it is shown."""
    values = Counter(value for line in seen.result_lines() if (value := line.get(11).strip()))
    local = Counter({value: count for value, count in values.items() if value not in STATES})
    known = Counter({f"{value} {_IN_HL7[value]}": count for value, count in values.items() if value in STATES})
    rule = f"status = {rule_text({'from': 'OBX-11', 'codes': 'line_status', 'unknown': 'keep'})}"
    if local:
        draft.add("observation", f"{rule} # by the rows of [codes.line_status]")
        _code_rows(draft, "line_status", "OBX-11", values.total(), local, {state: state for state in sorted(STATES)})
        if known:
            draft.add(
                "codes.line_status", f"# as HL7 has them: {counted(known)}; a row for each that means something else to you"
            )
    elif values.keys() - _PLAIN_STATES:
        draft.add("observation", f"# {rule} # only if one of these means something else to you: {counted(known)}; its row goes")
        draft.add("observation", "# into [codes.line_status]")


def local_priorities(draft: Draft, seen: Evidence, raw: Mapping[str, Any]) -> None:
    """Local words for how soon: an order or a slip with one that nobody knows goes as routine. Of two letters of HL7's, which may
    mean something else to the sender, a person is asked."""
    local: Counter[str] = Counter()
    places: list[str] = []
    total = 0
    for section, types in _WITH_PRIORITY.items():
        looked = places_of(raw[section]["priority"])
        values = Counter(seen.of_types(types).first_values(looked))
        own = Counter({value: count for value, count in values.items() if not PRIORITIES.fullmatch(value)})
        letters = Counter({f"{value} {meant}": values[value] for value, meant in _UNLIKELY.items() if values[value]})
        rule = f"priority = {rule_text(as_table(raw[section]['priority']) | {'codes': 'priority', 'unknown': 'keep'})}"
        if own:
            draft.add(section, f"{rule} # by the rows of [codes.priority]")
            local += own
            places += map(place_text, looked)
            total += values.total()
        elif letters:
            draft.add(section, f"# {rule} # only if one of these means something else to you")
        if letters:
            draft.add(
                section, f'# as HL7 has them: {counted(letters)}; if they are cấp cứu and thường, C = "S" and T = "R" go into'
            )
            draft.add(section, "# [codes.priority]")
    if local:
        _code_rows(draft, "priority", ", ".join(places), total, local, {"S": "S", "A": "A", "R": "R"})


def local_classes(draft: Draft, seen: Evidence, raw: Mapping[str, Any], found: Report) -> None:
    """Local words for the class of a visit: recipients read it, and MA_LOAI_KCB follows from it."""
    values = Counter(seen.values(read_place("PV1-2")))
    local = Counter({value: count for value, count in values.items() if value not in _CLASSES})
    if not local:
        return
    made = {row.record for row in found.events}
    of = [name for name, record in sections().items() if "patient_class" in raw[name] and f"hie.{record.__name__}" in made]
    for section in of:
        rule = as_table(raw[section]["patient_class"]) | {"codes": "patient_class", "unknown": "keep"}
        draft.add(section, f"patient_class = {rule_text(rule)} # by the rows of [codes.patient_class]")
    if of:  # a table that no rule looks anything up in says nothing
        _code_rows(draft, "patient_class", "PV1-2", values.total(), local, _CLASSES)


def _other_sex(meant: Mapping[str, str]) -> tuple[str, str] | None:
    """Of two words for a sex the one that is not known (`N?`, of a broken charset), with the sex that the known one leaves it."""
    unknown = [value for value, sex in meant.items() if not sex]
    known = {sex for sex in meant.values() if sex}
    if len(unknown) != 1 or len(unknown[0]) > _SEX_WORD or len(known) != 1 or any(sign.isdigit() for sign in unknown[0]):
        return None
    other = {"1": "2", "2": "1"}.get(known.pop(), "")
    begins = fold(unknown[0])[:1] in {word[0] for word, sex in _WORDS["sex"].items() if sex == other}  # a K is no word for a man
    return (unknown[0], other) if begins else None


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
        draft.add(f"codes.{table}", f'# {key_text(value)} = "{sex}" # × {local[value]}, the other of two words')
        del rest[value]
    long = sum(len(value) > _SHORT for value in rest)
    if long > max(3, local.total() // 3) or not all(_WORD.fullmatch(value) or is_code(value) for value in rest):
        looks = counted(Counter(map(shape, rest.elements())), 4)
        draft.add(f"codes.{table}", f"# {rest.total()} of them are too varied for codes: {looks}")
    else:
        rows += [value for value, _ in rest.most_common(40)]
    for value in rows:
        draft.add(
            f"codes.{table}",
            f"{'' if meant[value] else '# '}{key_text(value)} = {quoted(meant[value] or '?')} # × {local[value]}",
        )
