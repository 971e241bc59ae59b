"""The encoding rules of HL7 v2 (ER7): the delimiters and the escape sequences. Source: HL7 v2.5.1 §2.5 and §2.7."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hub.contract.errors import Problem, Severity

NULL: Final = '""'
"""HL7's "delete this value", as against an absent one (§2.5.3)."""

ABSENT: Final = "\uffff"  # stands for a delimiter that the message does without: a noncharacter, so never in text


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2. truncation: the character that v2.7 and later may add to MSH-2, "" if it is not there."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding(self) -> str:
        """MSH-2."""
        return "".join(
            c for c in (self.component, self.repetition, self.escape, self.subcomponent, self.truncation) if c != ABSENT
        )


STANDARD: Final = Delimiters()


@lru_cache(maxsize=256)
def read_delimiters(field: str, encoding: str) -> tuple[Delimiters, tuple[Problem, ...]]:
    """The five delimiters of MSH-1 and MSH-2; one that is missing, repeated or a letter is replaced by the usual one unless that is taken."""
    usable = [c for c in dict.fromkeys(encoding) if not c.isalnum() and not c.isspace() and c != field]
    odd = len(usable) != len(encoding) or not 4 <= len(usable) <= 5  # v2.7 adds the truncation character
    chosen = usable[:4]
    for usual in "^~\\&"[len(chosen) :]:
        chosen.append(usual if usual not in chosen and usual != field else ABSENT)
    found = Delimiters(field, chosen[0], chosen[1], chosen[2], chosen[3], "".join(usable[4:5]))
    return found, ((Problem("DELIMITERS_ODD", Severity.WARNING, "MSH-2"),) if odd else ())


@lru_cache(maxsize=64)
def escape_pattern(delimiters: Delimiters) -> tuple["re.Pattern[str]", dict[str, str]]:
    """What matches the known escape sequences, and what those of one letter stand for."""
    mark = re.escape(delimiters.escape)
    letters = "FSTREHNP" if delimiters.truncation else "FSTREHN"
    pattern = re.compile(
        rf"{mark}(?:([{letters}])|\.(br|ce|fi|nf|sp ?\+?\d*|in ?[+-]?\d*|ti ?[+-]?\d*|sk ?\+?\d*)|X((?:[0-9A-Fa-f]{{2}})+(?:{mark}{mark}X(?:[0-9A-Fa-f]{{2}})+)*)){mark}"
    )
    plain = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "H": "",  # highlighting on and off has no place in plain text
        "N": "",
        "P": delimiters.truncation,
    }
    return pattern, {name: "" if value == ABSENT else value for name, value in plain.items()}


def unescape(value: str, delimiters: Delimiters = STANDARD) -> str:
    """Decode the escape sequences of one value (§2.7); unknown ones are kept as they came.

    `\\.br\\`, `\\.sp\\` and `\\.ce\\` become line breaks, highlighting and indents disappear, `\\Xdd..\\` is read as UTF-8,
    else as latin-1.
    """
    if delimiters.escape not in value:
        return value
    pattern, plain = escape_pattern(delimiters)

    def decoded(found: "re.Match[str]") -> str:
        letter, layout, hexadecimal = found.groups()
        if letter:
            return plain[letter]
        if layout:
            return _layout(layout)
        raw = bytes.fromhex(hexadecimal.replace(delimiters.escape * 2 + "X", ""))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    return pattern.sub(decoded, value)


def _layout(command: str) -> str:
    kind, count = command[:2], command[2:].strip(" +")
    if kind in ("br", "ce"):
        return "\n"
    if kind == "sp":
        return "\n" * min(int(count or 1), 100)
    if kind == "sk":
        return " " * min(int(count or 1), 100)
    return ""


