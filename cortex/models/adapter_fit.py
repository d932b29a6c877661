"""The fit of an adapter to its base, read from the files of both, without loading either."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortex.errors import ConfigError
from cortex.limits import CONFIG_BYTES, MIB, read_file, read_json
from cortex.models.model_files import ADAPTER_FILE, ADAPTER_WEIGHTS

_MORE_THAN_LORA = (
    "use_dora",
    "lora_bias",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
)
"""Keys of PEFT's configuration, each of which makes of an adapter more than two matrices of one rank for each layer."""

_HEADER_BYTES = 100 * MIB
"""Longest header of a safetensors file, as the format's own reader has it."""

_PREFIX, _DOWN, _UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of tensors, by their names."""


def adapter_rank(adapter: Path) -> int:
    """The rank of a LoRA adapter.

    Raises:
        ConfigError: the folder holds no adapter, or one that is more than LoRA.
    """
    path = adapter / ADAPTER_FILE
    try:
        config: Any = read_json(read_file(path, CONFIG_BYTES))
    except FileNotFoundError as error:
        raise ConfigError(f"{adapter} holds no {ADAPTER_FILE}, so no adapter: serve another copy") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: download the release again") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise ConfigError(f"{path}: peft_type is not LORA: serve the copy `model`, into which it is merged")
    more = [key for key in _MORE_THAN_LORA if config.get(key)] + ["bias"] * (config.get("bias", "none") != "none")
    if more:
        raise ConfigError(f"{path}: {more[0]} is set, so it is more than LoRA: serve the copy `model`")
    rank = config.get("r")
    if not isinstance(rank, int) or rank < 1:
        raise ConfigError(f"{path}: r is {rank!r}, which is no rank: download the release again")
    return rank


def require_fit(adapter: Path, base: Path) -> None:
    """Refuse an adapter whose matrices do not belong to layers of the base, or have another rank than it states.

    Layers of a quantized base, whose files hold them packed, are compared by name and rank alone.

    Raises:
        ConfigError: the message names the first layer that does not fit.
    """
    rank, file = adapter_rank(adapter), adapter / ADAPTER_WEIGHTS
    layers = _layers(base)
    packed = "quantization_config" in json.loads(read_file((base / "config.json").resolve(), CONFIG_BYTES))
    for name, shape in tensor_shapes(file).items():
        if not name.endswith((_DOWN, _UP)):
            raise ConfigError(f"{file}: {name} is no matrix of LoRA: serve the copy `model`")
        layer = name.removeprefix(_PREFIX).removesuffix(_DOWN).removesuffix(_UP)
        weight = layers.get(layer) or layers.get(_tail(layer))
        if weight is None:
            raise ConfigError(f"{file}: the base in {base} has no layer {layer}: name the base that it was trained on")
        # A layer of (out, in) has a matrix down, (rank, in), and one up, (out, rank).
        rows, columns = (shape[0], shape[-1]) if packed else weight
        wanted = (rank, columns) if name.endswith(_DOWN) else (rows, rank)
        if shape != wanted:
            raise ConfigError(
                f"{file}: {name} is {_words(shape)}, where rank {rank} on the base in {base} needs {_words(wanted)}: "
                "name the base that it was trained on"
            )


def _layers(base: Path) -> dict[str, tuple[int, ...]]:
    """Shapes (out, in) of a model's layers, by their names, and by their names from `layers.` on."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(base.glob("*.safetensors")):
        shapes = {name.rpartition(".")[0]: shape for name, shape in tensor_shapes(file).items() if len(shape) == 2}
        found |= shapes
        for name, shape in shapes.items():
            found.setdefault(_tail(name), shape)
    return found


def _tail(layer: str) -> str:
    """A layer's name from `layers.` on: what comes before may differ between transformers and a model's files."""
    return layer[layer.find("layers.") :] if "layers." in layer else layer


def tensor_shapes(file: Path) -> Shapes:
    """Shapes of the tensors of a safetensors file (https://huggingface.co/docs/safetensors: a length, then JSON).

    Raises:
        ConfigError: it is no such file.
    """
    try:
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            header = read_json(opened.read(min(size, _HEADER_BYTES)))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} is no safetensors file that can be read: fetch it again") from error


def _words(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape))
