"""The YAML files for the cloud, as the real SkyPilot reads them, without a server or a cloud."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from sky import skypilot_config
from sky.dag import Dag
from sky.provision.docker_utils import docker_start_cmds
from sky.utils import dag_utils
from sky.utils.registry import JOBS_RECOVERY_STRATEGY_REGISTRY

from cortex.errors import ConfigError, PreemptedError
from cortex.fleet.preflight import disk_check
from cortex.fleet.preflight.ground import Ground
from cortex.fleet.tasks.run_tasks import dump, find_job, resolve, resolve_job
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.runs.pipeline import SKY_YAML, read_pipeline
from cortex.runs.stage_list import STAGES
from cortex.settings import CHECKOUT, Settings

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/cortex-dev"
FILES = [SKY_YAML, *sorted((CHECKOUT / "jobs").glob("*.yaml"))]


def load(path: Path) -> Dag:
    """A file as `sky jobs launch` would read it, with a value for every variable that the launch has to give."""
    documents = [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    asked = {name for document in documents for name, value in document.get("envs", {}).items() if value is None}
    return dag_utils.load_chain_dag_from_yaml(str(path), env_overrides=[(name, "given") for name in sorted(asked)])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_skypilot_reads_every_file(path: Path) -> None:
    dag = load(path)
    assert dag.tasks
    assert all(task.run and task.name for task in dag.tasks)


@pytest.mark.parametrize("profile", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_skypilot_reads_what_is_submitted_for_every_profile(profile: str, tmp_path: Path) -> None:
    digests = tmp_path / "digests.json"
    names = ("data", "sft", "grpo", "quantize", "serve")
    digests.write_text(json.dumps({name: f"{ECR}/{name}@sha256:{'0' * 64}" for name in names}))
    settings = Settings(bucket="s3://kit")
    documents = resolve(load_profile(profile), "r1", settings=settings, digests=digests)
    jobs = [resolve_job(find_job(name), settings=settings, digests=digests) for name in ("workbench", "teacher")]
    for chain in (documents, *([job] for job in jobs)):
        dag = dag_utils.load_chain_dag_from_yaml_str(dump(chain, "cortex-r1"))
        assert dag.name == "cortex-r1" and len(dag.tasks) == len(chain)
        for task in dag.tasks:
            for resources in task.resources:
                # By this login SkyPilot means: the machine itself.
                assert str(resources.cloud) == "AWS" and resources.labels
                assert resources.extract_docker_image() is not None, task.name
                assert resources.image_id and "@sha256:" in str(resources.image_id)


def test_a_gpu_is_asked_for_in_the_profiles_order() -> None:
    """From a set, SkyPilot would take the GPU that is cheapest by the hour."""
    for task in load(SKY_YAML).tasks[1:5]:
        assert isinstance(task.resources, list)
        kinds = [next(iter(resources.accelerators or {})) for resources in task.resources]
        assert list(dict.fromkeys(kinds)) == ["H100", "H200", "A100-80GB"]


def test_no_failure_but_a_preemption_starts_a_task_again() -> None:
    for task in load(SKY_YAML).tasks:
        for resources in task.resources:
            assert (resources.job_recovery or {}).get("max_restarts_on_errors") == 0
            assert resources.max_hourly_cost


@pytest.mark.parametrize("profile", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_every_shipped_profile_fits_the_disks_of_the_shipped_pipeline(profile: str) -> None:
    read, settings = load_profile(profile), Settings(bucket="s3://kit")
    found = disk_check.check(Ground(read, None, settings, resolve(read, "r1", settings=settings)))
    assert found.ok, found


def test_weights_are_written_to_a_fast_disk() -> None:
    for task in load(SKY_YAML).tasks[1:]:
        for resources in task.resources:
            assert str(resources.disk_tier) == "DiskTier.HIGH", task.name


def test_what_is_no_run_ends_itself() -> None:
    for name in ("workbench", "teacher"):
        for task in load(CHECKOUT / "jobs" / f"{name}.yaml").tasks:
            for resources in task.resources:
                autostop = resources.autostop_config
                assert autostop and autostop.enabled and autostop.down and autostop.idle_minutes <= 30


def test_images_are_started_as_skypilot_needs_them() -> None:
    """Our images have a user of their own, and no sudo: as that user, SkyPilot's setup would fail in them."""
    for path in FILES:
        for task in load(path).tasks:
            for resources in task.resources:
                asked = {"override_configs": resources.cluster_config_overrides}
                options: list[str] = skypilot_config.get_nested(("docker", "run_options"), [], **asked)
                words = docker_start_cmds("image", "container", options, "docker").split()
                assert words.index("--user=root") < words.index("image"), f"{path.name}: {task.name}"
                assert "--init" in words, f"{path.name}: {task.name}"


