"""dpo: samples pairs of answers from the SFT model, and trains the model to prefer the better one."""

import json
from pathlib import Path

import polars as pl

from cortex.dataset import read_examples, take_evenly
from cortex.errors import DataError
from cortex.reasoning.labels import vocabulary
from cortex.reasoning.reward_weights import RewardWeights
from cortex.reasoning.rewards import reward
from cortex.runs.context import RunContext
from cortex.training.answers import sample_answers
from cortex.training.held_out import hold_out
from cortex.training.models import chat
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


def best_and_worst(
    prompt: str, answers: list[str], outcome: float, weights: RewardWeights, known: frozenset[str]
) -> tuple[str, str] | None:
    """The answers with the highest and the lowest reward; None if all rewards are equal."""
    paid = sorted((reward(text, prompt, outcome, weights, known).total(weights), text) for text in answers)
    return (paid[-1][1], paid[0][1]) if paid[-1][0] > paid[0][0] else None


def _sample_pairs(context: RunContext, path: Path) -> None:
    profile, dpo = context.profile, context.profile.dpo
    assert dpo is not None
    train = read_examples(context.artifact("data").path).filter(pl.col("split") == "train")
    chosen = take_evenly(train, dpo.prompts)
    sampled = sample_answers(
        context,
        "dpo",
        [trained_model(context, "sft")],
        chosen["prompt"].to_list(),
        Asked(
            max_tokens=profile.grpo.max_completion_length,
            samples=dpo.samples,
            temperature=dpo.temperature,
            top_p=dpo.top_p,
            seed=profile.seed,
        ),
        gpus=profile.hardware.gpus,
    )["sft"]
    known = frozenset(vocabulary(context.artifact("label").path))
    rows: list[str] = []
    for prompt, outcome, answers in zip(chosen["prompt"], chosen["outcome"], sampled, strict=True):
        pair = best_and_worst(prompt, answers, outcome, profile.grpo.rewards, known)
        if pair:
            good, bad = ([{"role": "assistant", "content": text}] for text in pair)
            rows.append(json.dumps({"prompt": chat(prompt), "chosen": good, "rejected": bad}) + "\n")
    if not rows:
        raise DataError(
            f"the SFT model gives one answer however often it is asked ({len(chosen)} prompts, {dpo.samples} samples): "
            "raise dpo.temperature, or remove the dpo section"
        )
    aside = path.with_suffix(".partial")
    aside.write_text("".join(rows), encoding="utf-8")
    aside.rename(path)
