"""A profile's section on pretraining: phases, each with its texts, its budget of tokens and its sequence length."""

import itertools
import math
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cortex.profiles.trainer_sections import Optimization
from cortex.section import Items, Section

SUFFIXES = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".txt": "text"}
"""The reader of `datasets` for a file by its name's ending; a further `.gz` or `.zst` is a compressed one's."""


def reader_of(file: str) -> str | None:
    """The reader of a file by its name; None for a name of no known kind."""
    plain = file.removesuffix(".gz").removesuffix(".zst")
    return next((reader for suffix, reader in SUFFIXES.items() if plain.endswith(suffix)), None)


class TextSource(Section):
    """A stream of texts: of a hub's data set, of files, or of the run's own labels."""

    dataset: str | None = None
    """A data set of the hub, `owner/name`. Exactly one of `dataset`, `files` and `run` is given."""
    config: str | None = None
    """The configuration of the hub's data set, such as a subset's name; None: its default."""
    split: str = "train"
    """The split of the hub's data set."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """The commit of the hub's data set. None: the newest when the stage starts; the run keeps to it."""
    files: Items[str] = ()
    """Patterns of files on the training machine, as shells write them: JSONL, Parquet, or text with a document a line;
    also compressed by gzip or zstd. All of a source's files are of one kind."""
    run: Literal["labels"] | None = None
    """`labels`: the run's own accepted conversations, as the chat template writes them."""
    column: str = "text"
    """The column that holds the text."""
    least: dict[str, float] = Field(default_factory=dict)
    """Filter: the least value of a numeric column, by its name. Rows with less, or without a number, are left out."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the phase's tokens, relative to the other sources' weights."""
    epochs: int = Field(default=1, ge=1)
    """Maximum number of times that the source is read. A training fails where a source ends before the phase's budget
    is reached, so that the mixture never changes silently."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [name for name in ("dataset", "files", "run") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("give exactly one of `dataset` (of the hub), `files` and `run`")
        if not self.dataset and (self.config or self.revision or self.split != "train"):
            raise ValueError("`config`, `split` and `revision` are of a hub's data set: remove them")
        unknown = next((file for file in self.files if reader_of(file) is None), None)
        if unknown:
            raise ValueError(f"{unknown}: name files that end in {', '.join(SUFFIXES)}, or .gz or .zst after that")
        if len({reader_of(file) for file in self.files}) > 1:
            raise ValueError("files of several kinds: give each kind a source of its own")
        return self

    @property
    def name(self) -> str:
        """The source in an error, a table and the provenance."""
        if self.dataset:
            return self.dataset + (f"/{self.config}" if self.config else "")
        return " ".join(self.files) or f"the run's {self.run}"

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        known = type(self).model_fields
        return {key: value for key, value in handler(self).items() if value and value != known[key].default}


class TextPhase(Section):
    """A phase of pretraining."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    """Lower-case letters, digits and hyphens."""
    tokens: int = Field(ge=1)
    """Budget: tokens to train on, rounded up to whole optimizer steps."""
    sequence_length: int = Field(ge=16)
    """Tokens of a sequence. Texts are joined, each with an end-of-text token, and cut into sequences without a rest."""
    learning_rate: float | None = Field(default=None, gt=0, lt=1)
    """Learning rate at the phase's beginning, from which it declines to the next phase's; None: the section's own."""
    sources: Items[TextSource] = Field(min_length=1)
    """Texts to mix, by their weights."""


class Pretrain(Optimization):
    """Pretraining on streams of text, phase after phase. The optimizer goes on from one phase to the next."""

    learning_rate: float = Field(default=3e-4, gt=0, lt=1)
    """Learning rate of phases that name none."""
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """The way in which the rate declines, over each phase, from the phase's own to that of the next; over the last to
    `final_rate`. `constant_with_warmup` keeps each phase's rate to its end."""
    final_rate: float = Field(default=0.1, ge=0, le=1)
    """The rate at the very end, as a share of the last phase's."""
    optimizer: Literal["adamw_torch", "adamw_torch_fused", "adamw_8bit", "adafactor"] = "adamw_torch"
    """An optimizer by transformers' name."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decoupled weight decay."""
    micro_batch_size: int = Field(default=1, ge=1)
    """Sequences per device and forward pass in the phase of the longest sequences. Shorter ones are more to a pass, so
    that each pass has as many tokens."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Forward passes per optimizer step, of all devices together: a step's tokens do not depend on the machine."""
    max_steps: int = Field(default=0, ge=0, exclude=True)
    """Follows from the phases' tokens, and is not given."""
    phases: Items[TextPhase] = Field(min_length=1)
    """The phases, in order: rising sequence lengths, and learning rates that do not rise."""
    shuffle: int = Field(default=1000, ge=1)
    """Rows of a source that are read together and shuffled among themselves; 1 keeps each source's own order."""
    tokenizer_characters: int = Field(default=50_000_000, ge=1000)
    """Characters of all phases' sources, by their weights, on which the tokenizer of a `model.scratch` is trained."""

    @model_validator(mode="after")
    def _phases_in_order(self) -> Self:
        names = [phase.name for phase in self.phases]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"phases has {twice} twice: give each phase a name of its own")
        for before, after in itertools.pairwise(self.phases):
            if after.sequence_length < before.sequence_length:
                raise ValueError(
                    f"phase {after.name} has shorter sequences ({after.sequence_length}) than {before.name} "
                    f"({before.sequence_length}): lengths rise from phase to phase"
                )
            if self.rate_of(after) > self.rate_of(before):
                raise ValueError(
                    f"phase {after.name} has a higher learning rate ({self.rate_of(after):g}) than {before.name} "
                    f"({self.rate_of(before):g}): rates do not rise from phase to phase"
                )
        for phase in self.phases:
            if self.longest % phase.sequence_length:
                raise ValueError(
                    f"phase {phase.name}: sequence_length {phase.sequence_length} does not divide the longest, "
                    f"{self.longest}, so that not every pass could have as many tokens"
                )
        return self

    @model_validator(mode="after")
    def _validates_nothing(self) -> Self:
        if self.validate_steps:
            raise ValueError("pretrain holds nothing out to validate on: remove validate_steps")
        steps = sum(count for _, count in self.phase_steps())
        if self.max_steps not in (0, steps):
            raise ValueError(f"max_steps follows from the phases' tokens ({steps}): leave it out")
        object.__setattr__(self, "max_steps", steps)
        return self

    def rate_of(self, phase: TextPhase) -> float:
        return self.learning_rate if phase.learning_rate is None else phase.learning_rate

    @property
    def longest(self) -> int:
        """Tokens of the longest sequences."""
        return max(phase.sequence_length for phase in self.phases)

    @property
    def step_tokens(self) -> int:
        """Tokens of an optimizer step."""
        return self.micro_batch_size * self.longest * self.gradient_accumulation

    def rows_of(self, phase: TextPhase) -> int:
        """Sequences of a forward pass."""
        return self.micro_batch_size * self.longest // phase.sequence_length

    @property
    def asks_hub(self) -> bool:
        """True where a source is a hub's data set, which is read while the training runs."""
        return any(source.dataset for phase in self.phases for source in phase.sources)

    def phase_steps(self) -> Iterator[tuple[TextPhase, int]]:
        """Each phase with the number of its optimizer steps."""
        for phase in self.phases:
            yield phase, math.ceil(phase.tokens / self.step_tokens)
