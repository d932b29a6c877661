"""Answers by vLLM, which runs as a program of its own: the program's end frees every GPU for certain.

A base model is loaded once for itself and all its adapters; models with full weights are loaded one after the other.
"""

import importlib.util
import json
import sys
from collections.abc import Generator, Sequence
from itertools import groupby
from pathlib import Path
from subprocess import PIPE

from pydantic import BaseModel, ConfigDict

from cortex.checkpoints.trainer_command import trainer_environment
from cortex.domains.question import Conversation
from cortex.errors import ConfigError, StageError
from cortex.models.sampling import Answers, Batch, SampledModel
from cortex.process import running
from cortex.profiles.profile import Profile

_PROGRAM = "cortex.models.vllm_program"

_VARIABLES = {
    # The engine in the program's own process schedules requests in the order in which they are made, so that equal
    # batches give equal answers. From another process they would arrive as time allows.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
_ON_CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
"""Settings on a CPU: GiB of cache, and threads not bound to cores. The defaults would take the whole machine."""


class VllmBatch(BaseModel):
    """One batch, as the vLLM program gets it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    folder: str
    """Folder of the tokenizer, and of the adapter if the model is one."""
    adapter: bool
    prompts: tuple[Conversation, ...]
    seeds: tuple[int, ...]
    samples: int
    temperature: float
    top_p: float
    max_tokens: int
    bad_words: tuple[str, ...] = ()

    @classmethod
    def of(cls, batch: Batch) -> "VllmBatch":
        model, asked = batch.model, batch.asked
        return cls(
            name=model.name,
            folder=model.folder,
            adapter=model.is_adapter,
            prompts=batch.prompts,
            seeds=tuple(batch.seeds()),
            samples=asked.samples,
            temperature=asked.temperature,
            top_p=asked.top_p,
            max_tokens=asked.max_tokens,
            bad_words=asked.bad_words,
        )


class VllmTask(BaseModel):
    """The task of one process of vLLM."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """The folder of the weights to load."""
    device: str
    tensor_parallel_size: int
    gpu_memory_utilization: float
    batches: tuple[VllmBatch, ...]


class VllmSampler:
    """A sampler on all GPUs of the machine."""

    def __init__(self, profile: Profile, gpus: int, folder: Path) -> None:
        """`folder` is where the task file of each program is written.

        Raises:
            ConfigError: vLLM is not installed.
        """
        if importlib.util.find_spec("vllm") is None:
            raise ConfigError(
                f"sampling.engine vllm: {sys.prefix} has no vLLM: run the stage in the image that sky.yaml names "
                "for it, or set sampling.engine to transformers"
            )
        self._profile, self._gpus, self._folder = profile, gpus, folder

    def sample(self, batches: Sequence[Batch]) -> Generator[Answers]:
        for weights, following in groupby(batches, key=lambda batch: _weights(batch.model)):
            yield from self._run(weights, list(following))

    def _run(self, weights: str, batches: list[Batch]) -> Generator[Answers]:
        profile = self._profile
        task = VllmTask(
            model=weights,
            device=profile.hardware.device,
            tensor_parallel_size=self._gpus,
            gpu_memory_utilization=profile.sampling.gpu_memory_utilization,
            batches=tuple(map(VllmBatch.of, batches)),
        )
        path = self._folder / "vllm.json"
        path.write_text(task.model_dump_json(), encoding="utf-8")
        variables = trainer_environment(profile) | _VARIABLES
        if profile.hardware.device == "cpu":
            variables |= _ON_CPU
        with running([sys.executable, "-m", _PROGRAM, path], env=variables, stdout=PIPE) as process:
            assert process.stdout is not None
            for batch in batches:
                line = process.stdout.readline()
                if not line.endswith("\n"):
                    raise StageError(
                        f"vLLM ended with {process.wait()} before {batch.model.name} had answered, as its log says: "
                        "if memory ran out, lower sampling.gpu_memory_utilization or take more GPUs; "
                        "sampling.engine transformers does without vLLM"
                    )
                yield json.loads(line)


def _weights(model: SampledModel) -> str:
    """Folder of the weights that vLLM loads for this model."""
    if not model.is_adapter:
        return model.folder
    if model.base is None:
        raise ConfigError(f"{model.folder} holds an adapter: its base model is needed too")
    return model.base
