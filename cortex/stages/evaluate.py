"""evaluate: every model of the run forecasts the held-out period, beside the baselines that it has to beat."""

from pathlib import Path

import polars as pl

from cortex.dataset import read_description, read_examples, take_evenly
from cortex.evaluation.forecasts import Climatology, Forecasts
from cortex.evaluation.record import Sample
from cortex.evaluation.report import evaluate, write_report
from cortex.reasoning.protocol import ProtocolError, parse_answer
from cortex.runs.base_model import base_folder
from cortex.runs.context import RunContext
from cortex.runs.profile import Profile
from cortex.runs.stages import models
from cortex.stages.released import derived_weights
from cortex.training.copies import accepted_copies
from cortex.training.generate import generate
from cortex.training.models import load_tokenizer, loaded

SAMPLES = 4
"""Test examples that the report shows in full."""


def run(context: RunContext, output: Path) -> None:
    profile = context.profile
    data = context.artifact("data").path
    everything, description = read_examples(data), read_description(data)
    chosen = take_evenly(everything.filter(pl.col("split") == "test"), profile.evaluate.examples)
    examples = pl.concat([everything.filter(pl.col("split") == "train"), chosen])
    climatology = Climatology.of(examples.filter(pl.col("split") == "train")["outcome"].to_numpy())
    judged = model_folders(context)
    answers: dict[str, list[str]] = {}
    for number, (name, folder) in enumerate(judged.items()):
        answers[name] = _answers(context, folder, chosen["prompt"].to_list(), number, len(judged))
    evaluation = evaluate(
        examples,
        {name: forecasts(texts, climatology) for name, texts in answers.items()},
        judged="grpo",
        features=[str(feature["name"]) for feature in description["features"]],
        source=str(description["source"]["name"]),
        simulated=bool(description["simulated"]),
        samples=_samples(chosen, answers),
        derived=derived_weights(context.artifact("export").path),
        resamples=profile.evaluate.resamples,
        seed=profile.seed,
    )
    write_report(evaluation, output)


def model_folders(context: RunContext) -> dict[str, str]:
    """The models to judge, in the order of their making: a name, and a folder."""
    export = context.artifact("export").path
    base = str(base_folder(context) or context.artifact("sft").path / "base")
    trained = {stage: str(context.artifact(stage).path / "model") for stage in models(context.profile)}
    return {"base": base, **trained, **{name: str(export / name) for name in accepted_copies(export)}}


def forecasts(answers: list[str], climatology: Climatology) -> Forecasts:
    """Answers as forecasts; one that cannot be read is an abstention."""
    columns: list[tuple[float | None, ...]] = []
    for text in answers:
        try:
            answer = parse_answer(text)
        except ProtocolError:
            columns.append((None, None, None, None))
        else:
            columns.append((answer.p_up, answer.return_pct / 100, answer.low_pct / 100, answer.high_pct / 100))
    p_up, expected, low, high = (list(column) for column in zip(*columns, strict=True))
    return Forecasts.from_answers(p_up, expected, low, high, climatology)


def _answers(context: RunContext, folder: str, prompts: list[str], number: int, count: int) -> list[str]:
    profile: Profile = context.profile
    tokenizer = load_tokenizer(folder)
    with loaded(
        folder, base=base_folder(context), device=profile.hardware.device, attention=profile.model.attention
    ) as model:
        sampled = generate(
            model,
            tokenizer,
            prompts,
            batch_size=profile.evaluate.batch_size,
            max_new_tokens=profile.evaluate.max_new_tokens,
            on_batch=lambda done, total: context.progress(number * total + done, count * total),
        )
    return [answers[0] for answers in sampled]


def _samples(chosen: pl.DataFrame, answers: dict[str, list[str]]) -> list[Sample]:
    rows = chosen.with_row_index("position")
    return [
        Sample(
            example_id=row["example_id"],
            prompt=row["prompt"],
            outcome=row["outcome"],
            answers={name: texts[row["position"]] for name, texts in answers.items()},
        )
        for row in take_evenly(rows, SAMPLES).iter_rows(named=True)
    ]
