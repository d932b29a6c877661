"""The task of a service: `jobs/serve.yaml`, filled in for a run's release, one of its copies, and its replicas."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.trust import Trust
from cortex.errors import ConfigError, DataError, UsageError
from cortex.fleet.capacity.sheets import GpuSheet, gpu_sheet
from cortex.fleet.clouds.abilities import Target
from cortex.fleet.clouds.job_names import SERVICE_TAG
from cortex.fleet.clouds.task_clouds import GROUPS
from cortex.fleet.tasks.image_digests import DIGESTS
from cortex.fleet.tasks.run_tasks import resolve_job
from cortex.profiles.profile import Profile
from cortex.settings import Settings

COPY_VARIABLE = "SERVED_COPY"
"""Variable of the task that names the released copy to serve."""

KEYS_VARIABLE = "TRUSTED_SIGNERS"
"""Variable of the task that holds public keys: each in base64, separated by spaces."""

FULL = "model"
"""The folder of the full weights in a release."""

COUNTS = (1, 2, 4, 8)
"""Numbers of GPUs of one machine: vLLM divides a model's heads among them, so powers of two."""

ENGINE_SHARE = 0.9
"""Share of a GPU's memory that vLLM uses, by its default."""

ROOM = 1.3
"""Memory for weights, activations and keys and values, as a multiple of the weights alone."""

_FALLBACK = ("dynamic_ondemand_fallback", "base_ondemand_fallback_replicas")


@dataclass(frozen=True)
class Scale:
    """The replicas that are wanted; None leaves the file's number."""

    least: int | None = None
    """Replicas that stand even while nobody asks."""
    most: int | None = None
    """Replicas that stand under the highest load."""
    on_demand: bool = False
    """True for no replica on spot."""


def copies_of(release: Manifest) -> dict[str, int]:
    """The models that a release holds, by folder: bytes of each. An adapter without its base is none."""
    folders = {Path(entry.name).parts[0] for entry in release.files if entry.name.count("/") == 1}
    configured = {folder for folder in folders if any(entry.name == f"{folder}/config.json" for entry in release.files)}
    return {
        folder: sum(entry.size for entry in release.files if entry.name.startswith(f"{folder}/"))
        for folder in sorted(configured)
    }


def find_copy(release: Manifest, run: str, name: str | None) -> tuple[str, int]:
    """A released model by its folder, and its bytes: the named one, or the full weights, or the largest there is.

    Raises:
        UsageError: the release has none of that name, or one that vLLM does not serve.
        DataError: the release holds no model.
    """
    copies = copies_of(release)
    if not copies:
        raise DataError(f"the release of run {run} holds no model that vLLM serves: see `cortex show {run}`")
    if any(entry.name.startswith(f"{name}/") and entry.name.endswith(".gguf") for entry in release.files):
        raise UsageError(
            f"{name} of run {run} is a GGUF copy, and replicas have vLLM alone: serve it by `make serve LOCAL=1`"
        )
    if name is not None and name not in copies:
        raise UsageError(f"the release of run {run} has no copy {name!r}: it has {', '.join(copies)}")
    chosen = name or (FULL if FULL in copies else max(copies, key=lambda folder: copies[folder]))
    return chosen, copies[chosen]


def gpus_for(size: int, sheet: GpuSheet) -> int:
    """GPUs of one machine that hold a model of `size` bytes and leave room for its work.

    Raises:
        ConfigError: eight do not.
    """
    for count in COUNTS:
        if count * sheet.bytes * ENGINE_SHARE >= ROOM * size:
            return count
    raise ConfigError(
        f"{size / 1e9:.0f} GB of weights do not fit {COUNTS[-1]} {sheet.name}: serve a smaller copy (--copy)"
    )


