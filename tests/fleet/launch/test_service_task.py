"""The task of a service, as SkyServe reads it: replicas, machines, GPUs for the released copy, trusted keys."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from sky import Task
from sky.serve import autoscalers, serve_utils

from cortex.artifacts.manifest import FileEntry, Manifest
from cortex.artifacts.trust import Trust
from cortex.errors import ConfigError, DataError, UsageError
from cortex.fleet.capacity.sheets import gpu_sheet
from cortex.fleet.clouds.abilities import Target
from cortex.fleet.clouds.job_names import RUN_TAG, SERVICE_TAG
from cortex.fleet.launch.service_task import (
    COPY_VARIABLE,
    Scale,
    copies_of,
    describe_dollars,
    find_copy,
    gpus_for,
    resolve_service,
    trusting,
)
from cortex.fleet.tasks.run_tasks import JOBS
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings

S3 = Settings(bucket="s3://kit", owner="ada")
GB = 1_000_000_000


def release(**copies: int) -> Manifest:
    """A release's manifest with these models, by folder: bytes of weights of each."""
    names = [("card.md", 10), ("adapter/adapter_config.json", 10), ("adapter/adapter_model.safetensors", GB)]
    for folder, size in copies.items():
        names += [(f"{folder}/config.json", 0), (f"{folder}/model-1.safetensors", size)]
    entries = tuple(FileEntry(name=name, size=size, sha256="0" * 64) for name, size in names)
    return Manifest(kind="release", files=entries)


SMALL = release(model=16 * GB, w4=5 * GB)


def resolve(
    *, profile: str = "cortex-8b", made: Manifest = SMALL, path: Path = JOBS / "serve.yaml", **options: Any
) -> dict[str, Any]:
    settings = {"settings": S3, "digests": path.with_name("none"), "environment": {}, **options}
    return resolve_service(path, "r1", load_profile(profile), made, service="cortex-r1", **settings)


def policy(**options: Any) -> dict[str, Any]:
    return resolve(**options)["service"]["replica_policy"]


def skypilots(document: dict[str, Any]) -> Task:
    """The task as SkyServe takes it, or its refusal."""
    task = Task.from_yaml_config(document)
    serve_utils.validate_service_task(task, pool=False)
    return task


@pytest.mark.parametrize("scale", [Scale(), Scale(1, 4), Scale(on_demand=True)])
def test_skyserve_takes_the_shipped_service(scale: Scale) -> None:
    task = skypilots(resolve(scale=scale))
    service = task.service
    assert service is not None and service.readiness_path == "/readyz" and service.ports == "8080"
    assert {tuple(resources.ports or ()) for resources in task.resources} == {("8080",)}
    assert {resources.use_spot for resources in task.resources} == {not scale.on_demand}
    kind = autoscalers.RequestRateAutoscaler if scale.on_demand else autoscalers.FallbackRequestRateAutoscaler
    scaler = autoscalers.Autoscaler.from_spec("cortex-r1", service)
    assert type(scaler) is kind
    assert (scaler.min_replicas, scaler.max_replicas) == ((1, 4) if scale.least else (0, 2))


def test_replicas_are_the_runs_and_the_services() -> None:
    document = resolve(copy="w4")
    labels = document["resources"]["labels"]
    assert (labels[RUN_TAG], labels[SERVICE_TAG]) == ("r1", "cortex-r1")
    assert document["envs"]["RUN_ID"] == "r1" and document["envs"]["CORTEX_BUCKET"] == "s3://kit"
    assert document["envs"][COPY_VARIABLE] == "w4"


def test_only_whole_models_are_copies() -> None:
    assert copies_of(SMALL) == {"model": 16 * GB, "w4": 5 * GB}
    assert find_copy(SMALL, "r1", None) == ("model", 16 * GB)
    assert find_copy(release(w4=1, w8=2), "r1", None) == ("w8", 2)
    with pytest.raises(UsageError, match="no copy 'w5': it has model, w4"):
        find_copy(SMALL, "r1", "w5")
    with pytest.raises(DataError, match="holds no model"):
        find_copy(release(), "r1", None)
    held = (*SMALL.files, FileEntry(name="gguf-q8_0/model.gguf", size=GB, sha256="0" * 64))
    with pytest.raises(UsageError, match="gguf-q8_0 of run r1 is a GGUF copy, and replicas have vLLM alone"):
        find_copy(SMALL.model_copy(update={"files": held}), "r1", "gguf-q8_0")


