"""Every cloud that SkyPilot knows, by SkyPilot's own classes: no server, no account, no network."""

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
import sky
import yaml
from sky.ssh_node_pools import constants
from sky.utils.registry import CLOUD_REGISTRY

from cortex.errors import ConfigError, UsageError
from cortex.fleet.clouds.abilities import (
    METADATA,
    OWN_MACHINES,
    Target,
    describe_limits,
    fit_resources,
    has_spot,
    unsupported_features,
)
from cortex.fleet.clouds.access import files_taken_along, refusal, require_pool
from cortex.fleet.clouds.packages import install_command, missing_packages
from cortex.fleet.clouds.task_clouds import clouds_of, goes_to
from cortex.fleet.launch.jobs import launch_configuration
from cortex.fleet.preflight import bucket_keys_check
from cortex.fleet.preflight.ground import Ground, places
from cortex.fleet.tasks.alternatives import fit_alternatives
from cortex.fleet.tasks.bucket_keys import find_missing_keys, with_bucket_keys
from cortex.fleet.tasks.renting import apply_renting
from cortex.fleet.tasks.run_tasks import find_job, resolve, resolve_job
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.pipeline import SKY_YAML, read_documents
from cortex.settings import Settings
from tests.conftest import Cortex

S3 = Settings(bucket="s3://kit", owner="ada")
CLOUDS = sorted(CLOUD_REGISTRY)
WITHOUT_CONTAINERS = {cloud for cloud in CLOUDS if "DOCKER_IMAGE" in unsupported_features(Target(cloud))}
TASKS = [document for document in read_documents(SKY_YAML) if "run" in document]
KEYS = {"CORTEX_BUCKET_KEY_ID": "AKIABUCKET", "CORTEX_BUCKET_SECRET_KEY": "the-buckets-own"}


def alternatives(resources: dict[str, Any]) -> list[dict[str, Any]]:
    group = resources.get("ordered") or resources.get("any_of") or [{}]
    common = {key: value for key, value in resources.items() if key not in ("ordered", "any_of")}
    return [{**common, **entry} for entry in group]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_cloud_is_asked_for_nothing_that_skypilot_lacks_there(cloud: str) -> None:
    """SkyPilot lists the features that the resources need, and those that the cloud lacks: none is in both lists."""
    target = Target(cloud)
    for task in TASKS:
        if cloud in WITHOUT_CONTAINERS:
            with pytest.raises(ConfigError, match=rf"task '{task['name']}' cannot run on {cloud}: .*runpod.*vast"):
                fit_alternatives(task, None, 0, "", target=target)
            continue
        made = fit_alternatives(task, None, 0, "", target=target)
        assert {entry["infra"] for entry in alternatives(made)} == {cloud}
        for entry in alternatives(made):
            [read] = sky.Resources.from_yaml_config({**entry, "labels": {"cortex-run": "r1"}})
            assert str(read.cloud).lower() == cloud
            needed = {feature.name for feature in read.get_required_cloud_features()}
            assert not needed & set(unsupported_features(target)), entry
            assert "accelerators" not in task["resources"].get("ordered", [{}])[0] or read.accelerators


def test_only_what_is_lacking_is_left_out(profile: Profile) -> None:
    [sft] = [task for task in TASKS if task["name"] == "sft"]
    hardware = load_profile("cortex-70b").hardware
    assert fit_alternatives(sft, hardware, 8, "") == fit_alternatives(sft, hardware, 8, "", target=None)
    vast = fit_alternatives(sft, hardware, 8, "", target=Target("vast"))
    assert vast["use_spot"] and "disk_tier" not in vast and vast["disk_size"] == 1024
    assert [entry["accelerators"] for entry in vast["ordered"]] == ["H100:8", "H200:8", "A100-80GB:8"]
    rented_there = fit_alternatives(sft, hardware, 8, "", target=Target("lambda"))
    assert "use_spot" not in rented_there and rented_there["max_hourly_cost"] == 45
    gcp = fit_alternatives(sft, hardware, 8, "", target=Target("gcp", "us-central1"))
    assert {entry["infra"] for entry in alternatives(gcp)} == {"gcp/us-central1"}
    assert gcp["use_spot"] and gcp["disk_tier"] == "high"


