"""The model's files in a trainer's output: weights, configuration and tokenizer, and nothing of the machine."""

import json
import shutil
from pathlib import Path

from cortex.bases.base_model import base_artifact
from cortex.limits import CONFIG_BYTES, read_file
from cortex.runs.context import RunContext

ADAPTER = "adapter"
"""The folder of an export, and of a release, that holds the adapter as it was trained."""

ADAPTER_FILE = "adapter_config.json"
"""File that marks a folder as an adapter's."""

TOKENIZER_FILE = "tokenizer_config.json"
"""File with a tokenizer's settings, the longest sequence among them."""

ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""File of an adapter's matrices."""

_KINDS = (".safetensors", ".json", ".jinja", ".model")
_NOT_THE_MODEL = ("trainer_state.json",)


def collect_model(trained: Path, target: Path) -> None:
    """Move the final weights and tokenizer out of a trainer's folder, which also holds checkpoints and pickles.

    The pickled arguments stay behind: they hold this machine's paths, and opening a pickle runs its code.
    """
    target.mkdir()
    for path in sorted(trained.iterdir()):
        if path.is_file() and path.suffix in _KINDS and path.name not in _NOT_THE_MODEL:
            shutil.move(path, target / path.name)


def name_base(folder: Path, context: RunContext) -> None:
    """Write the base's name and revision into an adapter's configuration.

    The trainer wrote a folder of this machine there, which means nothing elsewhere and differs between machines.
    """
    path, base = folder / ADAPTER_FILE, base_artifact(context)
    if base is None or not path.exists():
        return
    config = json.loads(read_file(path, CONFIG_BYTES))
    config |= {"base_model_name_or_path": context.profile.model.base, "revision": base.manifest.meta.get("revision")}
    path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def lengthen_context(folder: Path, positions: int) -> None:
    """Let a model's tokenizer take sequences of so many tokens, if it took fewer: vLLM serves no longer ones."""
    path = folder / TOKENIZER_FILE
    config = json.loads(read_file(path, CONFIG_BYTES))
    if config.get("model_max_length", positions) < positions:
        config["model_max_length"] = positions
        path.write_text(json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def is_adapter(folder: Path) -> bool:
    """True where a folder holds an adapter, which needs its base."""
    return (folder / ADAPTER_FILE).is_file()


def copy_adapter(trained: Path, target: Path) -> None:
    """Copy an adapter, and nothing else, out of a trained model's folder."""
    target.mkdir()
    for name in (ADAPTER_FILE, ADAPTER_WEIGHTS):
        shutil.copyfile(trained / name, target / name)
