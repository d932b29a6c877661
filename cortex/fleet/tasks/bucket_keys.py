"""Secrets for machines outside of the bucket's own cloud, which have no role that opens the bucket or its registry.

The bucket's keys are read from variables of their own, never from the user's own credentials, because a machine's owner
can read every secret that a launch sends there.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cortex.fleet.clouds.task_clouds import clouds_of
from cortex.fleet.tasks.alternatives import HOMES, scheme_of
from cortex.runs.pipeline import container_of

KEYS = {
    "s3": {"AWS_ACCESS_KEY_ID": "CORTEX_BUCKET_KEY_ID", "AWS_SECRET_ACCESS_KEY": "CORTEX_BUCKET_SECRET_KEY"},
    "gs": {"GOOGLE_SERVICE_ACCOUNT_KEY": "GOOGLE_SERVICE_ACCOUNT_KEY"},
    "az": {"AZURE_STORAGE_ACCOUNT_KEY": "AZURE_STORAGE_ACCOUNT_KEY"},
}
"""By a bucket's scheme: variables that open it on a machine, and the variables here that their values are read from."""

KEY_NAMES = tuple(name for names in KEYS.values() for name in names)

_REGISTRIES = (("aws", re.compile(r".+\.dkr\.ecr\.[^/]+")), ("gcp", re.compile(r".+-docker\.pkg\.dev")))
"""Clouds whose machines log in to the cloud's own registry by their role, and the pattern of its host names."""

_LOGIN = ("SKYPILOT_DOCKER_USERNAME", "SKYPILOT_DOCKER_PASSWORD")


def names_of_keys(bucket: str, cloud: str) -> tuple[str, ...]:
    """Names of the secrets that open a bucket on a machine of `cloud`; none where its role or nothing is needed."""
    home, _ = HOMES.get(scheme_of(bucket), (cloud, None))
    return () if home == cloud else tuple(KEYS.get(scheme_of(bucket), ()))


def with_bucket_keys(environment: Mapping[str, str], bucket: str) -> dict[str, str]:
    """The launching user's variables, as the source of secrets for machines on other clouds.

    The user's own cloud credentials are removed; the bucket's keys take their place where variables give them."""
    names = KEYS.get(scheme_of(bucket), {})
    others = {name: value for name, value in environment.items() if name not in names}
    return others | {name: environment[given] for name, given in names.items() if environment.get(given)}


def find_missing_keys(
    documents: Sequence[Mapping[str, Any]], bucket: str, environment: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Keys and logins that the tasks' machines would lack, in words, each with its fix; `environment` fills secrets."""
    found: dict[str, str] = {}
    for document in documents:
        clouds = clouds_of(document)
        for cloud in sorted(clouds):
            keys = [name for name in names_of_keys(bucket, cloud) if not environment.get(name)]
            if keys:
                words = f"machines of {cloud} have no role of the bucket {bucket}, and its keys are not set here"
                found[words] = f"set {' and '.join(KEYS[scheme_of(bucket)][name] for name in keys)}: {_ADVICE}"
        container = container_of((document.get("resources") or {}).get("image_id")) or ""
        host = container.removeprefix("docker:").partition("/")[0]
        home = next((cloud for cloud, pattern in _REGISTRIES if pattern.fullmatch(host)), None)
        strangers = sorted(clouds - {home})
        if home and strangers and not all(environment.get(name) for name in _LOGIN):
            words = (
                f"machines of {', '.join(strangers)} cannot log in to {host} as themselves, and no login is set here"
            )
            found[words] = (
                f"push the images to another registry (docs/images.md), or set {' and '.join(_LOGIN)}; a password of "
                "ECR's lasts for 12 hours, and a machine that comes later is refused"
            )
    return list(found.items())


_ADVICE = "those of a user who may read and write this bucket and nothing else"
