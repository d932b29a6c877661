"""Check of the profile's trackers: images have their packages, keys are set, and servers accept the keys."""

import re
from pathlib import Path

from cortex.artifacts.parallel import in_parallel
from cortex.errors import ConfigError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Document, Ground
from cortex.fleet.tasks.image_digests import read_digests
from cortex.fleet.tasks.run_tasks import stages
from cortex.limits import read_json
from cortex.local.environments import IMAGES
from cortex.runs.pipeline import container_of, image_name
from cortex.runs.stage_list import TRAINERS
from cortex.tracking.mlflow_api import MlflowApi, MlflowError, MlflowRefusedError
from cortex.tracking.packaged import wandb_server
from cortex.tracking.tracker_needs import NEEDS, hide_keys, missing_variable

NAME = "tracking"

_SECONDS = 5.0
"""Timeout of a tracker's server."""

_DOWN = "see that the machines can reach it: until they do, a training goes on undrawn, and is caught up later"


def check(ground: Ground) -> Finding:
    """Check all trackers at once. A server that does not answer is only a warning: training goes on without it."""
    trackers = ground.profile.tracking
    if not trackers:
        return Finding(NAME, None, "the profile names no tracker: `cortex curves` draws a run at any time")
    found = in_parallel(lambda tracker: _look(tracker, ground), trackers, len(trackers))
    faults = [finding for finding in found if not finding.ok] or [finding for finding in found if finding.fix]
    detail = hide_keys("; ".join(finding.detail for finding in faults or found), ground.environment)
    fix = "; ".join(dict.fromkeys(str(finding.fix) for finding in faults)) or None
    return Finding(NAME, all(finding.ok for finding in found), detail, fix)


def lacking_images(tracker: str, ground: Ground) -> list[str]:
    """The images of training tasks whose locks lack a tracker's package; only the kit's own images are judged."""
    package = NEEDS[tracker].package
    images = {_image(task, ground.digests) for task in ground.documents if _trains(task)} - {None}
    return sorted(image for image in images if image and package and package not in locked_packages(image))


def locked_packages(image: str) -> frozenset[str]:
    """The packages in the lock of one of the kit's images, as it is used on GPUs."""
    return frozenset(re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==", _lock(image).read_text(encoding="utf-8")))


def _look(tracker: str, ground: Ground) -> Finding:
    """The finding for one tracker."""
    images = lacking_images(tracker, ground)
    if images:
        where = " and ".join(f"images/{image}/requirements.in" for image in images)
        fix = f"name {tracker} in {where}, then `make locks && make images && make push`; or take it out of `tracking`"
        return Finding(NAME, False, f"{tracker} is not in the image {' and '.join(images)}", fix)
    missing = missing_variable(tracker, ground.environment)
    if missing:
        fix = f"{NEEDS[tracker].fix}; or take {tracker} out of `tracking` in the profile"
        return Finding(NAME, False, f"{missing} is not set, and the profile draws in {tracker}", fix)
    try:
        if tracker == "mlflow":
            return _ask_mlflow(ground)
        if tracker == "wandb" and NEEDS[tracker].required(ground.environment):
            return _ask_wandb(ground)
    except ConfigError as error:
        return Finding(NAME, False, str(error), "correct what is named")
    return Finding(NAME, True, f"{tracker} has what it needs")


def _ask_mlflow(ground: Ground) -> Finding:
    api = MlflowApi(ground.environment, ground.settings, _SECONDS)
    try:
        api.ask("GET", "mlflow/experiments/search?max_results=1")
    except MlflowRefusedError as error:
        fix = "export MLFLOW_TRACKING_TOKEN=..., or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        return Finding(NAME, False, f"mlflow does not let us in: {error}", fix)
    except MlflowError as error:
        return Finding(NAME, True, f"mlflow could not be asked: {error}", _DOWN)
    return Finding(NAME, True, f"mlflow answers at {api.url}")


def _ask_wandb(ground: Ground) -> Finding:
    """Ask the server for the key's user, as `wandb login --verify` does."""
    import httpx

    url = wandb_server(ground.environment, ground.settings)
    question = {"query": "query Viewer { viewer { username } }"}
    try:
        answer = httpx.post(
            f"{url}/graphql", json=question, auth=("api", ground.environment["WANDB_API_KEY"]), timeout=_SECONDS
        )
        refused = answer.status_code in (401, 403)
        viewer = None if refused else read_json(answer.raise_for_status().content)["data"]["viewer"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        words = f"wandb could not be asked at {url} ({type(error).__name__})"
        return Finding(NAME, True, words, _DOWN)
    if viewer is None:
        return Finding(NAME, False, f"{url} does not accept WANDB_API_KEY", NEEDS["wandb"].fix)
    return Finding(NAME, True, f"wandb knows the key at {url}")


def _trains(task: Document) -> bool:
    return any(stage in TRAINERS for stage in stages(task, Path("the pipeline")))


def _image(task: Document, digests: Path) -> str | None:
    """The folder under `images/` of a task's image, even if the task names the image by its digest."""
    image = container_of((task.get("resources") or {}).get("image_id")) or ""
    pushed = {f"docker:{digest}": name for name, digest in read_digests(digests).items()}
    name = pushed.get(image) or image_name(image)
    return name if name and _lock(name).is_file() else None


def _lock(image: str) -> Path:
    return IMAGES / image / "requirements.lock"
