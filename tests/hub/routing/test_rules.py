"""Every rule has its words, and its place in the README."""

import ast
import re
from pathlib import Path

import hub.routing
from hub.routing.app import streams
from hub.routing.rules import REMEDIES, RULES

FOLDER = Path(hub.routing.__file__).parent


def named_in_code():
    """Rules that the code gives to an output, a derived event or a delivery, as text or as a constant of its file."""
    found = {stream.repeat_rule for stream in streams()}
    found |= {rule for stream in streams() for rule in getattr(stream.decide, "args", ()) if rule.startswith("nobody-")}
    for path in FOLDER.glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            node.target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Constant)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", "")
            at = {"Deliver": 1, "Nobody": 0, "Recall": 2, "Refuse": 1}.get(name)
            told = [call.args[at]] if at is not None and len(call.args) > at else []
            told += [one.value for one in call.keywords if one.arg == "rule" and name in ("derive", "Deliver", "Recall")]
            for one in told:
                for part in ast.walk(one):
                    value = part.value if isinstance(part, ast.Constant) else constants.get(getattr(part, "id", ""))
                    if isinstance(value, str):
                        found.add(value)
    return found


def in_readme():
    """What stands in backticks in the last column of the table."""
    table = (FOLDER / "README.md").read_text("utf-8").partition("## Rules")[2].partition("\n- ")[0]
    rows = [row for row in table.splitlines() if row.startswith("|")]
    return {rule for row in rows for rule in re.findall(r"`([^`]+)`", row.rstrip("|").rpartition("|")[2])}


def test_every_rule_that_the_code_names_has_words():
    named = {rule for rule in named_in_code() if not rule.startswith("receipt-") and rule != "delivery"}
    assert len(named) > 20
    assert named - set(RULES) == set()


def test_the_table_of_the_readme_has_every_rule_and_no_other():
    assert in_readme() == set(RULES)


def test_every_sentence_is_there_in_both_languages():
    for words in (*RULES.values(), *REMEDIES.values()):
        assert words.en.endswith(".") and words.vi.endswith(".")
