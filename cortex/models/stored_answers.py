"""Answers of models to the same prompts, stored batch by batch: a stage that is killed loses one batch at most."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import MissingObjectError, StoreError
from cortex.domains.question import Conversation
from cortex.limits import KEPT_ANSWERS_BYTES, read_file, read_json
from cortex.models.open_sampler import open_sampler
from cortex.models.sampling import Answers, Asked, Batch, SampledModel
from cortex.runs.context import RunContext

FOLDER = "answers"
"""Folder of the stored answers below the stage's own, on this machine and in the bucket."""

SENDING = Patience(deadline=30.0)
"""Time limit for sending one batch. It is short because the GPUs wait; unsent batches stay on disk for a later try."""


@dataclass(frozen=True)
class Request:
    """Prompts for one model, all with the same sampling parameters."""

    model: SampledModel
    prompts: Sequence[Conversation]
    asked: Asked


def sample_answers(
    context: RunContext,
    stage: str,
    models: Sequence[SampledModel],
    prompts: Sequence[Conversation],
    asked: Asked,
    *,
    gpus: int,
) -> dict[str, Answers]:
    """The samples of every prompt by model, in the order of the prompts. Stored answers are not sampled again.

    Raises:
        BudgetError: the run has reached its cap; the answers so far are stored.
        RefusedError: another process took the run over.
        ConfigError, StageError: as the engine says.
    """
    requests = [Request(model, prompts, asked) for model in models]
    found = sample_requests(context, stage, requests, gpus=gpus)
    return {model.name: answers for model, answers in zip(models, found, strict=True)}


def sample_requests(context: RunContext, stage: str, requests: Sequence[Request], *, gpus: int) -> list[Answers]:
    """The samples of every prompt of each request. Each model is loaded once, for all of its requests.

    Raises as `sample_answers`.
    """
    groups = [_divide(context, request.prompts) for request in requests]
    asked = [
        (place, Batch(request.model, number, tuple(request.prompts[index] for index in group), request.asked))
        for place, request in enumerate(requests)
        for number, group in enumerate(groups[place])
    ]
    kept = KeptAnswers(context, stage)
    batches = dict.fromkeys(batch for _, batch in asked)
    found = {batch: answers for batch in batches if (answers := kept.read(batch)) is not None}
    order = list(dict.fromkeys(request.model for request in requests))
    left = sorted((batch for batch in batches if batch not in found), key=lambda batch: order.index(batch.model))
    if found:
        logger.info(f"{stage}: {len(found)} of {len(batches)} batches of answers are kept, {len(left)} are left")
    if left:
        # Closed even after an error, so that the model does not stay in memory.
        with closing(open_sampler(context, stage, gpus).sample(left)) as sampled:
            for batch, answers in zip(left, sampled, strict=True):
                kept.write(batch, answers)
                found[batch] = answers
                context.progress(len(found), len(batches))
    sorted_out: list[Answers] = [[[] for _ in request.prompts] for request in requests]
    for place, batch in asked:
        for index, samples in zip(groups[place][batch.number], found[batch], strict=True):
            sorted_out[place][index] = samples
    return sorted_out


class KeptAnswers:
    """Stored answers of a stage, in its folder on this machine and in the run's bucket.

    Each batch is one file, named by a hash of its inputs, with an authentication code that only this run's machines can
    make. A file that is damaged, or that others wrote, counts as missing.
    """

    def __init__(self, context: RunContext, stage: str) -> None:
        self._context = context
        self._store = context.store.with_patience(SENDING)
        self._prefix = f"runs/{context.run}/{stage}/{FOLDER}"
        self._folder = context.folder(stage) / FOLDER
        self._folder.mkdir(exist_ok=True)
        self._remote = context.store.local_path(self._prefix) is None
        self._unsent: dict[str, bytes] = {}

    def read(self, batch: Batch) -> Answers | None:
        """The stored answers to a batch; None where they are missing or damaged."""
        name = f"{batch.key}.json"
        path, key = self._folder / name, f"{self._prefix}/{name}"
        if path.is_file():
            data = read_file(path, KEPT_ANSWERS_BYTES)
            answers = self._unpack(data, batch, str(path))
            if answers is not None:
                if not self._context.store.exists(key):
                    self._unsent[name] = data  # an earlier attempt ended before the bucket took it
                return answers
        try:
            data = self._context.store.get(key, KEPT_ANSWERS_BYTES)
        except MissingObjectError:
            return None
        return self._unpack(data, batch, f"{self._context.store.url}/{key}")

    def write(self, batch: Batch, answers: Answers) -> None:
        """Store the answers to a batch. If the bucket does not accept them now, they are sent with the next batch.

        Raises:
            RefusedError: another process took the run over.
            OSError: this machine's disk is full, or broken.
        """
        name, data = f"{batch.key}.json", self._pack(batch, answers)
        if self._remote:
            aside = self._folder / f"{name}.partial"
            aside.write_bytes(data)
            aside.rename(self._folder / name)
        self._unsent[name] = data
        try:
            self._context.lease.check()
            for name, data in list(self._unsent.items()):
                self._store.put(f"{self._prefix}/{name}", data)
                del self._unsent[name]
        except StoreError as error:
            logger.warning(f"{len(self._unsent)} batches of answers are kept on this machine alone so far: {error}")

    def _pack(self, batch: Batch, answers: Answers) -> bytes:
        text = json.dumps(answers)
        return json.dumps({"answers": text, "code": self._context.secret.code(*_words(batch, text))}).encode() + b"\n"

    def _unpack(self, data: bytes, batch: Batch, where: str) -> Answers | None:
        try:
            read = read_json(data)
        except ValueError:
            read = None
        held = read if isinstance(read, dict) else {}
        text = held.get("answers")
        if isinstance(text, str) and self._context.secret.verifies(held.get("code"), *_words(batch, text)):
            return json.loads(text)
        logger.warning(f"{where} is not what this run kept there: its {len(batch.prompts)} prompts are asked again")
        return None


def _words(batch: Batch, text: str) -> tuple[str, ...]:
    """The text that the authentication code of stored answers covers."""
    return "answers", batch.key, hashlib.sha256(text.encode()).hexdigest()


def _divide(context: RunContext, prompts: Sequence[Conversation]) -> list[list[int]]:
    """The indexes of each batch's prompts. Prompts of similar length share a batch, which saves padding."""
    profile = context.profile
    by_transformers = profile.sampling.engine_on(profile.hardware.device) == "transformers"
    size = profile.evaluate.batch_size if by_transformers else profile.sampling.batch_size
    order = sorted(range(len(prompts)), key=lambda index: sum(len(turn.content) for turn in prompts[index]))
    return [order[start : start + size] for start in range(0, len(order), size)]
