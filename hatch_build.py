"""Builds the reading modules of the border into the wheel with mypyc when COMPILE_HIE=1 is set; else does nothing.

A compiled wheel holds the same sources beside the extensions, which the interpreter prefers. A checkout is never compiled in
place: an extension would go on hiding the source that somebody edits.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOT = (
    "adapters/formats/ack.py",
    "adapters/formats/batch.py",
    "adapters/formats/charset.py",
    "adapters/formats/er7.py",
    "adapters/formats/grammar.py",
    "adapters/formats/hl7v2.py",
    "adapters/formats/mllp.py",
    "adapters/formats/structure.py",
    "adapters/dialects/groups.py",
    "adapters/dialects/issuers.py",
    "adapters/dialects/lines.py",
    "adapters/dialects/mapped.py",
    "adapters/dialects/mapping.py",
    "adapters/dialects/orders.py",
    "adapters/dialects/parts.py",
    "adapters/dialects/paths.py",
    "adapters/dialects/persons.py",
    "adapters/dialects/reading.py",
    "adapters/dialects/results.py",
    "adapters/dialects/transforms.py",
    "adapters/inbound/outcome.py",
    "adapters/inbound/received.py",
    "adapters/inbound/translate.py",
    "hub/contract/errors.py",
    "hub/contract/events.py",
    "hub/contract/reader.py",
    "hub/contract/writer.py",
)
"""What every message passes through. One group, so that they call each other without the interpreter."""


class CompileHook(BuildHookInterface):
    """Called by hatchling for each wheel."""

    def _wanted(self) -> bool:
        return os.environ.get("COMPILE_HIE") == "1" and self.target_name == "wheel"

    def dependencies(self) -> list[str]:
        return ["mypy[mypyc]>=2.4", "setuptools>=65"] if self._wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or not self._wanted():
            return
        self._made = tempfile.TemporaryDirectory(prefix="hie-compile-")
        for built in compile_to(Path(self.root), Path(self._made.name)):
            build_data["force_include"][str(built)] = str(built.relative_to(Path(self._made.name) / "lib"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_made"):
            self._made.cleanup()


def compile_to(root: Path, folder: Path) -> list[Path]:
    """The extensions of `HOT`, under `folder/lib` as they lie in the wheel. Needs a C compiler and Python's headers."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    os.chdir(root)
    options = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={folder / 'types'}"]
    extensions = mypycify([*options, *HOT], group_name="hie_hub", target_dir=str(folder / "c"), opt_level="3", debug_level="0")
    command = build_ext(Distribution({"name": "hie-hub", "ext_modules": extensions}))
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
    command.ensure_finalized()
    command.run()
    return sorted(path for path in (folder / "lib").rglob("*") if path.is_file())
