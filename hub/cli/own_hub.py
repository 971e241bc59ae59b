"""A hub of a command's own: in a folder that is thrown away, on free ports, with every service; it disturbs nobody."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.cli.running import hand_down, key_secret, prepare, started
from hub.contract.settings import Settings
from hub.services import Services, service_names

_PORTS = ("kafka_port", "registry_port", "database_port", "mllp_port", "http_port", "inbox_port", "console_port", "metrics_port")


@contextmanager
def own_hub(
    settings: Settings, say: Callable[[str], None], *, arrange: Callable[[Path], Mapping[str, object]], name: str
) -> Iterator[tuple[Settings, Services, Any]]:
    """Start it, and leave nothing behind.

    arrange: gets the folder and gives the settings that are to be otherwise, such as the directory of facilities.
    name:    of what runs on it, for the folder.
    Yields:  the settings with all addresses, the services, the servers.
    """
    from hub import stack

    began, environment = time.monotonic(), dict(os.environ)
    with tempfile.TemporaryDirectory(prefix=f"hie-{name}-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        own = {"data_dir": folder, **dict.fromkeys(_PORTS, 0), **arrange(folder)}
        settings = settings.model_copy(update=own)
        try:
            with stack.start(settings, say) as servers:
                key_secret(settings)
                hand_down(settings)
                here = started(settings, servers)
                prepare(here, say)
                services = Services(here, service_names(gate_workers=here.gate_workers), say)
                services.start()
                try:
                    say(f"the hub is up after {time.monotonic() - began:.0f} s")
                    yield here, services, servers
                finally:
                    services.stop()
        finally:
            os.environ.clear()
            os.environ.update(environment)