def resolve_service(
    path: Path,
    run: str,
    profile: Profile,
    release: Manifest,
    *,
    service: str,
    copy: str | None = None,
    scale: Scale | None = None,
    settings: Settings | None = None,
    digests: Path = DIGESTS,
    environment: Mapping[str, str],
    target: Target | None = None,
) -> dict[str, Any]:
    """The task of a service, ready to be submitted except for the values of its secrets.

    Raises:
        UsageError: there is no such copy, or the numbers of replicas do not fit.
        ConfigError: the file is no service, or no machine is left for it.
    """
    chosen, size = find_copy(release, run, copy)
    hardware = profile.hardware
    gpus = gpus_for(size, gpu_sheet(hardware.accelerator)) if hardware.device == "cuda" else 0
    task = resolve_job(
        path,
        settings=settings,
        digests=digests,
        environment=environment,
        target=target,
        run=run,
        hardware=hardware,
        gpus=gpus,
    )
    if not isinstance(task.get("service"), dict) or not isinstance(task["service"].get("replica_policy"), dict):
        raise ConfigError(f"{path} has no `service` with a `replica_policy`: begin from jobs/serve.yaml")
    resources = task["resources"]
    labels = {**resources["labels"], SERVICE_TAG: service}
    task = {
        **task,
        # `sky serve` adds the port to the file that it reads; without it SkyServe takes the task, and starts nothing.
        "service": {"ports": resources.get("ports"), **task["service"]},
        "resources": {**resources, "labels": labels},
        "envs": {**task["envs"], COPY_VARIABLE: chosen},
    }
    return _scaled(task, scale or Scale())


def _scaled(task: dict[str, Any], scale: Scale) -> dict[str, Any]:
    """The task with the wanted replicas, and on one kind of machines, spot or on demand: SkyServe mixes them only by
    its own fallback.

    Raises:
        UsageError: the numbers of replicas do not fit.
    """
    resources, policy = dict(task["resources"]), dict(task["service"]["replica_policy"])
    alternatives = [entry for group in GROUPS for entry in resources.get(group, ())] or [{}]
    spot = all({**resources, **entry}.get("use_spot") for entry in alternatives)
    if scale.on_demand or not spot:
        for entry in (resources, *alternatives):
            entry.pop("use_spot", None)
        policy = {key: value for key, value in policy.items() if key not in _FALLBACK}
    if scale.least is not None:
        policy["min_replicas"] = scale.least
    # A larger least number alone raises the file's highest one.
    policy["max_replicas"] = scale.most or max(policy.get("max_replicas", 1), policy["min_replicas"])
    least, most, base = (policy.get(key, 0) for key in ("min_replicas", "max_replicas", _FALLBACK[1]))
    if most < least or most < 1:
        raise UsageError(f"--max-replicas {most} is less than {max(least, 1)}: name at least as many")
    if base > least:
        raise UsageError(
            f"{base} replicas always on demand (base_ondemand_fallback_replicas) need --replicas {base}: SkyServe's "
            "autoscaler fails below them"
        )
    return {**task, "resources": resources, "service": {**task["service"], "replica_policy": policy}}


def trusting(task: dict[str, Any], trust: Trust) -> dict[str, Any]:
    """The task with this machine's trusted keys and its demand for a signature, by which replicas verify releases."""
    keys = " ".join(base64.b64encode(key.read_bytes()).decode() for key in trust.keys)
    rule = {KEYS_VARIABLE: keys, **({"CORTEX_TRUST": "signed"} if trust.required else {})}
    return {**task, "envs": {**task["envs"], **rule}}


def describe_dollars(task: Mapping[str, Any], asked: tuple[float, float], on_demand: float | None) -> str:
    """Dollars an hour at the least and the most replicas, in words.

    `asked` are the cheapest and the dearest offer for one replica, of the kind that the task asks for; `on_demand` is
    the dearest on demand, None where the task asks for that kind itself.
    """
    policy = task["service"]["replica_policy"]
    low, high = asked
    lines = [
        f"{replicas} replica{'' if replicas == 1 else 's'}: ${replicas * low:,.2f} to ${replicas * high:,.2f} an hour"
        for replicas in dict.fromkeys((policy["min_replicas"], policy["max_replicas"]))
    ]
    if on_demand is not None and any(policy.get(key) for key in _FALLBACK):
        worst = policy["max_replicas"] * (high + on_demand)
        lines.append(f"up to ${worst:,.2f} while machines on demand stand in for spot ones that start")
    return "; ".join(lines)
