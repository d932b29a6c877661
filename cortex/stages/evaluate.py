"""evaluate: scores every model of the run on the held-out period, beside the baselines that it has to beat."""

from pathlib import Path

import polars as pl

from cortex.dataset import read_description, read_examples, take_evenly
from cortex.evaluation.forecasts import Climatology, Forecasts
from cortex.evaluation.record import Sample
from cortex.evaluation.report import evaluate, write_report
from cortex.reasoning.protocol import ProtocolError, parse_answer
from cortex.runs.context import RunContext
from cortex.runs.stages import models
from cortex.stages.released import derived_weights, log_copy_losses
from cortex.training.answers import sample_answers
from cortex.training.copies import accepted_copies
from cortex.training.sampling import Asked, SampledModel, trained_base, trained_model

SAMPLES = 4
"""Test examples that the report shows in full."""


def run(context: RunContext, output: Path) -> None:
    profile = context.profile
    data = context.artifact("data").path
    everything, description = read_examples(data), read_description(data)
    chosen = take_evenly(everything.filter(pl.col("split") == "test"), profile.evaluate.examples)
    examples = pl.concat([everything.filter(pl.col("split") == "train"), chosen])
    climatology = Climatology.of(examples.filter(pl.col("split") == "train")["outcome"].to_numpy())
    sampled = sample_answers(
        context,
        "evaluate",
        judged_models(context),
        chosen["prompt"].to_list(),
        Asked(max_tokens=profile.evaluate.max_new_tokens, seed=profile.seed),
        gpus=profile.hardware.gpus_to_evaluate,
    )
    answers = {name: [first for first, *_ in samples] for name, samples in sampled.items()}
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
    log_copy_losses(evaluation)


def judged_models(context: RunContext) -> list[SampledModel]:
    """The models to judge, in the order in which they were made."""
    export = context.artifact("export")
    base, base_origin = trained_base(context)
    return [
        SampledModel("base", base, None, base_origin),
        *(trained_model(context, stage) for stage in models(context.profile)),
        *(
            SampledModel(name, str(export.path / name), None, (export.digest, name))
            for name in accepted_copies(export.path)
        ),
    ]


def forecasts(answers: list[str], climatology: Climatology) -> Forecasts:
    """The forecasts in answers; an answer that cannot be parsed is an abstention."""
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
