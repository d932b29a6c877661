import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
import pytest
import sky
import yaml
from sky.utils import dag_utils

from cortex.errors import ConfigError, UsageError
from cortex.fleet.clouds.job_names import BUCKET_TAG, OWNER_TAG, RUN_TAG, bucket_label
from cortex.fleet.tasks.run_tasks import (
    PASSWORD,
    SERVER,
    USERNAME,
    dump,
    find_job,
    resolve,
    resolve_job,
    secrets,
    stages,
    unpushed_images,
)
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.pipeline import read_pipeline
from cortex.settings import Settings
from tests.fleet.services import Aws

S3 = Settings(bucket="s3://kit", owner="Ada.L@example.org")
TAGS = {OWNER_TAG: "ada-l-example-org", BUCKET_TAG: bucket_label("s3://kit")}
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def by_name(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {document["name"]: document for document in documents}


def machines(task: dict[str, Any]) -> list[tuple[str | None, str | None]]:
    resources = task["resources"]
    alternatives = resources.get("ordered") or resources.get("any_of") or [resources]
    return [(entry.get("infra"), entry.get("accelerators")) for entry in alternatives]


def write(path: Path, *documents: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return path


def test_a_run_of_70b_asks_for_its_gpus_and_their_kin_where_its_bucket_is(tmp_path: Path) -> None:
    tasks = by_name(resolve(load_profile("cortex-70b"), "r1", settings=S3, digests=tmp_path / "none", environment={}))
    assert list(tasks) == ["data", "sft", "grpo", "export", "evaluate", "release"]
    assert all("ordered" in tasks[name]["resources"] for name in ("sft", "grpo", "export", "evaluate")), (
        "not the cheapest: the first"
    )
    kin = [("aws", "H100:8"), ("aws", "H200:8"), ("aws", "A100-80GB:8")]
    assert [machines(tasks[name]) for name in ("sft", "grpo", "evaluate")] == [kin] * 3
    assert machines(tasks["export"]) == [(cloud, kind.replace(":8", ":1")) for cloud, kind in kin]
    assert [machines(tasks[name]) for name in ("data", "release")] == [[("aws", None)]] * 2
    assert tasks["grpo"]["run"] == "cortex run grpo"  # this profile asks for no dpo
    for task in tasks.values():
        digest = load_profile("cortex-70b").digest
        assert task["envs"] == {"RUN_ID": "r1", "CORTEX_BUCKET": "s3://kit", "CORTEX_PROFILE_DIGEST": digest}
        assert task["resources"]["labels"] == {RUN_TAG: "r1", **TAGS}


@pytest.mark.parametrize(
    ("hardware", "trains", "exports"),
    [
        ({"gpus": 1}, "H100:1", "H100:1"),
        ({"gpus": 8, "export_gpus": 2}, "H100:8", "H100:2"),
        ({"gpus": 8, "accelerator": "A100-80GB"}, "A100-80GB:8", "A100-80GB:1"),
        ({"gpus": 4, "accelerator": "L40S"}, "L40S:4", "L40S:1"),
        ({"device": "cpu"}, None, None),
    ],
)
def test_the_profile_says_which_gpus_come_first_and_how_many(
    hardware: dict[str, Any], trains: str | None, exports: str | None
) -> None:
    profile = load_profile("cortex-8b", {f"hardware.{key}": value for key, value in hardware.items()})
    tasks = by_name(resolve(profile, "r1", settings=S3))
    assert (machines(tasks["sft"])[0][1], machines(tasks["export"])[0][1]) == (trains, exports)
    assert machines(tasks["evaluate"])[0][1] == trains
    kinds = {accelerators for _, accelerators in machines(tasks["sft"])}
    assert len(kinds) == (1 if trains in (None, "L40S:4") else 3)


def test_alternatives_that_have_become_the_same_are_one(tmp_path: Path) -> None:
    kinds = [{"accelerators": kind} for kind in ("H100:8", "H200:8")]
    common = {"accelerators": "A100:8", "any_of": [{"cpus": 4}, {"cpus": 4, "accelerators": "H100:8"}]}
    tasks = [{"name": "a", "resources": {"ordered": kinds}}, {"name": "b", "resources": common}]
    path = write(tmp_path / "p.yaml", *[{**task, "run": "cortex run sft"} for task in tasks])

    def resources(**hardware: Any) -> list[dict[str, Any]]:
        profile = load_profile("cortex-8b", {f"hardware.{key}": value for key, value in hardware.items()})
        documents = resolve(profile, "r1", pipeline=path, settings=Settings(bucket=str(tmp_path), owner="a"))
        return [{key: value for key, value in task["resources"].items() if key != "labels"} for task in documents]

    assert resources(accelerator="L40S", gpus=4) == [
        {"accelerators": "L40S:4"},
        {"accelerators": "L40S:4", "cpus": 4},
    ]
    assert resources(device="cpu") == [{}, {"cpus": 4}]


@pytest.mark.parametrize(
    ("bucket", "clouds"),
    [("s3://b", {"aws"}), ("gs://b", {"gcp"}), ("az://b", {"azure"}), ("/some/folder", {"aws", "gcp", "azure"})],
)
def test_machines_are_taken_where_the_bucket_knows_them(bucket: str, clouds: set[str], profile: Profile) -> None:
    for task in resolve(profile, "r1", settings=Settings(bucket=bucket)):
        assert {str(infra) for infra, _ in machines(task)} == clouds


def test_machines_at_azure_are_told_whose_container_it_is(profile: Profile) -> None:
    account = {"AZURE_STORAGE_ACCOUNT_NAME": "cortexdev"}

    def told(bucket: str, environment: dict[str, str]) -> set[str | None]:
        tasks = resolve(profile, "r1", settings=Settings(bucket=bucket), environment=environment)
        return {task["envs"].get("AZURE_STORAGE_ACCOUNT_NAME") for task in tasks}

    assert told("az://runs", account) == {"cortexdev"}
    assert told("az://runs", {}) == told("s3://kit", account) == {None}


def test_a_task_with_keys_of_its_own_may_go_anywhere(tmp_path: Path, profile: Profile) -> None:
    lambdas = {"name": "a", "resources": {"infra": "lambda"}, "run": "cortex run data"}
    path = write(tmp_path / "p.yaml", {**lambdas, "secrets": {"AWS_ACCESS_KEY_ID": ""}})
    assert machines(resolve(profile, "r1", pipeline=path, settings=S3)[0]) == [("lambda", None)]
    with pytest.raises(ConfigError, match=r"task 'a' names no machine of aws.*s3://kit.*AWS_ACCESS_KEY_ID"):
        resolve(profile, "r1", pipeline=write(path, lambdas), settings=S3)
    for given, kept in (("aws/us-west-2", "aws/us-west-2"), ("*/us-west-2", "aws/us-west-2"), ("*", "aws")):
        pinned = {**lambdas, "resources": {"infra": given}}
        assert machines(resolve(profile, "r1", pipeline=write(path, pinned), settings=S3)[0]) == [(kept, None)]


def test_machines_of_aws_are_taken_where_the_network_is(tmp_path: Path, profile: Profile) -> None:
    settings = Settings(bucket="s3://kit", owner="a", network_regions=("us-east-1",))
    for task in resolve(profile, "r1", settings=settings):
        assert {infra for infra, _ in machines(task)} == {"aws/us-east-1"}

    def taken(*alternatives: dict[str, Any]) -> list[str | None]:
        resources = {"any_of": list(alternatives)} if len(alternatives) > 1 else next(iter(alternatives))
        document = {"name": "a", "resources": resources, "run": "x", "secrets": {"AWS_ACCESS_KEY_ID": ""}}
        path = write(tmp_path / "p.yaml", document)
        return [infra for infra, _ in machines(resolve_job(path, settings=settings))]

    assert taken({"infra": "aws"}, {"infra": "lambda"}) == ["aws/us-east-1", "lambda"]
    assert taken({"infra": "aws/us-west-2"}, {"infra": "aws/us-east-1"}) == ["aws/us-east-1"]
    assert taken({"infra": "aws/*/us-east-1b"}) == ["aws/us-east-1/us-east-1b"]
    assert taken({"cloud": "aws"}) == ["aws/us-east-1"]
    assert taken({"cloud": "aws", "region": "us-east-1"}) == [None]
    with pytest.raises(ConfigError, match=r"task 'a' names no machine in us-east-1.*leave the region out"):
        taken({"infra": "aws/us-west-2"})


def test_with_several_networks_each_is_an_alternative(tmp_path: Path, profile: Profile) -> None:
    settings = Settings(bucket="s3://kit", owner="a", network_regions=("us-east-1", "us-west-2"))
    for task in resolve(profile, "r1", settings=settings):
        assert [infra for infra, _ in machines(task)][:2] == ["aws/us-east-1", "aws/us-west-2"]
        assert len(sky.Task.from_yaml_config(task).resources) >= 2

    def taken(**resources: Any) -> list[str | None]:
        document = {"name": "a", "resources": resources, "run": "x", "secrets": {"AWS_ACCESS_KEY_ID": ""}}
        path = write(tmp_path / "p.yaml", document)
        return [infra for infra, _ in machines(resolve_job(path, settings=settings))]

    assert taken(infra="aws") == ["aws/us-east-1", "aws/us-west-2"]
    in_order = [{"infra": "lambda"}, {"infra": "aws"}, {"infra": "aws/us-west-2"}]
    assert taken(ordered=in_order) == ["lambda", "aws/us-east-1", "aws/us-west-2"]
    assert taken(infra="aws/*/us-west-2b") == ["aws/us-west-2/us-west-2b"]
    # A task that brings the machine's own image can run only where it has one.
    assert taken(infra="aws", image_id={"docker": "ghcr.io/a/b", "us-west-2": "ami-1"}) == ["aws/us-west-2"]
    for stray in ("aws/eu-west-1", "aws/*/eu-west-1a"):
        with pytest.raises(ConfigError, match=r"no machine in us-east-1 or us-west-2.*the stack's more_regions"):
            taken(infra=stray)
    with pytest.raises(ConfigError, match=r"no machine in us-east-1 or us-west-2"):
        taken(infra="aws", image_id={"docker": "ghcr.io/a/b", "eu-west-1": "ami-1"})


def test_images_are_the_ones_that_were_pushed(tmp_path: Path, profile: Profile) -> None:
    digests = tmp_path / "digests.json"
    names = ("data", "sft", "grpo", "quantize")
    documents = resolve(profile, "r1", settings=S3, digests=digests)
    assert unpushed_images(documents) == sorted(names)
    digests.write_text(json.dumps({name: f"{ECR}/cortex-dev/{name}@sha256:{'0' * 64}" for name in names}))
    documents = resolve(profile, "r1", settings=S3, digests=digests)
    assert unpushed_images(documents) == []
    assert documents[1]["resources"]["image_id"] == f"docker:{ECR}/cortex-dev/sft@sha256:{'0' * 64}"
    # SkyPilot's own variables by which the machine logs in to ECR as itself.
    login = {key: value for key, value in documents[1]["envs"].items() if key.startswith("SKYPILOT_DOCKER_")}
    assert login == {
        "SKYPILOT_DOCKER_SERVER": ECR,
        "SKYPILOT_DOCKER_USERNAME": "AWS",
        "SKYPILOT_DOCKER_PASSWORD": "",
    }
    digests.write_text('{"data": "registry/cortex-data:latest"}')
    with pytest.raises(
        ConfigError,
        match=r"digests\.json: data is 'registry/cortex-data:latest', and not <repository>@sha256:<digest>",
    ):
        resolve(profile, "r1", settings=S3, digests=digests)


def test_a_machine_at_google_logs_in_to_its_registry_as_itself(tmp_path: Path, profile: Profile) -> None:
    host = "us-central1-docker.pkg.dev"
    image = f"{host}/cortex-lab/cortex-dev/data@sha256:{'0' * 64}"
    digests = tmp_path / "digests.json"
    digests.write_text(json.dumps({"data": image}))
    task = resolve(profile, "r1", settings=Settings(bucket="gs://cortex-dev-artifacts"), digests=digests)[0]
    for machine in sky.Task.from_yaml_config(task).resources:
        login = machine.docker_login_config
        assert login and asdict(login) == {"server": host, "username": "", "password": ""}
        assert login.format_image(image) == image


@pytest.mark.parametrize("host", ["ghcr.io", ECR])
def test_a_login_of_ones_own_to_a_registry_goes_along_as_a_secret(tmp_path: Path, profile: Profile, host: str) -> None:
    digests = tmp_path / "digests.json"
    digests.write_text(json.dumps({"data": f"{host}/kit/data@sha256:{'0' * 64}"}))
    mine = {USERNAME: "me", PASSWORD: "token"}

    def first(environment: dict[str, str]) -> dict[str, Any]:
        return resolve(profile, "r1", settings=S3, digests=digests, environment=environment)[0]

    task = first(mine)
    assert {name: task["secrets"][name] for name in (SERVER, *mine)} == {SERVER: host, USERNAME: "", PASSWORD: ""}
    assert not set(task["envs"]) & {SERVER, USERNAME, PASSWORD}
    assert "token" not in json.dumps(task)
    made = sky.Task.from_yaml_config(task)
    made.update_secrets(mine)
    for machine in made.resources:
        login = machine.docker_login_config
        assert login and asdict(login) == {"server": host, "username": "me", "password": "token"}
    for other in ({**mine, SERVER: "elsewhere.example"}, {USERNAME: "me"}):
        task = first(other)
        assert not set(task.get("secrets") or {}) & {SERVER, USERNAME, PASSWORD}
        assert task["envs"].get(USERNAME) == ("AWS" if host == ECR else None)


TRACKED = {
    "WANDB_API_KEY": "hush-wandb",
    "WANDB_PROJECT": "mine",
    "MLFLOW_TRACKING_URI": "https://me:hush-uri@mlflow.example",
    "MLFLOW_TRACKING_TOKEN": "hush-mlflow",
    "MLFLOW_TRACKING_PASSWORD": "",
    "TRACKIO_SPACE_ID": "me/space",
    "HF_TOKEN": "hush-hub",
}
"""A caller's variables: a task gets those that its profile's trackers read."""


@pytest.mark.parametrize(
    ("trackers", "asked", "given"),
    [
        ([], set[str](), set[str]()),
        (["tensorboard"], set[str](), set[str]()),
        (["wandb"], {"WANDB_API_KEY"}, {"WANDB_PROJECT"}),
        (["mlflow"], {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN"}, set[str]()),
        (["trackio", "wandb"], {"WANDB_API_KEY"}, {"WANDB_PROJECT", "TRACKIO_SPACE_ID"}),
    ],
)
def test_what_trains_gets_its_trackers_keys_as_secrets_and_nothing_else_does(
    trackers: list[str], asked: set[str], given: set[str]
) -> None:
    profile = load_profile("cortex-70b", {"tracking": trackers})
    plain = by_name(resolve(load_profile("cortex-70b"), "r1", settings=S3, environment=TRACKED))
    documents = resolve(profile, "r1", settings=S3, environment=TRACKED)
    for name, task in by_name(documents).items():
        further = asked if name in ("sft", "grpo") else set[str]()
        assert set(task.get("secrets") or {}) == set(plain[name].get("secrets") or {}) | further, name
        assert set(task["envs"]) - set(plain[name]["envs"]) == (given if name in ("sft", "grpo") else set[str]())
        assert set((task.get("secrets") or {}).values()) <= {""}
    assert "hush" not in dump(documents, "cortex-r1") + json.dumps(documents)
    if asked:
        made = sky.Task.from_yaml_config(by_name(documents)["sft"])
        made.update_secrets({name: TRACKED[name] for name in asked})
        assert {name: made.secrets[name].get_secret_value() for name in asked} == {
            name: TRACKED[name] for name in asked
        }
        assert "hush" not in str(made.to_yaml_config(use_user_specified_yaml=False)["envs"])


def test_a_key_that_is_not_set_is_asked_for_all_the_same_and_what_a_file_says_of_one_stays(tmp_path: Path) -> None:
    profile = load_profile("cortex-8b", {"tracking": ["wandb", "mlflow", "trackio"]})
    task = {"name": "a", "resources": {"infra": "aws"}, "run": "cortex run sft"}

    def resolved(environment: dict[str, str], **further: dict[str, str]) -> dict[str, Any]:
        pipeline = write(tmp_path / "p.yaml", {**task, **further})
        return resolve(profile, "r1", pipeline=pipeline, settings=S3, environment=environment)[0]

    keys = {"CORTEX_RUN_SECRET": ""}
    assert resolved({})["secrets"] == {**keys, "MLFLOW_TRACKING_URI": "", "WANDB_API_KEY": ""}
    offline = resolved({"WANDB_MODE": "offline", "TRACKIO_SPACE_ID": "me/space"})
    assert offline["secrets"] == {**keys, "MLFLOW_TRACKING_URI": "", "HF_TOKEN": ""}
    assert offline["envs"]["WANDB_MODE"] == "offline"
    own = resolved(TRACKED, envs={"WANDB_PROJECT": "theirs", "MLFLOW_TRACKING_URI": "https://mlflow.example"})
    assert (own["envs"]["WANDB_PROJECT"], own["envs"]["MLFLOW_TRACKING_URI"]) == ("theirs", "https://mlflow.example")
    assert "MLFLOW_TRACKING_URI" not in own["secrets"]


def test_what_the_file_leaves_open_is_the_callers_and_secrets_stay_out(tmp_path: Path, profile: Profile) -> None:
    mine = {"AWS_REGION": "eu-west-1", "CORTEX_TEACHER_API_KEY": "hush", "HF_TOKEN": "hush", "RUN_ID": "another"}
    documents = resolve(profile, "r1", settings=S3, environment=mine)
    assert all(task["envs"]["AWS_REGION"] == "eu-west-1" and task["envs"]["RUN_ID"] == "r1" for task in documents)
    keys = [f"CORTEX_{service}_API_KEY" for service in ("DUNE", "FLIPSIDE", "SAMPLER", "TEACHER")]
    assert secrets(documents) == [*keys, "HF_TOKEN"]
    for document in documents:  # what a launch binds each machine to
        assert document["envs"]["CORTEX_PROFILE_DIGEST"] == profile.digest
        assert document["secrets"]["CORTEX_RUN_SECRET"] == ""
    assert "hush" not in dump(documents, "cortex-r1")


@pytest.mark.parametrize("written", ["1.10", "012", "1e3", "0x1f", "true", "No", "1_000", "12:30", "2024-01-31", "~x"])
def test_a_variable_is_the_text_that_is_written(written: str, tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        f"name: a\nrun: cortex run grpo\nresources: {{infra: aws, disk_size: &size 64}}\n"
        f'envs: {{MINE: {written}, QUOTED: "{written}", SIZE: *size, NONE: null, EMPTY: ""}}\n'
    )
    (task,) = resolve(profile, "r1", pipeline=path, settings=S3, environment={"NONE": "the caller's"})
    assert (task["envs"]["MINE"], task["envs"]["QUOTED"], task["envs"]["SIZE"]) == (written, written, "64")
    assert (task["envs"]["NONE"], task["envs"]["EMPTY"]) == ("the caller's", "")
    assert task["resources"]["disk_size"] == 64, "an alias elsewhere stays the number that it is"
    _, submitted = yaml.safe_load_all(dump([task], "cortex-r1"))
    assert submitted["envs"] == task["envs"]


def test_a_users_own_tasks_keep_what_they_do(tmp_path: Path, profile: Profile) -> None:
    script = 'export A=1\ncortex() { python -m cortex "$@"; }\ncortex run dpo grpo  # both\n'
    path = write(
        tmp_path / "p.yaml",
        {"name": "bare"},
        {"name": "a", "resources": {"infra": "aws", "accelerators": {"H100": 8}}, "run": script},
        {"name": "b", "run": "cortex run dpo"},
        {"name": "c", "run": "echo hello"},
    )
    tasks = by_name(resolve(profile, "r1", pipeline=path, settings=S3))
    assert list(tasks) == ["a", "c"]
    assert tasks["a"]["run"] == script.replace("dpo grpo", "grpo")
    assert tasks["c"]["run"] == "echo hello" and unpushed_images(list(tasks.values())) == []


def test_stages_of_one_line_are_all_seen(tmp_path: Path, profile: Profile) -> None:
    line = "cd /kit && cortex run sft && cortex run dpo && cortex run grpo --verbose"
    path = write(tmp_path / "p.yaml", {"name": "a", "run": line})
    [task] = resolve(profile, "r1", pipeline=path, settings=S3)
    assert task["run"] == line.replace("cortex run dpo", "true")
    assert stages(task, path) == ["sft", "grpo"]


def test_an_image_that_a_cloud_names_region_by_region_is_left_as_it_is(tmp_path: Path, profile: Profile) -> None:
    images = {"us-east-1": "ami-1", "us-west-2": "ami-2"}
    path = write(tmp_path / "p.yaml", {"name": "a", "resources": {"image_id": images}, "run": "cortex run data"})
    [task] = resolve(profile, "r1", pipeline=path, settings=S3)
    assert task["resources"]["image_id"] == images and unpushed_images([task]) == []


def test_a_container_beside_the_machines_own_image_is_the_one_that_was_pushed(
    tmp_path: Path, profile: Profile, cloud: Aws
) -> None:
    """SkyPilot itself reads the task, and asks AWS for the machine's image."""
    assert cloud
    ami = boto3.client("ec2").register_image(Name="gpus", Architecture="x86_64")["ImageId"]
    digests = tmp_path / "digests.json"
    resources = {"image_id": {"docker": "cortex-data", "us-east-1": ami}, "infra": "aws", "cpus": 4}
    path = write(tmp_path / "p.yaml", {"name": "a", "resources": resources, "run": "cortex run data"})
    assert read_pipeline(path)[0].image == "data"
    assert unpushed_images(resolve(profile, "r1", pipeline=path, settings=S3, digests=digests)) == ["data"]
    pushed = f"{ECR}/data@sha256:{'0' * 64}"
    digests.write_text(json.dumps({"data": pushed}))
    documents = resolve(profile, "r1", pipeline=path, settings=S3, digests=digests)
    [task] = documents
    assert unpushed_images(documents) == [] and task["resources"]["image_id"] == {"docker": pushed, "us-east-1": ami}
    assert task["envs"]["SKYPILOT_DOCKER_SERVER"] == ECR
    [read] = dag_utils.load_chain_dag_from_yaml_str(dump(documents, "cortex-r1")).tasks
    [machine] = read.resources
    assert machine.extract_docker_image() == pushed and machine.image_id == {"us-east-1": ami}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"name": "a", "run": "cortex run sfd"}, r"p\.yaml, task 'a': no stage 'sfd': did you mean 'sft'"),
        ({"name": "a", "resources": [1], "run": "cortex run sft"}, "task 'a': `resources` is not a mapping"),
        ({"name": "a", "run": "cortex run dpo"}, "has no task that runs a stage of profile rehearsal"),
    ],
)
def test_bad_pipelines_are_one_line(document: dict[str, Any], message: str, tmp_path: Path, profile: Profile) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(profile, "r1", pipeline=write(tmp_path / "p.yaml", document), settings=S3)
    assert "\n" not in str(caught.value)