@lru_cache(maxsize=64)
def escaping(delimiters: Delimiters) -> tuple["re.Pattern[str]", dict[int, str]]:
    """What finds a character that has to be escaped, and the table that `str.translate` escapes it by."""
    mark = delimiters.escape
    letters = {
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.subcomponent: "T",
        delimiters.repetition: "R",
        mark: "E",
        "\n": ".br",
        "\r": "X0D",
        "\x0b": "X0B",
        "\x1c": "X1C",
    }
    if delimiters.truncation:
        letters[delimiters.truncation] = "P"
    table = {ord(character): f"{mark}{letter}{mark}" for character, letter in letters.items() if character != ABSENT}
    return re.compile("[" + re.escape("".join(map(chr, table))) + "]"), table


def escape(value: str, delimiters: Delimiters = STANDARD) -> str:
    """One value as it may stand in a message; the reverse of `unescape`. The HL7 null passes as it is."""
    if value == NULL:
        return value
    special, table = escaping(delimiters)
    return value.translate(table) if special.search(value) else value


def split_components(repetition: str, delimiters: Delimiters) -> list[str]:
    """The decoded components of one repetition that was split off already; of subcomponents the first."""
    parts = repetition.split(delimiters.component)
    if delimiters.subcomponent in repetition:
        parts = [part.partition(delimiters.subcomponent)[0] for part in parts]
    if NULL in parts:
        parts = ["" if part == NULL else part for part in parts]
    if delimiters.escape in repetition:
        parts = [unescape(part, delimiters) for part in parts]
    return parts


_TEXTS: Final = (1, 4, 8)  # of CE and CWE, from 0: text, alternate text, original text
_SUFFIX: Final = re.compile(r"[A-Z]{3}")  # of the identifier of an observation, such as IMP, GDT or REC: HL7 v2.5.1 §7.1.4


def split_coded(repetition: str, delimiters: Delimiters) -> list[str]:
    """The same of a CE or CWE, which have no subcomponents: `&` in them is text that nobody escaped, but before the suffix of an
    observation's identifier. A code cut at it would be another test's (`GLU&2H`)."""
    parts = split_components(repetition, delimiters)
    if delimiters.subcomponent in repetition:
        sent = repetition.split(delimiters.component)
        for at, part in enumerate(sent):
            _, mark, behind = part.partition(delimiters.subcomponent)
            if mark and part != NULL and (at in _TEXTS or (behind and not _SUFFIX.fullmatch(behind))):
                parts[at] = whole(part, delimiters)
    return parts


_PARTS_MAX: Final = 5  # of FN; SAD has three


def split_spoken(repetition: str, delimiters: Delimiters) -> list[str]:
    """The same of a name or an address, of whose components everything is kept: `&` with a blank beside it, or more of them than
    there can be, is text that nobody escaped; between the parts of FN and SAD (v2.4 and later) it is a blank, and a part that was
    said already is not said twice."""
    mark = delimiters.subcomponent
    if mark not in repetition:
        return split_components(repetition, delimiters)
    found = []
    for component in repetition.split(delimiters.component):
        if component.count(mark) >= _PARTS_MAX or _is_typed(component, mark):
            found.append(whole(component, delimiters))
            continue
        said = ""
        for at, part in enumerate(component.split(mark)):
            if part and part != NULL and not _repeats(part, at, said):
                said = f"{said} {part}".lstrip()
        found.append(unescape(said, delimiters))
    return found


def split_uncut(repetition: str, delimiters: Delimiters) -> list[str]:
    """The same of a unit, whose components have no parts: `&` in them is text that nobody escaped."""
    return ["" if part == NULL else whole(part, delimiters) for part in repetition.split(delimiters.component)]


def _is_typed(component: str, mark: str) -> bool:
    """Whether that mark is text there, with a blank beside it."""
    return f" {mark}" in component or f"{mark} " in component


def _repeats(part: str, at: int, said: str) -> bool:
    """Whether that part, from 0, says what begins or ends the text before. The same text again is only a repetition behind the
    second: `Lê&Lê` is a family name of two words, `Lê&&Lê` is FN-1 and the own surname."""
    return said.startswith(f"{part} ") or said.endswith(f" {part}") or (at > 1 and part == said)


def whole(component: str, delimiters: Delimiters) -> str:
    """One component that has no parts, as it was sent but for its escapes and the `&` that only pad it."""
    return unescape(component.strip(delimiters.subcomponent), delimiters)
