"""What a compiled wheel compiles. That what it compiles runs, nothing here shows: run the suite on `build/compiled` (hub/bench/README.md)."""

import ast
import importlib
import subprocess
import sys
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


def test_mypyc_takes_the_hot_modules(tmp_path):
    """Some constructs stop mypyc that interpreter and mypy take, and then no wheel is built. Only the C compiler is left out."""
    translate = (
        "import sys; from mypyc.build import mypycify; "
        "mypycify(['--config-file=', '--ignore-missing-imports', *sys.argv[3:]], group_name=sys.argv[1], target_dir=sys.argv[2])"
    )
    arguments = ["hot", str(tmp_path / "c"), f"--cache-dir={tmp_path / 'types'}", *hot_modules()]
    done = subprocess.run([sys.executable, "-c", translate, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "c").rglob("*.c"))


def test_a_checkout_is_never_compiled_in_place():
    """An extension beside its source would go on hiding it while somebody edits it."""
    assert not [found for folder in ("hub", "adapters") for found in (ROOT / folder).rglob("*.so")]
