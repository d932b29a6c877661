"""Seconds of an evaluation apart from sampling: ten models' answers to 1,500 questions of a simulated market.

    python -m scripts.bench.judging

It grades the replies, fits the baselines, resamples, compares all contenders, walks forward, analyses what the domain
analyses, and writes the record and the page, as the stage does.
"""

import argparse
import itertools
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from cortex.domains.example_columns import read_rows
from cortex.domains.markets.config import SimulatorConfig
from cortex.domains.markets.domain import Markets
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.judging import Origin, evaluate, write_report
from cortex.settings import Settings
from cortex.stages.evaluate import chapters

QUESTIONS, MODELS = 1500, 10


def replies(test: pl.DataFrame, noise: float, generator: np.random.Generator) -> list[str]:
    """A model's answers: the best attainable forecasts, blurred."""
    p = np.clip(test["oracle_p_up"].to_numpy() + noise * generator.normal(size=len(test)), 0.02, 0.98)
    return [
        f"<think>flow says {chance:.2f}</think>"
        f'<answer>{{"p_up":{chance:.2f},"direction":"{"up" if chance >= 0.5 else "down"}",'
        f'"return_pct":{10 * (chance - 0.5):.2f},"interval_pct":[{10 * (chance - 0.5) - 6:.2f},'
        f"{10 * (chance - 0.5) + 6:.2f}]}}</answer>"
        for chance in p
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=1000)
    asked = parser.parse_args()
    domain = Markets.model_validate({"style": "full", "source": SimulatorConfig(chains=12, days=900)})
    built = domain.build(0, Settings()).examples
    train, test = (built.filter(pl.col("split") == split) for split in ("train", "test"))
    test = test.gather_every(max(1, len(test) // QUESTIONS)).head(QUESTIONS)
    generator = np.random.default_rng(0)
    texts = {f"model-{number}": replies(test, 0.02 * number, generator) for number in range(MODELS)}
    marks = [("begun", time.perf_counter(), time.process_time())]

    def mark(what: str) -> None:
        marks.append((what, time.perf_counter(), time.process_time()))

    examples = list(read_rows(test))
    graded = {name: [domain.grade(*pair) for pair in zip(examples, own, strict=True)] for name, own in texts.items()}
    mark("grading")
    baselines = domain.baselines(train, test)
    mark("baselines")
    judge = partial(
        evaluate,
        graded,
        baselines,
        Clusters.read(test, domain.span(test)),
        judged="model-9",
        scale=domain.scale,
        measures=domain.measures,
        origin=Origin("markets", "simulated", simulated=True, train_examples=len(train)),
        details=domain.details,
        groups=domain.groups,
        resamples=asked.resamples,
    )
    judge()
    mark("verdict and comparisons")
    evaluation = judge(chapters=partial(chapters, domain, train, test))
    mark("the same with all chapters")
    with tempfile.TemporaryDirectory() as folder:
        write_report(evaluation, Path(folder), domain.figures(evaluation), domain.notes())
    mark("record and page")
    valid = np.mean([one.valid for grades in graded.values() for one in grades])
    print(
        f"{len(test)} questions, {MODELS} models, {len(train)} training examples; {valid:.0%} of replies could be read"
    )
    for (_, began, spent), (what, now, cpu) in itertools.pairwise(marks):
        print(f"{what:28} {now - began:6.1f} s  {cpu - spent:6.1f} s of CPU")
    print(f"{'in all':28} {marks[-1][1] - marks[0][1]:6.1f} s  {marks[-1][2] - marks[0][2]:6.1f} s of CPU")


if __name__ == "__main__":
    main()
