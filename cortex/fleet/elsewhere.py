"""Machines outside of a bucket's own cloud: what they have to bring along, since no role of theirs opens anything.

The bucket's keys are taken from variables of their own, never from those by which somebody acts in their account: what
a launch takes along, whoever owns the machine can read.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cortex.fleet.alternatives import GROUPS, HOMES, cloud_of, scheme_of
from cortex.runs.pipeline import container_of

KEYS = {
    "s3": {"AWS_ACCESS_KEY_ID": "CORTEX_BUCKET_KEY_ID", "AWS_SECRET_ACCESS_KEY": "CORTEX_BUCKET_SECRET_KEY"},
    "gs": {"GOOGLE_SERVICE_ACCOUNT_KEY": "GOOGLE_SERVICE_ACCOUNT_KEY"},
    "az": {"AZURE_STORAGE_ACCOUNT_KEY": "AZURE_STORAGE_ACCOUNT_KEY"},
}
"""By a bucket's scheme: a variable that opens it on a machine, and the one here that its value is taken from."""

KEY_NAMES = tuple(name for names in KEYS.values() for name in names)

_REGISTRIES = (("aws", re.compile(r".+\.dkr\.ecr\.[^/]+")), ("gcp", re.compile(r".+-docker\.pkg\.dev")))
"""Registries that a cloud's machines log in to as themselves, and the cloud's name."""

_LOGIN = ("SKYPILOT_DOCKER_USERNAME", "SKYPILOT_DOCKER_PASSWORD")


def names_of_keys(bucket: str, cloud: str) -> tuple[str, ...]:
    """The secrets that open a bucket for a machine of this cloud; none where it acts as itself, or needs no bucket."""
    home, _ = HOMES.get(scheme_of(bucket), (cloud, None))
    return () if home == cloud else tuple(KEYS.get(scheme_of(bucket), ()))


def clouds_of(document: Mapping[str, Any]) -> set[str]:
    """The clouds that a task names, by SkyPilot's names."""
    return {cloud for cloud in _clouds(document) if cloud}


def goes_to(documents: Sequence[Mapping[str, Any]], cloud: str) -> bool:
    """Whether a task may be given a machine of this cloud: it names it, or leaves the cloud open."""
    return any(named in (cloud, None) for document in documents for named in _clouds(document))


def carried(environment: Mapping[str, str], bucket: str) -> dict[str, str]:
    """The variables of who launches, as secrets of machines elsewhere are filled from: with the bucket's keys among
    them where they are given for that, and with no other keys in their place."""
    names = KEYS.get(scheme_of(bucket), {})
    others = {name: value for name, value in environment.items() if name not in names}
    return others | {name: environment[given] for name, given in names.items() if environment.get(given)}


def missing(
    documents: Sequence[Mapping[str, Any]], bucket: str, environment: Mapping[str, str]
) -> list[tuple[str, str]]:
    """What the tasks' machines would lack: in words, and what to do about it. `environment` fills their secrets."""
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


def _clouds(document: Mapping[str, Any]) -> list[str | None]:
    """The cloud of each alternative of a task; None for one that leaves it open."""
    resources = document.get("resources") or {}
    group = next((resources[name] for name in GROUPS if name in resources), [{}])
    return [cloud_of({**resources, **entry}) for entry in group]


_ADVICE = "those of a user who may read and write this bucket and nothing else"
