"""The domain that `cortex domain init` writes, as a class to be changed."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from cortex.domains.domain import Domain
from cortex.domains.scaffold import scaffold


@cache
def toy_class() -> type[Domain]:
    with tempfile.TemporaryDirectory() as folder:
        [path, *_] = scaffold("toy", Path(folder))
        names: dict[str, Any] = {"__name__": "toy"}
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    return names["DOMAIN"]
