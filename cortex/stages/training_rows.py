"""The rows that a stage trains on, made once and kept in its folder, where a resumed attempt finds them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cortex.runs.context import RunContext


def rows_file(context: RunContext, stage: str, name: str, make: Callable[[], Sequence[dict[str, Any]]]) -> Path:
    """The file `name` of a stage's folder, with the rows that `make` returned, as JSON lines."""
    path = context.folder(stage) / name
    if not path.exists():
        aside = path.with_suffix(".partial")
        aside.write_text("".join(json.dumps(row) + "\n" for row in make()), encoding="utf-8")
        aside.rename(path)
    return path
