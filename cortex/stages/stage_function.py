"""The function of a stage, found by its name."""

import importlib
from collections.abc import Callable
from pathlib import Path

from cortex.runs.context import RunContext

StageFunction = Callable[[RunContext, Path], None]
"""Fills an empty folder, which becomes the artifact, and changes nothing else."""


def stage_function(name: str) -> StageFunction:
    """The function `run` of the module `cortex.stages.<name>`.

    The module is imported only now, since its heavy libraries are installed only where the stage runs.
    """
    return importlib.import_module(f"cortex.stages.{name}").run
