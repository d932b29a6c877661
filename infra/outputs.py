"""What a stack gives to the kit: SkyPilot's configuration, and the kit's own settings."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cortex.errors import ConfigError

CONTROLLERS = ("sky-jobs-controller-*", "sky-serve-controller-*")
"""Clusters that SkyPilot makes for itself, to start and watch the others."""


class GroundOutputs(BaseModel):
    """The outputs of a stack, as `pulumi stack output --json` prints them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stack: str
    region: str
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
    gcs_bucket: str | None = None

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
    def bucket_url(self) -> str:
        """Where runs are kept."""
        return f"s3://{self.artifacts_bucket}"

    @property
    def registry(self) -> str:
        """The folder that holds every image's repository."""
        return next(iter(self.repositories.values())).rpartition("/")[0]

    @property
    def bucket_urls(self) -> list[str]:
        """Every bucket that may hold runs."""
        return [self.bucket_url, *([f"gs://{self.gcs_bucket}"] if self.gcs_bucket else [])]


def sky_config(outputs: GroundOutputs) -> dict[str, Any]:
    """SkyPilot's configuration for machines on this ground (the `aws` section of `.sky.yaml`).

    Machines carry the instance profile and no other credentials; a launch puts its run's own in its place. SkyPilot's
    controllers start machines, so they get this machine's credentials, which is SkyPilot's own default for all.
    """
    identities = [{pattern: "LOCAL_CREDENTIALS"} for pattern in CONTROLLERS]
    return {
        "aws": {
            "vpc_names": outputs.vpc_name,
            "security_group_name": outputs.security_group_name,
            "remote_identity": [*identities, {"*": outputs.instance_profile}],
            "disk_encrypted": True,
            "labels": dict(outputs.tags),
        }
    }


def environment(outputs: GroundOutputs) -> dict[str, str]:
    """The kit's settings on this ground, as environment variables."""
    return {
        "CORTEX_BUCKET": outputs.bucket_url,
        "CORTEX_REGISTRY": outputs.registry,
        "CORTEX_RUN_POLICY": outputs.run_policy,
        "CORTEX_NETWORK_REGION": outputs.region,
        "AWS_REGION": outputs.region,
    }
