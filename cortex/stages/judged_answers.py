"""Answers that are each judged good or bad, for trainers that need no pairs (KTO)."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any

from cortex.domains.domain import Domain
from cortex.domains.question import Example, Question
from cortex.errors import DataError
from cortex.models.conversation import chat
from cortex.profiles.trainer_sections import Pairing
from cortex.runs.context import RunContext
from cortex.stages.preference_pairs import Sample, labelled_pairs, posted_pairs, reply, sampled_prompts
from cortex.stages.teacher_prompts import TeacherPrompts

Judged = tuple[Question, str, bool]
"""A question, an answer, and True where the answer is good."""


def judged_rows(context: RunContext, section: Pairing) -> list[dict[str, Any]]:
    """The judged answers that a section asks for, in the columns of `judged_row`; those to one question follow one
    another.

    Raises:
        DataError: there are none, or one holds the teacher's prompt.
    """
    posted = posted_pairs(context.profile.domain, context.artifact("data").path)
    if section.pairs == "sampled":
        found = list(judged_answers(*sampled_prompts(context, section)))
    else:
        found = list(_unpaired(labelled_pairs(context, section)))
    found += _unpaired((one.question, better, worse) for one, better, worse in posted)
    if not found:
        raise DataError(
            f"all answers to {section.prompts} prompts are judged alike ({section.stage}.pairs {section.pairs}): raise "
            f"{section.stage}.temperature or prompts, or remove the {section.stage} section"
        )
    prompts = TeacherPrompts(context.profile)
    for question, answer, _ in found:
        prompts.check_text(question, answer, section.stage)
    return [judged_row(*each) for each in found]


def judged_answers(domain: Domain, examples: Sequence[Example], sample: Sample) -> Iterator[Judged]:
    """All answers: the pairs that the data have, and the samples of the other examples.

    A sample is good if it earns more than the mean of all samples, and bad if it earns less; one that earns just the
    mean tells nothing, and is left out. A question whose samples all earn alike still teaches, unlike in pairs.
    """
    given = {example.id: domain.preferred(example) for example in examples}
    without = [example for example in examples if given[example.id] is None]
    sampled = dict(zip([example.id for example in without], sample(without) if without else [], strict=True))
    paid = {
        example.id: [(domain.reward(domain.grade(example, text)), text) for text in sampled[example.id]]
        for example in without
    }
    rewards = [reward for answers in paid.values() for reward, _ in answers]
    differ = len(set(rewards)) > 1
    mean = fmean(rewards) if differ else 0.0
    for example in examples:
        if pair := given[example.id]:
            yield from ((example, pair[0], True), (example, pair[1], False))
            continue
        for reward, text in paid[example.id]:
            if differ and reward != mean:
                yield example, text, reward > mean


def judged_row(question: Question, answer: str, good: bool) -> dict[str, Any]:
    """A judged answer with its question, in the columns that TRL's KTO trainer reads."""
    return {"prompt": chat(question.messages), "completion": reply(answer), "label": good}


def _unpaired(found: Iterable[tuple[Question, str, str]]) -> Iterator[Judged]:
    for question, better, worse in found:
        yield question, better, True
        yield question, worse, False
