"""Starting and ending a warm Python around code that starts many programs with it."""

import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cortex.drill.stand_in import Trainer
from cortex.errors import StageError
from cortex.process import running

_ALL = (
    "cortex.cli",
    "cortex.stages.runner",
    "transformers.models.llama.modeling_llama",
    "transformers.trainer",
    "datasets",
)

MODULES: dict[Trainer, tuple[str, ...]] = {
    "grpo": (*_ALL, "cortex.stages.grpo", "cortex.drill.bare_grpo", "peft"),
    "sft": (
        *_ALL,
        "cortex.stages.sft",
        "axolotl.cli.main",
        "axolotl.cli.train",
        "axolotl.core.builders",
        "axolotl.loaders",
        "axolotl.utils.trainer",
        "cortex.trainers.axolotl_plugin",
        "cortex.drill.axolotl_witness",
    ),
}
"""Modules that a stage's programs import, on both sides."""


@contextmanager
def warm(python: Path, modules: Sequence[str], variables: Mapping[str, str], log: Path) -> Generator[Path]:
    """A folder with a `python` that has imported these modules.

    `variables` fixes the environment that libraries read on import.

    Raises:
        StageError: they could not be imported; the log says why.
    """
    # A socket's path may have some 100 characters at most, so it is not in the drill's own folder.
    with tempfile.TemporaryDirectory(prefix="drill-") as programs, log.open("w", encoding="utf-8") as output:
        server = Path(programs)
        command = [python, "-m", "cortex.drill.warm", server, *modules]
        with running(command, env=variables, stdout=subprocess.PIPE, stderr=output) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line == "ready\n":
                    break
            else:
                raise StageError(f"{python}: the trainer's libraries cannot be imported: {log} says why")
            yield server
