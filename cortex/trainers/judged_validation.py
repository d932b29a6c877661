"""Answers of a model in training, judged by its domain, and the validation of trainers that sample answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from accelerate.utils import gather_object
from pydantic import JsonValue
from transformers import Trainer

from cortex.checkpoints.misleading import Answers
from cortex.checkpoints.rules import ANSWER_LOSS, EVAL
from cortex.domains.domain import Domain
from cortex.domains.episode import transcript
from cortex.domains.question import Example
from cortex.evaluation.graded import Graded
from cortex.models.conversation import conversation
from cortex.tracking.samples import SampleWriter
from cortex.trainers.tool_world import spoken

Turns = list[dict[str, str]]
"""Messages with `role` and `content`: a prompt, or the turns that answer it."""


@dataclass(frozen=True)
class Answer:
    """A sampled answer with its grade and reward."""

    prompt: str
    completion: str
    truth: JsonValue
    graded: Graded
    reward: float
    """The number that GRPO raises: the domain's reward, or a reward model's score."""

    @classmethod
    def judged(cls, domain: Domain, row: Mapping[str, Any], completion: Turns) -> "Answer":
        """Judge an answer, of one turn or several, to a row of the dataset."""
        example = example_of(row)
        turns = spoken(completion)
        graded = domain.grade_turns(example, turns)
        return cls(example.text, transcript(turns), example.truth, graded, domain.reward(graded))

    def to_row(self) -> dict[str, Any]:
        """The answer with its reward, as a row of the stored samples."""
        row = {"prompt": self.prompt, "completion": self.completion, "truth": self.truth}
        return {**row, "reward": self.reward, **self.graded.parts}


def example_of(row: Mapping[str, Any]) -> Example:
    """The example of a row of the dataset."""
    return Example(row["example_id"], conversation(row["prompt"]), json.loads(row["truth"]))


class JudgedValidation(Trainer):
    """A trainer whose `evaluate` samples one answer to each validation prompt, and has the domain judge it.

    The `evaluate` of TRL's own trainers would also compute each answer's loss, which is no use here, and needs memory
    for the logits of a whole batch.
    """

    def __init__(self, *, domain: Domain, samples: SampleWriter | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._domain, self._samples = domain, samples

    def answered(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Sample one answer to the prompt of each row, by the training's own engine, and judge it."""
        raise NotImplementedError

    def at_once(self) -> int:
        """Number of answers that all ranks together sample at once in training."""
        raise NotImplementedError

    def judged(self, rows: Sequence[Mapping[str, Any]], said: Sequence[Turns]) -> list[Answer]:
        """Judge what was said to the prompt of each row."""
        return [Answer.judged(self._domain, row, turns) for row, turns in zip(rows, said, strict=True)]

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validate: every rank answers its share of the prompts, and all get the metrics over all prompts."""
        rows: list[dict[str, Any]] = list(self.eval_dataset)  # pyright: ignore[reportArgumentType]
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        mine = range(rank, len(rows) - len(rows) % ranks, ranks)  # all ranks generate equally often
        batch_size = max(1, self.at_once() // ranks)
        self.model.eval()
        judged: list[tuple[int, Answer]] = []
        for start in range(0, len(mine), batch_size):
            places = mine[start : start + batch_size]
            judged += zip(places, self.answered([rows[place] for place in places]), strict=True)
        everything = [answer for _, answer in sorted(gather_object(judged), key=lambda pair: pair[0])]
        metrics = {f"{EVAL}{name}": value for name, value in figures(everything).items()}
        self.log(metrics)  # adds TRL's own metrics of the answers, such as their lengths
        rewards, losses = [each.reward for each in everything], [each.graded.loss for each in everything]
        self.state.log_history.append(Answers(self.state.global_step, rewards, losses).to_entry())
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
