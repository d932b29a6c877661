"""Phases of the training stages: loading, sampling, steps, validations and checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass

from cortex.fleet.capacity.architecture import BF16, FLOAT
from cortex.fleet.capacity.lengths import answer_tokens
from cortex.fleet.capacity.phase import FRAGMENTED, Knob, Phase
from cortex.fleet.capacity.rates import ENGINE_START, NETWORK, START
from cortex.fleet.capacity.requests import phase_key, rollout
from cortex.fleet.capacity.sampling_phases import SAMPLING, SamplingPhases
from cortex.fleet.capacity.sheets import GIB
from cortex.fleet.capacity.sizes import checkpoint_bytes
from cortex.fleet.capacity.training_machines import TrainingMachines
from cortex.profiles.distill_section import Distill
from cortex.profiles.trainer_sections import Grpo, Optimization
from cortex.runs.stage_list import models, trainings
from cortex.trainers.held_out import SHARE


@dataclass(frozen=True)
class TrainingPhases:
    """The phases of a profile's training stages."""

    machines: TrainingMachines

    def phases(self) -> Iterator[Phase]:
        for stage in trainings(self.machines.profile):
            yield self._load(stage)
            yield from self._sampling.phases(stage)
            yield from self._steps(stage)
            if self._section(stage).validate_steps:
                yield self._validate(stage)
            yield self._save(stage)

    def step_seconds(self, stage: str) -> float:
        """Seconds of one optimizer step, rollouts and sync included."""
        named = {"step", "rollout", "sync"}
        phases = [phase for phase in self.phases() if phase.stage == stage and phase.kind in named]
        return sum(phase.seconds for phase in phases) / self._section(stage).max_steps

    def save_seconds(self, stage: str) -> float:
        """Seconds for which one checkpoint pauses training."""
        return self._save(stage).each

    @property
    def _sampling(self) -> SamplingPhases:
        return SamplingPhases(self.machines)

    def _section(self, stage: str) -> Optimization:
        return getattr(self.machines.profile, stage)

    def _load(self, stage: str) -> Phase:
        """Load: the base is downloaded to the disk, read from the page cache, and moved to the GPUs.

        With 4 bits every rank quantizes the whole base on its own GPU, tensor by tensor, before it is sharded
        (bitsandbytes, `cpu_ram_efficient_loading: false`); in bf16 a sharded model is moved layer by layer.
        """
        machines, a, step = self.machines, self.machines.architecture, self.machines.steps[stage]
        whole, cost = machines.whole, machines.costs[stage]
        largest = BF16 * max(a.table, *(inputs * outputs for inputs, outputs in a.linears))
        adapter = 3 * FLOAT * cost.trained if step.adapter else 0
        if step.packed:
            gpu = a.packed() + largest + FLOAT * cost.trained
        elif step.ranks > 1:
            gpu = (whole + adapter) / step.ranks + BF16 * max(a.layer, a.table)
        else:
            gpu = cost.static + largest
        first = stage == models(machines.profile)[0] or machines.disks[stage] != machines.disks.get("sft")
        fetched = max(whole / NETWORK, whole / machines.disks[stage]) if first or stage in SAMPLING else 0.0
        engine = ENGINE_START if self._sampling.asleep(stage) else 0.0
        teacher = machines.taught(stage)
        if teacher:
            # Fetched after the base, and moved to the GPUs layer by layer after the student.
            fetched += max(teacher.whole / NETWORK, teacher.whole / machines.disks[stage])
            gpu += teacher.bytes + teacher.gathered
            whole += teacher.whole
        return machines.phase(
            stage,
            "load",
            fetched + whole / 4e9 + START + engine,
            gpu,
            host=whole + 2 * GIB * machines.profile.hardware.gpus,
            disk=whole,
            moved=whole,
            knobs=machines.more_gpus(),
        )

    def _steps(self, stage: str) -> Iterator[Phase]:
        """A training's steps: of pretraining, those of each of its phases."""
        pretrain = self.machines.profile.pretrain
        if stage != "pretrain" or pretrain is None:
            yield self._step(stage, "step", stage, self._section(stage).max_steps)
            return
        for phase, count in pretrain.phase_steps():
            yield self._step(stage, f"step {phase.name}", phase_key(phase.name), count)

    def _step(self, stage: str, name: str, key: str, count: int) -> Phase:
        machines = self.machines
        step, cost = machines.steps[key], machines.costs[key]
        share = step.usual / step.tokens
        one = cost.forward.time(machines.link, share) + cost.backward.time(machines.link, share)
        passes = step.passes * (one + step.beside * cost.forward.time(machines.link, share))
        moved = (1 + step.beside) * cost.forward.moved + cost.backward.moved
        teacher = machines.taught(stage)
        if teacher:
            passes += step.passes * teacher.forward.time(machines.link, share)
            moved += teacher.forward.moved
        # The teacher's layers are gathered while the student's activations wait for the backward pass.
        dynamic = (cost.peak - cost.static + (teacher.gathered if teacher else 0.0)) * (1 + FRAGMENTED)
        return machines.phase(
            stage,
            name,
            count * (passes + cost.update),
            cost.static + (teacher.bytes if teacher else 0.0) + dynamic + self._sampling.asleep(stage),
            gathered=moved * step.passes * count if step.ranks > 1 else 0.0,
            host=4 * GIB * machines.profile.hardware.gpus,
            times=count,
            basis=cost.basis,
            knobs=(*self._smaller_batches(stage), *self._shorter(stage), *machines.more_gpus()),
        )

    def _validate(self, stage: str) -> Phase:
        """Validation on held-out examples: GRPO and distillation sample an answer to each, as in training; SFT and DPO
        run a forward pass over each, DPO more beside it, as in a step. It needs no more memory than a step or a
        rollout."""
        machines, profile, section = self.machines, self.machines.profile, self._section(stage)
        step, cost = machines.steps[stage], machines.costs[stage]
        times = validations(section)
        if stage in SAMPLING:
            # A remainder is left out (`JudgedValidation`).
            answers = max(1, section.validation_examples // machines.gpus)
            each = self._sampling.seconds(rollout(profile, stage), answers)
            return Phase(stage, "validate", times * each, gpus=machines.gpus, times=times)
        given = profile.teacher.examples
        if stage == "reward_model" and profile.reward_model:
            given = profile.reward_model.prompts
        if stage == "dpo" and profile.dpo:
            given = profile.dpo.prompts * (profile.dpo.samples if profile.dpo.unpaired else 1)
        held = max(1, min(section.validation_examples, given // SHARE))
        passes = -(-held // (section.micro_batch_size * machines.gpus)) * (1 + step.beside)
        usual = min(step.tokens, answer_tokens(profile)) if stage == "sft" else step.usual  # nothing is packed
        return Phase(
            stage,
            "validate",
            times * passes * cost.forward.time(machines.link, usual / step.tokens),
            gpus=machines.gpus,
            moved=times * passes * cost.forward.moved if machines.gpus > 1 else 0.0,
            times=times,
            basis=cost.basis,
        )

    def _save(self, stage: str) -> Phase:
        """Save of a checkpoint: the trained parameters in float32, with their two moments. Training waits until it is
        on disk. Of several machines only the first one writes."""
        machines, section = self.machines, self._section(stage)
        size = checkpoint_bytes(machines.profile, machines.architecture)
        times = -(-section.max_steps // section.save_steps)
        a = machines.architecture
        layer = FLOAT * max(a.layer, a.table) if not machines.steps[stage].adapter else 0
        return machines.phase(
            stage,
            "save",
            times * (size / machines.disks[stage] + 2.0),
            machines.static(stage) + layer,
            host=size,
            disk=size * (section.keep_checkpoints + 2),
            moved=size * times,
            times=times,
            knobs=machines.more_gpus(),
        )

    def _smaller_batches(self, stage: str) -> Iterator[Knob]:
        """Knob for fewer sequences a pass and more passes, so that the step keeps its size."""
        section = self._section(stage)
        total = section.micro_batch_size * section.gradient_accumulation
        values = tuple(n for n in range(section.micro_batch_size - 1, 0, -1) if total % n == 0)
        key = f"{stage}.gradient_accumulation"
        yield Knob(f"{stage}.micro_batch_size", values, lambda _profile, value: {key: total // value})

    def _shorter(self, stage: str) -> Iterator[Knob]:
        """Knob for shorter sequences, down to half."""
        if stage == "pretrain":
            return  # phases name their own, which divide one another
        if stage in SAMPLING:
            section: Distill | Grpo = getattr(self.machines.profile, stage)
            longest, key = section.max_completion_length, f"{stage}.max_completion_length"
        else:
            longest, key = self.machines.profile.sft.sequence_length, "sft.sequence_length"
        step = 64 if longest > 256 else 8
        yield Knob(key, tuple(range((longest - 1) // step * step, longest // 2, -step)))


def validations(section: Optimization) -> int:
    """Number of validations of a training: at each first save after a multiple of `validate_steps`, and at its end
    (`cortex.checkpoints.rules.TrainingRules.validates`)."""
    if section.validate_steps is None:
        return 0
    last_save = (section.max_steps - 1) // section.save_steps * section.save_steps
    return 1 + last_save // max(section.save_steps, section.validate_steps)
