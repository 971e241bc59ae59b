"""House rules as tests: who may import whom, how long things are, that every folder says what it is, and the tables of the docs."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from hub.contract.errors import ERRORS
from hub.contract.facilities import COLUMNS
from hub.contract.places import shipped
from hub.contract.settings import Settings
from hub.contract.topics import topics

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for package in ("hub", "adapters") for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DOCS = sorted(
    {path for folder in ("", "hub", "adapters", "schemas", "seeds", "tests", "compose") for path in (ROOT / folder).glob("*.md")}
    | {path for package in ("hub", "adapters", "seeds") for path in (ROOT / package).rglob("*.md")}
)

OF_THE_DOORS = {"adapters.formats", "adapters.dialects", "hub.contract", "hub.bus", "hub.audit", "hub.store", "hub.access"}

# Room -> what of ours it may import (besides itself). The composition root (cli, bench) may import everything.
MAY_IMPORT = {
    "adapters.formats": {"hub.contract"},
    "adapters.dialects": {"adapters.formats", "hub.contract"},
    "adapters.inbound": OF_THE_DOORS,
    "adapters.outbound": OF_THE_DOORS,
    "hub.contract": set(),
    "hub.bus": {"hub.contract"},
    "hub.audit": {"hub.contract", "hub.bus"},
    "hub.store": {"hub.contract"},
    "hub.stack": {"hub.contract"},
    "hub.simulate": {"hub.contract"},
    "hub.nation": {"hub.contract"},
    "hub.week": {"hub.contract", "hub.simulate"},
    "hub.access": {"hub.contract", "hub.store"},
    "hub.routing": {"hub.contract", "hub.bus", "hub.audit", "hub.store"},
    "hub.insurer": {"hub.contract", "hub.bus"},
    "hub.journal": {"hub.contract", "hub.bus", "hub.store"},
    "hub.console": {
        "hub.contract",
        "hub.bus",
        "hub.store",
        "hub.journal",
        "hub.access",
        "hub.audit",
        "hub.insurer",
        "hub.routing",
        "hub.services",
    },
    "hub.services": {"hub.contract", "hub.stack"},
    "hub.watched": {"hub.contract"},
    "hub.keep": {
        "hub.contract",
        "hub.bus",
        "hub.store",
        "hub.access",
        "hub.journal",
        "hub.stack",
        "hub.services",
        "hub.insurer",
    },
    "hub.cli": {"hub", "adapters"},
    "hub.bench": {"hub", "adapters"},
}
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "part2"}
LONGEST_FUNCTION, LONGEST_FILE = 70, 500
GENERATED = {"hub/contract/records.py"}


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from hub import stack` names a module, `from hub.bus import Out` does not
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module in ("hub", "adapters") else {node.module}
            )
    return {name for name in found if name.split(".")[0] in ("hub", "adapters")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_room_imports_only_what_it_may(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    room = room_of(module)
    if module in ("hub.__init__", "adapters.__init__"):
        assert not imports(path)
        return
    allowed = MAY_IMPORT[room] | {room}
    strangers = {name for name in imports(path) if not any(f"{name}.".startswith(f"{one}.") for one in allowed)}
    assert not strangers, f"{module} may import {sorted(allowed)} only"


def test_no_file_or_function_is_too_long():
    long = []
    for path in SOURCES:
        text = path.read_text("utf-8")
        name = path.relative_to(ROOT).as_posix()
        if name not in GENERATED and text.count("\n") > LONGEST_FILE:
            long.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
            ):
                long.append(f"{name}: {node.name} has {(node.end_lineno or 0) - node.lineno + 1} lines")
    assert long == []


def test_names_say_what_is_inside():
    assert [path.name for path in SOURCES + TESTS if path.stem in BANNED_NAMES] == []


def test_only_the_settings_and_the_command_line_read_the_environment():
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if re.search(r"os\.environ|os\.getenv", path.read_text("utf-8"))
        and room_of(".".join(path.relative_to(ROOT).parts)) != "hub.cli"
    ]
    assert set(readers) <= {"hub/contract/settings.py"}


def test_every_folder_says_what_lives_there():
    folders = {path.parent for path in SOURCES} | {ROOT / name for name in ("schemas", "seeds", "tests", "compose", "")}
    folders -= {folder for folder in folders if folder.name in ("versions", "migrations")}
    assert sorted(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "README.md").is_file()) == []


def test_public_things_have_docstrings():
    silent = []
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        name = path.relative_to(ROOT).as_posix()
        if not ast.get_docstring(tree) and path.name != "__init__.py" and "versions" not in path.parts:
            silent.append(name)
        silent += [
            f"{name}: {node.name}"
            for node in tree.body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
        ]
    assert silent == []


def test_tests_mirror_the_code():
    homeless = []
    for path in TESTS:
        parts = path.relative_to(ROOT / "tests").parts
        if not path.name.startswith("test_") or len(parts) < 2 or parts[0] not in ("hub", "adapters"):
            continue
        subject = ROOT.joinpath(*parts[:-1], path.name.removeprefix("test_"))
        stem = subject.with_suffix("").name
        shares = [
            one for one in subject.parent.glob("*.py") if stem.startswith(one.stem + "_")
        ]  # test_mllp_pipelining for mllp.py
        if not (subject.exists() or subject.with_suffix("").is_dir() or shares or stem in WHOLE_ROOM):
            homeless.append("/".join(parts))
    assert homeless == []


WHOLE_ROOM = {"goldens", "corpus"}  # tests that walk a whole room


def _rows(text: str, heading: str) -> set[str]:
    section = text.split(heading, 1)[1].split("\n#", 1)[0]
    return set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))


def test_the_table_of_settings_is_the_settings():
    text = (ROOT / "hub/contract/README.md").read_text("utf-8")
    assert _rows(text, "## Settings") == {f"HIE_{name.upper()}" for name in Settings.model_fields}


def test_the_table_of_errors_is_the_errors():
    text = (ROOT / "hub/contract/README.md").read_text("utf-8")
    assert _rows(text, "## Errors") == set(ERRORS)


def test_the_table_of_topics_is_the_topics():
    text = shipped("seeds/README.md").read_text("utf-8")
    names = {re.sub(r"^payer\.[a-z]+\.", "payer.<code>.", name) for name in topics()}
    assert _rows(text, "## Topics") == names


def test_the_table_of_the_directory_is_its_columns():
    text = shipped("seeds/README.md").read_text("utf-8")
    assert _rows(text, "## The directory") == set(COLUMNS)


def test_the_release_has_one_number():
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    newest = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]
    assert newest == release
    assert (ROOT / "tests/archive" / release).is_dir(), "`python -m tests.archive.make` writes its bytes"


def test_every_relative_link_of_the_docs_leads_somewhere():
    dead = []
    for page in DOCS:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            path, _, heading = link.partition("#")
            target = (page.parent / path) if path else page
            if not target.exists() or (heading and heading not in _anchors(target)):
                dead.append(f"{page.relative_to(ROOT)}: {link}")
    assert dead == []


def _anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_page_lists_the_files_of_its_folder():
    unlisted = []
    for page in DOCS:
        text = page.read_text("utf-8")
        if re.search(r"^\| file \|", text, re.MULTILINE):
            files = [path.name for path in page.parent.glob("*.py") if not path.name.startswith(("_", "test_"))]
            unlisted += [str(page.parent.relative_to(ROOT) / name) for name in files if name not in text]
            named = re.findall(r"^\| `([\w/]+\.py)`", text, re.MULTILINE)
            unlisted += [f"{page.relative_to(ROOT)}: {name}" for name in named if not (page.parent / name).exists()]
    assert unlisted == []


def test_nothing_names_a_machine_or_a_registry():
    pattern = re.compile(r"/(?:work|root|tmp)/|(?:pypi|pythonhosted|maven|npmjs)\.(?:org|com)|repo1\.maven", re.IGNORECASE)
    hits = []
    for path in [*SOURCES, *TESTS, *ROOT.glob("[!.]*.*"), *ROOT.rglob("README.md"), ROOT / "Makefile", ROOT / ".ci/run"]:
        if path.is_file() and ".venv" not in path.parts and path != Path(__file__) and pattern.search(path.read_text("utf-8")):
            hits.append(str(path.relative_to(ROOT)))
    assert hits == []
