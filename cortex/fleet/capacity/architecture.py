"""A dense decoder's sizes, from its `config.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as shorten
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cortex.bases.base_config import base_config
from cortex.errors import ConfigError
from cortex.fleet.capacity.families import COUNTED, TIED, require_countable
from cortex.profiles.profile_sections import Adapter, Model

BF16, FLOAT = 2, 4
"""Bytes of a number."""

_NEEDED = ("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


Size = Annotated[int, Field(gt=0, le=2**31)]


class _Sizes(BaseModel):
    """The sizes in a configuration, under its own names; other keys are left to the trainers."""

    model_config = ConfigDict(strict=True)

    model_type: str
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Annotated[int, Field(gt=0, le=10_000)]
    num_attention_heads: Size
    vocab_size: Size
    head_dim: Size | None = None
    num_key_value_heads: Size | None = None
    tie_word_embeddings: bool | None = None
    max_position_embeddings: Size = 2048


@dataclass(frozen=True)
class Architecture:
    """Sizes of a dense decoder; widths are counts of numbers, not bytes."""

    hidden: int
    intermediate: int
    layers: int
    query: int
    """Width of all query heads together."""
    key_value: int
    """Width of all key heads together, and of all value heads."""
    vocabulary: int
    tied: bool
    """True where the output head shares the embedding's weights."""
    context: int
    """Longest sequence that the model can take, in tokens."""
    family: str
    """The configuration's `model_type`."""

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> "Architecture":
        """Read a configuration; `where` names it in errors.

        Raises:
            ConfigError: it is not a dense decoder's, lacks a size, or has a size that is impossible.
        """
        require_countable(config, where)
        missing = [key for key in _NEEDED if not config.get(key)]
        if missing:
            raise ConfigError(
                f"{where}: config.json says nothing of {', '.join(missing)}: name a dense decoder, which has them"
            )
        try:
            sizes = _Sizes.model_validate({name: value for name, value in config.items() if value is not None})
        except ValidationError as error:
            found = error.errors()[0]
            key, value = found["loc"][0], shorten(found["input"])
            raise ConfigError(f"{where}: config.json says {key} {value}, which none can have: copy it again") from error
        heads = sizes.num_attention_heads
        width = sizes.head_dim or sizes.hidden_size // heads
        if not width:
            raise ConfigError(
                f"{where}: config.json says {heads} heads of a width of {sizes.hidden_size}: copy it again"
            )
        return cls(
            hidden=sizes.hidden_size,
            intermediate=sizes.intermediate_size,
            layers=sizes.num_hidden_layers,
            query=heads * width,
            key_value=(sizes.num_key_value_heads or heads) * width,
            vocabulary=sizes.vocab_size,
            tied=sizes.model_type in TIED if sizes.tie_word_embeddings is None else sizes.tie_word_embeddings,
            context=sizes.max_position_embeddings,
            family=sizes.model_type,
        )

    @property
    def counted(self) -> bool:
        """True where the family's layers are known to have the parameters that this class counts."""
        return self.family in COUNTED

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each linear layer in one decoder layer."""
        attention = ((self.hidden, self.query), (self.hidden, self.key_value), (self.hidden, self.key_value))
        feed = ((self.hidden, self.intermediate), (self.hidden, self.intermediate), (self.intermediate, self.hidden))
        return (*attention, (self.query, self.hidden), *feed)

    @property
    def layer(self) -> int:
        """Parameters of one decoder layer, its two norms included."""
        return sum(inputs * outputs for inputs, outputs in self.linears) + 2 * self.hidden

    @property
    def table(self) -> int:
        """Parameters of the embedding; the head has as many."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        return self.layers * self.layer + (1 if self.tied else 2) * self.table + self.hidden

    @property
    def multiplied(self) -> int:
        """Parameters in matrix products with every token: all except the embedding."""
        return self.layers * self.layer + self.table

    @property
    def cache(self) -> int:
        """Bytes of a token's keys and values in bf16."""
        return 2 * BF16 * self.layers * self.key_value

    def adapter(self, r: int) -> int:
        """Parameters of LoRA on every linear layer: r x (inputs + outputs) each. https://arxiv.org/abs/2106.09685"""
        return r * self.layers * sum(inputs + outputs for inputs, outputs in self.linears)

    def trained(self, adapter: Adapter | None) -> int:
        """Count of trained parameters: the adapter's, or all."""
        return self.adapter(adapter.r) if adapter else self.parameters

    def copy(self, bits: int) -> float:
        """Bytes of a quantized copy: a tenth more than its bits, for scales and for weights that stay in bf16."""
        return 1.1 * self.parameters * bits / 8

    def packed(self) -> int:
        """Bytes of the weights with linear layers in 4 bits, scales included, and embedding, head and norms in bf16.

        Each 64 weights have a scale of 8 bits, and each 256 scales one of 32 bits: https://arxiv.org/abs/2305.14314
        """
        linear = self.layers * sum(inputs * outputs for inputs, outputs in self.linears)
        rest = self.parameters - linear
        return linear // 2 + self.scales() + BF16 * rest

    def scales(self) -> int:
        """Bytes of the scales of 4-bit weights."""
        linear = self.layers * sum(inputs * outputs for inputs, outputs in self.linears)
        return linear // 64 + FLOAT * (linear // 64 // 256)


def read_architecture(model: Model, environment: Mapping[str, str]) -> tuple[dict[str, Any], Architecture]:
    """The `config.json` of a profile's base, and the architecture in it.

    Raises:
        ConfigError: it cannot be fetched, or is not a dense decoder's.
    """
    config = base_config(model, environment)
    return config, Architecture.of(config, f"model.base {model.base}" if model.base else "model.scratch")
