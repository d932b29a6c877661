"""All resources of a stack at Google, top to bottom."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_gcp as gcp

from infra.config import StackConfig
from infra.google.bucket import GcsBucket
from infra.google.config import GcpConfig
from infra.google.network import GoogleNetwork
from infra.google.registry import GoogleRegistry
from infra.google.worker import GoogleWorker
from infra.names import Names

SERVICES = ("artifactregistry", "cloudresourcemanager", "compute", "iam", "serviceusage")
"""APIs that are disabled in a new project."""


class GoogleGround(pulumi.ComponentResource):
    """Bucket, network, account and image repository in one project.

    `ssh_from` has the CIDR blocks that SSH is open to, by label.
    """

    def __init__(
        self,
        name: str,
        *,
        config: StackConfig,
        gcp_config: GcpConfig,
        names: Names,
        ssh_from: Mapping[str, pulumi.Input[str]],
    ) -> None:
        provider = gcp.Provider(name, project=gcp_config.project)
        super().__init__("cortex:ground:GoogleGround", name, None, pulumi.ResourceOptions(providers=[provider]))
        child = pulumi.ResourceOptions(parent=self)
        enabled = _enable_services(name, child)
        # `after` goes to each component's first resources: a component's children do not wait for its `depends_on`.
        worker = GoogleWorker(
            f"{name}-worker",
            project=gcp_config.project,
            role=names.gcp_role,
            stack=names.prefix,
            after=enabled,
            opts=child,
        )
        bucket = GcsBucket(
            f"{name}-artifacts",
            bucket=names.gcp_bucket(gcp_config.project),
            location=gcp_config.home,
            labels=names.tags,
            worker=worker.member,
            soft_delete_days=gcp_config.soft_delete_days,
            emptied_on_delete=not config.protect_data,
            kept=config.protect_data,
            after=enabled,
            opts=child,
        )
        registry = GoogleRegistry(
            f"{name}-images",
            repository=names.prefix,
            project=gcp_config.project,
            location=gcp_config.regions[0],
            labels=names.tags,
            worker=worker.member,
            kept=config.protect_data,
            after=enabled,
            opts=child,
        )
        network = _declare_network(
            f"{name}-network", config, gcp_config, vpc_name=names.prefix, ssh_from=ssh_from, after=enabled, opts=child
        )
        self.outputs: dict[str, pulumi.Input[str]] = {
            "project": gcp_config.project,
            "bucket": bucket.bucket,
            "vpc_name": network.name,
            "repository": registry.url,
        }
        """Values for `infra.outputs.GcpOutputs`."""
        self.register_outputs(self.outputs)


def _enable_services(name: str, opts: pulumi.ResourceOptions) -> list[gcp.projects.Service]:
    """Enable the project's APIs, without which none of the other resources can be created."""
    return [
        gcp.projects.Service(
            f"{name}-{service}",
            service=f"{service}.googleapis.com",
            # Other resources in the project may need the API.
            disable_on_destroy=False,
            opts=opts,
        )
        for service in SERVICES
    ]


def _declare_network(
    name: str,
    config: StackConfig,
    gcp_config: GcpConfig,
    *,
    vpc_name: str,
    ssh_from: Mapping[str, pulumi.Input[str]],
    after: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> GoogleNetwork:
    """The network of machines. Tasks' services are open to the users' addresses only, SSH also to SkyPilot's server."""
    return GoogleNetwork(
        name,
        vpc_name=vpc_name,
        regions=gcp_config.regions,
        # A rule's name at Google takes neither dots nor slashes.
        ssh_from={label.replace(".", "-").replace("/", "-"): source for label, source in ssh_from.items()},
        service_from=[str(source) for source in config.ssh_from],
        ports=config.service_ports,
        after=after,
        opts=opts,
    )
