"""Pairs of a better and a worse answer to one question: of the data, sampled from the SFT model, or from labels."""

import itertools
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
from cortex.profiles.trainer_sections import Pairing
from cortex.runs.context import RunContext
from cortex.stages.label_pairs import sample_pairs, spoiled_pairs
from cortex.stages.teacher_prompts import TeacherPrompts
from cortex.teaching.labels import ACCEPTED, read_labels

Sample = Callable[[list[Example]], list[list[str]]]
"""Samples several answers to each example."""


def pair_rows(context: RunContext, section: Pairing) -> list[dict[str, Any]]:
    """The pairs that a section asks for, in the columns of `pair_row`, those that callers of a service posted last.

    Raises:
        DataError: there is none, or an answer holds the teacher's prompt.
    """
    domain, data = context.profile.domain, context.artifact("data").path
    posted = ((one.question, better, worse) for one, better, worse in posted_pairs(domain, data))
    found = [*_pairs(context, section), *posted]
    if not found:
        raise DataError(_none_found(section))
    prompts = TeacherPrompts(context.profile)
    for question, *answers in found:
        for answer in answers:
            prompts.check_text(question, answer, section.stage)
    return [pair_row(question, better, worse) for question, better, worse in found]


def best_and_worst(domain: Domain, example: Example, answers: list[str]) -> tuple[str, str] | None:
    """The answers with the highest and the lowest reward; None if all rewards are equal."""
    paid = sorted((domain.reward(domain.grade(example, text)), text) for text in answers)
    return (paid[-1][1], paid[0][1]) if paid[-1][0] > paid[0][0] else None


def pairs(domain: Domain, examples: Sequence[Example], sample: Sample) -> Iterator[tuple[Example, str, str]]:
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


def labelled_pairs(context: RunContext, section: Pairing) -> Iterator[tuple[Example, str, str]]:
    """Pairs of the teacher's samples, or of labels and their spoiled copies, of at most `section.prompts` prompts."""
    profile, labels = context.profile, context.artifact("label").path
    accepted = read_labels(labels / ACCEPTED)
    domain = profile.domain.with_labels(accepted)
    labelled = read_rows(read_training(context.artifact("data").path, profile.teacher.examples))
    found = (
        sample_pairs(domain, labelled, labels)
        if section.pairs == "labels"
        else spoiled_pairs(domain, labelled, accepted, profile.seed)
    )
    return itertools.islice(found, section.prompts)


def sampled_prompts(context: RunContext, section: Pairing) -> tuple[Domain, list[Example], Sample]:
    """The domain, which knows the labels, the prompts to sample, and the sampler."""
    labels = read_labels(context.artifact("label").path / ACCEPTED)
    examples = list(read_rows(read_training(context.artifact("data").path, section.prompts)))
    return context.profile.domain.with_labels(labels), examples, lambda asked: _sample(context, section, asked)


def pair_row(question: Question, better: str, worse: str) -> dict[str, Any]:
    """A pair with its question, in the columns that TRL's trainers read."""
    return {"prompt": chat(question.messages), "chosen": reply(better), "rejected": reply(worse)}


def reply(text: str) -> list[dict[str, str]]:
    """An answer as the conversation that TRL's trainers read."""
    return [{"role": "assistant", "content": text}]


def _pairs(context: RunContext, section: Pairing) -> Iterator[tuple[Example, str, str]]:
    if section.pairs != "sampled":
        return labelled_pairs(context, section)
    return pairs(*sampled_prompts(context, section))


def _none_found(section: Pairing) -> str:
    """The message where there is no pair."""
    stage = section.stage
    if section.pairs != "sampled":
        return (
            f"no label of {section.prompts} prompts has a worse answer beside it ({stage}.pairs {section.pairs}): set "
            f"{stage}.pairs to sampled, or remove the {stage} section"
        )
    return (
        f"the SFT model gives one answer however often it is asked ({section.prompts} prompts, {section.samples} "
        f"samples): raise {stage}.temperature, or remove the {stage} section"
    )


def _sample(context: RunContext, section: Pairing, examples: list[Example]) -> list[list[str]]:
    profile = context.profile
    return sample_answers(
        context,
        section.stage,
        [trained_model(context, "sft")],
        [example.messages for example in examples],
        Asked(
            max_tokens=profile.answer_tokens,
            samples=section.samples,
            temperature=section.temperature,
            top_p=section.top_p,
            seed=profile.seed,
        ),
        gpus=profile.hardware.gpus,
    )["sft"]
