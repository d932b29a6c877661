"""The description of a dataset, `dataset.json`: reading and writing it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from cortex.domains.domain import DESCRIPTION
from cortex.errors import DataError
from cortex.limits import RECORD_BYTES, read_file, read_json


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write a dataset's description into its folder."""
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, default=str) + "\n", encoding="utf-8")


def read_description(folder: Path) -> dict[str, Any]:
    """A dataset's description, from its `dataset.json`."""
    path = folder / DESCRIPTION
    try:
        found: object = read_json(read_file(path, RECORD_BYTES))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no description that `cortex dataset build` wrote: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is no description that `cortex dataset build` wrote: it holds no JSON object")
    return cast(dict[str, Any], found)


def describe_part(description: dict[str, Any], name: str) -> dict[str, Any]:
    """The description of one domain's examples, out of a dataset's description: the whole of it, or a part."""
    return description["parts"][name] if "parts" in description else description
