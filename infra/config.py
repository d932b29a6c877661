"""Settings of a stack, read from `Pulumi.<stack>.yaml` and checked once."""

import re
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any

from botocore.session import Session
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cortex.errors import ConfigError
from cortex.section import nearest
from cortex.yaml_reader import read_yaml
from infra.google.config import GcpConfig

PROJECT = "cortex"
SECTION = "ground"
"""The settings are under `cortex:ground` in a stack's file."""

WORD = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
"""Pattern of words that every service accepts as part of a name."""

Label = Annotated[str, Field(pattern=WORD, min_length=2, max_length=30)]

MOST_REGIONS = 4
"""Most regions of a stack: each one makes the policies of users and machines longer, and AWS limits a policy to 6144
characters."""

LONGEST_STACK = 15
"""Most letters of a stack's name: a bucket's name, at most 63, also has the project, kind, account and region."""

WIDEST_VPC, NARROWEST_VPC = 16, 20
"""Prefix lengths of a network: AWS allows none wider, and a narrower one has fewer than 500 addresses in a zone."""

RENEW = "CORTEX_RENEW_SERVER"
"""Environment variable by which the command line tells the Pulumi program to replace the server."""

SKYPILOT_PORT = 46580
"""Default port of SkyPilot's server."""

_ARM = re.compile(r"^[a-z]+\d+[a-z]*g[a-z-]*\.")
"""Graviton's mark is a `g` behind the generation: t4g, m7gd, c6gn."""

WIDEST_SSH = 16
"""Shortest prefix of a block in `ssh_from`: a wider block is not one user's own."""


@cache
def _known_regions() -> list[str]:
    """Regions that botocore knows, enabled for the account or not; cached, since its list is slow to read."""
    return Session().get_available_regions("ec2")


def _check_region(name: str) -> str:
    if name not in _known_regions():
        raise ValueError(f"AWS has no region of that name: {nearest(name, _known_regions())}")
    return name


Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$"), AfterValidator(_check_region)]


