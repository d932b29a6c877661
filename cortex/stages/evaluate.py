"""evaluate: scores every model of the run on the held-out examples, beside the baselines that it has to beat."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.auditing.audit_record import audit_facts
from cortex.domains.dataset import read_split
from cortex.domains.dataset_description import describe_part, read_description
from cortex.domains.domain import Domain
from cortex.domains.episode import one_reply, transcript
from cortex.domains.example_columns import read_rows
from cortex.domains.mix_words import mix_facts
from cortex.domains.question import Example
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.forward_folds import Folds, walk_forward
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.judging import Origin, evaluate, with_reasons, write_report
from cortex.evaluation.questions import QUESTIONS, Judged, questions_table
from cortex.evaluation.record import Sample
from cortex.evaluation.study import Study
from cortex.evaluation.transcripts import TRANSCRIPTS, transcripts_table
from cortex.evaluation.tries import Tries
from cortex.probing.chapters import Probed, with_chapters
from cortex.probing.debate_price import debate_chapters
from cortex.runs.context import RunContext
from cortex.runs.learned_reward import reward_sentences
from cortex.runs.looks import enter_look, identify_test_set
from cortex.runs.reports import report_folders
from cortex.runs.stage_list import models, scorer
from cortex.runs.trial_record import find_choice
from cortex.stages.asked_models import Turns, count_answers, counter, sample_answers_of_all
from cortex.stages.asked_teacher import teacher_chapters
from cortex.stages.distilled import Distilled, read_distilled
from cortex.stages.probed import FurtherQuestions
from cortex.stages.released import derived_weights, log_copy_losses
from cortex.stages.teacher_prompts import TeacherPrompts

SAMPLES = 4
"""Test examples that the report shows in full."""


def run(context: RunContext, output: Path) -> None:
    domain, data = context.profile.domain, context.artifact("data").path
    count = context.profile.evaluate.examples
    prompts = TeacherPrompts(context.profile)
    tests = {name: read_split(data, "test", count, partial(domain.rows_of, name)) for name in domain.parts()}
    # All domains' questions in one go: a model is loaded once. Only the last words of debates load theirs again.
    asked = [example for rows in tests.values() for example in read_rows(rows)]
    for name, rows in tests.items():
        prompts.check_test_questions(name, read_rows(rows))
    further = FurtherQuestions(context, tests)
    answers, probed, others = sample_answers_of_all(context, asked, tests, further)
    tokens = count_answers(context, asked, answers)
    distilled = read_distilled(context, tests)
    before = 0
    for name, folder in report_folders(domain).items():
        end = before + len(tests[name])
        (output / folder).mkdir(exist_ok=True)
        own = {model: turns[before:end] for model, turns in answers.items()}
        counts = {model: counted[before:end] for model, counted in tokens.items()}
        for other, (model, debates) in others.items():
            if name in debates:
                own[other] = [one_reply(text) for text in debates[name].replies]
                counts[other] = debates[name].tokens(counter(model))
        _judge(context, name, tests[name], own, counts, distilled.get(name), probed.get(name), output / folder)
        before = end


def _judge(
    context: RunContext,
    name: str,
    test: pl.DataFrame,
    answers: dict[str, Turns],
    tokens: Mapping[str, NDArray[np.int64]],
    distilled: Distilled | None,
    probed: Probed | None,
    folder: Path,
) -> None:
    """Judge the answers to one domain's questions, and write its report."""
    profile, domain = context.profile, context.profile.domain.parts()[name]
    data = context.artifact("data").path
    train = read_split(data, "train", narrow=partial(profile.domain.rows_of, name))
    examples = list(read_rows(test))
    last = models(profile)[-1]
    texts = {name: [transcript(turns) for turns in own] for name, own in answers.items()}
    tries = _enter_look(context, name, texts[last])
    graded = {
        name: [domain.grade_turns(*pair) for pair in zip(examples, own, strict=True)] for name, own in answers.items()
    }
    baselines = domain.baselines(train, test)
    evaluation = evaluate(
        graded,
        baselines,
        Clusters.read(test, domain.span(test)),
        judged=last,
        scale=domain.scale,
        measures=domain.measures,
        origin=_origin(domain, name, data, train, test),
        details=domain.details,
        groups=domain.groups,
        chapters=with_chapters(
            partial(chapters, domain, train, test),
            probed,
            partial(debate_chapters, tokens=tokens, loss=domain.scale.loss),
        ),
        samples=_samples(domain, examples, texts),
        derived=derived_weights(context.artifact("export").path, profile.export.release),
        tries=tries,
        resamples=profile.evaluate.resamples,
        seed=profile.seed,
    )
    reference = baselines[domain.scale.reference]
    if distilled:
        evaluation = evaluation.model_copy(update={"distillation": distilled.judge(domain, last, graded, reference)})
    asked_teacher = teacher_chapters(context, name, domain, test, (last, graded[last]), reference)
    evaluation = evaluation.model_copy(update={"chapters": [*evaluation.chapters, *asked_teacher]})
    evaluation = with_reasons(evaluation, _of_rewards(context))
    write_report(evaluation, folder, domain.figures(evaluation), domain.notes())
    _write_answers(domain, test, graded, reference, answers, tokens, folder)
    log_copy_losses(evaluation)


