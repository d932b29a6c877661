"""The addresses of the clouds' metadata services, and the clients for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from cortex.runs.metadata.aws import AwsIdentity, Rebalance, SpotAction
from cortex.runs.metadata.azure import AzureIdentity, ScheduledEvents
from cortex.runs.metadata.gcp import GcpIdentity, HostMaintenance, Preempted
from cortex.runs.metadata.metadata_source import Identity, Source

LINK_LOCAL = "http://169.254.169.254"
"""The address on all three clouds. Google's is a number, too, since a look-up of its name can take long elsewhere."""


@dataclass(frozen=True)
class Endpoints:
    """The address of each cloud's metadata service; None for one that is not asked."""

    aws: str | None = LINK_LOCAL
    gcp: str | None = LINK_LOCAL
    azure: str | None = LINK_LOCAL

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Self:
        """The addresses by the variables that the clouds' own libraries read; Azure's read none."""
        disabled = variables.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        host = variables.get("GCE_METADATA_HOST")
        return cls(
            aws=None if disabled else variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or LINK_LOCAL,
            gcp=f"http://{host}" if host else LINK_LOCAL,
        )

    def sources(self) -> list[Source]:
        """The sources of notices. Raises ConfigError if an endpoint is not an address."""
        asked: list[tuple[str | None, tuple[type[Source], ...]]] = [
            (self.aws, (SpotAction, Rebalance)),
            (self.gcp, (Preempted, HostMaintenance)),
            (self.azure, (ScheduledEvents,)),
        ]
        return [kind(endpoint) for endpoint, kinds in asked if endpoint is not None for kind in kinds]

    def identities(self) -> list[Identity]:
        """The sources of this machine's identity. Raises ConfigError if an endpoint is not an address."""
        asked: list[tuple[str | None, type[Identity]]] = [
            (self.aws, AwsIdentity),
            (self.gcp, GcpIdentity),
            (self.azure, AzureIdentity),
        ]
        return [kind(endpoint) for endpoint, kind in asked if endpoint is not None]
