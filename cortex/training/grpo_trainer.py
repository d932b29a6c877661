"""TRL's GRPO trainer with the kit's saves and a validation of its own: held-out prompts, judged by their outcomes."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from accelerate.utils import gather_object
from trl import GRPOTrainer

from cortex.reasoning.reward_weights import RewardWeights
from cortex.reasoning.rewards import Reward
from cortex.training.adapter_saves import AdapterSaves
from cortex.training.rules import EVAL
from cortex.training.samples import SampleWriter

ABSTENTION = 0.25
"""The Brier score of an unreadable answer: that of a probability of one half."""

Judge = Callable[[str, str, float], Reward]
"""Gives the parts of an answer's reward from its prompt, its text and the outcome."""


class KitGRPOTrainer(AdapterSaves, GRPOTrainer):
    """TRL's trainer, whose `evaluate` samples one answer to each validation prompt with the training's own engine.

    TRL's own `evaluate` would also compute each answer's loss, which is no use here, and needs memory for the logits of
    a whole batch.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        weights: RewardWeights,
        samples: SampleWriter | None,
        rollouts: list[dict[str, Any]] | None = None,
        **arguments: Any,
    ) -> None:
        """`rollouts` is the list to which the reward function adds answers, as `judged`, some of which are stored."""
        super().__init__(**arguments)
        self._judge, self._weights, self._samples, self._rollouts = judge, weights, samples, rollouts

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's; stores some of this rank's answers with their rewards and advantages."""
        scored = super()._generate_and_score_completions(inputs)
        if self._samples and self._rollouts:
            advantages = scored["advantages"].tolist()
            rows = [{**row, "advantage": advantage} for row, advantage in zip(self._rollouts, advantages, strict=True)]
            self._samples.write(self.state.global_step + 1, "train", rows)
            self._rollouts.clear()
        return scored

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validate: every rank answers its share of the prompts, and all get the metrics over all prompts."""
        rows = list(self.eval_dataset)
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        mine = rows[: len(rows) - len(rows) % ranks][rank::ranks]  # all ranks generate equally often
        at_once = max(1, self.args.generation_batch_size // ranks)
        self.model.eval()
        judged: list[dict[str, Any]] = []
        for start in range(0, len(mine), at_once):
            batch = mine[start : start + at_once]
            completions = self._generate([row["prompt"] for row in batch])[3]
            judged += [self._judged(row, answer) for row, answer in zip(batch, completions, strict=True)]
        everything = gather_object(judged)
        metrics = {f"{EVAL}{name}": value for name, value in figures(everything).items()}
        self.log(metrics)  # adds TRL's own metrics of the answers, such as their lengths
        if self._samples and rank == 0:
            self._samples.write(self.state.global_step, "validation", everything)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.model.train()
        return metrics

    def _judged(self, row: dict[str, Any], answer: list[dict[str, str]]) -> dict[str, Any]:
        prompt, text = row["prompt"][-1]["content"], answer[-1]["content"]
        return judged(prompt, text, row["outcome"], self._judge(prompt, text, row["outcome"]), self._weights)


def judged(prompt: str, completion: str, outcome: float, parts: Reward, weights: RewardWeights) -> dict[str, Any]:
    """An answer with its reward, as a row of the stored samples."""
    row = {"prompt": prompt, "completion": completion, "outcome": outcome}
    return {**row, "reward": parts.total(weights), **asdict(parts)}


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The mean metrics of a validation; the best checkpoint has the lowest `brier`."""

    def mean(name: str) -> float:
        return statistics.fmean(row[name] for row in rows)

    brier = statistics.fmean(1 - row["probability"] if row["format"] else ABSTENTION for row in rows)
    parts = {f"reward/{name}": mean(name) for name in Reward.__dataclass_fields__}
    return {"brier": brier, "reward": mean("reward"), "valid": mean("format"), **parts}
