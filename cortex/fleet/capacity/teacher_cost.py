"""Memory and time of the teacher of a distillation, which stays on the GPUs that train the student, sharded like it."""

from collections.abc import Mapping
from dataclasses import dataclass

from cortex.errors import ConfigError
from cortex.fleet.capacity.architecture import BF16, Architecture, read_architecture
from cortex.fleet.capacity.requests import Step
from cortex.fleet.capacity.sheets import GpuSheet
from cortex.fleet.capacity.step_cost import BESIDE, Pass
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import Model


@dataclass(frozen=True)
class TeacherCost:
    """The teacher on each GPU, and one of its passes over the student's sequences."""

    whole: float
    """Bytes of all its weights in bf16."""
    bytes: float
    """Bytes of each GPU that it always takes: its shard, and its head, which is never sharded again."""
    gathered: float
    """Bytes of each GPU for layers on their way: the one at work and the next."""
    forward: Pass
    """One pass over the longest sequences, without gradients."""


def teacher_architecture(profile: Profile, environment: Mapping[str, str]) -> Architecture | None:
    """The shape of the model that a profile distills from; None without distillation.

    Raises:
        ConfigError: it is another run's release, or its shape is not known here.
    """
    if profile.distill is None:
        return None
    teacher = profile.distill.teacher
    if teacher.base is None:
        raise ConfigError(
            f"{teacher.name}: the size of another run's release is not known here: name distill.teacher.base"
        )
    return read_architecture(Model(base=teacher.base, revision=teacher.revision), environment)[1]


def teacher_cost(teacher: Architecture, step: Step, sheet: GpuSheet) -> TeacherCost:
    """The cost of a teacher beside a step of `distill`: two operations for each weight and token, and its attention."""
    ranks, tokens = step.ranks, step.rows * step.tokens
    whole = BF16 * teacher.parameters
    operations = 2.0 * teacher.multiplied * tokens + 4.0 * tokens * step.tokens * teacher.query * teacher.layers
    several = ranks > 1
    return TeacherCost(
        whole=whole,
        bytes=whole / ranks + (BF16 * teacher.table if several else 0.0),
        gathered=2.1 * BF16 * teacher.layer if several else 0.0,
        forward=Pass(BESIDE * operations / sheet.flops, float(whole) if several else 0.0),
    )
