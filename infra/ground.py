"""All cloud resources of one stack, top to bottom."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from cortex.settings import CHECKOUT, Settings
from infra.access import MachineRole, RunPolicy
from infra.budget import BudgetAlarm
from infra.config import PROJECT, RENEW, SECTION, StackConfig, parse
from infra.google.ground import GoogleGround
from infra.key import DataKey
from infra.names import CHECKPOINTS, UNTAGGED, WRITTEN_ONCE, Names
from infra.network import WorkerNetwork, every_zone
from infra.outputs import NETWORK_VARIABLE, server_config
from infra.policies import run_policy, worker_policy
from infra.registry import ImageRegistry
from infra.server.bundle import make_bundle
from infra.server.machine import SkyPilotServer, zone_with
from infra.server.policy import server_policy
from infra.server.user_data import user_data
from infra.storage import PrivateBucket, old_checkpoints, old_versions, superseded_bases

OLD_DATA_DAYS = 30
"""Days for which data that was overwritten or deleted can be restored."""


def load() -> StackConfig:
    """The settings of the stack that Pulumi is working on.

    Raises:
        ConfigError: they cannot be used.
    """
    return parse(pulumi.get_stack(), pulumi.Config(PROJECT).get_object(SECTION))


@dataclass(frozen=True)
class _Storage:
    """Resources that hold data or images: with `protect_data`, a destroy leaves them in the cloud."""

    key: DataKey
    artifacts: PrivateBucket
    data: PrivateBucket
    registry: ImageRegistry


def declare(config: StackConfig) -> None:
    """Declare every resource of a stack, and export the values for `infra.outputs.GroundOutputs`."""
    names = Names.of(config)
    here = _provider("aws", config.region, config, names)
    plain = pulumi.ResourceOptions(providers=[here])
    storage = _declare_storage(config, names, here)
    networks = _declare_networks(config, names, here)
    worker, run = _declare_rights(config, names, storage, plain)
    BudgetAlarm(
        "spend",
        budget_name=names.prefix,
        limit_usd=config.monthly_budget_usd,
        emails=config.alert_emails,
        opts=plain,
    )

    ssh_from: dict[str, pulumi.Input[str]] = {str(source): str(source) for source in config.ssh_from}
    if config.server:
        server = _declare_server(config, names, here, networks=networks, storage=storage)
        pulumi.export("server", {"instance": server.instance, "port": config.server.port})
        ssh_from["server"] = server.address.apply(lambda address: f"{address}/32")

    pulumi.export("stack", config.stack)
    pulumi.export("region", config.region)
    pulumi.export("more_regions", list(config.more_regions))
    pulumi.export("artifacts_bucket", storage.artifacts.bucket)
    pulumi.export("data_bucket", storage.data.bucket)
    pulumi.export("vpc_name", networks[config.region].vpc_name)
    pulumi.export("security_group_name", networks[config.region].security_group_name)
    pulumi.export("instance_profile", worker.instance_profile)
    pulumi.export("run_policy", run.arn)
    pulumi.export("repositories", storage.registry.urls)
    pulumi.export("tags", names.tags)
    if config.gcp:
        google = GoogleGround("gcp", config=config, gcp_config=config.gcp, names=names, ssh_from=ssh_from)
        pulumi.export("gcp", google.outputs)


def _declare_storage(config: StackConfig, names: Names, here: aws.Provider) -> _Storage:
    """The key, the buckets that it encrypts, and the images' repositories."""
    # With `protect`, a destroy leaves them in the cloud and in the stack's state, and the next `up` uses them again.
    kept = pulumi.ResourceOptions(providers=[here], protect=config.protect_data)
    emptied = not config.protect_data
    key = DataKey("data", alias=names.prefix, account=config.account, protected=config.protect_data, opts=kept)
    artifacts = PrivateBucket(
        "artifacts",
        bucket=names.bucket("artifacts"),
        key=key.arn,
        rules=[old_checkpoints(config.checkpoint_days), superseded_bases()],
        create_only=WRITTEN_ONCE,
        tagged=[CHECKPOINTS],
        untagged=UNTAGGED,
        emptied_on_delete=emptied,
        opts=kept,
    )
    data = PrivateBucket(
        "data",
        bucket=names.bucket("data"),
        key=key.arn,
        rules=[old_versions(OLD_DATA_DAYS)],
        emptied_on_delete=emptied,
        opts=kept,
    )
    registry = ImageRegistry(
        "images",
        repositories={image: names.repository(image) for image in config.images},
        emptied_on_delete=emptied,
        opts=kept,
    )
    return _Storage(key, artifacts, data, registry)


