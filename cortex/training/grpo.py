"""The GRPO trainer as a program: `python -m cortex.training.grpo TASK.json`, which the grpo stage writes.

TRL samples a group of answers to each prompt, `cortex.reasoning.rewards` rewards each by the known outcome, and answers
rewarded above their group's mean are made likelier (Shao et al., "DeepSeekMath", 2024).
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from trl import GRPOConfig

from cortex.reasoning.reward_weights import RewardWeights
from cortex.reasoning.rewards import Reward, reward
from cortex.training.callbacks import rollout_phase
from cortex.training.grpo_trainer import Judge, KitGRPOTrainer, judged
from cortex.training.ranks import leave
from cortex.training.samples import SampleWriter
from cortex.training.trl_task import TrlTask, train, trainer_inputs
from cortex.training.vllm_sync import keep_base_unmerged


class GrpoTask(TrlTask):
    """A GRPO trainer's task. The dataset has the columns `prompt` (a conversation) and `outcome` (a fraction)."""

    vocabulary: list[str]
    """Words that count as correctly spelled."""
    rewards: RewardWeights
    samples: str | None = None
    """Folder for a few sampled answers; None stores none."""
    sample_count: int = 0
    sample_steps: int = 1


def make_judge(weights: RewardWeights, vocabulary: frozenset[str]) -> Judge:
    """A function that judges an answer by the profile's weights."""
    return partial(_judge, weights=weights, vocabulary=vocabulary)


def reward_function(
    weights: RewardWeights,
    judge: Judge,
    rollouts: list[dict[str, Any]] | None = None,
    sample_steps: int = 1,
    phase: int = 1,
) -> Any:
    """TRL's reward function: conversations and the outcome column in, weighted rewards out.

    It adds the rollouts of every `sample_steps`-th step to `rollouts`; `phase` steps share the same rollouts.
    """

    def paid(prompts: list[Any], completions: list[Any], outcome: list[float], **context: Any) -> list[float]:
        rows = [
            (prompt[-1]["content"], answer[-1]["content"]) for prompt, answer in zip(prompts, completions, strict=True)
        ]
        parts = [judge(prompt, answer, result) for (prompt, answer), result in zip(rows, outcome, strict=True)]
        log = context.get("log_metric")
        if log:
            for name in Reward.__dataclass_fields__:
                log(f"reward/{name}", sum(getattr(part, name) for part in parts) / len(parts))
        state = context.get("trainer_state")
        if rollouts is not None and state and state.global_step % sample_steps < phase:
            rollouts[:] = [
                judged(prompt, answer, result, part, weights)
                for (prompt, answer), result, part in zip(rows, outcome, parts, strict=True)
            ]
        return [part.total(weights) for part in parts]

    return paid


def main() -> None:
    task = GrpoTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    keep_base_unmerged()
    judge = make_judge(task.rewards, frozenset(task.vocabulary))
    first = os.environ.get("RANK", "0") == "0"
    samples = SampleWriter(Path(task.samples), task.sample_count) if task.samples and first else None
    arguments = GRPOConfig(**task.arguments)
    rollouts: list[dict[str, Any]] | None = [] if samples else None
    paid = reward_function(task.rewards, judge, rollouts, task.sample_steps, rollout_phase(arguments))
    trainer = KitGRPOTrainer(
        judge=judge,
        weights=task.rewards,
        samples=samples,
        rollouts=rollouts,
        reward_funcs=[paid],
        args=arguments,
        **trainer_inputs(task),
    )
    train(trainer, task)


def _judge(prompt: str, answer: str, outcome: float, weights: RewardWeights, vocabulary: frozenset[str]) -> Reward:
    return reward(answer, prompt, outcome, weights, vocabulary)


if __name__ == "__main__":
    main()
    leave()
