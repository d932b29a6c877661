"""The machines that a task may be given: its `any_of`, its `ordered`, or its list of `accelerators`, fitted to a run's
profile and bucket.

SkyPilot takes the cheapest alternative of `any_of`, and the first available one of `ordered` or of a list.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cortex.errors import ConfigError
from cortex.fleet.clouds.abilities import Target, fit_resources
from cortex.fleet.clouds.catalog import CLOUDS
from cortex.fleet.clouds.task_clouds import GROUPS, cloud_of
from cortex.profiles.profile_sections import Hardware

_PLACES = ("infra", "cloud", "region", "zone", "instance_type")
"""Keys that tie an alternative to a cloud."""

HOMES = {
    "s3": ("aws", "AWS_ACCESS_KEY_ID"),
    "gs": ("gcp", "GOOGLE_SERVICE_ACCOUNT_KEY"),
    "az": ("azure", "AZURE_STORAGE_ACCOUNT_KEY"),
}
"""By a bucket's scheme: its cloud, whose machines reach it by their own role, and the secret that a task on another
cloud needs for it."""


def fit_alternatives(
    task: Mapping[str, Any],
    hardware: Hardware | None,
    gpus: int,
    bucket: str,
    regions: Sequence[str] = (),
    *,
    target: Target | None = None,
    nodes: int = 1,
) -> dict[str, Any]:
    """A task's `resources` for one run.

    Alternatives with the profile's own kind of GPU come first, each with `gpus` of them; without `hardware` the GPUs
    are as the task says. All are on the bucket's cloud, or at `target`, and have only keys that their cloud supports.
    On AWS, `regions`, if any are given, are those with our network: an alternative that leaves its region open becomes
    one in each of them.

    Raises:
        ConfigError: no alternative is left.
    """
    resources = dict(task.get("resources") or {})
    group = next((name for name in GROUPS if name in resources), None)
    alternatives = [dict(entry) for entry in resources.pop(group)] if group else [{}]
    if not group and isinstance(resources.get("accelerators"), list):
        group, alternatives = "ordered", _one_by_one(resources)
        del resources["accelerators"]
    wanted = _with_profile_gpus(resources, alternatives, hardware, gpus) if hardware else alternatives
    if target:
        wanted = _at_target(target, wanted, resources)
        resources = {key: value for key, value in resources.items() if key not in _PLACES}
    kept = _on_bucket_cloud(bucket, wanted, resources, {**(task.get("envs") or {}), **(task.get("secrets") or {})})
    if not kept:
        home, key = HOMES[scheme_of(bucket)]
        raise ConfigError(
            f"task {task.get('name')!r} names no machine of {home}, where the bucket {bucket} is: add `infra: {home}` "
            f"to its resources, or give it {key} as a secret"
        )
    if regions:
        kept = _in_regions(regions, kept, resources)
        if not kept:
            raise ConfigError(
                f"task {task.get('name')!r} names no machine in {' or '.join(regions)}, where the network is that "
                "`make infra-up` raised: leave the region out of its resources, or name it in the stack's more_regions"
            )
    if hardware and hardware.device == "cpu":
        resources.pop("accelerators", None)
    resources, kept = _with_supported_keys(resources, kept, str(task.get("name")), nodes)
    if len(kept) == 1:
        return {**resources, **kept[0]}
    return {**resources, group or "any_of": kept}


def _one_by_one(resources: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a list of `accelerators`, in order: on each cloud that the kit knows, unless one is named."""
    clouds = [{}] if any(key in resources for key in _PLACES) else [{"infra": cloud} for cloud in CLOUDS]
    return [{**cloud, "accelerators": kind} for kind in resources["accelerators"] for cloud in clouds]


