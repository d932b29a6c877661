"""How many bytes a profile's model, its checkpoints and its copies take on the disk of one task's machine."""

from collections.abc import Sequence
from dataclasses import dataclass

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.fleet.capacity.sizes import checkpoint_bytes, judged_bytes
from cortex.runs.profile import Profile
from cortex.runs.stages import LOADING, models


@dataclass(frozen=True)
class Need:
    """Bytes on the disk of one task's machine."""

    base: int
    checkpoints: int
    models: int
    """What earlier stages left, and what this task's stages make."""

    @property
    def total(self) -> int:
        return self.base + self.checkpoints + self.models


def need(profile: Profile, architecture: Architecture, stages: Sequence[str]) -> Need:
    """What the stages of one task hold at once, in bytes.

    base: the weights in bf16, once, for any stage that loads a model.
    checkpoints: for each training stage, those that are kept, one that is being written and one that is being
    fetched or replaced: (keep + 2) x what is trained with its two Adam moments, in float32.
    models: what is trained, twice (made, and sealed for the bucket); for export the merged weights, every quantized
    copy, and the log-probabilities in float32 by which copies are judged; for evaluate these models as they come in,
    and each training stage's; for release twice, as they come in and as they are laid out.
    """
    adapter = profile.model.adapter
    whole = BF16 * architecture.parameters
    trained = FLOAT * architecture.trained(adapter) if adapter else whole
    copies = sum(round(architecture.copy(copy.bits)) for copy in profile.export.gptq)
    checkpoints = held = 0
    for stage in stages:
        section = {"sft": profile.sft, "dpo": profile.dpo, "grpo": profile.grpo}.get(stage)
        if section:
            checkpoints += (section.keep_checkpoints + 2) * checkpoint_bytes(profile, architecture)
            held += 2 * trained
        elif stage == "export":
            held += whole + copies + judged_bytes(profile, architecture)
        elif stage == "evaluate":
            held += trained * len(set(models(profile)) - set(stages)) + (0 if "export" in stages else whole + copies)
        elif stage == "release":
            held += 2 * (whole + copies)
    loads = LOADING & set(stages)
    return Need(whole if loads and profile.model.base else 0, checkpoints, held)
