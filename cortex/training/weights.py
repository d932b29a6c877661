"""What of a trainer's output is the model: weights, configuration and tokenizer, and nothing of the machine."""

import shutil
from pathlib import Path

_KINDS = (".safetensors", ".json", ".jinja", ".model")
_NOT_THE_MODEL = ("trainer_state.json",)


def collect_model(trained: Path, target: Path) -> None:
    """Move the final weights and tokenizer out of a trainer's folder, which holds checkpoints and pickles too.

    The pickled arguments stay behind: they name this machine's paths, and whoever opens them runs what is in them.
    """
    target.mkdir()
    for path in sorted(trained.iterdir()):
        if path.is_file() and path.suffix in _KINDS and path.name not in _NOT_THE_MODEL:
            shutil.move(path, target / path.name)