def _at_target(
    target: Target, alternatives: list[dict[str, Any]], resources: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The alternatives that name the target's cloud; where none does, all of them, moved there."""
    merged = [{**resources, **entry} for entry in alternatives]
    named = [entry for entry in merged if cloud_of(entry) == target.cloud]
    placed: list[dict[str, Any]] = []
    for entry, whole in zip(alternatives, merged, strict=True):
        if named and cloud_of(whole) != target.cloud:
            continue
        kept = {key: value for key, value in entry.items() if key not in _PLACES}
        if named and not target.place:
            placed.append({**kept, **{key: whole[key] for key in _PLACES if key in whole}})
        else:
            placed.append({**kept, "infra": target.infra})
    return _distinct(placed)


def _with_supported_keys(
    resources: dict[str, Any], alternatives: list[dict[str, Any]], task: str, nodes: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The common keys and the alternatives, without keys that an alternative's cloud does not support.

    Raises:
        ConfigError: none of their clouds can run such a task.
    """
    whole = [{**resources, **entry} for entry in alternatives]
    able: list[dict[str, Any]] = []
    faults: list[ConfigError] = []
    for entry in whole:
        cloud = cloud_of(entry)
        try:
            able.append(fit_resources(entry, Target(cloud), task, nodes) if cloud else entry)
        except ConfigError as error:
            faults.append(error)
    if not able:
        raise faults[0]
    if able == whole:
        return resources, alternatives
    common = {key: value for key, value in able[0].items() if all(entry.get(key) == value for entry in able)}
    # With a single alternative, all its keys are common, and `others` is one empty mapping.
    others = [{key: value for key, value in entry.items() if key not in common} for entry in able]
    return common, _distinct(others)


def _with_profile_gpus(
    resources: Mapping[str, Any], alternatives: list[dict[str, Any]], hardware: Hardware, gpus: int
) -> list[dict[str, Any]]:
    """Alternatives with `gpus` GPUs each, the profile's own kind first; if none has that kind, it replaces theirs."""
    if hardware.device == "cpu":
        return _distinct(
            [{key: value for key, value in entry.items() if key != "accelerators"} for entry in alternatives]
        )
    kinds = [kind_of(entry.get("accelerators", resources.get("accelerators"))) for entry in alternatives]
    if hardware.accelerator not in kinds:
        kinds = [kind and hardware.accelerator for kind in kinds]
    counted = [
        {**entry, "accelerators": f"{kind}:{gpus}"} if kind else entry
        for kind, entry in sorted(
            zip(kinds, alternatives, strict=True), key=lambda pair: pair[0] != hardware.accelerator
        )
    ]
    return _distinct(counted)


def _on_bucket_cloud(
    bucket: str, alternatives: list[dict[str, Any]], resources: Mapping[str, Any], given: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The alternatives on the bucket's cloud: machines of other clouds have no role for it, and would need its keys.

    All alternatives are kept where the task has the bucket's keys (`given`), or the bucket needs none."""
    home, key = HOMES.get(scheme_of(bucket), (None, None))
    if home is None or key in given:
        return alternatives
    kept: list[dict[str, Any]] = []
    for entry in alternatives:
        merged = {**resources, **entry}
        cloud, _, place = str(merged.get("infra") or merged.get("cloud") or "*").partition("/")
        if cloud == "*":
            kept.append({**entry, "infra": f"{home}/{place}" if place else home})
        elif cloud.lower() == home:
            kept.append(entry)
    return _distinct(kept)


def _in_regions(
    regions: Sequence[str], alternatives: list[dict[str, Any]], resources: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """AWS's alternatives in `regions`, and all of other clouds: our network is not there in AWS's other regions."""
    kept: list[dict[str, Any]] = []
    for entry in alternatives:
        merged = {**resources, **entry}
        cloud, _, place = str(merged.get("infra") or merged.get("cloud") or "*").partition("/")
        named = place.partition("/")[0] or str(merged.get("region") or "*")
        if cloud.lower() != "aws" or named in regions:
            kept.append(entry)
        elif named == "*":
            zone = place.partition("/")[2]
            has_image = _regions_with_image(merged.get("image_id")) or regions
            others = {key: value for key, value in entry.items() if key != "cloud"}
            # A zone's name begins with its region's.
            fit = [
                region for region in regions if region in has_image and (zone in ("", "*") or zone.startswith(region))
            ]
            kept += [{**others, "infra": f"aws/{region}" + (f"/{zone}" if zone else "")} for region in fit]
    return _distinct(kept)


def _regions_with_image(image_id: object) -> set[str]:
    """The regions for which a task names a machine image: SkyPilot uses no others then. Empty where the task leaves the
    machine image to SkyPilot."""
    return {str(name) for name in image_id if name not in (None, "docker")} if isinstance(image_id, dict) else set()


def kind_of(accelerators: Any) -> str | None:
    """The GPU's name, `H100`, of `H100:8` or `{H100: 8}`; None where there is no GPU."""
    if isinstance(accelerators, Mapping):
        accelerators = next(iter(accelerators), None)
    return str(accelerators).partition(":")[0] if accelerators else None


def _distinct(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for number, entry in enumerate(entries) if entry not in entries[:number]]


def scheme_of(bucket: str) -> str:
    """The scheme of a bucket's URL; empty for a folder."""
    return bucket.partition("://")[0] if "://" in bucket else ""
