"""An owner's values, and the outputs of a stack that is up."""

from typing import Any

import yaml

from cortex.settings import CHECKOUT
from infra.outputs import GcpOutputs, GroundOutputs, ServerOutputs

OWNER: dict[str, Any] = {
    "account": "123456789012",
    "alert_emails": ["owner@example.com"],
}
"""Settings that a shipped stack's file leaves to its owner."""


def shipped(stack: str) -> dict[str, Any]:
    """A shipped stack's settings, as its file has them."""
    return yaml.safe_load((CHECKOUT / f"infra/Pulumi.{stack}.yaml").read_text())["config"]["cortex:ground"]


OUTPUTS = GroundOutputs(
    stack="dev",
    region="us-east-1",
    artifacts_bucket="cortex-dev-artifacts-123456789012-us-east-1",
    data_bucket="cortex-dev-data-123456789012-us-east-1",
    vpc_name="cortex-dev",
    security_group_name="cortex-dev-workers",
    instance_profile="cortex-dev-worker",
    run_policy="arn:aws:iam::123456789012:policy/cortex-dev-run",
    repositories={"sft": "123456789012.dkr.ecr.us-east-1.amazonaws.com/cortex-dev/sft"},
    tags={"project": "cortex", "stack": "dev"},
    server=ServerOutputs(instance="i-0123456789abcdef0", port=46590),
)

GOOGLE = GcpOutputs(
    project="cortex-lab",
    bucket="cortex-dev-artifacts-cortex-lab",
    vpc_name="cortex-dev",
    repository="us-central1-docker.pkg.dev/cortex-lab/cortex-dev",
)

AT_GOOGLE = OUTPUTS.model_copy(update={"gcp": GOOGLE})
"""The same stack, with resources at Google besides those on AWS."""
