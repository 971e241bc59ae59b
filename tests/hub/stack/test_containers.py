"""The stack in containers; without an engine only the refusal can be shown."""

import gc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

docker = pytest.importorskip("docker", reason="unverified: the extra `docker` is not installed")
pytest.importorskip("testcontainers", reason="unverified: the extra `docker` is not installed")

from hub import stack  # noqa: E402
from hub.contract.errors import HubError  # noqa: E402
from hub.contract.settings import Settings, read_settings  # noqa: E402
from hub.stack import probes  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _sockets_of_the_client_collected() -> Iterator[None]:
    """When nothing listens, the engine's client leaves a socket to the garbage collector: let it warn here, where it may."""
    yield
    gc.collect()


def engine_answers() -> bool:
    try:
        with closing(docker.from_env()) as engine:
            return bool(engine.ping())
    except docker.errors.DockerException:
        return False


def in_containers(folder: Path) -> Settings:
    ports = {"kafka_port": 0, "registry_port": 0, "database_port": 0}
    return read_settings(stack="docker", data_dir=folder, kafka_bootstrap="", registry_url="", database_url="", **ports)


def test_without_an_engine_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(HubError) as refused:
        stack.start(in_containers(tmp_path), lambda _line: None)
    assert refused.value.code == "SETTING_WRONG"
    assert "no container engine answers" in refused.value.where


def test_containers_serve_and_go(tmp_path: Path) -> None:
    if not engine_answers():
        pytest.skip("unverified: HIE_STACK=docker, no container engine answers here")
    with stack.start(in_containers(tmp_path), lambda _line: None) as running:
        assert running.provider == "docker"
        assert set(running.processes) == {"kafka-1", "postgres", "registry"}
        running.kill("registry")
        with pytest.raises(HubError):
            running.check()
        running.restart("registry")
        running.check()
    assert not probes.postgres_answers(running.database_url)
