"""A run's service from its start to its end, with the entries in the run's ledger by which a sweep judges replicas.

The order of writes makes a kill at any point safe: the ledger says `serving` before SkyServe is asked, and `unserved`
once the service has ended. An entry too many keeps a sweep from ending machines that nobody started.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from loguru import logger

from cortex.artifacts.lease import Lease
from cortex.artifacts.store import Store, StoreError
from cortex.errors import ConfigError, CortexError, DataError, RefusedError, UsageError
from cortex.fleet.clouds.job_names import cluster_name
from cortex.fleet.launch.services import Service, SkyPilotServices
from cortex.runs.ledger import Ledger

STOPPING = "SHUTTING_DOWN"
"""SkyServe's status of a service that is being ended."""


def require_usable(service: Service | None) -> None:
    """Refuse to roll a release onto a service that cannot take one.

    Raises:
        RefusedError: it is being ended, it has failed, or the kit did not start it.
    """
    if service is None:
        return
    if service.status == STOPPING:
        raise RefusedError(f"service {service.name} is being ended: wait until `cortex unserve {service.name}` returns")
    if service.status in ("CONTROLLER_FAILED", "FAILED_CLEANUP"):
        raise RefusedError(
            f"service {service} has failed: end it with `cortex unserve {service.name}`, then serve anew"
        )
    if service.run is None:
        raise RefusedError(f"service {service.name} serves no run of the kit: name another with --service")


def serve(
    document: dict[str, Any],
    run: str,
    service: str,
    before: Service | None,
    store: Store,
    services: SkyPilotServices,
    secrets: Mapping[str, str],
) -> str | None:
    """Start the service, or roll the release onto it where it is up (`before`), and return its load balancer's URL.

    Raises:
        ConfigError: SkyPilot's server cannot be asked.
        CortexError: it does not accept the service.
    """
    ledger = _ledger(store, run)
    ledger.append("serving", service=service)
    try:
        if before:
            services.roll(document, service, secrets)
            endpoint = before.endpoint
        else:
            endpoint = services.start(document, service, secrets)
    except ConfigError:
        raise  # SkyPilot's server stopped answering: the service may still appear
    except CortexError:
        if before is None or before.run != run:
            ledger.append("unserved", service=service)
        raise
    if before and before.run not in (None, run):
        record_end(store, str(before.run), service)
    return endpoint


def record_end(store: Store, run: str, service: str) -> None:
    """Enter into a run's ledger that a service serves it no more.

    A warning takes the place of an error: machines, which cost money, are ended already.
    """
    try:
        _ledger(store, run).append("unserved", service=service)
    except StoreError as error:
        logger.warning(f"service {service} ends without an entry in the ledger of run {run}: {error}")


def find_services(named: str | None, services: SkyPilotServices) -> list[Service]:
    """The services of this name, or of this run; without a name, the only one.

    Raises:
        UsageError: no name is given, and there are several.
    """
    known = services.all()
    if named is None:
        if len(known) > 1:
            raise UsageError(f"name one of the services: {', '.join(service.name for service in known)}")
        return known
    return [service for service in known if named in (service.name, service.run) or service.name == cluster_name(named)]


def unserve(service: Service, store: Store | None, services: SkyPilotServices) -> None:
    """End a service, and return once its machines have ended.

    Raises:
        ConfigError: SkyPilot's server cannot be asked.
        CortexError: SkyPilot could not end it.
    """
    services.destroy(f"service/{service.name}")
    if store and service.run:
        with suppress(DataError):  # a run of another bucket
            record_end(store, service.run, service.name)


def _ledger(store: Store, run: str) -> Ledger:
    return Ledger(store, run, Lease.take(store, run).epoch)
