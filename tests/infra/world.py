"""One stack, up in the emulated cloud: the declared resources, those made of them, and the rights there."""

import asyncio
import json
import os
import runpy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from unittest.mock import patch

import pulumi
from moto import mock_aws
from pulumi.runtime.stack import Stack, run_pulumi_func

from cortex.fleet.launch.run_role import RunRole
from cortex.settings import CHECKOUT
from infra.config import PROJECT, SECTION, StackConfig
from infra.ground import load
from infra.names import Names
from infra.outputs import GroundOutputs
from tests.infra.emulation.account import SESSION
from tests.infra.emulation.authorization import emulated_authorization, enforced
from tests.infra.emulation.engine import Change, Declared, Emulator, RecordingMonitor

ACCOUNT = "123456789012"
"""moto's own account."""

RUN = "r1"
"""A run's id."""

OTHERS = "others/"
"""Prefix of names that are not the stack's, made only to show that they cannot be reached."""

SETTINGS: dict[str, Any] = {
    "account": ACCOUNT,
    "region": "us-east-1",
    "zones": ["a", "b", "c"],
    "ssh_from": ["198.51.100.7/32"],
    "service_ports": [8080],
    "monthly_budget_usd": 200,
    "alert_emails": ["owner@example.com"],
    "images": ["sft", "serve"],
    "protect_data": True,
    "gcp": {"project": "cortex-lab", "regions": ["us-central1", "europe-west4"]},
}


@dataclass(frozen=True)
class World:
    """A stack in the emulated cloud."""

    config: StackConfig
    names: Names
    outputs: GroundOutputs
    declared: list[Declared]
    protected: dict[tuple[str, str], bool]
    unchanged: dict[tuple[str, str], list[str]]
    """The inputs of each resource whose changes are ignored."""
    waits_for: dict[tuple[str, str], set[tuple[str, str]]]
    """The resources that must exist before each resource is made."""
    emulator: Emulator
    region: str
    """The region of `client` and `vpc`."""

    def at(self, region: str) -> "World":
        """The same stack, seen from another of its regions."""
        return replace(self, region=region)

    @property
    def zones(self) -> tuple[str, ...]:
        """The letters of the zones that the network is to be in."""
        every = self.client("ec2").describe_availability_zones()["AvailabilityZones"]
        chosen = self.config.zones if self.region == self.config.region else None
        return chosen or tuple(zone["ZoneName"][-1] for zone in every)

    @property
    def artifacts(self) -> str:
        return self.names.bucket("artifacts")

    @property
    def data(self) -> str:
        return self.names.bucket("data")

    @property
    def key(self) -> str:
        """The ARN of the stack's key."""
        found = self.client("kms").describe_key(KeyId=f"alias/{self.names.prefix}")
        return found["KeyMetadata"]["Arn"]

    def client(self, service: str) -> Any:
        """The owner's client, to which nothing is refused."""
        return self.emulator.client(service, self.region)

    @property
    def addresses(self) -> list[str]:
        """The server's own fixed address, as a block of one."""
        found = self.emulator.client("ec2", self.names.region).describe_addresses()["Addresses"]
        return [f"{address['PublicIp']}/32" for address in found]

    def of_type(self, kind: str) -> list[Declared]:
        return [resource for resource in self.declared if resource.type.endswith(f":{kind}") and not resource.dropped]

    def policies(self, role: str) -> list[str]:
        """Every policy of a role, as the emulated IAM has it."""
        iam = self.client("iam")
        inline = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        ]
        attached = []
        for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
            found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
            attached.append(found["PolicyVersion"]["Document"])
        return [json.dumps(document) for document in (*inline, *attached)]

    def vpc(self) -> dict[str, Any]:
        named = [{"Name": "tag:Name", "Values": [self.outputs.vpc_name]}]
        found = self.client("ec2").describe_vpcs(Filters=named)["Vpcs"]
        assert len(found) == 1, f"{len(found)} networks are called {self.outputs.vpc_name}"
        return found[0]

    def in_vpc(self, operation: str) -> list[dict[str, Any]]:
        """The result of `describe_<operation>` in the stack's network."""
        found = getattr(self.client("ec2"), f"describe_{operation}")(
            Filters=[{"Name": "vpc-id", "Values": [self.vpc()["VpcId"]]}]
        )
        return found["".join(part.capitalize() for part in operation.split("_"))]

    def endpoint(self) -> dict[str, Any]:
        found = self.in_vpc("vpc_endpoints")
        assert len(found) == 1, f"{len(found)} endpoints"
        return found[0]

    def repositories(self) -> list[dict[str, Any]]:
        found = self.client("ecr").describe_repositories()["repositories"]
        return [repository for repository in found if not repository["repositoryName"].startswith(OTHERS)]

    def run_role(self, run: str = RUN, base: str | None = None) -> str:
        """The role that a launch makes for a run, which starts from a base of the hub."""
        return RunRole(run, self.outputs.run_policy, base).make()

    def as_run(self, run: str = RUN, base: str | None = None) -> AbstractContextManager["Worker"]:
        """Calls with the credentials of a run's machine."""
        return self.acting_as(self.run_role(run, base))

    @contextmanager
    def acting_as(self, name: str) -> Iterator["Worker"]:
        """Calls with the credentials of a machine that has this role, each decided by the policies in force."""
        role = f"arn:aws:iam::{self.names.account}:role/{name}"
        given = self.client("sts").assume_role(RoleArn=role, RoleSessionName="i-0123456789abcdef0")["Credentials"]
        credentials = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        with enforced():
            yield Worker(self.names.region, credentials)


