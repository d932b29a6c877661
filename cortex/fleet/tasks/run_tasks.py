"""The tasks that are submitted for a run: the pipeline file with profile, images, bucket and labels filled in."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cortex.errors import ConfigError, UsageError
from cortex.fleet.clouds.abilities import Target
from cortex.fleet.clouds.job_names import BUCKET_TAG, OWNER_TAG, RUN_TAG, bucket_label, owner_label, run_label
from cortex.fleet.tasks.alternatives import fit_alternatives
from cortex.fleet.tasks.bucket_keys import names_of_keys
from cortex.fleet.tasks.image_digests import DIGESTS, read_digests
from cortex.fleet.tasks.renting import Renting, apply_renting
from cortex.fleet.tasks.tracker_variables import with_trackers
from cortex.paths import expand
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import Hardware
from cortex.runs.gpus import gpus_of
from cortex.runs.pipeline import SKY_YAML, container_of, image_name, read_documents, with_container
from cortex.runs.run_secret import DIGEST_VARIABLE, SECRET_VARIABLE
from cortex.runs.stage_list import TRAINERS, find_stage, up_to
from cortex.section import nearest
from cortex.settings import CHECKOUT, Settings

JOBS = CHECKOUT / "jobs"

_STAGES = re.compile(r"\bcortex run(?P<stages>(?: +[a-z_]+)+)")
_ECR = re.compile(r".+\.dkr\.ecr\.[^/]+")

AZURE_ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"

ARTIFACT_REGISTRY = "-docker.pkg.dev"
"""End of the host names of Google's registries, which begin with their location."""

SERVER, USERNAME, PASSWORD = (f"SKYPILOT_DOCKER_{name}" for name in ("SERVER", "USERNAME", "PASSWORD"))
"""Variables by which SkyPilot logs in to a registry: all three in a task's `envs`, or all three in its `secrets`."""


def resolve(
    profile: Profile,
    run: str,
    *,
    pipeline: Path = SKY_YAML,
    settings: Settings | None = None,
    digests: Path = DIGESTS,
    environment: Mapping[str, str] = os.environ,
    renting: Renting | None = None,
    target: Target | None = None,
    through: str | None = None,
) -> list[dict[str, Any]]:
    """The tasks of a pipeline, ready to be submitted except for the values of their secrets.

    - Stages that the profile does not ask for, or after `through`, are left out, and so are tasks without others.
    - GPUs are the profile's. Images are named by their pushed digests, or else as in the file (see `unpushed_images`).
    - RUN_ID and CORTEX_BUCKET are filled in. A variable that the file leaves empty gets the caller's value, or is
      removed where the caller has none.
    - A task that trains gets its trackers' variables, keys among its secrets; one that labels gets the teacher's.
    - By default a profile with a deadline rents spot machines first and then on demand, any other as the file says.
    - All tasks go to the cloud `target`, if given. If that is not the bucket's own, they get its keys as secrets.

    Raises:
        ConfigError: the file is no valid pipeline, or no machine is left for a task.
    """
    settings = settings or Settings()
    fill = _Fill(run, settings, read_digests(digests), environment)
    renting = renting or ("spot first" if profile.budget.hours else "as written")
    resolved: list[dict[str, Any]] = []
    for document in _tasks(pipeline):
        named = stages(document, pipeline)
        wanted = up_to([stage for stage in named if find_stage(stage).wanted(profile)], through)
        if named and not wanted:
            continue
        gpus = max((gpus_of(stage, profile.hardware) for stage in wanted), default=profile.hardware.export_gpus)
        task = {**document, "run": _with_stages(str(document["run"]), wanted)}
        task["envs"] = {"RUN_ID": None, "CORTEX_BUCKET": None, **(document.get("envs") or {})}
        if named:
            task["envs"][DIGEST_VARIABLE] = profile.digest
            task["secrets"] = {**(document.get("secrets") or {}), SECRET_VARIABLE: ""}
        task |= _num_nodes(document, wanted, profile, pipeline)
        if "label" in wanted:
            task["secrets"] |= dict.fromkeys(profile.teacher.key_variables, "")
        if any(stage in TRAINERS for stage in wanted):
            task |= with_trackers(task, profile.tracking, environment)
        task = _with_keys(task, settings.bucket_url, target)
        machines = fit_alternatives(
            task,
            profile.hardware,
            gpus,
            settings.bucket_url,
            settings.network_regions,
            target=target,
            nodes=task.get("num_nodes", 1),
        )
        task["resources"] = apply_renting(machines, profile.hardware.accelerator, renting)
        resolved.append(fill(task))
    if not resolved:
        raise ConfigError(f"{pipeline} has no task that runs a stage of profile {profile.name}")
    return resolved


