"""Whose signatures the hub trusts: a folder of certificates by facility (`HIE_SIGNERS`), read once.

    signers/01004.pem   certificates in PEM, one or several: the facility's own, or of an authority that signs for it alone

A public authority's certificate would let any of its customers sign for the facility: put the facility's own there.
Revocation is not asked for; take a revoked certificate out of the folder and start the gate anew.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Self, cast, get_args

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.formats.xml_signature import State, judge
from hub.contract.errors import HubError, Problem, Severity
from hub.contract.events import is_code

Certificates = tuple[x509.Certificate, ...]
_FILE_WAIT_S: Final = 120.0
_FILE_MEMORY_MAX: Final = 4 * 1024 * 1024 * 1024  # of the process that checks a large file
_NEVER: Final = 3  # how that process ends when it would end so every time
_CODES: Final[dict[str, str]] = {state: f"SIGNATURE_{state}" for state in get_args(State) if state != "VALID"}


class Signers:
    """The certificates of each facility. Safe to share between threads."""

    def __init__(self, by_facility: Mapping[str, Certificates] | None = None, *, required: bool = False) -> None:
        self._by_facility = by_facility or {}
        self._required = required

    @classmethod
    def open(cls, folder: Path | None, *, required: bool = False) -> Self:
        """Those of a folder. Raises: HubError(SETTING_WRONG) that names the file."""
        if folder is None:
            return cls(required=required)
        found: dict[str, Certificates] = {}
        try:
            for path in sorted(folder.iterdir()):
                if path.suffix == ".pem":
                    if not is_code(path.stem):
                        raise HubError("SETTING_WRONG", f"HIE_SIGNERS {path.name}: not named by a facility code")
                    found[path.stem] = tuple(x509.load_pem_x509_certificates(path.read_bytes()))
        except (OSError, ValueError) as wrong:
            raise HubError("SETTING_WRONG", f"HIE_SIGNERS {type(wrong).__name__}") from None
        return cls(found, required=required)

    def wanted(self, facility: str) -> bool:
        """Whether an envelope of this facility has its signature looked at."""
        return self._required or facility in self._by_facility

    def judge(self, raw: bytes, facility: str, at: datetime) -> State:
        """As `xml_signature.judge`, by the certificates of a facility."""
        return judge(raw, self._by_facility.get(facility, ()), at)

    def judge_file(self, path: Path, facility: str, at: datetime) -> State:
        """The same for a large file, in a process of its own: the check holds the document several times over.

        Raises: HubError(OVERLOADED) when it does not end in time or is ended; HubError(TRANSLATION_FAILED) when it meets a fault
                of ours, or needs more memory than it may have.
        """
        trusted = [one.public_bytes(Encoding.PEM).decode() for one in self._by_facility.get(facility, ())]
        asked = json.dumps({"path": str(path), "trusted": trusted, "at": at.isoformat(), "memory": _FILE_MEMORY_MAX})
        try:
            done = subprocess.run(
                [sys.executable, "-m", "adapters.inbound.signers"],
                input=asked,
                capture_output=True,
                text=True,
                timeout=_FILE_WAIT_S,
            )
        except (OSError, subprocess.SubprocessError) as failed:
            raise HubError("OVERLOADED", "signature") from failed
        if done.returncode == _NEVER:
            raise HubError("TRANSLATION_FAILED", "signature")
        if done.returncode or done.stdout not in get_args(State):
            raise HubError("OVERLOADED", "signature")
        return cast("State", done.stdout)

    def problem(self, state: State) -> Problem | None:
        """What the sender is told. Raises: HubError with that code where a valid signature is required."""
        if state == "VALID":
            return None
        if self._required:
            raise HubError(_CODES[state], "CHUKYDONVI")
        return Problem(_CODES[state], Severity.WARNING, "CHUKYDONVI")


def _judge_in_this_process() -> None:
    os.nice(10)
    asked = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (asked["memory"], asked["memory"]))
    try:
        trusted = [x509.load_pem_x509_certificate(each.encode()) for each in asked["trusted"]]
        sys.stdout.write(judge(Path(asked["path"]).read_bytes(), trusted, datetime.fromisoformat(asked["at"])))
    except OSError:
        raise
    except Exception:  # sent again it would meet the same
        sys.exit(_NEVER)


if __name__ == "__main__":
    _judge_in_this_process()
