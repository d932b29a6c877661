"""The GRPO trainer as a program: `python -m cortex.training.grpo TASK.json`, which the grpo stage writes.

TRL samples a group of answers to each prompt; each is paid by `cortex.reasoning.rewards` once the outcome is known, and
what pays above its group's mean is made likelier (Shao et al., "DeepSeekMath", 2024).
"""

import sys
from pathlib import Path
from typing import Any

from trl import GRPOConfig, GRPOTrainer

from cortex.reasoning.reward_weights import RewardWeights
from cortex.reasoning.rewards import Reward, reward
from cortex.training.adapter_saves import AdapterSaves
from cortex.training.trl_task import TrlTask, train, trainer_inputs
from cortex.training.vllm_sync import keep_base_unmerged


class GrpoTask(TrlTask):
    """Besides: what an answer is paid for. The dataset has `prompt` (a conversation) and `outcome` (a fraction)."""

    vocabulary: list[str]
    """Words that count as spelled right."""
    rewards: RewardWeights


class KitGRPOTrainer(AdapterSaves, GRPOTrainer):
    """TRL's trainer, with the kit's saves."""


def reward_function(weights: RewardWeights, vocabulary: frozenset[str]) -> Any:
    """TRL's reward function: conversations and the outcome column in, weighted rewards out."""

    def paid(prompts: list[Any], completions: list[Any], outcome: list[float], **context: Any) -> list[float]:
        parts = [
            reward(completion[-1]["content"], prompt[-1]["content"], result, weights, vocabulary)
            for prompt, completion, result in zip(prompts, completions, outcome, strict=True)
        ]
        log = context.get("log_metric")
        if log:
            for name in Reward.__dataclass_fields__:
                log(f"reward/{name}", sum(getattr(part, name) for part in parts) / len(parts))
        return [part.total(weights) for part in parts]

    return paid


def main() -> None:
    task = GrpoTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    keep_base_unmerged()
    paid = reward_function(task.rewards, frozenset(task.vocabulary))
    train(KitGRPOTrainer(reward_funcs=[paid], args=GRPOConfig(**task.arguments), **trainer_inputs(task)), task)


if __name__ == "__main__":
    main()
