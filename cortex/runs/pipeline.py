"""The pipeline as `sky.yaml` describes it: a chain of tasks, each with an image and the stages it runs.

The cloud and the rehearsal read the same file. A task's `run` is one line, `cortex run STAGE...`; its image is
`docker:<registry>/cortex-<name>...`, and `<name>` is the folder under `images/`. The machine's own image may
stand beside that: `{docker: <registry>/cortex-<name>..., us-east-1: ami-...}`.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shorten
from typing import Any, cast

from cortex.errors import ConfigError
from cortex.settings import CHECKOUT
from cortex.yaml_reader import read_yaml_documents

SKY_YAML = CHECKOUT / "sky.yaml"
VARIABLES = ("envs", "secrets")
"""The keys of a task whose values become environment variables, which are texts."""
_IMAGE = re.compile(r"^docker:(?:.*/)?cortex-(?P<name>[a-z0-9]+)(?:[:@].*)?$")


@dataclass(frozen=True)
class Task:
    """The part of the pipeline that runs on one machine."""

    name: str
    image: str
    """A folder under `images/`."""
    stages: tuple[str, ...]


def read_pipeline(path: Path = SKY_YAML) -> list[Task]:
    """The tasks, in order.

    Raises:
        ConfigError: the file is not a chain of such tasks.
    """
    tasks = [_task(path, document) for document in read_documents(path) if "run" in document]
    if not tasks:
        raise ConfigError(f"{path} has no task with a `run`")
    return tasks


def read_documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a pipeline as they are written, including the one that only names it; variables are texts.

    Raises:
        ConfigError: the file cannot be read, or has a document that is no mapping.
    """
    try:
        documents = [document for document in read_yaml_documents(path, texts=VARIABLES) if document]
    except FileNotFoundError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    stray = next((document for document in documents if not isinstance(document, dict)), None)
    if stray is not None:
        fix = "a task is a mapping with `name`, `resources` and `run`"
        raise ConfigError(f"{path}: {shorten(stray)} is not a task: {fix}")
    return documents


def container_of(image_id: object) -> str | None:
    """The container's image, as `docker:...`; None if there is no container.

    SkyPilot takes a text, or a mapping with the machine's own image for each region and the container's for `docker`.
    """
    if isinstance(image_id, dict):
        named = cast(dict[str, Any], image_id).get("docker")
        return f"docker:{str(named).removeprefix('docker:')}" if named else None
    return image_id if isinstance(image_id, str) and image_id.startswith("docker:") else None


def with_container(image_id: object, container: str) -> object:
    """The same `image_id` with another container's image."""
    if isinstance(image_id, dict):
        return {**cast(dict[str, Any], image_id), "docker": container.removeprefix("docker:")}
    return container


def image_name(image_id: str) -> str | None:
    """The folder under `images/` that an `image_id` is made from; None for another image than the kit's."""
    found = _IMAGE.match(image_id)
    return found["name"] if found else None


def _task(path: Path, document: dict[str, Any]) -> Task:
    name = str(document.get("name"))
    resources: Any = document.get("resources")
    image_id = cast(dict[str, Any], resources).get("image_id") if isinstance(resources, dict) else None
    image = image_name(container_of(image_id) or "")
    if image is None:
        raise ConfigError(
            f"{path}, task {name!r}: resources.image_id is not docker:<registry>/cortex-<image>, nor "
            "{docker: <registry>/cortex-<image>, <region>: <the machine's own image>}"
        )
    try:
        words = shlex.split(str(document["run"]), comments=True)
    except ValueError as error:
        raise ConfigError(f"{path}, task {name!r}: `run` cannot be split into words: {error}") from error
    if words[:2] != ["cortex", "run"] or len(words) < 3:
        raise ConfigError(f"{path}, task {name!r}: `run` is not `cortex run STAGE...` but {document['run']!r}")
    return Task(name, image, tuple(words[2:]))
