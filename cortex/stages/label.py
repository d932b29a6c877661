"""label: the teacher answers a share of the training prompts; a check accepts or rejects its answers."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from cortex.domains.dataset import read_split
from cortex.domains.domain import Domain, Question
from cortex.domains.example_columns import read_rows
from cortex.errors import ConfigError
from cortex.runs.context import RunContext
from cortex.settings import Settings
from cortex.stages.base_check import check_base_or_warn
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.key_way import KEEP_PRIVATE, key_laid_open
from cortex.teaching.labels import write_labels
from cortex.teaching.teacher import ask, scripted_teacher


def run(context: RunContext, output: Path) -> None:
    settings, teacher = Settings(), context.profile.teacher
    check_base_or_warn(context, settings)  # before any answer is paid for
    domain = context.profile.domain
    # As questions: nothing that a teacher, or the check of its labels, is given holds the truth.
    train = read_rows(read_split(context.artifact("data").path, "train", teacher.examples))
    questions = {example.id: Question(example.id, example.messages) for example in train}
    completions: dict[str, Completion] = {}
    # One domain after another: a scripted teacher knows one, and a teacher's first answers are checked for each.
    for part in domain.parts():
        asked = {example: question for example, question in questions.items() if domain.part_of(example) == part}
        before = len(completions)
        completions |= _ask(
            context,
            part,
            asked,
            settings,
            lambda done, _, before=before: context.progress(before + done, len(questions)),
        )
    write_labels(domain, list(questions.values()), completions, output)


def _ask(
    context: RunContext,
    part: str,
    questions: Mapping[str, Question],
    settings: Settings,
    progress: Callable[[int, int], None],
) -> dict[str, Completion]:
    teacher, domain = context.profile.teacher, context.profile.domain
    url = settings.teacher_url or teacher.url
    scripted = scripted_teacher(domain.parts()[part], teacher.port, context.profile.seed)
    with nullcontext(url) if url else scripted as endpoint_url:
        if fault := key_laid_open(endpoint_url, settings):
            raise ConfigError(f"{fault}: {KEEP_PRIVATE}")
        endpoint = Endpoint(
            url=endpoint_url,
            api_key=settings.teacher_api_key.get_secret_value(),
            model=teacher.model,
            concurrency=teacher.concurrency,
            temperature=teacher.temperature,
            max_tokens=teacher.max_tokens,
            patience_seconds=teacher.patience_seconds,
        )
        return ask(
            endpoint,
            {name: question.messages for name, question in questions.items()},
            context.folder("label") / "answers.jsonl",
            progress,
            fault=lambda name, reply: _fault(domain, questions[name], reply),
        )


def _fault(domain: Domain, question: Question, reply: str) -> str | None:
    finding = domain.imitable(question, reply)
    return "; ".join(finding.reasons) if finding.grade == "rejected" else None
