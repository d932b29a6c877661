"""Scripted models of a simulated market, asked every probe, and the study of their answers."""

import datetime as dt
from collections.abc import Callable
from functools import cache

import polars as pl

from cortex.domains.example_columns import read_rows
from cortex.domains.markets.config import SimulatorConfig
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.grounding import readings
from cortex.domains.markets.protocol import Answer, render_answer
from cortex.domains.probe_rows import spread_rows
from cortex.domains.probe_section import ProbeCounts
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.chapter import Chapter, Row
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.study import Study
from cortex.probing.chapters import Probed
from cortex.probing.clustered import Clustered
from cortex.probing.probe_replies import Lens, ProbeReplies
from cortex.settings import Settings

Model = Callable[[str], str]
"""A reply to a prompt."""


@cache
def market(style: str = "full") -> tuple[Markets, pl.DataFrame, pl.DataFrame]:
    """A domain with its training and test examples."""
    domain = Markets.model_validate({"style": style, "source": SimulatorConfig(chains=3, days=400)})
    examples = domain.build(0, Settings()).examples
    train, test = (examples.filter(pl.col("split") == split) for split in ("train", "test"))
    return domain, train, test


def reply(p_up: float, reasoning: str = "nothing to go by") -> str:
    return render_answer(Answer(reasoning, p_up, "up" if p_up >= 0.5 else "down", 0.0, -5.0, 5.0))


def by_flow(prompt: str) -> str:
    """The forecast of a sound model, which knows `flow`, and cites it."""
    known = readings(prompt).get("flow")
    if known is None:
        return reply(0.5)
    p_up = round(min(max(0.5 - 0.15 * known, 0.05), 0.95), 2)
    return reply(p_up, f"flow: {known:g}")


@cache
def references(style: str) -> tuple[Clusters, list[Graded]]:
    """The clusters of the test examples, and the grades of the baseline of reference."""
    domain, train, test = market(style)
    return Clusters.read(test, domain.span(test)), domain.baselines(train, test)[domain.scale.reference]


def lens(style: str = "full") -> Lens:
    domain, train, test = market(style)
    return Lens(domain, Clustered(domain, pl.concat([train, test.select(train.columns)]), resamples=200, seed=0))


def chapters(
    model: Model,
    counts: ProbeCounts,
    *,
    style: str = "full",
    base: Model | None = None,
    cutoff: dt.date | None = None,
    sampled: Callable[[str, int], str] | None = None,
) -> dict[str, Chapter]:
    """The chapters on a model, by name. `sampled` gives its several answers to a prompt, by number."""
    domain, train, test = market(style)
    probes = domain.probes(train, test, counts, 0)
    usual = {example.id: model(example.text) for example in read_rows(test)}
    replies = {"sft": [model(probe.messages[-1].content) for probe in probes]}
    if base:
        replies["base"] = [base(probe.messages[-1].content) if probe.kind == "recalled" else "" for probe in probes]
    draw = sampled or (lambda prompt, _: model(prompt))
    repeated = [
        (example, [draw(example.text, number) for number in range(counts.answers)])
        for example in read_rows(spread_rows(test, counts.repeated))
    ]
    graded = [domain.grade(example, usual[example.id]) for example in read_rows(test)]
    clusters, baselines = references(style)
    contenders = {"sft": Grades.of(graded, baselines), "base_rate": Grades.of(baselines, baselines)}
    study = Study(contenders, ("sft",), "sft", clusters, Resamples.draw(clusters, resamples=200), 0)
    asked = ProbeReplies("sft", probes, replies, usual, repeated)
    probed = Probed(domain, asked, train, test, counts, cutoff, from_nothing=False)
    return {chapter.name: chapter for chapter in probed.chapters(study)}


def row(chapter: Chapter, name: str) -> Row:
    return next(row for table in chapter.tables for row in table.rows if row.name == name)


def value(chapter: Chapter, name: str, title: str) -> float | None:
    """A figure of a chapter, by its row and column."""
    for table in chapter.tables:
        for found in table.rows:
            if found.name == name:
                return found.cells[[heading.title for heading in table.headings].index(title)].value
    raise AssertionError(f"no row {name}")
