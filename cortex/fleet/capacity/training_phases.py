"""Phases of SFT, DPO and GRPO: loading, steps, rollouts, the sync of weights, and checkpoints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.fleet.capacity.lengths import PROMPT, usual_answer
from cortex.fleet.capacity.phase import CLOSED, CONTEXT, FRAGMENTED, NCCL, TRACED, Knob, Phase
from cortex.fleet.capacity.rates import ENGINE_START, NETWORK, NODE_LINK, START
from cortex.fleet.capacity.requests import Rollout, Step, rollout
from cortex.fleet.capacity.rollouts import GRAPHS, Engine
from cortex.fleet.capacity.sheets import GIB, GpuSheet
from cortex.fleet.capacity.step_cost import StepCost
from cortex.runs.profile import Profile
from cortex.runs.stages import models

TENSOR_SECONDS = 2e-3
"""Of handing one tensor to vLLM, beside its bytes. An estimate."""


@dataclass(frozen=True)
class TrainingPhases:
    """The phases of a profile's training stages on one kind of GPU."""

    profile: Profile
    architecture: Architecture
    sheet: GpuSheet
    steps: Mapping[str, Step]
    costs: Mapping[str, StepCost]
    disks: Mapping[str, float]
    """Bytes a second of the disk of each stage's machine."""

    def phases(self) -> Iterator[Phase]:
        for stage in models(self.profile):
            yield self._load(stage)
            if stage == "dpo":
                yield self._sampling()
            sampled = rollout(self.profile) if stage == "grpo" else None
            if sampled:
                yield self._rollout(sampled)
                yield self._sync(sampled)
            yield self._step(stage)
            if getattr(self.profile, stage).validate_steps:
                yield self._validate(stage)
            yield self._save(stage)

    def step_seconds(self, stage: str) -> float:
        """Of one optimizer step, rollouts and sync included."""
        named = {"step", "rollout", "sync"}
        phases = [phase for phase in self.phases() if phase.stage == stage and phase.name in named]
        return sum(phase.seconds for phase in phases) / getattr(self.profile, stage).max_steps

    def save_seconds(self, stage: str) -> float:
        """For which training stands still at one checkpoint."""
        return self._save(stage).each

    @property
    def _gpus(self) -> int:
        """Of all machines that train together."""
        return self.profile.hardware.processes

    @property
    def _link(self) -> float:
        """Bytes a second that every GPU takes in while all of them gather: over the slower of its ways.

        A machine lacks what the others hold, and its GPUs share one link to them.
        """
        nodes = self.profile.hardware.nodes
        return min(self.sheet.link, NODE_LINK * nodes / (nodes - 1)) if nodes > 1 else self.sheet.link

    @property
    def _beside(self) -> float:
        """Bytes of each GPU that no tensor of a trainer takes."""
        return (CONTEXT + (NCCL if self._gpus > 1 else 0.0)) * GIB

    @property
    def _asleep(self) -> float:
        """Bytes that a sleeping vLLM keeps."""
        return GRAPHS * GIB if self.profile.grpo.vllm else 0.0

    def _phase(self, stage: str, name: str, seconds: float, gpu: float, **more: Any) -> Phase:
        return Phase(stage, name, seconds, gpu=gpu + self._beside, gpus=self._gpus, capacity=self.sheet.bytes, **more)

    def _load(self, stage: str) -> Phase:
        """The base comes in over the network onto the disk, is read from the page cache, and placed.

        With 4 bits every rank quantizes all of it on its own GPU, tensor by tensor, before it is sharded (bitsandbytes,
        `cpu_ram_efficient_loading: false`); in bf16 a sharded model is moved layer by layer.
        """
        a, step = self.architecture, self.steps[stage]
        whole = BF16 * a.parameters
        largest = BF16 * max(a.table, *(inputs * outputs for inputs, outputs in a.linears))
        adapter = 3 * FLOAT * self.costs[stage].trained if step.adapter else 0
        if step.packed:
            gpu = a.packed() + largest + FLOAT * self.costs[stage].trained
        elif step.ranks > 1:
            gpu = (whole + adapter) / step.ranks + BF16 * max(a.layer, a.table)
        else:
            gpu = self.costs[stage].static + largest
        first = stage == "sft" or self.disks[stage] != self.disks.get("sft")
        fetched = max(whole / NETWORK, whole / self.disks[stage]) if first or stage == "grpo" else 0.0
        engine = ENGINE_START if stage == "grpo" and self.profile.grpo.vllm else 0.0
        return self._phase(
            stage,
            "load",
            fetched + whole / 4e9 + START + engine,
            gpu,
            host=whole + 2 * GIB * self.profile.hardware.gpus,
            disk=whole,
            moved=whole,
            knobs=(self._more_gpus(),),
        )

    def _step(self, stage: str) -> Phase:
        step, cost, section = self.steps[stage], self.costs[stage], getattr(self.profile, stage)
        share = step.usual / step.tokens
        one = cost.forward.time(self._link, share) + cost.backward.time(self._link, share)
        passes = step.passes * one
        moved = cost.forward.moved + cost.backward.moved
        if stage == "dpo" or (stage == "grpo" and (self.profile.grpo.vllm or self.profile.grpo.iterations > 1)):
            # The reference's probabilities, or those of the policy that sampled, take a forward pass of their own.
            passes += step.passes * cost.forward.time(self._link, share)
            moved += cost.forward.moved
        if stage == "grpo" and self.profile.grpo.beta:
            passes += step.passes * cost.forward.time(self._link, share)
        dynamic = (cost.peak - cost.static) * (1 + FRAGMENTED)
        return self._phase(
            stage,
            "step",
            section.max_steps * (passes + cost.update),
            cost.static + dynamic + (self._asleep if stage == "grpo" else 0.0),
            moved=moved * step.passes * section.max_steps if step.ranks > 1 else 0.0,
            host=4 * GIB * self.profile.hardware.gpus,
            times=section.max_steps,
            basis=TRACED if cost.traced else CLOSED,
            knobs=(*self._smaller_batches(stage), *self._shorter(stage), self._more_gpus()),
        )

    def _engine(self, sampled: Rollout) -> Engine:
        return Engine(self.architecture, self.sheet, sampled.tensor, BF16 * self.architecture.parameters)

    def _length(self, sampled: Rollout) -> int:
        return sampled.length or self.architecture.context

    def _sampling_seconds(self, sampled: Rollout, answers: float) -> float:
        """Of a batch of so many answers of each GPU."""
        engine, usual = self._engine(sampled), usual_answer(sampled.tokens)
        each = answers * sampled.tensor  # of one engine
        at_once = min(each, engine.room(sampled.share, PROMPT + usual))
        return engine.seconds(each, PROMPT, sampled.tokens, usual, at_once)

    def _rollout(self, sampled: Rollout) -> Phase:
        """Answers by vLLM on the training GPUs, which keep their shards: vLLM takes a share of the whole GPU, whatever
        is on it besides, and refuses to start where one sequence of `max_model_length` has no room in it."""
        static, needed = self.costs["grpo"].static, self._engine(sampled).least(self._length(sampled))
        # Too small a share is a phase that does not fit either: it needs more of its GPU than it is given.
        lacking = max(0.0, needed - sampled.share * self.sheet.bytes)
        free = self.sheet.bytes - static - self._beside
        return self._phase(
            "grpo",
            "rollout",
            sampled.batches * self._sampling_seconds(sampled, sampled.answers),
            static + sampled.share * self.sheet.bytes + lacking,
            lacking=lacking,
            times=sampled.batches,
            host=4 * GIB * self.profile.hardware.gpus,
            knobs=(
                self._other_share(sampled, needed, free),
                self._more_tensor(sampled),
                self._less_length(sampled),
                self._more_gpus(),
            ),
        )

    def _sync(self, sampled: Rollout) -> Phase:
        """Each weight is gathered whole, added to its adapter's product in float32, and handed to vLLM, one by one;
        vLLM's cache is not there yet (`sleep` level 2)."""
        a, engine, times = self.architecture, self._engine(sampled), sampled.batches
        whole = BF16 * a.parameters
        largest = max(a.table, *(inputs * outputs for inputs, outputs in a.linears))
        tensors = 9 * a.layers + 3
        each = (whole / self._link if self._gpus > 1 else 0.0) + 8 * whole / self.sheet.bandwidth
        return self._phase(
            "grpo",
            "sync",
            times * (each + tensors * TENSOR_SECONDS),
            self.costs["grpo"].static + engine.weights + GRAPHS * GIB + largest * (2 * BF16 + 2 * FLOAT),
            moved=times * whole if self._gpus > 1 else 0.0,
            times=times,
            knobs=(self._more_tensor(sampled), self._more_gpus()),
        )

    def _sampling(self) -> Phase:
        """DPO's pairs: answers of the SFT model by vLLM, on all GPUs, before the trainer starts."""
        dpo = self.profile.dpo
        assert dpo
        whole = BF16 * self.architecture.parameters
        gpus = self.profile.hardware.gpus
        tensor = next((n for n in (1, 2, 4, 8) if n <= gpus and whole / n < 0.7 * self.sheet.bytes), gpus)
        engine = Engine(self.architecture, self.sheet, tensor, whole)
        longest = self.profile.grpo.max_completion_length
        usual, answers = usual_answer(longest), dpo.prompts * dpo.samples * tensor / self._gpus
        at_once = min(256.0, engine.room(0.9, PROMPT + usual))
        seconds = engine.seconds(answers, PROMPT, longest, usual, at_once)
        return self._phase("dpo", "sample", seconds + ENGINE_START, 0.9 * self.sheet.bytes - self._beside)

    def _validate(self, stage: str) -> Phase:
        """A look at held-out examples: a forward pass of each, and for GRPO an answer to each by vLLM."""
        section, step, cost = getattr(self.profile, stage), self.steps[stage], self.costs[stage]
        times = max(1, section.max_steps // section.validate_steps)
        passes = -(-section.validation_examples // (step.rows * step.ranks))
        each = passes * cost.forward.time(self._link, step.usual / step.tokens)
        sampled = rollout(self.profile) if stage == "grpo" else None
        if sampled:
            each += self._sampling_seconds(sampled, section.validation_examples / self._gpus)
        # It holds no more than a step does, which the backward pass makes the larger.
        return Phase(stage, "validate", times * each, gpus=self._gpus, times=times)

    def _save(self, stage: str) -> Phase:
        """What is trained in float32, with its two moments; training stands still until the disk has it."""
        section, trained = getattr(self.profile, stage), self.costs[stage].trained
        size = 3 * FLOAT * trained
        times = -(-section.max_steps // section.save_steps)
        layer = FLOAT * max(self.architecture.layer, self.architecture.table) if not self.steps[stage].adapter else 0
        return self._phase(
            stage,
            "save",
            times * (size / self.disks[stage] + 2.0),
            self.costs[stage].static + layer,
            host=size,
            disk=size * (section.keep_checkpoints + 2),
            moved=size * times,
            times=times,
            knobs=(self._more_gpus(),),
        )

    def _smaller_batches(self, stage: str) -> Iterator[Knob]:
        """Fewer sequences a pass, and as many more passes: the step stays the same."""
        section = getattr(self.profile, stage)
        total = section.micro_batch_size * section.gradient_accumulation
        values = tuple(n for n in range(section.micro_batch_size - 1, 0, -1) if total % n == 0)
        key = f"{stage}.gradient_accumulation"
        yield Knob(f"{stage}.micro_batch_size", values, lambda _profile, value: {key: total // value})

    def _shorter(self, stage: str) -> Iterator[Knob]:
        """Shorter sequences, down to half."""
        if stage == "grpo":
            longest, key = self.profile.grpo.max_completion_length, "grpo.max_completion_length"
        else:
            longest, key = self.profile.sft.sequence_length, "sft.sequence_length"
        step = 64 if longest > 256 else 8
        yield Knob(key, tuple(range((longest - 1) // step * step, longest // 2, -step)))

    def _more_gpus(self) -> Knob:
        return Knob("hardware.gpus", tuple(n for n in (2, 4, 8) if n > self.profile.hardware.gpus))

    def _other_share(self, sampled: Rollout, needed: float, free: float) -> Knob:
        """The nearest share that leaves the trainer its part and holds a sequence."""
        least, most = needed / self.sheet.bytes, free / self.sheet.bytes
        hundredths = [n / 100 for n in range(1, 100) if least <= n / 100 <= most]
        nearest = sorted(hundredths, key=lambda share: abs(share - sampled.share))
        return Knob("grpo.vllm.gpu_memory_utilization", tuple(nearest))

    def _more_tensor(self, sampled: Rollout) -> Knob:
        gpus = self.profile.hardware.gpus
        values = tuple(n for n in range(sampled.tensor + 1, gpus + 1) if gpus % n == 0)
        return Knob("grpo.vllm.tensor_parallel_size", values)

    def _less_length(self, sampled: Rollout) -> Knob:
        needed, given = PROMPT + sampled.tokens, self._length(sampled)
        return Knob("grpo.vllm.max_model_length", tuple(n for n in (8192, 4096, 2048, needed) if needed <= n < given))
