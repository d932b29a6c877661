"""The `config.json` of a profile's base model, from which its size and the time of its steps are computed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from cortex.bases.base_folder import is_folder
from cortex.bases.base_hub import HubSilentError, read_hub_config
from cortex.bases.base_rules import CONFIG
from cortex.errors import ConfigError
from cortex.limits import CONFIG_BYTES, TooLargeError, read_file, read_json
from cortex.profiles.profile_sections import Model, ScratchModel
from cortex.settings import CHECKOUT

SHAPES = CHECKOUT / "jobs" / "shapes"
"""A folder for each base of a shipped profile, named `owner--name`, with the hub's `config.json`: so that `cortex plan`
needs neither a token nor the internet."""

HUB_SECONDS = 10.0


def shipped_config(base: str) -> Path | None:
    """The folder of `jobs/shapes/` that describes a base of the hub; None if there is none."""
    folder = SHAPES / base.replace("/", "--")
    return folder if "/" in base and (folder / CONFIG).is_file() else None


def base_config(model: Model, environment: Mapping[str, str], seconds: float = HUB_SECONDS) -> dict[str, Any]:
    """The contents of the base's `config.json`: from its folder, else from `jobs/shapes/`, else from the hub.

    Raises:
        ConfigError: there is none, it is no JSON object, or it is on the hub alone, which does not answer.
    """
    if model.scratch:
        return _scratch_config(model.scratch)
    base = model.base
    assert base is not None
    if is_folder(base):
        return _read_config(Path(base).expanduser())
    folder = shipped_config(base)
    if folder:
        return _read_config(folder)
    try:
        return read_hub_config(base, environment, seconds, model.revision)
    except HubSilentError as error:
        raise ConfigError(
            f"the shape of {base} is not known here: {error}; put its config.json into "
            f"jobs/shapes/{base.replace('/', '--')}/"
        ) from error


def _read_config(folder: Path) -> dict[str, Any]:
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


def _scratch_config(shape: ScratchModel) -> dict[str, Any]:
    """The configuration of the model that `cortex.models.scratch` builds."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": -(-shape.vocabulary // 16) * 16,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads or shape.heads,
        "max_position_embeddings": shape.context,
        "rope_parameters": {"rope_theta": shape.rope_theta, "rope_type": "default"},
        "tie_word_embeddings": True,
    }
