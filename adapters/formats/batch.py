"""Files of several messages: batch headers and trailers checked, text outside messages kept.

Source: HL7 v2.5.1 §2.10.3 (FHS { BHS { MSH … } BTS } FTS). Trailers with counts are common, complete nesting is not, so what
does not fit is reported and the messages are read all the same.
"""

import re
from dataclasses import dataclass
from typing import Final

from adapters.formats.hl7v2 import message_spans
from hub.contract.errors import Problem, Severity

_ENVELOPE: Final = re.compile(r"(FHS|BHS|BTS|FTS)(?:([^A-Za-z0-9\s])([^\r\n\x1c]*)|(?=[\r\n]|\Z))")
_FRAMING: Final = "\ufeff\x0b\x1c\x00\r\n\t "


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages of one file.

    messages: text of each, in order, as `hl7v2.parse` takes it.
    outside:  stretches of text that belong to no message and no batch segment.
    problems: counts that differ, headers without trailer or the reverse, text outside.
    """

    messages: list[str]
    outside: list[str]
    problems: tuple[Problem, ...]


def read(text: str) -> Batch:
    """Take a file apart. A file without batch segments is as good as one with them."""
    spans = message_spans(text)
    problems: list[Problem] = []
    outside: list[str] = []
    opened = {"FHS": 0, "BHS": 0}
    messages_in_batch = batches_in_file = 0
    at = 0
    for start, stop in [*spans, (len(text), len(text))]:
        between = text[at:start]
        for found in _ENVELOPE.finditer(between):
            name, separator, rest = found.groups()
            if name in opened:
                opened[name] += 1
                if name == "BHS":
                    messages_in_batch = 0
                    batches_in_file += 1
                else:
                    batches_in_file = 0
                continue
            header = "FHS" if name == "FTS" else "BHS"
            if opened[header]:
                opened[header] -= 1
            else:
                problems.append(Problem("BATCH_UNBALANCED", Severity.WARNING, name))
            count = rest.split(separator)[0].strip() if separator else ""
            holds = batches_in_file if name == "FTS" else messages_in_batch
            if count and (not count.isdecimal() or len(count) > 19 or int(count) != holds):
                problems.append(Problem("BATCH_COUNT_MISMATCH", Severity.WARNING, f"{name}-1"))
        stray = _ENVELOPE.sub("", between).strip(_FRAMING)
        if stray:
            outside.append(stray)
        messages_in_batch += start < len(text)
        at = stop
    problems += [Problem("BATCH_UNBALANCED", Severity.WARNING, name) for name, count in opened.items() if count]
    if outside:
        problems.append(Problem("OUTSIDE_MESSAGES", Severity.WARNING))
    return Batch([text[start:stop] for start, stop in spans], outside, tuple(problems))