def _write_answers(
    domain: Domain,
    test: pl.DataFrame,
    graded: Mapping[str, Sequence[Graded]],
    reference: Sequence[Graded],
    answers: Mapping[str, Turns],
    tokens: Mapping[str, NDArray[np.int64]],
    folder: Path,
) -> None:
    """Write every contender's grades and texts, question by question."""
    examples = list(read_rows(test))
    judged = {
        name: Judged(
            Grades.of(grades, reference),
            _held_back(domain, examples, grades, [turns[-1].content for turns in answers[name]]),
            tokens[name],
        )
        for name, grades in graded.items()
    }
    questions = questions_table(test, judged)
    questions.write_parquet(folder / QUESTIONS)
    asked = [(example.text, domain.truth_words(example)) for example in examples]
    texts = {name: [transcript(turns) for turns in own] for name, own in answers.items()}
    transcripts_table(questions, asked, texts).write_parquet(folder / TRANSCRIPTS)


def chapters(domain: Domain, train: pl.DataFrame, test: pl.DataFrame, study: Study) -> list[Chapter]:
    """The general analyses, then the domain's own."""
    walked = walk_forward(study, train, test, domain.baselines, domain.scale, domain.outcome_time, Folds())
    return [*([walked] if walked else []), *domain.chapters(study, train, test)]


def _origin(domain: Domain, name: str, data: Path, train: pl.DataFrame, test: pl.DataFrame) -> Origin:
    described = read_description(data)
    part = describe_part(described, name)
    return Origin(
        domain=name,
        source=str(part["source"]["name"]),
        simulated=bool(part["simulated"]),
        train_examples=len(train),
        facts=domain.facts(train, test) | mix_facts(described, name) | audit_facts(data, name),
    )


def _enter_look(context: RunContext, name: str, answers: Sequence[str]) -> Tries:
    """Count this look at a domain's test split, before anything is graded: whatever becomes of it, it was one."""
    whole = read_split(context.artifact("data").path, "test", narrow=partial(context.profile.domain.rows_of, name))
    tries = enter_look(context.store, context.run, identify_test_set(whole), answers, context.lease.check)
    choice = find_choice(context.store, context.run)
    return tries.model_copy(update={"trials": choice.trials}) if choice else tries


def _of_rewards(context: RunContext) -> list[str]:
    """Sentences on a learned reward, and on one that misled GRPO."""
    profile = context.profile
    scored = context.artifact("reward_model").path if scorer(profile) else None
    return reward_sentences(scored, context.artifact("grpo").path if profile.grpo else None)


def _held_back(
    domain: Domain, examples: Sequence[Example], grades: Sequence[Graded], answers: Sequence[str]
) -> NDArray[np.bool_]:
    """The answers that a gateway would hold back (N)."""
    return np.array(
        [
            not grade.valid or domain.imitable(example, text).grade == "rejected"
            for example, grade, text in zip(examples, grades, answers, strict=True)
        ]
    )


def _samples(domain: Domain, examples: list[Example], answers: dict[str, list[str]]) -> list[Sample]:
    count = min(SAMPLES, len(examples))
    return [
        Sample(
            example_id=examples[at].id,
            prompt=examples[at].text,
            truth=domain.truth_words(examples[at]),
            answers={name: texts[at] for name, texts in answers.items()},
        )
        for at in (index * len(examples) // count for index in range(count))
    ]
