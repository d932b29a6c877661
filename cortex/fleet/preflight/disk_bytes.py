"""Bytes of a profile's models, checkpoints and copies on the disk of one task's machine."""

from collections.abc import Sequence
from dataclasses import dataclass

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.fleet.capacity.sizes import checkpoint_bytes, copies_bytes, gguf_aside, judged_bytes
from cortex.profiles.profile import Profile
from cortex.runs.stage_list import LOADING, TRAINERS, models


@dataclass(frozen=True)
class Need:
    """Bytes on the disk of one task's machine."""

    base: int
    checkpoints: int
    models: int
    """Models of earlier stages, and those that this task's stages make."""
    teacher: int = 0
    """The model that `distill` learns from."""

    @property
    def total(self) -> int:
        return self.base + self.checkpoints + self.models + self.teacher


def need(
    profile: Profile, architecture: Architecture, stages: Sequence[str], teacher: Architecture | None = None
) -> Need:
    """Bytes that the stages of one task hold on disk at the same time; `teacher` is the shape of `distill.teacher`.

    - base: the weights in bf16, once, if any stage loads a model: those of the base, or those that `pretrain` built.
    - checkpoints: for each training stage (keep + 2) times the trained parameters with their two Adam moments in
      float32: those that are kept, one being written, and one being fetched or replaced.
    - models: for training, the trained weights twice (as made, and as sealed for the bucket); for export, the merged
      weights, every quantized copy, the float32 log-probabilities by which copies are judged, and what GGUF copies are
      made of; for evaluate, these models and each training stage's, as downloaded; for release, the models twice, as
      downloaded and as laid out.
    """
    adapter = profile.model.adapter
    whole = BF16 * architecture.parameters
    trained = FLOAT * architecture.trained(adapter) if adapter else whole
    copies = copies_bytes(profile, architecture)
    checkpoints = held = 0
    for stage in stages:
        section = getattr(profile, stage) if stage in TRAINERS else None
        if section:
            checkpoints += (section.keep_checkpoints + 2) * checkpoint_bytes(profile, architecture)
            held += 2 * trained
        elif stage == "export":
            held += whole + copies + judged_bytes(profile, architecture) + gguf_aside(profile, architecture)
        elif stage == "evaluate":
            held += trained * len(set(models(profile)) - set(stages)) + (0 if "export" in stages else whole + copies)
        elif stage == "release":
            held += 2 * (whole + copies)
    loads = LOADING & set(stages)
    given = profile.model.base or profile.pretrain
    taught = BF16 * teacher.parameters if teacher and "distill" in stages else 0
    return Need(whole if loads and given else 0, checkpoints, held, taught)
