"""Which port each server gets: the one that a setting names, checked, or a free one."""

import socket
from collections.abc import Mapping

from hub.contract.errors import HubError
from hub.contract.settings import Settings
from hub.stack.probes import HOST


class Ports:
    """Checks fixed ports and picks free ones; holds them all until `release`, so that none is picked twice."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, port: int, setting: str) -> int:
        held = socket.socket()
        self._held.append(held)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except OSError:
            raise HubError("PORT_TAKEN", f"{setting} {port}") from None
        return int(held.getsockname()[1])

    def plan(self, settings: Settings, named: Mapping[str, str]) -> dict[str, list[int]]:
        """Ports by server for all that is not named: `kafka`, `controllers`, `registry`, `postgres`.

        Raises: HubError(PORT_TAKEN) with the setting and the port.
        """
        plan: dict[str, list[int]] = {}
        if not named["kafka_bootstrap"]:
            first, count = settings.kafka_port, settings.brokers
            plan["kafka"] = [self.take(first and first + i, "HIE_KAFKA_PORT") for i in range(count)]
            plan["controllers"] = [self.take(0, "HIE_KAFKA_PORT") for _ in range(count)]
        if not named["registry_url"]:
            plan["registry"] = [self.take(settings.registry_port, "HIE_REGISTRY_PORT")]
        if not named["database_url"]:
            plan["postgres"] = [self.take(settings.database_port, "HIE_DATABASE_PORT")]
        return plan

    def release(self) -> None:
        for held in self._held:
            held.close()