@pytest.mark.parametrize(("size", "gpus"), [(16, 1), (60, 2), (141, 4), (400, 8)])
def test_gpus_are_as_many_as_the_copy_needs(size: int, gpus: int) -> None:
    assert gpus_for(size * GB, gpu_sheet("H100")) == gpus


def test_weights_beyond_one_machine_are_refused() -> None:
    with pytest.raises(ConfigError, match="900 GB of weights do not fit 8 H100: serve a smaller copy"):
        gpus_for(900 * GB, gpu_sheet("H100"))


def test_a_copy_asks_for_its_own_gpus_where_the_bucket_is() -> None:
    made = release(model=141 * GB, w4=40 * GB)
    for copy, gpus in ((None, 4), ("w4", 1)):
        found = resolve(profile="cortex-70b", made=made, copy=copy)["resources"]["ordered"]
        assert [(entry["infra"], entry["accelerators"]) for entry in found] == [
            ("aws", f"{kind}:{gpus}") for kind in ("H100", "H200", "A100-80GB")
        ]


def test_replicas_are_counted() -> None:
    assert policy()["min_replicas"] == 0 and policy()["max_replicas"] == 2
    assert policy(scale=Scale(least=3))["max_replicas"] == 3, "the highest number follows"
    assert "dynamic_ondemand_fallback" not in policy(scale=Scale(on_demand=True))
    with pytest.raises(UsageError, match="--max-replicas 1 is less than 2"):
        resolve(scale=Scale(2, 1))


def test_replicas_always_on_demand_are_among_the_least(tmp_path: Path) -> None:
    """SkyServe's own autoscaler fails where it is to go below them."""
    document = yaml.safe_load((JOBS / "serve.yaml").read_text())
    document["service"]["replica_policy"]["base_ondemand_fallback_replicas"] = 1
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UsageError, match=r"1 replicas always on demand .* need --replicas 1"):
        resolve(path=path)
    task = skypilots(resolve(path=path, scale=Scale(1)))
    assert task.service
    idle = autoscalers.Autoscaler.from_spec("cortex-r1", task.service)
    assert [decision.target for decision in idle.generate_scaling_decisions([], [])] == [{"use_spot": False}]
    fails = autoscalers.Autoscaler.from_spec("cortex-r1", task.service.copy(min_replicas=0))
    with pytest.raises(AssertionError, match="Not enough replicas"):
        fails.generate_scaling_decisions([], [])


def test_a_cloud_without_spot_serves_on_demand() -> None:
    document = resolve(target=Target("lambda"))
    assert "dynamic_ondemand_fallback" not in document["service"]["replica_policy"]
    assert "use_spot" not in document["resources"]


def test_a_file_that_is_no_service_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"workbench.yaml has no `service` with a `replica_policy`"):
        resolve(path=JOBS / "workbench.yaml")


def test_dollars_are_said_at_both_ends() -> None:
    words = describe_dollars(resolve(), (2.0, 3.0), 9.0)
    assert words.startswith("0 replicas: $0.00 to $0.00 an hour; 2 replicas: $4.00 to $6.00 an hour; up to $24.00")
    assert describe_dollars(resolve(scale=Scale(1, 1, True)), (2.0, 3.0), None) == "1 replica: $2.00 to $3.00 an hour"


GATEWAY = """#!/bin/sh
echo "$@" "trust=$CORTEX_TRUST" "keys=$(cat "$CORTEX_TRUSTED_KEYS"/*.pub 2>/dev/null | tr '\\n' ' ')"
"""


@pytest.mark.parametrize("copy", [None, "w4"])
def test_a_replica_has_the_keys_that_are_trusted_here(copy: str | None, tmp_path: Path) -> None:
    keys = tuple(tmp_path / f"{name}.pub" for name in ("ada", "bo"))
    for key in keys:
        key.write_text(f"key of {key.stem}\n")
    (tmp_path / "cortex").write_text(GATEWAY)
    (tmp_path / "cortex").chmod(0o755)
    document = trusting(resolve(copy=copy), Trust(keys, required=True))
    assert base64.b64decode(document["envs"]["TRUSTED_SIGNERS"].split()[1]).decode() == "key of bo\n"
    said = subprocess.run(
        ["bash", "-c", document["run"]],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), **document["envs"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (
        said
        == f"gateway r1 --copy {copy or 'model'} --host 0.0.0.0 --port 8080 trust=signed keys=key of ada key of bo \n"
    )
