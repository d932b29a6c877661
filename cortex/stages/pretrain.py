"""pretrain: a model learns from streams of text, phase after phase, from nothing or from a base."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cortex.bases.base_model import base_folder
from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.items import Items, lay_out
from cortex.checkpoints.rules import TrainingRules
from cortex.checkpoints.supervisor import run_trainer
from cortex.checkpoints.trainer_command import distributed
from cortex.errors import ConfigError
from cortex.models.model_files import collect_model
from cortex.models.scratch import build
from cortex.profiles.pretrain_section import Pretrain
from cortex.runs.context import RunContext
from cortex.stages.pinned_texts import pin_sources, pinned_streams, read_sources, require_same_files, write_sources
from cortex.teaching.labels import accepted_conversations
from cortex.trainers.text_source import StreamedSource, sample
from cortex.trainers.trl_config import pretrain_arguments


def run(context: RunContext, output: Path) -> None:
    pretrain, folder = context.profile.pretrain, context.folder("pretrain")
    assert pretrain is not None
    labels = context.artifact("label")
    items = Items(context, "pretrain", {"label": labels.digest})
    pins = read_sources(items.make("sources", lambda made: write_sources(made, pin_sources(pretrain))))
    require_same_files(pins)
    streams = pinned_streams(pins, labels.path, folder)
    base = base_folder(context)
    if base is None:
        base = output / "base"
        lay_out(items.make("base", lambda made: _build(context, streams, made)), base)
    require_vocabulary(base)
    checkpoints = Checkpoints(context, "pretrain", keep=pretrain.keep_checkpoints)
    resume = checkpoints.choose()
    trained, read, path = folder / "trained", folder / "read.json", folder / "task.json"
    task = {
        "model": str(base),
        "attention": context.profile.model.attention,
        "device": context.profile.hardware.device,
        "arguments": pretrain_arguments(context.profile, checkpoints.saving),
        "phases": _phases(pretrain, streams),
        "passes": pretrain.gradient_accumulation,
        "scheduler": pretrain.scheduler,
        "final_rate": pretrain.final_rate,
        "shuffle": pretrain.shuffle,
        "seed": context.profile.seed,
        "resume": str(resume) if resume else None,
        "output": str(trained),
        "read": str(read),
    }
    path.write_text(json.dumps(task), encoding="utf-8")
    command = distributed(context.profile, "cortex.trainers.pretrain_program", path)
    rules = TrainingRules.of(pretrain, checkpoints.committed)
    run_trainer(context, checkpoints, command, pretrain.hang_limit, rules=rules, online=pretrain.asks_hub)
    collect_model(trained, output / "model")
    done = json.loads(read.read_text(encoding="utf-8"))
    write_sources(output, [pin | {"read": one["sources"]} for pin, one in zip(pins, done, strict=True)])


def require_vocabulary(base: Path) -> None:
    """Return if a base has an embedding for each token of its tokenizer.

    Raises:
        ConfigError: its tokenizer has more tokens.
    """
    from cortex.models.loading import load_tokenizer

    rows = int(json.loads((base / "config.json").read_text(encoding="utf-8"))["vocab_size"])
    tokens = len(load_tokenizer(str(base)))
    if tokens > rows:
        raise ConfigError(
            f"{base}: its tokenizer has {tokens} tokens, and the model embeds {rows}: raise model.scratch.vocabulary, "
            "or name a base whose tokenizer is its own"
        )


def _build(context: RunContext, streams: Sequence[Sequence[StreamedSource]], target: Path) -> None:
    """Build the base from nothing, with a tokenizer of the phases' texts and of the accepted answers."""
    shape, pretrain = context.profile.model.scratch, context.profile.pretrain
    assert shape and pretrain
    answers = accepted_conversations(context.artifact("label").path)

    def corpus() -> Iterator[str]:
        yield from (message["content"] for messages in answers for message in messages)
        for phase in streams:
            whole = pretrain.tokenizer_characters / len(streams) / sum(source.weight for source in phase)
            for source in phase:
                yield from sample(source, math.ceil(whole * source.weight))

    build(shape, corpus(), context.profile.seed, target)


def _phases(pretrain: Pretrain, streams: Sequence[Sequence[StreamedSource]]) -> list[dict[str, Any]]:
    """The phases as the trainer's task has them."""
    return [
        {
            "name": phase.name,
            "steps": steps,
            "rate": pretrain.rate_of(phase),
            "rows": pretrain.rows_of(phase),
            "length": phase.sequence_length,
            "sources": [source.model_dump(mode="json") for source in sources],
        }
        for (phase, steps), sources in zip(pretrain.phase_steps(), streams, strict=True)
    ]