@dataclass(frozen=True)
class Worker:
    """A machine's clients."""

    region: str
    credentials: dict[str, str]

    def client(self, service: str, **options: Any) -> Any:
        return SESSION.client(service, region_name=self.region, **self.credentials, **options)  # type: ignore[call-overload]


@contextmanager
def emulated_cloud(*, managed_policies: bool = False) -> Iterator[None]:
    """An AWS in this process, empty unless inside another one; no call leaves it.

    Amazon's own policies and images would take most of its start.
    """
    with (
        patch.dict(os.environ, MOTO_EC2_LOAD_DEFAULT_AMIS="false"),
        mock_aws(config={"iam": {"load_aws_managed_policies": managed_policies}}),
        emulated_authorization(),
    ):
        yield


def bring_up(stack: str = "dev", change: Change | None = None, **settings: Any) -> World:
    """Run the real program against the emulated cloud; `change` plants a mistake, `settings` are the stack's."""
    pulumi.runtime.set_all_config({f"{PROJECT}:{SECTION}": json.dumps({**SETTINGS, **settings})})
    # Before `set_mocks`: the stack's own resource is bound to the loop that is current then.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    region = settings.get("region", SETTINGS["region"])
    emulator = Emulator(region, ACCOUNT, change)
    monitor = RecordingMonitor(emulator)
    pulumi.runtime.set_mocks(emulator, project=PROJECT, stack=stack, preview=False, monitor=monitor)
    found: dict[str, Any] = {}

    def program() -> None:
        root = cast(Stack, pulumi.runtime.settings.get_root_resource())
        # The root resource is the process's only one, and still has the former program's outputs.
        root.outputs.clear()
        # Pulumi itself starts a program so: the folder, by its `__main__.py`.
        runpy.run_path(str(CHECKOUT / "infra"), run_name="__main__")
        config = load()
        pulumi.Output.json_dumps(root.outputs).apply(lambda text: found.update(config=config, outputs=text))

    try:
        loop.run_until_complete(run_pulumi_func(program))
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    config = found["config"]
    return World(
        config=config,
        names=Names.of(config),
        outputs=GroundOutputs.parse(found["outputs"]),
        declared=emulator.declared,
        protected=monitor.protected,
        unchanged=monitor.unchanged,
        waits_for=monitor.waits_for,
        emulator=emulator,
        region=config.region,
    )
