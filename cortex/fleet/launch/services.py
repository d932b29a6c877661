"""Services of SkyServe: start one, roll a new release onto it, and look at what there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from cortex.fleet.clouds.run_machines import SkyPilotMachines, services
from cortex.fleet.clouds.skypilot import never_used, reaching_skypilot
from cortex.fleet.launch.jobs import launch_configuration, set_secrets

READY = "READY"


@dataclass(frozen=True)
class Service:
    """A service as SkyPilot's server knows it."""

    name: str
    run: str | None
    """The run whose release its newest version serves; None where the kit did not start it."""
    status: str
    """SkyServe's own word: `READY`, `NO_REPLICA`, `REPLICA_INIT`, ..."""
    replicas: tuple[str, ...]
    """SkyServe's status of each replica."""
    endpoint: str | None
    """URL of its load balancer, as seen from the machine of SkyPilot's server."""

    def __str__(self) -> str:
        ready = self.replicas.count(READY)
        return f"{self.name} ({self.status}; {ready} of {len(self.replicas)} replicas ready)"


class SkyPilotServices(SkyPilotMachines):
    """SkyServe of SkyPilot's server."""

    def find(self, name: str) -> Service | None:
        """The service of this name; None where there is none.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
        """
        return next((service for service in self.all() if service.name == name), None)

    def all(self) -> list[Service]:
        """All services.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
        """
        with reaching_skypilot("look for services"):
            return [] if never_used() else [_service(record) for record in services()]

    def start(self, document: dict[str, Any], name: str, secrets: Mapping[str, str]) -> str:
        """Start a service, and return the URL of its load balancer; its replicas come up afterwards.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
            CortexError: it does not accept the service.
        """
        with reaching_skypilot(f"serve {name}"):
            import sky
            from sky import serve

            # The machines keep the stack's profile for machines of no run, which reads releases and writes nothing.
            with launch_configuration(None, [document]):
                _, endpoint = sky.stream_and_get(serve.up(_task(document, secrets), name))
            return endpoint

    def roll(self, document: dict[str, Any], name: str, secrets: Mapping[str, str]) -> None:
        """Have a service replace its replicas one by one, each old one once a new one is ready.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
            CortexError: it does not accept the new version.
        """
        with reaching_skypilot(f"serve {name}"):
            import sky
            from sky import serve
            from sky.serve.serve_utils import UpdateMode

            with launch_configuration(None, [document]):
                sky.stream_and_get(serve.update(_task(document, secrets), name, UpdateMode.ROLLING))


def _task(document: dict[str, Any], secrets: Mapping[str, str]) -> Any:
    import sky

    task = sky.Task.from_yaml_config(dict(document))
    set_secrets([task], [document], secrets)
    return task


def _service(record: Mapping[str, Any]) -> Service:
    envs = (yaml.safe_load(record.get("yaml_content") or "") or {}).get("envs") or {}
    return Service(
        name=str(record["name"]),
        run=envs.get("RUN_ID"),
        status=record["status"].value,
        replicas=tuple(replica["status"].value for replica in record["replica_info"]),
        endpoint=record.get("endpoint"),
    )
