"""Tasks written for images, changed to run on the bed's machines, which pull no image but see its environment."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cortex.local.environments import environment, on_path
from cortex.runs.pipeline import SKY_YAML, read_pipeline
from cortex.settings import Settings

_IMAGE = re.compile(r"^docker:(?:.*/)?cortex-(?P<name>[a-z0-9]+)(?:[:@].*)?$")


def bare_pipeline(target: Path, *groups: Sequence[str]) -> Path:
    """Write `sky.yaml` for the bed's machines, and make the environments that stand for its images.

    Each of `groups` names tasks that share a machine: every machine takes minutes to come up.
    """
    settings = Settings()
    for_machines(SKY_YAML, target, {task.image: environment(task.image, settings) for task in read_pipeline()})
    if groups:
        documents = {
            document.get("name"): document for document in yaml.safe_load_all(target.read_text(encoding="utf-8"))
        }
        tasks = [_joined([documents[name] for name in group]) for group in groups]
        target.write_text(yaml.safe_dump_all(tasks, sort_keys=False), encoding="utf-8")
    return target


def for_machines(source: Path, target: Path, environments: Mapping[str, Path]) -> Path:
    """Write a copy whose tasks run in `environments` of this checkout, by image, in place of the images."""
    documents = [document for document in yaml.safe_load_all(source.read_text(encoding="utf-8")) if document]
    target.write_text(
        yaml.safe_dump_all([_bare(document, environments) for document in documents], sort_keys=False), encoding="utf-8"
    )
    return target


def _joined(tasks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One task that does what several do, on a machine like the last one's."""
    runs = [f"{task['run']} || exit $?" for task in tasks]
    secrets = {name: value for task in tasks for name, value in (task.get("secrets") or {}).items()}
    return {**tasks[-1], "secrets": secrets, "run": "\n".join(runs)}


def _bare(document: dict[str, Any], environments: Mapping[str, Path]) -> dict[str, Any]:
    resources = dict(document.get("resources") or {})
    image = _IMAGE.match(str(resources.pop("image_id", "")))
    if image is None:
        return document
    folder = environments[image["name"]]
    variables = on_path(folder) | {"PATH": f"{folder}/bin:/usr/local/bin:/usr/bin:/bin"}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    # The time at which the task began, for tests that measure it; and a home, for the checkout is read only there.
    lines += ["date +%s.%N >> ~/started", 'export CORTEX_HOME="$HOME/.cortex"']
    lines += ['cortex() { python -m cortex "$@"; }', document["run"]]
    return document | {"resources": resources, "run": "\n".join(lines)}
