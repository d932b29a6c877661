"""label: the teacher answers a share of the training prompts; a check accepts or rejects its answers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from cortex.domains.dataset import read_training
from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.domains.feedback_replies import read_replies
from cortex.domains.question import Question
from cortex.profiles.teacher_section import Quality
from cortex.runs.context import RunContext
from cortex.settings import Settings
from cortex.stages.base_check import check_base_or_warn
from cortex.stages.best_of import choose_best, expand, write_samples
from cortex.stages.teacher_endpoints import decimal_of, provider_endpoints, single_endpoint
from cortex.teaching.answer_cache import AnswerCache
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.labels import grade, write_labels
from cortex.teaching.purse import Purse
from cortex.teaching.quality.quality_check import QualityCheck, QualityRules
from cortex.teaching.review.decisions import read_decisions
from cortex.teaching.teacher import ask, scripted_teacher
from cortex.teaching.teaching_progress import TeachingProgress

ANSWERS = Path("teacher", "answers.sqlite")
"""The cache of answers, within `home`."""


def run(context: RunContext, output: Path) -> None:
    settings, teacher = Settings(), context.profile.teacher
    endpoints = provider_endpoints(context.profile, settings) if teacher.providers else []
    review = read_decisions(teacher.review)[0] if teacher.review else None
    check_base_or_warn(context, settings)  # before any answer is paid for
    domain = context.profile.domain
    # As questions: nothing that a teacher, or the check of its labels, is given holds the truth.
    data = context.artifact("data").path
    # Replies that callers of a service approved of are labels, too: no teacher is asked for them.
    approved = read_replies(data)
    given = {reply.id: Completion("answered", reply.accepted) for reply in approved}
    rows = read_rows(read_training(data, teacher.examples))
    train = {example.id: example for example in rows if example.id not in given}
    questions = {name: Question(name, example.messages) for name, example in train.items()}
    completions: dict[str, Completion] = {}
    purse = Purse(decimal_of(teacher.dollars), teacher.tokens)
    progress = TeachingProgress(purse) if endpoints else None
    # One domain after another: a scripted teacher knows one, and a teacher's first answers are checked for each.
    for part in domain.parts():
        asked = {example: question for example, question in questions.items() if domain.part_of(example) == part}
        before, total = len(completions), len(questions) * teacher.samples

        def on_settled(done: int, _: int, before: int = before, total: int = total) -> None:
            values = progress.note(before + done, total) if progress else None
            context.progress(before + done, total, values)

        completions |= _ask(context, part, asked, settings, on_settled, endpoints, purse)
    if teacher.samples > 1:
        completions, sampled = choose_best(domain, train, completions, teacher.samples, partial(grade, domain))
        write_samples(sampled, output)
    quality = _quality_check(teacher.quality) if teacher.quality else None
    labelled = [*questions.values(), *(reply.question for reply in approved)]
    write_labels(domain, labelled, completions | given, output, endpoints, purse, quality, review)


def _quality_check(section: Quality) -> QualityCheck:
    values = section.model_dump()
    values["alphabet"] = section.alphabet and section.alphabet.upper()
    return QualityCheck(QualityRules(**values))


def _ask(
    context: RunContext,
    part: str,
    questions: Mapping[str, Question],
    settings: Settings,
    on_settled: Callable[[int, int], None],
    endpoints: Sequence[Endpoint],
    purse: Purse,
) -> dict[str, Completion]:
    teacher, domain = context.profile.teacher, context.profile.domain
    url = settings.teacher_url or teacher.url
    given = bool(url or endpoints)
    scripted = scripted_teacher(domain.parts()[part], teacher.port, context.profile.seed)
    prompts, seeds = expand({name: question.messages for name, question in questions.items()}, teacher.samples)
    cache = AnswerCache(settings.home / ANSWERS) if given and teacher.cache else None
    try:
        with nullcontext(url or "") if given else scripted as endpoint_url:
            return ask(
                endpoints or single_endpoint(context.profile, endpoint_url, settings),
                prompts,
                context.folder("label") / "answers.jsonl",
                on_settled,
                seeds=seeds,
                fault=lambda name, reply: _fault(domain, Question(name, prompts[name]), reply),
                purse=purse,
                cache=cache,
            )
    finally:
        if cache:
            cache.close()


def _fault(domain: Domain, question: Question, reply: str) -> str | None:
    finding = domain.imitable(question, reply)
    return "; ".join(finding.reasons) if finding.grade == "rejected" else None
