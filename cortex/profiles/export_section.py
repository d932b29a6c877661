"""The section `export`: merged weights, their quantized copies, and what of it a release holds."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cortex.section import Items, Section


class Gptq(Section):
    """One quantized copy, and how far it may differ from the full weights to be accepted."""

    bits: Literal[4, 8]
    """Bits per weight."""
    group_size: int = Field(default=128, ge=16)
    """Weights that share one scale."""
    max_kl: float = Field(gt=0)
    """Maximum mean divergence of its next-token distributions from the full weights', in nats, on held-out answers."""
    max_loss_rise: float | None = Field(ge=0)
    """Maximum rise of its loss on held-out examples (for markets, of the Brier score); null: only the evaluation scores
    it."""

    @property
    def name(self) -> str:
        """The copy's folder."""
        return f"gptq-w{self.bits}"

    @property
    def format(self) -> Literal["gptq", "gguf"]:
        """The format of its files."""
        return "gptq"


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression ({error}): correct it") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]
"""A regular expression."""


class Gguf(Section):
    """One copy in a single file for llama.cpp and Ollama, and how far it may differ from the full weights to be
    accepted."""

    type: Literal["f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"]
    """llama.cpp's mixture of types, by its own name."""
    tensors: dict[Pattern, Literal["f16", "q8_0", "q6_k", "q5_k", "q4_k"]] = Field(default_factory=dict)
    """Other types for tensors whose names match a regular expression, such as `{attn_v: q6_k}`. Names are llama.cpp's:
    `blk.0.attn_v.weight`, `token_embd.weight`."""
    max_kl: float = Field(gt=0)
    """Maximum mean divergence of its next-token distributions from the full weights', in nats, on held-out answers, as
    llama.cpp computes them."""
    max_loss_rise: float | None = Field(ge=0)
    """Maximum rise of its loss on held-out examples, which llama.cpp answers; null: only the divergence decides."""

    @property
    def name(self) -> str:
        """The copy's folder."""
        return f"gguf-{self.type}"

    @property
    def bits(self) -> int:
        """Bits of a weight, as the type's name says."""
        return int(self.type[1:].partition("_")[0])

    @property
    def format(self) -> Literal["gptq", "gguf"]:
        """The format of its files."""
        return "gguf"


class Export(Section):
    """Merged weights and their quantized copies."""

    gptq: Items[Gptq] = ()
    """Copies to make for vLLM and transformers."""
    gguf: Items[Gguf] = ()
    """Copies to make for llama.cpp and Ollama."""
    release: Items[str] | None = None
    """Folders of weights that a release holds, of `model` (the full weights), `adapter`, and the copies' names, such as
    `gguf-q4_k_m`. A rejected copy is never released; if nothing of the list is left, the full weights are. None: all
    that were accepted."""
    calibration_examples: int = Field(default=256, ge=8)
    """Training examples that GPTQ sees."""
    check_examples: int = Field(default=256, ge=8)
    """Validation examples on which the copies are compared with the full weights."""
    batch_size: int = Field(default=16, ge=1)
    """Validation examples in one batch: weights that do not fit onto the GPU are moved there for each token of a
    batch."""
    answer_tokens: int | None = Field(default=None, ge=8)
    """Tokens of each answer on which a copy is compared; None: all. Answers that are cut off so cannot be judged."""

    @property
    def copies(self) -> tuple[Gptq | Gguf, ...]:
        """All copies, in the order in which they are made."""
        return (*self.gptq, *self.gguf)

    @model_validator(mode="after")
    def _scored(self) -> Self:
        if self.answer_tokens is not None and any(copy.max_loss_rise is not None for copy in self.copies):
            raise ValueError(
                "answers that end at answer_tokens cannot be judged: set max_loss_rise of each copy to null, or "
                "remove answer_tokens"
            )
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for key, kinds in (
            ("gptq", [(f"{copy.bits} bits", copy.name) for copy in self.gptq]),
            ("gguf", [(f"type {copy.type}", copy.name) for copy in self.gguf]),
        ):
            kind, name = next((kind for kind in kinds if kinds.count(kind) > 1), (None, None))
            if kind is not None:
                raise ValueError(f"{key} has two copies of {kind}, and both would be called {name}: remove one")
        return self

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = ["model", "adapter", *(copy.name for copy in self.copies)]
        for name in self.release or ():
            if name not in known:
                raise ValueError(f"release names {name!r}, which no export makes: choose of {', '.join(known)}")
        if self.release == ():
            raise ValueError("release names no folder: name `model` or a copy, or null for all")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out unset newer keys: a profile without them keeps the hash that it had."""
        return {key: value for key, value in handler(self).items() if key not in ("gguf", "release") or value}
