"""Outputs of a stack, and the settings of SkyPilot and of the kit that follow from them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cortex.errors import ConfigError
from infra.names import Names

CONTROLLERS = ("sky-jobs-controller-*", "sky-serve-controller-*")
"""Names of clusters that SkyPilot starts for itself, to start and watch others."""

SERVER_VARIABLE = "CORTEX_SERVER"

NETWORK_VARIABLE = "CORTEX_NETWORK_REGIONS"

GCP_SETTINGS = ("vpc_name", "remote_identity", "labels")
"""The kit's keys in SkyPilot's section on Google."""

PROJECT_VARIABLE = "GOOGLE_CLOUD_PROJECT"
"""Variable that names the project for SkyPilot, where its credentials name another or none."""

BUCKET_REMARK, REGISTRY_REMARK = "# at Google: CORTEX_BUCKET", "# at Google: CORTEX_REGISTRY"


class ServerOutputs(BaseModel):
    """Outputs on SkyPilot's server."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    instance: str = Field(pattern=r"^i-[0-9a-f]+$")
    port: int
    """Port of the laptop at which the tunnel to the server begins."""


class GcpOutputs(BaseModel):
    """Outputs on the resources at Google."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    project: str
    bucket: str
    vpc_name: str
    repository: str
    """The repository of all images, without an image's name."""

    @property
    def bucket_url(self) -> str:
        """URL of the bucket for runs on Google's machines."""
        return f"gs://{self.bucket}"


class GroundOutputs(BaseModel):
    """Outputs of a stack, as `pulumi stack output --json` prints them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stack: str
    region: str
    more_regions: tuple[str, ...] = ()
    """Further regions with a network."""

    artifacts_bucket: str
    data_bucket: str
    vpc_name: str
    security_group_name: str
    instance_profile: str
    run_policy: str
    """The ARN of the policy that a launch gives to its run's own role."""

    repositories: dict[str, str]
    """Each image's repository, without a tag."""

    tags: dict[str, str]
    gcp: GcpOutputs | None = None
    server: ServerOutputs | None = None

    @classmethod
    def parse(cls, data: str | bytes) -> "GroundOutputs":
        """Read the printed outputs.

        Raises:
            ConfigError: an output is missing, so the stack is not up.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"]) or "outputs"
            raise ConfigError(f"stack output {where}: {fault['msg']}; run `make infra-up` first") from None

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region with a network, the stack's own first."""
        return self.region, *self.more_regions

    @property
    def bucket_url(self) -> str:
        """URL of the bucket for runs."""
        return f"s3://{self.artifacts_bucket}"

    @property
    def registry(self) -> str:
        """The common prefix of all images' repositories."""
        return next(iter(self.repositories.values())).rpartition("/")[0]

    @property
    def bucket_urls(self) -> list[str]:
        """Every bucket that may hold runs."""
        return [self.bucket_url, *([self.gcp.bucket_url] if self.gcp else [])]


def sky_config(outputs: GroundOutputs) -> dict[str, Any]:
    """SkyPilot's configuration for machines of this stack (`.sky.yaml`).

    Machines get the instance profile and no other credentials; a launch replaces it by its run's own. Without a server,
    SkyPilot's controllers are machines that start others, so they get this machine's credentials, as all machines do by
    SkyPilot's default.
    """
    identities = [] if outputs.server else [{pattern: "LOCAL_CREDENTIALS"} for pattern in CONTROLLERS]
    aws = _machines(
        outputs.vpc_name, outputs.security_group_name, [*identities, {"*": outputs.instance_profile}], outputs.tags
    )
    # Not SkyPilot's default port: at that port it would expect a server of this machine's own, and start one.
    endpoint = {"api_server": {"endpoint": f"http://127.0.0.1:{outputs.server.port}"}} if outputs.server else {}
    gcp = {"gcp": _google_machines(outputs.gcp, outputs.tags)} if outputs.gcp else {}
    return {"aws": aws, **gcp, **endpoint}


def server_config(names: Names, security_group_name: str) -> dict[str, Any]:
    """SkyPilot's configuration on the server: controllers run in the server, and machines do not get its rights."""
    consolidated = {"controller": {"consolidation_mode": True}}
    aws = _machines(names.prefix, security_group_name, [{"*": names.worker}], names.tags)
    return {"aws": aws, "jobs": consolidated, "serve": consolidated}


def _machines(
    vpc_name: str, security_group_name: str, identities: list[dict[str, str]], tags: dict[str, str]
) -> dict[str, Any]:
    return {
        "vpc_names": vpc_name,
        "security_group_name": security_group_name,
        "remote_identity": identities,
        "disk_encrypted": True,
        "labels": dict(tags),
    }


def _google_machines(gcp: GcpOutputs, tags: dict[str, str]) -> dict[str, Any]:
    """SkyPilot's section on Google. Every machine there has SkyPilot's account anyway; NO_UPLOAD keeps SkyPilot from
    copying the launching user's Google credentials to machines, also to those of other clouds."""
    return {"vpc_name": gcp.vpc_name, "remote_identity": "NO_UPLOAD", "labels": dict(tags)}


def environment(outputs: GroundOutputs) -> dict[str, str]:
    """The kit's settings for this stack, as environment variables."""
    return {
        "CORTEX_BUCKET": outputs.bucket_url,
        "CORTEX_REGISTRY": outputs.registry,
        "CORTEX_RUN_POLICY": outputs.run_policy,
        NETWORK_VARIABLE: ",".join(outputs.regions),
        "AWS_REGION": outputs.region,
        **({SERVER_VARIABLE: outputs.server.instance} if outputs.server else {}),
        **({PROJECT_VARIABLE: outputs.gcp.project} if outputs.gcp else {}),
    }


def remarks(outputs: GroundOutputs) -> dict[str, str]:
    """Settings for runs at Google, written into the file as comments: users copy them, and they have no effect."""
    if outputs.gcp is None:
        return {}
    return {BUCKET_REMARK: outputs.gcp.bucket_url, REGISTRY_REMARK: outputs.gcp.repository}
