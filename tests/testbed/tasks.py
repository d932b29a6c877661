"""Tasks written for images, made fit for the bed's machines: no image can be pulled there, but its environment is."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cortex.environments import environment, on_path
from cortex.runs.pipeline import SKY_YAML, read_pipeline
from cortex.settings import Settings

_IMAGE = re.compile(r"^docker:(?:.*/)?cortex-(?P<name>[a-z0-9]+)(?:[:@].*)?$")


def bare_pipeline(target: Path) -> Path:
    """Write `sky.yaml` for the bed's machines, and make the environments that stand for its images."""
    settings = Settings()
    return for_machines(SKY_YAML, target, {task.image: environment(task.image, settings) for task in read_pipeline()})


def for_machines(source: Path, target: Path, environments: Mapping[str, Path]) -> Path:
    """Write a copy whose tasks run in `environments` of this checkout, by image, in place of the images."""
    documents = [document for document in yaml.safe_load_all(source.read_text()) if document]
    target.write_text(yaml.safe_dump_all([_bare(document, environments) for document in documents], sort_keys=False))
    return target


def _bare(document: dict[str, Any], environments: Mapping[str, Path]) -> dict[str, Any]:
    resources = dict(document.get("resources") or {})
    image = _IMAGE.match(str(resources.pop("image_id", "")))
    if image is None:
        return document
    folder = environments[image["name"]]
    variables = on_path(folder) | {"PATH": f"{folder}/bin:/usr/local/bin:/usr/bin:/bin"}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    # When the task began here, for who measures; and a home, for the checkout is read only there.
    lines += ["date +%s.%N >> ~/started", 'export CORTEX_HOME="$HOME/.cortex"']
    lines += ['cortex() { python -m cortex "$@"; }', document["run"]]
    return document | {"resources": resources, "run": "\n".join(lines)}
