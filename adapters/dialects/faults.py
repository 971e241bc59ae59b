"""How a fault of a profile is told: the place, what is wrong there, what is wanted instead, and what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic_core import ErrorDetails

from adapters.dialects.profile_model import Profile

_LIST: Final = 'a list is wanted, in brackets: ["…", "…"]'
_TABLE: Final = "a table is wanted: lines behind [its name], or { … }"
MISSING: Final = "this line is missing"
_WANTED: Final = {  # by pydantic's name of the fault
    "missing": MISSING,
    "string_type": 'a text is wanted, in quotes: "…"',
    "string_too_short": "it must not be empty",
    "bool_type": "true or false is wanted, without quotes",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "string_pattern_mismatch": 'the five digits of MA_CSKCB are wanted, in quotes: "01004"',  # no other line has a pattern
}


def among(wrong: str, known: Iterable[str]) -> str:
    """What could have been written in the place of a name, the one that was probably meant first.

    >>> among("pacers", ["cards", "payers"]), among("x", ["cards", "payers"])
    ('did you mean payers? There are cards, payers', 'there are cards, payers')
    """
    names = sorted(known)
    there_are = f"here are {', '.join(names)}"
    near = get_close_matches(wrong, names, n=1)
    return f"did you mean {near[0]}? T{there_are}" if near else f"t{there_are}"


def told(one: ErrorDetails) -> str:
    """A fault that the model of profiles finds."""
    place, kind, context = one["loc"], one["type"], one.get("ctx", {})
    if kind == "extra_forbidden":
        said = _unknown(place)
    elif kind == "literal_error":
        said = f"{context['expected']} is wanted".replace("'", '"')
    elif kind == "string_type" and place[-2:-1] == ("from",):
        said = 'a place is wanted, in quotes: "PID-5"'
    elif kind == "list_type" and place[-1] == "from":
        said = 'a place is wanted, in quotes: "PID-5"; or a list of them'
    else:
        said = _WANTED.get(kind, one["msg"])
    return f"{_shown(place)}: {said}"


def _shown(place: tuple[int | str, ...]) -> str:
    """`facility.aliases, entry 1, code`."""
    shown = ""
    for step in place:
        behind = ", " if ", entry " in shown else "." if shown else ""
        shown += f", entry {step + 1}" if isinstance(step, int) else f"{behind}{step}"
    return shown


def _unknown(place: tuple[int | str, ...]) -> str:
    wrong = str(place[-1])
    if len(place) > 1:
        return f"there is no setting of this name; {among(wrong, _settings_beside(place))}"
    alone = [name for name, of in Profile.model_fields.items() if of.annotation is str or name in ("comma", "point")]
    others = sorted(Profile.model_fields.keys() - set(alone))
    near = get_close_matches(wrong, sorted({*Profile.model_fields, "extends"}), n=1)
    meant = f"did you mean {near[0]}? There are" if near else "there are"
    return f"there is no section or line of this name; {meant} the sections {', '.join(others)}, and the lines extends, {', '.join(alone)}"


def _settings_beside(place: tuple[int | str, ...]) -> list[str]:
    """What may stand in the table in which `place` stands, as files write it."""
    kind: Any = Profile
    for step in place[:-1]:
        # a table of its own, or one of many in a list or under names
        kind = kind.model_fields[str(step)].annotation if hasattr(kind, "model_fields") else get_args(kind)[-1]
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
    return sorted(field.alias or name for name, field in kind.model_fields.items())
