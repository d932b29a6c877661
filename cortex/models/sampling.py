"""Sampling answers from a model: the request, common to all engines, and the model that a run has made."""

import hashlib
import json
import random
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from cortex.bases.base_model import base_artifact
from cortex.domains.question import Conversation
from cortex.models.model_files import is_adapter
from cortex.runs.context import RunContext
from cortex.runs.stage_list import models


@dataclass(frozen=True)
class SampledModel:
    """A model to get answers from."""

    name: str
    """Name in results, and of the served model at an endpoint."""
    folder: str
    """The folder of its weights, or of its adapter."""
    base: str | None
    """The folder of the weights that an adapter is applied to."""
    origin: tuple[str, ...]
    """Digests and names that identify these weights: they are part of the key of stored answers."""

    @property
    def is_adapter(self) -> bool:
        return is_adapter(Path(self.folder))


@dataclass(frozen=True)
class Asked:
    """Sampling parameters."""

    max_tokens: int
    samples: int = 1
    """Answers to each prompt."""
    temperature: float = 0.0
    """0 always takes the likeliest token."""
    top_p: float = 1.0
    seed: int = 0
    bad_words: tuple[str, ...] = ()
    """Words whose tokens are never sampled one after another, in each way to write them."""


@dataclass(frozen=True)
class Batch:
    """Prompts that are answered and stored together. Their choice never depends on earlier answers."""

    model: SampledModel
    number: int
    """Its position among the batches of this model."""
    prompts: tuple[Conversation, ...]
    asked: Asked

    @property
    def key(self) -> str:
        """Key that is equal for equal questions to equal weights. The engine is left out: a run never changes it."""
        asked = {name: value for name, value in asdict(self.asked).items() if name != "bad_words" or value}
        made_from = [self.model.name, self.model.origin, self.number, self.prompts, asked]
        return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()

    @property
    def seed(self) -> int:
        """A seed of its own, so that a batch draws the same whether or not others were drawn before it."""
        return derive_seed(self.asked.seed, self.number)

    def seeds(self) -> list[int]:
        """One seed for each prompt, for engines that draw each answer by itself."""
        return [derive_seed(self.seed, position) for position in range(len(self.prompts))]


Answers = list[list[str]]
"""The samples of each prompt of a batch, in order, without white space around them."""


class Sampler(Protocol):
    """A sampling engine. Batches of one model come in a row; it holds one model at a time, and frees it at the end."""

    def sample(self, batches: Sequence[Batch]) -> Generator[Answers]:
        """Answer the batches in order, each as soon as it is done.

        Raises:
            ConfigError: the engine is not available here.
            StageError: it failed.
        """
        ...


def trained_base(context: RunContext) -> tuple[str, tuple[str, ...]]:
    """The model that the run's training began from: its location, and the words that identify it."""
    given = base_artifact(context)
    if given:
        return str(given.path), (given.digest,)
    built = context.artifact(models(context.profile)[0])
    return str(built.path / "base"), (built.digest, "base")


def trained_model(context: RunContext, stage: str) -> SampledModel:
    """The model that a training stage has made."""
    made = context.artifact(stage)
    base, origin = trained_base(context)
    return SampledModel(stage, str(made.path / "model"), base, (made.digest, *origin))


def derive_seed(seed: int, number: int) -> int:
    """A seed from a seed and a number; 31 bits, as torch and NumPy take it everywhere."""
    return random.Random(f"{seed}/{number}").getrandbits(31)
