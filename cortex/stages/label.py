"""label: the teacher answers a share of the training prompts; a check accepts or rejects its answers."""

from contextlib import nullcontext
from pathlib import Path

import polars as pl

from cortex.dataset import read_examples, take_evenly
from cortex.errors import ConfigError
from cortex.reasoning.chat import Endpoint
from cortex.reasoning.key_way import KEEP_PRIVATE, key_laid_open
from cortex.reasoning.labels import write_labels
from cortex.reasoning.teacher import ask, scripted_teacher
from cortex.runs.context import RunContext
from cortex.settings import Settings
from cortex.stages.base_check import check_base_or_warn


def run(context: RunContext, output: Path) -> None:
    settings, teacher = Settings(), context.profile.teacher
    check_base_or_warn(context, settings)  # before any answer is paid for
    train = read_examples(context.artifact("data").path).filter(pl.col("split") == "train")
    chosen = take_evenly(train, teacher.examples)
    prompts = dict(zip(chosen["example_id"], chosen["prompt"], strict=True))
    url = settings.teacher_url or teacher.url
    with nullcontext(url) if url else scripted_teacher(teacher.port, context.profile.seed) as endpoint_url:
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
        completions = ask(endpoint, prompts, context.folder("label") / "answers.jsonl", context.progress)
    write_labels(prompts, completions, output)
