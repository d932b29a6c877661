"""TRL's GRPO trainer with the kit's saves and a validation of its own: held-out prompts, whose answers are judged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from accelerate.utils import gather_object
from pydantic import JsonValue
from trl import GRPOTrainer

from cortex.checkpoints.rules import ANSWER_LOSS, EVAL
from cortex.domains.domain import Domain
from cortex.domains.question import Example
from cortex.evaluation.graded import Graded
from cortex.models.conversation import conversation
from cortex.tracking.samples import SampleWriter
from cortex.trainers.adapter_saves import AdapterSaves


@dataclass(frozen=True)
class Answer:
    """A sampled answer with its grade and reward."""

    prompt: str
    completion: str
    truth: JsonValue
    graded: Graded
    reward: float

    @classmethod
    def judged(cls, domain: Domain, row: Mapping[str, Any], completion: list[dict[str, str]]) -> "Answer":
        """Judge an answer, of one turn or several, to a row of the dataset."""
        example = example_of(row)
        turns = conversation(completion)
        graded = domain.grade_turns(example, turns)
        return cls(example.text, turns[-1].content, example.truth, graded, domain.reward(graded))

    def to_row(self) -> dict[str, Any]:
        """The answer with its reward, as a row of the stored samples."""
        row = {"prompt": self.prompt, "completion": self.completion, "truth": self.truth}
        return {**row, "reward": self.reward, **self.graded.parts}


def example_of(row: Mapping[str, Any]) -> Example:
    """The example of a row of the dataset."""
    return Example(row["example_id"], conversation(row["prompt"]), json.loads(row["truth"]))


class KitGRPOTrainer(AdapterSaves, GRPOTrainer):
    """TRL's trainer, whose `evaluate` samples one answer to each validation prompt with the training's own engine.

    TRL's own `evaluate` would also compute each answer's loss, which is no use here, and needs memory for the logits of
    a whole batch.
    """

    def __init__(
        self,
        *,
        domain: Domain,
        samples: SampleWriter | None,
        rollouts: list[dict[str, Any]] | None = None,
        **arguments: Any,
    ) -> None:
        """`rollouts` is the list to which the reward function adds answers (`Answer.to_row`); some are stored."""
        super().__init__(**arguments)
        self._domain, self._samples, self._rollouts = domain, samples, rollouts
        self.rows: Sequence[Mapping[str, Any]] = ()
        """Rows of the dataset whose prompts are being answered, for a `rollout_func`, which gets the prompts alone."""

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

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validate: every rank answers its share of the prompts, and all get the metrics over all prompts."""
        rows = list(self.eval_dataset)
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        mine = rows[: len(rows) - len(rows) % ranks][rank::ranks]  # all ranks generate equally often
        at_once = max(1, self.args.generation_batch_size // ranks)
        self.model.eval()
        judged: list[Answer] = []
        for start in range(0, len(mine), at_once):
            batch = mine[start : start + at_once]
            self.rows = batch
            made = self._generate([row["prompt"] for row in batch])
            completions, further = made[3], made[5]
            judged += further.get("answer") or [
                Answer.judged(self._domain, row, answer) for row, answer in zip(batch, completions, strict=True)
            ]
        everything = gather_object(judged)
        metrics = {f"{EVAL}{name}": value for name, value in figures(everything).items()}
        self.log(metrics)  # adds TRL's own metrics of the answers, such as their lengths
        if self._samples and rank == 0:
            self._samples.write(self.state.global_step, "validation", [answer.to_row() for answer in everything])
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.model.train()
        return metrics


def figures(answers: Sequence[Answer]) -> dict[str, float]:
    """The mean metrics of a validation; the best checkpoint has the lowest `answer_loss`."""
    names = dict.fromkeys(part for answer in answers for part in answer.graded.parts)
    parts = {
        f"reward/{part}": fmean(answer.graded.parts[part] for answer in answers if part in answer.graded.parts)
        for part in names
    }
    return {
        ANSWER_LOSS: fmean(answer.graded.loss for answer in answers),
        "reward": fmean(answer.reward for answer in answers),
        "valid": fmean(answer.graded.valid for answer in answers),
        **parts,
    }
