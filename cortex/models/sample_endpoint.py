"""Answers from an OpenAI-compatible server that has the models already.

A server cannot prove which weights it serves; answers under a model's name are taken as that model's.
"""

from collections.abc import Generator, Sequence
from pathlib import Path

from cortex.domains.question import Conversation
from cortex.errors import ConfigError
from cortex.models.sampling import Answers, Batch, derive_seed
from cortex.profiles.sampling_section import Sampling
from cortex.settings import Settings
from cortex.teaching.chat import Endpoint
from cortex.teaching.key_way import KEEP_PRIVATE, key_laid_open
from cortex.teaching.teacher import ask


class EndpointSampler:
    """A sampler that sends one request for each answer, and retries as the teacher's client does."""

    def __init__(self, sampling: Sampling, folder: Path) -> None:
        """`folder` stores the answers of an unfinished batch.

        Raises:
            ConfigError: others could read the key on its way.
        """
        assert sampling.url is not None
        settings = Settings()
        if fault := key_laid_open(sampling.url, settings, "sampler_api_key"):
            raise ConfigError(f"{fault}: {KEEP_PRIVATE}")
        self._url, self._key = sampling.url, settings.sampler_api_key.get_secret_value()
        self._sampling, self._folder = sampling, folder

    def sample(self, batches: Sequence[Batch]) -> Generator[Answers]:
        for batch in batches:
            yield self._ask(batch)

    def _ask(self, batch: Batch) -> Answers:
        endpoint = Endpoint(
            url=self._url,
            api_key=self._key,
            model=batch.model.name,
            concurrency=self._sampling.concurrency,
            temperature=batch.asked.temperature,
            top_p=batch.asked.top_p,
            max_tokens=batch.asked.max_tokens,
            patience_seconds=self._sampling.patience_seconds,
            role="the sampler",
            section="sampling",
            key_variable="CORTEX_SAMPLER_API_KEY",
        )
        prompts: dict[str, Conversation] = {}
        seeds: dict[str, int] = {}
        names = [
            [f"{position}-{sample}" for sample in range(batch.asked.samples)] for position in range(len(batch.prompts))
        ]
        for prompt, seed, of_prompt in zip(batch.prompts, batch.seeds(), names, strict=True):
            for sample, name in enumerate(of_prompt):
                prompts[name], seeds[name] = prompt, derive_seed(seed, sample)
        journal = self._folder / f"{batch.key}.jsonl"
        settled = ask(endpoint, prompts, journal, lambda done, total: None, seeds=seeds)
        journal.unlink()
        # A refusal or a reply that cannot be read is judged as an unreadable answer.
        return [[settled[name].text.strip() for name in of_prompt] for of_prompt in names]
