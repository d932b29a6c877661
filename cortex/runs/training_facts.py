"""One stage of training in words and figures, from its profile."""

from cortex.evaluation.card import TrainingStage
from cortex.profiles.pretrain_section import Pretrain
from cortex.profiles.profile import Profile
from cortex.profiles.trainer_sections import Optimization

_METHODS = {
    "pretrain": "transformers, on streams of text",
    "sft": "Axolotl, on the teacher's answers",
    "dpo": "TRL DPO",
    "distill": "TRL distillation, on its own answers, from a larger model",
    "reward_model": "TRL reward model",
    "grpo": "TRL GRPO, on judged answers",
}


def training_stage(profile: Profile, stage: str) -> TrainingStage:
    """The method and the key figures of a training stage, as cards and whitepapers name them."""
    section: Optimization = getattr(profile, stage)
    facts: dict[str, str | int | float] = {
        "steps": section.max_steps,
        "learning rate": section.learning_rate,
        "batch": section.micro_batch_size * section.gradient_accumulation * profile.hardware.gpus,
    }
    if isinstance(section, Pretrain):
        facts |= {"tokens": section.max_steps * section.step_tokens, "batch": section.step_tokens}
    if stage == "distill" and profile.distill:
        facts["teacher"] = profile.distill.teacher.base or f"run {profile.distill.teacher.run}"
    unpaired = stage == "dpo" and profile.dpo and profile.dpo.unpaired
    return TrainingStage(name=stage, method="TRL KTO" if unpaired else _METHODS[stage], facts=facts)
