"""How many bytes a profile's model, its checkpoints and its copies take on a disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex.limits import CONFIG_BYTES, TooLargeError, read_file, read_json
from cortex.runs.profile import Adapter, Profile

HALF, FULL = 2, 4
"""Bytes of a number in bf16 and in float32."""


@dataclass(frozen=True)
class Shape:
    """What a Llama's size follows from."""

    parameters: int
    hidden: int
    intermediate: int
    layers: int
    key_value: int
    """Width of all key heads together, and of all value heads."""
    vocabulary: int

    def adapter_parameters(self, r: int) -> int:
        """Of LoRA on every linear layer: r x (width in + width out) each. https://arxiv.org/abs/2106.09685"""
        attention = 2 * (2 * self.hidden) + 2 * (self.hidden + self.key_value)
        return r * self.layers * (attention + 3 * (self.hidden + self.intermediate))


SHAPES = {
    "meta-llama/Llama-3.1-8B-Instruct": Shape(8_030_261_248, 4096, 14336, 32, 1024, 128256),
    "meta-llama/Llama-3.3-70B-Instruct": Shape(70_553_706_496, 8192, 28672, 80, 1024, 128256),
}
"""Of the shipped profiles: as the hub's own pages and `config.json` say."""


def shape_of(profile: Profile) -> Shape | None:
    """The base's shape: computed, known, or read from its folder; None where only the hub could tell."""
    scratch, base = profile.model.scratch, profile.model.base
    if scratch:
        # Embedding and head; query, key, value and output; gate, up and down.
        block = 4 * scratch.hidden_size**2 + 3 * scratch.hidden_size * scratch.intermediate_size
        count = 2 * scratch.vocabulary * scratch.hidden_size + scratch.layers * block
        width = scratch.hidden_size
        return Shape(count, width, scratch.intermediate_size, scratch.layers, width, scratch.vocabulary)
    assert base is not None
    return SHAPES.get(base) or _in_folder(Path(base).expanduser())


@dataclass(frozen=True)
class Need:
    """Bytes on the disk of one task's machine."""

    base: int
    checkpoints: int
    models: int
    """What earlier stages left, and what this task's stages make."""

    @property
    def total(self) -> int:
        return self.base + self.checkpoints + self.models


def need(profile: Profile, shape: Shape, stages: Sequence[str]) -> Need:
    """What the stages of one task hold at once, in bytes.

    base: the weights in bf16, once, for any stage that loads a model.
    checkpoints: for each training stage, those that are kept, one that is being written and one that is being
    fetched or replaced: (keep + 2) x (what is trained + its two Adam moments in float32).
    models: what is trained, twice (made, and sealed for the bucket); for export the merged weights, every quantized
    copy, and the log-probabilities in float32 by which copies are judged; for evaluate these models as they come in;
    for release twice, as they come in and as they are laid out.
    """
    whole = HALF * shape.parameters
    trained = FULL * shape.adapter_parameters(profile.model.adapter.r) if profile.model.adapter else whole
    moments = 2 * FULL * _trainable(profile.model.adapter, shape)
    copies = sum(round(1.1 * shape.parameters * copy.bits / 8) for copy in profile.export.gptq)
    checkpoints = models = 0
    for stage in stages:
        section = {"sft": profile.sft, "dpo": profile.dpo, "grpo": profile.grpo}.get(stage)
        if section:
            checkpoints += (section.keep_checkpoints + 2) * (trained + moments)
            models += 2 * trained
        elif stage == "export":
            tokens = profile.export.answer_tokens or profile.evaluate.max_new_tokens
            models += whole + copies + FULL * profile.export.check_examples * tokens * shape.vocabulary
        elif stage == "release":
            models += 2 * (whole + copies)
        elif stage == "evaluate" and "export" not in stages:
            models += whole + copies
    loads = {"sft", "dpo", "grpo", "export", "evaluate"} & set(stages)
    return Need(whole if loads and profile.model.base else 0, checkpoints, models)


def _trainable(adapter: Adapter | None, shape: Shape) -> int:
    return shape.adapter_parameters(adapter.r) if adapter else shape.parameters


def _in_folder(folder: Path) -> Shape | None:
    try:
        config = read_json(read_file((folder / "config.json").resolve(), CONFIG_BYTES))  # a hub's cache has links
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        heads = config["hidden_size"] // config["num_attention_heads"]
        width = heads * config.get("num_key_value_heads", config["num_attention_heads"])
        widths = config["hidden_size"], config["intermediate_size"]
        return Shape(size // HALF, *widths, config["num_hidden_layers"], width, config["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, RecursionError, TooLargeError):
        return None