def test_secrets_are_secrets() -> None:
    for path in FILES:
        for task in load(path).tasks:
            assert not [name for name in task.envs if "KEY" in name or "TOKEN" in name], f"{path.name}: {task.name}"


def test_skypilot_and_the_rehearsal_read_the_same_pipeline() -> None:
    dag, tasks = load(SKY_YAML), read_pipeline()
    assert dag.name == "cortex"
    assert dag.is_chain()
    assert [task.name for task in dag.tasks] == [task.name for task in tasks]
    assert [str(task.run).split()[2:] for task in dag.tasks] == [list(task.stages) for task in tasks]


def test_the_stages_of_all_tasks_are_the_registrys_in_order() -> None:
    assert [stage for task in read_pipeline() for stage in task.stages] == list(STAGES)


def test_every_image_has_both_locks() -> None:
    for task in read_pipeline():
        for lock in ("requirements.lock", "requirements.cpu.lock"):
            assert (CHECKOUT / "images" / task.image / lock).is_file(), f"{task.name}: {task.image}/{lock}"


def test_every_task_runs_on_spot_and_comes_back_after_a_preemption() -> None:
    for task in load(SKY_YAML).tasks:
        for resources in task.resources:
            assert resources.use_spot, task.name
            recovery = resources.job_recovery or {}
            assert recovery.get("recover_on_exit_codes") == [PreemptedError.exit_code], task.name
            # reading the file, SkyPilot checks neither the strategy's name nor the key above
            JOBS_RECOVERY_STRATEGY_REGISTRY.from_str(str(recovery.get("strategy")))


def test_skypilot_asks_for_the_run_and_the_bucket() -> None:
    with pytest.raises(ValueError, match="RUN_ID"):
        dag_utils.load_chain_dag_from_yaml(str(SKY_YAML))
    for task in load(SKY_YAML).tasks:
        assert {"RUN_ID", "CORTEX_BUCKET"} <= set(task.envs), task.name


MISTAKES: dict[str, tuple[str, str, Callable[[Path], object], type[Exception], str]] = {
    "a misspelled resource": ("use_spot: true", "use_spott: true", load, ValueError, "use_spott"),
    "a misspelled section": ("resources:", "resource:", load, ValueError, "resource"),
    "a misspelled option of the engine": ("run_options:", "run_option:", load, ValueError, "run_option"),
    "the same key twice": ("name: data\n", "name: data\nname: data\n", load, Exception, "name"),
    "a code that no program leaves with": ("codes: [75]", "codes: [1075]", load, ValueError, "1075"),
    "a number that is none": ("cpus: 8+", "cpus: eight", load, ValueError, "eight"),
    "an image of another kit": (
        "docker:cortex-sft",
        "docker:other-sft",
        read_pipeline,
        ConfigError,
        "task 'sft': resources.image_id is not docker:<registry>/cortex-<image>, nor {docker: ",
    ),
    "another program": (
        "run: cortex run pretrain sft",
        "run: python train.py",
        read_pipeline,
        ConfigError,
        "task 'sft': `run` is not `cortex run STAGE...` but 'python train.py'",
    ),
    "a task without stages": (
        "run: cortex run release",
        "run: cortex run",
        read_pipeline,
        ConfigError,
        "task 'release'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_refused(mistake: str, tmp_path: Path) -> None:
    right, wrong, read, error, words = MISTAKES[mistake]
    text = SKY_YAML.read_text()
    assert right in text
    path = tmp_path / "sky.yaml"
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(error) as caught:
        read(path)
    assert words in str(caught.value)