def test_what_a_file_says_of_the_cloud_itself_stays_and_what_ties_it_to_another_goes() -> None:
    image = {"docker": "host/cortex-sft", "us-east-1": "ami-1"}
    common = {"image_id": image, "instance_type": "p5.48xlarge", "region": "us-east-1"}
    other = {"infra": "nebius/eu-north1", "accelerators": "H200:8"}
    task = {"name": "sft", "resources": {**common, "any_of": [{"accelerators": "H100:8"}, other]}}
    bare = {**task, "resources": {"any_of": [{"infra": "aws", "accelerators": "H100:8"}, other]}}
    assert fit_alternatives(bare, None, 0, "", target=Target("nebius")) == other
    assert fit_alternatives(bare, None, 0, "", target=Target("nebius", "us-central1")) == {
        **other,
        "infra": "nebius/us-central1",
    }
    made = fit_alternatives(task, None, 0, "", target=Target("runpod"))
    assert made == {
        "image_id": "docker:host/cortex-sft",
        "infra": "runpod",
        "any_of": [{"accelerators": "H100:8"}, {"accelerators": "H200:8"}],
    }


def test_a_file_that_names_several_clouds_gives_each_what_it_takes() -> None:
    resources = {"use_spot": True, "disk_tier": "high", "max_hourly_cost": 45, "accelerators": "H100:8"}
    task = {"name": "sft", "resources": {**resources, "ordered": [{"infra": "aws"}, {"infra": "lambda"}]}}
    made = fit_alternatives(task, None, 0, "")
    assert made["ordered"] == [{"infra": "aws", "use_spot": True, "disk_tier": "high"}, {"infra": "lambda"}]
    assert sky.Task.from_yaml_config({"name": "a", "resources": made, "run": "x"}).resources
    # With a deadline: spot where it is sold, then on demand everywhere.
    machines = apply_renting(made, "H100", "spot first")["ordered"]
    assert [(entry["infra"], entry["use_spot"]) for entry in machines] == [
        ("aws", True),
        ("aws", False),
        ("lambda", False),
    ]
    assert "max_hourly_cost" not in machines[2]


@pytest.mark.parametrize(
    ("cloud", "resources", "nodes", "words"),
    [
        ("vast", {}, 2, "Multi-node not supported"),
        ("yotta", {"autostop": {"idle_minutes": 30, "down": True}}, 1, "Auto-down"),
        ("primeintellect", {"autostop": {"idle_minutes": 30, "down": True}}, 1, "Auto down"),
        ("verda", {"image_id": "docker:cortex-sft"}, 1, "Docker images are not supported"),
        ("mithril", {"ports": 80}, 1, "Opening ports"),
    ],
)
def test_what_a_task_cannot_do_without_refuses_the_cloud_and_names_others(
    cloud: str, resources: dict[str, Any], nodes: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=rf"task 'a' cannot run on {cloud}: {words}.*choose another cloud \(aws, "):
        fit_resources({"infra": cloud, **resources}, Target(cloud), "a", nodes)


