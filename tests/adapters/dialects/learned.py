"""What is learned from messages, for the tests of `hie vendor learn`."""

import tomllib
from collections.abc import Iterable
from typing import Any

from adapters.dialects.evidence import gather
from adapters.dialects.learn import learn
from adapters.dialects.profile import Dialect, compile_text
from adapters.inbound.goldens import KEYRING, RECEIVED_AT
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub.contract.events import Event

HEAD = "MSH|^~\\&|%s|%s|HUB|HUB|20261123080000||%s|C-%d|P|2.5.1\r"


def learned(raws: Iterable[bytes], name: str = "mine") -> tuple[Dialect, dict[str, Any], str]:
    """The dialect that is learned, what its file says, and its text."""
    text = learn(gather(raws), name)
    return compile_text(name, text), tomllib.loads(text), text


def events(raw: bytes, dialect: Dialect) -> list[tuple[str, Event]]:
    return list(translate(Received(raw, RECEIVED_AT, "mllp"), KEYRING, dialect).events)
