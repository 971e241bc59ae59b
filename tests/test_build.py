"""What a compiled wheel compiles. That it runs is shown by the suite itself, run on `build/compiled` (hub/bench/README.md)."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def hot_modules() -> tuple[str, ...]:
    """`HOT` of the build hook, read without hatchling, which only builds have."""
    for line in ast.parse((ROOT / "hatch_build.py").read_text()).body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "HOT":
            return ast.literal_eval(line.value)
    raise AssertionError("hatch_build.py has no HOT")


@pytest.mark.parametrize("path", hot_modules())
def test_a_hot_module_is_there_and_asks_nothing_of_its_surroundings(path):
    assert (ROOT / path).is_file()
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    assert not hasattr(module, "asyncio")  # sockets and loops are never hot, and change too often to be compiled


@pytest.mark.parametrize("path", hot_modules())
def test_a_hot_module_seeks_nothing_in_a_tuple_with_a_starred_part(path):
    """mypyc stops there with an internal error, and no wheel is built; the interpreter sees nothing wrong with it."""
    compared = [node for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Compare)]
    sought_in = [place for node in compared for place in node.comparators if isinstance(place, ast.Tuple | ast.List | ast.Set)]
    assert not [place.lineno for place in sought_in if any(isinstance(one, ast.Starred) for one in place.elts)]


def test_a_checkout_is_never_compiled_in_place():
    """An extension beside its source would go on hiding it while somebody edits it."""
    assert not [found for folder in ("hub", "adapters") for found in (ROOT / folder).rglob("*.so")]
