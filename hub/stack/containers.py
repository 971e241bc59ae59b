"""The stack as containers, chosen by `HIE_STACK=docker`: same servers, same settings, same ports on loopback.

The engine is asked through its API, so no command line tool is needed. Data lives in named volumes, one set for each
data folder. Containers of a hub that was killed are removed by testcontainers' own reaper.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import docker  # type: ignore[import-untyped]  # ships no types
from docker.errors import DockerException  # type: ignore[import-untyped]  # ships no types
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from hub.contract.errors import HubError
from hub.contract.kafka import brokers
from hub.contract.settings import Settings
from hub.stack.ports import Ports
from hub.stack.probes import HOST, apicurio_has_replayed, kafka_answers, postgres_answers
from hub.stack.process import READY_LIMIT_S, never_ready
from hub.stack.specification import (
    DATABASE,
    LISTENER,
    kafka_cluster,
    kafka_logins,
    kafka_password,
    kafka_settings,
    kafka_url,
    postgres_password,
    postgres_url,
    registry_login,
    registry_url,
    versions,
)

STOP_LIMIT_S: Final = 20


@dataclass(eq=False)
class Container:
    """One server in a container; it keeps its place in the network when it is stopped and started again."""

    name: str
    wrapped: DockerContainer = field(repr=False)
    ready: Callable[[], bool] = field(repr=False)
    unavailable: str

    def _engine(self) -> Any:
        container = self.wrapped.get_wrapped_container()
        container.reload()
        return container

    @property
    def pid(self) -> int:
        return int(self._engine().attrs["State"]["Pid"])

    def running(self) -> bool:
        try:
            return bool(self._engine().status == "running")
        except DockerException:
            return False

    def spawn(self) -> None:
        try:
            if self.wrapped.get_wrapped_container() is None:
                self.wrapped.start()
            else:
                self._engine().start()
        except DockerException as wrong:
            raise HubError("PROCESS_DIED", f"{self.name}: {type(wrong).__name__}") from wrong

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_LIMIT_S
        while not self.ready():
            if not self.running():
                raise self.death()
            if time.monotonic() > deadline:
                raise HubError(self.unavailable, never_ready(self.name, READY_LIMIT_S, "`docker logs` says what it does"))
            time.sleep(0.2)

    def stop(self) -> None:
        if self.running():
            self._engine().stop(timeout=STOP_LIMIT_S)

    def kill(self) -> None:
        if self.running():
            self._engine().kill()

    def death(self) -> HubError:
        return HubError("PROCESS_DIED", self.name)

    def remove(self) -> None:
        if self.wrapped.get_wrapped_container() is not None:
            self.stop()
        self.wrapped.stop(delete_volume=False)


class ContainerStart:
    """One start of the stack in containers; `close` gives everything back."""

    def __init__(self, settings: Settings, named: dict[str, str], say: Callable[[str], None]) -> None:
        self.settings, self.named, self.say = settings, dict(named), say
        self.handles: dict[str, Container] = {}
        self.network: Network | None = None
        self.images = versions()["images"]
        self.volume = "hie-" + hashlib.sha256(str(settings.data_dir.absolute()).encode()).hexdigest()[:12]
        self._closing = threading.RLock()

    def start(self) -> tuple[dict[str, str], dict[str, Container]]:
        """The three addresses and what was started.

        Raises: HubError(SETTING_WRONG) when no engine answers; else as `hub.stack.start`.
        """
        try:
            with closing(docker.from_env()) as engine:
                engine.ping()
        except DockerException:
            raise HubError("SETTING_WRONG", "HIE_STACK=docker, but no container engine answers here") from None
        ports = Ports()
        try:
            plan = ports.plan(self.settings, self.named)
            ports.release()
            self.settings.data_dir.mkdir(parents=True, exist_ok=True)
            self.network = Network().create()
            if "postgres" in plan:
                self._postgres(plan["postgres"][0])
            if "kafka" in plan:
                self._kafka(plan["kafka"])
            if "registry" in plan:
                self._registry(plan["registry"][0])
            if "postgres" in plan:
                self._wait("postgres")
        except BaseException:
            ports.release()
            self.close()
            raise
        return self.named, self.handles

    def _spawn(
        self,
        name: str,
        image: str,
        inner: int,
        port: int,
        env: dict[str, str],
        data: str,
        ready: Callable[[], bool],
        unavailable: str,
    ) -> None:
        self.say(f"starting {name} from {image}")
        assert self.network is not None
        wrapped = DockerContainer(image, env=env).with_network(self.network).with_network_aliases(name)
        bindings: dict[str, Any] = wrapped.ports
        bindings[f"{inner}/tcp"] = (HOST, port)  # loopback only, which testcontainers itself does not offer
        if data:
            wrapped.with_volume_mapping(f"{self.volume}-{name}", data, "rw")
        self.handles[name] = Container(name, wrapped, ready, unavailable)
        self.handles[name].spawn()

    def _wait(self, name: str) -> None:
        self.handles[name].wait_ready()
        self.say(f"{name} is up")

    def _kafka(self, ports: list[int]) -> None:
        count, home = len(ports), self.settings.data_dir
        cluster_id = kafka_cluster(home, count)
        for node, port in enumerate(ports, 1):
            name, address = f"kafka-{node}", f"{HOST}:{port}"
            own = {
                "controller.quorum.voters": ",".join(f"{i}@kafka-{i}:9093" for i in range(1, count + 1)),
                "listeners": f"{LISTENER}://:19092,HOST://:9092,CONTROLLER://:9093",
                "advertised.listeners": f"{LISTENER}://{name}:19092,HOST://{address}",
                "listener.security.protocol.map": f"{LISTENER}:SASL_PLAINTEXT,HOST:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
                "log.dirs": "/var/lib/kafka/data",
            }
            told = {**kafka_settings(node, count), **kafka_logins(kafka_password(home), LISTENER, "HOST"), **own}
            env = {_variable("kafka." + key): value for key, value in told.items()}
            ready = _broker_ready(kafka_url(home, address), node)
            self._spawn(
                name,
                self.images["kafka"],
                9092,
                port,
                {**env, "CLUSTER_ID": cluster_id},
                "/var/lib/kafka/data",
                ready,
                "BROKER_UNAVAILABLE",
            )
        for node in range(1, count + 1):
            self._wait(f"kafka-{node}")
        self.named["kafka_bootstrap"] = kafka_url(home, ",".join(f"{HOST}:{port}" for port in ports))

    def _registry(self, port: int) -> None:
        inside = ",".join(f"kafka-{node}:19092" for node in range(1, self.settings.brokers + 1))
        kafka = kafka_url(self.settings.data_dir, inside) if "kafka-1" in self.handles else self.named["kafka_bootstrap"]
        env = {"APICURIO_STORAGE_KIND": "kafkasql", "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": brokers(kafka)}
        env |= {_variable(key): value for key, value in registry_login(kafka).items()}
        url = registry_url(port)
        self._spawn(
            "registry", self.images["registry"], 8080, port, env, "", lambda: apicurio_has_replayed(url), "REGISTRY_UNAVAILABLE"
        )
        self._wait("registry")
        self.named["registry_url"] = url

    def _postgres(self, port: int) -> None:
        url, password = postgres_url(self.settings.data_dir, port), postgres_password(self.settings.data_dir)
        env = {"POSTGRES_USER": DATABASE, "POSTGRES_PASSWORD": password, "POSTGRES_DB": DATABASE}
        self._spawn(
            "postgres",
            self.images["postgresql"],
            5432,
            port,
            env,
            "/var/lib/postgresql",
            lambda: postgres_answers(url),
            "DATABASE_UNAVAILABLE",
        )
        self.named["database_url"] = url

    def close(self) -> None:
        """The registry first, then PostgreSQL, then the brokers, then their network. May be called again."""
        with self._closing:
            for name in sorted(self.handles, reverse=True):
                self.handles[name].remove()
            self.handles = {}
            if self.network is not None:
                self.network.remove()
                self.network = None


def _variable(name: str) -> str:
    """A property as these images read it from their environment: `.` becomes `_`, and `-` becomes `___`."""
    return name.upper().replace("-", "___").replace(".", "_")


def _broker_ready(address: str, node: int) -> Callable[[], bool]:
    return lambda: kafka_answers(address, frozenset({node}))