def resolve_job(
    path: Path,
    *,
    settings: Settings | None = None,
    digests: Path = DIGESTS,
    environment: Mapping[str, str] = os.environ,
    target: Target | None = None,
    run: str | None = None,
    hardware: Hardware | None = None,
    gpus: int = 0,
) -> dict[str, Any]:
    """The one task of a file in `jobs/`, filled in as by `resolve`: with the file's own GPUs and name, unless it works
    for a `run`, and `hardware` and `gpus` are given.

    Raises:
        ConfigError: the file does not hold exactly one task, or no machine is left for it.
    """
    settings = settings or Settings()
    tasks = _tasks(path)
    if len(tasks) != 1:
        raise ConfigError(f"{path} holds {len(tasks)} tasks with a `run`, not one")
    task, bucket = tasks[0], settings.bucket_url
    if target and "CORTEX_BUCKET" not in (task.get("envs") or {}):
        bucket = ""  # the task uses no bucket, so any cloud will do
    task = _with_keys(task, bucket, target)
    nodes = task.get("num_nodes", 1)
    machines = fit_alternatives(task, hardware, gpus, bucket, settings.network_regions, target=target, nodes=nodes)
    task = {**task, "resources": machines}
    return _Fill(run or path.stem, settings, read_digests(digests), environment)(task)


def find_job(name: str) -> Path:
    """Path of a file in `jobs/`, given its name, or of any file, given its path.

    Raises:
        UsageError: there is none.
    """
    try:
        path = Path(expand(name))
    except ValueError as error:
        raise UsageError(f"job {error}") from error
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UsageError(f"there is no file {path}: give the path of a SkyPilot task, or a name in {JOBS}")
        return path
    known = sorted(path.stem for path in JOBS.glob("*.yaml"))
    if name not in known:
        raise UsageError(f"no job {name!r}: {nearest(name, known)}")
    return JOBS / f"{name}.yaml"


def stages(document: Mapping[str, Any], where: Path) -> list[str]:
    """The stages that a task runs, in order; none for a task of another kind.

    Raises:
        ConfigError: it names a stage that does not exist.
    """
    found = [word for call in _STAGES.finditer(str(document.get("run"))) for word in call["stages"].split()]
    for stage in found:
        try:
            find_stage(stage)
        except UsageError as error:
            raise ConfigError(f"{where}, task {document.get('name')!r}: {error}") from error
    return found


def unpushed_images(documents: list[dict[str, Any]]) -> list[str]:
    """The kit's images that the tasks do not name by a pushed digest."""
    named = [container_of(document["resources"].get("image_id")) or "" for document in documents]
    return sorted({name for image in named if (name := image_name(image)) and "@sha256:" not in image})


def secrets(documents: list[dict[str, Any]]) -> list[str]:
    """The names of all secrets that the user has to provide; the run's own secret comes from the launch."""
    return sorted({name for document in documents for name in document.get("secrets") or {}} - {SECRET_VARIABLE})


def dump(documents: Sequence[Mapping[str, Any]], name: str) -> str:
    """The chain of tasks as YAML for SkyPilot, under the job's name."""
    return yaml.safe_dump_all([{"name": name}, *map(dict, documents)], sort_keys=False, width=120)


def _num_nodes(document: Mapping[str, Any], wanted: list[str], profile: Profile, where: Path) -> dict[str, int]:
    """SkyPilot's `num_nodes` of a task: the profile's `hardware.nodes` if the task trains, else empty.

    Raises:
        ConfigError: the file asks for another number, or the task does more than train.
    """
    trains = [stage for stage in wanted if stage in TRAINERS]
    nodes = profile.hardware.nodes if trains else 1
    asked = document.get("num_nodes", nodes)
    if asked != nodes or isinstance(asked, bool):
        raise ConfigError(
            f"{where}, task {document.get('name')!r}: num_nodes is {asked!r}, and profile {profile.name} has "
            f"{nodes} for it: remove it, and set hardware.nodes in the profile, which tasks that train go by"
        )
    if nodes > 1 and len(trains) < len(wanted):
        others = " and ".join(stage for stage in wanted if stage not in TRAINERS)
        raise ConfigError(
            f"{where}, task {document.get('name')!r}: {others} would run on {nodes} machines at once: give it a task "
            f"of its own, apart from {' and '.join(trains)}"
        )
    return {"num_nodes": nodes} if nodes > 1 else {}


