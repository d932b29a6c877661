"""The machines that train together: their GPUs, the links between them, and the memory that each GPU always needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortex.fleet.capacity.architecture import BF16, Architecture
from cortex.fleet.capacity.phase import CONTEXT, NCCL, Knob, Phase
from cortex.fleet.capacity.rates import NODE_LINK
from cortex.fleet.capacity.requests import Step
from cortex.fleet.capacity.sheets import GIB, GpuSheet
from cortex.fleet.capacity.step_cost import StepCost
from cortex.fleet.capacity.teacher_cost import TeacherCost
from cortex.profiles.profile import Profile
from cortex.runs.stage_list import scorer


@dataclass(frozen=True)
class TrainingMachines:
    """All machines that train together, and each stage's step on them."""

    profile: Profile
    architecture: Architecture
    sheet: GpuSheet
    steps: Mapping[str, Step]
    costs: Mapping[str, StepCost]
    disks: Mapping[str, float]
    """Bytes a second of the disk of each stage's machine."""
    teacher: TeacherCost | None = None
    """The larger model of a distillation, on the same GPUs."""

    @property
    def whole(self) -> int:
        """Bytes of the weights in bf16."""
        return BF16 * self.architecture.parameters

    def static(self, stage: str) -> float:
        """Bytes of each GPU between a stage's steps: the model with its optimizer, and a distillation's teacher."""
        held = self.taught(stage)
        return self.costs[stage].static + (held.bytes if held else 0.0)

    def taught(self, stage: str) -> TeacherCost | None:
        """The teacher that a stage keeps on the GPUs; None for other stages than `distill`."""
        return self.teacher if stage == "distill" else None

    @property
    def gpus(self) -> int:
        """GPUs of all machines that train together."""
        return self.profile.hardware.processes

    @property
    def link(self) -> float:
        """Bytes a second into every GPU while all of them gather: the rate of the slowest link in NCCL's ring.

        All-gathers and reduce-scatters go around a ring through all GPUs; NCCL has no other algorithm for machines with
        several GPUs (Hu et al., "Demystifying NCCL", 2025, https://arxiv.org/abs/2507.04786). So each machine receives
        nearly all of what is gathered, over the one link that its GPUs share.
        """
        return min(self.sheet.link, NODE_LINK) if self.profile.hardware.nodes > 1 else self.sheet.link

    @property
    def beside(self) -> float:
        """Bytes of each GPU that are used besides the trainer's tensors."""
        return (CONTEXT + (NCCL if self.gpus > 1 else 0.0)) * GIB

    def phase(self, stage: str, name: str, seconds: float, gpu: float, *, gathered: float = 0.0, **more: Any) -> Phase:
        """A phase in which the trainer's tensors use `gpu` bytes, and each GPU gathers `gathered` bytes from others."""
        if stage == "grpo" and scorer(self.profile):
            gpu += self.whole  # each GPU holds all of the reward model, in bf16
        several = self.profile.hardware.nodes > 1
        crossed = gathered * (self.gpus - 1) / self.gpus if several else 0.0
        if gathered:
            more["moved"] = gathered
        return Phase(
            stage,
            name,
            seconds,
            gpu=gpu + self.beside,
            gpus=self.gpus,
            capacity=self.sheet.bytes,
            crossed=crossed,
            **more,
        )

    def more_gpus(self) -> tuple[Knob, ...]:
        """Knobs for more GPUs of a machine, then for more machines."""
        hardware = self.profile.hardware
        return (
            Knob("hardware.gpus", tuple(n for n in (2, 4, 8) if n > hardware.gpus)),
            Knob("hardware.nodes", tuple(n for n in (2, 4, 8) if n > hardware.nodes)),
        )
