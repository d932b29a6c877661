"""Check that the registry has the images that the tasks would start, by digest."""

from collections.abc import Mapping
from pathlib import Path

from cortex.artifacts.parallel import in_parallel
from cortex.errors import ConfigError, CortexError, RefusedError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground, resources
from cortex.fleet.preflight.image_registry import Image, is_there
from cortex.fleet.tasks.image_digests import read_digests
from cortex.runs.pipeline import container_of, image_name

NAME = "images"

_PUSH = "make images && make push"
_LOG_IN = "log in: `docker login`, or SKYPILOT_DOCKER_USERNAME and SKYPILOT_DOCKER_PASSWORD"


def check(ground: Ground) -> Finding:
    """Ask for each image by the digest that `make push` wrote, with the login that a machine would use."""
    every = (container_of(entry.get("image_id")) for document in ground.documents for entry in resources(document))
    named = {container for container in every if container}
    if not named:
        return Finding(NAME, None, "the plan names no image: its tasks run on bare machines")
    try:
        pushed = _pushed(ground.digests) if any("@" not in image for image in named) else {}
        images = {Image.parse(image if "@" in image else _digest(image, pushed)) for image in named}
    except ConfigError as error:
        return Finding(NAME, False, str(error), _PUSH)
    return _summed(in_parallel(lambda image: _ask(image, ground.environment), sorted(images, key=repr), 8), images)


def _ask(image: Image, environment: Mapping[str, str]) -> tuple[str, str]:
    """The result (`there`, `missing`, `refused` or `unknown`), and a description of a fault."""
    try:
        if is_there(image, environment):
            return "there", ""
    except RefusedError as error:
        return "refused", str(error)
    except CortexError as error:
        return "unknown", str(error)
    return "missing", f"{image.host}/{image.repository} has no {image.digest[:19]}"


def _summed(answers: list[tuple[str, str]], images: set[Image]) -> Finding:
    faults = {
        kind: sorted({words for how, words in answers if how == kind}) for kind in ("missing", "refused", "unknown")
    }
    if faults["missing"] or faults["refused"]:
        fixes = [*([_PUSH] if faults["missing"] else []), *([_LOG_IN] if faults["refused"] else [])]
        return Finding(NAME, False, "; ".join([*faults["missing"], *faults["refused"]]), "; ".join(fixes))
    if faults["unknown"]:
        return Finding(NAME, None, "; ".join(faults["unknown"]))
    return Finding(NAME, True, f"{len(images)} by digest in {', '.join(sorted({image.host for image in images}))}")


def _pushed(path: Path) -> dict[str, str]:
    """References with digests of the pushed images, by short name."""
    if not path.exists():
        raise ConfigError(f"{path} is not there: the images were never pushed")
    return read_digests(path)


def _digest(image: str, pushed: Mapping[str, str]) -> str:
    name = image_name(image)
    if name is None or name not in pushed:
        raise ConfigError(f"{image!r} has no digest: it was not pushed with the others")
    return pushed[name]
