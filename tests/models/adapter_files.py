"""The files of a small base and of its adapters, of zeros: enough to tell which belong together."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WIDE, NARROW = 8, 4
LAYER = "model.layers.0.self_attn.{}_proj"
CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"], "bias": "none"}


def write_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A safetensors file of zeros."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))


def write_base(folder: Path, note: str = "") -> Path:
    """A base of one layer. `note` makes it another model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "note": note}))
    shapes = {f"{LAYER.format('q')}.weight": (WIDE, WIDE), f"{LAYER.format('v')}.weight": (NARROW, WIDE)}
    write_tensors(folder / "model.safetensors", {**shapes, "model.norm.weight": (WIDE,)})
    return folder


def write_adapter(folder: Path, rank: int = 2, narrow: int = NARROW, **config: Any) -> Path:
    """An adapter of `write_base`'s layer. `narrow` is the length of values that it was made for."""
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, "r": rank, **config}))
    shapes: dict[str, tuple[int, ...]] = {}
    for letter, rows in (("q", WIDE), ("v", narrow)):
        name = f"base_model.model.{LAYER.format(letter)}"
        shapes |= {f"{name}.lora_A.weight": (rank, WIDE), f"{name}.lora_B.weight": (rows, rank)}
    write_tensors(folder / "adapter_model.safetensors", shapes)
    return folder
