"""TRL's GRPO trainer with the kit's saves and a validation of its own: held-out prompts, whose answers are judged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cortex.models.reward_models import LearnedReward
from cortex.trainers.adapter_saves import AdapterSaves
from cortex.trainers.judged_validation import Answer, JudgedValidation
from cortex.trainers.tool_rollouts import ToolRollouts


class KitGRPOTrainer(AdapterSaves, JudgedValidation, ToolRollouts):
    """TRL's trainer, with the kit's saves and validations."""

    def __init__(
        self, *, rollouts: list[dict[str, Any]] | None = None, learned: LearnedReward | None = None, **arguments: Any
    ) -> None:
        """`rollouts` is the list to which the reward function adds answers (`Answer.to_row`); some are stored.
        `learned` is the first reward function, where a reward model rewards."""
        super().__init__(**arguments)
        self._rollouts, self._learned = rollouts, learned
        if learned:
            learned.to(self.accelerator.device)
        self.rows: Sequence[Mapping[str, Any]] = ()
        """Rows of the dataset whose prompts are being answered, for a `rollout_func`, which gets the prompts alone."""

    def answered(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        self.rows = rows
        self.reset_worlds(rows)
        made = self._generate([row["prompt"] for row in rows])
        completions, further = made[3], made[5]
        # Rollouts of several turns are judged where they are played.
        answers: list[Answer] = further.get("answer") or self.judged(rows, completions)
        if not self._learned:
            return answers
        scores = self._learned([row["prompt"] for row in rows], completions)
        return [replace(answer, reward=score) for answer, score in zip(answers, scores, strict=True)]

    def at_once(self) -> int:
        return self.args.generation_batch_size

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        """As TRL's; a learned reward replaces the domain's in the answers to store."""
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        if self._learned and self._rollouts:  # of the first rank, whose answers come first of all
            scores = rewards[: len(self._rollouts), 0].tolist()
            self._rollouts[:] = [{**row, "reward": score} for row, score in zip(self._rollouts, scores, strict=True)]
        return rewards

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's; stores some of this rank's answers with their rewards and advantages."""
        self.rows = inputs
        scored = super()._generate_and_score_completions(inputs)
        if self._samples and self._rollouts:
            advantages = scored["advantages"].tolist()
            rows = [{**row, "advantage": advantage} for row, advantage in zip(self._rollouts, advantages, strict=True)]
            self._samples.write(self.state.global_step + 1, "train", rows)
            self._rollouts.clear()
        return scored

    def sample_turns(self, prompts: list[list[int]]) -> tuple[list[list[int]], list[list[float]] | None]:
        """The next turn after each of N conversations, as tokens, with the tokens' log-probabilities.

        The latter are None from an engine that reports none.
        """
        return self._generate_single_turn(prompts, None, {}, num_generations=1)
