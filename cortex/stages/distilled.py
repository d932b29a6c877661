"""Prompt distillation in the evaluation: the teacher's answers with its prompt, and the base's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Conversation, Example
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.distillation import Answered, LongPrompt, judge_distillation
from cortex.evaluation.graded import Graded
from cortex.evaluation.record import Distillation
from cortex.models.sampling import Asked, SampledModel, trained_base, trained_model
from cortex.models.stored_answers import sample_answers
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext
from cortex.runs.stage_list import models
from cortex.stages.teacher_prompts import TeacherPrompts
from cortex.teaching.prompted_answers import PromptedAnswer, read_prompted


@dataclass(frozen=True)
class Distilled:
    """Answers with the long prompt to some of one domain's test questions."""

    test: pl.DataFrame
    """The domain's test questions, answered without the prompt by every model."""
    places: Sequence[int]
    """Indexes of those that the teacher was asked, too."""
    teacher: Mapping[str, PromptedAnswer]
    """Its answers by example id."""
    base: Sequence[str] | None
    """The base's answers with the prompt, in the order of `places`; None where it was not asked."""
    prompt: LongPrompt
    profile: Profile

    def judge(
        self, domain: Domain, student: str, graded: Mapping[str, Sequence[Graded]], reference: Sequence[Graded]
    ) -> Distillation:
        """Judge the contenders, given every model's and the reference baseline's grades of all test questions."""
        rows = self.test[list(self.places)]
        examples = list(read_rows(rows))
        given = [self.teacher[example.id] for example in examples]
        taught = [domain.grade(example, each.answer) for example, each in zip(examples, given, strict=True)]
        # SFT has learned from the teacher alone, what is trained after it from outcomes, too.
        trained = [name for name in models(self.profile) if name != student]
        others = [Answered(name, False, [graded[name][at] for at in self.places]) for name in (*trained, "base")]
        if self.base is not None:
            grades = [domain.grade(example, text) for example, text in zip(examples, self.base, strict=True)]
            others.append(Answered("base", prompted=True, graded=grades))
        return judge_distillation(
            Answered(student, prompted=False, graded=[graded[student][at] for at in self.places]),
            Answered("teacher", prompted=True, graded=taught),
            others,
            [reference[at] for at in self.places],
            Clusters.read(rows, domain.span(rows)),
            scale=domain.scale,
            prompt=self.prompt,
            unanswered=sum(not each.answer for each in given),
            resamples=self.profile.evaluate.resamples,
            seed=self.profile.seed,
        )


def read_distilled(context: RunContext, tests: Mapping[str, pl.DataFrame]) -> dict[str, Distilled]:
    """The answers with the long prompt, by domain; none where the teacher has no prompt, or answered
    no test question.

    The base is asked here, if the profile wants that. `tests` has each domain's test questions.
    """
    labels, prompts = context.artifact("label").path, TeacherPrompts(context.profile)
    found: dict[str, Distilled] = {}
    for part, test in tests.items() if prompts.guards else ():
        answers = read_prompted(labels, part)
        if not answers:
            continue
        examples = list(read_rows(test))
        places = [at for at, example in enumerate(examples) if example.id in answers]
        asked = [examples[at] for at in places]
        found[part] = Distilled(
            test=test,
            places=places,
            teacher=answers,
            base=_ask_base(context, prompts, part, asked),
            prompt=_long_prompt(context, prompts, part),
            profile=context.profile,
        )
    return found


def _long_prompt(context: RunContext, prompts: TeacherPrompts, part: str) -> LongPrompt:
    from cortex.models.token_counts import count_text

    profile, text = context.profile, context.profile.prompt_of(part)
    assert text
    student = trained_model(context, models(profile)[-1])
    price = profile.teacher.providers[0].price if profile.teacher.providers else None
    return LongPrompt(
        digest=prompts.guards[part].digest,
        tokens=count_text(student.folder, text),
        price=price.input if price else None,
        cached_price=price.cached if price else None,
    )


def _ask_base(
    context: RunContext, prompts: TeacherPrompts, part: str, asked: Sequence[Example]
) -> Sequence[str] | None:
    """The base's answers with the prompt; None where the profile does not want them, or they do not fit."""
    profile, section = context.profile, context.profile.teacher.prompt
    if section is None or not section.ask_base:
        return None
    from cortex.models.prompted_base import fit_prompts

    folder, origin = trained_base(context)
    most = profile.evaluate.max_new_tokens
    sent = fit_prompts(folder, [prompts.sent(part, each.messages) for each in asked], most)
    return None if sent is None else _sample(context, SampledModel("base", folder, None, origin), sent)


def _sample(context: RunContext, base: SampledModel, sent: Sequence[Conversation]) -> list[str]:
    profile = context.profile
    sampled = sample_answers(
        context,
        "evaluate",
        [base],
        sent,
        Asked(max_tokens=profile.evaluate.max_new_tokens, seed=profile.seed),
        gpus=profile.hardware.gpus_to_evaluate,
    )
    return [first for first, *_ in sampled[base.name]]
