"""The road test's pipeline: the real one (`sky.yaml`, its images and settings), on machines that cost cents an hour."""

from pathlib import Path
from typing import Any

import yaml

from cortex.errors import ConfigError
from cortex.fleet.clouds.task_clouds import GROUPS
from cortex.runs.pipeline import read_documents

SECRET = "ROADTEST_SECRET"
"""Name of a secret of each task, passed like HF_TOKEN in the real pipeline."""

DIGEST = "ROADTEST_SECRET_SHA256"
"""Variable of each task with the secret's hash, so that a machine can check the secret without printing it."""

CHECK = (
    f'[ "$(printf %s "${SECRET}" | sha256sum)" = "${DIGEST}  -" ] || '
    '{ echo "the secret did not reach this task"; exit 78; }'
)
"""Command before a task's own; exit code 78 means that the task is not tried again."""

GPUS = ("aws/L4", "aws/A10G", "gcp/L4", "azure/A10")
"""Small GPUs, one for each machine: they have 22 GiB or more, and compute in bf16 as those of real runs do. A T4 does
not."""

MAX_HOURLY_COST = 1.5
DISK_GB = 150
"""Size of the disk: the largest image is some 25 GB unpacked, and SkyPilot's system needs some 40."""


def write_pipelines(source: Path, target: Path, wall: Path) -> None:
    """Write the road test's pipeline to `target`, and one with its first task alone to `wall`.

    Raises:
        ConfigError: the source is not a pipeline.
    """
    tasks = [_small(document) for document in read_documents(source) if "run" in document]
    if not tasks:
        raise ConfigError(f"{source} has no task with a `run`")
    for path, chain in ((target, tasks), (wall, tasks[:1])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump_all(chain, sort_keys=False), encoding="utf-8")


def _small(task: dict[str, Any]) -> dict[str, Any]:
    """The task with the check of the secret, and with one small GPU in place of the GPUs that it asks for."""
    resources: dict[str, Any] = dict(task.get("resources") or {})
    group = next((name for name in GROUPS if name in resources), None)
    kinds = [resources, *(resources[group] if group else [])]
    if any("accelerators" in entry for entry in kinds):
        for name in ("accelerators", "instance_type", "infra", "memory", "disk_tier", *GROUPS):
            resources.pop(name, None)
        named = (gpu.split("/") for gpu in GPUS)
        resources["ordered"] = [{"infra": cloud, "accelerators": f"{gpu}:1"} for cloud, gpu in named]
    if "disk_size" in resources or "ordered" in resources:
        resources["disk_size"] = DISK_GB
    resources["max_hourly_cost"] = min(float(resources.get("max_hourly_cost", MAX_HOURLY_COST)), MAX_HOURLY_COST)
    return {
        **task,
        "resources": resources,
        "envs": {**(task.get("envs") or {}), DIGEST: None},
        "secrets": {**(task.get("secrets") or {}), SECRET: ""},
        "run": f"{CHECK}\n{task['run']}",
    }