def _with_keys(task: dict[str, Any], bucket: str, target: Target | None) -> dict[str, Any]:
    """The task with the names of the bucket's keys among its secrets, where `target` is not the bucket's cloud."""
    names = names_of_keys(bucket, target.cloud) if target else ()
    return {**task, "secrets": {**(task.get("secrets") or {}), **dict.fromkeys(names, "")}} if names else task


def _with_stages(text: str, wanted: list[str]) -> str:
    def call(match: "re.Match[str]") -> str:
        kept = [word for word in match["stages"].split() if word in wanted]
        # A call without stages becomes `true`, since it may stand between others: `cortex run sft && cortex run dpo`.
        return f"cortex run {' '.join(kept)}" if kept else "true"

    return _STAGES.sub(call, text)


@dataclass(frozen=True)
class _Fill:
    """Fills variables, the image and labels into a task."""

    run: str
    settings: Settings
    digests: Mapping[str, str]
    environment: Mapping[str, str]

    def __call__(self, task: dict[str, Any]) -> dict[str, Any]:
        resources = dict(task["resources"])
        login, secret = dict[str, str](), dict[str, str]()
        container = container_of(resources.get("image_id"))
        if container:
            container = self._image(container)
            resources["image_id"] = with_container(resources["image_id"], container)
            login, secret = self._login(container)
        tags = {
            RUN_TAG: run_label(self.run),
            OWNER_TAG: owner_label(self.settings.owner),
            BUCKET_TAG: bucket_label(self.settings.bucket_url),
        }
        resources["labels"] = {**(resources.get("labels") or {}), **tags}
        filled = {**task, "resources": resources, "envs": {**self._variables(task.get("envs") or {}), **login}}
        return {**filled, "secrets": {**(task.get("secrets") or {}), **secret}} if secret else filled

    def _variables(self, variables: Mapping[str, Any]) -> dict[str, str]:
        given = {**self.environment, "RUN_ID": self.run, "CORTEX_BUCKET": self.settings.bucket_url}
        if self.settings.bucket_url.startswith("az://"):
            # The URL of an Azure container does not name its storage account.
            variables = {AZURE_ACCOUNT: None, **variables}
        filled = {name: given.get(name) if value is None else str(value) for name, value in variables.items()}
        return {name: value for name, value in filled.items() if value is not None}

    def _image(self, container: str) -> str:
        digest = self.digests.get(image_name(container) or "")
        return f"docker:{digest}" if digest else container

    def _login(self, image: str) -> tuple[dict[str, str], dict[str, str]]:
        """Variables and secrets for a machine's login to an image's registry: by the user's own login, if it is set."""
        host = image.removeprefix("docker:").partition("/")[0]
        given = {name: self.environment.get(name) for name in (SERVER, USERNAME, PASSWORD)}
        if given[USERNAME] and given[PASSWORD] and (given[SERVER] or host) == host:
            return {}, {SERVER: host, USERNAME: "", PASSWORD: ""}  # the values are filled in on submission
        if _ECR.fullmatch(host):
            # With an empty password, SkyPilot logs the machine in to ECR by its role.
            return {SERVER: host, USERNAME: "AWS", PASSWORD: ""}, {}
        if host.endswith(ARTIFACT_REGISTRY):
            # Likewise by the service account of a machine at Google; elsewhere SkyPilot pulls without a login, which
            # works for public images.
            return {SERVER: host, USERNAME: "", PASSWORD: ""}, {}
        return {}, {}


def _tasks(path: Path) -> list[dict[str, Any]]:
    tasks = [document for document in read_documents(path) if "run" in document]
    for task in tasks:
        if not isinstance(task.get("resources") or {}, dict):
            raise ConfigError(f"{path}, task {task.get('name')!r}: `resources` is not a mapping")
    return tasks
