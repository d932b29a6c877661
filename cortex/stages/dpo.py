"""dpo: samples pairs of answers from the SFT model, and trains the model to prefer the better one."""

import json
from pathlib import Path

from cortex.domains.columns import read_rows
from cortex.domains.dataset import read_split, take_evenly
from cortex.domains.domain import Domain, Example
from cortex.errors import DataError
from cortex.runs.context import RunContext
from cortex.teaching.labels import ACCEPTED, read_conversations
from cortex.training.answers import sample_answers
from cortex.training.conversation import chat
from cortex.training.held_out import hold_out
from cortex.training.sampling import Asked, trained_model
from cortex.training.trl_stage import train_with_trl

PAIRS = "pairs.jsonl"


def run(context: RunContext, output: Path) -> None:
    pairs = context.folder("dpo") / PAIRS
    if not pairs.exists():
        _sample_pairs(context, pairs)
    dpo = context.profile.dpo
    assert dpo is not None
    dataset, validation = pairs, None
    if dpo.validate_steps:
        dataset, validation = hold_out(pairs, dpo.validation_examples, context.folder("dpo"))
    train_with_trl(context, "dpo", after="sft", dataset=dataset, output=output / "model", validation=validation)
    pairs.rename(output / PAIRS)


def best_and_worst(domain: Domain, example: Example, answers: list[str]) -> tuple[str, str] | None:
    """The answers with the highest and the lowest reward; None if all rewards are equal."""
    paid = sorted((domain.reward(domain.grade(example, text)), text) for text in answers)
    return (paid[-1][1], paid[0][1]) if paid[-1][0] > paid[0][0] else None


def _sample_pairs(context: RunContext, path: Path) -> None:
    profile, dpo = context.profile, context.profile.dpo
    assert dpo is not None
    chosen = list(read_rows(take_evenly(read_split(context.artifact("data").path, "train"), dpo.prompts)))
    sampled = sample_answers(
        context,
        "dpo",
        [trained_model(context, "sft")],
        [example.messages for example in chosen],
        Asked(
            max_tokens=profile.grpo.max_completion_length,
            samples=dpo.samples,
            temperature=dpo.temperature,
            top_p=dpo.top_p,
            seed=profile.seed,
        ),
        gpus=profile.hardware.gpus,
    )["sft"]
    domain = profile.domain.with_labels(read_conversations(context.artifact("label").path / ACCEPTED))
    rows: list[str] = []
    for example, answers in zip(chosen, sampled, strict=True):
        pair = best_and_worst(domain, example, answers)
        if pair:
            good, bad = ([{"role": "assistant", "content": text}] for text in pair)
            rows.append(json.dumps({"prompt": chat(example.messages), "chosen": good, "rejected": bad}) + "\n")
    if not rows:
        raise DataError(
            f"the SFT model gives one answer however often it is asked ({len(chosen)} prompts, {dpo.samples} samples): "
            "raise dpo.temperature, or remove the dpo section"
        )
    aside = path.with_suffix(".partial")
    aside.write_text("".join(rows), encoding="utf-8")
    aside.rename(path)
