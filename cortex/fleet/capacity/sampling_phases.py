"""Phases of sampling on the GPUs that train: rollouts, the sync of weights to vLLM, and DPO's pairs."""

from collections.abc import Iterator
from dataclasses import dataclass

from cortex.fleet.capacity.architecture import BF16, FLOAT
from cortex.fleet.capacity.lengths import PROMPT, usual_answer
from cortex.fleet.capacity.phase import Knob, Phase
from cortex.fleet.capacity.rates import ENGINE_START
from cortex.fleet.capacity.requests import Rollout, VllmShare, rollout
from cortex.fleet.capacity.rollouts import GRAPHS, TOKEN_SECONDS, Engine
from cortex.fleet.capacity.sheets import GIB
from cortex.fleet.capacity.training_machines import TrainingMachines
from cortex.profiles.trainer_sections import Pairing

SAMPLING = ("distill", "grpo")
"""The stages that train on answers of the model in training."""

TENSOR_SECONDS = 2e-3
"""Seconds to hand one tensor to vLLM, besides moving its bytes. An estimate."""


@dataclass(frozen=True)
class SamplingPhases:
    """The phases of a profile's training stages that sample answers."""

    machines: TrainingMachines

    def phases(self, stage: str) -> Iterator[Phase]:
        """The sampling phases of one training stage."""
        section = getattr(self.machines.profile, stage)
        if isinstance(section, Pairing):
            yield self._pairs(section)
        elif stage in SAMPLING:
            sampled = rollout(self.machines.profile, stage)
            if sampled.vllm:
                yield self._rollout(stage, sampled, sampled.vllm)
                yield self._sync(stage, sampled, sampled.vllm)
            else:
                yield self._generate(stage, sampled)

    def asleep(self, stage: str) -> float:
        """Bytes of each GPU that a sleeping vLLM keeps while a stage's trainer works."""
        return GRAPHS * GIB if stage in SAMPLING and rollout(self.machines.profile, stage).vllm else 0.0

    def seconds(self, sampled: Rollout, answers: int) -> float:
        """Seconds to sample `answers` answers on each GPU, in batches of the training's size."""
        full, rest = divmod(answers, sampled.answers)
        return full * self._batch(sampled, sampled.answers) + (self._batch(sampled, rest) if rest else 0.0)

    def _batch(self, sampled: Rollout, answers: int) -> float:
        usual = usual_answer(sampled.tokens)
        if sampled.vllm is None:
            # Each token takes one pass over all weights, which a sharded model gathers each time. The batch lasts as
            # long as its longest answer.
            machines = self.machines
            one = machines.whole / (machines.link if machines.gpus > 1 else machines.sheet.bandwidth)
            return sampled.tokens * (TOKEN_SECONDS + one)
        engine = self._engine(sampled.vllm)
        each = answers * sampled.vllm.tensor  # of one engine
        at_once = min(each, engine.room(sampled.vllm.share, PROMPT + usual))
        return engine.seconds(each, PROMPT, sampled.tokens, usual, at_once)

    def _engine(self, vllm: VllmShare) -> Engine:
        machines = self.machines
        return Engine(machines.architecture, machines.sheet, vllm.tensor, machines.whole)

    def _length(self, vllm: VllmShare) -> int:
        return vllm.length or self.machines.architecture.context

    def _generate(self, stage: str, sampled: Rollout) -> Phase:
        """Rollout by transformers' own generate, with a cache of keys and values in place of activations."""
        machines, a = self.machines, self.machines.architecture
        gathered = 2 * BF16 * max(a.layer, a.table) if machines.gpus > 1 else 0
        cache = sampled.answers * (PROMPT + sampled.tokens) * a.cache
        words = FLOAT * sampled.answers * a.vocabulary
        passes = sampled.batches * sampled.tokens
        return machines.phase(
            stage,
            "rollout",
            sampled.batches * self.seconds(sampled, sampled.answers),
            machines.static(stage) + gathered + cache + 2 * words,
            gathered=passes * machines.whole if machines.gpus > 1 else 0.0,
            times=sampled.batches,
            host=4 * GIB * machines.profile.hardware.gpus,
            knobs=machines.more_gpus(),
        )

    def _rollout(self, stage: str, sampled: Rollout, vllm: VllmShare) -> Phase:
        """Rollout by vLLM on the training GPUs, which keep their shards of the model.

        vLLM takes its share of the whole GPU, whatever else is on it, and refuses to start if the share has no room for
        one sequence of `max_model_length`."""
        machines = self.machines
        static, needed = machines.static(stage), self._engine(vllm).least(self._length(vllm))
        # A share that is too small makes the phase not fit, too: it needs more of the GPU than it gets.
        lacking = max(0.0, needed - vllm.share * machines.sheet.bytes)
        free = machines.sheet.bytes - static - machines.beside
        return machines.phase(
            stage,
            "rollout",
            sampled.batches * self.seconds(sampled, sampled.answers),
            static + vllm.share * machines.sheet.bytes + lacking,
            lacking=lacking,
            times=sampled.batches,
            host=4 * GIB * machines.profile.hardware.gpus,
            knobs=(
                self._other_share(stage, vllm, needed, free),
                self._more_tensor(stage, vllm),
                self._less_length(stage, sampled, vllm),
                *machines.more_gpus(),
            ),
        )

    def _sync(self, stage: str, sampled: Rollout, vllm: VllmShare) -> Phase:
        """Sync of weights to vLLM: one by one, each is gathered, merged with its adapter in float32, and handed over.

        vLLM has no cache at that time (`sleep` level 2). A validation uses the weights of the next rollouts."""
        machines, a, times = self.machines, self.machines.architecture, sampled.batches
        largest = max(a.table, *(inputs * outputs for inputs, outputs in a.linears))
        tensors = 9 * a.layers + 3
        each = (machines.whole / machines.link if machines.gpus > 1 else 0.0) + (
            8 * machines.whole / machines.sheet.bandwidth
        )
        engine = self._engine(vllm)
        return machines.phase(
            stage,
            "sync",
            times * (each + tensors * TENSOR_SECONDS),
            machines.static(stage) + engine.weights + GRAPHS * GIB + largest * (2 * BF16 + 2 * FLOAT),
            gathered=times * machines.whole if machines.gpus > 1 else 0.0,
            times=times,
            knobs=(self._more_tensor(stage, vllm), *machines.more_gpus()),
        )

    def _pairs(self, section: Pairing) -> Phase:
        """Sampling of pairs: the SFT model answers in vLLM, on all GPUs, before the trainer starts."""
        machines, profile = self.machines, self.machines.profile
        gpus = profile.hardware.gpus
        tensor = next((n for n in (1, 2, 4, 8) if n <= gpus and machines.whole / n < 0.7 * machines.sheet.bytes), gpus)
        engine = Engine(machines.architecture, machines.sheet, tensor, machines.whole)
        longest = profile.answer_tokens
        usual, answers = usual_answer(longest), section.prompts * section.samples * tensor / machines.gpus
        at_once = min(256.0, engine.room(0.9, PROMPT + usual))
        seconds = engine.seconds(answers, PROMPT, longest, usual, at_once)
        return machines.phase(
            section.stage, "sample", seconds + ENGINE_START, 0.9 * machines.sheet.bytes - machines.beside
        )

    def _other_share(self, stage: str, vllm: VllmShare, needed: float, free: float) -> Knob:
        """vLLM's share of the GPU: values that leave the trainer enough and hold one sequence, the nearest first."""
        size = self.machines.sheet.bytes
        hundredths = [n / 100 for n in range(1, 100) if needed / size <= n / 100 <= free / size]
        nearest = sorted(hundredths, key=lambda share: abs(share - vllm.share))
        return Knob(f"{stage}.vllm.gpu_memory_utilization", tuple(nearest))

    def _more_tensor(self, stage: str, vllm: VllmShare) -> Knob:
        gpus = self.machines.profile.hardware.gpus
        values = tuple(n for n in range(vllm.tensor + 1, gpus + 1) if gpus % n == 0)
        return Knob(f"{stage}.vllm.tensor_parallel_size", values)

    def _less_length(self, stage: str, sampled: Rollout, vllm: VllmShare) -> Knob:
        needed, given = PROMPT + sampled.tokens, self._length(vllm)
        return Knob(
            f"{stage}.vllm.max_model_length", tuple(n for n in (8192, 4096, 2048, needed) if needed <= n < given)
        )
