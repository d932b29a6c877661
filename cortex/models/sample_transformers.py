"""Answers by transformers' own `generate`, in this process: for CPUs, and for models that vLLM cannot load."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cortex.models.generate import generate
from cortex.models.loading import load_tokenizer, loaded
from cortex.models.sampling import Answers, Batch


@dataclass(frozen=True)
class TransformersSampler:
    """A sampler that makes one forward pass per token for a whole batch."""

    device: str
    attention: str

    def sample(self, batches: Sequence[Batch]) -> Generator[Answers]:
        for model, following in groupby(batches, key=lambda batch: batch.model):
            tokenizer = load_tokenizer(model.folder)
            with loaded(model.folder, base=model.base, device=self.device, attention=self.attention) as weights:
                for batch in following:
                    yield generate(
                        weights,
                        tokenizer,
                        batch.prompts,
                        batch_size=len(batch.prompts),
                        max_new_tokens=batch.asked.max_tokens,
                        samples=batch.asked.samples,
                        temperature=batch.asked.temperature,
                        top_p=batch.asked.top_p,
                        seed=batch.seed,
                        bad_words=batch.asked.bad_words,
                    )
