"""The `config.json` of a profile's base model: what its size and its steps are computed from, without any weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from cortex.errors import ConfigError
from cortex.limits import CONFIG_BYTES, TooLargeError, read_file, read_json
from cortex.runs.base_folder import is_folder
from cortex.runs.base_hub import HubSilentError, read_hub_config
from cortex.runs.base_rules import CONFIG
from cortex.runs.profile_sections import Model, ScratchModel
from cortex.settings import CHECKOUT

SHAPES = CHECKOUT / "jobs" / "shapes"
"""A folder for each base of a shipped profile, named `owner--name`, with the `config.json` that the hub has: so that
nobody needs a token, or the internet, to learn what fits."""

HUB_SECONDS = 10.0


def shipped_config(base: str) -> Path | None:
    """The folder of `jobs/shapes/` that describes a base of the hub; None where none does."""
    folder = SHAPES / base.replace("/", "--")
    return folder if "/" in base and (folder / CONFIG).is_file() else None


def base_config(model: Model, environment: Mapping[str, str], seconds: float = HUB_SECONDS) -> dict[str, Any]:
    """What the base's `config.json` says: from its folder, else from `jobs/shapes/`, else from the hub.

    Raises:
        ConfigError: there is none, it is no JSON object, or only the hub could tell and does not answer.
    """
    if model.scratch:
        return _of_scratch(model.scratch)
    base = model.base
    assert base is not None
    if is_folder(base):
        return _read(Path(base).expanduser())
    folder = shipped_config(base)
    if folder:
        return _read(folder)
    try:
        return read_hub_config(base, environment, seconds, model.revision)
    except HubSilentError as error:
        raise ConfigError(
            f"the shape of {base} is not known here: {error}; put its config.json into "
            f"jobs/shapes/{base.replace('/', '--')}/"
        ) from error


def _read(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        found: Any = read_json(read_file(path.resolve(), CONFIG_BYTES), nan=True)  # a hub's cache holds links
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): name a folder that holds a whole model"
        ) from error
    except (ValueError, TooLargeError) as error:
        raise ConfigError(f"{path} is no model's configuration ({error}): copy it again") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds no JSON object: copy it again")
    return cast(dict[str, Any], found)


def _of_scratch(shape: ScratchModel) -> dict[str, Any]:
    """As `cortex.training.scratch` builds it."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": -(-shape.vocabulary // 16) * 16,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": True,
    }
