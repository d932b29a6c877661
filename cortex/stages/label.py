"""label: the teacher answers a share of the training prompts; a check accepts or rejects its answers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from cortex.domains.dataset import read_training
from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.domains.feedback_replies import read_replies
from cortex.domains.question import Conversation, Example, Question
from cortex.profiles.teacher_section import Quality
from cortex.runs.context import RunContext
from cortex.settings import Settings
from cortex.stages.base_check import check_base_or_warn, check_teacher_or_warn
from cortex.stages.best_of import choose_best, expand, without_rejected, write_samples
from cortex.stages.taught_dialogues import hold_with_teacher
from cortex.stages.teacher_endpoints import decimal_of, provider_endpoints, single_endpoint
from cortex.stages.teacher_prompts import TeacherPrompts, held_out, held_out_name, held_out_prompts
from cortex.teaching.answer_cache import AnswerCache
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.labels import grade, write_labels
from cortex.teaching.prompted_answers import PromptedAnswer, write_prompted
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
    check_teacher_or_warn(context)
    domain = context.profile.domain
    # As questions: nothing that a teacher, or the check of its labels, is given holds the truth.
    data = context.artifact("data").path
    # Replies that callers of a service approved of are labels, too: no teacher is asked for them.
    approved = read_replies(data)
    given = {reply.id: Completion("answered", reply.accepted) for reply in approved}
    chosen = [row for row in read_rows(read_training(data, teacher.examples)) if row.id not in given]
    own = {example.id: reply for example in chosen if (reply := domain.own_reply(example)) is not None}
    train = {example.id: example for example in chosen if example.id not in own}
    questions = {name: Question(name, example.messages) for name, example in train.items()}
    prompts = TeacherPrompts(context.profile)
    for question in questions.values():
        prompts.check_question(question, "label")
    judged = held_out(context.profile, data)
    purse = Purse(decimal_of(teacher.dollars), teacher.tokens)
    total = len(questions) * teacher.samples + sum(map(len, judged.values()))
    asking = _Asking(context, settings, endpoints, purse, total)
    completions: dict[str, Completion] = {}
    turns: dict[str, Conversation] = {}
    # One domain after another: a scripted teacher knows one, and a teacher's first answers are checked for each.
    for part in domain.parts():
        asked = {name: each for name, each in questions.items() if domain.part_of(name) == part}
        if not asked:
            continue
        sent = {name: prompts.sent(part, each.messages) for name, each in asked.items()}
        answered = asking.ask(part, sent, teacher.samples, asked)
        if domain.parts()[part].tool_turns():
            answered, held = hold_with_teacher(domain, part, asked, answered, asking)
            turns |= held
        completions |= answered
    if judged:
        write_prompted(_held_out_answers(context, judged, asking), output)
    finding = partial(grade, domain, guard=prompts.finding)
    if teacher.samples > 1 and train:
        completions, sampled = choose_best(domain, train, completions, teacher.samples, finding)
        write_samples(without_rejected(sampled, prompts.finding, questions), output)
    quality = _quality_check(teacher.quality) if teacher.quality else None
    labelled = [
        *(Question(example.id, example.messages) for example in chosen),
        *(reply.question for reply in approved),
    ]
    write_labels(
        domain,
        labelled,
        completions | given | {name: Completion("answered", reply) for name, reply in own.items()},
        output,
        endpoints,
        purse,
        quality,
        review,
        guard=prompts.finding,
        prompts=prompts.digests(),
        turns=turns,
    )


def _held_out_answers(
    context: RunContext, judged: Mapping[str, list[Example]], asking: "_Asking"
) -> Iterator[PromptedAnswer]:
    """The teacher's answers to test questions, with its prompt if it has one."""
    for part, examples in judged.items():
        found = asking.ask(part, held_out_prompts(context.profile, {part: examples}))
        for example in examples:
            yield PromptedAnswer.of(part, example.id, found[held_out_name(part, example.id)])


def _quality_check(section: Quality) -> QualityCheck:
    values = section.model_dump()
    values["alphabet"] = section.alphabet and section.alphabet.upper()
    return QualityCheck(QualityRules(**values))


class _Asking:
    """The teacher of a run, asked for one domain's answers after another's."""

    def __init__(
        self, context: RunContext, settings: Settings, endpoints: Sequence[Endpoint], purse: Purse, total: int
    ) -> None:
        """`total` is the number of all answers."""
        self._context, self._settings, self._endpoints = context, settings, endpoints
        self._purse, self._total, self._done = purse, total, 0
        self._progress = TeachingProgress(purse) if endpoints else None

    def ask(
        self,
        part: str,
        prompts: Mapping[str, Conversation],
        samples: int = 1,
        checked: Mapping[str, Question] | None = None,
    ) -> dict[str, Completion]:
        """The answers to one domain's prompts, by name. Of the questions `checked`, one of the first must be usable."""
        context, settings, endpoints = self._context, self._settings, self._endpoints
        teacher, domain = context.profile.teacher, context.profile.domain
        url = settings.teacher_url or teacher.url
        given = bool(url or endpoints)
        scripted = scripted_teacher(domain.parts()[part], teacher.port, context.profile.seed)
        asked, seeds = expand(prompts, samples)
        plain, _ = expand({name: question.messages for name, question in (checked or {}).items()}, samples)
        cache = AnswerCache(settings.home / ANSWERS) if given and teacher.cache else None
        try:
            with nullcontext(url or "") if given else scripted as endpoint_url:
                found = ask(
                    endpoints or single_endpoint(context.profile, endpoint_url, settings),
                    asked,
                    context.folder("label") / "answers.jsonl",
                    self._on_settled,
                    seeds=seeds,
                    fault=partial(_fault, domain, plain) if checked else None,
                    purse=self._purse,
                    cache=cache,
                )
        finally:
            if cache:
                cache.close()
        self._done += len(found)
        return found

    def _on_settled(self, done: int, _: int) -> None:
        total = max(self._total, self._done + done)  # further turns of dialogues are not counted beforehand
        values = self._progress.note(self._done + done, total) if self._progress else None
        self._context.progress(self._done + done, total, values)


def _fault(domain: Domain, plain: Mapping[str, Conversation], name: str, reply: str) -> str | None:
    finding = domain.imitable(Question(name, plain[name]), reply)
    return "; ".join(finding.reasons) if finding.grade == "rejected" else None