def test_the_other_jobs_are_filled_in_the_same_way() -> None:
    teacher = resolve_job(find_job("teacher"), settings=S3, environment={"TEACHER_MODEL": "other"})
    assert teacher["resources"]["labels"] == {RUN_TAG: "teacher", **TAGS}
    assert {infra for infra, _ in machines(teacher)} == {"aws"}
    assert teacher["envs"]["IDLE_MINUTES"] == "30" and "RUN_ID" not in teacher["envs"]
    for name in ("workbench", "teacher"):
        autostop = resolve_job(find_job(name), settings=S3)["resources"]["autostop"]
        assert autostop["down"] is True and autostop["idle_minutes"] <= 30
    with pytest.raises(UsageError, match="no job 'techer': did you mean 'teacher'"):
        find_job("techer")


def test_a_job_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    with pytest.raises(UsageError, match=r"no file .*mine\.yaml"):
        find_job(str(path))
    path.write_text("resources: {infra: aws}\nrun: 'true'\n")
    assert find_job(str(path)) == path
    assert resolve_job(path, settings=S3)["resources"]["labels"][RUN_TAG] == "mine"


def test_only_what_trains_has_the_profiles_machines() -> None:
    profile = load_profile("cortex-70b-2n", {"hardware.nodes": 2})
    tasks = by_name(resolve(profile, "r1", settings=S3))
    assert {name for name, task in tasks.items() if task.get("num_nodes") == 2} == {"sft", "grpo"}
    assert {name for name, task in tasks.items() if "num_nodes" not in task} == {
        "data",
        "export",
        "evaluate",
        "release",
    }
    one = resolve(load_profile("cortex-70b"), "r1", settings=S3)
    assert not any("num_nodes" in task for task in one)


