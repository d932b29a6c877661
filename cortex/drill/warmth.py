"""A warm Python, started and ended beside the drill."""

import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cortex.drill.stand_in import Trainer
from cortex.errors import StageError
from cortex.process import running

MODULES: dict[Trainer, tuple[str, ...]] = {
    "grpo": ("cortex.cli", "cortex.stages.runner", "cortex.stages.grpo", "cortex.drill.bare_grpo", "peft"),
    "sft": (
        "cortex.cli",
        "cortex.stages.runner",
        "cortex.stages.sft",
        "axolotl.cli.main",
        "axolotl.cli.train",
        "axolotl.core.builders",
        "axolotl.loaders",
        "axolotl.utils.trainer",
        "cortex.training.axolotl_plugin",
        "cortex.drill.axolotl_witness",
    ),
}
"""What a stage's programs import, both sides' and the kit's own."""

FURTHER = ("transformers.models.llama.modeling_llama", "transformers.trainer", "datasets")


@contextmanager
def warm(python: Path, stage: Trainer, variables: Mapping[str, str], log: Path) -> Generator[Path]:
    """A folder of programs whose Python has imported what a stage's trainer needs.

    Raises:
        StageError: it could not be imported; the log says why.
    """
    # A socket's path may be no longer than 100 characters or so: it is not kept with the rest.
    with tempfile.TemporaryDirectory(prefix="drill-") as programs, log.open("w") as output:
        server = Path(programs)
        command = [python, "-m", "cortex.drill.warm", server, *MODULES[stage], *FURTHER]
        with running(command, env=variables, stdout=subprocess.PIPE, stderr=output) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line == "ready\n":
                    break
            else:
                raise StageError(f"{stage}: its libraries cannot be imported: {log} says why")
            yield server