def _declare_rights(
    config: StackConfig, names: Names, storage: _Storage, opts: pulumi.ResourceOptions
) -> tuple[MachineRole, RunPolicy]:
    """The role of machines that belong to no run, and the policy that each run's own role gets at its launch."""
    arns = pulumi.Output.all(
        artifacts=storage.artifacts.arn,
        data=storage.data.arn,
        key=storage.key.arn,
        repositories=list(storage.registry.arns.values()),
    )
    of_workers = arns.apply(lambda known: worker_policy(**known, regions=config.regions))
    worker = MachineRole(
        "worker",
        role_name=names.worker,
        description="Machines that are no run's: read runs and data, pull images",
        policy=of_workers,
        opts=opts,
    )
    of_runs = arns.apply(lambda known: run_policy(**known, regions=config.regions))
    return worker, RunPolicy("run", policy_name=names.run, policy=of_runs, opts=opts)


def _declare_networks(config: StackConfig, names: Names, here: aws.Provider) -> dict[str, WorkerNetwork]:
    """The network of each region. All have the same name, by which SkyPilot finds the one in a machine's region."""

    def make(name: str, region: str, provider: aws.Provider, zones: Sequence[str]) -> WorkerNetwork:
        return WorkerNetwork(
            name,
            vpc_name=names.prefix,
            cidr=config.cidr,
            zones=zones,
            ssh_from=[str(source) for source in config.ssh_from],
            ports=config.service_ports,
            region=region,
            account=config.account,
            opts=pulumi.ResourceOptions(providers=[provider]),
        )

    zones = [names.zone(letter) for letter in config.zones] if config.zones else every_zone(here)
    networks = {config.region: make("network", config.region, here, zones)}
    for region in config.more_regions:
        there = _provider(f"aws-{region}", region, config, names)
        networks[region] = make(f"network-{region}", region, there, every_zone(there))
    return networks


def _declare_server(
    config: StackConfig,
    names: Names,
    provider: aws.Provider,
    *,
    networks: Mapping[str, WorkerNetwork],
    storage: _Storage,
) -> SkyPilotServer:
    """SkyPilot's server, and in the data bucket the archive of the kit that the server installs."""
    assert config.server
    network = networks[config.region]
    plain = pulumi.ResourceOptions(providers=[provider])
    bundle = make_bundle(CHECKOUT)
    archive = aws.s3.BucketObjectv2(
        "server",
        bucket=storage.data.bucket,
        key=bundle.key,
        source=pulumi.FileAsset(str(bundle.write(Settings().home.absolute() / "server"))),
        # A running server still refers to the archive that it was created with.
        opts=pulumi.ResourceOptions(provider=provider, retain_on_delete=True),
    )
    policy = pulumi.Output.all(
        vpcs=[each.vpc_arn for each in networks.values()],
        artifacts=storage.artifacts.arn,
        data=storage.data.arn,
        key=storage.key.arn,
    ).apply(lambda known: server_policy(names=names, **known))
    script = pulumi.Output.all(storage.artifacts.bucket, archive.bucket).apply(
        lambda buckets: user_data(
            bundle=bundle,
            bucket=buckets[1],
            region=config.region,
            sky=server_config(names, network.security_group_name),
            environment={"CORTEX_BUCKET": f"s3://{buckets[0]}", NETWORK_VARIABLE: ",".join(config.regions)},
        )
    )
    return SkyPilotServer(
        "server",
        server_name=names.server,
        config=config.server,
        network=network,
        others={region: each for region, each in networks.items() if region != config.region},
        zone=zone_with(config.server.machine, network.subnets, provider),
        policy=policy,
        user_data=script,
        provider=provider,
        renewed=bool(os.environ.get(RENEW)),
        opts=plain,
    )


def _provider(name: str, region: str, config: StackConfig, names: Names) -> aws.Provider:
    return aws.Provider(
        name,
        region=region,  # pyright: ignore[reportArgumentType]
        allowed_account_ids=[config.account],
        default_tags=aws.ProviderDefaultTagsArgs(tags=names.tags),
    )
