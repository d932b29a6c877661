"""The machines that a task may be given: its `any_of` or `ordered`, fitted to a run's profile and bucket.

SkyPilot takes the cheapest of `any_of`, and the first of `ordered` that can be had.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cortex.errors import ConfigError, UsageError
from cortex.fleet.abilities import Target, fit_resources, known_cloud
from cortex.runs.profile_sections import Hardware

GROUPS = ("any_of", "ordered")

_PLACES = ("infra", "cloud", "region", "zone", "instance_type")
"""Keys that tie an alternative to a cloud."""

HOMES = {
    "s3": ("aws", "AWS_ACCESS_KEY_ID"),
    "gs": ("gcp", "GOOGLE_SERVICE_ACCOUNT_KEY"),
    "az": ("azure", "AZURE_STORAGE_ACCOUNT_KEY"),
}
"""A bucket's cloud, whose machines may use it as themselves; and what a task elsewhere has to bring along for it."""


def fitted(
    task: Mapping[str, Any],
    hardware: Hardware | None,
    gpus: int,
    bucket: str,
    regions: Sequence[str] = (),
    *,
    target: Target | None = None,
    nodes: int = 1,
) -> dict[str, Any]:
    """A task's `resources`: `gpus` of the profile's kind first, then of its kin; on the cloud that holds the bucket, or
    where `target` says; with those keys alone that the cloud of each alternative takes.

    Without a profile's `hardware` the GPUs are as the task says. On AWS, `regions` are those with our network, if
    any are given: a machine that may be in any region is an alternative in each of them.

    Raises:
        ConfigError: no alternative is left.
    """
    resources = dict(task.get("resources") or {})
    group = next((name for name in GROUPS if name in resources), None)
    alternatives = [dict(entry) for entry in resources.pop(group)] if group else [{}]
    wanted = _of_the_profile(resources, alternatives, hardware, gpus) if hardware else alternatives
    if target:
        wanted = _at(target, wanted, resources)
        resources = {key: value for key, value in resources.items() if key not in _PLACES}
    kept = _reaching(bucket, wanted, resources, {**(task.get("envs") or {}), **(task.get("secrets") or {})})
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
    resources, kept = _able(resources, kept, str(task.get("name")), nodes)
    if len(kept) == 1:
        return {**resources, **kept[0]}
    return {**resources, group or "any_of": kept}


def _at(target: Target, alternatives: list[dict[str, Any]], resources: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The alternatives that name the target's cloud, or, where none does, all of them, there."""
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


def _able(
    resources: dict[str, Any], alternatives: list[dict[str, Any]], task: str, nodes: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The common keys and the alternatives, each with those keys alone that its cloud takes.

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
    # A single alternative is the resources themselves.
    others = [{key: value for key, value in entry.items() if key not in common} for entry in able]
    return common, _distinct(others)


def cloud_of(resources: Mapping[str, Any]) -> str | None:
    """The cloud that an alternative names, by SkyPilot's name; None where it leaves that open, or there is no such."""
    named = str(resources.get("infra") or resources.get("cloud") or "*").partition("/")[0].strip()
    if named == "*":
        return None
    try:
        return known_cloud(named)
    except UsageError:
        return None  # what is wrong with it preflight says, with all else that the catalog does not have


def _of_the_profile(
    resources: Mapping[str, Any], alternatives: list[dict[str, Any]], hardware: Hardware, gpus: int
) -> list[dict[str, Any]]:
    """Alternatives with the profile's count of GPUs, its own kind first; a kind that is not among them replaces all."""
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


def _reaching(
    bucket: str, alternatives: list[dict[str, Any]], resources: Mapping[str, Any], given: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Those on the bucket's own cloud: elsewhere a machine has no identity that the bucket knows, but by keys."""
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
    """Those of AWS in `regions`, and all of other clouds: a network's name means nothing in another region."""
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
    """The regions for which a task names the machine's own image, without which SkyPilot takes no other; none where it
    leaves that image to SkyPilot."""
    return {str(name) for name in image_id if name not in (None, "docker")} if isinstance(image_id, dict) else set()


def kind_of(accelerators: Any) -> str | None:
    """The GPU's name in `H100:8` or `{H100: 8}`."""
    if isinstance(accelerators, Mapping):
        accelerators = next(iter(accelerators), None)
    return str(accelerators).partition(":")[0] if accelerators else None


def _distinct(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for number, entry in enumerate(entries) if entry not in entries[:number]]


def scheme_of(bucket: str) -> str:
    """The scheme of a bucket's URL; empty for a folder."""
    return bucket.partition("://")[0] if "://" in bucket else ""