@pytest.mark.parametrize(
    ("text", "infra"),
    [
        ("vast", "vast"),
        (" Vast ", "vast"),
        ("k8s/a/b:c", "kubernetes/a/b:c"),
        ("ssh/My-Box", "ssh/My-Box"),
        ("gcp/us-central1/us-central1-a", "gcp/us-central1/us-central1-a"),
        ("lambda/*", "lambda"),
    ],
)
def test_a_cloud_is_named_as_skypilot_names_it(text: str, infra: str) -> None:
    assert Target.read(text).infra == infra
    [place] = places({"resources": {"infra": infra}})
    assert place.cloud == Target.read(text).cloud


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vsat", "no cloud 'vsat': did you mean 'vast'"),
        ("run-pod", "did you mean 'runpod'"),
        ("", "no cloud ''"),
        ("*", r"no cloud '\*'"),
        ("aws//x", "cannot be read"),
        ("gcp/a/b/c", "cannot be read"),
    ],
)
def test_a_cloud_that_is_none_is_told_with_the_nearest(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Target.read(text)


def test_packages_of_a_cloud_are_named_with_the_command_that_installs_them() -> None:
    extras = set(importlib.metadata.metadata("skypilot").get_all("Provides-Extra") or [])
    for cloud in CLOUDS:
        assert not missing_packages(cloud) or cloud in extras
    assert not any(missing_packages(cloud) for cloud in ("aws", "lambda", *OWN_MACHINES))
    if not missing_packages("vast"):
        pytest.skip("expected: somebody installed Vast.ai's packages here")
    reason, fix = refusal("vast") or ("", "")
    assert "vastai" in reason
    assert install_command("vast") in fix and "skypilot[vast]==" in fix


def test_a_cloud_without_credentials_is_a_sentence_for_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for cloud in ("fluidstack", "paperspace", "verda", "do", "azure", "slurm", "nowhere"):
        reason, fix = refusal(cloud) or ("", "")
        assert reason and fix and "\n" not in reason + fix, cloud


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """SkyPilot's file of pools, and the kubeconfig that `sky ssh up` adds to; neither exists yet."""
    path = tmp_path / "ssh_node_pools.yaml"
    for module in ("sky.ssh_node_pools.constants.DEFAULT_SSH_NODE_POOLS_PATH", "sky.clouds.ssh.SSH_NODE_POOLS_PATH"):
        monkeypatch.setattr(module, str(path))
    monkeypatch.setattr(constants, "NODE_POOLS_KEY_DIR", str(tmp_path / "keys"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    from sky.provision.kubernetes import utils

    monkeypatch.setattr(utils, "get_all_kube_context_names", lambda: _contexts(tmp_path / "kubeconfig"))
    return path


def _contexts(path: Path) -> list[Any]:
    """Contexts of the file, as SkyPilot asks Kubernetes' client, which itself remembers the first file that it read."""
    from kubernetes.config.kube_config import list_kube_config_contexts

    contexts: Any = list_kube_config_contexts(str(path))[0] if path.exists() else []
    return [context["name"] for context in contexts]


def test_a_pool_is_there_and_set_up_or_it_is_said_what_to_do(pools: Path) -> None:
    box = Target("ssh", "box")
    with pytest.raises(ConfigError, match=r"names no pool of machines: .*sky ssh up"):
        require_pool(box)
    pools.write_text("nonsense", encoding="utf-8")
    with pytest.raises(ConfigError, match="names no pool of machines"):
        require_pool(box)
    pools.write_text("box: {hosts: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"ssh_node_pools.yaml cannot be read"):
        require_pool(box)
    pools.write_text(yaml.safe_dump({"boxes": {"hosts": ["desk"]}}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no pool 'box' .*did you mean 'boxes'"):
        require_pool(box)
    pools.write_text(yaml.safe_dump({"box": {"hosts": ["desk"]}}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"pool box .* is not set up: .*sky ssh up --infra box"):
        require_pool(box)
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}
    context = {"name": "ssh-box", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {}}
    made = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "ssh-box"}
    pools.with_name("kubeconfig").write_text(yaml.safe_dump(made), encoding="utf-8")
    require_pool(box)
    require_pool(Target("vast"))


def test_machines_elsewhere_bring_the_buckets_keys_and_no_other(profile: Profile) -> None:
    acting = {"AWS_ACCESS_KEY_ID": "of an admin", "AWS_SECRET_ACCESS_KEY": "an admin's"}
    for task in resolve(profile, "r1", settings=S3, target=Target("vast"), environment=acting):
        assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(task["secrets"])
        assert clouds_of(task) == {"vast"}
        lacks = find_missing_keys([task], "s3://kit", with_bucket_keys(acting, "s3://kit"))
        assert [words for words, _ in lacks] == [
            "machines of vast have no role of the bucket s3://kit, and its keys are not set here"
        ]
        assert "CORTEX_BUCKET_KEY_ID and CORTEX_BUCKET_SECRET_KEY" in lacks[0][1]
        given = with_bucket_keys(acting | KEYS, "s3://kit")
        assert given["AWS_ACCESS_KEY_ID"] == "AKIABUCKET" and not find_missing_keys([task], "s3://kit", given)
    at_home = resolve(profile, "r1", settings=S3, target=Target("aws"), environment=acting)
    assert all("AWS_ACCESS_KEY_ID" not in task.get("secrets", {}) for task in at_home)
    assert goes_to(at_home, "aws") and not goes_to(at_home, "vast")
    for bucket, key in (("gs://b", "GOOGLE_SERVICE_ACCOUNT_KEY"), ("az://b", "AZURE_STORAGE_ACCOUNT_KEY")):
        tasks = resolve(profile, "r1", settings=Settings(bucket=bucket), target=Target("vast"), environment={})
        assert all(key in task["secrets"] for task in tasks) and find_missing_keys(tasks, bucket, {})
        assert not find_missing_keys(tasks, bucket, with_bucket_keys({key: "k"}, bucket))


@pytest.mark.parametrize(
    ("host", "cloud", "refused"),
    [
        ("1.dkr.ecr.eu-west-1.amazonaws.com", "vast", True),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", "aws", False),
        ("europe-docker.pkg.dev", "runpod", True),
        ("europe-docker.pkg.dev", "gcp", False),
        ("ghcr.io", "vast", False),
    ],
)
def test_a_registry_that_refuses_a_stranger_is_told_before_he_is_paid(host: str, cloud: str, refused: bool) -> None:
    task = {"name": "a", "resources": {"infra": cloud, "image_id": f"docker:{host}/cortex-sft@sha256:0"}}
    found = find_missing_keys([task], "", {})
    assert bool(found) == refused
    assert not refused or f"machines of {cloud} cannot log in to {host}" in found[0][0]
    login = {"SKYPILOT_DOCKER_USERNAME": "AWS", "SKYPILOT_DOCKER_PASSWORD": "p"}
    assert not find_missing_keys([task], "", login)


def test_preflight_says_what_machines_elsewhere_lack(profile: Profile) -> None:
    tasks = resolve(profile, "r1", settings=S3, target=Target("runpod"), environment={})
    found = bucket_keys_check.check(Ground(profile, None, S3, tasks, {}))
    assert found.ok is False and "machines of runpod have no role" in found.detail
    found = bucket_keys_check.check(Ground(profile, None, S3, tasks, with_bucket_keys(KEYS, "s3://kit")))
    assert found.ok and "AWS_ACCESS_KEY_ID" in found.detail
    assert bucket_keys_check.check(Ground(profile, None, S3, resolve(profile, "r1", settings=S3), {})).ok


def test_the_keys_of_no_other_cloud_go_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SkyPilot's `write_cluster_config` leaves a cloud's files out where its identity is NO_UPLOAD."""
    from sky import check, skypilot_config

    monkeypatch.setenv("HOME", str(tmp_path))
    files = {"nebius": ".nebius/credentials.json", "vast": ".config/vastai/vast_api_key", "kubernetes": ".kube/config"}
    for path in files.values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("a key", encoding="utf-8")

    def taken(*infras: str) -> set[str]:
        documents = [{"name": "a", "resources": {"infra": infra} if infra else {}} for infra in infras]
        with launch_configuration("a-profile", documents):
            kept = [cloud for name, cloud in CLOUD_REGISTRY.items() if _identity(name) == "NO_UPLOAD"]
        # Storage services are asked over the network, which is not available here.
        stores = ("cloudflare", "coreweave", "vastdata", "huggingface")
        for store in stores:
            monkeypatch.setattr(f"sky.check.{store}.check_storage_credentials", lambda: (False, None))
        return {name for name, path in files.items() if f"~/{path}" in check.get_cloud_credential_file_mounts(kept)}

    def _identity(cloud: str) -> Any:
        keys = ("remote_identity",)
        return skypilot_config.get_effective_workspace_region_config(
            cloud=cloud, region="r", keys=keys, default_value=None
        )

    assert taken("vast") == {"vast"}, "with which SkyPilot ends an idle machine from there"
    assert taken("aws") == set()
    assert taken("ssh/box") == {"kubernetes"}
    assert taken("aws", "vast", "nebius/eu-north1") == {"nebius", "vast"}
    assert not files_taken_along([{"name": "a", "resources": {"infra": "aws"}}]), "all of these stay here"
    lambdas = tmp_path / ".lambda_cloud" / "lambda_keys"
    lambdas.parent.mkdir()
    lambdas.write_text("a key", encoding="utf-8")
    # SkyPilot's configuration has no key for these clouds.
    assert files_taken_along([{"name": "a", "resources": {"infra": "vast"}}]) == ["~/.lambda_cloud/lambda_keys"]
    assert not files_taken_along([{"name": "a", "resources": {"infra": "lambda"}}])
    assert taken("") == {"nebius", "vast", "kubernetes"}, "any cloud may be meant"


@pytest.mark.parametrize("job", ["workbench", "teacher"])
def test_other_machines_go_there_too(job: str) -> None:
    made = resolve_job(find_job(job), settings=S3, target=Target("runpod"), environment={})
    assert clouds_of(made) == {"runpod"}
    assert ("AWS_ACCESS_KEY_ID" in made["secrets"]) == (job == "workbench"), "a teacher has no business in the bucket"
    assert made["resources"]["autostop"]["down"]


@pytest.mark.integration
def test_a_launch_there_prints_what_is_not_to_be_had_and_never_the_keys(
    cortex: Cortex, tmp_path: Path, profile: Profile
) -> None:
    """The whole verb, with SkyPilot's reader of the cloud's catalog; nothing else answers, so the launch stops."""
    home = tmp_path / "user"
    catalog = home / ".sky" / "catalogs" / "v8" / "lambda" / "vms.csv"
    catalog.parent.mkdir(parents=True)
    catalog.write_text(
        "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice\n"
        "gpu_1x_a10,A10,1.0,30.0,200.0,0.75,us-east-1,,\n",
        encoding="utf-8",
    )
    kinds = catalog.parents[1] / "common" / "accelerators.csv"
    kinds.parent.mkdir()
    kinds.write_text("AcceleratorName,Clouds\nA10,['Lambda']\n", encoding="utf-8")
    nowhere = "http://127.0.0.1:9"
    variables = {"HOME": str(home), "CORTEX_BUCKET": "s3://kit", "AWS_EC2_METADATA_DISABLED": "true"}
    variables |= {"HTTPS_PROXY": nowhere, "https_proxy": nowhere, "NO_PROXY": "", "no_proxy": "", **KEYS}
    variables |= {
        "AWS_ACCESS_KEY_ID": "AKIAADMIN",
        "AWS_SECRET_ACCESS_KEY": "an-admins",
        "CORTEX_PREFLIGHT_SECONDS": "2",
    }
    job = tmp_path / "bench.yaml"
    machine = {"infra": "aws", "accelerators": "A10:1", "use_spot": True, "disk_tier": "high"}
    document = {"name": "bench", "resources": {**machine, "autostop": {"idle_minutes": 5, "down": True}}}
    job.write_text(yaml.safe_dump({**document, "envs": {"CORTEX_BUCKET": None}, "run": "hostname"}), encoding="utf-8")
    done = cortex("rent", str(job), "--cloud", "lambda", "--dry-run", **variables)
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "home" / "work" / "cortex-bench" / "launch.yaml").read_text(encoding="utf-8")
    [_, task] = yaml.safe_load_all(written)
    assert task["resources"]["infra"] == "lambda" and not {"use_spot", "disk_tier"} & set(task["resources"])
    assert task["secrets"] == {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert "AWS_ACCESS_KEY_ID set, AWS_SECRET_ACCESS_KEY set" in done.stdout
    assert "lambda: it has no spot machines" in done.stdout
    shown = done.stdout + done.stderr + written
    assert not any(secret in shown for secret in (*KEYS.values(), "AKIAADMIN", "an-admins"))
    for cloud, words in (("vsat", "did you mean 'vast'"), ("ssh/desk", "names no pool of machines")):
        refused = cortex("rent", str(job), "--cloud", cloud, "--dry-run", **variables)
        assert refused.returncode in (2, 78) and words in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_plan_says_what_is_not_to_be_had(cloud: str) -> None:
    said = describe_limits([cloud], spot=has_spot(cloud), dearest=2.5, keys=True, deadline=True)
    text = "\n".join(said)
    assert all(line.startswith(f"{cloud}: ") for line in said)
    if cloud == "aws":
        assert not said
        return
    assert ("no spot machines" in text) == (not has_spot(cloud))
    assert ("$2.50/h" in text) == (cloud not in (*METADATA, *OWN_MACHINES))
    assert ("$0.00/h" in text) == (cloud in OWN_MACHINES)
    assert ("make sweep" in text) == (cloud not in OWN_MACHINES)
    assert ("stranger" in text) == (cloud in ("vast", "primeintellect", "hyperbolic", "shadeform"))
    assert "the bucket's keys go along" in text
