"""Who we are to each cloud that the run may go to."""

import os
import re

from cortex.errors import ConfigError
from cortex.fleet import aws
from cortex.fleet.abilities import Target
from cortex.fleet.access import refusal, require_pool
from cortex.fleet.catalog import CLOUDS
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.fleet.skypilot import has_remote_server

NAME = "credentials"

_TEMPORARY = re.compile(r":assumed-role/[^/]+/(?!i-[0-9a-f]+$)")
"""Whose credentials last for hours: a role that somebody took, by `aws sso login`, too. A machine in AWS renews its
own."""

_EXPIRING = (
    "temporary credentials: once they expire, SkyPilot's server on this machine replaces no lost machine and ends "
    "none, until they are renewed (`aws sso login`); for a longer run have a server that stays up, as `make infra-up` "
    "raises one"
)


def check(ground: Ground) -> Finding:
    """Ask each cloud who is calling. One that knows us is enough; the others' machines then drop out."""
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
    """Whether a cloud other than AWS knows us."""
    return refusal(cloud) is None


def _targets(ground: Ground) -> list[Target]:
    """The clouds that the tasks name, and each pool of SSH machines."""
    pools = {place.region for place in ground.places() if place.cloud == "ssh"}
    named = [Target(cloud) for cloud in ground.clouds() - {"ssh"}] + [Target("ssh", pool) for pool in pools]
    return sorted(named, key=lambda target: target.infra)


def _ask_aws() -> tuple[str | None, str, str]:
    """The account and name, and advice; or what is wrong, and the fix."""
    try:
        found = aws.client("sts").get_caller_identity()
    except aws.errors() as error:
        return None, *_refusal(error)
    expiring = _TEMPORARY.search(found["Arn"]) and not has_remote_server()
    who = f"account {found['Account']} as {found['Arn'].rpartition(':')[2]}{_of_several()}"
    return who, "", _EXPIRING if expiring else ""


def _of_several() -> str:
    """Which of several profiles it is that was taken without being named."""
    import boto3

    session = boto3.Session()
    if "AWS_PROFILE" in os.environ or "AWS_ACCESS_KEY_ID" in os.environ or len(session.available_profiles) < 2:
        return ""
    return f", by the profile {session.profile_name} of {len(session.available_profiles)} (AWS_PROFILE names another)"


def _refusal(error: Exception) -> tuple[str, str]:
    code = aws.code(error)
    if code in ("NoCredentialsError", "PartialCredentialsError"):
        return "no credentials", "give them: `aws configure`, `aws sso login`, or AWS_ACCESS_KEY_ID and its secret"
    if code == "ProfileNotFound":
        return aws.words(error), "name one of `aws configure list-profiles` in AWS_PROFILE"
    if code in aws.EXPIRED:
        return f"the credentials have expired ({code})", aws.RENEW
    if code == "SignatureDoesNotMatch":
        return "the secret key does not fit its access key, or this machine's clock is wrong", aws.RENEW
    if aws.answered(error):
        return f"the credentials are not accepted ({code})", aws.RENEW
    return f"STS does not answer ({aws.words(error)})", "see that sts.amazonaws.com can be reached from here"


def _ask(target: Target) -> tuple[str | None, str, str]:
    """What SkyPilot's own check says of any other cloud, and of a pool of machines."""
    refused = refusal(target.cloud)
    if refused:
        return None, *refused
    try:
        require_pool(target)
    except ConfigError as error:
        return None, str(error), "docs/clouds.md says how a pool of one's own machines is set up"
    return "accepted", "", ""