class ServerConfig(BaseModel):
    """The machine that SkyPilot's API server runs on, with the controller of managed jobs in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str = Field(default="t3.large", pattern=r"^[a-z0-9-]+\.[a-z0-9]+$")
    """The machine's type. SkyPilot needs 4 GiB besides its controllers' memory, so less than 8 GiB is slow."""

    disk_gb: int = Field(default=40, ge=20, le=1000)
    """Size of the disk for the system, SkyPilot, its database and its logs."""

    port: int = Field(default=46590, ge=1024, le=65535)
    """Port of the laptop that leads to the server; each stack that the laptop uses needs its own."""

    @model_validator(mode="after")
    def _fits(self) -> "ServerConfig":
        if _ARM.match(self.machine):
            raise ValueError(f"machine: {self.machine} has an ARM processor, and the image is for x86: take t3.large")
        if self.port == SKYPILOT_PORT:
            raise ValueError(f"port: {SKYPILOT_PORT} is where SkyPilot expects a server of the laptop's own")
        return self


class StackConfig(BaseModel):
    """One stack's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str = Field(pattern=WORD, min_length=2, max_length=LONGEST_STACK)
    """The stack's own name; every resource's name holds it."""

    account: str = Field(pattern=r"^\d{12}$")
    """The AWS account to work in. With credentials of another account, nothing is done."""

    region: Region
    """Region of the buckets, the key, the images, SkyPilot's server, and a network for machines."""

    more_regions: tuple[Region, ...] = Field(default=(), max_length=MOST_REGIONS - 1)
    """Further regions for machines, each with a network of its own, which costs nothing. AWS bills the traffic between
    machines there and the buckets."""

    zones: tuple[Annotated[str, Field(pattern=r"^[a-h]$")], ...] | None = Field(default=None, min_length=2)
    """Letters of the availability zones to use in `region`. By default all are used, as they are in further regions:
    spot capacity differs between zones from one day to the next, and a subnet costs nothing."""

    cidr: IPv4Network = IPv4Network("10.40.0.0/16")
    """Addresses of each network, divided evenly among eight zones. Networks are not connected, so all use the same."""

    server: ServerConfig | None = ServerConfig()
    """A SkyPilot API server in the network, which this machine reaches through AWS Systems Manager. `false`: none, so
    SkyPilot runs on this machine, which must then stay up, at an address in `ssh_from`, as long as a run lasts."""

    ssh_from: tuple[IPv4Network, ...] = ()
    """Addresses, besides the server's, from which SSH to machines is allowed: needed for this machine's public address
    (/32) if the stack has no server, and for users who want to work on a machine."""

    service_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()
    """Ports of machines that are open to `ssh_from`, too; SkyPilot cannot open a task's `ports:` in this network."""

    images: tuple[Label, ...] = ("data", "sft", "grpo", "quantize", "serve", "tinker")
    """Images, each with a repository of its own."""

    monthly_budget_usd: int = Field(gt=0)
    """The account's spending in a month, in dollars, that counts as 100 % for the alarm."""

    alert_emails: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")], ...] = Field(
        min_length=1, max_length=10
    )

    checkpoint_days: int = Field(default=14, ge=1)
    """Days after which a checkpoint that no run has pruned is deleted."""

    protect_data: bool = True
    """Keep buckets, key and repositories when the stack is taken down; if false, they are deleted with all contents."""

    gcp: GcpConfig | None = None
    """Settings of a bucket, a network and an account for machines at Google; without it there are none."""

    @field_validator("account", mode="before")
    @classmethod
    def _digits(cls, value: Any) -> Any:
        """Restore the digits of an account that `pulumi config set --path` has stored as a number."""
        return f"{value:012d}" if isinstance(value, int) else value

    @field_validator("server", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        """Read `false` as no server, and `true` as the default server."""
        return {False: None, True: ServerConfig()}[value] if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _fits(self) -> "StackConfig":
        if len(set(self.regions)) < len(self.regions):
            raise ValueError(
                f"more_regions: {', '.join(self.more_regions)} beside region {self.region}: one stands twice; name "
                "each further region once"
            )
        if self.zones and len(set(self.zones)) < len(self.zones):
            raise ValueError("zones: a letter stands twice; name each zone once")
        if not self.cidr.is_private or not WIDEST_VPC <= self.cidr.prefixlen <= NARROWEST_VPC:
            raise ValueError(f"cidr: {self.cidr} is no private network from /{WIDEST_VPC} to /{NARROWEST_VPC}")
        if self.server is None and not self.ssh_from:
            raise ValueError(
                "ssh_from is missing, and without a server SkyPilot reaches machines from this machine's own address: "
                f"in infra/, `pulumi config set --stack {self.stack} --path '{PROJECT}:{SECTION}.ssh_from[0]' "
                "198.51.100.7/32` names it"
            )
        if self.service_ports and not self.ssh_from:
            raise ValueError("service_ports are opened to ssh_from, which is missing")
        for source in self.ssh_from:
            if source.prefixlen < WIDEST_SSH:
                raise ValueError(
                    f"ssh_from: {source} is {source.num_addresses} addresses; give yours, as in 198.51.100.7/32"
                )
        return self

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region with a network, the stack's own first."""
        return self.region, *self.more_regions


def parse(stack: str, settings: Any) -> StackConfig:
    """Check a stack's settings, as parsed from YAML.

    Raises:
        ConfigError: a setting is missing, unknown or out of bounds.
    """
    if not isinstance(settings, dict):
        raise ConfigError(
            f"Pulumi.{stack}.yaml has no {PROJECT}:{SECTION}: copy that section from another stack's file"
        )
    try:
        return StackConfig.model_validate({**settings, "stack": stack})
    except ValidationError as error:
        raise ConfigError(f"Pulumi.{stack}.yaml: {_first_fault(stack, error)}") from None


def read(folder: Path, stack: str) -> StackConfig:
    """Read and check a stack's settings from its file.

    Raises:
        ConfigError: there is no such stack, or its settings cannot be used.
    """
    path = folder / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(found.name.split(".")[1] for found in folder.glob("Pulumi.*.yaml"))
        raise ConfigError(f"{path} is not there: stacks are {', '.join(known)}")
    found = read_yaml(path)
    config = found.get("config") if isinstance(found, dict) else None
    return parse(stack, config.get(f"{PROJECT}:{SECTION}") if isinstance(config, dict) else None)


def _first_fault(stack: str, error: ValidationError) -> str:
    fault = error.errors()[0]
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        place = f"{field}[0]" if field == "alert_emails" else field
        setting = f"--stack {stack} --path '{PROJECT}:{SECTION}.{place}'"
        return f"{field} is missing; in infra/, `pulumi config set {setting} VALUE` sets it"
    if fault["type"] == "extra_forbidden":
        return f"{field} is no setting; known are {', '.join(StackConfig.model_fields)}"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{field} = {fault['input']!r}: {message}" if field else message
