"""The golden messages that the hub ships, as tests walk them; how they are made is `adapters/inbound/goldens.py`.

python -m tests.adapters.dialects.goldens [dialect]     rewrites them without asking, as `hie vendor accept --yes` does
"""

import sys
from pathlib import Path

from adapters.inbound import goldens
from adapters.inbound.goldens import KEYRING as KEYRING
from adapters.inbound.goldens import RECEIVED_AT as RECEIVED_AT
from adapters.inbound.goldens import expectation as expectation
from adapters.inbound.goldens import stated as stated
from adapters.inbound.goldens import translated as translated
from hub.contract.places import shipped

FOLDER = shipped("seeds") / "messages"
DEMO = shipped("seeds") / "demo"


def cases(folder: Path = FOLDER) -> list[Path]:
    """Every message of the tree, in order."""
    return goldens.cases(folder)


if __name__ == "__main__":
    found = goldens.changes(FOLDER / "".join(sys.argv[1:2]))
    for change in found:
        goldens.write(change)
    print(len(found), "expectations rewritten")
