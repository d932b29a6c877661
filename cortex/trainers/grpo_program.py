"""The GRPO trainer as a program: `python -m cortex.trainers.grpo_program TASK.json`, which the grpo stage writes.

TRL samples a group of answers to each prompt. The domain, which knows the truth, rewards each, and those rewarded above
their group's mean are made likelier (Shao et al., "DeepSeekMath", 2024).
"""

import sys
from pathlib import Path
from typing import Any

from transformers import TrainerState
from trl import GRPOConfig

from cortex.checkpoints.misleading import validated_answers
from cortex.checkpoints.rules import TrainingRules
from cortex.domains.domain import Domain
from cortex.models.loading import load_tokenizer
from cortex.models.reward_models import LearnedReward, load_to_score
from cortex.runs.learned_reward import Validation, Validations
from cortex.trainers.callbacks import rollout_phase
from cortex.trainers.episode_rollouts import EpisodeRollouts, pay_by_seat
from cortex.trainers.grpo_trainer import KitGRPOTrainer
from cortex.trainers.judged_task import JudgedTask
from cortex.trainers.judged_validation import Answer
from cortex.trainers.ranks import leave
from cortex.trainers.tool_rollouts import tool_inputs
from cortex.trainers.trl_task import train, trainer_inputs
from cortex.trainers.vllm_sync import keep_base_unmerged


class GrpoTask(JudgedTask):
    """A GRPO trainer's task."""

    reward_model: str | None = None
    """Folder of the reward model whose scores reward; None where the domain's grades do."""
    validations: str | None = None
    """File for what the validations found (`cortex.runs.learned_reward.Validations`); None writes none."""

    def scorer(self) -> LearnedReward | None:
        """The reward model, where there is one."""
        if self.reward_model is None:
            return None
        folder = Path(self.reward_model)
        model = load_to_score(folder, base=self.base, device=self.device, attention=self.attention)
        return LearnedReward(model, load_tokenizer(folder), self.arguments["per_device_train_batch_size"])


def reward_function(
    domain: Domain,
    rollouts: list[dict[str, Any]] | None = None,
    sample_steps: int = 1,
    phase: int = 1,
    truth_alone: bool = False,
) -> Any:
    """TRL's reward function: conversations and the examples' columns in, weighted rewards out.

    It adds the rollouts of every `sample_steps`-th step to `rollouts`; `phase` steps share the same rollouts.
    `truth_alone` returns 1 less each answer's loss, to be measured beside a learned reward.
    """

    def reward_fn(
        prompts: list[Any], completions: list[Any], example_id: list[str], truth: list[str], **context: Any
    ) -> list[float]:
        # Rollouts of several turns are judged where they are played.
        answers: list[Answer] = context.get("answer") or [
            Answer.judged(domain, {"prompt": prompt, "example_id": name, "truth": told}, completion)
            for prompt, name, told, completion in zip(prompts, example_id, truth, completions, strict=True)
        ]
        log = context.get("log_metric")
        if log:
            for part in domain.weights():
                judged = [answer.graded.parts[part] for answer in answers if part in answer.graded.parts]
                if judged:  # of several domains, only some may have examples in a batch
                    log(f"reward/{part}", sum(judged) / len(judged))
        state = context.get("trainer_state")
        if rollouts is not None and state and state.global_step % sample_steps < phase:
            rollouts[:] = [answer.to_row() for answer in answers]
        if truth_alone:
            return [1.0 - answer.graded.loss for answer in answers]
        rewards = [answer.reward for answer in answers]
        return pay_by_seat(example_id, context["seat"], rewards) if "seat" in context else rewards

    if truth_alone:
        reward_fn.__name__ = "truth"  # TRL names metrics by it
    return reward_fn


def main() -> None:
    task = GrpoTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    keep_base_unmerged()
    domain = task.judge()
    samples = task.sample_writer()
    arguments = GRPOConfig(**task.arguments)
    rollouts: list[dict[str, Any]] | None = [] if samples else None
    inputs, learned = trainer_inputs(task), task.scorer()
    graded = reward_function(
        domain, rollouts, task.sample_steps, rollout_phase(arguments), truth_alone=learned is not None
    )
    trainer = KitGRPOTrainer(
        domain=domain,
        samples=samples,
        rollouts=rollouts,
        learned=learned,
        reward_funcs=[learned, graded] if learned else [graded],
        args=arguments,
        **({"rollout_func": EpisodeRollouts(domain)} if domain.plays_matches() else {}),
        **inputs,
        **tool_inputs(domain, arguments, inputs["processing_class"]),
    )
    train(trainer, task)
    if task.validations and trainer.is_world_process_zero():
        found = validations(trainer.state).model_dump_json(indent=1)
        Path(task.validations).write_text(found + "\n", encoding="utf-8")


def validations(state: TrainerState) -> Validations:
    """The findings of a training's validations, from its history."""
    answers = validated_answers(state.log_history)
    return Validations(
        steps=state.global_step,
        chosen=state.best_global_step or state.global_step,
        validations=[Validation(step=each.step, reward=each.reward, truth=each.truth) for each in answers],
        misled=TrainingRules.given().misled(state.log_history),
    )


if __name__ == "__main__":
    main()
    leave()
