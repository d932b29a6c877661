"""The clouds that a task names, in each of its alternatives."""

from collections.abc import Mapping, Sequence
from typing import Any

from cortex.errors import UsageError
from cortex.fleet.clouds.abilities import known_cloud

GROUPS = ("any_of", "ordered")
"""The keys under which a task's `resources` list its alternatives."""


def clouds_of(document: Mapping[str, Any]) -> set[str]:
    """The clouds that a task names, by SkyPilot's names."""
    return {cloud for cloud in _clouds(document) if cloud}


def goes_to(documents: Sequence[Mapping[str, Any]], cloud: str) -> bool:
    """True where a task may be given a machine of `cloud`: it names that cloud, or none."""
    return any(named in (cloud, None) for document in documents for named in _clouds(document))


def cloud_of(resources: Mapping[str, Any]) -> str | None:
    """SkyPilot's name of the cloud that an alternative names; None where it names none, or one that does not exist."""
    named = str(resources.get("infra") or resources.get("cloud") or "*").partition("/")[0].strip()
    if named == "*":
        return None
    try:
        return known_cloud(named)
    except UsageError:
        return None  # preflight reports it, with everything else that the catalog does not have


def _clouds(document: Mapping[str, Any]) -> list[str | None]:
    """The cloud of each alternative of a task; None for an alternative that names none."""
    resources = document.get("resources") or {}
    group = next((resources[name] for name in GROUPS if name in resources), [{}])
    return [cloud_of({**resources, **entry}) for entry in group]