@pytest.mark.parametrize(
    ("nodes", "task", "fault"),
    [
        (1, {"name": "sft", "run": "cortex run sft", "num_nodes": 2}, r"task 'sft': num_nodes is 2, .* has 1 for it"),
        (2, {"name": "sft", "run": "cortex run sft", "num_nodes": 4}, "num_nodes is 4, .* has 2 for it: remove it"),
        (2, {"name": "end", "run": "cortex run export", "num_nodes": 2}, "num_nodes is 2, .* has 1 for it"),
        (2, {"name": "own", "run": "python my.py", "num_nodes": 2}, "num_nodes is 2, .* has 1 for it"),
        (1, {"name": "sft", "run": "cortex run sft", "num_nodes": True}, "num_nodes is True"),
        (1, {"name": "sft", "run": "cortex run sft", "num_nodes": "1"}, "num_nodes is '1'"),
        (2, {"name": "all", "run": "cortex run sft export"}, "export would run on 2 machines at once"),
    ],
)
def test_machines_that_the_profile_does_not_know_of_are_refused(
    nodes: int, task: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    profile = load_profile("cortex-70b-2n", {"hardware.nodes": nodes})
    with pytest.raises(ConfigError, match=fault):
        resolve(profile, "r1", pipeline=write(tmp_path / "mine.yaml", task), settings=Settings(bucket="/bucket"))


def test_a_task_that_repeats_the_profiles_number_is_taken(tmp_path: Path) -> None:
    task = {"name": "sft", "run": "cortex run sft", "num_nodes": 2}
    profile = load_profile("cortex-70b-2n", {"hardware.nodes": 2})
    [resolved] = resolve(
        profile, "r1", pipeline=write(tmp_path / "mine.yaml", task), settings=Settings(bucket="/bucket")
    )
    assert resolved["num_nodes"] == 2
