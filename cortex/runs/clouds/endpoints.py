"""Where the clouds' metadata services are, and all that there is to ask them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from cortex.runs.clouds.aws import AwsIdentity, Rebalance, SpotAction
from cortex.runs.clouds.azure import AzureIdentity, ScheduledEvents
from cortex.runs.clouds.gcp import GcpIdentity, HostMaintenance, Preempted
from cortex.runs.clouds.source import Identity, Source

LINK_LOCAL = "http://169.254.169.254"
"""The same on all three. Google's by its number, too: looking up its name can take long where there is none."""


@dataclass(frozen=True)
class Endpoints:
    """Where each cloud's metadata service is; None: it is not asked."""

    aws: str | None = LINK_LOCAL
    gcp: str | None = LINK_LOCAL
    azure: str | None = LINK_LOCAL

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Self:
        """By the variables that the clouds' own libraries read; Azure's read none."""
        disabled = variables.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        host = variables.get("GCE_METADATA_HOST")
        return cls(
            aws=None if disabled else variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or LINK_LOCAL,
            gcp=f"http://{host}" if host else LINK_LOCAL,
        )

    def sources(self) -> list[Source]:
        """What to ask for notices. Raises ConfigError where an endpoint is not an address."""
        asked: list[tuple[str | None, tuple[type[Source], ...]]] = [
            (self.aws, (SpotAction, Rebalance)),
            (self.gcp, (Preempted, HostMaintenance)),
            (self.azure, (ScheduledEvents,)),
        ]
        return [kind(endpoint) for endpoint, kinds in asked if endpoint is not None for kind in kinds]

    def identities(self) -> list[Identity]:
        """What to ask which machine this is. Raises ConfigError where an endpoint is not an address."""
        asked: list[tuple[str | None, type[Identity]]] = [
            (self.aws, AwsIdentity),
            (self.gcp, GcpIdentity),
            (self.azure, AzureIdentity),
        ]
        return [kind(endpoint) for endpoint, kind in asked if endpoint is not None]
