"""dpo: pairs answers, of the data or sampled from the SFT model, and trains the model to prefer the better ones."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cortex.domains.dataset import read_training
from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.domains.feedback_replies import FeedbackReply, read_replies
from cortex.domains.question import Example, Question
from cortex.errors import DataError
from cortex.models.conversation import chat
from cortex.models.sampling import Asked, trained_model
from cortex.models.stored_answers import sample_answers
from cortex.profiles.trainer_sections import Dpo
from cortex.runs.context import RunContext
from cortex.stages.label_pairs import sample_pairs, spoiled_pairs
from cortex.stages.teacher_prompts import TeacherPrompts
from cortex.teaching.labels import ACCEPTED, read_labels
from cortex.trainers.held_out import hold_out
from cortex.trainers.trl_stage import train_with_trl

PAIRS = "pairs.jsonl"


def run(context: RunContext, output: Path) -> None:
    file = context.folder("dpo") / PAIRS
    if not file.exists():
        _write_pairs(context, file)
    dpo = context.profile.dpo
    assert dpo is not None
    dataset, validation = file, None
    if dpo.validate_steps:
        dataset, validation = hold_out(file, dpo.validation_examples, context.folder("dpo"))
    train_with_trl(context, "dpo", dataset=dataset, output=output / "model", validation=validation)
    file.rename(output / PAIRS)


def best_and_worst(domain: Domain, example: Example, answers: list[str]) -> tuple[str, str] | None:
    """The answers with the highest and the lowest reward; None if all rewards are equal."""
    paid = sorted((domain.reward(domain.grade(example, text)), text) for text in answers)
    return (paid[-1][1], paid[0][1]) if paid[-1][0] > paid[0][0] else None


def pairs(
    domain: Domain, examples: Sequence[Example], sample: Callable[[list[Example]], list[list[str]]]
) -> Iterator[tuple[Example, str, str]]:
    """The better and the worse reply to each example that has two: those of the data, or else the ends of a sample."""
    given = {example.id: domain.preferred(example) for example in examples}
    without = [example for example in examples if given[example.id] is None]
    sampled = dict(zip([example.id for example in without], sample(without) if without else [], strict=True))
    for example in examples:
        pair = given[example.id] or best_and_worst(domain, example, sampled[example.id])
        if pair:
            yield example, *pair


def posted_pairs(domain: Domain, data: Path) -> Iterator[tuple[FeedbackReply, str, str]]:
    """The better and the worse reply of each question to which a caller of a service posted a better one.

    A better reply that the domain would not let SFT imitate is passed over.
    """
    for one in read_replies(data):
        if one.rejected is not None and domain.imitable(one.question, one.accepted).grade != "rejected":
            yield one, one.accepted, one.rejected


def _write_pairs(context: RunContext, path: Path) -> None:
    dpo = context.profile.dpo
    assert dpo is not None
    prompts = TeacherPrompts(context.profile)
    rows: list[dict[str, Any]] = []
    posted = posted_pairs(context.profile.domain, context.artifact("data").path)
    pairs_of = [*_pairs(context, dpo), *((one.question, better, worse) for one, better, worse in posted)]
    for question, better, worse in pairs_of:
        for answer in (better, worse):
            prompts.check_text(question, answer, "dpo")
        rows.append(pair_row(question, better, worse))
    if not rows and dpo.pairs != "sampled":
        raise DataError(
            f"no label of {dpo.prompts} prompts has a worse answer beside it (dpo.pairs {dpo.pairs}): set dpo.pairs to "
            "sampled, or remove the dpo section"
        )
    if not rows:
        raise DataError(
            f"the SFT model gives one answer however often it is asked ({dpo.prompts} prompts, {dpo.samples} samples): "
            "raise dpo.temperature, or remove the dpo section"
        )
    aside = path.with_suffix(".partial")
    aside.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    aside.rename(path)


def _pairs(context: RunContext, dpo: Dpo) -> Iterator[tuple[Example, str, str]]:
    """The pairs of the profile's kind, from at most `dpo.prompts` prompts."""
    profile, labels = context.profile, context.artifact("label").path
    accepted = read_labels(labels / ACCEPTED)
    domain = profile.domain.with_labels(accepted)
    data = context.artifact("data").path
    if dpo.pairs == "sampled":
        chosen = list(read_rows(read_training(data, dpo.prompts)))
        return pairs(domain, chosen, lambda examples: _sample(context, examples))
    labelled = read_rows(read_training(data, profile.teacher.examples))
    found = (
        sample_pairs(domain, labelled, labels)
        if dpo.pairs == "labels"
        else spoiled_pairs(domain, labelled, accepted, profile.seed)
    )
    return itertools.islice(found, dpo.prompts)


def pair_row(question: Question, better: str, worse: str) -> dict[str, Any]:
    """A pair with its question, in the columns that TRL's trainer reads."""
    return {"prompt": chat(question.messages), "chosen": _reply(better), "rejected": _reply(worse)}


def _reply(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _sample(context: RunContext, examples: list[Example]) -> list[list[str]]:
    profile, dpo = context.profile, context.profile.dpo
    assert dpo is not None
    return sample_answers(
        context,
        "dpo",
        [trained_model(context, "sft")],
        [example.messages for example in examples],
        Asked(
            max_tokens=profile.answer_tokens,
            samples=dpo.samples,
            temperature=dpo.temperature,
            top_p=dpo.top_p,
            seed=profile.seed,
        ),
        gpus=profile.hardware.gpus,
    )["sft"]
