"""Check of the credentials for each cloud that the run may use."""

import os
import re

from cortex.errors import ConfigError
from cortex.fleet.clouds import aws_api
from cortex.fleet.clouds.abilities import Target
from cortex.fleet.clouds.access import refusal, require_pool
from cortex.fleet.clouds.catalog import CLOUDS
from cortex.fleet.clouds.skypilot import has_remote_server
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "credentials"

_TEMPORARY = re.compile(r":assumed-role/[^/]+/(?!i-[0-9a-f]+$)")
"""ARN of a caller whose credentials expire within hours: an assumed role, also by `aws sso login`. Roles of EC2
machines are excluded, since their credentials are renewed automatically."""

_EXPIRING = (
    "temporary credentials: once they expire, SkyPilot's server on this machine replaces no lost machine and ends "
    "none, until they are renewed (`aws sso login`); for a longer run have a server that stays up, as `make infra-up` "
    "raises one"
)


def check(ground: Ground) -> Finding:
    """Ask each cloud for the caller's identity. One cloud that accepts the credentials is enough to pass."""
    known, unknown, fixes, advice = list[str](), list[str](), list[str](), list[str]()
    for target in _targets(ground) or map(Target, CLOUDS):
        who, fault, fix = _ask_aws() if target.cloud == "aws" else _ask(target)
        if who:
            known.append(f"{target.infra}: {who}")
            advice += [fix] if fix else []
        else:
            unknown.append(f"{target.infra}: {fault}")
            fixes.append(fix)
    detail = "; ".join([*known, *(unknown if ground.clouds() or not known else [])])
    if not known:
        return Finding(NAME, False, detail, "; or ".join(dict.fromkeys(fixes)))
    advice += dict.fromkeys(fixes) if unknown and ground.clouds() else []
    return Finding(NAME, True, detail, "; ".join(advice) or None)


def usable(cloud: str) -> bool:
    """True where a cloud other than AWS accepts the credentials."""
    return refusal(cloud) is None


def _targets(ground: Ground) -> list[Target]:
    """The clouds that the tasks name, and each pool of SSH machines."""
    pools = {place.region for place in ground.places() if place.cloud == "ssh"}
    named = [Target(cloud) for cloud in ground.clouds() - {"ssh"}] + [Target("ssh", pool) for pool in pools]
    return sorted(named, key=lambda target: target.infra)


def _ask_aws() -> tuple[str | None, str, str]:
    """Identity, empty, and advice; or None, the fault, and its fix."""
    try:
        found = aws_api.client("sts").get_caller_identity()
    except aws_api.error_types() as error:
        return None, *_refusal(error)
    expiring = _TEMPORARY.search(found["Arn"]) and not has_remote_server()
    who = f"account {found['Account']} as {found['Arn'].rpartition(':')[2]}{_of_several()}"
    return who, "", _EXPIRING if expiring else ""


def _of_several() -> str:
    """Words that name the profile in use, where there are several and none was chosen by the user."""
    import boto3

    session = boto3.Session()
    if "AWS_PROFILE" in os.environ or "AWS_ACCESS_KEY_ID" in os.environ or len(session.available_profiles) < 2:
        return ""
    return f", by the profile {session.profile_name} of {len(session.available_profiles)} (AWS_PROFILE names another)"


def _refusal(error: Exception) -> tuple[str, str]:
    code = aws_api.error_code(error)
    if code in ("NoCredentialsError", "PartialCredentialsError"):
        return "no credentials", "give them: `aws configure`, `aws sso login`, or AWS_ACCESS_KEY_ID and its secret"
    if code == "ProfileNotFound":
        return aws_api.describe_error(error), "name one of `aws configure list-profiles` in AWS_PROFILE"
    if code in aws_api.EXPIRED:
        return f"the credentials have expired ({code})", aws_api.RENEW
    if code == "SignatureDoesNotMatch":
        return "the secret key does not fit its access key, or this machine's clock is wrong", aws_api.RENEW
    if aws_api.is_service_error(error):
        return f"the credentials are not accepted ({code})", aws_api.RENEW
    return (
        f"STS does not answer ({aws_api.describe_error(error)})",
        "see that sts.amazonaws.com can be reached from here",
    )


def _ask(target: Target) -> tuple[str | None, str, str]:
    """The result of SkyPilot's own check of another cloud, or of a pool of SSH machines, as in `_ask_aws`."""
    refused = refusal(target.cloud)
    if refused:
        return None, *refused
    try:
        require_pool(target)
    except ConfigError as error:
        return None, str(error), "docs/clouds.md says how a pool of one's own machines is set up"
    return "accepted", "", ""
