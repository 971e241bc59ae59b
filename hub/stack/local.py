"""The stack as processes of this machine: one start, with everything it takes and gives back."""

import errno
import fcntl
import json
import os
import shutil
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, TextIO

from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.stack import parts, servers
from hub.stack.ports import Ports
from hub.stack.probes import HOST
from hub.stack.process import ROOM_BYTES_MIN, Process, Spawner, end_remembered, remember
from hub.stack.specification import kafka_url, postgres_url, registry_url, write_private

Say = parts.Say
_LOOK_S: Final = 0.5


class LocalStart:
    """One start of the local stack: what it has taken so far, so that all of it can be given back."""

    def __init__(self, settings: Settings, named: dict[str, str], say: Say) -> None:
        self.settings, self.named, self.say = settings, dict(named), say
        self.handles: dict[str, Process] = {}
        self.spawner = Spawner()
        self.lock: TextIO | None = None
        self._closing = threading.RLock()

    def start(self) -> tuple[dict[str, str], dict[str, Process]]:
        """The three addresses and what was started; `close` gives everything back, and does so by itself on an error."""
        ports = Ports()
        try:
            home = self._own_folder()
            if shutil.disk_usage(home).free < ROOM_BYTES_MIN:
                raise HubError("DISK_FULL", f"{home}: less than {ROOM_BYTES_MIN // 1024 // 1024} MiB free")
            end_remembered(home / "processes.json")
            plan = ports.plan(self.settings, self.named)
            provided = self._parts()
            ports.release()
            self._start_all(plan, provided)
            self._publish(home)
        except BaseException as wrong:
            ports.release()
            self.close()
            if isinstance(wrong, OSError) and wrong.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HubError("DISK_FULL", str(self.settings.data_dir)) from wrong
            raise
        return self.named, self.handles

    def _own_folder(self) -> Path:
        home = self.settings.data_dir
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)  # topics hold whole messages of patients
            self.settings.logs.mkdir(parents=True, exist_ok=True)
            self.lock = (home / "stack.lock").open("a+")
        except OSError as wrong:
            raise HubError("SETTING_WRONG", f"HIE_DATA_DIR {home}: {wrong.strerror}") from None
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.seek(0)
            owner = self.lock.read().strip()
            self.lock.close()
            self.lock = None
            raise HubError("ALREADY_RUNNING", f"{home}, process {owner}") from None
        self.lock.truncate(0)  # the kernel frees the lock of a process that was killed; only its number stays
        self.lock.write(f"{os.getpid()}\n")
        self.lock.flush()
        return home

    def _parts(self) -> parts.Parts:
        if self.named["kafka_bootstrap"] and self.named["registry_url"]:
            return parts.Parts((), Path())
        return parts.provide(self.settings.cache_dir, self.say)

    def _start_all(self, plan: dict[str, list[int]], provided: parts.Parts) -> None:
        """Kafka, then the registry that lives in it; PostgreSQL beside them.

        In threads of their own: an interrupt is raised wherever the main thread stands, and where that was within an import or a
        wait for a process, a lock stayed taken and the other thread never ended. So the main thread does nothing but wait.
        """
        with ThreadPoolExecutor(2) as apart:
            try:
                tasks = {apart.submit(self._kafka_and_registry, plan, provided)}
                if "postgres" in plan:
                    tasks.add(apart.submit(self._postgres, plan["postgres"][0]))
                while tasks:  # now and then, as an interrupt just before a wait is seen only after it
                    done, tasks = wait(tasks, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                    for one in done:
                        one.result()
            except BaseException:
                self.close()  # before the pool waits for its threads: they end when their processes are gone
                raise

    def _kafka_and_registry(self, plan: dict[str, list[int]], provided: parts.Parts) -> None:
        if "kafka" in plan:
            self._kafka(plan["kafka"], plan["controllers"], provided.kafka)
        if "registry" in plan:
            self._registry(plan["registry"][0], provided)

    def _kafka(self, ports: list[int], controllers: list[int], jars: tuple[Path, ...]) -> None:
        where = self.settings
        self.say(f"starting Kafka, {len(ports)} broker{'s' if len(ports) > 1 else ''}")
        brokers = servers.kafka(where.data_dir, where.logs, where.cache_dir, jars, ports, controllers, self.spawner)
        for broker in brokers:
            self._spawn(broker)
        for broker in brokers:
            self._wait(broker)
        self.named["kafka_bootstrap"] = kafka_url(where.data_dir, ",".join(f"{HOST}:{port}" for port in ports))

    def _registry(self, port: int, provided: parts.Parts) -> None:
        where = self.settings
        self.say("starting the schema registry")
        registry = servers.registry(
            where.data_dir / "registry", where.logs, where.cache_dir, provided, self.named["kafka_bootstrap"], port, self.spawner
        )
        self._spawn(registry)
        self._wait(registry)
        self.named["registry_url"] = registry_url(port)

    def _postgres(self, port: int) -> None:
        where = self.settings
        self.say("starting PostgreSQL")
        postgres = servers.postgres(where.data_dir, where.logs, port, self.spawner)
        self._spawn(postgres)
        self._wait(postgres)
        self.named["database_url"] = postgres_url(where.data_dir, port)

    def _spawn(self, process: Process) -> None:
        self.handles[process.name] = process
        process.spawn()

    def _wait(self, process: Process) -> None:
        process.wait_ready(self._watch)
        self.say(f"{process.name} is up")

    def _watch(self) -> None:
        """A server that waits for another one which is gone would wait in vain."""
        for process in list(self.handles.values()):
            if process.pid and not process.running():
                raise process.death()

    def _publish(self, home: Path) -> None:
        """For `find`, and for the next start should this process be killed."""
        remember(home / "processes.json", list(self.handles.values()))
        write_private(home / "stack.json", json.dumps(self.named))

    def close(self) -> None:
        """The registry first, then PostgreSQL, then the brokers: all at once, as each needs a majority to end cleanly."""
        with self._closing:
            self.spawner.close()
            brokers = [process for name, process in self.handles.items() if name.startswith("kafka")]
            clients = [self.handles[name] for name in ("registry", "postgres") if name in self.handles]
            for client in clients:
                client.stop()
            for broker in brokers:
                broker.ask_to_stop()
            for broker in brokers:
                broker.stop()
            self.spawner.end()
            if self.lock:
                for name in ("stack.json", "processes.json"):
                    (self.settings.data_dir / name).unlink(missing_ok=True)
                self.lock.close()
                self.lock = None
